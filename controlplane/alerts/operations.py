"""What an operator can do with alerts: take one for a while, give it back or to others, resolve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from controlplane.alerts import rules
from controlplane.alerts.model import Alert, AlertStore
from controlplane.audit.model import AuditRow, Record
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from controlplane.changes import Change


class OneAlert(Request):
    id: Annotated[int, Field(ge=1, description="the alert's number")]
    version: Version


class AlertAck(OneAlert):
    comment: Annotated[str, Field(min_length=1, max_length=2000, description="what you do about it")]
    until: Annotated[
        str,
        Field(min_length=1, max_length=60, description="when it ends: 30m, 4h or a time; at most 7d"),
        AfterValidator(rules.written_out),
    ] = "1h"


class AlertHandOver(OneAlert):
    to: Annotated[str, Field(min_length=1, max_length=63, description="who has it from now on: the login's name")]


ALERT = Subject(Alert, lambda change, request: change.of(AlertStore).lock(request.id))


def as_acked(row: AuditRow) -> Record:
    """The ack that was given back."""
    return {"comment": row.was.get("ack_comment"), "until": row.was.get("ack_until")}


@operation(
    "alerts.ack",
    AlertAck,
    role="operator",
    risk=Risk.SAFE,
    key="a",
    undo="alerts.unack",
    on=ALERT,
    check=lambda alert, now: rules.check_open(alert),
)
async def ack(change: Change, request: AlertAck, alert: Alert) -> Alert:
    """Acknowledge an alert: it is yours until the ack ends, and fires again if it is still there then."""
    return await change.of(AlertStore).ack(alert.id, rules.ack_end(request.until, change.now), request.comment)


@operation(
    "alerts.unack",
    OneAlert,
    role="operator",
    risk=Risk.CONFIRM,
    key="u",
    undo="alerts.ack",
    undo_request=as_acked,
    on=ALERT,
    check=lambda alert, now: rules.check_acked(alert),
)
async def unack(change: Change, request: OneAlert, alert: Alert) -> Alert:
    """Give an alert back before its ack ends: it fires again."""
    return await change.of(AlertStore).unack(alert.id)


@operation(
    "alerts.hand-over",
    AlertHandOver,
    role="operator",
    risk=Risk.PREVIEW,
    key="h",
    undo="alerts.hand-over",
    undo_request=lambda row: {"to": row.was.get("holder")},
    on=ALERT,
    check=lambda alert, now: rules.check_acked(alert),
)
async def hand_over(change: Change, request: AlertHandOver, alert: Alert) -> Alert:
    """Hand an acked alert over to another operator."""
    return await change.of(AlertStore).hand_over(alert.id, request.to)


@operation(
    "alerts.resolve",
    OneAlert,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    needs_reason=True,
    on=ALERT,
    check=lambda alert, now: rules.check_open(alert),
    way_back="If its cause is still there, its detector fires a new one.",
)
async def resolve(change: Change, request: OneAlert, alert: Alert) -> Alert:
    """Resolve an alert by hand; if its detector still finds it, a new one fires."""
    return await change.of(AlertStore).resolve(alert.id, change.reason or "")
