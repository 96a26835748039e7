"""A list whose rows are marked, and acted on: the one under the cursor, or those that are marked."""

from __future__ import annotations

from typing import Any, TypeVar

from textual import on, work

from controlplane.listing import Listing, Query, Row
from screens.desk import Done, Target
from screens.previewing import PreviewingScreen
from screens.widgets.table import WindowTable

R = TypeVar("R", bound=Row)
MAX_MARKS = 100_000


class MarkingScreen(PreviewingScreen[R]):
    """`listing` is what the table shows."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Target] = {}
        """The marked rows, as they were when they were marked."""
        self.marked_here: set[str] = set()
        """The marks made under the current filter."""
        self._acts_when_read = False

    def listing(self) -> Listing[R]:
        raise NotImplementedError

    @property
    def table(self) -> WindowTable[R]:
        return self.query_one(WindowTable)

    def current(self) -> Any:
        return self.table.cursor_row if self.query(WindowTable) else None

    def target_of(self, row: R) -> Target:
        return Target.of(self.declared, row)

    # Marks

    @on(WindowTable.Marked)
    def _marked(self) -> None:
        self._remember_marks()
        self.draw_frame()

    def _remember_marks(self) -> None:
        """Keep the marked rows as they are now: they may no longer be loaded when they are acted on."""
        rows = {row.key: row for row in self.table.rows_held}
        for key in self.table.visible_marks():
            self.seen[key] = self.target_of(rows[key])
        self.marked_here |= set(self.table.visible_marks())

    @on(WindowTable.MarkAll)
    def _mark_all(self, event: WindowTable.MarkAll) -> None:
        self.mark_all(event.query)

    @work(exit_on_error=False, group="mark", exclusive=True)
    async def mark_all(self, query: Query) -> None:
        """Mark all that match, reading their keys page by page; more than a run may hold are refused."""
        start = None
        found: dict[str, Target] = {}
        while True:
            page = await self.listing().page(query, start=start, limit=1000)
            found |= {row.key: self.target_of(row) for row in page.rows}
            if len(found) > MAX_MARKS:
                self.say(Done(f"more than {MAX_MARKS:,} match: narrow the filter", "warn"))
                return
            if page.last or not page.rows:
                break
            start = page.positions[-1]
        self.seen |= found
        self.marked_here |= found.keys()
        self.table.set_marks(self.table.marks | found.keys())

    def targets(self) -> list[Target]:
        self._remember_marks()  # the table's message may not have arrived yet
        marked = [self.seen[key] for key in sorted(self.matching_marks()) if key in self.seen]
        if marked:
            return marked
        row = self.current()
        return [] if row is None else [self.target_of(row)]

    def matching_marks(self) -> set[str]:
        """The marks that match the current filter: those made under it, and those of loaded rows."""
        return set(self.table.marks & self.marked_here) | set(self.table.visible_marks())

    def clear_marks(self) -> None:
        self.marked_here = set()
        self.table.set_marks(())

    def hidden_marks(self) -> int:
        return len(self.table.marks) - len(self.matching_marks())

    # Acting

    def action_act(self) -> None:
        """While the rows are being read, the menu and the keys typed for it wait for the row that they are about."""
        if not self.table.is_awaited:
            super().action_act()
        elif not self._acts_when_read:
            self._acts_when_read = True
            self.desk.hold_keys()

    @on(WindowTable.Loaded)
    @on(WindowTable.Failed)
    def _act_now(self) -> None:
        if self._acts_when_read:
            self._acts_when_read = False
            self.action_act()
            if not self.app.screen.is_modal:  # there is nothing to choose
                self.desk.release_keys(replay=False)
