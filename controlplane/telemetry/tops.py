"""Top lists: the tenants, routes and keys with the most of something in a window, and the same a week before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from controlplane.telemetry.model import MIN_REQUESTS_FOR_P99, Histogram, Scope

By = Literal["tenant", "route", "key"]
Measure = Literal["requests", "errors", "error_share", "p95", "growth"]
BYS: tuple[By, ...] = ("tenant", "route", "key")
MEASURES: tuple[Measure, ...] = ("requests", "errors", "error_share", "p95", "growth")
MIN_REQUESTS_RANKED = 30
"""Shares, percentiles and growth of fewer requests are mostly chance, so they are in no top list."""
WEEK = timedelta(days=7)


def bys_of(scope: Scope) -> tuple[By, ...]:
    """What can be ranked within a scope, leaving out what would be a single row; regions are kept for tenants alone."""
    if scope.region is not None:
        return ("tenant",)
    if scope.key_prefix is not None:
        return ("route",)
    if scope.tenant_id is not None:
        return ("route", "key") if scope.route is None else ("key",)
    return BYS if scope.route is None else ("tenant", "key")


@dataclass(frozen=True, slots=True)
class TopRow:
    """`before`: its requests in the same window a week before; of an hour that lies in it partly, that part. None: none
    are known.
    """

    tenant_id: str | None
    route: str | None
    key_prefix: str | None
    n: int
    errors_4xx: int
    errors_5xx: int
    latency: Histogram
    before: float | None

    @property
    def error_share(self) -> float:
        return self.errors_5xx / self.n

    @property
    def p95(self) -> float | None:
        return self.latency.percentile(0.95)

    @property
    def p99(self) -> float | None:
        return self.latency.percentile(0.99) if self.latency.n >= MIN_REQUESTS_FOR_P99 else None

    @property
    def growth(self) -> float | None:
        """1.0: as many as a week before. None: nothing is known of that week, so it is not shown as growth."""
        return self.n / self.before if self.before else None


def narrowed(scope: Scope, row: TopRow) -> Scope:
    """The scope of one row, within the scope that it was ranked in."""
    return replace(
        scope,
        tenant_id=row.tenant_id or scope.tenant_id,
        route=row.route or scope.route,
        key_prefix=row.key_prefix or scope.key_prefix,
    )


@dataclass(frozen=True, slots=True)
class Top:
    """The first rows by a measure. `start` and `end`: the part of the requested window that was rolled up."""

    by: By
    measure: Measure
    start: datetime
    end: datetime
    rows: tuple[TopRow, ...]
    as_of: datetime
