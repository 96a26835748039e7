"""Trials: started once, extended at most three times, converted or expired."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.errors import Refusal
from controlplane.operations import Risk, operation
from controlplane.plans.model import Cycle
from controlplane.plans.rules import MAX_TRIAL_DAYS, is_trial_plan
from controlplane.subscriptions import rules
from controlplane.subscriptions.model import State, Subscription
from controlplane.subscriptions.operations import (
    SUBSCRIPTION,
    Nothing,
    OneSubscription,
    carry_out,
    known_plan,
    today_of,
    was_in_state,
)
from controlplane.subscriptions.ports import SubscriptionStore
from controlplane.subscriptions.proration import propose
from controlplane.tenants.operations import Word
from controlplane.tenants.ports import TenantStore

if TYPE_CHECKING:
    from controlplane.changes import Change

Days = Annotated[int, Field(ge=1, le=MAX_TRIAL_DAYS)]


class TrialStart(OneSubscription):
    plan: Annotated[Word | None, Field(default=None, description="the plan to try; default: the tenant's own")]
    days: Annotated[Days | None, Field(default=None, description="default: as many as the plan says")]


class TrialExtend(OneSubscription):
    days: Annotated[int, Field(ge=1, le=MAX_TRIAL_DAYS, description="from its end, or from now when over")]


class TrialConvert(OneSubscription):
    plan: Annotated[Word | None, Field(default=None, description="default: the plan that was tried")]
    cycle: Annotated[Cycle | None, Field(default=None, description="default: as it is")]


@operation(
    "subscriptions.start-trial",
    TrialStart,
    role="operator",
    risk=Risk.CONFIRM,
    key="t",
    undo="subscriptions.state",
    undo_request=was_in_state,
    on=SUBSCRIPTION,
    check=lambda subscription, now: rules.check_start_trial(subscription),
)
async def start_trial(change: Change, request: TrialStart, subscription: Subscription) -> Subscription:
    """Start a trial of a plan: its entitlements take precedence over those of the tenant's own plan."""
    returns: State = "active" if subscription.state == "active" else "expired"
    return await begin_trial(change, subscription, request.plan or subscription.plan, request.days, returns)


async def begin_trial(
    change: Change, subscription: Subscription, code: str, days: int | None, returns: State
) -> Subscription:
    """`days` None: as many as the plan says. `returns`: the state that follows when the trial is over."""
    plan = await known_plan(change, code)
    days = days or plan.trial_days
    if not days:
        raise Refusal("trial_days", f"{plan.label} has no trial days of its own.", "Say how many: --days 14")
    return await change.of(SubscriptionStore).update(
        subscription.tenant_id,
        {
            "state": "trial",
            "trial_plan": plan.code,
            "trial_version": plan.version,
            "trial_start": change.now,
            "trial_end": change.now + timedelta(days=days),
            "trial_return": returns,
        },
    )


@operation(
    "subscriptions.extend-trial",
    TrialExtend,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    needs_reason=True,
    on=SUBSCRIPTION,
    check=lambda subscription, now: rules.check_extend(subscription),
)
async def extend_trial(change: Change, request: TrialExtend, subscription: Subscription) -> Subscription:
    """Extend a trial, at most three times; an expired one resumes."""
    end = rules.extended(subscription, request.days, change.now)
    return await change.of(SubscriptionStore).update(request.tenant_id, {"state": "trial", "trial_end": end})


@operation(
    "subscriptions.convert-trial",
    TrialConvert,
    role="operator",
    risk=Risk.CONFIRM,
    key="v",
    on=SUBSCRIPTION,
    check=lambda subscription, now: rules.check_convert(subscription),
)
async def convert_trial(change: Change, request: TrialConvert, subscription: Subscription) -> Record:
    """Convert a trial to a subscription: its first period begins today; one that is paid already goes on."""
    plan = await known_plan(change, request.plan or subscription.trial_plan or subscription.plan)
    if is_trial_plan(plan):
        raise Refusal(
            "plan_is_trial",
            f"{plan.label} costs nothing and is for trials only.",
            "Name the plan to convert to: --plan starter",
        )
    today = today_of(subscription, change.now)
    cycle = request.cycle or subscription.cycle
    if subscription.trial_return == "active":  # the plan that it paid during the trial is settled as in any change
        old = (await change.of(SubscriptionStore).facts(request.tenant_id)).plan
        await change.of(SubscriptionStore).update(request.tenant_id, {"state": "active"})
        proposal = propose(subscription, old, plan, cycle, today, today)
        return await carry_out(change, subscription, plan, cycle, proposal)
    await change.of(SubscriptionStore).update(
        request.tenant_id, {"state": "active", "cycle": cycle, "period_start": today}
    )
    if plan.code != subscription.plan:
        await change.of(TenantStore).update(request.tenant_id, {"plan": plan.code})
    return {
        "tenant_id": request.tenant_id,
        "plan": plan.code,
        "plan_version": plan.version,
        "cycle": cycle,
        "period_start": today.isoformat(),
        "price": plan.price(cycle),
        "currency": plan.currency,
    }


@operation("subscriptions.expire-trials", Nothing, role="operator", risk=Risk.CONFIRM, key="o")
async def expire_trials(change: Change, request: Nothing) -> Record:
    """End the trials and graces that are over; reminders that are due (7, 3 and 1 days before) are recorded."""
    ended, reminded = await change.of(SubscriptionStore).expire_trials()
    return {"ended": ended, "reminded": reminded}
