"""`watchfloor worker`: a worker that runs until it is told to stop. Any number may run, on any machines."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping

from app.carrier import Carrier
from app.start import VERSION
from backends.postgres.heartbeat import Heart
from backends.postgres.job_queue import Self, queue
from controlplane.errors import HomeUnreachable, NotPermitted, Refusal
from controlplane.jobs.engine import GRACE_SECONDS, Crew, Kind
from controlplane.jobs.refusals import WORKER_GONE

MAX_PAUSE_SECONDS = 30.0
HUNG_SECONDS = 60.0
"""A job that is still there this long after its time limit blocks the program: its lease may end."""

log = logging.getLogger(__name__)


class Work:
    """One worker after another: when the home is lost or gives a worker up, the next one begins without jobs."""

    def __init__(
        self,
        conninfo: str,
        kinds: Mapping[str, Kind],
        report: Callable[[str], None] = lambda words: None,
        *,
        grace: float = GRACE_SECONDS,
        revive: Callable[[], bool] | None = None,
    ) -> None:
        """`revive` starts an embedded home that died; True when it did. It blocks."""
        self.conninfo, self.kinds, self.report, self.grace = conninfo, kinds, report, grace
        self.revive = revive
        self._stopping = asyncio.Event()
        self._crew: Crew | None = None
        self._told = ""
        self._well: asyncio.Handle

    def stop(self) -> None:
        """Take no more jobs and end; the second call ends at once."""
        if self._stopping.is_set():
            self.grace = 0.0
            if self._crew is not None:
                self._crew.break_off(Refusal("worker_stopped", "It was told twice to stop."))
        self._stopping.set()
        if self._crew is not None:
            self._crew.stop()

    async def run(self) -> None:
        """Work until stopped. Raises NotPermitted; after any other failure it tries again."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._once()
            except NotPermitted:
                raise
            except Refusal as met:
                if (trouble := await self._not_brought_back(met)) is None:
                    continue
                failures = 1 if time.monotonic() - began > MAX_PAUSE_SECONDS else failures + 1
                longest = MAX_PAUSE_SECONDS if trouble.slow else 0.5 * 2 ** min(failures, 10)
                pause = min(MAX_PAUSE_SECONDS, longest) * random.uniform(0.5, 1.0)
                if not self._stopping.is_set():
                    self._say(trouble, f"{trouble.message} {trouble.hint} Again in {pause:.0f} s.")
                try:
                    await asyncio.wait_for(self._stopping.wait(), pause)
                except TimeoutError:
                    continue

    async def _not_brought_back(self, trouble: Refusal) -> Refusal | None:
        """Why the home cannot be reached; None when it had died and was started again: there is no need to wait."""
        if self.revive is None or not isinstance(trouble, HomeUnreachable) or self._stopping.is_set():
            return trouble
        try:
            if not await asyncio.to_thread(self.revive):
                return trouble
        except Refusal as refusal:
            if refusal.code in ("home_stopped", "home_absent"):
                self.report(refusal.message)
                self.stop()  # there is nothing to work on any more
            return refusal
        self.report("PostgreSQL had died: it was started again.")
        return None

    def _say(self, trouble: Refusal, words: str) -> None:
        """Report a trouble; one that a person must put right only once, not with each attempt."""
        if not trouble.slow or trouble.code != self._told:
            self.report(words)
        self._told = trouble.code if trouble.slow else ""

    def _begins(self, worker: int) -> None:
        """Report that the worker takes jobs; after such a trouble only once it lasts, for a home whose disk is full
        lets a worker begin and nothing else.
        """

        def say() -> None:
            self._told = ""
            self.report(f"worker {worker} takes jobs")

        self._well = asyncio.get_running_loop().call_later(MAX_PAUSE_SECONDS if self._told else 0, say)

    async def _once(self) -> None:
        async with queue(self.conninfo, _self(), self.kinds) as jobs:
            crew = self._crew = Crew(jobs, self.kinds)
            loop = asyncio.get_running_loop()

            def lost() -> None:  # in the heartbeat's thread
                loop.call_soon_threadsafe(crew.break_off, WORKER_GONE())

            heart = Heart(self.conninfo, jobs.worker, lambda: time.monotonic() < crew.due + HUNG_SECONDS, lost)
            heart.start()
            try:
                self._begins(jobs.worker)
                if self._stopping.is_set():
                    crew.stop()
                await crew.work(self.grace)
            finally:
                self._crew = None
                self._well.cancel()
                await asyncio.to_thread(heart.stop)


def _self() -> Self:
    host = socket.gethostname()
    return Self(f"{host}-{os.getpid()}-{secrets.token_hex(2)}", host, os.getpid(), VERSION)


async def until_told(work: Work, carrier: Carrier | None = None) -> None:
    """Run until SIGTERM or SIGINT; a run that the carrier carries is then left for another program."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.stop)
    carrying = asyncio.create_task(carrier.run()) if carrier is not None else None
    try:
        await work.run()
    finally:
        if carrying is not None:
            carrying.cancel()
            await asyncio.wait([carrying], timeout=GRACE_SECONDS)
