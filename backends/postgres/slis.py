"""Good and total of objectives out of request cells: one statement for all objectives of all tenants.

`CELLS` is the only place that knows which tables the cells are in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from controlplane.objectives.model import Counts, Slice

# Hours up to `fine`, then minutes. A cell: n, errors_5xx, and the histogram of the latencies that are known.
CELLS: LiteralString = """
cells AS MATERIALIZED (
  SELECT tenant_id, route, hour AS at, 3600 AS seconds, n, errors_5xx, buckets, counts
  FROM wf.request_hours
  WHERE hour >= %(start)s AND hour < %(fine)s
    AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
  UNION ALL
  SELECT tenant_id, route, at, 60, sum(n)::integer, sum(errors_5xx)::integer,
         coalesce(array_agg(bucket) FILTER (WHERE bucket IS NOT NULL), '{}'),
         coalesce(array_agg(n) FILTER (WHERE bucket IS NOT NULL), '{}')
  FROM (SELECT tenant_id, route, date_bin('1 minute', at, '2000-01-01 UTC') AS at,
               wf.latency_bucket(latency_ms) AS bucket, count(*)::integer AS n,
               (count(*) FILTER (WHERE status >= 500))::integer AS errors_5xx
        FROM wf.requests
        WHERE at >= %(fine)s AND at < %(until)s
          AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(route)s::text IS NULL OR route = %(route)s)
        GROUP BY 1, 2, 3, 4) AS minutes
  GROUP BY 1, 2, 3
)"""

# Who has requests, and which objective of each name holds for them: the most specific.
HELD: LiteralString = """
parties AS (
  SELECT c.tenant_id, c.route, t.plan
  FROM (SELECT DISTINCT tenant_id, route FROM cells) c LEFT JOIN wf.tenant_list t ON t.id = c.tenant_id
), held AS MATERIALIZED (
  SELECT DISTINCT ON (p.tenant_id, p.route, o.name)
         p.tenant_id, p.route, p.plan, o.id, o.kind, wf.latency_bucket(o.threshold_ms::real) AS bucket
  FROM parties p JOIN wf.objectives o
    ON o.retired_at IS NULL AND (o.tenant_id IS NULL OR o.tenant_id = p.tenant_id)
      AND (o.plan IS NULL OR o.plan = p.plan) AND (o.route IS NULL OR o.route = p.route)
  ORDER BY p.tenant_id, p.route, o.name, wf.objective_rank(o.tenant_id, o.plan, o.route) DESC
)"""

# A latency objective counts the requests whose latency is known; good are those in buckets up to its threshold's.
MEASURED: LiteralString = """
measured AS (
  SELECT h.id, c.tenant_id, c.route, c.at, c.seconds, g.good, g.total,
         EXISTS (SELECT FROM wf.maintenance m
                 WHERE (m.tenant_id IS NULL OR m.tenant_id = h.tenant_id) AND (m.plan IS NULL OR m.plan = h.plan)
                   AND (m.route IS NULL OR m.route = h.route)
                   AND m.ends_at > %(start)s AND m.starts_at < %(until)s
                   AND c.at + make_interval(secs => c.seconds / 2.0) >= m.starts_at
                   AND c.at + make_interval(secs => c.seconds / 2.0) < least(m.ends_at, m.ended_at)) AS skipped
  FROM held h JOIN cells c USING (tenant_id, route)
  CROSS JOIN LATERAL (
    SELECT CASE WHEN h.kind = 'availability' THEN c.n - c.errors_5xx
                ELSE (SELECT coalesce(sum(u.n), 0) FROM unnest(c.buckets, c.counts) AS u(b, n) WHERE u.b <= h.bucket)
           END AS good,
           CASE WHEN h.kind = 'availability' THEN c.n
                ELSE (SELECT coalesce(sum(u.n), 0) FROM unnest(c.counts) AS u(n)) END AS total
  ) AS g
  WHERE %(only)s::bigint IS NULL OR h.id = %(only)s
)"""

SLICES: LiteralString = f"""
WITH {CELLS}, {HELD}, {MEASURED}
SELECT id, at, seconds, sum(good), sum(total),
       coalesce(sum(good) FILTER (WHERE skipped), 0), coalesce(sum(total) FILTER (WHERE skipped), 0)
FROM measured GROUP BY id, at, seconds HAVING sum(total) > 0 ORDER BY id, at
"""

SHARES: LiteralString = f"""
WITH {CELLS}, {HELD}, {MEASURED}
SELECT GROUPING(tenant_id), coalesce(tenant_id, route) AS who, sum(total - good), sum(total)
FROM measured WHERE NOT skipped GROUP BY GROUPING SETS ((tenant_id), (route)) HAVING sum(total - good) > 0
ORDER BY 3 DESC, 2
"""

# Keys are only in raw rows.
KEYS: LiteralString = f"""
WITH {CELLS}, {HELD}
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
