"""Parts of statements whose columns are only known when they are made: names are quoted, values are parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb


def names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def placeholders(columns: Iterable[str], casts: Mapping[str, sql.SQL] | None = None) -> sql.Composed:
    """`casts`: column → its placeholder with a cast, where the server would not see the type."""
    return sql.SQL(", ").join((casts or {}).get(name, sql.SQL("%s")) for name in columns)


def assignments(columns: Iterable[str], casts: Mapping[str, sql.SQL] | None = None) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), (casts or {}).get(name, sql.SQL("%s"))) for name in columns
    )


def values(columns: Mapping[str, Any]) -> list[Any]:
    """The parameters; a mapping among them is JSON."""
    return [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]


def inserted(table: str, columns: dict[str, Any], returning: tuple[str, ...]) -> tuple[sql.Composed, list[Any]]:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
        sql.Identifier("wf", table), names(columns), placeholders(columns), names(returning)
    )
    return statement, values(columns)
