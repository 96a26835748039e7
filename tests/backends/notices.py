"""Routes, alerts and a worker that sends, for the tests."""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.context import ForkServerProcess
from typing import Any

import psycopg

from backends.drills import Drills
from backends.http.client import Http
from backends.http.guard import Guard
from backends.postgres.home import Home
from backends.postgres.job_queue import PostgresQueue, Self
from backends.postgres.routing import route_bite
from backends.postgres.sending import Post, delivering
from backends.postgres.statements import scalar
from backends.sending import Courier
from controlplane.deliveries.targets import read_allowed
from controlplane.encryption import EncryptionKey, Keys
from controlplane.jobs.model import Claimed
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.sealing import Sealing
from controlplane.secrets import Secret

DUE = "SELECT count(*) FROM wf.deliveries WHERE state = 'waiting' AND next_at <= clock_timestamp()"
KEY = base64.b64encode(bytes(range(32))).decode()


def keys() -> Keys:
    return Keys([EncryptionKey.parse(Secret(KEY, "the tests"))])


def sealing(*ports: int) -> Sealing:
    """May send to these ports of this machine, without TLS."""
    return Sealing(keys, tuple(f"http://127.0.0.1:{port}" for port in ports))


async def do(home: Home, verb: str, /, *, dry_run: bool = False, **fields: Any) -> Outcome:
    operation = named(verb)
    return await execute(home, operation, operation.parse(fields), Call("as the test says", dry_run=dry_run))


def post(ports: Sequence[int], seconds: float = 5.0) -> Post:
    seal = sealing(*ports)
    guard = Guard(read_allowed(seal.targets))
    return Post(seal, Courier(guard, Http(guard), None, Drills(None), seconds))


class Hands:
    """A registered worker of which a test does each step itself."""

    def __init__(self, queue: PostgresQueue, post: Post) -> None:
        self.queue, self.post = queue, post
        self.kind = delivering(post)

    async def route(self) -> None:
        """Route all that is due."""
        async with self.queue.connection() as connection:
            while await route_bite(connection):
                pass

    async def deliver(self) -> None:
        """Send all that is due: one job after another, as they are queued."""
        while True:
            await self.kind.run(self.queue, Claimed(0, "deliver", None, 1, 0, {}))
            async with self.queue.connection() as connection:
                if await scalar(connection, DUE) == 0:
                    return

    async def all(self) -> None:
        await self.route()
        await self.deliver()


@asynccontextmanager
async def hands(conninfo: str, *ports: int, seconds: float = 30.0) -> AsyncIterator[Hands]:
    queue, made = PostgresQueue(conninfo), post(ports, seconds)
    await queue.start(Self("hands", socket.gethostname(), 1, "test"), {})
    try:
        yield Hands(queue, made)
    finally:
        await made.courier.close()  # type: ignore[attr-defined]
        await queue.close()


def soon(owner: psycopg.Connection) -> None:
    """Every next attempt and every look at a group is due now."""
    owner.execute("UPDATE wf.deliveries SET next_at = clock_timestamp() WHERE state = 'waiting'")
    owner.execute("UPDATE wf.route_groups SET next_at = clock_timestamp() WHERE next_at IS NOT NULL")


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.backends.notices", "app.worker"])


@contextmanager
def senders(conninfo: str, number: int, *ports: int) -> Iterator[list[ForkServerProcess]]:
    """Real workers that route and send, each a process of its own."""
    running: list[ForkServerProcess] = []
    try:
        for _ in range(number):
            running.append(sender(conninfo, *ports))
        yield running
    finally:
        for process in running:
            process.kill()
            process.join()


def sender(conninfo: str, *ports: int) -> ForkServerProcess:
    process = _FORKS.Process(target=work, args=(conninfo, ports), daemon=True)
    process.start()
    return process


def work(conninfo: str, ports: Sequence[int]) -> None:
    from app.worker import Work, until_told
    from backends.postgres import heartbeat
    from backends.postgres.deliveries import UPKEEP

    heartbeat.BEAT_SECONDS = 0.5
    kinds = {kind.name: kind for kind in (*UPKEEP, delivering(post(ports)))}
    asyncio.run(until_told(Work(conninfo, kinds, grace=2)))


FIRE = """
WITH born AS (
  INSERT INTO wf.alerts (kind, tenant_id, severity, summary, labels, events)
  SELECT 'jobs_dead', %(tenant)s, %(severity)s, 'alert ' || n, jsonb_build_object('n', n::text), 1
  FROM generate_series(%(first)s::integer, %(last)s::integer) n RETURNING id, severity, summary
)
INSERT INTO wf.alert_events (alert_id, n, kind, severity, words) SELECT id, 1, 'fired', severity, summary FROM born
RETURNING alert_id
"""
RESOLVE = """
WITH over AS (
  UPDATE wf.alerts SET state = 'resolved', resolved_at = clock_timestamp(), events = events + 1, holder = NULL,
    acked_at = NULL, ack_until = NULL, ack_comment = NULL
  WHERE id = ANY (%s) AND state <> 'resolved' RETURNING id, events, severity
)
INSERT INTO wf.alert_events (alert_id, n, kind, severity) SELECT id, events, 'resolved', severity FROM over
"""

PAGING = """
INSERT INTO wf.routes (name, channel, target, escalation) VALUES ('pages', 'drill', 'pages',
  '{"levels": [{"targets": [{"kind": "person", "name": "ada"}]}, {"targets": [{"kind": "person", "name": "ben"}]}]}');
INSERT INTO wf.route_groups (key, route_id, number, state, open)
  SELECT repeat('b', 64), id, 1, '{"heard": {}, "held": {}, "run":
    {"level": 0, "since": "2026-01-01T00:00:00+00:00", "round": 0, "state": "running"}}', true
  FROM wf.routes WHERE name = 'pages';
INSERT INTO wf.route_group_alerts (alert_id, key) VALUES (1, repeat('b', 64));
"""
"""An escalation of alert 1 that is at its first level."""


def fire(
    owner: psycopg.Connection, number: int = 1, *, tenant: str | None = None, severity: str = "error", first: int = 1
) -> list[int]:
    """As a detector would; returns their ids."""
    values = {"tenant": tenant, "severity": severity, "first": first, "last": first + number - 1}
    return [alert for (alert,) in owner.execute(FIRE, values).fetchall()]


def resolve(owner: psycopg.Connection, alerts: Sequence[int]) -> None:
    owner.execute(RESOLVE, [list(alerts)])


def told(owner: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Each delivery: what it says, why, its state, its attempts and the last answer; oldest first."""
    return owner.execute("SELECT action, reason, state, attempts, code FROM wf.deliveries ORDER BY id").fetchall()
