"""Doing a step of an execution, the same from a screen, the command line and a drill; each brings its own hands.

claim → begin → carry out → verdict. Each is a change of its own, so that a program that is killed in between leaves a
step that anybody can go on with: an operation is begun with its request id, by which its outcome is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from controlplane import carrying
from controlplane.errors import Conflict, HomeUnreachable, OutcomeUnknown, Refusal
from controlplane.gates.checks import QueueCheck
from controlplane.gates.judged import Judged
from controlplane.gates.judging import judge
from controlplane.gates.observing import Native
from controlplane.operations import Call, Outcome, execute, new_request_id
from controlplane.registry import named
from controlplane.runbooks.document import (
    MAX_COUNTED,
    CheckSpec,
    ListCheck,
    OperationSpec,
    QuestionSpec,
    Step,
    filled,
    placeholders,
)
from controlplane.runbooks.model import SETTLED, ExecutionDirectory, StepRow, Verdict, Whole
from controlplane.runbooks.refusals import NO_ANSWER, STEP_NOT_YOURS
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane
    from controlplane.runs.engine import RunQuestion

VERDICTS: Mapping[str, Verdict] = {"pass": "passed", "fail": "failed", "inconclusive": "unknown"}


@dataclass(frozen=True)
class Said:
    """What a person says of a step. `note`: what was seen, or why it is skipped."""

    verdict: Verdict
    note: str = ""


class Hands(Protocol):
    """Who does the steps: it is asked, and says. Each raises NotConfirmed when the person declines."""

    production: bool

    async def ask(self, question: carrying.Question) -> bool: ...

    async def ask_run(self, question: RunQuestion) -> bool: ...

    async def answer(self, step: Step, question: QuestionSpec) -> str: ...

    async def judge(self, step: Step) -> Said: ...

    async def carried(self, outcome: Outcome) -> None:
        """Tell what an operation did. A secret that was made is shown this once."""
        ...

    async def observe(self, check: Any) -> Mapping[str, Any]:
        """What a check sees outside of the home."""
        ...

    async def drive(self, run_id: int) -> Mapping[str, Any]:
        """See a run through; returns its counts."""
        ...


async def do_step(plane: ControlPlane, number: int, place: int, hands: Hands) -> StepRow:
    """Claim a step where nobody has, and do it. Returns it as it is then.

    Raises Conflict `step_claimed`, NotPermitted `step_not_yours`, NotConfirmed: the step stays with who claimed it.
    """
    whole = await plane.of(ExecutionDirectory).whole(number)
    row, step = whole.step(place), whole.runbook.step(place)
    if row.claimed_by is None or row.verdict is not None:
        await change_step(plane, "claim", row)
    elif row.claimed_by != plane.actor.name:
        raise STEP_NOT_YOURS(f"{row.claimed_by} has claimed the step.")
    if (why := not_needed(whole, step)) is not None:
        await change_step(plane, "settle", row, verdict="skipped", note=why)
    else:
        row = (await plane.of(ExecutionDirectory).whole(number)).step(place)
        if row.begun_at is None:
            request_id = new_request_id() if step.kind == "operation" else None
            await change_step(plane, "do", row, change=request_id)
            row = (await plane.of(ExecutionDirectory).whole(number)).step(place)
        verdict, note, output = await _carried(plane, whole, step, row, hands)
        await change_step(plane, "settle", row, verdict=verdict, note=note, output=output)
    return (await plane.of(ExecutionDirectory).whole(number)).step(place)


async def change_step(plane: ControlPlane, verb: str, row: StepRow, **fields: Any) -> Outcome:
    operation = named(f"runbooks.{verb}")
    request = operation.parse({"execution": row.execution, "place": row.place} | fields)
    return await execute(plane, operation, request, Call())


def not_needed(whole: Whole, step: Step) -> str | None:
    """Why a step for the failure of a check is not needed: that check passed, or was skipped. None: it is needed."""
    if step.remedy_of is None:
        return None
    check = whole.step(step.remedy_of)
    return f"not needed: {check.name} {check.verdict}" if check.verdict in SETTLED else None


async def _carried(
    plane: ControlPlane, whole: Whole, step: Step, row: StepRow, hands: Hands
) -> tuple[Verdict, str, Mapping[str, Any]]:
    spec = step.spec
    if isinstance(spec, QuestionSpec):
        return "passed", "", {"answer": await hands.answer(step, spec)}
    if isinstance(spec, OperationSpec):
        return await _operation(plane, whole, step, spec, row, hands)
    if isinstance(spec, CheckSpec):
        judged = await _check(plane, whole, spec, hands)
        return VERDICTS[judged.state], "", _found(judged)
    said = await hands.judge(step)
    return said.verdict, said.note, {}


def with_answers(whole: Whole, value: Any) -> Any:
    """Raises Refusal `no_answer`, also for an answer that its question would not have taken: it may have been recorded
    past every console.
    """
    answers = whole.answers
    for step in whole.runbook.steps:
        if isinstance(step.spec, QuestionSpec) and step.what in answers and step.spec.fault(answers[step.what]):
            del answers[step.what]
    if missing := sorted(placeholders(value) - answers.keys()):
        raise NO_ANSWER.of(", ".join(missing))
    return filled(value, answers)


async def _operation(
    plane: ControlPlane, whole: Whole, step: Step, spec: OperationSpec, row: StepRow, hands: Hands
) -> tuple[Verdict, str, Mapping[str, Any]]:
    """A refusal is the step's failure. What may have been done, or was declined, is not: it is done again."""
    assert row.request_id is not None
    reason = with_answers(whole, spec.reason) or f"runbook {whole.runbook.name}, execution {row.execution}"
    repeating = row.tries > 1 or await plane.recorded(row.request_id) is not None
    try:
        if spec.filter is not None:
            return await _many(plane, whole, step, spec, row.request_id, reason, hands)
        operation = named(step.what)
        request = operation.parse(with_answers(whole, spec.fields))
        call = Call(reason, row.request_id)
        outcome = await carrying.carry_out(
            plane, operation, request, call, hands.ask, production=hands.production, repeating=repeating
        )
    except (carrying.NotConfirmed, OutcomeUnknown, HomeUnreachable, Conflict):
        raise
    except Refusal as refusal:
        return "failed", clean(refusal.message, 1000), {"refused": refusal.code}
    await hands.carried(outcome)
    audit = list(outcome.audit_ids[:100])
    return "passed", "", {"request_id": row.request_id, "audit": audit, "things": [r.thing for r in outcome.rows[:20]]}


