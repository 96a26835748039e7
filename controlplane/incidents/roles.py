"""Who does what in an incident: roles are taken, offered, accepted and given back.

The conn is one of them: while somebody has it, the home lets nobody else change what is affected without stating why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import AuditRow, Record
from controlplane.formatting import parse_moment
from controlplane.incidents import rules
from controlplane.incidents.model import Incident, IncidentStore, Role
from controlplane.incidents.operations import INCIDENT, OneIncident
from controlplane.operations import Risk, operation

if TYPE_CHECKING:
    from controlplane.changes import Change


class IncidentRole(OneIncident):
    role: Annotated[Role, Field(description="only whoever has the conn may change what is affected")] = "conn"


class RoleOffer(IncidentRole):
    to: Annotated[str, Field(min_length=1, max_length=63, description="whom: the login's name")]
    until: Annotated[str, Field(min_length=1, max_length=60, description="how long it lasts; at most 1h")] = "5m"
    summary: Annotated[
        str, Field(max_length=2000, description="a short summary of the situation; default: the incident's summary")
    ] = ""


class ConnOverride(OneIncident):
    until: Annotated[
        str,
        Field(min_length=1, max_length=60, description="for how long; at most 1h", json_schema_extra={"also": "for"}),
    ] = "10m"


def _same(row: AuditRow) -> Record:
    """The role of the row."""
    said = row.after or row.before or {}
    return {"id": said.get("incident_id"), "role": said.get("role")}


@operation("incidents.take", IncidentRole, role="operator", risk=Risk.SAFE, key="t", on=INCIDENT,
           check=rules.check_not_closed, undo="incidents.return", undo_request=_same)  # fmt: skip
async def take(change: Change, request: IncidentRole, incident: Incident) -> Record:
    """Take a role that nobody has: the conn, or another."""
    rules.check_free(incident, request.role)
    await change.of(IncidentStore).take(incident.id, request.role)
    return {"id": incident.id, "role": request.role, "holder": change.actor}


@operation("incidents.offer", RoleOffer, role="operator", risk=Risk.PREVIEW, key="f", on=INCIDENT,
           check=rules.check_not_closed, way_back="It is yours until it is accepted, and after its time.")  # fmt: skip
async def offer(change: Change, request: RoleOffer, incident: Incident) -> Record:
    """Offer your role to somebody, with a summary.

    It is yours until they accept it.
    """
    rules.check_mine(incident, request.role, change.actor)
    until = parse_moment(request.until, change.now)
    summary = request.summary or incident.summary or incident.title
    await change.of(IncidentStore).offer(incident.id, request.role, request.to, until, summary)
    return {"id": incident.id, "role": request.role, "offered_to": request.to, "until": until, "notes": [summary]}


@operation("incidents.accept", IncidentRole, role="operator", risk=Risk.SAFE, key="y", on=INCIDENT,
           check=rules.check_not_closed, way_back="Offer it back.")  # fmt: skip
async def accept(change: Change, request: IncidentRole, incident: Incident) -> Record:
    """Accept a role that is offered to you."""
    rules.check_offered(incident, request.role, change.actor)
    await change.of(IncidentStore).accept(incident.id, request.role)
    return {"id": incident.id, "role": request.role, "holder": change.actor}


@operation("incidents.return", IncidentRole, role="operator", risk=Risk.SAFE, key="b", on=INCIDENT,
           undo="incidents.take", undo_request=_same)  # fmt: skip
async def give_back(change: Change, request: IncidentRole, incident: Incident) -> Record:
    """Return a role of yours."""
    rules.check_mine(incident, request.role, change.actor)
    await change.of(IncidentStore).give_back(incident.id, request.role)
    return {"id": incident.id, "role": request.role, "holder": None}


@operation("incidents.relieve", IncidentRole, role="operator", risk=Risk.CONFIRM, key="l", on=INCIDENT,
           needs_reason=True, way_back="Whoever had it takes it again.")  # fmt: skip
async def relieve(change: Change, request: IncidentRole, incident: Incident) -> Record:
    """Take a role from somebody who cannot return it."""
    rules.check_held(incident, request.role)
    await change.of(IncidentStore).give_back(incident.id, request.role, another=True)
    return {"id": incident.id, "role": request.role, "holder": None}


@operation("incidents.override", ConnOverride, role="operator", risk=Risk.CONFIRM, key="w", on=INCIDENT,
           needs_reason=True, check=rules.check_active, way_back="It ends by itself.")  # fmt: skip
async def override(change: Change, request: ConnOverride, incident: Incident) -> Record:
    """Override the conn: change what is affected without it, and say why."""
    until = parse_moment(request.until, change.now)
    await change.of(IncidentStore).override(incident.id, until)
    return {"id": incident.id, "person": change.actor, "until": until}
