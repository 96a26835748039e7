"""The list of deliveries: the newest first."""

from __future__ import annotations

from datetime import datetime

from controlplane.deliveries.kept import STATES, Delivery, DeliveryDirectory, State
from controlplane.deliveries.refusals import NO_DELIVERY
from controlplane.deliveries.reports import what_words, who_words, why_of
from controlplane.lists import AGE, COUNT, FLAG, ID, UNTIL, Cell, Column, ListOf, Status, choice, status, status_cell
from controlplane.text import clean

STATUSES: dict[State, Status] = {
    "failed": Status("✕", "bad"),
    "held": Status("✕", "bad"),
    "sending": Status("◐", "warn"),
    "waiting": Status("◐", "warn"),
    "delivered": Status("●", "good"),
}
assert tuple(STATUSES) == STATES


def _state(delivery: Delivery, now: datetime) -> Cell:
    cell = status_cell(STATUSES, delivery.state)
    return Cell(f"{cell.text} TEST", cell.tone) if delivery.test else cell


DELIVERIES: ListOf[Delivery] = ListOf(
    "deliveries",
    Delivery,
    of=lambda plane: plane.of(DeliveryDirectory),
    order="-age",
    summary="List deliveries, the newest first.",
    means="What was sent to whom, why, and whether it was received. Deliveries to a disabled endpoint are held.",
    nothing="Nothing was sent yet. :routes shows which alerts are sent to whom, :webhooks the tenants' own.",
    missing=NO_DELIVERY,
    label=lambda delivery: f"delivery {delivery.id}",
    opens=lambda delivery: ("deliveries", delivery.key),
    why=lambda delivery, now: why_of(delivery, now),
    columns=(
        Column("state", status(STATUSES), priority=1, width=11, cell=_state, sorts=True),
        Column("age", AGE, priority=2, field="created_at", sorts=True, filters=True),
        Column("what", filters=False, priority=1, width=20, grow=True, value=what_words),
        Column("who", filters=False, priority=3, width=16, grow=True, title="TO", value=who_words),
        Column("reason", priority=4, width=18, value=lambda d: d.reason),
        Column("tenant", priority=6, width=10, field="tenant_id", value=lambda d: clean(d.tenant_id or "all", 64)),
        Column("attempts", COUNT, priority=5, width=5, title="TRIES", sorts=True),
        Column("next", UNTIL, priority=7, field="next_at", filters=False),
        Column("code", priority=8, width=10, title="ANSWER", value=lambda d: clean(d.code or "", 40)),
        Column("action", choice("trigger", "acknowledge", "resolve"), priority=10, width=11),
        Column("id", ID, priority=9, width=6, title="NO", value=lambda d: d.key, sorts=True),
        Column("route", value=lambda d: clean(d.route or "", 64)),
        Column("route_no", field="route_id", value=lambda d: str(d.route_id or ""), what="the number of the route"),
        Column("webhook", field="webhook_id", value=lambda d: str(d.webhook_id or ""),
               what="the number of the tenant's webhook"),
        Column("channel", choice("webhook", "slack", "pagerduty", "mail", "drill")),
        Column("person"),
        Column("kind", field="event_type"),
        Column("severity", choice("info", "warning", "error", "critical")),
        Column("test", FLAG),
    ),
)  # fmt: skip
