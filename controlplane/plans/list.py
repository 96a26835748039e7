"""The list of plans: the catalogue, each plan in its latest version."""

from __future__ import annotations

from datetime import datetime

from controlplane.lists import COUNT, NUMBER, TIME, Column, Line, ListOf, choice
from controlplane.plans.model import Plan, PlanDirectory
from controlplane.plans.refusals import NO_PLAN
from controlplane.plans.words import price_words, tenants_words


def why(plan: Plan, now: datetime) -> list[Line]:
    return [
        (plan.label, "title"),
        f"made {plan.created_at:%Y-%m-%d %H:%M} UTC by {plan.created_by}; a version never changes",
        "tenants: those with this plan in any version; press enter to see how many have each",
    ]


PLANS = ListOf(
    "plans",
    Plan,
    of=lambda plane: plane.of(PlanDirectory),
    order="code",
    summary="List the plans, each in its latest version, and how many tenants have them.",
    means="The plans, each in its latest version. Press enter to see one; :plan TENANT shows a tenant's subscription.",
    nothing="No plans yet. Make them from a file: watchfloor plans apply FILE.",
    empty="No plan matches. Press esc to clear the filter.",
    key=("code",),
    missing=NO_PLAN,
    operations=(),  # a catalogue is read from a file
    why=why,
    columns=(
        Column("code", priority=1, width=14, title="PLAN", grow=True, sorts=True),
        Column("name", priority=4, width=12, grow=True),
        Column("version", NUMBER, filters=False, priority=3, width=7),
        Column("tenants", COUNT, filters=False, priority=2, width=8, cell=lambda plan, now: tenants_words(plan)),
        Column("month", NUMBER, priority=5, width=12, field="month_price", sorts=True,
               cell=lambda plan, now: price_words(plan, "month"), what="price of a month, in minor units"),
        Column("year", NUMBER, filters=False, priority=6, width=14, field="year_price",
               cell=lambda plan, now: price_words(plan, "year")),
        Column("billing", choice("arrears", "advance"), priority=8, width=8),
        Column("trial", NUMBER, filters=False, priority=7, width=5, field="trial_days",
               cell=lambda plan, now: f"{plan.trial_days}d" if plan.trial_days else ""),
        Column("created", TIME, priority=9, title="MADE", field="created_at", sorts=True,
               what="time since this version was made"),
        Column("currency"),
    ),
)  # fmt: skip
