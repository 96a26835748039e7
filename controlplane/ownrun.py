"""That a command of one's own was run: recorded in the trail before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.operations import Operation, Request, Risk

if TYPE_CHECKING:
    from controlplane.audit.model import Record
    from controlplane.changes import Change


class CommandRun(Request):
    subject = ("command",)
    command: Annotated[str, Field(max_length=32)]
    noun: Annotated[str, Field(max_length=32)]
    key: Annotated[str, Field(max_length=400)]


async def record(change: Change, request: CommandRun) -> Record:
    """Record that a command of your own is run."""
    await change.note_command(request.command, request.noun, request.key)
    return {"command": request.command}


RUN: Operation[CommandRun] = Operation(
    "commands.run",
    "Record that a command of your own is run",
    CommandRun,
    record,
    role="support",
    risk=Risk.SAFE,
    key="r",
)
"""Not in the registry: it is only a part of running one."""
