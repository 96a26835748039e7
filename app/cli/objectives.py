"""Objectives on the command line: the list, one with its windows, what holds for a tenant, and what-if."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Told
from app.cli.output import Column, document, listed, say, table, table_lines, tell
from app.cli.parameters import Parameter
from controlplane.objectives import checks, model, rules
from controlplane.objectives.list import as_record
from controlplane.objectives.model import ObjectiveDirectory
from controlplane.objectives.refusals import OBJECTIVE_TARGET
from controlplane.objectives.words import (
    VERDICT_TITLES,
    budget_words,
    burn_words,
    empties_words,
    episode_words,
    fired_words,
    history_words,
    left_words,
    maintenance_words,
    promise_words,
    scope_words,
    target_words,
    verdict_cells,
    verdict_words,
)
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

MAX_EPISODES = 20


async def show_objective(plane: ControlPlane, standing: model.Standing) -> Told:
    """Show an objective: its budget, raw and adjusted, its windows, who burned it, and planned maintenance."""
    spent = await plane.of(ObjectiveDirectory).attribution(standing)
    planned = await plane.of(ObjectiveDirectory).maintenance(standing)
    lines = [f"{standing.objective.label}: {standing.state}"]
    lines += [f"  {words}" for words in (promise_words(standing.objective), *standing.why, *budget_words(standing))]
    lines += ["", *_window_lines(standing)]
    for title, shares in (("tenant", spent.tenants), ("route", spent.routes), ("key", spent.keys)):
        since = f" since {spent.keys_since:%Y-%m-%d %H:%M} UTC" if title == "key" else ""
        lines.append(f"burned by {title}{since}:" + ("" if shares else " nobody"))
        lines += [f"  {each.bad:>9,} bad of {each.total:>11,}  {each.who or 'without one'}" for each in shares[:10]]
    lines.append("burned by release: not known, no release is stored with a request")
    lines += [f"maintenance {maintenance_words(each)}" for each in planned]
    record = {
        "windows": _windows(standing),
        "attribution": dataclasses.asdict(spent) | {"releases": None},
        "maintenance": [dataclasses.asdict(each) for each in planned],
    }
    return Told(record, lines)


def _window_lines(standing: model.Standing) -> Iterator[str]:
    columns = [Column(title, "left" if title in ("PAIR", "OVER") else "right") for title in VERDICT_TITLES]
    rows = [[*verdict_cells(verdict, standing), verdict_words(verdict)] for verdict in standing.verdicts]
    return table_lines([*columns, Column("NOW")], rows)


def _windows(standing: model.Standing) -> list[dict[str, Any]]:
    return [
        {
            "severity": each.pair.severity,
            "long_seconds": each.pair.long.total_seconds(),
            "short_seconds": each.pair.short.total_seconds(),
            "budget_percent": each.pair.budget_percent,
            "factor": each.factor,
            "long_burn": each.long_burn,
            "short_burn": each.short_burn,
            "reachable": each.reachable,
            "fires": each.fires,
            "held": each.held,
        }
        for each in standing.verdicts
    ]


async def budget(
    tenant_id: str,
    /,
    *,
    route: Annotated[str | None, Parameter(help="What applies to its requests to this route.")] = None,
    why: Annotated[bool, Parameter(help="Also show what is overridden, and by what.")] = False,
    asked: Reading = READING,
) -> None:
    """Show which objectives apply to a tenant, and its own budget under each; --why: also what is overridden."""
    async with opened(asked) as context:
        found = await context.home.of(ObjectiveDirectory).of_tenant(tenant_id, route)
        now = context.home.clock.now()
    if asked.json:
        items = [
            as_record(standing)
            | {"windows": _windows(standing), "losers": [dataclasses.asdict(each) for each in held.losers]}
            for held, standing in found
        ]
        listed(items, now)
        return
    rows = []
    for held, standing in found:
        objective = held.objective
        first = [objective.name, scope_words(objective), standing.state, left_words(standing.remaining)]
        rows.append([*first, burn_words(standing.burn), empties_words(standing)])
        rows += [["  overridden", scope_words(each), "", "", "", ""] for each in (held.losers if why else ())]
    heads = [Column("OBJECTIVE"), Column("FROM"), Column("STATE")]
    table([*heads, *(Column(title, "right") for title in ("LEFT", "BURN", "EMPTY IN"))], rows)
    tell(f"{len(found):,} objectives hold for {clean(tenant_id)}; the budgets are of its own requests")


async def what_if(
    number: int,
    /,
    *,
    target: Annotated[str | None, Parameter(help="Another target: 99.95% or 0.9995.")] = None,
    period: Annotated[str | None, Parameter(help="Another window: 7d to 90d, week, month or quarter.")] = None,
    asked: Reading = READING,
) -> None:
    """Show what an objective would have fired over the stored history with another target or window."""
    async with opened(asked) as context:
        directory = context.home.of(ObjectiveDirectory)
        standing = await directory.standing(number)
        now, objective = standing.as_of, standing.objective
        other = dataclasses.replace(
            objective,
            target=_target(target, objective.target),
            period=checks.check_period(period or objective.period),
        )
        start, _ = rules.period_of(other.period, other.zone, now)
        slices = await directory.history(number, min(start, standing.start, now - timedelta(days=30)))
    sides = [
        (name, each, *rules.replayed(each, slices, now)) for name, each in (("as it is", objective), ("what if", other))
    ]
    if asked.json:
        items = [
            {"target": each.target, "period": each.period, "remaining": found.remaining, "state": found.state}
            | {"episodes": [dataclasses.asdict(episode) for episode in episodes]}
            for _, each, found, episodes in sides
        ]
        document({"item": {"now": items[0], "what_if": items[1], "known": history_words(slices)}})
        return
    heads = [
        Column(""),
        Column("TARGET", "right"),
        Column("WINDOW"),
        Column("LEFT", "right"),
        Column("WOULD HAVE FIRED"),
    ]
    rows = [
        [
            name,
            target_words(each.target),
            each.period,
            left_words(found.remaining),
            fired_words(episodes) if slices else "–",
        ]
        for name, each, found, episodes in sides
    ]
    table(heads, rows)
    episodes = sides[1][3]
    for episode in episodes[-MAX_EPISODES:]:
        say(clean(f"  {episode_words(episode)}"))
    for warning in checks.warnings(other, now):
        tell(clean(warning))
    tell(clean(history_words(slices)))


def _target(text: str | None, held: float) -> float:
    if text is None:
        return held
    try:
        value = round(float(text[:-1]) / 100, 8) if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise OBJECTIVE_TARGET(f"{clean(text, 40)} is no target: at least 0, below 1.", "99.9% or 0.999.")
    return value
