"""The stores that the operations of tenants and projects write through."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from controlplane.changes import Store
from controlplane.tenants.model import Certificate, Project, Tenant


class TenantStore(Store[Tenant], Protocol):
    async def get(self, tenant_id: str) -> Tenant:
        """Read a tenant as the actor may see it. Raises NotFound."""
        ...

    async def find(self, tenant_id: str) -> Tenant | None:
        """As `lock`, but None when there is no such tenant."""
        ...

    async def purge(self, tenant_id: str) -> Certificate: ...

    async def grant_reveal(self, tenant_id: str, field: str) -> datetime:
        """Returns the time until which the field may be read in clear, once this change is committed."""
        ...


class ProjectStore(Store[Project], Protocol):
    """A project's key is its tenant's id and its own."""
