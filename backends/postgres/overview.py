"""The parts of the overview in PostgreSQL: one statement each, answered by an index whatever the size of the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row, dict_row

from backends.postgres.statements import scalar
from controlplane.listing import Count, Query
from controlplane.overview.model import (
    HOURS,
    JOB_LATE,
    STALE_DAYS,
    TRIAL_DAYS,
    Burner,
    Burning,
    Change,
    Changes,
    Ending,
    Figures,
    GatesDue,
    KeysDue,
    OverviewSource,
    PlansDue,
    QuotaNear,
    Region,
    RunsDue,
    Stray,
    TenantFigures,
    Traffic,
    WorkDue,
    figures,
)
from controlplane.telemetry.model import Histogram, Point

if TYPE_CHECKING:
    from backends.postgres.home import Home
    from controlplane.alerts.model import OpenAlerts
    from controlplane.incidents.model import Standing

# What belongs to other nouns is loaded when it is first asked for, after the first rows.

HOUR, MINUTE, WEEK = timedelta(hours=1), timedelta(minutes=1), timedelta(days=7)
TOP = 10
CAP = 1000

# The fleet's cells: complete hours, minutes for the rest, and the two hours a week ago that overlap the last hour.
# Python has no infinite times.
TRAFFIC = """
WITH m AS MATERIALIZED (
  SELECT greatest(minutes_from, '1970-01-01') AS minutes_from, greatest(minutes_until, '1970-01-01') AS until,
         greatest(least(hours_until, date_trunc('hour', minutes_until, 'UTC')), '1970-01-01') AS hours_until
  FROM wf.request_marks WHERE rolled_at IS NOT NULL
)
SELECT 'mark' AS kind, m.until AS at, NULL::bigint AS n, NULL::bigint AS errors_4xx, NULL::bigint AS errors_5xx,
       NULL::real AS latency_max, NULL::smallint[] AS buckets, NULL::integer[] AS counts, m.minutes_from, m.hours_until
FROM m
UNION ALL
SELECT 'hour', h.hour, h.n, h.errors_4xx, h.errors_5xx, h.latency_max, h.buckets, h.counts, NULL, NULL
FROM m, wf.request_hours h
WHERE h.tenant_id = '' AND h.dim = 'route' AND h.value = '' AND h.route = '' AND h.hour < m.hours_until
  AND h.hour >= m.until - interval '25 hours'
UNION ALL
SELECT 'hour', h.hour, h.n, h.errors_4xx, h.errors_5xx, h.latency_max, h.buckets, h.counts, NULL, NULL
FROM m, wf.request_hours h
WHERE h.tenant_id = '' AND h.dim = 'route' AND h.value = '' AND h.route = ''
  AND h.hour > m.until - interval '7 days 2 hours' AND h.hour < m.until - interval '7 days'
UNION ALL
SELECT 'minute', c.minute, c.n, c.errors_4xx, c.errors_5xx, c.latency_max, c.buckets, c.counts, NULL, NULL
FROM m, wf.request_minutes c
WHERE c.tenant_id = '' AND c.dim = 'route' AND c.value = '' AND c.route = ''
  AND c.minute >= greatest(m.minutes_from, least(m.hours_until, m.until - interval '1 hour'))
  AND c.minute >= m.until - interval '25 hours' AND c.minute < m.until
"""
FAILING = """
SELECT id, per_minute, error_share, p95_ms, until FROM wf.tenant_list
WHERE coalesce(error_share, -1) >= 0 ORDER BY coalesce(error_share, -1) DESC, tenant_id DESC LIMIT %s
"""
SLOWEST = """
SELECT id, per_minute, error_share, p95_ms, until FROM wf.tenant_list
WHERE coalesce(p95_ms, -1) >= 0 ORDER BY coalesce(p95_ms, -1) DESC, tenant_id DESC LIMIT %s
"""
# Regions that requests name, and those that tenants have; the latter by stepping over their index, at most 50.
REGIONS = """
WITH RECURSIVE m AS MATERIALIZED (
  SELECT greatest(minutes_from, '1970-01-01') AS minutes_from, greatest(minutes_until, '1970-01-01') AS until
  FROM wf.request_marks WHERE rolled_at IS NOT NULL
), named (region, place) AS (
  (SELECT region, 1 FROM wf.tenant_list ORDER BY region LIMIT 1)
  UNION ALL
  SELECT (SELECT t.region FROM wf.tenant_list t WHERE t.region > n.region ORDER BY t.region LIMIT 1), n.place + 1
  FROM named n WHERE n.region IS NOT NULL AND n.place < 50
)
SELECT c.value AS region, m.until, m.minutes_from, c.n, c.errors_4xx, c.errors_5xx, c.latency_max, c.buckets, c.counts
FROM m, wf.request_minutes c
WHERE c.tenant_id = '' AND c.dim = 'region' AND c.route = '' AND c.minute < m.until
  AND c.minute >= greatest(m.minutes_from, m.until - interval '1 hour')
