"""The one place that knows plotext: a `ChartSpec` in, lines of text out.

Its figure is one object for the whole process, so this runs on the event loop only; it is imported when first used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from textwrap import wrap
from typing import Any

from controlplane.telemetry.charts import (
    Axis,
    ChartSpec,
    HeatSpec,
    Series,
    Tone,
    axis,
    decimate,
    exact_words,
    known,
    sparkline,
)
from controlplane.text import cells, clean, fit, printable_ascii

Run = tuple[str, Tone]
"""Text of one tone."""

LEAST_WIDTH, LEAST_HEIGHT = 24, 6
OF_THE_FRAME = 3
"""Lines above and below the rows that values are drawn in."""
COLOURS: dict[Tone, int] = {"": 7, "bad": 1, "good": 2, "warn": 3, "muted": 8}
"""The colour that stands for a tone in plotext; its other colours, those of its frame, become plain."""
TONES = {str(colour): tone for tone, colour in COLOURS.items()}
MARKERS = ("braille", "•", "+", "x")
ASCII_MARKERS = ("*", "o", "+", "x")
MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS = (
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 7, 14, 30, 90, 365)),
)
_CODES = re.compile("\x1b\\[([0-9;]*)m")


def draw(
    spec: ChartSpec,
    width: int,
    height: int,
    zone_offset: timedelta = timedelta(),
    *,
    ascii_only: bool = False,
    cursor: float | None = None,
) -> list[list[Run]]:
    """`height` lines of `width` cells: the names, then the plot, with times in the zone `zone_offset` east of UTC.

    Without any value it says so; where there is no room for a plot, a sparkline of each series stands for it.
    `cursor`: a time, drawn as an upright line.
    """
    return finish(plotted(spec, width, height, zone_offset, ascii_only), spec, cursor, ascii_only)


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
    lines: list[list[Run]], spec: ChartSpec | HeatSpec, cursor: float | None, ascii_only: bool
) -> list[list[Run]]:
    """Add the marks on the axis and the cursor in the blanks of its column, and turn all into ASCII if asked."""
    first = "".join(text for text, _ in lines[1]) if len(lines) > 1 else ""
    if "┌" in first:  # else there is no plot to draw upon
        left, right = first.index("┌") + 1, first.index("┐") - 1
        axis = next(y for y, line in enumerate(lines) if "└" in "".join(text for text, _ in line))
        lines = list(lines)
        if cursor is not None and spec.x_from <= cursor <= spec.x_to:
            at = place(spec, cursor, left, right)
            for y in range(2, axis):
                lines[y] = _put(lines[y], at, "│", "", (" ", "⠀"))
            lines[axis] = _put(lines[axis], at, "┴", "")
        for mark in spec.marks:
            if spec.x_from <= mark.x <= spec.x_to:
                lines[axis] = _put(lines[axis], place(spec, mark.x, left, right), mark.glyph, mark.tone)
    return [[(_ascii(text), tone) for text, tone in line] for line in lines] if ascii_only else lines


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
    moments = times(spec.x_from, spec.x_to, width, offset)
    figure.ruler("x").lim(spec.x_from, spec.x_to).ticks(moments, clock_times(moments, offset))
    for line in spec.thresholds:
        if upright.low <= (at := upright.at(line.value)) <= upright.high:
            figure.line(at, pixel=COLOURS[line.tone], style="dotted")
    order = sorted(range(len(spec.series)), key=lambda number: (spec.series[number].tone != "muted", -number))
    for number in order:  # the first is drawn over the others, a series to compare with under them
        series = spec.series[number]
        _add(figure, series, upright, plotext.marker(markers[number % len(markers)], COLOURS[series.tone]), width)
    return [_runs(line, width) for line in str(figure.build().string()).split("\n")[:height]]


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
        mark = markers[number % len(markers)]
        named.append((f"{'⠒' if mark == 'braille' else mark} {clean(series.name, 40)}  ", series.tone))
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
    begin, end = (f"{_moment(x, offset):%m-%d %H:%M}" for x in (x_from, x_to))
    said = wrap(clean(words, 200) or f"no data from {begin} to {end}", width)[:height]
    first = (height - len(said)) // 2
    rows: list[Run] = [(" " * width, "")] * height
    rows[first : first + len(said)] = [(fit(each, width, "centre"), "muted") for each in said]
    return [[row] for row in rows]


def _small(series: Series, width: int) -> list[Run]:
    name = clean(series.name, 12)
    return [(fit(f"{name} {sparkline(series.ys, width - cells(name) - 1)}", width), series.tone)]


def times(begin: float, end: float, width: int, offset: timedelta) -> list[float]:
    """Round times of the zone, as many as have room."""
    span, shift = max(end - begin, 1.0), offset.total_seconds()
    step = next((step for step in STEPS if span / step <= max(1, width // 14)), STEPS[-1])
    first = math.ceil((begin + shift) / step)
    return [n * step - shift for n in range(first, math.floor((end + shift) / step) + 1)]


def clock_times(times: Sequence[float], offset: timedelta) -> list[str]:
    """Hours and minutes; the date at midnight."""
    moments = [_moment(time, offset) for time in times]
    return [f"{at:%H:%M}" if (at.hour, at.minute) != (0, 0) else f"{at:%m-%d}" for at in moments]


def _moment(seconds: float, offset: timedelta) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) + offset


def _ascii(text: str) -> str:
    return printable_ascii(text.replace("┈", "."))
