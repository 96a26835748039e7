"""What people write for a schedule, and what a calendar shows of it, also when the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.formatting import parse_moment
from controlplane.schedules.calendar import by_person, monday_of, turns, week_of, zones_of
from controlplane.schedules.document import kept_form, schedule_of
from controlplane.schedules.model import Duty, Override, Schedule, Span
from controlplane.schedules.rules import on_call, uncovered
from controlplane.schedules.texts import hours_of, hours_text, shift_of, shift_text
from controlplane.schedules.words import bar_lines, cells_of, proof_words, week_lines
from controlplane.text import cells, printable_ascii
from controlplane.weekly import MINUTES_A_DAY, Hours
from controlplane.zones import zone_of
from tests.controlplane.zones import ZONES, changes

NOW = datetime(2026, 11, 30, 3, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEKLY: list[dict[str, Any]] = [
    {"name": "week", "people": ["ana", "ben", "cho"], "starts": "2026-01-05 09:00", "zone": "Europe/Berlin"}
]
OFFICE = [{"people": ["dan", "eve"], "starts": "2026-01-05 09:00", "shift": "1d", "only": ["mon-fri 09:00-17:00"]}]

# What people write


@given(st.sets(st.integers(0, 6), min_size=1), st.integers(0, MINUTES_A_DAY - 1), st.integers(1, MINUTES_A_DAY))
def test_hours_are_read_as_they_are_written(days: set[int], start: int, end: int) -> None:
    hours = Hours(frozenset(days), start, end)
    assert hours_of(hours_text(hours)) == hours


@given(st.integers(1, 24 * 366))
def test_a_shift_is_read_as_it_is_written(hours: int) -> None:
    assert shift_of(shift_text(hours)) == hours


def test_hours_are_written_as_people_write_them() -> None:
    assert hours_of("Mon-Fri 9:00-17:00") == Hours(frozenset(range(5)), 540, 1020)
    assert hours_of("sat+sun 22:00 - 06:00") == Hours(frozenset({5, 6}), 1320, 360)
    assert hours_of("fri-mon") == Hours(frozenset({4, 5, 6, 0}))
    assert hours_text(hours_of("fri+sat+sun+mon 18:00-24:00")) == "fri-mon 18:00-24:00"


@pytest.mark.parametrize(
    "text", ["", "noon", "mon 25:00-26:00", "mon 09:60-10:00", "mon 09:00", "mon- 09:00-10:00", "x"]
)
def test_what_is_no_hours_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no hours of the week"):
        hours_of(text)


def test_a_document_is_kept_with_every_field_and_reads_the_same_again() -> None:
    """YAML gives times as times, and numbers as numbers."""
    written = [{"people": ["ana"], "starts": datetime(2026, 1, 5, 9), "shift": 168, "only": ["always"]}]
    [kept] = kept_form("ops", written)
    assert kept == {
        "name": "main",
        "people": ["ana"],
        "starts": "2026-01-05 09:00",
        "shift": "1w",
        "zone": "UTC",
        "only": [],
    }
    assert kept_form("ops", [kept]) == [kept]
    assert schedule_of("ops", written) == schedule_of("ops", [kept])
    assert schedule_of("ops", [{**kept, "starts": date(2026, 1, 5)}]).rotations[0].starts == datetime(2026, 1, 5)


@pytest.mark.parametrize(
    ("field", "document"),
    [
        ("rotations", []),
        ("rotations", {}),
        ("rotations", None),
        ("0", [7]),
        ("0.people", [{"starts": "2026-01-05"}]),
        ("0.people", [{"people": [], "starts": "2026-01-05"}]),
        ("0.people", [{"people": ["a\x1b"], "starts": "2026-01-05"}]),
        ("0.starts", [{"people": ["a"], "starts": "soon"}]),
        ("0.starts", [{"people": ["a"], "starts": "2026-01-05T09:00+01:00"}]),
        ("0.starts", [{"people": ["a"], "starts": "9999-12-31"}]),
        ("0.shift", [{"people": ["a"], "starts": "2026-01-05", "shift": "90m"}]),
        ("0.shift", [{"people": ["a"], "starts": "2026-01-05", "shift": 10**400}]),
        ("0.shift", [{"people": ["a"], "starts": "2026-01-05", "shift": 0}]),
        ("0.only", [{"people": ["a"], "starts": "2026-01-05", "only": ["noon"]}]),
        ("0.room", [{"people": ["a"], "starts": "2026-01-05", "room": 7}]),
        ("0: this machine knows no time zone Mars/X", [{"people": ["a"], "starts": "2026-01-05", "zone": "Mars/X"}]),
        ("no two with one name", WEEKLY * 2),
        (
            "48 hand-offs a day",
            [{"name": str(n), "people": ["a"], "starts": "2026-01-05", "shift": 1} for n in range(3)],
        ),
        (
            "20 windows in total",
            [{"name": str(n), "people": ["a"], "starts": "2026-01-05", "only": ["mon", "tue"] * 5} for n in range(3)],
        ),
    ],
)
def test_what_is_no_schedule_is_named_by_its_field(field: str, document: Any) -> None:
    with pytest.raises(Usage) as found:
        schedule_of("ops", document)
    assert found.value.code == "schedule_invalid" and field.lower() in found.value.message.lower(), found.value.message


def test_a_time_may_have_its_zone_by_name() -> None:
    assert parse_moment("now", NOW) == NOW and parse_moment("2h", NOW) == NOW + 2 * HOUR
    assert parse_moment("1h 30m", NOW) == NOW + timedelta(minutes=90)
    assert parse_moment("2026-12-01", NOW) == datetime(2026, 12, 1, tzinfo=UTC)
    assert parse_moment("2026-12-24 18:00 Europe/Berlin", NOW) == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert parse_moment("2026-03-08 02:30 America/New_York", NOW) == datetime(2026, 3, 8, 7, tzinfo=UTC), "jumped over"
    assert parse_moment("2026-11-01 01:30 America/New_York", NOW) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC), (
        "the first"
    )
    with pytest.raises(Usage):
        parse_moment("soon", NOW)


# Who is on call, and who is next


def test_who_is_next_is_another_person() -> None:
    found = turns(schedule_of("ops", WEEKLY), NOW)
    assert (found.now and found.now.person, found.until) == ("ben", datetime(2026, 11, 30, 8, tzinfo=UTC))
    assert found.next and found.next.person == "cho"
    alone = turns(schedule_of("ops", [WEEKLY[0] | {"people": ["ana"]}]), NOW)
    assert (alone.now and alone.now.person, alone.until) == ("ana", None), "their own next shift is no hand-off"
    empty = turns(schedule_of("ops", OFFICE), NOW)
    assert (empty.now, empty.next and empty.next.person) == (None, "eve")
    override = Override(1, "zoe", NOW + HOUR, NOW + 2 * HOUR)
    soon = turns(schedule_of("ops", WEEKLY, [override]), NOW)
    assert (soon.until, soon.next and soon.next.person) == (NOW + HOUR, "zoe")
    yearly = turns(schedule_of("ops", [WEEKLY[0] | {"shift": "52w"}]), NOW)
    assert yearly.until == datetime(2027, 1, 4, 8, tzinfo=UTC)


# The week


def hours_by_person(schedule: Schedule, monday: date, zone: str, per_day: int) -> dict[str, float]:
    week = week_of(schedule, monday, zone, per_day)
    lengths = [(end - begin) / HOUR for begin, end in pairwise(week.edges)]
    return {person: sum(a * b for a, b in zip(shares, lengths, strict=True)) for person, shares in week.rows}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("per_day", [3, 4, 6, 8, 12, 24])
def test_the_cells_of_a_week_hold_just_its_hours_whatever_the_clocks_do(zone: str, per_day: int) -> None:
    """167 hours, 168 or 169; and everybody's are those that the paging gives them."""
    schedule = schedule_of("ops", [WEEKLY[0] | {"shift": "1d", "zone": zone}])
    for change in [at for at, _ in changes(zone) if 2026 <= at.year < 2030]:
        monday = monday_of(change, zone)
        week = week_of(schedule, monday, zone, per_day)
        assert sum(hours_by_person(schedule, monday, zone, per_day).values()) == pytest.approx(
            (week.edges[-1] - week.edges[0]) / HOUR
        )
        assert [day for day, _ in week.changed] == [change.astimezone(zone_of(zone)).date()]
        for place, (begin, end) in enumerate(pairwise(week.edges)):
            at = begin + (end - begin) / 2
            if begin < end and week.place(at) == place:
                duty = on_call(schedule, at)
                shares = dict(week.rows)[duty.person if duty else ""]
                assert shares[place] > 0


