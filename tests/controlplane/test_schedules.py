"""Who is on call: the calendar and the paging ask the same function, also when the clocks change."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.errors import Refusal, Usage
from controlplane.schedules.model import DAILY, WEEKLY, Duty, Override, Rotation, Schedule
from controlplane.schedules.rules import on_call, spans, uncovered
from controlplane.weekly import Hours
from tests.controlplane.zones import ZONES, changes, shown

MONDAY = datetime(2026, 1, 5, 9)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEKDAYS = frozenset(range(5))
OFFICE = (Hours(WEEKDAYS, 9 * 60, 17 * 60),)
ABC = ("ana", "ben", "cho")


def rotation(people: tuple[str, ...] = ABC, starts: datetime = MONDAY, shift: int = DAILY, **fields: Any) -> Rotation:
    return Rotation(fields.pop("name", "primary"), people, starts, shift, **fields)


def schedule(*rotations: Rotation, overrides: tuple[Override, ...] = ()) -> Schedule:
    return Schedule("ops", rotations or (rotation(),), overrides)


def utc(day: int, hour: int = 0, minute: int = 0, month: int = 1) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def who(of: Schedule, at: datetime) -> str | None:
    duty = on_call(of, at)
    return duty.person if duty else None


def calendar(of: Schedule, start: datetime, end: datetime) -> list[tuple[str, str, str | None]]:
    shape = "%a %H:%M"
    return [
        (f"{each.start:{shape}}", f"{each.end:{shape}}", each.duty.person if each.duty else None)
        for each in spans(of, start, end)
    ]


def test_turns_go_round_at_the_hand_off() -> None:
    daily = schedule()
    assert who(daily, utc(5, 8, 59)) is None  # before the first
    assert [who(daily, utc(5 + n, 9)) for n in range(4)] == ["ana", "ben", "cho", "ana"]
    assert who(daily, utc(6, 8, 59)) == "ana" and who(daily, utc(6, 9)) == "ben"
    weekly = schedule(rotation(shift=WEEKLY))
    assert [who(weekly, utc(5 + 7 * n, 9)) for n in range(3)] == ["ana", "ben", "cho"]
    assert who(weekly, utc(12, 8, 59)) == "ana"
    eights = schedule(rotation(shift=8))
    assert [who(eights, utc(5, hour)) for hour in (9, 16, 17, 23)] == ["ana", "ana", "ben", "ben"]
    assert who(eights, utc(6, 1)) == "cho" and on_call(eights, utc(6, 9)) == Duty("ana", "primary", 3)


def test_the_first_rotation_that_has_somebody_counts() -> None:
    office, night = rotation(only=OFFICE, name="office"), rotation(("dee",), name="night")
    both = schedule(office, night)
    assert [who(both, utc(6, hour)) for hour in (10, 20)] == ["ben", "dee"]
    assert who(schedule(night, office), utc(6, 10)) == "dee"
    assert who(Schedule("empty"), utc(6)) is None


# The weekend takes no turn


def test_a_shift_without_hours_is_nobodys_turn() -> None:
    """oneuptime#2413: a weekend consumes a turn there."""
    weekdays = schedule(rotation(starts=datetime(2026, 1, 5), only=(Hours(WEEKDAYS),)))
    days = [who(weekdays, utc(5 + n, 12)) for n in range(14)]
    assert days == ["ana", "ben", "cho", "ana", "ben", None, None, "cho", "ana", "ben", "cho", "ana", None, None]


def test_a_shift_that_reaches_into_its_hours_takes_its_turn() -> None:
    """From Sunday 9:00 to Monday 9:00 there is somebody on Monday morning."""
    weekdays = schedule(rotation(only=(Hours(WEEKDAYS),)))
    assert (
        who(weekdays, utc(9, 23)) == "ben"
        and who(weekdays, utc(12, 8)) == "cho"
        and who(weekdays, utc(12, 10)) == "ana"
    )
    fridays_only = schedule(rotation(only=(Hours(frozenset({4}), 9 * 60, 17 * 60),)))
    assert [who(fridays_only, utc(9 + 7 * n, 10)) for n in range(3)] == ["ana", "ben", "cho"]
    weekly = schedule(rotation(shift=WEEKLY, only=OFFICE))
    assert [who(weekly, utc(5 + 7 * n, 9)) for n in range(3)] == ["ana", "ben", "cho"]


