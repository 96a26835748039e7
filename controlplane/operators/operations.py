"""Managing who may log in to a home (people, workers, services), and with which role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.errors import NotFound, Usage
from controlplane.operations import Request, Risk, operation
from controlplane.operators.ports import OperatorStore
from controlplane.operators.roles import LoginRole

if TYPE_CHECKING:
    from controlplane.changes import Change


LoginName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.-]{0,62}$", description="the login's name")]


class OperatorAdd(Request):
    subject = ("name",)
    name: LoginName
    role: LoginRole
    password: Annotated[str | None, Field(default=None, repr=False, min_length=8, exclude=True)]


class OperatorPassword(Request):
    subject = ("name",)
    name: LoginName
    password: Annotated[str | None, Field(default=None, repr=False, min_length=8, exclude=True)]


class OperatorRemove(Request):
    subject = ("name",)
    name: LoginName


@operation("operators.add", OperatorAdd, role="admin", risk=Risk.CONFIRM, key="a")
async def add(change: Change, request: OperatorAdd) -> Record:
    """Add an operator: a login with a role, or another role for an existing login."""
    await change.of(OperatorStore).put(request.name, request.role, request.password)
    return {"name": request.name, "role": request.role}


@operation("operators.password", OperatorPassword, role="admin", risk=Risk.TYPED, key="p", needs_reason=True)
async def password(change: Change, request: OperatorPassword) -> Record:
    """Set an operator's password; the trail records who did it, and for whom."""
    if request.password is None:
        raise Usage("password_missing", "There is no password to set.", "watchfloor operators password NAME makes one.")
    await change.of(OperatorStore).set_password(request.name, request.password)
    return {"name": request.name}


@operation("operators.remove", OperatorRemove, role="admin", risk=Risk.TYPED, key="x")
async def remove(change: Change, request: OperatorRemove) -> Record:
    """Remove an operator's login and end its sessions."""
    if not await change.of(OperatorStore).remove(request.name):
        raise NotFound("no_operator", f"There is no operator {request.name}.", "watchfloor operators list shows them.")
    return {"name": request.name, "role": None}
