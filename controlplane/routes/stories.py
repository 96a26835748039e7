"""Stored alerts as they were over time, from their events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controlplane.alerts.model import AlertEvent
from controlplane.routes.model import AlertFacts
from controlplane.routes.replay import Story


def story_of(alert: AlertFacts, events: Sequence[AlertEvent]) -> Story:
    """`events`: all of them, in order. Its details are those of now: what they were is not stored."""
    now = replace(
        alert,
        state="firing",
        acked_until=None,
        unknown_since=None,
        resolved_at=None,
        escalated_at=None,
        escalated_by="",
    )
    versions = []
    for event in events:
        now = replace(now, severity=event.severity)
        match event.kind:
            case "fired" | "unacked" | "ack_ended":
                now = replace(now, state="firing", acked_until=None)
            case "acked":
                now = replace(now, state="acked", acked_until=event.until)
            case "escalated":
                by = event.actor or ""
                now = replace(now, state="firing", acked_until=None, escalated_at=event.at, escalated_by=by)
            case "unknown":
                now = replace(now, unknown_since=event.at)
            case "known":
                now = replace(now, unknown_since=None)
            case "resolved":
                now = replace(now, state="resolved", resolved_at=event.at, acked_until=None, unknown_since=None)
        versions.append((event.at, now))
    return Story(tuple(versions))
