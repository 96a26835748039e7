"""The list of objectives: the least budget first, unknown ones last. Only what is known to be good is green."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Any

from controlplane.filters.grammar import Term
from controlplane.lists import (
    DURATION,
    ID,
    NUMBER,
    SHARE,
    Cell,
    Column,
    Line,
    ListOf,
    Status,
    Tone,
    choice,
    status,
    status_cell,
)
from controlplane.objectives.model import KINDS, STATES, Objective, ObjectiveDirectory, Standing, State
from controlplane.objectives.refusals import NO_OBJECTIVE
from controlplane.objectives.rules import rank
from controlplane.objectives.words import (
    budget_words,
    burn_words,
    empties_words,
    left_words,
    promise_words,
    scope_words,
    target_words,
)

STATUSES: dict[State, Status] = {
    "page": Status("✕", "bad"),
    "ticket": Status("◐", "warn"),
    "exhausted": Status("✕", "bad"),
    "unknown": Status("?", "unknown"),
    "insufficient data": Status("?", "unknown", "too little data"),
    "ok": Status("●", "good"),
    "retired": Status("○", "muted"),
}
FILTERED = ("page", "ticket", "exhausted", "unknown", "insufficient", "ok", "retired")
"""The states, each by its first word."""


def _left(standing: Standing, now: datetime) -> Cell:
    left = standing.remaining
    tone: Tone = "unknown" if left is None else "bad" if left <= 0 else "warn" if left < 0.25 else ""
    return Cell(left_words(left), tone)


def _burn(standing: Standing, now: datetime) -> Cell:
    burn = standing.burn
    return Cell(burn_words(burn), "unknown" if burn is None else "warn" if burn > 1 else "")


def as_record(standing: Standing) -> dict[str, Any]:
    """Every field, flat, for `d`, exports and `--json`."""
    record = dataclasses.asdict(standing.objective) | {"scope": standing.objective.scope}
    record |= {
        name: getattr(standing, name)
        for name in ("state", "remaining", "remaining_raw", "remaining_contractual", "burn", "newest", "as_of")
    }
    record |= {"why": list(standing.why), "window_start": standing.start, "window_end": standing.end}
    record |= {"empties_in_seconds": standing.empties_in}
    for name, counts in (("raw", standing.raw), ("adjusted", standing.adjusted)):
        record |= {f"{name}_good": counts.good, f"{name}_total": counts.total}
    return record


def why_of(standing: Standing, rivals: Sequence[Objective] = ()) -> list[Line]:
    """Why it is in this state, and which requests it counts."""
    objective = standing.objective
    window = f"{standing.start:%Y-%m-%d %H:%M} to {standing.end:%Y-%m-%d %H:%M} UTC"
    lines: list[Line] = [(f"{objective.label}: {standing.state}", "title")]
    for words in (*standing.why, promise_words(objective), f"window: {window}", *budget_words(standing)):
        lines += wrap(words, 76, subsequent_indent="  ")
    newest = f"{standing.newest:%Y-%m-%d %H:%M:%S} UTC" if standing.newest else "none is known"
    lines += [f"newest request that is counted: {newest}", "", ("which requests it counts", "title")]
    lines += wrap(
        "Among objectives of one name, a request counts for the most specific one: "
        "a tenant's route, a tenant, a plan, a route, all.",
        76,
    )
    for each in sorted(rivals, key=rank, reverse=True):
        mine = each.id == objective.id
        lines.append((f"{'›' if mine else ' '} {scope_words(each)}", "" if mine else "muted"))
    return lines


OBJECTIVES: ListOf[Standing] = ListOf(
    "objectives",
    Standing,
    of=lambda plane: plane.of(ObjectiveDirectory),
    order="budget",
    summary="List objectives: the least budget first, unknown ones last.",
    means="What was promised, what is left of each error budget, how fast it burns. /state:retired shows the retired"
    " ones.",
    nothing="No objectives yet. Press a, then n, to set one.",
    empty="None matches. Press esc to clear the filter, or a, then n, to set one.",
    missing=NO_OBJECTIVE,
    label=lambda standing: standing.objective.label,
    opens=lambda standing: ("objectives", standing.key),
    why=lambda standing, now: why_of(standing),
    record=lambda standing, now: as_record(standing),
    search=lambda standing: (standing.objective.name, standing.objective.scope),
    few=True,
    columns=(
        Column("name", priority=1, width=12, title="OBJECTIVE", grow=True, sorts=True,
               value=lambda s: s.objective.name),
        Column("scope", filters=False, priority=2, width=12, title="OF", grow=True, value=lambda s: s.objective.scope),
        Column("state", status(STATUSES, FILTERED), priority=3, width=17, sorts=True,
               value=lambda s: s.state.partition(" ")[0], rank=lambda s: STATES.index(s.state),
               cell=lambda s, now: status_cell(STATUSES, s.state)),
        Column("budget", SHARE, priority=4, width=9, title="LEFT", field="remaining", cell=_left, sorts=True,
               what="what remains of the budget; may be below 0"),
        Column("burn", NUMBER, priority=5, width=6, cell=_burn, sorts=True,
               what="how fast it burns over the last hour; at 1 it lasts exactly one window"),
        Column("empty", DURATION, filters=False, priority=6, width=9, title="EMPTY IN", field="empties_in_seconds",
               cell=lambda s, now: empties_words(s)),
        Column("target", SHARE, priority=7, width=8, value=lambda s: s.objective.target, sorts=True,
               cell=lambda s, now: target_words(s.objective.target)),
        Column("period", filters=False, priority=8, width=7, title="WINDOW", value=lambda s: s.objective.period),
        Column("kind", choice(*KINDS), priority=9, width=12, value=lambda s: s.objective.kind),
        Column("id", ID, priority=9, width=4, title="NO", value=lambda s: s.objective.key),
        Column("tenant", field="tenant_id", value=lambda s: s.objective.tenant_id or ""),
        Column("plan", value=lambda s: s.objective.plan or ""),
        Column("route", value=lambda s: s.objective.route or ""),
    ),
)  # fmt: skip


def shown(standings: Iterable[Standing], terms: Sequence[Term], now: datetime) -> list[Standing]:
    """Those that match a filter. Retired ones match only when the filter asks for them."""
    retired = any(t.field == "state" and "retired" in t.values and not t.negated for t in terms)
    among = [each for each in standings if retired or each.state != "retired"]
    return OBJECTIVES.matching(among, terms, now)
