"""How each key is used on each route, compared with its use before; and what is unusual about that, and why.

Every signal compares two slices of whole hours: the window, and the baseline before it. A difference counts when it is
large enough to matter and too large to be chance: it is some number of standard errors. Volume is also compared with
the median of the windows before, by their median absolute deviation (MAD): one burst moves a mean, but no median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Literal

Name = Literal["spike", "drop", "new_key", "latency", "server_errors", "client_errors"]
DENIED = (401, 403, 404, 429)
"""The statuses that a client's mistake, a leaked key that somebody tries, or a scan gets."""


MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation in median absolute deviations."""
MIN_WINDOWS = 3
"""A median of fewer windows says nothing."""
MIN_PEERS = 10
WINDOW, BASELINE = 24, 7 * 24
"""The default lengths, in hours: the window that is judged, and before it the baseline that it is compared with."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a difference counts. `errors`: standard errors, and deviations from a median."""

    fewest: int = 30
    errors: float = 3.0
    times: float = 2.0
    slower: float = 1.2
    server_share: float = 0.05
    client_share: float = 0.10


@dataclass(frozen=True, slots=True)
class Slice:
    """Whole hours of one key on one route. `hours`: how many of them have data of any key.

    `squares`: the sum of the squares of the hourly counts. `known`: the requests whose latency is known;
    `latency_squares`: the sum of the squares of their latencies, as the histogram has them. `windows`: of a baseline,
    the requests per hour in each window of it that is as long as the judged one and has no gap.
    """

    hours: int = 0
    n: int = 0
    squares: float = 0.0
    errors_4xx: int = 0
    errors_5xx: int = 0
    known: int = 0
    latency_sum: float = 0.0
    latency_squares: float = 0.0
    windows: tuple[float, ...] = ()

    @property
    def per_hour(self) -> float | None:
        return self.n / self.hours if self.hours else None

    @property
    def spread(self) -> float:
        """The variance of an hour's count; at least its mean, which is the variance by chance alone (Poisson)."""
        if not self.hours:
            return 0.0
        mean = self.n / self.hours
        return max(self.squares / self.hours - mean * mean, mean)

    @property
    def latency(self) -> float | None:
        """The mean in ms."""
        return self.latency_sum / self.known if self.known else None

    @property
    def latency_variance(self) -> float:
        if not self.known:
            return 0.0
        mean = self.latency_sum / self.known
        return max(self.latency_squares / self.known - mean * mean, 0.0)


@dataclass(frozen=True, slots=True)
class Peers:
    """What the keys of a plan usually make of requests in a window: the median of them and its spread, as a standard
    deviation; so many keys.
    """

    keys: int
    middle: float
    spread: float


