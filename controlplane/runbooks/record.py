"""What an execution proves: who did which step of which text, when, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from controlplane.evidence.envelopes import Signer, seal
from controlplane.evidence.statements import Statement, Subject
from controlplane.runbooks.model import StepRow, Whole
from controlplane.runbooks.words import deadline

EXECUTION = "urn:watchfloor:runbook-execution:v1"
"""The type of its predicate, and so the kind of evidence that it is."""


def execution_record(whole: Whole, trail: str) -> dict[str, Any]:
    """The predicate. `trail`: the name of the audit trail that its audit numbers are of. Two drills give the same
    but for numbers and times.
    """
    execution = whole.execution
    return {
        "runbook": execution.runbook,
        "title": execution.title,
        "sha256": execution.sha256,
        "execution": execution.id,
        "drill": execution.drill,
        "incident": execution.incident,
        "state": execution.state,
        "begun": execution.started_at,
        "by": execution.started_by,
        "ended": execution.ended_at,
        "seconds": _seconds(execution.started_at, execution.ended_at),
        "trail": trail,
        "steps": [_step(whole, row) for row in whole.steps],
    }


def _step(whole: Whole, row: StepRow) -> dict[str, Any]:
    step = whole.runbook.step(row.place)
    due = deadline(step, whole.execution.started_at)
    late = None if due is None or row.ended_at is None else row.ended_at > due
    return {
        "place": row.place,
        "name": row.name,
        "kind": row.kind,
        "operation": row.operation,
        "claimed_by": row.claimed_by,
        "begun": row.begun_at,
        "ended": row.ended_at,
        "seconds": _seconds(row.begun_at, row.ended_at),
        "within": step.spec.within,
        "late": late,
        "verdict": row.verdict,
        "note": row.note,
        "output": dict(row.output),
        "tries": row.tries,
    }


def _seconds(begun: datetime | None, ended: datetime | None) -> float | None:
    return None if begun is None or ended is None else round(max(0.0, (ended - begun).total_seconds()), 3)


def statement(whole: Whole, trail: str) -> Statement:
    """About the runbook's text, by its SHA-256."""
    about = Subject(f"{whole.execution.runbook}.md", whole.execution.sha256)
    return Statement((about,), EXECUTION, execution_record(whole, trail))


def sealed(whole: Whole, trail: str, signer: Signer) -> bytes:
    return seal(statement(whole, trail).payload(), signer)
