"""One incident: how it stands, who does what, what is affected, and its timeline, which grows while one looks."""

from __future__ import annotations

from controlplane.filters.grammar import Term
from controlplane.incidents.list import TIMELINE
from controlplane.incidents.model import Incident
from controlplane.incidents.words import standing_lines
from controlplane.listing import Query
from controlplane.lists import Line
from screens.detail import DetailScreen
from screens.panes import Facts, Seen, TablePane


class IncidentScreen(DetailScreen[Incident]):
    noun = "incidents"
    numbered = True
    rows = Incident
    means = "One incident: how it stands, who does what, what is affected, and all that happened, the newest first."
    panes = (
        Facts("incident", lambda seen: standing_lines(seen.thing, seen.now)),
        TablePane(
            "timeline",
            TIMELINE,
            TIMELINE.table,
            lambda key: Query((Term("is", (key,), "incident"),), "happened", True),
            "Nothing happened yet.",
        ),
    )
    grid, widths, heights = ("incident timeline",), "2fr 3fr", "1fr"

    @property
    def label(self) -> str:
        return f"INC-{self.thing_id}"

    def why(self, seen: Seen[Incident]) -> list[Line]:
        return standing_lines(seen.thing, seen.now)
