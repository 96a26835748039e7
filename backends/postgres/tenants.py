"""Tenants and projects in PostgreSQL: read through the masking view, written to the tables that the roles may write."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import assignments, names, placeholders, values
from controlplane.errors import NotFound, NotPermitted
from controlplane.tenants.list import PROJECTS, TENANTS
from controlplane.tenants.model import Certificate, Project, Tenant

Connection = psycopg.AsyncConnection[TupleRow]

COLUMNS = tuple(f.name for f in dataclasses.fields(Tenant))
ACTIVITY = ("per_minute", "error_share", "p95_ms", "until")
STORED = tuple(name for name in COLUMNS if name not in ACTIVITY)
PROJECT_COLUMNS = tuple(f.name for f in dataclasses.fields(Project))


MEASURED = {"req": "per_minute", "err": "error_share", "p95": "p95_ms"}


def _indexed(column: str) -> str:
    """As the index holds it: -1 for what is unknown."""
    return f"coalesce({column}, -1)"


def _measured_order(column: str) -> Order:
    return Order(_indexed(column), "float8", tie=("tenant_id",))


def _measured_filter(name: str, column: str) -> Filtered:
    return Filtered(sql.Identifier(column), TENANTS.column(name).kind.filter, sql.SQL(_indexed(column)))


class Tenants(PagedList[Tenant]):
    """The tenants of a home, as the login may see them."""

    shape = shape_of(
        TENANTS,
        "wf.tenant_list",
        orders={
            "name": Order('wf.folded(name) COLLATE "C"', "text"),
            "id": Order("id", "text", bound="tenant_id"),
            **{name: _measured_order(column) for name, column in MEASURED.items()},
        },
        filters={
            **{name: _measured_filter(name, column) for name, column in MEASURED.items()},
            "owner": Filtered(sql.SQL("owner_email"), masked=sql.SQL("owner_masked"), table=sql.SQL("wf.tenants")),
        },
    )

    async def get(self, tenant_id: str) -> Tenant:
        async with self.home.connection() as connection:
            return await read_tenant(connection, tenant_id)

    async def certificate(self, tenant_id: str) -> Certificate | None:
        """What was erased, when it was."""
        async with (
            self.home.connection() as connection,
            connection.cursor(row_factory=class_row(Certificate)) as cursor,
        ):
            await cursor.execute("SELECT * FROM wf.erasure_certificates WHERE tenant_id = %s", [tenant_id])
            return await cursor.fetchone()


class Projects(PagedList[Project]):
    shape = shape_of(
        PROJECTS,
        "wf.projects",
        search="wf.folded(id || E'\\n' || name)",
        tie=("tenant_id", "id"),
        orders={"id": Order("tenant_id", "text")},
    )

    async def get(self, tenant_id: str, project_id: str) -> Project:
        async with self.home.connection() as connection, connection.cursor(row_factory=class_row(Project)) as cursor:
            await cursor.execute("SELECT * FROM wf.projects WHERE tenant_id = %s AND id = %s", [tenant_id, project_id])
            return await cursor.fetchone() or missing_project(tenant_id, project_id)


async def read_tenant(connection: Connection, tenant_id: str) -> Tenant:
    async with connection.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(sql.SQL("SELECT {} FROM wf.tenant_list WHERE id = %s").format(names(COLUMNS)), [tenant_id])
        if (found := await cursor.fetchone()) is None:
            raise NotFound("no_tenant", f"There is no tenant {tenant_id}.", "watchfloor tenants list finds them.")
        return found


@dataclasses.dataclass(frozen=True)
class TenantWriter:
    """Writes within one transaction."""

    connection: Connection

    async def find(self, tenant_id: str) -> Tenant | None:
        async with self.connection.cursor(row_factory=class_row(Tenant)) as cursor:
            statement = sql.SQL("SELECT {} FROM wf.tenants WHERE id = %s FOR UPDATE").format(names(STORED))
            await cursor.execute(statement, [tenant_id])
            return await cursor.fetchone()

    async def lock(self, tenant_id: str) -> Tenant:
        if (found := await self.find(tenant_id)) is not None:
            return found
        seen = await self.get(tenant_id)  # raises when it is not there at all
        raise NotPermitted(
            "not_permitted",
            f"The home does not let you change {tenant_id} while it is {seen.status}.",
            "It needs an admin.",
            why=[f"status: {seen.status}", "refused by a row policy of the home"],
        )

    async def get(self, tenant_id: str) -> Tenant:
        return await read_tenant(self.connection, tenant_id)

    async def create(self, tenant_id: str, columns: dict[str, Any]) -> Tenant:
        columns = {"id": tenant_id} | columns
        statement = sql.SQL("INSERT INTO wf.tenants ({}) VALUES ({}) RETURNING {}").format(
            names(columns), placeholders(columns), names(STORED)
        )
        return await self._one(statement, values(columns))

    async def update(self, tenant_id: str, columns: dict[str, Any]) -> Tenant:
        statement = sql.SQL("UPDATE wf.tenants SET {} WHERE id = %s RETURNING {}").format(
            assignments(columns), names(STORED)
        )
        return await self._one(statement, [*values(columns), tenant_id])

    async def purge(self, tenant_id: str) -> Certificate:
        async with self.connection.cursor(row_factory=class_row(Certificate)) as cursor:
            await cursor.execute("SELECT * FROM wf.purge_tenant(%s)", [tenant_id])
            found = await cursor.fetchone()
        assert found is not None
        return found

    async def grant_reveal(self, tenant_id: str, field: str) -> datetime:
        row = await (await self.connection.execute("SELECT wf.grant_reveal(%s, %s)", [tenant_id, field])).fetchone()
        assert row is not None
        return row[0]  # type: ignore[no-any-return]

    async def _one(self, statement: sql.Composed, parameters: list[Any]) -> Tenant:
        async with self.connection.cursor(row_factory=class_row(Tenant)) as cursor:
            await cursor.execute(statement, parameters)
            found = await cursor.fetchone()
        assert found is not None
        return found


@dataclasses.dataclass(frozen=True)
class ProjectWriter:
    connection: Connection

    async def lock(self, tenant_id: str, project_id: str) -> Project:
        statement = sql.SQL("SELECT {} FROM wf.projects WHERE tenant_id = %s AND id = %s FOR UPDATE")
        return await self._one(statement.format(names(PROJECT_COLUMNS)), [tenant_id, project_id])

    async def create(self, tenant_id: str, project_id: str, name: str) -> Project:
        statement = sql.SQL("INSERT INTO wf.projects (tenant_id, id, name) VALUES (%s, %s, %s) RETURNING {}")
        return await self._one(statement.format(names(PROJECT_COLUMNS)), [tenant_id, project_id, name])

    async def update(self, tenant_id: str, project_id: str, columns: dict[str, Any]) -> Project:
        statement = sql.SQL("UPDATE wf.projects SET {} WHERE tenant_id = %s AND id = %s RETURNING {}").format(
            assignments(columns), names(PROJECT_COLUMNS)
        )
        return await self._one(statement, [*columns.values(), tenant_id, project_id])

    async def _one(self, statement: sql.Composed, parameters: list[Any]) -> Project:
        async with self.connection.cursor(row_factory=class_row(Project)) as cursor:
            await cursor.execute(statement, parameters)
            return await cursor.fetchone() or missing_project(str(parameters[-2]), str(parameters[-1]))


def missing_project(tenant_id: str, project_id: str) -> Project:
    raise NotFound(
        "no_project", f"Tenant {tenant_id} has no project {project_id}.", "watchfloor projects list finds them."
    )
