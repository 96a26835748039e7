"""Schedules in PostgreSQL: few, so the list is computed here; who is on call is for the rules to say."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import NOW, Table, fields_of
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.memorylist import MemoryList
from controlplane.schedules.calendar import DAY, Turns, turns
from controlplane.schedules.directory import KeptOverride, KeptSchedule, ScheduleDirectory, ScheduleRow
from controlplane.schedules.list import SCHEDULES, shown
from controlplane.schedules.model import Schedule
from controlplane.schedules.ports import ScheduleStore
from controlplane.schedules.refusals import NO_OVERRIDE, NO_SCHEDULE

if TYPE_CHECKING:
    from backends.postgres.home import Home

STORED = ("name", "rotations", "version", "created_at", "created_by", "updated_at", "retired_at")
SCHEDULE_TABLE = Table("wf.schedules", KeptSchedule, ("name",), NO_SCHEDULE, stored=STORED, held="NO KEY UPDATE")
OVERRIDE_TABLE = Table("wf.schedule_overrides", KeptOverride, ("id",), NO_OVERRIDE)
ALL = sql.SQL("SELECT {} FROM wf.schedules ORDER BY name").format(names(STORED))
OVERRIDES = sql.SQL(
    "SELECT {} FROM wf.schedule_overrides WHERE schedule = ANY (%s) AND least(ends_at, ended_at) > %s"
    " AND starts_at < %s ORDER BY id DESC LIMIT 20000"
).format(names(fields_of(KeptOverride)))
LIVE = sql.SQL("""
SELECT s.name AS of, s.rotations, {} FROM wf.schedules s
LEFT JOIN wf.schedule_overrides o ON o.schedule = s.name AND least(o.ends_at, o.ended_at) > %s AND o.starts_at < %s
WHERE s.retired_at IS NULL ORDER BY s.name
""").format(sql.SQL(", ").join(sql.Identifier("o", name) for name in fields_of(KeptOverride)))
SINCE, AHEAD = timedelta(days=100), timedelta(days=800)
"""How far back and ahead of now the overrides of a schedule are read."""
MAX_OVERRIDES = 1_000


def _judged(kept: KeptSchedule, overrides: Iterable[KeptOverride] = ()) -> KeptSchedule:
    """One bad row never stops the others: what cannot be read of it is said in its `fault`."""
    from controlplane.schedules.document import schedule_of  # it loads models, which most commands do without

    found = tuple(sorted(overrides, key=attrgetter("id")))[-MAX_OVERRIDES:]
    try:
        made = [override for each in found if (override := each.made())]
        schedule = schedule_of(kept.name, kept.rotations, made)
    except Refusal as refusal:
        return dataclasses.replace(kept, overrides=found, fault="; ".join(refusal.why) or refusal.message)
    return dataclasses.replace(kept, overrides=found, schedule=schedule)


async def _with_overrides(connection: Connection, kept: Sequence[KeptSchedule], now: datetime) -> list[KeptSchedule]:
    asked = [[each.name for each in kept], now - SINCE, now + AHEAD]
    found = sorted(await rows(connection, KeptOverride, OVERRIDES, asked), key=attrgetter("schedule"))
    of = {name: tuple(group) for name, group in groupby(found, key=attrgetter("schedule"))}
    return await asyncio.to_thread(lambda: [_judged(each, of.get(each.name, ())) for each in kept])


async def live(connection: Connection, start: datetime, end: datetime) -> list[Schedule]:
    """See `ScheduleDirectory.live`."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(LIVE, [start, end])
        found = await cursor.fetchall()
    schedules = []
    for name, group in groupby(found, key=lambda row: row["of"]):
        parts = list(group)
        overrides = [KeptOverride(**{n: row[n] for n in fields_of(KeptOverride)}) for row in parts if row["id"]]
        kept = KeptSchedule(name, parts[0]["rotations"], 1, start, "", start)
        schedules.append(_judged(kept, overrides).schedule)
    return [schedule for schedule in schedules if schedule is not None]


class Schedules(MemoryList[ScheduleRow], ScheduleDirectory):
    declared = SCHEDULES

    def __init__(self, home: Home) -> None:
        self.home = home
        self._held: dict[str, tuple[Schedule, datetime, Turns]] = {}
        """Who is on call and who is next by each schedule, since when: it holds until the next hand-off."""

    async def now(self, connection: Connection) -> datetime:
        now: datetime = await scalar(connection, "SELECT clock_timestamp()")
        return now.astimezone(UTC)

    async def rows(self) -> tuple[Sequence[ScheduleRow], datetime]:
        async with self.home.connection() as connection:
            now = await self.now(connection)
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(ALL)
                kept = [SCHEDULE_TABLE.made(row) for row in await cursor.fetchall()]
            judged = await _with_overrides(connection, kept, now)
        return await asyncio.to_thread(lambda: [self._turned(each, now) for each in judged]), now

    def matching(self, rows: Sequence[ScheduleRow], terms: Sequence[Term], now: datetime) -> list[ScheduleRow]:
        return shown(rows, terms, now)

    async def get(self, name: str, at: datetime | None = None) -> ScheduleRow:
        async with self.home.connection() as connection:
            now = await self.now(connection)
            kept = await SCHEDULE_TABLE.get(connection, name)
            [judged] = await _with_overrides(connection, [kept], at or now)
        return await asyncio.to_thread(self._turned, judged, at or now)

    def _turned(self, kept: KeptSchedule, at: datetime) -> ScheduleRow:
        if kept.schedule is None or kept.retired_at is not None:
            return ScheduleRow(kept, "unreadable" if kept.retired_at is None else "retired", at)
        schedule, since, found = self._held.get(kept.name, (None, at, None))
        if found is None or schedule != kept.schedule or not since <= at < (found.until or since + DAY):
            found = turns(kept.schedule, at)
            self._held[kept.name] = kept.schedule, at, found
        return ScheduleRow(kept, "covered" if found.now else "nobody", at, found)

    async def live(self, start: datetime, end: datetime) -> Sequence[Schedule]:
        async with self.home.connection() as connection:
            return await live(connection, start, end)


@dataclasses.dataclass(frozen=True)
class ScheduleWriter(ScheduleStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, name: str) -> KeptSchedule:
        kept = await SCHEDULE_TABLE.lock(self.connection, name)
        now = (await scalar(self.connection, "SELECT now()")).astimezone(UTC)
        [judged] = await _with_overrides(self.connection, [kept], now)
        return judged

    async def create(self, name: str, rotations: list[dict[str, Any]]) -> None:
        await SCHEDULE_TABLE.create(self.connection, {"name": name, "rotations": Jsonb(rotations)})

    async def update(self, name: str, columns: dict[str, Any]) -> None:
        kept = {each: Jsonb(value) if each == "rotations" else value for each, value in columns.items()}
        await SCHEDULE_TABLE.update(self.connection, kept, name)

    async def override(self, columns: dict[str, Any]) -> KeptOverride:
        return await OVERRIDE_TABLE.create(self.connection, columns)

    async def end_override(self, number: int) -> KeptOverride:
        return await OVERRIDE_TABLE.update(self.connection, {"ended_at": NOW}, number)