UNION ALL
SELECT region, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM named WHERE region IS NOT NULL
"""
KEYS = """
SELECT l.late, l.looked, (
  SELECT count(*) FROM (
    SELECT FROM wf.key_list k JOIN wf.tenant_list t ON t.id = k.tenant_id
    WHERE k.created_at <= now() - %(max_age)s AND k.revoked_at IS NULL AND k.disabled_at IS NULL
      AND k.grace_until IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
      AND t.status IN ('active', 'suspended')
    LIMIT %(cap)s + 1) s) AS stale
FROM wf.late_rotations(%(cap)s) l
"""
PLANS = """
WITH trials AS MATERIALIZED (
  SELECT s.tenant_id, s.trial_end FROM wf.subscriptions s
  WHERE s.state = 'trial' AND s.trial_end > now() AND s.trial_end <= now() + %(ahead)s
  ORDER BY s.trial_end LIMIT %(cap)s + 1
), near AS MATERIALIZED (
  SELECT tenant_id, metric, used, hard, share FROM wf.quotas_near WHERE resets_at > now()
  ORDER BY share DESC, tenant_id, metric LIMIT %(cap)s + 1
)
SELECT (SELECT count(*) FROM trials) AS trials,
       (SELECT jsonb_agg(jsonb_build_array(f.tenant_id, extract(epoch FROM f.trial_end)) ORDER BY f.trial_end)
        FROM (SELECT * FROM trials ORDER BY trial_end LIMIT 20) f) AS first_trials,
       (SELECT count(*) FROM near) AS quotas,
       (SELECT jsonb_agg(jsonb_build_array(f.tenant_id, f.metric, f.used, f.hard)
                         ORDER BY f.share DESC, f.tenant_id, f.metric)
        FROM (SELECT * FROM near ORDER BY share DESC, tenant_id, metric LIMIT 20) f) AS first_quotas,
       (SELECT at FROM wf.quotas_looked) AS quotas_at
"""
# Late jobs, by stepping over the lanes, so that jobs that are not due yet are skipped; at most 1,000 lanes.
WORK = """
WITH RECURSIVE lanes (lane, place) AS (
  (SELECT lane, 1 FROM wf.jobs WHERE state = 'waiting' ORDER BY lane LIMIT 1)
  UNION ALL
  SELECT (SELECT j.lane FROM wf.jobs j WHERE j.state = 'waiting' AND j.lane > l.lane ORDER BY j.lane LIMIT 1),
         l.place + 1
  FROM lanes l WHERE l.lane IS NOT NULL AND l.place < %(cap)s
)
SELECT count(*) FILTER (WHERE w.state = 'alive') AS alive, count(*) FILTER (WHERE w.state = 'late') AS late_workers,
       count(*) FILTER (WHERE w.state = 'gone' AND coalesce(w.ended_at, w.seen_at) > now() - interval '1 day') AS gone,
       (SELECT coalesce(sum(c.waiting), 0)::bigint FROM wf.cause_list c WHERE c.waiting > 0) AS dead,
       (SELECT count(*) FROM (
          SELECT FROM lanes l, LATERAL (
            SELECT FROM wf.jobs j
            WHERE j.lane = l.lane AND j.state = 'waiting' AND j.run_at < now() - %(late)s LIMIT %(cap)s + 1
          ) one LIMIT %(cap)s + 1) c) AS late,
       (SELECT max(place) FROM lanes) AS lanes
FROM wf.worker_list w
"""
RUNS = """
SELECT (SELECT count(*) FROM (SELECT FROM wf.runs WHERE state = 'paused' LIMIT %(cap)s + 1) r) AS paused,
       (SELECT count(*) FROM (SELECT FROM wf.runs WHERE state = 'running' LIMIT %(cap)s + 1) r) AS running,
       (SELECT count(*) FROM (
          SELECT FROM wf.runs r JOIN wf.run_progress p ON p.run_id = r.id
          WHERE r.changed_at > now() - interval '1 day' AND r.state IN ('done', 'stopped') AND p.refused > 0
          LIMIT %(cap)s + 1) f) AS refused
