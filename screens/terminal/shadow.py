"""The shadow grid: what each cell of the terminal shows, so that only cells that differ are sent.

Textual's compositor sends every line of a region that was refreshed, changed or not, with a colour reset
after each piece. `ShadowDisplay` stands behind it: it lays the compositor's update over the grid, compares,
and writes runs of changed cells with short cursor moves and a pen that is carried from run to run.

It leans on private types of Textual 8.2.8. Where they are missing, or anything unexpected comes, it says so
once in the log and leaves the rest of the run to Textual. `WATCHFLOOR_SHADOW=off` does so from the start.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from rich.cells import split_graphemes
from rich.color import ColorSystem
from rich.console import RenderableType
from rich.control import Control
from rich.style import Style
from textual import events
from textual.app import App
from textual.binding import Binding
from textual.screen import Screen
from textual.strip import SGR_STYLES, Strip

try:
    from textual._compositor import ChopsUpdate, LayoutUpdate
except ImportError:  # another Textual: its own display is always right, only longer
    ChopsUpdate = LayoutUpdate = None  # type: ignore[assignment, misc]

log = logging.getLogger(__name__)


class Pen(NamedTuple):
    """How a cell is drawn: SGR parameters, empty for the terminal's default, and the target of OSC 8."""

    attributes: tuple[str, ...] = ()
    colour: str = ""
    background: str = ""
    link: str = ""


PLAIN = Pen()
_ERASING = ("xterm", "tmux", "linux", "alacritty", "foot", "rxvt", "st-", "wezterm", "konsole", "iterm")
"""TERM of terminals that erase with the pen's background. Others (screen) leave holes in their own colour."""
_WORTH_ERASING = 12
_INVISIBLE_ON_BLANK = {"1", "2", "3"}  # bold, dim and italic do nothing to a space

Cell = tuple[str, Pen]
"""A grapheme and its pen. The right half of a wide grapheme is an empty string."""

Row = list[Cell | None]
"""None: nobody knows what the terminal shows there."""


@lru_cache(4096)
def _pen(style: Style | None, system: ColorSystem) -> Pen:
    if style is None:
        return PLAIN
    bits = style._attributes & style._set_attributes
    colour = style.color.downgrade(system).get_ansi_codes() if style.color else ()
    background = style.bgcolor.downgrade(system).get_ansi_codes(False) if style.bgcolor else ()
    return Pen(
        tuple(code for bit, code in enumerate(SGR_STYLES) if bits & (1 << bit)),
        "" if colour == ("39",) else ";".join(colour),
        "" if background == ("49",) else ";".join(background),
        f"id={style._link_id};{style.link}" if style.link else "",
    )


@lru_cache(4096)
def _blank(pen: Pen) -> Pen:
    """A space shows its background, and its colour only where it is underlined, reversed or the like."""
    if pen.link or not _INVISIBLE_ON_BLANK.issuperset(pen.attributes):
        return pen
    return Pen(background=pen.background)


@lru_cache(512)
def _cells(text: str, style: Style | None, system: ColorSystem) -> tuple[Cell, ...]:
    pen = _pen(style, system)
    blank = _blank(pen)
    if text.isascii() and text.isprintable():
        return tuple((char, blank if char == " " else pen) for char in text)
    cells: list[Cell] = []
    for start, end, width in split_graphemes(text)[0]:
        grapheme = text[start:end]
        if width:  # what has no cell of its own and nothing to stand on is not shown
            cells.append((grapheme, blank if grapheme == " " else pen))
            cells.extend([("", pen)] * (width - 1))
    return tuple(cells)


@lru_cache(4096)
def _change(old: Pen, new: Pen) -> str:
    """The shortest sequence that turns one pen into another."""
    link = "" if old.link == new.link else f"\x1b]8;{new.link or ';'}\x1b\\"
    afresh = [*new.attributes, *filter(None, (new.colour, new.background))]
    choices = [";".join(["0", *afresh] if afresh else [])]
    if set(old.attributes) <= set(new.attributes):
        added = [code for code in new.attributes if code not in old.attributes]
        if old.colour != new.colour:
            added.append(new.colour or "39")
        if old.background != new.background:
            added.append(new.background or "49")
        if not added:
            return link
        choices.append(";".join(added))
    return f"{link}\x1b[{min(choices, key=len)}m"


