"""How the program lives in its terminal: title, ctrl+z, being ended from outside, crashing.

Whatever happens, the terminal is left as it was found, and the exit code says what happened: 143 for SIGTERM,
129 for a hang-up, 1 for a crash. `run()` returns normally after all of these: the caller exits with
`sys.exit(app.return_code or 0)`.
"""

from __future__ import annotations

import io
import os
import selectors
import shutil
import signal
import sys
import tempfile
import termios
import traceback
from contextlib import suppress
from pathlib import Path
from threading import Thread, Timer
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Resize
from textual.geometry import Size

from screens.terminal.background import AnsweringParser
from screens.terminal.hangup import HUNG_UP, HangupWatch, hung_up
from screens.terminal.inert import without_controls
from screens.terminal.sequences import InputDecoder

_PUSH_TITLE, _POP_TITLE = "\x1b[22;2t", "\x1b[23;2t"
_RESTORE = (
    "\x1b\\\x1b[?2026l\x1b[0m\x1b[?1000l\x1b[?1006l\x1b[?2004l\x1b[?2048l\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
_NO_TITLE = ("linux", "dumb", "vt100", "vt220")  # they would print it
_TITLE_CHARACTERS = 200
LEAVE_SECONDS = 2.0
"""How long the program may take to close its connections when the person leaves."""


class TerminalDriver(LinuxDriver):
    """Textual's driver with a title, a safe ctrl+z, and no mouse mode that reports mere movement."""

    _watch: HangupWatch | None = None
    _drawing = False
    title = ""

    def start_application_mode(self) -> None:
        if self._watch is None and isinstance(self._app, TerminalLife):
            self._watch = HangupWatch(self.fileno, self._app.leave_from_thread, self._app.end_now, self._wake_loop)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGWINCH, lambda *_: self._loop.call_soon_threadsafe(self._tell_size))
        if self._writer_thread is not None and not self._drawing:
            self._drawing = True
            if self.title:
                self.write(_PUSH_TITLE)
                self._write_title()

    def _tell_size(self) -> None:
        """The size as it is now. In Textual's handler one signal can overtake another, and the older size wins."""
        if not self._in_band_window_resize:
            size = Size(*self._get_terminal_size())
            self._app.post_message(Resize(size, size))

    def _get_terminal_size(self) -> tuple[int, int]:
        """The terminal's own, which changes; COLUMNS and LINES, which a shell may export, never do."""
        for descriptor in (self._file.fileno() if self._file is not None else self.fileno, self.fileno):
            with suppress(OSError):
                columns, lines = os.get_terminal_size(descriptor)
                if columns and lines:
                    return columns, lines
        columns, lines = shutil.get_terminal_size()
        return columns, lines

    def run_input_thread(self) -> None:
        """Textual's, with a decoder and a parser that no input can crash."""
        parser, decoder = AnsweringParser(), InputDecoder()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1) and (typed := decoder.decode(os.read(self.fileno, 4096))):
                    for message in parser.feed(typed):
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def stop_application_mode(self) -> None:
        if self._drawing:
            self._drawing = False
            if self.title:
                self.write(_POP_TITLE)
        super().stop_application_mode()

    def show_title(self, title: str) -> None:
        if title == self.title or os.environ.get("TERM") in _NO_TITLE:
            return
        if self._drawing and not self.title:
            self.write(_PUSH_TITLE)
        self.title = title
        if self._drawing:
            self._write_title()
            self.flush()

    def ring(self, sequence: str) -> None:
        if self._drawing:
            self.write(sequence)
            self.flush()

    def _write_title(self) -> None:
        self.write(f"\x1b]2;{self.title}\x07")

    def restore_now(self, last_words: str = "") -> None:
        """From another thread, with the loop stuck: drop pending output, restore the terminal, write the last words."""
        if not self._drawing or self._file is None:
            return
        restore = (_RESTORE + (_POP_TITLE if self.title else "") + last_words).encode()
        terminal = os.dup(self._file.fileno())
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self._file.fileno())  # what the screen still wants to write
        last = Thread(target=os.write, args=(terminal, restore), daemon=True)
        try:
            termios.tcflush(terminal, termios.TCOFLUSH)
            writer = self._writer_thread
            if writer is not None and writer.ident is not None and writer.is_alive():
                signal.pthread_kill(writer.ident, signal.SIGWINCH)  # ends a write that nobody reads
            last.start()
            last.join(0.1)
            if self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        except (OSError, termios.error):
            pass  # the terminal is gone

    def _sigtstp_application(self, *_: object) -> None:
        # Not inside the signal handler: it may have interrupted a write that holds the queue's lock.
        self._loop.call_soon_threadsafe(super()._sigtstp_application)

    def _wake_loop(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: the program is leaving
            self._loop.call_soon_threadsafe(lambda: None)

    def _enable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1000h\x1b[?1006h")

    def _enable_mouse_pixels(self) -> None:
        """Cells are enough."""

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1000l\x1b[?1006l")


class TerminalLife(App[None]):
    """An App that behaves in its terminal. Override `on_hangup` and `report_folder`."""

    BINDINGS = [Binding("ctrl+z", "suspend_process", "suspend to the shell", show=False, id="app.suspend")]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "NO_COLOR" in os.environ:
            # Before Textual chooses its filter: without this, NO_COLOR gives greys in true colour.
            kwargs["ansi_color"] = True
        super().__init__(*args, **kwargs)
        if "NO_COLOR" in os.environ:
            self.theme = "ansi-dark"
        self._leaving: int | None = None
        self._hangup_called = False
        self._report: Path | None = None
        self._last_line = ""
        self._running = False
        self._last_call: Timer | None = None

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Until the person leaves, and then at most `LEAVE_SECONDS`."""
        self._running = True
        try:
            return super().run(*args, **kwargs)
        finally:
            self._running = False
            if self._last_call is not None:
                self._last_call.cancel()

    def exit(self, result: Any = None, return_code: int = 0, message: Any = None) -> None:
        super().exit(result, return_code, message)
        if self._running and self._last_call is None and isinstance(self._driver, TerminalDriver):
            self._last_call = Timer(LEAVE_SECONDS, self._be_gone, [return_code])
            self._last_call.daemon = True
            self._last_call.start()

    def _be_gone(self, code: int) -> None:
        """End the process: something in the background does not end, for it waits for an answer that does not come."""
        if isinstance(self._driver, TerminalDriver):
            self._driver.restore_now("".join(f"{line}\r\n" for line in self._last_lines()))
        os._exit(code)

    def get_driver_class(self) -> type[Driver]:
        stock = super().get_driver_class()
        return TerminalDriver if stock is LinuxDriver else stock

    def on_mount(self) -> None:
        # Coming back from the shell, Textual leaves the screen blank until something changes.
        self.app_resume_signal.subscribe(self, lambda _: self.call_later(lambda: self.screen.refresh(layout=True)))

    def show_title(self, title: str) -> None:
        """The terminal's title, until the program leaves or is suspended. Sent only when it changed."""
        if isinstance(self._driver, TerminalDriver):
            self._driver.show_title(without_controls(title)[:_TITLE_CHARACTERS])

    # Ended from outside

    def on_hangup(self) -> None:
        """The program is being ended by SIGTERM, SIGHUP or a lost terminal: save what must be kept.

        Quick (0.2 s) and without waiting; called once, from another thread when the event loop is stuck.
        """

    def leave_from_thread(self, code: int) -> None:
        self._leaving = code
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._leave, code)

    def _leave(self, code: int) -> None:
        try:
            self._call_on_hangup()
        finally:
            self.exit(return_code=code)

    def _call_on_hangup(self) -> None:
        if not self._hangup_called:
            self._hangup_called = True
            self.on_hangup()

    def end_now(self, code: int) -> None:
        """The event loop did not leave in time: save, restore the terminal, and be gone."""
        saver = Thread(target=self._call_on_hangup, daemon=True)
        saver.start()
        saver.join(0.2)
        if isinstance(self._driver, TerminalDriver):
            self._driver.restore_now()
        os._exit(code)

    # Crashing

    def report_folder(self) -> Path:
        """Where the report of a crash is written."""
        return Path(tempfile.gettempdir())

    def _fatal_error(self) -> None:
        """Instead of Textual's traceback, which prints local variables: passwords, tokens."""
        error = sys.exc_info()[1] or self._exception
        report = "".join(traceback.format_exception(error)) if error else "no exception is known\n"
        self._crash(type(error).__name__, report)

    def panic(self, *renderables: RenderableType) -> None:
        if self._leaving is not None or (isinstance(self._driver, TerminalDriver) and hung_up(self._driver.fileno)):
            self._return_code = self._leaving or HUNG_UP
            self._close_messages_no_wait()
            return
        output = io.StringIO()
        console = Console(file=output, width=110, no_color=True, highlight=False)
        for renderable in renderables:
            if isinstance(renderable, BaseException):
                output.write("".join(traceback.format_exception(renderable)))
            console.print(renderable)
        self._crash(type(renderables[0]).__name__ if renderables else "panic", output.getvalue())

    def _crash(self, name: str, report: str) -> None:
        self._return_code = 1
        try:
            if self._report is None:
                folder = self.report_folder()
                folder.mkdir(0o700, parents=True, exist_ok=True)
                descriptor, path = tempfile.mkstemp(".txt", "watchfloor-crash-", folder)  # 0600
                os.close(descriptor)
                self._report = Path(path)
            with self._report.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{report}\n")
            where = f"the report is in {self._report}"
        except OSError as problem:
            where = f"no report could be written ({problem.strerror})"
        self._last_line = self._last_line or without_controls(f"watchfloor stopped: {name}; {where}")
        self._close_messages_no_wait()

    def _last_lines(self) -> list[str]:
        """What is said on the person's own screen, which no filter guards."""
        said = [str(message) for message in self._exit_renderables if isinstance(message, str | Text)]
        return [without_controls(line) for text in [*said, self._last_line] for line in text.splitlines()]

    def _print_error_renderables(self) -> None:
        if sys.__stderr__ is not None:
            sys.__stderr__.write("".join(f"{line}\n" for line in self._last_lines()))
            sys.__stderr__.flush()
        self._exit_renderables.clear()
        self._last_line = ""
