"""The one way to carry out an operation: authorise, preview, ask, then run exactly what was previewed.

Screens, `:` commands, the command line, the items of a run and undo all go through here; each brings only its own
way to ask.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from controlplane.errors import Refusal
from controlplane.operations import (
    Call,
    Operation,
    Outcome,
    Request,
    Risk,
    authorise,
    check_reason,
    execute,
    new_request_id,
)

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

MAX_THINGS_BY_YES = 10
"""For more things than this a yes is not enough: the operator types their number."""


class NotConfirmed(Refusal):
    """The person who was asked said no."""

    def __init__(self) -> None:
        super().__init__("not_confirmed", "Not confirmed: nothing was changed.")


class Question(NamedTuple):
    """What is asked before it runs. `name` is what has to be typed when the risk is typed."""

    operation: Operation[Any]
    request: Request
    reason: str | None
    preview: Outcome
    risk: Risk

    @property
    def name(self) -> str:
        return self.request.thing or self.operation.verb


Ask = Callable[[Question], Awaitable[bool]]


async def carry_out(
    plane: ControlPlane,
    operation: Operation[Any],
    request: Request,
    call: Call,
    ask: Ask | None = None,
    *,
    production: bool = False,
    repeating: bool = False,
) -> Outcome:
    """Show what an operation would do, ask, then run exactly that or nothing.

    `ask` is None when the operator agreed before (`--yes`, an item of a run): then it runs without a question.
    `repeating`: the request id may have been used before; then nothing runs, and the outcome of that time is returned.

    What takes a second person is not done before somebody else approved it: see `controlplane.approvals.seconding`.

    Raises Refusal `not_confirmed`; Conflict `stale_version` or `preview_changed` when somebody changed it after the
    preview; and what the operation raises.
    """
    authorise(plane, operation)
    check_reason(operation, call.reason)
    call = replace(call, request_id=call.request_id or new_request_id())
    if call.dry_run or operation.risk is Risk.SAFE:
        ask = None
    seconds = operation.risk is Risk.TWO_PERSON and not call.dry_run
    done_before = repeating and (seconds or ask is not None) and await plane.recorded(call.request_id) is not None
    if seconds and not done_before:
        call = await _seconded(plane, operation, request, call, ask)
    if ask is not None and not done_before:
        preview = await execute(plane, operation, request, replace(call, dry_run=True))
        if not await ask(Question(operation, request, call.reason, preview, level(operation, production=production))):
            raise NotConfirmed
        call = replace(call, previewed=preview)
    return await execute(plane, operation, request, call)


async def _seconded(
    plane: ControlPlane, operation: Operation[Any], request: Request, call: Call, ask: Ask | None
) -> Call:
    """Raises `ApprovalAsked` when a second person was asked now."""
    from controlplane.approvals.seconding import seconded

    async def show(preview: Outcome) -> None:
        if not await ask(Question(operation, request, call.reason, preview, Risk.TWO_PERSON)):  # type: ignore[misc]
            raise NotConfirmed

    return await seconded(plane, operation, request, call, show if ask else None)


def level(operation: Operation[Any], *, production: bool, number: int = 1) -> Risk:
    """The confirmation that is needed here: the more it touches and the less can be undone, the stricter.

    A yes becomes a typed name in production, for more than ten things, and where nothing takes it back. Where there is
    no undo but a mistake can be corrected in another way (`way_back`), only for more than one thing.
    """
    risk = operation.risk
    if risk is Risk.TWO_PERSON:
        return Risk.TYPED  # approved already, or it takes nobody else here
    if number > 1 and risk in (Risk.SAFE, Risk.PREVIEW):
        risk = Risk.CONFIRM
    if risk is not Risk.CONFIRM:
        return risk
    for_good = operation.undo is None and (number > 1 or not operation.way_back)
    return Risk.TYPED if production or number > MAX_THINGS_BY_YES or for_good else risk
