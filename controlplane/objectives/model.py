"""Objectives (SLOs), what is measured for them, and planned maintenance, as they are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from controlplane.listing import ById, Listing

Kind = Literal["availability", "latency"]
KINDS: tuple[Kind, ...] = ("availability", "latency")
Severity = Literal["page", "ticket"]
State = Literal["page", "ticket", "exhausted", "unknown", "insufficient data", "ok", "retired"]
STATES: tuple[State, ...] = ("page", "ticket", "exhausted", "unknown", "insufficient data", "ok", "retired")
"""The most urgent first. No request counts for a retired one; lists leave it out unless they are asked for it."""


@dataclass(frozen=True, slots=True)
class Objective(ById):
    """`period` is "30d" (rolling) or "week", "month", "quarter" (calendar, in `zone`).

    Of several with one name, a request counts only for the most specific one that it fits.
    """

    id: int
    name: str
    tenant_id: str | None
    plan: str | None
    route: str | None
    kind: Kind
    threshold_ms: float | None
    target: float
    contractual: float | None
    period: str
    zone: str
    min_events: int
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    retired_at: datetime | None = None

    @property
    def scope(self) -> str:
        if self.tenant_id is not None:
            return f"{self.tenant_id} {self.route}" if self.route is not None else self.tenant_id
        if self.plan is not None:
            return f"plan {self.plan}"
        return f"route {self.route}" if self.route is not None else "all"

    @property
    def label(self) -> str:
        return f"{self.name} ({self.scope})"


@dataclass(frozen=True, slots=True)
class Counts:
    good: int = 0
    total: int = 0

    @property
    def bad(self) -> int:
        return self.total - self.good


@dataclass(frozen=True, slots=True)
class Slice:
    """The requests of a minute or an hour; `skipped` of them fell into planned maintenance. Only counts are stored,
    never ratios.
    """

    start: datetime
    seconds: int
    good: int
    total: int
    skipped: Counts = Counts()

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A planned interval. Without a scope it is for all requests; `ended_at`: when it was ended early."""

    id: int
    tenant_id: str | None
    plan: str | None
    route: str | None
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_by: str
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def until(self) -> datetime:
        return self.ends_at if self.ended_at is None else min(self.ends_at, self.ended_at)


@dataclass(frozen=True, slots=True)
class Pair:
    """A long and a short window. It fires when both burn faster than the factor, at which `budget_percent` of the
    budget would be gone after the long window.
    """

    severity: Severity
    long: timedelta
    short: timedelta
    budget_percent: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pair now. A burn of None: no request in the window. `held`: why it does not fire although both are over."""

    pair: Pair
    factor: float
    long: Counts
    long_burn: float | None
    short_burn: float | None
    reachable: bool
    over: bool
    held: str = ""

    @property
    def fires(self) -> bool:
        return self.over and not self.held


@dataclass(frozen=True, slots=True)
class Standing:
    """An objective as it stands. `raw` counts all requests, `adjusted` those outside of planned maintenance.

    The state follows from the adjusted ones. None is unknown; `remaining` may be below 0.
    """

    objective: Objective
    state: State
    why: tuple[str, ...]
    start: datetime
    end: datetime
    raw: Counts
    adjusted: Counts
    remaining: float | None
    remaining_raw: float | None
    remaining_contractual: float | None
    burn: float | None
    empties_in: float | None
    verdicts: tuple[Verdict, ...]
    newest: datetime | None
    as_of: datetime

    @property
    def key(self) -> str:
        return self.objective.key


@dataclass(frozen=True, slots=True)
class Episode:
    """A period in which a pair of that severity would have fired."""

    severity: Severity
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Share:
    """How much one tenant, route or key burned: its bad requests, and how many it made. `who` "": it has no name."""

    who: str
    bad: int
    total: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """The burned budget by tenant, route and key, the greatest first. `keys_since`: keys are known only since then.
    No release is stored with a request, so what a release burned is unknown.
    """

    tenants: tuple[Share, ...]
    routes: tuple[Share, ...]
    keys: tuple[Share, ...]
    keys_since: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """The objective of a name that holds for a tenant, and those that lost against it, best first."""

    objective: Objective
    losers: tuple[Objective, ...] = ()


MINUTES_KEPT = timedelta(hours=48)


class ObjectiveDirectory(Listing[Standing], Protocol):
    """The capability of a context to show objectives."""

    async def standing(self, objective_id: int) -> Standing:
        """Raises NotFound."""
        ...

    async def history(self, objective_id: int, start: datetime, fine: timedelta = MINUTES_KEPT) -> tuple[Slice, ...]:
        """Minutes for the last two days (or as long as `fine` is), hours before."""
        ...

    async def attribution(self, standing: Standing) -> Attribution: ...

    async def rivals(self, name: str) -> tuple[Objective, ...]:
        """Every objective of that name that is not retired."""
        ...

    async def maintenance(self, standing: Standing) -> tuple[Maintenance, ...]:
        """The maintenance planned in its window that may concern it, newest first."""
        ...

    async def of_tenant(self, tenant_id: str, route: str | None = None) -> list[tuple[Held, Standing]]:
        """The objectives that hold for a tenant, measured by its own requests alone. Without a route, those of its
        routes that have their own are included. Raises NotFound.
        """
        ...
