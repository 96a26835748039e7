"""What may be done with an alert in which state, and what an ack needs: pure functions. The home guards the same."""

from __future__ import annotations

from datetime import datetime, timedelta

from controlplane.alerts.model import Alert
from controlplane.alerts.refusals import ALERT_ACK_UNTIL, ALERT_NOT_ACKED, ALERT_RESOLVED
from controlplane.formatting import parse_duration, parse_time, relative

MAX_ACK = timedelta(days=7)
FLAPPING = 4
"""An alert that has fired so often within 24 hours flaps."""


def check_open(alert: Alert) -> None:
    """Raises Refusal `alert_resolved`."""
    if alert.state == "resolved":
        raise ALERT_RESOLVED(f"Alert {alert.id} is resolved.", why=_why(alert))


def check_acked(alert: Alert) -> None:
    """Raises Refusal `alert_resolved`, `alert_not_acked`."""
    check_open(alert)
    if alert.state != "acked":
        raise ALERT_NOT_ACKED(f"Nobody has alert {alert.id}: it is not acked.", why=_why(alert))


def _why(alert: Alert) -> list[str]:
    return [f"state: {alert.state}", *([f"{alert.holder} has it"] if alert.state == "acked" else [])]


def written_out(text: str) -> str:
    """A time with its zone, so that the home reads it alike; a duration as it is. Raises Usage: it cannot be read."""
    if "-" in text:
        return parse_time(text).isoformat()
    parse_duration(text)
    return text


def ack_end(text: str, now: datetime) -> datetime:
    """When an ack ends, from "4h" or a time. Raises Usage: `alert_ack_until`, or that it cannot be read."""
    end = parse_time(text) if "-" in text else now + timedelta(seconds=parse_duration(text))
    if not now < end <= now + MAX_ACK:
        raise ALERT_ACK_UNTIL(f"An ack that ends {relative(end, now)} is not possible: it ends within 7 days.")
    return end


def flaps(alert: Alert) -> bool:
    return alert.fires >= FLAPPING
