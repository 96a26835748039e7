"""Tenants' webhooks and events in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, scalar
from backends.postgres.table import Table
from controlplane.jobs.engine import sql as job
from controlplane.webhooks.list import TENANT_EVENTS, WEBHOOKS
from controlplane.webhooks.model import TenantEvent, TenantEventDirectory, Webhook, WebhookDirectory, WebhookStore
from controlplane.webhooks.refusals import NO_WEBHOOK

WEBHOOK_TABLE = Table("wf.webhooks", Webhook, ("id",), NO_WEBHOOK, view="wf.webhook_list", held="NO KEY UPDATE")
COUNT = "SELECT wf.count_replayable(%s, %s, %s, %s)"
REPLAY = "SELECT wf.replay_webhook(%s, %s, %s, %s)"
UPKEEP = (job("note_expiring_keys", "SELECT wf.note_expiring_keys()", timedelta(minutes=15)),)


class Webhooks(PagedList[Webhook], WebhookDirectory):
    shape = shape_of(WEBHOOKS, "wf.webhook_list", orders={"id": Order("id", "bigint", tie=())})

    async def get(self, number: int) -> Webhook:
        async with self.home.connection() as connection:
            return await WEBHOOK_TABLE.get(connection, number)

    async def count_replayable(self, number: int, since: datetime, before: datetime, states: Sequence[str]) -> int:
        async with self.home.connection() as connection:
            found: int = await scalar(connection, COUNT, [number, since, before, list(states)])
        return found


class TenantEvents(PagedList[TenantEvent], TenantEventDirectory):
    shape = shape_of(TENANT_EVENTS, "wf.tenant_event_list", tie=("n",), orders={"age": Order("n", "bigint", tie=())})


@dataclass(frozen=True)
class WebhookWriter(WebhookStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> Webhook:
        return await WEBHOOK_TABLE.lock(self.connection, number)

    async def create(self, columns: Mapping[str, Any]) -> Webhook:
        return await WEBHOOK_TABLE.create(self.connection, columns)

    async def update(self, number: int, columns: Mapping[str, Any]) -> Webhook:
        return await WEBHOOK_TABLE.update(self.connection, columns, number)

    async def delete(self, number: int, at: datetime) -> None:
        await self.connection.execute(
            "UPDATE wf.webhooks SET deleted_at = %s, enabled = false WHERE id = %s", [at, number]
        )

    async def replay(self, number: int, since: datetime, before: datetime, states: Sequence[str]) -> int:
        many: int = await scalar(self.connection, REPLAY, [number, since, before, list(states)])
        return many
