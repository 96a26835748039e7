"""`watchfloor undo AUDIT_ID`: the operation that takes one recorded change back."""

from __future__ import annotations

import dataclasses

from app.cli.asked import CHANGING, Changing, opened
from app.cli.changing import carry_out, print_outcome
from controlplane.audit.model import AuditDirectory
from controlplane.refusals import NO_UNDO
from controlplane.registry import named
from controlplane.undolist import step_of, why_no_step


async def undo(audit_id: int, /, *, asked: Changing = CHANGING) -> None:
    """Undo the change that wrote this audit row."""
    async with opened(asked) as context:
        row = await context.home.of(AuditDirectory).get(audit_id)
        step = step_of(row)
        if step is None:
            raise NO_UNDO(
                f"Audit row {audit_id} has no undo: {why_no_step(row)}.",
                f"watchfloor audit show {audit_id} shows it.",
            )
        operation = named(step.operation)
        request = operation.parse(step.request)
        outcome = await carry_out(
            context, operation, request, dataclasses.replace(asked, reason=asked.reason or step.reason)
        )
    print_outcome(outcome, asked)
