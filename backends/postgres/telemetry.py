"""Reading request telemetry: hour cells where there are any, raw rows for what is newer or finer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from psycopg.rows import TupleRow

from controlplane.errors import Usage
from controlplane.telemetry import Histogram, Point, Series, add

if TYPE_CHECKING:
    from backends.postgres.home import Connection, Home

HOUR = timedelta(hours=1)
MOST_STEPS = 2000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CELLS = """
SELECT hour, n, errors_4xx, errors_5xx, latency_max, buckets, counts
FROM wf.request_hours WHERE tenant_id = %s AND hour >= %s AND hour < %s
"""
RAW = """
SELECT step, sum(n), sum(errors_4xx), sum(errors_5xx), max(latency_max),
       coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}'),
       coalesce(array_agg(n ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}')
FROM (SELECT date_bin(%s, at, %s) AS step, wf.latency_bucket(latency_ms) AS bucket, count(*)::integer AS n,
             count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS errors_4xx,
             count(*) FILTER (WHERE status >= 500) AS errors_5xx, max(latency_ms) AS latency_max
      FROM wf.requests WHERE tenant_id = %s AND at >= %s AND at < %s GROUP BY 1, 2) AS buckets
GROUP BY step
"""


class Telemetry:
    """Implements `RequestTelemetry` over a home."""

    def __init__(self, home: Home) -> None:
        self.home = home

    async def newest(self) -> datetime | None:
        async with self.home.connection() as connection:
            row = await (await connection.execute("SELECT wf.newest_request()")).fetchone()
        return row[0].astimezone(UTC) if row and row[0] else None

    async def series(self, tenant_id: str, start: datetime, end: datetime, step: timedelta) -> Series:
        if step < timedelta(seconds=1) or end <= start:
            raise Usage("window_unreadable", "A series needs a start before its end, and steps of at least a second.")
        start = EPOCH + (start - EPOCH) // step * step
        steps = -((start - end) // step)
        if steps > MOST_STEPS:
            raise Usage("window_unreadable", f"That would be {steps:,} steps; at most {MOST_STEPS:,} are read at once.")
        end = start + steps * step
        async with self.home.connection() as connection:
            row = await (await connection.execute("SELECT now()")).fetchone()
            now = row[0].astimezone(UTC) if row else end
            # Hours that are over were rolled up; the last two may still change.
            settled = now.replace(minute=0, second=0, microsecond=0) - HOUR if not step % HOUR else start
            rows = await _read(connection, CELLS, [tenant_id, start, min(end, settled)])
            rows += await _read(connection, RAW, [step, start, tenant_id, max(start, settled), end])
        return Series(tenant_id, start, step, _placed(rows, start, step, steps), now)


async def _read(connection: Connection, statement: str, values: list[object]) -> list[TupleRow]:
    if values[-2] >= values[-1]:  # type: ignore[operator]  # both are times
        return []
    return await (await connection.execute(statement, values)).fetchall()


def _placed(rows: Iterable[TupleRow], start: datetime, step: timedelta, steps: int) -> tuple[Point | None, ...]:
    found: list[list[Point]] = [[] for _ in range(steps)]
    for at, n, errors_4xx, errors_5xx, highest, buckets, counts in rows:
        histogram = Histogram(tuple(buckets), tuple(counts))
        found[(at - start) // step].append(Point(int(n), int(errors_4xx), int(errors_5xx), histogram, highest))
    return tuple(map(add, found))
