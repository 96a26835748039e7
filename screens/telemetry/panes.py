"""Which charts there are, and how they stand: one at a time on a narrow terminal, all together on a wide one."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from controlplane.telemetry.measures import CHARTS_OF
from screens.telemetry.top import top_columns
from screens.widgets.chart import Chart
from screens.widgets.table import WindowTable


def title_of(chart: str) -> str:
    return chart.replace("_", " ")


class ChartPanes(Container):
    def compose(self) -> ComposeResult:
        yield Chart(id="requests")
        yield Chart(id="heat")
        yield Chart(id="errors")
        yield Chart(id="error_share")
        yield WindowTable(top_columns("tenant", "requests"), empty="Nothing was rolled up in this window.", id="top")
        yield Chart(id="latency")
        yield Chart(id="saturation")

    def choose(self, name: str) -> None:
        for pane in self.children:
            pane.border_title = title_of(pane.id or "")
            pane.set_class(pane.id == name, "chosen")

    def shown_charts(self) -> dict[str, Chart]:
        """Those that are on the screen now, in their order."""
        charts = {name: self.query_one(f"#{name}", Chart) for name in CHARTS_OF}
        return {name: chart for name, chart in charts.items() if chart.display}
