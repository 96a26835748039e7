"""Good and total of objectives out of request cells: one statement for all objectives of all tenants.

`CELLS` and `parties` are the only places that know which tables the cells are in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from controlplane.objectives.model import Counts, Slice

# Hours up to `fine`, then minutes, then the raw rows of what is not rolled up yet.
# A cell: n, errors_5xx, and the histogram of the latencies that are known. It is no
# CTE: with its arrays it would be written to disk.
CELLS: LiteralString = """(
  SELECT tenant_id, route, hour AS at, 3600 AS seconds, n, errors_5xx, buckets, counts
  FROM wf.request_hours
  WHERE hour >= %(start)s AND hour < (SELECT coarse FROM marks) AND dim = 'route' AND tenant_id <> ''
    AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
  UNION ALL
  SELECT tenant_id, route, minute, 60, n, errors_5xx, buckets, counts
  FROM wf.request_minutes
  WHERE minute >= (SELECT lower FROM marks) AND minute < (SELECT upper FROM marks) AND dim = 'route' AND tenant_id <> ''
    AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
  UNION ALL
  SELECT tenant_id, route, at, 60, sum(n)::integer, sum(errors_5xx)::integer,
         coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}'),
         coalesce(array_agg(n ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}')
  FROM (SELECT tenant_id, route, date_bin('1 minute', at, '2000-01-01 UTC') AS at,
               wf.latency_bucket(latency_ms) AS bucket, count(*)::integer AS n,
               (count(*) FILTER (WHERE status >= 500))::integer AS errors_5xx
        FROM wf.requests
        WHERE at >= (SELECT coarse FROM marks) AND at < %(until)s
          AND (at < (SELECT lower FROM marks) OR at >= (SELECT upper FROM marks))
          AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
        GROUP BY 1, 2, 3, 4) AS minutes
  GROUP BY 1, 2, 3
)"""

# Who has requests (read from the same tables, without what is in them), which objective of each name holds for them:
# the most specific, and when maintenance was planned for them.
HELD: LiteralString = """
marks AS MATERIALIZED (
  SELECT coarse, lower, greatest(lower, least(minutes_until, %(until)s)) AS upper
  FROM (SELECT *, greatest(coarse, minutes_from) AS lower
        FROM (SELECT *, least(%(fine)s, hours_until) AS coarse FROM wf.request_marks) AS hours) AS minutes
), parties AS (
  SELECT DISTINCT tenant_id, route FROM wf.request_hours
  WHERE hour >= %(start)s AND hour < (SELECT coarse FROM marks) AND dim = 'route' AND tenant_id <> ''
    AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
  UNION
  SELECT DISTINCT tenant_id, route FROM wf.request_minutes
  WHERE minute >= (SELECT lower FROM marks) AND minute < (SELECT upper FROM marks) AND dim = 'route' AND tenant_id <> ''
    AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
  UNION
  SELECT DISTINCT tenant_id, route FROM wf.requests
  WHERE at >= (SELECT coarse FROM marks) AND at < %(until)s
    AND (at < (SELECT lower FROM marks) OR at >= (SELECT upper FROM marks))
    AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
), held AS MATERIALIZED (
  SELECT DISTINCT ON (p.tenant_id, p.route, o.name)
         p.tenant_id, p.route, o.id, o.kind, wf.latency_bucket(o.threshold_ms::real) AS bucket,
         (SELECT range_agg(tstzrange(m.starts_at, least(m.ends_at, m.ended_at)))
          FROM wf.maintenance m
          WHERE (m.tenant_id IS NULL OR m.tenant_id = p.tenant_id) AND (m.plan IS NULL OR m.plan = t.plan)
            AND (m.route IS NULL OR m.route = p.route) AND m.ends_at > %(start)s AND m.starts_at < %(until)s
            AND coalesce(m.ended_at, m.ends_at) > m.starts_at) AS planned
  FROM parties p LEFT JOIN wf.tenant_list t ON t.id = p.tenant_id JOIN wf.objectives o
    ON o.retired_at IS NULL AND (o.tenant_id IS NULL OR o.tenant_id = p.tenant_id)
      AND (o.plan IS NULL OR o.plan = t.plan) AND (o.route IS NULL OR o.route = p.route)
  ORDER BY p.tenant_id, p.route, o.name, wf.objective_rank(o.tenant_id, o.plan, o.route) DESC
)"""

# A latency objective counts the requests whose latency is known; good are those in buckets up to its threshold's
# (the buckets are sorted, so what is bad is the arrays' end).
MEASURED: LiteralString = f"""
measured AS NOT MATERIALIZED (
  SELECT h.id, c.tenant_id, c.route, c.at, c.seconds, c.n - c.errors_5xx AS good, c.n AS total,
         h.planned IS NOT NULL AND c.at + make_interval(secs => c.seconds / 2.0) <@ h.planned AS skipped
  FROM held h JOIN {CELLS} c USING (tenant_id, route)
  WHERE h.kind = 'availability' AND (%(only)s::bigint IS NULL OR h.id = %(only)s)
  UNION ALL
  SELECT h.id, c.tenant_id, c.route, c.at, c.seconds, g.total - g.bad, g.total,
         h.planned IS NOT NULL AND c.at + make_interval(secs => c.seconds / 2.0) <@ h.planned
  FROM held h JOIN {CELLS} c USING (tenant_id, route)
  CROSS JOIN LATERAL (
    SELECT coalesce((SELECT sum(u.n) FROM unnest(c.counts) AS u(n)), 0)::integer AS total,
           coalesce((SELECT sum(u.n) FROM unnest(c.counts[width_bucket(h.bucket, c.buckets) + 1:]) AS u(n)), 0)::integer
             AS bad
    OFFSET 0  -- computed once for each cell
  ) AS g
  WHERE h.kind = 'latency' AND (%(only)s::bigint IS NULL OR h.id = %(only)s)
    AND EXISTS (SELECT FROM held WHERE kind = 'latency' AND (%(only)s::bigint IS NULL OR id = %(only)s))
)"""

SLICES: LiteralString = f"""
WITH {HELD}, {MEASURED}
SELECT id, at, seconds, sum(good), sum(total),
       coalesce(sum(good) FILTER (WHERE skipped), 0), coalesce(sum(total) FILTER (WHERE skipped), 0)
