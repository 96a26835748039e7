"""What an operator can do with tenants and projects."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, field_validator, model_validator

from controlplane.audit.model import AuditRow, Record
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants import rules
from controlplane.tenants.model import Certificate, Tenant
from controlplane.tenants.ports import TenantStore
from controlplane.text import showable

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane

MAX_METADATA = 65_536


def readable(value: str) -> str:
    if not showable(value):
        raise ValueError("holds characters that cannot be shown")
    return value


def an_email(value: str) -> str:
    if value and (value.count("@") != 1 or value.startswith("@") or value.endswith("@") or " " in value):
        raise ValueError("not an e-mail address")
    return readable(value)


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Readable = AfterValidator(readable)
"""It comes after the limits of a field, whose faults are in plainer words then."""
Name = Annotated[str, Field(min_length=1, max_length=200, description="the display name"), Readable]
NewName = Annotated[str, Field(default="", max_length=200, description="the display name; default: the id"), Readable]
Word = Annotated[str, Field(min_length=1, max_length=64)]
Email = Annotated[
    str, Field(max_length=320, description="the owner's e-mail; empty removes it"), AfterValidator(an_email)
]
Version = Annotated[int | None, Field(default=None, ge=1, description="refuse when it has changed since this version")]


class OneTenant(Request):
    """A tenant, at the version that was seen."""

    id: Id
    version: Version


class TenantFacts(Request):
    """The fields that create, edit and apply share."""

    personal = ("owner_email",)
    plan: Word | None = None
    region: Annotated[Word | None, Field(default=None, description="the home region")]
    allowed_regions: Annotated[list[Word] | None, Field(default=None, description="empty: any")]
    owner_email: Email | None = None
    metadata: Annotated[dict[str, JsonValue] | None, Field(default=None, description="a JSON object")]

    @field_validator("metadata")
    @classmethod
    def _size(cls, value: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        if value is not None and (size := len(json.dumps(value, ensure_ascii=False).encode())) > MAX_METADATA:
            raise ValueError(f"{size:,} bytes; at most {MAX_METADATA:,} are kept. Store it elsewhere, keep a link")
        return value

    def columns(self) -> Record:
        """What was given, as columns; an empty e-mail removes it."""
        given = self.model_dump(include=set(TenantFacts.model_fields), exclude_none=True)
        if "owner_email" in given:
            given["owner_email"] = given["owner_email"] or None
        return given


class TenantCreate(TenantFacts):
    makes = ("id",)
    id: Id
    name: NewName


class TenantRename(OneTenant):
    name: Name


class TenantEdit(TenantFacts):
    id: Id
    version: Version
    replace_metadata: Annotated[
        bool,
        Field(default=False, description="replace all metadata; else it is merged, and null removes a field"),
    ]

    @model_validator(mode="after")
    def _something(self) -> TenantEdit:
        if not self.columns():
            raise ValueError("nothing to change was given")
        return self


class TenantDelete(OneTenant):
    retention_days: Annotated[
        int,
        Field(
            default=rules.RETENTION_DAYS,
            ge=1,
            le=rules.MAX_RETENTION_DAYS,
            description="days until the purge",
        ),
    ]


class TenantReveal(Request):
    id: Id
    field: Annotated[Literal["owner_email"], Field(default="owner_email", description="the masked field")]


TENANT = Subject(Tenant, lambda change, request: change.of(TenantStore).lock(request.id))
TENANT_SEEN = Subject(Tenant, lambda change, request: change.of(TenantStore).get(request.id))
"""For those who may not lock it."""


def of_new(row: AuditRow) -> Record:
    """A tenant that was created by mistake is kept for a day."""
    return {"retention_days": 1}


def was_edited(row: AuditRow) -> Record:
    """The undo replaces all metadata."""
    return {"replace_metadata": True} if "metadata" in row.was else {}


@operation(
    "tenants.create",
    TenantCreate,
    role="operator",
    risk=Risk.PREVIEW,
    key="n",
    undo="tenants.delete",
    undo_request=of_new,
)
async def create(change: Change, request: TenantCreate) -> Tenant:
    """Create a tenant."""
    named = {"id": request.id, "name": request.name or request.id}
    return await change.of(TenantStore).create(named | request.columns())


@operation(
    "tenants.rename",
    TenantRename,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    undo="tenants.rename",
    on=TENANT,
    check=lambda tenant, now: rules.check_open(tenant, "renamed"),
)
async def rename(change: Change, request: TenantRename, tenant: Tenant) -> Tenant:
    """Change a tenant's display name."""
    return await change.of(TenantStore).update(request.id, {"name": request.name})


@operation(
    "tenants.edit",
    TenantEdit,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    undo="tenants.edit",
    undo_request=was_edited,
    on=TENANT,
    check=lambda tenant, now: rules.check_open(tenant, "edited"),
)
async def edit(change: Change, request: TenantEdit, tenant: Tenant) -> Tenant:
    """Change a tenant: its metadata, owner, plan or regions."""
    columns = request.columns()
    if "metadata" in columns and not request.replace_metadata:
        merged = tenant.metadata | columns["metadata"]
        columns["metadata"] = {name: value for name, value in merged.items() if value is not None}
    return await change.of(TenantStore).update(request.id, columns)