async def _many(
    plane: ControlPlane, whole: Whole, step: Step, spec: OperationSpec, request_id: str, reason: str, hands: Hands
) -> tuple[Verdict, str, Mapping[str, Any]]:
    """A run: fixed here, carried by the worker or by who does the step. It passes when every item was done."""
    from controlplane.runs.engine import start_run
    from controlplane.runs.operations import START

    request = START.parse(
        {"operation": step.what, "fields": with_answers(whole, spec.fields), "filter": with_answers(whole, spec.filter)}
    )
    recorded = await plane.recorded(request_id)
    run = await start_run(
        plane, request, reason, request_id, hands.ask_run, production=hands.production, repeating=recorded is not None
    )
    counts = await hands.drive(run.id)
    whole_run = counts.get("state") == "done" and not counts.get("refused") and not counts.get("skipped")
    words = "" if whole_run else f"run {run.id}: {counts.get('state')}, {counts.get('refused')} refused"
    return "passed" if whole_run else "failed", words, {"request_id": request_id, "run": run.id, **counts}


async def _check(plane: ControlPlane, whole: Whole, spec: CheckSpec, hands: Hands) -> Judged:
    check = type(spec.check).model_validate(with_answers(whole, spec.check.model_dump()))
    try:
        if isinstance(check, ListCheck):
            return await _listed(plane, check)
        observers = Native(plane, "", 0, "", "full").observers()
        seen = (await observers[spec.kind](check)).observed if spec.kind in observers else await hands.observe(check)
    except HomeUnreachable:
        raise
    except Refusal as refusal:
        return Judged("inconclusive", "error", words=clean(refusal.message, 400))
    return judge(check, seen)


async def _listed(plane: ControlPlane, check: ListCheck) -> Judged:
    from controlplane.filters.grammar import parse
    from controlplane.listing import Query
    from controlplane.nouns import list_named

    declared = list_named(check.noun)
    order, down = declared.order_of("")
    count = await declared.of(plane).count(Query(parse(check.filter, declared.fields), order, down), MAX_COUNTED)
    if count.near:
        return Judged("inconclusive", "error", words=f"there are about {count.number}: narrow the filter")
    limits = {"at_most": check.at_most, "at_least": check.at_least, "equals": check.equals}
    held = QueueCheck(name="rows", kind="queue", unit=check.unit or check.noun, **limits)  # type: ignore[arg-type]
    return judge(held, {"found": True, "value": count.number})


def _found(judged: Judged) -> dict[str, Any]:
    return {
        "state": judged.state, "value": judged.value, "unit": judged.unit, "held_to": judged.threshold,
        "because": judged.because, "words": judged.words,
    }  # fmt: skip
