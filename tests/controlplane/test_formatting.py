"""Times and numbers in words; unknown is never 0."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.formatting import (
    age,
    count,
    milliseconds,
    parse_duration,
    parse_time,
    percent,
    plain_number,
    rate,
    relative,
    show,
    spell,
)
from controlplane.previews import value_words

NOW = datetime(2026, 11, 21, 5, 33, 12, tzinfo=UTC)


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


@pytest.mark.parametrize(
    ("at", "short", "words"),
    [
        (ago(seconds=0.4), "0s", "now"),
        (ago(seconds=42), "42s", "42 s ago"),
        (ago(seconds=59.9), "59s", "59 s ago"),
        (ago(minutes=12), "12m", "12 m ago"),
        (ago(hours=3, minutes=59), "3h", "3 h ago"),
        (ago(days=5), "5d", "5 d ago"),
        (ago(days=364), "364d", "364 d ago"),
        (ago(days=9 * 365 + 3), "9y", "9 y ago"),
        (ago(days=-29), "in 29d", "in 29 d"),
        (ago(seconds=-0.2), "0s", "now"),
        (None, "–", "–"),
    ],
)
def test_age_and_relative(at: datetime | None, short: str, words: str) -> None:
    assert age(at, NOW) == short
    assert relative(at, NOW) == words


def test_age_does_not_care_for_zones() -> None:
    assert age(ago(hours=2).astimezone(ZoneInfo("Asia/Tokyo")), NOW) == "2h"


def test_the_forms_that_a_time_is_shown_in(monkeypatch: pytest.MonkeyPatch) -> None:
    at = ago(hours=2)
    assert show(at, NOW) == "2h"
    assert show(at, NOW, "utc") == "2026-11-21 03:33:12Z"
    assert show(at, NOW, "zone", ZoneInfo("Asia/Tokyo")) == "2026-11-21 12:33:12+09:00"
    assert show(at, NOW, "zone") == "2026-11-21 03:33:12Z"
    assert show(at.astimezone(ZoneInfo("Asia/Tokyo")), NOW, "utc") == "2026-11-21 03:33:12Z"
    assert show(None, NOW, "utc") == "–"
    try:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        assert show(at, NOW, "local") == "2026-11-20 22:33:12-05:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("form", ["age", "utc", "local", "zone"])
def test_a_time_that_means_never_is_shown(form) -> None:
    assert show(datetime.max.replace(tzinfo=UTC), NOW, form, timezone(timedelta(hours=14)))
    assert show(datetime.min.replace(tzinfo=UTC), NOW, form, timezone(timedelta(hours=-12)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("15m", 900), ("7d", 604_800), ("1.5h", 5400), ("250ms", 0.25), ("2w", 1_209_600), ("1h30m", 5400)],
        *[("1h 30m", 5400), ("0s", 0), ("1y", 31_536_000), ("212.3ms", 0.2123)],
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "m", "-5m", "1e3s", "5 m", "7 days", "1001y", "٣d", "9" * 99 + "s", "1h\x1b"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Usage) as refused:
        parse_duration(text)
    assert refused.value.code == "duration_unreadable"
    assert str(refused.value).isprintable()


@given(st.integers(0, 999 * 31_536_000))
def test_a_spelled_duration_reads_back_but_for_what_was_cut(seconds: int) -> None:
    back = parse_duration(spell(seconds))
    assert back <= seconds
    assert (seconds - back) * 24 < seconds or back == seconds  # less than the second unit: at worst 1d and 59 min


def test_durations_in_words() -> None:
    assert [spell(s) for s in (0, 0.25, 5, 872, 3600, 90_061, 30 * 86_400, -90, None)] == [
        *("0s", "250ms", "5s", "14m 32s", "1h", "1d 1h", "30d", "-1m 30s", "–")
    ]


def test_numbers_with_their_units() -> None:
    assert [count(n) for n in (0, 1204, 1_000_000, None, float("nan"))] == ["0", "1,204", "1,000,000", "–", "–"]
    assert [percent(n) for n in (0, 0.0041, 0.5, 1, None, float("nan"))] == [
        "0.00",
        "0.41",
        "50.00",
        "100.00",
        "–",
        "–",
    ]
    assert [percent(n) for n in (0.00004, 0.99996)] == ["<0.01", ">99.99"]
    assert [milliseconds(n) for n in (0, 3.21, 9.96, 212.3, 999.6, 1234, 9960, 75_000, None)] == [
        *("0ms", "3.2ms", "10ms", "212ms", "1.0s", "1.2s", "10s", "75s", "–")
    ]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0.0, "0"),
        (0.00412345678, "0.00412346"),
        (1500.0, "1,500"),
        (999_999.4, "999,999"),
        (86_400_000.0, "86,400,000"),
    ],
)
def test_no_number_is_told_in_powers_of_ten(number: float, words: str) -> None:
    assert plain_number(number) == value_words(number) == words


def test_a_rate_says_zero_only_of_zero() -> None:
    said = [rate(number) for number in (None, 0, 0.03, 0.3, 3.44, 42.0, 1204.4)]
    assert said == ["–", "0", "<0.1", "0.3", "3.4", "42", "1,204"]


INFINITE = float("inf")


def test_where_one_unit_ends_and_the_next_begins() -> None:
    second = [spell(s) for s in (0.0004, 0.999, 1, -0.25, -1, 59.9, 60, 3599, 86_399, 31_536_000, 31_535_999)]
    assert second == ["0ms", "999ms", "1s", "-250ms", "-1s", "59s", "1m", "59m 59s", "23h 59m", "1y", "364d 23h"]
    assert [rate(n) for n in (0.0999, 0.1, 9.94, 10, -1)] == ["<0.1", "0.1", "9.9", "10", "-1"]
    assert [percent(n) for n in (0.00005, 0.0001, 0.9999, 1.5, -0.5)] == ["0.01", "0.01", "99.99", "150.00", "-50.00"]
    assert [milliseconds(n) for n in (0.04, 9.94, 9.95, 999.4, 999.5, 9949, 9950)] == [
        *("0.0ms", "9.9ms", "10ms", "999ms", "1.0s", "9.9s", "10s")
    ]


@pytest.mark.parametrize("words", [spell, count, rate, percent, milliseconds, plain_number])
@pytest.mark.parametrize("number", [None, float("nan"), INFINITE, -INFINITE])
def test_what_is_no_number_is_unknown(words: Callable[[float | None], str], number: float | None) -> None:
    assert words(number) == "–"


@pytest.mark.parametrize("unit, seconds", [("y", 31_536_000), ("d", 86_400), ("h", 3600), ("m", 60)])
def test_an_age_takes_the_largest_unit_that_is_full(unit: str, seconds: int) -> None:
    assert age(ago(seconds=seconds), NOW) == f"1{unit}" and age(ago(seconds=-seconds), NOW) == f"in 1{unit}"
    assert not age(ago(seconds=seconds - 1), NOW).endswith(unit)


def test_now_is_neither_ago_nor_to_come() -> None:
    assert (age(NOW, NOW), relative(NOW, NOW)) == ("0s", "now")
    assert relative(ago(seconds=1), NOW) == "1 s ago" and relative(ago(seconds=-1), NOW) == "in 1 s"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21T05:00+01:00", datetime(2026, 11, 21, 4, tzinfo=UTC)),
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2999-12-31T23:59:59", datetime(2999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_utc(text: str, at: datetime) -> None:
    assert parse_time(text) == at and parse_time(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "noon", "1969-12-31T23:59:59", "1970-01-01T00:30+01:00", "3000-01-01"])
def test_what_is_no_time_of_a_request_is_refused(text: str) -> None:
    with pytest.raises(Usage) as refused:
        parse_time(text)
    assert refused.value.code == "time_unreadable"


def test_the_longest_duration_is_a_thousand_years_and_a_refusal_repeats_no_more_than_a_line() -> None:
    assert parse_duration("1000y") == 1000 * 365 * 86_400
    for read in (parse_duration, parse_time):
        with pytest.raises(Usage) as refused:
            read("9" * 41)
        assert '"' + "9" * 39 + '…"' in refused.value.message
