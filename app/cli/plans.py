"""The catalogue of plans."""

from __future__ import annotations

import dataclasses

from app.cli.asked import READING, Reading, opened
from app.cli.output import Column, document, facts, say, table
from controlplane.formatting import count, show
from controlplane.plans.model import Plan, PlanDirectory
from controlplane.plans.rules import value_words
from controlplane.plans.words import price_words


async def show_plan(code: str, /, *, asked: Reading = READING) -> None:
    """Show a plan: its entitlements, its versions, and how many tenants have each."""
    async with opened(asked) as context:
        versions = await context.home.of(PlanDirectory).versions(code)
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
