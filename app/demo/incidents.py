"""Incidents of the demonstration: one that is over, with its post-mortem, and one that opens while one looks.

People do it through what the home lets them do, at the times of the story (past.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg

from app.demo.estate import Estate
from app.demo.month import BEFORE, BROKEN
from app.demo.site import SERVICE, Homes, Site
from backends.postgres.home import Home
from controlplane.errors import Refusal
from controlplane.operations import Call, execute
from controlplane.registry import named

TITLE = "Every sixth request fails, and the others are slow"
TABLES = ("deploys", "incident_events", "incident_marks", "incident_roles", "incidents")
Happening = tuple[float, str, str, dict[str, str]]
"""Minutes after the deploy, who, what, and its fields."""
HAPPENED: tuple[Happening, ...] = (
    (7.5, "ana", "take", {"role": "conn"}),
    (8.0, "ana", "take", {"role": "commander"}),
    (10.0, "ben", "take", {"role": "liaison"}),
    (12.0, "ben", "severity", {"severity": "SEV-1"}),
    (15.0, "ben", "tell-customers", {"text": "Some requests fail or are slow. We are looking into it."}),
    (31.0, "ana", "note", {"text": "The pool of connections is full since the release: it has half of its size."}),
    (44.0, "ana", "note", {"text": f"Decided: back to {BEFORE}. The gate has a way back; ten minutes."}),
    (66.0, "ana", "mitigate", {}),
    (69.0, "ben", "tell-customers", {"text": "All requests are answered again. We keep watching."}),
    (72.0, "ana", "edit", {"summary": f"{BROKEN} halved the pool of connections. {BEFORE} is back; errors are gone."}),
    (95.0, "ana", "note", {"text": "root cause: the pool of connections was half as large as before the release"}),
    (96.0, "ana", "note", {"text": "what went well: the alert named the region within six minutes"}),
    (97.0, "ana", "note", {"text": "what went wrong: nobody compared the settings of the release with those before"}),
    (99.0, "ana", "note", {"text": "action item: ana: a gate that compares the settings, by Friday"}),
    (110.0, "ana", "resolve", {}),
    (25 * 60.0, "ana", "close-out", {}),
)
OPENS_AFTER, STEP_SECONDS = 20.0, 12.0
STEPS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("ben", "take", {"role": "conn"}),
    ("ana", "take", {"role": "liaison"}),
    ("ben", "note", {"text": "Their limit of writes was raised just before it began: see their timeline."}),
    ("ana", "tell-customers", {"text": "Some requests fail. We have found where, and are working on it."}),
    (
        "ben",
        "edit",
        {"summary": "Their import writes ten times as much since their limit was raised. Lower it again?"},
    ),
)


def seed(estate: Estate, site: Site) -> None:
    site.report("incidents: what was wrong two days ago")
    site.run(partial(_happened, estate, site))


async def _happened(estate: Estate, site: Site, homes: Homes) -> None:
    outage, affected = estate.outage, [estate.failing, *_largest(estate)]

    def at(minutes: float) -> None:
        site.past.at(_time(outage.deployed + 60 * minutes))

    at(0)
    _deployed(site, BROKEN, outage.region)
    at(7)
    opened = {"title": TITLE, "severity": "SEV-2", "regions": [outage.region], "tenants": affected}
    number = await _done(homes["ana"], "open", **opened)
    back = False
    for minutes, who, verb, fields in HAPPENED:
        if not back and 60 * minutes > outage.mended - outage.deployed:
            back = True
            site.past.at(_time(outage.mended))
            _deployed(site, BEFORE, outage.region)
            _gather(site)
        at(minutes)
        await _done(homes[who], verb, id=number, **fields)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _largest(estate: Estate) -> list[str]:
    theirs = [f for f in estate.firms if f.region == estate.outage.region and f.id != estate.failing]
    return [firm.id for firm in sorted(theirs, key=lambda firm: -firm.rate)[:2]]


def _deployed(site: Site, what: str, region: str) -> None:
    with psycopg.connect(site.logins[SERVICE]) as service:
        service.execute("SELECT wf_data.deployed(%s, %s)", [what, region])


def _gather(site: Site) -> None:
    """As a worker does every few seconds: what was deployed comes into the timeline."""
    with psycopg.connect(site.owner) as owner:
        owner.execute("SELECT wf.tend_incidents()")


BEGAN = """
UPDATE wf.incidents SET began_at = %(began)s WHERE title = %(title)s;
"""
BEGAN_IN_THE_TRAIL = """
UPDATE wf.audit SET after = after || jsonb_build_object('began_at', %(began)s::timestamptz),
  before = before || jsonb_build_object('began_at', %(began)s::timestamptz)
WHERE noun = 'incidents' AND after ? 'began_at' AND after ->> 'title' = %(title)s
"""


def date_back(estate: Estate, owner: str, *, trail: bool) -> None:
    """It had begun before it was noticed."""
    told = {"began": _time(estate.outage.began), "title": TITLE}
    with psycopg.connect(owner, options="-c timezone=UTC -c session_replication_role=replica") as connection:
        connection.execute(BEGAN, told)
        if trail:
            connection.execute(BEGAN_IN_THE_TRAIL, told)


async def unfold(estate: Estate, homes: Mapping[str, Home]) -> None:
    """The one that opens while somebody looks. It ends when a change made at a console gets in its way."""
    with suppress(Refusal):
        await asyncio.sleep(OPENS_AFTER)
        tenant = estate.failing
        opened = {"title": f"{tenant}: every fifth request fails", "severity": "SEV-2", "tenants": [tenant]}
        number = await _done(homes["ben"], "open", **opened, began="40m ago", origin=f"tenants/{tenant}")
        for who, verb, fields in STEPS:
            await asyncio.sleep(STEP_SECONDS)
            await _done(homes[who], verb, id=number, **fields)


async def _done(home: Home, verb: str, **fields: Any) -> int:
    operation = named(f"incidents.{verb}")
    return int((await execute(home, operation, operation.parse(fields), Call())).result["id"])
