"""Objectives in PostgreSQL: the definitions are few and read whole; measurements come from the cells."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row

from backends.postgres.slis import Slis, Span
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import NOW, Table, Writer, fields_of
from controlplane.filters.grammar import Term
from controlplane.jobs.engine import sql as job
from controlplane.memorylist import MemoryList
from controlplane.objectives.list import OBJECTIVES, shown
from controlplane.objectives.model import (
    MINUTES_KEPT,
    Attribution,
    Held,
    Maintenance,
    Objective,
    ObjectiveDirectory,
    Share,
    Slice,
    Standing,
)
from controlplane.objectives.ports import ObjectiveStore
from controlplane.objectives.refusals import NO_MAINTENANCE, NO_OBJECTIVE
from controlplane.objectives.rules import MAX_WINDOW, applies, evaluate, is_rolling, period_of, resolve
from controlplane.tenants.refusals import NO_TENANT

if TYPE_CHECKING:
    from backends.postgres.home import Home


class _Objectives(Table[Objective]):
    def made(self, found: Mapping[str, Any]) -> Objective:
        """Shares are stored as decimals; here they are floats, like all others."""
        shares = {name: None if found[name] is None else float(found[name]) for name in ("target", "contractual")}
        return Objective(**{**found, **shares})


OBJECTIVE_TABLE = _Objectives("wf.objectives", Objective, ("id",), NO_OBJECTIVE)
MAINTENANCE_TABLE = Table("wf.maintenance", Maintenance, ("id",), NO_MAINTENANCE)

IN_SCOPE = sql.SQL("""
SELECT {} FROM wf.maintenance m WHERE ends_at > %s
  AND (%s::text IS NULL OR tenant_id IS NULL OR tenant_id = %s)
  AND (%s::text IS NULL OR route IS NULL OR route = %s) AND (%s::text IS NULL OR plan IS NULL OR plan = %s)
ORDER BY starts_at DESC, id DESC LIMIT 100
""").format(names(fields_of(Maintenance)))
PLAN_OF_TENANT = "SELECT plan FROM wf.tenant_list WHERE id = %s"
CHANGED = """
SELECT (SELECT count(*) FROM wf.objectives), (SELECT sum(version) FROM wf.objectives),
  (SELECT count(*) FROM wf.maintenance), (SELECT count(ended_at) FROM wf.maintenance)
"""
LIVE = sql.SQL("SELECT {} FROM wf.objectives WHERE retired_at IS NULL ORDER BY id").format(names(fields_of(Objective)))
RETIRED = sql.SQL("SELECT {} FROM wf.objectives WHERE retired_at IS NOT NULL ORDER BY id").format(
    names(fields_of(Objective))
)
HOUR = timedelta(hours=1)
FINE_LIST = 7 * HOUR
"""How far back the list reads minutes: the longest window whose edge an hour would blur (6 h), plus an hour."""
FRESH_FOR = timedelta(seconds=10)
"""A measurement is reused for this long, so that a list's pages and counts are of one moment."""
MEASURE_IDLE_FACTOR = 20
"""A measurement stays fresh for at least this many times as long as it took, so that open lists do not keep a large
home busy."""


UPKEEP = (job("keep_objectives", "SELECT wf.keep_objectives()", timedelta(minutes=1), seconds=300),)


@dataclasses.dataclass(frozen=True)
class _Measure:
    """`of` identifies what was measured, with everything that would change the result."""

    of: tuple[object, ...]
    standings: tuple[Standing, ...]
    as_of: datetime
    fresh_until: datetime


