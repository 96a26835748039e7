"""One schedule: who is on call and who is next, a week as bars, its overrides, and all that was done to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from controlplane.formatting import count_words
from controlplane.lists import Line
from controlplane.schedules.calendar import monday_of, week_of, zones_of
from controlplane.schedules.directory import KeptSchedule, ScheduleDirectory, ScheduleRow
from controlplane.schedules.list import as_record, why_of
from controlplane.schedules.words import cells_of, override_lines, rotation_lines, turn_lines, week_lines
from screens.detail import Also, DetailScreen
from screens.panes import Facts, Seen, timeline

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

WEEK = timedelta(days=7)
EARLIEST, LATEST = -14, 53
"""Weeks from this one, of those that are shown: as far as overrides are read, and as `prove` looks."""


@dataclass(frozen=True)
class Shown:
    """A schedule, and how many weeks from this one is shown."""

    row: ScheduleRow
    week: int = 0

    @property
    def zone(self) -> str:
        return zones_of(self.row.kept.schedule)[0] if self.row.kept.schedule else "UTC"

    @property
    def monday(self) -> date:
        return monday_of(self.row.at, self.zone) + self.week * WEEK


def now_pane(seen: Seen[Shown]) -> list[Line]:
    row = seen.thing.row
    return [*turn_lines(row), "", *rotation_lines(row.kept)]


def week_pane(seen: Seen[Shown]) -> list[Line]:
    shown, schedule = seen.thing, seen.thing.row.kept.schedule
    if schedule is None or shown.row.turns is None:
        return turn_lines(shown.row)
    week = week_of(schedule, shown.monday, shown.zone, cells_of(seen.width))
    return week_lines(week, shown.row.at)


class ScheduleScreen(DetailScreen[Shown]):
    noun, subject = "schedules", "name"
    rows = KeptSchedule
    means = (
        "One schedule: who is on call and who is next, and the week as bars. h and l go to other weeks, n to this one."
    )
    panes = (
        Facts("week", week_pane),
        Facts("now", now_pane),
        Facts("overrides", lambda seen: override_lines(seen.thing.row.kept.overrides, seen.thing.row.at)),
        timeline("thing", "schedules"),
    )
    grid, widths = ("week week now", "week week overrides", "week week timeline"), "1fr 1fr 1fr"
    heights = "2fr 1fr 1fr"
    own_hints = (("h l", "weeks"),)
    also = (Also("schedules.end-override"),)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "week(-1)", "the week before", show=False, id="schedule.earlier"),
        Binding("l,right", "week(1)", "the week after", show=False, id="schedule.later"),
        Binding("n", "week(0)", "this week", show=False, id="schedule.now"),
    ]

    async def read(self, plane: ControlPlane) -> Shown:
        row = await plane.of(ScheduleDirectory).get(self.thing_id)
        return replace(self.thing, row=row) if self.thing else Shown(row)

    def row_of(self, thing: Shown) -> KeptSchedule:
        return thing.row.kept

    def record_of(self, thing: Shown) -> dict[str, Any]:
        return as_record(thing.row)

    def why(self, seen: Seen[Shown]) -> list[Line]:
        return why_of(seen.thing.row, seen.now)

    def order_words(self) -> str:
        if self.thing is None or not self.thing.week:
            return "this week"
        weeks = count_words(abs(self.thing.week), "week")
        return f"{weeks} {'ahead' if self.thing.week > 0 else 'back'}"

    def action_week(self, by: int) -> None:
        if self.thing is not None:
            week = max(EARLIEST, min(LATEST, self.thing.week + by)) if by else 0
            self.thing = replace(self.thing, week=week)
            self.draw_panes()
            self.draw_frame()
