"""Acting for a tenant, and making one in a single step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from controlplane.audit import AuditRow, Record
from controlplane.find import looks_secret
from controlplane.operations import Request, Risk, operation
from controlplane.support import rules
from controlplane.support.model import Impersonation
from controlplane.tenants.operations import Email, Id, Word, an_email, readable, was_created

if TYPE_CHECKING:
    from controlplane.changes import Change

Number = Annotated[int, Field(ge=1, description="the impersonation's number")]


class Impersonate(Request):
    id: Id
    ticket: Annotated[str, Field(min_length=1, max_length=100, description="the case that it is for")]
    minutes: Annotated[
        int, Field(ge=1, le=rules.MOST_MINUTES, description=f"until its hard stop, at most {rules.MOST_MINUTES}")
    ] = rules.DEFAULT_MINUTES

    _readable = field_validator("ticket")(readable)


class OneImpersonation(Request):
    subject = ("number",)
    number: Number


def was_begun(row: AuditRow) -> Record:
    return {"number": int(row.thing)}


@operation(
    "tenants.impersonate",
    Impersonate,
    role="support",
    risk=Risk.CONFIRM,
    key="i",
    needs_reason=True,
    undo="tenants.end-impersonation",
    undo_request=was_begun,
    writes="impersonations",
    fits=lambda tenant, now: rules.check_impersonate(tenant),
)
async def impersonate(change: Change, request: Impersonate) -> Impersonation:
    """Act for a tenant for a while, reading only, for a ticket."""
    rules.check_impersonate(await change.tenants.get(request.id))
    until = change.now + timedelta(minutes=request.minutes)
    return await change.impersonations.begin(request.id, change.reason or "", request.ticket, until)


@operation(
    "tenants.end-impersonation",
    OneImpersonation,
    role="support",
    risk=Risk.SAFE,
    key="x",
    writes="impersonations",
    fits=rules.check_running,
)
async def end(change: Change, request: OneImpersonation) -> Impersonation:
    """End an impersonation before its hard stop; anybody's."""
    rules.check_running(await change.impersonations.lock(request.number), change.now)
    return await change.impersonations.end(request.number)


@operation(
    "tenants.approve-writing",
    OneImpersonation,
    role="operator",
    risk=Risk.CONFIRM,
    key="w",
    needs_reason=True,
    undo="tenants.end-impersonation",
    undo_request=was_begun,
    writes="impersonations",
    fits=rules.check_approve,
)
async def approve_writing(change: Change, request: OneImpersonation) -> Impersonation:
    """Let somebody else's impersonation write, until its hard stop."""
    rules.check_approve(await change.impersonations.lock(request.number), change.now, change.actor)
    return await change.impersonations.approve_writing(request.number)


class Provision(Request):
    """The key's secret stays with whoever asks: its SHA-256 and the part of it that may be shown come here."""

    personal = ("owner_email",)
    id: Id
    name: Annotated[str, Field(default="", max_length=200, description="the display name; the id when left out")]
    owner_email: Email | None = None
    plan: Word = "trial"
    region: Annotated[Word, Field(description="the home region")] = "default"
    project: Annotated[Id, Field(description="the id of its first project")] = "main"
    key_id: Annotated[str, Field(pattern=r"^key_[0-9A-HJKMNP-TV-Z]{26}$", description="key_ and a ULID")]
    key_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="the secret's SHA-256, in hex")]
    key_display: Annotated[str, Field(min_length=1, max_length=64, description="the part of it that may be shown")]
    key_env: Literal["live", "test"] = "live"
    key_label: Annotated[str, Field(max_length=200)] = "first key"
    key_scopes: Annotated[list[Word] | None, Field(default=None, description="what is not named is denied")]

    _readable = field_validator("name", "key_label", "key_display")(readable)
    _email = field_validator("owner_email")(an_email)

    @field_validator("key_display")
    @classmethod
    def _not_the_secret(cls, value: str) -> str:
        if looks_secret(value):
            raise ValueError("that is more of the secret than may be shown")
        return value


@operation(
    "tenants.provision",
    Provision,
    role="operator",
    risk=Risk.CONFIRM,
    key="o",
    undo="tenants.delete",
    undo_request=was_created,
)
async def provision(change: Change, request: Provision) -> Record:
    """Create a tenant with its plan, a project and its first key: all of it or nothing."""
    facts = {"plan": request.plan, "region": request.region, "owner_email": request.owner_email or None}
    tenant = await change.tenants.create(request.id, {"name": request.name or request.id} | facts)
    await change.projects.create(tenant.id, request.project, request.project)
    key = {
        "id": request.key_id,
        "env": request.key_env,
        "display": request.key_display,
        "hash": bytes.fromhex(request.key_hash),
        "label": request.key_label,
        "scopes": request.key_scopes or [],
    }
    await change.tenants.add_first_key(tenant.id, request.project, key)
    return {"tenant": tenant.id, "project": request.project, "key_id": request.key_id, "plan": tenant.plan}
