"""What is written when the demonstration is shown: the hours since it was prepared, and what began a moment ago."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from app.demo import hours, keys, requests
from app.demo.audit import Step, do, people
from app.demo.estate import ONSET, Estate
from app.demo.site import Site
from app.demo.traffic import QUIET
from backends.checkpoint_folder import CheckpointFolder, signing_key
from backends.postgres.notary import Notary
from controlplane.errors import Refusal

LIMIT = '{"rps": 400, "burst": 800}'
WORKER_SECONDS = 5.0
ALIVE = "SELECT EXISTS (SELECT FROM wf.worker_list WHERE state = 'alive')"
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
    return estate


def look(site: Site) -> None:
    """What a worker would find out first: the screen says nothing unknown that would be known in a moment."""
    site.report("alerts: what is wrong now")
    with psycopg.connect(site.owner, autocommit=True) as connection:
        keys.called(connection)
        connection.execute("SELECT wf.look_at_quotas()")
        connection.execute("SELECT wf.evaluate(name) FROM wf.detectors ORDER BY name")


def sign(folder: Path, owner: str) -> None:
    """The key is in the home's folder: the worker signs with it, and it goes with the home."""
    key = signing_key(folder, make=True)
    assert key is not None
    asyncio.run(Notary(owner, CheckpointFolder(folder / "checkpoints"), key).sign())


def await_worker(site: Site) -> None:
    """Until the home's worker is alive, or for a while."""
    deadline = time.monotonic() + WORKER_SECONDS
    with psycopg.connect(site.owner, autocommit=True) as connection:
        while connection.execute(ALIVE).fetchone() != (True,) and time.monotonic() < deadline:
            time.sleep(0.05)


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
        async with people(site, step[0]) as homes:
            await do(homes, step)
    except Refusal as refusal:
        site.report(f"left out: {refusal}")
