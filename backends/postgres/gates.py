"""Gates in PostgreSQL. How each stands is computed here: from the newest results, the waivers and the answers.

What knows the checks is imported where it is needed: every program that reads anything loads this module.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.errors import Refusal, Usage
from controlplane.gates.deciding import Result, Verdict, Waiver, decide
from controlplane.gates.judged import Judged
from controlplane.gates.list import CHECKS, DECISIONS, GATES, WAIVERS
from controlplane.gates.model import (
    Answer,
    CheckDirectory,
    CheckRow,
    Gate,
    GateDirectory,
    GateRow,
    GateRun,
    GateSchedule,
    RunDirectory,
    SqlAssertions,
    WaiverDirectory,
    Whole,
)
from controlplane.gates.refusals import NO_CHECK, NO_DECISION, NO_GATE, NO_WAIVER
from controlplane.jobs.engine import sql as job
from controlplane.listing import Count, Page, Query
from controlplane.memorylist import MemoryList
from controlplane.text import clean

if TYPE_CHECKING:
    from backends.postgres.home import Home
    from controlplane.filters.grammar import Term
    from controlplane.filters.values import Found
    from controlplane.lists import Column

GATE_TABLE = Table("wf.gates", Gate, ("name",), NO_GATE, held="NO KEY UPDATE")
RUN_TABLE = Table("wf.gate_runs", GateRun, ("id",), NO_DECISION, view="wf.gate_run_list")
WAIVER_TABLE = Table("wf.gate_waivers", Waiver, ("id",), NO_WAIVER, held="NO KEY UPDATE")
MOMENT = "SELECT clock_timestamp()"
"""As of when gates are shown to stand."""
ALL_GATES = sql.SQL("SELECT {} FROM wf.gates ORDER BY name").format(names(fields_of(Gate)))
CHECK_COLUMNS = """
c.run_id, c.name, c.state, c.because, c.value, c.threshold, c.unit, c.words, c.observed, c.sha256,
c.observed_at, c.seconds
"""
# The newest result of each check, of the gate's present version: what an older one found says nothing of this one.
LATEST = f"""
SELECT l.gate, l.environment, r.decided_at, {CHECK_COLUMNS}
FROM wf.gate_latest l JOIN wf.gate_runs r ON r.id = l.run_id
  JOIN wf.gates g ON g.name = l.gate AND g.version = r.gate_version
  JOIN wf.gate_checks c ON c.run_id = l.run_id AND c.name = l.name
WHERE %(gate)s::text IS NULL OR l.gate = %(gate)s AND l.environment = %(environment)s
"""
LAST_RUNS = """
SELECT r.id, r.verdict, r.decided_at FROM wf.gate_runs r
WHERE r.gate = p.gate AND r.environment = p.environment AND r.state = 'decided' ORDER BY r.id DESC LIMIT 12
"""
TREND = f"""
SELECT p.gate, p.environment, t.* FROM (SELECT %(gate)s::text AS gate, %(environment)s::text AS environment) p,
  LATERAL ({LAST_RUNS}) t
