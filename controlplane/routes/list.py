"""The list of routes: in the order in which they are tried. An endpoint that is off comes with its reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from controlplane.alerts.model import SEVERITIES
from controlplane.filters.grammar import Term
from controlplane.lists import COUNT, ID, NUMBER, TIME, Cell, Column, Line, ListOf, Status, choice, status
from controlplane.routes.kept import STANDINGS, RouteDirectory, RouteRow, Standing
from controlplane.routes.refusals import NO_ROUTE
from controlplane.routes.secrets import CHANNELS
from controlplane.routes.words import matchers_words, target_words, why_of
from controlplane.text import clean

STATES: dict[Standing, Status] = {
    "endpoint off": Status("✕", "bad"),
    "unreadable": Status("✕", "bad"),
    "on": Status("●", "good"),
    "disabled": Status("○", "muted"),
    "retired": Status("○", "muted"),
}
FILTERED = ("endpoint", "unreadable", "on", "disabled", "retired")
"""The states, each by its first word."""


def _lines(route: RouteRow, now: datetime) -> Sequence[Line]:
    return why_of(route, now)


ROUTES: ListOf[RouteRow] = ListOf(
    "routes",
    RouteRow,
    of=lambda plane: plane.of(RouteDirectory),
    order="position",
    summary="List routes in the order in which they are tried.",
    means="Which alerts are sent to whom, and the health of each endpoint. /state:retired shows retired routes.",
    nothing="No routes yet, so nobody is told of alerts. Press a, then n, to make one.",
    empty="None matches. Press esc to clear the filter, or a, then n, to make one.",
    named=lambda plane, name: plane.of(RouteDirectory).named(name),
    missing=NO_ROUTE,
    label=lambda route: route.name,
    opens=lambda route: ("routes", route.key),
    why=_lines,
    record=lambda route, now: dataclasses.asdict(route) | {"state": route.standing, "fault": route.fault},
    search=lambda route: (route.name, route.tenant_id, route.target, matchers_words(route)),
    few=True,
    columns=(
        Column("name", priority=1, width=14, title="ROUTE", grow=True, sorts=True),
        Column("state", status(STATES)._replace(choices=FILTERED), priority=2, width=15, sorts=True,
               value=lambda r: r.standing.partition(" ")[0], rank=lambda r: STANDINGS.index(r.standing),
               cell=lambda r, now: Cell(f"{STATES[r.standing].glyph} {r.standing}", STATES[r.standing].tone)),
        Column("takes", filters=False, priority=4, width=16, grow=True,
               value=lambda r: matchers_words(r), what="the alerts that it takes"),
        Column("severity", choice(*SEVERITIES), priority=6, width=9, title="FROM", field="min_severity", sorts=True,
               rank=lambda r: SEVERITIES.index(r.min_severity)),
        Column("target", filters=False, priority=3, width=18, grow=True, title="TELLS", value=target_words),
        Column("tenant", priority=7, width=10, field="tenant_id", value=lambda r: clean(r.tenant_id or "all", 64)),
        Column("failures", COUNT, priority=8, width=6, title="FAILED", sorts=True,
               what="attempts in a row that were not delivered"),
        Column("delivered", TIME, priority=9, field="delivered_at", title="LAST OK", sorts=True),
        Column("position", NUMBER, priority=10, width=5, title="POS", sorts=True, rank=lambda r: (r.position, r.id)),
        Column("id", ID, priority=9, width=4, title="NO", value=lambda r: r.key),
        Column("channel", choice(*CHANNELS)),
    ),
)  # fmt: skip


def shown(routes: Sequence[RouteRow], terms: Sequence[Term], now: datetime) -> list[RouteRow]:
    """Those that match a filter. Retired ones match only when the filter asks for them."""
    retired = any(t.field == "state" and "retired" in t.values and not t.negated for t in terms)
    return ROUTES.matching([each for each in routes if retired or each.retired_at is None], terms, now)
