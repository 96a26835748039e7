"""Create and change many tenants to match a file, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from controlplane.audit.model import Record
from controlplane.operations import Request, Risk, operation
from controlplane.tenants import rules
from controlplane.tenants.operations import Id, Readable, TenantFacts
from controlplane.tenants.ports import TenantStore

if TYPE_CHECKING:
    from controlplane.changes import Change

MAX_TENANTS_APPLIED = 10_000


class TenantSpec(TenantFacts):
    """What a tenant should be. Fields that are left out stay as they are."""

    id: Id
    name: Annotated[Annotated[str, Field(min_length=1, max_length=200), Readable] | None, Field(default=None)]

    def wanted(self) -> Record:
        return ({"name": self.name} if self.name else {}) | self.columns()


class TenantsApply(Request):
    subject = ()
    personal = ("owner_email",)
    tenants: Annotated[list[TenantSpec], Field(min_length=1, max_length=MAX_TENANTS_APPLIED)]

    @model_validator(mode="after")
    def _once(self) -> TenantsApply:
        seen: set[str] = set()
        for spec in self.tenants:
            if spec.id in seen:
                raise ValueError(f"{spec.id} is in the list twice")
            seen.add(spec.id)
        return self


@operation("tenants.apply", TenantsApply, role="operator", risk=Risk.CONFIRM, key="f")
async def apply(change: Change, request: TenantsApply) -> Record:
    """Create and change tenants to match a list; all or nothing."""
    counts = {"created": 0, "changed": 0, "unchanged": 0}
    for spec in sorted(request.tenants, key=lambda spec: spec.id):  # in one order, so that two applies cannot deadlock
        found = await change.of(TenantStore).find(spec.id)
        if found is None:
            await change.of(TenantStore).create({"id": spec.id, "name": spec.id} | spec.wanted())
            counts["created"] += 1
            continue
        rules.check_open(found, "changed")
        columns = {name: value for name, value in spec.wanted().items() if getattr(found, name) != value}
        counts["changed" if columns else "unchanged"] += 1
        if columns:
            await change.of(TenantStore).update(spec.id, columns)
    return counts
