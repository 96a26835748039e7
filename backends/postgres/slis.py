"""Good and total requests of objectives: one statement for all objectives of all tenants.

What a worker keeps is read by key (wf.objective_cells). What it has not kept yet, and what is newer, is derived from
request cells and raw rows, by the same function whose results the worker keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow

from controlplane.objectives.model import Counts, Objective, Slice
from controlplane.objectives.rules import MAX_WINDOW, PAIRS

# Which times to read from hours (up to `coarse`), from minutes (up to `upper`) and from raw rows (not rolled up yet),
# and which of the hours and minutes are due. An hour within which a window begins (in a zone that is not on whole
# hours) is read by the minute while minutes or raw rows are kept.
EDGES: LiteralString = """
WITH hours AS (
  SELECT *, greatest(%(start)s, hours_from) AS first,
         greatest(%(start)s, hours_from, least(%(fine)s, hours_until)) AS coarse
  FROM wf.request_marks
), minutes AS (
  SELECT *, greatest(coarse, minutes_from) AS lower,
         greatest(coarse, minutes_from, least(minutes_until, %(until)s)) AS upper
  FROM hours
), begun AS (
  SELECT DISTINCT tstzrange(h, h + interval '1 hour') AS span,
         h >= minutes_from AND h + interval '1 hour' <= minutes_until AS by_minute,
         h >= raw_from AND EXISTS (SELECT FROM wf.requests r WHERE r.at >= h AND r.at < h + interval '1 hour') AS by_row
  FROM wf.request_marks, (SELECT date_trunc('hour', b, 'UTC') AS h FROM unnest(%(begins)s::timestamptz[]) b) e
), finer AS (
  SELECT coalesce(range_agg(span) FILTER (WHERE by_minute), '{}') AS minutes,
         coalesce(range_agg(span) FILTER (WHERE by_row AND NOT by_minute), '{}') AS raw
  FROM begun
), spans AS (
  SELECT w.hours - f.minutes - f.raw AS hours, w.minutes + w.hours * f.minutes AS minutes,
         w.raw + w.hours * f.raw AS raw
  FROM finer f, (
    SELECT tstzmultirange(tstzrange(first, coarse)) AS hours, tstzmultirange(tstzrange(lower, upper)) AS minutes,
           tstzmultirange(tstzrange(coarse, greatest(coarse, %(until)s)))
             - tstzmultirange(tstzrange(lower, upper)) AS raw
    FROM minutes) w
), due AS (
  SELECT coalesce(range_agg(span) FILTER (WHERE seconds IS DISTINCT FROM 60), '{}') AS hours,
         coalesce(range_agg(span) FILTER (WHERE seconds IS DISTINCT FROM 3600), '{}') AS minutes
  FROM wf.objective_due WHERE name IS NULL OR name = ANY (%(names)s)
)
SELECT s.hours::text, s.minutes::text, s.raw::text,
       (s.hours - d.hours)::text, (s.minutes - d.minutes)::text,
       (s.hours * d.hours)::text, (s.minutes * d.minutes)::text
FROM spans s, due d
"""

ASKED: LiteralString = """
asked AS (SELECT * FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[]) AS a(id, since)),
derived AS MATERIALIZED (
  SELECT m.id, m.at, m.seconds, sum(m.good) AS good, sum(m.total) AS total,
         coalesce(sum(m.good) FILTER (WHERE m.skipped), 0) AS skipped_good,
         coalesce(sum(m.total) FILTER (WHERE m.skipped), 0) AS skipped_total
  FROM wf.objectives_measured(%(hours)s::tstzmultirange, %(minutes)s::tstzmultirange, %(raw)s::tstzmultirange,
                              %(names)s::text[], %(only)s::bigint, %(tenant)s::text, %(route)s::text) m
  GROUP BY 1, 2, 3 HAVING sum(m.total) > 0
)"""
SLICES: LiteralString = f"""
WITH {ASKED}
SELECT k.objective_id, k.at, k.seconds, k.good, k.total, k.skipped_good, k.skipped_total
FROM (SELECT 3600, unnest(%(kept_hours)s::tstzmultirange)
      UNION ALL SELECT 60, unnest(%(kept_minutes)s::tstzmultirange)) AS r(seconds, span)
