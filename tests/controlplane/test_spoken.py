"""What charts say in words: every number of the picture that matters, and what is not known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.telemetry.charts import ChartSpec, HeatSpec, Mark, Series, Threshold, direction, trend_words
from controlplane.telemetry.model import Histogram
from controlplane.telemetry.spoken import change_of_level, said_of

START = 19_000 * 86_400.0


def words(ys, *, step=900, **more):
    xs = [START + step * n for n in range(len(ys))]
    spec = ChartSpec((Series("5xx", xs, ys, "bad"),), "%", START, START + step * len(ys), **more)
    return [line for line, _ in said_of(spec)]


def test_a_chart_says_now_least_most_trend_and_when_it_changed() -> None:
    said = words([1.0] * 30 + [0.5] + [8.0] * 9 + [9.0])
    assert said[0] == "chart from 00:00 to 10:15"
    assert said[1].startswith("5xx: now 9% at 10:00, least 0.5% at 07:30, most 9% at 10:00, rising; ")
    assert said[1].endswith("level changed at 07:45: 1% before, 8% since")


def test_what_is_not_known_is_said_to_be() -> None:
    assert words([None, math.nan])[1:] == ["no data"] and words([None], nothing="no request yet")[1:] == [
        "no request yet"
    ]
    (line,) = words([3.0, None, 3.0, None])[1:]
    assert line == "5xx: last known 3% at 00:30, least 3% at 00:00, most 3% at 00:00, steady; 2 of 4 steps unknown"
    both = ChartSpec((Series("a", [START], [1.0]), Series("b", [START], [None])), "", START, START + 60)
    assert [line for line, _ in said_of(both)][2] == "b: no data"


def test_limits_notes_and_marks_are_said() -> None:
    marks = tuple(Mark(START + 900 * n) for n in range(9))
    said = words([1.0, 3.0, 4.0] * 3, thresholds=(Threshold(2, "limit"), Threshold(5, "SLO")), notes=("no data",),
                 marks=(*marks, Mark(START - 9)))  # fmt: skip
    assert said[2:4] == ["limit 2%: exceeded by 6 values", "SLO 5%: kept"]
    assert said[4:] == ["no data", "something happened at 00:45, 01:00, 01:15, 01:30, 01:45, 02:00 and 3 earlier"]


def test_a_heat_map_says_how_slow() -> None:
    steps = (Histogram.of([10.0] * 9 + [900.0]), None, Histogram.of([20.0] * 10))
    spec = HeatSpec(steps, START, START + 3 * 86_400)
    said = [line for line, _ in said_of(spec)]
    assert said[0] == "chart from 01-08 00:00 to 01-11 00:00"
    assert said[1].startswith(
        "latencies: now half within 20ms and 95% within 20ms; slowest at 01-08 00:00: 95% within "
    )
    assert said[1].endswith("1 of 3 steps unknown")
    assert said_of(HeatSpec((None,), START, START + 60))[1] == ("latencies: no data", "")


def test_a_sparkline_in_words() -> None:
    assert (
        trend_words([80, None, 400], lambda value: f"{value:g}/m") == "least 80/m, most 400/m, rising, 1 of 3 unknown"
    )
    assert trend_words([None], str) == "nothing known"
    assert [direction(each) for each in ([1.0], [0.0, 0.0], [9.0, 1.0], [100.0, 105.0])] == [
        *("steady", "steady", "falling", "steady")
    ]


@pytest.mark.parametrize("seed", range(10))
def test_a_level_changes_where_it_does_and_not_by_chance(seed: int) -> None:
    chance = random.Random(seed)
    level = [chance.gauss(100, 10) for _ in range(60)]
    assert change_of_level(level) is None
    found = change_of_level([*level, *(value + 100 for value in level[:30])])
    assert found is not None and abs(found - 60) <= 1


@given(st.lists(st.integers(0, 5).map(float), max_size=40))
def test_equal_values_never_change(values: list[float]) -> None:
    assert change_of_level(values[:1] * len(values)) is None
    found = change_of_level(values)
    assert found is None or 0 < found < len(values)
