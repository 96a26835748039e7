"""Subscriptions, effective entitlements and usage as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol

from controlplane.listing import Listing
from controlplane.plans.model import Cycle, Plan, Value

State = Literal["trial", "active", "grace", "past_due", "suspended", "expired", "canceled"]
STATES: tuple[State, ...] = ("trial", "active", "grace", "past_due", "suspended", "expired", "canceled")


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a tenant is subscribed to. `plan_version` None: the catalogue does not know the plan.

    `trial_return`: what it becomes when the trial is over. `period_start`: the first day of the first period.
    """

    tenant_id: str
    tenant_status: str
    plan: str
    plan_version: int | None
    previous_plan: str | None
    state: State
    cycle: Cycle
    billing_zone: str
    period_start: date
    trial_plan: str | None
    trial_version: int | None
    trial_start: datetime | None
    trial_end: datetime | None
    trial_return: State | None
    extensions: int
    grace_until: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Listed(Subscription):
    """A row of the list. `state_now`: the state at present, even if the row does not yet say that its trial ended."""

    state_now: State

    @property
    def key(self) -> str:
        return self.tenant_id


@dataclass(frozen=True, slots=True)
class Grant:
    """An entitlement in addition to the plan, for a limited time."""

    id: int
    tenant_id: str
    name: str
    value: Value
    source: Literal["override", "incident"]
    starts_at: datetime
    ends_at: datetime
    reason: str
    by: str
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What one source says about an entitlement. `grant` is the number of the grant that it comes from."""

    value: Value
    source: Literal["override", "incident", "trial", "plan"]
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    grant: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Effective:
    """The claim that holds for an entitlement, and those that lost against it, best first."""

    name: str
    holds: Claim
    losers: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a tenant's entitlements are derived from. `plan` None: unknown."""

    plan: Plan | None
    trial: Plan | None
    state: State
    trial_start: datetime | None
    trial_end: datetime | None
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """A quota and how much of it is used: `admitted` by the home, `recorded` by services; None: none ever was."""

    metric: str
    value: dict[str, Any]
    source: str
    resets_at: datetime
    admitted: int | None
    recorded: int | None

    @property
    def used(self) -> int | None:
        known = [number for number in (self.admitted, self.recorded) if number is not None]
        return max(known, default=None)

    @property
    def left(self) -> int | None:
        """None: unlimited, or not known."""
        hard = self.value["hard"]
        return None if self.used is None or hard == -1 else max(0, hard - self.used)


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A change of plan with its cost, waiting for its day: neither applied nor canceled."""

    id: int
    tenant_id: str
    from_plan: str
    from_version: int | None
    from_cycle: Cycle
    plan: str
    version: int
    cycle: Cycle
    direction: str
    effective_on: date
    summary: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Standing:
    """All about one tenant's subscription at a time."""

    subscription: Subscription
    plan: Plan | None
    effective: tuple[Effective, ...]
    usage: tuple[Usage, ...]
    pending: PlanChange | None
    as_of: datetime


class SubscriptionDirectory(Listing[Listed], Protocol):
    """The capability of a context to list subscriptions, and to show what a tenant has and may use."""

    async def currency(self, tenant_id: str) -> str | None:
        """The currency that the tenant pays in; None: not known."""
        ...

    async def standing(self, tenant_id: str) -> Standing:
        """Raises NotFound."""
        ...

    async def recorded(
        self, tenant_id: str, metric: str, start: datetime, end: datetime
    ) -> Sequence[tuple[datetime, int]]:
        """How much services recorded in each hour that begins in [start, end) and has any, in order."""
        ...
