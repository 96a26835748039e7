"""What an operator can do with a tenant's subscription and its entitlements."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from controlplane import jsontext
from controlplane.audit.model import AuditRow, Record
from controlplane.errors import Conflict, Refusal
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.plans.model import Cycle, Plan, Value
from controlplane.plans.ports import PlanStore
from controlplane.plans.refusals import NO_PLAN
from controlplane.plans.rules import NAME, kind_of
from controlplane.subscriptions import rules
from controlplane.subscriptions.model import Facts, Standing, State, Subscription
from controlplane.subscriptions.ports import SubscriptionStore
from controlplane.subscriptions.proration import Proposal, propose
from controlplane.tenants import rules as tenant_rules
from controlplane.tenants.operations import Id, Version, Word, readable
from controlplane.tenants.ports import TenantStore
from controlplane.zones import a_zone, zone_of

if TYPE_CHECKING:
    from controlplane.changes import Change

Name = Annotated[str, Field(pattern=NAME.pattern, description="the entitlement: api_calls, concurrency …")]
Until = Annotated[str, Field(min_length=1, max_length=60, description="24h, 7d, or a time with its zone")]


class OneSubscription(Request):
    """A tenant's subscription, at the version that was seen."""

    subject = ("tenant_id",)
    tenant_id: Id
    version: Version


class PlanChangeRequest(OneSubscription):
    plan: Annotated[Word | None, Field(default=None, description="its code; default: the same plan")]
    plan_version: Annotated[int | None, Field(default=None, ge=1, description="a version; default: the latest")]
    cycle: Annotated[Cycle | None, Field(default=None, description="default: as it is")]
    on: Annotated[
        date | None, Field(default=None, description="the day; default: today if it costs more, else the period's end")
    ]
    at_once: Annotated[bool, Field(default=False, description="today, also when it costs less")]
    preview_hash: Annotated[
        str | None, Field(default=None, max_length=64, description="refuse when it would cost something else")
    ]


class StateRequest(OneSubscription):
    state: State
    until: Annotated[Until | None, Field(default=None, description="of grace: 24h, 7d, or a time with its zone")]


class ZoneRequest(OneSubscription):
    zone: Annotated[str, Field(min_length=1, max_length=64, description="Europe/Berlin …"), AfterValidator(a_zone)]


class GrantRequest(Request):
    subject = ("tenant_id",)
    tenant_id: Id
    name: Name
    value: Annotated[str, Field(max_length=2000, description='5, true, text, {"hard": 5, "period": "day"} …')]
    until: Until
    source: Annotated[Literal["override", "incident"], Field(default="override")]

    def read(self) -> Value:
        """The value as JSON, else the text itself. Numbers of a rate may have a fraction, limits may not."""
        try:
            return jsontext.read(self.value)
        except ValueError:
            return self.value

    @field_validator("value")
    @classmethod
    def _kind(cls, value: str) -> str:
        try:
            read = jsontext.read(value)
        except ValueError:
            read = value
        if kind_of(read) is None:
            raise ValueError("neither a limit (-1 is unlimited, 0 is none), nor true or false, a text, quota or rate")
        return readable(value)


class RaiseRequest(Request):
    subject = ("tenant_id",)
    tenant_id: Id
    name: Name
    to: Annotated[int, Field(ge=-1, le=10**18 - 1, description="the new hard limit; -1: unlimited")]
    until: Until


class OneGrant(Request):
    subject = ("tenant_id", "grant")
    tenant_id: Id
    grant: Annotated[int, Field(ge=1, description="the grant's number")]


async def _lock(change: Change, request: Any) -> Subscription:
    await change.of(TenantStore).lock(request.tenant_id)
    return await change.of(SubscriptionStore).lock(request.tenant_id)


async def _lock_open(change: Change, request: Any) -> Subscription:
    tenant_rules.check_open(await change.of(TenantStore).lock(request.tenant_id), "changed")
    return await change.of(SubscriptionStore).lock(request.tenant_id)


SUBSCRIPTION = Subject(Subscription, _lock_open, {Standing: lambda standing: standing.subscription})
"""The subscription of a tenant that is not being deleted."""
ANY_SUBSCRIPTION = replace(SUBSCRIPTION, lock=_lock)


