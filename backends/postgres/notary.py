"""Signs the audit chain: recomputes it, compares it with what was signed before, and signs with a key no home holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.rows import TupleRow

from backends.checkpoint_folder import TRUSTED, CheckpointFolder
from backends.postgres.audit_chain import origin_of, page_of_links
from backends.postgres.job_queue import connect
from backends.postgres.refusals import as_refusals
from backends.postgres.statements import scalar
from controlplane.audit.chain import Link, Walk
from controlplane.audit.checkpoints import Checkpoint, PublicKey, SigningKey
from controlplane.audit.refusals import AUDIT_INCONSISTENT
from controlplane.errors import Conflict, Refusal
from controlplane.jobs.engine import Kind
from controlplane.jobs.model import Claimed, JobQueue

Connection = psycopg.AsyncConnection[TupleRow]
SIGN_EVERY = timedelta(minutes=5)
BITE = 50_000
MAX_ROWS_SIGNED = 2_000_000
"""The most rows that one checkpoint adds, about a minute's work; a longer trail is signed in several checkpoints."""
TURN_PATIENCE, TURN_PAUSE = 20.0, 0.5
"""How long a person's checkpoint waits for a worker that signs, and how often it looks, in seconds."""
UNDER_WAY = "checkpoint_under_way"


async def links(connection: Connection, after: int) -> AsyncIterator[Link]:
    """The chain after a row, in order."""
    while page := await page_of_links(connection, after):
        for link in page:
            yield link
        after = page[-1].seq


@dataclass(frozen=True)
class Signed:
    """A valid checkpoint. `new`: it was made just now; an unchanged trail is not signed twice."""

    checkpoint: Checkpoint
    note: str = field(repr=False)
    new: bool


@dataclass(frozen=True)
class Notary:
    """Signs checkpoints of one home into a folder outside it, and never one that contradicts those in the folder."""

    conninfo: str = field(repr=False)
    folder: CheckpointFolder
    key: SigningKey

    async def sign(self) -> Signed | None:
        """Sign the trail as it is now. None when it has no row yet.

        Raises Refusal: `audit_inconsistent`, `audit_gap`, `checkpoint_under_way`, and what the folder refuses.
        """
        with as_refusals():
            async with await connect(self.conninfo, "notary") as connection:
                for _ in range(MAX_ROWS_SIGNED // BITE):
                    if await scalar(connection, "SELECT wf.chain_audit(%s)", [BITE]) == 0:
                        break
                async with connection.transaction():
                    if not await scalar(connection, "SELECT wf.checkpoint_turn()"):
                        raise Conflict(UNDER_WAY, "Another worker is signing now.", "Try again.")
                    return await self._sign(connection)

    async def sign_in_turn(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> Signed | None:
        """Sign it for a person, who needs not hear that a worker of the same home is signing at that moment.

        Raises Refusal as `sign` does; `checkpoint_under_way` only when it was not this one's turn for TURN_PATIENCE.
        """
        for _ in range(round(TURN_PATIENCE / TURN_PAUSE)):
            try:
                return await self.sign()
            except Conflict as conflict:
                if conflict.code != UNDER_WAY:
                    raise
            await pause(TURN_PAUSE)
        return await self.sign()

    async def _sign(self, connection: Connection) -> Signed | None:
        origin = await origin_of(connection)
        public = self.key.public(origin)
        before = await asyncio.to_thread(self._last, public)
        for checkpoint in before.values():
            await self._compare_place(connection, checkpoint)
        await self._compare_copies(connection)
        own = before.get(public.id.hex())
        walk = Walk() if own is None else Walk(own.size, own.head)
        start = walk.size
        async for link in links(connection, walk.size):
            if (fault := walk.step(link)) is not None:
                raise _inconsistent(fault.words)
            if walk.size - start >= MAX_ROWS_SIGNED:
                break
        if own is not None and walk.size == own.size:
            return Signed(own, self.key.sign(own), new=False)
        if walk.size == 0:
            return None
        at, number = await _now(connection), own.number + 1 if own else 1
        checkpoint = Checkpoint(origin, walk.size, walk.head, at, number)
        note = self.key.sign(checkpoint)
        if not before:
            await asyncio.to_thread(self._trust, public)
        await asyncio.to_thread(self.folder.add, public, checkpoint, note)
        await connection.execute("SELECT wf.keep_checkpoint(%s, %s, %s)", [walk.size, walk.head, note])
        return Signed(checkpoint, note, new=True)

    def _last(self, public: PublicKey) -> dict[str, Checkpoint]:
        """The last checkpoint of each pinned key, by the key's id in hex; empty when no key is pinned.

        Raises Refusal when the folder is pinned to another trail, or when our key is not among its pinned keys.
        """
        trusted = self.folder.trusted()
        if other := next((key.origin for key in trusted if key.origin != public.origin), None):
            raise Refusal(
                "audit_origin_changed",
                f"The home says that its trail is {public.origin}, but {self.folder.path} is of {other}:"
                " it is another home, or its trail was rewritten. Nothing is signed.",
                "If it is meant to be another home, give its checkpoints another folder.",
            )
        if trusted and public not in trusted:
            raise Refusal(
                "signing_key_unpinned",
                f"This account's key is not one of those in {self.folder.path / TRUSTED}: nothing is signed.",
                f"If this account is to sign there too, add its line to that file: {public}",
            )
        last = {key.id.hex(): self.folder.last(key) for key in trusted}
        return {signer: found[0] for signer, found in last.items() if found is not None}

    def _trust(self, public: PublicKey) -> None:
        if not self.folder.trusted():
            self.folder.trust(public)

    async def _compare_place(self, connection: Connection, signed: Checkpoint) -> None:
        """The chain must still have the head that was signed last; that head covers all rows before it."""
        found = await (
            await connection.execute("SELECT head FROM wf.audit_chain WHERE seq = %s", [signed.size])
        ).fetchone()
        if found is None:
            raise _inconsistent(f"row {signed.size} was signed, but the chain does not reach it")
        if bytes(found[0]) != signed.head:
            raise _inconsistent(f"the head after row {signed.size} is not the one that was signed")

    async def _compare_copies(self, connection: Connection) -> None:
        """The home's copies prove nothing, but a chain that contradicts them is not signed."""
        cursor = await connection.execute(
            "SELECT p.size, c.head = p.head FROM (SELECT size, head FROM wf.audit_checkpoints"
            " ORDER BY size DESC, id DESC LIMIT 1) p LEFT JOIN wf.audit_chain c ON c.seq = p.size"
        )
        copy = await cursor.fetchone()
        if copy is not None and copy[0] > 0 and copy[1] is not True:
            raise _inconsistent(f"the home's copy of a checkpoint of {copy[0]} rows is not of this chain")


async def _now(connection: Connection) -> datetime:
    """The time by the home's clock, like that of the trail's rows."""
    now: datetime = await scalar(connection, "SELECT date_trunc('second', clock_timestamp())")
    return now.astimezone(UTC)


def _inconsistent(words: str) -> Refusal:
    return AUDIT_INCONSISTENT(
        f"The audit trail is not the one that was signed before ({words.rstrip('.')}): nothing is signed."
    )


def signing(notary: Notary) -> Kind:
    """The periodic job of a worker that has a key."""

    async def run(queue: JobQueue, job: Claimed) -> bool:
        try:
            await notary.sign()
        except Conflict as conflict:
            if conflict.code != UNDER_WAY:  # another worker signs, so there is nothing to do
                raise
        return False

    return Kind("sign_audit_checkpoint", run, SIGN_EVERY, seconds=300)
