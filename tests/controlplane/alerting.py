"""Alerts and routes for the tests of routing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.matchers import parse_matchers
from controlplane.objectives.model import Maintenance
from controlplane.routes.model import AlertFacts, Decision, Facts, Route
from controlplane.routes.reading import read_policy
from controlplane.routes.replay import Story, play
from controlplane.silences.model import Silence

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)
"""A Wednesday."""
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


def alert(id: str = "a1", **fields: Any) -> AlertFacts:
    known: dict[str, Any] = {"tenant_id": "acme", "kind": "burn_rate", "severity": "warning", "fired_at": NOW}
    return AlertFacts(id, **{**known, **fields})


def route(id: int = 1, matchers: str = "", policy: dict[str, Any] | None = None, **fields: Any) -> Route:
    known: dict[str, Any] = {"name": f"r{id}", "target": f"https://hooks.example/{id}", "repeat_interval": None}
    made = {"matchers": parse_matchers(matchers), "policy": read_policy(policy or {})}
    return Route(id, **{**known, **made, **fields})


def silence(matchers: str = 'tenant="acme"', **fields: Any) -> Silence:
    known: dict[str, Any] = {
        "id": 1,
        "starts_at": NOW - HOUR,
        "ends_at": NOW + HOUR,
        "created_by": "ana",
        "comment": "known",
    }
    return Silence(matchers=parse_matchers(matchers), **{**known, **fields})


def story(first: AlertFacts, *changes: tuple[timedelta, dict[str, Any]]) -> Story:
    """An alert, and its outcome: so long after it fired, these fields changed."""
    versions = [(first.fired_at, first)]
    for after, fields in changes:
        at = first.fired_at + after
        if fields.get("state") == "resolved":
            fields = {"resolved_at": at, **fields}
        versions.append((at, replace(versions[-1][1], **fields)))
    return Story(tuple(versions))


START = timedelta(0)
RAISED = {"severity": "critical"}
NIGHT: dict[str, Any] = {"start": "22:00", "end": "06:00"}
INHIBITS = {"inhibit": [{"source": 'kind="worker_missing"', "target": 'kind="burn_rate"', "equal": ["tenant"]}]}
RESOLVED: dict[str, Any] = {"state": "resolved"}
ACKED: dict[str, Any] = {"state": "acked"}


def told(
    stories: Story | Sequence[Story], routes: Route | Sequence[Route], length: timedelta = DAY, **facts: Any
) -> list[tuple[timedelta, str, str, str]]:
    """Everything that is told from NOW on: how long after, to whom, with which action and reason. A route's target is
    called after its number.
    """
    stories = [stories] if isinstance(stories, Story) else stories
    routes = [routes] if isinstance(routes, Route) else routes
    sent = play(stories, Facts(routes=routes, **facts), NOW + length)
    return [
        (each.at - NOW, each.notice.person or f"r{each.notice.route}", each.notice.action, each.notice.reason)
        for each in sent
    ]


def maintenance(start: timedelta, length: timedelta, **fields: Any) -> Maintenance:
    known: dict[str, Any] = {"tenant_id": "acme", "plan": None, "route": None, "created_by": "ana", "created_at": NOW}
    return Maintenance(7, starts_at=NOW + start, ends_at=NOW + start + length, reason="move", **{**known, **fields})


def only(decision: Decision) -> Any:
    [found] = decision.routes
    return found


def stages(decision: Decision) -> dict[str, str]:
    """The code of each stage."""
    return {stage.name: stage.code for stage in only(decision).stages}


def words(decision: Decision, name: str) -> str:
    [found] = [stage.words for stage in only(decision).stages if stage.name == name]
    return str(found)


def quiet(**fields: Any) -> Route:
    """From 12:10 to 13:10; the alerts fire at 12:00."""
    window = {"start": "12:10", "end": "13:10", **fields}
    return route(policy={"quiet_windows": [window]}, repeat_interval=45 * MINUTE)


def fired(minutes: int, **fields: Any) -> AlertFacts:
    return alert(fired_at=NOW + minutes * MINUTE, **fields)
