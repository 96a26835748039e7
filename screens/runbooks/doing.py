"""Beginning an execution from a screen, and doing a step of one: the person is asked in dialogs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from controlplane import carrying
from controlplane.errors import Refusal
from controlplane.runbooks.document import filled
from controlplane.runbooks.drill import run_counts
from controlplane.runbooks.model import ExecutionDirectory, RunbookDirectory
from controlplane.runbooks.refusals import STEP_NOTE
from controlplane.runbooks.walking import Said, do_step
from controlplane.runbooks.words import output_words
from controlplane.runs.model import RunDirectory
from controlplane.runs.rules import RealClock, is_left
from controlplane.text import clean
from screens.actions import ask_about, asking, pending
from screens.bulk import confirmed
from screens.desk import Desk, Done, Target
from screens.dialogs.fields import Asked, FieldsForm
from screens.session import Session

if TYPE_CHECKING:
    from textual.app import App

    from controlplane.operations import Operation, Outcome
    from controlplane.runbooks.document import QuestionSpec, Step
    from controlplane.runs.engine import RunQuestion

LOOK_SECONDS = 0.5
MAX_INTRO = 300
VERDICTS = ("passed", "failed", "skipped")


async def run(app: App[None], session: Session, operation: Operation[Any], target: Target) -> Done | None:
    """Raises Refusal."""
    from controlplane.operations import Call, authorise, new_request_id
    from screens.actions import filled_in

    plane = session.require_writing()
    authorise(plane, operation)
    name = target.subject.get("name") or getattr(target.row, "name", None)
    if name:
        await plane.of(RunbookDirectory).runbook(name)  # one that cannot be read is refused with its lines
        fields: dict[str, Any] = {"name": name}
    else:
        answers = await filled_in(app, session, operation, "run a runbook", {})
        if answers is None:
            return None
        fields = answers[0]
    request_id = new_request_id()
    with pending(app, session, f"run {name}", request_id):
        outcome = await carrying.carry_out(plane, operation, operation.parse(fields), Call("", request_id))
    number = int(outcome.result["id"])
    cast(Desk, app).open_thing("executions", str(number))
    return Done(f"execution {number} has begun: a, then d, does its first step")


async def do(app: App[None], session: Session, operation: Operation[Any], target: Target) -> Done | None:
    """Raises Refusal."""
    from controlplane.operations import authorise

    plane = session.require_writing()
    authorise(plane, operation)
    number, place = target.subject.get("execution"), target.subject.get("place")
    if number is None or place is None:
        raise Refusal("no_step_chosen", "No step is chosen.", "Open an execution: :executions")
    whole = await plane.of(ExecutionDirectory).whole(int(number))
    session.undo = None
    step = await do_step(plane, int(number), int(place), ByDialogs(app, session, whole))
    if step.verdict is None:
        return None
    came = step.note or output_words(step)
    words = f"step {place}, {step.name}: {step.verdict}" + (f" · {clean(came, 200)}" if came else "")
    undo = " · u: undo" if step.operation and step.verdict == "passed" and session.undo else ""
    return Done(words + undo, {"passed": "good", "skipped": "good"}.get(step.verdict, "bad"))


class ByDialogs:
    """The hands of the person at this console."""

    def __init__(self, app: App[None], session: Session, whole: Any) -> None:
        self.app, self.session, self.whole = app, session, whole
        self.production = session.production

    async def ask(self, question: carrying.Question) -> bool:
        fields = question.request.model_dump(mode="json", exclude_none=True)
        return await ask_about(self.app, self.session, question, fields, question.name)

    async def ask_run(self, question: RunQuestion) -> bool:
        title = f"{question.operation.verb} {question.preview.total:,} {question.operation.noun}"
        command = f"watchfloor runbooks resume {self.whole.execution.id}"
        return await confirmed(self.app, self.session, question, title, command)

    async def answer(self, step: Step, question: QuestionSpec) -> str:
        asked = Asked("answer", question.ask, choices=tuple(question.choices))

        def check(answers: Mapping[str, str]) -> None:
            if fault := question.fault(answers["answer"].strip()):
                raise Refusal("answer_unreadable", f"That is no answer: {fault}.")

        title = f"step {step.place}: {step.name}"
        form = FieldsForm(self.session, title, [asked], intro=self._said(step), check=check)
        answers = await self.app.push_screen_wait(form)
        if answers is None:
            raise carrying.NotConfirmed
        return str(answers["answer"].strip())

    async def judge(self, step: Step) -> Said:
        fields = [Asked("verdict", "is it done?", choices=VERDICTS), Asked("note", "what was seen; why it is skipped")]

        def check(answers: Mapping[str, str]) -> None:
            if answers["verdict"] == "skipped" and not answers["note"].strip():
                raise STEP_NOTE()

        title = f"step {step.place}: {step.name}"
        form = FieldsForm(self.session, title, fields, intro=self._said(step), check=check)
        answers = await self.app.push_screen_wait(form)
        if answers is None:
            raise carrying.NotConfirmed
        return Said(cast(Any, answers["verdict"]), answers["note"].strip())

    def _said(self, step: Step) -> str:
        """The step's text, as much of it as a dialog has room for."""
        text = " ".join(" ".join(filled(line, self.whole.answers) for line in step.text).split())
        return text if len(text) <= MAX_INTRO else f"{text[:MAX_INTRO]} … (enter on the step shows all of it)"

    async def carried(self, outcome: Outcome) -> None:
        self.session.undo = outcome.undo
        if outcome.secret is not None:
            from controlplane.keys.secret import display
            from screens.dialogs.secret import ShowSecret

            title = f"the secret of {display(outcome.secret)}"
            await self.app.push_screen_wait(ShowSecret(self.session, title, outcome.secret))

    async def observe(self, check: Any) -> Mapping[str, Any]:
        asking(self.app, "asking outside of the home")
        return await cast(Desk, self.app).look_outside(check)

    async def drive(self, run_id: int) -> Mapping[str, Any]:
        """The run is carried in the background of the program, or by the worker; this waits for its end."""
        cast(Desk, self.app).drive_run(run_id)
        runs = self.session.require_plane().of(RunDirectory)
        while is_left(found := await runs.get(run_id)) or found.standing == "running":
            await RealClock().sleep(LOOK_SECONDS)
        return run_counts(found)