@operation(
    "tenants.suspend",
    OneTenant,
    role="operator",
    risk=Risk.CONFIRM,
    key="s",
    needs_reason=True,
    undo="tenants.resume",
    on=TENANT,
    check=lambda tenant, now: rules.check_suspend(tenant),
)
async def suspend(change: Change, request: OneTenant, tenant: Tenant) -> Tenant:
    """Suspend a tenant: its keys are refused until it is resumed."""
    return await change.of(TenantStore).update(
        request.id, {"status": "suspended", "suspended_at": change.now, "suspension_reason": change.reason}
    )


@operation(
    "tenants.resume",
    OneTenant,
    role="operator",
    risk=Risk.CONFIRM,
    key="u",
    undo="tenants.suspend",
    on=TENANT,
    check=lambda tenant, now: rules.check_resume(tenant),
)
async def resume(change: Change, request: OneTenant, tenant: Tenant) -> Tenant:
    """Resume a suspended tenant."""
    return await change.of(TenantStore).update(
        request.id, {"status": "active", "suspended_at": None, "suspension_reason": None}
    )


@operation(
    "tenants.delete",
    TenantDelete,
    role="admin",
    risk=Risk.TYPED,
    key="d",
    needs_reason=True,
    undo="tenants.restore",
    on=TENANT,
    check=lambda tenant, now: rules.check_delete(tenant),
)
async def delete(change: Change, request: TenantDelete, tenant: Tenant) -> Tenant:
    """Delete a tenant: it can be restored until it is purged."""
    columns = {
        "status": "pending_deletion",
        "deleted_at": change.now,
        "deleted_from": tenant.status,
        "purge_after": rules.purge_instant(change.now, request.retention_days),
    }
    return await change.of(TenantStore).update(request.id, columns)


def was_restored(row: AuditRow) -> Record:
    """Delete it again for what was left of its retention, a day at least."""
    due = datetime.fromisoformat(str((row.before or {})["purge_after"]))
    return {"retention_days": max(1, math.ceil((due - row.at) / timedelta(days=1)))}


@operation(
    "tenants.restore",
    OneTenant,
    role="admin",
    risk=Risk.CONFIRM,
    key="t",
    undo="tenants.delete",
    undo_request=was_restored,
    on=TENANT,
    check=lambda tenant, now: rules.check_restore(tenant),
)
async def restore(change: Change, request: OneTenant, tenant: Tenant) -> Tenant:
    """Restore a deleted tenant: it is what it was before."""
    marks = {"deleted_at": None, "deleted_from": None, "purge_after": None}
    return await change.of(TenantStore).update(request.id, {"status": tenant.deleted_from} | marks)


@operation(
    "tenants.purge",
    OneTenant,
    role="admin",
    risk=Risk.TWO_PERSON,
    key="p",
    needs_reason=True,
    on=TENANT,
    check=rules.check_purge,
)
async def purge(change: Change, request: OneTenant, tenant: Tenant) -> Certificate:
    """Purge a deleted tenant: once its retention is over, erase what it left and certify it."""
    return await change.of(TenantStore).purge(request.id)


@operation(
    "tenants.protect",
    OneTenant,
    role="admin",
    risk=Risk.CONFIRM,
    key="l",
    undo="tenants.unprotect",
    on=TENANT,
    check=lambda tenant, now: rules.check_protect(tenant, True),
)
async def protect(change: Change, request: OneTenant, tenant: Tenant) -> Tenant:
    """Protect a tenant from suspension and deletion."""
    return await change.of(TenantStore).update(tenant.id, {"protected": True})


@operation(
    "tenants.unprotect",
    OneTenant,
    role="admin",
    risk=Risk.TYPED,
    key="k",
    undo="tenants.protect",
    on=TENANT,
    check=lambda tenant, now: rules.check_protect(tenant, False),
)
async def unprotect(change: Change, request: OneTenant, tenant: Tenant) -> Tenant:
    """Lift a tenant's protection."""
    return await change.of(TenantStore).update(tenant.id, {"protected": False})


async def read_revealed(plane: ControlPlane, request: TenantReveal, result: Record) -> Record:
    return {"value": await plane.revealed(request.id, request.field)}


@operation(
    "tenants.reveal",
    TenantReveal,
    role="support",
    risk=Risk.SAFE,
    key="v",
    needs_reason=True,
    on=TENANT_SEEN,
    check=lambda tenant, now: rules.check_exists(tenant),
    completes=read_revealed,
)
async def reveal(change: Change, request: TenantReveal, tenant: Tenant) -> Record:
    """Reveal one masked field for 60 seconds; it needs a reason."""
    until = await change.of(TenantStore).grant_reveal(request.id, request.field)
    return {"id": request.id, "field": request.field, "until": until}
