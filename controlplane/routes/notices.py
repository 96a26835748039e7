"""What a notice says: the words and numbers of its alerts, as they are stored with its delivery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane import jsontext
from controlplane.routes.model import AlertFacts, Notice, Route
from controlplane.routes.policy import rank
from controlplane.text import clean

LISTED = 50
"""A notice about several alerts names at most so many of them."""
MAX_DETAILS_BYTES = 64 * 1024
SEVERAL = "several"
"""The type of a notice about alerts of different kinds."""


@dataclass(frozen=True, slots=True)
class Alerted:
    """An alert as a notice tells of it."""

    facts: AlertFacts
    summary: str
    value: float | None
    threshold: float | None
    unit: str


def content_of(route: Route, notice: Notice, alerts: Mapping[str, Alerted]) -> dict[str, Any]:
    """The stored form: with the tenant (None: the whole estate), type, summary, and the `notice` for the channel."""
    told = [alerts[name] for name in (*notice.alerts, *notice.resolved) if name in alerts]
    first = max(told, key=lambda each: (rank(each.facts.severity), each.facts.fired_at), default=None)
    tenant = _common(each.facts.tenant_id for each in told)
    kind = _common(each.facts.kind for each in told) or SEVERAL
    summary = clean(first.summary, 500) if first else "alerts that are no longer kept"
    if len(told) > 1:
        summary = f"{len(told):,} alerts, among them: {summary}"
    if notice.person:
        without = "" if notice.contact else f", who has no address for {route.channel}"
        level = f", level {notice.level}" if notice.level else ""
        by = f", escalated by {clean(notice.by, 63)}" if notice.by else ""
        summary = f"{summary} (for {clean(notice.person, 100)}{without}{level}{by})"
    alone = told[0] if len(told) == 1 else None
    details: dict[str, Any] = dict(alone.facts.details) if alone else {"alerts": _listed(notice, told)}
    if len(jsontext.write(details)) > MAX_DETAILS_BYTES:
        details = {"left_out": "they are too large for a notice"}
    more = {"person": notice.person, "level": notice.level} if notice.person else {}
    if notice.by:
        more["escalated_by"] = notice.by
    if alone:
        more |= {"alert_id": alone.facts.id, "labels": dict(alone.facts.labels)}
    return {
        "tenant_id": tenant or None,
        "event_type": kind,
        "summary": summary,
        "notice": {
            "details": details | more,
            "value": alone.value if alone else None,
            "threshold": alone.threshold if alone else None,
            "unit": alone.unit if alone else "",
        },
    }


def _listed(notice: Notice, told: Sequence[Alerted]) -> list[dict[str, Any]]:
    resolved = {*notice.resolved}
    found = [
        {
            "alert_id": each.facts.id,
            "event_type": each.facts.kind,
            "tenant_id": each.facts.tenant_id,
            "severity": each.facts.severity,
            "summary": clean(each.summary, 300),
            "resolved": each.facts.id in resolved,
        }
        for each in told[:LISTED]
    ]
    return found + ([{"more": len(told) - LISTED}] if len(told) > LISTED else [])


def _common(values: Iterable[str]) -> str:
    """What all have; "" when they differ."""
    distinct = {*values}
    return distinct.pop() if len(distinct) == 1 else ""
