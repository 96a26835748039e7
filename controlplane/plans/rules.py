"""What an entitlement is, and which plans are for trials only: pure functions.

The database guards the same rules (tests compare both).
"""

from __future__ import annotations

import math
import re

from controlplane.plans.model import Kind, Plan, Value

MAX_TRIAL_DAYS = 90
PERIODS = {"hour": "an hour", "day": "a day", "month": "a month"}
"""The periods of a quota, as they are written after its limit."""
UNLIMITED = -1
_MAX_AMOUNT = 10**18 - 1
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


def kind_of(value: Value) -> Kind | None:
    """The kind of an entitlement's value, by its shape; None: it has none. -1 is unlimited, 0 is never a limit."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string" if 1 <= len(value) <= 200 else None
    if isinstance(value, int):
        return "integer" if value == UNLIMITED or _amount(value) else None
    if not isinstance(value, dict):
        return None
    if "hard" in value:
        return "quota" if _is_quota(value) else None
    return "rate" if "rps" in value and _is_rate(value) else None


def _amount(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_AMOUNT


def _is_quota(value: dict[str, Value]) -> bool:
    hard, soft = value["hard"], value.get("soft", 1)
    limited = not (isinstance(hard, int) and hard == UNLIMITED)
    return (
        value.keys() <= {"hard", "soft", "burst", "period"}
        and (not limited or _amount(hard))
        and _amount(soft)
        and _amount(value.get("burst", 1))
        and value.get("period") in PERIODS
        and (not limited or soft <= hard)
    )


def _is_rate(value: dict[str, Value]) -> bool:
    rps, wait = value["rps"], value.get("max_wait_ms", 0)
    return (
        value.keys() <= {"rps", "burst", "max_wait_ms"}
        and isinstance(rps, int | float)
        and not isinstance(rps, bool)
        and math.isfinite(rps)
        and 0 < rps <= 1_000_000
        and _amount(value.get("burst"))
        and (wait == 0 or _amount(wait))
        and not isinstance(wait, bool)
        and wait <= 9_999_999
    )


def is_trial_plan(plan: Plan) -> bool:
    """Whether a plan is for trials only: it costs nothing and has trial days."""
    return plan.month_price == 0 and plan.trial_days > 0
