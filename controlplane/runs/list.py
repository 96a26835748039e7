"""The lists of runs and of one run's items."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from controlplane.lists import COUNT, ID, TIME, Cell, Column, Line, ListOf, Status, status
from controlplane.runs.bulk import OUTSIDE
from controlplane.runs.model import ItemState, Run, RunDirectory, RunItem, Standing
from controlplane.runs.refusals import NO_RUN

STANDINGS: dict[Standing, Status] = {
    "running": Status("▶", "good"),
    "waiting": Status("◌", "muted"),
    "interrupted": Status("◌", "warn"),
    "held": Status("◐", "warn"),
    "paused": Status("◐", "warn"),
    "stopped": Status("■", "muted"),
    "done": Status("●", "good"),
}
VERDICTS: dict[ItemState, Status] = {
    "waiting": Status("◌", "muted"),
    "done": Status("●", "good"),
    "refused": Status("✕", "bad"),
    "skipped": Status("○", "muted"),
}
DRIVEN: dict[Standing, str] = {
    "running": "a program does one item after another",
    "waiting": "a worker begins it; or press a, then r, to begin it here",
    "held": "so many at once need a second person: once one has approved, press a, then l, to let it begin",
    "interrupted": "the program that carried it is gone: a worker continues it; or press a, then r, to resume it here",
}


NO_ORDER = "messages are replayed in any order, also those with the same key"
OUTSIDE_DRIVEN: dict[Standing, str] = {
    "waiting": "a program whose settings name its source begins it: a worker, or this console by a, then r",
    "interrupted": "a program whose settings name its source continues it: a worker, or this console by a, then r",
}
"""Of runs over messages of other systems."""


def why(run: Run, now: datetime) -> list[Line]:
    from controlplane.runs.operations import dead_secrets, target

    driven = DRIVEN.get(run.standing, "")
    if target(run.operation).noun == OUTSIDE:
        driven = OUTSIDE_DRIVEN.get(run.standing, driven)
    if run.standing == "interrupted" and target(run.operation).undo:
        driven += ", or a, then u, to undo it"
    return [
        (f"run {run.id}: {run.operation}", "title"),
        f"{run.standing}{': ' + run.why if run.why else ''}{'; ' * bool(driven)}{driven}",
        *([f"carried by a program of {run.driver}"] if run.driver else []),
        f"reason: {run.reason or 'none was given'}",
        f"things: {'those that matched ' + run.filter if run.filter else 'named one by one'}, fixed at its start",
        *([dead] if (dead := dead_secrets(run)) else []),
        *([NO_ORDER] if run.operation in ("queues.replay", "messages.replay", "deliveries.replay") else []),
        f"pace: {run.per_second:g} per second; it pauses above {run.breaker_share:.0%} refusals of the last ones",
    ]


RUNS = ListOf(
    "runs",
    Run,
    of=lambda plane: plane.of(RunDirectory),
    order="-created",
    summary="List runs, newest first: one operation done to many things.",
    means="One operation done to many things, paced, paused when too many are refused, with a verdict for each.",
    nothing="No run yet. In any list mark rows with space, then press a.",
    missing=NO_RUN,
    label=lambda run: f"run {run.id}",
    opens=lambda run: ("runs", run.key),
    why=why,
    columns=(
        Column("id", ID, filters=False, priority=1, width=5, title="RUN", sorts=True),
        Column("operation", priority=2, width=16),
        Column("state", status(STANDINGS), priority=3, width=13, field="standing"),
        Column("done", COUNT, filters=False, priority=4, width=11,
               cell=lambda run, now: f"{run.settled:,}/{run.total:,}"),
        Column("refused", COUNT, priority=5, width=7, what="how many items were refused",
               cell=lambda run, now: Cell(str(run.refused), "bad" if run.refused else "")),
        Column("actor", priority=7, width=10, title="WHO", what="who started it"),
        Column("why", filters=False, priority=6, width=12, grow=True,
               cell=lambda run, now: run.why or run.reason or ""),
        Column("rate", filters=False, priority=9, width=6, field="per_second", title="RATE", what="at most, a second",
               cell=lambda run, now: f"{run.per_second:g}/s"),
        Column("created", TIME, priority=8, title="STARTED", field="created_at", sorts=True),
    ),
)  # fmt: skip

ITEMS = ListOf(
    "items",
    RunItem,
    of=lambda plane, run: plane.of(RunDirectory).items(int(run)),
    order="ordinal",
    summary="",
    means="Every thing of this run with its verdict.",
    nothing="Nothing here yet.",
    key=("ordinal",),
    record=lambda item, now: dataclasses.asdict(item) | {"request_id": item.request_id},
    columns=(
        Column("ordinal", ID, filters=False, priority=2, width=6, title="#", sorts=True),
        Column("thing", priority=1, width=20, grow=True),
        Column("state", status(VERDICTS), priority=1, width=11, title="VERDICT"),
        Column("code", priority=3, width=18, what="the refusal's code"),
        Column("words", filters=False, priority=4, width=24, title="WHY", grow=True),
    ),
)
