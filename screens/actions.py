"""How an operation is carried out from a screen: form, preview, question, run, result with its way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Refusal
from screens.session import Pending, Session

if TYPE_CHECKING:
    from textual.app import App

    from controlplane.operations import Operation, Outcome, UndoStep
    from screens.widgets.lines import Line

REVEALED_SECONDS = 60.0
"""As long as the home lets a revealed field be read."""


@dataclass(frozen=True)
class Target:
    """What an operation is done to: the subject fields, and the version that was seen."""

    subject: Mapping[str, Any]
    version: int | None
    label: str


@dataclass(frozen=True)
class Done:
    """What to say about it, and whether it went well. `seconds`: after which it is not to be seen any more."""

    words: str
    tone: str = "good"
    seconds: float = 0.0


async def carry_out(app: App[None], session: Session, operation: Operation[Any], target: Target) -> Done | None:
    """Ask what must be asked, run it, keep the way back in the session. None: the person chose not to.

    Runs in a worker: it waits for dialogs.
    """
    from controlplane.operations import authorise
    from screens.dialogs.form import RequestForm, asks_nothing

    try:
        authorise(session.require_writing(), operation)  # before a form is filled in for nothing
        fields, reason = _given(operation, target), ""
        if not asks_nothing(operation, fields):
            answers = await app.push_screen_wait(RequestForm(session, operation, _title(operation, target), fields))
            if answers is None:
                return None
            fields, reason = answers
        label = operation.parse(fields).thing if operation.request.makes else target.label
        return await _ask_and_run(app, session, operation, fields, reason, label)
    except Refusal as refusal:
        return Done(str(refusal), "bad")


async def undo(app: App[None], session: Session, step: UndoStep) -> Done | None:
    """Take the last change back, by the same way that it was made."""
    from controlplane.registry import named

    try:
        session.require_writing()
        label = "/".join(str(step.request.get(name, "")) for name in named(step.operation).request.subject)
        return await _ask_and_run(app, session, named(step.operation), step.request, step.reason, label)
    except Refusal as refusal:
        return Done(str(refusal), "bad")


async def _ask_and_run(
    app: App[None], session: Session, operation: Operation[Any], fields: Mapping[str, Any], reason: str, label: str
) -> Done | None:
    from controlplane.operations import Call, Risk, as_previewed, execute

    request = operation.parse(fields)
    what = f"{operation.verb} {label}".strip()
    if operation.risk is not Risk.SAFE:
        tell(app, Done(f"{what}: asking the home what it would change", "muted"))
        preview = await execute(session.require_writing(), operation, request, Call(reason, dry_run=True))
        if not await app.push_screen_wait(_question(session, operation, fields, reason, label, preview)):
            return None
        request = as_previewed(request, preview)
    plane = session.require_writing()
    with pending(app, session, what) as request_id:
        outcome = await execute(plane, operation, request, Call(reason, request_id, tell=partial(_lost, app, what)))
    session.undo = outcome.undo
    if outcome.secret is not None:
        from controlplane.keys.secret import display
        from screens.dialogs.secret import ShowSecret

        title = f"the secret of {display(outcome.secret)}"
        await app.push_screen_wait(ShowSecret(session, title, outcome.secret))
        outcome = dataclasses.replace(outcome, secret=None)  # forgotten
    return Done(result_words(operation, label, outcome), seconds=REVEALED_SECONDS if "value" in outcome.result else 0.0)


@contextmanager
def pending(app: App[None], session: Session, what: str) -> Iterator[str]:
    """A change is on its way under this request id. It stands in the place of what the one before came to, and who
    leaves meanwhile is told of it.
    """
    from controlplane.operations import new_request_id

    session.pending = Pending(what, new_request_id())
    tell(app, Done(f"{what}: pending, the home has not answered yet", "muted"))
    try:
        yield session.pending.request_id
    finally:
        session.pending = None


def tell(app: App[None], done: Done) -> None:
    from screens.area import Desk

    cast(Desk, app).tell(done)


def _lost(app: App[None], what: str, words: str) -> None:
    tell(app, Done(f"{what}: {words}", "warn"))


def _given(operation: Operation[Any], target: Target) -> dict[str, Any]:
    """What the row under the cursor says; the name of what is still to be made is not among it."""
    known = set(operation.request.subject) - set(operation.request.makes)
    given = {name: value for name, value in target.subject.items() if name in known}
    if "version" in operation.request.model_fields and target.version is not None:
        given["version"] = target.version
    return given


def _title(operation: Operation[Any], target: Target) -> str:
    return operation.verb if operation.request.makes else f"{operation.verb} {target.label}".strip()


def _question(
    session: Session,
    operation: Operation[Any],
    fields: Mapping[str, Any],
    reason: str,
    label: str,
    preview: Outcome,
) -> Any:
    from controlplane.operations import confirmation
    from controlplane.previews import command_line, outcome_lines
    from screens.dialogs.confirm import Confirm, Question

    plane = session.require_plane()
    back = f"u takes it back ({operation.undo})" if operation.undo else "There is no way back."
    return Confirm(
        session,
        Question(
            title=f"{operation.verb} {label}",
            who=f"as {plane.actor.name} ({plane.actor.role})",
            preview=outcome_lines(preview),
            way_back=back,
            command=command_line(operation, fields, reason),
            risk=confirmation(operation, production=session.production),
            name=label or operation.verb,
            how_many=f"{len(preview.rows)} rows" if len(preview.rows) != 1 else "",
        ),
    )


def result_words(operation: Operation[Any], label: str, outcome: Outcome) -> str:
    """One line: what was done, where it is in the trail, what takes it back."""
    audit = ", ".join(map(str, outcome.audit_ids[:3])) + (" …" if len(outcome.audit_ids) > 3 else "")
    value = outcome.result.get("value")
    revealed = f": {value or 'nothing is there'} (for 60 s)" if "value" in outcome.result else ""
    words = f"{operation.verb} {label}{revealed} · audit {audit}"
    if outcome.repeated:
        words += " · had been done before"
    return words + (" · u undoes" if outcome.undo else "")


def choices(operations: Sequence[Operation[Any]], session: Session, row: Any) -> list[tuple[Operation[Any], str]]:
    """The operations of a noun that the role has, each with why it does not fit this row ("" when it does)."""
    from controlplane.roles import allows

    found = []
    for operation in operations:
        if not allows(session.role, operation.role):
            continue
        why_not = ""
        if operation.fits is not None and row is not None:
            try:
                operation.fits(row, session.clock())
            except Refusal as refusal:
                why_not = refusal.message
        found.append((operation, why_not))
    return found


def nothing_to_do(operations: Sequence[Operation[Any]], session: Session) -> str:
    """Why no operation is offered: there is none, or the role has none."""
    from controlplane.roles import ROLES

    if not operations:
        return "Nothing can be done here."
    least = min((operation.role for operation in operations), key=ROLES.index)
    return f"Nothing can be done here as {session.role}: it takes {least} or more."


def choice_lines(operations: Sequence[Operation[Any]], session: Session, row: Any) -> list[Line]:
    """For `w`: what can be done with this row and what cannot, with the reason."""
    offered = choices(operations, session, row)
    lines: list[Line] = ["", ("what can be done", "title")]
    lines += [(f"  {each.verb}: {why_not or 'yes'}", "muted" if why_not else "") for each, why_not in offered]
    return lines if offered else [*lines, f"  {nothing_to_do(operations, session)}"]
