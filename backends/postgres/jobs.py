"""Jobs and workers in PostgreSQL, as people see them. The workers' side is in `job_queue`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection
from backends.postgres.table import Table
from controlplane.jobs.engine import sql as job
from controlplane.jobs.list import ATTEMPTS, JOBS, WORKERS
from controlplane.jobs.model import Job, JobAttempt, JobDirectory, JobStore, Worker, WorkerDirectory
from controlplane.jobs.refusals import NO_JOB

if TYPE_CHECKING:
    from backends.postgres.home import Home

JOB_TABLE = Table("wf.jobs", Job, ("id",), NO_JOB, view="wf.job_list")

PAYLOAD = "SELECT payload FROM wf.job_payloads WHERE id = %s"
REPLAY = "SELECT wf.replay_job(%s)"
CANCEL = "SELECT wf.cancel_job(%s)"
"""The database refuses both as `job_transition`."""

DIED = """
SELECT date_trunc('minute', e.at), sum(e.more)::integer
FROM wf.letter_list l, LATERAL (VALUES (l.dead_at::timestamptz, 1), (l.settled_at::timestamptz, -1)) AS e(at, more)
WHERE l.source = 'jobs' AND wf.folded(l.handler) = wf.folded(%(kind)s) AND l.handler = %(kind)s
  AND l.tenant_id IS NOT DISTINCT FROM %(tenant)s AND e.at IS NOT NULL GROUP BY 1 ORDER BY 1
"""
ATTEMPT_SHAPE = shape_of(
    ATTEMPTS,
    "",  # one job's attempts, see `JobAttempts`
    search="wf.folded(worker || E'\\n' || coalesce(error, ''))",
    tie=(),
    orders={"attempt": Order("attempt", "integer")},
)


UPKEEP = (
    job("prune_jobs", "SELECT wf.prune_jobs()", timedelta(minutes=10)),
    job("end_overlong_sessions", "SELECT wf.end_overlong_sessions()", timedelta(minutes=1)),
    job("refresh_job_weights", "SELECT wf.refresh_job_weights()", timedelta(minutes=1)),
)


class JobAttempts(PagedList[JobAttempt]):
    def __init__(self, home: Home, number: int) -> None:
        super().__init__(home)
        view = f"(SELECT * FROM wf.job_attempt_list WHERE job_id = {int(number)}) AS attempts"
        self.shape = ATTEMPT_SHAPE._replace(view=view)


class Jobs(PagedList[Job], JobDirectory):
    """Its only order is oldest first; a screen asks for it descending."""

    shape = shape_of(
        JOBS,
        "wf.job_list",
        tie=(),
        orders={name: Order("id", "bigint") for name in ("created", "id")},
        filters={"periodic": Filtered(sql.SQL("schedule IS NOT NULL"), "flag")},
    )

    async def payload(self, number: int) -> dict[str, Any] | None:
        if self.home.actor.role not in ("operator", "admin"):
            return None
        async with self.home.connection() as connection:
            row = await (await connection.execute(PAYLOAD, [number])).fetchone()
        return None if row is None else row[0]

    def attempts(self, number: int) -> JobAttempts:
        return JobAttempts(self.home, number)

    async def died(self, kind: str, tenant_id: str | None) -> Sequence[tuple[datetime, int]]:
        async with self.home.connection() as connection:
            found = await (await connection.execute(DIED, {"kind": kind, "tenant": tenant_id})).fetchall()
        return [(at.astimezone(UTC), number) for at, number in found]


class Workers(PagedList[Worker], WorkerDirectory):
    shape = shape_of(WORKERS, "wf.worker_list", tie=(), orders={"started": Order("id", "bigint")})


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
