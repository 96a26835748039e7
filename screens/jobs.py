"""Jobs and workers: what is done in the background, how often it was tried, and who does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from textual import on

from controlplane.formatting import count, show
from controlplane.jobs.model import (
    ATTEMPT_FIELDS,
    ATTEMPT_SORTS,
    JOB_FIELDS,
    JOB_SORTS,
    WORKER_FIELDS,
    WORKER_SORTS,
    Job,
    JobAttempt,
    Worker,
)
from controlplane.listing import Listing
from controlplane.text import UNKNOWN
from screens.actions import Target
from screens.lists import ListScreen
from screens.session import Session
from screens.widgets.columns import Cell, Column, Tone
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable

STATE: dict[str, tuple[str, Tone]] = {
    "waiting": ("… waiting", "muted"),
    "running": ("▶ running", "good"),
    "done": ("● done", "good"),
    "dead": ("✕ dead", "bad"),
    "canceled": ("– canceled", "muted"),
    "failed": ("✕ failed", "bad"),
    "lost": ("✕ lost", "bad"),
    "released": ("◐ released", "warn"),
    "alive": ("● alive", "good"),
    "late": ("◐ late", "warn"),
    "gone": ("✕ gone", "bad"),
    "stopped": ("■ stopped", "muted"),
}


def state_cell(state: str) -> Cell:
    return Cell(*STATE.get(state, ("? unknown", "unknown")))


def time_cell(at: datetime | None, session: Session) -> Cell:
    return Cell(UNKNOWN, "unknown") if at is None else Cell(show(at, session.clock(), session.time_form))


def tries_cell(job: Job) -> Cell:
    tone: Tone = "bad" if job.state == "dead" else "warn" if job.error else ""
    return Cell(f"{job.tries}/{job.max_tries}", tone)


class JobsScreen(ListScreen[Job]):
    noun = "jobs"
    means = "What is done in the background. A dead job had all its tries: it keeps every error until it is replayed."
    fields, sorts, sort, descending = JOB_FIELDS, JOB_SORTS, "created", True
    nothing = "No job yet. A worker brings the periodic ones: watchfloor worker."

    def columns(self) -> Sequence[Column[Job]]:
        session = self.session
        return (
            Column("id", "JOB", 7, 1, lambda j: Cell(str(j.id)), "right"),
            Column("kind", "KIND", 17, 2, lambda j: Cell(j.kind), grow=True),
            Column("state", "STATE", 10, 3, lambda j: state_cell(j.state)),
            Column("tries", "TRIES", 5, 4, tries_cell, "right"),
            Column("tenant", "TENANT", 12, 7, lambda j: Cell(j.tenant_id or ""), grow=True, field="tenant_id"),
            Column(
                "created",
                "QUEUED",
                session.time_cells("QUEUED"),
                6,
                lambda j: time_cell(j.created_at, session),
                "right",
                field="created_at",
            ),
            Column("error", "ERROR", 12, 5, lambda j: Cell(j.error or ""), grow=True),
            Column("worker", "WORKER", 14, 8, lambda j: Cell(j.worker or ""), grow=True),
        )

    def listing(self) -> Listing[Job]:
        return self.session.require_plane().jobs

    def target_of(self, row: Job) -> Target:
        return Target({"id": row.id}, None, f"job {row.id}")

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("jobs", event.row.key)

    def why_lines(self) -> list[Line]:
        job: Job | None = self.current()
        return [] if job is None else job_lines(job)


def job_lines(job: Job) -> list[Line]:
    """Why a job is in its state."""
    means = {
        "waiting": f"to be taken from {job.run_at:%Y-%m-%d %H:%M:%S} UTC on, when it is its tenant's turn",
        "running": f"{job.worker or 'a worker that is not known any more'} has it",
        "done": "one attempt ended well",
        "dead": "it had all its tries, or gave up: a r replays it",
        "canceled": "somebody canceled it, or its schedule's next job took its place",
    }
    return [
        (f"job {job.id}: {job.kind}", "title"),
        f"{job.state}: {means[job.state]}",
        f"tries: {job.tries} of {job.max_tries}; attempts in all: {job.attempts}",
        f"queued by {'its schedule' if job.schedule else 'what needed it'}"
        f" at {job.created_at:%Y-%m-%d %H:%M:%S} UTC, at a cost of {job.cost:g}",
        f"last error: {job.error or 'none'}",
    ]


class JobScreen(ListScreen[JobAttempt]):
    """The attempts of one job that ended."""

    noun = "attempts"
    means = "Every attempt at this job that ended: by whom, how, and with which error. One under way is not among them."
    fields, sorts, sort = ATTEMPT_FIELDS, ATTEMPT_SORTS, "attempt"
    nothing = "No attempt has ended yet."
    hints = (("d", "describe"), ("/", "filter"), ("w", "why"), ("esc", "back"), ("?", "help"))

    def __init__(self, key: str) -> None:
        super().__init__()
        self.job_id = int(key)

    def crumbs(self) -> list[str]:
        return ["jobs", str(self.job_id)]

    def columns(self) -> Sequence[Column[JobAttempt]]:
        session = self.session
        return (
            Column("attempt", "#", 4, 1, lambda a: Cell(str(a.attempt)), "right"),
            Column("outcome", "OUTCOME", 10, 2, lambda a: state_cell(a.outcome)),
            Column("error", "ERROR", 24, 3, lambda a: Cell(a.error or ""), grow=True),
            Column(
                "ended",
                "ENDED",
                session.time_cells("ENDED"),
                4,
                lambda a: time_cell(a.ended_at, session),
                "right",
                field="ended_at",
            ),
            Column("took", "TOOK", 8, 5, took_cell, "right", field="started_at"),
            Column("worker", "WORKER", 14, 6, lambda a: Cell(a.worker), grow=True),
        )

    def listing(self) -> Listing[JobAttempt]:
        return self.session.require_plane().jobs.attempts(self.job_id)

    def targets(self) -> list[Target]:
        return []

    def operations(self) -> list[Any]:
        return []

    def record(self) -> dict[str, Any] | None:
        row = self.current()
        return None if row is None else dataclasses.asdict(row)

    @on(WindowTable.Opened)
    def _opened(self) -> None:
        self.action_describe()

    def view_link(self) -> str:
        return f"{self.session.context}/jobs/{self.job_id}"

    def why_lines(self) -> list[Line]:
        attempt: JobAttempt | None = self.current()
        if attempt is None:
            return []
        means = {
            "done": "it ended well",
            "failed": "it counts as a try",
            "lost": "its worker's heart stopped; it counts as a try, since it may be what killed the worker",
            "released": "it was given back unharmed: it counts as no try",
        }
        return [
            (f"attempt {attempt.attempt} at job {attempt.job_id}", "title"),
            f"{attempt.outcome}: {means[attempt.outcome]}",
            f"by {attempt.worker}, {attempt.started_at:%Y-%m-%d %H:%M:%S} to {attempt.ended_at:%H:%M:%S} UTC",
            f"error: {attempt.error or 'none'}",
        ]


def took_cell(attempt: JobAttempt) -> Cell:
    seconds = (attempt.ended_at - attempt.started_at).total_seconds()
    return Cell(f"{seconds * 1000:,.0f}ms" if seconds < 10 else f"{seconds:,.0f}s")


def rate_cell(worker: Worker) -> Cell:
    return Cell(UNKNOWN, "unknown") if worker.per_minute is None else Cell(count(round(worker.per_minute)))


class WorkersScreen(ListScreen[Worker]):
    noun = "workers"
    means = "The programs that do the jobs. One whose heart does not beat is given up, and its jobs go to others."
    fields, sorts, sort, descending = WORKER_FIELDS, WORKER_SORTS, "started", True
    nothing = "No worker yet, so nothing is rolled up. Start one: watchfloor worker."
    hints = (("enter", "its jobs"), ("/", "filter"), (":", "command"), ("w", "why"), ("?", "help"))

    def columns(self) -> Sequence[Column[Worker]]:
        session = self.session
        return (
            Column("name", "WORKER", 18, 1, lambda w: Cell(w.name), grow=True),
            Column("state", "STATE", 9, 2, lambda w: state_cell(w.state)),
            Column("running", "RUNNING", 7, 3, lambda w: Cell(count(w.running)), "right"),
            Column("rate", "JOBS/m", 7, 4, rate_cell, "right", field="per_minute"),
            Column("done", "DONE", 9, 5, lambda w: Cell(count(w.done)), "right"),
            Column("failed", "FAILED", 6, 6, lambda w: Cell(count(w.failed), "bad" if w.failed else ""), "right"),
            Column(
                "seen",
                "SEEN",
                session.time_cells("SEEN"),
                7,
                lambda w: time_cell(w.seen_at, session),
                "right",
                field="seen_at",
            ),
            Column(
                "started",
                "STARTED",
                session.time_cells("STARTED"),
                8,
                lambda w: time_cell(w.started_at, session),
                "right",
                field="started_at",
            ),
            Column("version", "VERSION", 8, 9, lambda w: Cell(w.version)),
        )

    def listing(self) -> Listing[Worker]:
        return self.session.require_plane().workers

    def target_of(self, row: Worker) -> Target:
        return Target({}, None, row.name)

    def operations(self) -> list[Any]:
        return []

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        row: Any = event.row
        self.desk.go("jobs", f"worker:{row.name}")

    def why_lines(self) -> list[Line]:
        worker: Worker | None = self.current()
        if worker is None:
            return []
        means = {
            "alive": "its heart beats every 5 s",
            "late": "no heartbeat for more than 10 s; it is given up after 15",
            "gone": "no heartbeat for 15 s: it was given up, and its jobs are taken back",
            "stopped": "it was told to stop, and gave back what it had",
        }
        return [
            (f"worker {worker.id}: {worker.name}", "title"),
            f"{worker.state}: {means[worker.state]}",
            f"process {worker.pid} on {worker.host}, as {worker.login}, version {worker.version}",
            f"last heartbeat at {worker.seen_at:%Y-%m-%d %H:%M:%S} UTC",
            *([f"ended at {worker.ended_at:%Y-%m-%d %H:%M:%S} UTC"] if worker.ended_at else []),
        ]
