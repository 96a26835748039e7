"""The axes of charts: round labels, evenly placed, that never run into each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controlplane.telemetry.charts import ChartSpec
from controlplane.text import clean


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
    return Axis(foot, foot + span, tuple((value, _label(value, unit, step)) for value in values))


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
        ends = [(place, _label(10.0**place, unit, 10.0**place)) for place in (foot, top)]
        return Axis(foot, top, tuple(ends), ratios=True)
    apart = max(1, apart)
    places = [foot + n * size for n in range(gaps // apart + 1)]
    words = [_ratio(place) for place in places]
    labels = tuple((place, _label(value, unit, value)) for place, value in zip(places, words, strict=True))
    return Axis(foot, foot + gaps / apart * size, labels, ratios=True)


def _ratio(place: float) -> float:
    return float(10.0 ** math.floor(place) * (3 if place % 1 else 1))


def _label(value: float, unit: str, step: float) -> str:
    return latency_words(value) if unit == "ms" else number_words(value, unit, step)


def latency_words(milliseconds: float) -> str:
    """A round latency: "30ms", "10s"."""
    return f"{milliseconds:g}ms" if milliseconds < 1000 else f"{milliseconds / 1000:g}s"


def exact_words(value: float, unit: str) -> str:
    """A value by itself, with three digits at least where it has them: "14.4×", "1×", "1,250ms"."""
    words = number_words(value, "", value / 100)
    return (words.rstrip("0").rstrip(".") if "." in words else words) + clean(unit, 8)


def number_words(value: float, unit: str, step: float) -> str:
    """A value with as many decimals as it takes to tell values one `step` apart."""
    decimals = max(0, -math.floor(math.log10(abs(step) or 1.0) + 0.001))
    return f"{value:,.{decimals}f}{clean(unit, 8)}"


MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS = (
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 7, 14, 30, 90, 365)),
)
TIME_CELLS = 5
"""The width of a time or a date."""
CALM_CELLS = 10
"""The least distance of two times, where there is room for two at least; else:"""
LEAST_CELLS = TIME_CELLS + 2


def times(begin: float, end: float, columns: int, offset: timedelta) -> list[float]:
    """Round times of the zone `offset` east of UTC, at equal distances, for an axis of so many columns."""
    span, shift = max(end - begin, 1.0), offset.total_seconds()
    found: list[float] = []
    for least in (CALM_CELLS, LEAST_CELLS):
        step = next((step for step in STEPS if step / span * (columns - 1) >= least), STEPS[-1])
        first = math.ceil((begin + shift) / step)
        found = [n * step - shift for n in range(first, math.floor((end + shift) / step) + 1)]
        if len(found) > 1:
            break
    return found


def clock_times(times: Sequence[float], offset: timedelta) -> list[str]:
    """Hours and minutes; the date at midnight."""
    moments = [moment(time, offset) for time in times]
    return [f"{at:%H:%M}" if (at.hour, at.minute) != (0, 0) else f"{at:%m-%d}" for at in moments]


def moment(seconds: float, offset: timedelta) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) + offset


def round_ratios(low: float, high: float, most: int) -> list[float]:
    """1, 3, 10, 30, … or powers of ten, of a hundred, … from `low` (> 0) to `high`: at most `most`."""
    for size in (0.5, 1.0, 2.0, 4.0):
        first, last = math.ceil(math.log10(low) / size - 1e-9), math.floor(math.log10(high) / size + 1e-9)
        if last - first < most:
            return [_ratio(n * size) for n in range(first, last + 1)]
    return []
