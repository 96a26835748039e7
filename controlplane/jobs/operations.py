"""Replaying and canceling jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import AuditRow, Record
from controlplane.jobs import rules
from controlplane.jobs.model import Job
from controlplane.operations import Request, Risk, operation

if TYPE_CHECKING:
    from controlplane.changes import Change


class OneJob(Request):
    id: Annotated[int, Field(ge=1, description="the job's number")]


def of_row(row: AuditRow) -> Record:
    return {"id": int(row.thing)}


@operation(
    "jobs.replay",
    OneJob,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    undo="jobs.cancel",
    undo_request=of_row,
    fits=lambda job, now: rules.check_replay(job),
)
async def replay(change: Change, request: OneJob) -> Job:
    """Let a dead or canceled job be tried anew, with all its tries."""
    rules.check_replay(await change.jobs.get(request.id))
    return await change.jobs.replay(request.id)


@operation(
    "jobs.cancel",
    OneJob,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    undo="jobs.replay",
    undo_request=of_row,
    fits=lambda job, now: rules.check_cancel(job),
)
async def cancel(change: Change, request: OneJob) -> Job:
    """Cancel a job that waits: nobody will do it."""
    rules.check_cancel(await change.jobs.get(request.id))
    return await change.jobs.cancel(request.id)
