"""The stores that the operations of tenants and projects write through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from controlplane.tenants.model import Certificate, Project, Tenant


class TenantStore(Protocol):
    async def lock(self, tenant_id: str) -> Tenant:
        """Read a tenant and lock it until the change ends. Raises NotFound, NotPermitted."""
        ...

    async def get(self, tenant_id: str) -> Tenant:
        """Read a tenant as the actor may see it. Raises NotFound."""
        ...

    async def find(self, tenant_id: str) -> Tenant | None:
        """As `lock`, but None when there is no such tenant."""
        ...

    async def create(self, tenant_id: str, columns: dict[str, Any]) -> Tenant:
        """Raises Conflict `tenant_exists`."""
        ...

    async def update(self, tenant_id: str, columns: dict[str, Any]) -> Tenant: ...

    async def purge(self, tenant_id: str) -> Certificate: ...

    async def grant_reveal(self, tenant_id: str, field: str) -> datetime:
        """Returns the time until which the field may be read in clear, once this change is committed."""
        ...


class ProjectStore(Protocol):
    async def lock(self, tenant_id: str, project_id: str) -> Project:
        """Raises NotFound, NotPermitted."""
        ...

    async def create(self, tenant_id: str, project_id: str, name: str) -> Project:
        """Raises Conflict `project_exists`."""
        ...

    async def update(self, tenant_id: str, project_id: str, columns: dict[str, Any]) -> Project: ...
