"""A heat map of latencies: time to the right, latency upwards, and how dense a cell is by its shade."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from controlplane.formatting import milliseconds
from controlplane.telemetry.axes import clock_times, latency_words, round_ratios, times
from controlplane.telemetry.charts import HeatSpec, Tone, bands
from screens.widgets.plot import Run, fitted, nothing, place

LEAST_WIDTH, LEAST_HEIGHT = 24, 6
SHADES: tuple[tuple[float, str, str, Tone, str], ...] = (
    (0.40, "█", "#", "", "40%+"),
    (0.15, "▓", "*", "", "15-40%"),
    (0.05, "▒", ":", "", "5-15%"),
    (0.0, "░", ".", "muted", "<5%"),
)
"""The least share of its column's requests for each shade: fixed, so that two windows can be compared. Cells over the
latency threshold have a tone of their own, and the lowest of them the threshold's label."""
GAP, ASCII_GAP = "·", "-"
"""Nothing is known of that time: not the same as no request of that latency, which is a blank."""


def heated(spec: HeatSpec, width: int, height: int, offset: timedelta, ascii_only: bool) -> list[list[Run]]:
    """`height` lines of `width` cells, as `plot.finish` takes them."""
    if width < 1 or height < 1:
        return []
    label = 8
    inner = width - label - 2
    found = bands(spec.steps, inner, height - 4) if width >= LEAST_WIDTH and height >= LEAST_HEIGHT else None
    if found is None:
        known = any(step is not None and step.buckets for step in spec.steps)
        small: list[list[Run]] = [fitted([("too small for a heat map", "muted")], width)]
        lines = small if known else nothing(spec.x_from, spec.x_to, width, height, offset)
    else:
        lines = [_legend(spec, width, ascii_only), [("latency".rjust(label), "muted"), ("┌" + "─" * inner + "┐", "")]]
        named = _names(found.tops)
        if spec.limit is not None and found.tops[-1] > spec.limit:
            named[bisect_right(found.tops, spec.limit)] = f">{milliseconds(spec.limit)}"
        for band in range(len(found.tops) - 1, -1, -1):
            name = named.get(band, "").rjust(label - 1)
            over: Tone = "warn" if spec.limit is not None and found.tops[band] > spec.limit else ""
            row = [_shade(None if column is None else column[band], over, ascii_only) for column in found.shares]
            lines.append([(f"{name} │", ""), *_joined(row), ("│", "")])
        lines += _axis(spec, label, inner, offset)
    return lines + [[(" " * width, "")] for _ in range(height - len(lines))]


def _names(tops: Sequence[float]) -> dict[int, str]:
    """Round latencies, each at the band that holds it; of bands too narrow for two, the highest latency of each."""
    places = {bisect_left(tops, value): value for value in round_ratios(tops[0], tops[-1], max(2, len(tops) // 2))}
    if len(places) < 2:
        return {band: milliseconds(tops[band]) for band in range(len(tops) - 1, -1, -2)}
    return {band: latency_words(value) for band, value in places.items()}


def _shade(share: float | None, over: Tone, ascii_only: bool) -> Run:
    if share is None:
        return (ASCII_GAP if ascii_only else GAP, "muted")
    if share == 0:
        return (" ", "")
    _, block, letter, tone, _ = next(shade for shade in SHADES if share >= shade[0])
    return (letter if ascii_only else block, over or tone)


def _joined(row: Sequence[Run]) -> list[Run]:
    return [("".join(text for text, _ in group), tone) for tone, group in groupby(row, key=lambda run: run[1])]


def _legend(spec: HeatSpec, width: int, ascii_only: bool) -> list[Run]:
    named: list[Run] = [("requests  ", "")]
    for _, block, letter, tone, words in reversed(SHADES):
        named.append((f"{letter if ascii_only else block} {words}  ", tone))
    named.append((f"{ASCII_GAP if ascii_only else GAP} no data  ", "muted"))
    if spec.limit is not None:
        named.append((f"over {milliseconds(spec.limit)}  ", "warn"))
    return fitted([*named, *((f"{note}  ", "warn") for note in spec.notes)], width)


def _axis(spec: HeatSpec, label: int, inner: int, offset: timedelta) -> list[list[Run]]:
    width = label + inner + 2
    line, below = ["─"] * inner, [" "] * width
    moments = times(spec.x_from, spec.x_to, inner, offset)
    for at, name in zip(moments, clock_times(moments, offset), strict=True):
        x = place(spec, at, label + 1, label + inner)
        line[x - label - 1] = "┬"
        begin = min(x - len(name) // 2, width - len(name))
        below[begin : begin + len(name)] = name
    return [[(" " * label + "└" + "".join(line) + "┘", "")], [("".join(below), "")]]
