"""Jobs and workers in PostgreSQL, as people see them. What workers do is in `job_queue`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backends.postgres.filtering import Column
from backends.postgres.paging import ListShape, Order, PagedList
from backends.postgres.statements import Connection
from backends.postgres.table import Table, fields_of
from controlplane.jobs.model import Job, JobAttempt, JobDirectory, JobStore, Worker, WorkerDirectory
from controlplane.jobs.refusals import NO_JOB

if TYPE_CHECKING:
    from backends.postgres.home import Home

JOB_TABLE = Table("wf.jobs", Job, ("id",), NO_JOB, view="wf.job_list")

PAYLOAD = "SELECT payload FROM wf.jobs WHERE id = %s"
REPLAY = "SELECT wf.replay_job(%s)"
CANCEL = "SELECT wf.cancel_job(%s)"
"""Both are refused as `job_transition`."""

ATTEMPT_SHAPE = ListShape(
    view="",  # one job's attempts, see `JobAttempts`
    row=JobAttempt,
    columns=fields_of(JobAttempt),
    orders={"attempt": Order("attempt", "integer")},
    default_order="attempt",
    tie=(),
    filters={
        "": Column(sql.SQL("wf.folded(worker || E'\\n' || coalesce(error, ''))")),
        "outcome": Column(sql.SQL("outcome"), "choice"),
        "worker": Column(sql.SQL("worker")),
        "error": Column(sql.SQL("error")),
    },
)


class JobAttempts(PagedList[JobAttempt]):
    def __init__(self, home: Home, number: int) -> None:
        super().__init__(home)
        view = f"(SELECT * FROM wf.job_attempt_list WHERE job_id = {int(number)}) AS attempts"
        self.shape = dataclasses.replace(ATTEMPT_SHAPE, view=view)


class Jobs(PagedList[Job], JobDirectory):
    """Oldest first in its only order; a screen asks for it descending."""

    shape = ListShape(
        view="wf.job_list",
        row=Job,
        columns=fields_of(Job),
        orders={"created": Order("id", "bigint")},
        default_order="created",
        tie=(),
        filters={
            "": Column(sql.SQL("search")),
            "kind": Column(sql.SQL("kind")),
            "tenant": Column(sql.SQL("tenant_id")),
            "state": Column(sql.SQL("state"), "choice"),
            "worker": Column(sql.SQL("worker")),
            "error": Column(sql.SQL("error")),
            "periodic": Column(sql.SQL("schedule IS NOT NULL"), "flag"),
            "tries": Column(sql.SQL("tries"), "number"),
            "created": Column(sql.SQL("created_at"), "age"),
        },
    )

    async def get(self, number: int) -> Job:
        async with self.home.connection() as connection:
            return await JOB_TABLE.get(connection, number)

    async def payload(self, number: int) -> dict[str, Any] | None:
        if self.home.actor.role not in ("operator", "admin"):
            return None
        async with self.home.connection() as connection:
            row = await (await connection.execute(PAYLOAD, [number])).fetchone()
        return None if row is None else row[0]

    def attempts(self, number: int) -> JobAttempts:
        return JobAttempts(self.home, number)


class Workers(PagedList[Worker], WorkerDirectory):
    shape = ListShape(
        view="wf.worker_list",
        row=Worker,
        columns=fields_of(Worker),
        orders={"started": Order("id", "bigint")},
        default_order="started",
        tie=(),
        filters={
            "": Column(sql.SQL("search")),
            "name": Column(sql.SQL("name")),
            "host": Column(sql.SQL("host")),
            "state": Column(sql.SQL("state"), "choice"),
            "login": Column(sql.SQL("login")),
            "failed": Column(sql.SQL("failed"), "number"),
            "started": Column(sql.SQL("started_at"), "age"),
        },
    )


@dataclass(frozen=True)
class JobWriter(JobStore):
    """Writes within one transaction."""

    connection: Connection

    async def get(self, number: int) -> Job:
        return await JOB_TABLE.get(self.connection, number)

    async def replay(self, number: int) -> Job:
        await self.connection.execute(REPLAY, [number])
        return await self.get(number)

    async def cancel(self, number: int) -> Job:
        await self.connection.execute(CANCEL, [number])
        return await self.get(number)
