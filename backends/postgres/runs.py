"""Runs in PostgreSQL: the snapshot of what they are done to, the verdicts, and which program drives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from backends.postgres.filtering import where
from backends.postgres.keys import Keys
from backends.postgres.paging import ListShape, Order, PagedList, shape_of
from backends.postgres.tenants import Projects, Tenants
from controlplane.errors import Conflict, NotFound
from controlplane.filters.grammar import Term
from controlplane.runs.list import ITEMS, RUNS
from controlplane.runs.model import Run, RunItem, RunState

if TYPE_CHECKING:
    from backends.postgres.home import Home

Connection = psycopg.AsyncConnection[TupleRow]

COLUMNS = tuple(f.name for f in dataclasses.fields(Run))
ITEM_COLUMNS = tuple(f.name for f in dataclasses.fields(RunItem))
LARGEST = 100_000
SHAPES: Mapping[str, ListShape[Any]] = {
    "tenants": Tenants.shape,
    "projects": Projects.shape,
    "keys": Keys.shape,
}

ITEM_SHAPE = shape_of(
    ITEMS,
    "",  # one run's items, see `RunItems`
    search="wf.folded(thing)",
    tie=(),
    orders={"ordinal": Order("ordinal", "integer")},
)


class RunItems(PagedList[RunItem]):
    def __init__(self, home: Home, run_id: int) -> None:
        super().__init__(home)
        view = f"(SELECT * FROM wf.run_items WHERE run_id = {int(run_id)}) AS items"
        self.shape = dataclasses.replace(ITEM_SHAPE, view=view)


class Runs(PagedList[Run]):
    """Oldest first in its only order; a screen asks for it descending."""

    shape = shape_of(RUNS, "wf.run_list", tie=(), orders={"created": Order("id", "bigint")})

    async def get(self, run_id: int) -> Run:
        async with self.home.connection() as connection:
            return await _read(connection, run_id)

    def items(self, run_id: int) -> RunItems:
        return RunItems(self.home, run_id)

    async def waiting(self, run_id: int, limit: int) -> list[RunItem]:
        async with self.home.connection() as connection:
            return await _items(connection, run_id, limit)

    async def refusals(self, run_id: int, limit: int) -> list[bool]:
        async with self.home.connection() as connection:
            cursor = await connection.execute(
                "SELECT state = 'refused' FROM wf.run_items WHERE run_id = %s AND state IN ('done', 'refused')"
                " ORDER BY ordinal DESC LIMIT %s",
                [run_id, limit],
            )
            return [refused for (refused,) in reversed(await cursor.fetchall())]

    async def hold(self, run_id: int, holder: str) -> Run:
        async with self.home.connection() as connection:
            held = await (await connection.execute("SELECT wf.hold_run(%s, %s)", [run_id, holder])).fetchone()
            run = await _read(connection, run_id)
        if held != (True,):
            raise Conflict(
                "run_driven",
                f"Run {run_id} is driven by another program already ({run.driver or 'unknown'}).",
                "Watch it; when that program ends, this can go on after 15 s.",
            )
        return run

    async def release(self, run_id: int, holder: str) -> None:
        async with self.home.connection() as connection:
            await connection.execute("SELECT wf.release_run(%s, %s)", [run_id, holder])

    async def refuse(self, item: RunItem, code: str, words: str) -> bool:
        async with self.home.connection() as connection:
            statement = "SELECT wf.refuse_item(%s, %s, %s, %s)"
            row = await (await connection.execute(statement, [item.run_id, item.ordinal, code, words])).fetchone()
        return row == (True,)

    async def carry(self, item: RunItem) -> None:
        async with self.home.connection() as connection:
            await connection.execute("SELECT wf.carry_item(%s, %s)", [item.run_id, item.ordinal])

    async def end(self, run_id: int, becomes: RunState, why: str | None) -> None:
        async with self.home.connection() as connection:
            await connection.execute("SELECT wf.end_carrying(%s, %s, %s)", [run_id, becomes, why])


@dataclasses.dataclass(frozen=True)
class RunWriter:
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, run_id: int) -> Run:
        await self.connection.execute("SELECT FROM wf.runs WHERE id = %s FOR NO KEY UPDATE", [run_id])
        return await _read(self.connection, run_id)

    async def create(self, columns: dict[str, Any]) -> int:
        statement = sql.SQL("INSERT INTO wf.runs ({}) VALUES ({}) RETURNING id").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        )
        values = [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]
        row = await (await self.connection.execute(statement, values)).fetchone()
        assert row is not None
        return int(row[0])

    async def add_named(self, run_id: int, noun: str, subjects: Sequence[Mapping[str, Any]]) -> None:
        shape = SHAPES[noun]
        same = sql.SQL(" AND ").join(
            sql.SQL("v.{} = s.subject ->> {}").format(sql.Identifier(name), sql.Literal(name)) for name in shape.tie
        )
        statement = sql.SQL(
            "INSERT INTO wf.run_items (run_id, ordinal, thing, subject, version)"
            " SELECT %s, s.ordinal, concat_ws('/', {parts}), s.subject, coalesce(s.version, v.version)"
            " FROM unnest(%s::jsonb[], %s::integer[]) WITH ORDINALITY AS s(subject, version, ordinal)"
            " LEFT JOIN {view} v ON {same}"
        ).format(
            parts=sql.SQL(", ").join(sql.SQL("s.subject ->> {}").format(sql.Literal(name)) for name in shape.tie),
            view=sql.SQL(shape.view),
            same=same,
        )
        names = [Jsonb({name: subject[name] for name in shape.tie}) for subject in subjects]
        await self.connection.execute(statement, [run_id, names, [subject.get("version") for subject in subjects]])

    async def add_matching(self, run_id: int, noun: str, terms: Sequence[Term], now: datetime) -> None:
        shape = SHAPES[noun]
        condition, parameters = where(terms, shape.filters, now)
        tie = sql.SQL(", ").join(map(sql.Identifier, shape.tie))
        statement = sql.SQL(
            "INSERT INTO wf.run_items (run_id, ordinal, thing, subject, version)"
            " SELECT %s, row_number() OVER (ORDER BY {tie}), concat_ws('/', {tie}), jsonb_build_object({pairs}),"
            " version"
            " FROM (SELECT * FROM {view} WHERE {condition} ORDER BY {tie} LIMIT %s) AS found"
        ).format(
            tie=tie,
            pairs=sql.SQL(", ").join(
                sql.SQL("{}::text, {}").format(sql.Literal(name), sql.Identifier(name)) for name in shape.tie
            ),
            view=sql.SQL(shape.view),
            condition=condition,
        )
        await self.connection.execute(statement, [run_id, *parameters, LARGEST + 1])

    async def add_undone(self, run_id: int, undone: int) -> None:
        await self.connection.execute(
            "INSERT INTO wf.run_items (run_id, ordinal, thing, subject, undoes)"
            " SELECT %s, row_number() OVER (ORDER BY ordinal DESC), thing, subject, 'run-' || run_id || '-' || ordinal"
            " FROM wf.run_items WHERE run_id = %s AND state = 'done'",
            [run_id, undone],
        )

    async def first(self, run_id: int, limit: int) -> list[RunItem]:
        return await _items(self.connection, run_id, limit)

    async def items_hash(self, run_id: int) -> str:
        cursor = await self.connection.execute(
            "SELECT encode(sha256(convert_to("
            "string_agg(concat_ws(' ', thing, version, undoes), E'\\n' ORDER BY ordinal), 'UTF8')), 'hex')"
            " FROM wf.run_items WHERE run_id = %s",
            [run_id],
        )
        row = await cursor.fetchone()
        assert row is not None
        return str(row[0])

    async def set_state(self, run_id: int, state: RunState, why: str | None) -> Run:
        await self.connection.execute("UPDATE wf.runs SET state = %s, why = %s WHERE id = %s", [state, why, run_id])
        return await _read(self.connection, run_id)


async def _read(connection: Connection, run_id: int) -> Run:
    async with connection.cursor(row_factory=class_row(Run)) as cursor:
        statement = sql.SQL("SELECT {} FROM wf.run_list WHERE id = %s")
        await cursor.execute(statement.format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS))), [run_id])
        if (found := await cursor.fetchone()) is None:
            raise NotFound("no_run", f"There is no run {run_id}.", "watchfloor runs list")
        return found


async def _items(connection: Connection, run_id: int, limit: int) -> list[RunItem]:
    """Those without a verdict, in order."""
    async with connection.cursor(row_factory=class_row(RunItem)) as cursor:
        statement = sql.SQL(
            "SELECT {} FROM wf.run_items WHERE run_id = %s AND state = 'waiting' ORDER BY ordinal LIMIT %s"
        )
        names = sql.SQL(", ").join(map(sql.Identifier, ITEM_COLUMNS))
        await cursor.execute(statement.format(names), [run_id, limit])
        return await cursor.fetchall()