CROSS JOIN asked a JOIN wf.objective_cells k
  ON k.objective_id = a.id AND k.seconds = r.seconds AND k.at >= lower(r.span) AND k.at < upper(r.span)
UNION ALL
SELECT d.id, d.at, d.seconds, d.good, d.total, d.skipped_good, d.skipped_total FROM derived d JOIN asked USING (id)
ORDER BY 1, 2
"""

# One slice for each stretch between two edges of windows, placed at its newest part: no window ends within a stretch,
# so this is as exact as every slice. Impossible numbers are only flagged: the reader then looks at every slice.
SUMMED: LiteralString = """max(at) AS at, max(at + make_interval(secs => seconds)) AS until, sum(good) AS good,
         sum(total) AS total, sum(skipped_good) AS skipped_good, sum(skipped_total) AS skipped_total,
         bool_or(good > total OR good < 0) AS impossible"""
SUMS: LiteralString = f"""
WITH {ASKED}, stretches AS MATERIALIZED (
  SELECT a.id, e.lo, e.hi
  FROM asked a CROSS JOIN LATERAL (
    SELECT x AS lo, lead(x) OVER (ORDER BY x) AS hi FROM unnest(%(edges)s::timestamptz[] || a.since) AS u(x)
    WHERE x >= least(a.since, %(paired)s)
  ) e WHERE e.lo < e.hi
), parts AS (
  SELECT s.id, s.lo, k.*
  FROM stretches s JOIN (SELECT 3600, unnest(%(kept_hours)s::tstzmultirange)
                         UNION ALL SELECT 60, unnest(%(kept_minutes)s::tstzmultirange)) AS r(seconds, span)
    ON s.hi >= lower(r.span) AND s.lo < upper(r.span)
  CROSS JOIN LATERAL (
    SELECT {SUMMED} FROM wf.objective_cells k
    WHERE k.objective_id = s.id AND k.seconds = r.seconds AND k.at >= lower(r.span) AND k.at < upper(r.span)
      AND k.at > s.lo - make_interval(secs => r.seconds / 2) AND k.at <= s.hi - make_interval(secs => r.seconds / 2)
  ) k WHERE k.at IS NOT NULL
  UNION ALL
  SELECT s.id, s.lo, {SUMMED}
  FROM stretches s JOIN derived d ON d.id = s.id AND d.at + make_interval(secs => d.seconds / 2.0) > s.lo
    AND d.at + make_interval(secs => d.seconds / 2.0) <= s.hi
  GROUP BY s.id, s.lo
)
SELECT id, max(at), extract(epoch FROM max(until) - max(at))::integer, sum(good), sum(total), sum(skipped_good),
       sum(skipped_total), bool_or(impossible)
FROM parts GROUP BY id, lo ORDER BY 1, 2
"""
WINDOWS = sorted({length for pair in PAIRS for length in (pair.long, pair.short)})
NONE = timedelta()

SHARES: LiteralString = """
SELECT GROUPING(tenant_id), coalesce(tenant_id, route) AS who, sum(total - good), sum(total)
FROM wf.objectives_measured(%(hours)s::tstzmultirange, %(minutes)s::tstzmultirange, %(raw)s::tstzmultirange,
                            %(names)s::text[], %(only)s::bigint, %(tenant)s::text, %(route)s::text)
WHERE NOT skipped AND at + make_interval(secs => seconds / 2.0) > %(since)s
GROUP BY GROUPING SETS ((tenant_id), (route)) HAVING sum(total - good) > 0
ORDER BY 3 DESC, 2
"""

# Keys are only in raw rows.
KEYS: LiteralString = """
SELECT coalesce(r.key_prefix, ''), count(*) FILTER (WHERE bad), count(*)
FROM wf.objectives_held('{}', '{}', tstzmultirange(tstzrange(%(fine)s, %(until)s)), %(names)s::text[],
                        %(tenant)s::text, %(route)s::text) h
