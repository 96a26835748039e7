"""Routes, states of groups and decisions as JSON, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from controlplane.matchers import Matcher
from controlplane.routes.escalation import Run
from controlplane.routes.model import GroupState, Heard, Held, Route, Stage, Told
from controlplane.routes.policy import NO_POLICY

Row = Mapping[str, Any]


def route_of(row: Row) -> Route:
    """A route from its columns. Raises Usage, which names the field that cannot be read."""
    from controlplane.routes.reading import read_escalation, read_policy  # with models, which most commands do without

    return Route(
        row["id"],
        row["name"],
        row["channel"],
        row["target"],
        row["tenant_id"] or "",
        row["parent"],
        row["position"],
        row["continues"],
        tuple(Matcher(each["label"], each["op"], each["value"]) for each in row["matchers"]),
        tuple(row["events"]),
        row["min_severity"],
        row["urgency"],
        read_policy(row["policy"]) if row["policy"] else NO_POLICY,
        None if row["group_by"] is None else tuple(row["group_by"]),
        timedelta(seconds=row["group_wait"]),
        timedelta(seconds=row["group_interval"]),
        None if row["repeat_seconds"] is None else timedelta(seconds=row["repeat_seconds"]),
        None if row["escalation"] is None else read_escalation(row["escalation"]),
        row["enabled"] and row["retired_at"] is None,
    )


def as_document(state: GroupState) -> dict[str, Any]:
    """Of a group's state, all but its route, key and number."""
    return {
        "heard": {person: _heard(heard) for person, heard in state.heard.items()},
        "held": {alert: {"code": held.code, "severity": held.severity} for alert, held in state.held.items()},
        "run": None if state.run is None else _run(state.run),
    }


def state_of(route: int, key: str, number: int, document: Row) -> GroupState:
    """Raises KeyError, TypeError, ValueError for a document that is none."""
    heard = {
        person: Heard(
            datetime.fromisoformat(each["at"]),
            {alert: Told(told["severity"], told["acked"]) for alert, told in each["alerts"].items()},
        )
        for person, each in document["heard"].items()
    }
    held = {alert: Held(each["code"], each["severity"]) for alert, each in document["held"].items()}
    run = document["run"]
    made = run and Run(
        run["level"], datetime.fromisoformat(run["since"]), run["round"], run["state"], run.get("asked_by", "")
    )
    return GroupState(route, key, number, heard, held, made)


def stages_document(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Short, because there is one for every alert: what has no code or no time is left out."""
    found = []
    for stage in stages:
        each = {"name": stage.name, "verdict": stage.verdict, "words": stage.words[:600], "code": stage.code}
        found.append(each | ({"until": stage.until.isoformat()} if stage.until else {}))
    return found


def stages_of(document: Sequence[Row]) -> list[Stage]:
    return [
        Stage(
            str(each["name"]),
            each["verdict"],
            str(each["words"]),
            str(each["code"]),
            datetime.fromisoformat(each["until"]) if "until" in each else None,
        )
        for each in document
    ]


def _heard(heard: Heard) -> dict[str, Any]:
    alerts = {alert: {"severity": told.severity, "acked": told.acked} for alert, told in heard.alerts.items()}
    return {"at": heard.at.isoformat(), "alerts": alerts}


def _run(run: Run) -> dict[str, Any]:
    made = {"level": run.level, "since": run.since.isoformat(), "round": run.round, "state": run.state}
    return made | ({"asked_by": run.asked_by} if run.asked_by else {})
