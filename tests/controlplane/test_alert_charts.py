"""The value behind an alert over time: what is measured, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controlplane.detectors.charts import (
    bounds,
    burn_chart,
    burn_lead,
    dead_chart,
    drawn,
    pair_of,
    quota_chart,
    silence_chart,
    undrawn,
)
from controlplane.objectives.rules import PAIRS, History, burn, factor
from controlplane.telemetry.charts import ChartSpec, Mark
from controlplane.telemetry.model import FLEET, Point, Series
from controlplane.telemetry.saturation import Limit
from tests.controlplane.objectives import objective, slices
from tests.controlplane.stored_alerts import FIRED, HOUR, MINUTE, event, stored

MONTH = timedelta(days=30)
NOW = FIRED + HOUR
HOURLY = PAIRS[0]


def test_the_chart_reaches_from_before_it_fired_to_now_or_soon_after_its_end() -> None:
    assert bounds(stored(), 4 * HOUR, NOW) == (FIRED - 4 * HOUR, NOW)
    over = stored(resolved_at=FIRED + 10 * MINUTE)
    assert bounds(over, 4 * HOUR, FIRED + 9 * HOUR) == (FIRED - 4 * HOUR, FIRED + 70 * MINUTE)
    assert bounds(over, 4 * HOUR, FIRED + 20 * MINUTE)[1] == FIRED + 20 * MINUTE


def test_where_it_fired_and_was_resolved_is_marked() -> None:
    spec = ChartSpec((), "", 0, 1, notes=("no data",))
    assert drawn(stored(), spec).marks == (Mark(FIRED.timestamp(), "bad", "◆"),)
    over = drawn(stored(resolved_at=NOW), spec, "of a key")
    assert [mark.tone for mark in over.marks] == ["bad", "good"]
    assert over.notes == ("of a key", "no data", "◆ fired, resolved")


@pytest.mark.parametrize("pair", PAIRS)
def test_the_pair_that_fired_is_known_by_its_factor(pair: object) -> None:
    threshold = factor(pair, MONTH)  # type: ignore[arg-type]
    alert = stored(threshold=threshold)
    assert pair_of(alert, objective(), MONTH) == pair
    assert pair_of(alert, objective(), timedelta(days=28)) == pair, "a month is not always as long"


def test_an_objective_with_other_windows_by_now_has_no_such_pair() -> None:
    assert pair_of(stored(threshold=14.4), objective(), timedelta(days=7)) is None
    assert pair_of(stored(threshold=None), objective(), MONTH) is None


def test_the_burn_is_that_of_the_objective_at_every_minute() -> None:
    counts = [(100, 100)] * 300 + [(90, 100)] * 60 + [(100, 100)] * 60
    found = slices(counts, until=NOW)
    chart = burn_chart(stored(), objective(), HOURLY, MONTH, found, NOW)
    [line], [threshold] = chart.series, chart.thresholds
    assert (chart.x_from, chart.x_to) == ((FIRED - burn_lead(HOURLY)).timestamp(), NOW.timestamp())
    assert (threshold.value, threshold.name, line.name) == (pytest.approx(14.4), "page above", "burn over 1h")
    history = History(found, adjusted=True)
    for at, value in zip(line.xs, line.ys, strict=True):
        [end] = [each.end for each in found if each.end.timestamp() == at]
        assert value == burn(history.counts(end - HOUR, end), 0.999)
    assert max(value for value in line.ys if value is not None) == pytest.approx(100)
    assert len(line.xs) == 420 and None not in line.ys


def test_a_silence_is_a_gap_in_the_burn_and_no_value_is_invented() -> None:
    found = slices([(99, 100)] * 100 + [(0, 0)] * 60 + [(99, 100)] * 20, until=NOW)
    [line] = burn_chart(stored(), objective(), HOURLY, MONTH, found, NOW).series
    assert line.ys.count(None) == 1 and len(line.xs) == 121
    assert list(line.xs) == sorted(line.xs)
    quiet = burn_chart(stored(), objective(), HOURLY, MONTH, (), NOW)
    assert not quiet.values and "No request" in quiet.nothing


def test_where_only_hours_are_known_a_window_is_an_hour() -> None:
    found = slices([(90, 100)] * 5, seconds=3600, until=NOW)
    [line] = burn_chart(stored(), objective(), HOURLY, MONTH, found, NOW).series
    assert line.ys == [pytest.approx(100)] * 5


def test_the_minutes_without_a_request_grow_until_one_comes() -> None:
    point = Point(3, 0, 0)
    points = (None, point, None, None, Point(0, 0, 0), point, None)
    requests = Series(FLEET, FIRED, MINUTE, points, NOW)
    chart = silence_chart(stored(threshold=15.0, unit="minutes"), requests, FIRED + 6.5 * MINUTE)
    [line] = chart.series
    assert line.ys == [None, 0, 1, 2, 3, 0, 0.5] and line.xs[-1] == (FIRED + 6.5 * MINUTE).timestamp()
    assert [each.value for each in chart.thresholds] == [15.0]


def test_dead_jobs_are_counted_by_when_they_died() -> None:
    died = [(FIRED - 48 * HOUR, 2), (FIRED - HOUR, 3), (FIRED, -1)]
    chart = dead_chart(stored(kind="jobs_dead", threshold=1.0), died, NOW)
    [line] = chart.series
    assert list(line.ys) == [2, 2, 5, 5, 4, 4] and line.xs[0] == (FIRED - 24 * HOUR).timestamp()
    assert line.xs[-1] == NOW.timestamp() and line.name == "dead"


def test_a_quota_fills_up_by_the_hour_and_begins_anew_with_its_period() -> None:
    alert = stored(fired_at=datetime(2026, 6, 3, 12, tzinfo=UTC), threshold=0.8)
    now, midnight = alert.fired_at + HOUR, datetime(2026, 6, 3, tzinfo=UTC)
    hours = [
        (midnight - 14 * HOUR, 30),
        (midnight - 2 * HOUR, 20),
        (midnight + 5 * HOUR, 10),
        (midnight + 11 * HOUR, 80),
    ]
    spec = quota_chart(alert, Limit("exports", 100, "plan", "day"), hours, now)
    [line] = spec.series
    points = [(datetime.fromtimestamp(x, UTC) - midnight, y) for x, y in zip(line.xs, line.ys, strict=True)]
    assert points == [
        *[(-12 * HOUR, 30.0), (-HOUR, 50.0), (0 * HOUR, 50.0), (0 * HOUR, 0.0)],
        *[(6 * HOUR, 10.0), (12 * HOUR, 90.0), (13 * HOUR, 90.0)],
    ]
    assert spec.thresholds[0].value == 80 and (spec.unit, line.name) == ("%", "by recorded usage")


def test_without_a_series_it_is_said_with_the_values_that_are_known() -> None:
    alert = stored(unit="keys", value=3.0)
    spec = undrawn(alert, [event("fired", value=1.0)], "The home keeps none")
    assert not spec.series
    assert spec.nothing == "The home keeps none. It was 1 key when it fired, 3 keys when it was last evaluated."
    assert undrawn(replace(alert, value=None), [], "None").nothing == "None."


def test_a_gap_in_the_burn_begins_a_second_after_what_was_known() -> None:
    found = slices([(99, 100), *[(0, 0)] * 60, (99, 100)], until=NOW)
    [line] = burn_chart(stored(), objective(), HOURLY, MONTH, found, NOW).series
    assert [NOW.timestamp() - x for x in line.xs] == [3660, 3659, 0] and line.ys[1] is None
    outside = slices([(99, 100)] * 2, until=FIRED - burn_lead(HOURLY))
    assert [
        len(burn_chart(stored(), objective(), HOURLY, MONTH, each, NOW).series[0].xs) for each in (outside, [])
    ] == [1, 0]
    assert burn_lead(HOURLY) == 6 * HOUR and burn_lead(PAIRS[1]) == 18 * HOUR


def test_before_the_first_request_the_silence_is_not_known_and_without_a_threshold_no_line_is_drawn() -> None:
    requests = Series(FLEET, FIRED, MINUTE, (None, Point(1, 0, 0)), NOW)
    chart = silence_chart(stored(threshold=None), requests, FIRED + 2 * MINUTE)
    assert chart.series[0].ys == [None, 0] and not chart.thresholds


def test_a_quota_of_which_nothing_is_recorded_is_not_used_and_one_of_nothing_is_used_up() -> None:
    alert = stored(fired_at=datetime(2026, 6, 3, 12, tzinfo=UTC), threshold=None)
    now, quota = alert.fired_at + HOUR, Limit("exports", 100, "plan", "day")
    empty = quota_chart(alert, quota, [], now)
    assert empty.series[0].ys == [0.0, 0.0] and not empty.thresholds
    nothing = quota_chart(alert, replace(quota, most=0), [(alert.fired_at, 1)], now)
    assert nothing.series[0].ys == [0.0, 0.0, 0.0, 100.0, 100.0]
