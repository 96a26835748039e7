"""Running a gate from a screen: at once and whole, since it changes nothing; this console carries its checks out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from screens.actions import filled_in, pending
from screens.desk import Desk, Done, Target
from screens.session import Session

if TYPE_CHECKING:
    from textual.app import App

    from controlplane.operations import Operation


async def run(app: App[None], session: Session, operation: Operation[Any], target: Target) -> Done | None:
    """Raises Refusal."""
    from controlplane import carrying
    from controlplane.operations import Call, authorise, new_request_id

    gate = target.subject.get("gate") or getattr(target.row, "gate", None)
    environment = target.subject.get("environment") or getattr(target.row, "environment", None) or session.environment
    given = {name: value for name, value in (("gate", gate), ("environment", environment)) if value}
    authorise(session.require_writing(), operation)
    answers = (given, "") if gate else await filled_in(app, session, operation, "run a gate", given)
    if answers is None:
        return None
    fields, reason = answers
    request_id, title = new_request_id(), f"gate {fields['gate']}"
    with pending(app, session, title, request_id):
        plane = session.require_writing()
        request, call = operation.parse(fields), Call(reason, request_id)
        outcome = await carrying.carry_out(plane, operation, request, call, None, production=session.production)
    number = int(outcome.result["id"])
    desk = cast(Desk, app)
    desk.run_gate(number, title)
    desk.open_thing("decisions", str(number))
    return Done(f"run {number} of {fields['gate']} in {fields['environment']} has begun")
