"""The lists of tenants' webhooks and of what happened to their tenants."""

from __future__ import annotations

from controlplane.lists import AGE, COUNT, ID, TEXTS, TIME, Column, ListOf, choice, status
from controlplane.text import clean
from controlplane.webhooks.events import EVENTS
from controlplane.webhooks.model import TenantEvent, TenantEventDirectory, Webhook, WebhookDirectory
from controlplane.webhooks.refusals import NO_EVENT, NO_WEBHOOK
from controlplane.webhooks.words import STATES, event_lines, why_of

WEBHOOKS: ListOf[Webhook] = ListOf(
    "webhooks",
    Webhook,
    of=lambda plane: plane.of(WebhookDirectory),
    order="-id",
    summary="List tenants' webhooks, the newest first: tenant:acme finds those of acme.",
    means="Where tenants are told what happens to them. An address that failed 50 times in a row is disabled.",
    nothing="No tenant has a webhook yet. Press a, then n, to make one.",
    empty="No webhook matches. Press esc to clear the filter, or a, then n, to make one.",
    missing=NO_WEBHOOK,
    label=lambda webhook: f"webhook {webhook.id}",
    opens=lambda webhook: ("webhooks", webhook.key),
    why=why_of,
    columns=(
        Column("tenant", priority=1, width=12, field="tenant_id", grow=True),
        Column("label", priority=4, width=10, grow=True, value=lambda w: clean(w.label, 100)),
        Column("state", status(STATES), priority=2, width=10),
        Column("target", priority=3, width=22, grow=True, title="ADDRESS", filters=False,
               value=lambda w: clean(w.target, 200)),
        Column("event", TEXTS, priority=7, width=14, title="TOLD OF", field="events", grow=True,
               what="a type of event that it gets"),
        Column("failures", COUNT, priority=5, width=6, title="FAILED",
               what="attempts in a row that were not delivered"),
        Column("delivered", TIME, priority=6, field="delivered_at", title="LAST OK"),
        Column("created", TIME, priority=10, field="created_at"),
        Column("id", ID, priority=8, width=5, title="NO", value=lambda w: w.key, sorts=True, filters=False),
    ),
)  # fmt: skip

TENANT_EVENTS: ListOf[TenantEvent] = ListOf(
    "events",
    TenantEvent,
    of=lambda plane: plane.of(TenantEventDirectory),
    order="-age",
    summary="List what happened to tenants that have webhooks, the newest first.",
    means="What happened to tenants with webhooks. :deliveries shows who was told.",
    nothing="Nothing happened yet to a tenant that has a webhook.",
    missing=NO_EVENT,
    label=lambda event: event.type,
    why=event_lines,
    columns=(
        Column("type", choice(*EVENTS), priority=1, width=16, title="EVENT"),
        Column("age", AGE, priority=2, field="at", sorts=True),
        Column("tenant", priority=3, width=12, field="tenant_id", grow=True),
        Column("what", priority=1, width=20, field="summary", grow=True, filters=False,
               value=lambda e: clean(e.summary, 300)),
        Column("id", width=44),
    ),
)  # fmt: skip