@dataclass(frozen=True, slots=True)
class Signal:
    """Something unusual, with the numbers that it was found by."""

    name: Name
    words: str
    inputs: dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """`denied`: how often each status of DENIED was answered in the window; None: its raw rows are gone."""

    tenant_id: str
    key_prefix: str
    route: str
    recent: Slice
    baseline: Slice
    signals: tuple[Signal, ...] = ()
    denied: dict[int, int] | None = field(default=None)

    def reasons(self) -> list[str]:
        """Each signal in words with the numbers that it was found by, and what was refused."""
        lines = []
        for signal in self.signals:
            lines.append(f"{signal.name}: {signal.words}")
            known = {name: value for name, value in signal.inputs.items() if value is not None}
            lines.append("  " + ", ".join(f"{name} {value:,.5g}" if isinstance(value, float) else f"{name} {value:,}"
                                          for name, value in known.items()))  # fmt: skip
        if self.denied:
            lines.append("refused: " + ", ".join(f"{n:,} × {status}" for status, n in sorted(self.denied.items())))
        elif self.denied is None and self.signals:
            lines.append("refused: not known by status, the raw rows are gone")
        return lines


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Unusual keys first, then the busiest. The slices are [baseline, start) and [start, end), as far as rolled up."""

    baseline: datetime
    start: datetime
    end: datetime
    rows: tuple[KeyUsage, ...]
    as_of: datetime


def judge(recent: Slice, baseline: Slice, limits: Limits, peers: Peers | None = None) -> tuple[Signal, ...]:
    """What is unusual about a key on a route. `peers`: what the keys of its plan usually do, by which a key without a
    baseline is judged; None: not known, and then it is unusual that it is new.
    """
    found = [
        _volume(recent, baseline, limits, peers),
        _latency(recent, baseline, limits),
        _share("server_errors", "5xx", recent, baseline, limits),
        _share("client_errors", "4xx", recent, baseline, limits),
    ]
    return tuple(signal for signal in found if signal is not None)


def _volume(recent: Slice, baseline: Slice, limits: Limits, peers: Peers | None) -> Signal | None:
    if not recent.hours or not baseline.hours:
        return None  # one of them has no data, so it is neither more nor fewer
    if not baseline.n:
        return _new_key(recent, baseline, limits, peers)
    expected = baseline.n / baseline.hours * recent.hours
    error = math.sqrt(baseline.spread * recent.hours * (1 + recent.hours / baseline.hours))
    ratio, off = recent.n / expected, (recent.n - expected) / error
    middle, deviations = _robust(recent, baseline)
    inputs: dict[str, float | int | None] = {"requests": recent.n, "expected": expected, "ratio": ratio}
    inputs["standard_errors"] = off
    words = f"{recent.n:,} requests, {expected:,.0f} expected: {ratio:.1f} ×, {off:+.1f} standard errors"
    if middle is not None and deviations is not None:
        inputs |= {"median": middle, "deviations": deviations}
        words += f"; usually {middle:,.0f}: {deviations:+.1f} deviations"
    if recent.n >= limits.fewest and (
        (ratio >= limits.times and off >= limits.errors)
        or (middle and deviations and recent.n >= limits.times * middle and deviations >= limits.errors)
    ):
        return Signal("spike", words, inputs)
    if (expected >= limits.fewest and ratio <= 1 / limits.times and off <= -limits.errors) or (
        middle and deviations and middle >= limits.fewest and recent.n <= middle / limits.times
        and deviations <= -limits.errors
    ):  # fmt: skip
        return Signal("drop", words, inputs)
    return None


def _robust(recent: Slice, baseline: Slice) -> tuple[float | None, float | None]:
    """The median of the windows before, scaled to the hours of this one, and how many deviations this one is off it.

    A deviation is at least that of chance alone (Poisson). Both None: too few windows are known.
    """
    if len(baseline.windows) < MIN_WINDOWS:
        return None, None
    middle = median(baseline.windows)
    mad = median(abs(each - middle) for each in baseline.windows)
    middle, deviation = middle * recent.hours, MAD_TO_SIGMA * mad * recent.hours
    deviation = max(deviation, math.sqrt(middle))
    return middle, (recent.n - middle) / deviation if deviation else None


def _new_key(recent: Slice, baseline: Slice, limits: Limits, peers: Peers | None) -> Signal | None:
    """A key without a baseline: unusual when it makes far more requests than the keys of its plan."""
    if recent.n < limits.fewest:
        return None
    inputs: dict[str, float | int | None] = {"requests": recent.n, "baseline": 0, "baseline_hours": baseline.hours}
    words = f"{recent.n:,} requests, and none in {baseline.hours} h before"
    if peers is None or peers.keys < MIN_PEERS:
        return Signal("new_key", words, inputs)
    off = (recent.n - peers.middle) / max(peers.spread, math.sqrt(peers.middle), 1.0)
    inputs |= {"peers": peers.keys, "peers_median": peers.middle, "deviations": off}
    words += f"; {peers.keys:,} keys of its plan usually make {peers.middle:,.0f}: {off:+.1f} deviations"
    return (
        Signal("new_key", words, inputs) if recent.n >= limits.times * peers.middle and off >= limits.errors else None
    )


def _latency(recent: Slice, baseline: Slice, limits: Limits) -> Signal | None:
    now, before = recent.latency, baseline.latency
    if now is None or before is None or min(recent.known, baseline.known) < limits.fewest:
        return None
    error = math.sqrt(recent.latency_variance / recent.known + baseline.latency_variance / baseline.known)
    if now < before * limits.slower or now - before < limits.errors * error:
        return None
    off = (now - before) / error if error else None
    return Signal(
        "latency",
        f"mean {now:,.1f} ms, {before:,.1f} before" + ("" if off is None else f": {off:.1f} standard errors"),
        {"mean_ms": now, "baseline_ms": before, "standard_error_ms": error, "standard_errors": off},
    )


def _share(name: Name, words: str, recent: Slice, baseline: Slice, limits: Limits) -> Signal | None:
    """More errors, by a test of two proportions. A new key has no baseline: its share alone counts then."""
    bad, bad_before, floor = recent.errors_4xx, baseline.errors_4xx, limits.client_share
    if name == "server_errors":
        bad, bad_before, floor = recent.errors_5xx, baseline.errors_5xx, limits.server_share
    if recent.n < limits.fewest or bad / recent.n < floor:
        return None
    share = bad / recent.n
    inputs: dict[str, float | int | None] = {"errors": bad, "requests": recent.n, "share": share, "baseline": None}
    if not baseline.n:
        return Signal(name, f"{share:.1%} {words} of {recent.n:,}; before is unknown", inputs)
    before = bad_before / baseline.n
    pooled = (bad + bad_before) / (recent.n + baseline.n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / recent.n + 1 / baseline.n))
    if share < before * limits.times or share - before < limits.errors * error:
        return None
    off = (share - before) / error if error else None
    said = f"{share:.1%} {words} of {recent.n:,}, {before:.1%} before"
    return Signal(
        name,
        said + ("" if off is None else f": {off:.1f} standard errors"),
        {**inputs, "baseline": before, "standard_error": error, "standard_errors": off},
    )
