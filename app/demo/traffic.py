"""Traffic that goes on: requests each second, and people at work. Until it is cancelled. What sums it up is the worker
of the demonstration (`worker`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import psycopg

from app.demo.audit import Shift, people
from app.demo.estate import Estate
from app.demo.requests import rows, suspended
from app.demo.site import WORKER, Site
from backends.postgres.copying import COPY, HEADER, TRAILER, Encoder
from backends.postgres.home import Home
from controlplane.errors import Refusal

SECONDS = 1
LOOK_SECONDS = 5
LONGEST_GAP = 3600
"""Seconds that are caught up on after the home was away."""
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def run(estate: Estate, site: Site) -> None:
    """Never returns; a home that goes away is waited for."""
    async with people(site) as homes, asyncio.TaskGroup() as group:
        traffic = Traffic(estate)
        group.create_task(traffic.write_on(site.logins[WORKER]))
        group.create_task(_watch_suspensions(traffic, homes["ana"]))
        group.create_task(_work(estate, homes))


class Traffic:
    """`quiet` are the tenants that make no requests; `written` is the second up to which all is stored."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.quiet = suspended(estate)
        self.written = int(estate.now.timestamp())

    async def write_on(self, conninfo: str) -> None:
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True, connect_timeout=5) as link:
                    while True:
                        await self.step(link, int(time.time()))
                        failures = 0
                        await asyncio.sleep(SECONDS)
            except psycopg.OperationalError:
                await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
                failures += 1

    async def step(self, link: Connection, now: int) -> None:
        """Store what came until `now`."""
        encode = Encoder()
        start = max(self.written, now - LONGEST_GAP)
        async with link.transaction(), link.cursor() as cursor, cursor.copy(COPY) as copy:
            await copy.write(HEADER + b"".join(map(encode, rows(self.estate, start, now, self.quiet))) + TRAILER)
        self.written = now


async def _watch_suspensions(traffic: Traffic, home: Home) -> None:
    """Who is suspended, or being deleted, makes no requests: also when it was done at a console."""
    while True:
        with suppress(Refusal):
            async with home.connection() as connection:
                cursor = await connection.execute("SELECT id FROM wf.tenant_list WHERE status <> 'active'")
                traffic.quiet = frozenset(row[0] for row in await cursor.fetchall())
        await asyncio.sleep(LOOK_SECONDS)


async def _work(estate: Estate, homes: dict[str, Home]) -> None:
    shift = Shift(estate)
    while True:
        await asyncio.sleep(shift.pause())
        await shift.act(homes)
