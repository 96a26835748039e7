"""What an operator can do with an incident: open it, lead it through its steps, tell its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, JsonValue

from controlplane.alerts.model import Alert
from controlplane.audit.model import AuditRow, Record
from controlplane.formatting import parse_moment
from controlplane.gates.model import GateRow
from controlplane.incidents import rules
from controlplane.incidents.model import MAX_NOTE, Affects, Incident, IncidentStore, Severity, Status, UpdateInterval
from controlplane.incidents.personal import personal_in
from controlplane.incidents.refusals import CUSTOMERS_PERSONAL, INCIDENT_NOTHING, INCIDENT_TAKEN, INTERVAL_NOTHING
from controlplane.operations import Operation, Request, Risk, Subject, operation
from controlplane.queues.model import Cause
from controlplane.tenants.model import Tenant
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane

Number = Annotated[
    int,
    BeforeValidator(lambda value: value.upper().removeprefix("INC-") if isinstance(value, str) else value),
    Field(ge=1, description="the incident's number"),
]
Title = Annotated[str, Field(min_length=1, max_length=200, description="what is wrong, in a few words")]
Summary = Annotated[str, Field(max_length=2000, description="the situation")]
Things = Annotated[list[str], Field(max_length=1000)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_NOTE, description="what happened")]


class IncidentOpen(Request):
    subject = ()
    makes_a = "incident"
    title: Title
    severity: Annotated[Severity, Field(description="how bad; if in doubt the higher one")]
    summary: Summary = ""
    tenants: Annotated[Things, Field(description="affected tenants")] = []
    regions: Annotated[Things, Field(description="affected regions")] = []
    routes: Annotated[Things, Field(description="affected routes of the API")] = []
    began: Annotated[str, Field(max_length=60, description="since when: now, 10m ago, or a time")] = "now"
    origin: Annotated[
        str,
        Field(max_length=400, pattern=r"^$|^(alerts|tenants|queues|gates)/.", description="alerts/41, gates/shop/…"),
    ] = ""


class OneIncident(Request):
    id: Number


class SeenIncident(OneIncident):
    version: Version


class IncidentEdit(SeenIncident):
    title: Annotated[Title | None, Field(default=None)]
    summary: Annotated[Summary | None, Field(default=None)]


class IncidentSeverity(SeenIncident):
    severity: Severity


class IncidentSnooze(SeenIncident):
    until: Annotated[str, Field(min_length=1, max_length=60, description="30m from now, or a time; at most a day")]


class IncidentAffects(OneIncident):
    kind: Annotated[Affects, Field(description="what it is")]
    name: Annotated[str, Field(min_length=1, max_length=200, description="its id or name")]


class IncidentNote(OneIncident):
    text: Text
    at: Annotated[str, Field(max_length=60, description="when: now, 10m ago, or a time")] = "now"


class PostedView(OneIncident):
    comment: Annotated[str, Field(max_length=2000, description="what it shows, in your words")] = ""
    view: Annotated[dict[str, JsonValue], Field(description="what opens it again")]
    seen: Annotated[str, Field(min_length=1, max_length=20_000, description="what was seen, as text")]
    at: Annotated[str, Field(max_length=60, description="as of when: now, 10m ago, or a time")] = "now"


class IncidentCorrection(OneIncident):
    event: Annotated[int, Field(ge=1, description="the number of the event that is wrong")]
    text: Annotated[Text, Field(description="what is right")]


class CustomerText(OneIncident):
    text: Annotated[str, Field(min_length=1, max_length=8000, description="what customers read; it names nobody")]


class IntervalPut(Request):
    subject = ("severity",)
    severity: Severity
    minutes: Annotated[
        int | None,
        Field(default=None, ge=5, le=1440, description="5 to 1440; default: when there is something to tell"),
    ]


INTERVAL = Subject(UpdateInterval, lambda change, request: change.of(IncidentStore).lock_interval(request.severity))
INCIDENT = Subject(Incident, lambda change, request: change.of(IncidentStore).lock(request.id))


def _of_alerts(alerts: Sequence[Alert]) -> Record:
    """The first alert, with what all of them are about."""
    first = alerts[0]
    return {
        "title": first.summary[:200],
        "severity": rules.OF_ALERT[first.severity],
        "tenants": sorted({each.tenant_id for each in alerts if each.tenant_id}),
        "regions": sorted({each.labels["region"] for each in alerts if "region" in each.labels}),
        "routes": sorted({each.labels["route"] for each in alerts if "route" in each.labels}),
        "began": min(each.fired_at for each in alerts).isoformat(),
        "origin": f"alerts/{first.id}",
    }


def _of_tenants(tenants: Sequence[Tenant]) -> Record:
    names = [each.id for each in tenants]
    origin = f"tenants/{names[0]}" if len(names) == 1 else ""
    return {"title": f"{', '.join(names)}: "[:200], "tenants": names, "origin": origin}


def _of_cause(causes: Sequence[Cause]) -> Record:
    first = causes[0]
    title = f"dead letters of {first.handler}: {first.cause}"
    return {"title": title[:200], "began": first.first_seen.isoformat(), "origin": f"queues/{first.id}"}


def _of_gate(gates: Sequence[GateRow]) -> Record:
    first = gates[0]
    return {"title": f"gate {first.gate} is closed in {first.environment}", "origin": f"gates/{first.key}"}


@operation(
    "incidents.open",
    IncidentOpen,
    role="operator",
    risk=Risk.PREVIEW,
    key="g",
    begins={Alert: _of_alerts, Tenant: _of_tenants, Cause: _of_cause, GateRow: _of_gate},
    way_back="Resolve it, and close it.",
)
async def open_incident(change: Change, request: IncidentOpen) -> Record:
    """Open an incident; what it is opened from is its first event."""
    store = change.of(IncidentStore)
    noun, _, thing = request.origin.partition("/")
    if noun and (other := await store.opened_from(noun, thing)) is not None:
        raise INCIDENT_TAKEN(f"INC-{other} was opened from {request.origin}, and is not closed.", why=[f"INC-{other}"])
    made = await store.create(
        {
            "title": request.title,
            "summary": request.summary,
            "severity": request.severity,
            "began_at": rules.past(request.began, change.now),
            "origin_noun": noun or None,
            "origin": thing or None,
            "tenants": request.tenants,
            "regions": request.regions,
            "routes": request.routes,
        }
    )
    return {"id": made.id, "severity": made.severity, "title": made.title, "version": made.version}


@operation(
    "incidents.edit",
    IncidentEdit,
    role="operator",
    risk=Risk.PREVIEW,
    key="e",
    on=INCIDENT,
    undo="incidents.edit",
    begins={Incident: lambda rows: {"title": rows[0].title, "summary": rows[0].summary} if len(rows) == 1 else {}},
)
async def edit(change: Change, request: IncidentEdit, incident: Incident) -> Record:
    """Change an incident's title or summary."""
    columns = {name: value for name in ("title", "summary") if (value := getattr(request, name)) is not None}
    return await _update(change, incident, columns)


