"""Traffic until it is cancelled: requests each second, and people at work. The home's own worker rolls it up."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

import psycopg

from app.demo.audit import Shift, people
from app.demo.duty import Duty
from app.demo.estate import Estate
from app.demo.incidents import unfold
from app.demo.keys import Callers, read_callers
from app.demo.requests import rows, suspended
from app.demo.site import SERVICE, WORKER, Site
from backends.postgres.copying import COPY, HEADER, TRAILER, Encoder
from backends.postgres.home import Home
from backends.postgres.import_ledger import is_made_meanwhile
from backends.postgres.live import Revive
from controlplane.clock import machine_now
from controlplane.errors import Refusal

SECONDS = 1
SERVE_SECONDS = 5
LOOK_SECONDS = 5
MAX_GAP_SECONDS = 3600
"""Seconds of traffic that are made up for after the home could not be reached."""
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

UNAUTHENTICATED = 401

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def run(estate: Estate, site: Site, revive: Revive, since: datetime | None = None) -> None:
    """Never returns; a home that cannot be reached is waited for, and started again when it died. `since`: up to when
    requests are stored.
    """
    async with people(site) as homes, asyncio.TaskGroup() as group:
        traffic = Traffic(estate, since or estate.now)
        await _look(traffic, homes["ana"])
        writer, service = Linked(site.logins[WORKER], revive), Linked(site.logins[SERVICE], revive)
        group.create_task(writer.repeat(lambda link: traffic.step(link, int(machine_now().timestamp())), SECONDS))
        group.create_task(service.repeat(traffic.serve, SERVE_SECONDS))
        group.create_task(_watch(traffic, homes["ana"]))
        group.create_task(_work(Shift(estate), homes))
        group.create_task(_work(Duty(estate), homes))
        group.create_task(unfold(estate, homes))
        group.create_task(_publish(homes, site))


class Traffic:
    """`quiet` are the tenants that make no requests, `callers` the keys of the others; `written` is the second up to
    which all is stored.
    """

    def __init__(self, estate: Estate, since: datetime) -> None:
        self.estate = estate
        self.quiet = suspended(estate)
        self.callers = Callers("", ())
        self.written = int(since.timestamp())
        self._calls: Counter[str] = Counter()
        self._uses: dict[str, tuple[datetime, str | None]] = {}

    async def step(self, link: Connection, now: int) -> None:
        """Store what came until `now`."""
        encode = Encoder()
        start = max(self.written, now - MAX_GAP_SECONDS)
        made = list(rows(self.estate, start, now, self.callers, self.quiet))
        try:
            async with link.transaction(), link.cursor() as cursor, cursor.copy(COPY) as copy:
                await copy.write(HEADER + b"".join(map(encode, made)) + TRAILER)
        except psycopg.errors.CheckViolation as error:
            if not is_made_meanwhile(error):
                raise
            return  # the next step stores them, in the day that was made
        self.written = now
        for row in made:
            self._calls[row.tenant_id] += 1
            if row.key_id is not None and row.status != UNAUTHENTICATED:
                self._uses[row.key_id] = row.at, row.address

    async def serve(self, link: Connection) -> None:
        """What the product's services do: count what is used, and report which keys were used."""
        calls, uses = self._calls, self._uses
        self._calls, self._uses = Counter(), {}
        asked = "SELECT count(*) FROM unnest(%s::text[], %s::bigint[]) c(t, n), wf_data.admit(c.t, 'api_calls', c.n)"
        await link.execute(asked, [list(calls), list(calls.values())])
        used = [[key, *use] for key, use in uses.items()]
        if used:
            await link.execute(
                "SELECT wf_data.touch_keys(%s, %s, %s::inet[])", [list(c) for c in zip(*used, strict=True)]
            )


@dataclass(frozen=True)
class Linked:
    """A connection that is made again when it is lost; `revive` starts a home that died."""

    conninfo: str = field(repr=False)
    revive: Revive

    async def repeat(self, step: Callable[[Connection], Awaitable[None]], seconds: float) -> None:
        failures = 0
        while True:
            try:
                async with await self._connect() as link:
                    while True:
                        await step(link)
                        failures = 0
                        await asyncio.sleep(seconds)
            except psycopg.OperationalError:
                await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
                failures += 1
                with suppress(Refusal):
                    await asyncio.to_thread(self.revive)

    async def _connect(self) -> Connection:
        return await psycopg.AsyncConnection.connect(self.conninfo, autocommit=True, connect_timeout=5)


QUIET = """
SELECT t.id FROM wf.tenant_list t LEFT JOIN wf.subscriptions s ON s.tenant_id = t.id
WHERE t.status <> 'active'
  OR wf.state_at(s.state, s.trial_end, s.trial_return, s.grace_until, now()) IN ('suspended', 'expired', 'canceled')
"""


# What one tenant's errors come from: NULL when it was never granted, false when somebody has ended it.
GIVEN = """
SELECT bool_or(ended_at IS NULL) FROM wf.entitlement_grants
WHERE tenant_id = %s AND name = 'write' AND source = 'override'
"""


async def _look(traffic: Traffic, home: Home) -> None:
    with suppress(Refusal):
        async with home.connection() as connection:
            traffic.quiet = frozenset(row[0] for row in await (await connection.execute(QUIET)).fetchall())
            traffic.callers = await read_callers(connection, traffic.estate)
            given = await (await connection.execute(GIVEN, [traffic.estate.failing])).fetchone()
            if given == (False,) and traffic.estate.mended == math.inf:
                traffic.estate = replace(traffic.estate, mended=machine_now().timestamp())


async def _watch(traffic: Traffic, home: Home) -> None:
    """Keep up with which tenants are served, and with which keys, also when a console changes that."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await _look(traffic, home)


async def _publish(homes: dict[str, Home], site: Site) -> None:
    from app.demo.evidence import publish  # a lot to read, after the first requests

    with suppress(Refusal):
        await publish(homes, site)


async def _work(shift: Shift | Duty, homes: dict[str, Home]) -> None:
    while True:
        await asyncio.sleep(shift.pause())
        await shift.act(homes)
