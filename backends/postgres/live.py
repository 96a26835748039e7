"""LISTEN on a connection of its own, with a heartbeat; polling where a pooler swallows notifications."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator, Callable

import psycopg

from backends.postgres.refusals import unreachable
from controlplane.errors import Refusal
from controlplane.live import LinkState

HEARTBEAT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
POLL_SECONDS = 2.0
LONGEST_PAUSE = 30.0
SLOW_SECONDS = 0.2
"""To look whether the server died takes less, to start it takes more."""
REVIVING = "starting PostgreSQL"
REVIVED = "PostgreSQL had died; it was started again, and nothing that was committed is lost."


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


Revive = Callable[[], bool]
"""Starts a server that died; True when it had, and runs again. It blocks, and raises Refusal."""


class PostgresFeed:
    """The hints of one home. `revive`: where starting the server is in this program's hands."""

    def __init__(self, conninfo: str, revive: Revive | None = None) -> None:
        self.conninfo = conninfo
        self.revive = revive
        self._retry = asyncio.Event()

    def retry_now(self) -> None:
        self._retry.set()

    async def watch(self, on_news: Callable[[], None], on_state: Callable[[LinkState], None]) -> None:
        failures, revived = 0, ""
        while True:
            try:
                async with await self._connect() as connection:
                    polling = not await self._hears_itself(connection)
                    failures = 0
                    on_state(LinkState("live", polling=polling, words=revived))
                    revived = ""
                    on_news()  # whatever was missed while nobody listened
                    await self._listen(connection, on_news, polling)
            except (psycopg.Error, OSError, TimeoutError) as error:
                failures += 1
                words = unreachable(error).message
                try:
                    if await self._revived(on_state):
                        revived = REVIVED
                        continue
                except Refusal as refusal:
                    words = refusal.message
                # The first pause is short: most losses are a restart or a hiccup.
                pause = min(LONGEST_PAUSE, 0.5 * 2 ** min(failures, 20)) * random.uniform(0.7, 1.0)
                on_state(LinkState("offline", retry_in=pause, words=words))
                self._retry.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._retry.wait(), pause)
                on_state(LinkState("connecting"))

    async def _revived(self, on_state: Callable[[LinkState], None]) -> bool:
        """Whether the server had died and was started again. Raises Refusal."""
        if self.revive is None:
            return False
        saying = asyncio.get_running_loop().call_later(SLOW_SECONDS, on_state, LinkState("connecting", words=REVIVING))
        try:
            return await asyncio.to_thread(self.revive)
        finally:
            saying.cancel()

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
                cursor = await connection.execute("SELECT max(seq) FROM wf.audit")
                newest = await cursor.fetchone()
            if polling and newest != seen:
                on_news()
            seen = newest