"""
# The last runs of every gate and environment, by stepping over the index.
TRENDS = f"""
WITH RECURSIVE places (gate, environment) AS (
  (SELECT gate, environment FROM wf.gate_runs ORDER BY gate, environment LIMIT 1)
  UNION ALL
  SELECT n.gate, n.environment FROM places p, LATERAL (
    SELECT r.gate, r.environment FROM wf.gate_runs r WHERE (r.gate, r.environment) > (p.gate, p.environment)
    ORDER BY r.gate, r.environment LIMIT 1) n
)
SELECT p.gate, p.environment, t.* FROM places p, LATERAL ({LAST_RUNS}) t
"""
OPEN_WAIVERS = sql.SQL("SELECT {} FROM wf.gate_waivers WHERE ends_at > %s AND ended_at IS NULL ORDER BY id").format(
    names(fields_of(Waiver))
)
WAIVERS_OF = sql.SQL(
    "SELECT {} FROM wf.gate_waivers WHERE gate = %s AND environment = %s AND ends_at > %s ORDER BY id LIMIT 1000"
).format(names(fields_of(Waiver)))
ALL_WAIVERS = sql.SQL("SELECT {} FROM wf.gate_waivers ORDER BY ends_at DESC LIMIT 1000").format(
    names(fields_of(Waiver))
)
# The newest answer of each check, by stepping over the index: there may be years of them.
ANSWERS = """
WITH RECURSIVE asked (gate, environment, check_name) AS (
  (SELECT gate, environment, check_name FROM wf.gate_answers
   WHERE (%(gate)s::text IS NULL OR gate = %(gate)s AND environment = %(environment)s)
   ORDER BY gate, environment, check_name LIMIT 1)
  UNION ALL
  SELECT n.gate, n.environment, n.check_name FROM asked a, LATERAL (
    SELECT w.gate, w.environment, w.check_name FROM wf.gate_answers w
    WHERE (w.gate, w.environment, w.check_name) > (a.gate, a.environment, a.check_name)
      AND (%(gate)s::text IS NULL OR w.gate = %(gate)s AND w.environment = %(environment)s)
    ORDER BY w.gate, w.environment, w.check_name LIMIT 1) n
)
SELECT a.gate, a.environment, a.check_name, n.answer, n.reason, n.answered_at, n.answered_by FROM asked a, LATERAL (
  SELECT w.answer, w.reason, w.answered_at, w.answered_by FROM wf.gate_answers w
  WHERE (w.gate, w.environment, w.check_name) = (a.gate, a.environment, a.check_name) ORDER BY w.id DESC LIMIT 1) n
"""
FOUND = f"SELECT {CHECK_COLUMNS} FROM wf.gate_checks c WHERE c.run_id = %s ORDER BY c.name"
VERSION = "SELECT definition, sha256 FROM wf.gate_versions WHERE gate = %s AND version = %s"
HISTORY = """
SELECT r.id, c.name, c.state FROM (
  SELECT id FROM wf.gate_runs WHERE gate = %s AND environment = %s AND state = 'decided' ORDER BY id DESC LIMIT %s) r
