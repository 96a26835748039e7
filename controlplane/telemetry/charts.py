"""What a chart shows, and how a long series is thinned out without losing its peaks and its gaps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from controlplane.telemetry.model import Histogram, merge, value_of

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

    def at(self, x: float) -> list[float | None]:
        """The value of each series in the step that begins at a time, or in the last one before it."""
        found: list[float | None] = []
        for each in self.series:
            place = bisect_right(each.xs, x) - 1
            value = each.ys[place] if place >= 0 else None
            found.append(value if known(value) else None)
        return found

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

    def at(self, x: float) -> Histogram | None:
        """The latencies of the step that a time lies in."""
        place = int((x - self.x_from) / ((self.x_to - self.x_from) or 1.0) * len(self.steps))
        return self.steps[place] if 0 <= place < len(self.steps) else None


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


STEADY = 0.1
"""A trend of less, of the greater of its ends, is no trend."""


def trend_words(values: Sequence[float | None], say: Callable[[float], str]) -> str:
    """A sparkline in words: "least 80, most 400, rising"."""
    there = [value for value in values if value is not None and known(value)]
    if not there:
        return "nothing known"
    missing = f", {len(values) - len(there)} of {len(values)} unknown" if len(there) < len(values) else ""
    return f"least {say(min(there))}, most {say(max(there))}, {direction(there)}{missing}"


def direction(values: Sequence[float]) -> str:
    """Rising, falling or steady: the median of the last quarter of the known values against that of the first."""
    quarter = max(1, len(values) // 4)
    first, last = middle(values[:quarter]), middle(values[-quarter:])
    if abs(last - first) <= STEADY * max(abs(first), abs(last)):
        return "steady"
    return "rising" if last > first else "falling"


def middle(values: Sequence[float]) -> float:
    """The middle value; of two, the lower."""
    return sorted(values)[(len(values) - 1) // 2]
