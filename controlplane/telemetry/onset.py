"""When the share of errors changed: the steps at which it rose or fell, and by how much.

The rule is circular binary segmentation (Olshen, Venkatraman, Lucito and Wysocki, Biostatistics 5:557, 2004) on the
counts of errors: of all runs of steps, the one whose errors differ most from what the share of all would give. A run
that touches an end is a single change, one in the middle a rise and its end. It counts when it is far enough off, and
is then looked for within each of its parts. The deviation is divided by how much more the steps scatter than chance
would have them in either part (Pearson's statistic: McCullagh and Nelder, Generalized Linear Models, 1989, 4.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from controlplane.telemetry.happenings import FALLS, RISES, Happening
from controlplane.telemetry.model import Series

MIN_DEVIATION = 30.0
"""The square of a standard score that a run must exceed: by chance, one chart of 180 steps in a thousand has one."""
MIN_STEPS = 2
"""One step alone is a spike, not a change."""
MIN_RATIO, MIN_DIFFERENCE, MIN_ERRORS = 2.0, 0.01, 10
"""A change worth telling: twice the share, a percentage point more, and so many errors where there are more of them."""

Counts = tuple[int, int]
"""Requests (at least 1), and how many of them failed."""


@dataclass(frozen=True)
class Shift:
    """`index`: the first step with the share `after`; `before`: the share until then. Shares are 0 to 1."""

    index: int
    before: float
    after: float


def shifts(steps: Sequence[Counts | None]) -> list[Shift]:
    """In order of time. A step that is not known, or without a request, says nothing: it is left out."""
    known = [(index, each) for index, each in enumerate(steps) if each is not None and each[0]]
    counts = [each for _, each in known]
    levels = _merged([_Level(first, *_sums(counts[first:end])) for first, end in _parts(counts, 0, len(counts))])
    return [Shift(known[after.first][0], before.share, after.share) for before, after in pairwise(levels)]


def shift_happenings(series: Series, whose: str = "") -> list[Happening]:
    """The changes of a series' share of 5xx, as they are marked on charts."""
    steps = [None if point is None else (point.n, point.errors_5xx) for point in series.points]
    found = []
    for each in shifts(steps):
        rises = each.after > each.before
        words = f"{whose}errors {each.before:.1%} → {each.after:.1%}"
        at = series.start + each.index * series.step
        found.append(Happening(at, words, "bad" if rises else "good", "share of errors", RISES if rises else FALLS))
    return found


def last_shift(happened: Iterable[Happening]) -> Happening | None:
    """The last change of the share of errors; None when there was none."""
    found = [each for each in happened if each.glyph in (RISES, FALLS)]
    return max(found, key=lambda each: each.at, default=None)


@dataclass(frozen=True)
class _Level:
    """Steps of one share, from the place `first` on."""

    first: int
    n: int
    errors: int

    @property
    def share(self) -> float:
        return self.errors / self.n


def _sums(counts: Sequence[Counts]) -> Counts:
    return sum(n for n, _ in counts), sum(errors for _, errors in counts)


def _parts(counts: Sequence[Counts], first: int, end: int) -> list[tuple[int, int]]:
    """The steps from `first` to `end` in parts (first, end) of one share each."""
    arc = _arc(counts[first:end])
    if arc is None:
        return [(first, end)] if end > first else []
    edges = sorted({first, first + arc[0], first + arc[1], end})
    return [part for low, high in pairwise(edges) for part in _parts(counts, low, high)]


def _arc(counts: Sequence[Counts]) -> tuple[int, int] | None:
    """The run of steps that differs most from the others; None when that may be chance."""
    size, (n, errors) = len(counts), _sums(counts)
    if size < 2 * MIN_STEPS or errors in (0, n):
        return None
    share = errors / n
    upto = [0, *accumulate(each for each, _ in counts)]
    off = [0.0, *accumulate(failed - share * each for each, failed in counts)]
    best, place = 0.0, (0, 0)
    for first in range(size - MIN_STEPS + 1):
        for end in range(first + MIN_STEPS, min(size, size - MIN_STEPS + first) + 1):
            inside = upto[end] - upto[first]
            deviation = (off[end] - off[first]) ** 2 / (inside * (n - inside))
            if deviation > best:
                best, place = deviation, (first, end)
    if not best:
        return None
    scatter = max(_scatter(counts[slice(*place)]), _scatter([*counts[: place[0]], *counts[place[1] :]]))
    return place if best * n / (share * (1 - share)) > MIN_DEVIATION * scatter else None


def _scatter(counts: Sequence[Counts]) -> float:
    """How many times more than by chance the steps differ from their share; 1 at least."""
    n, errors = _sums(counts)
    share = errors / n
    if not 0 < share < 1:
        return 1.0
    chi = sum((failed - share * each) ** 2 / each for each, failed in counts) / (share * (1 - share))
    return max(1.0, chi / (len(counts) - 1))


def _merged(levels: list[_Level]) -> list[_Level]:
    """Without the changes that are too small to tell, the smallest first."""
    while len(levels) > 1:
        gains = [abs(one.share - other.share) for one, other in pairwise(levels)]
        small = [i for i in range(len(gains)) if not _worth_telling(levels[i], levels[i + 1])]
        if not small:
            break
        at = min(small, key=gains.__getitem__)
        one, other = levels[at : at + 2]
        levels = [*levels[:at], _Level(one.first, one.n + other.n, one.errors + other.errors), *levels[at + 2 :]]
    return levels


def _worth_telling(one: _Level, other: _Level) -> bool:
    low, high = sorted((one, other), key=lambda level: level.share)
    return (
        high.share >= MIN_RATIO * low.share and high.share - low.share >= MIN_DIFFERENCE and high.errors >= MIN_ERRORS
    )
