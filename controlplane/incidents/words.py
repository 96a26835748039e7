"""Incidents in words: how one stands, what is affected, what happened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from controlplane.formatting import parse_time, relative, spell
from controlplane.incidents.measures import Measures
from controlplane.incidents.model import ACTIVE, ROLES, Incident, IncidentEvent, Standing
from controlplane.listing import View
from controlplane.lists import Cell, Line, Tone
from controlplane.text import clean

TONES: dict[str, Tone] = {"alert": "warn", "customers": "good", "override": "warn", "note": "", "origin": "muted"}
MAX_AFFECTED = 6
"""How many affected things are named in a line."""


def whole_minutes(seconds: float) -> str:
    """ "39m", "1h 5m": what counts down changes once a minute, so that an idle console sends little."""
    return spell(60 * math.ceil(seconds / 60))


def affected_words(incident: Incident) -> str:
    """ "acme, beta, region eu, route /orders"; of many the first few."""
    named = [*incident.tenants, *(f"region {each}" for each in incident.regions)]
    named += [f"route {each}" for each in incident.routes]
    more = f" and {len(named) - MAX_AFFECTED:,} more" if len(named) > MAX_AFFECTED else ""
    return clean(", ".join(named[:MAX_AFFECTED]), 300) + more


def event_words(event: IncidentEvent) -> Cell:
    """An event on one line, without its time and who."""
    said = clean(event.words, 300).removeprefix(f"{event.actor} ")
    if event.corrects is not None:
        said = f"corrects {event.corrects}: {said}"
    if event.view is not None:
        said = f"view of {View.read(event.view).words}: {said}"
    if event.kind == "customers":
        said = f"told customers: {said}"
    if event.corrected:
        said = f"(corrected) {said}"
    if way := way_back(event):
        said = f"{said} · {way}"
    return Cell(said, "muted" if event.corrected else TONES.get(event.kind, ""))


def way_back(event: IncidentEvent) -> str:
    """How what was done is undone; "" where no operation undoes it."""
    from controlplane.operations import REGISTRY

    if event.kind == "run" and event.thing and event.operation and not event.operation.startswith("runs."):
        return f"undo: runs undo {event.thing}"
    done = REGISTRY.get(event.operation or "")
    if event.kind != "change" or done is None or done.undo is None:
        return ""
    return f"undo: {done.undo}"


def conn_words(incident: Incident) -> str:
    if incident.conn is None:
        return "nobody has the conn" if incident.status in ACTIVE else ""
    offered = incident.offered_to("conn")
    return f"{clean(incident.conn, 63)} has the conn" + (f", offered to {clean(offered, 63)}" if offered else "")


def header_words(standing: Sequence[Standing], now: datetime, me: str) -> list[str]:
    """For the header: the most severe one, who has its conn, and what waits for somebody."""
    if not standing:
        return []
    first, more, late = standing[0], len(standing) - 1, list[str]()
    said = f"{first.label}: {f'{clean(first.conn, 24)} has the conn' if first.conn else 'nobody has the conn'}"
    if first.conn == me:
        said = f"{first.label}: you have the conn"
    if first.offered_to == me:
        said = f"{first.label}: the conn is offered to you"
    elif first.update_due is not None and first.update_due <= now:
        late = [f"update overdue {whole_minutes((now - first.update_due).total_seconds())}"]
    return [said + (f" +{more}" if more else ""), *late]


def standing_words(standing: Sequence[Standing], now: datetime) -> str:
    """The most severe in a few words: "INC-4 SEV-1, ana has the conn, update overdue 3m"."""
    first = standing[0]
    said = [
        f"{first.label} {first.severity}",
        f"{clean(first.conn, 24)} has the conn" if first.conn else "nobody has the conn",
    ]
    if first.update_due is not None and first.update_due <= now:
        said.append(f"update overdue {whole_minutes((now - first.update_due).total_seconds())}")
    return ", ".join(said)


def update_line(incident: Incident, now: datetime) -> Line | None:
    """When customers are told next; None: nobody waits for it."""
    due = incident.update_due
    if due is None:
        return None
    told = f"told {relative(incident.told_at, now)}" if incident.told_at else "not told yet"
    if due <= now:
        return (f"customers: {told}; the next update is overdue by {whole_minutes((now - due).total_seconds())}", "bad")
    snoozed = ""
    if incident.snoozed_until == due:
        snoozed = f"; it can wait: {clean(incident.snoozed_why, 300)}"
    return f"customers: {told}; the next update is due in {whole_minutes((due - now).total_seconds())}{snoozed}"


def role_lines(incident: Incident, now: datetime) -> list[Line]:
    lines: list[Line] = []
    for role in ROLES:
        each = next((each for each in incident.roles if each["role"] == role), None)
        if each is None:
            if role in ("conn", "commander") and incident.status in ACTIVE:
                lines.append((f"{role:<10} nobody", "warn"))
            continue
        since = relative(parse_time(each["since"]), now)
        lines.append(f"{role:<10} {clean(each['holder'], 63)}, {since}")
        if each.get("offered_to"):
            left = whole_minutes(max(0.0, (parse_time(each["until"]) - now).total_seconds()))
            lines.append(
                (f"  offered to {clean(each['offered_to'], 63)}, who has {left}: {clean(each['summary'], 500)}", "warn")
            )
    for each in incident.overrides:
        left = whole_minutes(max(0.0, (parse_time(each["until"]) - now).total_seconds()))
        lines.append(
            (f"{clean(each['person'], 63)} acts without the conn for {left}: {clean(each['reason'], 300)}", "warn")
        )
    return lines


def standing_lines(incident: Incident, now: datetime) -> list[Line]:
    """How it stands."""
    lines: list[Line] = [
        (f"{incident.label} {clean(incident.title, 200)}", "title"),
        f"{incident.severity}, {incident.status}" + (f", cycle {incident.cycle}" if incident.cycle > 1 else ""),
    ]
    if incident.summary:
        lines.append(clean(incident.summary, 2000))
    lines += ["", *role_lines(incident, now)]
    if (line := update_line(incident, now)) is not None:
        lines.append(line)
    lines += ["", f"affected: {affected_words(incident) or 'not said yet'}"]
    lines.append(
        f"began {relative(incident.began_at, now)}, opened {relative(incident.opened_at, now)}"
        f" by {clean(incident.opened_by, 63)}"
    )
    if incident.origin_words:
        lines.append(f"from {clean(incident.origin_words, 300)}")
    return lines


def measure_lines(measures: Sequence[Measures]) -> list[Line]:
    """How long things took, of the last cycle first."""
    lines: list[Line] = []
    for each in reversed(measures):
        if len(measures) > 1:
            lines.append((f"cycle {each.cycle}", "title"))
        for name in ("detect", "acknowledge", "mitigate", "resolve"):
            seconds: float | None = getattr(each, name)
            if seconds is not None:
                lines.append(f"to {name:<12} {spell(round(seconds))}")
            elif name != "detect" or each.cycle == 1:
                lines.append((f"to {name:<12} not yet", "muted"))
        lines += [f"at {severity:<12} {whole_minutes(seconds)}" for severity, seconds in each.severities.items()]
        lines.append(f"customers       told {each.updates}×")
    return lines
