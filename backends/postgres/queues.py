"""Dead letters in PostgreSQL: read from views, written by the home's functions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, first, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.audit.model import Record
from controlplane.errors import Refusal
from controlplane.jobs.engine import Kind
from controlplane.jobs.engine import sql as job
from controlplane.jobs.model import Claimed, JobQueue
from controlplane.listing import Count, Query
from controlplane.operators.roles import allows
from controlplane.queues.list import CAUSES, LETTERS
from controlplane.queues.model import (
    Cause,
    CauseDirectory,
    CauseStore,
    Letter,
    LetterDirectory,
    LetterStore,
    Message,
    SourceStats,
    Success,
)
from controlplane.queues.refusals import NO_CAUSE, NO_LETTER

LETTER_TABLE = Table("wf.dead_letters", Letter, ("id",), NO_LETTER, view="wf.letter_list")
CAUSE_TABLE = Table("wf.dead_causes", Cause, ("id",), NO_CAUSE, view="wf.cause_list")
MESSAGE = "SELECT payload, cut, payload_json AS json, headers, edited FROM wf.letter_message WHERE id = %s"
ATTEMPTS = "SELECT attempts FROM wf.letter_attempts WHERE id = %s"
SUCCESS = "SELECT source_id, at, payload FROM wf.last_success(%s)"
SOURCES = sql.SQL("SELECT {} FROM wf.letter_sources ORDER BY waiting DESC, name").format(names(fields_of(SourceStats)))
UNINDEXED = ("payload", "error")
"""Of a million letters, a JSON path or a regular expression reads all."""
COUNT_SECONDS = 0.6
SAMPLE_ROWS = 5_000
WAITING = "SELECT coalesce(sum(waiting), 0)::bigint FROM wf.cause_list WHERE waiting > 0"

READY = "SELECT count(*) FROM wf.cause_list WHERE fixed_gate IS NOT NULL AND ready"


async def rehearse(queue: JobQueue, job: Claimed) -> bool:
    """What a worker does with a message of a drill: nothing."""
    return False


UPKEEP = (
    Kind("drill", rehearse),
    job("collect_letters", "SELECT wf.collect_letters()", timedelta(minutes=10)),
    job("prune_letters", "SELECT wf.prune_letters()", timedelta(hours=1)),
)


class Causes(PagedList[Cause], CauseDirectory):
    shape = shape_of(
        CAUSES,
        "wf.cause_list",
        tie=("fingerprint",),
        orders={"dead": Order("waiting", "bigint"), "last": Order("last_seen", "timestamptz")},
    )

    async def sources(self) -> Sequence[SourceStats]:
        async with self.home.connection() as connection:
            return await rows(connection, SourceStats, SOURCES)

    async def ready(self) -> int:
        async with self.home.connection() as connection:
            return int(await scalar(connection, READY))

    async def waiting(self) -> int:
        async with self.home.connection() as connection:
            return int(await scalar(connection, WAITING))


class Letters(PagedList[Letter], LetterDirectory):
    shape = shape_of(
        LETTERS,
        "wf.letter_list",
        orders={
            **{name: Order("id", "bigint") for name in ("age", "id")},
            "handler": Order("wf.folded(handler)", "text"),
        },
        filters={
            "id": Filtered(sql.SQL("id::text")),
            "payload": Filtered(
                sql.SQL("payload_json"),
                "document",
                masked=sql.SQL("NULL::jsonb"),
                table=sql.SQL("wf.letter_payloads"),
            ),
        },
    )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        """Exact, unless it takes longer than COUNT_SECONDS; then about."""
        if not any(term.field in UNINDEXED for term in query.terms):
            return await super().count(query, cap)
        try:
            async with self.home.connection(COUNT_SECONDS) as connection:
                number = int(await scalar(connection, *self._counting(query, cap)))
        except Refusal as refusal:
            if refusal.code != "too_slow":
                raise
            return await self._about(query)
        return Count(min(number, cap), capped=number > cap)

    async def _about(self, query: Query) -> Count:
        """What share of the newest rows matches, times what the planner knows of how many there are."""
        condition, parameters = self._where(query)
        view = sql.SQL(self.shape.view)
        newest = sql.SQL("SELECT * FROM {} ORDER BY id DESC LIMIT %s").format(view)
        sampled = sql.SQL("SELECT count(*) FILTER (WHERE {}), count(*) FROM ({}) AS newest").format(condition, newest)
        async with self.home.connection() as connection:
            row = await (await connection.execute(sampled, [*parameters, SAMPLE_ROWS])).fetchone()
            found, looked = row or (0, 0)
            if looked < SAMPLE_ROWS:
                return Count(found)
            plan = await scalar(connection, sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {}").format(view))
        every = max(plan[0]["Plan"]["Plan Rows"], looked)
        return Count(round(found / looked * every), capped=True, near=True)

    async def message(self, number: int) -> Message | None:
        if not self._unmasked:
            return None
        async with self.home.connection() as connection:
            return await first(connection, Message, MESSAGE, [number])

    async def attempts(self, number: int) -> Sequence[Record]:
        async with self.home.connection() as connection:
            return list(await scalar(connection, ATTEMPTS, [number]))

    async def last_success(self, number: int) -> Success | None:
        if not self._unmasked:
            return None
        async with self.home.connection() as connection:
            return await first(connection, Success, SUCCESS, [number])

    @property
    def _unmasked(self) -> bool:
        return allows(self.home.actor.role, "operator")


@dataclass(frozen=True)
class LetterWriter(LetterStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> Letter:
        await self.connection.execute("SELECT wf.lock_letter(%s)", [number])
        return await LETTER_TABLE.get(self.connection, number)

    async def change(self, verb: str, number: int, given: dict[str, Any] | None = None) -> Letter:
        await self.connection.execute("SELECT wf.change_letter(%s, %s, %s)", [verb, number, Jsonb(given or {})])
        return await LETTER_TABLE.get(self.connection, number)

    async def exported(self, noun: str, filter: str, form: str) -> None:
        await self.connection.execute("SELECT wf.note_letter_export(%s, %s, %s)", [noun, filter, form])

    async def make_drill(self, name: str) -> int:
        return int(await scalar(self.connection, "SELECT wf.make_drill(%s)", [name]))


@dataclass(frozen=True)
class CauseWriter(CauseStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, cause: str) -> Cause:
        return await CAUSE_TABLE.get(self.connection, cause)

    async def fixed(self, cause: str, release: str, gate: str) -> Cause:
        await self.connection.execute("SELECT wf.fix_cause(%s, %s, %s)", [cause, release, gate])
        return await CAUSE_TABLE.get(self.connection, cause)
