"""The jobs of a worker that publishes: publish a bundle, verify what is published, sweep up what was left."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import psycopg

from backends.evidence.publisher import Publisher
from backends.postgres.job_queue import PostgresQueue
from backends.postgres.paging import as_json
from backends.postgres.refusals import refusal_of
from controlplane.errors import Refusal
from controlplane.evidence.publishing import Target
from controlplane.evidence.targets import Pace, Progress
from controlplane.jobs.engine import GiveUp, Kind
from controlplane.jobs.model import Claimed, JobQueue

JOB_SECONDS = 3600.0
AT_ONCE = 2
"""Bundles that one worker publishes at a time: each takes a thread, and up to 32 MiB."""
BUSY_SECONDS = 10.0
NOTE_SECONDS = 1.0
WANTED = """
SELECT e.sha256, p.target, t.rate, t.probed_at < clock_timestamp() - interval '1 day', wf.publication_turn(p.id, %s),
       p.canceled_at IS NOT NULL
FROM wf.publications p JOIN wf.evidence e ON e.id = p.evidence_id JOIN wf.publication_targets t ON t.target = p.target
WHERE p.id = %s
"""
ABLE = "SELECT wf.note_abilities(%s, %s, %s, %s, %s, %s, %s, %s)"
SETTLE = "SELECT wf.settle_publication(%s, %s, %s)"
CANCELED = "SELECT (SELECT p.canceled_at IS NOT NULL FROM wf.publications p WHERE p.id = %s)"
PUBLISHED = """
SELECT p.target, p.attestation, t.rate, c.objects, c.bytes, c.faults, c.fault_list
FROM wf.publications p JOIN wf.publication_checks c ON c.publication_id = p.id
JOIN wf.publication_targets t ON t.target = p.target WHERE p.id = %s AND c.job_id = %s
"""
NOTE = "SELECT wf.note_verification(%s, %s, %s, %s, %s, %s)"
VERIFIED = "SELECT wf.settle_verification(%s, %s)"
SWEEP = """
SELECT t.target, clock_timestamp() - t.sweep_hours * interval '1 hour', t.sweep_remove FROM wf.publication_targets t
WHERE t.target = %s
"""
SWEPT = "SELECT wf.settle_sweep(%s, %s, %s, %s, %s)"
FINAL = ("target_unreadable", "bundle_too_large", "manifest_differs", "target_unasked")
"""Another try would be refused the same way."""
T = TypeVar("T")


def publishing(publisher: Publisher) -> tuple[Kind, Kind, Kind]:
    """The jobs of a worker that publishes, a few at a time: the others are for another worker, or for later."""
    jobs = _Publishing(publisher)
    return (
        Kind("publish_evidence", jobs.publish, seconds=JOB_SECONDS),
        Kind("verify_published", jobs.verify, seconds=JOB_SECONDS),
        Kind("sweep_target", jobs.sweep, seconds=JOB_SECONDS),
    )


class _Publishing:
    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.room = asyncio.Semaphore(AT_ONCE)
        self.threads = ThreadPoolExecutor(AT_ONCE, "publishing")

    async def publish(self, queue: JobQueue, job: Claimed) -> bool:
        assert isinstance(queue, PostgresQueue)
        number = int(job.payload["publication"])
        if self.room.locked():
            return await self._later(queue, job, "this worker publishes as many as it can")
        async with self.room:
            found = await _asked(queue, WANTED, [job.id, number])
            if found is None:
                raise GiveUp("The publication is gone.")
            sha256, place, rate, old, wait, canceled = found
            if canceled:
                return await queue.settled(job, CANCELED, [number])
            if wait is not None:
                return await self._later(queue, job, "others go first, by their priority or the rate of its target")
            with final():
                target = Target.parse(place)
                if old is not False:  # also when it was never probed
                    able = await self._do(partial(self.publisher.probe, target), None)
                    told = (able.creates, able.versions, able.digests, able.locks, able.mode, able.days)
                    await _asked(queue, ABLE, [number, job.id, *told])
                attestation = await self._publish(queue, number, sha256, target, rate)
            if attestation is None:
                await queue.settled(job, CANCELED, [number])
            else:
                await queue.settled(job, SETTLE, [number, job.id, as_json(attestation)])
        return True

    async def _publish(
        self, queue: PostgresQueue, number: int, sha256: str, target: Target, rate: int | None
    ) -> Mapping[str, Any] | None:
        """The attestation; None: it was canceled, and is broken off before its manifest is made. After that the bundle
        is published, so what remains is read back whatever is asked for.
        """
        stop = threading.Event()

        def publish(back: Pace) -> Mapping[str, Any]:
            return self.publisher.publish(sha256, target, _pace(rate, stop), back)

        work = asyncio.create_task(self._do(publish, rate))
        try:
            while not (await asyncio.wait((work,), timeout=NOTE_SECONDS))[0]:
                if not stop.is_set() and await _asked(queue, CANCELED, [number]) == (True,):
                    stop.set()
            return await work
        except Refusal:
            if await _asked(queue, CANCELED, [number]) == (True,):
                return None
            raise
        finally:
            stop.set()
            work.cancel()
            await asyncio.wait((work,))

    async def verify(self, queue: JobQueue, job: Claimed) -> bool:
        assert isinstance(queue, PostgresQueue)
        number = int(job.payload["publication"])
        if self.room.locked():
            return await self._later(queue, job, "this worker reads as many as it can")
        async with self.room:
            found = await _asked(queue, PUBLISHED, [number, job.id])
            if found is None or found[1] is None:
                raise GiveUp("There is nothing to verify.")
            place, attestation, rate, *come = found
            progress = Progress(come[0], come[1], list(come[3]), come[2])
            last: list[Any] = []

            async def note() -> None:
                told = [progress.objects, progress.bytes, progress.faulty, as_json(progress.faults)]
                if told != last:
                    await _asked(queue, NOTE, [number, job.id, *told])
                    last[:] = told

            with final():
                verify = partial(self.publisher.verify, Target.parse(place), attestation, progress)
                work = asyncio.create_task(self._do(verify, rate))
                try:
                    while not (await asyncio.wait((work,), timeout=NOTE_SECONDS))[0]:
                        await note()
                    await work
                finally:
                    work.cancel()
                    await asyncio.wait((work,))
            await note()
            await queue.settled(job, VERIFIED, [number, job.id])
        return True

    async def sweep(self, queue: JobQueue, job: Claimed) -> bool:
        assert isinstance(queue, PostgresQueue)
        found = await _asked(queue, SWEEP, [job.payload["target"]])
        if found is None:
            raise GiveUp("The target is gone.")
        place, before, remove = found
        with final():
            swept = await self._do(partial(self.publisher.sweep, Target.parse(place), before, remove), None)
        told = [swept["found"], swept["removed"], as_json(swept["items"])]
        await queue.settled(job, SWEPT, [place, job.id, *told])
        return True

    async def _later(self, queue: PostgresQueue, job: Claimed, why: str) -> bool:
        await queue.release([job], why, BUSY_SECONDS)
        return True

    async def _do(self, work: Callable[[Pace], T], rate: int | None) -> T:
        """The thread cannot be stopped from outside: it is told, and stops with its next piece."""
        stop = threading.Event()
        try:
            return await _in_thread(self.threads, partial(work, _pace(rate, stop)))
        finally:
            stop.set()


def _pace(rate: int | None, stop: threading.Event) -> Pace:
    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            raise Refusal("publishing_stopped", "It was broken off.")

    return Pace(None if rate is None else rate * 1000.0, time.monotonic, wait)


async def _in_thread(threads: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)


class final:
    """What another try would be refused for as well is given up."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Refusal) and error.code in FINAL:
            raise GiveUp(f"{error.message} [{error.code}]") from None


async def _asked(queue: PostgresQueue, statement: str, values: Sequence[object]) -> Any:
    """One row, in a transaction of its own."""
    try:
        async with queue.connection() as connection:
            return await (await connection.execute(statement.encode(), values)).fetchone()
    except psycopg.Error as error:
        raise refusal_of(error) from None
