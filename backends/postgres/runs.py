"""Runs in PostgreSQL: the fixed list of their items, the verdicts, and which program carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres.filtering import where
from backends.postgres.paging import ListShape, Order, PagedList, shape_of
from backends.postgres.refusals import words
from backends.postgres.statements import names, rows, scalar
from backends.postgres.table import Table, Writer, fields_of
from controlplane.errors import Conflict
from controlplane.filters.grammar import Term
from controlplane.nouns import load
from controlplane.runs.bulk import OUTSIDE
from controlplane.runs.list import ITEMS, RUNS
from controlplane.runs.model import NewKey, Replaced, Run, RunDirectory, RunItem, RunState, RunStore
from controlplane.runs.refusals import NO_RUN

if TYPE_CHECKING:
    from backends.postgres.home import Home

RUN_TABLE = Table("wf.runs", Run, ("id",), NO_RUN, view="wf.run_list", held="NO KEY UPDATE")

VERDICTS = """
SELECT i.state = 'refused' FROM wf.run_items i WHERE i.run_id = %(run)s AND i.state IN ('done', 'refused')
  AND i.ordinal < coalesce(
    (SELECT min(w.ordinal) FROM wf.run_items w WHERE w.run_id = %(run)s AND w.state = 'waiting'), 2147483647)
ORDER BY i.ordinal DESC LIMIT %(limit)s
"""
"""Items have their verdicts in order, so those that wait are not read."""
HOLD = "SELECT wf.hold_run(%s, %s)"
RELEASE = "SELECT wf.release_run(%s, %s)"
REFUSE_ITEMS = "SELECT wf.refuse_items(%s, %s, %s, %s)"
CARRY_ITEMS = "SELECT done, places, codes FROM wf.carry_items(%s, %s, %s)"
CARRY_ITEM = "SELECT wf.carry_item(%s, %s)"
REPLACED = """
SELECT i.ordinal, k.id, k.tenant_id, k.env FROM wf.run_items i JOIN wf.api_keys k ON k.id = i.thing
WHERE i.run_id = %s AND i.ordinal BETWEEN %s AND %s AND k.rotated_at IS NULL ORDER BY i.ordinal
"""
PREPARE_KEYS = "SELECT wf.prepare_keys(%s, %s, %s, %s, %s)"
END_CARRYING = "SELECT wf.end_carrying(%s, %s, %s)"
ADD_NAMED = sql.SQL("""
INSERT INTO wf.run_items (run_id, ordinal, thing, subject, version)
SELECT %s, s.ordinal, concat_ws('/', {parts}), s.subject, coalesce(s.version, v.version)
FROM unnest(%s::jsonb[], %s::integer[]) WITH ORDINALITY AS s(subject, version, ordinal)
  LEFT JOIN {view} v ON {same}
""")
"""The database refuses it as `run_thing_twice`."""
ADD_OUTSIDE = """
INSERT INTO wf.run_items (run_id, ordinal, thing, subject)
SELECT %s, place, id, jsonb_build_object('id', id) FROM unnest(%s::text[]) WITH ORDINALITY AS s(id, place)
"""
ADD_MATCHING = sql.SQL("""
INSERT INTO wf.run_items (run_id, ordinal, thing, subject, version)
SELECT %s, row_number() OVER (ORDER BY {tie}), concat_ws('/', {tie}), jsonb_build_object({pairs}), version
FROM (SELECT * FROM {view} WHERE {condition} ORDER BY {tie} LIMIT %s) AS found
""")
"""The database refuses it as `run_too_large`; to notice that, it selects one more than a run may have."""
ADD_UNDONE = """
INSERT INTO wf.run_items (run_id, ordinal, thing, subject, undoes)
SELECT %s, row_number() OVER (ORDER BY ordinal DESC), thing, subject, 'run-' || run_id || '-' || ordinal
FROM wf.run_items WHERE run_id = %s AND state = 'done'
"""
ITEMS_HASH = """
SELECT encode(sha256(convert_to(
  string_agg(concat_ws(' ', thing, version, undoes), E'\\n' ORDER BY ordinal), 'UTF8')), 'hex')