FROM measured GROUP BY id, at, seconds HAVING sum(total) > 0 ORDER BY id, at
"""

SHARES: LiteralString = f"""
WITH {HELD}, {MEASURED}
SELECT GROUPING(tenant_id), coalesce(tenant_id, route) AS who, sum(total - good), sum(total)
FROM measured WHERE NOT skipped GROUP BY GROUPING SETS ((tenant_id), (route)) HAVING sum(total - good) > 0
ORDER BY 3 DESC, 2
"""

# Keys are only in raw rows.
KEYS: LiteralString = f"""
WITH {HELD}
SELECT coalesce(r.key_prefix, ''), count(*) FILTER (WHERE bad), count(*)
FROM held h JOIN wf.requests r USING (tenant_id, route)
CROSS JOIN LATERAL (
  SELECT CASE WHEN h.kind = 'availability' THEN r.status >= 500
              ELSE wf.latency_bucket(r.latency_ms) > h.bucket END AS bad
) AS b
WHERE h.id = %(only)s AND bad IS NOT NULL AND r.at >= %(fine)s AND r.at < %(until)s
GROUP BY 1 HAVING count(*) FILTER (WHERE bad) > 0 ORDER BY 2 DESC, 1 LIMIT 50
"""


@dataclass(frozen=True)
class Slis:
    """Implements `SliSource` within one connection."""

    connection: psycopg.AsyncConnection[TupleRow]

    async def slices(
        self,
        start: datetime,
        fine_from: datetime,
        until: datetime,
        *,
        only: int | None = None,
        tenant_id: str | None = None,
        route: str | None = None,
    ) -> dict[int, tuple[Slice, ...]]:
        found: dict[int, list[Slice]] = {}
        for id, at, seconds, *counts in await self._read(SLICES, start, fine_from, until, only, tenant_id, route):
            good, total, skipped_good, skipped_total = map(int, counts)
            seconds = min(seconds, max(1, int((until - at).total_seconds())))  # the minute that is not over yet
            found.setdefault(id, []).append(Slice(at, seconds, good, total, Counts(skipped_good, skipped_total)))
        return {id: tuple(slices) for id, slices in found.items()}

    async def shares(
        self, start: datetime, fine_from: datetime, until: datetime, only: int, tenant_id: str | None, route: str | None
    ) -> list[TupleRow]:
        """Bad of total, by tenant (0) and by route (1), without what was planned."""
        return await self._read(SHARES, start, fine_from, until, only, tenant_id, route)

    async def keys(
        self, since: datetime, until: datetime, only: int, tenant_id: str | None, route: str | None
    ) -> list[TupleRow]:
        return await self._read(KEYS, since, since, until, only, tenant_id, route)

    async def _read(
        self,
        statement: LiteralString,
        start: datetime,
        fine_from: datetime,
        until: datetime,
        only: int | None,
        tenant_id: str | None,
        route: str | None,
    ) -> list[TupleRow]:
        values = {"start": start, "fine": fine_from, "until": until, "only": only, "tenant": tenant_id, "route": route}
        return await (await self.connection.execute(statement, values)).fetchall()