@operation(
    "incidents.severity",
    IncidentSeverity,
    role="operator",
    risk=Risk.SAFE,
    key="v",
    on=INCIDENT,
    check=rules.check_not_closed,
    undo="incidents.severity",
)
async def severity(change: Change, request: IncidentSeverity, incident: Incident) -> Record:
    """Change an incident's severity."""
    return await _update(change, incident, {"severity": request.severity})


async def _step(change: Change, incident: Incident, status: Status) -> Record:
    return await _update(change, incident, {"status": status})


@operation("incidents.mitigate", SeenIncident, role="operator", risk=Risk.CONFIRM, key="m", on=INCIDENT,
           check=rules.step_to("mitigated"), undo="incidents.reopen")  # fmt: skip
async def mitigate(change: Change, request: SeenIncident, incident: Incident) -> Record:
    """Mark an incident mitigated: customers are served again, but the cause may still be there."""
    return await _step(change, incident, "mitigated")


@operation("incidents.resolve", SeenIncident, role="operator", risk=Risk.CONFIRM, key="r", on=INCIDENT,
           check=rules.step_to("resolved"), way_back="Reopen it: that begins its next cycle.")  # fmt: skip
async def resolve(change: Change, request: SeenIncident, incident: Incident) -> Record:
    """Resolve an incident: the trouble is over.

    Its conn holds nothing up from now on.
    """
    return await _step(change, incident, "resolved")


@operation("incidents.close-out", SeenIncident, role="operator", risk=Risk.CONFIRM, key="x", on=INCIDENT,
           check=rules.step_to("closed"), way_back="Reopen it: that begins its next cycle.")  # fmt: skip
async def close(change: Change, request: SeenIncident, incident: Incident) -> Record:
    """Close an incident: nothing is left to do, and its roles end.

    Its timeline is told nothing more by itself.
    """
    return await _step(change, incident, "closed")


@operation("incidents.reopen", SeenIncident, role="operator", risk=Risk.CONFIRM, key="o", on=INCIDENT,
           check=rules.step_to("open"), way_back="Resolve it again.")  # fmt: skip
async def reopen(change: Change, request: SeenIncident, incident: Incident) -> Record:
    """Reopen an incident; if it was resolved, as its next cycle."""
    return await _step(change, incident, "open")


@operation("incidents.snooze", IncidentSnooze, role="operator", risk=Risk.SAFE, key="z", on=INCIDENT, needs_reason=True,
           check=rules.check_active, way_back="Tell customers, or snooze it until another time.")  # fmt: skip
async def snooze(change: Change, request: IncidentSnooze, incident: Incident) -> Record:
    """Snooze the update clock until a time: customers wait for the next update."""
    until = parse_moment(request.until, change.now)
    return await _update(change, incident, {"snoozed_until": until, "snoozed_why": change.reason or ""})


