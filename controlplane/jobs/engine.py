"""One worker: it takes jobs, does them side by side, and reports how each ended. Its program may be killed any time.

A job's own fault ends its attempt; a home that cannot be reached ends none: when the lease is over, other workers get
the jobs, and what this one still reports about them has no effect.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from controlplane.errors import Conflict, HomeUnreachable, Refusal
from controlplane.runs.rules import Clock, RealClock
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.jobs.model import Claimed, JobQueue

AT_ONCE = 200
"""The most jobs that one worker holds."""
BATCH = 100
"""The most that it takes in one step; it works on those while it asks for more."""
POLL_SECONDS = 1.0
GRACE_SECONDS = 20.0
"""How long a worker that was told to stop waits for its jobs to finish."""
DROP_SECONDS = 5.0
MAX_ERROR_CHARACTERS = 1000
UNKNOWN_SECONDS = 300.0
"""A job of a kind that this program does not know is left alone this long, for a newer program to take."""

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """A kind of job. `run` does one: it either settles the job itself (True) or leaves that to the worker (False).

    `every`: how often it is queued by itself. `seconds`: how long one may take. A job is done at least once; exactly
    once only through `JobQueue.settled`.
    """

    name: str
    run: Callable[[JobQueue, Claimed], Awaitable[bool]]
    every: timedelta | None = None
    seconds: float = 60.0


def sql(name: str, statement: str, every: timedelta, seconds: float = 60.0) -> Kind:
    """A periodic job that is one statement; its effect and its end are committed in one transaction."""

    async def run(queue: JobQueue, job: Claimed) -> bool:
        await queue.settled(job, statement)
        return True

    return Kind(name, run, every, seconds)


class GiveUp(Exception):
    """Raised by a job that no further try would help. Its text is kept with the job, so it must hold no secret."""


class Crew:
    """The jobs that one worker holds."""

    def __init__(self, queue: JobQueue, kinds: Mapping[str, Kind]) -> None:
        self.queue = queue
        self.kinds = kinds
        self.clock: Clock = RealClock()
        self.stopping = asyncio.Event()
        self._running: dict[asyncio.Task[None], Claimed] = {}
        self._due: dict[int, float] = {}
        self._done: list[Claimed] = []
        self._change = asyncio.Event()
        self._broken: Exception | None = None
        self._dropping = False

    @property
    def due(self) -> float:
        """When the first of its jobs must be over, in the clock's seconds. May be called from another thread."""
        return min(tuple(self._due.values()), default=math.inf)

    def break_off(self, why: Exception) -> None:
        """Give up all jobs: `work` raises `why`."""
        self._broken = self._broken or why
        self._change.set()

    def stop(self) -> None:
        """Take no more."""
        self.stopping.set()
        self._change.set()

    async def work(self, grace: float = GRACE_SECONDS) -> None:
        """Work until it is stopped; then finish its jobs, and release those that are not done after `grace` seconds.

        Raises Refusal when the home cannot be reached or has given this worker up; it holds no job then.
        """
        ticking = asyncio.create_task(self._tick())
        try:
            while not self.stopping.is_set():
                await self._round()
            if self._running:
                await asyncio.wait(tuple(self._running), timeout=grace)
            await self._exchange(0)
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
        except Exception as error:
            self.break_off(error)

    async def _round(self) -> None:
        """Report what ended, take as many jobs as there is room for, and wait for something to do."""
        self._change.clear()
        taken = await self._exchange(room := min(BATCH, AT_ONCE - len(self._running)))
        for job in taken:
            self._begin(job)
        if taken and len(self._running) < AT_ONCE:
            return  # there may be more
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
        if self._dropping:
            return
        # How the job ended could not be reported, so the worker gives up this one and all others.
        if task.cancelled():
            self.break_off(Conflict("job_canceled_itself", f"Job {job.id} ({job.kind}) canceled its own task."))
        elif isinstance(error := task.exception(), Exception):
            self.break_off(error)

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

    async def _exchange(self, room: int) -> Sequence[Claimed]:
        """Report what was done, and take as many jobs as there is room for."""
        if self._broken is not None:
            raise self._broken
        done, self._done = self._done, []
        return await self.queue.claim(room, done) if room or done else ()

    async def _drop(self) -> None:
        self._dropping = True
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=DROP_SECONDS)


def words_of(error: Exception, kind: Kind) -> str:
    """What is kept of an error. The text of an unexpected one may hold anything, so only its type is kept."""
    if isinstance(error, Refusal):
        return clean(f"{error.message} [{error.code}]", MAX_ERROR_CHARACTERS)
    if isinstance(error, GiveUp):
        return clean(error, MAX_ERROR_CHARACTERS)
    if isinstance(error, TimeoutError):
        return f"it took longer than {kind.seconds:g} s"
    log.warning("a job of kind %s failed", kind.name, exc_info=error)
    return f"{type(error).__name__}; the log of its worker has more"
