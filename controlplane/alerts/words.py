"""Alerts in words: what was measured, what happened, how earlier ones ended."""

from __future__ import annotations

from datetime import datetime

from controlplane.alerts.model import Alert, AlertEvent, EventKind, OpenAlerts
from controlplane.alerts.rules import FLAPPING, flaps
from controlplane.formatting import relative, spell
from controlplane.lists import Line
from controlplane.text import UNKNOWN, clean

ESTATE = "all"
"""What stands where a tenant would, for an alert about the whole estate."""
HAPPENED: dict[EventKind, str] = {
    "fired": "fired",
    "raised": "raised to",
    "lowered": "lowered to",
    "acked": "acked",
    "unacked": "given back",
    "ack_ended": "fires again",
    "handed_over": "handed over",
    "unknown": "became unknown",
    "known": "known again",
    "resolved": "resolved",
    "escalated": "escalated",
}
DETECTOR_MADE = ("fired", "raised", "lowered", "unknown", "known", "resolved", "ack_ended")


def number_words(value: float | None, unit: str) -> str:
    """A measured number with its unit: "3 keys", "1 key", "83 %", "14.4 ×"."""
    if value is None:
        return UNKNOWN
    if unit == "share":
        return f"{value * 100:.4g} %"
    return f"{value:,.4g} {clean(unit.removesuffix('s') if value == 1 else unit, 40)}".strip()


def measured_words(alert: Alert) -> str:
    """ "3/1 keys": the value beside its threshold."""
    if alert.value is None and alert.threshold is None:
        return UNKNOWN
    if alert.unit == "share" or alert.value is None or alert.threshold is None:
        return f"{number_words(alert.value, alert.unit)} / {number_words(alert.threshold, alert.unit)}"
    return f"{alert.value:,.4g} / {alert.threshold:,.4g} {clean(alert.unit, 40)}".strip()


def labels_words(alert: Alert) -> str:
    return " ".join(f"{clean(name, 60)}={clean(value, 200)}" for name, value in sorted(alert.labels.items()))


def standing_words(alert: Alert, now: datetime) -> str:
    """In what state it is, and since when or until when."""
    if alert.standing == "resolved":
        assert alert.resolved_at is not None
        return f"resolved {relative(alert.resolved_at, now)} {ended_words(alert)}"
    held = f"{clean(alert.holder, 63)} has it until {alert.ack_until:%Y-%m-%d %H:%M} UTC" if alert.ack_until else ""
    if alert.standing == "unknown":
        since = f" since {alert.unknown_since:%Y-%m-%d %H:%M} UTC" if alert.unknown_since else ""
        return f"not known{since}: {clean(alert.unknown_why, 300)}" + (f"; {held}" if held else "")
    return held or "nobody has it"


def ended_words(alert: Alert) -> str:
    """How a resolved alert ended."""
    if alert.resolved_by is None:
        return "by itself: it is no longer found"
    return f"by {clean(alert.resolved_by, 63)}: {clean(alert.resolved_why, 300)}"


def lasted_words(alert: Alert) -> str:
    return UNKNOWN if alert.resolved_at is None else spell((alert.resolved_at - alert.fired_at).total_seconds())


def flapping_words(alert: Alert) -> str:
    return f"flaps: fired {alert.fires} times within 24 hours" if flaps(alert) else ""


def event_words(event: AlertEvent) -> str:
    """An event on one line, without its time."""
    said = clean(event.words, 500) if event.words else ""
    happened = HAPPENED.get(event.kind, event.kind)
    if event.kind in ("fired", "raised", "lowered"):
        happened = f"{happened} {event.severity}" if event.kind != "fired" else f"fired, {event.severity}"
    by = f" by {clean(event.actor, 63)}" if event.actor else ""
    to = f" to {clean(event.holder, 63)}" if event.kind == "handed_over" and event.holder else ""
    until = f" until {event.until:%Y-%m-%d %H:%M} UTC" if event.kind == "acked" and event.until else ""
    audit = f" · audit {event.audit_seq}" if event.audit_seq else ""
    return f"{happened}{by}{to}{until}" + (f": {said}" if said else "") + audit


def why_of(alert: Alert, now: datetime) -> list[Line]:
    """Why it is as it is shown."""
    measured = (
        f"{number_words(alert.value, alert.unit)} against a threshold of {number_words(alert.threshold, alert.unit)}"
    )
    source = alert.details.get("threshold_from")
    lines: list[Line] = [
        (f"alert {alert.id}: {alert.kind}", "title"),
        f"{alert.standing}: {standing_words(alert, now)}",
        f"found: {clean(alert.summary, 500)}",
        measured + (f", from: {clean(source, 100)}" if source else ""),
        f"fired {relative(alert.fired_at, now)}, severity {alert.severity}",
    ]
    if alert.labels:
        lines.append(f"told apart by: {labels_words(alert)}")
    lines.append(f"fingerprint: {alert.fingerprint[:16]}…")
    if alert.previous_id is not None:
        lines.append(f"previous alert: {alert.previous_id}")
    if flaps(alert):
        lines.append((f"{flapping_words(alert)} ({FLAPPING} or more)", "warn"))
    return lines


def open_words(found: OpenAlerts) -> str:
    """ "3 firing, 2 acked": for the header; "" without any."""
    counts = ((found.firing, "firing"), (found.acked, "acked"), (found.unknown, "unknown"))
    more = "+" if found.capped else ""
    return ", ".join(f"{number}{more} {word}" for number, word in counts if number)
