"""What `tenants show` says of a tenant beyond its fields."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from app.cli.lists import Told
from controlplane.tenants.model import Tenant, TenantDirectory

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_tenant(plane: ControlPlane, tenant: Tenant) -> Told:
    """Show a tenant with every field; an erased one shows its certificate."""
    found = await plane.of(TenantDirectory).certificate(tenant.id) if tenant.status == "erased" else None
    return Told({"certificate": dataclasses.asdict(found)} if found else {})
