"""Which entitlement holds, and which states may follow each other: pure functions.

The database guards the same rules (tests compare both); these say in words why not, before it is tried.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controlplane.errors import Refusal, Usage
from controlplane.formatting import parse_duration, relative
from controlplane.plans.model import Value
from controlplane.plans.rules import UNLIMITED, kind_of
from controlplane.plans.words import limit_words, value_words
from controlplane.subscriptions.model import Claim, Effective, Facts, State, Subscription
from controlplane.subscriptions.refusals import SUBSCRIPTION_TRANSITION, TRIAL_EXTENSIONS, TRIAL_ONCE

FOLLOWS: dict[State, tuple[State, ...]] = {
    "trial": ("active", "expired", "suspended", "canceled"),
    "active": ("trial", "past_due", "grace", "suspended", "canceled"),
    "past_due": ("active", "grace", "suspended", "canceled"),
    "grace": ("active", "suspended", "expired", "canceled"),
    "suspended": ("trial", "active", "past_due", "grace", "expired", "canceled"),
    "expired": ("trial", "active", "canceled"),
    "canceled": ("active",),
}
"""Which states may follow each."""
MAX_TRIAL_EXTENSIONS = 3
_RANK = {"override": 1, "incident": 2, "trial": 3, "plan": 4}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def effective(facts: Facts, at: datetime) -> dict[str, Effective]:
    """What holds: override before incident before trial before plan; among equals, the one that began last."""
    found: dict[str, list[Claim]] = {}
    for grant in facts.grants:
        if grant.starts_at <= at < grant.ends_at and (grant.ended_at is None or at < grant.ended_at):
            words = f"{grant.reason} ({grant.by})"
            claim = Claim(grant.value, grant.source, grant.starts_at, grant.ends_at, grant.id, words)
            found.setdefault(grant.name, []).append(claim)
    trial, began, ends = facts.trial, facts.trial_start, facts.trial_end
    if trial is not None and facts.state == "trial" and began and ends and began <= at < ends:
        for name, value in trial.entitlements.items():
            found.setdefault(name, []).append(Claim(value, "trial", began, ends, words=trial.label))
    if facts.plan is not None:
        for name, value in facts.plan.entitlements.items():
            found.setdefault(name, []).append(Claim(value, "plan", words=facts.plan.label))
    ranked = {}
    for name, claims in sorted(found.items()):
        claims.sort(key=lambda claim: (claim.starts_at or _LONG_AGO, claim.grant or 0), reverse=True)
        claims.sort(key=lambda claim: _RANK[claim.source])
        ranked[name] = Effective(name, claims[0], tuple(claims[1:]))
    return ranked


def state_at(subscription: Subscription, at: datetime) -> State:
    """The state at a time: a trial or a grace is over when its end has passed, even if the row does not say so yet."""
    if subscription.state == "trial" and subscription.trial_end and subscription.trial_end <= at:
        return subscription.trial_return or "expired"
    if subscription.state == "grace" and subscription.grace_until and subscription.grace_until <= at:
        return "expired"
    return subscription.state


def check_state(subscription: Subscription, becomes: State) -> None:
    was = subscription.state
    if was == becomes:
        raise Refusal("already_so", f"The subscription of {subscription.tenant_id} is {was} already.")
    if becomes not in FOLLOWS[was]:
        after = sorted(FOLLOWS[was])
        raise SUBSCRIPTION_TRANSITION(
            f"The subscription of {subscription.tenant_id} is {was}; it cannot become {becomes}.",
            f"It can become {', '.join(after)}.",
            why=[f"state: {was}", f"allowed next: {', '.join(after)}"],
        )


def check_start_trial(subscription: Subscription) -> None:
    if subscription.trial_start is not None:
        raise TRIAL_ONCE(
            f"{subscription.tenant_id} has had its trial: it began {subscription.trial_start:%Y-%m-%d}.",
            "Extend it while it lasts or after it expired: watchfloor subscriptions extend-trial",
            why=[
                f"trial of {subscription.trial_plan} v{subscription.trial_version}",
                f"until {subscription.trial_end}",
            ],
        )
    check_state(subscription, "trial")


def check_extend(subscription: Subscription) -> None:
    if subscription.trial_end is None or subscription.state not in ("trial", "expired"):
        raise Refusal(
            "no_trial",
            f"{subscription.tenant_id} has no trial to extend; its subscription is {subscription.state}.",
            f"To start one: watchfloor subscriptions start-trial {subscription.tenant_id}",
        )
    if subscription.extensions >= MAX_TRIAL_EXTENSIONS:
        raise TRIAL_EXTENSIONS(
            f"The trial of {subscription.tenant_id} was extended {subscription.extensions} times, which is the limit.",
            f"Convert it (watchfloor subscriptions convert-trial {subscription.tenant_id}), or let it end.",
            why=[f"extensions: {subscription.extensions}", f"most: {MAX_TRIAL_EXTENSIONS}"],
        )


def extended(subscription: Subscription, days: int, now: datetime) -> datetime:
    """The new end: from the old one, or from now when that is over."""
    assert subscription.trial_end is not None
    return max(subscription.trial_end, now) + timedelta(days=days)


def check_convert(subscription: Subscription) -> None:
    if subscription.trial_start is None or subscription.state not in ("trial", "expired"):
        raise Refusal(
            "no_trial",
            f"{subscription.tenant_id} has no trial to convert; its subscription is {subscription.state}.",
            f"For another plan: watchfloor subscriptions change {subscription.tenant_id} --plan …",
        )


def check_change(subscription: Subscription) -> None:
    """A change of plan is charged; a trial, expired or canceled subscription pays nothing."""
    if subscription.state in ("trial", "expired", "canceled"):
        way = "convert-trial" if subscription.trial_start and subscription.state != "canceled" else "state"
        raise Refusal(
            "plan_not_paid",
            f"The subscription of {subscription.tenant_id} is {subscription.state}: there is no plan to change from.",
            f"watchfloor subscriptions {way} {subscription.tenant_id}",
            why=[f"state: {subscription.state}"],
        )


def check_grant(found: Effective | None, name: str, value: Value) -> None:
    """Raises Refusal `grant_kind`: a value can be overridden only by one of its kind, a quota not by a text."""
    kind = kind_of(value)
    if found is not None and kind_of(found.holds.value) != kind:
        raise Refusal(
            "grant_kind",
            f"{name} is of the kind {kind_of(found.holds.value)}; what you give is of the kind {kind}.",
            f"It is now: {value_words(found.holds.value)}",
        )


def raised(found: Effective | None, name: str, to: int) -> Value:
    """The value with its limit raised, all else as it is."""
    if found is None:
        raise Refusal("limit_unknown", f"The limit {name} is unknown, so it cannot be raised.", "Grant a whole value.")
    value, kind = found.holds.value, kind_of(found.holds.value)
    if kind not in ("integer", "quota"):
        words = f"{name} is of the kind {kind}; only an integer or a quota can be raised."
        raise Refusal("not_a_limit", words, "Grant a whole value.")
    now = value if kind == "integer" else value["hard"]
    if now == UNLIMITED or 0 <= to <= now:
        raise Refusal("not_a_raise", f"{name} is {limit_words(now)} already; {to:,} does not raise it.", "Give more.")
    return to if kind == "integer" else value | {"hard": to}


def instant(text: str, now: datetime, what: str) -> datetime:
    """A time in the future: "24h", "7d", or an ISO time with its zone. Raises Usage."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = now + timedelta(seconds=parse_duration(text))
    if at.tzinfo is None:
        raise Usage("time_without_zone", f"{what}: {text} has no zone.", "Write 24h, 7d or 2026-12-01T12:00:00Z.")
    if at <= now:
        raise Usage(
            "time_over", f"{what}: {text} is not in the future ({relative(at, now)}).", "Give a time in the future."
        )
    return at
