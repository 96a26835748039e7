"""Who is on call: pure functions of a schedule and a time.

`on_call` is the only one that says who. The calendar (`spans`) and the proof (`uncovered`) ask it, as the paging does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise

from controlplane.schedules.model import WEEKLY, Duty, Rotation, Schedule, Span
from controlplane.weekly import DAY
from controlplane.zones import first_showing, zone_of

HOUR = timedelta(hours=1)
PROVEN = timedelta(days=366)
"""How far ahead `uncovered` looks: 12 months."""


def on_call(schedule: Schedule, at: datetime) -> Duty | None:
    """The one person on call at a time; None: nobody."""
    found = (duty for rotation in schedule.rotations if (duty := _duty(rotation, at)))
    duty = next(found, None)
    for override in schedule.overrides:
        if not override.starts_at <= at < override.ends_at:
            continue
        if override.kind == "add":
            duty = Duty(override.person, override=override.id)
        elif duty and override.instead_of in ("", duty.person):
            duty = Duty(override.person, duty.rotation, duty.shift, override.id)
    return duty


def spans(schedule: Schedule, start: datetime, end: datetime) -> list[Span]:
    """Who is on call from `start` to `end`, without holes: a new span with each hand-off, gap and override."""
    edges = {edge.astimezone(UTC) for edge in _edges(schedule, start, end) if start < edge < end}
    found: list[Span] = []
    for begin, stop in pairwise(sorted({start.astimezone(UTC), max(start, end).astimezone(UTC)} | edges)):
        duty = on_call(schedule, begin)
        if found and found[-1].duty == duty:
            begin = found.pop().start
        found.append(Span(begin, stop, duty))
    return found


def uncovered(schedule: Schedule, start: datetime, length: timedelta = PROVEN) -> list[Span]:
    """When nobody is on call, in the 12 months from `start`."""
    return [span for span in spans(schedule, start, start + length) if span.duty is None]


def _duty(rotation: Rotation, at: datetime) -> Duty | None:
    number = _shift(rotation, at)
    zone = zone_of(rotation.zone)
    if number < 0 or (rotation.only and not any(hours.day_of(at, zone) for hours in rotation.only)):
        return None
    return Duty(rotation.people[_turn(rotation, number) % len(rotation.people)], rotation.name, number)


def _handoff(rotation: Rotation, number: int) -> datetime:
    """When the shift of that number begins (UTC)."""
    return first_showing(rotation.starts + number * rotation.shift * HOUR, zone_of(rotation.zone))


def _shift(rotation: Rotation, at: datetime) -> int:
    """The number of the shift that `at` is in; below 0 before the first."""
    local = at.astimezone(zone_of(rotation.zone)).replace(tzinfo=None)
    number = (local - rotation.starts) // (rotation.shift * HOUR)
    while _handoff(rotation, number + 1) <= at:  # the clocks went back after that hand-off
        number += 1
    return number


def _turn(rotation: Rotation, number: int) -> int:
    """How many shifts before that one were somebody's turn."""
    if not rotation.only:
        return number
    before = _turns(rotation)
    rounds, rest = divmod(number, len(before) - 1)
    return rounds * before[-1] + before[rest]


@lru_cache(maxsize=256)
def _turns(rotation: Rotation) -> tuple[int, ...]:
    """Before each shift, and at last after all, how many were somebody's turn; after that it is the same again, for
    both shifts and hours come round by the clocks of the week.
    """
    counts, shift = [0], rotation.shift * HOUR
    for number in range(math.lcm(rotation.shift, WEEKLY) // rotation.shift):
        begin = rotation.starts + number * shift
        counts.append(counts[-1] + _has_hours(rotation, begin, begin + shift))
    return tuple(counts)


def _has_hours(rotation: Rotation, begin: datetime, end: datetime) -> bool:
    """Whether any of its hours are in a shift, by the clocks alone."""
    for days in range(-1, min((end.date() - begin.date()).days, 7) + 1):
        day = datetime.combine(begin.date() + days * DAY, time())
        for hours in rotation.only:
            first = day + hours.begin
            if day.weekday() in hours.days and first < end and begin < first + timedelta(minutes=hours.minutes):
                return True
    return False


def _edges(schedule: Schedule, start: datetime, end: datetime) -> Iterator[datetime]:
    """All times at which the duty may change; and some others."""
    for override in schedule.overrides:
        yield from (override.starts_at, override.ends_at)
    for rotation in schedule.rotations:
        number = max(_shift(rotation, start), 0)
        while (edge := _handoff(rotation, number)) < end:
            yield edge
            number += 1
        zone = zone_of(rotation.zone)
        day = start.astimezone(zone).date() - DAY
        while day <= end.astimezone(zone).date():
            yield from (edge for hours in rotation.only for span in hours.spans(day, zone) for edge in span)
            day += DAY
