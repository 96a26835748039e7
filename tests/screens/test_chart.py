"""Charts: what is not known stays open, foreign names are inert, only changed cells are painted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from controlplane.telemetry.charts import ChartSpec, HeatSpec, Mark, Series, Threshold
from controlplane.telemetry.model import Histogram
from controlplane.text import cells
from screens.widgets.chart import Chart
from screens.widgets.heat import heated
from screens.widgets.plot import draw, finish
from tests.screens.desk import Desk, strips, texts

DAY = 86_400.0
XS = [DAY * 19_000 + 60 * n for n in range(1440)]


def spec(ys, *, name="p95", tone="", thresholds=(), more=()):
    return ChartSpec((Series(name, XS[: len(ys)], ys, tone), *more), "ms", XS[0], XS[-1], tuple(thresholds))


def shown(lines):
    return ["".join(text for text, _ in runs) for runs in lines]


def drawn_columns(lines, marker="*"):
    """The columns of the plot in which something is drawn."""
    plot = shown(lines)[2:-2]
    return {x for line in plot for x, char in enumerate(line) if char == marker}


@pytest.mark.parametrize(("width", "height"), [(80, 12), (120, 20), (24, 6), (10, 3), (1, 1)])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_chart_has_exactly_the_size_it_was_given(width, height, ascii_only):
    for ys in ([200.0] * 1440, [None] * 10, [0.0, 5.0], [-3.0, 4.0]):
        lines = shown(draw(spec(ys, thresholds=[Threshold(250, "SLO")]), width, height, ascii_only=ascii_only))
        assert len(lines) == height
        assert [cells(line) for line in lines] == [width] * height
        assert all(line.isprintable() and (line.isascii() or not ascii_only) for line in lines)


def test_a_gap_is_a_gap_and_never_zero():
    ys = [100.0 if n < 480 or n >= 960 else None for n in range(1440)]
    lines = draw(spec(ys), 100, 15, ascii_only=True)
    columns = drawn_columns(lines)
    left = next(x for x, char in enumerate(shown(lines)[2]) if char in "|+")
    middle = {x for x in columns if left + 35 < x < left + 60}
    assert len(columns) > 55 and not middle
    whole = drawn_columns(draw(spec([100.0] * 1440), 100, 15, ascii_only=True))
    assert {x for x in whole if left + 35 < x < left + 60}


def test_a_single_spike_in_a_day_is_seen():
    ys = [10.0] * 1440
    ys[700] = 900.0
    flat = shown(draw(spec(ys), 80, 12, ascii_only=True))
    assert "1s" in "".join(flat)
    assert sum("*" in line for line in flat[2:-2]) > 4


def test_without_data_it_says_so_and_draws_no_axis():
    lines = shown(draw(spec([None, float("nan")]), 60, 9))
    assert "no data from 01-08 00:00 to 01-08 23:59" in "".join(lines)
    assert "┤" not in "".join(lines)


def test_times_are_those_of_the_zone():
    ys = [1.0] * 1440
    assert shown(draw(spec(ys), 80, 10))[-1].split() == ["01-08", "06:00", "12:00", "18:00"]
    east = shown(draw(spec(ys), 80, 10, timedelta(hours=5, minutes=30)))[-1].split()
    assert east == ["06:00", "12:00", "18:00", "01-09"]


def test_a_threshold_is_named_and_drawn_when_the_values_come_near_it():
    near = shown(draw(spec([100.0] * 1440, thresholds=[Threshold(150, "SLO")]), 80, 14))
    assert "SLO 150ms" in near[0] and any(line.count("┈") > 40 for line in near[1:])
    far = shown(draw(spec([1.0] * 1440, thresholds=[Threshold(150, "SLO")]), 80, 14))
    assert "SLO 150ms" in far[0] and not any("┈" in line for line in far[1:])


def test_two_series_differ_without_colour():
    other = Series("p50", XS, [50.0] * 1440)
    lines = shown(draw(spec([100.0] * 1440, more=[other]), 80, 14))
    assert lines[0].startswith("⠒ p95  • p50")
    assert any(line.count("•") > 40 for line in lines[1:])


def test_tones_come_through():
    lines = draw(spec([100.0] * 1440, tone="bad", thresholds=[Threshold(100, "SLO", "warn")]), 80, 14)
    tones = {tone for runs in lines[1:] for _, tone in runs}
    assert "bad" in tones and tones <= {"", "bad", "warn"}


def test_drawing_one_chart_leaves_nothing_in_the_next():
    first = draw(spec([100.0] * 1440), 80, 12)
    draw(spec([5.0, 3.0], name="other", thresholds=[Threshold(4, "x")]), 40, 9, timedelta(hours=3), ascii_only=True)
    assert draw(spec([100.0] * 1440), 80, 12) == first


def test_foreign_names_are_inert():
    lines = shown(draw(spec([1.0] * 9, name="\x1b]52;c;eA==\x07[@click=app.quit]\u202e\n"), 80, 12))
    assert all(line.isprintable() for line in lines) and len(lines) == 12
    assert "[@click=app.quit]" in lines[0]


@pytest.mark.parametrize("width", [40, 61, 80, 120])
def test_the_cursor_and_marks_stand_where_their_time_is_drawn(width):
    for share in (0.0, 0.137, 0.5, 0.99, 1.0):
        x = XS[0] + share * (XS[-1] - XS[0])
        lone = ChartSpec((Series("p95", [x], [5.0]),), "ms", XS[0], XS[-1], marks=(Mark(x, "bad"),))
        lines = draw(lone, width, 12, cursor=x)
        plot = shown(lines)[2:-2]
        (drawn,) = {column for line in plot for column, char in enumerate(line) if "\u2801" <= char <= "\u28ff"}
        upright = [line[drawn] for line in plot]
        assert upright.count("│") >= 7, "the value itself stays"
        assert shown(lines)[-2][drawn] == "▲" and ("▲", "bad") in lines[-2]
        assert [cells(line) for line in shown(lines)] == [width] * 12


def test_a_cursor_outside_of_the_plot_and_without_a_plot_is_nothing():
    for ys in ([100.0] * 1440, [None] * 9):
        assert draw(spec(ys), 80, 12, cursor=XS[0] - 1) == draw(spec(ys), 80, 12)


def test_at_the_cursor_each_pane_says_its_values():
    ys = [100.0 + n for n in range(1440)]
    both = spec(ys, more=[Series("p50", XS, [None] * 1440)])
    lines = shown(draw(both, 80, 12, cursor=XS[700]))
    assert lines[0].startswith("⠒ p95 800ms  • p50 –  ")
    assert shown(draw(both, 80, 12))[0].startswith("⠒ p95  • p50  ")
    steps = (*(Histogram.of([10.0] * 90 + [400.0] * 10) for _ in range(30)), *([None] * 30))
    heat = HeatSpec(steps, XS[0], XS[-1])
    known, unknown = (
        shown(finish(heated(heat, 80, 18, timedelta(), False), heat, XS[at], False))[0] for at in (100, 900)
    )
    assert known.startswith("100 known latencies: 5% in 10ms  half in 10ms  95% in 4") and unknown.startswith("no data")


def test_a_range_is_drawn_on_the_axis_from_its_begin_to_the_cursor():
    lines = shown(draw(spec([100.0] * 1440), 80, 12, cursor=XS[900], begin=XS[300]))
    axis = lines[-2]
    assert axis.count("═") > 20 and axis.index("┴") < axis.index("═") and axis.count("┴") == 2
    left, right = (x for x, char in enumerate(axis) if char == "┴")
    assert set(axis[left + 1 : right]) <= {"═", "▲"} and lines[4][left] == lines[4][right] == "│"
    same = shown(draw(spec([100.0] * 1440), 80, 12, cursor=XS[300], begin=XS[900]))
    assert same[-2] == axis


def test_an_axis_of_ratios_says_so():
    ratios = replace(spec([10.0, 1000.0]), ratios=True)
    assert "log ┌" in shown(draw(ratios, 80, 12))[1].replace("log┌", "log ┌")
    assert "log" not in "".join(shown(draw(spec([10.0, 1000.0]), 80, 12)))


@pytest.mark.parametrize(("width", "height"), [(80, 18), (45, 8), (24, 6), (23, 5), (1, 1)])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_heat_map_has_exactly_its_size_and_tells_a_gap_from_no_request(width, height, ascii_only):
    steps = tuple(None if n in range(20, 40) else Histogram.of([10.0, 10.0, 40_000.0]) for n in range(60))
    heat = HeatSpec(steps, XS[0], XS[-1], limit=250.0)
    lines = finish(heated(heat, width, height, timedelta(), ascii_only), heat, XS[0], ascii_only)
    assert len(lines) == height and [cells(line) for line in shown(lines)] == [width] * height
    assert all(line.isascii() or not ascii_only for line in shown(lines))
    if height > 5 and width > 23:
        axis = max(y for y, line in enumerate(shown(lines)) if line[8] in "└+")
        row = shown(lines)[axis - 1]
        middle = row[9 : width - 1][(width - 10) // 2]
        assert middle == ("-" if ascii_only else "·")
        tones = {tone for runs in lines[2:4] for text, tone in runs if set(text) & set("░▒▓█.:*#")}
        assert "warn" in tones, "400 ms are over the line"
        assert any(">250ms" in line for line in shown(lines)[2:axis]), "seen without colour too"
        assert "latency" in shown(lines)[1]


async def test_only_lines_that_changed_are_painted(monkeypatch):
    chart, regions = Chart(), []
    async with Desk(chart).run_test(size=(80, 16)) as pilot:
        ys = [float(n % 100) for n in range(1440)]
        chart.show(spec(ys))
        await pilot.pause()
        assert "p95" in texts(chart)[0]
        monkeypatch.setattr(chart, "refresh", lambda *asked, **_: regions.extend(asked))
        chart.show(spec(ys))
        assert regions == []
        chart.show(spec([*ys[:-1], 400.0]))
        chart.show(spec([*ys[:-1], 390.0]))
        assert regions and all(region.height == 1 for region in regions)
        assert {region.y for region in regions} <= set(range(16))


async def test_the_widget_says_when_there_is_nothing_and_follows_its_size():
    chart = Chart()
    async with Desk(chart).run_test(size=(80, 16)) as pilot:
        chart.show(None, words="no data since 02:10 (12 min)")
        assert "no data since 02:10 (12 min)" in texts(chart)[8]
        chart.show(spec([100.0] * 1440, tone="bad"))
        await pilot.resize_terminal(60, 12)
        await pilot.pause()
        assert [strip.cell_length for strip in strips(chart)] == [60] * 12


def test_plotext_is_not_imported_before_a_chart_is_drawn():
    code = "import sys, screens.widgets.chart, screens.widgets.plot; sys.exit('plotext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
