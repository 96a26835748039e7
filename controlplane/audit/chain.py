"""The chain over the audit trail: how it is computed, and where it first breaks. docs/audit.md describes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.formatting import age, count, relative

if TYPE_CHECKING:
    from controlplane.audit.checkpoints import Checkpoint

GENESIS = bytes(32)
LATE = timedelta(minutes=1)
"""How long a row may wait for its link; longer means that no worker chains."""
UNSIGNED = timedelta(minutes=15)
"""How long a link may wait for a checkpoint; longer means that nobody signs."""


def following(head: bytes, canonical: str) -> bytes:
    """The head after a row, from the one before it."""
    leaf = hashlib.sha256(b"\x00" + canonical.encode()).digest()
    return hashlib.sha256(head + leaf).digest()


@dataclass(frozen=True)
class Link:
    """A row's number, its text as it is now (None: the row is gone) and the head that was chained after it."""

    seq: int
    canonical: str | None
    head: bytes

    @property
    def cut(self) -> bool:
        """Whether the row is so large that its text holds a digest of its content instead."""
        if self.canonical is None or '_digest": "' not in self.canonical:
            return False
        return not {"before_digest", "after_digest"}.isdisjoint(json.loads(self.canonical))


@dataclass(frozen=True)
class Fault:
    """`seq`: the first row that is wrong; 0: the fault is not in a row."""

    seq: int
    code: str
    words: str


@dataclass
class Walk:
    """Walks along the chain from a trusted place and computes every head again."""

    size: int = 0
    head: bytes = GENESIS

    def step(self, link: Link) -> Fault | None:
        """Go on by one row. Returns what is wrong with it, and stays before it then."""
        number = self.size + 1
        if link.seq != number:
            return Fault(number, "link_missing", f"The link of row {number} is missing from the chain.")
        if link.canonical is None:
            return Fault(number, "row_missing", f"Row {number} was chained, and is no longer in the trail.")
        head = following(self.head, link.canonical)
        if head != link.head:
            return Fault(number, "row_changed", f"Row {number} is not what was chained: it or its link was changed.")
        self.size, self.head = number, head
        return None


@dataclass
class Verdict:
    """What was found. `waiting`: rows that are not chained yet, so they were not verified; None: not known.

    `checkpoints`: how many the chain was compared with; `signed`: the last row that they cover. `others`: checkpoints
    that no trusted key signed. `cut`: rows that are too large to be read, whose digest was verified instead.
    """

    origin: str
    size: int = 0
    head: str = ""
    waiting: int | None = None
    checkpoints: int = 0
    signed: int = 0
    others: int = 0
    cut: int = 0
    faults: list[Fault] = field(default_factory=list)


class Verification:
    """Verifies the chain against itself and against signed checkpoints; the first fault in a row ends it."""

    def __init__(
        self,
        origin: str,
        checkpoints: Sequence[Checkpoint | None],
        trail: str | None = None,
        published: Sequence[Checkpoint | None] = (),
    ) -> None:
        """`origin`: which trail this should be, as known from outside; `trail`: which one it says it is. `published`:
        checkpoints that were published with bundles; there need not be all of them.

        A checkpoint that no trusted key signed is passed as None.
        """
        ours, others = ([each for each in found if each is not None and each.origin == origin]
                        for found in (checkpoints, published))  # fmt: skip
        self.verdict = Verdict(origin, others=len(checkpoints) + len(published) - len(ours) - len(others))
        every = list({(each, each.signer): each for each in (*ours, *others)}.values())
        self._outside = list(_outside(self.verdict, every, trail, numbered=bool(ours)))
        self._walk = Walk()
        self._left = sorted(every, key=lambda each: each.size, reverse=True)
        self._same(self._walk)

    def step(self, link: Link) -> bool:
        """False when there is nothing more to be learned."""
        fault = self._walk.step(link)
        if fault is not None:
            self.verdict.faults.append(fault)
        else:
            self.verdict.cut += link.cut
            self._same(self._walk)
        return not self.verdict.faults

    @property
    def size(self) -> int:
        """How many rows were verified."""
        return self._walk.size

    def end(self, waiting: int | None = None, due: int | None = None) -> Verdict:
        """Finish, when the chain has no more links. `waiting`: rows after its end; `due`: how many there should be."""
        verdict, walk = self.verdict, self._walk
        verdict.size, verdict.head, verdict.waiting = walk.size, walk.head.hex(), waiting
        if waiting != due and not verdict.faults:
            words = f"Of the {due} rows after row {walk.size}, which are not chained yet, only {waiting} are there."
            verdict.faults.append(Fault(walk.size + 1, "row_missing", words))
        if self._left and not verdict.faults:
            words = f"The chain ends at row {walk.size}, but row {self._left[0].size} was signed: its tail was cut."
            verdict.faults.append(Fault(walk.size + 1, "tail_cut", words))
        verdict.faults += self._outside
        return verdict

    def _same(self, walk: Walk) -> None:
        while self._left and self._left[-1].size <= walk.size:
            checkpoint = self._left.pop()
            if checkpoint.head != walk.head:
                first = self.verdict.signed + 1
                words = (
                    f"Rows {first} to {checkpoint.size} are not those that were signed"
                    f" at {checkpoint.at:%Y-%m-%d %H:%M:%S} UTC: the trail was rewritten."
                )
                self.verdict.faults.append(Fault(first, "trail_rewritten", words))
                return
            self.verdict.signed = checkpoint.size
            self.verdict.checkpoints += 1


