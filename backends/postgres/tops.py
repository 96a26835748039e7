"""Top lists from the cells, each in one statement: sums for all, then latencies only for the rows shown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backends.postgres.cells import HOUR, MINUTE, Marks, check_scope, read_marks
from controlplane.errors import Usage
from controlplane.telemetry.model import EPOCH, Histogram, Scope
from controlplane.telemetry.tops import MIN_REQUESTS_RANKED, WEEK, By, Measure, Top, TopRow

if TYPE_CHECKING:
    from backends.postgres.home import Home

MAX_TOP_ROWS = 1000
MAX_TOP_SPAN = timedelta(days=90)
SHORT = timedelta(hours=2)

# `before` is made of whole hours; one that is only partly in the window counts by that share.
STATEMENT = """
WITH sums AS (
  SELECT {keys}, sum(n) AS n, sum(errors_4xx) AS errors_4xx, sum(errors_5xx) AS errors_5xx{histograms}
  FROM {cells} c WHERE {within} GROUP BY {keys}
), before AS (
  SELECT {keys}, sum(n * extract(epoch FROM least(hour + interval '1 hour', %(end)s - %(week)s)
                                            - greatest(hour, %(start)s - %(week)s)) / 3600)::float8 AS before
  FROM wf.hour_cells
  WHERE hour > %(start)s - %(week)s - interval '1 hour' AND hour < %(end)s - %(week)s AND {before} GROUP BY {keys}
){slowest}, picked AS (
  SELECT s.*, b.before, {measure} AS measured FROM sums s LEFT JOIN before b USING ({keys}){join_slowest}
  WHERE s.n >= %(fewest)s ORDER BY measured DESC NULLS LAST, {keys} LIMIT %(limit)s
)
SELECT {tenant}, {route}, {key}, s.n::bigint, s.errors_4xx::bigint, s.errors_5xx::bigint, s.before, h.buckets, h.counts
FROM picked s, LATERAL (
  SELECT coalesce(array_agg(bucket ORDER BY bucket), '{{}}') AS buckets,
         coalesce(array_agg(n ORDER BY bucket), '{{}}') AS counts
  FROM (SELECT u.bucket, sum(u.n)::bigint AS n FROM {shown}, unnest(c.buckets, c.counts) AS u(bucket, n)
        WHERE {same} GROUP BY 1) b
) h
ORDER BY s.measured DESC NULLS LAST, {keys}
"""
# Minutes of quiet hours are computed, so they are read once, with their histograms; hours are many, and read again only
# for the rows shown.
HISTOGRAMS = ", array_agg(ROW(buckets, counts)) AS histograms"
OF_HISTOGRAMS = "unnest(s.histograms) AS c(buckets smallint[], counts integer[])"
SLOWEST = """, slowest AS (
  SELECT {keys}, min(bucket) FILTER (WHERE upto >= ceil(0.95 * known)) AS p95 FROM (
    SELECT {keys}, bucket, sum(n) OVER (PARTITION BY {keys} ORDER BY bucket) AS upto,
           sum(n) OVER (PARTITION BY {keys}) AS known
    FROM (SELECT {keys}, u.bucket, sum(u.n) AS n FROM {ranked}, unnest(c.buckets, c.counts) AS u(bucket, n)
          WHERE {enough} GROUP BY {keys}, u.bucket) f) g
  GROUP BY {keys}
)"""
MEASURED = {
    "requests": "n",
    "errors": "errors_5xx",
    "error_share": "errors_5xx::float8 / n",
    "p95": "p95",
    "growth": "n / nullif(before, 0)",
}
FILTERED = ("error_share", "p95", "growth")


async def read_top(
    home: Home, by: By, start: datetime, end: datetime, measure: Measure, limit: int, scope: Scope
) -> Top:
    """See `RequestTelemetry.top`."""
    if end <= start or end - start > MAX_TOP_SPAN:
        raise Usage("window_unreadable", f"A top list needs a start before its end, {MAX_TOP_SPAN.days} days at most.")
    if not 1 <= limit <= MAX_TOP_ROWS:
        raise Usage("limit_out_of_range", f"A top list has 1 to {MAX_TOP_ROWS:,} rows, not {limit}.")
    check_scope(scope)
    if scope.region is not None and by != "tenant":
        raise Usage("scope_unreadable", "A region is not kept by route or key.", "Rank its tenants.")
    async with home.connection() as connection:
        marks = await read_marks(connection)
        cells, start, end = _window(marks, start, end)
        statement = _statement(by, measure, cells, scope)
        values: dict[str, Any] = {"start": start, "end": end, "week": WEEK, "limit": limit}
        values |= {"tenant": scope.tenant_id, "route": scope.route, "key": scope.key_prefix, "region": scope.region}
        values["fewest"] = MIN_REQUESTS_RANKED if measure in FILTERED else 1
        rows = await (await connection.execute(statement, values)).fetchall() if start < end else []
    found = tuple(
        TopRow(tenant, route, key, n, errors_4xx, errors_5xx, Histogram(tuple(buckets), tuple(counts)), before)
        for tenant, route, key, n, errors_4xx, errors_5xx, before, buckets, counts in rows
    )
    return Top(by, measure, start, max(start, end), found, marks.now)


def _window(marks: Marks, start: datetime, end: datetime) -> tuple[str, datetime, datetime]:
    """Minutes, where they cover the window or it is too short for hours; else hours. The window is cut to what is
    rolled up.
    """
    if start >= marks.minutes_from or end - start < SHORT:
        first, last = max(_cut(start, MINUTE), marks.minutes_from), min(_cut(end, MINUTE), marks.minutes_until)
        if first < last:
            return "minute", first, last
    first, last = _cut(start, HOUR), _cut(end + HOUR - timedelta.resolution, HOUR)
    return "hour", max(first, marks.hours_from), min(last, marks.hours_until)


def _cut(at: datetime, step: timedelta) -> datetime:
    return at - (at - EPOCH) % step


def _statement(by: By, measure: Measure, clock: str, scope: Scope) -> sql.Composed:
    keys = {"tenant": ["tenant_id"], "route": ["tenant_id", "route"], "key": ["tenant_id", "value"]}[by]
    where = _where(by, scope)
    before, slow = where, measure == "p95"
    if by == "tenant" and clock == "minute" and scope.route is None:
        where = where.replace("dim = 'route'", "dim = 'tenant'")  # far fewer cells; only old hours lack them
    minutes = clock == "minute"
    cells = "wf.minute_cells(%(start)s, %(end)s)" if minutes else "wf.hour_cells"
    within = where if minutes else f"c.hour >= %(start)s AND c.hour < %(end)s AND {where}"
    same = " AND ".join(f"c.{key} = s.{key}" for key in keys)
    parts = {
        "keys": ", ".join(keys),
        "cells": cells,
        "within": within,
        "histograms": HISTOGRAMS if minutes else "",
        "ranked": f"sums s, {OF_HISTOGRAMS}" if minutes else f"{cells} c",
        "enough": "s.n >= %(fewest)s" if minutes else within,
        "shown": OF_HISTOGRAMS if minutes else f"{cells} c",
        "same": "true" if minutes else f"{within} AND {same}",
        "before": before,
        "measure": MEASURED[measure],
        "tenant": "nullif(s.tenant_id, '')",
        "route": "s.route" if by == "route" else "NULL",
        "key": "s.value" if by == "key" else "NULL",
        "join_slowest": f" LEFT JOIN slowest USING ({', '.join(keys)})" if slow else "",
    }
    parts["slowest"] = SLOWEST.format(**parts) if slow else ""
    return sql.Composed([sql.SQL(STATEMENT.format(**parts))])  # every part is from this file


def _where(by: By, scope: Scope) -> str:
    """Which cells. For routes the fleet has cells of its own; tenants' and keys' cells always belong to a tenant."""
    if scope.region is not None:
        where = "dim = 'region' AND value = %(region)s"
    elif scope.key_prefix is not None:
        where = "dim = 'key' AND value = %(key)s"
    else:
        where = "dim = 'key'" if by == "key" else "dim = 'route'"
    if scope.tenant_id is not None:
        where += " AND tenant_id = %(tenant)s"
    elif by == "route" and scope.key_prefix is None:
        where += " AND tenant_id = '' AND route <> ''"
    else:
        where += " AND tenant_id <> ''"
    return where + (" AND route = %(route)s" if scope.route is not None else "")
