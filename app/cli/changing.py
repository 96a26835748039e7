"""One operation from the command line: preview, question, run, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.cli import asking
from app.cli.asked import Changing
from app.cli.output import document, facts, say, tell
from app.cli.writing import refuse_read_only
from controlplane.audit import AuditRow, differences
from controlplane.operations import Call, Operation, Outcome, Request, Risk, as_previewed, confirmation, execute
from controlplane.previews import outcome_lines, value_words
from controlplane.registry import named
from controlplane.text import clean

if TYPE_CHECKING:
    from app.contexts import Context


async def carry_out(context: Context, operation: Operation[Any], request: Request, asked: Changing) -> Outcome:
    """Run the operation as it was asked for. Raises Refusal; then nothing was changed (but for OutcomeUnknown)."""
    if operation.needs_reason and not asked.reason and asking.can_ask() and not asked.yes:
        asked = dataclasses.replace(asked, reason=asking.line("Reason: "))
    call = Call(asked.reason, asked.request_id, asked.dry_run, tell=lambda words: tell(clean(words)))
    if not asked.dry_run:
        await refuse_read_only(context, request)
        if not await _needs_no_question(context, operation, asked):
            request = await _confirmed(context, operation, request, call)
    return await execute(context.home, operation, request, call)


async def _needs_no_question(context: Context, operation: Operation[Any], asked: Changing) -> bool:
    if asked.yes or confirmation(operation, production=context.production) is Risk.SAFE:
        return True
    # What was done under this id is only told again; and a preview would be refused, because it was done.
    return asked.given_id and await context.home.recorded(asked.request_id) is not None


async def _confirmed(context: Context, operation: Operation[Any], request: Request, call: Call) -> Request:
    """Show the preview and ask. What is returned changes what was seen, or nothing."""
    preview = await execute(context.home, operation, request, dataclasses.replace(call, dry_run=True))
    for line in outcome_lines(preview):
        tell(line)
    if asking.can_ask():
        tell(_way_back(operation, context))
    risk = confirmation(operation, production=context.production)
    asking.confirmed(operation.name, risk, request.thing or operation.verb, context.environment)
    return _as_seen(as_previewed(request, preview), [row for row in preview.rows if row.noun == operation.noun])


def _way_back(operation: Operation[Any], context: Context) -> str:
    back = f"It can be undone ({operation.undo})." if operation.undo else "It cannot be undone."
    return f"{context.name} ({context.environment}), as {clean(context.home.actor.name)}. {back}"


def _as_seen(request: Request, rows: Sequence[AuditRow]) -> Request:
    """Between the preview and the answer somebody else may change the thing: then refuse rather than surprise."""
    seen = rows[0].before if len(rows) == 1 else None
    if "version" in type(request).model_fields and getattr(request, "version") is None and seen:  # noqa: B009
        return request.model_copy(update={"version": seen.get("version")})
    return request


def print_outcome(outcome: Outcome, asked: Changing) -> None:
    if asked.json:
        document(as_document(outcome))
    else:
        print_lines(outcome)


def as_document(outcome: Outcome) -> dict[str, Any]:
    """A change as the command line's contract has it; an undo comes with the command that runs it."""
    undo = None
    if outcome.undo is not None:
        step = outcome.undo
        undo = {"operation": step.operation, "request": step.request, "reason": step.reason}
        undo["command"] = undo_command(outcome)
    secret = {"secret": outcome.secret} if named(outcome.operation).makes_secret else {}
    return {
        "result": outcome.result,
        **secret,
        "changes": [as_change(row, dry_run=outcome.dry_run) for row in outcome.rows],
        "audit_ids": outcome.audit_ids,
        "undo": undo,
        "dry_run": outcome.dry_run,
        "request_id": outcome.request_id,
        "repeated": outcome.repeated,
    }


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
    elif "value" in outcome.result:  # a revealed field: what was asked for, and in no audit row
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
        tell(f"It had been done before by this request id, {clean(outcome.request_id)}; nothing was done now.")
    if outcome.audit_ids:
        tell(f"audit: {' '.join(map(str, outcome.audit_ids))}")
    if outcome.undo is not None:
        tell(f"undo: {undo_command(outcome)}")
