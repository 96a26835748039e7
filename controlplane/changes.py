"""What an operation needs from a control plane: an open change, and the stores that it writes through."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from controlplane.audit.model import AuditDirectory, AuditRow, Record
from controlplane.clock import HomeClock
from controlplane.jobs.model import JobDirectory, JobStore, WorkerDirectory
from controlplane.objectives.model import ObjectiveDirectory
from controlplane.objectives.ports import ObjectiveStore
from controlplane.overview.model import Glance
from controlplane.plans.model import PlanDirectory
from controlplane.plans.ports import PlanStore
from controlplane.previewed import Drawn
from controlplane.runs.model import RunDirectory, RunStore
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.subscriptions.ports import SubscriptionStore
from controlplane.telemetry.model import RequestTelemetry, SeriesSource
from controlplane.tenants.model import ProjectDirectory, TenantDirectory
from controlplane.tenants.ports import ProjectStore, TenantStore

if TYPE_CHECKING:  # they bring pydantic, which is not wanted before the first paint
    from controlplane.find import Finder
    from controlplane.impersonations.model import ImpersonationDirectory, ImpersonationStore
    from controlplane.keys.model import KeyDirectory
    from controlplane.keys.ports import KeyStore
    from controlplane.operators.model import OperatorDirectory
    from controlplane.operators.operations import OperatorStore
    from controlplane.telemetry.ports import RetentionStore, Rollups


@dataclass(frozen=True)
class Actor:
    """Who is at the console: the login, and the role by which the home lets it in."""

    name: str
    role: str


@dataclass(frozen=True)
class Intent:
    """What a change is recorded as. The request id makes a repeat harmless. `drawn`: the ids that it is to take."""

    operation: str
    request_id: str
    fingerprint: str
    reason: str | None = None
    dry_run: bool = False
    drawn: Drawn = field(default_factory=Drawn)


@dataclass(frozen=True)
class Recorded:
    """A change that was committed: what its result was and what it wrote."""

    operation: str
    fingerprint: str
    result: Record | None
    rows: tuple[AuditRow, ...]


class RequestRepeated(Exception):
    """The request id was used before; nothing was done now."""


class Change(Protocol):
    """One open transaction. All that is written through its stores happens together or not at all."""

    @property
    def now(self) -> datetime:
        """The transaction's time, from the home's clock, in UTC."""
        ...

    @property
    def reason(self) -> str | None: ...

    @property
    def actor(self) -> str:
        """The login that makes it."""
        ...

    @property
    def drawn(self) -> Drawn:
        """Where ids and secrets come from: a run takes those that its preview showed."""
        ...

    @property
    def tenants(self) -> TenantStore: ...

    @property
    def projects(self) -> ProjectStore: ...

    @property
    def keys(self) -> KeyStore: ...

    @property
    def plans(self) -> PlanStore: ...

    @property
    def operators(self) -> OperatorStore: ...

    @property
    def subscriptions(self) -> SubscriptionStore: ...

    @property
    def runs(self) -> RunStore: ...

    @property
    def impersonations(self) -> ImpersonationStore: ...

    @property
    def retention(self) -> RetentionStore: ...

    @property
    def jobs(self) -> JobStore: ...

    @property
    def objectives(self) -> ObjectiveStore: ...

    async def note_writing(self, context: str, minutes: int) -> None:
        """Write to the trail that a read-only context is opened for writing."""
        ...

    async def rows(self) -> tuple[AuditRow, ...]:
        """The audit rows that this change has written so far."""
        ...

    async def finish(self, result: Record) -> None:
        """Keep the result beside the change, for whoever repeats the request."""
        ...


class ControlPlane(Protocol):
    """One context: what can be read of it, and how a change is made in it."""

    @property
    def actor(self) -> Actor: ...

    @property
    def clock(self) -> HomeClock:
        """The time there."""
        ...

    @property
    def tenants(self) -> TenantDirectory: ...

    @property
    def projects(self) -> ProjectDirectory: ...

    @property
    def keys(self) -> KeyDirectory: ...

    @property
    def key_prefix(self) -> str:
        """What the secrets that are made here begin with."""
        ...

    @property
    def plans(self) -> PlanDirectory: ...

    @property
    def subscriptions(self) -> SubscriptionDirectory: ...

    @property
    def audit(self) -> AuditDirectory: ...

    @property
    def runs(self) -> RunDirectory: ...

    @property
    def operators(self) -> OperatorDirectory: ...

    @property
    def telemetry(self) -> RequestTelemetry: ...

    @property
    def prometheus(self) -> SeriesSource | None:
        """The same requests as a Prometheus counted them; None: this context names none."""
        ...

    @property
    def rollups(self) -> Rollups: ...

    @property
    def impersonations(self) -> ImpersonationDirectory: ...

    @property
    def jobs(self) -> JobDirectory: ...

    @property
    def workers(self) -> WorkerDirectory: ...

    @property
    def objectives(self) -> ObjectiveDirectory: ...

    @property
    def finder(self) -> Finder: ...

    @property
    def overview(self) -> Glance: ...

    def change(self, intent: Intent) -> AbstractAsyncContextManager[Change]:
        """Commits when the block ends; rolls back when it raises, and always for a dry run.

        Raises RequestRepeated on entering; OutcomeUnknown when the link died during the commit.
        """
        ...

    async def recorded(self, request_id: str) -> Recorded | None:
        """The committed change of a request id. Raises HomeUnreachable when the home cannot be asked."""
        ...

    async def revealed(self, tenant_id: str, field: str) -> str | None:
        """A personal field in clear, within the minute after it was granted. Raises NotPermitted."""
        ...
