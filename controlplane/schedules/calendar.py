"""What a calendar shows of a schedule: who is on call, who is next, and a week in cells. It asks `rules.spans`, and so
the one function that the paging asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from controlplane.schedules.model import Duty, Rotation, Schedule, Span
from controlplane.schedules.rules import PROVEN, on_call, spans
from controlplane.zones import first_showing, zone_of

DAY, DAYS = timedelta(days=1), 7
_LOOKS = (timedelta(days=2), timedelta(days=15), timedelta(days=70), PROVEN)
"""How far ahead a hand-off is looked for, step by step."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Who is on call at a time, until when, and who then is (None: nobody). `until` None: nothing changes within 12
    months.
    """

    now: Duty | None
    until: datetime | None
    next: Duty | None


@dataclass(frozen=True, slots=True)
class Week:
    """A week by the clocks of a zone. `edges` (UTC): where its cells begin, and at last where the week ends. `rows`:
    each person with the share of every cell that is theirs; "" is nobody. `spans`: the same without cells. `changed`:
    the days on which the clocks change, each with its hours.
    """

    monday: date
    zone: str
    edges: tuple[datetime, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    spans: tuple[Span, ...]
    changed: tuple[tuple[date, float], ...]

    @property
    def per_day(self) -> int:
        return (len(self.edges) - 1) // DAYS

    def place(self, at: datetime) -> int | None:
        """The cell that a time is in; None: it is in another week."""
        return next((n for n, (begin, end) in enumerate(pairwise(self.edges)) if begin <= at < end), None)


def turns(schedule: Schedule, at: datetime) -> Turns:
    now = on_call(schedule, at)
    for look in _LOOKS:
        for span in spans(schedule, at, at + look):
            if _person(span.duty) != _person(now):
                return Turns(now, span.start, span.duty)
    return Turns(now, None, now)


def by_person(found: Sequence[Span]) -> list[Span]:
    """One span for as long as the same person is on call, whatever puts them there."""
    joined: list[Span] = []
    for span in found:
        if joined and _person(joined[-1].duty) == _person(span.duty):
            joined[-1] = Span(joined[-1].start, span.end, joined[-1].duty)
        else:
            joined.append(span)
    return joined


def zones_of(schedule: Schedule) -> list[str]:
    """The zones of its rotations, each once."""
    return list(dict.fromkeys(rotation.zone for rotation in schedule.rotations)) or ["UTC"]


def monday_of(at: datetime, zone: str) -> date:
    day = at.astimezone(zone_of(zone)).date()
    return day - day.weekday() * DAY


def week_of(schedule: Schedule, monday: date, zone: str, per_day: int) -> Week:
    """`per_day`: cells, each as long by the clocks; one that the clocks jump over has no length."""
    clocks = zone_of(zone)
    edges = tuple(_edges(monday, clocks, per_day))
    found = spans(schedule, edges[0], edges[-1])
    people = list(dict.fromkeys(_person(span.duty) for span in found))
    order = [person for rotation in schedule.rotations for person in rotation.people]
    people.sort(key=lambda person: (not person, order.index(person) if person in order else len(order)))
    rows = tuple(
        (person, _shares(edges, [each for each in found if _person(each.duty) == person])) for person in people
    )
    days = [_midnight(monday + n * DAY, clocks) for n in range(DAYS + 1)]
    lengths = [(monday + n * DAY, (end - begin) / timedelta(hours=1)) for n, (begin, end) in enumerate(pairwise(days))]
    return Week(monday, zone, edges, rows, tuple(found), tuple(each for each in lengths if each[1] != 24))


def _person(duty: Duty | None) -> str:
    return duty.person if duty else ""


def _midnight(day: date, zone: tzinfo) -> datetime:
    return first_showing(datetime.combine(day, time()), zone)


def _edges(monday: date, zone: tzinfo, per_day: int) -> Iterator[datetime]:
    begin, latest = datetime.combine(monday, time()), datetime.min.replace(tzinfo=UTC)
    for n in range(DAYS * per_day + 1):
        latest = max(latest, first_showing(begin + n * (DAY / per_day), zone))
        yield latest


def _shares(edges: Sequence[datetime], found: Sequence[Span]) -> tuple[float, ...]:
    shares = []
    for begin, end in pairwise(edges):
        taken = sum((max(min(end, each.end) - max(begin, each.start), timedelta()) for each in found), timedelta())
        shares.append(taken / (end - begin) if end > begin else 0.0)
    return tuple(shares)


def people_of(rotations: Sequence[Rotation]) -> list[str]:
    """Everybody who takes turns, each once."""
    return list(dict.fromkeys(person for rotation in rotations for person in rotation.people))
