"""Replaying and canceling jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.jobs import rules
from controlplane.jobs.model import Job, JobStore
from controlplane.operations import Request, Risk, Subject, operation

if TYPE_CHECKING:
    from controlplane.changes import Change


class OneJob(Request):
    id: Annotated[int, Field(ge=1, description="the job's number")]


JOB = Subject(Job, lambda change, request: change.of(JobStore).get(request.id))
"""It is not locked: a worker may take it meanwhile, so the home checks its state again."""


@operation(
    "jobs.replay",
    OneJob,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    undo="jobs.cancel",
    on=JOB,
    check=lambda job, now: rules.check_replay(job),
)
async def replay(change: Change, request: OneJob, job: Job) -> Job:
    """Replay a dead or canceled job; it has all its tries again."""
    return await change.of(JobStore).replay(job.id)


@operation(
    "jobs.cancel",
    OneJob,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    undo="jobs.replay",
    on=JOB,
    check=lambda job, now: rules.check_cancel(job),
)
async def cancel(change: Change, request: OneJob, job: Job) -> Job:
    """Cancel a waiting job: no worker does it."""
    return await change.of(JobStore).cancel(job.id)
