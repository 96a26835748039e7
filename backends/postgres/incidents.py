"""Incidents in PostgreSQL: read from two views, written by updates of the row and by the home's functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.incidents.list import INCIDENTS, INTERVALS, TIMELINE
from controlplane.incidents.model import (
    MILESTONES,
    Incident,
    IncidentDirectory,
    IncidentEvent,
    IncidentStore,
    IntervalDirectory,
    Severity,
    Standing,
    TimelineDirectory,
    UpdateInterval,
)
from controlplane.incidents.refusals import NO_INCIDENT, NO_INTERVAL
from controlplane.jobs.engine import sql as job
from controlplane.memorylist import MemoryList

if TYPE_CHECKING:
    from backends.postgres.home import Home

INCIDENT_TABLE = Table("wf.incidents", Incident, ("id",), NO_INCIDENT, view="wf.incident_list")
INTERVAL_TABLE = Table("wf.update_intervals", UpdateInterval, ("severity",), NO_INTERVAL)
INTERVALS_NOW = "SELECT severity, minutes FROM wf.update_intervals ORDER BY severity"
EVENT_COLUMNS = names(fields_of(IncidentEvent))
UNDER_WAY = """
SELECT id, severity, conn, roles #>> ARRAY[(
         SELECT (r.n - 1)::text FROM jsonb_array_elements(roles) WITH ORDINALITY AS r(role, n)
         WHERE r.role ->> 'role' = 'conn'), 'offered_to'] AS offered_to, update_due
FROM wf.incident_list WHERE urgency >= 10 ORDER BY urgency DESC, id DESC LIMIT 10
"""
MILESTONE_EVENTS = sql.SQL("""
SELECT {} FROM wf.incident_event_list WHERE incident_id = %s AND kind = ANY (%s) ORDER BY seq LIMIT 2000
""").format(EVENT_COLUMNS)
SINCE = sql.SQL("""
SELECT {} FROM wf.incident_event_list WHERE incident_id = %s AND seq > %s ORDER BY seq LIMIT %s
""").format(EVENT_COLUMNS)
RECORDED_SINCE = sql.SQL("""
SELECT * FROM (SELECT {} FROM wf.incident_event_list WHERE incident_id = ANY (%s) AND recorded_at > %s
               ORDER BY incident_id DESC, seq DESC LIMIT 2000) e ORDER BY incident_id, seq
""").format(EVENT_COLUMNS)
OPENED_FROM = "SELECT min(id) FROM wf.incidents WHERE status <> 'closed' AND origin_noun = %s AND origin = %s"
UPKEEP = (job("tend_incidents", "SELECT wf.tend_incidents()", timedelta(seconds=5)),)


class Incidents(PagedList[Incident], IncidentDirectory):
    shape = shape_of(
        INCIDENTS,
        "wf.incident_list",
        orders={"severity": Order("urgency", "smallint"), "id": Order("id", "bigint")},
        filters={"id": Filtered(sql.SQL("id::text"), number=sql.SQL("id"))},
    )

    async def under_way(self) -> Sequence[Standing]:
        async with self.home.connection() as connection:
            return await rows(connection, Standing, UNDER_WAY)

    async def milestones(self, number: int) -> Sequence[IncidentEvent]:
        async with self.home.connection() as connection:
            return await rows(connection, IncidentEvent, MILESTONE_EVENTS, [number, list(MILESTONES)])

    async def since(self, number: int, seq: int, limit: int = 1000) -> Sequence[IncidentEvent]:
        async with self.home.connection() as connection:
            return await rows(connection, IncidentEvent, SINCE, [number, seq, limit])

    async def recorded_since(self, numbers: Sequence[int], since: datetime) -> Sequence[IncidentEvent]:
        async with self.home.connection() as connection:
            return await rows(connection, IncidentEvent, RECORDED_SINCE, [list(numbers), since])


class Timeline(PagedList[IncidentEvent], TimelineDirectory):
    shape = shape_of(
        TIMELINE,
        "wf.incident_event_list",
        tie=("incident_id", "seq"),
        filters={"incident": Filtered(sql.SQL("incident_id::text"), number=sql.SQL("incident_id"))},
    )


class Intervals(MemoryList[UpdateInterval], IntervalDirectory):
    declared = INTERVALS

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[UpdateInterval], datetime]:
        async with self.home.connection() as connection:
            return await rows(connection, UpdateInterval, INTERVALS_NOW), self.home.clock.now()


@dataclass(frozen=True)
class IncidentWriter(IncidentStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> Incident:
        await self.connection.execute("SELECT wf.lock_incident(%s)", [number])
        return await INCIDENT_TABLE.get(self.connection, number)

    async def opened_from(self, noun: str, thing: str) -> int | None:
        found: int | None = await scalar(self.connection, OPENED_FROM, [noun, thing])
        return found

    async def create(self, columns: Mapping[str, Any]) -> Incident:
        return await INCIDENT_TABLE.create(self.connection, columns)

    async def update(self, number: int, columns: Mapping[str, Any]) -> Incident:
        return await INCIDENT_TABLE.update(self.connection, columns, number)

    async def take(self, number: int, role: str) -> None:
        await self.connection.execute("SELECT wf.take_role(%s, %s)", [number, role])

    async def offer(self, number: int, role: str, to: str, until: datetime, summary: str) -> None:
        await self.connection.execute("SELECT wf.offer_role(%s, %s, %s, %s, %s)", [number, role, to, until, summary])

    async def accept(self, number: int, role: str) -> None:
        await self.connection.execute("SELECT wf.accept_role(%s, %s)", [number, role])

    async def give_back(self, number: int, role: str, *, another: bool = False) -> None:
        await self.connection.execute("SELECT wf.return_role(%s, %s, %s)", [number, role, another])

    async def override(self, number: int, until: datetime) -> None:
        await self.connection.execute("SELECT wf.override_conn(%s, %s)", [number, until])

    async def note(self, number: int, text: str, at: datetime | None) -> int:
        return int(await scalar(self.connection, "SELECT wf.note_incident(%s, %s, %s)", [number, text, at]))

    async def post(self, number: int, text: str, view: Mapping[str, Any], seen_at: datetime | None) -> int:
        given = [number, text, Jsonb(view), seen_at]
        return int(await scalar(self.connection, "SELECT wf.post_view(%s, %s, %s, %s)", given))

    async def correct(self, number: int, event: int, text: str) -> int:
        return int(await scalar(self.connection, "SELECT wf.correct_incident(%s, %s, %s)", [number, event, text]))

    async def tell_customers(self, number: int, text: str) -> int:
        return int(await scalar(self.connection, "SELECT wf.tell_customers(%s, %s)", [number, text]))

    async def lock_interval(self, severity: Severity) -> UpdateInterval:
        return await INTERVAL_TABLE.lock(self.connection, severity)

    async def put_interval(self, severity: Severity, minutes: int | None) -> UpdateInterval:
        return await INTERVAL_TABLE.update(self.connection, {"minutes": minutes}, severity)
