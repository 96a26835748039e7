"""What is written when the demonstration is shown: the hours since it was prepared, and what began a moment ago."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg

from app.demo import hours, keys, requests
from app.demo.audit import Step, do, people
from app.demo.estate import ONSET, Estate
from app.demo.site import Site
from app.demo.traffic import QUIET
from controlplane.errors import Refusal

LIMIT = '{"rps": 400, "burst": 800}'
BEFORE_ONSET = timedelta(seconds=75)


def catch_up(estate: Estate, site: Site, now: datetime, *, trail: bool) -> Estate:
    """Write what happened between the estate's `now` and this one; returns the estate as it is from now on. `trail`:
    the trail is the demonstration's own, and what was done before the errors began is dated so.
    """
    site.report("requests: the last hour")
    estate = replace(estate, onset=(now - ONSET).timestamp())
    with ThreadPoolExecutor(2) as beside:
        others = [
            beside.submit(hours.catch_up, estate, site, now),
            beside.submit(_raise, estate, site, now, trail=trail),
        ]
        with psycopg.connect(site.owner) as connection:
            quiet = frozenset(row[0] for row in connection.execute(QUIET.encode()).fetchall())
            callers = keys.callers_now(connection, estate)
        requests.last_hour(estate, site, now, callers, quiet)
        for each in others:
            each.result()
    with psycopg.connect(site.owner) as connection:
        keys.called(connection)
    return estate


def step(estate: Estate) -> Step:
    """What the errors come from."""
    grant = {"tenant_id": estate.failing, "name": "write", "value": LIMIT, "until": "7d"}
    return "ben", "subscriptions.grant", grant, "their import starts today, asked for in SUP-613"


def _raise(estate: Estate, site: Site, now: datetime, *, trail: bool) -> None:
    site.past.at(now - ONSET - BEFORE_ONSET)
    asyncio.run(_done(site, step(estate)))
    if trail:
        site.past.settle(site.owner, ("changes", "entitlement_grants"), trail=True)


async def _done(site: Site, step: Step) -> None:
    try:
        async with people(site) as homes:
            await do(homes, step)
    except Refusal as refusal:
        site.report(f"left out: {refusal}")