async def known_plan(change: Change, code: str, version: int | None = None) -> Plan:
    found = await (
        change.of(PlanStore).latest(code) if version is None else change.of(PlanStore).version(code, version)
    )
    if found is None:
        words = code if version is None else f"{code} v{version}"
        raise NO_PLAN.of(words)
    return found


def today_of(subscription: Subscription, now: datetime) -> date:
    return now.astimezone(zone_of(subscription.billing_zone)).date()


def was_changed(row: AuditRow) -> Record:
    """The undo is made at once, to the version before; `previous_plan` says which plan it was, if another."""
    plan = {"plan": (row.after or {}).get("previous_plan")} if "previous_plan" in row.was else {}
    return {"at_once": True, "plan_version": (row.before or {}).get("plan_version")} | plan


@operation(
    "subscriptions.change",
    PlanChangeRequest,
    role="operator",
    risk=Risk.CONFIRM,
    key="c",
    needs_reason=True,
    undo="subscriptions.change",
    undo_request=was_changed,
    on=SUBSCRIPTION,
    check=lambda subscription, now: rules.check_change(subscription),
)
async def change_plan(change: Change, request: PlanChangeRequest, subscription: Subscription) -> Record:
    """Change a tenant's plan or cycle: upgrades at once, downgrades with the next period; the preview shows costs."""
    cycle = request.cycle or subscription.cycle
    new = await known_plan(change, request.plan or subscription.plan, request.plan_version)
    same = (subscription.plan, subscription.plan_version, subscription.cycle) == (new.code, new.version, cycle)
    waits = await change.of(SubscriptionStore).pending(request.tenant_id)
    if waits is not None:  # the newest change replaces it
        await change.of(SubscriptionStore).cancel_pending(request.tenant_id, change.now)
    if same:
        if waits is None:
            raise Refusal("plan_same", f"{request.tenant_id} has {new.label} by the {cycle} already.")
        return {"tenant_id": request.tenant_id, "plan": new.code, "canceled": waits.summary}
    old = (await change.of(SubscriptionStore).facts(request.tenant_id)).plan
    today = today_of(subscription, change.now)
    proposal = propose(subscription, old, new, cycle, today if request.at_once else request.on, today)
    if request.preview_hash not in (None, proposal.preview_hash):
        raise Conflict(
            "preview_changed",
            f"It would not be what you saw: {proposal.summary}.",
            "Look at the preview again (--dry-run), and repeat with its hash.",
            why=[f"hash given: {request.preview_hash}", f"hash now: {proposal.preview_hash}"],
        )
    return await carry_out(change, subscription, new, cycle, proposal)


async def carry_out(change: Change, subscription: Subscription, new: Plan, cycle: Cycle, proposal: Proposal) -> Record:
    """Record the change with its lines, and make it if its day is today."""
    tenant_id = subscription.tenant_id
    at_once = proposal.effective_on <= today_of(subscription, change.now)
    number = await change.of(SubscriptionStore).note_change(
        {
            "tenant_id": tenant_id,
            "from_plan": subscription.plan,
            "from_version": subscription.plan_version,
            "from_cycle": subscription.cycle,
            "plan": new.code,
            "version": new.version,
            "cycle": cycle,
            "direction": proposal.direction,
            "effective_on": proposal.effective_on,
            "period_start": proposal.period_start,
            "period_end": proposal.period_end,
            "currency": proposal.currency,
            "lines": proposal.records(),
            "summary": proposal.summary,
            "preview_hash": proposal.preview_hash,
            "applied_at": change.now if at_once else None,
        }
    )
    if at_once:
        if new.code != subscription.plan:
            await change.of(TenantStore).update(
                tenant_id, {"plan": new.code}
            )  # the subscription follows it to the latest
        held = await change.of(SubscriptionStore).lock(tenant_id)
        columns: Record = {}
        if held.plan_version != new.version:
            columns["plan_version"] = new.version
        if cycle != subscription.cycle:
            columns |= {"cycle": cycle, "period_start": proposal.effective_on}
        if columns:
            await change.of(SubscriptionStore).update(tenant_id, columns)
    return {
        "tenant_id": tenant_id,
        "change": number,
        "plan": new.code,
        "plan_version": new.version,
        "cycle": cycle,
        "direction": proposal.direction,
        "effective_on": proposal.effective_on.isoformat(),
        "currency": proposal.currency,
        "lines": proposal.records(),
        "summary": proposal.summary,
        "preview_hash": proposal.preview_hash,
        "applied": at_once,
    }


