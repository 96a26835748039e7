"""Reads request telemetry: hours and minutes where they are rolled up, raw rows for what is newer or finer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.rows import TupleRow, class_row

from controlplane.errors import Usage
from controlplane.telemetry.model import (
    Histogram,
    Point,
    Scope,
    add,
)

if TYPE_CHECKING:
    from backends.postgres.home import Connection

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

# Python has no infinite times: PostgreSQL's become the earliest time that a log may hold.
MARKS = """
SELECT now(), greatest(minutes_from, '1970-01-01') AS minutes_from,
       greatest(minutes_until, '1970-01-01') AS minutes_until,
       greatest(hours_from, '1970-01-01') AS hours_from, greatest(hours_until, '1970-01-01') AS hours_until,
       greatest(raw_from, '1970-01-01') AS raw_from
FROM wf.request_marks
"""
CELLS: dict[str, LiteralString] = {
    "hours": """SELECT hour, n, errors_4xx, errors_5xx, latency_max, buckets, counts FROM wf.hour_cells c
        WHERE tenant_id = %(tenant)s AND dim = %(dim)s AND hour >= %(lower)s AND hour < %(upper)s""",
    "minutes": """SELECT minute, n, errors_4xx, errors_5xx, latency_max, buckets, counts
        FROM wf.minute_cells(%(lower)s, %(upper)s) c
        WHERE tenant_id = %(tenant)s AND dim = %(dim)s AND minute >= %(lower)s AND minute < %(upper)s""",
}
# A tenant's routes, for times without a cell for the tenant as a whole (made by an older version, or by hand).
ROUTES_ALONE: dict[str, LiteralString] = {
    "hours": """ AND NOT EXISTS (SELECT FROM wf.hour_cells t WHERE t.tenant_id = c.tenant_id AND t.dim = 'tenant'
                                 AND t.hour = c.hour)""",
    "minutes": """ AND NOT EXISTS (SELECT FROM wf.minute_cells(%(lower)s, %(upper)s) t WHERE t.tenant_id = c.tenant_id
                                   AND t.dim = 'tenant' AND t.minute = c.minute)""",
}
RAW: LiteralString = """
SELECT step, sum(n), sum(errors_4xx), sum(errors_5xx), max(latency_max),
       coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}'),
       coalesce(array_agg(n ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}')
FROM (SELECT date_bin(%(step)s, at, %(start)s) AS step, wf.latency_bucket(latency_ms) AS bucket, count(*)::integer AS n,
             count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS errors_4xx,
             count(*) FILTER (WHERE status >= 500) AS errors_5xx, max(latency_ms) AS latency_max
      FROM wf.requests WHERE at >= %(lower)s AND at < %(upper)s"""
# The time of the first request of any tenant from `lower` on. Before `begin` it is read from hours when the steps are
# hours; else from minutes, or from raw rows where there are none.
FIRST: LiteralString = """
SELECT least(
  (SELECT min(hour) FROM wf.request_hours WHERE tenant_id = '' AND dim = 'route' AND value = '' AND route = ''
   AND %(hourly)s AND hour >= %(lower)s AND hour < %(begin)s),
  (SELECT min(minute) FROM wf.request_minutes WHERE tenant_id = '' AND dim = 'route' AND value = '' AND route = ''
   AND minute >= %(lower)s AND minute < %(upper)s),
  (SELECT min(at) FROM wf.requests
   WHERE NOT %(hourly)s AND at >= %(lower)s AND at < least(%(upper)s, %(minutes_from)s)),
  (SELECT min(at) FROM wf.requests WHERE at >= greatest(%(lower)s, %(minutes_until)s) AND at < %(upper)s))
"""
RAW_END: LiteralString = """ GROUP BY 1, 2) AS buckets GROUP BY step"""


@dataclass(frozen=True)
class Marks:
    """How far the roll-up has come: see wf.request_marks."""

    now: datetime
    minutes_from: datetime
    minutes_until: datetime
    hours_from: datetime
    hours_until: datetime
    raw_from: datetime


async def stored_since(
    connection: Connection, marks: Marks, points: tuple[Point | None, ...], start: datetime, step: timedelta
) -> datetime | None:
    """When counting began, if that was within the first known step (nothing is stored before it); else None."""
    index = next((index for index, point in enumerate(points) if point is not None), None)
    if index is None:
        return None
    begin = start + index * step
    values = {"lower": begin - step, "begin": begin, "upper": begin + step, "hourly": not step % HOUR}
    values |= {"minutes_from": marks.minutes_from, "minutes_until": marks.minutes_until}
    row = await (await connection.execute(FIRST, values)).fetchone()
    first = row[0].astimezone(UTC) if row and row[0] else None
    return first if first is not None and first > begin else None


async def read_rows(connection: Connection, statement: LiteralString, values: dict[str, Any]) -> list[TupleRow]:
    cursor = connection.cursor(binary=True)  # arrays as text take three times as long to read
    await cursor.execute(statement, values)
    return await cursor.fetchall()


async def read_marks(connection: Connection) -> Marks:
    cursor = connection.cursor(row_factory=class_row(Marks))
    marks = await (await cursor.execute(MARKS)).fetchone()
    assert marks is not None
    return marks


def check_scope(scope: Scope) -> None:
    if scope.region is not None and (scope.route is not None or scope.key_prefix is not None):
        raise Usage("scope_unreadable", "A region is not kept by route or key.", "Leave the route and the key out.")
    if scope.key_prefix is not None and scope.tenant_id is None:
        raise Usage("scope_unreadable", "A key belongs to a tenant.", "Name the tenant as well.")
    if scope.tenant_id == "":
        raise Usage("scope_unreadable", "No tenant is named.", "Leave the tenant out for all of them.")


def sources(marks: Marks, start: datetime, end: datetime, step: timedelta) -> Iterator[tuple[str, datetime, datetime]]:
    """The parts of a window and where each is read: hours, minutes or raw rows. A step with only part of its data is
    left out, as a gap.
    """
    lower = start
    if not step % HOUR and start < marks.hours_until:
        upper = min(end, marks.hours_until)
        yield "hours", max(start, _whole(marks.hours_from, start, step)), upper
        lower = upper
    elif step % MINUTE:
        marks = Marks(marks.now, end, end, end, end, marks.raw_from)
    parts = [
        ("raw", max(lower, _whole(marks.raw_from, start, step) if lower == start else lower), marks.minutes_from),
        ("minutes", max(lower, marks.minutes_from), marks.minutes_until),
        ("raw", max(lower, marks.minutes_from, marks.minutes_until), end),
    ]
    for source, first, last in parts:
        if first < min(last, end):
            yield source, first, min(last, end)


def _whole(at: datetime, start: datetime, step: timedelta) -> datetime:
    """The start of the first step that begins at `at` or later."""
    return start - (start - at) // step * step


def values_of(scope: Scope) -> dict[str, Any]:
    if scope.region is not None:
        dim = "region"
    elif scope.key_prefix is not None:
        dim = "key"
    else:
        dim = "route" if scope.tenant_id is None or scope.route is not None else "tenant"
    return {
        "tenant": scope.tenant_id or "",
        "dim": dim,
        "route": scope.route if scope.route is not None else "",
        "key": scope.key_prefix,
        "region": scope.region,
    }


def cells_where(scope: Scope) -> LiteralString:
    if scope.region is not None:
        return " AND value = %(region)s"
    if scope.key_prefix is not None:
        return " AND value = %(key)s" + (" AND route = %(route)s" if scope.route is not None else "")
    return " AND route = %(route)s" if scope.route is not None or scope.tenant_id is None else ""


def raw_statement(scope: Scope) -> LiteralString:
    where: LiteralString = ""
    if scope.tenant_id is not None:
        where += " AND tenant_id = %(tenant)s"
    if scope.route is not None:
        where += " AND route = %(route)s"
    if scope.key_prefix is not None:
        where += " AND key_prefix = %(key)s"
    if scope.region is not None:
        where += " AND region = %(region)s"
    return RAW + where + RAW_END


def placed(rows: Iterable[TupleRow], start: datetime, step: timedelta, steps: int) -> tuple[Point | None, ...]:
    found: list[list[Point]] = [[] for _ in range(steps)]
    for at, n, errors_4xx, errors_5xx, highest, buckets, counts in rows:
        histogram = Histogram(tuple(buckets), tuple(counts))
        found[(at - start) // step].append(Point(int(n), int(errors_4xx), int(errors_5xx), histogram, highest))
    return tuple(map(add, found))
