"""What a silence hides, when it ends, and what an edit does: pure functions of the row and the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.matchers import match_all
from controlplane.silences.model import Edit, Hidden, Matched, Silence, State
from controlplane.silences.refusals import (
    SILENCE_COMMENT,
    SILENCE_MATCHERS,
    SILENCE_OVER,
    SILENCE_PAST,
    SILENCE_TIMES,
)

if TYPE_CHECKING:
    from controlplane.matchers import Matcher

WEEK = timedelta(days=7)


def state(silence: Silence, at: datetime) -> State:
    """Its start is included, its end is not."""
    if at >= silence.until:
        return "expired"
    return "active" if at >= silence.starts_at else "pending"


def hides(silence: Silence, labels: Mapping[str, str], at: datetime) -> bool:
    return state(silence, at) == "active" and match_all(silence.matchers, labels)


def check(silence: Silence) -> None:
    """Raises Usage when there cannot be such a silence."""
    if all(matcher.matches({}) for matcher in silence.matchers):
        raise SILENCE_MATCHERS()
    if silence.ends_at <= silence.starts_at:
        raise SILENCE_TIMES()
    if not silence.created_by.strip() or not silence.comment.strip():
        raise SILENCE_COMMENT()


def would_hide(matchers: tuple[Matcher, ...], alerts: Iterable[Matched], at: datetime) -> Hidden:
    """An alert counts for the week when it fired at any time within it."""
    now = week = worst = 0
    for alert in alerts:
        resolved = alert.resolved_at
        recent = alert.fired_at <= at and (resolved is None or resolved > at - WEEK)
        if recent and match_all(matchers, alert.all_labels):
            now += resolved is None or resolved > at
            week += 1
            worst += alert.severity == "critical"
    return Hidden(now, week, worst)


def ends_by_itself(silence: Silence, alerts: Iterable[Matched], at: datetime) -> datetime | None:
    """Since when it has had nothing to hide for long enough, by how it `ends`; None: it goes on until its end.

    `alerts`: those that it can match and that did not resolve before it began. An alert whose source went silent is not
    resolved.
    """
    if silence.ends == "time" or state(silence, at) != "active":
        return None
    ends = [
        alert.resolved_at
        for alert in alerts
        if alert.fired_at <= at
        and (alert.resolved_at is None or alert.resolved_at > silence.starts_at)
        and match_all(silence.matchers, alert.all_labels)
    ]
    if silence.ends == "resolved" and not ends:
        return None
    last = silence.starts_at
    for end in ends:
        if end is None or end > at:
            return None
        last = max(last, end)
    return last + silence.after if last + silence.after <= at else None


def edit(
    silence: Silence,
    at: datetime,
    *,
    matchers: tuple[Matcher, ...] | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    comment: str | None = None,
) -> Edit:
    """As Alertmanager does it: what was hidden until now stays on record. So an active silence keeps its matchers and
    start, and a pending one its matchers; any other change ends it, and puts a new one in its place. Raises Refusal.
    """
    was = state(silence, at)
    if was == "expired":
        raise SILENCE_OVER()
    wanted = replace(
        silence,
        matchers=silence.matchers if matchers is None else matchers,
        starts_at=silence.starts_at if starts_at is None else starts_at,
        ends_at=silence.ends_at if ends_at is None else ends_at,
        comment=silence.comment if comment is None else comment,
    )
    if wanted.ends_at <= at:
        raise SILENCE_PAST()
    same_start = wanted.starts_at == silence.starts_at or (was == "pending" and wanted.starts_at >= at)
    in_place = same_start and {*wanted.matchers} == {*silence.matchers}
    if not in_place:
        wanted = replace(wanted, starts_at=max(wanted.starts_at, at), replaces=silence.id)
    check(wanted)
    return Edit(wanted) if in_place else Edit(replace(silence, ended_at=at), wanted)