class ShadowGrid:
    """What the terminal shows. `encode` gives what makes it show an update, and remembers it as sent."""

    def __init__(self, *, erases: bool = False) -> None:
        """`erases`: the terminal erases cells with the pen's background, so that blanks need not be written."""
        self._rows: list[Row] = []
        self._erases = erases

    def forget(self) -> None:
        """Somebody else may have written to the terminal: the next update of each cell is sent whole."""
        self._rows = []

    def encode(self, update: object, system: ColorSystem) -> str:
        """Raises TypeError for an update that is neither of the two known ones."""
        if isinstance(update, LayoutUpdate):
            self._fit(update.region.right, update.region.bottom)
            pieces = self._layout_pieces(update)
        elif isinstance(update, ChopsUpdate):
            self._fit(max((ends[-1] for ends in update.chop_ends if ends), default=0), len(update.chops))
            pieces = self._chop_pieces(update)
        else:
            raise TypeError(f"unknown display update {type(update).__name__}")
        fresh: dict[int, Row] = {}
        for y, x, strip in pieces:
            row = fresh.get(y) or fresh.setdefault(y, self._rows[y].copy())
            _lay(row, x, strip, system)
        writer = _Writer(self._erases)
        for y in sorted(fresh):
            if fresh[y] != self._rows[y]:
                writer.row(y, fresh[y], self._rows[y])
                self._rows[y] = fresh[y]
        return writer.finish()

    def _fit(self, width: int, height: int) -> None:
        if len(self._rows) != height or (self._rows and len(self._rows[0]) != width):
            self._rows = [[None] * width for _ in range(height)]

    @staticmethod
    def _layout_pieces(update: LayoutUpdate) -> Iterable[tuple[int, int, Strip]]:
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip
                x += strip.cell_length

    @staticmethod
    def _chop_pieces(update: ChopsUpdate) -> Iterable[tuple[int, int, Strip]]:
        for y, left, right in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x <= right and end > left:
                    yield y, x, strip.crop(0, min(end, right) - x) if end > right else strip


def _lay(row: Row, x: int, strip: Strip, system: ColorSystem) -> None:
    """Put a strip into a row. Half a wide grapheme left at either edge becomes a space, as in a terminal."""
    cells: Row = []
    for text, style, control in strip:
        if not control:
            cells.extend(_cells(text, style, system))
    end = min(x + len(cells), len(row))
    if not x < end:
        return
    if x and (cut := row[x]) is not None and not cut[0]:
        row[x - 1] = (" ", _blank(cut[1]))
    if end < len(row) and (cut := row[end]) is not None and not cut[0]:
        row[end] = (" ", _blank(cut[1]))
    row[x:end] = cells[: end - x]


def _blanks(row: Row, start: int, end: int) -> int:
    """How many cells from here on are the same space, of which only the background is seen."""
    cell = row[start]
    if cell is None or cell[0] != " " or cell[1] != Pen(background=cell[1].background):
        return 0
    x = start
    while x < end and row[x] == cell:
        x += 1
    return x - start


