"""Single requests in PostgreSQL: pages by time, and what was stored since a snapshot.

There is no index that orders the requests of all tenants by time, because it would slow storing them down. A page is
read in spans of time that begin small and grow, each by the block ranges (BRIN) of the times.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from backends.postgres.filtering import Filtered
from backends.postgres.paging import PagedList, shape_of
from backends.postgres.statements import Connection, scalar
from controlplane.filters.grammar import Term
from controlplane.listing import Count, Page, Position, Query
from controlplane.requests.list import REQUESTS
from controlplane.requests.model import Fresh, RequestDirectory, StoredRequest, bounds, time_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SPANS = (5 * MINUTE, 30 * MINUTE, 3 * HOUR, 18 * HOUR, 108 * HOUR)
MOMENT = timedelta(microseconds=1)
COUNT_SECONDS = 1.0
"""A count that takes longer stops at what it has."""
NEW = """
SELECT {columns}, count(*) OVER () AS _found FROM wf.request_list
WHERE xid >= %s AND xid < txid_snapshot_xmax(txid_current_snapshot())
  AND NOT txid_visible_in_snapshot(xid, %s::txid_snapshot) AND {condition}
ORDER BY at DESC, id DESC LIMIT %s
"""
"""No two readings have a request in common: the second snapshot sees those that the first did not. The bounds of the
transaction's number are what the block ranges answer.
"""
Slice = tuple[datetime | None, datetime | None]


class RequestList(PagedList[StoredRequest], RequestDirectory):
    # Names are compared as they are written, by the table's own indexes.
    shape = shape_of(
        REQUESTS,
        "wf.request_list",
        search="wf.folded(tenant_id || E'\\n' || route || E'\\n' || coalesce(request_id, ''))",
        filters={
            name: Filtered(sql.Identifier(column), "choice")
            for name, column in (
                *(("tenant", "tenant_id"), ("route", "route"), ("key", "key_prefix")),
                *(("key_id", "key_id"), ("request", "request_id")),
            )
        },
    )

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[StoredRequest]:
        if self._order(query).few:
            return await super().page(query, start=start, inclusive=inclusive, backward=backward, limit=limit)
        down = query.descending != backward
        async with self.home.connection() as connection:
            found = await self._read(connection, query, start, inclusive=inclusive, down=down, limit=limit + 1)
        more, found = len(found) > limit, found[:limit]
        if backward:
            found.reverse()
        bounded = start is not None
        return Page(
            rows=tuple(self.make(row) for row in found),
            positions=tuple((row["_sort"], row["id"]) for row in found),
            first=not more if backward else not bounded,
            last=not bounded if backward else not more,
            as_of=found[0]["_now"].astimezone(UTC) if found else self.home.clock.now(),
        )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        number, begun = 0, time.monotonic()
        async with self.home.connection() as connection:
            async for span in self._slices(connection, query, None, down=True):
                counting = self._counting(_within(query, span), cap - number)
                number += await scalar(connection, *counting)
                if number > cap or time.monotonic() - begun > COUNT_SECONDS:
                    return Count(min(number, cap), capped=True)
        return Count(number)

    async def get(self, *key: Any) -> StoredRequest:
        id = str(key[0])
        if (at := time_of(id)) is None:
            raise REQUESTS.missing.of(id)
        only = _within(Query(descending=True), (at, at + MOMENT))
        async with self.home.connection() as connection:
            page = await self._read(connection, only, None, inclusive=False, down=True, limit=10_000)
        found = next((row for row in page if row["id"] == id), None)
        if found is None:
            raise REQUESTS.missing.of(id)
        return self.make(found)

    async def newest(self, terms: Sequence[Term], limit: int) -> Fresh:
        async with self.home.connection(snapshot=True) as connection:
            mark = await scalar(connection, "SELECT txid_current_snapshot()::text")
            query = Query(tuple(terms), "at", descending=True)
            found = await self._read(connection, query, None, inclusive=False, down=True, limit=limit)
        return self._fresh(found, mark, len(found))

    async def after(self, mark: str, terms: Sequence[Term], limit: int) -> Fresh:
        condition, parameters = self._where(Query(tuple(terms)))
        statement = sql.SQL(NEW).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, self.shape.columns)), condition=condition
        )
        async with (
            self.home.connection(snapshot=True) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            now = await scalar(connection, "SELECT txid_current_snapshot()::text")
            await cursor.execute(statement, [int(mark.partition(":")[0]), mark, *parameters, limit])
            found = await cursor.fetchall()
        return self._fresh(found, now, found[0]["_found"] if found else 0)

    async def kept_from(self) -> datetime | None:
        async with self.home.connection() as connection:
            found: datetime | None = await scalar(
                connection, "SELECT nullif(raw_from, '-infinity') FROM wf.request_marks"
            )
        return found and found.astimezone(UTC)

    def _fresh(self, found: Sequence[Any], mark: str, number: int) -> Fresh:
        return Fresh([self.make(row) for row in reversed(found)], mark, number, self.home.clock.now())

    async def _read(
        self,
        connection: Connection,
        query: Query,
        start: Position | None,
        *,
        inclusive: bool,
        down: bool,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Up to `limit` rows, in the order in which they are read."""
        found: list[dict[str, Any]] = []
        async with connection.cursor(row_factory=dict_row) as cursor:
            async for span in self._slices(connection, query, start, down=down):
                part, order = _within(query, span), self._order(query)
                statement, parameters = self._statement(
                    part, order, start, inclusive, down=down, limit=limit - len(found)
                )
                await cursor.execute(statement, parameters)
                found += await cursor.fetchall()
                if len(found) >= limit:
                    break
        return found

    async def _slices(
        self, connection: Connection, query: Query, start: Position | None, *, down: bool
    ) -> AsyncIterator[Slice]:
        """The spans of time to look in, one after the other; together they are all that the query may find."""
        now = self.home.clock.now()
        lower, upper = bounds(query.terms, now)
        place = datetime.fromisoformat(str(start[0])) if start is not None else None
        if down:
            top = _least(upper, place and place + MOMENT)
            edge = _least(top, now) or now
            for span in SPANS:
                if lower is not None and edge <= lower:
                    return
                yield edge - span, top
                top = edge = edge - span
            yield None, top
            return
        bottom = max((each for each in (lower, place) if each is not None), default=None)
        if bottom is None:
            days = await scalar(connection, "SELECT array_agg(lower ORDER BY lower) FROM wf.telemetry_partitions()"
                                " WHERE data = 'raw' AND lower IS NOT NULL")  # fmt: skip
            for day in days or ():
                yield bottom, day
                bottom = day
        else:
            for span in SPANS:
                if bottom > (upper or now):
                    return
                yield bottom, bottom + span
                bottom += span
        yield bottom, None


def _least(*times: datetime | None) -> datetime | None:
    return min((each for each in times if each is not None), default=None)


def _within(query: Query, span: Slice) -> Query:
    """From the first time on, before the second."""
    begin, end = span
    terms = [Term("below", ((begin - MOMENT).isoformat(),), "at")] if begin else []
    terms += [Term("above", (end.isoformat(),), "at")] if end else []
    return query._replace(terms=(*query.terms, *terms))
