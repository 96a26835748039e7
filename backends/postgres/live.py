"""LISTEN on a connection of its own, with a heartbeat; polling where a pooler drops notifications."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Callable

import psycopg

from backends.postgres.link import AsyncLink, NoAnswer, dressed, hands_around
from backends.postgres.refusals import refusal_of, unreachable
from controlplane.clock import HomeClock
from controlplane.errors import HomeUnreachable
from controlplane.live import LinkState

BEAT_SECONDS = 1.5
LATE_SECONDS = 1.0
"""An answer that takes longer is late: from then on the link is stale, not live."""
ANSWER_SECONDS = 5.0
LOOP_SECONDS = 0.2
"""How long an answer that has arrived may wait for a busy event loop."""
CONNECT_LIMIT = 30.0
"""For resolving a home's name and trying all its addresses, together."""
MAX_PAUSE_SECONDS = 30.0
SLOW_SECONDS = 0.2
"""Checking whether the server died takes less, starting it takes more."""
REVIVING = "starting PostgreSQL"
REVIVED = "PostgreSQL had died; it was started again, and nothing that was committed is lost."


Revive = Callable[[], bool]
"""Starts the server again if it died; True when it did. It blocks, and raises Refusal."""


class PostgresFeed:
    """The notifications of one home. `revive`: where this program can start the server."""

    def __init__(self, conninfo: str, clock: HomeClock, revive: Revive | None = None) -> None:
        self.conninfo = conninfo
        self.clock = clock
        self.revive = revive
        self._retry = asyncio.Event()

    def retry_now(self) -> None:
        self._retry.set()

    async def watch(self, on_news: Callable[[], None], on_state: Callable[[LinkState], None]) -> None:
        failures, revived = 0, ""
        while True:
            try:
                async with await self._connect() as link:
                    polling = await self._is_deaf(link)
                    live = LinkState("live", polling=polling)
                    failures = 0
                    on_state(dataclasses.replace(live, words=revived))
                    revived = ""
                    on_news()  # whatever was missed while nobody listened
                    await self._listen(link, on_news, on_state, live)
            except (psycopg.Error, OSError) as error:
                failures += 1
                trouble = _trouble(error)
                try:
                    if await self._revived(on_state):
                        revived = REVIVED
                        continue
                except HomeUnreachable as refusal:
                    trouble = refusal
                # The first pause is short: most losses are a restart or brief.
                exponent = 20 if trouble.slow else min(failures, 20)
                pause = min(MAX_PAUSE_SECONDS, 0.5 * 2**exponent) * random.uniform(0.7, 1.0)
                on_state(LinkState("offline", retry_in=pause, words=str(trouble), brief=trouble.brief))
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

    async def _connect(self) -> AsyncLink:
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                link = await AsyncLink.connect(dressed(self.conninfo, "feed"), autocommit=True, prepare_threshold=None)
        except TimeoutError:
            raise NoAnswer(CONNECT_LIMIT) from None
        link.limit = ANSWER_SECONDS
        return link

    async def _is_deaf(self, link: AsyncLink) -> bool:
        """A pooler in transaction mode accepts LISTEN but drops notifications, so LISTEN is not even tried there."""
        if await hands_around(link, self.conninfo):
            return True
        await link.execute("LISTEN wf")
        return False

    async def _listen(
        self, link: AsyncLink, on_news: Callable[[], None], on_state: Callable[[LinkState], None], live: LinkState
    ) -> None:
        seen: object = None
        while True:
            async for _ in link.notifies(timeout=BEAT_SECONDS):
                on_news()
            newest = await _beat(link, self.clock, on_state, live)
            if live.polling and newest != seen:
                on_news()
            seen = newest


async def _beat(link: AsyncLink, clock: HomeClock, on_state: Callable[[LinkState], None], live: LinkState) -> object:
    """The newest row of the trail. While its answer is late, the link is stale."""
    asking = asyncio.ensure_future(_newest(link, clock))
    try:
        done, _ = await asyncio.wait([asking], timeout=LATE_SECONDS)
        if not done:  # it may have arrived while this program was busy
            done, _ = await asyncio.wait([asking], timeout=LOOP_SECONDS)
        if late := not done:
            on_state(LinkState("stale", silent=BEAT_SECONDS + LATE_SECONDS))
        newest = await asking
    except asyncio.CancelledError:
        asking.cancel()
        raise
    if late:
        on_state(live)
    return newest


async def _newest(link: AsyncLink, clock: HomeClock) -> object:
    """The newest row of the trail; sets the clock to the home's time."""
    asked = clock.seconds()
    row = await (await link.execute("SELECT clock_timestamp(), max(seq) FROM wf.audit")).fetchone()
    assert row is not None
    clock.hear(row[0], asked)
    return row[1]


def _trouble(error: BaseException) -> HomeUnreachable:
    """Errors that are not the connection's, such as a revoked privilege, make the home unusable as well."""
    refusal = refusal_of(error) if isinstance(error, psycopg.Error) else unreachable(error)
    if isinstance(refusal, HomeUnreachable):
        return refusal
    return HomeUnreachable(refusal.code, refusal.message, refusal.hint, brief="refused", slow=True)
