"""Gates on the command line: run one, decide again from summaries, compare two runs, show one with what it found."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from app.cli.asked import CHANGING, READING, Changing, Reading, opened
from app.cli.lists import Told, text_lines
from app.cli.output import Column, document, say, table, tell
from app.cli.parameters import Parameter
from controlplane.errors import Refusal, Usage
from controlplane.gates.deciding import EXIT_CODES, Decision, Result
from controlplane.gates.model import GateRow, GateRun, RunDirectory, Whole
from controlplane.gates.refusals import GATE_RUN_PRUNED
from controlplane.gates.standing import check_row, decision_of, rows_of
from controlplane.gates.words import GLYPHS, VERDICT_WORDS, check_words, compared, opening_lines, run_lines, why_lines
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

CONNECTIONS = 9
"""Eight checks may read the home at once, and one connection is left for what they find."""


async def run(
    gate: str,
    /,
    *,
    environment: Annotated[str | None, Parameter(help="production, staging …; default: the context's.")] = None,
    mode: Annotated[
        Literal["full", "fast"], Parameter(help="full, or fast: stop counting violations at a sample.")
    ] = "full",
    batch_size: Annotated[int | None, Parameter(help="How many checks a batch has.")] = None,
    batch_index: Annotated[int | None, Parameter(help="Which of the batches, from 0.")] = None,
    files: Annotated[str, Parameter(help="The folder with the files that the checks read.")] = ".",
    commands: Annotated[bool, Parameter(help="Allow the gate to run its programs on this machine.")] = False,
    databases: Annotated[bool, Parameter(help="Allow the gate to query the databases of your profiles.")] = False,
    summary: Annotated[str | None, Parameter(help="Write all that the verdict follows from into this file.")] = None,
    junit: Annotated[str | None, Parameter(help="Write the checks as JUnit XML into this file.")] = None,
    sarif: Annotated[str | None, Parameter(help="Write what does not pass as SARIF into this file.")] = None,
    asked: Changing = CHANGING,
) -> int:
    """Run a gate. Exit codes: 0 GO, 10 GO with conditions, 20 NO GO, 30 inconclusive."""
    from app.cli.changing import carry_out, print_outcome
    from app.gating import run_gate
    from controlplane.registry import named

    operation = named("gates.run")
    async with opened(asked, CONNECTIONS) as context:
        fields = {
            "gate": gate,
            "environment": environment or context.environment,
            "mode": mode,
            "batch_size": batch_size,
            "batch_index": batch_index,
        }
        request = operation.parse({name: value for name, value in fields.items() if value is not None})
        outcome = await carry_out(context, operation, request, asked)
        if asked.dry_run:
            print_outcome(outcome, asked)
            return 0
        number = int(outcome.result["id"])
        if not outcome.repeated:

            def told(result: Result) -> None:
                if not asked.json:
                    judged = result.judged
                    words = judged.words or judged.because.replace("_", " ")
                    tell(clean(f"{GLYPHS[judged.state]} {judged.state:<12} {result.name}  {words}", 200))

            await run_gate(
                context.home, number, settings=_settings(), folder=Path(files), commands=commands, databases=databases,
                of_home=CONNECTIONS - 1, told=told,
            )  # fmt: skip
        whole = await context.home.of(RunDirectory).whole(number)
    return _printed(whole, asked, summary, junit, sarif)


def _settings() -> Any:
    from app.settings import load

    return load()


def _printed(whole: Whole, asked: Reading, summary: str | None, junit: str | None, sarif: str | None) -> int:
    from controlplane.gates import reports
    from controlplane.gates.standing import document_of

    run = whole.run
    if run.verdict is None:
        raise Refusal("gate_run_undecided", f"Run {run.id} has no verdict: it is {run.state}.", "Run the gate again.")
    if run.pruned_at is not None:
        raise GATE_RUN_PRUNED()
    made = document_of(whole)
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    rows = rows_of(whole)
    for path, content in (
        (summary, text),
        (junit, reports.junit_xml(run, rows) if junit else ""),
        (sarif, reports.sarif(run, rows) if sarif else ""),
    ):
        if path is not None:
            Path(path).write_text(content, encoding="utf-8")
    if asked.json:
        document(made)
    else:
        lines = [*run_lines(run, run.decided_at or run.started_at), *opening_lines(decision_of(whole))]
        for line in text_lines(lines):
            say(clean(line))
    return EXIT_CODES[run.verdict]


def decide(
    *summaries: Annotated[str, Parameter(help="The summary of a run, or those of the batches of one gate.")],
    asked: Reading = READING,
) -> int:
    """Decide again from summaries alone: no home, no network. Exit codes as of run; 1 when one was altered."""
    from controlplane.gates.summary import MAX_SUMMARY_BYTES, read, recompute

    if not summaries:
        raise Usage("usage", "gates decide takes the file of a summary.", "watchfloor gates run GATE --summary FILE")
    found = []
    for name in summaries:
        try:
            found.append(read(_bytes(name, MAX_SUMMARY_BYTES + 1), name))
        except OSError as error:
            raise Usage("summary_unreadable", f"{clean(name, 200)} cannot be read: {error.strerror}.") from None
    decision = recompute(found)
    if asked.json:
        document({"item": _record(decision, found[0].gate, found[0].environment)})
    else:
        say(clean(f"{found[0].gate} in {found[0].environment}: {VERDICT_WORDS[decision.verdict]}"))
        for each in decision.checks:
            if each.state != "pass":
                say(check_words(check_row(each), decision.at))
        for condition in decision.conditions:
            say(clean(f"condition: {condition.check}, {condition.owner} by {condition.due:%Y-%m-%d %H:%M} UTC", 300))
    return EXIT_CODES[decision.verdict]


def _bytes(name: str, most: int) -> bytes:
    with Path(name).open("rb") as file:
        return file.read(most)


def _record(decision: Decision, gate: str, environment: str) -> dict[str, Any]:
    return {
        "gate": gate,
        "environment": environment,
        "verdict": decision.verdict,
        "at": decision.at,
        "checks": [dataclasses.asdict(check_row(each)) for each in decision.checks],
        "conditions": [dataclasses.asdict(each) for each in decision.conditions],
    }


async def compare(before: int, after: int, /, *, asked: Reading = READING) -> None:
    """Compare two runs: the checks that differ in their state or in what was found."""
    async with opened(asked) as context:
        runs, as_of = context.home.of(RunDirectory), context.home.clock.now()
        both = [await runs.whole(number) for number in (before, after)]
    found = compared(*map(rows_of, both))
    if asked.json:
        items = [{"check": name, "before": was, "after": now} for name, was, now in found]
        document({"items": items, "next": None, "total": len(items), "as_of": as_of})
        return
    table([Column("CHECK"), Column(f"RUN {before}"), Column(f"RUN {after}")], found)
    tell(f"{len(found)} checks differ.")


async def show_gate(plane: ControlPlane, row: GateRow) -> Told:
    """Show a gate in an environment: its checks, why it is closed, and what must change to open it."""
    now = plane.clock.now()
    checks = [check_row(each) for each in row.decision.checks] if row.decision else []
    lines = [*text_lines(why_lines(row, now)), "", *(check_words(each, now) for each in checks)]
    return Told({"checks_found": [dataclasses.asdict(each) for each in checks]}, lines)


async def show_decision(plane: ControlPlane, run: GateRun) -> Told:
    """Show a run: what each check found, and what the verdict follows from."""
    whole = await plane.of(RunDirectory).whole(run.id)
    now = plane.clock.now()
    rows = rows_of(whole)
    lines = [*text_lines(run_lines(run, now)), "", *(check_words(each, now) for each in rows)]
    record: Mapping[str, Any] = {"checks_found": [dataclasses.asdict(each) for each in rows]}
    return Told(record, lines)


def shipped(*names: Annotated[str, Parameter(help="Which ones; default: all.")]) -> None:
    """Print the gates that come with the program, as a gate file: gates shipped | gates apply -."""
    from controlplane.gates.shipped.texts import ORDER, text

    wanted: Sequence[str] = names or ORDER
    if unknown := [name for name in wanted if name not in ORDER]:
        raise Usage("no_gate_shipped", f"No gate {clean(unknown[0], 60)} comes with it.", f"Gates: {', '.join(ORDER)}.")
    for line in text(wanted).splitlines():
        say(line)


def print_schema() -> None:
    """Print the JSON Schema of a gate file, for editors."""
    from controlplane.gates.document import schema

    for line in json.dumps(schema(), indent=2).splitlines():
        say(line)
