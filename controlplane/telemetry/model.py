"""How requests went: latency histograms that add up, percentiles by rank, and series over time.

The histogram's bucket b holds latencies in (0.1 · 1.04^(b-1), 0.1 · 1.04^b] ms, bucket 0 all up to 0.1 ms. A bucket
stands for the value that has the same relative distance from both of its ends: at most 2 % from any latency in it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, Protocol

from controlplane.errors import Usage

if TYPE_CHECKING:
    from controlplane.telemetry.anomalies import Limits, UsageReport
    from controlplane.telemetry.tops import By, Measure, Top

SMALLEST_MS = 0.1
GROWTH = 1.04
OVERFLOW = 32_767
"""The bucket of latencies of which only this is known: they are above the highest bound of their source."""
MIN_REQUESTS_FOR_P99 = 100
"""With fewer requests the p99 would be just the slowest of them."""
MAX_STEPS = 2000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bucket_of(ms: float) -> int:
    """The bucket of a latency in milliseconds (finite, not negative)."""
    if ms <= SMALLEST_MS:
        return 0
    return max(0, math.ceil(math.log(ms / SMALLEST_MS) / math.log(GROWTH)))


def value_of(bucket: int) -> float:
    """The latency in milliseconds that a bucket stands for."""
    if bucket <= 0:
        return SMALLEST_MS
    return SMALLEST_MS * GROWTH**bucket * 2 / (1 + GROWTH)


def rank(share: float, n: int) -> int:
    """Which of n sorted values, counted from 1, is the percentile (nearest rank): the first that at least `share` of
    them do not exceed.
    """
    return min(n, max(1, math.ceil(share * n)))


def percentile(values: Iterable[float], share: float) -> float | None:
    """The exact percentile by rank, a value that occurred; None without values."""
    ordered = sorted(values)
    return ordered[rank(share, len(ordered)) - 1] if ordered else None


@dataclass(frozen=True, slots=True)
class Histogram:
    """Sorted bucket numbers, and how many latencies are in each."""

    buckets: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        return merge(cls((bucket_of(ms),), (1,)) for ms in values)

    @property
    def n(self) -> int:
        return sum(self.counts)

    @property
    def bounded(self) -> Histogram:
        """Without the overflow bucket."""
        if not self.buckets or self.buckets[-1] != OVERFLOW:
            return self
        return Histogram(self.buckets[:-1], self.counts[:-1])

    def percentile(self, share: float) -> float | None:
        """By rank, at most 2 % off, in milliseconds; None when it is empty, or that rank is in the overflow."""
        if not self.counts:
            return None
        upto = list(accumulate(self.counts))
        bucket = self.buckets[bisect_left(upto, rank(share, upto[-1]))]
        return None if bucket == OVERFLOW else value_of(bucket)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """The histogram of all their latencies together."""
    several = list(histograms)
    if len(several) <= 1:
        return several[0] if several else Histogram()
    total = dict(zip(several[0].buckets, several[0].counts, strict=True))
    before = total.get
    for histogram in several[1:]:
        for bucket, count in zip(histogram.buckets, histogram.counts, strict=True):
            total[bucket] = before(bucket, 0) + count
    ordered = sorted(total)
    return Histogram(tuple(ordered), tuple(map(total.__getitem__, ordered)))


@dataclass(frozen=True, slots=True)
class Point:
    """The requests of one step. Requests whose latency is unknown are in `n`, not in `latency`."""

    n: int
    errors_4xx: int
    errors_5xx: int
    latency: Histogram = Histogram()
    latency_max: float | None = None

    @property
    def error_share(self) -> float | None:
        """The share of requests that the service failed (5xx), 0 to 1; None without requests."""
        return self.errors_5xx / self.n if self.n else None

    @property
    def p50(self) -> float | None:
        return self.latency.percentile(0.5)

    @property
    def p95(self) -> float | None:
        return self.latency.percentile(0.95)

    @property
    def p99(self) -> float | None:
        """None under 100 known latencies."""
        return self.latency.percentile(0.99) if self.latency.n >= MIN_REQUESTS_FOR_P99 else None


def add(points: Sequence[Point]) -> Point | None:
    """The sum of several points; None without points."""
    if not points:
        return None
    highest = [point.latency_max for point in points if point.latency_max is not None]
    return Point(
        sum(point.n for point in points),
        sum(point.errors_4xx for point in points),
        sum(point.errors_5xx for point in points),
        merge(point.latency for point in points),
        max(highest, default=None),
    )


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose requests: all of them (the fleet), or those of what is named.

    Only scopes that are rolled up can be read: a tenant with a route, a key prefix, both, or a region; the fleet with a
    route or a region. Reading any other raises Usage `scope_unreadable`.
    """

    tenant_id: str | None = None
    route: str | None = None
    key_prefix: str | None = None
    region: str | None = None

    @property
    def label(self) -> str:
        """What it is, in words."""
        parts = (
            self.tenant_id or "all tenants",
            self.route,
            self.key_prefix and f"key {self.key_prefix}",
            self.region and f"region {self.region}",
        )
        return ", ".join(part for part in parts if part)


