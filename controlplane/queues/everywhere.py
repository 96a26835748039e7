"""The causes of all sources in one order: the home's, which it pages, and those outside, which are in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.errors import NotFound
from controlplane.listing import Count, Listing, Page, Position, Query
from controlplane.lists import ListOf
from controlplane.queues.model import Cause, CauseDirectory
from controlplane.queues.sources import OutsideCause, SourceDirectory, causes_of

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane
    from controlplane.filters.grammar import Term
    from controlplane.filters.values import Found
    from controlplane.lists import Column


class AllCauses(Listing[Cause]):
    """`declared`: the list, by whose rules those outside are filtered."""

    def __init__(self, plane: ControlPlane, declared: ListOf[Cause]) -> None:
        self._declared = declared
        self._home = plane.of(CauseDirectory)
        self._outside = plane.of(SourceDirectory)
        self._clock = plane.clock

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[Cause]:
        home = await self._home.page(query, start=start, inclusive=inclusive, backward=backward, limit=limit)
        outside = await self._matching(query)
        if not outside:
            return home
        down = query.descending != backward
        rows = [(_place(row, query), position, row)
                for row, position in zip(home.rows, home.positions, strict=True)]  # fmt: skip
        begin = None if start is None else (_comparable(start[0]), start[1])
        beyond = [row for row in outside if _after(_place(row, query), begin, down, inclusive)]
        rows += [(_place(row, query), _position(row, query), row) for row in beyond]
        rows.sort(key=lambda each: each[0], reverse=down)
        ended = home.first if backward else home.last
        if not ended and home.rows:  # what lies beyond the home's page belongs to a later one
            edge = _place(home.rows[0 if backward else -1], query)
            rows = [each for each in rows if not _after(each[0], edge, down, False)]
        more = not ended or len(rows) > limit
        rows = rows[:limit]
        if backward:
            rows.reverse()
        return Page(
            rows=tuple(row for _, _, row in rows),
            positions=tuple(position for _, position, _ in rows),
            first=not more if backward else home.first,
            last=home.last if backward else not more,
            as_of=home.as_of,
        )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        home = await self._home.count(query, cap)
        number = home.number + len(await self._matching(query))
        return Count(min(number, cap), home.capped or number > cap)

    async def values(self, column: Column[Any], terms: Sequence[Term]) -> Found:
        home = await self._home.values(column, terms)
        if home is None:
            return None
        counted = Counter(dict(home))
        counted.update(str(column.value_of(each)) for each in await self._matching(Query(tuple(terms))))
        return counted.most_common()

    async def get(self, *key: Any) -> Cause:
        try:
            return await self._home.get(*key)
        except NotFound:
            found = next((each for each in await self._known() if each.id == str(key[0])), None)
            if found is None:
                raise
            return found

    async def _known(self) -> list[OutsideCause]:
        now = self._clock.now()
        return [cause for held in await self._outside.outside() for cause in causes_of(held, now)]

    async def _matching(self, query: Query) -> Sequence[Cause]:
        return self._declared.matching(await self._known(), query.terms, self._clock.now())


def _place(cause: Cause, query: Query) -> tuple[float, str]:
    return (cause.last_seen.timestamp() if query.sort == "last" else cause.waiting, cause.fingerprint)


def _position(cause: Cause, query: Query) -> Position:
    """As the home reads it: a time is text there."""
    return (cause.last_seen.isoformat() if query.sort == "last" else cause.waiting, cause.fingerprint)


def _comparable(value: Any) -> float:
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else float(value)


def _after(place: tuple[float, str], begin: tuple[Any, Any] | None, down: bool, inclusive: bool) -> bool:
    if begin is None or (inclusive and place == begin):
        return True
    return place < begin if down else place > begin
