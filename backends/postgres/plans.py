"""The catalogue of plans in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, first, names
from backends.postgres.table import Table, fields_of
from controlplane.plans.list import PLANS
from controlplane.plans.model import Plan, PlanDirectory
from controlplane.plans.ports import PlanStore
from controlplane.plans.refusals import NO_PLAN

STORED = fields_of(Plan, "tenants")
PLAN_TABLE = Table("wf.plans", Plan, ("code", "version"), NO_PLAN, stored=STORED)

VERSIONS = sql.SQL("""
SELECT {}, (SELECT count(*) FROM wf.tenant_list t JOIN wf.subscriptions s ON s.tenant_id = t.id
            WHERE t.plan = p.code COLLATE "default" AND s.plan_version = p.version AND t.status <> 'erased') AS tenants
FROM wf.plans p WHERE code = %s ORDER BY version DESC
""").format(names(STORED))
LATEST = sql.SQL("SELECT {} FROM wf.latest_plans WHERE code = %s").format(names(STORED))


class Plans(PagedList[Plan], PlanDirectory):
    """The catalogue of a home: the latest version of each plan."""

    shape = shape_of(
        PLANS,
        "wf.plan_list",
        search="wf.folded(code || E'\\n' || name)",
        tie=("code",),
        orders={"month": Order("month_price", "int8")},
    )

    async def versions(self, code: str) -> list[tuple[Plan, int]]:
        async with self.home.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(VERSIONS, [code])
            found = [(Plan(**row), row["tenants"]) for row in await cursor.fetchall()]
        if not found:
            raise NO_PLAN.of(code)
        return found


@dataclass(frozen=True)
class PlanWriter(PlanStore):
    """Writes within one transaction."""

    connection: Connection

    async def latest(self, code: str) -> Plan | None:
        return await first(self.connection, Plan, LATEST, [code])

    async def version(self, code: str, version: int) -> Plan | None:
        return await PLAN_TABLE.look(self.connection, code, version)

    async def add(self, columns: dict[str, Any]) -> Plan:
        return await PLAN_TABLE.create(self.connection, columns)
