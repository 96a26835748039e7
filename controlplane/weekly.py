"""Hours of the week by the clocks of a zone: quiet windows of routes, hours of a rota."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from controlplane.zones import stretches

DAY = timedelta(days=1)
MINUTES_A_DAY = 1440
_FAR = timedelta(hours=16)
"""No zone is further from UTC than this."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The same hours on some days of the week. `days`: Monday is 0. `start`, `end`: minutes since midnight, the end
    not included; when it is before the start, they end on the next day, and belong to the day on which they began.
    When both are the same, they are the whole day.

    What counts is what the clocks show. So hours that the clocks jump over do not happen, and hours that they show
    twice happen twice.
    """

    days: frozenset[int]
    start: int = 0
    end: int = MINUTES_A_DAY

    @property
    def minutes(self) -> int:
        """How long they are when the clocks do not change."""
        return (self.end - self.start) % MINUTES_A_DAY or MINUTES_A_DAY

    @property
    def begin(self) -> timedelta:
        """When they begin, after midnight."""
        return timedelta(minutes=0 if self.minutes == MINUTES_A_DAY else self.start)

    def day_of(self, at: datetime, zone: tzinfo) -> date | None:
        """The day on which the hours began that `at` is in; None: it is in none."""
        local = at.astimezone(zone).replace(tzinfo=None, fold=0)
        for day in (local.date(), local.date() - DAY):
            begin = datetime.combine(day, time()) + self.begin
            if day.weekday() in self.days and begin <= local < begin + timedelta(minutes=self.minutes):
                return day
        return None

    def spans(self, day: date, zone: tzinfo) -> list[tuple[datetime, datetime]]:
        """When (UTC) the hours are that begin on `day`: mostly one span; none or two when the clocks change in them."""
        if day.weekday() not in self.days:
            return []
        begin = datetime.combine(day, time(), UTC) + self.begin
        end = begin + timedelta(minutes=self.minutes)
        found: list[tuple[datetime, datetime]] = []
        for start, stop, ahead in stretches(zone, begin - _FAR, end + _FAR):
            span = max(start, begin - ahead), min(stop, end - ahead)
            if span[0] >= span[1]:
                continue
            if found and found[-1][1] == span[0]:
                span = found.pop()[0], span[1]
            found.append(span)
        return found

    def length(self, day: date, zone: tzinfo) -> timedelta:
        """How long the hours that begin on `day` really are."""
        return sum((end - start for start, end in self.spans(day, zone)), timedelta())

    def next_change(self, at: datetime, zone: tzinfo) -> datetime | None:
        """The next time (UTC) at which they begin or end; None: not within two weeks."""
        today = at.astimezone(zone).date()
        for days in ((-1, 0, 1), *((later,) for later in range(2, 15))):
            ends = (edge for day in days for span in self.spans(today + day * DAY, zone) for edge in span)
            if later := [edge for edge in ends if edge > at]:
                return min(later)
        return None