hours_of = st.builds(Hours, st.sets(st.integers(0, 6), min_size=1).map(frozenset), *[st.integers(0, 1439)] * 2)
rotations = st.builds(
    rotation,
    st.integers(1, 4).map(lambda n: ("ana", "ben", "cho", "dee")[:n]),
    st.datetimes(datetime(2025, 12, 20), datetime(2026, 1, 10)).map(lambda at: at.replace(microsecond=0)),
    st.sampled_from((1, 7, 8, 12, 24, 36, 168, 200, 336)),
    zone=st.sampled_from((*ZONES, "UTC", "Asia/Seoul")),
    only=st.lists(hours_of, max_size=2).map(tuple),
)


@given(rotations, st.lists(st.tuples(st.integers(0, 95), st.integers(0, 96)), max_size=2), st.integers(0, 400))
@settings(max_examples=40)
def test_turns_are_those_that_counting_finds(of: Rotation, quarters: list[tuple[int, int]], number: int) -> None:
    """By walking over every shift, and asking in every quarter of an hour of its clocks whether there are hours."""
    only = tuple(Hours(frozenset({n, 4}), first * 15, last * 15) for n, (first, last) in enumerate(quarters))
    of = rotation(of.people, of.starts.replace(minute=of.starts.minute // 15 * 15, second=0), of.shift, only=only)
    monday, quarter = utc(5), timedelta(minutes=15)
    week = [any(hours.day_of(monday + n * quarter, UTC) for hours in only) for n in range(672)]

    def has_hours(shift: int) -> bool:
        begin = (of.starts.replace(tzinfo=UTC) + shift * of.shift * HOUR - monday) // quarter
        return not only or any(week[n % 672] for n in range(begin, begin + min(of.shift * 4, 672)))

    turns = sum(map(has_hours, range(number)))
    begin = of.starts.replace(tzinfo=UTC) + number * of.shift * HOUR
    duties = {on_call(schedule(of), begin + n * quarter) for n in range(min(of.shift * 4, 672))} - {None}
    expected = Duty(of.people[turns % len(of.people)], "primary", number)
    assert duties == ({expected} if has_hours(number) else set())


# Overrides


def test_who_takes_over_three_shifts_keeps_their_three_ends_and_two_gaps() -> None:
    """goalert#4362: an override that spans shifts merges them there."""
    office = rotation(("ana",), only=OFFICE)
    cover = Override(1, "zoe", utc(5), utc(8))
    assert calendar(schedule(office, overrides=(cover,)), utc(5, 9), utc(8, 17)) == [
        ("Mon 09:00", "Mon 17:00", "zoe"),
        ("Mon 17:00", "Tue 09:00", None),
        ("Tue 09:00", "Tue 17:00", "zoe"),
        ("Tue 17:00", "Wed 09:00", None),
        ("Wed 09:00", "Wed 17:00", "zoe"),
        ("Wed 17:00", "Thu 09:00", None),
        ("Thu 09:00", "Thu 17:00", "ana"),
    ]


def test_shifts_without_a_gap_keep_their_ends_too() -> None:
    taken = calendar(schedule(overrides=(Override(1, "zoe", utc(5, 12), utc(7, 12)),)), utc(5, 9), utc(8, 9))
    assert taken == [
        ("Mon 09:00", "Mon 12:00", "ana"),
        ("Mon 12:00", "Tue 09:00", "zoe"),
        ("Tue 09:00", "Wed 09:00", "zoe"),
        ("Wed 09:00", "Wed 12:00", "zoe"),
        ("Wed 12:00", "Thu 09:00", "cho"),
    ]


def test_an_override_may_be_for_one_persons_shifts_or_for_the_whole_time() -> None:
    for_ben = schedule(overrides=(Override(1, "zoe", utc(1), utc(31), instead_of="ben"),))
    assert [who(for_ben, utc(5 + n, 9)) for n in range(6)] == ["ana", "zoe", "cho", "ana", "zoe", "cho"]
    added = schedule(rotation(only=OFFICE), overrides=(Override(1, "zoe", utc(5, 16), utc(6, 10), "add"),))
    assert calendar(added, utc(5, 9), utc(6, 17)) == [
        ("Mon 09:00", "Mon 16:00", "ana"),
        ("Mon 16:00", "Tue 10:00", "zoe"),
        ("Tue 10:00", "Tue 17:00", "ben"),
    ]
    assert on_call(added, utc(5, 16)) == Duty("zoe", override=1)


def test_overrides_apply_in_the_order_in_which_they_were_made() -> None:
    first = Override(1, "zoe", utc(5), utc(9))
    second = Override(2, "yan", utc(6), utc(9), instead_of="zoe")
    never = Override(3, "xia", utc(6), utc(9), instead_of="zoe")
    expected = ["zoe", "zoe", "yan", "yan"]
    for order in ((first, second, never), (never, second, first)):
        made = schedule(overrides=order)
        assert [who(made, at) for at in (utc(5, 9), utc(5, 23), utc(6), utc(8, 23))] == expected
        assert who(made, utc(9)) == "ana" and who(made, utc(9, 9)) == "ben"


# The calendar is who is paged


overrides = st.lists(
    st.tuples(
        st.sampled_from(("zoe", "ana")), st.integers(0, 600), st.integers(1, 300), st.sampled_from(("", "ana", "+"))
    ),
    max_size=3,
).map(
    lambda found: tuple(
        Override(n, who, utc(1) + a * HOUR, utc(1) + (a + b) * HOUR, "add" if of == "+" else "replace", of.strip("+"))
        for n, (who, a, b, of) in enumerate(found)
    )
)
starts = st.sampled_from([utc(1), utc(1, month=3), utc(25, month=3), utc(10, month=10)])
"""The overrides are in the first; in the others the clocks change."""
schedules = st.builds(
    lambda rotations, overrides: Schedule(
        "ops",
        tuple(
            rotation(r.people, r.starts, r.shift, zone=r.zone, only=r.only, name=f"r{n}")
            for n, r in enumerate(rotations)
        ),
        overrides,
    ),
    st.lists(rotations, max_size=3),
    overrides,
)


@given(schedules, st.lists(st.integers(0, 26 * 86_400 - 1), min_size=25, max_size=25), starts)
@settings(max_examples=40)
def test_the_calendar_is_the_paged_person_at_1000_random_instants(
    of: Schedule, seconds: list[int], start: datetime
) -> None:
    """oneuptime#3411: the calendar ignores overrides there."""
    found = spans(of, start, start + timedelta(days=26))
    assert found[0].start == start and found[-1].end == start + timedelta(days=26)
    assert all(before.end == after.start and before.duty != after.duty for before, after in pairwise(found))
    for at in (start + timedelta(seconds=each) for each in seconds):
        [span] = [each for each in found if each.start <= at < each.end]
        assert span.duty == on_call(of, at)


def test_a_calendar_of_no_time_is_empty() -> None:
    assert spans(schedule(), utc(5), utc(5)) == spans(schedule(), utc(6), utc(5)) == []


# When the clocks change


@pytest.mark.parametrize("machine", ["Asia/Seoul", "UTC"])
@pytest.mark.parametrize("zone", ZONES)
def test_ten_years_have_no_minute_without_or_with_two(zone: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """oncall#3261, #5455: a rota shifts, or has a gap of an hour, when the clocks change there."""
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    start, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
    for hour, shift in ((2, 24), (9, 168)):  # at 2 the clocks change
        of = schedule(rotation(starts=datetime(2024, 12, 1, hour, 30), shift=shift, zone=zone))
        found = spans(of, start, end)
        assert all(each.duty for each in found)
        assert all(before.end == after.start for before, after in pairwise(found))
        assert found[0].start == start and found[-1].end == end
        turns = [each.duty.shift for each in found if each.duty]
        assert turns == list(range(turns[0] or 0, (turns[0] or 0) + len(turns)))
        skipped = {at for at, _ in changes(zone)}
        times = {f"{shown(each.start, zone):%H:%M}" for each in found[1:] if each.start not in skipped}
        assert times == {f"{hour:02}:30"}


def test_short_shifts_keep_their_time_of_day_too() -> None:
    twelve = schedule(rotation(starts=datetime(2026, 3, 1, 8), shift=12, zone="America/New_York"))
    found = spans(twelve, utc(1, 13, month=3), utc(30, month=3))
    assert {f"{shown(each.start, 'America/New_York'):%H:%M}" for each in found} == {"08:00", "20:00"}
    assert {each.end - each.start for each in found[:-1]} == {12 * HOUR, 11 * HOUR}


def test_a_shift_that_the_clocks_jump_over_has_no_time_and_one_shown_twice_has_double() -> None:
    hourly = schedule(rotation(starts=datetime(2026, 3, 1), shift=1, zone="America/New_York"))
    spring = spans(hourly, utc(8, 6, month=3), utc(8, 8, month=3))
    assert [each.duty.shift for each in spring if each.duty] == [7 * 24 + 1, 7 * 24 + 3]
    autumn = spans(hourly, datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 1, 8, tzinfo=UTC))
    assert [(each.end - each.start) / HOUR for each in autumn] == [1, 2, 1]


# The proof


def test_every_uncovered_minute_of_the_next_year_is_listed() -> None:
    assert uncovered(schedule(), utc(6)) == []
    office = schedule(rotation(only=OFFICE, zone="Europe/Berlin"))
    found = uncovered(office, utc(6))
    covered = sum((each.end - each.start for each in spans(office, utc(6), utc(6) + 366 * DAY)), timedelta())
    gaps = sum((each.end - each.start for each in found), timedelta())
    assert covered == 366 * DAY and gaps == 366 * DAY - 262 * 8 * HOUR
    assert found[0].start == utc(6) and found[0].end == utc(6, 8)
    filled = schedule(rotation(only=OFFICE), rotation(("dee",), name="night"))
    assert uncovered(filled, utc(6)) == []
    leaves = schedule(rotation(("ana",)), overrides=(Override(1, "zoe", utc(9), utc(10)),))
    assert uncovered(leaves, utc(6)) == [] and uncovered(leaves, utc(5, 8), HOUR * 2)[0].end == utc(5, 9)


# What cannot be a schedule


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: rotation(()), "people: a rotation has 1 to 100"),
        (lambda: rotation(("ana", "")), "people:"),
        (lambda: rotation(tuple(map(str, range(101)))), "people:"),
        (lambda: rotation(starts=utc(5)), "starts: the clocks of the rotation's zone count"),
        (lambda: rotation(shift=0), "shift: 1 to 8,784 hours"),
        (lambda: rotation(shift=8785), "shift:"),
        (lambda: rotation(only=OFFICE * 21), "only: at most 20"),
        (lambda: Override(1, "", utc(5), utc(6)), "person: an override needs somebody"),
        (lambda: Override(1, "zoe", utc(5), utc(5)), "ends_at: it ends after it starts"),
        (lambda: Override(1, "zoe", utc(5), utc(6), "add", "ana"), "instead_of: only of the kind replace"),
        (lambda: Schedule("Ops team"), "name: lower-case"),
        (lambda: schedule(rotation(), rotation()), "no two with one name"),
        (lambda: schedule(*(rotation(name=f"r{n}") for n in range(21))), "rotations: at most 20"),
        (lambda: schedule(overrides=(Override(1, "zoe", utc(5), utc(6)),) * 2), "no two with one id"),
        (
            lambda: schedule(overrides=tuple(Override(n, "zoe", utc(5), utc(6)) for n in range(1001))),
            "overrides: at most 1,000",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_named(make: Any, says: str) -> None:
    with pytest.raises(Usage) as refused:
        make()
    assert says in refused.value.message and refused.value.code == "schedule_invalid"


def test_the_bounds_themselves_are_allowed() -> None:
    assert rotation(tuple(map(str, range(1, 101)))).shift == 24 and rotation(shift=8784).people and rotation(shift=1)
    many = tuple(Override(n, "zoe", utc(5), utc(6)) for n in range(1000))
    assert len(schedule(*(rotation(name=f"r{n}") for n in range(20)), overrides=many).overrides) == 1000
    assert len(rotation(only=OFFICE * 20).only) == 20
    with pytest.raises(Refusal, match="zone_unknown"):
        rotation(zone="Mars/Olympus")


def test_a_hand_off_that_the_clocks_show_twice_is_at_the_first() -> None:
    """On 25 October clocks in Berlin show 02:00 to 03:00 twice, from 00:00 UTC and from 01:00 UTC."""
    night = schedule(rotation(starts=datetime(2026, 10, 23, 2, 30), zone="Europe/Berlin"))
    times = [utc(25, 0, 29, month=10), utc(25, 0, 30, month=10), utc(25, 1, 10, month=10), utc(25, 1, 40, month=10)]
    assert [who(night, at) for at in times] == ["ben", "cho", "cho", "cho"]
    assert who(night, utc(26, 1, 29, month=10)) == "cho" and who(night, utc(26, 1, 30, month=10)) == "ana"
