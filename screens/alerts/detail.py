"""One alert: what was found and by which threshold, all that happened to it, earlier ones like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.alerts import escalations
from controlplane.alerts.list import SEVERITY, STATES
from controlplane.alerts.model import Alert, AlertDirectory, AlertEvent
from controlplane.alerts.timeline import changes_of, timeline_lines
from controlplane.alerts.words import (
    ESTATE,
    ended_words,
    flapping_words,
    labels_words,
    lasted_words,
    number_words,
    standing_words,
    why_of,
)
from controlplane.audit.model import AuditRow
from controlplane.deliveries.kept import Delivery, DeliveryDirectory
from controlplane.deliveries.reports import told_lines
from controlplane.detectors.behind import chart_behind
from controlplane.detectors.model import Judged, ThresholdDirectory
from controlplane.detectors.words import judged_lines
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.formatting import relative
from controlplane.lists import Line, status_cell
from controlplane.previews import value_words
from controlplane.telemetry.charts import ChartSpec
from controlplane.telemetry.model import Scope
from controlplane.text import clean
from screens.detail import TENANT, DetailScreen, Related, refusal_lines
from screens.panes import READING, ChartPane, Facts, NotRead, Reading, Seen

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

SIMILAR_EVERY, CHART_EVERY, CHANGES_EVERY = 30.0, 30.0, 10.0


@dataclass(frozen=True)
class AlertRead:
    """An alert with its events, and the deliveries that tell of it."""

    alert: Alert
    events: Sequence[AlertEvent]
    deliveries: Sequence[Delivery]


async def read_similar(plane: ControlPlane, read: AlertRead, now: datetime) -> Sequence[Alert]:
    return await plane.of(AlertDirectory).similar(read.alert)


async def read_chart(plane: ControlPlane, read: AlertRead, now: datetime) -> ChartSpec:
    return await chart_behind(plane, read.alert, read.events, now)


async def read_changes(plane: ControlPlane, read: AlertRead, now: datetime) -> Sequence[AuditRow]:
    return await changes_of(plane, read.alert)


async def read_thresholds(plane: ControlPlane, read: AlertRead, now: datetime) -> Sequence[Judged]:
    return await plane.of(ThresholdDirectory).judged(read.alert.kind, read.alert.tenant_id)


SIMILAR = Reading(read_similar, every=SIMILAR_EVERY)
CHART = Reading(read_chart, every=CHART_EVERY)
CHANGES = Reading(read_changes, every=CHANGES_EVERY)
JUDGED = Reading(read_thresholds, every=CHANGES_EVERY)


def dead_jobs(screen: AlertScreen) -> tuple[Term, ...] | None:
    """The jobs that an alert about dead ones is about."""
    alert = screen.row
    if alert is None or alert.kind != "jobs_dead":
        return None
    tenant = (Term("is", (alert.tenant_id,), "tenant"),) if alert.tenant_id else ()
    return (Term("is", ("dead",), "state"), Term("is", (alert.labels.get("job", ""),), "kind"), *tenant)


KEY = Related("key", "K", "the key behind it", "key", "keys", of=lambda screen: screen.detail_of("key_id"))
OBJECTIVE = Related(
    "objective",
    "B",
    "the objective behind it",
    "objective",
    "objectives",
    of=lambda screen: screen.detail_of("objective"),
)
DEAD = Related("dead", "D", "the dead jobs behind it", "dead jobs", "jobs", of=dead_jobs, lists=True)


class AlertScreen(DetailScreen[AlertRead]):
    noun = "alerts"
    numbered = True
    rows = Alert
    means = (
        "One alert: what was found, its threshold, all that happened to it, its value over time, who was told, "
        "how earlier ones ended."
    )
    panes = (
        Facts("facts", lambda seen: facts(seen.thing.alert, seen.now)),
        Facts("timeline", lambda seen: timeline_lines(seen.thing.events, seen.known(CHANGES) or ())),
        ChartPane("chart", lambda seen: seen.of(CHART)),
        Facts("told", lambda seen: told_of(seen.thing, seen.now)),
        Facts("similar", lambda seen: similar_lines(seen.thing.alert, seen.of(SIMILAR), seen.now)),
    )
    grid, widths, heights = ("facts timeline", "chart told", "similar told"), "2fr 3fr", "1fr 1fr 1fr"
    readings = (SIMILAR, CHART, CHANGES, JUDGED)
    related = (TENANT, KEY, OBJECTIVE, DEAD)

    async def read(self, plane: ControlPlane) -> AlertRead:
        alerts = plane.of(AlertDirectory)
        number = int(self.thing_id)
        alert, events = await alerts.get(number), await alerts.events(number)
        return AlertRead(alert, events, await plane.of(DeliveryDirectory).of_alert(number))

    def row_of(self, thing: AlertRead) -> Alert:
        return thing.alert

    @property
    def label(self) -> str:
        return f"alert {self.thing_id}"

    def detail_of(self, name: str) -> str | None:
        """What the details say of a related thing."""
        found: Any = None if self.row is None else self.row.details.get(name)
        return None if found is None else str(found)

    def scope(self) -> Scope | None:
        return None if self.row is None else Scope(self.row.tenant_id)

    def why(self, seen: Seen[AlertRead]) -> list[Line]:
        thing = seen.thing
        told = [("who was told", "title"), *told_of(thing, seen.now)]
        return [*why_of(thing.alert, seen.now), "", ("thresholds", "title"), *thresholds(seen), "", *told]


def thresholds(seen: Seen[AlertRead]) -> Sequence[Line]:
    try:
        return judged_lines(seen.thing.alert.kind, seen.of(JUDGED))
    except NotRead:
        return READING
    except Refusal as refusal:
        return refusal_lines(refusal)


def told_of(read: AlertRead, now: datetime) -> list[Line]:
    return told_lines(read.deliveries, read.alert.id, now)


def facts(alert: Alert, now: datetime) -> list[Line]:
    """What a person needs at three in the morning, in that order."""
    severity, severity_tone = status_cell(SEVERITY, alert.severity)
    source, over = alert.details.get("threshold_from"), alert.standing == "resolved"
    lines: list[Line] = [
        (clean(alert.summary, 500), "title"),
        (severity, "muted" if over else severity_tone),
        status_cell(STATES, alert.standing),
        (f"  {standing_words(alert, now)}", "muted"),
    ]
    if alert.ack_comment:
        lines.append(f"  “{clean(alert.ack_comment, 500)}”")
    lines += [f"  {escalations.words(each)}" for each in escalations.standings(alert.routing)]
    if words := flapping_words(alert):
        lines.append((words, "warn"))
    rows = {
        "tenant": alert.tenant_id or f"{ESTATE} tenants",
        "value": number_words(alert.value, alert.unit),
        "threshold": number_words(alert.threshold, alert.unit) + (f", from: {clean(source, 100)}" if source else ""),
        "detector": alert.kind,
        "labels": labels_words(alert) or "none",
        "fired": f"{relative(alert.fired_at, now)}, {alert.fired_at:%Y-%m-%d %H:%M:%S} UTC",
        "before": f"alert {alert.previous_id}" if alert.previous_id is not None else "none",
    }
    lines += ["", *(f"{name:<11}{value}" for name, value in rows.items())]
    more = {name: value for name, value in alert.details.items() if name != "threshold_from"}
    if more:
        lines += [
            "",
            ("details", "title"),
            *(f"{clean(name, 60)}: {value_words(value)}" for name, value in more.items()),
        ]
    return lines


def similar_lines(alert: Alert, others: Sequence[Alert], now: datetime) -> list[Line]:
    """Earlier alerts of the same kind, with what ended each."""
    lines: list[Line] = []
    for each in others:
        labels = "" if each.fingerprint == alert.fingerprint else f" {labels_words(each)}"
        lines.append(f"alert {each.id}{labels}: {relative(each.fired_at, now)}, for {lasted_words(each)}")
        lines.append((f"  ended {ended_words(each)}", "muted"))
    return lines or [("no earlier alert of this kind", "muted")]
