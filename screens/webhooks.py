"""One webhook of a tenant: where it is told, how that does, what it was told, and what happened to its tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from controlplane.deliveries.list import DELIVERIES
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.webhooks.model import TenantEvent, TenantEventDirectory, Webhook, WebhookDirectory
from controlplane.webhooks.words import events_lines, fact_lines, why_of
from screens.desk import Target
from screens.detail import TENANT, DetailScreen, Related, of_tenant
from screens.panes import Facts, Reading, Seen, TablePane

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

SHOWN = ("state", "age", "what", "attempts", "code")
MAX_EVENTS = 50


async def read_events(plane: ControlPlane, webhook: Webhook, now: datetime) -> Sequence[TenantEvent]:
    newest = Query((Term("is", (webhook.tenant_id,), "tenant"),), "age", descending=True)
    return (await plane.of(TenantEventDirectory).page(newest, limit=MAX_EVENTS)).rows


HAPPENED = Reading(read_events, every=2.0)
EVENTS = Related("events", "N", "what happened to the tenant", "events", "events", of=of_tenant, lists=True)


class WebhookScreen(DetailScreen[Webhook]):
    noun = "webhooks"
    numbered = True
    rows = Webhook
    means = "One webhook: its address and health, what was sent to it, and what happened to its tenant lately."
    panes = (
        Facts("facts", lambda seen: fact_lines(seen.thing, seen.now)),
        TablePane(
            "deliveries",
            DELIVERIES,
            tuple(column for column in DELIVERIES.table if column.name in SHOWN),
            lambda key: Query((Term("is", (key,), "webhook"),), "age", descending=True),
            "Nothing was sent yet. Press a, then y, to send a test.",
            none=lambda key: Target({}, None, key),
        ),
        Facts("events", lambda seen: events_lines(seen.of(HAPPENED), seen.now)),
    )
    grid, widths = ("facts deliveries", "facts events"), "2fr 3fr"
    readings = (HAPPENED,)
    related = (TENANT, EVENTS)

    @property
    def label(self) -> str:
        return f"webhook {self.thing_id}"

    async def read(self, plane: ControlPlane) -> Webhook:
        return await plane.of(WebhookDirectory).get(int(self.thing_id))

    def why(self, seen: Seen[Webhook]) -> list[Line]:
        return why_of(seen.thing, seen.now)
