"""Executions of runbooks in PostgreSQL, beside the runbooks' files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, rows, scalar
from backends.postgres.table import NOW, Table, fields_of
from controlplane.errors import Usage
from controlplane.listing import Page, Query
from controlplane.memorylist import MemoryList
from controlplane.runbooks.files import File
from controlplane.runbooks.list import EXECUTIONS, RUNBOOKS, STEPS
from controlplane.runbooks.model import (
    Execution,
    ExecutionDirectory,
    ExecutionStore,
    RunbookDirectory,
    RunbookRow,
    StepDirectory,
    StepRow,
    Verdict,
    Whole,
)
from controlplane.runbooks.refusals import NO_EXECUTION, NO_STEP
from controlplane.runbooks.shelf import named, read
from controlplane.text import clean

if TYPE_CHECKING:
    from backends.postgres.home import Home
    from controlplane.runbooks.document import Runbook

EXECUTION_TABLE = Table(
    "wf.executions", Execution, ("id",), NO_EXECUTION, view="wf.execution_list", held="NO KEY UPDATE"
)
STEP_TABLE = Table("wf.execution_steps", StepRow, ("execution", "place"), NO_STEP, held="NO KEY UPDATE")
STEPS_OF = "SELECT {} FROM wf.execution_steps WHERE execution = %s ORDER BY place".format(", ".join(fields_of(StepRow)))
BODY = "SELECT body FROM wf.runbook_texts WHERE sha256 = %s"
# The last execution and the last drill of each, by the index.
LAST = """
SELECT n.name, e.drill, e.id, e.state, e.started_at
FROM unnest(%s::text[]) AS n(name), unnest('{f,t}'::boolean[]) AS d(drill),
  LATERAL (SELECT l.drill, l.id, l.state, l.started_at FROM wf.execution_list l
           WHERE l.runbook = n.name AND l.drill = d.drill ORDER BY l.id DESC LIMIT 1) e
"""
BEGIN = "SELECT wf.begin_execution(%s, %s, %s, %s, %s, %s)"


class Runbooks(MemoryList[RunbookRow], RunbookDirectory):
    declared = RUNBOOKS

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[RunbookRow], datetime]:
        found = await asyncio.to_thread(self.home.runbooks.files)
        last = await self._last([each.name for each in found])
        return await asyncio.to_thread(lambda: [_row(each, last) for each in found]), self.home.clock.now()

    async def runbook(self, name: str) -> Runbook:
        return await asyncio.to_thread(named, self.home.runbooks, name)

    async def _last(self, names: Sequence[str]) -> Mapping[tuple[str, bool], dict[str, Any]]:
        async with self.home.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(LAST, [list(names)])
            return {(each["name"], each["drill"]): each for each in await cursor.fetchall()}


def _row(file: File, last: Mapping[tuple[str, bool], Mapping[str, Any]]) -> RunbookRow:
    run, drill = last.get((file.name, False)), last.get((file.name, True))
    book, fault = None, ""
    try:
        book = read(file)
    except Usage as unreadable:
        fault = "\n".join(unreadable.why)
    return RunbookRow(
        file.name, book.title if book else "", book.means if book else "", file.origin,
        len(book.steps) if book else 0, fault,
        run["id"] if run else None, run["state"] if run else None,
        run["started_at"].astimezone(UTC) if run else None,
        drill["state"] if drill else None, drill["started_at"].astimezone(UTC) if drill else None, book,
    )  # fmt: skip


class Executions(PagedList[Execution], ExecutionDirectory):
    """Its only order is oldest first; a screen asks for it descending."""

    shape = shape_of(
        EXECUTIONS,
        "wf.execution_list",
        tie=("id",),
        orders={name: Order("id", "bigint") for name in ("started", "id")},
        filters={name: Filtered(sql.SQL(f"{name}::text"), number=sql.Identifier(name)) for name in ("id", "incident")},
    )

    async def whole(self, number: int) -> Whole:
        async with self.home.connection(snapshot=True) as connection:
            execution = await EXECUTION_TABLE.get(connection, number)
            steps = await rows(connection, StepRow, STEPS_OF, [number])
            body = await scalar(connection, BODY, [execution.sha256])
        runbook = await asyncio.to_thread(read, File(execution.runbook, "shipped", body))
        kept = [{name: getattr(row, name) for name in ("name", "kind", "operation", "remedy_of")} for row in steps]
        if kept != runbook.listed():  # begun with psql
            raise Usage("runbook_unreadable", f"The steps of execution {number} are not those of its text.")
        return Whole(execution, steps, runbook)


class Steps(MemoryList[StepRow], StepDirectory):
    """Those of one execution: they are few, and filtered here."""

    declared = STEPS

    def __init__(self, home: Home) -> None:
        self.home = home
        self.number = 0

    async def page(self, query: Query, **how: Any) -> Page[StepRow]:
        return await self._of(query).page(query, **how)

    async def count(self, query: Query, cap: int = 10_000) -> Any:
        return await self._of(query).count(query, cap)

    async def get(self, *key: Any) -> StepRow:
        number, _, place = "/".join(map(str, key)).partition("/")
        if not (number.isdecimal() and place.isdecimal() and len(number) < 19 and len(place) < 9):
            raise NO_STEP.of(clean(place, 20))
        async with self.home.connection() as connection:
            return await STEP_TABLE.get(connection, int(number), int(place))

    def _of(self, query: Query) -> _StepsOf:
        asked = next((str(each.values[0]) for each in query.terms if each.field == "execution"), "0")
        return _StepsOf(self.home, int(asked) if asked.isdecimal() else 0)


class _StepsOf(MemoryList[StepRow]):
    declared = STEPS

    def __init__(self, home: Home, number: int) -> None:
        self.home, self.number = home, number

    async def rows(self) -> tuple[Sequence[StepRow], datetime]:
        async with self.home.connection() as connection:
            return await rows(connection, StepRow, STEPS_OF, [self.number]), self.home.clock.now()


class ExecutionWriter(ExecutionStore):
    """Writes within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def lock(self, number: int) -> Execution:
        return await EXECUTION_TABLE.lock(self.connection, number)

    async def begin(self, runbook: Runbook, incident: int | None, drill: bool) -> int:
        values = [runbook.name, runbook.title, runbook.body, Jsonb(runbook.listed()), incident, drill]
        return int(await scalar(self.connection, BEGIN, values))

    async def stop(self, number: int) -> Execution:
        return await EXECUTION_TABLE.update(self.connection, {"stopped_at": NOW}, number)

    async def resume(self, number: int) -> Execution:
        return await EXECUTION_TABLE.update(self.connection, {"stopped_at": None}, number)

    async def lock_step(self, number: int, place: int) -> StepRow:
        return await STEP_TABLE.lock(self.connection, number, place)

    async def claim(self, number: int, place: int) -> StepRow:
        return await STEP_TABLE.update(self.connection, {"claimed_at": NOW}, number, place)

    async def release(self, number: int, place: int) -> StepRow:
        return await STEP_TABLE.update(self.connection, {"claimed_at": None}, number, place)

    async def do(self, number: int, place: int, request_id: str | None) -> StepRow:
        return await STEP_TABLE.update(self.connection, {"begun_at": NOW, "request_id": request_id}, number, place)

    async def settle(self, number: int, place: int, verdict: Verdict, note: str, output: Mapping[str, Any]) -> StepRow:
        columns = {"verdict": verdict, "note": note, "output": Jsonb(dict(output))}
        return await STEP_TABLE.update(self.connection, columns, number, place)
