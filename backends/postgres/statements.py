"""Builds parts of statements whose columns are only known at run time: names are quoted, values are parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import Params
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

Connection = psycopg.AsyncConnection[TupleRow]
Statement = str | bytes | sql.SQL | sql.Composed
Row = TypeVar("Row")


def names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def placeholders(columns: Mapping[str, Any], casts: Mapping[str, sql.SQL]) -> sql.Composed:
    """`casts`: column → its placeholder with a cast, where the server cannot infer the type."""
    return sql.SQL(", ").join(_placed(name, value, casts) for name, value in columns.items())


def assignments(columns: Mapping[str, Any], casts: Mapping[str, sql.SQL]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), _placed(name, value, casts)) for name, value in columns.items()
    )


def _placed(name: str, value: Any, casts: Mapping[str, sql.SQL]) -> sql.Composable:
    """A value becomes a parameter; an SQL expression is put into the statement itself."""
    return value if isinstance(value, sql.Composable) else casts.get(name, sql.SQL("%s"))


def values(columns: Mapping[str, Any]) -> list[Any]:
    """The parameters, without SQL expressions; a dict becomes JSON."""
    return [
        Jsonb(value) if isinstance(value, dict) else value
        for value in columns.values()
        if not isinstance(value, sql.Composable)
    ]


async def scalar(connection: Connection, statement: Statement, parameters: Params | None = None) -> Any:
    """The first column of the only row that a statement gives."""
    row = await (await connection.execute(statement, parameters)).fetchone()
    assert row is not None
    return row[0]


async def rows(
    connection: Connection, row: type[Row], statement: Statement, parameters: Params | None = None
) -> list[Row]:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


async def first(
    connection: Connection, row: type[Row], statement: Statement, parameters: Params | None = None
) -> Row | None:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()
