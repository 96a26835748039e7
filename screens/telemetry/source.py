"""Reading what a view asks for: the series, the week before, and what happened to the scope meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from controlplane.alerts.marks import alert_happenings
from controlplane.alerts.model import AlertDirectory
from controlplane.audit.model import AuditDirectory
from controlplane.filters.grammar import Term
from controlplane.keys.model import Key, KeyDirectory
from controlplane.keys.refusals import NO_KEY
from controlplane.listing import Count, Query
from controlplane.telemetry.chartviews import WEEK, View
from controlplane.telemetry.happenings import Happening, happenings
from controlplane.telemetry.measures import Measured, together
from controlplane.telemetry.model import RequestTelemetry, Scope, Series
from controlplane.telemetry.onset import shift_happenings
from controlplane.telemetry.reading import series_as_kept, series_of
from screens.session import Session

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

MAX_CHANGE_MARKS = 200
OF_THE_FLEET = ("tenants", "plans", "subscriptions", "telemetry")
OF_A_TENANT = ("tenants", "projects", "keys", "leaks", "subscriptions", "plan_changes")
"""Nouns whose changes can explain a curve. A revealed field changes nothing, so it is not among them."""


async def scope_of(plane: ControlPlane, scope: Scope) -> Scope:
    """The scope, with the tenant looked up when only a key was named. Raises NotFound."""
    if scope.key_prefix is None or scope.tenant_id is not None:
        return scope
    key = await _key_of(plane, scope.key_prefix)
    if key is None:
        raise NO_KEY(f"No key begins with {scope.key_prefix}.", "Or name its tenant: tenant:acme key:…")
    return replace(scope, tenant_id=key.tenant_id)


async def _key_of(plane: ControlPlane, prefix: str) -> Key | None:
    page = await plane.of(KeyDirectory).page(Query((Term("is", (prefix,), "display"),)), limit=1)
    return page.rows[0] if page.rows else None


async def measured_of(plane: ControlPlane, view: View, session: Session, *, limits: bool = False) -> Measured:
    """`limits`: also how full they are. Raises Refusal."""
    now = session.clock()
    start, end = view.window.bounds(now)
    step = view.window.step(now)
    if view.compare:  # the same steps for both: what is only kept by the hour is compared by the hour
        step = max(step, replace(view.window, end=end - WEEK).step(now))
    scopes = [replace(view.scope, tenant_id=tenant) for tenant in view.tenants] or [view.scope]

    def whole(found: tuple[Series, ...]) -> Series:
        return together(found, view.scope) if view.tenants else found[0]

    found = await series_as_kept(plane, view.source, scopes, start, end, step)
    series = whole(found)
    before = None
    if view.compare:
        past = [await series_of(plane, view.source, scope, start - WEEK, end - WEEK, series.step) for scope in scopes]
        before = whole(tuple(past))
    zone = end.astimezone().tzinfo if session.time_form == "local" else UTC
    happened, changes = await _happened(plane, view, session)
    happened = _with_shifts(happened, found if view.tenants else (series,))
    saturation = None
    if limits:
        from controlplane.telemetry.saturation import saturation_of

        saturation = await saturation_of(plane, series)
    return Measured(view, series, before, happened, changes, zone or UTC, saturation, found if view.tenants else ())


def _with_shifts(happened: Sequence[Happening], found: Sequence[Series]) -> tuple[Happening, ...]:
    """Also where the share of errors changed."""
    several = len(found) > 1
    shifts = [
        shift for each in found for shift in shift_happenings(each, f"{each.scope.tenant_id} " if several else "")
    ]
    return tuple(sorted([*happened, *shifts], key=lambda each: each.at))


async def _happened(plane: ControlPlane, view: View, session: Session) -> tuple[tuple[Happening, ...], Count | None]:
    """The newest changes and alerts of the window; and how many changes there are, when those are not all."""
    scope, (start, end) = view.scope, view.window.bounds(session.clock())
    now = plane.clock.now()  # a list counts ages from then
    terms = [Term("below", ((now - start).total_seconds(),), "at")]
    if end <= now:
        terms.append(Term("above", ((now - end).total_seconds(),), "at"))
    tenants = view.tenants or ((scope.tenant_id,) if scope.tenant_id else ())
    named = None
    if scope.key_prefix is not None:
        if (key := await _key_of(plane, scope.key_prefix)) is None:
            return (), None
        named = key.id, key.display
        terms += [Term("is", ("keys",), "noun"), Term("is", (key.id,), "thing")]
    elif tenants:
        terms += [Term("is", tenants, "tenant"), Term("is", OF_A_TENANT, "noun")]
    else:
        terms.append(Term("is", OF_THE_FLEET, "noun"))
    asked = Query(tuple(terms), "at", True)
    found = await plane.of(AuditDirectory).page(asked, limit=MAX_CHANGE_MARKS)
    alerts = await plane.of(AlertDirectory).during(start, end, tenants, named)
    happened = [*happenings(found.rows), *alert_happenings(alerts, start, end)]  # an alert's mark covers a change's
    changes = await plane.of(AuditDirectory).count(asked) if len(found.rows) == MAX_CHANGE_MARKS else None
    return tuple(sorted(happened, key=lambda each: each.at)), changes


async def nothing_words(plane: ControlPlane, measured: Measured) -> str:
    source = measured.view.source
    if measured.notes:
        return f"no data here, and {source} says: {'; '.join(measured.notes)}"
    if source != "home":
        return f"no data here: {source} has no such request in this window"
    newest = await plane.of(RequestTelemetry).newest()
    if newest is None:
        return "no data here, and no single request is stored: watchfloor requests import"
    return f"no data here; the newest of all is of {newest:%Y-%m-%d %H:%M} UTC: press N to go there"
