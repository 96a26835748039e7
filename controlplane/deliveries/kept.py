"""Deliveries as a context keeps and lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from controlplane.alerts.model import Severity
from controlplane.deliveries.model import Action
from controlplane.encryption import Encrypted
from controlplane.listing import ById, Listing

State = Literal["waiting", "sending", "delivered", "failed", "held"]
STATES: tuple[State, ...] = ("failed", "held", "sending", "waiting", "delivered")
Outcome = Literal["delivered", "retry", "refused", "lost"]


@dataclass(frozen=True, slots=True)
class Delivery(ById):
    """One notice to one target: of alerts by a route, or of what happened to a tenant to its webhook (the fields of the
    other are None). `message`: the key that the receiver tells repeats by. `target`: as it is shown. `person`: whom an
    escalation pages, at its `level` (from 1), and `contact` their own address, as it is shown; without one the route's
    own target is told, as it is with the person "".

    "held": its endpoint is disabled; it is sent when somebody replays it. `attempts`: all there were; `tries`: those
    since it was decided or replayed. `code`, `words`: what came of the last one. `alerts` fire, `resolved` do not any
    more (their ids, at most 100 of each). `escalated_by`: who asked for the page.
    """

    id: int
    message: str
    route_id: int | None
    route: str | None
    webhook_id: int | None
    webhook_label: str | None
    channel: str
    target: str
    group_key: str
    number: int
    tenant_id: str | None
    person: str
    contact: str | None
    level: int
    action: Action | None
    reason: str
    escalated_by: str | None
    severity: Severity | None
    event_type: str
    summary: str
    test: bool
    state: State
    attempts: int
    tries: int
    replays: int
    next_at: datetime | None
    code: str | None
    words: str | None
    created_at: datetime
    created_by: str | None
    ended_at: datetime | None
    version: int
    alerts: list[int]
    resolved: list[int]


@dataclass(frozen=True, slots=True)
class Attempt:
    """`answer`: the start of what the receiver said; it may be anything. `seconds` None: not known."""

    delivery_id: int
    attempt: int
    worker_id: int
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    code: str
    words: str
    answer: str
    seconds: float | None

    @property
    def key(self) -> str:
        return str(self.attempt)


class DeliveryDirectory(Listing[Delivery], Protocol):
    """The capability of a context to show deliveries."""

    async def attempts(self, number: int) -> Sequence[Attempt]:
        """The newest 200, oldest first."""
        ...

    async def of_alert(self, number: int) -> Sequence[Delivery]:
        """The newest 200 that tell of an alert, oldest first."""
        ...


class DeliveryStore(Protocol):
    """What the operations write through."""

    async def lock(self, number: int) -> Delivery:
        """Raises NotFound."""
        ...

    async def replay(self, number: int) -> Delivery: ...

    async def test(self, endpoint: int, key: str) -> Delivery:
        """Send a test to a route's target, or to a webhook."""
        ...

    async def test_contact(self, contact: int, key: str) -> Delivery:
        """Send a test to somebody's own address."""
        ...

    async def put_secret(self, endpoint: int, secret: str, kind: str, stored: Encrypted, keeps_seconds: int) -> None:
        """`secret`: its id. A new signing secret lets the ones before it sign for so many seconds more."""
        ...
