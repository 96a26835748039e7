"""Where the escalations of an alert stand, and whether the next level can be told at once: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.alerts.model import Alert
from controlplane.alerts.refusals import ALERT_LAST_LEVEL, ALERT_NOBODY_ON_CALL, ALERT_NOT_ESCALATING
from controlplane.alerts.rules import check_open
from controlplane.text import clean

MINUTES = 5
"""How long a level has that does not say."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one route's escalation. `level` counts from 1, of `levels`; `goes_on`: there is one after it. `state`: as in
    controlplane.routes.escalation.Run. `next_at`: when the next one is told, unless somebody acks before.
    """

    route: str
    state: str
    level: int
    levels: int
    goes_on: bool
    next_at: datetime | None
    asked_by: str


def standings(kept: Iterable[Mapping[str, Any]]) -> list[Standing]:
    """Those of an alert that can be read, by the route's name; what a route holds may be anything."""
    found = (_standing(each) for each in kept)
    return sorted((each for each in found if each is not None), key=lambda each: each.route)


def _standing(kept: Mapping[str, Any]) -> Standing | None:
    try:
        run, policy = kept["run"], kept["escalation"]
        levels, place, state = policy["levels"], int(run["level"]), str(run["state"])
        runs = state == "running"
        minutes = timedelta(minutes=levels[place].get("minutes", MINUTES))
        next_at = datetime.fromisoformat(run["since"]).astimezone(UTC) + minutes if runs else None
        goes_on = place + 1 < len(levels) or run["round"] < policy.get("repeat", 0)
        asked_by = run.get("asked_by", "")
        return Standing(str(kept["route"]), state, place + 1, len(levels), goes_on, next_at, asked_by)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def next_step(found: Iterable[Standing]) -> Standing | None:
    """The escalation whose next level is told first."""
    runs = [each for each in found if each.next_at is not None and each.goes_on]
    return min(runs, key=lambda each: each.next_at or datetime.max.replace(tzinfo=UTC), default=None)


def check(alert: Alert) -> None:
    """Raises Refusal `alert_resolved`, `alert_not_escalating`, `alert_nobody_on_call`, `alert_last_level`."""
    check_open(alert)
    found = standings(alert.routing)
    why = [words(each) for each in found]
    if not found:
        raise ALERT_NOT_ESCALATING(f"No escalation of alert {alert.id} is under way.")
    if all(each.state == "nobody" for each in found):
        raise ALERT_NOBODY_ON_CALL(f"Nobody is on call at any level for alert {alert.id}.", why=why)
    if not any(each.goes_on and each.state in ("running", "acked") for each in found):
        raise ALERT_LAST_LEVEL(f"The last level of alert {alert.id} was told already.", why=why)


def words(standing: Standing) -> str:
    at = f"{clean(standing.route, 60)}: level {standing.level} of {standing.levels}"
    by = f", escalated by {clean(standing.asked_by, 63)}" if standing.asked_by else ""
    match standing.state:
        case "acked":
            return f"{at}{by}, while somebody has it"
        case "nobody":
            return f"{clean(standing.route, 60)}: nobody is on call at any level"
        case "over":
            return f"{at}{by}: every level had its time"
    if standing.next_at is None or not standing.goes_on:
        return f"{at}{by}, the last"
    return f"{at}{by}; the next is told at {standing.next_at:%Y-%m-%d %H:%M:%S} UTC"
