"""The hands of a person at a shell: what a step asks is asked on the terminal, and nothing is asked without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.cli import asking
from app.cli.asked import Changing
from app.cli.lists import text_lines
from app.cli.output import say, tell
from controlplane.carrying import Question
from controlplane.errors import Conflict, Refusal, Usage
from controlplane.previews import outcome_lines
from controlplane.runbooks.drill import run_counts
from controlplane.runbooks.model import StepRow, Verdict, Whole
from controlplane.runbooks.walking import Said, not_needed
from controlplane.runbooks.words import step_page
from controlplane.text import clean

if TYPE_CHECKING:
    from app.contexts import Context
    from controlplane.operations import Outcome
    from controlplane.runbooks.document import QuestionSpec, Step
    from controlplane.runs.engine import RunQuestion

WORDS: Mapping[str, Verdict] = {
    "y": "passed",
    "yes": "passed",
    "n": "failed",
    "no": "failed",
    "s": "skipped",
    "u": "unknown",
}


def answers_of(given: Sequence[str]) -> dict[str, str]:
    """Raises Usage `answer_unreadable`."""
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise Usage("answer_unreadable", f'--answer "{clean(each, 60)}" is not NAME=VALUE.')
        found[name] = value.strip()
    return found


class AtTerminal:
    """`verdict`, `note`: what is said of a person's step, when that is known before."""

    def __init__(
        self,
        context: Context,
        asked: Changing,
        answers: Mapping[str, str],
        verdict: Verdict | None = None,
        note: str = "",
    ) -> None:
        self.context, self.asked, self.answers = context, asked, answers
        self.verdict, self.note = verdict, note
        self.production = context.production

    def ready(self, whole: Whole, step: Step) -> bool:
        """Whether the step can be done from here: it asks for nothing, or there is somebody to ask. Shows its page."""
        asks = step.kind == "person" or (step.kind == "question" and step.what not in self.answers)
        asks = (asks or (step.kind == "operation" and not self.asked.yes)) and not_needed(whole, step) is None
        if asks and not asking.can_ask():
            return False
        if asking.can_ask():
            self.page(whole, step.place)
        return True

    def page(self, whole: Whole, place: int) -> None:
        if asking.can_ask():
            tell("")
            for line in text_lines(step_page(whole, place, self.context.home.clock.now())):
                tell(clean(line, 400) if line.strip() else "")

    async def ask(self, question: Question) -> bool:
        if not self.asked.yes:
            for line in outcome_lines(question.preview):
                tell(line)
            asking.confirmed(question.operation.name, question.risk, question.name, self.context.environment)
        return True

    async def ask_run(self, question: RunQuestion) -> bool:
        if not self.asked.yes:
            refused = sum(question.preview.refusals.values())
            tell(f"{question.preview.total:,} things, {refused:,} would be refused")
            what = f"{question.operation.name} on {question.preview.total:,} {question.operation.noun}"
            asking.confirmed(what, question.risk, question.name, self.context.environment)
        return True

    async def answer(self, step: Step, question: QuestionSpec) -> str:
        """An answer that was given in the command is taken or refused; a typed one is asked for again."""
        while True:
            given = self.answers.get(step.what)
            if given is None and not asking.can_ask():
                raise Refusal(
                    "answer_needed", f"Step {step.place} asks: {question.ask}", f"Say it: --answer {step.what}=VALUE"
                )
            words = f"{question.ask} " + (f"({'/'.join(question.choices)}) " if question.choices else "")
            answer = asking.line(clean(words, 400) + " ") if given is None else given
            if not (fault := question.fault(answer)):
                return answer
            if given is not None or not answer:
                raise Usage("answer_unreadable", f"{step.what}: {fault}.")
            tell(clean(fault, 300))

    async def judge(self, step: Step) -> Said:
        if self.verdict is not None:
            return Said(self.verdict, self.note)
        if not asking.can_ask():
            raise Refusal("person_needed", f"Step {step.place} is a person's: {step.name}", "Say it: --verdict passed")
        answer = asking.line("Done? [y]es, [n]o, it failed, [s]kip, or enter to leave it: ").lower()
        if answer not in WORDS:
            raise Refusal("not_confirmed", "The step is left as it is; it stays yours.")
        return Said(WORDS[answer], asking.line("Note: "))

    async def again(self, row: StepRow) -> bool:
        """A person looks again when they want to: runbooks resume."""
        return False

    async def carried(self, outcome: Outcome) -> None:
        if outcome.secret is not None:
            (tell if self.asked.json else say)(f"secret: {outcome.secret}")
            tell("The secret is shown this once: keep it now.")
        if outcome.undo is not None:
            from app.cli.changing import undo_command

            tell(f"undo: {undo_command(outcome)}")

    async def observe(self, check: Any) -> Mapping[str, Any]:
        from app.gating import look_outside

        return await look_outside(self.context.home, check)

    async def drive(self, run_id: int) -> Mapping[str, Any]:
        from controlplane.runs.engine import drive, follow

        try:
            return run_counts(await drive(self.context.home, run_id))
        except Conflict:  # a worker has it
            return run_counts(await follow(self.context.home, run_id, on_progress=lambda run: None))
