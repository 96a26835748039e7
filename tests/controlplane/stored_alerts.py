"""Alerts as they are stored, for the tests of what is shown of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.alerts.model import Alert, AlertEvent, EventKind

FIRED = datetime(2026, 3, 31, 11, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KNOWN: dict[str, Any] = {
    **dict.fromkeys(Alert.__dataclass_fields__),
    "id": 7,
    "kind": "burn_rate",
    "tenant_id": "acme",
    "labels": {},
    "fingerprint": "f" * 64,
    "severity": "critical",
    "value": 17.0,
    "threshold": 14.4,
    "unit": "×",
    "summary": "it burns",
    "details": {},
    "standing": "firing",
    "state": "firing",
    "fired_at": FIRED,
    "fires": 1,
    "version": 1,
}


def stored(**fields: Any) -> Alert:
    return Alert(**KNOWN | fields)


def event(kind: EventKind, at: datetime = FIRED, **fields: Any) -> AlertEvent:
    known = {**dict.fromkeys(AlertEvent.__dataclass_fields__), "n": 1, "severity": "critical", "value": 15.0}
    return AlertEvent(**{**known, "alert_id": 7, "at": at, "kind": kind, **fields})
