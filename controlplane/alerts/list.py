"""The list of alerts: what fires and is most severe first, then the newest; what is resolved comes last."""

from __future__ import annotations

from datetime import datetime

from controlplane.alerts.model import SEVERITIES, STANDINGS, Alert, AlertDirectory, Severity, Standing
from controlplane.alerts.refusals import NO_ALERT
from controlplane.alerts.rules import flaps
from controlplane.alerts.standing import next_cell
from controlplane.alerts.words import ESTATE, measured_words, why_of
from controlplane.lists import COUNT, ID, MADE, NUMBER, TIME, Cell, Column, ListOf, Status, status
from controlplane.text import clean

SEVERITY: dict[Severity, Status] = {
    "critical": Status("✕", "bad"),
    "error": Status("◈", "bad"),
    "warning": Status("◐", "warn"),
    "info": Status("○", "muted"),
}
STATES: dict[Standing, Status] = {
    "firing": Status("✕", "bad"),
    "acked": Status("◐", "warn"),
    "unknown": Status("?", "unknown"),
    "resolved": Status("●", "good"),
}


def _severity(alert: Alert, now: datetime) -> Cell:
    """A resolved one is muted: it asks for nothing."""
    glyph, tone, _ = SEVERITY.get(alert.severity, Status("?", "unknown"))
    return Cell(f"{glyph} {alert.severity}", "muted" if alert.standing == "resolved" else tone)


def _what(alert: Alert, now: datetime) -> Cell:
    flapping = f"{alert.fires}× " if flaps(alert) else ""
    return Cell(flapping + clean(alert.summary, 300), "muted" if alert.standing == "resolved" else "")


ALERTS = ListOf(
    "alerts",
    Alert,
    of=lambda plane: plane.of(AlertDirectory),
    order="-severity",
    summary="List alerts: what fires and is most severe first. state:firing,acked,unknown leaves out what is over.",
    means="What detectors found wrong. 5×: it flaps, it fired five times within 24 hours."
    " ?: unknown, because its source is silent.",
    nothing="No alert yet. :detectors shows which detectors were evaluated, and when.",
    missing=NO_ALERT,
    label=lambda alert: f"alert {alert.id}",
    opens=lambda alert: ("alerts", alert.key),
    why=why_of,
    columns=(
        Column("severity", status(SEVERITY, [*reversed(SEVERITIES)]), priority=1, width=10, cell=_severity, sorts=True,
               what="sorts firing before acked, and acked before resolved"),
        Column("age", TIME, priority=2, field="fired_at", sorts=True, what="since when it fires", also=("fired",)),
        Column("tenant", priority=3, width=12, field="tenant_id", grow=True,
               cell=lambda alert, now: Cell(alert.tenant_id or ESTATE, "" if alert.tenant_id else "muted")),
        Column("what", filters=False, priority=1, width=24, field="summary", grow=True, cell=_what),
        Column("state", status(STATES, STANDINGS), priority=2, width=10, field="standing"),
        Column("next", filters=False, priority=4, width=18, field="routing", cell=next_cell, unsorted=MADE,
               what="the next step of its escalation, or why nobody is told now"),
        Column("holder", priority=5, width=8, title="WHO", grow=True, what="who has it", also=("who",)),
        Column("value", NUMBER, filters=False, priority=6, width=14, title="VALUE",
               cell=lambda alert, now: measured_words(alert), what="the value and its threshold"),
        Column("kind", priority=7, width=16, grow=True, sorts=True, what="the detector that found it"),
        Column("id", ID, priority=8, width=5, title="NO", sorts=True),
        Column("fires", COUNT, filters=False, priority=10, width=5, title="24H",
               what="how often it fired within 24 hours"),
    ),
)  # fmt: skip
