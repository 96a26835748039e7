"""Tenants' webhooks and events as a context keeps and lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import ById, Listing

State = Literal["on", "off", "disabled"]


@dataclass(frozen=True, slots=True)
class Webhook(ById):
    """An address of a tenant. `target`: as it is shown, since `target_at`. `events`: the types that it is told of, or
    "*". `secret_at`: since when it signs with its newest secret.

    `state` "off": disabled by its failures, "disabled": by a person; `disabled` says why. `failures`: attempts in a row
    that were not delivered. `replayed`: how many deliveries the last replay of a span sent again.
    """

    id: int
    tenant_id: str
    label: str
    target: str
    events: list[str]
    target_at: datetime
    secret_at: datetime | None
    enabled: bool
    state: State
    replayed: int | None
    replayed_from: datetime | None
    replayed_until: datetime | None
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    failures: int
    disabled: str | None
    disabled_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class TenantEvent:
    """Something that happened to a tenant. `id`: the same for the same happening; `n`: its place among all events.
    `data`: what its webhooks are told, but for the id and the tenant.
    """

    n: int
    id: str
    tenant_id: str
    type: str
    summary: str
    data: dict[str, Any]
    at: datetime

    @property
    def key(self) -> str:
        return self.id


class WebhookDirectory(Listing[Webhook], Protocol):
    """The capability of a context to show tenants' webhooks."""

    async def get(self, number: int) -> Webhook:
        """Raises NotFound; also of a deleted one."""
        ...

    async def count_replayable(self, number: int, since: datetime, before: datetime, states: Sequence[str]) -> int:
        """How many deliveries a replay of that span would send again; at most one more than a replay may."""
        ...


class TenantEventDirectory(Listing[TenantEvent], Protocol):
    """The capability of a context to show what happened to tenants that have webhooks."""


class WebhookStore(Protocol):
    """What the operations write through."""

    async def lock(self, number: int) -> Webhook:
        """Raises NotFound."""
        ...

    async def create(self, columns: Mapping[str, Any]) -> Webhook: ...

    async def update(self, number: int, columns: Mapping[str, Any]) -> Webhook: ...

    async def delete(self, number: int, at: datetime) -> None: ...

    async def replay(self, number: int, since: datetime, before: datetime, states: Sequence[str]) -> int:
        """Returns how many deliveries are sent again."""
        ...