def _moved(row: AuditRow) -> Record:
    """What was added or removed."""
    was, now = row.before or {}, row.after or {}
    for kind, field in rules.FIELDS.items():
        for thing in {*was.get(field, ())} ^ {*now.get(field, ())}:
            return {"kind": kind, "name": thing}
    return {}


@operation("incidents.affect", IncidentAffects, role="operator", risk=Risk.SAFE, key="a", on=INCIDENT,
           check=rules.check_not_closed, undo="incidents.unaffect", undo_request=_moved)  # fmt: skip
async def affect(change: Change, request: IncidentAffects, incident: Incident) -> Record:
    """Add what is affected: a tenant, region or route.

    What is done to it comes into the timeline from then on.
    """
    return await _update(change, incident, rules.with_affected(incident, request.kind, request.name))


@operation("incidents.unaffect", IncidentAffects, role="operator", risk=Risk.SAFE, key="u", on=INCIDENT,
           check=rules.check_not_closed, undo="incidents.affect", undo_request=_moved)  # fmt: skip
async def unaffect(change: Change, request: IncidentAffects, incident: Incident) -> Record:
    """Remove what is no longer affected."""
    return await _update(change, incident, rules.without_affected(incident, request.kind, request.name))


async def _update(change: Change, incident: Incident, columns: Record) -> Record:
    if all(getattr(incident, name) == value for name, value in columns.items()):
        raise INCIDENT_NOTHING()
    made = await change.of(IncidentStore).update(incident.id, columns)
    said = {name: getattr(made, name) for name in columns}
    return {"id": made.id, **said, "cycle": made.cycle, "version": made.version}


# The timeline


@operation("incidents.note", IncidentNote, role="support", risk=Risk.SAFE, key="n", on=INCIDENT,
           way_back="Correct it: the timeline is only added to.")  # fmt: skip
async def note(change: Change, request: IncidentNote, incident: Incident) -> Record:
    """Add a note to the timeline, of now or earlier."""
    at = None if request.at.strip() == "now" else rules.past(request.at, change.now)
    return {"id": incident.id, "event": await change.of(IncidentStore).note(incident.id, request.text, at)}


async def post(change: Change, request: PostedView, incident: Incident) -> Record:
    """Post what you see to the timeline: a copy of it, and the view that opens it again."""
    at = None if request.at.strip() == "now" else rules.past(request.at, change.now)
    text = f"{request.comment}\n\n{request.seen}".strip()
    return {"id": incident.id, "event": await change.of(IncidentStore).post(incident.id, text, request.view, at)}


POST: Operation[PostedView] = Operation(
    "incidents.post", "Post what you see to an incident's timeline", PostedView, post, role="support", risk=Risk.SAFE,
    key=">", on=INCIDENT, way_back="Correct it: the timeline is only added to.",
)  # fmt: skip
"""Not in the registry: only a screen can be posted, by its key."""


@operation("incidents.correct", IncidentCorrection, role="support", risk=Risk.SAFE, key="c", on=INCIDENT,
           way_back="Correct it again: the last correction counts.")  # fmt: skip
async def correct(change: Change, request: IncidentCorrection, incident: Incident) -> Record:
    """Correct an event by a new one that points back.

    The same correction twice is one.
    """
    event = await change.of(IncidentStore).correct(incident.id, request.event, request.text)
    return {"id": incident.id, "event": event, "corrects": request.event}


async def foresee(plane: ControlPlane, fields: Record) -> str:
    """What would be refused in the text as it is typed so far."""
    found = personal_in(str(fields.get("text") or ""))
    return f"it has {found}: leave that out" if found else ""


def _nobody_named(request: CustomerText) -> None:
    if (found := personal_in(request.text)) is not None:
        raise CUSTOMERS_PERSONAL(f"The text for customers has {found}.", why=[f"found: {found}"])


@operation("incidents.tell-customers", CustomerText, role="operator", risk=Risk.CONFIRM, key="p", on=INCIDENT,
           check=rules.check_not_closed, foresees=foresee, way_back="Publish a correction.")  # fmt: skip
async def tell_customers(change: Change, request: CustomerText, incident: Incident) -> Record:
    """Publish an update for customers.

    The clock for the next one begins anew.
    """
    _nobody_named(request)
    event = await change.of(IncidentStore).tell_customers(incident.id, request.text)
    return {"id": incident.id, "event": event, "notes": [request.text]}


@operation(
    "incidents.interval",
    IntervalPut,
    role="admin",
    risk=Risk.CONFIRM,
    key="i",
    on=INTERVAL,
    undo="incidents.interval",
    writes="update-intervals",
    begins={UpdateInterval: lambda rows: {"minutes": rows[0].minutes} if len(rows) == 1 else {}},
)
async def interval(change: Change, request: IntervalPut, now: UpdateInterval) -> Record:
    """Set the update interval of a severity: how often customers are told.

    It holds at once, also for incidents that are open.
    """
    if now.minutes == request.minutes:
        raise INTERVAL_NOTHING()
    made = await change.of(IncidentStore).put_interval(request.severity, request.minutes)
    return {"severity": made.severity, "minutes": made.minutes}
