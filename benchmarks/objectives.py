"""Reading all objectives of a fleet: from what a worker keeps, against deriving it from the same request cells."""

from __future__ import annotations

import asyncio
import time

import psycopg

from backends.postgres.home import Home
from backends.postgres.objectives import FINE_LIST, Objectives, _hour, _Reader
from backends.postgres.slis import Slis, Span
from benchmarks.estate import Estate
from benchmarks.figures import Figure, middle
from controlplane.listing import Query
from controlplane.objectives.model import ObjectiveDirectory
from controlplane.objectives.rules import period_of

TENANTS, DAYS = 1000, 30
RUNS, MOST_MS, MOST_MINUTE_MS = 9, 100.0, 1000.0
# Three routes of each tenant, hours of a month and minutes of eight hours. Six objectives for all tenants, of both
# kinds, and one for every twentieth tenant alone.
_CELLS = """
INSERT INTO wf.request_hours (tenant_id, route, hour, n, errors_4xx, errors_5xx, buckets, counts)
SELECT 'tenant-' || lpad(t::text, 7, '0'), '/r' || r, h, 600, 1, (t + r) % 3,
       ARRAY(SELECT b::smallint FROM generate_series(100, 130) b), ARRAY(SELECT 20 FROM generate_series(100, 130) b)
FROM generate_series(date_trunc('hour', now()) - interval '{days} days', now() - interval '1 hour', '1 hour') h,
     generate_series(1, {tenants}) t, generate_series(1, 3) r;
INSERT INTO wf.request_minutes (tenant_id, route, minute, n, errors_4xx, errors_5xx, buckets, counts)
SELECT 'tenant-' || lpad(t::text, 7, '0'), '/r' || r, m, 10, 0, ((t + r + extract(minute FROM m)::int) % 97 = 0)::int,
       ARRAY(SELECT b::smallint FROM generate_series(110, 119) b), ARRAY(SELECT 1 FROM generate_series(110, 119) b)
FROM generate_series(date_trunc('hour', now()) - interval '8 hours', now() - interval '2 minutes', '1 minute') m,
     generate_series(1, {tenants}) t, generate_series(1, 3) r;
UPDATE wf.request_marks SET rolled_at = now(), minutes_from = date_trunc('hour', now()) - interval '8 hours',
  minutes_until = date_trunc('minute', now()) - interval '1 minute', hours_until = date_trunc('hour', now());
INSERT INTO wf.objectives (name, kind, threshold_ms, target)
SELECT 'o' || n, CASE n % 2 WHEN 0 THEN 'availability' ELSE 'latency' END, CASE n % 2 WHEN 1 THEN 10 * n END, 0.99
FROM generate_series(1, 6) n;
INSERT INTO wf.objectives (name, tenant_id, target)
SELECT 'promised', 'tenant-' || lpad(t::text, 7, '0'), 0.999 FROM generate_series(1, {tenants}, 20) t;
INSERT INTO wf.objective_due VALUES (NULL, '(,)')
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    tenants = 50 if small else TENANTS
    estate.fill(1000)
    with psycopg.connect(estate.owner, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in _CELLS.format(tenants=tenants, days=3 if small else DAYS).split(";\n"):
            connection.execute(statement.encode())
        connection.execute("SET session_replication_role = origin")
        connection.execute("VACUUM ANALYZE")
        began = time.perf_counter()
        while connection.execute("SELECT wf.keep_objectives()").fetchone() != (0,):
            pass
        whole = time.perf_counter() - began
        connection.execute("VACUUM ANALYZE")
        ours, spread = asyncio.run(_listed(estate.owner, 3 if small else RUNS))
        minute, of_minute = _a_minute(connection, 1 if small else RUNS)
        derived = asyncio.run(_derived(estate.owner))
    claim = f"objectives: the list of {6 + len(range(0, tenants, 20))}, of {tenants:,} tenants"
    return [
        Figure(claim, ours, "ms", derived, "ms derived", f"≤ {MOST_MS:.0f} ms", ours <= MOST_MS, spread),
        Figure(
            "objectives: keep a minute of all",
            minute,
            "ms",
            None,
            "",
            f"≤ {MOST_MINUTE_MS:,.0f} ms",
            minute <= MOST_MINUTE_MS,
            of_minute,
        ),
        Figure("objectives: keep all of a month for the first time", whole, "s"),
    ]


async def _listed(conninfo: str, runs: int) -> tuple[float, tuple[float, float]]:
    """Each time with a new directory, which has nothing cached."""
    home = Home(conninfo)
    await home.open()
    took = []
    for _ in range(runs + 1):
        home.readers.pop(Objectives, None)
        began = time.perf_counter()
        page = await home.of(ObjectiveDirectory).page(Query(()))
        took.append((time.perf_counter() - began) * 1000)
        assert page.rows and page.rows[0].remaining is not None
    await home.close()
    return middle(took[1:])


async def _derived(conninfo: str) -> float:
    """The same from the same cells, as if nothing were kept."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        reader = _Reader(connection)
        now, objectives = await reader.now(), await reader.live()
        since = {each: period_of(each.period, each.zone, now)[0] for each in objectives}
        span = Span(_hour(min(since.values())), _hour(now - FINE_LIST), now, kept=False)
        began = time.perf_counter()
        await Slis(connection).sums(span, since)
        return (time.perf_counter() - began) * 1000


def _a_minute(connection: psycopg.Connection, runs: int) -> tuple[float, tuple[float, float]]:
    took = []
    for back in range(runs):
        connection.execute(
            "UPDATE wf.request_minutes SET n = n + 1"
            " WHERE minute = date_trunc('minute', now()) - %s * interval '1 minute'",
            [back + 3],
        )
        began = time.perf_counter()
        connection.execute("SELECT wf.keep_objectives()")
        took.append((time.perf_counter() - began) * 1000)
    return middle(took)
