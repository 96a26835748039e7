"""The one place that knows plotext: a `ChartSpec` in, lines of text out.

Its figure is one object for the whole process, so this runs on the event loop only; it is imported when first used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta
from textwrap import wrap
from typing import Any

from controlplane.formatting import milliseconds
from controlplane.telemetry.axes import Axis, axis, clock_times, exact_words, moment, times
from controlplane.telemetry.charts import (
    ChartSpec,
    HeatSpec,
    Series,
    Tone,
    decimate,
    known,
    sparkline,
)
from controlplane.text import UNKNOWN, cells, clean, fit, printable_ascii

Run = tuple[str, Tone]
"""Text of one tone."""

LEAST_WIDTH, LEAST_HEIGHT = 24, 6
OF_THE_FRAME = 3
"""Lines above and below the rows that values are drawn in."""
COLOURS: dict[Tone, int] = {"": 7, "bad": 1, "good": 2, "warn": 3, "muted": 8}
"""The colour that stands for a tone in plotext; its other colours, those of its frame, become plain."""
RANGE = "═"
"""Drawn on the axis of a range of time."""
TONES = {str(colour): tone for tone, colour in COLOURS.items()}
MARKERS = ("braille", "•", "+", "x")
ASCII_MARKERS = ("*", "o", "+", "x")
_CODES = re.compile("\x1b\\[([0-9;]*)m")


def draw(
    spec: ChartSpec,
    width: int,
    height: int,
    zone_offset: timedelta = timedelta(),
    *,
    ascii_only: bool = False,
    cursor: float | None = None,
    begin: float | None = None,
) -> list[list[Run]]:
    """`height` lines of `width` cells: the names, then the plot, with times in the zone `zone_offset` east of UTC.

    Without any value it says so; where there is no room for a plot, a sparkline of each series stands for it.
    `cursor`: a time, drawn as an upright line; the names then have their values there. `begin`: the other end of a
    range.
    """
    return finish(plotted(spec, width, height, zone_offset, ascii_only), spec, cursor, ascii_only, begin)


def plotted(spec: ChartSpec, width: int, height: int, zone_offset: timedelta, ascii_only: bool) -> list[list[Run]]:
    """The chart as `finish` takes it: marks and cursor are drawn there, for they change more often."""
    if width < 1 or height < 1:
        return []
    if not spec.values:
        lines = nothing(spec.x_from, spec.x_to, width, height, zone_offset, spec.nothing)
    elif width < LEAST_WIDTH or height < LEAST_HEIGHT:
        lines = [_small(series, width) for series in spec.series[:height]]
    else:
        markers = ASCII_MARKERS if ascii_only else MARKERS
        lines = [_names(spec, markers, width), *_plot(spec, markers, width, height - 1, zone_offset)]
    return lines + [[(" " * width, "")] for _ in range(height - len(lines))]


def finish(
    lines: list[list[Run]],
    spec: ChartSpec | HeatSpec,
    cursor: float | None,
    ascii_only: bool,
    begin: float | None = None,
) -> list[list[Run]]:
    """Add the marks on the axis, the cursor in the blanks of its column with the values there, and the range from
    `begin` to it; turn all into ASCII if asked.
    """
    first = "".join(text for text, _ in lines[1]) if len(lines) > 1 else ""
    if "┌" in first:  # else there is no plot to draw upon
        left, right = first.index("┌") + 1, first.index("┐") - 1
        axis = next(y for y, line in enumerate(lines) if "└" in "".join(text for text, _ in line))
        lines = list(lines)
        there = [x for x in (begin, cursor) if x is not None and spec.x_from <= x <= spec.x_to]
        ends = [place(spec, x, left, right) for x in there]
        for at in range(min(ends, default=0), max(ends, default=0)):
            lines[axis] = _put(lines[axis], at, RANGE, "warn")
        for at in ends:
            for y in range(2, axis):
                lines[y] = _put(lines[y], at, "│", "", (" ", "⠀"))
            lines[axis] = _put(lines[axis], at, "┴", "")
        if cursor is not None and cursor in there:
            width, markers = sum(cells(text) for text, _ in lines[0]), ASCII_MARKERS if ascii_only else MARKERS
            here = _shares(spec, cursor) if isinstance(spec, HeatSpec) else _valued(spec, markers, cursor)
            lines[0] = fitted(here, width)
        for mark in spec.marks:
            if spec.x_from <= mark.x <= spec.x_to:
                lines[axis] = _put(lines[axis], place(spec, mark.x, left, right), mark.glyph, mark.tone)
    return [[(_ascii(text), tone) for text, tone in line] for line in lines] if ascii_only else lines


def _valued(spec: ChartSpec, markers: Sequence[str], x: float) -> list[Run]:
    """The series with their values at a time."""
    said: list[Run] = []
    for number, (series, value) in enumerate(zip(spec.series, spec.at(x), strict=True)):
        words = UNKNOWN if value is None else exact_words(value, spec.unit)
        said.append((f"{_marked(series, markers[number % len(markers)])} {words}  ", series.tone))
    return said


def _shares(spec: HeatSpec, x: float) -> list[Run]:
    """Below which latencies the requests of that step are."""
    step = spec.at(x)
    if step is None or not step.n:
        return [("no data", "muted")]
    ranks = ((0.05, "5%"), (0.5, "half"), (0.95, "95%"))
    said = "  ".join(f"{words} in {milliseconds(step.percentile(rank))}" for rank, words in ranks)
    return [(f"{step.n:,} known latencies: {said}", "")]


def _marked(series: Series, marker: str) -> str:
    return f"{'⠒' if marker == 'braille' else marker} {clean(series.name, 40)}"


def place(spec: ChartSpec | HeatSpec, x: float, left: int, right: int) -> int:
    """The column that a time is drawn in, between the plot's first and last columns."""
    share, wide = (x - spec.x_from) / ((spec.x_to - spec.x_from) or 1.0), right - left
    if isinstance(spec, HeatSpec):  # its columns are spans of time, not times
        return left + min(wide, int(share * (wide + 1)))
    return left + math.floor(share * wide + 0.5)


