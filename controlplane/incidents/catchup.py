"""What happened in the incidents since a person left: the state of each, and what was done most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from controlplane.errors import Usage
from controlplane.filters.grammar import Term
from controlplane.formatting import count_words, relative
from controlplane.incidents.model import ACTIVE, Incident, IncidentDirectory, IncidentEvent
from controlplane.incidents.rules import past
from controlplane.incidents.words import conn_words, event_words
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.presence.model import PresenceDirectory
from controlplane.runbooks.model import Execution, ExecutionDirectory
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

MOST = 20
"""Incidents that are told of."""
LAST = 5
"""Events of each that are told in full, besides those that change how it stands."""
MOST_TASKS = 50
UNDONE = Term("is", ("open", "failed", "unknown"), "state")
TURNS = ("severity", "status", "role", "customers")


async def left_at(plane: ControlPlane, text: str, console: UUID | None) -> datetime:
    """From "2h ago" or a time; without a text, when the login's other consoles were used last.

    Raises Usage `left_unknown`: no other console is known.
    """
    if text:
        return past(text, plane.clock.now())
    found = await plane.of(PresenceDirectory).left_at(console)
    if found is None:
        raise Usage("left_unknown", "When you left is not known here.", "Say since when: catch-up 2h, or --since 2h")
    return found


async def catch_up(plane: ControlPlane, since: datetime) -> list[Line]:
    """Of every incident that is not closed, or was closed since."""
    incidents = plane.of(IncidentDirectory)
    page = await incidents.page(Query((), "severity", True), limit=MOST)
    told = [each for each in page.rows if each.status != "closed" or (each.closed_at and each.closed_at > since)]
    events = await incidents.recorded_since([each.id for each in told], since)
    of_these = Term("is", tuple(str(each.id) for each in told), "incident")
    tasks = await plane.of(ExecutionDirectory).page(Query((of_these, UNDONE), "started", False), limit=MOST_TASKS)
    return catch_up_lines(told, events, tasks.rows if told else (), since, plane.clock.now())


def catch_up_lines(
    incidents: Sequence[Incident],
    events: Sequence[IncidentEvent],
    tasks: Sequence[Execution],
    since: datetime,
    now: datetime,
) -> list[Line]:
    """`events`: those recorded since, of all these incidents; `tasks`: the runbooks that are carried out for them."""
    if not incidents:
        return [f"No incident is open, and none was closed since you left {relative(since, now)}."]
    lines: list[Line] = [f"since you left, {relative(since, now)}"]
    for incident in incidents:
        own = [each for each in tasks if each.incident == incident.id]
        lines += ["", *_lines(incident, [each for each in events if each.incident_id == incident.id], own, now)]
    return lines


def _lines(
    incident: Incident, events: Sequence[IncidentEvent], tasks: Sequence[Execution], now: datetime
) -> list[Line]:
    title = f"{incident.label} {incident.severity} {incident.status}: {clean(incident.title, 200)}"
    people = [f"commander: {clean(incident.commander or 'nobody', 63)}", conn_words(incident)]
    lines: list[Line] = [(title, "title"), "; ".join(filter(None, people))]
    if incident.status in ACTIVE:
        lines.append(_customers(incident, now))
    lines += [_task(each) for each in tasks]
    if not events:
        return [*lines, ("nothing happened in it", "muted")]
    most = Counter(each.operation for each in events if each.operation and each.kind in ("change", "run")).most_common(
        3
    )
    done = f"; most: {', '.join(f'{clean(name, 60)} × {number:,}' for name, number in most)}" if most else ""
    lines.append(f"{count_words(len(events), 'event')}{done}")
    turns = [each for each in events if each.kind in TURNS]
    rest = [each for each in events if each.kind not in TURNS][-LAST:]
    for event in sorted([*turns, *rest], key=lambda each: each.seq):
        words = event_words(event)
        lines.append(
            (f"  {relative(event.happened_at, now)}, {clean(event.actor or 'the home', 63)}: {words.text}", words.tone)
        )
    return lines


def _task(execution: Execution) -> Line:
    left = execution.steps - execution.settled
    words = f"to do: {execution.runbook}, {count_words(left, 'step')} of {execution.steps} left"
    return f"{words} (execution {execution.id}, {execution.state})", "warn"


def _customers(incident: Incident, now: datetime) -> Line:
    told = (
        f"customers were told {relative(incident.told_at, now)}"
        if incident.told_at
        else "customers were told nothing yet"
    )
    if incident.update_due is None:
        return told
    due = f"{told}; the next update is {'overdue since' if incident.update_due <= now else 'due'}"
    return f"{due} {relative(incident.update_due, now)}", "warn" if incident.update_due <= now else ""