def test_the_night_on_which_the_clocks_change_is_said_and_drawn() -> None:
    nightly = [{"people": ["ana"], "starts": "2026-01-05", "zone": "America/New_York", "only": ["mon-sun 00:00-06:00"]}]
    schedule = schedule_of("ops", nightly)
    spring = week_of(schedule, date(2026, 3, 2), "America/New_York", 24)
    assert spring.changed == ((date(2026, 3, 8), 23.0),)
    assert hours_by_person(schedule, date(2026, 3, 2), "America/New_York", 24)["ana"] == pytest.approx(41)
    [ana] = [shares for person, shares in spring.rows if person == "ana"]
    assert ana[6 * 24 + 1 : 6 * 24 + 4] == (1.0, 0.0, 1.0), "02:00 to 03:00 is not there"
    autumn = week_of(schedule, date(2026, 10, 26), "America/New_York", 24)
    assert hours_by_person(schedule, date(2026, 10, 26), "America/New_York", 24)["ana"] == pytest.approx(43)
    assert "Sun 01: the clocks change, the day has 25 hours" in str(week_lines(autumn, NOW))


@pytest.mark.parametrize("width", [40, 60, 78, 110, 190])
def test_bars_fit_into_their_lines_and_into_ascii(width: int) -> None:
    schedule = schedule_of("ops", [OFFICE[0] | {"people": ["dan", "株式会社 バックエンド 株式会社"]}])
    week = week_of(schedule, date(2026, 11, 30), "UTC", cells_of(width))
    lines = [line if isinstance(line, str) else line[0] for line in bar_lines(week, NOW)]
    assert max(map(cells, lines)) <= max(width, 42)
    assert len({cells(line) for line in lines[2:]}) == 1
    assert all(printable_ascii(line).isascii() for line in lines)
    assert [line[:6] for line in lines] == ["      ", "now   ", "dan   ", "株式会", "nobody"] or width


