"""The list of subscriptions: what each tenant has, and what ends when."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from typing import Any

from controlplane.lists import FLAG, UNTIL, Cell, Column, Line, ListOf, Status, choice, status
from controlplane.plans.model import CYCLES
from controlplane.subscriptions.model import Listed, State, Subscription, SubscriptionDirectory
from controlplane.subscriptions.refusals import NO_SUBSCRIPTION
from controlplane.subscriptions.words import state_lines, trial_words
from controlplane.tenants.list import STATES as TENANT_STATES
from controlplane.tenants.list import charts_of
from controlplane.tenants.model import STATUSES

STATES: dict[State, Status] = {
    "trial": Status("◔", "warn"),
    "active": Status("●", "good"),
    "grace": Status("◐", "warn"),
    "past_due": Status("◐", "warn", "past due"),
    "suspended": Status("◐", "bad"),
    "expired": Status("✕", "bad"),
    "canceled": Status("✕", "bad"),
}
ENDS = UNTIL._replace(none=Cell(""))


def plan_cell(row: Subscription) -> str | Cell:
    if row.plan_version is None:
        return Cell(f"? {row.plan}", "unknown")
    return f"{row.plan} v{row.plan_version}"


def current_period(row: Subscription, now: datetime) -> tuple[date, date]:
    """The period of today, as its first day and the first day after it."""
    from controlplane.subscriptions.proration import period_of  # not before the first paint

    return period_of(row.period_start, row.cycle, now.date())


def _record(row: Listed, now: datetime) -> dict[str, Any]:
    return dataclasses.asdict(row) | {"period_end": current_period(row, now)[1]}


def _why(row: Listed, now: datetime) -> list[Line]:
    return [*state_lines(row, now), *trial_words(row, now)]


SUBSCRIPTIONS = ListOf(
    "subscriptions",
    Listed,
    of=lambda plane: plane.of(SubscriptionDirectory),
    order="tenant",
    summary="List subscriptions: trial<7d finds whose trial ends this week, state:past_due who has not paid.",
    means="What each tenant has. trial<7d finds whose trial ends this week, state:past_due who has not paid.",
    nothing="No subscriptions yet. Each tenant has one: create one in :tenants.",
    key=("tenant",),
    missing=NO_SUBSCRIPTION,
    opens=lambda row: ("subscriptions", row.tenant_id),
    charts=lambda row, now: charts_of(row.tenant_id),
    why=_why,
    record=_record,
    columns=(
        Column("tenant", priority=1, width=16, field="tenant_id", grow=True, sorts=True),
        Column("plan", priority=3, width=12, cell=lambda row, now: plan_cell(row), grow=True, sorts=True),
        Column("state", status(STATES), priority=2, width=11, field="state_now"),
        Column("trial", ENDS, priority=4, title="TRIAL ENDS", field="trial_end", sorts=True,
               value=lambda row: row.trial_end if row.state_now == "trial" else None,
               what="time until the trial ends, of those that are on trial"),
        Column("grace", ENDS, priority=5, title="GRACE ENDS", field="grace_until", sorts=True,
               value=lambda row: row.grace_until if row.state_now == "grace" else None,
               what="time until the grace ends, of those that have one"),
        Column("cycle", choice(*CYCLES), priority=6, width=6),
        Column("period", filters=False, priority=7, width=11, title="PERIOD ENDS", field="period_end",
               value=lambda row: None, cell=lambda row, now: str(current_period(row, now)[1])),
        Column("status", status(TENANT_STATES, STATUSES), priority=10, width=11, title="TENANT IS",
               field="tenant_status", what="the state of the tenant itself"),
        Column("unknown", FLAG, value=lambda row: row.plan_version is None,
               what="its plan is not in the catalogue: its limits are unknown"),
    ),
)  # fmt: skip
