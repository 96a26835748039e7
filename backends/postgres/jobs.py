"""Jobs and workers in PostgreSQL, as people see them. What workers do is in `job_queue`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from controlplane.errors import NotFound
from controlplane.jobs.engine import sql as job
from controlplane.jobs.list import ATTEMPTS, JOBS, WORKERS
from controlplane.jobs.model import Job, JobAttempt, Worker

if TYPE_CHECKING:
    from backends.postgres.home import Home

Connection = psycopg.AsyncConnection[TupleRow]
JOB_COLUMNS = tuple(f.name for f in dataclasses.fields(Job))

ATTEMPT_SHAPE = shape_of(
    ATTEMPTS,
    "",  # one job's attempts, see `JobAttempts`
    search="wf.folded(worker || E'\\n' || coalesce(error, ''))",
    tie=(),
    orders={"attempt": Order("attempt", "integer")},
)


UPKEEP = (
    job("prune_jobs", "SELECT wf.prune_jobs()", timedelta(minutes=10)),
    job("refresh_job_weights", "SELECT wf.refresh_job_weights()", timedelta(minutes=1)),
)


class JobAttempts(PagedList[JobAttempt]):
    def __init__(self, home: Home, number: int) -> None:
        super().__init__(home)
        view = f"(SELECT * FROM wf.job_attempt_list WHERE job_id = {int(number)}) AS attempts"
        self.shape = dataclasses.replace(ATTEMPT_SHAPE, view=view)


class Jobs(PagedList[Job]):
    """Oldest first in its only order; a screen asks for it descending."""

    shape = shape_of(
        JOBS,
        "wf.job_list",
        tie=(),
        orders={"created": Order("id", "bigint")},
        filters={"periodic": Filtered(sql.SQL("schedule IS NOT NULL"), "flag")},
    )

    async def get(self, number: int) -> Job:
        async with self.home.connection() as connection:
            return await _read(connection, number)

    async def payload(self, number: int) -> dict[str, Any] | None:
        if self.home.actor.role not in ("operator", "admin"):
            return None
        async with self.home.connection() as connection:
            row = await (await connection.execute("SELECT payload FROM wf.jobs WHERE id = %s", [number])).fetchone()
        return None if row is None else row[0]

    def attempts(self, number: int) -> JobAttempts:
        return JobAttempts(self.home, number)


class Workers(PagedList[Worker]):
    shape = shape_of(WORKERS, "wf.worker_list", tie=(), orders={"started": Order("id", "bigint")})


@dataclass(frozen=True)
class JobWriter:
    """Writes within one transaction."""

    connection: Connection

    async def get(self, number: int) -> Job:
        return await _read(self.connection, number)

    async def replay(self, number: int) -> Job:
        await self.connection.execute("SELECT wf.replay_job(%s)", [number])
        return await _read(self.connection, number)

    async def cancel(self, number: int) -> Job:
        await self.connection.execute("SELECT wf.cancel_job(%s)", [number])
        return await _read(self.connection, number)


async def _read(connection: Connection, number: int) -> Job:
    async with connection.cursor(row_factory=class_row(Job)) as cursor:
        statement = sql.SQL("SELECT {} FROM wf.job_list WHERE id = %s")
        await cursor.execute(statement.format(sql.SQL(", ").join(map(sql.Identifier, JOB_COLUMNS))), [number])
        if (found := await cursor.fetchone()) is None:
            raise NotFound("no_job", f"There is no job {number}.", "watchfloor jobs list; done ones stay for a day.")
        return found