def was_in_state(row: AuditRow) -> Record:
    before = row.before or {}
    return {"until": before.get("grace_until")} if before.get("state") == "grace" else {}


@operation(
    "subscriptions.state",
    StateRequest,
    role="operator",
    risk=Risk.CONFIRM,
    key="s",
    needs_reason=True,
    undo="subscriptions.state",
    undo_request=was_in_state,
    on=SUBSCRIPTION,
)
async def set_state(change: Change, request: StateRequest, subscription: Subscription) -> Subscription:
    """Set a subscription's state; no entitlement is lost by that: they are derived, not erased."""
    rules.check_state(subscription, request.state)
    columns: Record = {"state": request.state}
    if request.state == "trial" and (subscription.trial_end is None or subscription.trial_end <= change.now):
        rules.check_start_trial(subscription)
        raise Refusal("no_trial", "A trial needs its end.", f"watchfloor subscriptions start-trial {request.tenant_id}")
    if request.state == "grace":
        if request.until is None:
            raise Refusal("grace_until", "A grace needs its end.", "Say it with --until 7d.")
        columns["grace_until"] = rules.instant(request.until, change.now, "until")
    return await change.of(SubscriptionStore).update(request.tenant_id, columns)


@operation("subscriptions.zone", ZoneRequest, role="operator", risk=Risk.CONFIRM, key="z", on=SUBSCRIPTION)
async def set_zone(change: Change, request: ZoneRequest, subscription: Subscription) -> Subscription:
    """Set the time zone of a tenant's bills and quotas."""
    return await change.of(SubscriptionStore).update(request.tenant_id, {"billing_zone": request.zone})


async def _give(change: Change, request: GrantRequest | RaiseRequest, value: Value, source: str) -> Record:
    given = await change.of(SubscriptionStore).grant(
        {
            "tenant_id": request.tenant_id,
            "name": request.name,
            "value": value,
            "source": source,
            "starts_at": change.now,
            "ends_at": rules.instant(request.until, change.now, "until"),
            "reason": change.reason or "",
        }
    )
    # Not "value": that is the field of a reveal's answer, which is shown for a minute.
    return {"tenant_id": given.tenant_id, "grant": given.id, "name": given.name, "until": given.ends_at}


@operation(
    "subscriptions.grant",
    GrantRequest,
    role="operator",
    risk=Risk.CONFIRM,
    key="g",
    needs_reason=True,
    undo="subscriptions.end-grant",
    on=SUBSCRIPTION,
)
async def grant(change: Change, request: GrantRequest, subscription: Subscription) -> Record:
    """Grant an entitlement beyond the plan for a while; as an override or for an incident."""
    value = request.read()
    rules.check_grant(
        _found(await change.of(SubscriptionStore).facts(request.tenant_id), change.now, request.name),
        request.name,
        value,
    )
    return await _give(change, request, value, request.source)


@operation(
    "subscriptions.raise",
    RaiseRequest,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    needs_reason=True,
    undo="subscriptions.end-grant",
    on=SUBSCRIPTION,
)
async def raise_limit(change: Change, request: RaiseRequest, subscription: Subscription) -> Record:
    """Raise a tenant's limit for a limited time; the rest of the entitlement stays."""
    found = _found(await change.of(SubscriptionStore).facts(request.tenant_id), change.now, request.name)
    return await _give(change, request, rules.raised(found, request.name, request.to), "override")


def _found(facts: Facts, now: datetime, name: str) -> Any:
    return rules.effective(facts, now).get(name)


@operation("subscriptions.end-grant", OneGrant, role="operator", risk=Risk.CONFIRM, key="x", on=ANY_SUBSCRIPTION)
async def end_grant(change: Change, request: OneGrant, subscription: Subscription) -> Record:
    """End a grant early: what it overrode applies again."""
    ended = await change.of(SubscriptionStore).end_grant(request.tenant_id, request.grant)
    return {"tenant_id": ended.tenant_id, "grant": ended.id, "name": ended.name, "ended_at": ended.ended_at}


class Nothing(Request):
    """No arguments: it is done for all tenants at once."""

    subject = ()


@operation("subscriptions.apply-due", Nothing, role="operator", risk=Risk.CONFIRM, key="d")
async def apply_due(change: Change, request: Nothing) -> Record:
    """Apply all plan changes that are due."""
    return {"applied": await change.of(SubscriptionStore).apply_due()}
