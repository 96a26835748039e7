"""What an operator can do with runbooks: begin an execution, take a step, say the result, stop, resume."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, JsonValue

from controlplane.audit.model import Record
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.runbooks.model import SETTLED, Execution, ExecutionStore, RunbookRow, StepRow, Verdict
from controlplane.runbooks.refusals import (
    EXECUTION_OPEN,
    EXECUTION_OVER,
    EXECUTION_STOPPED,
    STEP_CLAIMED,
    STEP_NOTE,
    STEP_OVER,
    STEP_UNCLAIMED,
)
from controlplane.runbooks.shelf import named

if TYPE_CHECKING:
    from controlplane.changes import Change


class RunbookRun(Request):
    subject = ("name",)
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$", description="the runbook")]
    incident: Annotated[int | None, Field(default=None, ge=1, description="the incident that it is carried out for")]
    drill: Annotated[bool, Field(description="a rehearsal")] = False


class OneExecution(Request):
    id: Annotated[int, Field(ge=1, description="the execution's number")]


class OneStep(Request):
    subject = ("execution", "place")
    execution: Annotated[int, Field(ge=1, description="the execution's number")]
    place: Annotated[int, Field(ge=1, le=100, description="the step")]


class StepDo(OneStep):
    change: Annotated[str | None, Field(default=None, max_length=100, description="the request id of its operation")]


class StepSettle(OneStep):
    verdict: Annotated[Verdict, Field(description="passed, failed, unknown or skipped")]
    note: Annotated[str, Field(max_length=2000, description="what was seen; why it is skipped")] = ""
    output: Annotated[dict[str, JsonValue], Field(default_factory=dict, description="the result")]


EXECUTION = Subject(Execution, lambda change, request: change.of(ExecutionStore).lock(request.id))
STEP = Subject(StepRow, lambda change, request: change.of(ExecutionStore).lock_step(request.execution, request.place))


def check_stop(execution: Execution, now: datetime) -> None:
    if execution.stopped_at is not None:
        raise EXECUTION_STOPPED()
    if execution.at is None:
        raise EXECUTION_OVER()


def check_resume(execution: Execution, now: datetime) -> None:
    if execution.stopped_at is None:
        raise EXECUTION_OPEN()


def check_claim(step: StepRow, now: datetime) -> None:
    if step.verdict in SETTLED:
        raise STEP_OVER()
    if step.claimed_by is not None and step.verdict is None:
        raise STEP_CLAIMED(f"{step.claimed_by} has claimed the step.")


def check_claimed(step: StepRow, now: datetime) -> None:
    if step.claimed_by is None:
        raise STEP_UNCLAIMED()
    if step.verdict is not None:
        raise STEP_OVER()


def _told(step: StepRow) -> Record:
    return {"execution": step.execution, "place": step.place, "claimed_by": step.claimed_by, "verdict": step.verdict}


@operation(
    "runbooks.run", RunbookRun, role="operator", risk=Risk.SAFE, key="r",
    writes="executions", begins={RunbookRow: lambda rows: {"name": rows[0].name} if len(rows) == 1 else {}},
)  # fmt: skip
async def run(change: Change, request: RunbookRun) -> Record:
    """Run a runbook: begin an execution that people carry out step by step."""
    store = change.of(ExecutionStore)
    runbook = await asyncio.to_thread(named, change.runbooks, request.name)
    number = await store.begin(runbook, request.incident, request.drill)
    return {"id": number, "runbook": runbook.name, "steps": len(runbook.steps), "sha256": runbook.sha256}


@operation(
    "runbooks.stop", OneExecution, role="operator", risk=Risk.SAFE, key="x", writes="executions",
    undo="runbooks.resume", on=EXECUTION, check=check_stop,
)  # fmt: skip
async def stop(change: Change, request: OneExecution, execution: Execution) -> Execution:
    """Stop an execution: no step is claimed or done until somebody resumes it."""
    return await change.of(ExecutionStore).stop(execution.id)


@operation(
    "runbooks.resume", OneExecution, role="operator", risk=Risk.SAFE, key="r", writes="executions",
    undo="runbooks.stop", on=EXECUTION, check=check_resume,
)  # fmt: skip
async def resume(change: Change, request: OneExecution, execution: Execution) -> Execution:
    """Resume a stopped execution, from any console."""
    return await change.of(ExecutionStore).resume(execution.id)


@operation(
    "runbooks.claim", OneStep, role="operator", risk=Risk.SAFE, key="c", writes="executions",
    undo="runbooks.release", on=STEP, check=check_claim,
)  # fmt: skip
async def claim(change: Change, request: OneStep, step: StepRow) -> Record:
    """Claim a step: it is yours, and nobody else does it meanwhile."""
    return _told(await change.of(ExecutionStore).claim(step.execution, step.place))


@operation(
    "runbooks.release", OneStep, role="operator", risk=Risk.SAFE, key="l", writes="executions",
    undo="runbooks.claim", on=STEP, check=check_claimed,
)  # fmt: skip
async def release(change: Change, request: OneStep, step: StepRow) -> Record:
    """Release a claimed step: your own, or one that was claimed 30 minutes ago or more."""
    return _told(await change.of(ExecutionStore).release(step.execution, step.place))


@operation(
    "runbooks.do", StepDo, role="operator", risk=Risk.SAFE, key="d", writes="executions",
    on=STEP, check=lambda step, now: check_claim(step, now) if step.claimed_by is None else None,
)  # fmt: skip
async def do(change: Change, request: StepDo, step: StepRow) -> Record:
    """Do a step: carry out its operation or check, answer its question, or mark it done."""
    return _told(await change.of(ExecutionStore).do(step.execution, step.place, request.change))


@operation(
    "runbooks.settle", StepSettle, role="operator", risk=Risk.SAFE, key="s", writes="executions",
    on=STEP, check=check_claimed,
)  # fmt: skip
async def settle(change: Change, request: StepSettle, step: StepRow) -> Record:
    """Give your step its verdict, or skip it; a skipped step needs a note."""
    if request.verdict == "skipped" and not request.note.strip():
        raise STEP_NOTE()
    output: dict[str, Any] = dict(request.output)
    store = change.of(ExecutionStore)
    return _told(await store.settle(step.execution, step.place, request.verdict, request.note, output))
