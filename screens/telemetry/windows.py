"""A screen that shows a window of time, and the keys that move it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from controlplane.errors import Refusal
from controlplane.telemetry.chartviews import View, Window
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
        Binding("full_stop", "hold_window", "hold the window, or let it follow", show=False, id="telemetry.hold"),
        Binding("N", "newest", "to the newest data", show=False, id="telemetry.newest"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.view = View()

    def show_view(self, view: View) -> None:
        raise NotImplementedError

    def show_window(self, window: Window) -> None:
        self.show_view(replace(self.view, window=window, at=None))

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