FROM wf.run_items WHERE run_id = %s
"""
WAITING = sql.SQL(
    "SELECT {} FROM wf.run_items WHERE run_id = %s AND state = 'waiting' ORDER BY ordinal LIMIT %s"
).format(names(fields_of(RunItem)))
MAX_RUN_ITEMS = 100_000
READERS = {
    "tenants": "backends.postgres.tenants:Tenants",
    "projects": "backends.postgres.tenants:Projects",
    "keys": "backends.postgres.keys:Keys",
    "alerts": "backends.postgres.alerts:Alerts",
    "deliveries": "backends.postgres.deliveries:Deliveries",
    "letters": "backends.postgres.queues:Letters",
}
"""Who reads the things: loaded when a run of them is made, for every console looks for runs at its start."""
NUMBERED = {
    "alerts": "wf.alert_list",
    "silences": "wf.silences",
    "deliveries": "wf.delivery_list",
    "letters": "wf.letter_list",
}
"""Where the things are that a number names."""

ITEM_SHAPE = shape_of(
    ITEMS,
    "",  # one run's items, see `RunItems`
    search="wf.folded(thing)",
    tie=(),
    orders={"ordinal": Order("ordinal", "integer")},
)


def _shape(noun: str) -> ListShape[Any]:
    shape: ListShape[Any] = load(READERS[noun]).shape
    return shape


class RunItems(PagedList[RunItem]):
    def __init__(self, home: Home, run_id: int) -> None:
        super().__init__(home)
        view = f"(SELECT * FROM wf.run_items WHERE run_id = {int(run_id)}) AS items"
        self.shape = ITEM_SHAPE._replace(view=view)


class Runs(PagedList[Run], RunDirectory):
    """Its only order is oldest first; a screen asks for it descending."""

    shape = shape_of(RUNS, "wf.run_list", tie=(), orders={name: Order("id", "bigint") for name in ("created", "id")})

    def items(self, run_id: int) -> RunItems:
        return RunItems(self.home, run_id)

    async def waiting(self, run_id: int, limit: int) -> list[RunItem]:
        async with self.home.connection() as connection:
            return await rows(connection, RunItem, WAITING, [run_id, limit])

    async def refusals(self, run_id: int, limit: int) -> list[bool]:
        async with self.home.connection() as connection:
            cursor = await connection.execute(VERDICTS, {"run": run_id, "limit": limit})
            return [refused for (refused,) in reversed(await cursor.fetchall())]

    async def hold(self, run_id: int, holder: str) -> Run:
        async with self.home.connection() as connection:
            held = await scalar(connection, HOLD, [run_id, holder])
            run = await RUN_TABLE.get(connection, run_id)
        if not held:
            raise Conflict(
                "run_driven",
                f"Run {run_id} is carried by another program already ({run.driver or 'unknown'}).",
                "Watch it; when that program ends, this can continue after 15 s.",
            )
        return run

    async def release(self, run_id: int, holder: str) -> None:
        async with self.home.connection() as connection:
            await connection.execute(RELEASE, [run_id, holder])

    async def refuse(self, item: RunItem, code: str, words: str) -> bool:
        async with self.home.connection() as connection:
            return bool(await scalar(connection, REFUSE_ITEMS, [item.run_id, [item.ordinal], [code], [words]]))

    async def refuse_all(self, run_id: int, verdicts: Sequence[tuple[int, str, str]]) -> None:
        if verdicts:
            async with self.home.connection() as connection:
                await connection.execute(REFUSE_ITEMS, [run_id, *map(list, zip(*verdicts, strict=True))])

    async def carry(self, item: RunItem) -> None:
        async with self.home.connection() as connection:
            await connection.execute(CARRY_ITEM, [item.run_id, item.ordinal])

    async def carry_batch(self, run_id: int, most: int, failures: int) -> int:
        refusals = words()
        async with self.home.connection() as connection:
            cursor = await connection.execute(CARRY_ITEMS, [run_id, most, failures])
            done, places, codes = await cursor.fetchone() or (0, [], [])
            if places:
                refused = [refusals[code]() for code in codes]
                verdicts = [each.code for each in refused], [each.message for each in refused]
                await connection.execute(REFUSE_ITEMS, [run_id, places, *verdicts])
        return int(done) + len(places)

    async def end(self, run_id: int, becomes: RunState, why: str | None) -> None:
        async with self.home.connection() as connection:
            await connection.execute(END_CARRYING, [run_id, becomes, why])


class RunWriter(Writer[Run], RunStore):
    table = RUN_TABLE

    async def add_named(self, run_id: int, noun: str, subjects: Sequence[Mapping[str, Any]]) -> None:
        if noun == OUTSIDE:
            await self.connection.execute(ADD_OUTSIDE, [run_id, [subject["id"] for subject in subjects]])
            return
        key = ("id",) if noun in NUMBERED else _shape(noun).tie
        cast = sql.SQL("::bigint" if noun in NUMBERED else "")
        statement = ADD_NAMED.format(
            parts=sql.SQL(", ").join(sql.SQL("s.subject ->> {}").format(sql.Literal(name)) for name in key),
            view=sql.SQL(NUMBERED.get(noun) or _shape(noun).view),
            same=sql.SQL(" AND ").join(
                sql.SQL("v.{} = (s.subject ->> {}){}").format(sql.Identifier(name), sql.Literal(name), cast)
                for name in key
            ),
        )
        named = [Jsonb({name: subject[name] for name in key}) for subject in subjects]
        await self.connection.execute(statement, [run_id, named, [subject.get("version") for subject in subjects]])

    async def add_matching(self, run_id: int, noun: str, terms: Sequence[Term], now: datetime) -> None:
        if noun == "silences":  # they are few: their list is not filtered by the home
            from backends.postgres import silences

            found = await silences.matching(self.connection, terms, now)
            return await self.add_named(run_id, noun, [{"id": each.id, "version": each.version} for each in found])
        shape = _shape(noun)
        condition, parameters = where(terms, shape.filters, now, unmasked=True)  # only operators start runs
        statement = ADD_MATCHING.format(
            tie=names(shape.tie),
            pairs=sql.SQL(", ").join(
                sql.SQL("{}::text, {}").format(sql.Literal(name), sql.Identifier(name)) for name in shape.tie
            ),
            view=sql.SQL(shape.view),
            condition=condition,
        )
        await self.connection.execute(statement, [run_id, *parameters, MAX_RUN_ITEMS + 1])

    async def add_undone(self, run_id: int, undone: int) -> None:
        await self.connection.execute(ADD_UNDONE, [run_id, undone])

    async def replaced(self, run_id: int, first: int, last: int) -> list[Replaced]:
        return await rows(self.connection, Replaced, REPLACED, [run_id, first, last])

    async def prepare_keys(self, run_id: int, keys: Sequence[NewKey]) -> None:
        columns = [[getattr(key, name) for key in keys] for name in ("ordinal", "id", "display", "hash")]
        await self.connection.execute(PREPARE_KEYS, [run_id, *columns])

    async def first(self, run_id: int, limit: int) -> list[RunItem]:
        return await rows(self.connection, RunItem, WAITING, [run_id, limit])

    async def items_hash(self, run_id: int) -> str:
        return str(await scalar(self.connection, ITEMS_HASH, [run_id]))