class _Writer:
    def __init__(self, erases: bool) -> None:
        self._erases = erases
        self._out: list[str] = []
        self._pen = PLAIN
        self._at: tuple[int, int] | None = None  # where the terminal's cursor is, when that is certain

    def finish(self) -> str:
        if self._pen != PLAIN:
            self._out.append(_change(self._pen, PLAIN))
        return "".join(self._out)

    def row(self, y: int, new: Row, old: Row) -> None:
        x, width = 0, len(new)
        uncertain = any(cell is not None and len(cell[0]) > 1 for row in (new, old) for cell in row)
        while x < width:
            cell = new[x]
            if cell is None or cell == old[x]:
                x += 1
                continue
            if uncertain:
                # Terminals disagree about the width of joined graphemes: after the first difference the whole
                # line is written, so that nothing which spilt over stays.
                self._run(y, x, width, new)
                return
            end = x + 1
            while end < width and new[end] is not None and (new[end] != old[end] or not new[end][0]):  # type: ignore[index]
                end += 1
            self._run(y, x, end, new)
            x = end

    def _run(self, y: int, start: int, end: int, row: Row) -> None:
        self._move(y, start, row)
        erased = start
        for x in range(start, end):
            cell = row[x]
            if cell is None or not cell[0] or x < erased:
                continue
            if self._at != (y, x):
                self._move(y, x, row)
            if self._erases and (blanks := _blanks(row, x, end)) >= _WORTH_ERASING:
                self._put(f"\x1b[{blanks}X", cell[1], blank=True)
                erased = x + blanks
                continue
            self._put(cell[0], cell[1], blank=cell[0] == " ")
            wide = x + 1 < len(row) and (right := row[x + 1]) is not None and not right[0]
            self._at = None if len(cell[0]) > 1 else (y, x + 1 + wide)

    def _put(self, text: str, pen: Pen, *, blank: bool) -> None:
        shared = blank and pen == _blank(self._pen)
        if pen != self._pen and not shared:
            self._out.append(_change(self._pen, pen))
            self._pen = pen
        self._out.append(text)

    def _move(self, y: int, x: int, row: Row) -> None:
        if self._at == (y, x):
            return
        if self._at is None or self._at[0] != y or self._at[1] > x:
            self._out.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
        else:
            gap = x - self._at[1]
            hop = f"\x1b[{gap}C" if gap > 1 else "\x1b[C"
            bridge = self._bridge(row[self._at[1] : x]) if gap <= len(hop) else None
            self._out.append(hop if bridge is None else bridge)
        self._at = (y, x)

    def _bridge(self, cells: Row) -> str | None:
        """The text of a short gap, when writing it again is no longer than hopping over it."""
        text = ""
        for cell in cells:
            if cell is None or not cell[0].isascii() or not cell[0]:
                return None
            if cell[1] != self._pen and not (cell[0] == " " and cell[1] == _blank(self._pen)):
                return None
            text += cell[0]
        return text


class ShadowDisplay(App[None]):
    """An App that sends only changed cells. `shadow_enabled` may be set to False at any time."""

    BINDINGS = [Binding("ctrl+l", "redraw", "draw the screen again", show=False, id="app.redraw")]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shadow_enabled = os.environ.get("WATCHFLOOR_SHADOW", "").lower() != "off"
        self._shadow = ShadowGrid(erases=os.environ.get("TERM", "").startswith(_ERASING))
        if LayoutUpdate is None:
            self._shadow_off("this Textual has other display updates")

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self._shadow.forget(), immediate=True)

    def on_resize(self, event: events.Resize) -> None:
        if self._size != event.size:
            self._shadow.forget()
        elif not getattr(self._driver, "_in_band_window_resize", False):
            # Away and back before we looked: Textual sees no change, but the terminal may have dropped cells.
            self.action_redraw()

    def action_redraw(self) -> None:
        """Paint every cell again, whatever the terminal is thought to show."""
        self._shadow.forget()
        if self._screen_stack:
            # After the messages that wait: coming back from the shell, one of them is the new size.
            self.call_later(lambda: self.screen.refresh(layout=True))

    def _shadow_off(self, reason: str) -> None:
        if self.shadow_enabled:
            self.shadow_enabled = False
            log.warning("shadow grid off, Textual displays by itself from here: %s", reason)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        driver = self._driver
        silent = renderable is None or self._batch_count or not self._running or self._closed
        if silent or driver is None or driver.is_headless or driver.is_inline or not self.shadow_enabled:
            if not self.shadow_enabled:
                self._shadow.forget()
            super()._display(screen, renderable)
            return
        try:
            system = self.console._color_system or ColorSystem.TRUECOLOR
            sequence = self._shadow.encode(renderable, system)
            cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        except Exception as error:
            self._shadow_off(f"{type(error).__name__}: {error}")
            super()._display(screen, renderable)
            return
        if sequence or cursor != self._previous_cursor_position:
            self._begin_update()
            driver.write(sequence + Control.move_to(*cursor).segment.text)
            self._end_update()
            driver.flush()
            self._previous_cursor_position = cursor
        self.post_display_hook()
