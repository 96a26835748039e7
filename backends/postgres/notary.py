"""The signing of the audit chain: read, held against what was signed before, and signed by a key no home holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.rows import TupleRow

from backends.checkpoint_folder import CheckpointFolder
from backends.postgres.audit_chain import origin_of, page_of_links
from backends.postgres.job_queue import connect
from backends.postgres.refusals import refusal_of
from controlplane.auditchain import Link, Walk
from controlplane.checkpoints import Checkpoint, SigningKey
from controlplane.errors import Conflict, Refusal
from controlplane.jobs.engine import Kind
from controlplane.jobs.model import Claimed, JobQueue

Connection = psycopg.AsyncConnection[TupleRow]
SIGN_EVERY = timedelta(minutes=5)
BITE = 50_000
MOST = 2_000_000
"""Rows of one checkpoint more than of the one before: some minute's work; a longer trail is signed in several."""


async def links(connection: Connection, after: int) -> AsyncIterator[Link]:
    """The chain behind a row, in order."""
    while page := await page_of_links(connection, after):
        for link in page:
            yield link
        after = page[-1].seq


@dataclass(frozen=True)
class Signed:
    """A checkpoint that holds now, and whether it was made just now: an unchanged trail is not signed twice."""

    checkpoint: Checkpoint
    note: str = field(repr=False)
    new: bool


@dataclass(frozen=True)
class Notary:
    """Signs checkpoints of one home into a folder outside it; never one that contradicts those there."""

    conninfo: str = field(repr=False)
    folder: CheckpointFolder
    key: SigningKey

    async def sign(self) -> Signed | None:
        """None: the trail has no row yet.

        Raises Refusal: `audit_inconsistent`, `audit_gap`, `checkpoint_under_way`, and what the folder refuses.
        """
        try:
            async with await connect(self.conninfo, "notary") as connection:
                turn = "SELECT pg_try_advisory_lock(hashtextextended('wf.audit_checkpoint', 0))"
                if await (await connection.execute(turn)).fetchone() != (True,):
                    raise Conflict("checkpoint_under_way", "Another worker is just signing.", "Ask again.")
                return await self._sign(connection)
        except psycopg.Error as error:
            raise refusal_of(error) from None

    async def _sign(self, connection: Connection) -> Signed | None:
        for _ in range(MOST // BITE):
            if await (await connection.execute("SELECT wf.chain_audit(%s)", [BITE])).fetchone() == (0,):
                break
        origin = await origin_of(connection)
        public = self.key.public(origin)
        before = await asyncio.to_thread(self.folder.last, public)
        await self._compare_copies(connection)
        walk = Walk() if before is None else Walk(before[0].size, before[0].head)
        start = walk.size
        await self._compare_place(connection, walk)
        async for link in links(connection, walk.size):
            if (fault := walk.step(link)) is not None:
                raise _inconsistent(fault.words)
            if walk.size - start >= MOST:
                break
        if before is not None and walk.size == before[0].size:
            return Signed(*before, new=False)
        if walk.size == 0:
            return None
        checkpoint = Checkpoint(origin, walk.size, walk.head, datetime.now(UTC).replace(microsecond=0))
        note = self.key.sign(checkpoint)
        await asyncio.to_thread(self.folder.add, public, checkpoint, note)
        await connection.execute("SELECT wf.keep_checkpoint(%s, %s, %s)", [walk.size, walk.head, note])
        return Signed(checkpoint, note, new=True)

    async def _compare_place(self, connection: Connection, walk: Walk) -> None:
        """What was signed last must be in the chain as it was; all before it is held in its head."""
        if walk.size == 0:
            return
        found = await (
            await connection.execute("SELECT head FROM wf.audit_chain WHERE seq = %s", [walk.size])
        ).fetchone()
        if found is None:
            raise _inconsistent(f"row {walk.size} was signed, and the chain does not reach it")
        if bytes(found[0]) != walk.head:
            raise _inconsistent(f"the head after row {walk.size} is not the one that was signed")

    async def _compare_copies(self, connection: Connection) -> None:
        """What others have signed is not ours to trust, but what contradicts it is not signed."""
        cursor = await connection.execute(
            "SELECT p.size, c.head = p.head FROM (SELECT size, head FROM wf.audit_checkpoints"
            " ORDER BY size DESC, id DESC LIMIT 1) p LEFT JOIN wf.audit_chain c ON c.seq = p.size"
        )
        copy = await cursor.fetchone()
        if copy is not None and copy[0] > 0 and copy[1] is not True:
            raise _inconsistent(f"the home's copy of a checkpoint of {copy[0]} rows is not of this chain")


def _inconsistent(words: str) -> Refusal:
    return Refusal(
        "audit_inconsistent",
        f"The audit trail is not the one that was signed before ({words.rstrip('.')}): nothing is signed.",
        "watchfloor audit verify names the first row; keep the checkpoints that lie outside.",
    )


def signing(notary: Notary) -> Kind:
    """The periodic job of a worker that has a key."""

    async def run(queue: JobQueue, job: Claimed) -> bool:
        await notary.sign()
        return False

    return Kind("sign_audit_checkpoint", run, SIGN_EVERY, seconds=300)
