"""Plans in words, the same for screens and commands."""

from __future__ import annotations

from controlplane.formatting import count
from controlplane.plans.currencies import money
from controlplane.plans.model import MAX_TENANTS_COUNTED, Cycle, Plan
from controlplane.plans.rules import UNLIMITED
from controlplane.text import UNKNOWN


def price_words(plan: Plan, cycle: Cycle) -> str:
    return money(plan.price(cycle), plan.currency)


def tenants_words(plan: Plan) -> str:
    if plan.tenants is not None and plan.tenants > MAX_TENANTS_COUNTED:
        return f"{MAX_TENANTS_COUNTED:,}+"
    return count(plan.tenants)


def limit_words(number: int | None) -> str:
    """A limit; one that is not set is unknown, which is not the same as unlimited."""
    return UNKNOWN if number is None else "unlimited" if number == UNLIMITED else f"{number:,}"
