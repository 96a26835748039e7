"""LISTEN on a connection of its own, with a heartbeat; polling where a pooler swallows notifications."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import psycopg

from backends.postgres.refusals import unreachable
from controlplane.clock import HomeClock
from controlplane.errors import Refusal
from controlplane.live import LinkState

HEARTBEAT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
POLL_SECONDS = 2.0
LONGEST_PAUSE = 30.0


@contextlib.asynccontextmanager
async def answered(connection: psycopg.AsyncConnection[tuple[object, ...]] | psycopg.Connection) -> AsyncIterator[None]:
    """Hang up when what is asked inside is not answered in time. Raises TimeoutError then.

    A frozen link gives no error, and to be cancelled takes psycopg another 10 seconds, in which it waits for the home.
    """
    late = False

    def hang_up() -> None:
        nonlocal late
        late = True
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(ANSWER_SECONDS, hang_up)
    try:
        yield
    except (psycopg.Error, Refusal):
        if not late:
            raise
        raise TimeoutError(f"it does not answer within {ANSWER_SECONDS:g} s") from None
    finally:
        timer.cancel()


class PostgresFeed:
    """The hints of one home."""

    def __init__(self, conninfo: str, clock: HomeClock) -> None:
        self.conninfo = conninfo
        self.clock = clock
        self._retry = asyncio.Event()

    def retry_now(self) -> None:
        self._retry.set()

    async def watch(self, on_news: Callable[[], None], on_state: Callable[[LinkState], None]) -> None:
        failures = 0
        while True:
            try:
                async with await self._connect() as connection:
                    polling = not await self._hears_itself(connection)
                    failures = 0
                    on_state(LinkState("live", polling=polling))
                    on_news()  # whatever was missed while nobody listened
                    await self._listen(connection, on_news, polling)
            except (psycopg.Error, OSError, TimeoutError) as error:
                failures += 1
                # The first pause is short: most losses are a restart or a hiccup.
                pause = min(LONGEST_PAUSE, 0.5 * 2 ** min(failures, 20)) * random.uniform(0.7, 1.0)
                on_state(LinkState("offline", retry_in=pause, words=unreachable(error).message))
                self._retry.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._retry.wait(), pause)
                on_state(LinkState("connecting"))

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await psycopg.AsyncConnection.connect(
                self.conninfo, autocommit=True, application_name="watchfloor feed"
            )
        async with answered(connection):
            await connection.execute("LISTEN wf")
        return connection

    async def _hears_itself(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> bool:
        """A pooler in transaction mode lets LISTEN pass and drops what comes: try it on a channel of our own."""
        own = f"wf_{connection.info.backend_pid}"
        async with answered(connection):
            await connection.execute(f'LISTEN "{own}"'.encode())
            await connection.execute("SELECT pg_notify(%s, '')", [own])
        async for heard in connection.notifies(timeout=1.0, stop_after=1):
            return heard.channel in (own, "wf")
        return False

    async def _listen(
        self, connection: psycopg.AsyncConnection[tuple[object, ...]], on_news: Callable[[], None], polling: bool
    ) -> None:
        seen: object = None
        while True:
            async for _ in connection.notifies(timeout=POLL_SECONDS if polling else HEARTBEAT_SECONDS):
                on_news()
            async with answered(connection):
                asked = self.clock.seconds()
                cursor = await connection.execute("SELECT clock_timestamp(), max(seq) FROM wf.audit")
                row = await cursor.fetchone()
            assert row is not None and isinstance(row[0], datetime)
            self.clock.hear(row[0], asked)
            newest = row[1]
            if polling and newest != seen:
                on_news()
            seen = newest
