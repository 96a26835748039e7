"""A role that is raised for a while: asked for, approved, used, given back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from controlplane.approvals.model import ApprovalStore, Raise
from controlplane.approvals.refusals import NO_RAISE
from controlplane.audit.model import Record
from controlplane.operations import Request, Risk, operation
from controlplane.operators.operations import LoginName

if TYPE_CHECKING:
    from controlplane.changes import Change

MAX_MINUTES = 480


def _whose(rows: Sequence[Raise]) -> Record:
    return {"name": rows[0].login} if len(rows) == 1 else {}


class RoleRaise(Request):
    subject = ("role",)
    role: Annotated[Literal["operator", "admin"], Field(description="the role to have for a while")]
    minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES, description=f"for how long, at most {MAX_MINUTES}")] = 30


class RoleBack(Request):
    subject = ()
    name: Annotated[LoginName | None, Field(default=None, description="whose role; default: your own")]


@operation("operators.raise", RoleRaise, role="support", risk=Risk.TWO_PERSON, key="r", needs_reason=True,
           writes="raises")  # fmt: skip
async def raise_role(change: Change, request: RoleRaise) -> Record:
    """Raise your role for a while; somebody else approves that first."""
    until = await change.of(ApprovalStore).raise_role(request.role, request.minutes)
    return {"role": request.role, "minutes": request.minutes, "ends_at": until}


@operation("operators.give-back", RoleBack, role="support", risk=Risk.SAFE, key="g", writes="raises",
           begins={Raise: _whose})  # fmt: skip
async def give_back(change: Change, request: RoleBack) -> Record:
    """Give a raised role back early: it allows nothing from then on."""
    name = request.name or change.actor
    if not await change.of(ApprovalStore).give_back(name):
        raise NO_RAISE(f"The role of {name} is not raised.")
    return {"name": name}
