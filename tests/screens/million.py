"""A list of a million made-up rows that counts what is read of it."""

from __future__ import annotations

import asyncio
import bisect
from dataclasses import dataclass
from datetime import UTC, datetime

from controlplane.listing import Count, Page, Position, Query
from controlplane.lists import Cell
from screens.widgets.columns import Column

MILLION = 1_000_000


@dataclass(frozen=True)
class Thing:
    key: str
    name: str
    errors: int


class Million:
    """Row `n` stands at position (n,), from 0. `odd` has rows in between; `gone` are left out; `names` differ.

    A query with a term shows even rows only. While `gate` is unset, reads wait.
    """

    def __init__(self, size: int = MILLION) -> None:
        self.size = size
        self.odd: dict[float, str] = {}
        self.gone: set[int] = set()
        self.names: dict[str, str] = {}
        self.errors: dict[str, int] = {}
        self.reads: list[tuple[Position | None, bool, int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[Thing]:
        self.reads.append((start, backward, limit))
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        places = self._places(query, start, inclusive, backward, limit + 1)
        more, places = len(places) > limit, places[:limit]
        started = start is None
        if backward:
            places.reverse()
        first, last = (not more, started) if backward else (started, not more)
        if started is False:  # what lies on the side that was not asked about
            rest = self._places(query, (places[0],) if places and not backward else start, False, not backward, 1)
            first, last = (first, not rest) if backward else (not rest, last)
        rows = tuple(self._row(place) for place in places)
        return Page(rows, tuple((place,) for place in places), first, last, datetime(2026, 1, 1, tzinfo=UTC))

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        return Count(min(self.size, cap), self.size > cap)

    def _places(self, query: Query, start: Position | None, inclusive: bool, backward: bool, limit: int) -> list[float]:
        at = (float("inf") if backward else float("-inf")) if start is None else float(str(start[0]))
        odd = sorted(self.odd)
        if backward:
            whole = int(min(at, self.size) // 1) if at != float("inf") else self.size - 1
            numbers = (n for n in range(min(whole + 1, self.size - 1), -1, -1) if self._after(n, at, inclusive, True))
            others = odd[: bisect.bisect_right(odd, at)][::-1]
        else:
            whole = 0 if at == float("-inf") else max(0, int(at // 1))
            numbers = (n for n in range(whole, self.size) if self._after(n, at, inclusive, False))
            others = odd[bisect.bisect_left(odd, at) :]
        kept: list[float] = []
        for number in numbers:
            if number not in self.gone and not (query.terms and number % 2):
                kept.append(float(number))
            if len(kept) >= limit:
                break
        kept += [place for place in others if self._after(place, at, inclusive, backward)]
        return sorted(kept, reverse=backward)[:limit]

    @staticmethod
    def _after(place: float, at: float, inclusive: bool, backward: bool) -> bool:
        return (inclusive and place == at) or (place < at if backward else place > at)

    def _row(self, place: float) -> Thing:
        key = self.odd.get(place) or f"t{int(place):07d}"
        return Thing(key, self.names.get(key, f"name of {key}"), self.errors.get(key, int(place) % 7))


def tone(thing: Thing) -> Cell:
    return Cell(str(thing.errors), "bad" if thing.errors > 5 else "")


COLUMNS: tuple[Column[Thing], ...] = (
    Column("key", "TENANT", 12, 1, lambda thing: Cell(thing.key)),
    Column("name", "NAME", 24, 2, lambda thing: Cell(thing.name), grow=True),
    Column("errors", "ERRORS", 8, 3, tone, "right"),
    Column("more", "MORE", 40, 4, lambda thing: Cell("more of " + thing.key)),
)
