"""The catalogue of plans."""

from __future__ import annotations

import dataclasses

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Face, listing_command
from app.cli.output import Column, document, facts, say, table
from controlplane.formatting import count, show
from controlplane.plans.model import PLAN_FIELDS, PLAN_SORTS, Plan
from controlplane.plans.rules import value_words
from controlplane.plans.words import price_words, tenants_words

PLANS = Face(
    "plans",
    lambda home: home.plans,
    PLAN_FIELDS,
    PLAN_SORTS,
    {
        Column("PLAN"): lambda row, now: row.code,
        Column("NAME"): lambda row, now: row.name,
        Column("VERSION", "right"): lambda row, now: str(row.version),
        Column("MONTH", "right"): lambda row, now: price_words(row, "month"),
        Column("YEAR", "right"): lambda row, now: price_words(row, "year"),
        Column("BILLING"): lambda row, now: row.billing,
        Column("TRIAL", "right"): lambda row, now: f"{row.trial_days}d" if row.trial_days else "",
        Column("TENANTS", "right"): lambda row, now: tenants_words(row),
    },
)


plans = listing_command(PLANS, "List the plans, each in its latest version, and how many tenants have them.")


async def show_plan(code: str, /, *, asked: Reading = READING) -> None:
    """Show a plan: its entitlements, its versions, and how many tenants have each."""
    async with opened(asked) as context:
        versions = await context.home.plans.versions(code)
    latest: Plan = versions[0][0]
    if asked.json:
        records = [dataclasses.asdict(plan) | {"tenants": tenants} for plan, tenants in versions]
        document({"item": records[0] | {"versions": records}})
        return
    named = {"plan": latest.label, "name": latest.name, "month": price_words(latest, "month")}
    named |= {"year": price_words(latest, "year"), "billing": latest.billing, "trial days": str(latest.trial_days)}
    facts([*named.items(), *((name, value_words(value)) for name, value in sorted(latest.entitlements.items()))])
    say()
    rows = [[p.label, show(p.created_at, p.created_at, "utc"), p.created_by, count(n)] for p, n in versions]
    table([Column("VERSION"), Column("MADE"), Column("BY"), Column("TENANTS", "right")], rows)
