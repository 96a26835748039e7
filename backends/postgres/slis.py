"""Good and total of objectives: one statement for all objectives of all tenants.

What a worker keeps is read by key (wf.objective_cells); what it has not kept yet, and what is newer, is derived from
request cells and raw rows by the same function that it keeps the answers of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow

from controlplane.objectives.model import Counts, Objective, Slice
from controlplane.objectives.rules import LONGEST_PAIR, PAIRS

# Hours up to `coarse`, minutes up to `upper`, then raw rows of what is not rolled up; and what of them is due.
EDGES: LiteralString = """
WITH hours AS (
  SELECT *, greatest(%(start)s, hours_from) AS first,
         greatest(%(start)s, hours_from, least(%(fine)s, hours_until)) AS coarse
  FROM wf.request_marks
), minutes AS (
  SELECT *, greatest(coarse, minutes_from) AS lower,
         greatest(coarse, minutes_from, least(minutes_until, %(until)s)) AS upper
  FROM hours
), spans AS (
  SELECT tstzmultirange(tstzrange(first, coarse)) AS hours, tstzmultirange(tstzrange(lower, upper)) AS minutes,
         tstzmultirange(tstzrange(coarse, greatest(coarse, %(until)s))) - tstzmultirange(tstzrange(lower, upper)) AS raw
  FROM minutes
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

# What is kept of those that are asked for, and what is derived.
FOUND: LiteralString = """
SELECT k.objective_id AS id, k.at, k.seconds, k.good, k.total, k.skipped_good, k.skipped_total
FROM asked a JOIN wf.objective_cells k ON k.objective_id = a.id AND k.seconds = 3600
  JOIN unnest(%(kept_hours)s::tstzmultirange) AS r(span)
    ON k.at >= greatest(lower(r.span), least(a.since, %(paired)s) - interval '1 hour') AND k.at < upper(r.span)
UNION ALL
SELECT k.objective_id, k.at, k.seconds, k.good, k.total, k.skipped_good, k.skipped_total
FROM asked a JOIN wf.objective_cells k ON k.objective_id = a.id AND k.seconds = 60
  JOIN unnest(%(kept_minutes)s::tstzmultirange) AS r(span) ON k.at >= lower(r.span) AND k.at < upper(r.span)
UNION ALL
SELECT m.id, m.at, m.seconds, sum(m.good), sum(m.total), coalesce(sum(m.good) FILTER (WHERE m.skipped), 0),
       coalesce(sum(m.total) FILTER (WHERE m.skipped), 0)
FROM wf.objectives_measured(%(hours)s::tstzmultirange, %(minutes)s::tstzmultirange, %(raw)s::tstzmultirange,
                            %(names)s::text[], %(only)s::bigint, %(tenant)s::text, %(route)s::text) m
GROUP BY 1, 2, 3 HAVING sum(m.total) > 0
"""
SLICES: LiteralString = f"""
WITH asked AS (SELECT * FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[]) AS a(id, since))
SELECT f.id, f.at, f.seconds, f.good, f.total, f.skipped_good, f.skipped_total
FROM ({FOUND}) f JOIN asked a ON a.id = f.id ORDER BY 1, 2
"""

# One slice of each stretch between two edges of windows: as good as all of its own, since no window ends within it.
# It is placed where its newest is; one that cannot be stays by itself.
SUMS: LiteralString = f"""
WITH asked AS (SELECT * FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[]) AS a(id, since))
SELECT f.id, max(f.at), extract(epoch FROM max(f.at + make_interval(secs => f.seconds)) - max(f.at))::integer,
       sum(f.good), sum(f.total), sum(f.skipped_good), sum(f.skipped_total)
FROM (SELECT *, at + make_interval(secs => seconds / 2.0) AS middle FROM ({FOUND}) g) f JOIN asked a ON a.id = f.id
GROUP BY f.id, f.middle > a.since, f.good > f.total OR f.good < 0 OR f.total < 0,
         width_bucket(extract(epoch FROM %(until)s - f.middle)::float8, %(edges)s::float8[])
ORDER BY 1, 2
"""
WINDOWS = sorted({length.total_seconds() for pair in PAIRS for length in (pair.long, pair.short)})

SHARES: LiteralString = """
SELECT GROUPING(tenant_id), coalesce(tenant_id, route) AS who, sum(total - good), sum(total)
FROM wf.objectives_measured(%(hours)s::tstzmultirange, %(minutes)s::tstzmultirange, %(raw)s::tstzmultirange,
                            %(names)s::text[], %(only)s::bigint, %(tenant)s::text, %(route)s::text)
WHERE NOT skipped GROUP BY GROUPING SETS ((tenant_id), (route)) HAVING sum(total - good) > 0
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
    """Hours from `start`, minutes from `fine`, `until`; derived from one tenant's or one route's requests alone."""

    start: datetime
    fine: datetime
    until: datetime
    tenant_id: str | None = None
    route: str | None = None
    kept: bool = True
    """Whether what is kept answers too: it is of all whom an objective holds for, together."""


@dataclass(frozen=True)
class Slis:
    """Reads within one connection."""

    connection: psycopg.AsyncConnection[TupleRow]

    async def sums(self, span: Span, asked: dict[Objective, datetime]) -> dict[int, tuple[Slice, ...]]:
        """Enough of each objective to say how it stands, since its window's start. Names of which much is due are
        read by themselves: they hold up no other.
        """
        found: dict[int, tuple[Slice, ...]] = {}
        due = {name for (name,) in await self._read("SELECT DISTINCT name FROM wf.objective_due", {})}
        for is_due in (False, True):
            if group := {each: start for each, start in asked.items() if (each.name in due) == is_due}:
                found |= await self._slices(SUMS, span, group)
        return found

    async def slices(self, span: Span, objective: Objective) -> tuple[Slice, ...]:
        """Every minute and hour of an objective, ascending."""
        return (await self._slices(SLICES, span, {objective: span.start})).get(objective.id, ())

    async def _slices(
        self, statement: LiteralString, span: Span, asked: dict[Objective, datetime]
    ) -> dict[int, tuple[Slice, ...]]:
        values = await self._values(span, *asked)
        values |= {"ids": [each.id for each in asked], "since": list(asked.values()), "edges": WINDOWS}
        values["paired"] = span.until - LONGEST_PAIR
        found: dict[int, list[Slice]] = {}
        for id, at, seconds, *counts in await self._read(statement, values):
            good, total, skipped_good, skipped_total = map(int, counts)
            found.setdefault(id, []).append(Slice(at, seconds, good, total, Counts(skipped_good, skipped_total)))
        return {id: tuple(slices) for id, slices in found.items()}

    async def shares(self, span: Span, objective: Objective) -> list[TupleRow]:
        """Bad of total, by tenant (0) and by route (1), without what was planned."""
        return await self._read(SHARES, await self._values(span, objective))

    async def keys(self, span: Span, objective: Objective) -> list[TupleRow]:
        return await self._read(KEYS, _plain(span, objective))

    async def _values(self, span: Span, *asked: Objective) -> dict[str, Any]:
        values = _plain(span, *asked)
        [(hours, minutes, raw, *parts)] = await self._read(EDGES, values)
        if not span.kept:
            parts = [NOTHING, NOTHING, hours, minutes]
        return values | {"raw": raw} | dict(zip(("kept_hours", "kept_minutes", "hours", "minutes"), parts, strict=True))

    async def _read(self, statement: LiteralString, values: dict[str, Any]) -> list[TupleRow]:
        return await (await self.connection.execute(statement, values)).fetchall()


def _plain(span: Span, *asked: Objective) -> dict[str, Any]:
    return {
        "start": span.start,
        "fine": span.fine,
        "until": span.until,
        "names": sorted({each.name for each in asked}),
        "only": asked[0].id if len(asked) == 1 else None,
        "tenant": span.tenant_id,
        "route": span.route,
    }
