"""The catalogue of plans in PostgreSQL."""

from __future__ import annotations

import dataclasses
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row, dict_row

from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import inserted, names
from controlplane.errors import NotFound
from controlplane.plans.list import PLANS
from controlplane.plans.model import Plan

Connection = psycopg.AsyncConnection[TupleRow]

PLAN_COLUMNS = tuple(f.name for f in dataclasses.fields(Plan) if f.name != "tenants")


class Plans(PagedList[Plan]):
    """The catalogue of a home, each plan in its latest version."""

    shape = shape_of(
        PLANS,
        "wf.plan_list",
        search="wf.folded(code || E'\\n' || name)",
        tie=("code",),
        orders={"month": Order("month_price", "int8")},
    )

    async def versions(self, code: str) -> list[tuple[Plan, int]]:
        async with self.home.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                sql.SQL(
                    "SELECT {}, (SELECT count(*) FROM wf.tenant_list t JOIN wf.subscriptions s ON s.tenant_id = t.id"
                    ' WHERE t.plan = p.code COLLATE "default" AND s.plan_version = p.version'
                    " AND t.status <> 'erased') AS tenants"
                    " FROM wf.plans p WHERE code = %s ORDER BY version DESC"
                ).format(names(PLAN_COLUMNS)),
                [code],
            )
            found = [(Plan(**row), row["tenants"]) for row in await cursor.fetchall()]
        if not found:
            raise NotFound("no_plan", f"The catalogue has no plan {code}.", "watchfloor plans list")
        return found


async def read_plan(connection: Connection, code: str | None, version: int | None) -> Plan | None:
    statement = sql.SQL("SELECT {} FROM wf.plans WHERE code = %s AND version = %s").format(names(PLAN_COLUMNS))
    async with connection.cursor(row_factory=class_row(Plan)) as cursor:
        await cursor.execute(statement, [code, version])
        return await cursor.fetchone()


@dataclasses.dataclass(frozen=True)
class PlanWriter:
    """Writes within one transaction."""

    connection: Connection

    async def latest(self, code: str) -> Plan | None:
        statement = sql.SQL("SELECT {} FROM wf.latest_plans WHERE code = %s").format(names(PLAN_COLUMNS))
        async with self.connection.cursor(row_factory=class_row(Plan)) as cursor:
            await cursor.execute(statement, [code])
            return await cursor.fetchone()

    async def version(self, code: str, version: int) -> Plan | None:
        return await read_plan(self.connection, code, version)

    async def add(self, columns: dict[str, Any]) -> Plan:
        async with self.connection.cursor(row_factory=class_row(Plan)) as cursor:
            await cursor.execute(*inserted("plans", columns, PLAN_COLUMNS))
            found = await cursor.fetchone()
            assert found is not None
            return found
