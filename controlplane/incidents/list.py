"""The lists of incidents, the most urgent first, and of their events, in the order in which they happened."""

from __future__ import annotations

from datetime import datetime

from controlplane.formatting import relative
from controlplane.incidents.model import (
    KINDS,
    SEVERITIES,
    STATUSES,
    Incident,
    IncidentDirectory,
    IncidentEvent,
    IntervalDirectory,
    TimelineDirectory,
    UpdateInterval,
)
from controlplane.incidents.refusals import NO_EVENT, NO_INCIDENT, NO_INTERVAL
from controlplane.incidents.words import affected_words, event_words, standing_lines, whole_minutes
from controlplane.lists import COUNT, ID, TIME, Cell, Column, Line, ListOf, Status, choice, status
from controlplane.text import UNKNOWN, clean

SEVERITY: dict[str, Status] = {
    "SEV-1": Status("✕", "bad"),
    "SEV-2": Status("◈", "bad"),
    "SEV-3": Status("◐", "warn"),
    "SEV-4": Status("○", "muted"),
}
STATES: dict[str, Status] = {
    "open": Status("✕", "bad"),
    "mitigated": Status("◐", "warn"),
    "resolved": Status("●", "good"),
    "closed": Status("○", "muted"),
}
assert tuple(SEVERITY) == SEVERITIES and tuple(STATES) == STATUSES


def _severity(incident: Incident, now: datetime) -> Cell:
    glyph, tone, _ = SEVERITY[incident.severity]
    return Cell(
        f"{glyph} {incident.severity}", tone if incident.update_due or incident.resolved_at is None else "muted"
    )


def _update(incident: Incident, now: datetime) -> Cell:
    """When customers are told next."""
    if incident.update_due is None:
        return Cell("")
    left = (incident.update_due - now).total_seconds()
    return Cell(f"in {whole_minutes(left)}") if left > 0 else Cell(f"overdue {whole_minutes(-left)}", "bad")


INCIDENTS = ListOf(
    "incidents",
    Incident,
    of=lambda plane: plane.of(IncidentDirectory),
    order="-severity",
    summary="List incidents: open ones first, the most severe on top.",
    means="Incidents, open ones first. Enter shows one, with its timeline; I opens a new one.",
    nothing="No incident yet. Open one here, or on an alert, a tenant, a cause or a gate: press I.",
    missing=NO_INCIDENT,
    label=lambda incident: incident.label,
    opens=lambda incident: ("incidents", incident.key),
    why=lambda incident, now: standing_lines(incident, now),
    columns=(
        Column("id", ID, priority=1, width=5, title="NO", sorts=True),
        Column("severity", status(SEVERITY), priority=1, width=8, title="SEV", cell=_severity, sorts=True,
               what="sorts open ones first"),
        Column("status", status(STATES), priority=2, width=11),
        Column("title", priority=1, width=28, grow=True, filters=False),
        Column("conn", priority=2, width=8, what="who has the conn"),
        Column("commander", priority=5, width=9),
        Column("opened", TIME, priority=3, field="opened_at", sorts=True),
        Column("update", filters=False, priority=3, width=12, field="update_due", cell=_update,
               what="when customers are told next"),
        Column("affected", filters=False, priority=4, width=14, grow=True, value=affected_words,
               cell=lambda incident, now: affected_words(incident) or Cell(UNKNOWN, "unknown")),
        Column("cycle", ID, filters=False, priority=10, width=5),
        Column("events", COUNT, filters=False, priority=10, width=6),
    ),
)  # fmt: skip


def _interval_why(row: UpdateInterval, now: datetime) -> list[Line]:
    how = f"every {row.minutes:,} minutes" if row.minutes else "when there is something to tell"
    return [
        (f"{row.severity}: customers are told {how}", "title"),
        "Counted from the opening or the last update. When one is overdue, every console says so.",
        "An admin changes it: incidents interval",
    ]


INTERVALS: ListOf[UpdateInterval] = ListOf(
    "update-intervals",
    UpdateInterval,
    of=lambda plane: plane.of(IntervalDirectory),
    order="severity",
    few=True,
    summary="List how often customers are told while an incident is under way, by its severity.",
    means="How often customers are told while an incident is under way. a, then i, changes it.",
    nothing="There are no severities.",
    key=("severity",),
    missing=NO_INTERVAL,
    why=_interval_why,
    search=lambda row: (row.severity,),
    operations=("incidents.interval",),
    columns=(
        Column("severity", priority=1, width=10, sorts=True),
        Column("minutes", COUNT, priority=1, width=9,
               cell=lambda row, now: f"{row.minutes:,}" if row.minutes else Cell("none", "muted"),
               what="none: when there is something to tell"),
    ),
)  # fmt: skip

TIMELINE = ListOf(
    "timeline",
    IncidentEvent,
    of=lambda plane: plane.of(TimelineDirectory),
    order="-happened",
    summary="List what happened in incidents, the newest first: incident:41 for one of them.",
    means="What happened in incidents, at the time at which it happened.",
    nothing="Nothing happened yet.",
    key=("incident", "event"),
    missing=NO_EVENT,
    label=lambda event: f"event {event.seq} of INC-{event.incident_id}",
    opens=lambda event: ("incidents", str(event.incident_id)),
    why=lambda event, now: [
        f"happened {relative(event.happened_at, now)}, recorded {relative(event.recorded_at, now)}",
        *clean(event.words, 60_000).splitlines(),
    ],
    name="events",
    columns=(
        Column("incident", ID, priority=8, width=5, field="incident_id", title="INC"),
        Column("event", ID, filters=False, priority=3, width=4, field="seq", title="#"),
        Column("happened", TIME, priority=1, field="happened_at", title="WHEN", sorts=True),
        Column("kind", choice(*KINDS), priority=9, width=10),
        Column("actor", priority=2, width=8, title="WHO", also=("who",)),
        Column("what", filters=False, priority=1, width=30, grow=True, field="words",
               cell=lambda event, now: event_words(event)),
        Column("operation", priority=0),
        Column("noun", priority=0),
        Column("thing", priority=0),
        Column("recorded", TIME, priority=0, field="recorded_at"),
    ),
)  # fmt: skip
