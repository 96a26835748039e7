"""What a chart shows, and how a long series is thinned out without losing its peaks and its gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from controlplane.telemetry.model import Histogram, merge, value_of
from controlplane.text import clean

Tone = Literal["", "good", "bad", "warn", "muted"]
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Series:
    """`xs`: ascending POSIX seconds. `ys`: one value each; None where nothing is known, never 0 instead."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    tone: Tone = ""


@dataclass(frozen=True)
class Threshold:
    """A line that the values are compared with."""

    value: float
    name: str
    tone: Tone = "warn"


@dataclass(frozen=True)
class Mark:
    """Something that happened at a time; drawn on the axis."""

    x: float
    tone: Tone = "warn"
    glyph: str = "▲"


@dataclass(frozen=True)
class ChartSpec:
    """`x_from` to `x_to`: the time shown, in POSIX seconds, whether there is data or not. `unit`: follows each value.

    `notes` follow the names: what the picture alone does not say. `nothing`: shown when there is no value. `ratios`:
    the scale is logarithmic, so that a small value beside a large one is still seen; no value is 0 then.
    """

    series: tuple[Series, ...]
    unit: str
    x_from: float
    x_to: float
    thresholds: tuple[Threshold, ...] = ()
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    nothing: str = ""
    ratios: bool = False

    @property
    def values(self) -> list[float]:
        """All that are known."""
        return [value for series in self.series for value in series.ys if value is not None and known(value)]


@dataclass(frozen=True)
class HeatSpec:
    """How latencies are distributed over time: a histogram for each step of time, all equally long; None without data.

    `limit`: the latency in ms that they are compared with.
    """

    steps: tuple[Histogram | None, ...]
    x_from: float
    x_to: float
    limit: float | None = None
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Bands:
    """`tops`: the upper latency of each band in ms, lowest band first. `shares[column][band]`: None: nothing known."""

    tops: tuple[float, ...]
    shares: tuple[tuple[float, ...] | None, ...]


