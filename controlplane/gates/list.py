"""The lists of gates: how each stands, its runs, what a run found, and waivers."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from controlplane.formatting import relative, spell
from controlplane.gates.deciding import PRODUCTION, Waiver
from controlplane.gates.model import (
    CheckDirectory,
    CheckRow,
    GateDirectory,
    GateRow,
    GateRun,
    RunDirectory,
    WaiverDirectory,
    WaiverState,
)
from controlplane.gates.refusals import NO_CHECK, NO_DECISION, NO_GATE, NO_WAIVER
from controlplane.gates.words import (
    GLYPHS,
    STATE_TONES,
    VERDICT_TONES,
    VERDICT_WORDS,
    because_words,
    check_words,
    run_lines,
    trend_said,
    trend_words,
    value_words,
    why_lines,
)
from controlplane.lists import (
    COUNT,
    DURATION,
    ID,
    TEXT,
    TIME,
    UNTIL,
    Cell,
    Column,
    Line,
    ListOf,
    Status,
    choice,
    status,
    status_cell,
)
from controlplane.text import clean

ORDER = ("NO_GO", "INCONCLUSIVE", "never", "GO_WITH_CONDITIONS", "GO", "retired")
"""What blocks first."""
STANDINGS = {
    name: Status(glyph, VERDICT_TONES[name], "conditions" if name == "GO_WITH_CONDITIONS" else VERDICT_WORDS[name])
    for name, glyph in zip(ORDER, "✕??◐●○", strict=True)
}
CHECK_STATES = {name: Status(GLYPHS[name], tone) for name, tone in STATE_TONES.items()}
RUN_STATES = {
    "NO_GO": Status("✕", "bad", "NO GO"),
    "INCONCLUSIVE": Status("?", "unknown", "inconclusive"),
    "GO_WITH_CONDITIONS": Status("◐", "warn", "conditions"),
    "GO": Status("●", "good"),
    "running": Status("◌", "muted"),
    "lost": Status("?", "unknown"),
}
WAIVER_STATES: dict[WaiverState, Status] = {
    "waiting": Status("?", "unknown", "not approved"),
    "active": Status("◐", "warn"),
    "over": Status("○", "muted"),
}


def _blocks(row: GateRow, now: datetime) -> Cell:
    if row.standing == "never":
        return Cell("nothing is known yet", "unknown")
    if row.decision is None and row.standing != "retired":
        return Cell("its definition cannot be read", "bad")
    if row.blocking:
        return Cell(clean(", ".join(row.blocking), 300), VERDICT_TONES[row.standing])
    conditions = row.decision.conditions if row.decision else ()
    return Cell(
        clean(", ".join(f"{each.check} {each.state}" for each in conditions), 300), "warn" if conditions else ""
    )


def gate_record(row: GateRow) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in row.__dataclass_fields__ if name not in ("decision", "every")}
    record["every"] = None if row.every is None else spell(row.every.total_seconds())
    conditions = row.decision.conditions if row.decision else ()
    return record | {"conditions": [dataclasses.asdict(each) for each in conditions]}


GATES: ListOf[GateRow] = ListOf(
    "gates",
    GateRow,
    of=lambda plane: plane.of(GateDirectory),
    order="verdict",
    summary="List gates: may we release, and what blocks. A gate has one line for each environment.",
    means="May we release? One line for each gate and environment, closed ones first. Enter shows why.",
    nothing="No gates yet. watchfloor gates shipped | watchfloor gates apply - adds those that come with the program.",
    key=("gate", "environment"),
    missing=NO_GATE,
    label=lambda row: f"{row.gate} in {row.environment}" if row.environment else row.gate,
    opens=lambda row: ("gates", row.key),
    why=lambda row, now: why_lines(row, now),
    record=lambda row, now: gate_record(row),
    search=lambda row: (row.gate, row.environment, *row.blocking),
    few=True,
    columns=(
        Column("gate", priority=1, width=14, grow=True, sorts=True),
        Column("environment", priority=2, width=11, title="ENV", cell=lambda row, now: row.environment or "–"),
        Column("verdict", status(STANDINGS), priority=1, width=14, field="standing", sorts=True,
               rank=lambda row: ORDER.index(row.standing)),
        Column("age", TIME, priority=3, field="decided_at", sorts=True, what="when it was decided last"),
        Column("closes", UNTIL, priority=5, field="closes_at", what="when it closes if nothing is done"),
        Column("blocks", priority=2, width=18, grow=True, title="WHAT BLOCKS", filters=False, cell=_blocks),
        Column("trend", priority=4, width=12, filters=False, cell=lambda row, now: trend_words(row.trend),
               said=lambda row: trend_said(row.trend),
               what="the verdicts of the last runs, the newest on the right"),
        Column("checks", COUNT, priority=6, width=7),
        Column("owner", priority=7, width=12, grow=True),
        Column("every", priority=8, width=7, filters=False, what="how often a worker runs it",
               cell=lambda row, now: "–" if row.every is None else spell(row.every.total_seconds())),
        Column("version", COUNT, priority=10, width=8, filters=False),
    ),
)  # fmt: skip


def _found(row: CheckRow, now: datetime) -> Cell:
    tone = STATE_TONES[row.state]
    return Cell(value_words(row), tone if tone in ("bad", "unknown") else "")


def _check_why(row: CheckRow, now: datetime) -> list[Line]:
    lines: list[Line] = [(check_words(row, now), "title")]
    if row.means:
        lines.append(clean(row.means, 200))
    lines.append(f"owner: {clean(row.owner, 100)}")
    if row.sha256:
        lines.append((f"observed sha256 {row.sha256}", "muted"))
    if row.waiver is not None:
        lines.append(f"waiver {row.waiver}: :waivers shows it")
    return lines


CHECKS: ListOf[CheckRow] = ListOf(
    "checks",
    CheckRow,
    of=lambda plane: plane.of(CheckDirectory),
    order="",
    few=True,
    means="What the checks found.",
    nothing="The gate has no checks.",
    key=("name",),
    missing=NO_CHECK,
    why=_check_why,
    search=lambda row: (row.name, row.words),
    columns=(
        Column("name", priority=1, width=18, title="CHECK", grow=True),
        Column("state", status(CHECK_STATES), priority=1, width=14),
        Column("value", priority=2, width=12, title="FOUND", cell=_found, filters=False),
        Column("threshold", priority=3, width=14, title="HELD TO", filters=False, grow=True),
        Column("why", priority=4, width=16, filters=False, grow=True, value=because_words, cell=lambda row, now:
               Cell(because_words(row), "unknown" if row.because else "muted")),
        Column("age", TIME, priority=5, field="at", filters=False),
        Column("took", DURATION, priority=8, width=6, field="seconds", filters=False),
        Column("kind", priority=6, width=9),
        Column("required", choice("required", "advisory"), priority=7, width=9, title="",
               value=lambda row: "required" if row.required else "advisory"),
        Column("owner", priority=7, width=12, grow=True),
    ),
)  # fmt: skip


def _standing(run: GateRun) -> str:
    return run.verdict or run.state


DECISIONS: ListOf[GateRun] = ListOf(
    "decisions",
    GateRun,
    of=lambda plane: plane.of(RunDirectory),
    order="-started",
    summary="List the runs of gates and what they decided, the newest first.",
    means="What gates decided, run by run. Enter shows what a run found, also while it runs.",
    nothing="No gate was run yet.",
    missing=NO_DECISION,
    label=lambda run: f"run {run.id}",
    opens=lambda run: ("decisions", run.key),
    why=lambda run, now: run_lines(run, now),
    columns=(
        Column("id", ID, priority=1, width=5, title="RUN", sorts=True),
        Column("gate", priority=1, width=14, grow=True),
        Column("environment", priority=2, width=11, title="ENV"),
        Column("verdict", status(RUN_STATES), priority=1, width=15, value=_standing, field="outcome"),
        Column("started", TIME, priority=2, field="started_at"),
        Column("by", priority=4, width=8, field="started_by"),
        Column("found", COUNT, priority=3, width=7, title="CHECKS", filters=False,
               cell=lambda run, now: f"{run.found}/{run.checks}"),
        Column("failed", COUNT, priority=5, width=7, what="how many checks failed"),
        Column("mode", choice("full", "fast"), priority=6, width=5),
        Column("version", ID, priority=8, width=8, field="gate_version", filters=False),
    ),
)  # fmt: skip


def waiver_state(waiver: Waiver, now: datetime) -> WaiverState:
    if waiver.ended_at is not None or waiver.ends_at <= now:
        return "over"
    return "waiting" if waiver.environment == PRODUCTION and waiver.approved_at is None else "active"


def _waiver_why(waiver: Waiver, now: datetime) -> list[Line]:
    state = waiver_state(waiver, now)
    lines: list[Line] = [
        (f"waiver {waiver.id}: {waiver.gate} in {waiver.environment}, {waiver.check_name}", "title"),
        f"{WAIVER_STATES[state].word or state}; ends {relative(waiver.ends_at, now)}",
        f"{clean(waiver.created_by, 100)}: {clean(waiver.reason, 300)}",
    ]
    if waiver.approved_by is not None:
        lines.append(f"approved by {clean(waiver.approved_by, 100)}")
    elif state == "waiting":
        lines.append("in production it opens nothing until a second person approves it: a, then p")
    if waiver.ended_by is not None:
        lines.append(f"ended by {clean(waiver.ended_by, 100)}")
    return lines


WAIVERS: ListOf[Waiver] = ListOf(
    "waivers",
    Waiver,
    of=lambda plane: plane.of(WaiverDirectory),
    order="-ends",
    summary="List waivers: which checks count as open although they do not pass, until when, and why.",
    means="Checks that count as open although they do not pass. In production a second person approves: a, then p.",
    nothing="Nothing is waived.",
    missing=NO_WAIVER,
    label=lambda waiver: f"waiver {waiver.id}",
    why=_waiver_why,
    search=lambda waiver: (waiver.gate, waiver.check_name, waiver.reason, waiver.created_by),
    few=True,
    columns=(
        Column("id", ID, priority=2, width=4, title="NO"),
        Column("gate", priority=1, width=12, grow=True),
        Column("check", priority=1, width=16, grow=True, field="check_name"),
        Column("environment", priority=3, width=11, title="ENV"),
        Column("state", priority=2, width=16, filters=False, value=lambda waiver: "",
               cell=lambda waiver, now: status_cell(WAIVER_STATES, waiver_state(waiver, now))),
        Column("ends", UNTIL, priority=1, field="ends_at", sorts=True),
        Column("by", priority=4, width=8, field="created_by"),
        Column("second", priority=6, width=8, field="approved_by", title="APPROVED",
               cell=lambda waiver, now: waiver.approved_by or ("?" if waiver_state(waiver, now) == "waiting" else "–")),
        Column("reason", TEXT, priority=5, width=16, grow=True),
    ),
)  # fmt: skip
