"""A small program with everything that makes a terminal difficult, for the tests of this folder.

Run as `python -m tests.terminal.program`. Each key does one thing; see the bindings. `ctrl+g` writes OSC 777 with
a running number once everything before it is painted, so that a test can wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import work
from textual._compositor import CompositorUpdate
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region
from textual.screen import UPDATE_PERIOD, ModalScreen
from textual.strip import Strip
from textual.style import Style as ContentStyle
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

if os.environ.get("PROGRAM_HIDE"):  # as if this Textual had no such type
    import textual._compositor as compositor

    hidden = {name: getattr(compositor, name) for name in os.environ["PROGRAM_HIDE"].split(",")}
    for name in hidden:
        delattr(compositor, name)
    import screens.terminal.shadow as shadow

    for name, value in hidden.items():
        setattr(compositor, name, value)
else:
    import screens.terminal.shadow as shadow
from screens.terminal.clipboard import copy
from screens.terminal.inert import LastWall
from screens.terminal.life import TerminalLife

NAMES = ["acme", "日本語テスト", "café", "müller", "🚀 rocket", "tab", "한국어", "x" * 30, "ok ✓", "плюс"]
JOINED = "👩‍👩‍👧"
ROUNDS = 3
"""So often, a frame apart, nothing waits to be painted before a test is told so."""


class Table(Widget, can_focus=True):
    """Two hundred rows by the Line API."""

    BINDINGS = [
        Binding("j,down", "move(1)"),
        Binding("k,up", "move(-1)"),
        Binding("pagedown", "move(10)"),
        Binding("pageup", "move(-10)"),
        Binding("u", "update(5)"),
        Binding("U", "update(200)"),
    ]
    DEFAULT_CSS = "Table { height: 1fr; background: $surface; color: $foreground; }"

    def __init__(self) -> None:
        super().__init__()
        self.cursor = self.top = 0
        self.values = [0] * 200

    def render_line(self, y: int) -> Strip:
        row = self.top + y
        if row >= len(self.values):
            return Strip.blank(self.size.width, self.rich_style)
        base = self.rich_style + Style(reverse=row == self.cursor)
        value = self.values[row]
        name = NAMES[row % len(NAMES)]
        if row == 9 and "PROGRAM_JOINED" in os.environ:
            name = set_cell_size(JOINED if value % 2 else "plain", 12)
        segments = [
            Segment(f" {row:4} ", base + Style(dim=True)),
            Segment(f"{name} ", base + Style(bold=row % 3 == 0, italic=row % 4 == 0, color="green")),
            Segment(f" {value:6} ", base + Style(underline=value % 2 == 1, bgcolor="red" if value > 2 else None)),
            Segment("● active", base + Style(strike=row % 7 == 0, color="#ff8800")),
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def action_move(self, by: int) -> None:
        before, top = self.cursor, self.top
        self.cursor = max(0, min(len(self.values) - 1, self.cursor + by))
        self.top = max(self.cursor - self.size.height + 1, min(self.top, self.cursor))
        if top != self.top:
            self.refresh()
        else:
            self.refresh(
                *(Region(0, row - self.top, self.size.width, 1) for row in {before, self.cursor}),
            )

    def action_update(self, count: int) -> None:
        for row in range(self.top, min(self.top + count, len(self.values))):
            self.values[row] += 1
        self.refresh()


class Dialog(ModalScreen[None]):
    BINDINGS = [Binding("escape", "dismiss"), Binding("d", "deeper")]
    CSS = """
    Dialog { align: center middle; background: $background 60%; }
    #box { width: 40; height: 7; border: round $accent; background: $panel; padding: 1; }
    """

    def compose(self) -> ComposeResult:
        box = Static(Content("suspend 日本語 acme?\n\n[not markup]"), id="box")
        box.border_title = "PROD"
        yield box

    def action_deeper(self) -> None:
        self.app.push_screen(Dialog())


class Unknown(CompositorUpdate):
    """As if a later Textual had a third kind of update."""

    def __init__(self, update: CompositorUpdate) -> None:
        self.update = update

    def render_segments(self, console: Any) -> str:
        return self.update.render_segments(console)


class Program(shadow.ShadowDisplay, LastWall, TerminalLife):
    CSS = """
    #status { height: 1; background: $primary; }
    .foreign { height: auto; }
    Screen.-narrow #status { background: $error; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]
    AUTO_FOCUS = "Table"
    BINDINGS = [
        Binding("ctrl+g", "sync", priority=True),
        Binding("m", "dialog"),
        Binding("i", "input"),
        Binding("n", "toast"),
        Binding("h", "hide"),
        Binding("D", "theme('textual-dark')"),
        Binding("L", "theme('textual-light')"),
        Binding("A", "theme('ansi-dark')"),
        Binding("t", "title"),
        Binding("q", "leave"),
        Binding("c", "copy"),
        Binding("x", "crash"),
        Binding("w", "crash_worker"),
        Binding("E", "expose"),
        Binding("b", "block"),
        Binding("o", "overflow"),
        Binding("T", "thread"),
        Binding("e", "shell"),
    ]

    syncs = 0

    def compose(self) -> ComposeResult:
        yield Static("status", id="status")
        for foreign in os.environ.get("PROGRAM_FOREIGN", "").split("\n"):
            if foreign:
                yield from self.foreign(foreign)
        yield Table()
        yield Input(placeholder="filter", compact=True, id="filter")

    def foreign(self, text: str) -> ComposeResult:
        """Every kind of place for text of others, without `clean`: only the last wall stands."""
        yield Static(text, markup=False)
        yield Label(Content(text))
        yield Input(text, placeholder=text, compact=True)
        yield Button(Content(text), compact=True)
        box = Static(Content("box"), classes="foreign")
        box.styles.border = ("round", "red")
        box.border_title = Content(text)  # type: ignore[assignment]
        box.border_subtitle = Content(text)  # type: ignore[assignment]
        yield box
        yield Static(Content.styled("link", ContentStyle(link=f"https://x/{text}")))  # type: ignore[arg-type]
        self.call_after_refresh(self.notify, text, title=text, markup=False)
        self.call_after_refresh(self.show_title, text)

    def _display(self, screen: Any, renderable: Any) -> None:
        if renderable is not None and self.syncs and os.environ.get("PROGRAM_UNKNOWN_UPDATE"):
            renderable = Unknown(renderable)
        super()._display(screen, renderable)

    def on_mount(self) -> None:
        self.query_one("#filter", Input).cursor_blink = False
        if os.environ.get("PROGRAM_TITLE"):
            self.show_title(os.environ["PROGRAM_TITLE"])

    def on_hangup(self) -> None:
        if saved := os.environ.get("PROGRAM_SAVE"):
            Path(saved).write_text("saved")

    def report_folder(self) -> Path:
        return Path(os.environ["PROGRAM_REPORTS"])

    def action_sync(self) -> None:
        self.syncs += 1
        self._answer(self.syncs, ROUNDS)

    def _answer(self, number: int, rounds: int) -> None:
        """Not by `call_after_refresh`: a dialog that comes just then pauses the screen that would call back."""
        if rounds:
            top = self.screen
            waits = top._layout_required or top._scroll_required or top._repaint_required or top._dirty_widgets
            self.set_timer(UPDATE_PERIOD, lambda: self._answer(number, ROUNDS if waits else rounds - 1))
        elif self._driver is not None:
            self._driver.write(f"\x1b]777;sync {number}\x07")
            self._driver.flush()

    def action_dialog(self) -> None:
        self.push_screen(Dialog())

    def action_input(self) -> None:
        self.query_one("#filter").focus()

    def on_input_submitted(self) -> None:
        self.query_one(Table).focus()

    def action_toast(self) -> None:
        self.notify("saved 日本 ✓", timeout=3600)

    def action_hide(self) -> None:
        status = self.query_one("#status")
        status.display = not status.display

    def action_theme(self, name: str) -> None:
        self.theme = name

    def action_title(self) -> None:
        self.show_title("[PROD RO] acme\x1b]52;c;aGk=\x07\u202e 3!")

    def action_leave(self) -> None:
        self.exit(return_code=7, message="bye \x1b[2J\u202enow")

    @work
    async def action_copy(self) -> None:
        self.query_one("#status", Static).update(await copy(self, os.environ["PROGRAM_COPY"]))

    def action_crash(self) -> None:
        password = "hunter2"
        raise KeyError("broken", len(password))

    @work
    async def action_crash_worker(self) -> None:
        password = "hunter2"
        raise ValueError(f"worker {len(password)}")

    def action_expose(self) -> None:
        class Rich(Exception):
            def __rich__(self) -> str:
                return "a rich error \x1b[2J" + "hunter" + "2 is not here"[1:]

        raise Rich

    def action_block(self) -> None:
        """The event loop is stuck."""
        Path(os.environ["PROGRAM_REPORTS"], "blocked").touch()
        time.sleep(30)

    def action_overflow(self) -> None:
        """A terminal that nobody reads: the queue of writes fills and blocks."""
        assert self._driver is not None
        Path(os.environ["PROGRAM_REPORTS"], "blocked").touch()
        while True:
            self._driver.write("x" * 65536)

    @work(thread=True)
    def action_thread(self) -> None:
        """A worker that does not listen, as one in a blocking call."""
        Path(os.environ["PROGRAM_REPORTS"], "blocked").touch()
        time.sleep(30)

    def action_shell(self) -> None:
        with self.suspend():
            print("in the editor", flush=True)


async def run(app: Any) -> None:
    await app.run_async()


def main() -> None:
    if os.environ.get("PROGRAM_DEAF"):  # no signal tells it that the terminal is gone
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal = lambda *_: None  # type: ignore[assignment, return-value]
    logging.basicConfig(filename=os.environ.get("PROGRAM_LOG", os.devnull))
    app = Program()
    asyncio.run(run(app))
    sys.exit(app.return_code or 0)


if __name__ == "__main__":
    main()
