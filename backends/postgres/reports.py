"""Governance reports in PostgreSQL, and the job that makes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from backends.postgres.evidence import newest
from backends.postgres.job_queue import PostgresQueue
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.refusals import refusal_of
from backends.postgres.statements import Connection, scalar
from backends.postgres.table import Table
from controlplane.evidence.controls import Control, shipped, standing
from controlplane.jobs.engine import GiveUp, Kind
from controlplane.jobs.engine import sql as job
from controlplane.jobs.model import Claimed, JobQueue
from controlplane.reports.data import document
from controlplane.reports.list import REPORTS
from controlplane.reports.model import Report, ReportDirectory, ReportStore
from controlplane.reports.refusals import NO_REPORT

if TYPE_CHECKING:
    pass

REPORT_TABLE = Table("wf.reports", Report, ("id",), NO_REPORT)
DATA = "SELECT (SELECT data FROM wf.report_data WHERE report_id = %s)"
ASK = "SELECT wf.ask_report(%s, %s)"
WANTED = """
SELECT kind, subject, from_at AS "from", to_at AS "to", wf.report_figures(id) AS figures
FROM wf.reports WHERE id = %s AND made_at IS NULL
"""
KEEP = "SELECT wf.keep_report(%s, %s, %s)"
SECONDS = 120.0
Controls = Callable[[], Sequence[Control]]


def reporting(controls: Controls | None = None) -> Kind:
    """The job that makes a report. `controls`: reads those that evidence is held against."""

    async def run(queue: JobQueue, claimed: Claimed) -> bool:
        assert isinstance(queue, PostgresQueue)
        number = int(claimed.payload["report"])
        try:
            async with queue.connection() as connection:
                text = await made(connection, number, (controls or shipped)())
        except psycopg.Error as error:
            raise refusal_of(error) from None
        if text is None:
            raise GiveUp("The report is gone, or made already.")
        await queue.settled(claimed, KEEP, [number, claimed.id, text])
        return True

    return Kind("make_report", run, seconds=SECONDS)


async def made(connection: Connection, number: int, controls: Sequence[Control]) -> str | None:
    """None: there is nothing to make."""
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(f"SET LOCAL statement_timeout = {int(SECONDS * 1000)}".encode())
        found: dict[str, Any] | None = await (await cursor.execute(WANTED, [number])).fetchone()
    if found is None:
        return None
    figures = found.pop("figures")
    kinds = {kind for control in controls for kind in control.evidence}
    recorded = await newest(connection, kinds, {control.environment for control in controls})
    now = datetime.fromisoformat(figures["made_at"])
    asked = {name: _stamp(value) if isinstance(value, datetime) else value for name, value in found.items()}
    return document(asked, figures, [standing(control, recorded, now) for control in controls])


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


UPKEEP = (job("queue_weekly_report", "SELECT wf.queue_weekly_report()", timedelta(hours=1)), reporting())


class Reports(PagedList[Report], ReportDirectory):
    shape = shape_of(REPORTS, "wf.report_list", orders={name: Order("id", "bigint") for name in ("asked", "id")})

    async def get(self, number: int) -> Report:
        async with self.home.connection() as connection:
            return await REPORT_TABLE.get(connection, number)

    async def data(self, number: int) -> str | None:
        async with self.home.connection() as connection:
            found: str | None = await scalar(connection, DATA, [number])
        return found


@dataclass(frozen=True)
class ReportWriter(ReportStore):
    """Writes within one transaction."""

    connection: Connection

    async def ask(self, subject: str, since: datetime) -> Report:
        return await REPORT_TABLE.get(self.connection, await scalar(self.connection, ASK, [subject, since]))
