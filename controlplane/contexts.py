"""What is done to a context itself: opening a read-only one for writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.operations import Request, Risk, operation

if TYPE_CHECKING:
    from controlplane.changes import Change

MAX_MINUTES = 60


class ContextWrite(Request):
    subject = ("context",)
    context: Annotated[str, Field(min_length=1, max_length=64, description="the context's name on this machine")]
    minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES, description=f"for how long, at most {MAX_MINUTES}")] = 15


@operation("contexts.write", ContextWrite, role="support", risk=Risk.SAFE, key="w", needs_reason=True)
async def write(change: Change, request: ContextWrite) -> Record:
    """Note that a context is opened for writing: why, and for how long."""
    await change.note_writing(request.context, request.minutes)
    return {"context": request.context, "minutes": request.minutes}
