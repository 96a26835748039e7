"""Which charts there are, and how they stand: one at a time on a narrow terminal, all together on a wide one."""

from __future__ import annotations

from datetime import datetime, timedelta

from textual.app import ComposeResult
from textual.containers import Container

from controlplane.telemetry.charts import ChartSpec, HeatSpec
from controlplane.telemetry.chartviews import View
from controlplane.telemetry.measures import CHARTS_OF, Measured
from controlplane.telemetry.model import Series
from screens.telemetry.top import top_columns
from screens.widgets.chart import Chart
from screens.widgets.table import WindowTable


def title_of(chart: str) -> str:
    return chart.replace("_", " ")


class ChartPanes(Container):
    SCOPED_CSS = False  # the class for the terminal's width is on the screen, outside
    DEFAULT_CSS = """
    ChartPanes {
        layout: grid; grid-size: 2 3; grid-columns: 3fr 2fr; grid-rows: 1fr 1fr 1fr; grid-gutter: 0 1; height: 1fr;
    }
    ChartPanes > * { border-top: solid $panel; border-title-color: $text-muted; }
    ChartPanes > .chosen { border-title-color: $text; border-title-style: bold; }
    ChartPanes > #top { row-span: 2; }
    ChartPanes > #saturation { display: none; }
    ChartPanes > #errors { display: none; }
    ChartPanes.counts > #errors { display: block; }
    ChartPanes.counts > #error_share { display: none; }
    ChartPanes.limited > #top { row-span: 1; }
    ChartPanes.limited > #saturation { display: block; }
    TelemetryScreen.narrow ChartPanes { layout: vertical; }
    TelemetryScreen.narrow ChartPanes > * { border: none; display: none; }
    TelemetryScreen.narrow ChartPanes > #saturation, TelemetryScreen.narrow ChartPanes > #errors,
    TelemetryScreen.narrow ChartPanes > #error_share { display: none; }
    TelemetryScreen.narrow ChartPanes > .chosen, TelemetryScreen.narrow ChartPanes > #saturation.chosen,
    TelemetryScreen.narrow ChartPanes > #errors.chosen,
    TelemetryScreen.narrow ChartPanes > #error_share.chosen { display: block; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[Series, bool] | None = None
        self._specs: dict[str, ChartSpec | HeatSpec] = {}
        """The charts made of that series on that scale: they are not made again when only the cursor moves."""

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

    def lay_out(self, view: View) -> None:
        """Limits are a tenant's, so only a tenant's charts leave room for them. The number of errors takes the place of
        their share when it is chosen.
        """
        self.set_class(view.scope.tenant_id is not None or view.chart == "saturation", "limited")
        self.set_class(view.chart == "errors", "counts")

    def shown_charts(self) -> dict[str, Chart]:
        """Those that are on the screen now, in their order."""
        charts = {name: self.query_one(f"#{name}", Chart) for name in CHARTS_OF}
        return {name: chart for name, chart in charts.items() if chart.display}

    def draw(self, measured: Measured | None, words: str, at: datetime | None, begin: datetime | None = None) -> None:
        """`words`: what to say where nothing is measured. `at`: where the cursor stands. `begin`: of a range."""
        if measured is not None:
            asked = measured.series, measured.view.linear
            if self._drawn is None or self._drawn[0] is not asked[0] or self._drawn[1] != asked[1]:
                self._drawn, self._specs = asked, {}
        for name, chart in self.shown_charts().items():
            if measured is None:
                chart.show(None, words=words)
                continue
            if name not in self._specs:
                self._specs[name] = CHARTS_OF[name](measured)
            offset = measured.series.start.astimezone(measured.zone).utcoffset() or timedelta()
            cursor, first = (None if time is None else time.timestamp() for time in (at, begin))
            chart.show(self._specs[name], offset, cursor=cursor, begin=first)
