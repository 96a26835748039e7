"""What a tenant is subscribed to, and what it may use."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Told, field_lines
from app.cli.output import Column, listed, table, tell
from app.cli.parameters import Parameter
from controlplane.formatting import count, show
from controlplane.plans.words import limit_words, value_words
from controlplane.subscriptions.list import SUBSCRIPTIONS
from controlplane.subscriptions.model import Effective, Listed, SubscriptionDirectory, Usage
from controlplane.subscriptions.words import trial_words
from controlplane.text import UNKNOWN, clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_subscription(plane: ControlPlane, held: Listed) -> Told:
    """Show a tenant's subscription: state, trial, period, and what waits for its day."""
    standing = await plane.of(SubscriptionDirectory).standing(held.tenant_id)
    pending = standing.pending
    lines = [*field_lines(SUBSCRIPTIONS.record(held, standing.as_of)), *trial_words(held, standing.as_of)]
    lines += [f"waits: {pending.summary}"] if pending else []
    return Told({"pending": dataclasses.asdict(pending) if pending else None}, lines)


Why = Annotated[bool, Parameter(help="Also show what is overridden, and by what.")]


async def effective(tenant_id: str, /, *, why: Why = False, asked: Reading = READING) -> None:
    """Show what a tenant may use: each value, where it comes from and until when; --why: also what is overridden."""
    async with opened(asked) as context:
        standing = await context.home.of(SubscriptionDirectory).standing(tenant_id)
    if asked.json:
        items = [_effective_record(each) for each in standing.effective]
        listed(items, standing.as_of)
        return
    rows = []
    for each in standing.effective:
        for place, claim in enumerate((each.holds, *(each.losers if why else ()))):
            until = show(claim.expires_at, standing.as_of, "utc") if claim.expires_at else ""
            name = each.name if place == 0 else "  overridden"
            rows.append([name, value_words(claim.value), claim.source, until, claim.words])
    heads = [Column("ENTITLEMENT"), Column("VALUE"), Column("SOURCE"), Column("UNTIL"), Column("FROM")]
    table(heads, rows)
    if standing.plan is None:
        tell(clean(f"The catalogue does not know the plan {standing.subscription.plan}: its limits are unknown."))


def _effective_record(each: Effective) -> dict[str, Any]:
    losers = [dataclasses.asdict(claim) for claim in each.losers]
    return {"name": each.name, **dataclasses.asdict(each.holds), "losers": losers}


async def usage(tenant_id: str, /, *, asked: Reading = READING) -> None:
    """Show how much of its quotas a tenant used, and when they reset."""
    async with opened(asked) as context:
        standing = await context.home.of(SubscriptionDirectory).standing(tenant_id)
    if asked.json:
        items = [_usage_record(each) for each in standing.usage]
        listed(items, standing.as_of)
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
