"""A tenant's subscription: its state, its trial's clock, what is used, and what may be used."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.formatting import count, relative
from controlplane.lists import Line, status_cell
from controlplane.plans.rules import PERIODS
from controlplane.plans.words import limit_words, price_words, value_words
from controlplane.subscriptions.list import STATES, current_period
from controlplane.subscriptions.model import Claim, Standing, Subscription, SubscriptionDirectory, Usage
from controlplane.subscriptions.rules import state_at
from controlplane.subscriptions.words import state_lines, trial_words
from controlplane.text import UNKNOWN
from screens.detail import API_KEYS, TENANT, DetailScreen
from screens.panes import Facts, Seen, timeline

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

BAR_CELLS = 12


class SubscriptionScreen(DetailScreen[Standing]):
    noun = "subscriptions"
    rows = Subscription
    means = (
        "A tenant's subscription: what it may use, how much of it is used, and its changes. "
        "w says where each entitlement comes from and what it overrides."
    )
    panes = (
        Facts("facts", lambda seen: standing_lines(seen.thing, seen.now)),
        Facts("entitlements", lambda seen: entitlement_lines(seen.thing, seen.now)),
        timeline("tenant", "subscriptions", "plan_changes"),
    )
    grid, widths, heights = ("facts facts", "entitlements timeline"), "2fr 1fr", "13 1fr"
    related = (TENANT, API_KEYS)
    subject = "tenant_id"

    async def read(self, plane: ControlPlane) -> Standing:
        return await plane.of(SubscriptionDirectory).standing(self.thing_id)

    def row_of(self, thing: Standing) -> Subscription:
        return thing.subscription

    def record_of(self, thing: Standing) -> dict[str, Any]:
        return super().record_of(thing) | {"effective": {each.name: each.holds.value for each in thing.effective}}

    def why(self, seen: Seen[Standing]) -> list[Line]:
        return why_lines(seen.thing)


def standing_lines(standing: Standing, now: datetime) -> list[Line]:
    """All that a caller on the phone asks for, in that order; what is unknown is shown as unknown."""
    held, plan = standing.subscription, standing.plan
    state = state_at(held, now)
    start, end = current_period(held, standing.as_of)
    label = plan.label if plan else f"{held.plan} (not in the catalogue: its limits are unknown)"
    price = f"{price_words(plan, held.cycle)} a {held.cycle} in {plan.billing}" if plan else f"price {UNKNOWN}"
    lines: list[Line] = [(label, "title"), status_cell(STATES, state)]
    if held.tenant_status != "active":
        lines.append((f"the tenant itself is {held.tenant_status.replace('_', ' ')}", "bad"))
    if state == "grace":
        lines.append((f"grace until {held.grace_until:%Y-%m-%d %H:%M} UTC ({relative(held.grace_until, now)})", "warn"))
    lines += [price, f"period {start} to {end}, days of {held.billing_zone}"]
    lines += [(words, "warn" if state == "trial" else "muted") for words in trial_words(held, now)]
    if standing.pending:
        lines.append((f"waits: {standing.pending.summary}", "warn"))
    lines += ["", ("usage", "title")]
    lines += [usage_line(each, now) for each in standing.usage] or ["  no quotas are known"]
    return lines


def usage_line(usage: Usage, now: datetime) -> Line:
    hard, soft, used = usage.value["hard"], usage.value.get("soft"), usage.used
    resets = f"resets {relative(usage.resets_at, now)}"
    of = f"of {limit_words(hard)} {PERIODS[usage.value['period']]}"
    if used is None:
        return (f"  {usage.metric:<10} {'? never counted':<{BAR_CELLS + 5}} {UNKNOWN} {of}  {resets}", "muted")
    bar = " " * (BAR_CELLS + 5) if hard == -1 else f"{bar_of(used, hard)} {min(used / hard, 9.99):>4.0%}"
    tone = "bad" if hard != -1 and used >= hard else "warn" if soft is not None and used > soft else ""
    over = ", over soft" if tone == "warn" else ", FULL" if tone == "bad" else ""
    return (f"  {usage.metric:<10} {bar} {count(used)} {of}{over}  {resets}", tone)


def bar_of(used: int, hard: int) -> str:
    """A bar of the share that is used; its last cell fills only at 100 %."""
    full = min(BAR_CELLS, used * BAR_CELLS // hard)
    return "█" * full + "▁" * (BAR_CELLS - full)


def entitlement_lines(standing: Standing, now: datetime) -> list[Line]:
    """What holds, in columns as wide as they need to be."""
    names = max((len(each.name) for each in standing.effective), default=0)
    values = max((len(value_words(each.holds.value)) for each in standing.effective), default=0)
    lines = []
    for each in standing.effective:
        value = value_words(each.holds.value)
        lines.append(claim_line(f"{each.name:<{min(names, 20)}}  {value:<{min(values, 36)}}", each.holds, now))
    return lines or [(f"{UNKNOWN}: the catalogue does not say what it may use", "warn")]


def claim_line(words: str, claim: Claim, now: datetime) -> Line:
    """A grant beside the plan stands out, with its end; the end of a trial is shown once, in the facts."""
    if claim.grant is None:
        return f"{words}  {claim.source}"
    ends = f", {relative(claim.expires_at, now).removeprefix('in ')} left" if claim.expires_at else ""
    return (f"{words}  {claim.source} {claim.grant}{ends}", "warn")


def why_lines(standing: Standing) -> list[Line]:
    """Each entitlement with every source that claims it: the first applies, the others are overridden."""
    lines: list[Line] = [
        *state_lines(standing.subscription, standing.as_of),
        "in order of precedence: an override, an incident's grant, the trial, the plan",
        "",
    ]
    for each in standing.effective:
        lines.append((each.name, "title"))
        for place, claim in enumerate((each.holds, *each.losers)):
            verb = "applies   " if place == 0 else "overridden"
            grant = f" {claim.grant}" if claim.grant else ""
            until = f", until {claim.expires_at:%Y-%m-%d %H:%M} UTC" if claim.expires_at else ""
            words = f"  {verb}  {claim.source}{grant}: {value_words(claim.value)}{until}  {claim.words}"
            lines.append((words, "" if place == 0 else "muted"))
    return lines
