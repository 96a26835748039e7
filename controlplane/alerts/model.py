"""Alerts: what a detector found, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import ById, Listing

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")
"""In rising order; the words of PagerDuty's events, so that none needs translating."""
State = Literal["firing", "acked", "resolved"]
Standing = Literal["firing", "acked", "unknown", "resolved"]
STANDINGS: tuple[Standing, ...] = ("firing", "acked", "unknown", "resolved")
EventKind = Literal[
    "fired",
    "raised",
    "lowered",
    "acked",
    "unacked",
    "ack_ended",
    "handed_over",
    "unknown",
    "known",
    "resolved",
    "escalated",
]


@dataclass(frozen=True, slots=True)
class Alert(ById):
    """`kind`: the name of its detector. `tenant_id` None: it is about the whole estate. `labels` tell it from the other
    alerts of its kind and tenant; one with the same `fingerprint` is open at a time, and `previous_id` is the last one.

    `standing` is what is shown: `state`, or "unknown" while nothing is known of it. `value`, `threshold`: in `unit`;
    None is unknown. `fires`: how often it has fired in the 24 hours up to `fired_at`, this time included.
    `resolved_by` None: it was no longer found. `routing`: one for each route that has it: why it is not told there, and
    where its escalation stands, as they are kept; see controlplane.alerts.escalations.
    """

    id: int
    kind: str
    tenant_id: str | None
    labels: dict[str, str]
    fingerprint: str
    severity: Severity
    value: float | None
    threshold: float | None
    unit: str
    summary: str
    details: dict[str, Any]
    standing: Standing
    state: State
    fired_at: datetime
    holder: str | None
    acked_at: datetime | None
    ack_until: datetime | None
    ack_comment: str | None
    unknown_since: datetime | None
    unknown_why: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolved_why: str | None
    previous_id: int | None
    fires: int
    version: int
    routing: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """The `n`th event of an alert. `actor` None: its detector. `holder`: who has the alert from then on; `until`: the
    end of an ack. `words`: what was found, or what the person said.
    """

    alert_id: int
    n: int
    at: datetime
    kind: EventKind
    severity: Severity
    value: float | None
    actor: str | None
    holder: str | None
    until: datetime | None
    words: str | None
    audit_seq: int | None

    @property
    def key(self) -> str:
        return str(self.n)


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """How many alerts are open, by what is known of them; `critical` of the firing ones are critical. `evaluated`: when
    the last detector was evaluated (None: none ever was, so that no alert says nothing).
    """

    firing: int
    critical: int
    acked: int
    unknown: int
    evaluated: datetime | None
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Newest:
    """One of the newest alerts. `fires`: nobody has it, it is not over, and its source answers."""

    id: int
    fires: bool


class AlertDirectory(Listing[Alert], Protocol):
    """The capability of a context to show alerts."""

    async def events(self, number: int) -> Sequence[AlertEvent]:
        """The newest 200, oldest first."""
        ...

    async def similar(self, alert: Alert) -> Sequence[Alert]:
        """Up to 20 resolved ones of its kind, newest first: those with its fingerprint, then its tenant's."""
        ...

    async def during(
        self, start: datetime, end: datetime, tenants: Sequence[str] = (), key: tuple[str, str] | None = None
    ) -> Sequence[Alert]:
        """The newest 200 of each tenant that were open at some time between; without a tenant, those of the estate.

        `key`: the id of a key and what is shown of it: only the alerts that name it.
        """
        ...

    async def open_alerts(self) -> OpenAlerts: ...

    async def newest(self) -> Sequence[Newest]:
        """The 300 newest, in whatever state."""
        ...


class AlertStore(Protocol):
    """What the operations write through. The home checks every step again."""

    async def lock(self, number: int) -> Alert:
        """Raises NotFound."""
        ...

    async def ack(self, number: int, until: datetime, comment: str) -> Alert: ...

    async def unack(self, number: int) -> Alert: ...

    async def resolve(self, number: int, why: str) -> Alert: ...

    async def hand_over(self, number: int, to: str) -> Alert: ...

    async def escalate(self, number: int) -> Alert: ...
