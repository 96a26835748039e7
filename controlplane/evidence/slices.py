"""A part of the audit trail in a file, as it was chained: it can be verified without the rows before it.

    watchfloor/audit/0f8c… 1200 5c1e…      which trail, the row before the first one, and the head after that row
    9a0b… {"seq": 1201, …}                 a row: the head after it, and its text

A head commits to all rows before it. So when the chain from the first line leads to a head that was signed in a
checkpoint, these are the rows that were signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from controlplane import jsontext
from controlplane.audit.chain import GENESIS, Link, Walk
from controlplane.audit.checkpoints import Checkpoint
from controlplane.errors import Refusal

_FIRST = re.compile(rb"([^\s]{1,200}) (0|[1-9]\d{0,18}) ([0-9a-f]{64})\n")


def first_line(origin: str, after: int, head: bytes) -> bytes:
    return f"{origin} {after} {head.hex()}\n".encode()


def row_line(link: Link) -> bytes:
    return f"{link.head.hex()} {link.canonical or ''}\n".encode()


@dataclass(frozen=True)
class Slice:
    """Rows `after` + 1 to `to`. `signed_to`: the last row that a checkpoint vouches for; None: none does."""

    origin: str
    after: int
    to: int
    head: str
    signed_to: int | None

    @property
    def rows(self) -> int:
        return self.to - self.after


def walk(lines: Iterable[bytes], checkpoint: Checkpoint | None) -> Slice:
    """Compute the chain of a slice again and hold it against a checkpoint whose signature was verified.

    Raises Refusal `slice_unreadable`, `slice_broken`, `slice_rewritten`.
    """
    each = iter(lines)
    first = _FIRST.fullmatch(next(each, b""))
    if first is None:
        raise Refusal("slice_unreadable", "Its first line does not say which rows of which trail follow.")
    origin, after, head = first[1].decode("utf-8", "replace"), int(first[2]), bytes.fromhex(first[3].decode())
    if after == 0 and head != GENESIS:
        raise Refusal("slice_broken", "A trail begins with 32 zero bytes, and this one does not.")
    at, signed = Walk(after, head), None
    if checkpoint is not None and checkpoint.origin != origin:
        raise Refusal(
            "slice_rewritten", f"The checkpoint is of the trail {checkpoint.origin}, the rows are of {origin}."
        )
    if checkpoint is not None and checkpoint.size == after:
        signed = _compared(at, checkpoint)
    for line in each:
        if (fault := at.step(_link(line, at.size + 1))) is not None:
            raise Refusal("slice_broken", fault.words)
        if checkpoint is not None and checkpoint.size == at.size:
            signed = _compared(at, checkpoint)
    if checkpoint is not None and checkpoint.size > at.size:
        raise Refusal("slice_rewritten", f"Row {checkpoint.size} was signed, but the rows end at {at.size}.")
    return Slice(origin, after, at.size, at.head.hex(), signed)


def _compared(at: Walk, checkpoint: Checkpoint) -> int:
    if at.head != checkpoint.head:
        raise Refusal("slice_rewritten", f"The rows up to {at.size} are not those that were signed.")
    return at.size


def _link(line: bytes, number: int) -> Link:
    try:
        head, _, canonical = line.decode().rstrip("\n").partition(" ")
        return Link(jsontext.read(canonical)["seq"], canonical, bytes.fromhex(head))
    except (ValueError, KeyError, TypeError):
        raise Refusal("slice_unreadable", f"What should be row {number} is not a row of a trail.") from None
