"""Lists that are in memory, paged by key like any other: for few rows, or rows computed all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.listing import Count, Page, Position, Query, Row
from controlplane.lists import ListOf
from controlplane.refusals import NO_ROW

if TYPE_CHECKING:
    from controlplane.filters.values import Found
    from controlplane.lists import Column

R = TypeVar("R", bound=Row)


def counted(column: Column[Any], rows: Sequence[Row]) -> list[tuple[str, int]]:
    """The most frequent values of a column, one more than are shown."""
    from controlplane.filters.values import MAX_ROWS, MAX_VALUES

    numbers: Counter[str] = Counter()
    for row in rows[:MAX_ROWS]:
        value = column.value_of(row)
        numbers.update(map(str, value if column.kind.many and value else [value] if value else []))
    return sorted(numbers.items(), key=lambda each: (-each[1], each[0]))[: MAX_VALUES + 1]


class FewRows(Generic[R]):
    """The `Listing` of a few rows in the order in which they are read, each at its place."""

    async def rows(self) -> tuple[Sequence[R], datetime]:
        """All rows, and as of when. Raises Refusal."""
        raise NotImplementedError

    def placed(self, rows: Sequence[R], query: Query, as_of: datetime) -> list[tuple[Position, R]]:
        """Those that the query asks for, each with its position, in ascending order."""
        return [((place,), row) for place, row in enumerate(rows)]

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
        placed = self.placed(rows, query, as_of)
        if query.descending:
            placed.reverse()
        if start is not None:
            up, begin = query.descending == backward, tuple(start)
            placed = [
                (at, row) for at, row in placed if (inclusive and at == begin) or (at != begin and (at > begin) == up)
            ]
        more = len(placed) > limit
        placed = placed[-limit:] if backward else placed[:limit]
        bounded = start is not None
        return Page(
            rows=tuple(row for _, row in placed),
            positions=tuple(at for at, _ in placed),
            first=not more if backward else not bounded,
            last=not bounded if backward else not more,
            as_of=as_of,
        )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        rows, as_of = await self.rows()
        number = len(self.placed(rows, query, as_of))
        return Count(min(number, cap), number > cap)

    async def values(self, column: Column[Any], terms: Sequence[Term]) -> Found:
        rows, as_of = await self.rows()
        return counted(column, [row for _, row in self.placed(rows, Query(tuple(terms)), as_of)])

    async def get(self, *key: Any) -> R:
        rows, _ = await self.rows()
        found = next((row for row in rows if row.key == "/".join(map(str, key))), None)
        if found is None:
            raise self.missing(*key)
        return found

    def missing(self, *key: Any) -> Refusal:
        return NO_ROW.of(*key)


class MemoryList(FewRows[R]):
    """The `Listing` of a declared list: filtered, and in the declared orders where it has any. A subclass may hide rows
    that no filter asks for.
    """

    declared: ListOf[R]

    def missing(self, *key: Any) -> Refusal:
        return self.declared.missing.of(*key)

    def matching(self, rows: Sequence[R], terms: Sequence[Term], now: datetime) -> list[R]:
        return self.declared.matching(rows, terms, now)

    def placed(self, rows: Sequence[R], query: Query, as_of: datetime) -> list[tuple[Position, R]]:
        matching = self.matching(rows, query.terms, as_of)
        if not (query.sort or self.declared.order):
            return super().placed(matching, query, as_of)
        return sorted(((self.declared.position(row, query), row) for row in matching), key=lambda pair: pair[0])
