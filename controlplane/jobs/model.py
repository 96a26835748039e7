"""Jobs and workers as they are read: what is done in the background, by whom, how often it was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import ById, Listing

JobState = Literal["waiting", "running", "done", "dead", "canceled"]
AttemptOutcome = Literal["done", "failed", "lost", "released"]
WorkerState = Literal["alive", "late", "gone", "stopped"]
WORKER_STATES: tuple[WorkerState, ...] = ("alive", "late", "gone", "stopped")


@dataclass(frozen=True, slots=True)
class Job(ById):
    """`attempts`: all there were; `tries`: those that count against `max_tries`. `schedule`: the one that queued it.

    `run_at`: no worker takes it before. `worker`: who has it, or did it. `error`: that of its last attempt.
    """

    id: int
    kind: str
    tenant_id: str | None
    schedule: str | None
    cost: float
    state: JobState
    run_at: datetime
    attempts: int
    tries: int
    max_tries: int
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    created_at: datetime
    worker: str | None


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """One attempt that ended. "lost": its worker was lost; "released": it was given back, and counts as no try."""

    job_id: int
    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime
    outcome: AttemptOutcome
    error: str | None

    @property
    def key(self) -> str:
        return str(self.attempt)


@dataclass(frozen=True, slots=True)
class Worker(ById):
    """`per_minute`: the attempts that ended between its last two heartbeats, as a rate; None: not known.

    "late": no heartbeat for ten seconds; "gone": given up, and its jobs went to others.
    """

    id: int
    name: str
    host: str
    pid: int
    version: str
    login: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    done: int
    failed: int
    state: WorkerState
    per_minute: float | None
    running: int


class JobDirectory(Listing[Job], Protocol):
    async def payload(self, number: int) -> dict[str, Any] | None:
        """The job's input; None for those who may not read it."""
        ...

    def attempts(self, number: int) -> Listing[JobAttempt]: ...

    async def died(self, kind: str, tenant_id: str | None) -> Sequence[tuple[datetime, int]]:
        """By the dead letters of a kind and tenant (None: of no tenant): in which minutes how many more waited, or,
        below 0, how many fewer; in order. Settled ones are known for 30 days.
        """
        ...


class WorkerDirectory(Listing[Worker], Protocol):
    pass


class JobStore(Protocol):
    """What the operations write through."""

    async def get(self, number: int) -> Job:
        """Raises NotFound. It is not locked: `replay` and `cancel` look again, and raise Refusal `job_transition`."""
        ...

    async def replay(self, number: int) -> Job: ...

    async def cancel(self, number: int) -> Job: ...


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that a worker holds. `lease`: the number of its claim; what is written under an older one has no effect."""

    id: int
    kind: str
    tenant_id: str | None
    attempt: int
    lease: int
    payload: dict[str, Any]


class JobQueue(Protocol):
    """What one worker needs of a home. What it reports about a job that it no longer holds has no effect."""

    async def tick(self) -> None:
        """Give up workers that are lost, and queue what is due: once a second, by any worker."""
        ...

    async def claim(self, most: int, done: Sequence[Claimed] = ()) -> Sequence[Claimed]:
        """Report which are done and take others, in fair order: one step, because a busy worker does both all the time.

        Raises Refusal `worker_gone` when this worker was given up.
        """
        ...

    async def fail(self, job: Claimed, error: str, *, give_up: bool = False) -> bool:
        """Report a failed try. Another follows after a pause, unless it was the last, or `give_up`."""
        ...

    async def release(self, jobs: Sequence[Claimed], why: str, seconds: float = 0.0) -> int:
        """Give jobs back without counting a try; nobody takes them again before so many seconds are over."""
        ...

    async def settled(
        self, job: Claimed, statement: str, values: Sequence[object] = (), *, seconds: float | None = None
    ) -> bool:
        """Run a statement and finish the job in one transaction: both or neither, even when something is killed.
        `seconds`: how long it may take, where that is not the job's own limit.

        False: another worker holds the job by now, and nothing was done.
        """
        ...

    async def news(self, seconds: float) -> None:
        """Wait until a job is queued, or so many seconds are over."""
        ...
