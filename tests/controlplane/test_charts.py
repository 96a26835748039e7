"""Long series made small: no peak lost, no gap closed."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.telemetry.axes import (
    STEPS,
    TIME_CELLS,
    Axis,
    axis,
    clock_times,
    exact_words,
    number_words,
    round_ratios,
    times,
)
from controlplane.telemetry.charts import (
    Bands,
    ChartSpec,
    Series,
    Threshold,
    bands,
    decimate,
    sparkline,
)
from controlplane.telemetry.model import Histogram, value_of
from controlplane.text import printable_ascii

series = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=300)


@given(series, st.integers(1, 60))
def test_peaks_stay_and_the_size_is_bounded(ys, columns):
    xs, kept = decimate(range(len(ys)), ys, columns)
    assert len(xs) == len(kept) <= 4 * columns
    assert list(xs) == sorted(set(xs))
    assert all(ys[int(x)] == y for x, y in zip(xs, kept, strict=True))
    known = [y for y in ys if y is not None]
    left = [y for y in kept if y is not None]
    assert (min(left, default=None), max(left, default=None)) == (min(known, default=None), max(known, default=None))


@given(st.integers(50, 300), st.data())
def test_a_gap_of_two_columns_is_never_closed(size, data):
    columns = 20
    start = data.draw(st.integers(0, size - 1))
    width = data.draw(st.integers(2 * size // columns + 1, size))
    ys = [None if start <= i < start + width else 1.0 for i in range(size)]
    xs, kept = decimate(range(size), ys, columns)
    between = [i for i, y in enumerate(kept) if y is None]
    assert between
    assert all(start <= xs[i] < start + width for i in between)


def test_a_short_series_is_left_alone():
    assert decimate([1, 2, 3], [5, None, 7], 10) == ([1, 2, 3], [5, None, 7])


def test_all_at_one_time_is_one_column():
    xs, ys = decimate([7.0] * 100, [float(n) for n in range(100)], 4)
    assert (min(ys), max(ys)) == (0.0, 99.0) and len(xs) <= 4


def test_a_sparkline_shows_zero_as_the_least_and_the_unknown_as_a_blank():
    assert sparkline([0, 7, None, 3.5, 7], 5) == "▁█ ▅█"
    assert sparkline([5, 5], 4) == "  ██"
    assert sparkline([0, 0], 2) == "▁▁"
    assert sparkline([-1, 0, 1], 3) == "▁▅█"
    assert sparkline([None, float("nan")], 2) == "  "
    assert sparkline([], 3) == "   "
    assert sparkline([1], 0) == ""


def test_a_sparkline_of_the_least_and_the_greatest_floats():
    assert sparkline([0.0, 2.2250738585e-313], 2) == "▁█"
    assert sparkline([-1.7e308, 0.0, 1.7e308], 3) == "▁▅█"
    assert sparkline([5e-324], 1) == "▁"


def test_a_long_sparkline_keeps_its_peaks_and_its_newest_cell():
    values = [1.0] * 100
    values[37] = 9.0
    assert sparkline(values, 10).count("█") == 1
    assert len(sparkline(values, 10)) == 10
    assert sparkline([*[0.0] * 99, 5.0], 10)[-1] == "█"


def test_a_sparkline_without_utf8():
    assert printable_ascii(sparkline([0, 7, None], 3)) == "_# "


@given(series, st.integers(1, 40))
def test_a_sparkline_has_its_width(values, width):
    assert len(sparkline(values, width)) == width


def upright(values, rows, *, unit="/m", ratios=False, lines=()):
    spec = ChartSpec((Series("x", range(len(values)), values),), unit, 0, 1, tuple(lines), ratios=ratios)
    return axis(spec, rows)


def label_rows(found: Axis, rows: int) -> list[float]:
    return [(at - found.low) / (found.high - found.low) * (rows - 1) for at, _ in found.labels]


@example([0.0, 2.0], 2, True)
@given(st.lists(st.floats(-1e9, 1e12) | st.floats(0, 1), min_size=1, max_size=5), st.integers(2, 60), st.booleans())
def test_every_label_lies_on_a_row_and_all_are_equally_far_apart(values, rows, ratios):
    found = upright(values, rows, ratios=ratios)
    at = label_rows(found, rows)
    assert len(at) >= 2 and at[0] == 0 and at[-1] <= rows - 1 + 1e-6
    assert all(abs(row - round(row)) < 1e-6 for row in at)
    assert len({round(b - a) for a, b in pairwise(at)}) == 1
    least = 1e-9 * max(1, abs(found.high))
    assert all(found.low - least <= found.at(value) <= found.high + least for value in values)
    assert len({words for _, words in found.labels}) == len(found.labels)


DAY = 86_400.0


@given(
    begin=st.integers(0, 3 * 10**9),
    span=st.integers(300, 400 * 86_400),
    columns=st.integers(12, 240),
    quarters=st.integers(-48, 56),
)
def test_times_are_round_evenly_placed_and_never_run_into_each_other(begin, span, columns, quarters):
    offset = timedelta(minutes=15 * quarters)
    found = times(begin, begin + span, columns, offset)
    assert all(begin <= at <= begin + span for at in found)
    apart = {round(b - a) for a, b in pairwise(found)}
    assert len(apart) <= 1 and apart <= set(STEPS)
    shift = offset.total_seconds()
    assert all((at + shift) % (min(apart) if apart else 60) == 0 for at in found)
    places = [round((at - begin) / span * (columns - 1)) for at in found]
    gaps = [b - a for a, b in pairwise(places)]
    assert all(gap > TIME_CELLS for gap in gaps) and max(gaps, default=0) - min(gaps, default=0) <= 1
    assert len(found) >= 2 or columns < 60 or span > 100 * DAY
    assert all(len(words) == TIME_CELLS for words in clock_times(found, offset))


@given(st.floats(1e-3, 1e6), st.floats(1, 1e6), st.integers(2, 12))
def test_ratios_are_round_and_at_most_as_many(low, times_more, most):
    found = round_ratios(low, low * times_more, most)
    assert len(found) <= most and all(low * 0.94 <= value <= low * times_more * 1.06 for value in found)
    assert all(f"{value:.0e}"[0] in "13" for value in found)
    steps = [math.log10(b / a) for a, b in pairwise(found)]
    assert max(steps, default=0) - min(steps, default=0) < 0.05, "3 stands for the root of 10"


def test_labels_are_round_and_as_many_as_there_is_room_for():
    assert [words for _, words in upright([1460.0], 15).labels] == ["0/m", "500/m", "1,000/m", "1,500/m"]
    assert [words for _, words in upright([0.03], 15).labels][:2] == ["0.00/m", "0.01/m"]
    assert [words for _, words in upright([0.0], 9).labels] == ["0.0/m", "0.5/m", "1.0/m"]
    assert [words for _, words in upright([-20.0, 100.0], 11, unit="%").labels] == ["-50%", "0%", "50%", "100%"]
    assert [words for _, words in upright([46.0], 6).labels] == ["0/m", "20/m", "40/m"]
    near = upright([90.0], 15, lines=[Threshold(150, "SLO")])
    assert near.high >= 150 > upright([90.0], 15).high


def test_of_ratios_a_small_value_beside_a_large_one_stands_above_the_foot():
    found = upright([12.0, 1450.0], 15, unit="ms", ratios=True)
    assert [words for _, words in found.labels] == ["10ms", "30ms", "100ms", "300ms", "1s"]
    for low in (0.1, 0.5, 1.0, 3.0, 12.0, 40.0, 87.0, 100.0):
        for rows in (4, 8, 11, 15, 30):
            found = upright([low, 1450.0], rows, unit="ms", ratios=True)
            assert (found.at(low) - found.low) / (found.high - found.low) * (rows - 1) > 0.05, (low, rows)


@pytest.mark.parametrize(
    ("values", "rows", "labels", "high"),
    [
        ([46.0], 2, "0 50", 50),
        ([46.0], 30, "0 5 10 15 20 25 30 35 40 45", 48.333),
        ([0.7], 9, "0.0 0.2 0.4 0.6 0.8", 0.8),
        ([7.0], 30, "0 1 2 3 4 5 6 7", 7.25),
        ([123456.0], 15, "0 50,000 100,000", 140_000),
        ([-5.0, 0.0], 9, "-6 -4 -2 0 2", 2),
        ([-20.0, 100.0], 3, "-20 100", 100),
        ([-20.0, 100.0], 15, "-20 0 20 40 60 80 100 120", 120),
    ],
)
def test_labels_for_as_many_rows_as_there_are(values: list[float], rows: int, labels: str, high: float) -> None:
    found = upright(values, rows, unit="")
    assert " ".join(words for _, words in found.labels) == labels and found.high == pytest.approx(high, rel=1e-4)
    assert found.at(3.0) == 3.0


@pytest.mark.parametrize(
    ("values", "rows", "labels", "high"),
    [
        ([12.0, 1450.0], 2, "1 10,000", 4),
        ([12.0, 1450.0], 9, "1 10 100 1,000 10,000", 4),
        ([1.0, 1e6], 15, "0.1 1 10 100 1,000 10,000 100,000 1,000,000", 6),
        ([30.0], 15, "10 30 100", 2.4),
        ([0.0, 5.0], 2, "0.001 5", 0.699),
    ],
)
def test_labels_of_ratios(values: list[float], rows: int, labels: str, high: float) -> None:
    found = upright(values, rows, unit="", ratios=True)
    assert " ".join(words for _, words in found.labels) == labels and found.high == pytest.approx(high, rel=1e-3)
    assert found.at(1000.0) == pytest.approx(3) and found.at(0.0) == pytest.approx(-3), "there is no place for less"


def test_numbers_have_the_decimals_that_tell_them_apart():
    said = [number_words(value, "ms", step) for value, step in ((5, 1), (5, 0.1), (5, 0.05), (1234.5, 10), (0, 0))]
    assert said == ["5ms", "5.0ms", "5.00ms", "1,234ms", "0ms"]
    assert number_words(3, "x" * 9, -0.5) == "3.0" + "x" * 7 + "…"


def test_a_line_far_above_the_values_does_not_flatten_them():
    assert upright([50.0], 9, lines=[Threshold(100, "SLO")]).high >= 100
    assert upright([50.0], 9, lines=[Threshold(101, "SLO")]).high < 100


def test_bands_of_equal_ratio_hold_what_is_in_them():
    steps = [Histogram((0, 9), (1, 3)), None, Histogram((4,), (2,)), Histogram((5,), (2,))]
    found = bands(steps, 4, 2)
    assert found == Bands((value_of(4), value_of(9)), ((0.25, 0.75), None, (1.0, 0.0), (0.0, 1.0)))
    assert bands(steps, 2, 2) == Bands(found.tops, ((0.25, 0.75), (0.5, 0.5))), "two steps in a column"
    wide = bands(steps, 8, 1)
    assert wide is not None and wide.shares == ((1.0,),) * 2 + (None,) * 2 + ((1.0,),) * 4
    three = bands(steps, 4, 3)
    assert three is not None and three.tops == tuple(value_of(bucket) for bucket in (3, 7, 11))
    assert bands([None], 4, 2) is bands(steps, 0, 2) is bands(steps, 4, 0) is None


def test_of_each_column_the_least_and_the_greatest_stay_and_a_gap_at_its_edge():
    xs = range(100, 112)
    ys = [1.0, 9.0, 5.0, 4.0, 3.0, 2.0, None, 7.0, 7.5, 6.0, 8.0, None]
    assert decimate(xs, ys, 2) == ([100, 101, 106, 109, 110, 111], [1.0, 9.0, None, 6.0, 8.0, None])
    assert decimate(xs, ys, 6) == ([*xs], ys), "twice as many as columns fit"


def test_a_sparkline_of_more_values_than_cells_shows_the_greatest_of_each():
    assert sparkline([1.0, 8.0, 2.0, 3.0, 4.0], 3) == "▂█▅"
    assert sparkline([1.0, 8.0, 2.0, 3.0], 2) == "█▄"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        *((14.4, "×", "14.4×"), (1.0, "×", "1×"), (1250.0, "ms", "1,250ms"), (0.5, "", "0.5"), (100.0, "", "100")),
        *((0.0, "/m", "0/m"), (0.05, "%", "0.05%"), (123.456, "", "123"), (12.345, "", "12.3"), (20.0, "", "20")),
    ],
)
def test_a_value_by_itself_has_three_digits_where_it_has_them(value: float, unit: str, words: str) -> None:
    assert exact_words(value, unit) == words
