"""One route: what it takes, whom it tells, how its endpoint does, its latest deliveries, and who changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.deliveries.list import DELIVERIES
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.routes.kept import RouteDirectory, RouteRow
from controlplane.routes.words import fact_lines, why_of
from screens.desk import Target
from screens.detail import TENANT, DetailScreen
from screens.panes import Facts, Seen, TablePane, timeline

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

SHOWN = ("state", "age", "what", "reason", "code")


class RouteScreen(DetailScreen[RouteRow]):
    noun = "routes"
    numbered = True
    rows = RouteRow
    means = (
        "One route: which alerts it takes, whom it tells, the health of its endpoint, what was sent, who changed it."
    )
    panes = (
        Facts("facts", lambda seen: fact_lines(seen.thing, seen.now)),
        TablePane(
            "deliveries",
            DELIVERIES,
            tuple(column for column in DELIVERIES.table if column.name in SHOWN),
            lambda key: Query((Term("is", (key,), "route_no"),), "age", descending=True),
            "Nothing was sent yet.",
            none=lambda key: Target({}, None, key),
        ),
        timeline("thing", "routes"),
    )
    grid, widths = ("facts deliveries", "facts timeline"), "2fr 3fr"
    related = (TENANT,)

    @property
    def label(self) -> str:
        return f"route {self.thing_id}"

    async def read(self, plane: ControlPlane) -> RouteRow:
        return await plane.of(RouteDirectory).get(int(self.thing_id))

    def why(self, seen: Seen[RouteRow]) -> list[Line]:
        return why_of(seen.thing, seen.now)
