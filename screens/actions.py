"""How an operation is carried out from a screen: form, preview, question, run, result with its way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Refusal
from screens.desk import SAID_SECONDS, Desk, Done, Target
from screens.session import Pending, Session

if TYPE_CHECKING:
    from textual.app import App

    from controlplane.carrying import Question
    from controlplane.lists import Line
    from controlplane.operations import Operation, Outcome
    from controlplane.undoing import UndoStep

Way = Callable[["App[None]", Session, "Operation[Any]", Target], Awaitable["Done | None"]]
REVEALED_SECONDS = 60.0
"""As long as the home lets a revealed field be read."""


async def carry_out(
    app: App[None], session: Session, operation: Operation[Any], target: Target, shown: Sequence[Any] = ()
) -> Done | None:
    """Ask what must be asked, run the operation, keep its undo in the session. None: the person declined. `shown`: the
    rows that it is asked on, from which its form may begin.

    Runs in a worker: it waits for dialogs.
    """
    try:
        if way := way_of(operation):
            return await way(app, session, operation, target)
        from controlplane.asked import as_it_is

        row = target.row if target.row is not None else next(iter(shown), None)
        return await form_and_run(app, session, operation, target, operation.begun(shown), as_it_is(operation, row))
    except Refusal as refusal:
        return not_done(refusal)


def way_of(operation: Operation[Any]) -> Way | None:
    """How it is carried out where its noun says that it takes more than a form and a question."""
    from controlplane.nouns import load, noun_named

    noun = noun_named(operation.noun)
    place = noun.ways.get(operation.verb) if noun else None
    way: Way | None = load(place) if place else None
    return way


async def form_and_run(
    app: App[None],
    session: Session,
    operation: Operation[Any],
    target: Target,
    begun: Mapping[str, Any] | None = None,
    now: Mapping[str, str] | None = None,
) -> Done | None:
    """Raises Refusal. `begun`: what the form begins with; `now`: the fields of the thing as they are."""
    given = _given(operation, target)
    title = f"{operation.verb} {_label(operation, target, given)}".strip()
    answers = await filled_in(app, session, operation, title, given, begun, now)
    if answers is None:
        return None
    fields, reason = answers
    request = operation.parse(fields)
    label = _label(operation, target, dict(request)) or request.thing
    return await _ask_and_run(app, session, operation, fields, reason, label)


async def carry_out_given(
    app: App[None], session: Session, operation: Operation[Any], fields: Mapping[str, Any], reason: str, label: str
) -> Done | None:
    """The same where all that a form would ask for is known."""
    from controlplane.operations import authorise

    try:
        authorise(session.require_writing(), operation)
        return await _ask_and_run(app, session, operation, fields, reason, label)
    except Refusal as refusal:
        return not_done(refusal)


async def filled_in(
    app: App[None],
    session: Session,
    operation: Operation[Any],
    title: str,
    given: dict[str, Any],
    begun: Mapping[str, Any] | None = None,
    now: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], str] | None:
    """The fields and the reason: those given, and those asked for in a form, which begins with those in `begun`. None:
    the person declined.
    """
    from controlplane.operations import authorise
    from screens.dialogs.form import RequestForm, asks_nothing

    authorise(session.require_writing(), operation)  # before a form is filled in for nothing
    if asks_nothing(operation, given):
        return given, ""
    return await app.push_screen_wait(RequestForm(session, operation, title, given, begun, now))


async def undo(app: App[None], session: Session, step: UndoStep) -> Done | None:
    """Undo the last change by the same steps that made it, after asking for the reason."""
    from controlplane.operations import authorise
    from controlplane.registry import named
    from screens.dialogs.form import ReasonForm

    operation = named(step.operation)
    label = "/".join(str(step.request.get(name, "")) for name in operation.request.subject)
    if way_of(operation):
        return await carry_out(app, session, operation, Target(step.request, None, label))
    try:
        authorise(session.require_writing(), operation)
        reason = await app.push_screen_wait(ReasonForm(session, f"undo: {operation.verb} {label}", step.reason))
        if reason is None:
            return None
        return await _ask_and_run(app, session, operation, step.request, reason, label)
    except Refusal as refusal:
        return not_done(refusal)


def not_done(refusal: Refusal) -> Done | None:
    """What to say about a refusal: nothing when the person declined."""
    from controlplane.carrying import NotConfirmed

    if isinstance(refusal, NotConfirmed):
        return None
    return Done(str(refusal), "warn" if refusal.code == "approval_asked_now" else "bad")


async def _ask_and_run(
    app: App[None], session: Session, operation: Operation[Any], fields: Mapping[str, Any], reason: str, label: str
) -> Done | None:
    from controlplane import carrying
    from controlplane.operations import Call, Risk, new_request_id, reveals

    request, request_id = operation.parse(fields), new_request_id()
    what = f"{operation.verb} {label}".strip()
    call = Call(reason, request_id, tell=partial(_lost, app, what))
    with ExitStack() as running:

        async def ask(question: carrying.Question) -> bool:
            agreed = await ask_about(app, session, question, fields, label)
            if agreed:
                running.enter_context(pending(app, session, what, request_id))
            return agreed

        if operation.risk is Risk.SAFE:
            running.enter_context(pending(app, session, what, request_id))
        else:
            asking(app, what)
        plane, production = session.require_writing(), session.production
        outcome = await carrying.carry_out(plane, operation, request, call, ask, production=production)
    session.undo = outcome.undo
    if outcome.secret is not None:
        from controlplane.keys.secret import display
        from screens.dialogs.secret import ShowSecret

        title = f"the secret of {display(outcome.secret)}"
        await app.push_screen_wait(ShowSecret(session, title, outcome.secret))
        outcome = dataclasses.replace(outcome, secret=None)  # so that it is not kept
    seconds = REVEALED_SECONDS if reveals(outcome) else SAID_SECONDS
    return Done(result_words(operation, label, outcome), seconds=seconds)


async def ask_about(
    app: App[None], session: Session, question: Question, fields: Mapping[str, Any], label: str
) -> bool:
    """Show what it would change, and ask. Raises Refusal when nothing can be changed any more."""
    agreed = bool(await app.push_screen_wait(_question(session, question, fields, label)))
    session.require_writing()  # the link may be lost, or the time for writing over, since the question
    return agreed


def asking(app: App[None], what: str) -> None:
    tell(app, Done(f"{what}: asking the home what it would change", "muted"))


@contextmanager
def pending(app: App[None], session: Session, what: str, request_id: str) -> Iterator[None]:
    """While the change with this request id has no answer, the last line says so in place of the previous result, and
    a person who leaves is told of it.
    """
    session.pending = Pending(what, request_id)
    tell(app, Done("", ""))
    try:
        yield
    finally:
        session.pending = None


def tell(app: App[None], done: Done) -> None:
    cast(Desk, app).tell(done)


def _lost(app: App[None], what: str, words: str) -> None:
    tell(app, Done(f"{what}: {words}", "warn"))


def _given(operation: Operation[Any], target: Target) -> dict[str, Any]:
    """The fields that the target gives, by its list's declaration or its row, without the name of what is created.
    Whose a new thing is follows from the row that it is asked on.
    """
    known = set(operation.request.subject) - set(operation.request.makes)
    given = {name: target.subject.get(name, getattr(target.row, name, None)) for name in known}
    if "version" in operation.request.model_fields:
        given["version"] = target.version
    return {name: value for name, value in given.items() if value is not None}


def _label(operation: Operation[Any], target: Target, fields: Mapping[str, Any]) -> str:
    """What it is done to; of what it makes the name, or whose it is, as far as that is known."""
    asked = operation.request
    if not (asked.makes or asked.makes_a):
        return target.label
    known = set(asked.subject) <= fields.keys()
    thing = "/".join(str(fields[name]) for name in asked.subject) if known else ""
    if not asked.makes_a:
        return thing
    made = f"{'an' if asked.makes_a[0] in 'aeiou' else 'a'} {asked.makes_a}"
    return f"{made} of {thing}" if thing else made


def _question(session: Session, question: Question, fields: Mapping[str, Any], label: str) -> Any:
    from controlplane.previews import command_line, outcome_lines
    from screens.dialogs import confirm

    plane, operation, preview = session.require_plane(), question.operation, question.preview
    return confirm.Confirm(
        session,
        confirm.Question(
            title=f"{operation.verb} {label}",
            who=f"as {plane.actor.name} ({plane.actor.role})",
            preview=outcome_lines(preview),
            way_back=way_back(operation, "Press u to undo it"),
            command=command_line(operation, fields, question.reason),
            risk=question.risk,
            name=label or question.name,
            how_many=f"{len(preview.rows)} rows" if len(preview.rows) != 1 else "",
        ),
    )


def way_back(operation: Operation[Any], undone_by: str) -> str:
    """How to undo the operation, or how to correct a mistake."""
    return f"{undone_by} ({operation.undo})" if operation.undo else operation.way_back or "Cannot be undone."


def result_words(operation: Operation[Any], label: str, outcome: Outcome) -> str:
    """One line: what was done, its audit rows, how to undo it."""
    audit = ", ".join(map(str, outcome.audit_ids[:3])) + (" …" if len(outcome.audit_ids) > 3 else "")
    from controlplane.operations import reveals

    revealed = f": {outcome.result['value'] or 'nothing is there'} (for 60 s)" if reveals(outcome) else ""
    words = f"{operation.verb} {label}{revealed} · audit {audit}"
    if outcome.repeated:
        words += " · was done before"
    return words + (" · u: undo" if outcome.undo else "")


def choices(operations: Sequence[Operation[Any]], session: Session, row: Any) -> list[tuple[Operation[Any], str]]:
    """The operations that the role allows, each with why it cannot be done on this row ("" when it can)."""
    from controlplane.operators.roles import allows

    found = []
    for operation in operations:
        if allows(session.role, operation.role):
            refusal = operation.refusal(row, session.clock())
            found.append((operation, refusal.message if refusal else ""))
    return found


def nothing_to_do(operations: Sequence[Operation[Any]], session: Session) -> str:
    """Why no operation is offered: there is none, or the role allows none."""
    from controlplane.operators.roles import ROLES

    if not operations:
        return "Nothing can be done here."
    least = min((operation.role for operation in operations), key=ROLES.index)
    return f"Nothing can be done here as {session.role}: it takes {least} or more."


def choice_lines(operations: Sequence[Operation[Any]], session: Session, row: Any, noun: str) -> list[Line]:
    """For `w`: what can be done with this row of a noun and what cannot, with the reason."""
    from screens.dialogs.menu import called

    offered = choices(operations, session, row)
    lines: list[Line] = ["", ("what can be done", "title")]
    for each, why_not in offered:
        lines.append((f"  {called(each, noun)}: {why_not or 'yes'}", "muted" if why_not else ""))
    return lines if offered else [*lines, f"  {nothing_to_do(operations, session)}"]