class Objectives(MemoryList[Standing], ObjectiveDirectory):
    """Implements `ObjectiveDirectory` over a home. There are few definitions, so the list is sorted and paged here."""

    declared = OBJECTIVES

    def __init__(self, home: Home) -> None:
        self.home = home
        self._list: _Measure | None = None
        self._one: _Measure | None = None

    async def rows(self) -> tuple[Sequence[Standing], datetime]:
        measure = await self._all()
        return measure.standings, measure.as_of

    def matching(self, rows: Sequence[Standing], terms: Sequence[Term], now: datetime) -> list[Standing]:
        return shown(rows, terms, now)

    async def _all(self) -> _Measure:
        """All objectives, retired ones too."""
        async with self.home.connection() as connection:
            reader = _Reader(connection)
            now, of = await reader.now(), await reader.changed()
            self._list = await _measured(self._list, of, now, lambda: _standings(reader, now))
            return self._list

    async def get(self, *key: Any) -> Standing:
        return await self.standing(*key)

    async def standing(self, objective_id: int) -> Standing:
        async with self.home.connection() as connection:
            reader = _Reader(connection)
            objective, now = await reader.one(objective_id), await reader.now()
            of = (*await reader.changed(), objective_id)
            self._one = await _measured(self._one, of, now, lambda: reader.standings([objective], now))
            return self._one.standings[0]

    async def history(self, objective_id: int, start: datetime, fine: timedelta = MINUTES_KEPT) -> tuple[Slice, ...]:
        async with self.home.connection() as connection:
            reader = _Reader(connection)
            objective, now = await reader.one(objective_id), await reader.now()
            return await reader.slices(objective, start, now, fine)

    async def attribution(self, standing: Standing) -> Attribution:
        objective, now = standing.objective, standing.as_of
        span = Span(_hour(standing.start), _hour(now - FINE_LIST), now, objective.tenant_id, objective.route)
        span = dataclasses.replace(span, kept=False, begins=_calendar(objective, standing.start))
        since = max(standing.start, _hour(now - MINUTES_KEPT))
        async with self.home.connection() as connection:
            slis = Slis(connection)
            rows = await slis.shares(span, objective, standing.start)
            keys = await slis.keys(dataclasses.replace(span, start=since, fine=since), objective)
        by: tuple[list[Share], list[Share]] = ([], [])
        for kind, who, bad, total in rows:
            by[kind].append(Share(who, int(bad), int(total)))
        return Attribution(tuple(by[0]), tuple(by[1]), tuple(Share(*row) for row in keys), since)

    async def rivals(self, name: str) -> tuple[Objective, ...]:
        async with self.home.connection() as connection:
            return tuple(each for each in await _Reader(connection).live() if each.name == name)

    async def maintenance(self, standing: Standing) -> tuple[Maintenance, ...]:
        objective = standing.objective
        scope = [value for value in (objective.tenant_id, objective.route, objective.plan) for value in (value, value)]
        async with self.home.connection() as connection:
            return tuple(await rows(connection, Maintenance, IN_SCOPE, [standing.start, *scope]))

    async def of_tenant(self, tenant_id: str, route: str | None = None) -> list[tuple[Held, Standing]]:
        async with self.home.connection() as connection:
            reader = _Reader(connection)
            row = await (await connection.execute(PLAN_OF_TENANT, [tenant_id])).fetchone()
            if row is None:
                raise NO_TENANT.of(tenant_id)
            live, now = await reader.live(), await reader.now()
            routes = {each.route for each in live if applies(each, tenant_id, row[0], each.route)}
            wanted = [None, *sorted(filter(None, routes))] if route is None else [route]
            found = [(each, asked) for asked in wanted for each in resolve(live, tenant_id, row[0], asked)]
            held = [each for each, asked in found if asked == route or each.objective.route == asked]
            measured = await reader.standings([each.objective for each in held], now, (tenant_id, route))
        by_id = {standing.objective.id: standing for standing in measured}
        return [(each, by_id[each.objective.id]) for each in held]


async def _standings(reader: _Reader, now: datetime) -> tuple[Standing, ...]:
    retired = tuple(evaluate(each, (), now) for each in await reader.retired())
    return await reader.standings(await reader.live(), now) + retired


