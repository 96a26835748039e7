"""A list that is computed in memory, paged by key like any other: for few rows, or rows computed all at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

from controlplane.filters.grammar import Term
from controlplane.listing import Count, Page, Position, Query, Row
from controlplane.lists import ListOf

R = TypeVar("R", bound=Row)


class MemoryList(Generic[R]):
    """The `Listing` of a declared list; `rows` reads its rows. A subclass may hide rows that no filter asks for."""

    declared: ListOf[R]

    async def rows(self) -> tuple[Sequence[R], datetime]:
        """All rows, and as of when. Raises Refusal."""
        raise NotImplementedError

    def matching(self, rows: Sequence[R], terms: Sequence[Term], now: datetime) -> list[R]:
        return self.declared.matching(rows, terms, now)

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[R]:
        rows, as_of = await self.rows()
        matching = self.matching(rows, query.terms, as_of)
        ordered = sorted(((self.declared.position(row, query), row) for row in matching), key=lambda pair: pair[0])
        if query.descending:
            ordered.reverse()
        if start is not None:
            up, begin = query.descending == backward, tuple(start)
            ordered = [
                (at, row) for at, row in ordered if (inclusive and at == begin) or (at != begin and (at > begin) == up)
            ]
        more = len(ordered) > limit
        ordered = ordered[-limit:] if backward else ordered[:limit]
        bounded = start is not None
        return Page(
            rows=tuple(row for _, row in ordered),
            positions=tuple(at for at, _ in ordered),
            first=not more if backward else not bounded,
            last=not bounded if backward else not more,
            as_of=as_of,
        )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        rows, as_of = await self.rows()
        number = len(self.matching(rows, query.terms, as_of))
        return Count(min(number, cap), number > cap)
