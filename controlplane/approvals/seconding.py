"""How what takes a second person is carried out: asked for, waited for, and done under the approval, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controlplane.approvals.model import Approval, ApprovalDirectory
from controlplane.approvals.operations import ASK
from controlplane.approvals.refusals import APPROVAL_WAITING
from controlplane.approvals.words import needs_words
from controlplane.errors import Refusal
from controlplane.fingerprints import fingerprint
from controlplane.operations import Call, Operation, Outcome, Request, execute, new_request_id

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

UNBOUND = ("version", "preview_hash")
"""Fields that say what was seen, not what is asked for."""
Show = Callable[[Outcome], Awaitable[None]]
"""Shows what it would change, and asks whether to ask for it. Raises Refusal `not_confirmed`."""


class ApprovalAsked(Refusal):
    """It was not done yet: a second person was asked. `number`: of the request."""

    def __init__(self, number: int, roles: list[str], what: str) -> None:
        super().__init__(
            "approval_asked_now",
            f"Nothing was changed yet: request {number} waits for {needs_words(roles)}.",
            f"Do {what} again when it is approved; watchfloor approvals show {number} shows its state.",
            [f"request: {number}", f"it takes: {', '.join(roles)}"],
        )
        self.number = number


def asked_as(operation: Operation[Any], request: Request) -> str:
    """What makes two requests the same, whatever version was seen."""
    unbound = {name: None for name in UNBOUND if name in type(request).model_fields}
    fields = request.model_copy(update=unbound).model_dump(exclude_none=True)
    return fingerprint(operation.name, operation.parse(fields))


async def seconded(
    plane: ControlPlane, operation: Operation[Any], request: Request, call: Call, show: Show | None
) -> Call:
    """How to call it now: under the approval that was given for just this, or as it is when it takes none.

    Otherwise a second person is asked, and `ApprovalAsked` is raised. Raises Refusal `approval_waiting`.
    """
    thing = request.thing or plane.actor.name
    roles = await plane.of(ApprovalDirectory).rule(operation.name, thing)
    if roles is None:
        return call
    mine = await plane.of(ApprovalDirectory).mine(asked_as(operation, request))
    if mine is not None and mine.standing == "approved":
        return replace(call, approval=mine.id)
    if mine is not None and mine.standing == "waiting":
        raise _waiting(mine)
    number = await ask_for(plane, operation, request, call, show)
    raise ApprovalAsked(number, list(roles), f"{operation.name} {request.thing}".strip())


async def ask_for(
    plane: ControlPlane, operation: Operation[Any], request: Request, call: Call, show: Show | None = None
) -> int:
    """Preview it, show it, and ask for its approval; returns the request's number."""
    preview = await execute(plane, operation, request, replace(call, dry_run=True))
    if show is not None:
        await show(preview)
    fields = request.model_dump(mode="json", exclude={*UNBOUND, *request.personal}, exclude_none=True)
    asked = {
        "operation": operation.name,
        "about": request.thing or plane.actor.name,
        "fields": fields,
        "fingerprint": asked_as(operation, request),
        "facts": list(preview.facts),
    }
    made = await execute(plane, ASK, ASK.parse(asked), Call(call.reason, new_request_id()))
    return int(made.result["id"])


def _waiting(mine: Approval) -> Refusal:
    return APPROVAL_WAITING(
        f"Request {mine.id} waits for {needs_words(mine.roles)}: nothing was changed.",
        f"It ends at {mine.expires_at:%Y-%m-%d %H:%M} UTC. watchfloor approvals show {mine.id}",
    )
