"""What a chart shows, and how a long series is made small without losing its peaks and its gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

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
    """A line that the values are held against."""

    value: float
    name: str
    tone: Tone = "warn"


@dataclass(frozen=True)
class ChartSpec:
    """`x_from` to `x_to`: the time shown, in POSIX seconds, whether there is data or not. `unit`: behind each value."""

    series: tuple[Series, ...]
    unit: str
    x_from: float
    x_to: float
    thresholds: tuple[Threshold, ...] = ()


def known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def decimate(xs: Sequence[float], ys: Sequence[float | None], columns: int) -> tuple[list[float], list[float | None]]:
    """The least and the greatest value of each of `columns` (≥ 1) slices of time, in the order they came.

    At most four points a column. A gap that reaches a column's edge stays one (None); a shorter one has no cell.
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
    """The last `width` cells of a trend; what is not known is a blank. From 0, or from the least when below it.

    More values than cells: the greatest of each cell is shown. `printable_ascii` makes it fit for any terminal.
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
    span = high / 2 - low / 2  # halves: the difference of two floats may be none
    steps = [None if top is None else (top / 2 - low / 2) / span if span else 0.0 for top in tops]
    return "".join(" " if step is None else BLOCKS[round(step * (len(BLOCKS) - 1))] for step in steps).rjust(width)