def bands(steps: Sequence[Histogram | None], columns: int, most: int) -> Bands | None:
    """At most `most` bands of equal ratio over all latencies, and the share of each column's requests in each band.

    A column of several steps holds all their requests; one shorter than a step holds the step that it lies in.
    """
    known = [step for step in steps if step is not None and step.buckets]
    if not known or columns < 1 or most < 1:
        return None
    low, high = min(step.buckets[0] for step in known), max(step.buckets[-1] for step in known)
    size = -(-(high - low + 1) // most)
    number = -(-(high - low + 1) // size)
    shares: list[tuple[float, ...] | None] = []
    for column in range(columns):
        first, last = column * len(steps) // columns, (column + 1) * len(steps) // columns
        whole = merge(step for step in steps[first : max(last, first + 1)] if step is not None)
        if not whole.n:
            shares.append(None)
            continue
        counts = [0] * number
        for bucket, count in zip(whole.buckets, whole.counts, strict=True):
            counts[(bucket - low) // size] += count
        shares.append(tuple(count / whole.n for count in counts))
    return Bands(tuple(value_of(low + size * (n + 1) - 1) for n in range(number)), tuple(shares))


def known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def decimate(xs: Sequence[float], ys: Sequence[float | None], columns: int) -> tuple[list[float], list[float | None]]:
    """The least and the greatest value of each of `columns` (≥ 1) slices of time, in the order they came.

    At most four points a column. A gap that reaches a column's edge is kept (None); a shorter one is too small to show.
    """
    if len(xs) <= 2 * columns:
        return list(xs), list(ys)
    start, width = xs[0], (xs[-1] - xs[0]) / columns or 1
    kept: list[int] = []
    for _, slots in groupby(range(len(xs)), key=lambda i: min(int((xs[i] - start) / width), columns - 1)):
        column = list(slots)
        values = {i: value for i in column if (value := ys[i]) is not None and math.isfinite(value)}
        edges = {i for i in (column[0], column[-1]) if i not in values}
        peaks = {min(values, key=values.__getitem__), max(values, key=values.__getitem__)} if values else set()
        kept += sorted(edges | peaks)
    return [xs[i] for i in kept], [ys[i] for i in kept]


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The last `width` cells of a trend; unknown values are blank. The scale begins at 0, or at the least value below.

    With more values than cells, each cell shows its greatest. `printable_ascii` makes it fit for any terminal.
    """
    if width <= 0:
        return ""
    size = max(1, -(-len(values) // width))
    cut = len(values) % size
    groups = [values[:cut]] if cut else []
    groups += [values[i : i + size] for i in range(cut, len(values), size)]
    tops = [max((v for v in group if v is not None and math.isfinite(v)), default=None) for group in groups]
    there = [top for top in tops if top is not None]
    low, high = min([0.0, *there]), max([0.0, *there])
    span = high / 2 - low / 2  # halves, because the difference of two floats may overflow
    steps = [None if top is None else (top / 2 - low / 2) / span if span else 0.0 for top in tops]
    return "".join(" " if step is None else BLOCKS[round(step * (len(BLOCKS) - 1))] for step in steps).rjust(width)


@dataclass(frozen=True)
class Axis:
    """The axis of a chart's values: `at` places them between `low` (the foot) and `high`, as the labels are, in equal
    steps.
    """

    low: float
    high: float
    labels: tuple[tuple[float, str], ...]
    ratios: bool = False

    def at(self, value: float) -> float:
        return math.log10(max(value, MIN_LATENCY_MS)) if self.ratios else value


MIN_LATENCY_MS = 1e-3
"""The least value of a logarithmic axis."""
MAX_TICK_ROWS = 5
"""The most rows between two labels."""


def axis(spec: ChartSpec, rows: int) -> Axis:
    """The axis for the values of a chart of `rows` rows: each label lies on a row, at equal distances."""
    top = max(spec.values)
    top = max([top, *(line.value for line in spec.thresholds if line.value <= 2 * top)])
    gaps = max(1, rows - 1)
    return (_ratios if spec.ratios else _linear)(min(spec.values), top, gaps, spec.unit)


def _linear(low: float, top: float, gaps: int, unit: str) -> Axis:
    """Round numbers from 0 (or below) to above all values: three labels at least if there is room, and little space
    above.
    """
    low, top = min(0.0, low), max(0.0, top)
    high = top - low if top - low >= MIN_LATENCY_MS / 1e6 else 1.0
    fits = []
    for apart in range(min(2, gaps), min(MAX_TICK_ROWS, gaps) + 1):
        if low < 0 and gaps // apart < 2:
            continue  # 0 would lie between two labels
        step = _round_up(high * apart / gaps)
        while (foot := math.floor(low / step) * step) + step * gaps / apart < top:
            step = _round_up(step * 1.5)
        fits.append((gaps // apart < 2, step * gaps / apart, abs(apart - 4), foot, step, apart))
    if not fits:
        return Axis(low, top, tuple((value, number_words(value, unit, value)) for value in (low, top)))
    _, span, _, foot, step, apart = min(fits)
    values = [foot + n * step for n in range(gaps // apart + 1)]
    return Axis(foot, foot + span, tuple((value, number_words(value, unit, step)) for value in values))


def _round_up(number: float) -> float:
    """The next number up that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= number * 0.999)


def _ratios(low: float, top: float, gaps: int, unit: str) -> Axis:
    """1, 3, 10, 30, … or powers of ten, of a hundred, …; the least value does not lie on the foot."""
    low, top = math.log10(max(low, MIN_LATENCY_MS)), math.log10(max(top, MIN_LATENCY_MS))
    for size in (0.5, 1.0, 2.0, 4.0):
        foot = (math.ceil(low / size - 0.15) - 1) * size
        apart = min(MAX_TICK_ROWS, gaps, int(gaps * size / (top - foot)))
        if apart >= min(2, gaps):
            break
    if foot + gaps / max(1, apart) * size < top:  # two rows: one label for each end
        foot = min(low, top - 1)
        ends = [(place, number_words(10.0**place, unit, 10.0**place)) for place in (foot, top)]
        return Axis(foot, top, tuple(ends), ratios=True)
    apart = max(1, apart)
    places = [foot + n * size for n in range(gaps // apart + 1)]
    words = [10.0 ** math.floor(place) * (3 if place % 1 else 1) for place in places]
    labels = tuple((place, number_words(value, unit, value)) for place, value in zip(places, words, strict=True))
    return Axis(foot, foot + gaps / apart * size, labels, ratios=True)


def exact_words(value: float, unit: str) -> str:
    """A value by itself, with three digits at least where it has them: "14.4×", "1×", "1,250ms"."""
    words = number_words(value, "", value / 100)
    return (words.rstrip("0").rstrip(".") if "." in words else words) + clean(unit, 8)


def number_words(value: float, unit: str, step: float) -> str:
    """A value with as many decimals as it takes to tell values one `step` apart."""
    decimals = max(0, -math.floor(math.log10(abs(step) or 1.0) + 0.001))
    return f"{value:,.{decimals}f}{clean(unit, 8)}"
