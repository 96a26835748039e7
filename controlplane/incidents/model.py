"""Incidents as they are read, and the ports that read and write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import ById, Listing

Severity = Literal["SEV-1", "SEV-2", "SEV-3", "SEV-4"]
SEVERITIES: tuple[Severity, ...] = ("SEV-1", "SEV-2", "SEV-3", "SEV-4")
"""The most severe first."""
Status = Literal["open", "mitigated", "resolved", "closed"]
STATUSES: tuple[Status, ...] = ("open", "mitigated", "resolved", "closed")
ACTIVE: tuple[Status, ...] = ("open", "mitigated")
Role = Literal["conn", "commander", "deputy", "scribe", "liaison"]
"""Who has the conn decides what is changed of what is affected. The liaison speaks to customers."""
ROLES: tuple[Role, ...] = ("conn", "commander", "deputy", "scribe", "liaison")
Affects = Literal["tenant", "region", "route"]
KINDS = (
    "origin", "opened", "edited", "severity", "status", "role", "offer", "affected", "snooze", "override", "note",
    "correction", "customers", "view", "change", "alert", "gate", "run", "deploy",
)  # fmt: skip
MILESTONES = ("origin", "opened", "severity", "status", "role", "customers")
"""The kinds of events that times are computed from."""
MAX_NOTE = 51_200
"""Bytes of a note."""


@dataclass(frozen=True, slots=True)
class Incident(ById):
    """`began_at`: since when things are wrong, as far as it is known; `cycle_at`: when it was opened last. `origin`:
    what it was opened from, of `origin_noun`; None: by hand. `conn`, `commander`: who has it; None: nobody.

    `roles`: {"role", "holder", "since"}, with "offered_to", "until" and "summary" while an offer stands. `overrides`:
    {"person", "until", "reason"} of those who may change what is affected without the conn. `events`: the number of the
    last one. `update_due`: when customers are to be told at the latest; None: nobody waits for it.
    """

    id: int
    title: str
    summary: str
    severity: Severity
    status: Status
    cycle: int
    origin_noun: str | None
    origin: str | None
    origin_words: str | None
    tenants: list[str]
    regions: list[str]
    routes: list[str]
    began_at: datetime
    opened_at: datetime
    opened_by: str
    cycle_at: datetime
    mitigated_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    snoozed_until: datetime | None
    snoozed_why: str | None
    commander: str | None
    conn: str | None
    roles: list[dict[str, Any]]
    overrides: list[dict[str, Any]]
    events: int
    told_at: datetime | None
    update_due: datetime | None
    version: int

    @property
    def label(self) -> str:
        return f"INC-{self.id}"

    def holder(self, role: str) -> str | None:
        return next((each["holder"] for each in self.roles if each["role"] == role), None)

    def offered_to(self, role: str) -> str | None:
        return next((each.get("offered_to") for each in self.roles if each["role"] == role), None)

    def affected(self) -> Mapping[Affects, Sequence[str]]:
        return {"tenant": self.tenants, "region": self.regions, "route": self.routes}


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One event of a timeline. `happened_at`: when; `recorded_at`: when it was written down. `actor` None: the home.
    `becomes`: the severity, status or role from then on. `corrects`: the number of the event that it puts right.
    `view`: what opens what was seen, see controlplane.listing.View.
    """

    incident_id: int
    seq: int
    cycle: int
    happened_at: datetime
    recorded_at: datetime
    kind: str
    actor: str | None
    words: str
    noun: str | None
    thing: str | None
    operation: str | None
    becomes: str | None
    corrects: int | None
    audit_seq: int | None
    corrected: bool
    view: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        return f"{self.incident_id}/{self.seq}"


@dataclass(frozen=True, slots=True)
class Standing:
    """An incident that is under way, for the header."""

    id: int
    severity: Severity
    conn: str | None
    offered_to: str | None
    update_due: datetime | None

    @property
    def label(self) -> str:
        return f"INC-{self.id}"


@dataclass(frozen=True, slots=True)
class UpdateInterval:
    """How often customers are told while an incident of a severity is under way. `minutes` None: when there is
    something to tell, and nothing is overdue.
    """

    severity: Severity
    minutes: int | None

    @property
    def key(self) -> str:
        return self.severity


class IntervalDirectory(Listing[UpdateInterval], Protocol):
    """The settings of the home about updates for customers."""


class IncidentDirectory(Listing[Incident], Protocol):
    """The capability of a context to show incidents."""

    async def under_way(self) -> Sequence[Standing]:
        """The ten most severe that are open or mitigated."""
        ...

    async def milestones(self, number: int) -> Sequence[IncidentEvent]:
        """The events that times are computed from, in their order; at most 2,000."""
        ...

    async def since(self, number: int, seq: int, limit: int = 1000) -> Sequence[IncidentEvent]:
        """The events after a number, by number: none is skipped."""
        ...

    async def recorded_since(self, numbers: Sequence[int], since: datetime) -> Sequence[IncidentEvent]:
        """The last 2,000 events of these incidents that were recorded since, by number."""
        ...


class TimelineDirectory(Listing[IncidentEvent], Protocol):
    """The events of all incidents."""


class IncidentStore(Protocol):
    """What the operations write through. The home checks every step again."""

    async def lock(self, number: int) -> Incident:
        """Raises NotFound."""
        ...

    async def opened_from(self, noun: str, thing: str) -> int | None:
        """The incident that is not closed and was opened from this."""
        ...

    async def create(self, columns: Mapping[str, Any]) -> Incident: ...

    async def update(self, number: int, columns: Mapping[str, Any]) -> Incident: ...

    async def take(self, number: int, role: str) -> None: ...

    async def offer(self, number: int, role: str, to: str, until: datetime, summary: str) -> None: ...

    async def accept(self, number: int, role: str) -> None: ...

    async def give_back(self, number: int, role: str, *, another: bool = False) -> None:
        """`another`: from whoever has it."""
        ...

    async def override(self, number: int, until: datetime) -> None: ...

    async def note(self, number: int, text: str, at: datetime | None) -> int:
        """The number of the event."""
        ...

    async def post(self, number: int, text: str, view: Mapping[str, Any], seen_at: datetime | None) -> int: ...

    async def correct(self, number: int, event: int, text: str) -> int: ...

    async def tell_customers(self, number: int, text: str) -> int: ...

    async def lock_interval(self, severity: Severity) -> UpdateInterval: ...

    async def put_interval(self, severity: Severity, minutes: int | None) -> UpdateInterval: ...
