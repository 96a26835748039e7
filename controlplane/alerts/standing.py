"""What happens to an alert next, from what routing decided last: its next
level, the end of an ack, or why nobody is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from controlplane.alerts.escalations import next_step, standings
from controlplane.alerts.model import Alert
from controlplane.formatting import relative, spell
from controlplane.lists import Cell
from controlplane.text import clean

HELD = {
    "not_matched": "not routed",
    "unknown": "waits: unknown",
    "severity_threshold": "too few",
    "maintenance": "maintenance",
    "inhibited": "inhibited",
    "silenced": "silenced",
    "quiet_window": "quiet",
    "quiet_digest": "quiet",
    "quiet_drop": "quiet",
    "quiet_dropped": "quiet",
    "low_urgency": "low urgency",
}
"""Why a route does not tell it now, by the code of the stage that holds it (controlplane/routes/model.py: Hold)."""


def next_cell(alert: Alert, now: datetime) -> Cell:
    """The nearest step on any of its routes."""
    if alert.standing == "resolved":
        return Cell("")
    if alert.state == "acked" and alert.ack_until is not None:
        return Cell(f"fires {relative(alert.ack_until, now)}", "muted")
    if not alert.routing:
        return Cell("no route", "muted")
    told = [each for each in alert.routing if not each.get("held")]
    if not told:
        return _held(min(alert.routing, key=lambda each: str(each.get("route"))))
    found = standings(told)
    if (step := next_step(found)) is not None and step.next_at is not None:
        left = f", {spell((step.next_at - now).total_seconds())} left" if step.next_at > now else ""
        return Cell(f"level {step.level}/{step.levels}{left}", "warn")
    if any(each.state == "nobody" for each in found):
        return Cell("nobody on call", "bad")
    return Cell("all levels told", "warn") if found else Cell("told", "muted")


def _held(step: Mapping[str, Any]) -> Cell:
    until = _moment(step.get("until"))
    words = HELD.get(str(step.get("held")), clean(step.get("held"), 40))
    return Cell(f"{words} to {until:%H:%M}Z" if until else words, "muted")


def _moment(text: Any) -> datetime | None:
    """None for what cannot be read."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
