"""The job that publishes evidence, and the list of what was published where."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from backends.evidence.publisher import Publisher
from backends.postgres.filtering import Filtered
from backends.postgres.job_queue import PostgresQueue
from backends.postgres.paging import PagedList, as_json, shape_of
from backends.postgres.refusals import refusal_of
from backends.postgres.statements import Connection, scalar
from backends.postgres.table import Table
from controlplane.errors import Refusal
from controlplane.evidence.list import PUBLICATIONS
from controlplane.evidence.model import Publication, PublicationDirectory, PublicationStore
from controlplane.evidence.publishing import Target
from controlplane.evidence.refusals import NO_PUBLICATION
from controlplane.jobs.engine import GiveUp, Kind
from controlplane.jobs.model import Claimed, JobQueue

PUBLICATION_TABLE = Table("wf.publications", Publication, ("id",), NO_PUBLICATION, view="wf.publication_list")
JOB_SECONDS = 3600.0
AT_ONCE = 2
"""Bundles that one worker publishes at a time: each takes a thread, and up to 32 MiB."""
BUSY_SECONDS = 10.0
WANTED = "SELECT e.sha256, p.target FROM wf.publications p JOIN wf.evidence e ON e.id = p.evidence_id WHERE p.id = %s"
SETTLE = "SELECT wf.settle_publication(%s, %s, %s)"
FINAL = ("target_unreadable", "bundle_too_large", "manifest_differs")
"""Another try would be refused the same way."""


def publishing(publisher: Publisher) -> Kind:
    """The job of a worker that publishes, a few bundles at a time: the others are for another worker, or for later."""
    room = asyncio.Semaphore(AT_ONCE)
    threads = ThreadPoolExecutor(AT_ONCE, "publishing")

    async def run(queue: JobQueue, job: Claimed) -> bool:
        if room.locked():
            await queue.release([job], "this worker publishes as many as it can", BUSY_SECONDS)
            return True
        async with room:
            return await publish(queue, job)

    async def publish(queue: JobQueue, job: Claimed) -> bool:
        assert isinstance(queue, PostgresQueue)
        number = int(job.payload["publication"])
        try:
            async with queue.connection() as connection:
                found = await (await connection.execute(WANTED, [number])).fetchone()
        except psycopg.Error as error:
            raise refusal_of(error) from None
        if found is None:
            raise GiveUp("The publication is gone.")
        try:
            attestation = await _in_thread(threads, publisher, *found)
        except Refusal as refusal:
            if refusal.code in FINAL:
                raise GiveUp(f"{refusal.message} [{refusal.code}]") from None
            raise
        await queue.settled(job, SETTLE, [number, job.id, as_json(attestation)])
        return True

    return Kind("publish_evidence", run, seconds=JOB_SECONDS)


async def _in_thread(threads: Executor, publisher: Publisher, sha256: str, target: str) -> Mapping[str, Any]:
    """The thread cannot be stopped from outside: it is told, and stops with its next piece."""
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Refusal("publishing_stopped", "It was broken off.")

    try:
        work = partial(publisher.publish, sha256, Target.parse(target), check)
        return await asyncio.get_running_loop().run_in_executor(threads, work)
    finally:
        stop.set()


class Publications(PagedList[Publication], PublicationDirectory):
    shape = shape_of(
        PUBLICATIONS,
        "wf.publication_list",
        filters={
            "id": Filtered(sql.SQL("id::text"), number=sql.Identifier("id")),
            "evidence": Filtered(sql.SQL("evidence_id::text"), number=sql.Identifier("evidence_id")),
        },
    )

    async def get(self, number: int) -> Publication:
        async with self.home.connection() as connection:
            return await PUBLICATION_TABLE.get(connection, number)

    async def attestation(self, number: int) -> Mapping[str, Any] | None:
        async with self.home.connection() as connection:
            found: Mapping[str, Any] | None = await scalar(
                connection, "SELECT (SELECT attestation FROM wf.publications WHERE id = %s)", [number]
            )
            return found


@dataclass(frozen=True)
class PublicationWriter(PublicationStore):
    """Writes within one transaction, through the home's functions alone."""

    connection: Connection

    async def lock(self, number: int) -> Publication:
        return await PUBLICATION_TABLE.get(self.connection, number)

    async def publish(self, evidence: int, target: str) -> Publication:
        number = await scalar(self.connection, "SELECT wf.publish_evidence(%s, %s)", [evidence, target])
        return await PUBLICATION_TABLE.get(self.connection, number)

    async def change(self, verb: str, number: int) -> Publication:
        await self.connection.execute("SELECT wf.change_publication(%s, %s)", [verb, number])
        return await PUBLICATION_TABLE.get(self.connection, number)
