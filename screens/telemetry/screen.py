"""Requests, errors and latencies over time, of whatever is asked for, and who has most of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from controlplane.errors import HomeUnreachable, Refusal, Usage
from controlplane.formatting import spell
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.telemetry.chartviews import CHARTS, View, parse_view, render, same_numbers
from controlplane.telemetry.measures import reading, reading_of_limits, records
from controlplane.telemetry.model import SOURCES, RequestTelemetry
from controlplane.telemetry.reading import series_source
from controlplane.telemetry.tops import MEASURES, By, Measure, bys_of, narrowed
from controlplane.text import cells, clean, fit
from screens.desk import Done
from screens.telemetry.panes import ChartPanes, title_of
from screens.telemetry.reading import Reading, beside, window_words
from screens.telemetry.source import measured_of, nothing_words, scope_of
from screens.telemetry.top import MAX_TOP_ROWS, Ranked, Ranking, top_columns, top_words
from screens.telemetry.windows import WindowedScreen
from screens.widgets.bars import FooterBar, HeaderBar, TitleLine
from screens.widgets.prompt import Prompt
from screens.widgets.table import WindowTable

WIDE_COLUMNS = 110
MAX_LABEL_CELLS = 24
LEAST_PAUSE, MOST_PAUSE, EMPTY_PAUSE = 2.0, 60.0, 10.0
"""Seconds between two readings of a live window: a thirtieth of its step, within the first two; the third if empty."""


class TelemetryScreen(WindowedScreen):
    """One chart at a time on a narrow terminal, all together on a wide one."""

    noun = "telemetry"
    means = (
        "Requests, errors, latencies and who has most, of all tenants or of what / asks for: tenant:acme,globex "
        "route:/v1/orders region:eu-west-1 key:wf_live_ab12 window:7d p95>250ms source:prometheus. What is unknown is "
        "a gap. ▲ is a change, ◆ an alert that fired or ended, ◢ ◣ where the share of errors changed."
    )
    hints = (
        ("tab", "chart"),
        ("+-", "window"),
        ("hl", "cursor"),
        ("space", "range"),
        ("n", "next ▲"),
        ("c", "compare"),
        ("/", "scope"),
        ("w", "why"),
        ("?", "help"),
    )
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "pane(1)", "next chart", show=False, id="telemetry.next_chart"),
        Binding("shift+tab", "pane(-1)", "previous chart", show=False, id="telemetry.previous_chart"),
        Binding("L", "scale", "latencies: logarithmic or linear axis", show=False, id="telemetry.scale"),
        Binding("c", "compare", "compare with the week before", show=False, id="telemetry.compare"),
        Binding("s", "source", "source: the home or Prometheus", show=False, id="telemetry.source"),
        Binding("o", "measure", "rank the top list by another number", show=False, id="telemetry.measure"),
        Binding("v", "by", "top list: tenants, routes or keys", show=False, id="telemetry.by"),
        Binding("i", "strange", "anomalies of its keys", show=False, id="telemetry.strange"),
        Binding("O", "tenant", "its tenant", show=False, id="telemetry.tenant"),
        Binding("enter", "requests", "single requests from the cursor on", show=False, id="telemetry.requests"),
        Binding("r", "reread", "refresh now", show=False, id="telemetry.refresh"),
    ]

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text = text
        self.words = "reading …"
        self.by: By = "tenant"
        self.measure: Measure = "requests"
        self.ranking: Ranking | None = None
        self._ranked_as: tuple[Any, ...] = ()
        self._read_at = float("-inf")

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield TitleLine()
        yield self.body()
        yield Reading(id="values")
        yield Reading(id="beside")
        yield Prompt()
        yield FooterBar()

    def body(self) -> Widget:
        return ChartPanes()

    def crumbs(self) -> list[str]:
        return ["telemetry", self.view.label]

    def on_mount(self) -> None:
        self.filter_entered(self.text)

    def context_ready(self) -> None:
        self.reread()

    # What is asked for

    def filter_entered(self, text: str) -> None:
        try:
            view = parse_view(text)
        except Usage as fault:
            self.say(Done(str(fault), "bad"))
            return
        self.say(None)
        self.by = bys_of(view.scope)[0]
        self.range_begin = None
        self.show_view(view)

    def show_view(self, view: View) -> None:
        """Read and draw it; what is drawn until then stays."""
        chart, self.view = self.view.chart, view
        if not self.is_attached:
            return
        if chart != view.chart or not self.query(".chosen"):
            self._choose(view.chart)
        self.query_one(ChartPanes).lay_out(view)
        self.reread()

    @property
    def _shows_limits(self) -> bool:
        return self.view.chart == "saturation" or (
            not self.has_class("narrow") and self.view.scope.tenant_id is not None
        )

    def action_filter(self) -> None:
        self.query_one(Prompt).open("filter", render(self.view), lambda text: [])

    @on(Prompt.Cancelled)
    def _left(self, event: Prompt.Cancelled) -> None:
        event.prevent_default()  # no filter to clear: what was asked for before stays
        event.stop()
        self.focus_body()

    # Reading

    @work(exit_on_error=False, group="read", exclusive=True)
    async def reread(self) -> None:
        self._read_at = float("-inf")
        await self.refresh_data()
        self.draw_frame()

    def action_reread(self) -> None:
        self.reread()

    async def refresh_data(self) -> None:
        from asyncio import get_running_loop

        plane, now = self.session.plane, get_running_loop().time()
        if plane is None or not self.is_attached or now - self._read_at < self._pause():
            return
        self._read_at = now
        view = self.view
        try:
            scope = await scope_of(plane, view.scope)
            measured = await measured_of(plane, replace(view, scope=scope), self.session, limits=self._shows_limits)
            words = "" if measured.series.whole else await nothing_words(plane, measured)
        except Refusal as refusal:
            self._refused(refusal, view)
            return
        if not same_numbers(view, self.view):
            return  # something else was asked for meanwhile
        self.view = replace(self.view, scope=scope)
        self.measured, self.words = replace(measured, view=self.view), words
        self.draw_charts()
        await self._rank()

    @property
    def current_reading(self) -> bool:
        """Whether what is drawn is what is asked for."""
        return self.measured is not None and same_numbers(self.measured.view, self.view)

    def _refused(self, refusal: Refusal, view: View) -> None:
        """While the link is down the header says so, and what was read stays."""
        away = isinstance(refusal, HomeUnreachable)
        if away:
            self._read_at = float("-inf")
        kept = away and self.current_reading
        if view == self.view and not kept:
            self.say(Done(str(refusal), "bad"))
            self.measured, self.words = None, refusal.message
            self.draw_charts()

    async def _rank(self) -> None:
        """Who has most: it takes longer than the charts, so it comes after them."""
        view, asked = self.view, (self.by, self.measure, self.view.scope, self.view.window)
        bounds = view.window.bounds(self.session.clock())
        try:
            telemetry = self.session.require_plane().of(RequestTelemetry)
            top = await telemetry.top(self.by, *bounds, self.measure, MAX_TOP_ROWS, view.scope)
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        table = self.query_one("#top", WindowTable)
        if self.ranking is None or self._ranked_as != asked:
            self.ranking, self._ranked_as = Ranking(top), asked
            table.columns = tuple(top_columns(self.by, self.measure))
            table.show(self.ranking, Query((), f"{self.by} {self.measure}"))
        else:
            self.ranking.top = top
            await table.refresh_rows()

    def _pause(self) -> float:
        if self.view.window.end is not None and self.measured is not None:
            return MOST_PAUSE
        if self.measured is None or not self.measured.series.whole:
            return EMPTY_PAUSE
        step = self.view.window.step(self.session.clock())
        return min(MOST_PAUSE, max(LEAST_PAUSE, step / timedelta(seconds=30)))

    # Drawing

    def draw_charts(self) -> None:
        """Draw the charts that are shown; only changed cells are sent."""
        measured = self.measured
        self.query_one(ChartPanes).draw(measured, self.words, self.view.at, self.range_begin)
        index = None if measured is None or self.view.at is None else measured.index(self.view.at)
        values = self.words if measured is None or not measured.series.whole else reading(measured, index)
        if measured is not None and self.view.chart == "saturation":
            values = reading_of_limits(measured, index) or values
        self.query_one("#values", Reading).show(values)
        begin = None if measured is None or self.range_begin is None else measured.index(self.range_begin)
        others = top_words(self.by, self.measure, self.view.scope) if self.view.chart == "top" else ""
        if others and self.view.source != SOURCES[0]:
            others += "; counted by the home"
        self.query_one("#beside", Reading).show(*((others, "muted") if others else beside(measured, index, begin)))

    def draw_title(self, title: TitleLine) -> None:
        window, place = self.view.window, CHARTS.index(self.view.chart) + 1
        chart = f"{title_of(self.view.chart)} {place}/{len(CHARTS)}" if self.has_class("narrow") else ""
        step = window.step(self.session.clock()) if self.measured is None else self.measured.series.step
        label = clean(self.view.label)
        title.show(
            noun=fit(label, min(cells(label), MAX_LABEL_CELLS), cut="middle"),  # the breadcrumbs have it whole
            count=chart,
            order=("" if self.measured is None or self.current_reading else "reading … ")
            + f"{window_words(window, self.measured)}, each {spell(step.total_seconds())}"
            + (", week before" if self.view.compare else "")
            + (f", {self.view.source}" if self.view.source != SOURCES[0] else ""),
        )

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE_COLUMNS, "narrow")
        self.call_after_refresh(self.draw_charts)

    def retime(self) -> None:
        self.reread()

    # Keys

    def action_pane(self, by: int) -> None:
        chart = CHARTS[(CHARTS.index(self.view.chart) + by) % len(CHARTS)]
        self.view = replace(self.view, chart=chart)
        self._choose(chart)
        self.query_one(ChartPanes).lay_out(self.view)
        self.draw_charts()
        self.call_after_refresh(self.draw_charts)  # those that are shown only now
        self.draw_frame()
        if self._shows_limits and self.measured is not None and self.measured.saturation is None:
            self.reread()

    def _choose(self, chart: str) -> None:
        self.query_one(ChartPanes).choose(chart)
        self.focus_pane(self.query_one(f"#{chart}"))

    def focus_body(self) -> None:
        self._choose(self.view.chart)

    def action_compare(self) -> None:
        self.show_view(replace(self.view, compare=not self.view.compare))

    def action_source(self) -> None:
        other = next(source for source in SOURCES if source != self.view.source)
        try:
            series_source(self.session.require_plane(), other)
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        self.show_view(replace(self.view, source=other))

    def action_scale(self) -> None:
        self.view = replace(self.view, linear=not self.view.linear)
        if self.measured is not None:
            self.measured = replace(self.measured, view=self.view)
        self.draw_charts()
        self.say(Done(f"latencies on a {'linear' if self.view.linear else 'logarithmic'} axis"))

    def action_measure(self) -> None:
        self.measure = MEASURES[(MEASURES.index(self.measure) + 1) % len(MEASURES)]
        self.reread()

    def action_by(self) -> None:
        bys = bys_of(self.view.scope)
        self.by = bys[(bys.index(self.by) + 1) % len(bys)] if self.by in bys else bys[0]
        self.reread()

    def action_tenant(self) -> None:
        """Open the tenant of the row in the top list, else that of the charts."""
        row = self.query_one("#top", WindowTable).cursor_row if self.view.chart == "top" else None
        tenant = row.top.tenant_id if isinstance(row, Ranked) else self.view.scope.tenant_id
        if tenant is None:
            self.say(Done("what is shown is of all tenants", "warn"))
        else:
            self.desk.open_thing("tenants", tenant)

    def point_at(self, at: datetime | None) -> None:
        super().point_at(at)
        self.draw_charts()
        if self.measured is not None and at is not None and self.app.has_class("accessible"):
            self.say(Done(reading(self.measured, self.measured.index(at)), ""))

    def action_requests(self) -> None:
        """The single requests of what is shown, from the cursor on; without a cursor those that come now."""
        from controlplane.requests.words import view_from
        from screens.views import show

        show(self.desk, view_from(self.view).record())

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        """A tenant is opened; a route or a key becomes what the charts are of."""
        row = event.row
        assert isinstance(row, Ranked)
        top = row.top
        if self.by == "tenant" and top.tenant_id:
            self.desk.open_thing("tenants", top.tenant_id)
            return
        scope = narrowed(self.view.scope, top)
        self.by = bys_of(scope)[0]
        self.show_view(replace(self.view, scope=scope, chart=CHARTS[0]))

    # What is under the cursor

    def record(self) -> dict[str, Any] | None:
        measured = self.measured
        if measured is None or self.view.at is None:
            return None
        index = measured.index(self.view.at)
        return records(measured)[index] | {"happened": [each.words for each in measured.happened_in(index)]}

    def why_lines(self) -> list[Line]:
        from screens.telemetry.why import why_measured

        return [] if self.measured is None else why_measured(self.measured, self.view.at)

    def action_charts(self) -> None:
        """They are here already."""

    def action_export(self) -> None:
        if not self.may_export():
            return
        if self.measured is None:
            self.say(Done("nothing was read yet", "warn"))
        else:
            self._export()

    @work(exit_on_error=False, group="act", exclusive=True)
    async def _export(self) -> None:
        from screens.telemetry.exporting import export

        self.say(await export(self))

    @work(exit_on_error=False, group="strange", exclusive=True)
    async def action_strange(self) -> None:
        """Show what is strange of the tenant's keys, or of the key that the charts show."""
        from screens.telemetry.strange import strange

        found = await strange(self.session, self.view.scope)
        if isinstance(found, Done):
            self.say(found)
        else:
            self.app.push_screen(found)

    def view_link(self) -> str:
        return f"{self.session.context}/telemetry?{render(self.view)}"