def _outside(verdict: Verdict, ours: Sequence[Checkpoint], trail: str | None, numbered: bool) -> Iterator[Fault]:
    """The faults that can be seen before any row is read. `numbered`: there should be all of each key."""
    if trail is not None and trail != verdict.origin:
        words = f"The trail says that it is {trail}, but {verdict.origin} was signed: it is another trail."
        yield Fault(0, "origin_changed", words)
    if verdict.others:
        words = "Checkpoints that no trusted key has signed for this trail, so it was not compared with them"
        yield Fault(0, "checkpoint_skipped", f"{words}: {count(verdict.others)}.")
    for signer in sorted({each.signer for each in ours if numbered}):
        numbers = {each.number for each in ours if each.signer == signer}
        most = max(numbers)
        if len(numbers) < most:
            first = next(number for number in range(1, most) if number not in numbers)
            words = f"Of {count(most)} checkpoints by the key {signer} {count(most - len(numbers))} are missing"
            yield Fault(0, "checkpoint_missing", f"{words}, the first number {first}.")
    if not ours:
        words = "It was compared with no checkpoint: a cut tail or a rewritten trail would not be found."
        yield Fault(0, "unsigned", words)


def late(since: datetime | None, now: datetime) -> Fault | None:
    """A fault when rows have waited for their link since then, longer than any worker takes."""
    if since is None or now - since <= LATE:
        return None
    words = f"Rows have waited unchained for {age(since, now)}: no worker chains them, or it was refused."
    return Fault(0, "rows_unchained", f"{words} Until they are chained, nobody would notice a change to them.")


@dataclass(frozen=True)
class ChainStatus:
    """How far the trail is chained and signed. `waits_since`: since when rows wait for their link; `unsigned_since`:
    since when links wait for a checkpoint. `trouble`: why the last chaining or signing failed; None: it did not.
    """

    written: int
    chained: int
    signed: int | None
    signed_at: datetime | None
    waits_since: datetime | None
    unsigned_since: datetime | None
    trouble: str | None = None

    def late(self, now: datetime) -> bool:
        return self.trouble is not None or any(
            since is not None and now - since > most
            for since, most in ((self.waits_since, LATE), (self.unsigned_since, UNSIGNED))
        )


def status_words(status: ChainStatus | None, now: datetime) -> str:
    """The status for the title of the audit screen; unknown is shown as unknown."""
    if status is None:
        return "chain ? not known"
    if status.signed is None or status.signed_at is None:
        signed = "no checkpoint yet"
    else:
        signed = f"checkpoint {relative(status.signed_at, now)}"
    refused = ", refused" if status.trouble else ""
    return f"{'! ' if status.late(now) else ''}chained to {count(status.chained)}, {signed}{refused}"
