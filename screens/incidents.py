"""One incident: how it stands, who does what, what is affected, and its timeline, which grows while one looks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.filters.grammar import Term
from controlplane.incidents.list import TIMELINE
from controlplane.incidents.measures import Measures
from controlplane.incidents.model import Incident
from controlplane.incidents.reading import measures_of
from controlplane.incidents.words import measure_lines, standing_lines
from controlplane.listing import Query
from controlplane.lists import Line
from screens.detail import DetailScreen, Related
from screens.panes import Facts, Reading, Seen, TablePane

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def read_measures(plane: ControlPlane, incident: Incident, now: datetime) -> Sequence[Measures]:
    return await measures_of(plane, incident, now)


MEASURES = Reading(read_measures, every=5.0)
AFFECTED = Related(
    "tenant", "O", "the first affected tenant", "tenant", "tenants",
    of=lambda screen: screen.row.tenants[0] if screen.row and screen.row.tenants else None,
)  # fmt: skip


def origin_of(noun: str) -> Any:
    return lambda screen: screen.row.origin if screen.row and screen.row.origin_noun == noun else None


ALERT = Related("alert", "L", "its alert", "alert", "alerts", of=origin_of("alerts"))
GATE = Related("gate", "F", "the gate that it was opened from", "gate", "gates", of=origin_of("gates"))


class IncidentScreen(DetailScreen[Incident]):
    noun = "incidents"
    numbered = True
    rows = Incident
    means = "One incident: its state, who does what, what is affected, and all that happened, newest first."
    panes = (
        Facts("incident", lambda seen: standing_lines(seen.thing, seen.now)),
        TablePane(
            "timeline",
            TIMELINE,
            tuple(column for column in TIMELINE.table if column.name != "incident"),
            lambda key: Query((Term("is", (key,), "incident"),), "happened", True),
            "Nothing happened yet.",
        ),
        Facts("times", lambda seen: measure_lines(seen.of(MEASURES))),
    )
    grid, widths, heights = ("incident timeline", "times timeline"), "2fr 3fr", "2fr 1fr"
    readings = (MEASURES,)
    related = (AFFECTED, ALERT, GATE)

    @property
    def label(self) -> str:
        return f"INC-{self.thing_id}"

    def why(self, seen: Seen[Incident]) -> list[Line]:
        return [*standing_lines(seen.thing, seen.now), "", *measure_lines(seen.known(MEASURES) or ())]
