"""What `plans show` says of a plan."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from app.cli.lists import Told
from app.cli.output import Column, fact_lines, table_lines
from controlplane.formatting import count, show
from controlplane.plans.model import Plan, PlanDirectory
from controlplane.plans.words import price_words, value_words

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_plan(plane: ControlPlane, plan: Plan) -> Told:
    """Show a plan: its entitlements, its versions, and how many tenants have each."""
    versions = await plane.of(PlanDirectory).versions(plan.code)
    records = [dataclasses.asdict(version) | {"tenants": tenants} for version, tenants in versions]
    named = {"plan": plan.label, "name": plan.name, "month": price_words(plan, "month")}
    named |= {"year": price_words(plan, "year"), "billing": plan.billing, "trial days": str(plan.trial_days)}
    named |= {name: value_words(value) for name, value in sorted(plan.entitlements.items())}
    heads = [Column("VERSION"), Column("MADE"), Column("BY"), Column("TENANTS", "right")]
    rows = [[p.label, show(p.created_at, p.created_at, "utc"), p.created_by, count(n)] for p, n in versions]
    lines = [*fact_lines(named.items()), "", *table_lines(heads, rows)]
    return Told({"tenants": versions[0][1], "versions": records}, lines)