async def live_standings(connection: Connection) -> tuple[Standing, ...]:
    """How every objective that is not retired stands now, as the list shows it."""
    reader = _Reader(connection)
    return await reader.standings(await reader.live(), await reader.now())


async def _measured(
    held: _Measure | None, of: tuple[object, ...], now: datetime, read: Callable[[], Awaitable[tuple[Standing, ...]]]
) -> _Measure:
    """The held measurement while it is fresh; else a new one."""
    if held is not None and held.of == of and held.as_of <= now < held.fresh_until:
        return held
    begun = time.monotonic()
    standings = await read()
    rest = max(FRESH_FOR, MEASURE_IDLE_FACTOR * timedelta(seconds=time.monotonic() - begun))
    return _Measure(of, standings, now, now + rest)


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _calendar(objective: Objective, *begins: datetime) -> tuple[datetime, ...]:
    """The starts of calendar windows. A rolling window has none: it moves, and counts its first hour whole."""
    return () if is_rolling(objective.period) else begins


@dataclasses.dataclass(frozen=True)
class _Reader:
    connection: Connection

    async def now(self) -> datetime:
        now: datetime = await scalar(self.connection, "SELECT now()")
        return now.astimezone(UTC)

    async def changed(self) -> tuple[object, ...]:
        """Values that change whenever a definition or a maintenance does."""
        return await (await self.connection.execute(CHANGED)).fetchone() or ()

    async def one(self, objective_id: int) -> Objective:
        return await OBJECTIVE_TABLE.get(self.connection, objective_id)

    async def live(self) -> list[Objective]:
        return await self._all(LIVE)

    async def retired(self) -> list[Objective]:
        return await self._all(RETIRED)

    async def _all(self, statement: sql.Composed) -> list[Objective]:
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement)
            return [OBJECTIVE_TABLE.made(row) for row in await cursor.fetchall()]

    async def slices(
        self, objective: Objective, start: datetime, now: datetime, fine: timedelta = MINUTES_KEPT
    ) -> tuple[Slice, ...]:
        begins = _calendar(objective, start, period_of(objective.period, objective.zone, now)[0])
        span = Span(_hour(start), _hour(now - fine), now, objective.tenant_id, objective.route, begins=begins)
        return await Slis(self.connection).slices(span, objective)

    async def standings(
        self, objectives: list[Objective], now: datetime, party: tuple[str, str | None] | None = None
    ) -> tuple[Standing, ...]:
        """All in one statement. `party`: count only the requests of this tenant, or of one route of it."""
        if not objectives:
            return ()
        since = {each: period_of(each.period, each.zone, now)[0] for each in objectives}
        start = _hour(min(now - MAX_WINDOW, *since.values()))
        begins = tuple(begin for each, begin in since.items() for begin in _calendar(each, begin))
        span = Span(start, _hour(now - FINE_LIST), now, begins=begins)
        only = objectives[0] if len(objectives) == 1 else None
        if party is not None:
            span = dataclasses.replace(span, tenant_id=party[0], route=party[1], kept=False)
        elif only is not None:
            span = dataclasses.replace(span, tenant_id=only.tenant_id, route=only.route)
        found = await Slis(self.connection).sums(span, since)
        return tuple(evaluate(each, found.get(each.id, ()), now) for each in objectives)


class ObjectiveWriter(Writer[Objective], ObjectiveStore):
    table = OBJECTIVE_TABLE

    async def history(self, objective: Objective, start: datetime) -> tuple[Slice, ...]:
        reader = _Reader(self.connection)
        return await reader.slices(objective, start, await reader.now())

    async def plan_maintenance(self, columns: dict[str, Any]) -> Maintenance:
        return await MAINTENANCE_TABLE.create(self.connection, columns)

    async def end_maintenance(self, number: int) -> Maintenance:
        return await MAINTENANCE_TABLE.update(self.connection, {"ended_at": NOW}, number)
