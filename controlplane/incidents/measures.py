"""How long an incident took, from its events alone: nothing of it is typed. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controlplane.incidents.model import SEVERITIES, Incident, IncidentEvent


@dataclass(frozen=True)
class Measures:
    """Seconds, of one cycle. None: that has not happened, or is not known.

    `detect`: from the beginning to the opening; `acknowledge`: from the opening until somebody first took a role;
    `mitigate`, `resolve`: from the beginning until it first was. `severities`: how long it had each severity until it
    was resolved, or until now. `updates`: how often customers were told.
    """

    cycle: int
    detect: float | None
    acknowledge: float | None
    mitigate: float | None
    resolve: float | None
    severities: dict[str, float]
    updates: int


def measure(incident: Incident, events: Sequence[IncidentEvent], now: datetime) -> list[Measures]:
    """Of each cycle, the first one first. `events`: the incident's milestones in their order."""
    return [_cycle(incident, events, number, now) for number in range(1, incident.cycle + 1)]


def _cycle(incident: Incident, events: Sequence[IncidentEvent], number: int, now: datetime) -> Measures:
    mine = [each for each in events if each.cycle == number]
    opened = next((each.recorded_at for each in mine if each.kind == "opened" or each.becomes == "open"), None)
    if opened is None:
        return Measures(number, None, None, None, None, {}, 0)
    began = min(incident.began_at, opened) if number == 1 else opened

    def first(*wanted: str) -> datetime | None:
        return next((each.recorded_at for each in mine if each.kind == "status" and each.becomes in wanted), None)

    taken = next((each.recorded_at for each in mine if each.kind == "role" and each.becomes), None)
    resolved = first("resolved")
    return Measures(
        number,
        _seconds(began, opened) if number == 1 else None,
        _seconds(opened, taken),
        _seconds(began, first("mitigated", "resolved")),
        _seconds(began, resolved),
        _severities(events, opened, resolved or now),
        sum(each.kind == "customers" for each in mine),
    )


def _severities(events: Sequence[IncidentEvent], start: datetime, end: datetime) -> dict[str, float]:
    """The severity that held at the start is the last one said by then."""
    said = [(each.recorded_at, each.becomes) for each in events if each.kind in ("opened", "severity") and each.becomes]
    took: dict[str, float] = {}
    for place, (at, severity) in enumerate(said):
        until = said[place + 1][0] if place + 1 < len(said) else end
        seconds = (min(until, end) - max(at, start)).total_seconds()
        if seconds > 0 and severity is not None:
            took[severity] = took.get(severity, 0.0) + seconds
    return {severity: took[severity] for severity in SEVERITIES if severity in took}


def _seconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else max(0.0, (end - start).total_seconds())
