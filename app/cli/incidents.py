"""One incident on the command line, with its times and its newest events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.lists import Told, text_lines
from controlplane.incidents.model import Incident
from controlplane.incidents.words import standing_lines

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_incident(plane: ControlPlane, incident: Incident) -> Told:
    """Show an incident: how it stands."""
    lines = text_lines(standing_lines(incident, plane.clock.now()))
    return Told({}, lines)
