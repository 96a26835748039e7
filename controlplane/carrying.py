"""The one way to carry out an operation: authorise, preview, ask, then run exactly what was previewed.

Screens, `:` commands, the command line, the items of a run and undo all come through here; only the asking is theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
"""More things than this, and their number is typed."""


class NotConfirmed(Refusal):
    """The person who was asked said no."""

    def __init__(self) -> None:
        super().__init__("not_confirmed", "Not confirmed: nothing was changed.")


@dataclass(frozen=True)
class Question:
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
    """Run an operation once that was agreed to; what was shown then is what runs, or nothing.

    `ask` None: it was agreed to before (`--yes`, an item of a run), so it runs as it is asked for. `repeating`: the
    request id may have been used before; what was done under it is only told again.

    Raises Refusal `not_confirmed`; Conflict `stale_version` or `preview_changed` when somebody changed it after the
    preview; and what the operation raises.
    """
    authorise(plane, operation)
    check_reason(operation, call.reason)
    call = replace(call, request_id=call.request_id or new_request_id())
    if call.dry_run or operation.risk is Risk.SAFE:
        ask = None
    if ask is not None and not (repeating and await plane.recorded(call.request_id)):
        preview = await execute(plane, operation, request, replace(call, dry_run=True))
        if not await ask(Question(operation, request, call.reason, preview, level(operation, production=production))):
            raise NotConfirmed
        call = replace(call, previewed=preview)
    return await execute(plane, operation, request, call)


def level(operation: Operation[Any], *, production: bool, number: int = 1) -> Risk:
    """What is asked before it runs here: it grows with what is touched, and with what cannot be put right.

    A yes becomes a typed name in production, for more than ten things, and where there is no way back; where a
    mistake can still be put right without an undo, only for more than one.
    """
    risk = operation.risk
    if number > 1 and risk in (Risk.SAFE, Risk.PREVIEW):
        risk = Risk.CONFIRM
    if risk is not Risk.CONFIRM:
        return risk
    for_good = operation.undo is None and (number > 1 or not operation.way_back)
    return Risk.TYPED if production or number > MAX_THINGS_BY_YES or for_good else risk
