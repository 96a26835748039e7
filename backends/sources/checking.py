"""A mapping held against the real table: every fault at once, each with the line of the settings that it is in."""

from __future__ import annotations

import difflib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from backends.postgres.link import AsyncLink
from backends.sources.mapping import COLUMN, GUIDE, Outbox
from controlplane.errors import Refusal, Usage
from controlplane.text import clean
from controlplane.urls import without_secrets

TIMES = ("timestamp with time zone", "timestamp without time zone", "date")
NUMBERS = ("smallint", "integer", "bigint", "numeric")
_PLACE = re.compile(r"\$(ids|table)\b")
EXISTS = "SELECT to_regclass(%s)::text, current_database(), current_user"
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
UNIQUE = """
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = %s)
"""
INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}


@dataclass(frozen=True)
class Table:
    """`id`: the expression of the id; `fields`: the type of each mapped field."""

    name: sql.Composable
    id: sql.Composable
    id_type: sql.Composable
    fields: Mapping[str, str]
    fits: Callable[[str], bool]

    def fit(self, names: Sequence[str]) -> list[str]:
        """Those that can be an id of this table: the others are no message of it."""
        return [name for name in names if "\0" not in name and self.fits(name)]


def expression(given: str) -> sql.Composable:
    """What stands for a field: a column of the table, or an expression as the settings have it."""
    return sql.SQL("t.{}").format(sql.Identifier(given)) if COLUMN.fullmatch(given) else _verbatim(given)


def condition(settings: Outbox) -> sql.Composable:
    """What a dead message meets."""
    if isinstance(settings.dead, str):
        return sql.SQL("({})").format(_verbatim(settings.dead))
    states = sql.SQL(", ").join(sql.Literal(state) for state in settings.dead)
    return sql.SQL("({} IN ({}))").format(expression(settings.columns.state), states)


def statement(text: str, table: Table) -> sql.Composed:
    """SQL of the settings, with the ids as a parameter of their own type."""
    parts: list[sql.Composable] = []
    end = 0
    for found in _PLACE.finditer(text):
        parts.append(_verbatim(text[end : found.start()]))
        ids = sql.SQL("%(ids)s::{}[]").format(table.id_type)
        parts.append(table.name if found[1] == "table" else ids)
        end = found.end()
    return sql.Composed([*parts, _verbatim(text[end:])])


def _verbatim(text: str) -> sql.Composable:
    """SQL that the owner of the settings wrote; % is no placeholder in it."""
    return sql.SQL(text.replace("%", "%%"))


async def checked(link: AsyncLink, name: str, settings: Outbox) -> Table:
    """Raises Usage `mapping_invalid`, which names each line at fault and what was expected there."""
    found, database, login = await _row(link, EXISTS, settings.table)
    if found is None:
        raise _invalid(name, [f"table: {database} has no table {settings.table}, or {login} may not see it"])
    columns: dict[str, str] = dict(await (await link.execute(COLUMNS, [settings.table])).fetchall())
    check = _Check(link, settings, columns, _verbatim(found))
    await check.fields()
    if check.faults:
        raise _invalid(name, check.faults)
    id_type = check.types["id"]
    table = Table(check.table, expression(settings.columns.id), sql.SQL(id_type), check.types, _fits(id_type))
    await check.statements(table)
    if check.faults:
        raise _invalid(name, check.faults)
    return table


class _Check:
    def __init__(self, link: AsyncLink, settings: Outbox, columns: Mapping[str, str], table: sql.Composable) -> None:
        self.link, self.settings, self.columns, self.table = link, settings, columns, table
        self.types: dict[str, str] = {}
        self.faults: list[str] = []

    async def fields(self) -> None:
        for field, given in self.settings.columns.given().items():
            if COLUMN.fullmatch(given) and given not in self.columns:
                near = difflib.get_close_matches(given, list(self.columns), 1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(self.columns)}"
                self.faults.append(f"columns.{field}: {self.settings.table} has no column {given}{hint}")
                continue
            probe = sql.SQL("SELECT pg_typeof({})::text FROM (VALUES (1)) AS one LEFT JOIN {} AS t ON false").format(
                expression(given), self.table
            )
            type_ = await self._try(f"columns.{field}", probe)
            if type_ is not None:
                self._judge(field, given, type_)
        given = self.settings.columns.id
        if "id" in self.types and COLUMN.fullmatch(given):
            [unique] = await _row(self.link, UNIQUE, self.settings.table, given)
            if not unique:
                self.faults.append(f"columns.id: no unique index is over {given} alone, so it names no one message")
        dead = sql.SQL("SELECT 'x' FROM {} AS t WHERE {} LIMIT 0").format(self.table, condition(self.settings))
        await self._try("dead", dead)

    def _judge(self, field: str, given: str, type_: str) -> None:
        self.types[field] = type_
        if field in ("created", "died") and type_ not in TIMES:
            self.faults.append(f"columns.{field}: {given} is {type_}, and no time")
        if field == "attempts" and type_ not in NUMBERS:
            self.faults.append(f"columns.attempts: {given} is {type_}, and no whole number")

    async def _try(self, line: str, query: sql.Composed) -> str | None:
        """What a query gives, "" when it gives no row; None when it cannot be read, which is a fault of the line."""
        try:
            async with self.link.transaction():
                row = await (await self.link.execute(query, {})).fetchone()
        except psycopg.Error as error:
            if error.diag.sqlstate is None:
                raise
            self.faults.append(f"{line}: {_said(error)}")
            return None
        return str(row[0]) if row else ""

    async def statements(self, table: Table) -> None:
        """Planned, and not run. A login that may only read is no fault of the mapping."""
        given = {"requeue": self.settings.requeue, "discard": self.settings.discard}
        for line, text in given.items():
            if text is None:
                continue
            try:
                async with self.link.transaction():
                    await self.link.execute(sql.SQL("EXPLAIN ") + statement(text, table), {"ids": []})
            except psycopg.errors.InsufficientPrivilege:
                continue
            except psycopg.Error as error:
                if error.diag.sqlstate is None:
                    raise
                self.faults.append(f"{line}: {_said(error)}")


def _fits(type_: str) -> Callable[[str], bool]:
    """Whether a text can be read as a value of this type, so that one that cannot does not fail the others."""
    if type_ in INTEGERS:
        limit = INTEGERS[type_]
        return lambda text: bool(re.fullmatch(r"-?[0-9]{1,19}", text)) and -limit <= int(text) < limit
    if type_ == "uuid":
        return _is_uuid
    return lambda text: True


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _said(error: psycopg.Error) -> str:
    return clean(without_secrets(error.diag.message_primary or str(error)), 300)


def _invalid(name: str, faults: Sequence[str]) -> Refusal:
    said = [clean(f"{name}.{fault}", 400) for fault in faults]
    return Usage("mapping_invalid", "\n  ".join(["The mapping does not fit the table:", *said]), GUIDE, said)


async def _row(link: AsyncLink, query: str, *given: str) -> tuple[str, ...]:
    row = await (await link.execute(query.encode(), given)).fetchone()
    assert row is not None
    return row
