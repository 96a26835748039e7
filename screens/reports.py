"""One governance report: what it says in short. The whole is written by `watchfloor reports write`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.lists import Line
from controlplane.reports.list import report_lines, why_report
from controlplane.reports.model import Report, ReportDirectory
from screens.detail import DetailScreen
from screens.panes import Facts, Seen, timeline

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


@dataclass(frozen=True)
class ReportRead:
    report: Report
    data: str | None


class ReportScreen(DetailScreen[ReportRead]):
    noun = "reports"
    numbered = True
    rows = Report
    means = "One governance report in short. watchfloor reports write NUMBER FILE.html writes all of it, with charts."
    panes = (
        Facts("report", lambda seen: report_lines(seen.thing.data)),
        Facts("about", lambda seen: why_report(seen.thing.report, seen.now)),
        timeline("thing", "reports"),
    )
    grid, widths = ("report about", "report timeline"), "3fr 2fr"

    async def read(self, plane: ControlPlane) -> ReportRead:
        found = plane.of(ReportDirectory)
        return ReportRead(await found.get(int(self.thing_id)), await found.data(int(self.thing_id)))

    def row_of(self, thing: ReportRead) -> Report:
        return thing.report

    @property
    def label(self) -> str:
        return f"report {self.thing_id}"

    def why(self, seen: Seen[ReportRead]) -> list[Line]:
        return why_report(seen.thing.report, seen.now)
