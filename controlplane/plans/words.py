"""Plans and subscriptions in words, the same on every face."""

from __future__ import annotations

from datetime import datetime

from controlplane.formatting import count, relative
from controlplane.plans.currencies import money
from controlplane.plans.model import MOST_COUNTED, Cycle, Plan, Subscription
from controlplane.plans.rules import MOST_EXTENSIONS, UNLIMITED, state_at
from controlplane.text import UNKNOWN


def price_words(plan: Plan, cycle: Cycle) -> str:
    return money(plan.price(cycle), plan.currency)


def tenants_words(plan: Plan) -> str:
    if plan.tenants is not None and plan.tenants > MOST_COUNTED:
        return f"{MOST_COUNTED:,}+"
    return count(plan.tenants)


def limit_words(number: int | None) -> str:
    """A limit; none that is set is not the same as one that is unlimited."""
    return UNKNOWN if number is None else "unlimited" if number == UNLIMITED else f"{number:,}"


def trial_words(held: Subscription, now: datetime) -> list[str]:
    """The trial's clock: what is tried, how long still, and what comes then. Nothing when there was none."""
    if held.trial_end is None:
        return []
    ends = f"{held.trial_end:%Y-%m-%d %H:%M} UTC ({relative(held.trial_end, now)})"
    extended = f"extended {held.extensions} of {MOST_EXTENSIONS} times"
    if state_at(held, now) == "trial":
        return [
            f"trial of {held.trial_plan} v{held.trial_version}, ends {ends}",
            f"  {extended}; then {held.trial_return}",
        ]
    if held.state == "suspended" and held.trial_end > now:
        return [f"trial of {held.trial_plan} v{held.trial_version}, not in force while suspended, ends {ends}"]
    return [f"had a trial of {held.trial_plan} v{held.trial_version}; its end: {ends}; {extended}"]
