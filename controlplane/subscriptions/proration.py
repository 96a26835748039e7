"""What a change of plan costs: one function for the preview and the commit.

Amounts are integers in minor units, rounded half up once per line. The day of the change belongs to the new plan. Days
are calendar days in the tenant's billing zone, so a day of 23 or 25 hours counts as one.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Literal

from controlplane.errors import Usage
from controlplane.plans.currencies import money
from controlplane.plans.model import Cycle, Plan
from controlplane.plans.refusals import CURRENCY_OTHER
from controlplane.subscriptions.model import Subscription


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill, in minor units; a credit is negative. `due`: the day on which it is charged."""

    plan: str
    days: int
    of_days: int
    amount: int
    due: date


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of plan as it would be made."""

    direction: Literal["upgrade", "downgrade", "unknown"]
    effective_on: date
    period_start: date
    period_end: date
    currency: str
    lines: tuple[Line, ...]
    summary: str
    preview_hash: str

    def records(self) -> list[dict[str, object]]:
        return [asdict(line) | {"due": line.due.isoformat()} for line in self.lines]


def line_words(line: Mapping[str, Any], currency: str) -> str:
    """A line's record in words."""
    return f"{line['days']} of {line['of_days']} days of {line['plan']} {money(line['amount'], currency)}"


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last when it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def period_of(anchor: date, cycle: Cycle, day: date) -> tuple[date, date]:
    """The period that `day` is in, as its first day and the first day after it."""
    step = 1 if cycle == "month" else 12
    n = ((day.year - anchor.year) * 12 + day.month - anchor.month) // step
    if add_months(anchor, n * step) > day:
        n -= 1
    return add_months(anchor, n * step), add_months(anchor, (n + 1) * step)


def share(price: int, days: int, of_days: int) -> int:
    """The part of a price for some of its days, rounded half up."""
    return (2 * price * days + of_days) // (2 * of_days)


def propose(
    subscription: Subscription, old: Plan | None, new: Plan, cycle: Cycle, on: date | None, today: date
) -> Proposal:
    """What changing to a plan means. Without `on`, an upgrade begins today, a downgrade with the next period.

    `old` None: its price is unknown, so nothing is charged or credited for it.
    """
    if old is not None and old.currency != new.currency:
        raise CURRENCY_OTHER(f"{old.label} is in {old.currency}, {new.label} in {new.currency}.")
    direction = _direction(subscription, old, new, cycle, today)
    if on is None:
        current_end = period_of(subscription.period_start, subscription.cycle, today)[1]
        on = current_end if direction == "downgrade" else today
    elif on < today:
        raise Usage("change_in_past", f"{on} is over; today is {today} in {subscription.billing_zone}.")
    start, end = period_of(subscription.period_start, subscription.cycle, on)
    lines = _lines(subscription, old, new, cycle, on, start, end, billed=on > start or on == today)
    when = "at once" if on == today else f"on {on}, the period's end" if on == start else f"on {on}"
    parts = [line_words(asdict(line), new.currency) for line in lines]
    if old is None:
        parts.append(f"{subscription.plan} is not in the catalogue: its part is unknown")
    summary = f"{direction} {when}: {'; '.join(parts)}"
    facts = [subscription.tenant_id, subscription.version, subscription.plan, new.code, new.version, cycle, summary]
    return Proposal(direction, on, start, end, new.currency, lines, summary, _digest([*facts, str(start), str(end)]))


def _direction(
    subscription: Subscription, old: Plan | None, new: Plan, cycle: Cycle, today: date
) -> Literal["upgrade", "downgrade", "unknown"]:
    """By the price per day; an equal price counts as an upgrade."""
    if old is None:
        return "unknown"
    start, end = period_of(subscription.period_start, subscription.cycle, today)
    was = Fraction(old.price(subscription.cycle), (end - start).days)
    if cycle != subscription.cycle:
        start, end = period_of(today, cycle, today)
    return "upgrade" if Fraction(new.price(cycle), (end - start).days) >= was else "downgrade"


def _lines(
    subscription: Subscription,
    old: Plan | None,
    new: Plan,
    cycle: Cycle,
    on: date,
    start: date,
    end: date,
    *,
    billed: bool,
) -> tuple[Line, ...]:
    """`billed`: the period has begun, so a plan paid in advance has been charged for it."""
    days, used = (end - start).days, (on - start).days
    left = days - used
    lines = []
    if old is not None:
        price = old.price(subscription.cycle)
        if old.billing == "arrears":
            lines.append(Line(old.label, used, days, share(price, used, days), on))
        elif billed:
            lines.append(Line(old.label, left, days, -share(price, left, days), on))
    price = new.price(cycle)
    if cycle == subscription.cycle:
        due = end if new.billing == "arrears" else on
        lines.append(Line(new.label, left, days, share(price, left, days), due))
    else:  # another cycle begins its own period
        begins, ends = period_of(on, cycle, on)
        whole = (ends - begins).days
        lines.append(Line(new.label, whole, whole, price, ends if new.billing == "arrears" else on))
    return tuple(line for line in lines if line.days)


def _digest(facts: list[object]) -> str:
    import hashlib  # loads OpenSSL: not before the first paint

    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