def test_the_present_has_its_mark_in_its_own_week_alone() -> None:
    schedule = schedule_of("ops", WEEKLY)
    monday = monday_of(NOW, zones_of(schedule)[0])
    this, following = (week_of(schedule, day, "Europe/Berlin", 8) for day in (monday, monday + 7 * DAY))
    assert "▼" in str(bar_lines(this, NOW)) and "▼" not in str(bar_lines(following, NOW))
    assert [tone for line in bar_lines(this, NOW) if (tone := line[1]) == "good"] == ["good"]


# The proof


def test_every_uncovered_minute_is_counted() -> None:
    assert proof_words(uncovered(schedule_of("ops", WEEKLY), NOW)) == (
        "somebody is on call in every minute of the next 12 months"
    )
    gaps = uncovered(schedule_of("ops", OFFICE), NOW)
    held = sum((span.end - span.start for span in gaps), timedelta())
    office = sum(8 for n in range(366) if (NOW + n * DAY).weekday() < 5)
    assert held / HOUR == pytest.approx(366 * 24 - office, abs=9)
    assert "nobody is on call 262 times" in proof_words(gaps) or "nobody is on call 263 times" in proof_words(gaps)


def test_a_week_ends_where_the_next_begins_and_a_schedule_has_the_zones_of_its_turns() -> None:
    schedule = schedule_of("primary", WEEKLY + [each | {"name": "office"} for each in OFFICE], ())
    monday = date(2026, 11, 30)
    week, after = (week_of(schedule, first, "Europe/Berlin", 4) for first in (monday, monday + 7 * DAY))
    assert len(week.edges) == 7 * 4 + 1 and week.edges[-1] == after.edges[0]
    assert zones_of(schedule) == ["Europe/Berlin", "UTC"] and zones_of(Schedule("empty")) == ["UTC"]


def test_spans_of_one_person_are_joined_whatever_puts_them_there() -> None:
    duties = (Duty("ana", "days"), Duty("ana", "nights"), None, None, Duty("ben"))
    found = [Span(NOW + n * HOUR, NOW + (n + 1) * HOUR, duty) for n, duty in enumerate(duties)]
    assert by_person(found) == [
        Span(NOW, NOW + 2 * HOUR, duties[0]),
        Span(NOW + 2 * HOUR, NOW + 4 * HOUR, None),
        Span(NOW + 4 * HOUR, NOW + 5 * HOUR, duties[4]),
    ]
