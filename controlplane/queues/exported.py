"""That dead letters were exported, by whom and why: recorded before the first of them leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.errors import Usage
from controlplane.operations import Call, Operation, Request, Risk, execute
from controlplane.queues.model import LetterStore

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane


class LetterExport(Request):
    subject = ("noun",)
    noun: str
    filter: Annotated[str, Field(max_length=2000)]
    form: str


async def record(change: Change, request: LetterExport) -> Record:
    """Record an export of dead letters."""
    await change.of(LetterStore).exported(request.noun, request.filter, request.form)
    return {"noun": request.noun}


EXPORT: Operation[LetterExport] = Operation(
    "queues.export",
    "Record an export of dead letters",
    LetterExport,
    record,
    role="support",
    risk=Risk.SAFE,
    key="e",
    needs_reason=True,
)
"""Not in the registry: it is only a part of an export."""


async def note_export(plane: ControlPlane, noun: str, text: str, form: str, reason: str | None) -> None:
    """Raises Usage `reason_needed`, NotPermitted; then nothing is exported."""
    if not (reason or "").strip():
        raise Usage("reason_needed", f"An export of {noun} needs a reason.", 'Say it with --reason "…".')
    await execute(plane, EXPORT, LetterExport(noun=noun, filter=text[:2000], form=form), Call(reason))
