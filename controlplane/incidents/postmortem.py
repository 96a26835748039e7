"""The post-mortem, filled from the events: a document, and Markdown. What only people can say is listed as missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from controlplane.formatting import spell
from controlplane.incidents.measures import Measures
from controlplane.incidents.model import ROLES, Incident, IncidentEvent
from controlplane.text import UNKNOWN, clean

TIMES = (
    ("detect", "from the beginning to the opening"),
    ("acknowledge", "from the opening until somebody took a role"),
    ("mitigate", "from the beginning until customers were served again"),
    ("resolve", "from the beginning until nothing was wrong"),
)
ASKED = ("root cause", "what went well", "what went wrong", "action items, each with its owner and date")
"""What no event says; a note that begins with one of these words and a colon fills it in."""
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#])")


def said_of(events: Sequence[IncidentEvent]) -> dict[str, list[str]]:
    """What notes say of what is asked: "root cause: the disk was full"."""
    said: dict[str, list[str]] = {asked: [] for asked in ASKED}
    for event in events:
        head, colon, rest = event.words.partition(":")
        for asked in ASKED:
            word = asked.partition(",")[0]
            if (
                event.kind == "note"
                and colon
                and head.strip().lower() in (word, word.removesuffix("s"))
                and rest.strip()
            ):
                said[asked].append(rest.strip())
    return said


def missing(incident: Incident, measures: Sequence[Measures], events: Sequence[IncidentEvent]) -> list[str]:
    """What a reader would ask for and not find."""
    last, said = measures[-1], said_of(events)
    found = [asked for asked in ASKED if not said[asked]]
    checks = (
        ("a summary: incidents edit --summary", bool(incident.summary)),
        ("what is affected: incidents affect", bool(incident.tenants or incident.regions or incident.routes)),
        ("an update for customers: nobody told them", any(each.updates for each in measures)),
        ("a role: nobody took one", last.acknowledge is not None),
        ("the end: it is not resolved", incident.resolved_at is not None),
    )
    return [*found, *(words for words, there in checks if not there)]


def document(
    incident: Incident, events: Sequence[IncidentEvent], measures: Sequence[Measures], now: datetime
) -> dict[str, Any]:
    """All of it, in the order in which it happened; times in UTC."""
    held = sorted(events, key=lambda each: (each.happened_at, each.seq))
    return {
        "incident": incident.label,
        "title": incident.title,
        "summary": incident.summary,
        "severity": incident.severity,
        "status": incident.status,
        "cycles": [asdict(each) for each in measures],
        "began_at": incident.began_at,
        "opened_at": incident.opened_at,
        "mitigated_at": incident.mitigated_at,
        "resolved_at": incident.resolved_at,
        "closed_at": incident.closed_at,
        "origin": incident.origin_words,
        "affected": {kind: list(things) for kind, things in incident.affected().items()},
        "roles": _roles(events),
        "customers": [{"at": each.happened_at, "text": each.words} for each in held if each.kind == "customers"],
        "said": said_of(events),
        "missing": missing(incident, measures, events),
        "timeline": [
            {name: value for name, value in asdict(each).items() if name not in ("incident_id", "corrected")}
            for each in held
        ],
        "made_at": now,
    }


def _roles(events: Sequence[IncidentEvent]) -> dict[str, list[str]]:
    """Who ever had each role."""
    had: dict[str, list[str]] = {}
    for role in ROLES:
        people = [each.actor for each in events if each.kind == "role" and each.becomes == role and each.actor]
        if people:
            had[role] = list(dict.fromkeys(people))
    return had


def markdown(found: Mapping[str, Any]) -> str:
    """The document for people. Whatever somebody wrote is made inert."""
    lines = [
        f"# {found['incident']}: {_inert(found['title'], 200)}",
        "",
        f"{found['severity']}, {found['status']}. Began {_utc(found['began_at'])}, opened {_utc(found['opened_at'])}, "
        f"resolved {_utc(found['resolved_at'])}. All times are UTC.",
        "",
        "## Summary",
        "",
        _inert(found["summary"], 2000) or "*missing*",
        "",
        "## Impact",
        "",
        *_affected(found["affected"]),
        "",
        "## Times",
        "",
        "| cycle | " + " | ".join(f"to {name}" for name, _ in TIMES) + " | severities | told |",
        "|---|---|---|---|---|---|---|",
        *(_times(each) for each in found["cycles"]),
        "",
        *(f"- to {name}: {words}" for name, words in TIMES),
        "",
        "## Who",
        "",
        *([f"- {role}: {_inert(', '.join(people), 400)}" for role, people in found["roles"].items()] or ["*missing*"]),
        "",
        "## What customers were told",
        "",
        *([f"- {_utc(each['at'])}: {_inert(each['text'], 8000)}" for each in found["customers"]] or ["*nothing*"]),
    ]
    for asked, texts in found["said"].items():
        lines += [
            "",
            f"## {asked.capitalize()}",
            "",
            *([f"- {_inert(text, 60_000)}" for text in texts] or ["*missing*"]),
        ]
    lines += ["", "## What is missing", "", *([f"- {each}" for each in found["missing"]] or ["nothing"])]
    lines += ["", "## Timeline", "", "| # | when | who | what | audit |", "|---|---|---|---|---|"]
    for event in found["timeline"]:
        back = f"corrects {event['corrects']}: " if event["corrects"] else ""
        what = f"{event['kind']}: {back}{event['words']}"
        who, audit = _inert(event["actor"] or "–", 63), event["audit_seq"] or ""
        lines.append(f"| {event['seq']} | {_utc(event['happened_at'])} | {who} | {_inert(what, 60_000)} | {audit} |")
    return "\n".join([*lines, ""])


def _affected(affected: Mapping[str, Sequence[str]]) -> list[str]:
    lines = [f"- {kind}s: {_inert(', '.join(things), 60_000)}" for kind, things in affected.items() if things]
    return lines or ["*missing*"]


def _times(cycle: Mapping[str, Any]) -> str:
    times = " | ".join(UNKNOWN if cycle[name] is None else spell(round(cycle[name])) for name, _ in TIMES)
    severities = (
        ", ".join(f"{name} {spell(round(seconds))}" for name, seconds in cycle["severities"].items()) or UNKNOWN
    )
    return f"| {cycle['cycle']} | {times} | {severities} | {cycle['updates']} |"


def _utc(at: datetime | None) -> str:
    return UNKNOWN if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _inert(text: str, most: int) -> str:
    """On one line, and neither markup nor a cell's end."""
    return _MARKS.sub(r"\\\1", clean(" ".join(text.split()), most))