FLEET = Scope()
Source = Literal["home", "prometheus"]
SOURCES: tuple[Source, ...] = ("home", "prometheus")


def counted_by(label: str, source: Source) -> str:
    """Whose requests, and who counted them when it was not the home."""
    return label if source == SOURCES[0] else f"{label}, as {source} counted"


@dataclass(frozen=True, slots=True)
class Series:
    """Points at `start`, `start + step`, …; None for a step without data: a gap, never a zero."""

    scope: Scope
    start: datetime
    step: timedelta
    points: tuple[Point | None, ...]
    as_of: datetime
    source: Source = "home"
    notes: tuple[str, ...] = ()
    """What its source says may be missing, in words."""
    since: datetime | None = None
    """When counting began, where that was within a step: that step holds less than its length."""

    def known_for(self, index: int) -> timedelta:
        """The part of a step that its numbers cover: less than all of it while it runs, and when counting began in it.

        0 or less for a step before counting began, and for one in the future.
        """
        begin = self.start + index * self.step
        end = min(begin + self.step, self.as_of)
        return end - (begin if self.since is None else max(begin, self.since))

    @property
    def end(self) -> datetime:
        return self.start + len(self.points) * self.step

    def times(self) -> list[datetime]:
        return [self.start + i * self.step for i in range(len(self.points))]

    @property
    def label(self) -> str:
        """Whose requests, and who counted them when it was not the home."""
        return counted_by(self.scope.label, self.source)

    @property
    def whole(self) -> Point | None:
        return add([point for point in self.points if point is not None])


def whole_steps(start: datetime, end: datetime, step: timedelta) -> tuple[datetime, int]:
    """The start moved back to a whole step, in UTC, and the number of steps to the end. Raises Usage."""
    if step < timedelta(seconds=1) or end <= start:
        raise Usage("window_unreadable", "A series needs a start before its end, and steps of at least a second.")
    start = EPOCH + (start - EPOCH) // step * step
    steps = -((start - end) // step)
    if steps > MAX_STEPS:
        raise Usage("window_unreadable", f"That would be {steps:,} steps; at most {MAX_STEPS:,} are read at once.")
    return start, steps


@dataclass(frozen=True, slots=True)
class ManySeries:
    """One series of each tenant, or of each route, key or region of a tenant, or without a tenant, of the fleet."""

    by: Literal["tenant", "route", "key", "region"]
    start: datetime
    end: datetime
    step: timedelta
    tenant_id: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """A page of many series, sorted by name; `next` is the next page's cursor; None: this is the last."""

    items: tuple[Series, ...]
    next: str | None
    as_of: datetime


class SeriesSource(Protocol):
    """Something that the requests of a scope over time can be read from."""

    async def series(self, scope: Scope, start: datetime, end: datetime, step: timedelta) -> Series:
        """The requests of a scope from start to end (excluded), at most 2,000 steps of at least a second.

        `start` and `end` are widened to whole steps, counted from the epoch in UTC. Raises Usage `window_unreadable`
        and `scope_unreadable`, HomeUnreachable; a source other than the home raises its own Refusals.
        """
        ...


class RequestTelemetry(SeriesSource, Protocol):
    """Reading telemetry; a context that has none does not offer it."""

    async def page(self, asked: ManySeries, after: str | None = None) -> SeriesPage:
        """Series of many things. `after` is a cursor of the same kind and tenant; its parameters replace `asked`.

        Raises Usage as `series` does, and `cursor_…`.
        """
        ...

    async def top(
        self,
        by: By,
        start: datetime,
        end: datetime,
        measure: Measure,
        limit: int = 20,
        scope: Scope = FLEET,
    ) -> Top:
        """The first tenants, routes or keys of a scope by a measure, from the roll-ups.

        Raises Usage `window_unreadable`, `scope_unreadable` and `limit_out_of_range`, HomeUnreachable.
        """
        ...

    async def key_usage(
        self, tenant_id: str, window: int, baseline: int, limits: Limits, key_prefix: str | None = None
    ) -> UsageReport:
        """A tenant's keys (or one of them) over the last `window` whole hours, against the `baseline` hours before.

        Raises Usage `window_unreadable`, HomeUnreachable.
        """
        ...

    async def require(self, scope: Scope) -> None:
        """Raises NotFound `no_tenant`, `no_key`, `no_route`, `no_region` for the first that neither a list nor any
        stored request names. Called when a series is empty, so that a mistyped name is not shown as a tenant without
        requests.
        """
        ...

    async def newest(self) -> datetime | None:
        """The newest request of all tenants that is not in the future; None when there is none."""
        ...
