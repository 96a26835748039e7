"""A gate's SQL over another database than the home: one statement, in a transaction that may only read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors

from backends.postgres.link import ANSWER_SECONDS, AsyncLink, NoAnswer, dressed
from controlplane.errors import Refusal
from controlplane.gates.checks import SqlCheck
from controlplane.gates.judging import trouble
from controlplane.gates.observing import Seen, sql_observed
from controlplane.text import clean
from controlplane.urls import without_secrets

COUNTED = """WITH d AS MATERIALIZED (
{}
) SELECT jsonb_build_object('rows', (SELECT count(*) FROM d), 'sample',
  (SELECT coalesce(jsonb_agg(to_jsonb(s)), '[]') FROM (SELECT * FROM d LIMIT 20) s))"""
SAMPLED = """SELECT jsonb_build_object('rows', count(*), 'sample', coalesce(jsonb_agg(to_jsonb(s)), '[]'))
FROM (SELECT d.* FROM (
{}
) d LIMIT 21) s"""


class OtherDatabases:
    """`conninfo_of`: how to reach the database of a profile; it blocks, and raises Refusal where there is none."""

    def __init__(self, conninfo_of: Callable[[str], str], counted: bool) -> None:
        self._conninfo_of, self._counted = conninfo_of, counted

    async def __call__(self, check: SqlCheck) -> Seen:
        conninfo = await asyncio.to_thread(self._conninfo_of, check.database)
        try:
            connection = await AsyncLink.connect(dressed(conninfo, "gate"), autocommit=True)
        except psycopg.Error as error:
            words = clean(without_secrets(str(error).strip().partition("\n")[0]), 200)
            return Seen(trouble("error", f"{check.database} cannot be reached: {words}"))
        async with connection:
            connection.limit = check.limit + ANSWER_SECONDS
            limit = f"SET LOCAL statement_timeout TO {check.limit * 1000}"
            await connection.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {limit}".encode())
            statement = (COUNTED if self._counted else SAMPLED).format(check.sql)
            try:
                # Prepared, so that it is one statement: nothing after a semicolon could end the transaction.
                cursor = await connection.execute(statement.encode(), prepare=True)
                row = await cursor.fetchone()
            except (errors.QueryCanceled, NoAnswer):
                raise TimeoutError from None
            except psycopg.Error as error:
                words = clean(error.diag.message_primary or str(error), 300)
                raise Refusal("gate_sql_failed", f"The SQL failed: {words}.") from None
            finally:
                if not connection.closed:
                    await connection.execute("ROLLBACK")
        if row is None:
            return Seen(trouble("error", "it gave nothing"))
        return Seen(sql_observed(row[0] | {"sample": _values(check, row[0]["sample"])}, self._counted))


def _values(check: SqlCheck, sample: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only what is judged: the home shows it to everybody, and the login here may see more than they may."""
    return [{name: row[name] for name in ("value",) if name in row} for row in sample] if check.held else []
