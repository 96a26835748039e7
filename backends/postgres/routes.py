"""Routes in PostgreSQL: they are few, so their list is read whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres import routing
from backends.postgres.statements import Connection, first, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.alerts.model import AlertEvent
from controlplane.alerts.refusals import NO_ALERT
from controlplane.filters.grammar import Term
from controlplane.memorylist import MemoryList
from controlplane.routes.decide import decide
from controlplane.routes.kept import RouteDirectory, RouteRow, RouteStore
from controlplane.routes.list import ROUTES, shown
from controlplane.routes.model import Decision, Facts
from controlplane.routes.refusals import NO_ROUTE
from controlplane.routes.replay import Story
from controlplane.routes.stories import story_of

if TYPE_CHECKING:
    from backends.postgres.home import Home

ROUTE_TABLE = Table("wf.routes", RouteRow, ("id",), NO_ROUTE, view="wf.route_list")
ALL = sql.SQL("SELECT {} FROM wf.route_list ORDER BY id").format(names(fields_of(RouteRow)))
NAMED = sql.SQL("""
SELECT {} FROM wf.route_list WHERE name = %s AND (tenant_id = %s OR %s::text IS NULL)
ORDER BY retired_at NULLS FIRST, id LIMIT 1
""").format(names(fields_of(RouteRow)))
EVENTS = sql.SQL("SELECT {} FROM wf.alert_events WHERE alert_id = ANY (%s) ORDER BY alert_id, n").format(
    names(fields_of(AlertEvent))
)
MAX_STORIES = 5000
STORIES_SECONDS = 30.0
PAST, AHEAD = timedelta(days=400), timedelta(days=400)
"""So far from now alerts are replayed and simulated."""
DOCUMENTS = ("policy", "escalation", "matchers")


class Routes(MemoryList[RouteRow], RouteDirectory):
    declared = ROUTES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[RouteRow], datetime]:
        async with self.home.connection() as connection:
            found = await rows(connection, RouteRow, ALL)
            now: datetime = await scalar(connection, "SELECT now()")
        return found, now.astimezone(UTC)

    def matching(self, rows: Sequence[RouteRow], terms: Sequence[Term], now: datetime) -> list[RouteRow]:
        return shown(rows, terms, now)

    async def named(self, name: str, tenant_id: str | None = None) -> RouteRow:
        if name.isascii() and name.isdigit() and len(name) < 19:
            return await self.get(int(name))
        async with self.home.connection() as connection:
            found = await first(connection, RouteRow, NAMED, [name, tenant_id, tenant_id])
        if found is None:
            raise NO_ROUTE.of(name)
        return found

    async def facts(self) -> tuple[Facts, datetime]:
        async with self.home.connection(snapshot=True) as connection:
            at: datetime = await scalar(connection, "SELECT clock_timestamp()")
            return await routing.facts_at(connection, at, before=PAST, after=AHEAD), at

    async def explain(self, alert: int) -> Decision:
        async with self.home.connection(snapshot=True) as connection:
            return await explained(connection, alert)

    async def stories(self, since: datetime) -> tuple[Sequence[Story], bool]:
        async with self.home.connection(STORIES_SECONDS, snapshot=True) as connection:
            found = await routing.alerts_since(connection, since, MAX_STORIES)
            events: dict[int, list[AlertEvent]] = {}
            for event in await rows(connection, AlertEvent, EVENTS, [[int(name) for name in found]]):
                events.setdefault(event.alert_id, []).append(event)
        told = [story_of(each.facts, events.get(int(name), ())) for name, each in found.items()]
        return told, len(found) == MAX_STORIES


@dataclasses.dataclass(frozen=True)
class RouteWriter(RouteStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> RouteRow:
        return await ROUTE_TABLE.lock(self.connection, number)

    async def create(self, columns: Mapping[str, Any]) -> RouteRow:
        return await ROUTE_TABLE.create(self.connection, _stored(columns))

    async def update(self, number: int, columns: Mapping[str, Any]) -> RouteRow:
        return await ROUTE_TABLE.update(self.connection, _stored(columns), number)

    async def explain(self, alert: int) -> Decision:
        return await explained(self.connection, alert)


async def explained(connection: Connection, alert: int) -> Decision:
    """What would be decided now. Raises NotFound."""
    at: datetime = await scalar(connection, "SELECT clock_timestamp()")
    found = await routing.alerts_of(connection, [str(alert)])
    if str(alert) not in found:
        raise NO_ALERT.of(alert)
    facts = await routing.facts_at(connection, at)
    this = found[str(alert)].facts
    groups, members = await routing.groups_of(connection, this, facts)
    return decide(this, dataclasses.replace(facts, groups=groups, members=members), at)


def _stored(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if name in DOCUMENTS and value is not None else value for name, value in columns.items()}
