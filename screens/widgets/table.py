"""The table: columns, keys and marks over a window of rows of a list of any length."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset

from controlplane.listing import Query, Row
from screens.widgets.columns import Column, Place, furthest, layout
from screens.widgets.painted import Line
from screens.widgets.rows import LEFT_MARGIN, RIGHT_MARGIN, RowLines
from screens.widgets.rowwindow import PATIENCE, RowWindow

R = TypeVar("R", bound=Row)


class WindowTable(RowWindow[R], can_focus=True):
    """Rows of a `Listing`. Frame, title, filter and error texts are its screen's."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--row",
        "table--cursor",
        "table--mark",
        "table--gone",
        "table--note",
        "table--position",
        *(f"table--tone-{tone}" for tone in ("good", "bad", "warn", "muted", "unknown")),
    }
    DEFAULT_CSS = """
    WindowTable {
        height: 1fr;
        & > .table--header { text-style: bold; color: $text-muted; }
        & > .table--cursor { text-style: bold; }
        &:focus > .table--cursor { text-style: bold reverse; }
        & > .table--mark { color: $text-warning; text-style: bold; }
        & > .table--gone { color: $text-muted; text-style: italic; }
        & > .table--note { color: $text-muted; }
        & > .table--position { color: $text-muted; }
        & > .table--tone-good { color: $text-success; }
        & > .table--tone-bad { color: $text-error; text-style: bold; }
        & > .table--tone-warn { color: $text-warning; }
        & > .table--tone-muted { color: $text-muted; }
        & > .table--tone-unknown { color: $text-muted; text-style: italic; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False, id="table.down"),
        Binding("k,up", "move(-1)", "up", show=False, id="table.up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="table.page_down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="table.page_up"),
        Binding("g,home", "first", "first", show=False, id="table.first"),
        Binding("G,end", "last", "last", show=False, id="table.last"),
        Binding("right", "sideways(1)", "columns to the right", show=False, id="table.right"),
        Binding("left", "sideways(-1)", "columns to the left", show=False, id="table.left"),
        Binding("enter", "open", "open", show=False, id="table.open"),
        Binding("space", "mark", "mark", show=False, id="table.mark"),
        Binding("shift+down", "mark_range(1)", "mark down", show=False, id="table.mark_down"),
        Binding("shift+up", "mark_range(-1)", "mark up", show=False, id="table.mark_up"),
        Binding("asterisk", "mark_all", "mark all", show=False, id="table.mark_all"),
    ]

    class Opened(RowWindow.Said):
        """Enter on a row that is there."""

        def __init__(self, table: WindowTable[Any], row: R) -> None:
            super().__init__(table)
            self.row = row

    class Marked(RowWindow.Said):
        def __init__(self, table: WindowTable[Any], count: int) -> None:
            super().__init__(table)
            self.count = count

    class HeadingClicked(RowWindow.Said):
        """The heading of a column was clicked; `column` is its name."""

        def __init__(self, table: WindowTable[Any], column: str) -> None:
            super().__init__(table)
            self.column = column

    class MarkAll(RowWindow.Said):
        """All that match are to be marked, and not all are loaded: ask the backend, then `set_marks`."""

        def __init__(self, table: WindowTable[Any], query: Query) -> None:
            super().__init__(table)
            self.query = query

    def __init__(
        self,
        columns: Sequence[Column[R]],
        *,
        empty: str,
        clock: Callable[[], float] = time.monotonic,
        id: str | None = None,
    ) -> None:
        """`empty`: what to say when the list has no rows. `clock`: seconds that only go forward."""
        super().__init__(clock=clock, id=id)
        self.columns = tuple(columns)
        self.empty = empty
        self.total: int | None = None
        """How many rows the list has, when somebody counted them: for the position mark only."""
        self._offset = 0
        self._marks: set[str] = set()

    # Marks

    @property
    def marks(self) -> frozenset[str]:
        return frozenset(self._marks)

    def visible_marks(self) -> list[str]:
        """The marked rows among those loaded, in display order, without those that are gone."""
        window = self._window
        if window is None:
            return []
        return [row.key for row in window.rows if row.key in self._marks and row.key not in window.gone]

    def set_marks(self, keys: Iterable[str]) -> None:
        self._marks = set(keys)
        self._marked()

    def mark_loaded(self) -> None:
        """Mark every row that is loaded: the whole list only when both of its ends are held."""
        if self._window is not None:
            self._marks.update(row.key for row in self._window.rows if row.key not in self._window.gone)
            self._marked()

    def action_mark(self) -> None:
        row = self.cursor_row
        if row is not None:
            self._marks ^= {row.key}
            self._marked()
        self.action_move(1)

    def action_mark_range(self, direction: int) -> None:
        before = self.cursor_row
        self.action_move(direction)
        self._marks.update(row.key for row in (before, self.cursor_row) if row is not None)
        self._marked()

    def action_mark_all(self) -> None:
        window = self._window
        if window is not None and window.first and window.last and self._paging.current:
            self.mark_loaded()
        else:
            self.post_message(self.MarkAll(self, self._paging.query))

    def _marked(self) -> None:
        self._pressed_at = self._clock()
        self.repaint()
        self.post_message(self.Marked(self, len(self._marks)))

    # Moving

    def action_move(self, rows: int) -> None:
        self._go(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        step = pages * max(1, self.room - 1)  # one line of the last page stays in sight
        self._top += step
        self._go(self._cursor + step)

    def action_first(self) -> None:
        self._jump(backward=False)

    def action_last(self) -> None:
        self._jump(backward=True)

    def action_sideways(self, direction: int) -> None:
        before = self._places()
        limit = furthest(self._columns_in_use(), self._inner_width)
        while 0 <= self._offset + direction <= limit and self._places() == before:
            self._offset += direction
        self._pressed_at = self._clock()
        self.repaint()

    def action_open(self) -> None:
        row = self.cursor_row
        if row is not None:
            self.post_message(self.Opened(self, row))

    def on_click(self, event: events.Click) -> None:
        if event.y < self._header_height:
            self._heading_clicked(event.x - LEFT_MARGIN)
            return
        place = self._top + event.y - self._header_height
        window = self._window
        if window is not None and place < len(window):
            self._go(place)
            if event.chain == 2:
                self.action_open()

    def _heading_clicked(self, x: int) -> None:
        for place in self._places():
            if place.x <= x < place.x + place.width:
                self.post_message(self.HeadingClicked(self, place.column.key))

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)

    # Drawing

    def repaint(self) -> None:
        super().repaint()
        if self.has_focus and self.app.has_class("accessible"):
            # For a screen reader, and for eyes that follow the terminal's own cursor.
            line = self._header_height + self._cursor - self._top
            self.app.cursor_position = self.region.offset + Offset(0, line)

    def lines(self) -> list[Line]:
        width, height = self.size
        if width < 1 or height < 1:
            return []
        draw = RowLines(self._places(), width, self.look)
        window = self._window
        lines = [draw.header(self._paging.query)] if self._header_height else []
        thumb = self._thumb()
        for line, row in enumerate(window.rows[self._top : self._top + self.room] if window else ()):
            lines.append(
                draw.row(
                    row,
                    cursor=self._top + line == self._cursor,
                    marked=row.key in self._marks,
                    gone=self._is_gone(row.key),
                    thumb=line == thumb,
                )
            )
        note = self._note()
        del lines[height - 1 if note else height :]
        lines += [draw.note(note)] * bool(note)
        return lines + [draw.note("")] * (height - len(lines))

    def _note(self) -> str:
        """What is to be said instead of rows, or below them."""
        if self._asked_at is not None:
            seconds = self._clock() - self._asked_at
            return "" if seconds < PATIENCE else f"reading, {seconds:.0f} s"
        window = self._window
        if window is None:
            return f"not read: {self._failure}" if self._failure else ""
        return "" if window.rows else self.empty

    def _thumb(self) -> int:
        """The line of the position mark: exact at both ends, a guess between them; -1 when all is in sight."""
        window = self._window
        if window is None or (window.first and window.last and len(window) <= self.room):
            return -1
        if window.first and self._top == 0:
            return 0
        if window.last and self._top + self.room >= len(window):
            return self.room - 1
        share = 0.5
        if window.skipped is not None and self.total:
            share = min(1.0, (window.skipped + self._top) / max(self.total, 1))
        return max(1, min(round(share * self.room), self.room - 2))

    @property
    def _small(self) -> bool:
        return self.app.size.width < 60 or self.app.size.height < 15

    @property
    def _header_height(self) -> int:
        return 0 if self._small else 1

    @property
    def room(self) -> int:
        """Rows in sight."""
        return max(1, self.size.height - self._header_height)

    @property
    def _inner_width(self) -> int:
        return self.size.width - LEFT_MARGIN - RIGHT_MARGIN

    def _columns_in_use(self) -> Sequence[Column[R]]:
        return self.columns[:2] if self._small else self.columns

    def _places(self) -> list[Place[R]]:
        return layout(self._columns_in_use(), self._inner_width, self._offset)
