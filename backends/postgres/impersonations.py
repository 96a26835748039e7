"""Impersonations in PostgreSQL. Its trigger decides who may begin, end and approve one; see the migration."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import TupleRow, class_row

from backends.postgres.paging import Order, PagedList, shape_of
from controlplane.errors import NotFound
from controlplane.impersonations.list import IMPERSONATIONS
from controlplane.impersonations.model import Impersonation

COLUMNS = tuple(f.name for f in dataclasses.fields(Impersonation))
_READ = "SELECT * FROM wf.impersonation_list WHERE "


class Impersonations(PagedList[Impersonation]):
    shape = shape_of(
        IMPERSONATIONS,
        "wf.impersonation_list",
        search="wf.folded(tenant_id || ' ' || actor || ' ' || ticket || ' ' || reason)",
        tie=(),
        orders={"started": Order("id", "bigint")},
    )

    async def mine(self) -> Impersonation | None:
        async with (
            self.home.connection() as connection,
            connection.cursor(row_factory=class_row(Impersonation)) as cursor,
        ):
            condition = "actor = session_user AND ended_at IS NULL AND ends_at > clock_timestamp()"
            await cursor.execute(_READ + condition)
            return await cursor.fetchone()


@dataclass(frozen=True)
class ImpersonationWriter:
    """Writes within one transaction."""

    connection: psycopg.AsyncConnection[TupleRow]

    async def begin(self, tenant_id: str, reason: str, ticket: str, ends_at: datetime) -> Impersonation:
        return await self._written(
            "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at) VALUES (%s, %s, %s, %s) RETURNING id",
            [tenant_id, reason, ticket, ends_at],
        )

    async def lock(self, number: int) -> Impersonation:
        return await self._written("SELECT id FROM wf.impersonations WHERE id = %s FOR UPDATE", [number])

    async def end(self, number: int) -> Impersonation:
        return await self._written("UPDATE wf.impersonations SET ended_at = now() WHERE id = %s RETURNING id", [number])

    async def approve_writing(self, number: int) -> Impersonation:
        return await self._written("UPDATE wf.impersonations SET mode = 'write' WHERE id = %s RETURNING id", [number])

    async def _written(self, statement: str, parameters: list[Any]) -> Impersonation:
        row = await (await self.connection.execute(statement.encode(), parameters)).fetchone()
        async with self.connection.cursor(row_factory=class_row(Impersonation)) as cursor:
            await cursor.execute(_READ + "id = %s", [row[0] if row else None])
            found = await cursor.fetchone()
        if found is None:
            raise NotFound(
                "no_impersonation",
                f"There is no impersonation {parameters[-1]}.",
                "watchfloor tenants impersonations lists them.",
            )
        return found