def _put(line: list[Run], at: int, glyph: str, tone: Tone, over: Sequence[str] = ()) -> list[Run]:
    """One cell of a line of single-width characters replaced; with `over` only when it is one of those."""
    runs: list[Run] = []
    x = 0
    for text, old in line:
        here = at - x
        x += len(text)
        if 0 <= here < len(text) and (not over or text[here] in over):
            runs += [(text[:here], old), (glyph, tone), (text[here + 1 :], old)]
        else:
            runs.append((text, old))
    return [run for run in runs if run[0]]


def _plot(spec: ChartSpec, markers: Sequence[str], width: int, height: int, offset: timedelta) -> list[list[Run]]:
    import plotext

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear.all()
    figure.plot_size(width, height).canvas("default").legend(False)
    upright = axis(spec, height - OF_THE_FRAME)
    places, words = zip(*upright.labels, strict=True)
    figure.ruler("y").lim(upright.low, upright.high).ticks(list(places), list(words))
    moments = times(spec.x_from, spec.x_to, width - max(map(cells, words)) - 3, offset)
    figure.ruler("x").lim(spec.x_from, spec.x_to).ticks(moments, clock_times(moments, offset))
    for line in spec.thresholds:
        if upright.low <= (at := upright.at(line.value)) <= upright.high:
            figure.line(at, pixel=COLOURS[line.tone], style="dotted")
    order = sorted(range(len(spec.series)), key=lambda number: (spec.series[number].tone != "muted", -number))
    for number in order:  # the first is drawn over the others, a series to compare with under them
        series = spec.series[number]
        _add(figure, series, upright, plotext.marker(markers[number % len(markers)], COLOURS[series.tone]), width)
    lines = [_runs(line, width) for line in str(figure.build().string()).split("\n")[:height]]
    return [_logarithmic(lines[0]), *lines[1:]] if spec.ratios else lines


def _logarithmic(top: list[Run]) -> list[Run]:
    """The plot's upper edge, with the words that the axis below it is of ratios."""
    text = "".join(words for words, _ in top)
    gutter = text.index("┌")
    return [(fit("log", gutter, "right"), "muted"), (text[gutter:], "")]


def _add(figure: Any, series: Series, upright: Axis, marker: Any, width: int) -> None:
    """Draw a line through the values, broken where one is not known."""
    xs, ys = decimate(series.xs, series.ys, width)
    there = [(i, upright.at(value)) for i, value in enumerate(ys) if value is not None and known(value)]
    signal = figure.signal([xs[i] for i, _ in there], [value for _, value in there], marker=marker)
    for place, (i, _) in enumerate(there):
        signal.line(place, place > 0 and there[place - 1][0] == i - 1)
    figure.draw(signal)


def _runs(line: str, width: int) -> list[Run]:
    """What plotext wrote, as text and tones; its own colours and backgrounds are dropped."""
    runs: list[Run] = []
    tone: Tone = ""
    used = 0
    for number, part in enumerate(_CODES.split(line)):
        if number % 2 == 0:
            text = part[: width - used]
            used += len(text)
            if text and runs and runs[-1][1] == tone:
                runs[-1] = (runs[-1][0] + text, tone)
            elif text:
                runs.append((text, tone))
        elif part.startswith("38;5;"):
            tone = TONES.get(part.removeprefix("38;5;"), "")
        elif part == "0":
            tone = ""
    return [*runs, (" " * (width - used), "")] if used < width else runs


def _names(spec: ChartSpec, markers: Sequence[str], width: int) -> list[Run]:
    """The legend: the series with their markers, then the thresholds."""
    named: list[Run] = []
    for number, series in enumerate(spec.series):
        named.append((f"{_marked(series, markers[number % len(markers)])}  ", series.tone))
    for line in spec.thresholds:
        named.append((f"┈ {clean(line.name, 40)} {exact_words(line.value, spec.unit)}  ", line.tone))
    return fitted([*named, *((f"{clean(note, 120)}  ", "warn") for note in spec.notes)], width)


def fitted(named: Sequence[Run], width: int) -> list[Run]:
    """Runs in exactly `width` cells."""
    runs: list[Run] = []
    for text, tone in named:
        if width > 0:
            runs.append((text if cells(text) <= width else fit(text, width), tone))
            width -= cells(runs[-1][0])
    return [*runs, (" " * width, "")] if width else runs


def nothing(x_from: float, x_to: float, width: int, height: int, offset: timedelta, words: str = "") -> list[list[Run]]:
    begin, end = (f"{moment(x, offset):%m-%d %H:%M}" for x in (x_from, x_to))
    said = wrap(clean(words, 200) or f"no data from {begin} to {end}", width)[:height]
    first = (height - len(said)) // 2
    rows: list[Run] = [(" " * width, "")] * height
    rows[first : first + len(said)] = [(fit(each, width, "centre"), "muted") for each in said]
    return [[row] for row in rows]


def _small(series: Series, width: int) -> list[Run]:
    name = clean(series.name, 12)
    return [(fit(f"{name} {sparkline(series.ys, width - cells(name) - 1)}", width), series.tone)]


def _ascii(text: str) -> str:
    return printable_ascii(text)
