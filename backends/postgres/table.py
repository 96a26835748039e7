"""A table whose rows a change finds, locks, creates and updates by their key; all writers use it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, dict_row

from backends.postgres.statements import assignments, names, placeholders, values
from controlplane.changes import Key
from controlplane.errors import NotPermitted
from controlplane.refusals import Words

Connection = psycopg.AsyncConnection[TupleRow]
Row = TypeVar("Row")

NOW = sql.SQL("now()")
"""For a column that takes the transaction's time."""


def fields_of(row: type[Any], *without: str) -> tuple[str, ...]:
    """The columns of a row: the fields of its class."""
    return tuple(each.name for each in dataclasses.fields(row) if each.name not in without)


class Table(NamedTuple, Generic[Row]):
    """Writes go to `name`; reads come from `view`, where that is another.

    `stored`: the fields of the row that the table itself holds and its writers may read; without them, a row that was
    locked or written is read back from the view. `casts`: column → its placeholder, where the server cannot infer the
    type. `held`: the strength of the row lock.
    """

    name: str
    row: type[Row]
    key: Sequence[str]
    missing: Words
    view: str = ""
    stored: Sequence[str] = ()
    casts: Mapping[str, sql.SQL] = {}
    held: Literal["UPDATE", "NO KEY UPDATE"] = "UPDATE"

    async def look(self, connection: Connection, *key: object) -> Row | None:
        """Read a row as the login may see it."""
        columns = fields_of(self.row) if self.view else self._returned
        statement = sql.SQL("SELECT {} FROM {} WHERE {}").format(
            names(columns), sql.SQL(self.view or self.name), self._keyed
        )
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, key)
            found = await cursor.fetchone()
        return None if found is None else self.made(found)

    async def get(self, connection: Connection, *key: object) -> Row:
        """As `look`. Raises NotFound."""
        if (found := await self.look(connection, *key)) is None:
            raise self.missing.of(*key)
        return found

    async def find(self, connection: Connection, *key: object) -> Row | None:
        """Lock a row until the change ends. None when it does not exist or the login may not lock it."""
        statement = sql.SQL("SELECT {} FROM {} WHERE {} FOR {}").format(
            names(self._returned), sql.SQL(self.name), self._keyed, sql.SQL(self.held)
        )
        return await self._written(connection, statement, key)

    async def lock(self, connection: Connection, *key: object) -> Row:
        """As `find`. Raises NotFound; NotPermitted when the login can see the row but not change it."""
        return await self.find(connection, *key) or await self._absent(connection, key)

    async def create(self, connection: Connection, columns: Mapping[str, Any]) -> Row:
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
            sql.SQL(self.name), names(columns), placeholders(columns, self.casts), names(self._returned)
        )
        made = await self._written(connection, statement, values(columns))
        assert made is not None
        return made

    async def update(self, connection: Connection, columns: Mapping[str, Any], *key: object) -> Row:
        """Raises what `lock` does."""
        statement = sql.SQL("UPDATE {} SET {} WHERE {} RETURNING {}").format(
            sql.SQL(self.name), assignments(columns, self.casts), self._keyed, names(self._returned)
        )
        changed = await self._written(connection, statement, [*values(columns), *key])
        return changed or await self._absent(connection, key)

    def made(self, found: Mapping[str, Any]) -> Row:
        return self.row(**found)

    @property
    def _keyed(self) -> sql.Composed:
        return sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in self.key)

    @property
    def _returned(self) -> Sequence[str]:
        return self.stored or (self.key if self.view else fields_of(self.row))

    async def _written(
        self, connection: Connection, statement: sql.Composed, parameters: Sequence[object]
    ) -> Row | None:
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, parameters)
            found = await cursor.fetchone()
        if found is None or self.stored or not self.view:
            return None if found is None else self.made(found)
        return await self.get(connection, *found.values())

    async def _absent(self, connection: Connection, key: Sequence[object]) -> NoReturn:
        seen = await self.get(connection, *key)  # raises when it is not there at all
        status = getattr(seen, "status", "")
        raise NotPermitted(
            "not_permitted",
            f"The home does not let you change {'/'.join(map(str, key))}{status and f' while it is {status}'}.",
            "It needs an admin.",
            why=[*([f"status: {status}"] if status else []), "refused by a row policy of the home"],
        )


class Writer(Generic[Row]):
    """Writes the rows of a table within one transaction."""

    table: Table[Row]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def lock(self, key: Key) -> Row:
        return await self.table.lock(self.connection, *_parts(key))

    async def create(self, columns: Mapping[str, Any]) -> Row:
        return await self.table.create(self.connection, columns)

    async def update(self, key: Key, columns: Mapping[str, Any]) -> Row:
        return await self.table.update(self.connection, columns, *_parts(key))


def _parts(key: Key) -> tuple[str | int, ...]:
    return key if isinstance(key, tuple) else (key,)
