"""The lists of runbooks: the runbooks themselves, their executions, and the steps of one."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from controlplane.formatting import relative, spell
from controlplane.lists import (
    COUNT,
    FLAG,
    ID,
    TEXT,
    TIME,
    Cell,
    Column,
    Line,
    ListOf,
    Status,
    choice,
    status,
    status_cell,
)
from controlplane.runbooks.model import (
    Execution,
    ExecutionDirectory,
    RunbookDirectory,
    RunbookRow,
    StepDirectory,
    StepRow,
)
from controlplane.runbooks.refusals import NO_EXECUTION, NO_RUNBOOK, NO_STEP
from controlplane.text import clean

STATES = {
    "open": Status("◐", "warn"),
    "stopped": Status("○", "muted"),
    "failed": Status("✕", "bad"),
    "unknown": Status("?", "unknown"),
    "passed": Status("●", "good"),
}
STEP_STATES = {
    "waiting": Status("◌", "muted"),
    "claimed": Status("◐", "warn"),
    "begun": Status("◐", "warn"),
    "passed": Status("●", "good"),
    "failed": Status("✕", "bad"),
    "unknown": Status("?", "unknown"),
    "skipped": Status("○", "muted"),
}


def _why(name: str) -> Any:
    """The words of that name; what they lean on is loaded when they are first asked for."""

    def lines(row: Any, now: datetime) -> list[Line]:
        from controlplane.runbooks import words

        found: list[Line] = getattr(words, name)(row, now)
        return found

    return lines


def _state(row: RunbookRow, now: datetime) -> Cell:
    if row.fault:
        return Cell("✕ cannot be read", "bad")
    return status_cell(STATES, row.state) if row.state else Cell("never run", "muted")


def _drilled(row: RunbookRow, now: datetime) -> Cell:
    if row.drilled is None or row.drilled_at is None:
        return Cell("never", "warn")
    return Cell(f"{row.drilled} {relative(row.drilled_at, now)}", "good" if row.drilled == "passed" else "warn")


def runbook_record(row: RunbookRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__ if name not in ("runbook", "version")}


RUNBOOKS: ListOf[RunbookRow] = ListOf(
    "runbooks",
    RunbookRow,
    of=lambda plane: plane.of(RunbookDirectory),
    order="name",
    summary="List runbooks: what to do, step by step, when something is wrong.",
    means="What to do, step by step. Enter shows one; a, then r, begins an execution of it.",
    nothing="There is no runbook.",
    key=("name",),
    missing=NO_RUNBOOK,
    label=lambda row: row.name,
    opens=lambda row: ("runbooks", row.name),
    why=_why("runbook_lines"),
    record=lambda row, now: runbook_record(row),
    search=lambda row: (row.name, row.title, row.means),
    few=True,
    columns=(
        Column("name", priority=1, width=20, grow=True, sorts=True),
        Column("title", priority=2, width=18, grow=True),
        Column("steps", COUNT, priority=4, width=5),
        Column("last", priority=1, width=16, filters=False, title="LAST EXECUTION", value=lambda row: row.state or "",
               cell=_state),
        Column("at", TIME, priority=3, sorts=True, title="BEGUN"),
        Column("drill", priority=3, width=14, filters=False, title="LAST DRILL", value=lambda row: row.drilled or "",
               cell=_drilled, what="how the last rehearsal ended, and when it was"),
        Column("origin", choice("shipped", "yours"), priority=6, width=8, title="FROM"),
    ),
)  # fmt: skip


def _place(row: Execution, now: datetime) -> Cell:
    words = f"{row.settled}/{row.steps}"
    return Cell(f"{words}, {row.failed} failed" if row.failed else words, "bad" if row.failed else "")


EXECUTIONS: ListOf[Execution] = ListOf(
    "executions",
    Execution,
    of=lambda plane: plane.of(ExecutionDirectory),
    order="-started",
    summary="List executions of runbooks, the newest first.",
    means="Executions of runbooks. Enter opens one, also somebody else's: steps are done from any console.",
    nothing="No runbook was run yet. :runbooks lists them; a, then r, begins one.",
    missing=NO_EXECUTION,
    label=lambda row: f"execution {row.id}",
    opens=lambda row: ("executions", row.key),
    why=_why("execution_lines"),
    columns=(
        Column("id", ID, priority=1, width=5, title="NO", sorts=True),
        Column("runbook", priority=1, width=18, grow=True),
        Column("state", status(STATES), priority=1, width=10),
        Column("done", priority=2, width=13, title="STEPS", filters=False, cell=_place,
               value=lambda row: f"{row.settled}/{row.steps}"),
        Column("started", TIME, priority=2, field="started_at", title="BEGUN"),
        Column("by", priority=3, width=8, field="started_by"),
        Column("incident", ID, priority=4, width=8),
        Column("drill", FLAG, priority=5, width=5),
        Column("ended", TIME, priority=6, field="ended_at", filters=False),
        Column("title", TEXT, priority=8, width=16, grow=True, filters=False),
    ),
)  # fmt: skip


def step_state(row: StepRow) -> str:
    if row.verdict is not None:
        return row.verdict
    return "waiting" if row.claimed_by is None else "claimed" if row.begun_at is None else "begun"


def _took(row: StepRow, now: datetime) -> str:
    if row.begun_at is None or row.ended_at is None:
        return ""
    return spell(max(0.0, (row.ended_at - row.begun_at).total_seconds()))


def _came(row: StepRow, now: datetime) -> Cell:
    from controlplane.runbooks.words import output_words

    words = row.note or output_words(row)
    return Cell(clean(words, 300), "bad" if row.verdict == "failed" else "")


STEPS: ListOf[StepRow] = ListOf(
    "steps",
    StepRow,
    of=lambda plane: plane.of(StepDirectory),
    order="place",
    few=True,
    means="The steps of an execution.",
    nothing="It has no steps.",
    key=("execution", "place"),
    missing=NO_STEP,
    label=lambda row: f"step {row.place}",
    why=_why("step_lines"),
    record=lambda row, now: dataclasses.asdict(row),
    search=lambda row: (row.name, row.note),
    columns=(
        Column("execution", ID),
        Column("place", ID, priority=1, width=3, title="NO", rank=lambda row: row.place),
        Column("name", priority=1, width=18, title="STEP", grow=True),
        Column("state", status(STEP_STATES), priority=1, width=10, value=step_state),
        Column("by", priority=2, width=8, field="claimed_by"),
        Column("kind", choice("operation", "check", "question", "person"), priority=4, width=9),
        Column("came", priority=3, width=16, grow=True, title="RESULT", filters=False, cell=_came,
               value=lambda row: row.note),
        Column("took", priority=5, width=6, filters=False, cell=_took, value=lambda row: ""),
    ),
)  # fmt: skip
