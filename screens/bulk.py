"""The same operation done to many things, from a screen: form, preview of the whole, question, a run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Refusal, Usage
from controlplane.formatting import spell
from controlplane.lists import Line
from controlplane.runs.model import RunDirectory
from controlplane.runs.rules import is_left
from controlplane.text import clean
from screens.actions import asking, filled_in, form_and_run, not_done, pending, way_back
from screens.desk import Desk, Done, Target
from screens.session import Session

if TYPE_CHECKING:
    from textual.app import App

    from controlplane.operations import Operation
    from controlplane.runs.engine import RunPreview, RunQuestion
    from controlplane.runs.model import Run


async def carry_out_many(
    app: App[None], session: Session, operation: Operation[Any], targets: Sequence[Target], hidden: int
) -> Done | None:
    """`hidden`: how many marked things are not among the targets because a filter hides them."""
    versioned = "version" in operation.request.model_fields
    among = {"subjects": [dict(each.subject) | (_seen(each) if versioned else {}) for each in targets]}
    hides = f"; {hidden} marked are hidden by the filter and left out" if hidden else ""

    def command(fields: dict[str, Any], reason: str) -> str:
        return _command(operation, fields, reason, targets)

    return await _start(app, session, operation, _title(operation, targets), targets[0].subject, among, command, hides)


async def carry_out_matching(
    app: App[None], session: Session, operation: Operation[Any], text: str, what: str
) -> Done | None:
    """The same to all that match a filter; `what` they are, in words."""
    unnamed = dict.fromkeys(operation.request.subject, "1")  # which one is asked nowhere

    def command(fields: dict[str, Any], reason: str) -> str:
        from controlplane.previews import command_line

        line = command_line(operation, fields | dict.fromkeys(unnamed, ""), reason)
        return line.replace("''", f"--filter {shlex.quote(text)}", 1)

    title = f"{operation.verb} {what}"
    return await _start(app, session, operation, title, unnamed, {"filter": text}, command, "")


async def _start(
    app: App[None],
    session: Session,
    operation: Operation[Any],
    title: str,
    subject: Mapping[str, Any],
    among: dict[str, Any],
    command: Callable[[dict[str, Any], str], str],
    hides: str,
) -> Done | None:
    """`among`: the things of the run, named or by a filter. `subject`: the fields that name one: they are not asked."""
    from controlplane.operations import new_request_id
    from controlplane.runs.engine import start_run
    from controlplane.runs.operations import RunStart, target

    given = dict(subject)
    try:
        target(operation.name)  # before a form is filled in for nothing
        answers = await filled_in(app, session, operation, title, given)
        if answers is None:
            return None
        fields, reason = answers
        secrets_to = ""
        if operation.makes_secret:
            place = await ask_secrets_file(app, session, title)
            if place is None:
                return None
            secrets_to = place
        shared = {name: value for name, value in fields.items() if name not in given}
        request = RunStart.model_validate({"operation": operation.name, "fields": shared, **among})
        request_id = new_request_id()
        with ExitStack() as running:

            async def ask(question: RunQuestion) -> bool:
                line = command(shared | _place(secrets_to), reason)
                if agreed := await confirmed(app, session, question, title, line, hides):
                    running.enter_context(pending(app, session, title, request_id))
                return agreed

            asking(app, title)
            plane, production = session.require_writing(), session.production
            keep = cast(Desk, app).keep_secrets(secrets_to) if secrets_to else None
            run = await start_run(plane, request, reason, request_id, ask, keep=keep, production=production)
    except Refusal as refusal:
        return not_done(refusal)
    cast(Desk, app).drive_run(run.id)
    return Done(f"run {run.id} started: {title} · :runs shows it")


async def resume(app: App[None], session: Session, operation: Operation[Any], target: Target) -> Done | None:
    """Resume a run, which then needs a program that drives it: this console."""
    run = await session.require_plane().of(RunDirectory).get(_number(target))
    done = None if is_left(run) else await form_and_run(app, session, operation, target)  # one that is left may go on
    if done is None or done.tone == "good":
        cast(Desk, app).drive_run(run.id)
    return done


async def take_back(app: App[None], session: Session, operation: Operation[Any], target: Target) -> Done | None:
    """Undo a run by another run, after the same question as before any run."""
    from controlplane.runs.engine import undo_run
    from screens.dialogs.form import ReasonForm

    number = _number(target)
    title = f"undo of run {number}"
    reason = await app.push_screen_wait(ReasonForm(session, title, title))
    if reason is None:
        return None

    async def ask(question: RunQuestion) -> bool:
        command = f"watchfloor runs undo {number} --reason {shlex.quote(reason or title)}"
        return await confirmed(app, session, question, title, command)

    plane = session.require_writing()
    run = await undo_run(plane, number, reason, ask=ask, production=session.production)
    cast(Desk, app).drive_run(run.id)
    return Done(f"run {run.id} started: it undoes run {run.undoes}")


def _number(target: Target) -> int:
    """Raises Usage when none is chosen."""
    number = str(target.subject.get("id", ""))
    if not number.isdecimal():
        raise Usage("run_missing", "No run is chosen.", "In :runs, put the cursor on one.")
    return int(number)


def _place(secrets_to: str) -> dict[str, Any]:
    """The option of the command line."""
    return {"secrets_to": secrets_to} if secrets_to else {}


async def ask_secrets_file(app: App[None], session: Session, title: str) -> str | None:
    """Ask for the file that the secrets of a run go to: they are not shown. None: the person declined."""
    from screens.dialogs.fields import Asked, FieldsForm

    def check(answers: dict[str, str]) -> None:
        path = Path(answers["file"]).expanduser()
        if not answers["file"]:
            raise Usage("secrets_to_needed", "Say which file.")
        if path.exists():
            raise Usage("secrets_file_exists", f"{clean(path)} is there already.", "Name a new file.")
        if not path.parent.is_dir():
            raise Usage("secrets_unwritable", f"There is no folder {clean(path.parent)}.")

    asked = Asked("file", "a new file for the secrets, readable only by you")
    answers = await app.push_screen_wait(FieldsForm(session, title, [asked], check=check))
    if answers is None:
        return None
    cast(Desk, app).hold_keys()  # until the preview opens
    return answers["file"]


def _seen(target: Target) -> dict[str, Any]:
    return {} if target.version is None else {"version": target.version}


def _title(operation: Operation[Any], targets: Sequence[Target]) -> str:
    return f"{operation.verb} {len(targets):,} {operation.noun}"


async def confirmed(
    app: App[None], session: Session, question: RunQuestion, title: str, command: str, hides: str = ""
) -> bool:
    """Show what a run would do, and ask. Raises Refusal when changes are no longer possible."""
    from screens.dialogs.confirm import Confirm, Question

    plane, preview = session.require_plane(), question.preview
    refused = sum(preview.refusals.values())
    agreed = await app.push_screen_wait(
        Confirm(
            session,
            Question(
                title=title,
                who=f"as {plane.actor.name} ({plane.actor.role})",
                how_many=f"{preview.total:,} things, {refused:,} would be refused{hides}",
                preview=preview_lines(preview),
                way_back=way_back(question.operation, "To undo the whole run, press a, then u, in :runs"),
                command=command,
                risk=question.risk,
                name=question.name,
            ),
        )
    )
    session.require_writing()
    return bool(agreed)


def _command(operation: Operation[Any], fields: dict[str, Any], reason: str, targets: Sequence[Target]) -> str:
    """The same as a command line, cut after the first few things."""
    from controlplane.previews import command_line

    line = command_line(operation, fields | dict(targets[0].subject), reason)
    words = [" ".join(map(str, target.subject.values())) for target in targets[:3]]
    return line.replace(words[0], " ".join(words) + (" …" if len(targets) > 3 else ""), 1)


def preview_lines(preview: RunPreview) -> list[Line]:
    """Which things would be refused and why, then what the first ones would become."""
    from controlplane.previews import outcome_lines

    lines: list[Line] = [
        (f"{number:,} refused, {code}: {clean(preview.words[code])}", "warn")
        for code, number in preview.refusals.items()
    ]
    for thing, tried in preview.sample:
        if isinstance(tried, Refusal):
            lines.append((f"{clean(thing)}: refused: {clean(tried.message)}", "warn"))
        else:
            lines += outcome_lines(tried, limit=4)
    return lines


def progress_words(run: Run, seconds: float) -> str:
    """How far a run is, how fast, and how long it still takes; `seconds` since this console began with it."""
    from controlplane.runs.operations import dead_secrets

    done = run.settled
    rate = done / seconds if seconds > 0 else 0.0
    refused = f", {run.refused} refused" if run.refused else ""
    words = f"run {run.id}: {done:,} of {run.total:,}{refused}"
    if run.state != "running":
        dead = " · secrets of refused keys do not work" if dead_secrets(run) else ""
        return f"{words} · {run.state}{': ' + clean(run.why) if run.why else ''}{dead}"
    left = f" · {spell(run.waiting / rate)} left" if rate > 0 and run.waiting else ""
    return f"{words} · {rate:.0f}/s{left}"
