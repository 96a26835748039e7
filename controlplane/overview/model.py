"""What the parts of the overview are made of, and who reads them. None is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from controlplane.listing import Count
from controlplane.telemetry.model import Point, add

HOURS = 24
TRIAL_DAYS = 7
JOB_LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests per minute, the share of them that the service failed, p95. None: not known."""

    per_minute: float | None = None
    error_share: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """The whole fleet in the hour before `until` (how far requests are rolled up; None: they never were), the hours of
    the day before it, the oldest first, and the same hour of the week before.
    """

    until: datetime | None
    now: Figures = Figures()
    day: tuple[Figures, ...] = ()
    before: Figures = Figures()


@dataclass(frozen=True, slots=True)
class TenantFigures:
    """Over the hour of data that ended at `until`."""

    id: str
    per_minute: float | None
    error_share: float | None
    p95_ms: float | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Region:
    """`now`: the hour before `until`. A region that only tenants name has no figures."""

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
    """`trials`: ending within TRIAL_DAYS; `quotas`: used to 80 % or more, as a worker saw it at `quotas_at` (None: none
    has looked, so they are not known). Of both the first few.
    """

    trials: Count
    first_trials: tuple[Ending, ...]
    quotas: Count | None
    first_quotas: tuple[QuotaNear, ...]
    quotas_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkDue:
    """`gone`: workers that were given up within a day. `late`: jobs that should have begun JOB_LATE ago.
    `by_itself`: the home starts its worker, so nobody has to.
    """

    alive: int
    late_workers: int
    gone: int
    dead: Count
    late: Count
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class RunsDue:
    """`refused`: runs that ended within a day and had refusals."""

    paused: Count
    running: Count
    refused: Count


@dataclass(frozen=True, slots=True)
class Stray:
    """Rows of telemetry that have no partition of their own time."""

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
    """Of the last hour: how many, and the newest. `trouble`: why the trail is not chained or signed; None: it is."""

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
    """Of all objectives: how many there are, of how many the state is not known, and those that burn fastest."""

    objectives: Count
    unknown: Count
    fastest: tuple[Burner, ...]


class OverviewSource(Protocol):
    """The capability of a context to be looked at as a whole: each part is one question."""

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

    async def stray(self) -> Stray: ...

    async def burning(self) -> Burning: ...

    async def changes(self) -> Changes: ...


def figures(points: Iterable[tuple[Point, float]], minutes: float) -> Figures:
    """Points, each with the share of it that counts, over so many minutes. Nothing, or no time, is not known."""
    weighted = [(point, share) for point, share in points if share > 0]
    requests = sum(point.n * share for point, share in weighted)
    if minutes <= 0 or not requests:
        return Figures()
    whole = add([point for point, _ in weighted])
    assert whole is not None
    failed = sum(point.errors_5xx * share for point, share in weighted)
    return Figures(requests / minutes, failed / requests, whole.p95)
