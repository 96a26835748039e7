"""What an operator can do with waivers: ask for one, agree to a colleague's, end one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.formatting import parse_moment
from controlplane.gates.deciding import PRODUCTION, Waiver
from controlplane.gates.model import GateRow, WaiverStore
from controlplane.gates.operations import CheckName, Environment, GateName
from controlplane.gates.refusals import WAIVER_AGREED, WAIVER_OVER, WAIVER_PAST
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from controlplane.changes import Change

UNTIL = "2h from now, or a time; at most 14d"


class WaiverCreate(Request):
    subject = ()
    makes_a = "waiver"
    gate: GateName
    environment: Environment
    check_name: Annotated[CheckName, Field(json_schema_extra={"also": "check"})]
    until: Annotated[str, Field(min_length=1, max_length=60, description=UNTIL)]


class OneWaiver(Request):
    id: Annotated[int, Field(ge=1, description="the waiver's number")]
    version: Version


def _blocking(rows: Sequence[GateRow]) -> Record:
    [row, *more] = rows
    return {} if more else {
        "gate": row.gate, "environment": row.environment, "check_name": next(iter(row.blocking), "")
    }  # fmt: skip


def _open(waiver: Waiver, now: datetime) -> None:
    if waiver.ended_at is not None or waiver.ends_at <= now:
        raise WAIVER_OVER()


def _waits(waiver: Waiver, now: datetime) -> None:
    _open(waiver, now)
    if waiver.approved_at is not None:
        raise WAIVER_AGREED()


WAIVER = Subject(Waiver, lambda change, request: change.of(WaiverStore).lock(request.id))


@operation(
    "waivers.create",
    WaiverCreate,
    role="operator",
    risk=Risk.CONFIRM,
    key="v",
    needs_reason=True,
    undo="waivers.end",
    begins={GateRow: _blocking},
)
async def create(change: Change, request: WaiverCreate) -> Record:
    """Waive a check that does not pass, until a time; production needs a second person's approval."""
    ends_at = parse_moment(request.until, change.now)
    if ends_at <= change.now:
        raise WAIVER_PAST()
    made = await change.of(WaiverStore).create(
        {
            "gate": request.gate,
            "check_name": request.check_name,
            "environment": request.environment,
            "reason": change.reason or "",
            "ends_at": ends_at,
        }
    )
    second = ["it opens nothing until a second person approves it: waivers approve"]
    notes = second if request.environment == PRODUCTION else []
    return {"id": made.id, "ends_at": made.ends_at, "version": made.version, "notes": notes}


@operation("waivers.approve", OneWaiver, role="operator", risk=Risk.CONFIRM, key="p", on=WAIVER, check=_waits,
           way_back="End the waiver.")  # fmt: skip
async def approve(change: Change, request: OneWaiver, waiver: Waiver) -> Record:
    """Approve a waiver that somebody else asked for."""
    agreed = await change.of(WaiverStore).update(waiver.id, {"approved_at": change.now})
    return {"id": agreed.id, "approved_by": agreed.approved_by, "version": agreed.version}


@operation("waivers.end", OneWaiver, role="operator", risk=Risk.CONFIRM, key="x", on=WAIVER, check=_open,
           way_back="Make a new one.")  # fmt: skip
async def end(change: Change, request: OneWaiver, waiver: Waiver) -> Record:
    """End a waiver: its check counts again from now on."""
    ended = await change.of(WaiverStore).update(waiver.id, {"ended_at": change.now})
    return {"id": ended.id, "ended_at": ended.ended_at, "version": ended.version}
