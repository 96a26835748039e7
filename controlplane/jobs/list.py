"""The lists of jobs, of one job's attempts, and of workers."""

from __future__ import annotations

from datetime import datetime

from controlplane.formatting import count
from controlplane.jobs.model import Job, JobAttempt, JobDirectory, JobState, Worker, WorkerDirectory, WorkerState
from controlplane.jobs.refusals import NO_JOB, NO_WORKER
from controlplane.lists import (
    COUNT,
    FLAG,
    ID,
    MADE,
    NUMBER,
    TIME,
    Cell,
    Column,
    Line,
    ListOf,
    Status,
    Tone,
    status,
    toned,
)
from controlplane.text import UNKNOWN

STATES: dict[JobState, Status] = {
    "waiting": Status("◌", "muted"),
    "running": Status("▶", "good"),
    "done": Status("●", "good"),
    "dead": Status("✕", "bad"),
    "canceled": Status("○", "muted"),
}
OUTCOMES = {
    "done": Status("●", "good"),
    "failed": Status("✕", "bad"),
    "lost": Status("✕", "bad"),
    "released": Status("◐", "warn"),
}
WORKER_STATES: dict[WorkerState, Status] = {
    "alive": Status("●", "good"),
    "late": Status("◐", "warn"),
    "gone": Status("✕", "bad"),
    "stopped": Status("■", "muted"),
}


def _tries(job: Job, now: datetime) -> Cell:
    tone: Tone = "bad" if job.state == "dead" else "warn" if job.error else ""
    return Cell(f"{job.tries}/{job.max_tries}", tone)


def why_job(job: Job, now: datetime) -> list[Line]:
    """Why a job is in its state."""
    means = {
        "waiting": f"to be taken from {job.run_at:%Y-%m-%d %H:%M:%S} UTC on, when it is its tenant's turn",
        "running": f"{job.worker or 'a worker that is no longer on record'} has it",
        "done": "one attempt succeeded",
        "dead": "all its tries failed, or it gave up: press a, then r, to replay it",
        "canceled": "somebody canceled it, or its schedule's next job replaced it",
    }
    return [
        (f"job {job.id}: {job.kind}", "title"),
        f"{job.state}: {means[job.state]}",
        f"tries: {job.tries} of {job.max_tries}; attempts in total: {job.attempts}",
        f"queued by {'its schedule' if job.schedule else 'what needed it'}"
        f" at {job.created_at:%Y-%m-%d %H:%M:%S} UTC, at a cost of {job.cost:g}",
        f"last error: {job.error or 'none'}",
    ]


JOBS = ListOf(
    "jobs",
    Job,
    of=lambda plane: plane.of(JobDirectory),
    order="-created",
    summary="List jobs, newest first: state:dead finds those that wait to be replayed. Done ones are kept for a day.",
    means="Background work. All tries of a dead job failed; its errors are kept until it is replayed.",
    nothing="No job yet. A worker queues the periodic ones: watchfloor worker.",
    missing=NO_JOB,
    label=lambda job: f"job {job.id}",
    opens=lambda job: ("jobs", job.key),
    why=why_job,
    columns=(
        Column("id", ID, filters=False, priority=1, width=7, title="JOB", sorts=True),
        Column("kind", priority=2, width=17, grow=True, what="what is done"),
        Column("state", status(STATES), priority=3, width=10),
        Column("tries", NUMBER, priority=4, width=5, cell=_tries),
        Column("tenant", priority=7, width=12, field="tenant_id", grow=True),
        Column("created", TIME, priority=6, title="QUEUED", field="created_at", sorts=True),
        Column("error", priority=5, width=12, grow=True, what="of its last attempt"),
        Column("worker", priority=8, width=14, grow=True, what="who has it, or has done it"),
        Column("periodic", FLAG, field="schedule", what="whether it comes from a schedule"),
    ),
)


def _took(attempt: JobAttempt, now: datetime) -> str:
    seconds = (attempt.ended_at - attempt.started_at).total_seconds()
    return f"{seconds * 1000:,.0f}ms" if seconds < 10 else f"{seconds:,.0f}s"


