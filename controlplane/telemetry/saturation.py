"""How full a tenant's limits are over time: its requests compared with the limits that count requests.

A rate limit is measured by the mean rate of a step; a quota by the requests since its period began. The limits are
those that hold now. A step without data is a gap; after a gap, a quota is "at least" that full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.errors import NotFound
from controlplane.plans.rules import UNLIMITED, kind_of
from controlplane.subscriptions import periods
from controlplane.subscriptions.model import Standing, SubscriptionDirectory
from controlplane.telemetry.model import Point, RequestTelemetry, Scope, Series

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

COUNTED = ("api_calls", "requests")
"""Limits of these names count requests. For other limits it is not known when something was counted."""
LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=30)}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """`most`: requests per second, or per period in the tenant's zone. `counted`: how many the home admitted, or
    services recorded, since the period began; None: not known.
    """

    name: str
    most: float
    source: str
    period: str | None = None
    zone: str = "UTC"
    soft: int | None = None
    counted: int | None = None

    @property
    def words(self) -> str:
        return f"{self.most:,.12g}/{self.period or 'second'}"

    def began(self, at: datetime) -> datetime:
        """When the quota's period of that time began."""
        assert self.period is not None
        return periods.began(self.period, at, self.zone)


@dataclass(frozen=True, slots=True)
class Filled:
    """A limit, and the share of it that is used in each step. `holes`: the steps of its period without data."""

    limit: Limit
    shares: tuple[float | None, ...]
    holes: int = 0


@dataclass(frozen=True, slots=True)
class Saturation:
    """`words`: what is not known, and why."""

    filled: tuple[Filled, ...] = ()
    words: str = ""


async def saturation_of(plane: ControlPlane, series: Series) -> Saturation:
    """The saturation in each step of a series. Raises Refusal."""
    scope = series.scope
    if scope.tenant_id is None:
        return Saturation(words="a limit belongs to a tenant: name one, as in tenant:acme")
    if scope != Scope(scope.tenant_id):
        return Saturation(words="a limit is for the whole tenant: leave out route, key and region")
    try:
        standing = await plane.of(SubscriptionDirectory).standing(scope.tenant_id)
    except NotFound as refusal:
        return Saturation(words=refusal.message)
    limits, words = limits_of(standing)
    filled, telemetry = [], plane.of(RequestTelemetry)
    for limit in limits:
        earlier = await _since(telemetry, scope, limit.began(series.start), series.start) if limit.period else []
        filled.append(quota_filled(limit, earlier, series) if limit.period else rate_filled(limit, series))
    return Saturation(tuple(filled), words)


async def _since(telemetry: RequestTelemetry, scope: Scope, began: datetime, until: datetime) -> list[Point | None]:
    """The requests since `began`: in whole hours, and in minutes for the rest of the first and of the last hour."""
    first, cut = min(_hour(began + HOUR - MINUTE), until), _hour(until)
    points: list[Point | None] = []
    for start, end, step in ((began, first, MINUTE), (first, cut, HOUR), (max(first, cut), until, MINUTE)):
        if start < end:
            points += (await telemetry.series(scope, start, end, step)).points
    return points


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def quota_of(standing: Standing, name: str) -> Limit | None:
    """The quota of that name that holds now; None: there is none, or it is unlimited."""
    held = next((each.holds for each in standing.effective if each.name == name), None)
    if held is None or kind_of(held.value) != "quota" or held.value["hard"] == UNLIMITED:
        return None
    counted = next((usage.used for usage in standing.usage if usage.metric == name), None)
    value, zone = held.value, standing.subscription.billing_zone
    return Limit(name, value["hard"], held.source, value["period"], zone, value.get("soft"), counted)


def limits_of(standing: Standing) -> tuple[list[Limit], str]:
    """The limits that requests are compared with, and in words why others are not among them."""
    found, none = [], []
    for name in COUNTED:
        held = next((each.holds for each in standing.effective if each.name == name), None)
        kind = None if held is None else kind_of(held.value)
        if held is None or kind not in ("quota", "rate"):
            continue
        if kind == "rate":
            found.append(Limit(name, held.value["rps"], held.source))
            continue
        if (quota := quota_of(standing, name)) is None:
            none.append(f"{name} is unlimited")
        else:
            found.append(quota)
    if standing.plan is None:
        none.append(f"the catalogue does not know {standing.subscription.plan}: its limits are unknown")
    elif not found and not none:
        none.append("no limit of this tenant counts requests (" + ", ".join(COUNTED) + ")")
    return found, "; ".join(none)


def rate_filled(limit: Limit, series: Series) -> Filled:
    """Requests per second, averaged over the part of each step that is over."""
    shares: list[float | None] = []
    for index, point in enumerate(series.points):
        over = series.known_for(index)
        known = point is not None and over >= series.step / 4
        shares.append(point.n / over.total_seconds() / limit.most if known and point is not None else None)
    return Filled(limit, tuple(shares))


def quota_filled(limit: Limit, earlier: Sequence[Point | None], series: Series) -> Filled:
    """The requests since the period began. A step belongs to the period that it begins in."""
    assert limit.period is not None
    several = max(1.0, series.step / LENGTHS[limit.period])  # the mean, for a step of several periods
    used, began, shares = _sum(earlier), limit.began(series.start), list[float | None]()
    holes = sum(point is None for point in earlier)
    for at, point in zip(series.times(), series.points, strict=True):
        if (this := limit.began(at)) != began:
            used, began, holes = 0, this, 0
        used += _sum([point])
        holes += point is None and at + series.step <= series.as_of
        shares.append(None if point is None else used / several / limit.most)
    return Filled(limit, tuple(shares), holes)


def _sum(points: Iterable[Point | None]) -> int:
    return sum(point.n for point in points if point is not None)
