"""Have the next level of an alert's escalations told now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.alerts import escalations
from controlplane.alerts.model import Alert, AlertStore
from controlplane.alerts.operations import ALERT, OneAlert
from controlplane.operations import Risk, as_result, operation
from controlplane.routes.kept import RouteStore

if TYPE_CHECKING:
    from controlplane.audit.model import Record
    from controlplane.changes import Change


@operation(
    "alerts.escalate",
    OneAlert,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    on=ALERT,
    check=lambda alert, now: escalations.check(alert),
    way_back="Whoever was told cannot be called back, but can ack it.",
)
async def escalate(change: Change, request: OneAlert, alert: Alert) -> Record:
    """Escalate an alert to its next level now; if somebody has it, they give it to that level."""
    made = await change.of(AlertStore).escalate(alert.id)
    decision = await change.of(RouteStore).explain(alert.id)
    pages = [notice for notice in decision.notices if notice.reason == "escalated"]
    notes = [f"level {page.level} is told: {page.person}" for page in pages]
    return as_result(made) | {"notes": notes or ["nobody is on call at a later level: only the route itself is told"]}
