"""An incident as a whole: with all its events, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.incidents.measures import Measures, measure
from controlplane.incidents.model import MILESTONES, Incident, IncidentDirectory, IncidentEvent
from controlplane.incidents.postmortem import document

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

PAGE = 1000


def number_of(text: str) -> int | None:
    """The number in "INC-41" or "41"; None: it is no incident's name."""
    found = re.fullmatch(r"(?i:inc-)?([1-9][0-9]{0,17})", text)
    return int(found[1]) if found else None


async def all_events(plane: ControlPlane, number: int) -> list[IncidentEvent]:
    """By number."""
    incidents, events = plane.of(IncidentDirectory), list[IncidentEvent]()
    while True:
        page = await incidents.since(number, events[-1].seq if events else 0, PAGE)
        events += page
        if len(page) < PAGE:
            return events


async def measures_of(plane: ControlPlane, incident: Incident, now: datetime) -> Sequence[Measures]:
    return measure(incident, await plane.of(IncidentDirectory).milestones(incident.id), now)


async def post_mortem(plane: ControlPlane, number: int, now: datetime) -> dict[str, Any]:
    """Raises NotFound."""
    incident = await plane.of(IncidentDirectory).get(number)
    events = await all_events(plane, number)
    milestones = [each for each in events if each.kind in MILESTONES]
    return document(incident, events, measure(incident, milestones, now), now)
