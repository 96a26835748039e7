"""The data of the overview's parts, and the port that reads it. None is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from controlplane.listing import Count
from controlplane.telemetry.model import Point, add

if TYPE_CHECKING:
    from controlplane.alerts.model import OpenAlerts
    from controlplane.incidents.model import Standing

HOURS = 24
TRIAL_DAYS = 7
STALE_DAYS = 30
"""A key is stale when older, as in the list of stale keys."""
JOB_LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests per minute, the share of them that failed with 5xx, p95. None: not known."""

    per_minute: float | None = None
    error_share: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """All tenants. `now`: the hour before `until`, which is how far requests are rolled up (None: they never were);
    `day`: the hours of the day before `until`, the oldest first; `before`: the same hour a week before.
    """

    until: datetime | None
    now: Figures = Figures()
    day: tuple[Figures, ...] = ()
    before: Figures = Figures()


@dataclass(frozen=True, slots=True)
class TenantFigures:
    """One tenant, over the hour of data that ended at `until`."""

    id: str
    per_minute: float | None
    error_share: float | None
    p95_ms: float | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Region:
    """`now`: the hour before `until`. A region without requests, known only from tenants, has no figures."""

    name: str
    until: datetime | None
    now: Figures = Figures()


@dataclass(frozen=True, slots=True)
class KeysDue:
    late: Count
    stale: Count


@dataclass(frozen=True, slots=True)
class Ending:
    tenant_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class QuotaNear:
    tenant_id: str
    metric: str
    used: int
    hard: int


@dataclass(frozen=True, slots=True)
class PlansDue:
    """`trials`: those ending within TRIAL_DAYS; `quotas`: those used to 80 % or more when a worker looked at
    `quotas_at` (None: none has looked, so they are unknown). `first_…` are the first few of each.
    """

    trials: Count
    first_trials: tuple[Ending, ...]
    quotas: Count | None
    first_quotas: tuple[QuotaNear, ...]
    quotas_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkDue:
    """`gone`: workers that were given up within the last day. `dead`: letters that wait in this home; `elsewhere`: the
    settings name other places with dead letters. `late`: jobs that should have begun JOB_LATE ago. `by_itself`: the
    home starts its own worker, so nobody has to.
    """

    alive: int
    late_workers: int
    gone: int
    dead: Count
    late: Count
    by_itself: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class GatesDue:
    """Gates, each in each environment where it was run: how many are closed, how many nothing is known of, how many are
    open with conditions. `names`: those of the closed ones, as far as they are few.
    """

    gates: int
    closed: int
    unknown: int
    conditions: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunsDue:
    """`refused`: runs that ended within the last day and had refusals."""

    paused: Count
    running: Count
    refused: Count


@dataclass(frozen=True, slots=True)
class Stray:
    """Rows of telemetry without a partition for their day."""

    raw: Count
    minutes: Count
    hours: Count


@dataclass(frozen=True, slots=True)
class Change:
    seq: int
    at: datetime
    actor: str
    operation: str
    thing: str
    out_of_band: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of the last hour: how many, and the newest. `trouble`: why the trail is not chained or signed; None:
    it is.
    """

    number: Count
    newest: tuple[Change, ...]
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Burner:
    """An objective that burns its budget, as its list shows it."""

    id: int
    label: str
    state: str
    burn: float
    remaining: float | None


@dataclass(frozen=True, slots=True)
class Burning:
    """How many objectives there are, how many have an unknown state, and those that burn fastest."""

    objectives: Count
    unknown: Count
    fastest: tuple[Burner, ...]


class OverviewSource(Protocol):
    """The capability of a context to show itself as a whole; each part is one query."""

    async def empty(self) -> bool:
        """Whether the home has no tenant but the one that every home is born with, and no request of that one."""
        ...

    async def alerts(self) -> OpenAlerts: ...

    async def incidents(self) -> Sequence[Standing]:
        """Those under way, the most severe first; at most ten."""
        ...

    async def traffic(self) -> Traffic: ...

    async def failing(self) -> Sequence[TenantFigures]:
        """The tenants with the greatest share of failed requests, the worst first."""
        ...

    async def slowest(self) -> Sequence[TenantFigures]: ...

    async def regions(self) -> Sequence[Region]: ...

    async def keys(self) -> KeysDue: ...

    async def plans(self) -> PlansDue: ...

    async def work(self) -> WorkDue: ...

    async def runs(self) -> RunsDue: ...

    async def gates(self) -> GatesDue: ...

    async def stray(self) -> Stray: ...

    async def burning(self) -> Burning: ...

    async def changes(self) -> Changes: ...


def figures(points: Iterable[tuple[Point, float]], minutes: float) -> Figures:
    """The figures of some points over so many minutes; of each point only the given share counts. Without requests or
    time they are unknown.
    """
    weighted = [(point, share) for point, share in points if share > 0]
    requests = sum(point.n * share for point, share in weighted)
    if minutes <= 0 or not requests:
        return Figures()
    whole = add([point for point, _ in weighted])
    assert whole is not None
    failed = sum(point.errors_5xx * share for point, share in weighted)
    return Figures(requests / minutes, failed / requests, whole.p95)
