"""A drill: an execution by hands that agree to everything, over things that were made for it, against a clock.

The same steps, changes and checks as in an emergency; only the person is played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from controlplane import carrying
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.runbooks.document import QuestionSpec, Step
from controlplane.runbooks.model import ExecutionDirectory, StepRow, Whole
from controlplane.runbooks.walking import Said, do_step, not_needed
from controlplane.runs.engine import RunQuestion, drive
from controlplane.runs.rules import Clock, RealClock

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

NOTE = "played in a drill"
LOOK_SECONDS = 2.0


class Player:
    """Answers from `answers`, agrees to every change, and says of every step of a person that it is done."""

    production = False

    def __init__(
        self, plane: ControlPlane, answers: Mapping[str, str], *, looks: int = 0, clock: Clock | None = None
    ) -> None:
        """`looks`: how often a check that does not pass is looked at again, two seconds apart, for a worker."""
        self.plane = plane
        self.answers = answers
        self.looks = looks
        self.clock = clock or RealClock()

    async def ask(self, question: carrying.Question) -> bool:
        return True

    async def ask_run(self, question: RunQuestion) -> bool:
        return True

    async def answer(self, step: Step, question: QuestionSpec) -> str:
        return self.answers.get(step.what) or (question.choices[0] if question.choices else "drill")

    async def judge(self, step: Step) -> Said:
        return Said("passed", NOTE)

    async def again(self, row: StepRow) -> bool:
        if row.tries > self.looks:
            return False
        await self.clock.sleep(LOOK_SECONDS)
        return True

    async def carried(self, outcome: Outcome) -> None:
        """Nobody waits for it."""

    async def observe(self, check: Any) -> Mapping[str, Any]:
        return {"trouble": "not_here", "words": "a drill asks nothing outside of the home"}

    async def drive(self, run_id: int) -> Mapping[str, Any]:
        return run_counts(await drive(self.plane, run_id, clock=self.clock))


def run_counts(run: Any) -> dict[str, Any]:
    return {name: getattr(run, name) for name in ("state", "total", "done", "refused", "skipped")}


async def begin(plane: ControlPlane, name: str, incident: int | None = None, *, drill: bool = False) -> int:
    """Begin an execution. Returns its number."""
    operation = named("runbooks.run")
    request = operation.parse({"name": name, "incident": incident, "drill": drill})
    outcome = await execute(plane, operation, request, Call())
    return int(outcome.result["id"])


async def walk(
    plane: ControlPlane,
    number: int,
    hands: Any,
    told: Callable[[StepRow], None] = lambda row: None,
    ready: Callable[[Whole, Step], bool] = lambda whole, step: True,
) -> Whole:
    """Do every step that is left, in order. It ends before an operation that a check keeps closed, before a step that
    somebody else has, and before one for which the hands are not `ready`. Raises NotConfirmed and what `do_step`
    raises; what was done stays.
    """
    directory = plane.of(ExecutionDirectory)
    whole = await directory.whole(number)
    for step in whole.runbook.steps:
        row = whole.step(step.place)
        if row.verdict is not None:
            continue
        if blocked(whole, step) or (row.claimed_by is not None and row.claimed_by != plane.actor.name):
            break
        if not ready(whole, step):
            break
        done = await do_step(plane, number, step.place, hands)
        while done.kind == "check" and done.verdict in ("failed", "unknown") and await hands.again(done):
            done = await do_step(plane, number, step.place, hands)
        told(done)
        whole = await directory.whole(number)
    return whole


def blocked(whole: Whole, step: Step) -> str:
    """Why the home would not let the step begin now; "" when it would. The same rule as wf.guard_execution_step."""
    if not_needed(whole, step) is not None:
        return ""
    for row in whole.steps[: step.place - 1]:
        waits = step.kind == "operation" and row.kind in ("check", "question") and row.verdict is None
        if row.place != step.remedy_of and (waits or row.verdict in ("failed", "unknown")):
            return f"step {row.place}, {row.name}, {row.verdict or 'has no verdict yet'}"
    return ""
