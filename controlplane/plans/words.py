"""Plans in words, the same for screens and commands."""

from __future__ import annotations

from controlplane.formatting import count
from controlplane.plans.currencies import money
from controlplane.plans.model import MAX_TENANTS_COUNTED, Cycle, Plan, Value
from controlplane.plans.rules import PERIODS, UNLIMITED, kind_of
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


def value_words(value: Value) -> str:
    """A value of an entitlement in words."""
    kind = kind_of(value)
    if kind == "boolean":
        return "yes" if value else "no"
    if kind == "integer":
        return limit_words(value)
    if kind == "quota":
        extras = [f"{name} {value[name]:,}" for name in ("soft", "burst") if name in value]
        return ", ".join([f"{limit_words(value['hard'])} {PERIODS[value['period']]}", *extras])
    if kind == "rate":
        waits = [f"waits {value['max_wait_ms']} ms"] if value.get("max_wait_ms") else []
        return ", ".join([f"{value['rps']:,.12g}/s", f"burst {value['burst']:,}", *waits])
    return str(value)
