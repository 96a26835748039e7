"""Runbooks, their executions and steps as they are read; and what they need from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from controlplane.listing import ById, Listing

if TYPE_CHECKING:
    from controlplane.runbooks.document import Runbook
    from controlplane.runbooks.files import Origin

Kind = Literal["operation", "check", "question", "person"]
KINDS: tuple[Kind, ...] = ("operation", "check", "question", "person")
Verdict = Literal["passed", "failed", "unknown", "skipped"]
VERDICTS: tuple[Verdict, ...] = ("passed", "failed", "unknown", "skipped")
SETTLED: tuple[Verdict, ...] = ("passed", "skipped")
"""With these a step is over; with the others it may be tried again."""
State = Literal["open", "stopped", "failed", "unknown", "passed"]


@dataclass(frozen=True, slots=True)
class RunbookRow:
    """A runbook, with its last execution and its last drill. `fault`: why it cannot be read; "" when it can."""

    name: str
    title: str
    means: str
    origin: Origin
    steps: int
    fault: str
    execution: int | None
    state: State | None
    at: datetime | None
    drilled: State | None
    drilled_at: datetime | None
    runbook: Runbook | None = field(default=None, repr=False, compare=False)
    version: None = None

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Execution(ById):
    """`at`: the place of the next step without a verdict. `settled`: how many of `steps` have one."""

    id: int
    runbook: str
    title: str
    sha256: str
    steps: int
    incident: int | None
    drill: bool
    started_at: datetime
    started_by: str
    stopped_at: datetime | None
    stopped_by: str | None
    version: int
    state: State
    settled: int
    failed: int
    skipped: int
    at: int | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of an execution. `request_id`: of the change of its operation. `tries`: how often it was claimed."""

    execution: int
    place: int
    name: str
    kind: Kind
    operation: str | None
    remedy_of: int | None
    claimed_at: datetime | None
    claimed_by: str | None
    begun_at: datetime | None
    request_id: str | None
    verdict: Verdict | None
    note: str
    output: Mapping[str, Any]
    ended_at: datetime | None
    tries: int
    version: int

    @property
    def key(self) -> str:
        return f"{self.execution}/{self.place}"


@dataclass(frozen=True)
class Whole:
    """An execution with its steps, and the runbook as it was when it began."""

    execution: Execution
    steps: Sequence[StepRow]
    runbook: Runbook

    def step(self, place: int) -> StepRow:
        return self.steps[place - 1]

    @property
    def answers(self) -> dict[str, str]:
        """Question → answer, as far as they are given."""
        return {
            step.what: str(row.output["answer"])
            for step, row in zip(self.runbook.steps, self.steps, strict=True)
            if step.kind == "question" and row.verdict == "passed" and "answer" in row.output
        }


class RunbookDirectory(Listing[RunbookRow], Protocol):
    """The runbooks that come with the program, and those of the team's folder."""

    async def runbook(self, name: str) -> Runbook:
        """Raises NotFound; Usage `runbook_unreadable`."""
        ...


class ExecutionDirectory(Listing[Execution], Protocol):
    async def whole(self, number: int) -> Whole:
        """Raises NotFound; Usage `runbook_unreadable` for one that another version began."""
        ...


class StepDirectory(Listing[StepRow], Protocol):
    """The steps of one execution: a query says which by a term `execution`."""


class ExecutionStore(Protocol):
    async def lock(self, number: int) -> Execution: ...

    async def begin(self, runbook: Runbook, incident: int | None, drill: bool) -> int:
        """Raises Refusal `execution_many`."""
        ...

    async def stop(self, number: int) -> Execution: ...

    async def resume(self, number: int) -> Execution: ...

    async def lock_step(self, number: int, place: int) -> StepRow: ...

    async def claim(self, number: int, place: int) -> StepRow:
        """Raises Conflict `step_claimed`; Refusal."""
        ...

    async def release(self, number: int, place: int) -> StepRow: ...

    async def do(self, number: int, place: int, request_id: str | None) -> StepRow: ...

    async def settle(
        self, number: int, place: int, verdict: Verdict, note: str, output: Mapping[str, Any]
    ) -> StepRow: ...
