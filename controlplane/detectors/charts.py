"""Charts of the value behind an alert, with its threshold: pure functions of what the home stores over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controlplane.alerts.marks import ALERT
from controlplane.alerts.model import Alert, AlertEvent
from controlplane.alerts.words import number_words
from controlplane.objectives.model import Objective, Pair, Slice
from controlplane.objectives.rules import PAIRS, History, absent_after, burn, factor, span
from controlplane.telemetry.charts import ChartSpec, Mark, Series, Threshold
from controlplane.telemetry.model import Series as Requests
from controlplane.telemetry.saturation import Limit

SAME_FACTOR = 0.15
"""A pair of windows is the one that fired if its factor is so near the threshold: a month has 28 to 31 days."""


def bounds(alert: Alert, lead: timedelta, now: datetime) -> tuple[datetime, datetime]:
    """The time that its chart shows: from so long before it fired to soon after its end, or to now."""
    end = now if alert.resolved_at is None else min(now, alert.resolved_at + lead / 4)
    return alert.fired_at - lead, end


def drawn(alert: Alert, spec: ChartSpec, *notes: str) -> ChartSpec:
    """With marks where the alert fired and was resolved."""
    marks = [Mark(alert.fired_at.timestamp(), "bad", ALERT)]
    if alert.resolved_at is not None:
        marks.append(Mark(alert.resolved_at.timestamp(), "good", ALERT))
    words = f"{ALERT} fired" + (", resolved" if alert.resolved_at is not None else "")
    return replace(spec, marks=tuple(marks), notes=(*notes, *spec.notes, words))


def undrawn(alert: Alert, events: Sequence[AlertEvent], why: str) -> ChartSpec:
    """No line, and why; with the values that are known."""
    fired = next((each.value for each in events if each.kind == "fired"), None)
    known = [] if fired is None else [f"{number_words(fired, alert.unit)} when it fired"]
    if alert.value is not None:
        known.append(f"{number_words(alert.value, alert.unit)} when it was last evaluated")
    words = f"{why}. It was {', '.join(known)}." if known else f"{why}."
    return ChartSpec((), alert.unit, alert.fired_at.timestamp(), alert.fired_at.timestamp(), nothing=words)


def pair_of(alert: Alert, objective: Objective, period: timedelta) -> Pair | None:
    """The pair of windows that fired; None: the objective has no such pair any more."""
    if alert.threshold is None or alert.threshold <= 0:
        return None
    off, pair = min((abs(math.log(factor(pair, period) / alert.threshold)), n) for n, pair in enumerate(PAIRS))
    return PAIRS[pair] if off <= SAME_FACTOR else None


def burn_chart(
    alert: Alert, objective: Objective, pair: Pair, period: timedelta, slices: Sequence[Slice], now: datetime
) -> ChartSpec:
    """The burn over the long window at the end of each minute or hour with requests, as the objective judges it.

    `slices`: from the long window before the chart's start. Where only hours are known, a window is an hour at least.
    """
    start, end = bounds(alert, burn_lead(pair), now)
    history, silence = History(slices, adjusted=True), absent_after(objective.target, period)
    xs: list[float] = []
    ys: list[float | None] = []
    last: datetime | None = None
    for each in slices:
        if not each.total or not start <= each.end <= end:
            continue
        if last is not None and each.start - last > silence:
            xs.append(last.timestamp() + 1)
            ys.append(None)
        long = max(pair.long, timedelta(seconds=each.seconds))
        xs.append(each.end.timestamp())
        ys.append(burn(history.counts(each.end - long, each.end), objective.target))
        last = each.end
    line = Series(f"burn over {span(pair.long)}", xs, ys, "bad")
    thresholds = (Threshold(factor(pair, period), f"{pair.severity} above"),)
    nothing = "No request that counts for the objective is stored for this time."
    spec = ChartSpec((line,), "×", start.timestamp(), end.timestamp(), thresholds, nothing=nothing)
    return drawn(alert, spec)


def burn_lead(pair: Pair) -> timedelta:
    return max(3 * pair.long, timedelta(hours=6))


def silence_chart(alert: Alert, requests: Requests, end: datetime) -> ChartSpec:
    """The minutes since the newest request, after each step; from the first request on."""
    xs: list[float] = []
    ys: list[float | None] = []
    newest: datetime | None = None
    for at, point in zip(requests.times(), requests.points, strict=True):
        after = min(at + requests.step, end)
        newest = after if point is not None and point.n else newest
        xs.append(after.timestamp())
        ys.append(None if newest is None else (after - newest).total_seconds() / 60)
    thresholds = () if alert.threshold is None else (Threshold(alert.threshold, "threshold"),)
    line = Series("without a request", xs, ys, "bad")
    nothing = "No request is stored for this time."
    spec = ChartSpec((line,), "m", requests.start.timestamp(), end.timestamp(), thresholds, nothing=nothing)
    return drawn(alert, spec)


QUOTA_LEAD = timedelta(hours=24)


def quota_chart(alert: Alert, quota: Limit, hours: Iterable[tuple[datetime, int]], now: datetime) -> ChartSpec:
    """The share of a quota that was used since its period began, after each hour. `hours`: when each began, and what
    was recorded in it; from the period's begin on, in order. An hour belongs to the period that it begins in.
    """
    start, end = bounds(alert, QUOTA_LEAD, now)
    used, began = 0, quota.began(start)
    xs: list[float] = [start.timestamp()]
    ys: list[float | None] = [0.0]
    for at, amount in hours:
        if (this := quota.began(at)) != began:
            used, began = 0, this
            xs, ys = [*xs, this.timestamp(), this.timestamp()], [*ys, ys[-1], 0.0]
        used += amount
        share, after = used / quota.most * 100 if quota.most else 100.0, at + timedelta(hours=1)
        if after <= start:
            ys[0] = share
        else:
            xs.append(min(after, end).timestamp())
            ys.append(share)
    xs, ys = [*xs, end.timestamp()], [*ys, 0.0 if quota.began(end) != began else ys[-1]]
    thresholds = () if alert.threshold is None else (Threshold(alert.threshold * 100, "threshold"),)
    line = Series("by recorded usage", xs, ys, "bad")
    return drawn(alert, ChartSpec((line,), "%", start.timestamp(), end.timestamp(), thresholds))


def dead_chart(alert: Alert, died: Iterable[tuple[datetime, int]], now: datetime) -> ChartSpec:
    """How many dead letters waited at each time. `died`: when, and how many more or fewer then; in order."""
    start, end = bounds(alert, timedelta(hours=24), now)
    number, xs, ys = 0, [start.timestamp()], [0.0]
    for at, more in died:
        if at <= start:
            number += more
            ys[0] = float(number)
            continue
        xs += [at.timestamp(), at.timestamp()]
        ys += [float(number), float(number + more)]
        number += more
    xs.append(end.timestamp())
    ys.append(float(number))
    thresholds = () if alert.threshold is None else (Threshold(alert.threshold, "threshold"),)
    spec = ChartSpec((Series("dead", xs, ys, "bad"),), "", start.timestamp(), end.timestamp(), thresholds)
    return drawn(alert, spec)
