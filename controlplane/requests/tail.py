"""The newest requests in memory: as many as fit, and how many older ones were let go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.filters.grammar import Term
from controlplane.memorylist import MemoryList, counted
from controlplane.requests.list import REQUESTS
from controlplane.requests.model import Fresh, RequestDirectory, StoredRequest

if TYPE_CHECKING:
    from controlplane.filters.values import Found
    from controlplane.lists import Column

MAX_ROWS = 2_000
FIRST_ROWS = 200
"""So many are read when it begins."""


class Tail(MemoryList[StoredRequest]):
    """Holds at most `most`. `left_out`: how many that came since it began are no longer held."""

    declared = REQUESTS

    def __init__(self, directory: RequestDirectory, terms: Sequence[Term] = (), most: int = MAX_ROWS) -> None:
        self.directory, self.terms, self.most = directory, tuple(terms), most
        self.held: list[StoredRequest] = []
        self.mark = ""
        self.left_out = 0
        self.as_of: datetime | None = None
        self._reading = asyncio.Lock()

    async def read_on(self) -> None:
        """Read what came since the last reading. Raises Refusal."""
        await self._begun()
        async with self._reading:
            self.take(await self.directory.after(self.mark, self.terms, self.most))

    async def _begun(self) -> datetime:
        async with self._reading:
            if self.as_of is None:
                self.take(await self.directory.newest(self.terms, FIRST_ROWS))
            assert self.as_of is not None
            return self.as_of

    def take(self, fresh: Fresh) -> None:
        """Hold what was read; the oldest make room for it. What comes late goes to its place in time."""
        held = sorted([*self.held, *fresh.rows], key=lambda row: (row.at, row.id))
        spare = max(0, len(held) - self.most)
        self.left_out += spare + fresh.found - len(fresh.rows)
        self.held, self.mark, self.as_of = held[spare:], fresh.mark, fresh.as_of

    @property
    def words(self) -> str:
        """ "2,000 newest, 311 older left out"."""
        left_out = f", {self.left_out:,} older left out" if self.left_out else ""
        return f"{len(self.held):,} newest{left_out}"

    async def rows(self) -> tuple[Sequence[StoredRequest], datetime]:
        as_of = await self._begun()
        return self.held, as_of

    async def values(self, column: Column[Any], terms: Sequence[Term]) -> Found:
        """Those among the newest; when there are none, of all that are kept."""
        held = [] if self.as_of is None else self.declared.matching(self.held, terms, self.as_of)
        return counted(column, held) or await self.directory.values(column, terms)

    def matching(self, rows: Sequence[StoredRequest], terms: Sequence[Term], now: datetime) -> list[StoredRequest]:
        """The database filters them."""
        return list(rows)
