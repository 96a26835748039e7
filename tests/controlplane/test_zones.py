"""What clocks show, and hours of the week, over every change of the clocks in three zones."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Refusal, Usage
from controlplane.weekly import Hours
from controlplane.zones import a_zone, first_showing, parse_local, stretches
from tests.controlplane.zones import FROM, UNTIL, ZONES, all_changes, changes, shown

MINUTE = timedelta(minutes=1)
EVERY_DAY = frozenset(range(7))
minutes = st.integers(0, 1439)
hours_of = st.builds(Hours, st.sets(st.integers(0, 6), min_size=1).map(frozenset), minutes, st.integers(0, 1440))
near_changes = st.sampled_from(list(all_changes())).flatmap(
    lambda change: st.tuples(st.just(change[0]), st.integers(-3000, 3000).map(lambda n: change[1] + n * MINUTE))
)


def test_every_change_of_the_clocks_is_found() -> None:
    assert [len(changes(name)) for name in ZONES] == [134, 114, 112]
    assert changes("America/New_York")[0] == (datetime(1970, 4, 26, 7, tzinfo=UTC), timedelta(hours=1))
    assert changes("Australia/Lord_Howe")[-1] == (datetime(2036, 10, 4, 15, 30, tzinfo=UTC), timedelta(minutes=30))
    found = list(stretches(ZoneInfo("Europe/Berlin"), FROM, UNTIL))
    assert found[0][0] == FROM and found[-1][1] == UNTIL
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert list(stretches(ZoneInfo("Europe/Berlin"), UNTIL, UNTIL)) == []


@given(near_changes)
def test_a_time_is_first_shown_once(change: tuple[str, datetime]) -> None:
    name, at = change
    first = first_showing(shown(at, name), ZoneInfo(name))
    assert first <= at and shown(first, name) == shown(at, name)
    assert shown(first - timedelta(seconds=1), name) != shown(at, name)


def test_a_skipped_time_is_the_moment_of_the_jump() -> None:
    for name, at, by in all_changes():
        if by > timedelta():
            for skipped in (timedelta(), MINUTE, by / 2, by - timedelta(seconds=1)):
                assert first_showing(shown(at, name) - by + skipped, ZoneInfo(name)) == at
    samoa = ZoneInfo("Pacific/Apia")  # there was no 30 December 2011 there
    assert first_showing(datetime(2011, 12, 30, 15), samoa) == datetime(2011, 12, 30, 10, tzinfo=UTC)


def test_a_time_may_be_written_by_the_clocks_of_a_zone() -> None:
    at, odd = parse_local("2026-03-08 02:30 America/New_York")
    assert at == datetime(2026, 3, 8, 7, tzinfo=UTC) and "never show 02:30 that day: they jump to 03:00" in odd
    at, odd = parse_local("2026-11-01T01:30 America/New_York")
    assert at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC) and "show 01:30 twice that day: the first is meant" in odd
    assert parse_local(" 2026-07-01 12:00 Europe/Berlin ") == (datetime(2026, 7, 1, 10, tzinfo=UTC), "")
    assert parse_local("2026-07-01 12:00 UTC") == (datetime(2026, 7, 1, 12, tzinfo=UTC), "")
    for wrong in (
        "",
        "UTC",
        "soon UTC",
        "2026-07-01 12:00+02:00 UTC",
        "1970-12-31 UTC",
        "3000-01-01 UTC",
        "9999-12-31 23:00 Asia/Seoul",
    ):
        with pytest.raises(Usage, match="by the clocks of a zone"):
            parse_local(wrong)
    with pytest.raises(Refusal, match="zone_unknown"):
        parse_local("2026-07-01 12:00 Mars/Olympus")


# 1.a


def minute_of(local: datetime) -> int:
    return local.hour * 60 + local.minute


def test_hours_that_are_skipped_have_no_minute_and_hours_shown_twice_have_double() -> None:
    seen = set()
    for name, at, by in all_changes():
        after, size = shown(at, name), abs(by)
        skipped_or_twice = after - by if by > timedelta() else after
        hours = Hours(EVERY_DAY, minute_of(skipped_or_twice), minute_of(skipped_or_twice + size))
        length = hours.length(skipped_or_twice.date(), ZoneInfo(name))
        assert length == (timedelta() if by > timedelta() else 2 * size)
        for away in (-2, -1, 1, 2):
            assert hours.length(skipped_or_twice.date() + away * timedelta(days=1), ZoneInfo(name)) == size
        seen.add((name, bool(length)))
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("start", "end", "spring", "autumn"), [(120, 180, 0, 60), (60, 120, 60, 120), (0, 360, 300, 420), (75, 105, 30, 60)]
)
def test_the_table_of_new_york(start: int, end: int, spring: int, autumn: int) -> None:
    hours, zone = Hours(EVERY_DAY, start, end), ZoneInfo("America/New_York")
    assert hours.length(date(2026, 3, 8), zone) == spring * MINUTE
    assert hours.length(date(2026, 11, 1), zone) == autumn * MINUTE
    assert hours.length(date(2026, 7, 1), zone) == hours.minutes * MINUTE == (end - start) * MINUTE


def test_hours_shown_twice_in_part_are_two_spans() -> None:
    spans = Hours(EVERY_DAY, 75, 105).spans(date(2026, 11, 1), ZoneInfo("America/New_York"))
    assert [(f"{start:%H:%M}", f"{end:%H:%M}") for start, end in spans] == [("05:15", "05:45"), ("06:15", "06:45")]
    whole = Hours(EVERY_DAY).spans(date(2026, 11, 1), ZoneInfo("America/New_York"))
    assert whole == [(datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC))]


# The algebra


@given(hours_of, near_changes)
def test_what_the_clocks_show_and_the_spans_agree(hours: Hours, change: tuple[str, datetime]) -> None:
    name, at = change
    zone = ZoneInfo(name)
    day = hours.day_of(at, zone)
    today = shown(at, name).date()
    within = [
        d for n in range(-2, 3) for d in [today + timedelta(days=n)] for a, b in hours.spans(d, zone) if a <= at < b
    ]
    assert within == ([day] if day else [])


@given(hours_of, near_changes)
def test_nothing_changes_before_the_next_change(hours: Hours, change: tuple[str, datetime]) -> None:
    name, at = change
    zone = ZoneInfo(name)
    edge = hours.next_change(at, zone)
    assert edge is not None and edge > at
    days = {hours.day_of(at + (edge - at) * n / 50, zone) for n in range(50)}
    assert len(days) == 1


def test_hours_past_midnight_belong_to_the_day_on_which_they_began() -> None:
    saturday = Hours(frozenset({5}), 22 * 60, 6 * 60)
    inside = [datetime(2026, 6, 6, 22), datetime(2026, 6, 6, 23, 59), datetime(2026, 6, 7), datetime(2026, 6, 7, 5, 59)]
    outside = [datetime(2026, 6, 6, 3), datetime(2026, 6, 6, 21, 59), datetime(2026, 6, 7, 6), datetime(2026, 6, 7, 22)]
    assert {saturday.day_of(at.replace(tzinfo=UTC), UTC) for at in inside} == {date(2026, 6, 6)}
    assert {saturday.day_of(at.replace(tzinfo=UTC), UTC) for at in outside} == {None}
    assert saturday.minutes == 480 and saturday.length(date(2026, 6, 7), UTC) == timedelta()


def test_the_same_start_and_end_are_the_whole_day() -> None:
    friday = Hours(frozenset({4}), 9 * 60, 9 * 60)
    assert friday.spans(date(2026, 6, 5), UTC) == [(datetime(2026, 6, 5, tzinfo=UTC), datetime(2026, 6, 6, tzinfo=UTC))]
    assert friday.day_of(datetime(2026, 6, 5, 0, 30, tzinfo=UTC), UTC) == date(2026, 6, 5)


def test_a_day_that_never_was_has_no_hours() -> None:
    fridays, samoa = Hours(frozenset({4})), ZoneInfo("Pacific/Apia")
    assert fridays.spans(date(2011, 12, 30), samoa) == []
    edge = fridays.next_change(datetime(2011, 12, 25, tzinfo=UTC), samoa)
    assert edge == first_showing(datetime(2012, 1, 6), samoa)


@pytest.mark.parametrize("machine", ["Asia/Seoul", "UTC", "America/St_Johns"])
def test_the_machines_own_zone_does_not_matter(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    assert os.environ["TZ"] == machine
    test_every_change_of_the_clocks_is_found()
    test_a_skipped_time_is_the_moment_of_the_jump()
    test_hours_that_are_skipped_have_no_minute_and_hours_shown_twice_have_double()
    test_a_time_may_be_written_by_the_clocks_of_a_zone()


def test_the_first_and_the_last_year_that_can_be_written() -> None:
    for year in (1971, 2999):
        assert parse_local(f"{year}-01-01 00:00 UTC") == (datetime(year, 1, 1, tzinfo=UTC), "")


def test_a_field_takes_the_name_of_a_zone_as_it_is() -> None:
    assert a_zone("Europe/Berlin") == "Europe/Berlin"
    for name in ("Mars/Olympus", "", "../etc/passwd", "/etc/localtime"):
        with pytest.raises(ValueError, match="not a time zone"):
            a_zone(name)
