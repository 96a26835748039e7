"""The value behind an alert over time, as far as the home stores it: which detector has which series."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from controlplane.alerts.model import Alert, AlertEvent
from controlplane.detectors.charts import (
    QUOTA_LEAD,
    bounds,
    burn_chart,
    burn_lead,
    dead_chart,
    drawn,
    pair_of,
    quota_chart,
    silence_chart,
    undrawn,
)
from controlplane.detectors.model import ThresholdDirectory
from controlplane.errors import NotFound
from controlplane.jobs.model import JobDirectory
from controlplane.objectives.model import MINUTES_KEPT, ObjectiveDirectory
from controlplane.objectives.rules import period_of
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.telemetry.anomalies import BASELINE, WINDOW
from controlplane.telemetry.charts import ChartSpec, Threshold
from controlplane.telemetry.chartviews import View, Window
from controlplane.telemetry.measures import Measured, error_share_chart, latency_chart, requests_chart, saturation_chart
from controlplane.telemetry.model import FLEET, Scope
from controlplane.telemetry.reading import series_as_kept
from controlplane.telemetry.saturation import COUNTED, quota_of, saturation_of
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

HOUR = timedelta(hours=1)
MINUTES_JUDGED = 7 * HOUR
"""So far back objectives are judged by the minute: minutes do not change what a longer window is."""


class NoSeries(Exception):
    """There is nothing to draw; its text says why."""


async def chart_behind(plane: ControlPlane, alert: Alert, events: Sequence[AlertEvent], now: datetime) -> ChartSpec:
    """The value over time with its threshold, or in words why there is no line. Raises Refusal."""
    try:
        read = SERIES.get(alert.kind)
        if read is None:
            raise NoSeries("The home keeps no series of this value")
        return await read(plane, alert, now)
    except NoSeries as none:
        return undrawn(alert, events, str(none))


async def burn_rate(plane: ControlPlane, alert: Alert, now: datetime) -> ChartSpec:
    number = str(alert.details.get("objective"))
    try:
        objective = (await plane.of(ObjectiveDirectory).standing(int(number))).objective
    except (NotFound, ValueError):
        raise NoSeries("Its objective no longer exists") from None
    begin, end = period_of(objective.period, objective.zone, alert.fired_at)
    pair = pair_of(alert, objective, end - begin)
    if pair is None:
        raise NoSeries(f"Objective {objective.id} has other windows now than those that it fired by")
    start, _ = bounds(alert, burn_lead(pair), now)
    fine = MINUTES_KEPT if pair.long <= HOUR else MINUTES_JUDGED
    slices = await plane.of(ObjectiveDirectory).history(objective.id, start - pair.long, fine)
    return burn_chart(alert, objective, pair, end - begin, slices, now)


async def telemetry_absent(plane: ControlPlane, alert: Alert, now: datetime) -> ChartSpec:
    measured = await _measured(plane, FLEET, bounds(alert, 2 * HOUR, now), now)
    return silence_chart(alert, measured.series, min(now, bounds(alert, 2 * HOUR, now)[1]))


async def jobs_dead(plane: ControlPlane, alert: Alert, now: datetime) -> ChartSpec:
    died = await plane.of(JobDirectory).died(alert.labels.get("job", ""), alert.tenant_id)
    if not died:
        raise NoSeries("Its dead letters were settled more than 30 days ago")
    return dead_chart(alert, died, now)


async def quota(plane: ControlPlane, alert: Alert, now: datetime) -> ChartSpec:
    """The home counts what it admits, without when. Requests are stored with their time, and what services record."""
    metric = alert.labels.get("metric", "")
    if alert.tenant_id is None:
        raise NoSeries("The alert does not say whose quota it is about")
    if metric not in COUNTED:
        return await _recorded(plane, alert, alert.tenant_id, metric, now)
    measured = await _measured(plane, Scope(alert.tenant_id), bounds(alert, QUOTA_LEAD, now), now)
    found = await saturation_of(plane, measured.series)
    filled = next((each for each in found.filled if each.limit.name == metric and each.limit.period), None)
    if filled is None:
        raise NoSeries(found.words or f"The tenant has no quota of {metric} any more")
    chart = saturation_chart(replace(measured, saturation=replace(found, filled=(filled,))))
    line = () if alert.threshold is None else (Threshold(alert.threshold * 100, "threshold"),)
    [drawn_line] = chart.series
    return drawn(alert, replace(chart, series=(replace(drawn_line, name="by stored requests"),), thresholds=line))


async def _recorded(plane: ControlPlane, alert: Alert, tenant: str, metric: str, now: datetime) -> ChartSpec:
    found = quota_of(await plane.of(SubscriptionDirectory).standing(tenant), metric)
    if found is None:
        raise NoSeries(f"The tenant has no quota of {clean(metric, 60)} any more")
    start, end = bounds(alert, QUOTA_LEAD, now)
    hours = await plane.of(SubscriptionDirectory).recorded(tenant, metric, found.began(start), end)
    if not hours:
        raise NoSeries("How much of this quota was used when is not stored: services ask for it, and record nothing")
    return quota_chart(alert, found, hours, now)


async def key_usage(plane: ControlPlane, alert: Alert, now: datetime) -> ChartSpec:
    """Of the most unusual key: what is unusual about it, by the hour."""
    sample = alert.details.get("sample")
    first: Mapping[str, Any] = sample[0] if isinstance(sample, list) and sample and isinstance(sample[0], dict) else {}
    key, route, signals = first.get("key"), first.get("route"), first.get("signals")
    if not (isinstance(key, str) and isinstance(route, str) and isinstance(signals, list) and alert.tenant_id):
        raise NoSeries("The alert does not say which key it is about")
    scope = Scope(alert.tenant_id, route, key)
    measured = await _measured(plane, scope, bounds(alert, (WINDOW + BASELINE) * HOUR, now), now)
    note = f"of {key} on {route}"
    if signals[:1] == ["latency"]:
        return drawn(alert, latency_chart(measured), note)
    if signals[:1] in (["server_errors"], ["client_errors"]):
        return drawn(alert, error_share_chart(measured), note)
    chart = replace(requests_chart(measured), thresholds=await _usual(plane, alert, first))
    return drawn(alert, chart, note)


async def _usual(plane: ControlPlane, alert: Alert, first: Mapping[str, Any]) -> tuple[Threshold, ...]:
    """The requests per minute that were expected of a key, and the number from which they are unusual."""
    usual = first.get("usual_per_hour")
    if not isinstance(usual, int | float) or usual <= 0:
        return ()
    [times, *_] = await plane.of(ThresholdDirectory).sources("key_usage_anomaly.times", alert.tenant_id)
    drop = "drop" in first["signals"]
    limit = usual / times.value if drop else usual * times.value
    words = f"1/{times.value:g} of it" if drop else f"{times.value:g} times that"
    return Threshold(usual / 60, "usual", "muted"), Threshold(limit / 60, words)


async def _measured(plane: ControlPlane, scope: Scope, between: tuple[datetime, datetime], now: datetime) -> Measured:
    start, end = between
    window = Window(end - start, end)
    [series] = await series_as_kept(plane, "home", [scope], start, end, window.step(now))
    return Measured(View(scope, window), series)


SERIES: Mapping[str, Callable[[ControlPlane, Alert, datetime], Awaitable[ChartSpec]]] = {
    "burn_rate": burn_rate,
    "jobs_dead": jobs_dead,
    "key_usage_anomaly": key_usage,
    "quota_near": quota,
    "quota_over": quota,
    "telemetry_absent": telemetry_absent,
}
"""Of other detectors the home keeps only what they found last."""
