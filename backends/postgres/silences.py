"""Silences in PostgreSQL: few are in force, so the list is computed here; what they hide is read from the alerts."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from backends.postgres.job_queue import PostgresQueue
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import NOW, Table, fields_of
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.jobs.engine import Kind
from controlplane.jobs.model import Claimed, JobQueue
from controlplane.listing import Page, Position, Query
from controlplane.matchers import Matcher, match_all
from controlplane.memorylist import MemoryList
from controlplane.silences import rules
from controlplane.silences.directory import (
    Foreseen,
    KeptSilence,
    RecentAlert,
    SilenceDirectory,
    SilenceRow,
)
from controlplane.silences.list import SILENCES
from controlplane.silences.model import Edit, Silence
from controlplane.silences.ports import SilenceStore
from controlplane.silences.refusals import NO_SILENCE

if TYPE_CHECKING:
    from backends.postgres.home import Home

STORED = (
    "id", "matchers", "starts_at", "ends_at", "comment", "ends", "after_seconds", "ended_at", "ended_by", "replaces",
    "created_at", "created_by", "version",
)  # fmt: skip
LIVE = sql.SQL("SELECT {} FROM wf.silences WHERE least(ends_at, ended_at) > %s ORDER BY id").format(names(STORED))
OVER = sql.SQL(
    "SELECT {} FROM wf.silences WHERE least(ends_at, ended_at) <= %s ORDER BY least(ends_at, ended_at) DESC, id DESC"
    " LIMIT 500"
).format(names(STORED))
ALERTS = sql.SQL("SELECT {} FROM wf.alert_list WHERE {}")
ALERT_COLUMNS = names(fields_of(RecentAlert))
OPEN = sql.SQL("resolved_at IS NULL")
RESOLVED_SINCE = sql.SQL("resolved_at > %s")
EVALUATED = "SELECT EXISTS (SELECT FROM wf.detector_list WHERE looked_at IS NOT NULL)"
MAX_ALERTS = 2_000
"""Open ones, and as many resolved ones, that a silence is compared with at once."""
MAX_HIDDEN = 200
EXPIRE = "SELECT wf.expire_silences(%s)"


class _Silences(Table[KeptSilence]):
    def made(self, found: Mapping[str, Any]) -> KeptSilence:
        """One bad row never stops the others: what cannot be read of it is said in its `fault`."""
        columns = {name: value for name, value in found.items() if name not in ("matchers", "after_seconds")}
        after = timedelta(seconds=found["after_seconds"])
        kept = KeptSilence(**columns, matchers=(), after=after)
        try:
            matchers = tuple(Matcher(each["label"], each["op"], each["value"]) for each in found["matchers"])
            sound = dataclasses.replace(kept, matchers=matchers)
            rules.check(sound)
        except Refusal as refusal:
            return dataclasses.replace(kept, fault=refusal.message)
        return sound


SILENCE_TABLE = _Silences("wf.silences", KeptSilence, ("id",), NO_SILENCE, stored=STORED, held="NO KEY UPDATE")


async def _kept(connection: Connection, statement: sql.Composed, at: datetime) -> list[KeptSilence]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, [at])
        return [SILENCE_TABLE.made(row) for row in await cursor.fetchall()]


async def live(connection: Connection, at: datetime) -> list[Silence]:
    """See `SilenceDirectory.live`."""
    return [each for each in await _kept(connection, LIVE, at) if not each.fault]


def _narrowed(matchers: Sequence[Matcher]) -> tuple[sql.Composable, list[object]]:
    """A condition that follows from the matchers, and that an index can answer."""
    found: list[sql.Composable] = [sql.SQL("true")]
    values: list[object] = []
    for matcher in matchers:
        if matcher.op == "=" and matcher.label in ("kind", "tenant") and matcher.value:
            column = "kind" if matcher.label == "kind" else "tenant_id"
            found.append(sql.SQL("{} = %s").format(sql.Identifier(column)))
            values.append(matcher.value)
    return sql.SQL(" AND ").join(found), values


@dataclasses.dataclass(frozen=True)
class Looked:
    """Alerts that were looked at. `more`: there are more open ones. `since`: all are there that were resolved since."""

    open: list[RecentAlert]
    resolved: list[RecentAlert]
    more: bool
    since: datetime


async def alerts_for(connection: Connection, matchers: Sequence[Matcher], since: datetime) -> Looked:
    """Open alerts that may match, and those resolved since a time: one statement, by the indexes of both. At most
    MAX_ALERTS of each, of the resolved ones the last.
    """
    narrow, values = _narrowed(matchers)
    statement = sql.SQL("({} AND {} LIMIT %s) UNION ALL ({} AND {} ORDER BY resolved_at DESC LIMIT %s)").format(
        ALERTS.format(ALERT_COLUMNS, OPEN), narrow, ALERTS.format(ALERT_COLUMNS, RESOLVED_SINCE), narrow
    )
    most = MAX_ALERTS + 1
    found = await rows(connection, RecentAlert, statement, [*values, most, since, *values, most])
    still = [alert for alert in found if alert.resolved_at is None]
    over = sorted(((alert.resolved_at, alert) for alert in found if alert.resolved_at), key=itemgetter(0), reverse=True)
    if len(over) > MAX_ALERTS:
        since = over[MAX_ALERTS - 1][0]
    resolved = [alert for _, alert in over[:MAX_ALERTS]]
    return Looked(still[:MAX_ALERTS], resolved, len(still) > MAX_ALERTS, since)


async def open_alerts(connection: Connection, matchers: Sequence[Matcher] = ()) -> tuple[list[RecentAlert], bool]:
    """Those that may match, at most MAX_ALERTS, and whether there are more."""
    narrow, values = _narrowed(matchers)
    statement = sql.SQL("{} AND {} LIMIT %s").format(ALERTS.format(ALERT_COLUMNS, OPEN), narrow)
    found = await rows(connection, RecentAlert, statement, [*values, MAX_ALERTS + 1])
    return found[:MAX_ALERTS], len(found) > MAX_ALERTS


async def foresee(connection: Connection, matchers: Sequence[Matcher], at: datetime) -> Foreseen:
    week = at - rules.WEEK
    looked = await alerts_for(connection, matchers, week)
    found = looked.open + looked.resolved
    evaluated = bool(found) or await scalar(connection, EVALUATED)
    hidden = await asyncio.to_thread(rules.would_hide, tuple(matchers), found, at)
    return Foreseen(hidden, looked.more or looked.since > week, evaluated)


async def done_with(connection: Connection, at: datetime) -> list[int]:
    """The numbers of those that have had nothing to hide for long enough. One goes on while there are more alerts than
    are looked at: among the others there may be one that it hides.
    """
    ending = [each for each in await live(connection, at) if each.ends != "time" and each.starts_at <= at]
    if not ending:
        return []
    looked = await alerts_for(connection, (), min(each.starts_at for each in ending))
    return [] if looked.more else await asyncio.to_thread(_done_with, ending, looked, at)


def _done_with(silences: Sequence[Silence], looked: Looked, at: datetime) -> list[int]:
    """What was resolved before the time that must have been quiet matters only in that there was something to hide."""
    alerts = looked.open + looked.resolved
    known = [each for each in silences if max(each.starts_at, at - each.after) >= looked.since]
    return [each.id for each in known if rules.ends_by_itself(each, alerts, at) is not None]


async def expire(queue: JobQueue, claimed: Claimed) -> bool:
    """The job that ends silences which have had nothing to hide for long enough."""
    assert isinstance(queue, PostgresQueue)
    async with queue.connection() as connection:
        over = await done_with(connection, (await scalar(connection, "SELECT clock_timestamp()")).astimezone(UTC))
    return bool(over) and await queue.settled(claimed, EXPIRE, [over])


UPKEEP = (Kind("expire_silences", expire, timedelta(seconds=30)),)


class Silences(MemoryList[SilenceRow], SilenceDirectory):
    declared = SILENCES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def now(self, connection: Connection) -> datetime:
        now: datetime = await scalar(connection, "SELECT clock_timestamp()")
        return now.astimezone(UTC)

    async def rows(self) -> tuple[Sequence[SilenceRow], datetime]:
        async with self.home.connection() as connection:
            now = await self.now(connection)
            kept = [*await _kept(connection, LIVE, now), *await _kept(connection, OVER, now)]
        return [_row(each, now) for each in kept], now

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[SilenceRow]:
        """What each hides is counted for the rows that are shown."""
        page = await super().page(query, start=start, inclusive=inclusive, backward=backward, limit=limit)
        return page._replace(rows=tuple(await self._counted(page.rows, page.as_of)))

    async def get(self, number: int) -> SilenceRow:
        async with self.home.connection() as connection:
            now = await self.now(connection)
            kept = await SILENCE_TABLE.get(connection, number)
        [row] = await self._counted([_row(kept, now)], now)
        return row

    async def live(self, at: datetime) -> Sequence[Silence]:
        async with self.home.connection() as connection:
            return await live(connection, at)

    async def foresee(self, matchers: Sequence[Matcher]) -> Foreseen:
        async with self.home.connection() as connection:
            return await foresee(connection, matchers, await self.now(connection))

    async def hidden(self, silence: Silence, at: datetime) -> tuple[Sequence[RecentAlert], bool]:
        async with self.home.connection() as connection:
            found, more = await open_alerts(connection, silence.matchers)
        hides = [each for each in found if rules.hides(silence, each.all_labels, at)]
        hides.sort(key=lambda alert: -alert.id)
        return hides[:MAX_HIDDEN], more or len(hides) > MAX_HIDDEN

    async def _counted(self, shown: Sequence[SilenceRow], at: datetime) -> list[SilenceRow]:
        active = [row.silence for row in shown if row.standing == "active"]
        if not active:
            return list(shown)
        matchers = active[0].matchers if len(active) == 1 else ()
        async with self.home.connection() as connection:
            found, more = await open_alerts(connection, matchers)
            if not found and not await scalar(connection, EVALUATED):
                return list(shown)  # no detector was ever evaluated: no alert says nothing
        numbers = await asyncio.to_thread(_numbers, active, found)
        return [
            dataclasses.replace(row, hides=numbers[row.silence.id], more=more) if row.silence.id in numbers else row
            for row in shown
        ]


async def matching(connection: Connection, terms: Sequence[Term], now: datetime) -> list[KeptSilence]:
    """Those that a filter finds, as the list does."""
    kept = [*await _kept(connection, LIVE, now), *await _kept(connection, OVER, now)]
    return [row.silence for row in SILENCES.matching([_row(each, now) for each in kept], terms, now)]


def _row(kept: KeptSilence, now: datetime) -> SilenceRow:
    state = rules.state(kept, now)
    return SilenceRow(kept, "unreadable" if kept.fault and state != "expired" else state)


def _numbers(silences: Sequence[Silence], alerts: Sequence[RecentAlert]) -> dict[int, int]:
    labels = [alert.all_labels for alert in alerts]
    return {each.id: sum(match_all(each.matchers, one) for one in labels) for each in silences}


@dataclasses.dataclass(frozen=True)
class SilenceWriter(SilenceStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> KeptSilence:
        return await SILENCE_TABLE.lock(self.connection, number)

    async def create(self, silence: Silence) -> KeptSilence:
        columns: dict[str, Any] = {
            "matchers": Jsonb([dataclasses.asdict(each) for each in silence.matchers]),
            "starts_at": silence.starts_at,
            "ends_at": silence.ends_at,
            "comment": silence.comment,
            "ends": silence.ends,
            "after_seconds": int(silence.after.total_seconds()),
            "replaces": silence.replaces,
        }
        return await SILENCE_TABLE.create(self.connection, columns)

    async def edit(self, edit: Edit) -> KeptSilence:
        if edit.added is not None:
            await self.end(edit.kept.id)
            return await self.create(edit.added)
        kept = edit.kept
        columns = {"starts_at": kept.starts_at, "ends_at": kept.ends_at, "comment": kept.comment}
        return await SILENCE_TABLE.update(self.connection, columns, kept.id)

    async def end(self, number: int) -> KeptSilence:
        return await SILENCE_TABLE.update(self.connection, {"ended_at": NOW}, number)

    async def foresee(self, matchers: Sequence[Matcher]) -> Foreseen:
        now = await scalar(self.connection, "SELECT now()")
        return await foresee(self.connection, matchers, now.astimezone(UTC))
