"""A window of rows over a list of any length, with a cursor that stays on its row.

Moving never waits for the database: within the rows held it is painted at once; pages are read ahead in workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from textual.message import Message
from textual.timer import Timer
from textual.worker import Worker

from controlplane.errors import Refusal
from controlplane.listing import Listing, Page, Query, Row
from screens.widgets.paging import Paging
from screens.widgets.painted import Painted
from screens.widgets.window import LIMIT, PAGE_ROWS, Window, followed, in_place, merged, reordered

R = TypeVar("R", bound=Row)

QUIET = 0.5
"""Seconds after a key in which no row changes its place."""
SETTLED = 3.0
"""Seconds between two re-orderings."""
PATIENCE = 0.3
"""Seconds before the table says that rows are being read."""


class RowWindow(Painted, Generic[R]):
    """What holds and reads the rows of a table. Subclasses draw them and say how many are in sight."""

    class Said(Message):
        """What the table tells its screen."""

        def __init__(self, table: RowWindow[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> RowWindow[Any]:
            return self.table

    class Highlighted(Said, namespace="window_table"):
        """The cursor came to another row; None when there is none."""

        def __init__(self, table: RowWindow[R], row: R | None) -> None:
            super().__init__(table)
            self.row = row

    class Loaded(Said, namespace="window_table"):
        """Rows were read, for the first time or again. `as_of`: when the database was asked."""

        def __init__(self, table: RowWindow[R], as_of: datetime) -> None:
            super().__init__(table)
            self.as_of = as_of

    class Failed(Said, namespace="window_table"):
        """Rows could not be read; those shown before still are."""

        def __init__(self, table: RowWindow[R], error: Exception) -> None:
            super().__init__(table)
            self.error = error

    def __init__(self, *, clock: Callable[[], float], id: str | None) -> None:
        """`clock`: seconds that only go forward."""
        super().__init__(id=id)
        self._clock = clock
        self._paging: Paging[R] = Paging()
        self._cursor = self._top = 0
        self._sought = ""
        """The key of the row that the cursor goes to when it is read."""
        self._readers: dict[str, Worker[None]] = {}
        self._patience: Timer | None = None
        self._asked_at: float | None = None  # when a whole window was asked for that is not here yet
        self._failure = ""
        self._holds = 0
        self._pressed_at = self._reordered_at = float("-inf")

    @property
    def room(self) -> int:
        """How many rows the widget has room for, at least 1."""
        raise NotImplementedError

    def show(self, listing: Listing[R], query: Query) -> None:
        """Show a list, or the same one filtered or ordered in another way.

        Rows of the same list (equal ones are the same) stay until the new ones are there; the cursor stays on its
        row if that is among them. Only after mounting.
        """
        self._paging.turn_to(listing, query)
        for direction in ("before", "after"):
            self.workers.cancel_group(self, f"table-{direction}")
        self._read_whole(backward=False, follow=True)
        self.repaint()

    async def refresh_rows(self) -> None:
        """Read the rows held once more, and repaint those cells that changed. Posts `Loaded` or `Failed`.

        When the last `show` failed, that is tried again.
        """
        if not self._paging.current:
            if self._paging.listing is not None and self._idle("whole"):
                await self._whole(backward=False, follow=True)
            return
        try:
            page = await self._paging.again()
        except Exception as error:
            self._fail(error)
            return
        if page is not None and self._window is not None:
            self._refreshed(self._window, page)

    @property
    def cursor_row(self) -> R | None:
        """The row under the cursor; None when there is none or it is gone."""
        row = self._row()
        return None if row is None or self._is_gone(row.key) else row

    @property
    def is_awaited(self) -> bool:
        """Whether other rows were asked for than those held, and are not here yet."""
        return self._asked_at is not None

    @property
    def rows_held(self) -> Sequence[R]:
        """The rows that are loaded, in display order, without those that are gone."""
        rows = self._window.rows if self._window is not None else []
        return [row for row in rows if not self._is_gone(row.key)]

    @property
    def rows_in_sight(self) -> Sequence[R]:
        """The rows that are on the screen now, without those that are gone."""
        rows = self._window.rows[self._top : self._top + self.room] if self._window is not None else []
        return [row for row in rows if not self._is_gone(row.key)]

    def seek(self, key: str) -> None:
        """Put the cursor on a row; on one that is being read when it is there."""
        self._sought = key
        place = self._window.index(key) if self._window is not None else None
        if place is not None:
            self._go(place)

    def hold(self) -> None:
        """No row changes its place until `release`: a dialog is open about the rows behind it."""
        self._holds += 1

    def release(self) -> None:
        self._holds -= 1

    @property
    def _window(self) -> Window[R] | None:
        return self._paging.window

    def _row(self) -> R | None:
        window = self._window
        return window.rows[self._cursor] if window is not None and window.rows else None

    def _key(self) -> str | None:
        row = self._row()
        return None if row is None else row.key

    def _is_gone(self, key: str) -> bool:
        return self._window is not None and key in self._window.gone

    def _go(self, place: int) -> None:
        """Put the cursor on a row that is held, and have the rows beyond it read ahead."""
        self._pressed_at = self._clock()
        if self._paging.current:
            self._stop_waiting()  # a key after End or Home goes on from where the cursor is
        before = self._key()
        self._settle(place)
        self.repaint()
        if self._key() != before:
            self.post_message(self.Highlighted(self, self.cursor_row))
        self._read_ahead()

    def _jump(self, *, backward: bool) -> None:
        window = self._window
        if window is None or not self._paging.current:
            return
        if window.last if backward else window.first:
            self._go(len(window) - 1 if backward else 0)
        else:
            self._pressed_at = self._clock()
            self._read_whole(backward=backward, follow=False)

    def _settle(self, place: int) -> None:
        """Cursor and top within the rows held, the cursor in sight."""
        held = 0 if self._window is None else len(self._window)
        self._cursor = max(0, min(place, held - 1))
        self._top = max(self._cursor - self.room + 1, min(self._top, self._cursor))
        self._top = max(0, min(self._top, held - self.room))

    def on_resize(self) -> None:
        self._settle(self._cursor)
        self.repaint()
        self._read_ahead()

    def _read_whole(self, *, backward: bool, follow: bool) -> None:
        self._asked_at, self._failure = self._clock(), ""
        self._readers["whole"] = self.run_worker(
            partial(self._whole, backward=backward, follow=follow),
            group="table-whole",
            exclusive=True,
            exit_on_error=False,
        )
        self._wait(PATIENCE)  # nothing is painted until then: to draw all rows would delay the asking

    async def _whole(self, *, backward: bool, follow: bool) -> None:
        """Read a new window from one end; the cursor goes to that end, or follows its row when that is there."""
        try:
            page = await self._paging.whole(max(PAGE_ROWS, self.room), backward=backward)
        except Exception as error:
            self._asked_at = None
            self._fail(error)
            return
        if page is None:
            return
        before, window = self._key(), Window.of(page)
        wanted, self._sought = self._sought or before, ""
        self._paging.adopt(window)
        self._asked_at = None
        place = window.index(wanted) if follow and wanted is not None else None
        self._top = len(window) if backward else 0
        self._settle(len(window) - 1 if backward else place or 0)
        self._show_read(page, before)

    def _read_ahead(self) -> None:
        """Have the next page read when less than two screens are left on a side."""
        window = self._window
        if window is None or not self._paging.current:
            return
        near = min(2 * self.room, max(1, (LIMIT - self.room - PAGE_ROWS) // 2))
        for backward, end, left in (
            (True, window.first, self._top),
            (False, window.last, len(window) - self._top - self.room),
        ):
            name = "before" if backward else "after"
            if not end and left < near and self._idle(name):
                self._readers[name] = self.run_worker(
                    self._more(backward), group=f"table-{name}", exclusive=True, exit_on_error=False
                )

    async def _more(self, backward: bool) -> None:
        try:
            page = await self._paging.more(backward=backward)
        except Exception as error:
            self._fail(error)
            return
        window = self._window
        if page is None or window is None:
            return
        before, bottom = self._in_sight(), self._top + self.room - 1
        slide = window.prepend(page, bottom) if backward else -window.append(page, self._top)
        self._top += slide
        self._settle(self._cursor + slide)
        if self._in_sight() != before:
            self.repaint()

    def _in_sight(self) -> tuple[object, ...]:
        """What a painting shows of the window, besides cursor and marks."""
        window = self._window
        if window is None:
            return ()
        skipped = None if window.skipped is None else window.skipped + self._top
        rows = [id(row) for row in window.rows[self._top : self._top + self.room]]
        return window.first and self._top == 0, window.last and self._top + self.room >= len(window), skipped, rows

    def _refreshed(self, old: Window[R], page: Page[R]) -> None:
        fresh = Window.of(page)
        sight = range(self._top, min(self._top + self.room, len(old)))
        moved, now = reordered(old, fresh), self._clock()
        frozen = self._holds > 0 or now - self._pressed_at < QUIET or (moved and now - self._reordered_at < SETTLED)
        new = in_place(old, fresh, sight) if frozen else merged(old, fresh, sight)
        if moved and not frozen:
            self._reordered_at = now
        before = self._key()
        cursor, top = followed(old, new, self._cursor, self._top)
        self._paging.adopt(new)
        self._top = top
        self._settle(cursor)
        self._show_read(page, before)

    def _show_read(self, page: Page[R], before: str | None) -> None:
        """Paint rows that were read, and post `Loaded`; `before`: the key that the cursor was on."""
        self.repaint()
        self.post_message(self.Loaded(self, page.as_of))
        if self._key() != before:
            self.post_message(self.Highlighted(self, self.cursor_row))
        self._read_ahead()

    def _idle(self, name: str) -> bool:
        reader = self._readers.get(name)
        return reader is None or reader.is_finished

    def _fail(self, error: Exception) -> None:
        self._failure = error.message if isinstance(error, Refusal) else type(error).__name__
        self.repaint()
        self.post_message(self.Failed(self, error))

    def _wait(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.stop()
        self._patience = self.set_timer(seconds, self._still_waiting)

    def _still_waiting(self) -> None:
        """Say how long it takes, once a second."""
        if self._asked_at is not None:
            self._wait(1)
            self.repaint()

    def _stop_waiting(self) -> None:
        if self._asked_at is not None:
            self._asked_at = None
            self.workers.cancel_group(self, "table-whole")
