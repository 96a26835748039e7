"""All that happened to an alert: its events, and what was changed about it without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from controlplane.alerts.model import Alert, AlertEvent, EventKind
from controlplane.alerts.words import event_words
from controlplane.audit.model import AuditDirectory, AuditRow, differences
from controlplane.errors import NotFound
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.previews import value_words
from controlplane.tenants.model import TenantDirectory
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def changes_of(plane: ControlPlane, alert: Alert) -> Sequence[AuditRow]:
    """What was changed about it: to the alert itself, and since it fired to the thresholds that it is judged by. The
    newest 100 of each.
    """
    trail = plane.of(AuditDirectory)
    since = (plane.clock.now() - alert.fired_at).total_seconds()
    of_it = (Term("is", ("alerts",), "noun"), Term("is", (alert.key,), "thing"))
    of_thresholds = (Term("is", ("thresholds",), "noun"), Term("below", (since,), "at"))
    found = [await trail.page(Query(terms, "at", descending=True)) for terms in (of_it, of_thresholds)]
    scopes = await _scopes(plane, alert.tenant_id)
    return [*found[0].rows, *(row for row in found[1].rows if judges(row.thing, alert.kind, scopes))]


async def _scopes(plane: ControlPlane, tenant_id: str | None) -> tuple[str, ...]:
    """Whose thresholds count for a tenant (None: the estate)."""
    if tenant_id is None:
        return ("all",)
    try:
        tenant = await plane.of(TenantDirectory).get(tenant_id)
    except NotFound:  # it may be known from its requests alone
        return "all", f"tenant:{tenant_id}"
    return "all", f"plan:{tenant.plan}", f"tenant:{tenant_id}"


def judges(thing: str, detector: str, scopes: Sequence[str]) -> bool:
    """Whether a threshold ("quota_near.share/plan:growth") is one of a detector, for one of these scopes."""
    parameter, _, scope = thing.partition("/")
    return parameter.partition(".")[0] == detector and scope in scopes


def timeline_lines(events: Sequence[AlertEvent], changes: Sequence[AuditRow] = ()) -> list[Line]:
    """The newest first. Of the changes, those that an event tells of are left out."""
    told = {each.audit_seq for each in events}
    happened = [(each.at, event_words(each), _tone(each.kind)) for each in events]
    happened += [(each.at, change_words(each), "muted") for each in changes if each.seq not in told]
    happened.sort(key=lambda each: each[0])  # those of one time stay in their order
    return [(f"{at:%m-%d %H:%M:%S}Z  {words}", tone) for at, words, tone in reversed(happened)]


def change_words(row: AuditRow) -> str:
    """ "thresholds.set quota_near.share/all by ana: value 0.8 → 0.9, they asked for it · audit 41"."""
    of_alert = row.noun == "alerts"
    changed = [
        f"{each.field} {value_words(each.before)} → {value_words(each.after)}"
        for each in differences(row)
        if of_alert or each.field == "value"
    ]
    thing = "" if of_alert else f" {row.thing}"
    said = ", ".join([*changed, *([row.reason] if row.reason else [])])
    return clean(f"{row.operation}{thing} by {row.actor}: {said} · audit {row.seq}", 500)


def _tone(kind: EventKind) -> str:
    if kind in ("fired", "raised", "ack_ended", "escalated"):
        return "bad"
    return {"resolved": "good", "unknown": "unknown"}.get(kind, "")