JOIN wf.requests r USING (tenant_id, route)
CROSS JOIN LATERAL (
  SELECT CASE WHEN h.kind = 'availability' THEN r.status >= 500
              ELSE wf.latency_bucket(r.latency_ms) > h.bucket END AS bad
) AS b
WHERE h.id = %(only)s AND bad IS NOT NULL AND r.at >= %(fine)s AND r.at < %(until)s
GROUP BY 1 HAVING count(*) FILTER (WHERE bad) > 0 ORDER BY 2 DESC, 1 LIMIT 50
"""
NOTHING = "{}"


@dataclass(frozen=True)
class Span:
    """Hours from `start`, minutes from `fine`, up to `until`. `tenant_id`, `route`: only these requests count."""

    start: datetime
    fine: datetime
    until: datetime
    tenant_id: str | None = None
    route: str | None = None
    kept: bool = True
    """Whether kept cells may be read too: they count everybody for whom an objective holds, together."""
    begins: tuple[datetime, ...] = ()
    """When windows begin: earlier requests do not count, even within the same hour."""


@dataclass(frozen=True)
class Slis:
    """Reads within one connection."""

    connection: psycopg.AsyncConnection[TupleRow]

    async def sums(self, span: Span, asked: dict[Objective, datetime]) -> dict[int, tuple[Slice, ...]]:
        """The slices since each objective's window began that are enough to evaluate it. Names with due times are read
        apart, so that they slow down no others.
        """
        found: dict[int, tuple[Slice, ...]] = {}
        due = {name for (name,) in await self._read("SELECT DISTINCT name FROM wf.objective_due", {})}
        for is_due in (False, True):
            if group := {each: start for each, start in asked.items() if (each.name in due) == is_due}:
                found |= await self._slices(SUMS, span, group)
                for each in group:
                    if any(part.good > part.total for part in found.get(each.id, ())):
                        found[each.id] = await self.slices(span, each)
        return found

    async def slices(self, span: Span, objective: Objective) -> tuple[Slice, ...]:
        """Every minute and hour of an objective, ascending."""
        return (await self._slices(SLICES, span, {objective: span.start})).get(objective.id, ())

    async def _slices(
        self, statement: LiteralString, span: Span, asked: dict[Objective, datetime]
    ) -> dict[int, tuple[Slice, ...]]:
        values = await self._values(span, *asked)
        values |= {"ids": [each.id for each in asked], "since": list(asked.values())}
        values |= {"paired": span.until - MAX_WINDOW, "edges": [span.until - length for length in (*WINDOWS, NONE)]}
        found: dict[int, list[Slice]] = {}
        for id, at, seconds, *counts in await self._read(statement, values):
            good, total, skipped_good, skipped_total = map(int, counts[:4])
            if counts[4:] == [True]:
                good = total + 1  # impossible, so `sums` reads every slice
            found.setdefault(id, []).append(Slice(at, seconds, good, total, Counts(skipped_good, skipped_total)))
        return {id: tuple(slices) for id, slices in found.items()}

    async def shares(self, span: Span, objective: Objective, since: datetime) -> list[TupleRow]:
        """Bad and total requests, by tenant (0) and by route (1), without planned maintenance."""
        return await self._read(SHARES, await self._values(span, objective) | {"since": since})

    async def keys(self, span: Span, objective: Objective) -> list[TupleRow]:
        return await self._read(KEYS, _plain(span, objective))

    async def _values(self, span: Span, *asked: Objective) -> dict[str, Any]:
        values = _plain(span, *asked)
        [(hours, minutes, raw, *parts)] = await self._read(EDGES, values)
        if not span.kept:
            parts = [NOTHING, NOTHING, hours, minutes]
        return values | {"raw": raw} | dict(zip(("kept_hours", "kept_minutes", "hours", "minutes"), parts, strict=True))

    async def _read(self, statement: LiteralString, values: dict[str, Any]) -> list[TupleRow]:
        """Never prepared: a generic plan for any tenant and time is a bad plan for each."""
        return await (await self.connection.execute(statement, values, prepare=False)).fetchall()


def _plain(span: Span, *asked: Objective) -> dict[str, Any]:
    return {
        "start": span.start,
        "fine": span.fine,
        "until": span.until,
        "begins": sorted({each for each in span.begins if each.minute}),
        "names": sorted({each.name for each in asked}),
        "only": asked[0].id if len(asked) == 1 else None,
        "tenant": span.tenant_id,
        "route": span.route,
    }
