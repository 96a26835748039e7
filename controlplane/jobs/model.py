"""Jobs and workers as they are read: what is done in the background, by whom, how often it was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import Listing

JobState = Literal["waiting", "running", "done", "dead", "canceled"]
JOB_STATES: tuple[JobState, ...] = ("waiting", "running", "done", "dead", "canceled")
AttemptOutcome = Literal["done", "failed", "lost", "released"]
WorkerState = Literal["alive", "late", "gone", "stopped"]
WORKER_STATES: tuple[WorkerState, ...] = ("alive", "late", "gone", "stopped")


@dataclass(frozen=True, slots=True)
class Job:
    """`attempts`: all there were; `tries`: those that count against `max_tries`. `schedule`: whose period it is of.

    `run_at`: not before. `worker`: who has it, or has done it. `error`: of its last attempt.
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

    @property
    def key(self) -> str:
        return str(self.id)


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """One attempt that ended. "lost": its worker was; "released": it was given back, and counts as no try."""

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
class Worker:
    """`per_minute`: attempts that ended, between its last two heartbeats; None: not known.

    "late": no heartbeat for ten seconds; "gone": given up, its jobs are with others.
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

    @property
    def key(self) -> str:
        return str(self.id)


class JobDirectory(Listing[Job], Protocol):
    async def get(self, number: int) -> Job:
        """Raises NotFound."""
        ...

    async def payload(self, number: int) -> dict[str, Any] | None:
        """What the job was told; None for those who may not read it."""
        ...

    def attempts(self, number: int) -> Listing[JobAttempt]: ...


class WorkerDirectory(Listing[Worker], Protocol):
    pass


class JobStore(Protocol):
    """What the operations write through."""

    async def get(self, number: int) -> Job:
        """Raises NotFound. It is not held: `replay` and `cancel` look again, and raise Refusal `job_transition`."""
        ...

    async def replay(self, number: int) -> Job: ...

    async def cancel(self, number: int) -> Job: ...


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job in a worker's hand. `lease`: the number of its claim, by which all that is written about it is fenced."""

    id: int
    kind: str
    tenant_id: str | None
    attempt: int
    lease: int
    payload: dict[str, Any]


class JobQueue(Protocol):
    """What one worker needs of a home. What is said of a job that it does not hold any more has no effect."""

    async def tick(self) -> None:
        """Give up workers that are lost, and queue what is due: once a second, by any worker."""
        ...

    async def claim(self, most: int, done: Sequence[Claimed] = ()) -> Sequence[Claimed]:
        """Say which are done, and take jobs, in fair order: in one step, since that is what a busy worker does all day.

        Raises Refusal `worker_gone` when this worker was given up.
        """
        ...

    async def fail(self, job: Claimed, error: str, *, give_up: bool = False) -> bool:
        """Another try after a pause; none when it had all, or with `give_up`."""
        ...

    async def release(self, jobs: Sequence[Claimed], why: str, seconds: float = 0.0) -> int:
        """Give back, counted as no try; not to be taken again before so many seconds are over."""
        ...

    async def settled(self, job: Claimed, statement: str) -> bool:
        """Run a statement and finish the job in one transaction: both or neither, whoever is killed.

        False: the job was not its own any more, and nothing was done.
        """
        ...

    async def news(self, seconds: float) -> None:
        """Until a job is queued, or so many seconds are over."""
        ...
