"""What the console says of a schedule: who is on call, until when, who is next, and a week as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from controlplane.schedules.calendar import Turns, Week, week_of
from controlplane.schedules.directory import KeptOverride, KeptSchedule, ScheduleRow
from controlplane.schedules.model import Duty, Rotation, Schedule, Span
from controlplane.schedules.words import (
    SHOWN_SPANS,
    bar_lines,
    by_words,
    cells_of,
    now_words,
    override_lines,
    override_words,
    proof_words,
    rotation_lines,
    rotation_words,
    turn_lines,
    until_words,
    week_lines,
)
from controlplane.weekly import Hours
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert, texts

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""A Monday."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAYS = Rotation("days", ("ana", "ben"), datetime(2026, 1, 1, 9), 24, "Europe/Berlin")
NEW_YORK = replace(DAYS, name="nights", zone="America/New_York", only=(Hours(frozenset({5, 6}), 600, 720),))
KEPT = KeptSchedule("ops", [], 1, NOW, "root", NOW, schedule=Schedule("ops", (DAYS, NEW_YORK)))
OVERRIDE = KeptOverride(3, "ops", "cho", NOW, NOW + DAY, "replace", "", None, NOW, "ana")


def row(turns: Turns | None, **fields: Any) -> ScheduleRow:
    return ScheduleRow(replace(KEPT, **fields), "covered", NOW, turns)


@pytest.mark.parametrize(
    ("duty", "words"),
    [
        (None, ""),
        (Duty("ana", "days", 3), "days"),
        (Duty("ana", "days", 3, 0), "days, override 0"),
        (Duty("ana", override=7), "override 7"),
    ],
)
def test_by_what_somebody_is_on_call(duty: Duty | None, words: str) -> None:
    assert by_words(duty) == words


def test_who_is_on_call_and_until_when() -> None:
    zones = ["Europe/Berlin"]
    assert now_words(Turns(None, None, None), zones) == "on call now: nobody"
    assert (
        now_words(Turns(Duty("ana"), NOW, None), zones)
        == "on call now: ana until Mon 2026-01-05 13:00 Europe/Berlin, then nobody"
    )


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ([], "somebody is on call in every minute of the next 12 months"),
        (
            [HOUR],
            "nobody is on call once in the next 12 months, for 1h in total, the first from 2026-01-05 12:00 UTC",
        ),
        (
            [HOUR, 30 * MINUTE],
            "nobody is on call 2 times in the next 12 months, for 1h 30m in total, the first from 2026-01-05 12:00 UTC",
        ),
    ],
)
def test_when_nobody_is_on_call_in_a_year(lengths: Sequence[timedelta], words: str) -> None:
    assert proof_words([Span(NOW, NOW + length, None) for length in lengths]) == words


def test_a_rotation_says_who_how_long_and_at_which_hours() -> None:
    assert rotation_words(DAYS) == "days: ana → ben, every 1d from 2026-01-01 09:00 Europe/Berlin"
    assert rotation_words(NEW_YORK).endswith("America/New_York, only sat+sun 10:00-12:00")
    assert rotation_words(replace(DAYS, people=(HOSTILE,))).startswith(f"days: {SHOWN}, every")
    assert texts(rotation_lines(KEPT)) == [
        "rotations; the first that has somebody counts",
        *(f"  {rotation_words(each)}" for each in (DAYS, NEW_YORK)),
    ]
    assert rotation_lines(replace(KEPT, schedule=None)) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "3: cho for whoever is on call, 2026-01-05 12:00 to 2026-01-06 12:00 UTC, by ana"),
        ({"instead_of": "ben"}, "3: cho for ben, 2026-01-05 12:00 to 2026-01-06 12:00 UTC, by ana"),
        ({"kind": "add"}, "3: cho besides, 2026-01-05 12:00 to 2026-01-06 12:00 UTC, by ana"),
        ({"ends_at": NOW}, "3: cho for whoever is on call, 2026-01-05 12:00 to 2026-01-05 12:00 UTC (over), by ana"),
        ({"ended_at": NOW + MINUTE}, "3: cho for whoever is on call, 2026-01-05 12:00 to 2026-01-05 12:01 UTC, by ana"),
    ],
)
def test_an_override_says_for_whom_and_until_when(fields: dict[str, Any], words: str) -> None:
    override = replace(OVERRIDE, **fields)
    assert override_words(override, NOW) == words
    assert override_lines([override], NOW) == [(words, "muted" if "(over)" in words else "")]


def test_overrides_are_told_the_latest_first() -> None:
    later = replace(OVERRIDE, id=4, starts_at=NOW + HOUR)
    assert [text[:2] for text in texts(override_lines([OVERRIDE, later], NOW))] == ["4:", "3:"]
    assert override_lines([], NOW) == [("none in the last 100 days, and none planned", "muted")]


def test_turns_are_told_by_the_clocks_of_every_zone() -> None:
    turns = Turns(Duty("ana", "days", 4), NOW + 20 * HOUR, Duty("ben", "days", 5))
    assert turn_lines(row(turns)) == [
        ("on call: ana (days)", "title"),
        "for 20h more, until",
        "  Tue 2026-01-06 09:00 Europe/Berlin",
        "  Tue 2026-01-06 03:00 America/New_York",
        "  Tue 2026-01-06 08:00 UTC",
        ("then: ben", ""),
    ]
    many = Schedule("ops", tuple(replace(DAYS, name=z, zone=z) for z in ("Asia/Seoul", "Asia/Tokyo", "Europe/Rome")))
    assert sum(text.startswith("  ") for text in texts(turn_lines(row(turns, schedule=many)))) == 4
    more = replace(many, rotations=(*many.rotations, DAYS, NEW_YORK))
    assert sum(text.startswith("  ") for text in texts(turn_lines(row(turns, schedule=more)))) == 5  # 4 and UTC
    assert turn_lines(row(replace(turns, next=None)))[-1] == ("then: nobody", "bad")


def test_nobody_on_call_is_bad_and_what_is_not_known_is_said() -> None:
    assert turn_lines(row(Turns(None, None, None))) == [("on call: nobody", "bad"), "nothing changes within 12 months"]
    assert turn_lines(row(None, retired_at=NOW - DAY)) == [("retired 1 d ago: nobody is on call by it", "muted")]
    broken = turn_lines(row(None, schedule=None, fault=HOSTILE))
    assert broken[0] == (f"cannot be read: {SHOWN}", "bad") and "watchfloor schedules edit ops" in str(broken[1])
    assert texts(turn_lines(row(None, fault="?")))[0].startswith("cannot be read")


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        (None, "–"),
        (Turns(Duty("ana"), None, Duty("ana")), "no change"),
        (Turns(Duty("ana"), NOW + 90 * MINUTE, None), "1h 30m"),
    ],
)
def test_until_when_in_a_cell(turns: Turns | None, words: str) -> None:
    assert until_words(row(turns)) == words


# A week


@pytest.mark.parametrize(
    ("width", "cells"),
    [(0, 3), (41, 3), (48, 3), (49, 4), (62, 5 - 1), (63, 6), (76, 6), (77, 8), (105, 12), (188, 12), (189, 24)],
)
def test_a_day_has_as_many_cells_as_fit(width: int, cells: int) -> None:
    assert cells_of(width) == cells


def week(schedule: Schedule, per_day: int = 4) -> Week:
    return week_of(schedule, date(2026, 1, 5), "UTC", per_day)


def test_a_week_is_a_row_for_each_person_with_the_place_of_now() -> None:
    office = Rotation("office", ("ana",), datetime(2026, 1, 5), 24, only=(Hours(frozenset({0, 1}), 360, 12 * 60 + 1),))
    lines = bar_lines(week(Schedule("ops", (office,))), NOW)
    assert lines == [
        (" " * 14 + "Mon  Tue  Wed  Thu  Fri  Sat  Sun ", "title"),
        ("now          " + "   ▼", "muted"),
        ("ana          │ █▄ │ █▄ │    │    │    │    │    │", "good"),
        ("nobody       │█ ▄█│█ ▄█│████│████│████│████│████│", "bad"),
    ]
    assert bar_lines(week(Schedule("ops", (office,))), NOW + 6 * HOUR)[2][1] == ""
    assert bar_lines(week(Schedule("ops", (office,))), NOW + DAY)[1] == ("now          " + " " * 8 + "▼", "muted")
    assert [line[1] for line in bar_lines(week(Schedule("ops", (office,))), NOW - 7 * DAY)] == ["title", "", "bad"]
    dated = bar_lines(week(Schedule("ops", (office,)), 6), NOW)[0][0]
    assert dated == " " * 14 + "Mon 05 Tue 06 Wed 07 Thu 08 Fri 09 Sat 10 Sun 11"


def test_every_hand_off_of_a_week_is_told() -> None:
    lines = week_lines(week(Schedule("ops", (replace(DAYS, zone="UTC", starts=datetime(2026, 1, 6, 9)),))), NOW)
    assert lines[0] == ("week of 2026-01-05, by the clocks of UTC", "muted")
    at = lines.index("")
    assert lines[at + 1 : at + 3] == [
        ("Mon 05 00:00 – Tue 06 09:00  nobody", "bad"),
        ("Tue 06 09:00 – Wed 07 09:00  ana  days", ""),
    ]
    assert is_inert(week_lines(week(Schedule("ops", (replace(DAYS, people=(HOSTILE,)),))), NOW))


def test_the_day_on_which_the_clocks_change_is_named() -> None:
    spring = week_of(Schedule("ops", (DAYS,)), date(2026, 3, 23), "Europe/Berlin", 4)
    assert ("Sun 29: the clocks change, the day has 23 hours", "warn") in week_lines(spring, NOW)


@pytest.mark.parametrize(
    ("number", "more"),
    [(SHOWN_SPANS, None), (SHOWN_SPANS + 1, "1 more hand-off"), (SHOWN_SPANS + 5, "5 more hand-offs")],
)
def test_of_many_hand_offs_the_rest_is_counted(number: int, more: str | None) -> None:
    spans = tuple(Span(NOW + n * MINUTE, NOW + (n + 1) * MINUTE, Duty(f"p{n % 2}")) for n in range(number))
    lines = week_lines(replace(week(Schedule("ops")), rows=(), changed=(), spans=spans), NOW)
    assert lines[-1] == (f"… and {more}", "muted") if more else str(lines[-1][0]).startswith("Mon 05")
    assert sum(" – " in text for text in texts(lines)) == SHOWN_SPANS


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    duty = Duty(LONG, LONG)
    assert cuts(turn_lines(row(Turns(duty, NOW + HOUR, duty)))) == [100, 64, 100]
    assert cuts([rotation_words(replace(DAYS, name=LONG, people=(LONG,)))]) == [64, 60]
    assert cuts([override_words(replace(OVERRIDE, person=LONG, instead_of=LONG, created_by=LONG), NOW)]) == [60, 60, 63]
    assert cuts(turn_lines(row(None, fault=LONG))) == [1000]