JOIN wf.gate_checks c ON c.run_id = r.id ORDER BY r.id
"""
BEGIN_SCHEDULED = "SELECT wf.begin_scheduled_run(%s)"
RECORD = "SELECT wf.record_gate_check(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
DECIDE = "SELECT wf.decide_gate_run(%s)"
ROWS = "SELECT wf.gate_rows(%s, %s, %s, %s, %s)"
_SCHEDULE = names(fields_of(GateSchedule))
SCHEDULES = sql.SQL(
    "SELECT {} FROM wf.gate_schedules WHERE ended_at IS NULL"
    " AND (%(gate)s::text IS NULL OR gate = %(gate)s AND environment = %(environment)s)"
).format(_SCHEDULE)
Place = tuple[str, str]


UPKEEP = (
    job("queue_gate_runs", "SELECT wf.queue_gate_runs()", timedelta(seconds=30)),
    job("prune_gate_runs", "SELECT wf.prune_gate_runs()", timedelta(hours=1)),
)


async def begin_scheduled(home: Home, number: int) -> int:
    """Begin the run that a job is for, as the worker that holds it. Raises NotPermitted `gate_turn_held`."""
    async with home.connection() as connection:
        return int(await scalar(connection, BEGIN_SCHEDULED, [number]))


class Gates(MemoryList[GateRow], GateDirectory, SqlAssertions):
    declared = GATES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[GateRow], datetime]:
        async with self.home.connection(snapshot=True) as connection:
            read_ = await _Read.of(connection, None)
        return await asyncio.to_thread(read_.rows), read_.now

    async def get(self, *key: Any) -> GateRow:
        """One in an environment, also where it was never run. A name alone is that of a gate that was never run."""
        text = "/".join(map(str, key))
        name, _, environment = text.partition("/")
        async with self.home.connection(snapshot=True) as connection:
            read_ = await _Read.of(connection, (name, environment))
        gate = next((each for each in read_.gates if each.name == name), None)
        if gate is None:
            raise NO_GATE.of(clean(name, 100))
        return await asyncio.to_thread(read_.row, gate, environment)

    async def gate(self, name: str) -> Gate:
        async with self.home.connection() as connection:
            return await GATE_TABLE.get(connection, name)

    async def answers(self, gate: str, environment: str) -> Sequence[Answer]:
        async with self.home.connection() as connection:
            found = await _dicts(connection, ANSWERS, {"gate": gate, "environment": environment})
        return [_answer(each) for each in found]

    # What a check's SQL finds

    async def assertion(
        self, gate: str, version: int, check: str, environment: str, counted: bool, seconds: float
    ) -> dict[str, Any]:
        async with self.home.connection(float(seconds)) as connection:
            try:
                found = await scalar(connection, ROWS, [gate, version, check, environment, counted])
            except errors.QueryCanceled:
                raise TimeoutError from None
            except psycopg.Error as error:
                raise Refusal("gate_sql_failed", _fault(error)) from None
            finally:
                await _unlock(connection)
        return dict(found)


async def _unlock(connection: Connection) -> None:
    """A statement may have taken an advisory lock, which outlives its transaction."""
    if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
        await connection.execute("SELECT pg_advisory_unlock_all()")


def _fault(error: psycopg.Error) -> str:
    return f"The SQL failed: {clean(error.diag.message_primary or str(error), 300)}."


@dataclass(frozen=True)
class _Read:
    """All that the standings follow from, as of one moment."""

    gates: Sequence[Gate]
    results: Mapping[Place, Mapping[str, Result]]
    answers: Mapping[Place, Sequence[Answer]]
    waivers: Sequence[Waiver]
    trends: Mapping[Place, Sequence[tuple[int, str, datetime]]]
    schedules: Mapping[Place, timedelta]
    now: datetime

    @classmethod
    async def of(cls, connection: Connection, place: Place | None) -> _Read:
        only = {"gate": place[0] if place else None, "environment": place[1] if place else None}
        now = (await scalar(connection, MOMENT)).astimezone(UTC)
        results: dict[Place, dict[str, Result]] = defaultdict(dict)
        for each in await _dicts(connection, LATEST, only):
            results[each["gate"], each["environment"]][each["name"]] = _result(each)
        answers: dict[Place, list[Answer]] = defaultdict(list)
        for each in await _dicts(connection, ANSWERS, only):
            answers[each["gate"], each["environment"]].append(_answer(each))
        trends: dict[Place, list[tuple[int, str, datetime]]] = defaultdict(list)
        for each in await _dicts(connection, TREND if place else TRENDS, only):
            trends[each["gate"], each["environment"]].append((each["id"], each["verdict"], each["decided_at"]))
        gates = await rows(connection, Gate, ALL_GATES)
        waivers = await rows(connection, Waiver, OPEN_WAIVERS, [now])
        scheduled = await rows(connection, GateSchedule, SCHEDULES, only)
        schedules = {(each.gate, each.environment): each.every for each in scheduled}
        return cls(gates, results, answers, waivers, trends, schedules, now)

    def rows(self) -> list[GateRow]:
        places, found = (*self.results, *self.answers, *self.trends, *self.schedules), []
        for gate in self.gates:
            ran = {place[1] for place in places if place[0] == gate.name}
            found += [self.row(gate, environment) for environment in sorted(ran) or [""]]
        return found

    def row(self, gate: Gate, environment: str) -> GateRow:
        from controlplane.gates.document import read
        from controlplane.gates.standing import blocking, closes_at, with_answers

        place = (gate.name, environment)
        trend = self.trends.get(place, ())
        newest = trend[0] if trend else None
        row = GateRow(
            gate.name, environment, "never", gate.version, gate.sha256, "", 0, (), None,
            newest[2].astimezone(UTC) if newest else None, newest[0] if newest else None,
            tuple(verdict for _, verdict, _ in reversed(trend)), every=self.schedules.get(place),
        )  # fmt: skip
        try:
            definition = read(gate.definition)
        except Usage:
            return dataclasses.replace(row, standing="retired" if gate.retired_at else "INCONCLUSIVE")
        row = dataclasses.replace(row, owner=definition.owner, checks=len(definition.checks))
        if gate.retired_at is not None:
            return dataclasses.replace(row, standing="retired")
        results = with_answers(definition, self.results.get(place, {}), self.answers.get(place, ()))
        decision = decide(definition, results, self.waivers, environment, self.now)
        never = newest is None and not results
        return dataclasses.replace(
            row,
            standing="never" if never else decision.verdict,
            blocking=blocking(decision),
            closes_at=closes_at(definition, results, self.waivers, environment, self.now),
            decision=decision,
        )


class GateRuns(PagedList[GateRun], RunDirectory):
    """Its only order is oldest first; a screen asks for it descending."""

    shape = shape_of(
        DECISIONS, "wf.gate_run_list", tie=(), orders={name: Order("id", "bigint") for name in ("started", "id")}
    )

    async def whole(self, number: int) -> Whole:
        async with self.home.connection(snapshot=True) as connection:
            run = await RUN_TABLE.get(connection, number)
            [(definition, digest)] = await (await connection.execute(VERSION, [run.gate, run.gate_version])).fetchall()
            found = await _dicts(connection, FOUND, [number])
            # Those that were over when it began cannot have opened anything.
            waivers = await rows(connection, Waiver, WAIVERS_OF, [run.gate, run.environment, run.started_at])
        results = {each["name"]: _result(each) for each in found}
        known = run.decided_at or datetime.max.replace(tzinfo=UTC)
        return Whole(run, definition, digest, results, [each for each in waivers if each.created_at <= known])

    async def record(self, number: int, result: Result) -> None:
        judged = result.judged
        values = [
            number, result.name, judged.state, judged.because, judged.value, judged.threshold[:400], judged.unit[:400],
            judged.words[:2000], result.observed, result.observed_at, result.seconds,
        ]  # fmt: skip
        async with self.home.connection() as connection:
            await connection.execute(RECORD, values)

    async def decide(self, number: int) -> Verdict:
        async with self.home.connection() as connection:
            verdict: Verdict = await scalar(connection, DECIDE, [number])
        return verdict

    async def history(self, gate: str, environment: str, limit: int) -> Sequence[Mapping[str, str]]:
        async with self.home.connection() as connection:
            found = await (await connection.execute(HISTORY, [gate, environment, limit])).fetchall()
        runs: dict[int, dict[str, str]] = defaultdict(dict)
        for number, name, state in found:
            runs[number][name] = state
        return list(runs.values())


class Waivers(MemoryList[Waiver], WaiverDirectory):
    """Those that ended last, and all that are open."""

    declared = WAIVERS

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[Waiver], datetime]:
        async with self.home.connection() as connection:
            return await rows(connection, Waiver, ALL_WAIVERS), self.home.clock.now()


class Checks(CheckDirectory):
    """The checks of a gate in an environment as they count now, or of one run. They are few, and filtered here."""

    def __init__(self, home: Home) -> None:
        self.home = home

    async def page(self, query: Query, **how: Any) -> Page[CheckRow]:
        found, rest = await self._found(query)
        return await found.page(rest, **how)

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        found, rest = await self._found(query)
        return await found.count(rest, cap)

    async def values(self, column: Column[Any], terms: Sequence[Term]) -> Found:
        found, rest = await self._found(Query(tuple(terms)))
        return await found.values(column, rest.terms)

    async def get(self, *key: Any) -> CheckRow:
        raise NO_CHECK.of(*key)

    async def _found(self, query: Query) -> tuple[_Found, Query]:
        from controlplane.gates.standing import check_row, rows_of

        of = next((str(term.values[0]) for term in query.terms if term.field == "of"), "")
        rest = query._replace(terms=tuple(term for term in query.terms if term.field != "of"))
        kind, _, number = of.partition(":")
        if kind == "run" and number.isdecimal():
            found = rows_of(await self.home.of(RunDirectory).whole(int(number)))
        else:
            row = await self.home.of(GateDirectory).get(of)
            found = [check_row(each) for each in row.decision.checks] if row.decision else []
        return _Found(found, self.home.clock.now()), rest


@dataclass(frozen=True)
class _Found(MemoryList[CheckRow]):
    found: Sequence[CheckRow]
    at: datetime
    declared = CHECKS

    async def rows(self) -> tuple[Sequence[CheckRow], datetime]:
        return self.found, self.at


def _result(found: Mapping[str, Any]) -> Result:
    judged = Judged(found["state"], found["because"], found["value"], found["threshold"], found["unit"], found["words"])
    at = found["observed_at"].astimezone(UTC)
    return Result(found["name"], judged, found["observed"], found["sha256"], at, found["seconds"], found["run_id"])


def _answer(found: Mapping[str, Any]) -> Answer:
    at = found["answered_at"].astimezone(UTC)
    return Answer(found["check_name"], found["answer"], found["reason"], at, found["answered_by"])


async def _dicts(connection: Connection, statement: str, values: Any) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values or None)
        return await cursor.fetchall()
