"""What may be done with an incident when: pure functions. The home guards the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from controlplane.formatting import parse_duration, parse_moment
from controlplane.incidents.model import ACTIVE, Affects, Incident, Severity, Status
from controlplane.incidents.refusals import (
    AFFECTED_ALREADY,
    AFFECTED_UNKNOWN,
    INCIDENT_CLOSED,
    INCIDENT_OVER,
    INCIDENT_STEP,
    ROLE_FREE,
    ROLE_HELD,
    ROLE_NOT_OFFERED,
    ROLE_NOT_YOURS,
)

STEPS: dict[Status, tuple[Status, ...]] = {
    "mitigated": ("open",),
    "resolved": ("open", "mitigated"),
    "closed": ("resolved",),
    "open": ("mitigated", "resolved", "closed"),
}
"""Status → those that it follows."""
FIELDS: dict[Affects, str] = {"tenant": "tenants", "region": "regions", "route": "routes"}
OF_ALERT: dict[str, Severity] = {"critical": "SEV-1", "error": "SEV-2", "warning": "SEV-3", "info": "SEV-4"}


def step_to(status: Status) -> Callable[[Incident, datetime], None]:
    """The check of the operation that leads to a status. Raises Refusal `incident_step`."""

    def check(incident: Incident, now: datetime) -> None:
        if incident.status not in STEPS[status]:
            raise INCIDENT_STEP(f"{incident.label} is {incident.status}.", why=[f"status: {incident.status}"])

    return check


def check_not_closed(incident: Incident, now: datetime) -> None:
    """Raises Refusal `incident_closed`."""
    if incident.status == "closed":
        raise INCIDENT_CLOSED(f"{incident.label} is closed.")


def check_active(incident: Incident, now: datetime) -> None:
    """Raises Refusal `incident_over`."""
    if incident.status not in ACTIVE:
        raise INCIDENT_OVER(f"{incident.label} is {incident.status}.")


def called(role: str) -> str:
    return "the conn" if role == "conn" else f"the role of {role}"


def check_free(incident: Incident, role: str) -> None:
    """Raises Conflict `role_held`, which says who has it."""
    if (holder := incident.holder(role)) is not None:
        raise ROLE_HELD(f"{holder} has {called(role)} of {incident.label}.", why=[f"{role}: {holder}"])


def check_mine(incident: Incident, role: str, person: str) -> None:
    """Raises Refusal `role_free`, NotPermitted `role_not_yours`."""
    check_held(incident, role)
    if (holder := incident.holder(role)) != person:
        raise ROLE_NOT_YOURS(f"{holder} has {called(role)} of {incident.label}, not you.", why=[f"{role}: {holder}"])


def check_held(incident: Incident, role: str) -> None:
    """Raises Refusal `role_free`."""
    if incident.holder(role) is None:
        raise ROLE_FREE(f"Nobody has {called(role)} of {incident.label}.")


def check_offered(incident: Incident, role: str, person: str) -> None:
    """Raises Refusal `role_not_offered`."""
    if incident.offered_to(role) != person:
        holder = incident.holder(role)
        has = f"{holder} has it" if holder else "nobody has it"
        raise ROLE_NOT_OFFERED(f"{called(role).capitalize()} of {incident.label} is not offered to you: {has}.")


def with_affected(incident: Incident, kind: Affects, thing: str) -> dict[str, list[str]]:
    """The column that changes. Raises Refusal `affected_already`."""
    there = list(incident.affected()[kind])
    if thing in there:
        raise AFFECTED_ALREADY(f"The {kind} {thing} is affected already.")
    return {FIELDS[kind]: [*there, thing]}


def without_affected(incident: Incident, kind: Affects, thing: str) -> dict[str, list[str]]:
    """The column that changes. Raises NotFound `affected_unknown`."""
    there = list(incident.affected()[kind])
    if thing not in there:
        raise AFFECTED_UNKNOWN(f"The {kind} {thing} is not affected.")
    return {FIELDS[kind]: [each for each in there if each != thing]}


def past(text: str, now: datetime) -> datetime:
    """When something happened: "now", "10m" or "10m ago", or a time. Raises Usage."""
    text = text.strip().removesuffix(" ago").strip()
    if text == "now" or "-" in text or ":" in text:
        return parse_moment(text, now)
    return now - timedelta(seconds=parse_duration(text))
