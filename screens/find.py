"""Whom a text belongs to: results of every kind, each opened on its own screen."""

from __future__ import annotations

from dataclasses import dataclass, field

from controlplane.changes import ControlPlane
from controlplane.find import FOUND, Finder, Found, Sought
from controlplane.listing import Count, Listing, Page, Position, Query
from controlplane.lists import Line
from screens.lists import ListScreen


@dataclass
class Results:
    """The results, few enough for one page. Reading them from the start searches again."""

    plane: ControlPlane
    sought: Sought
    rows: tuple[Found, ...] = field(default=(), compare=False)
    looked: bool = field(default=False, compare=False)

    async def look(self) -> None:
        self.rows, self.looked = await self.plane.of(Finder).look(self.sought), True

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[Found]:
        if start is None:
            await self.look()
        low, high = 0, len(self.rows)
        if start is not None and backward:
            high = int(start[0] or 0) + inclusive
        elif start is not None:
            low = int(start[0] or 0) + (not inclusive)
        low, high = (max(low, high - limit), high) if backward else (low, min(high, low + limit))
        places = range(low, high)
        return Page(
            tuple(self.rows[place] for place in places),
            tuple((place,) for place in places),
            first=low == 0,
            last=high == len(self.rows),
            as_of=self.plane.clock.now(),
        )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        if not self.looked:
            await self.look()
        return Count(len(self.rows))


class FindScreen(ListScreen[Found]):
    declared = FOUND
    hints = (("enter", "open"), ("f", "find"), ("d", "describe"), ("w", "why"), ("esc", "back"), ("?", "help"))

    def __init__(self, sought: Sought) -> None:
        super().__init__()
        self.sought = sought
        self._results: Results | None = None

    def crumbs(self) -> list[str]:
        return ["find", self.sought.words]

    def listing(self) -> Listing[Found]:
        if self._results is None:
            self._results = Results(self.session.require_plane(), self.sought)
        return self._results

    def action_filter(self) -> None:
        self.action_find()

    def why_lines(self) -> list[Line]:
        return [
            (f"looked for: {self.sought.words}", "title"),
            f"as: {', '.join(self.sought.kinds)}",
            "An address is found only whole; names and ids by any part; one or two letters by how they begin.",
        ]

    def view_link(self) -> str:
        return f"{self.session.context}/find?{self.sought.text}"  # nothing of a secret
