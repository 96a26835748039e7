"""`watchfloor work`: a worker, until it is told to stop. Any number of them, on any number of machines."""

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
from backends.postgres.heartbeat import Heart
from backends.postgres.job_queue import Self, queue
from controlplane.errors import Conflict, NotPermitted, Refusal
from controlplane.jobs.engine import GRACE_SECONDS, Crew, Kind

LONGEST_PAUSE = 30.0
HUNG_SECONDS = 60.0
"""A job that is over its limit by so much, and still there, holds the program up: its lease may end."""

log = logging.getLogger(__name__)


class Work:
    """Workers one after another: when the home is lost, or has given one up, the next begins with empty hands."""

    def __init__(
        self,
        conninfo: str,
        kinds: Mapping[str, Kind],
        report: Callable[[str], None] = lambda words: None,
        *,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.conninfo, self.kinds, self.report, self.grace = conninfo, kinds, report, grace
        self._stopping = asyncio.Event()
        self._crew: Crew | None = None

    def stop(self) -> None:
        """Take no more and end; a second time: at once."""
        if self._stopping.is_set():
            self.grace = 0.0
            if self._crew is not None:
                self._crew.break_off(Refusal("worker_stopped", "It was told twice to stop."))
        self._stopping.set()
        if self._crew is not None:
            self._crew.stop()

    async def run(self) -> None:
        """Until it is stopped. Raises NotPermitted; whatever else goes wrong is tried again, as it may get right."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._once()
            except NotPermitted:
                raise
            except Refusal as trouble:
                failures = 1 if time.monotonic() - began > LONGEST_PAUSE else failures + 1
                pause = min(LONGEST_PAUSE, 0.5 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
                if not self._stopping.is_set():
                    self.report(f"{trouble.message} Again in {pause:.0f} s.")
                try:
                    await asyncio.wait_for(self._stopping.wait(), pause)
                except TimeoutError:
                    continue

    async def _once(self) -> None:
        async with queue(self.conninfo, _self(), self.kinds) as jobs:
            crew = self._crew = Crew(jobs, self.kinds)
            loop = asyncio.get_running_loop()

            def lost() -> None:  # in the heart's thread
                gone = Conflict("worker_gone", "This worker was given up: its heart did not beat in time.")
                loop.call_soon_threadsafe(crew.break_off, gone)

            heart = Heart(self.conninfo, jobs.worker, lambda: time.monotonic() < crew.due + HUNG_SECONDS, lost)
            heart.start()
            try:
                self.report(f"worker {jobs.worker} takes jobs")
                if self._stopping.is_set():
                    crew.stop()
                await crew.work(self.grace)
            finally:
                self._crew = None
                await asyncio.to_thread(heart.stop)


def _self() -> Self:
    from app.cli.tree import version

    host = socket.gethostname()
    return Self(f"{host}-{os.getpid()}-{secrets.token_hex(2)}", host, os.getpid(), version())


async def until_told(work: Work, carrier: Carrier | None = None) -> None:
    """Run until SIGTERM or SIGINT; a run that is carried is another's then."""
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
