"""The catalogue of plans, and what a tenant may use of it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from cyclopts import Parameter

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Face, listing_command
from app.cli.output import Column, document, facts, say, table, tell
from controlplane.formatting import count, show
from controlplane.plans.model import PLAN_FIELDS, PLAN_SORTS, Effective, Plan, Usage
from controlplane.plans.rules import state_at, value_words
from controlplane.plans.words import limit_words, price_words, tenants_words, trial_words
from controlplane.text import UNKNOWN, clean

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


async def subscription(tenant_id: str, /, *, asked: Reading = READING) -> None:
    """Show a tenant's subscription: state, trial, period, and what waits for its day."""
    async with opened(asked) as context:
        standing = await context.home.plans.standing(tenant_id)
    held = standing.subscription
    state = state_at(held, standing.as_of)
    if asked.json:
        pending = dataclasses.asdict(standing.pending) if standing.pending else None
        document({"item": dataclasses.asdict(held) | {"state_now": state, "pending": pending}})
        return
    from controlplane.previews import value_words as words

    facts((name, words(value)) for name, value in dataclasses.asdict(held).items())
    say(f"state now: {state}")
    for line in trial_words(held, standing.as_of):
        say(clean(line))
    if standing.pending:
        say(clean(f"waits: {standing.pending.summary}"))


Why = Annotated[bool, Parameter(help="Also what lost, and against what.", negative="")]


async def effective(tenant_id: str, /, *, why: Why = False, asked: Reading = READING) -> None:
    """Show what a tenant may use: each value, where it comes from and until when; --why: also what lost."""
    async with opened(asked) as context:
        standing = await context.home.plans.standing(tenant_id)
    if asked.json:
        items = [_effective_record(each) for each in standing.effective]
        document({"items": items, "next": None, "total": len(items), "as_of": standing.as_of})
        return
    rows = []
    for each in standing.effective:
        for place, claim in enumerate((each.holds, *(each.losers if why else ()))):
            until = show(claim.expires_at, standing.as_of, "utc") if claim.expires_at else ""
            name = each.name if place == 0 else "  lost"
            rows.append([name, value_words(claim.value), claim.source, until, claim.words])
    heads = [Column("ENTITLEMENT"), Column("VALUE"), Column("SOURCE"), Column("UNTIL"), Column("FROM")]
    table(heads, rows)
    if standing.plan is None:
        tell(clean(f"The catalogue does not know the plan {standing.subscription.plan}: its limits are unknown."))


def _effective_record(each: Effective) -> dict[str, Any]:
    losers = [dataclasses.asdict(claim) for claim in each.losers]
    return {"name": each.name, **dataclasses.asdict(each.holds), "losers": losers}


async def usage(tenant_id: str, /, *, asked: Reading = READING) -> None:
    """Show how much of its quotas a tenant used, and when they begin anew."""
    async with opened(asked) as context:
        standing = await context.home.plans.standing(tenant_id)
    if asked.json:
        items = [_usage_record(each) for each in standing.usage]
        document({"items": items, "next": None, "total": len(items), "as_of": standing.as_of})
        return
    heads = [Column("METRIC"), *(Column(title, "right") for title in ("USED", "SOFT", "HARD", "LEFT"))]
    rows = [
        [
            each.metric,
            count(each.used),
            limit_words(each.value.get("soft")),
            limit_words(each.value["hard"]),
            "unlimited" if each.value["hard"] == -1 else count(each.left),
            show(each.resets_at, standing.as_of, "utc"),
            each.source,
        ]
        for each in standing.usage
    ]
    table([*heads, Column("RESETS"), Column("SOURCE")], rows)
    if any(each.used is None for each in standing.usage):
        tell(f"{UNKNOWN}: nothing was ever counted, so it is not known.")


def _usage_record(each: Usage) -> dict[str, Any]:
    limits = {name: each.value.get(name) for name in ("soft", "hard", "burst", "period")}
    return dataclasses.asdict(each) | {"used": each.used, "left": each.left} | limits
