"""One worker at work: it takes jobs, does them side by side, and says how each ended. Whoever drives it can be killed.

A job's own fault ends its attempt; a home that cannot be reached ends nothing: the jobs are others' when the lease is
over, and what is said of them here has no effect then.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from controlplane.errors import HomeUnreachable, Refusal
from controlplane.jobs.model import Claimed, JobQueue
from controlplane.runs.rules import Clock, RealClock

AT_ONCE = 100
"""Jobs that one worker has in hand."""
POLL_SECONDS = 1.0
GRACE_SECONDS = 20.0
"""How long a worker that was told to stop lets its jobs go on."""
DROP_SECONDS = 5.0
UNKNOWN_SECONDS = 300.0
"""A job of a kind that this program does not know is left to a newer one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of job. `run` does one: it either settles the job itself (True) or leaves that to the worker (False).

    `every`: how often it comes by itself. `seconds`: how long one may take. It is done at least once, and exactly once
    only through `JobQueue.settled`.
    """

    name: str
    run: Callable[[JobQueue, Claimed], Awaitable[bool]]
    every: timedelta | None = None
    seconds: float = 60.0


def sql(name: str, statement: str, every: timedelta, seconds: float = 60.0) -> Kind:
    """A periodic job that is one statement: its effect and its end are one transaction."""

    async def run(queue: JobQueue, job: Claimed) -> bool:
        await queue.settled(job, statement)
        return True

    return Kind(name, run, every, seconds)


class GiveUp(Exception):
    """What a job raises when no further try would help; its text is kept with the job, so it holds no secret."""


class Crew:
    """The jobs that one worker has in hand."""

    def __init__(self, queue: JobQueue, kinds: Mapping[str, Kind], *, clock: Clock | None = None) -> None:
        self.queue = queue
        self.kinds = kinds
        self.clock = clock or RealClock()
        self.stopping = asyncio.Event()
        self._running: dict[asyncio.Task[None], Claimed] = {}
        self._due: dict[int, float] = {}
        self._done: list[Claimed] = []
        self._change = asyncio.Event()
        self._broken: Exception | None = None

    @property
    def due(self) -> float:
        """When the first of the jobs in hand must be over, by the clock's seconds. May be asked from a thread."""
        return min(tuple(self._due.values()), default=math.inf)

    def break_off(self, why: Exception) -> None:
        """Give up what is in hand: `work` raises this."""
        self._broken = self._broken or why
        self._change.set()

    def stop(self) -> None:
        """Take no more."""
        self.stopping.set()
        self._change.set()

    async def work(self, grace: float = GRACE_SECONDS) -> None:
        """Until it is stopped; then what is in hand is finished, and released what is left when the grace is over.

        Raises Refusal when the home cannot be reached or has given this worker up; nothing is in hand then.
        """
        ticking = asyncio.create_task(self._tick())
        try:
            while not self.stopping.is_set():
                await self._round()
            if self._running:
                await asyncio.wait(tuple(self._running), timeout=grace)
            await self._settle()
            if left := list(self._running.values()):
                await self._drop()
                await self.queue.release(left, "its worker was stopped")
        finally:
            ticking.cancel()
            await self._drop()

    async def _tick(self) -> None:
        try:
            while True:
                await self.queue.tick()
                await self.clock.sleep(POLL_SECONDS)
        except Refusal as refusal:
            self.break_off(refusal)

    async def _round(self) -> None:
        """Say what ended, take what there is room for, wait for something to do."""
        self._change.clear()
        await self._settle()
        room = AT_ONCE - len(self._running)
        taken: Sequence[Claimed] = await self.queue.claim(room) if room else ()
        for job in taken:
            self._begin(job)
        if taken and len(taken) < room:
            await asyncio.sleep(0)  # more may have come meanwhile
            return
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._change.wait())]
        if room and not taken:
            waits.append(asyncio.ensure_future(self.queue.news(POLL_SECONDS)))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _begin(self, job: Claimed) -> None:
        kind = self.kinds.get(job.kind)
        self._due[job.id] = self.clock.now() + (kind.seconds if kind else POLL_SECONDS)
        task = asyncio.create_task(self._do(job, kind))
        self._running[task] = job
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        job = self._running.pop(task)
        self._due.pop(job.id, None)
        self._change.set()
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.break_off(error)  # what became of the job could not be said: it is taken back with all the others

    async def _do(self, job: Claimed, kind: Kind | None) -> None:
        if kind is None:
            await self.queue.release([job], f"this worker does not know {job.kind}", UNKNOWN_SECONDS)
            return
        try:
            async with asyncio.timeout(kind.seconds):
                settled = await kind.run(self.queue, job)
        except HomeUnreachable:
            raise  # the worker's trouble, not the job's
        except Exception as error:
            await self.queue.fail(job, words_of(error, kind), give_up=isinstance(error, GiveUp))
        else:
            if not settled:
                self._done.append(job)

    async def _settle(self) -> None:
        if self._broken is not None:
            raise self._broken
        done, self._done = self._done, []
        if done:
            await self.queue.finish(done)

    async def _drop(self) -> None:
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=DROP_SECONDS)


def words_of(error: Exception, kind: Kind) -> str:
    """What is kept of an error. The text of one that nobody foresaw may hold anything, so only its type is."""
    if isinstance(error, Refusal):
        return f"{error.message} [{error.code}]"
    if isinstance(error, GiveUp):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"it took longer than {kind.seconds:g} s"
    log.warning("a job of kind %s failed", kind.name, exc_info=error)
    return f"{type(error).__name__}; the log of its worker has more"
