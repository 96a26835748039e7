"""Whom a text belongs to: results of every kind, each opened as what it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from textual import on

from controlplane.changes import ControlPlane
from controlplane.find import Found, Sought
from controlplane.listing import Count, Listing, Page, Position, Query
from screens.actions import Target
from screens.lists import ListScreen
from screens.nouns import noun_named
from screens.widgets.columns import Cell, Column
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable


@dataclass
class Results:
    """What is found is little and comes at once; it is looked for anew whenever it is read from its start."""

    plane: ControlPlane
    sought: Sought
    rows: tuple[Found, ...] = field(default=(), compare=False)
    looked: bool = field(default=False, compare=False)

    async def look(self) -> None:
        self.rows, self.looked = await self.plane.finder.look(self.sought), True

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
    noun = "find"
    means = (
        "What a text belongs to: tenants, owners by the whole address, keys, projects, request ids, operators. "
        "A secret is hashed before it is looked for, and kept nowhere."
    )
    nothing = "Nothing here has to do with it. f looks for something else."
    hints = (("enter", "open"), ("f", "find"), ("d", "describe"), ("w", "why"), ("esc", "back"), ("?", "help"))

    def __init__(self, sought: Sought) -> None:
        super().__init__()
        self.sought = sought
        self._results: Results | None = None

    def crumbs(self) -> list[str]:
        return ["find", self.sought.words]

    def columns(self) -> Sequence[Column[Found]]:
        return (
            Column("kind", "WHAT", 8, 1, lambda f: Cell(f.kind)),
            Column("id", "ID", 18, 2, lambda f: Cell(f.id), grow=True),
            Column("words", "ABOUT", 24, 4, lambda f: Cell(f.words), grow=True),
            Column("state", "STATE", 16, 3, lambda f: Cell(f.state)),
            Column("tenant", "TENANT", 14, 5, lambda f: Cell(f.tenant_id or "–"), grow=True, field="tenant_id"),
        )

    def listing(self) -> Listing[Found]:
        if self._results is None:
            self._results = Results(self.session.require_plane(), self.sought)
        return self._results

    def action_filter(self) -> None:
        self.action_find()

    def target_of(self, row: Found) -> Target:
        return Target({}, None, row.id)

    def record_of(self, row: Found) -> dict[str, Any]:
        return dataclasses.asdict(row)

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        found: Any = event.row
        keys = noun_named("keys")
        if found.kind == "change":
            self.desk.go("audit", f"request:{found.id}")
        elif found.kind == "operator":
            self.desk.go("audit", f"actor:{found.id}")
        elif found.kind == "key" and keys is not None and keys.open is not None:
            self.desk.open_thing("keys", found.id)
        elif found.tenant_id is not None:
            self.desk.open_thing("tenants", found.tenant_id)

    def why_lines(self) -> list[Line]:
        return [
            (f"looked for: {self.sought.words}", "title"),
            f"as: {', '.join(self.sought.kinds)}",
            "An address is found only whole; names and ids by any part; one or two letters by how they begin.",
        ]

    def view_link(self) -> str:
        return f"{self.session.context}/find?{self.sought.text}"  # of a secret nothing
