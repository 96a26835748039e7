"""One operation on many things: `watchfloor tenants suspend a b c`, `… --filter TEXT`, and the runs that do it."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli import asking
from app.cli.asked import CHANGING, Changing, opened
from app.cli.changing import as_change, carry_out, print_outcome, with_reason
from app.cli.lists import Told, field_lines
from app.cli.output import answering, changed, say, tell
from app.cli.writing import refuse_read_only
from controlplane import carrying
from controlplane.audit.model import AuditRow
from controlplane.errors import Conflict, Refusal
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.operations import Call, Keep, Operation, Outcome
from controlplane.previews import outcome_lines
from controlplane.registry import named
from controlplane.runs.engine import (
    AskRun,
    RunPreview,
    RunQuestion,
    check_kept,
    drive,
    follow,
    preview_run,
    start_run,
    undo_run,
)
from controlplane.runs.model import Run, RunDirectory
from controlplane.runs.operations import START, UNDO, OneRun, dead_secrets, target
from controlplane.text import clean

if TYPE_CHECKING:
    from app.contexts import Context
    from controlplane.changes import ControlPlane

MAX_CHANGES_SHOWN = 1_000
"""So many changes of a run are printed one by one; all are in the trail."""
MAX_REFUSALS_SHOWN = 100


async def to_many(
    operation: Operation[Any],
    subjects: Sequence[str] | None,
    text: str | None,
    fields: dict[str, Any],
    pace: dict[str, Any],
    secrets_to: str | None,
    asked: Changing,
) -> int:
    """Do one operation on the named things, or on all that match. The exit code is 1 when any is refused. `pace`: how
    fast, and when it pauses by itself.
    """
    if not asked.dry_run:
        check_kept(operation, secrets_to is not None)
    [subject] = operation.request.subject
    named_things = None if subjects is None else [{subject: thing} for thing in subjects]
    given = {"operation": operation.name, "fields": fields, "subjects": named_things, "filter": text, **pace}
    request = START.parse(given)
    async with opened(asked) as context:
        asked = with_reason(operation, asked)
        if asked.dry_run:
            _print_preview(await preview_run(context.home, request, asked.reason), asked)
            return 0
        await refuse_read_only(context)
        ask = None if asked.yes else _ask(context, f"{operation.name} on {{}} {operation.noun}")
        with _secrets_file(secrets_to) as keep:
            run = await start_run(
                context.home,
                request,
                asked.reason,
                asked.request_id,
                ask,
                keep=keep,
                production=context.production,
                repeating=asked.given_id,
            )
        return await _driven(context, run, asked)


@contextmanager
def _secrets_file(path: str | None) -> Iterator[Keep | None]:
    """The file for the secrets of the keys that a run will make; None without a path."""
    if path is None:
        yield None
        return
    from backends.secrets.handed_out import SecretsFile

    file = SecretsFile(Path(path).expanduser())
    try:
        yield file.keep
    finally:
        file.close()
        if file.path.exists():
            tell(f"The secrets are in {clean(path)}, readable only by you; each works as soon as its key is rotated.")


def _ask(context: Context, what: str) -> AskRun:
    """Show what a run would do, and ask. `what` has a placeholder for the number of things."""

    async def ask(question: RunQuestion) -> bool:
        for line in _preview_lines(question.preview):
            tell(line)
        number = f"{question.preview.total:,}"
        asking.confirmed(what.format(number), question.risk, question.name, context.environment)
        return True

    return ask


async def _driven(context: Context, run: Run, asked: Changing) -> int:
    """Carry the run on as far as it goes, and print the result."""
    show = _progress if sys.stderr.isatty() else lambda run: None
    try:
        try:
            run = await drive(context.home, run.id, on_progress=show)
        except Conflict:
            if run.driver is not None:
                raise
            run = await follow(context.home, run.id, on_progress=show)  # a worker took the run that was just begun
    except asyncio.CancelledError:
        with suppress(Refusal):  # paused, so that no worker goes on with a run that was interrupted on purpose
            await carrying.carry_out(
                context.home, named("runs.pause"), OneRun(id=run.id), Call("interrupted by ctrl+c")
            )
        tell(f"\nRun {run.id} keeps its place. Continue it: watchfloor runs resume {run.id}")
        raise
    if sys.stderr.isatty():
        tell("")
    refused = await _refused(context.home, run)
    rows = await _changes(context, run) if asked.json else []
    with answering(f"watchfloor runs show {run.id}"):
        if asked.json:
            _print_document(run, refused, rows, asked)
        else:
            _print_run(run, refused)
    return 0 if run.state == "done" and not run.refused else 1


def _progress(run: Run) -> None:
    words = f"run {run.id}: {run.settled:,} of {run.total:,}, {run.refused:,} refused"
    tell(f"\r{words:<78.78}", end="")


async def _refused(plane: ControlPlane, run: Run) -> list[dict[str, Any]]:
    if not run.refused:
        return []
    query = Query((Term("is", ("refused",), "state"),))
    page = await plane.of(RunDirectory).items(run.id).page(query, limit=MAX_REFUSALS_SHOWN)
    return [{"thing": item.thing, "code": item.code, "message": item.words} for item in page.rows]


def _refused_lines(run: Run, refused: list[dict[str, Any]]) -> list[str]:
    items = [clean(f"  {item['thing']}: {item['message']} [{item['code']}]") for item in refused]
    dead = dead_secrets(run)
    return [*items, dead] if dead else items


async def _changes(context: Context, run: Run) -> list[AuditRow]:
    page = (
        await context.home.of(RunDirectory)
        .items(run.id)
        .page(Query((Term("is", ("done",), "state"),)), limit=MAX_CHANGES_SHOWN)
    )
    found = [await context.home.recorded(item.request_id) for item in page.rows]
    return [row for recorded in found if recorded for row in recorded.rows]


def _print_document(run: Run, refused: list[dict[str, Any]], rows: list[AuditRow], asked: Changing) -> None:
    command = f"watchfloor runs undo {run.id}"
    undo = {"operation": "runs.undo", "request": {"id": run.id}, "reason": None, "command": command}
    changed(
        dataclasses.asdict(run) | {"refusals": refused},
        asked.request_id,
        changes=[as_change(row, dry_run=False) for row in rows],
        audit_ids=[row.seq for row in rows],
        undo=undo if run.done and target(run.operation).undo else None,
    )


def _print_run(run: Run, refused: list[dict[str, Any]]) -> None:
    say(f"run {run.id}, {run.operation}: {run.state}; {run.done:,} done, {run.refused:,} refused of {run.total:,}")
    if run.why:
        say(f"because: {clean(run.why)}")
    for line in _refused_lines(run, refused):
        say(line)
    if run.state == "paused":
        tell(f"continue: watchfloor runs resume {run.id}; give up: watchfloor runs stop {run.id}")
    if run.done and target(run.operation).undo:
        tell(f"undo: watchfloor runs undo {run.id}")


def _print_preview(preview: RunPreview, asked: Changing) -> None:
    if not asked.json:
        for line in _preview_lines(preview):
            say(line)
        tell("Nothing was changed: this is a preview.")
        return
    tried = [(thing, outcome) for thing, outcome in preview.sample if isinstance(outcome, Outcome)]
    refused = [(thing, refusal) for thing, refusal in preview.sample if isinstance(refusal, Refusal)]
    result = {
        "total": preview.total,
        "refusals": [{"thing": thing, "code": r.code, "message": r.message} for thing, r in refused],
        "refused": dict(preview.refusals),
    }
    changes = [as_change(row, dry_run=True) for _, outcome in tried for row in outcome.rows]
    changed(result, asked.request_id, changes=changes, dry_run=True)


def _preview_lines(preview: RunPreview) -> list[str]:
    lines = [f"{preview.total:,} things; the first {len(preview.sample)} were tried and rolled back:"]
    for thing, outcome in preview.sample:
        if isinstance(outcome, Outcome):
            lines += outcome_lines(outcome)
        else:
            lines.append(f"{clean(thing)}: refused: {clean(outcome.message)} [{outcome.code}]")
    for code, number in preview.refusals.items():
        lines.append(f"{number:,} of all would be refused: {clean(preview.words.get(code, ''))} [{code}]")
    return lines


async def show_run(plane: ControlPlane, run: Run) -> Told:
    """Show a run: how far it is, and what was refused."""
    refused = await _refused(plane, run)
    return Told({"refusals": refused}, [*field_lines(dataclasses.asdict(run)), *_refused_lines(run, refused)])


async def resume(run_id: int, /, *, asked: Changing = CHANGING) -> int:
    """Resume a run that is paused, or whose program ended."""
    async with opened(asked) as context:
        run = await context.home.of(RunDirectory).get(run_id)
        operation = named("runs.resume")
        if run.state != "running" or asked.dry_run:
            outcome = await carry_out(context, operation, operation.parse({"id": run_id}), asked)
            if asked.dry_run:
                print_outcome(outcome, asked)
                return 0
        await refuse_read_only(context)
        return await _driven(context, await context.home.of(RunDirectory).get(run_id), asked)


async def undo(run_id: int, /, *, asked: Changing = CHANGING) -> int:
    """Undo what a run did, last change first; things that were changed since are refused."""
    async with opened(asked) as context:
        if asked.dry_run:
            call = Call(asked.reason, asked.request_id, dry_run=True)
            print_outcome(await carrying.carry_out(context.home, UNDO, OneRun(id=run_id), call), asked)
            return 0
        await refuse_read_only(context)
        ask = None if asked.yes else _ask(context, f"undo of run {run_id}, {{}} things")
        started = await undo_run(
            context.home,
            run_id,
            asked.reason,
            asked.request_id,
            ask,
            production=context.production,
            repeating=asked.given_id,
        )
        return await _driven(context, started, asked)
