"""Traffic that goes on: requests each second, sums of them, and people at work. Until it is cancelled."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg

from app.demo.audit import Shift, people
from app.demo.estate import Estate
from app.demo.requests import rows, suspended
from app.demo.site import WORKER, Site
from backends.postgres.copying import COPY, HEADER, TRAILER, Encoder
from backends.postgres.home import Home
from controlplane.errors import Refusal

SECONDS = 1
REFRESH_SECONDS = 5
ROLL_SECONDS = 60
DAYS_SECONDS = 3600
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
        self._due = dict.fromkeys((REFRESH_SECONDS, ROLL_SECONDS, DAYS_SECONDS), 0.0)

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
        """Store what came until `now`, and sum up what is due."""
        if self._is_due(DAYS_SECONDS):
            today = datetime.fromtimestamp(now, UTC).date()
            await link.execute("SELECT wf.ensure_request_days(%s, %s)", [today, today + timedelta(days=1)])
        encode = Encoder()
        start = max(self.written, now - LONGEST_GAP)
        async with link.transaction(), link.cursor() as cursor, cursor.copy(COPY) as copy:
            await copy.write(HEADER + b"".join(map(encode, rows(self.estate, start, now, self.quiet))) + TRAILER)
        self.written = now
        if self._is_due(REFRESH_SECONDS):
            await link.execute("SELECT wf.refresh_activity()")
        if self._is_due(ROLL_SECONDS):
            until = datetime.fromtimestamp(now, UTC)
            await link.execute("SELECT wf.roll_up_hours(%s, %s)", [until - timedelta(seconds=2 * ROLL_SECONDS), until])

    def _is_due(self, every: int) -> bool:
        now = time.monotonic()
        if now < self._due[every]:
            return False
        self._due[every] = now + every
        return True


async def _watch_suspensions(traffic: Traffic, home: Home) -> None:
    """Who is suspended, or being deleted, makes no requests: also when it was done at a console."""
    while True:
        with suppress(Refusal):
            async with home.connection() as connection:
                cursor = await connection.execute("SELECT id FROM wf.tenant_list WHERE status <> 'active'")
                traffic.quiet = frozenset(row[0] for row in await cursor.fetchall())
        await asyncio.sleep(REFRESH_SECONDS)


async def _work(estate: Estate, homes: dict[str, Home]) -> None:
    shift = Shift(estate)
    while True:
        await asyncio.sleep(shift.pause())
        await shift.act(homes)
