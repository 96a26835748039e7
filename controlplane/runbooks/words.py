"""Runbooks in words: the same on the screen and on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from controlplane.formatting import relative, spell
from controlplane.gates.judging import threshold_of
from controlplane.lists import Line
from controlplane.runbooks.document import CheckSpec, ListCheck, OperationSpec, QuestionSpec, Step, filled
from controlplane.runbooks.model import Execution, RunbookRow, StepRow, Whole
from controlplane.text import clean

MAX_FIELDS = 20


def runbook_lines(row: RunbookRow, now: datetime) -> list[Line]:
    """A runbook, and what its steps are."""
    lines: list[Line] = [(row.title or row.name, "title")]
    if row.fault:
        return [*lines, *((line, "bad") for line in row.fault.split("\n"))]
    lines += [row.means, ""]
    for step in row.runbook.steps if row.runbook else ():
        lines.append(f"{step.place:>2}. {step.name}  ({spec_words(step)})")
    last = "never run" if row.at is None else f"execution {row.execution}, {row.state}, begun {relative(row.at, now)}"
    drilled = "never" if row.drilled_at is None else f"{row.drilled} {relative(row.drilled_at, now)}"
    rehearsed = f"last drill: {drilled}"
    return [*lines, "", last, (rehearsed, "" if row.drilled == "passed" else "warn")]


def spec_words(step: Step) -> str:
    """What a step is, in a few words."""
    if step.kind == "operation":
        return step.what
    return {"check": f"check {step.what}", "question": "question", "person": "a person"}[step.kind]


def do_lines(step: Step, answers: dict[str, str]) -> list[Line]:
    """What doing the step will carry out, with the answers that are known."""
    spec = step.spec
    if isinstance(spec, OperationSpec):
        lines: list[Line] = [(f"carries out {step.what}", "title")]
        fields = filled(spec.fields, answers)
        lines += [f"  {name}: {_value(value)}" for name, value in list(fields.items())[:MAX_FIELDS]]
        if spec.filter is not None:
            lines.append(f"  to all that match: {clean(filled(spec.filter, answers), 300)}")
        return [*lines, *([f"  reason: {clean(filled(spec.reason, answers), 300)}"] if spec.reason else [])]
    if isinstance(spec, CheckSpec):
        return [("checks", "title"), f"  {check_words(spec, answers)}"]
    if isinstance(spec, QuestionSpec):
        choices = f" ({' / '.join(spec.choices)})" if spec.choices else ""
        return [("asks", "title"), f"  {spec.ask}{choices}"]
    return [("a person does it, and says so", "title")]


def check_words(spec: CheckSpec, answers: dict[str, str]) -> str:
    check = spec.check
    held = threshold_of(check)
    if isinstance(check, ListCheck):
        return f"{check.noun} {clean(filled(check.filter, answers), 300)}: {held}"
    return f"{spec.kind}: {held}"


def _value(value: Any) -> str:
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 300)


def deadline(step: Step, started: datetime) -> datetime | None:
    return None if step.spec.within is None else started + timedelta(seconds=step.spec.within)


def due_words(step: Step, row: StepRow, started: datetime, now: datetime) -> Line | None:
    """By when it should be over, counted from the begin; None: nothing is said."""
    due = deadline(step, started)
    if due is None or row.verdict == "skipped":
        return None
    within = spell(step.spec.within or 0)
    if row.ended_at is not None:
        return (
            (f"in time: within {within}", "good") if row.ended_at <= due else (f"late: it was due in {within}", "bad")
        )
    left = (due - now).total_seconds()
    return (f"due in {spell(left)} (within {within})", "") if left > 0 else (f"overdue by {spell(-left)}", "bad")


def output_words(row: StepRow) -> str:
    """What came of a step, on one line: of any object, for with psql one may write any."""
    out = row.output
    if "answer" in out:
        return str(out["answer"])
    if "run" in out:
        return f"run {out['run']}: {out.get('done', '?')} done"
    if isinstance(rows := out.get("audit"), list):
        return "audit " + " ".join(map(str, rows[:5]))
    if "state" in out:
        value = out.get("value")
        number = f"{value:,g}" if isinstance(value, int | float) else str(value or "")
        held = f"{number} {out.get('unit') or ''}".strip() if number else ""
        return ", ".join(filter(None, (held, str(out.get("held_to") or ""), str(out.get("words") or ""))))
    return ""


def step_lines(row: StepRow, now: datetime) -> list[Line]:
    lines: list[Line] = [(f"step {row.place}: {clean(row.name, 200)}", "title")]
    if row.claimed_by is None:
        lines.append("nobody has claimed it")
    else:
        begun = f", begun {relative(row.begun_at, now)}" if row.begun_at else ""
        lines.append(f"claimed by {clean(row.claimed_by, 63)} {relative(row.claimed_at or now, now)}{begun}")
    if row.verdict is not None:
        tone = {"passed": "good", "failed": "bad", "unknown": "unknown", "skipped": "muted"}[row.verdict]
        lines.append((f"{row.verdict} {relative(row.ended_at or now, now)}", tone))
    if row.note:
        lines.append(f"note: {clean(row.note, 400)}")
    if words := output_words(row):
        lines.append(clean(words, 400))
    if row.tries > 1:
        lines.append((f"claimed {row.tries} times", "muted"))
    return lines


def execution_lines(row: Execution, now: datetime) -> list[Line]:
    drill = ", a drill" if row.drill else ""
    lines: list[Line] = [
        (f"execution {row.id}: {clean(row.title, 200)}", "title"),
        f"{row.state}; {row.settled} of {row.steps} steps have a verdict, {row.failed} failed, {row.skipped} skipped",
        f"begun {relative(row.started_at, now)} by {clean(row.started_by, 63)}{drill}",
    ]
    if row.incident is not None:
        lines.append(f"for incident {row.incident}")
    if row.stopped_at is not None:
        lines.append((f"stopped {relative(row.stopped_at, now)} by {clean(row.stopped_by, 63)}", "warn"))
    if row.ended_at is not None:
        lines.append(f"over after {spell(max(0.0, (row.ended_at - row.started_at).total_seconds()))}")
    return [*lines, (f"runbook sha256 {row.sha256}", "muted")]


def step_page(whole: Whole, place: int, now: datetime) -> list[Line]:
    """One step as it is read: its text, what doing it carries out, how it stands."""
    step, row = whole.runbook.step(place), whole.step(place)
    lines: list[Line] = [(f"{place} of {len(whole.steps)}. {step.name}", "title")]
    if step.remedy_of is not None:
        lines.append((f"only if step {step.remedy_of} fails: {whole.step(step.remedy_of).name}", "warn"))
    lines += [*text_lines([filled(line, whole.answers) for line in step.text]), "", *do_lines(step, whole.answers)]
    if (due := due_words(step, row, whole.execution.started_at, now)) is not None:
        lines.append(due)
    return [*lines, "", *step_lines(row, now)[1:]]


def text_lines(text: Sequence[str]) -> list[Line]:
    """Markdown as plain lines: paragraphs joined, code indented, headings marked."""
    lines: list[Line] = []
    code, joining = False, False
    for raw in text:
        line = raw.rstrip()
        if line.lstrip().startswith(("```", "~~~")):
            code, joining = not code, False
        elif code:
            lines.append((f"    {line}", "muted"))
        elif line.startswith("#"):
            lines.append((line.lstrip("# "), "title"))
            joining = False
        elif joining and line and not line.lstrip().startswith(("- ", "* ", "|", ">")) and not line[0].isdigit():
            lines[-1] = f"{lines[-1]} {line.strip()}"
        else:
            lines.append(line)
            joining = bool(line) and not line.startswith("|")
    return lines