"""
CHANGES = """
WITH newest AS MATERIALIZED (
  SELECT seq, at, actor, operation, thing, out_of_band FROM wf.audit ORDER BY seq DESC LIMIT %(cap)s + 1
)
SELECT n.seq, n.at, n.actor, n.operation, n.thing, n.out_of_band, count(*) OVER () AS number
FROM newest n WHERE n.at > now() - interval '1 hour' ORDER BY n.seq DESC LIMIT %(top)s
"""
Values = Mapping[str, Any] | Sequence[Any]
EMPTY = """
SELECT coalesce(bool_and(id = 'default' AND until IS NULL), true)
FROM (SELECT id, until FROM wf.tenant_list ORDER BY id LIMIT 2) t
"""
QUESTIONS: dict[str, tuple[str, Values]] = {
    "traffic": (TRAFFIC, ()),
    "failing": (FAILING, [TOP]),
    "slowest": (SLOWEST, [TOP]),
    "regions": (REGIONS, ()),
    "keys": (KEYS, {"cap": CAP, "max_age": timedelta(days=STALE_DAYS)}),
    "plans": (PLANS, {"cap": CAP, "ahead": timedelta(days=TRIAL_DAYS)}),
    "work": (WORK, {"cap": CAP, "late": JOB_LATE}),
    "runs": (RUNS, {"cap": CAP}),
    "stray": ("SELECT raw, minutes, hours FROM wf.stray_requests()", ()),
    "changes": (CHANGES, {"cap": CAP, "top": TOP}),
}


class Overview(OverviewSource):
    def __init__(self, home: Home) -> None:
        self.home = home

    async def _rows(self, part: str) -> list[dict[str, Any]]:
        statement, values = QUESTIONS[part]
        async with self.home.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement.encode(), values or None)
            return await cursor.fetchall()

    async def empty(self) -> bool:
        async with self.home.connection() as connection:
            empty: bool = await scalar(connection, EMPTY)
            return empty

    async def alerts(self) -> OpenAlerts:
        from controlplane.alerts.model import AlertDirectory

        return await self.home.of(AlertDirectory).open_alerts()

    async def incidents(self) -> Sequence[Standing]:
        from controlplane.incidents.model import IncidentDirectory

        return await self.home.of(IncidentDirectory).under_way()

    async def traffic(self) -> Traffic:
        rows = await self._rows("traffic")
        mark = next((row for row in rows if row["kind"] == "mark"), None)
        if mark is None:
            return Traffic(None)
        cells: dict[str, dict[datetime, Point]] = {"hour": {}, "minute": {}}
        for row in rows:
            if row["kind"] != "mark":
                cells[row["kind"]][_utc(row["at"])] = _point(row)
        return traffic_of(cells["hour"], cells["minute"], _utc(mark["at"]), _utc(mark["minutes_from"]))

    async def _tenants(self, part: str) -> Sequence[TenantFigures]:
        statement, values = QUESTIONS[part]
        async with self.home.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(TenantFigures))
            await cursor.execute(statement.encode(), values)
            return await cursor.fetchall()

    async def failing(self) -> Sequence[TenantFigures]:
        return await self._tenants("failing")

    async def slowest(self) -> Sequence[TenantFigures]:
        return await self._tenants("slowest")

    async def regions(self) -> Sequence[Region]:
        found: dict[str, list[Point]] = {}
        until: datetime | None = None
        minutes = 0.0
        for row in await self._rows("regions"):
            points = found.setdefault(row["region"], [])
            if row["n"] is not None:
                until = _utc(row["until"])
                minutes = _minutes(max(_utc(row["minutes_from"]), until - HOUR), until)
                points.append(_point(row))
        return [
            Region(name, until if points else None, figures([(point, 1.0) for point in points], minutes))
            for name, points in sorted(found.items())
        ]

    async def keys(self) -> KeysDue:
        [row] = await self._rows("keys")
        return KeysDue(Count(row["late"], row["looked"] >= CAP), _capped(row["stale"]))

    async def plans(self) -> PlansDue:
        [row] = await self._rows("plans")
        trials = tuple(Ending(id, datetime.fromtimestamp(at, UTC)) for id, at in row["first_trials"] or ())
        quotas = tuple(QuotaNear(*each) for each in row["first_quotas"] or ())
        near = None if row["quotas_at"] is None else _capped(row["quotas"])
        return PlansDue(_capped(row["trials"]), trials, near, quotas, row["quotas_at"])

    async def work(self) -> WorkDue:
        [row] = await self._rows("work")
        late = _capped(row["late"])
        late = Count(late.number, late.capped or (row["lanes"] or 0) >= CAP)
        by_itself = self.home.revive is not None
        return WorkDue(
            row["alive"],
            row["late_workers"],
            row["gone"],
            _capped(row["dead"]),
            late,
            by_itself,
            self.home.sources is not None,
        )

    async def runs(self) -> RunsDue:
        [row] = await self._rows("runs")
        return RunsDue(_capped(row["paused"]), _capped(row["running"]), _capped(row["refused"]))

    async def gates(self) -> GatesDue:
        """From the board, so that both say the same."""
        from controlplane.gates.model import GateDirectory

        page = await self.home.of(GateDirectory).page(Query(), limit=CAP)
        ran = [row for row in page.rows if row.standing not in ("never", "retired")]
        standing = Counter(row.standing for row in ran)
        names = tuple(row.key for row in ran if row.standing in ("NO_GO", "INCONCLUSIVE"))
        return GatesDue(
            len(ran), standing["NO_GO"], standing["INCONCLUSIVE"], standing["GO_WITH_CONDITIONS"], names[:TOP]
        )

    async def stray(self) -> Stray:
        [row] = await self._rows("stray")
        return Stray(_capped(row["raw"]), _capped(row["minutes"]), _capped(row["hours"]))

    async def burning(self) -> Burning:
        """From the list of objectives, so that both share one measurement."""
        from controlplane.filters.grammar import parse
        from controlplane.objectives.list import OBJECTIVES
        from controlplane.objectives.model import ObjectiveDirectory

        objectives = self.home.of(ObjectiveDirectory)
        page = await objectives.page(Query((), "burn", True), limit=TOP)
        unknown = parse("state:unknown,insufficient", OBJECTIVES.fields)
        fastest = tuple(
            Burner(each.objective.id, each.objective.label, each.state, each.burn, each.remaining)
            for each in page.rows
            if each.burn
        )
        return Burning(await objectives.count(Query(())), await objectives.count(Query(unknown)), fastest)

    async def changes(self) -> Changes:
        from controlplane.audit.model import AuditDirectory

        rows = await self._rows("changes")
        number = rows[0].pop("number") if rows else 0
        for row in rows[1:]:
            row.pop("number")
        trouble = (await self.home.of(AuditDirectory).chain_status()).trouble
        return Changes(_capped(number), tuple(Change(**row | {"at": _utc(row["at"])}) for row in rows), trouble)


def traffic_of(
    hours: Mapping[datetime, Point], minutes: Mapping[datetime, Point], until: datetime, minutes_from: datetime
) -> Traffic:
    """The last hour from its minutes, the 24 hours up to now (the last one is not over), and the hour a week before."""
    began = max(until - HOUR, minutes_from)
    now = figures([(point, 1.0) for at, point in minutes.items() if at >= began], _minutes(began, until))
    last = until.replace(minute=0, second=0, microsecond=0)
    if last == until:
        last -= HOUR
    day = tuple(_hour(hours, minutes, last - back * HOUR, until, minutes_from) for back in range(HOURS - 1, -1, -1))
    return Traffic(until, now, day, _week_before(hours, until - WEEK))


def _hour(
    hours: Mapping[datetime, Point],
    minutes: Mapping[datetime, Point],
    start: datetime,
    until: datetime,
    minutes_from: datetime,
) -> Figures:
    if start in hours:
        return figures([(hours[start], 1.0)], 60)
    first, end = max(start, minutes_from), min(start + HOUR, until)
    points = [point for at, point in minutes.items() if first <= at < end]
    return figures([(point, 1.0) for point in points], _minutes(first, end))


def _week_before(hours: Mapping[datetime, Point], until: datetime) -> Figures:
    """An hour that overlaps two cells takes a share of each; if one is missing, nothing is known."""
    second = until.replace(minute=0, second=0, microsecond=0)
    share = (until - second) / HOUR
    parts = [(hours.get(second), share), (hours.get(second - HOUR), 1.0 - share)]
    found = [(point, weight) for point, weight in parts if weight > 0]
    if any(point is None for point, _ in found):
        return Figures()
    return figures([(point, weight) for point, weight in found if point is not None], 60)


def _point(row: Mapping[str, Any]) -> Point:
    histogram = Histogram(tuple(row["buckets"]), tuple(row["counts"]))
    return Point(int(row["n"]), int(row["errors_4xx"]), int(row["errors_5xx"]), histogram, row["latency_max"])


def _minutes(start: datetime, end: datetime) -> float:
    return (end - start) / MINUTE


def _capped(number: int) -> Count:
    return Count(min(number, CAP), number > CAP)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
