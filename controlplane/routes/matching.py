"""Which routes an alert takes, and why not the others; and which group of a route it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from controlplane.matchers import failing, show
from controlplane.routes.model import AlertFacts, Route, Stage
from controlplane.routes.policy import rank
from controlplane.text import clean

MAX_DEPTH = 20
Children = Mapping[int | None, Sequence[Route]]
Tried = tuple[Route, str]
"""A route, and in words why the alert does not take it; "" when it does."""


def matched(routes: Sequence[Route], alert: AlertFacts) -> list[Route]:
    """The routes that an alert takes, in order."""
    return [route for route, fault in tried(routes, alert) if not fault]


def tried(routes: Sequence[Route], alert: AlertFacts) -> list[Tried]:
    """Every route that was tried. One that is meant itself comes after its children."""
    children: dict[int | None, list[Route]] = {}
    for route in sorted(routes, key=lambda route: (route.position, route.id)):
        children.setdefault(route.parent, []).append(route)
    return list(_descend(children, None, alert, alert.all_labels, 0))


def _descend(
    children: Children, parent: int | None, alert: AlertFacts, labels: Mapping[str, str], depth: int
) -> Iterator[Tried]:
    for route in children.get(parent, ()):
        fault = mismatch(route, alert, labels) if depth < MAX_DEPTH else f"it is below {MAX_DEPTH} others"
        if fault:
            yield route, fault
            continue
        below = list(_descend(children, route.id, alert, labels, depth + 1))
        yield from below
        yield route, "a route below it matches" if any(not each for _, each in below) else ""
        if not route.continues:
            return


def mismatch(route: Route, alert: AlertFacts, labels: Mapping[str, str]) -> str:
    """In words why an alert does not match a route by itself; "" when it does."""
    if not route.enabled:
        return "it is disabled"
    if route.tenant_id and route.tenant_id != alert.tenant_id:
        return f"it is of the tenant {clean(route.tenant_id, 60)}"
    if "*" not in route.events and alert.kind not in route.events:
        return f"its events are {clean(', '.join(route.events), 200)}, not {clean(alert.kind, 60)}"
    if rank(alert.severity) < rank(route.min_severity):
        return f"it is for {route.min_severity} and above, not {alert.severity}"
    if matcher := failing(route.matchers, labels):
        value = clean(labels.get(matcher.label, ""), 60)
        return f"{show([matcher])} does not match " + (f'"{value}"' if value else "an alert without that label")
    return ""


def stage(route: Route, fault: str) -> Stage:
    name = f"route {route.id} {clean(route.name, 60)}"
    return Stage(name, "hold" if fault else "pass", fault or "matches", "not_matched" if fault else "matched")


def group_labels(route: Route, alert: AlertFacts) -> dict[str, str]:
    """What the alerts of a group have in common; empty: each alert is by itself, or all are one group."""
    labels = alert.all_labels
    return {name: labels.get(name, "") for name in sorted(route.group_by or ())}


def group_key(route: Route, alert: AlertFacts) -> str:
    """The same for all alerts of a group, and for no other group of any route."""
    alone = alert.id if route.group_by is None else None
    named = json.dumps([route.id, alone, group_labels(route, alert)], ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()
