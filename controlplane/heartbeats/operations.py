"""What an operator can do with heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from controlplane.alerts.model import Severity
from controlplane.formatting import as_seconds
from controlplane.heartbeats.model import Heartbeat, HeartbeatStore
from controlplane.heartbeats.refusals import NOT_RETIRED, RETIRED
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants.operations import Id, Version, readable

if TYPE_CHECKING:
    from controlplane.changes import Change

LONGEST = 366 * 86_400


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="what is alive: nightly-billing …")]
Every = Annotated[
    int, BeforeValidator(as_seconds), Field(ge=10, le=LONGEST, description="how often it is expected: 5m")
]
Grace = Annotated[int, BeforeValidator(as_seconds), Field(ge=0, le=LONGEST, description="how late it may be: 1m")]
Means = Annotated[str, Field(max_length=300, description="what it means that it is missing"), AfterValidator(readable)]
WhenMissing = Annotated[Severity, Field(description="of the alert, when it is missing")]


class HeartbeatCreate(Request):
    subject = ("name",)
    makes = ("name",)
    name: Name
    every: Every
    grace: Grace = 60
    tenant_id: Annotated[Id | None, Field(default=None, description="its tenant; default: none")]
    severity: WhenMissing = "critical"
    means: Means = ""


class OneHeartbeat(Request):
    """A heartbeat, at the version that was seen."""

    subject = ("name",)
    name: Name
    version: Version


class HeartbeatEdit(OneHeartbeat):
    every: Annotated[Every | None, Field(default=None)]
    grace: Annotated[Grace | None, Field(default=None)]
    severity: Annotated[WhenMissing | None, Field(default=None)]
    means: Annotated[Means | None, Field(default=None)]


def check_open(heartbeat: Heartbeat) -> None:
    if heartbeat.retired_at is not None:
        raise RETIRED()


def check_retired(heartbeat: Heartbeat) -> None:
    if heartbeat.retired_at is None:
        raise NOT_RETIRED()


HEARTBEAT = Subject(Heartbeat, lambda change, request: change.of(HeartbeatStore).lock(request.name))


@operation("heartbeats.create", HeartbeatCreate, role="operator", risk=Risk.PREVIEW, key="n", undo="heartbeats.retire")
async def create(change: Change, request: HeartbeatCreate) -> Heartbeat:
    """Create a heartbeat: what is watched calls wf_data.beat, and an alert fires when it does not."""
    return await change.of(HeartbeatStore).create(request.model_dump())


@operation(
    "heartbeats.edit",
    HeartbeatEdit,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    undo="heartbeats.edit",
    on=HEARTBEAT,
    check=lambda heartbeat, now: check_open(heartbeat),
)
async def edit(change: Change, request: HeartbeatEdit, heartbeat: Heartbeat) -> Heartbeat:
    """Change a heartbeat: its interval, grace, severity or meaning."""
    columns = request.model_dump(exclude_none=True, exclude={"name", "version"})
    if not columns:
        return heartbeat
    return await change.of(HeartbeatStore).update(request.name, columns)


@operation(
    "heartbeats.retire",
    OneHeartbeat,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    undo="heartbeats.restore",
    on=HEARTBEAT,
    check=lambda heartbeat, now: check_open(heartbeat),
)
async def retire(change: Change, request: OneHeartbeat, heartbeat: Heartbeat) -> Heartbeat:
    """Retire a heartbeat: it is no longer expected."""
    return await change.of(HeartbeatStore).update(request.name, {"retired_at": change.now})


@operation(
    "heartbeats.restore",
    OneHeartbeat,
    role="operator",
    risk=Risk.CONFIRM,
    key="t",
    undo="heartbeats.retire",
    on=HEARTBEAT,
    check=lambda heartbeat, now: check_retired(heartbeat),
)
async def restore(change: Change, request: OneHeartbeat, heartbeat: Heartbeat) -> Heartbeat:
    """Restore a retired heartbeat: it is expected again from now on."""
    return await change.of(HeartbeatStore).update(request.name, {"retired_at": None})
