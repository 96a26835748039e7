"""Tenants and projects in PostgreSQL: read through the masking view, written to the tables that the roles may write."""

from __future__ import annotations

from datetime import datetime

from psycopg import sql

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import first, scalar
from backends.postgres.table import Table, Writer, fields_of
from controlplane.tenants.list import PROJECTS, TENANTS
from controlplane.tenants.model import Certificate, Project, ProjectDirectory, Tenant, TenantDirectory
from controlplane.tenants.ports import ProjectStore, TenantStore
from controlplane.tenants.refusals import NO_PROJECT, NO_TENANT

STORED = fields_of(Tenant, "per_minute", "error_share", "p95_ms", "until")
TENANT_TABLE = Table("wf.tenants", Tenant, ("id",), NO_TENANT, view="wf.tenant_list", stored=STORED)
PROJECT_TABLE = Table("wf.projects", Project, ("tenant_id", "id"), NO_PROJECT)

CERTIFICATE = "SELECT * FROM wf.erasure_certificates WHERE tenant_id = %s"
PURGE = "SELECT * FROM wf.purge_tenant(%s)"
GRANT_REVEAL = "SELECT wf.grant_reveal(%s, %s)"


MEASURED = {"req": "per_minute", "err": "error_share", "p95": "p95_ms"}


def _indexed(column: str) -> str:
    """The expression that the index is on: -1 stands for unknown."""
    return f"coalesce({column}, -1)"


def _measured_order(column: str) -> Order:
    return Order(_indexed(column), "float8", tie=("tenant_id",), unknown="-1")


def _measured_filter(name: str, column: str) -> Filtered:
    return Filtered(sql.Identifier(column), TENANTS.column(name).kind.filter, sql.SQL(_indexed(column)))


class Tenants(PagedList[Tenant], TenantDirectory):
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
            "owner": Filtered(
                sql.SQL("owner_email"), masked=sql.SQL("owner_masked"), table=sql.SQL("wf.tenant_owners")
            ),
        },
    )

    async def certificate(self, tenant_id: str) -> Certificate | None:
        """The certificate of an erasure; None when the tenant was not erased."""
        async with self.home.connection() as connection:
            return await first(connection, Certificate, CERTIFICATE, [tenant_id])


class Projects(PagedList[Project], ProjectDirectory):
    shape = shape_of(
        PROJECTS,
        "wf.projects",
        search="wf.folded(id || E'\\n' || name)",
        tie=("tenant_id", "id"),
        orders={"name": Order('wf.folded(name) COLLATE "C"', "text")},
    )


class TenantWriter(Writer[Tenant], TenantStore):
    table = TENANT_TABLE

    async def find(self, tenant_id: str) -> Tenant | None:
        return await TENANT_TABLE.find(self.connection, tenant_id)

    async def get(self, tenant_id: str) -> Tenant:
        return await TENANT_TABLE.get(self.connection, tenant_id)

    async def purge(self, tenant_id: str) -> Certificate:
        found = await first(self.connection, Certificate, PURGE, [tenant_id])
        assert found is not None
        return found

    async def grant_reveal(self, tenant_id: str, field: str) -> datetime:
        until: datetime = await scalar(self.connection, GRANT_REVEAL, [tenant_id, field])
        return until


class ProjectWriter(Writer[Project], ProjectStore):
    table = PROJECT_TABLE
