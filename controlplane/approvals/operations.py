"""What people do with requests for approval: ask, approve, refuse, extend, withdraw; and the rules behind them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, JsonValue

from controlplane.approvals.model import Approval, ApprovalStore
from controlplane.approvals.refusals import (
    APPROVAL_DECIDED,
    APPROVAL_EXPIRED,
    APPROVAL_OWN,
    APPROVAL_USED,
    APPROVAL_VOID,
)
from controlplane.approvals.words import fact_lines, needs_lines
from controlplane.audit.model import Record
from controlplane.operations import Operation, Request, Risk, Subject, operation
from controlplane.operators.roles import Role
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from controlplane.changes import Change

MINUTES = 60
MAX_MINUTES = 10_080
Approver = Literal["support", "operator", "admin"]
ASKABLE = ("tenants.purge", "operators.raise", "approvals.rule", "runs.release", "queues.edit")
"""What a rule can be about. The home has the same list."""


class Asked(Request):
    subject = ("operation", "about")
    operation: str
    about: str
    fields: dict[str, JsonValue]
    fingerprint: str
    facts: list[dict[str, JsonValue]]


class OneApproval(Request):
    id: Annotated[int, Field(ge=1, description="the request's number")]
    version: Version


class Vote(OneApproval):
    preview_hash: Annotated[
        str | None,
        Field(
            default=None,
            max_length=64,
            description="the hash of what was seen, if known",
            json_schema_extra={"seen": True},
        ),
    ]


class Extend(OneApproval):
    minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES, description="how much longer")] = MINUTES


class RulePut(Request):
    subject = ("operation",)
    operation: Annotated[Literal[ASKABLE], Field(description="the operation that needs a second person")]  # type: ignore[valid-type]
    roles: Annotated[
        list[Approver],
        Field(min_length=1, max_length=3, description="one person for each, with at least this role"),
    ]
    above: Annotated[int | None, Field(default=None, ge=0, le=100_000, description="only for more things than this")]
    minutes: Annotated[int, Field(ge=10, le=MAX_MINUTES, description="how long a request is open")] = 240
    active: Annotated[bool, Field(description="no: it needs no second person")] = True


def check_open(approval: Approval, now: datetime) -> None:
    """Raises Refusal, Conflict when a request is no longer good for anything."""
    if approval.standing == "done":
        raise APPROVAL_USED()
    if approval.standing == "expired":
        raise APPROVAL_EXPIRED(f"Request {approval.id} ended at {approval.expires_at:%Y-%m-%d %H:%M} UTC.")
    if approval.standing not in ("waiting", "approved", "void"):
        raise APPROVAL_DECIDED(f"Request {approval.id} is {approval.standing}.")


def check_waiting(approval: Approval, now: datetime) -> None:
    check_open(approval, now)
    if approval.standing == "void":
        raise APPROVAL_VOID()
    if approval.standing != "waiting":
        raise APPROVAL_DECIDED(f"Request {approval.id} is {approval.standing} already.")


APPROVAL = Subject(Approval, lambda change, request: change.of(ApprovalStore).lock(request.id))


async def ask(change: Change, request: Asked) -> Record:
    """Ask for a second person's approval."""
    made = await change.of(ApprovalStore).ask(
        request.operation, request.about, request.fields, request.fingerprint, request.facts
    )
    return {"id": made.id, "expires_at": made.expires_at, "roles": list(made.roles)}


ASK: Operation[Asked] = Operation(
    "approvals.ask", "Ask for a second person's approval", Asked, ask, role="support", risk=Risk.SAFE, key="k",
    needs_reason=True,
)  # fmt: skip
"""Not in the registry: carrying out what takes a second person asks, see `seconding`."""


async def _vote(change: Change, request: Vote, approval: Approval, vote: str) -> Record:
    if approval.asked_by == change.actor:
        raise APPROVAL_OWN()
    seen = request.preview_hash or approval.sha256
    state = await change.of(ApprovalStore).vote(approval.id, seen, vote)
    lines = [f"request {approval.id} of {approval.asked_by}: {approval.reason}", *fact_lines(approval.facts)]
    waits = [needs_lines(await change.of(ApprovalStore).lock(approval.id))] if state == "waiting" else []
    return {"id": approval.id, "state": state, "notes": [*lines, *waits], "preview_hash": approval.sha256}


@operation(
    "approvals.approve",
    Vote,
    role="support",
    risk=Risk.CONFIRM,
    key="y",
    on=APPROVAL,
    check=check_waiting,
    way_back="Refuse it as another person, or have it withdrawn, before it is carried out.",
)
async def approve(change: Change, request: Vote, approval: Approval) -> Record:
    """Approve a request exactly as shown."""
    return await _vote(change, request, approval, "approve")


@operation(
    "approvals.refuse",
    Vote,
    role="support",
    risk=Risk.CONFIRM,
    key="n",
    needs_reason=True,
    on=APPROVAL,
    check=check_open,
    way_back="It can be asked for again.",
)
async def refuse(change: Change, request: Vote, approval: Approval) -> Record:
    """Refuse somebody else's request, with a reason."""
    return await _vote(change, request, approval, "refuse")


@operation("approvals.extend", Extend, role="support", risk=Risk.SAFE, key="e", on=APPROVAL, check=check_open)
async def extend(change: Change, request: Extend, approval: Approval) -> Record:
    """Give a request more time: at most 7 days from when it was asked."""
    until = await change.of(ApprovalStore).extend(approval.id, request.minutes)
    return {"id": approval.id, "expires_at": until}


@operation("approvals.withdraw", OneApproval, role="support", risk=Risk.SAFE, key="x", on=APPROVAL, check=check_open)
async def withdraw(change: Change, request: OneApproval, approval: Approval) -> Record:
    """Withdraw your own request."""
    await change.of(ApprovalStore).withdraw(approval.id)
    return {"id": approval.id, "state": "withdrawn"}


@operation("approvals.rule", RulePut, role="admin", risk=Risk.TWO_PERSON, key="r", needs_reason=True,
           writes="approval-rules")  # fmt: skip
async def rule(change: Change, request: RulePut) -> Record:
    """Set what needs a second person, of which role; changing that needs one too."""
    roles: list[Role] = list(request.roles)
    await change.of(ApprovalStore).put_rule(request.operation, roles, request.above, request.minutes, request.active)
    return request.model_dump()
