"""The upkeep of telemetry: rolling up, verifying against the raw rows, and dropping what is old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from backends.postgres.cells import read_marks
from backends.postgres.statements import Connection, rows, scalar
from controlplane.errors import Usage
from controlplane.jobs.engine import sql as job
from controlplane.telemetry import ports
from controlplane.telemetry.retention import Data, Difference, Kept, Partition, Rolled, RollupStatus, Verification

if TYPE_CHECKING:
    from backends.postgres.home import Home

MAX_VERIFIED = timedelta(days=7)
MAX_DIFFERENCES = 200
ROLL_SECONDS = 300

STATUS = """
SELECT m.rolled_at, CASE WHEN m.minutes_until > '-infinity'
                         THEN greatest(0, extract(epoch FROM now() - m.minutes_until))::float8 END,
       (SELECT count(*) FROM wf.request_due WHERE step = 'minute' AND at < now() - interval '90 seconds'),
       (SELECT count(*) FROM wf.request_due WHERE step = 'hour' AND at < now() - interval '65 minutes'), now()
FROM wf.request_marks m
"""
# The marks are -infinity until something was dropped or rolled up; Python has no such time, so they become NULL.
KEPT = """
SELECT r.data, r.days, count(p.part) FILTER (WHERE p.upper IS NOT NULL), coalesce(sum(p.bytes), 0)::bigint,
       coalesce(sum(p.rows) FILTER (WHERE p.upper IS NULL), 0)::bigint,
       nullif(CASE r.data WHEN 'raw' THEN m.raw_from WHEN 'minutes' THEN m.minutes_from ELSE m.hours_from END,
              '-infinity'),
       nullif(CASE r.data WHEN 'minutes' THEN m.minutes_until WHEN 'hours' THEN m.hours_until END, '-infinity'),
       max(p.upper)
