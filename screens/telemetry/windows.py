"""A screen that shows a window of time: the keys that move it, its cursor, and the range that is selected with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from controlplane.errors import Refusal
from controlplane.formatting import spell
from controlplane.telemetry.chartviews import MIN_SPAN, View, Window
from controlplane.telemetry.measures import Measured, next_happening
from controlplane.telemetry.model import RequestTelemetry
from screens.area import AreaScreen
from screens.desk import Done


class WindowedScreen(AreaScreen):
    """Subclasses read and draw a view in `show_view`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus", "span(1)", "longer window", show=False, id="telemetry.longer"),
        Binding("minus", "span(-1)", "shorter window", show=False, id="telemetry.shorter"),
        Binding("left_square_bracket", "shift(-1)", "half a window earlier", show=False, id="telemetry.earlier"),
        Binding("right_square_bracket", "shift(1)", "half a window later", show=False, id="telemetry.later"),
        Binding("full_stop", "hold_window", "pause the window, or follow new data", show=False, id="telemetry.hold"),
        Binding("h,left", "cursor(-1)", "cursor left", show=False, id="telemetry.cursor_back"),
        Binding("l,right", "cursor(1)", "cursor right", show=False, id="telemetry.cursor_on"),
        Binding("n", "mark(1)", "next mark", show=False, id="telemetry.next_mark"),
        Binding("b", "mark(-1)", "previous mark", show=False, id="telemetry.previous_mark"),
        Binding("space", "range", "begin a range at the cursor; again: zoom in", show=False, id="telemetry.range"),
        Binding("z", "zoom_out", "zoom out", show=False, id="telemetry.zoom_out"),
        Binding("N", "newest", "newest data", show=False, id="telemetry.newest"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.view = View()
        self.measured: Measured | None = None
        self.range_begin: datetime | None = None
        """The step in which a range of time begins, while it is selected."""
        self._wider: list[Window] = []
        """The windows that ranges were selected in, the last one last."""

    def show_view(self, view: View) -> None:
        raise NotImplementedError

    def selected(self) -> tuple[datetime, datetime] | None:
        """Begin and end of the range between `range_begin` and the cursor; None: there is none."""
        measured, begin, at = self.measured, self.range_begin, self.view.at
        if measured is None or begin is None or at is None:
            return None
        return measured.range(measured.index(begin), measured.index(at))

    def show_window(self, window: Window) -> None:
        self.range_begin = None
        self.show_view(replace(self.view, window=window, at=None))

    def point_at(self, at: datetime | None) -> None:
        """Put the cursor on a time; None takes it away."""
        self.view = replace(self.view, at=at)
        if self.measured is not None:
            self.measured = replace(self.measured, view=self.view)

    def action_cursor(self, by: int) -> None:
        measured = self.measured
        if measured is None:
            return
        series = measured.series
        if self.view.at is None:
            known = [i for i, point in enumerate(series.points) if point is not None]
            index = known[-1] if known else len(series.points) - 1
        else:
            index = max(0, min(len(series.points) - 1, measured.index(self.view.at) + by))
        self.point_at(series.start + index * series.step)

    def action_mark(self, by: int) -> None:
        if self.measured is None:
            return
        found = next_happening(self.measured, self.view.at, by)
        if found is None:
            self.say(Done("nothing happened in this window", "warn"))
        else:
            self.point_at(found)

    def action_range(self) -> None:
        """Begin a range at the cursor, or show only the one that was begun."""
        if self.view.at is None:
            self.action_cursor(-1)
        if self.range_begin is not None:
            self.show_range()
        elif self.view.at is not None:
            self.range_begin = self.view.at
            self.point_at(self.view.at)

    def show_range(self) -> None:
        """Show only the selected range."""
        found = self.selected()
        if found is None:
            return
        begin, end = found
        if end - begin < MIN_SPAN:
            self.say(
                Done(f"a range is at least {spell(MIN_SPAN.total_seconds())} long: move the cursor further", "warn")
            )
            return
        self._wider.append(self.view.window)
        self.show_window(Window(end - begin, end))

    def action_zoom_out(self) -> None:
        if self._wider:
            self.show_window(self._wider.pop())
        else:
            self.say(Done("you have not zoomed in: + shows a longer window", "warn"))

    def action_span(self, by: int) -> None:
        self.show_window(self.view.window.longer(by))

    def action_shift(self, by: int) -> None:
        self.show_window(self.view.window.moved(by, self.session.clock()))

    def action_hold_window(self) -> None:
        window = self.view.window
        end = None if window.end is not None else self.session.clock().replace(second=0, microsecond=0)
        self.show_window(replace(window, end=end))

    @work(exit_on_error=False, group="newest", exclusive=True)
    async def action_newest(self) -> None:
        try:
            newest = await self.session.require_plane().of(RequestTelemetry).newest()
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        if newest is None:
            self.say(Done("no request was ever stored here", "warn"))
            return
        end = newest.replace(second=0, microsecond=0) + timedelta(minutes=1)
        live = end >= self.session.clock() - timedelta(minutes=5)
        self.show_window(replace(self.view.window, end=None if live else end))

    def action_back(self) -> None:
        """First the range goes, then the cursor, then the screen."""
        if self.range_begin is not None:
            self.range_begin = None
            self.point_at(self.view.at)
        elif self.view.at is not None:
            self.point_at(None)
        else:
            super().action_back()
