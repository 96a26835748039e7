"""Runbooks on the command line: one is run, resumed, rehearsed, shown, checked; an execution becomes evidence."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from app.cli.asked import CHANGING, READING, Changing, Reading, opened
from app.cli.lists import Told, text_lines
from app.cli.output import document, say, tell
from app.cli.parameters import Parameter
from app.cli.stepping import AtTerminal, answers_of
from app.cli.writing import refuse_read_only
from controlplane.errors import Refusal, Usage
from controlplane.runbooks.model import Execution, ExecutionDirectory, RunbookRow, StepRow, Verdict, Whole
from controlplane.runbooks.refusals import NO_STEP
from controlplane.runbooks.words import execution_lines, output_words, runbook_lines, step_lines
from controlplane.text import clean

if TYPE_CHECKING:
    from app.contexts import Context
    from controlplane.changes import ControlPlane

Answers = Annotated[
    tuple[str, ...],
    Parameter(name="--answer", help="NAME=VALUE: the answer to a question; repeatable."),
]
To = Annotated[str | None, Parameter(help="The file for the evidence; a new one.")]


async def run(
    name: str,
    /,
    *,
    incident: Annotated[int | None, Parameter(help="The incident that it is carried out for.")] = None,
    answer: Answers = (),
    asked: Changing = CHANGING,
) -> int:
    """Run a runbook: begin an execution, and do its steps as far as they go from here."""
    from app.cli.changing import carry_out, print_outcome
    from controlplane.registry import named

    operation, given = named("runbooks.run"), answers_of(answer)
    request = operation.parse({"name": name, "incident": incident})
    async with opened(asked) as context:
        outcome = await carry_out(context, operation, request, asked)
        if asked.dry_run:
            print_outcome(outcome, asked)
            return 0
        return await _walked(context, int(outcome.result["id"]), given, asked)


async def resume(number: int, /, *, answer: Answers = (), asked: Changing = CHANGING) -> int:
    """Continue an execution, also one that somebody else began, or that is stopped."""
    from app.cli.changing import carry_out
    from controlplane.registry import named

    given = answers_of(answer)
    async with opened(asked) as context:
        if asked.dry_run:
            return await _previewed(context, "runbooks.resume", {"id": number}, asked)
        await refuse_read_only(context)
        execution = await context.home.of(ExecutionDirectory).get(number)
        if execution.stopped_at is not None:
            operation = named("runbooks.resume")
            await carry_out(context, operation, operation.parse({"id": number}), asked)
        return await _walked(context, number, given, asked)


async def do(
    number: int,
    step: int,
    /,
    *,
    verdict: Annotated[Verdict | None, Parameter(help="How a person's step ended.")] = None,
    note: Annotated[str, Parameter(help="What was seen, or why the step is skipped.", allow_leading_hyphen=True)] = "",
    answer: Answers = (),
    asked: Changing = CHANGING,
) -> int:
    """Do one step of an execution: claim it, carry it out, record the result."""
    from controlplane.runbooks.walking import do_step

    async with opened(asked) as context:
        if asked.dry_run:
            return await _previewed(context, "runbooks.do", {"execution": number, "place": step}, asked)
        await refuse_read_only(context)
        hands = AtTerminal(context, asked, answers_of(answer), verdict, note)
        whole = await context.home.of(ExecutionDirectory).whole(number)
        if not 1 <= step <= len(whole.steps):
            raise NO_STEP.of(step)
        hands.page(whole, step)
        done = await do_step(context.home, number, step, hands)
        whole = await context.home.of(ExecutionDirectory).whole(number)
        return _printed(whole, asked, [done])


async def _previewed(context: Context, name: str, fields: dict[str, object], asked: Changing) -> int:
    """What beginning with it would change; what its operations do is previewed when they are done."""
    from app.cli.changing import carry_out, print_outcome
    from controlplane.registry import named

    operation = named(name)
    print_outcome(await carry_out(context, operation, operation.parse(fields), asked), asked)
    return 0


async def _walked(context: Context, number: int, answers: Mapping[str, str], asked: Changing) -> int:
    """Exit codes: 0 every step passed or was skipped, 1 something is left or failed."""
    from controlplane.runbooks.drill import walk

    hands = AtTerminal(context, asked, answers)
    done: list[StepRow] = []

    def told(row: StepRow) -> None:
        done.append(row)
        if not asked.json:
            say(_line(row))

    whole = await walk(context.home, number, hands, told, hands.ready)
    return _printed(whole, asked, done, said=True)


def _line(row: StepRow) -> str:
    words = row.note or output_words(row)
    return clean(f"{row.verdict or 'waits':<8} {row.place}. {row.name}" + (f": {words}" if words else ""), 300)


def _printed(whole: Whole, asked: Reading, done: list[StepRow], *, said: bool = False) -> int:
    execution = whole.execution
    if asked.json:
        document({"item": dataclasses.asdict(execution) | {"step_list": list(map(dataclasses.asdict, whole.steps))}})
    elif not said:
        for row in done:
            say(_line(row))
    if execution.at is not None:
        row = whole.step(execution.at)
        who = f", which {row.claimed_by} has claimed" if row.claimed_by else ""
        tell(clean(f"execution {execution.id}: next is step {row.place}, {row.name}{who}. Continue it:", 300))
        tell(f"  watchfloor runbooks resume {execution.id}")
    else:
        tell(f"execution {execution.id}: {execution.state}; watchfloor runbooks evidence {execution.id} proves it")
    failed = any(row.verdict not in ("passed", "skipped") for row in done)
    return 1 if failed or (said and execution.state != "passed") else 0


async def drill(
    name: str,
    /,
    *,
    to: To = None,
    by_hand: Annotated[bool, Parameter(help="Do the steps for people yourself.")] = False,
    scratch: Annotated[bool, Parameter(help="In a temporary home.")] = False,
    asked: Reading = READING,
) -> int:
    """Rehearse a runbook on things made for it, measure the time, and write the evidence to a file."""
    from app.cli.rehearsing import rehearse, scratch_home

    path = new_file(to or f"runbook-drill-{clean(name, 64)}.dsse.json")
    if scratch:
        async with scratch_home() as (context, place):
            return await rehearse(context, name, path, dataclasses.replace(asked, home=place), by_hand=by_hand)
    async with opened(asked) as context:
        await refuse_read_only(context)
        if context.production:
            raise Refusal("drill_production", "A drill is not for production.", "--scratch, or --home with another.")
        return await rehearse(context, name, path, asked, by_hand=by_hand)


async def evidence(number: int, /, *, to: To = None, asked: Changing = CHANGING) -> None:
    """Write what an execution proves to a file, signed, and record it as evidence."""
    from app.cli.rehearsing import prove

    if asked.dry_run:
        raise Usage(
            "usage", "Evidence is only written or not.", "watchfloor executions show NUMBER says what it holds."
        )
    async with opened(asked) as context:
        await refuse_read_only(context)
        whole = await context.home.of(ExecutionDirectory).whole(number)
        path = new_file(to or f"runbook-{whole.execution.runbook}-{number}.dsse.json")
        recorded = await prove(context, whole, path, asked)
    if asked.json:
        document({"item": recorded})
    else:
        say(clean(f"{path}", 400))
        tell(f"recorded as evidence {recorded['evidence']}; watchfloor evidence list shows it")


def new_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.exists():
        raise Usage("evidence_file_exists", f"{clean(path, 400)} is there already.", "Name a new file: --to FILE")
    return path


def check(*files: Annotated[Path, Parameter(help="A runbook's Markdown.")], asked: Reading = READING) -> int:
    """Check runbooks without a home: every fault with its line."""
    from backends.runbook_folder import read_file
    from controlplane.runbooks.shelf import read

    if not files:
        raise Usage("usage", "runbooks check takes a file.", "watchfloor runbooks check my-runbook.md")
    begun, faults, items = time.monotonic(), list[str](), []
    for path in files:
        try:
            runbook = read(read_file(path))
            items.append({"file": str(path), "steps": len(runbook.steps), "faults": []})
        except Usage as fault:
            faults += fault.why
            items.append({"file": str(path), "steps": None, "faults": list(fault.why)})
    if asked.json:
        document({"items": items, "seconds": round(time.monotonic() - begun, 3)})
    else:
        for words in faults:
            say(clean(words, 500))
        tell(f"{len(files)} checked, {len(faults)} faults")
    return 1 if faults else 0


async def show_runbook(plane: ControlPlane, row: RunbookRow) -> Told:
    """Show a runbook: its steps, how it ended last, and when it was rehearsed."""
    lines = text_lines(runbook_lines(row, plane.clock.now()))
    steps = row.runbook.listed() if row.runbook else []
    return Told({"step_list": steps, "text": row.runbook.body if row.runbook else None}, lines)


async def show_execution(plane: ControlPlane, execution: Execution) -> Told:
    """Show an execution: each step, who has it, and the result."""
    whole, now = await plane.of(ExecutionDirectory).whole(execution.id), plane.clock.now()
    lines = text_lines(execution_lines(whole.execution, now))
    for row in whole.steps:
        lines += ["", *(f"  {line}" if place else line for place, line in enumerate(text_lines(step_lines(row, now))))]
    return Told({"step_list": list(map(dataclasses.asdict, whole.steps))}, lines)
