"""Acting for a tenant; and creating a tenant with all that it needs in one step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.impersonations import rules
from controlplane.impersonations.model import Impersonation, ImpersonationStore
from controlplane.keys.model import Env
from controlplane.keys.operations import make_key
from controlplane.operations import Made, Request, Risk, Subject, operation
from controlplane.subscriptions.ports import SubscriptionStore
from controlplane.subscriptions.trials import Days, begin_trial
from controlplane.tenants.model import Tenant
from controlplane.tenants.operations import TENANT_SEEN, Email, Id, NewName, Readable, Word, of_new
from controlplane.tenants.ports import ProjectStore, TenantStore

if TYPE_CHECKING:
    from controlplane.changes import Change

Number = Annotated[int, Field(ge=1, description="the impersonation's number")]


class Impersonate(Request):
    id: Id
    ticket: Annotated[str, Field(min_length=1, max_length=100, description="the case that it is for"), Readable]
    minutes: Annotated[
        int, Field(ge=1, le=rules.MAX_MINUTES, description=f"until its hard stop, at most {rules.MAX_MINUTES}")
    ] = rules.DEFAULT_MINUTES


class OneImpersonation(Request):
    subject = ("number",)
    number: Number


IMPERSONATION = Subject(Impersonation, lambda change, request: change.of(ImpersonationStore).lock(request.number))


@operation(
    "tenants.impersonate",
    Impersonate,
    role="support",
    risk=Risk.CONFIRM,
    key="i",
    needs_reason=True,
    undo="tenants.end-impersonation",
    writes="impersonations",
    on=TENANT_SEEN,
    check=lambda tenant, now: rules.check_impersonate(tenant),
)
async def impersonate(change: Change, request: Impersonate, tenant: Tenant) -> Impersonation:
    """Impersonate a tenant for a while, read-only; it needs a ticket."""
    until = change.now + timedelta(minutes=request.minutes)
    columns = {"tenant_id": tenant.id, "reason": change.reason or "", "ticket": request.ticket, "ends_at": until}
    return await change.of(ImpersonationStore).create(columns)


@operation(
    "tenants.end-impersonation",
    OneImpersonation,
    role="support",
    risk=Risk.SAFE,
    key="x",
    writes="impersonations",
    on=IMPERSONATION,
    check=rules.check_running,
)
async def end(change: Change, request: OneImpersonation, found: Impersonation) -> Impersonation:
    """End an impersonation early; your own or another person's."""
    return await change.of(ImpersonationStore).update(found.id, {"ended_at": change.now})


@operation(
    "tenants.approve-writing",
    OneImpersonation,
    role="operator",
    risk=Risk.CONFIRM,
    key="w",
    needs_reason=True,
    undo="tenants.end-impersonation",
    writes="impersonations",
    on=IMPERSONATION,
    check=rules.check_approve,
)
async def approve_writing(change: Change, request: OneImpersonation, found: Impersonation) -> Impersonation:
    """Let another person's impersonation write; it ends at its hard stop."""
    rules.check_not_own(found, change.actor)
    return await change.of(ImpersonationStore).update(found.id, {"mode": "write"})


class Provision(Request):
    makes = ("id",)
    personal = ("owner_email",)
    id: Id
    name: NewName
    owner_email: Email | None = None
    plan: Word = "trial"
    trial_days: Annotated[
        Days | None,
        Field(default=None, description="begin a plan that has a price with a trial; a free one always does"),
    ]
    region: Annotated[Word, Field(description="the home region")] = "default"
    project: Annotated[Id, Field(description="the id of its first project")] = "main"
    env: Annotated[Env, Field(description="of its first key: live or test")] = "live"
    scopes: Annotated[list[Word] | None, Field(default=None, description="of the key; what is not named is denied")]


@operation(
    "tenants.provision",
    Provision,
    role="operator",
    risk=Risk.CONFIRM,
    key="o",
    undo="tenants.delete",
    undo_request=of_new,
    makes_secret=True,
)
async def provision(change: Change, request: Provision) -> Made:
    """Provision a tenant: plan, trial, project and first key at once."""
    facts = {"plan": request.plan, "region": request.region, "owner_email": request.owner_email or None}
    tenant = await change.of(TenantStore).create({"id": request.id, "name": request.name or request.id} | facts)
    await change.of(ProjectStore).create({"tenant_id": tenant.id, "id": request.project, "name": request.project})
    subscription = await change.of(SubscriptionStore).lock(tenant.id)
    if request.trial_days is not None and subscription.state != "trial":
        subscription = await begin_trial(change, subscription, request.plan, request.trial_days, "expired")
    of_key = {"tenant_id": tenant.id, "project_id": request.project, "env": request.env}
    key, value = await make_key(change, of_key | {"label": "first key", "scopes": request.scopes or []})
    ids = {"tenant": tenant.id, "project": request.project, "key_id": key.id, "display": key.display}
    return Made(ids | {"plan": tenant.plan, "state": subscription.state, "trial_end": subscription.trial_end}, value)
