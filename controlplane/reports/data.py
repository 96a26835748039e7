"""What a report says: one document of plain JSON, made from what the home counted, and read by every rendering.

    gates       per gate and environment: runs by verdict in the time, the last verdict
    days        per day: verdicts
    waivers     made and ended in the time; those that are open and end within 14 days
    evidence    controls by state, those without fresh evidence
    rotations   live keys that are too old, by tenant; rotations that are late
    drift       the share of failed requests of the tenants with traffic: least, median, most, the worst
    drills      drills of dead letters, and replays
    chain       rows of the trail that were written, chained, and signed by which checkpoint

None is not known, which is never nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controlplane import jsontext
from controlplane.evidence.controls import STATES, Standing
from controlplane.formatting import count, count_words, plain_number
from controlplane.lists import Tone
from controlplane.reports.model import Data
from controlplane.reports.refusals import REPORT_UNREADABLE
from controlplane.text import clean

KIND = "watchfloor.governance-report/1"
MAX_GAPS = 100
SPREAD = 0.05
"""Tenants whose shares of failed requests differ by more are worth a word."""
Point = tuple[Tone, str]
ANOTHER_FORM = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What is raised by what shows a report that another program than ours made."""


def document(asked: Mapping[str, Any], figures: Mapping[str, Any], controls: Sequence[Standing]) -> str:
    """`asked`: kind, subject, from, to. The same figures give the same text."""
    counts = {state: sum(each.state == state for each in controls) for state in STATES}
    gaps = [_gap(each) for each in controls if each.state != "fresh"]
    evidence = {"counts": counts, "gaps": gaps[:MAX_GAPS], "more": max(0, len(gaps) - MAX_GAPS)}
    made = {"report": KIND, **asked, **figures, "evidence": evidence}
    return json.dumps(made, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _gap(each: Standing) -> dict[str, Any]:
    control = {name: getattr(each.control, name) for name in ("id", "framework", "title")}
    return control | {"state": each.state, "lacking": list(each.lacking), "due": _stamp(each.due)}


def read(text: str) -> Data:
    """Raises Usage `report_unreadable`."""
    try:
        found = jsontext.read(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("report") != KIND:
        raise REPORT_UNREADABLE()
    return found


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def moment(value: Any) -> str:
    """As a report shows a time."""
    try:
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return "?"


def status(points: Sequence[Point]) -> str:
    """Red, yellow or green. Unknown is never green."""
    tones = {tone for tone, _ in points}
    return "red" if "bad" in tones else "yellow" if tones & {"warn", "unknown"} else "green"


def points(data: Data) -> list[Point]:
    """What whoever reads nothing else has to know, the worst first."""
    found = [*_gates(data), *_waivers(data), *_evidence(data), *_rest(data)]
    order: Sequence[Tone] = ("bad", "unknown", "warn", "good")
    return sorted(found, key=lambda point: order.index(point[0]))


def _gates(data: Data) -> list[Point]:
    gates = data["gates"]
    closed = [f"{each['gate']}/{each['environment']}" for each in gates if each["last"] == "NO_GO"]
    unknown = [f"{each['gate']}/{each['environment']}" for each in gates if each["last"] in ("INCONCLUSIVE", None)]
    found: list[Point] = []
    if closed:
        found.append(("bad", f"closed at the last run: {_some(closed)}"))
    if unknown:
        found.append(("unknown", f"nothing was decided at the last run: {_some(unknown)}"))
    if not gates:
        found.append(("unknown", "no gate was run"))
    elif not found:
        found.append(("good", f"every gate that was run is open: {len(gates)}"))
    return found


def _waivers(data: Data) -> list[Point]:
    ending = data["waivers"]["ending"]
    if not ending:
        return [("good", "no waiver ends within 14 days")]
    names = [f"{each['gate']}/{each['environment']} {each['check']}" for each in ending]
    return [("warn", f"within 14 days {count_words(len(ending), 'waiver')} will end: {_some(names)}")]


def _evidence(data: Data) -> list[Point]:
    counts = data["evidence"]["counts"]
    missing = sum(counts[state] for state in ("missing", "stale"))
    if missing:
        ids = [each["id"] for each in data["evidence"]["gaps"] if each["state"] in ("missing", "stale")]
        return [("bad", f"{missing} of {sum(counts.values())} controls without fresh evidence: {_some(ids)}")]
    if counts["unmapped"]:
        return [("unknown", f"for {counts['unmapped']} controls no kind of evidence is named")]
    if not counts["fresh"]:
        return [("unknown", "no controls are configured")]
    return [("good", f"every control has fresh evidence: {counts['fresh']}")]


def _rest(data: Data) -> list[Point]:
    rotations, drift, drills, chain = data["rotations"], data["drift"], data["drills"], data["chain"]
    due = rotations["stale"] + rotations["late"]
    words = f"{count_words(rotations['stale'], 'live key')} too old, {count_words(rotations['late'], 'rotation')} late"
    found: list[Point] = [("warn" if due else "good", words)]
    if drift["spread"] is None:
        found.append(("unknown", "drift between tenants is unknown: too few requests"))
    else:
        among = count_words(drift["tenants"], "tenant")
        words = f"shares of failed requests lie {share(drift['spread'])} apart, among {among}"
        found.append(("warn" if drift["spread"] > SPREAD else "good", words))
    if drills["made"]:
        found.append(
            ("good", f"{count_words(drills['made'], 'drill')} of dead letters, the last at {moment(drills['last_at'])}")
        )
    else:
        found.append(("warn", "no drill of dead letters was made"))
    if chain["trouble"]:
        found.append(("bad", f"the trail: {clean(chain['trouble'], 200)}"))
    elif chain["signed"] is None:
        found.append(("unknown", "no checkpoint proves the trail yet"))
    else:
        behind = chain["written"] - chain["signed"]
        words = f"the trail is signed to row {count(chain['signed'])} of {count(chain['written'])}"
        found.append(("good" if behind < 1000 else "warn", f"{words}, at {moment(chain['signed_at'])}"))
    return found


def share(value: float | None) -> str:
    return "?" if value is None else f"{plain_number(round(value * 100, 2))} %"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return clean(", ".join(names[:5]) + more, 400)