FROM wf.telemetry_retention r LEFT JOIN wf.telemetry_partitions() p USING (data), wf.request_marks m
GROUP BY r.data, r.days, m.raw_from, m.minutes_from, m.hours_from, m.minutes_until, m.hours_until
ORDER BY r.days
"""
# Tenants' cells are compared with sums of the raw rows; the fleet's with the sum of its tenants' cells, which outlive
# the raw rows.
VERIFY = """
WITH raw AS (
  SELECT tenant_id, dim, value, route, at, n, errors_4xx, errors_5xx, buckets, counts
  FROM wf.raw_cells(%(lower)s, %(upper)s, %(step)s::interval)
), rolled AS (
  SELECT tenant_id, dim, value, route, {clock} AS at, n, errors_4xx, errors_5xx, buckets, counts
  FROM {cells} WHERE {clock} >= %(lower)s AND {clock} < %(upper)s
), pairs AS (
  SELECT tenant_id, dim, value, route, at, c.n AS rolled, r.n AS raw,
         CASE WHEN c.n IS NULL THEN 'not rolled up' WHEN r.n IS NULL THEN 'no raw rows'
              WHEN c.n <> r.n THEN 'requests'
              WHEN (c.errors_4xx, c.errors_5xx) <> (r.errors_4xx, r.errors_5xx) THEN 'errors'
              WHEN (c.buckets, c.counts) <> (r.buckets, r.counts) THEN 'latencies' END AS what
  FROM (SELECT * FROM rolled WHERE tenant_id <> '') c
  FULL JOIN raw r USING (tenant_id, dim, value, route, at)
  UNION ALL
  SELECT '', f.dim, f.value, f.route, f.at, f.n, s.n,
         CASE WHEN f.n IS DISTINCT FROM s.n THEN 'not the sum of its tenants' END
  FROM rolled f LEFT JOIN (
    SELECT dim, value, CASE WHEN all_routes THEN '' ELSE route END AS route, at, sum(n)::integer AS n
    FROM rolled, (VALUES (true), (false)) AS a(all_routes)
    WHERE tenant_id <> '' AND dim IN ('route', 'region') AND (all_routes OR route <> '') GROUP BY 1, 2, 3, 4
  ) s USING (dim, value, route, at)
  WHERE f.tenant_id = ''
)
SELECT tenant_id, dim, value, route, at, rolled, raw, what, count(*) OVER () AS cells FROM pairs
ORDER BY what IS NULL, at, tenant_id, dim, value, route LIMIT %(limit)s
"""
CELLS = {"hour": "wf.hour_cells", "minute": "wf.minute_cells(%(lower)s, %(upper)s)"}
DUE = "SELECT count(*) FROM wf.request_due WHERE at >= %s AND at < %s"


UPKEEP = (
    job("make_request_partitions", "SELECT wf.make_request_partitions()", timedelta(hours=1)),
    job("refresh_activity", "SELECT wf.refresh_activity()", timedelta(seconds=5)),
    job("roll_up_requests", "SELECT wf.roll_up_requests()", timedelta(minutes=1), seconds=300),
    job("drop_old_requests", "SELECT count(*) FROM wf.drop_old_requests() WHERE waits IS NULL", timedelta(hours=1)),
    job("prune_request_batches", "SELECT wf.prune_request_batches()", timedelta(minutes=10)),
)
"""Make the next days' partitions, compute the tenants' figures, roll up minutes and hours, drop what is old."""


class Rollups(ports.Rollups):
    """Implements `controlplane.telemetry.ports.Rollups` over a home."""

    def __init__(self, home: Home) -> None:
        self.home = home

    async def status(self) -> RollupStatus:
        async with self.home.connection() as connection:
            row = await (await connection.execute(STATUS)).fetchone()
            kept = await (await connection.execute(KEPT.encode())).fetchall()
        assert row is not None
        ahead = [upper for data, *_, upper in kept if data != "hours"]
        ready = min(ahead) if ahead and None not in ahead else None
        rolled_at, behind, minutes, hours, now = row
        classes = tuple(Kept(*each[:7]) for each in kept)
        return RollupStatus(rolled_at, behind, minutes, hours, ready, classes, now)

    async def make_ahead(self) -> int | None:
        async with self.home.connection() as connection:
            try:
                made: int = await scalar(connection, "SELECT wf.make_request_partitions()")
            except psycopg.errors.LockNotAvailable:
                return None
        return made

    async def roll_up(self) -> Rolled:
        async with self.home.connection(ROLL_SECONDS) as connection:
            row = await (await connection.execute("SELECT * FROM wf.roll_up_requests()")).fetchone()
        assert row is not None
        return Rolled(*row)

    async def verify(self, start: datetime, end: datetime) -> Verification:
        if end <= start or end - start > MAX_VERIFIED:
            raise Usage(
                "window_unreadable", f"Verifying needs a start before its end, {MAX_VERIFIED.days} days at most."
            )
        async with self.home.connection(ROLL_SECONDS, snapshot=True) as connection:
            marks = await read_marks(connection)
            row = await (await connection.execute(DUE, [start, end])).fetchone()
            cells = 0
            found: list[Difference] = []
            windows: list[tuple[Any, datetime, datetime]] = [
                ("minute", max(start, marks.minutes_from, marks.raw_from), min(end, marks.minutes_until)),
                ("hour", max(start, marks.hours_from, marks.raw_from), min(end, marks.hours_until)),
            ]
            for step, lower, upper in windows:
                lower, upper = _whole(lower, up=True, step=step), _whole(upper, up=False, step=step)
                if lower < upper:
                    number, differing = await _compare(connection, step, lower, upper)
                    cells, found = cells + number, found + differing
        return Verification(start, end, cells, row[0] if row else 0, tuple(found[:MAX_DIFFERENCES]), marks.now)


async def _compare(connection: Connection, step: Any, lower: datetime, upper: datetime) -> tuple[int, list[Difference]]:
    values = {"lower": lower, "upper": upper, "step": f"1 {step}", "limit": MAX_DIFFERENCES}
    found = await (await connection.execute(VERIFY.format(clock=step, cells=CELLS[step]).encode(), values)).fetchall()
    differing = [Difference(step, row[0] or None, *row[1:8]) for row in found if row[7] is not None]
    return (found[0][8] if found else 0), differing


def _whole(at: datetime, *, up: bool, step: str) -> datetime:
    parts = {"second": 0, "microsecond": 0} | ({"minute": 0} if step == "hour" else {})
    floor = at.replace(**parts)  # type: ignore[arg-type]
    return floor + timedelta(**{f"{step}s": 1}) if up and floor < at else floor


HELD = "SELECT days FROM wf.telemetry_retention WHERE data = %s FOR NO KEY UPDATE"
KEEP = "UPDATE wf.telemetry_retention SET days = %s WHERE data = %s"
"""The database refuses it as `retention_days`."""
NOTE = "SELECT wf.note('telemetry-drops', 'partitions', NULL, %s)"
DROP_OLD = "SELECT * FROM wf.drop_old_requests(%s)"


@dataclass(frozen=True)
class RetentionWriter(ports.RetentionStore):
    connection: Connection

    async def keep(self, data: Data, days: int) -> int:
        before = int(await scalar(self.connection, HELD, [data]))
        await self.connection.execute(KEEP, [days, data])
        return before

    async def old(self) -> list[Partition]:
        return await self._drop(dry_run=True)

    async def drop_old(self) -> list[Partition]:
        found = await self._drop(dry_run=False)
        if all(part.waits is not None for part in found):  # the home itself notes what was dropped
            await self.note({"dropped": []})
        return found

    async def note(self, what: dict[str, Any]) -> None:
        await self.connection.execute(NOTE, [Jsonb(what)])

    async def _drop(self, *, dry_run: bool) -> list[Partition]:
        return await rows(self.connection, Partition, DROP_OLD, [dry_run])
