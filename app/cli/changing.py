"""One operation from the command line: preview, question, run, result."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from app.cli import asking
from app.cli.asked import Changing
from app.cli.output import answering, changed, facts, say, tell
from app.cli.writing import refuse_read_only
from controlplane import carrying
from controlplane.audit.model import AuditRow, differences
from controlplane.carrying import Question
from controlplane.errors import Refusal
from controlplane.operations import Call, Operation, Outcome, Request, Risk, reveals
from controlplane.previews import outcome_lines, value_words
from controlplane.registry import named
from controlplane.text import clean

if TYPE_CHECKING:
    from app.contexts import Context


async def carry_out(context: Context, operation: Operation[Any], request: Request, asked: Changing) -> Outcome:
    """Run the operation as it was asked for. Raises Refusal; then nothing was changed (but for OutcomeUnknown)."""
    asked = with_reason(operation, asked)
    if not asked.dry_run:
        await refuse_read_only(context, request)

    async def ask(question: Question) -> bool:
        for line in outcome_lines(question.preview):
            tell(line)
        if asking.can_ask():
            tell(_way_back(operation, context))
        asking.confirmed(operation.name, question.risk, question.name, context.environment)
        return True

    call = Call(asked.reason, asked.request_id, asked.dry_run, tell=lambda words: tell(clean(words)))
    # Who types a command has seen what it creates.
    agreed = asked.yes or operation.risk is Risk.PREVIEW
    production = context.production
    return await carrying.carry_out(
        context.home, operation, request, call, None if agreed else ask, production=production, repeating=asked.given_id
    )


def with_reason(operation: Operation[Any], asked: Changing) -> Changing:
    """Ask for the reason when one is needed and none was given."""
    if operation.needs_reason and not asked.reason and asking.can_ask() and not asked.yes:
        return dataclasses.replace(asked, reason=asking.line("Reason: "))
    return asked


def _way_back(operation: Operation[Any], context: Context) -> str:
    back = f"It can be undone ({operation.undo})." if operation.undo else operation.way_back or "Cannot be undone."
    return f"{context.name} ({context.environment}), as {clean(context.home.actor.name)}. {back}"


def print_outcome(outcome: Outcome, asked: Changing) -> None:
    """Raises AnswerLost: then the operation is done, and its secret is kept in a file."""
    if outcome.dry_run:
        _print(outcome, asked)
        return
    again = f"audit: {' '.join(map(str, outcome.audit_ids))}" if outcome.audit_ids else ""
    again += f"; undo: {undo_command(outcome)}" if outcome.undo is not None else ""
    with answering(again, lambda: _kept(outcome)):
        _print(outcome, asked)


def _print(outcome: Outcome, asked: Changing) -> None:
    if asked.json:
        print_document(outcome)
    else:
        print_lines(outcome)


def _kept(outcome: Outcome) -> str:
    """Put a secret that could not be shown into a file, for its owner alone; says where it is."""
    secret = outcome.secret or outcome.result.get("password")
    if secret is None:
        return ""
    from backends.secrets.handed_out import keep_unshown

    try:
        return f"The secret that was made is in {keep_unshown(outcome.result, secret)}: read it there, remove the file."
    except Refusal as refusal:
        return f"The secret that was made is lost: {refusal.message} Make a new one."


def print_document(outcome: Outcome) -> None:
    """A change as the JSON contract has it; an undo comes with the command that runs it."""
    undo = outcome.undo._asdict() | {"command": undo_command(outcome)} if outcome.undo else None
    secret = {"secret": outcome.secret} if named(outcome.operation).makes_secret else {}
    changed(
        outcome.result,
        outcome.request_id,
        changes=[as_change(row, dry_run=outcome.dry_run) for row in outcome.rows],
        audit_ids=outcome.audit_ids,
        undo=undo,
        dry_run=outcome.dry_run,
        repeated=outcome.repeated,
        **secret,
    )


def as_change(row: AuditRow, *, dry_run: bool) -> dict[str, Any]:
    return {
        "noun": row.noun,
        "thing": row.thing,
        "tenant_id": row.tenant_id,
        "before": row.before,
        "after": row.after,
        "changed": {change.field: [change.before, change.after] for change in differences(row)},
        "audit_id": None if dry_run else row.seq,
    }


def undo_command(outcome: Outcome) -> str:
    operation = named(outcome.operation)
    noun = operation.writes or operation.noun
    return f"watchfloor undo {next(row.seq for row in outcome.rows if row.noun == noun)}"


def print_lines(outcome: Outcome) -> None:
    for line in outcome_lines(outcome):
        say(line)
    if not outcome.rows:
        facts((name, value_words(value)) for name, value in outcome.result.items())
    elif reveals(outcome):  # a revealed field: what was asked for, and in no audit row
        say(f"{clean(outcome.result.get('field'))}: {clean(outcome.result['value'])}")
    if outcome.dry_run:
        tell("Nothing was changed: this is a preview.")
        return
    if outcome.secret is not None:
        say(f"secret: {outcome.secret}")
        tell("The secret is shown this once: keep it now.")
    elif outcome.repeated and named(outcome.operation).makes_secret:
        tell("The secret was shown once, when it was made; it cannot be shown again.")
    if outcome.repeated:
        tell(f"Request {clean(outcome.request_id)} was carried out before: nothing was done now.")
    if outcome.audit_ids:
        tell(f"audit: {' '.join(map(str, outcome.audit_ids))}")
    if outcome.undo is not None:
        tell(f"undo: {undo_command(outcome)}")