def _why_attempt(attempt: JobAttempt, now: datetime) -> list[Line]:
    means = {
        "done": "it succeeded",
        "failed": "it counts as a try",
        "lost": "its worker stopped sending heartbeats; it counts as a try, since it may have killed the worker",
        "released": "its worker gave it back: it does not count as a try",
    }
    return [
        (f"attempt {attempt.attempt} at job {attempt.job_id}", "title"),
        f"{attempt.outcome}: {means[attempt.outcome]}",
        f"by {attempt.worker}, {attempt.started_at:%Y-%m-%d %H:%M:%S} to {attempt.ended_at:%H:%M:%S} UTC",
        f"error: {attempt.error or 'none'}",
    ]


ATTEMPTS = ListOf(
    "attempts",
    JobAttempt,
    of=lambda plane, job: plane.of(JobDirectory).attempts(int(job)),
    order="attempt",
    summary="",
    means="Every attempt at this job that has ended: by which worker, how, and with which error.",
    nothing="No attempt has ended yet.",
    key=("attempt",),
    why=_why_attempt,
    columns=(
        Column("attempt", ID, filters=False, priority=1, width=4, title="#", sorts=True),
        Column("outcome", status(OUTCOMES), priority=2, width=10),
        Column("error", priority=3, width=24, grow=True),
        Column("ended", TIME, filters=False, priority=4, field="ended_at"),
        Column("took", NUMBER, filters=False, priority=5, width=8, field="started_at", cell=_took, unsorted=MADE),
        Column("worker", priority=6, width=14, grow=True),
    ),
)


def _rate(worker: Worker, now: datetime) -> Cell:
    return toned(UNKNOWN if worker.per_minute is None else count(round(worker.per_minute)))


def _why_worker(worker: Worker, now: datetime) -> list[Line]:
    means = {
        "alive": "it sends a heartbeat every 5 s",
        "late": "no heartbeat for more than 10 s; after 15 s it counts as gone",
        "gone": "no heartbeat for 15 s: its jobs go to others",
        "stopped": "it was told to stop, and gave back what it had",
    }
    return [
        (f"worker {worker.id}: {worker.name}", "title"),
        f"{worker.state}: {means[worker.state]}",
        f"process {worker.pid} on {worker.host}, as {worker.login}, version {worker.version}",
        f"last heartbeat at {worker.seen_at:%Y-%m-%d %H:%M:%S} UTC",
        *([f"ended at {worker.ended_at:%Y-%m-%d %H:%M:%S} UTC"] if worker.ended_at else []),
    ]


WORKERS = ListOf(
    "workers",
    Worker,
    of=lambda plane: plane.of(WorkerDirectory),
    order="-started",
    summary="List workers, newest first: state:alive finds those that run now.",
    means="The programs that do the jobs. When one sends no heartbeat, its jobs go to others.",
    nothing="No worker yet, so nothing is rolled up. Start one: watchfloor worker.",
    missing=NO_WORKER,
    label=lambda worker: worker.name,
    opens=lambda worker: ("jobs", f"?worker:{worker.name}"),
    why=_why_worker,
    columns=(
        Column("name", priority=1, width=18, title="WORKER", grow=True),
        Column("state", status(WORKER_STATES), priority=2, width=9),
        Column("running", COUNT, filters=False, priority=3, width=7),
        Column("rate", COUNT, filters=False, priority=4, width=7, title="JOBS/m", field="per_minute", cell=_rate),
        Column("done", COUNT, filters=False, priority=5, width=9),
        Column("failed", COUNT, priority=6, width=6,
               cell=lambda worker, now: Cell(count(worker.failed), "bad" if worker.failed else "")),
        Column("seen", TIME, filters=False, priority=7, field="seen_at"),
        Column("started", TIME, priority=8, field="started_at", sorts=True),
        Column("version", filters=False, priority=9, width=8),
        Column("host"),
        Column("login"),
        Column("id", ID, filters=False),
    ),
)  # fmt: skip
