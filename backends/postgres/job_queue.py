"""A worker's side of the job table: one connection to claim jobs, one to listen on, some for jobs that are one
statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from backends.postgres.link import ANSWER_SECONDS, AsyncLink, dressed, session, settings
from backends.postgres.refusals import as_refusals
from controlplane.errors import Refusal
from controlplane.jobs.engine import Kind
from controlplane.jobs.model import Claimed

Connection = psycopg.AsyncConnection[TupleRow]

CONNECTIONS = 4
"""How many jobs that are one statement run at the same time."""
STATEMENT_SECONDS = 600.0
QUEUE_STATEMENT_SECONDS = 10
"""For every other statement."""


@dataclass(frozen=True)
class Self:
    """Who a worker says it is."""

    name: str
    host: str
    pid: int
    version: str


class PostgresQueue:
    """Implements `JobQueue` for one worker, from `start` to `close`."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self.worker = 0
        self._main: AsyncLink | None = None
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._listener: asyncio.Task[None] | None = None
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dressed(conninfo, "worker"),
            connection_class=AsyncLink,
            kwargs={"autocommit": True},
            configure=_configure,
            min_size=0,
            max_size=CONNECTIONS,
            timeout=3600,  # a job's own time limit is shorter
            open=False,
        )

    async def start(self, who: Self, kinds: Mapping[str, Kind]) -> None:
        """Register the worker, and the schedules of the jobs that it can do. Raises Refusal."""
        self._main = await connect(self.conninfo, "worker")
        self._main.limit = QUEUE_STATEMENT_SECONDS
        await self._pool.open()
        [(self.worker,)] = await self._ask(
            "SELECT wf.start_worker(%s, %s, %s, %s, %s)", who.name, who.host, who.pid, who.version, sorted(kinds)
        )
        every = {name: kind.every for name, kind in kinds.items() if kind.every is not None}
        await self._ask("SELECT wf.put_schedules(%s, %s::interval[])", list(every), list(every.values()))
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Give back what is still held, if the home can be reached."""
        if self.worker:
            with suppress(Refusal):
                await self._ask("SELECT wf.stop_worker(%s)", self.worker)
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await self._pool.close(timeout=1)
        if self._main is not None:
            await self._main.close()

    async def tick(self) -> None:
        await self._ask("SELECT wf.tick_jobs()")

    async def claim(self, most: int, done: Sequence[Claimed] = ()) -> Sequence[Claimed]:
        rows = await self._ask("SELECT * FROM wf.claim_jobs(%s, %s, %s, %s)", self.worker, most, *_held(done))
        told: dict[int, dict[str, Any]] = {}
        if with_payload := [row[0] for row in rows if row[5]]:
            # Read apart: large payloads in a claim would make it wait for a slow reader, and all other claims for it.
            told = dict(await self._ask("SELECT id, payload FROM wf.job_payloads WHERE id = ANY(%s)", with_payload))
        return [
            Claimed(number, kind, tenant, attempt, lease, told.get(number, {}))
            for number, kind, tenant, attempt, lease, has_payload in rows
            if number in told or not has_payload  # else its tenant was erased just now
        ]

    async def fail(self, job: Claimed, error: str, *, give_up: bool = False) -> bool:
        [(settled,)] = await self._ask(
            "SELECT wf.fail_job(%s, %s, %s, %s, %s)", self.worker, job.id, job.lease, error, give_up
        )
        return list(settled) == [job.id]

    async def release(self, jobs: Sequence[Claimed], why: str, seconds: float = 0.0) -> int:
        [(settled,)] = await self._ask(
            "SELECT wf.release_jobs(%s, %s, %s, %s, %s)", self.worker, *_held(jobs), why, timedelta(seconds=seconds)
        )
        return len(settled)

    async def settled(
        self, job: Claimed, statement: str, values: Sequence[object] = (), *, seconds: float | None = None
    ) -> bool:
        with as_refusals():
            async with self._pool.connection() as connection, connection.transaction() as transaction:
                if seconds is not None:
                    await connection.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}".encode())
                await connection.execute(statement.encode(), values or None)
                cursor = await connection.execute("SELECT wf.finish_jobs(%s, %s, %s)", [self.worker, *_held([job])])
                if await cursor.fetchone() == ([job.id],):
                    return True
                raise psycopg.Rollback(transaction)
        return False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection to read with, for a job that is more than one statement."""
        async with self._pool.connection() as connection:
            yield connection

    async def news(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()

    async def _ask(self, statement: str, *parameters: object) -> Any:
        async with self._turn:
            assert self._main is not None
            with as_refusals():
                cursor = await self._main.execute(statement.encode(), parameters)
                return await cursor.fetchall()

    async def _listen(self) -> None:
        """Notifications are only hints: without them, jobs are found up to a second later."""
        while True:
            with suppress(psycopg.Error, Refusal):
                async with await connect(self.conninfo, "worker") as connection:
                    connection.limit = QUEUE_STATEMENT_SECONDS
                    await connection.execute("LISTEN wf_jobs")
                    while True:
                        async for _ in connection.notifies(timeout=QUEUE_STATEMENT_SECONDS):
                            self._news.set()
                        await connection.execute("SELECT")  # check that the connection still lives
            await asyncio.sleep(QUEUE_STATEMENT_SECONDS)


def _held(jobs: Sequence[Claimed]) -> tuple[list[int], list[int]]:
    return [job.id for job in jobs], [job.lease for job in jobs]


async def _configure(link: psycopg.AsyncConnection[TupleRow]) -> None:
    assert isinstance(link, AsyncLink)
    await link.execute(settings(STATEMENT_SECONDS))
    link.limit = STATEMENT_SECONDS + ANSWER_SECONDS


async def connect(conninfo: str, conversation: str) -> AsyncLink:
    """Raises Refusal."""
    with as_refusals():
        return await session(conninfo, conversation, statement=STATEMENT_SECONDS)


@asynccontextmanager
async def queue(conninfo: str, who: Self, kinds: Mapping[str, Kind]) -> AsyncIterator[PostgresQueue]:
    """A registered worker, as long as the block runs. Raises Refusal."""
    opened = PostgresQueue(conninfo)
    try:
        await opened.start(who, kinds)
        yield opened
    finally:
        await opened.close()
