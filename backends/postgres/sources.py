"""Sources of dead letters side by side, the home's own and those outside; and what the home keeps of what was done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.jobs.engine import sql as job
from controlplane.listing import Page, Position, Query
from controlplane.memorylist import MemoryList
from controlplane.operators.roles import allows
from controlplane.queues.held import Held, unknown
from controlplane.queues.model import CauseDirectory
from controlplane.queues.refusals import NO_ACT, SOURCE_CANNOT
from controlplane.queues.source import MAX_PAGE, DeadMessage, Said, Source, Verb, masked
from controlplane.queues.source_lists import MESSAGES, SOURCES
from controlplane.queues.sources import (
    MessageDirectory,
    RunActs,
    SourceAct,
    SourceActStore,
    SourceDirectory,
    SourceRow,
    here,
    noted,
    outside,
)
from controlplane.runs.model import RunItem

if TYPE_CHECKING:
    from backends.postgres.home import Home

ACT_TABLE = Table("wf.source_acts", SourceAct, ("id",), NO_ACT, view="wf.source_act_list")
_COLUMNS = names(fields_of(SourceAct))
RECENT = sql.SQL(
    "SELECT {} FROM wf.source_act_list WHERE source = ANY (%s) AND at > %s ORDER BY id DESC LIMIT 1000"
).format(_COLUMNS)
OF_THING = sql.SQL(
    "SELECT {} FROM wf.source_act_list WHERE source = %s AND things::text[] @> ARRAY[%s] ORDER BY id DESC LIMIT 50"
).format(_COLUMNS)
INACTIVE = "SELECT wf.inactive_tenants(%s)"
ITEMS = sql.SQL("SELECT {} FROM wf.run_items WHERE run_id = %s AND ordinal = ANY (%s) ORDER BY ordinal").format(
    names(fields_of(RunItem))
)
REMEMBERED = timedelta(days=30)
"""How far back replays of a message are counted in the list."""
UPKEEP = (job("prune_source_acts", "SELECT wf.prune_source_acts()", timedelta(hours=1)),)


class SourceRows(MemoryList[SourceRow], SourceDirectory):
    declared = SOURCES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[SourceRow], datetime]:
        now = self.home.clock.now()
        own = [here(each, now) for each in await self.home.of(CauseDirectory).sources()]
        return [*own, *await self.lines()], now

    async def outside(self) -> Sequence[Held]:
        return await self.home.sources.look() if self.home.sources else ()

    @property
    def elsewhere(self) -> bool:
        return self.home.sources is not None

    async def lines(self) -> Sequence[SourceRow]:
        held, now = await self.outside(), self.home.clock.now()
        acts = await recent(self.home, [each.name for each in held])
        return [outside(each, acts, now) for each in held]

    def source(self, name: str) -> Source:
        if self.home.sources is None:
            raise unknown(name, ())
        return self.home.sources.source(name)

    def settled(self, name: str, ids: Collection[str]) -> None:
        if self.home.sources is not None:
            self.home.sources.settled(name, ids)


class Messages(MemoryList[DeadMessage], MessageDirectory):
    declared = MESSAGES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[DeadMessage], datetime]:
        held = await self.home.of(SourceDirectory).outside()
        acts = await recent(self.home, [each.name for each in held])
        now = self.home.clock.now()
        found = noted([message for each in held for message in each.messages], acts, now)
        return (found if self._unmasked else [masked(each) for each in found]), now

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[DeadMessage]:
        """A source that is named and cannot be read without changing it is looked into first."""
        for term in query.terms:
            if self.home.sources is not None and term.field == "source" and term.operator == "is" and not term.negated:
                for name in term.values:
                    await self.home.sources.peek(str(name))
        return await super().page(query, start=start, inclusive=inclusive, backward=backward, limit=limit)

    async def get(self, *key: Any) -> DeadMessage:
        """As its source has it now, also when it is not among those that are held."""
        source, _, name = str(key[0]).partition("/")
        if not name:
            raise self.missing(*key)
        place = self.home.of(SourceDirectory).source(source)
        if self.home.sources is not None:
            await self.home.sources.peek(source)
        found = await place.look([name])
        if name not in found:
            raise self.missing(*key)
        [message] = noted([found[name]], await self.acts(source, name), self.home.clock.now())
        return message if self._unmasked else masked(message)

    async def said(self, message: DeadMessage) -> Said | None:
        if not self._unmasked:
            return None
        _, said = await self.home.of(SourceDirectory).source(message.source).fetch(message.name)
        return said

    async def every(self, terms: Sequence[Term], verb: Verb, limit: int) -> list[DeadMessage]:
        book, now = self.home.sources, self.home.clock.now()
        held = await book.look() if book else ()
        wanted = {str(name) for term in terms if term.field == "source" and not term.negated for name in term.values}
        acts = await recent(self.home, [each.name for each in held])
        found: list[DeadMessage] = []
        for name in wanted or [each.name for each in held]:
            source = self.home.of(SourceDirectory).source(name)
            if not (getattr(source.can, verb) and source.can.browse):
                if wanted:
                    why = source.can.why.get(verb) or "its settings say nothing of it"
                    raise SOURCE_CANNOT(f"The source {name} cannot {verb}: {why}.")
                continue
            after = None
            while len(found) < limit:
                page = await source.page(after, MAX_PAGE)
                found += MESSAGES.matching(noted(page.rows, acts, now), terms, now)
                after = page.next
                if after is None:
                    break
        return found[:limit]

    async def acts(self, source: str, name: str) -> Sequence[SourceAct]:
        async with self.home.connection() as connection:
            return await rows(connection, SourceAct, OF_THING, [source, name])

    @property
    def _unmasked(self) -> bool:
        return allows(self.home.actor.role, "operator")


class RunActsHere(RunActs):
    def __init__(self, home: Home) -> None:
        self.home = home

    async def lost(self, run_id: int) -> Sequence[RunItem]:
        async with self.home.connection() as connection:
            places = await scalar(connection, "SELECT wf.end_lost_acts(%s)", [run_id])
            return await rows(connection, RunItem, ITEMS, [run_id, places]) if places else []

    async def begin(self, run_id: int, places: Sequence[int]) -> int:
        async with self.home.connection() as connection:
            return int(await scalar(connection, "SELECT wf.begin_run_act(%s, %s)", [run_id, list(places)]))

    async def end(self, act: int, state: str, others: Mapping[str, str], detail: str, said: Mapping[str, str]) -> None:
        given = [act, state, Jsonb(dict(others)), detail, Jsonb(dict(said))]
        async with self.home.connection() as connection:
            await connection.execute("SELECT wf.end_run_act(%s, %s, %s, %s, %s)", given)

    async def inactive(self, tenants: Collection[str]) -> set[str]:
        async with self.home.connection() as connection:
            return set(await scalar(connection, INACTIVE, [list(tenants)]))


async def recent(home: Home, sources: Sequence[str]) -> list[SourceAct]:
    """The newest first; none when the home cannot be asked: the sources can be shown without it."""
    if not sources:
        return []
    try:
        async with home.connection() as connection:
            return await rows(connection, SourceAct, RECENT, [list(sources), home.clock.now() - REMEMBERED])
    except Refusal:
        return []


@dataclass(frozen=True)
class SourceActWriter(SourceActStore):
    """Writes within one transaction."""

    connection: Connection

    async def begin(self, source: str, verb: Verb, things: Sequence[str]) -> SourceAct:
        act = await scalar(self.connection, "SELECT wf.begin_source_act(%s, %s, %s)", [source, verb, list(things)])
        return await ACT_TABLE.get(self.connection, act)

    async def end(self, act: int, state: str, others: Mapping[str, str], detail: str) -> SourceAct:
        given = [act, state, Jsonb(dict(others)), detail]
        await self.connection.execute("SELECT wf.end_source_act(%s, %s, %s, %s)", given)
        return await ACT_TABLE.get(self.connection, act)

    async def inactive(self, tenants: Collection[str]) -> set[str]:
        return set(await scalar(self.connection, INACTIVE, [list(tenants)]))
