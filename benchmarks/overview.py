"""Each part of the overview on a million tenants, in milliseconds, as a console asks for it."""

from __future__ import annotations

import time

import psycopg

from backends.postgres.overview import QUESTIONS
from benchmarks.estate import Estate
from benchmarks.figures import Figure, middle

TENANTS = 1_000_000
RUNS, MOST_MS = 9, 50.0
# What twenty million requests of a thousand tenants leave: a fortnight of hours, two days of minutes. And some jobs.
_CELLS = """
INSERT INTO wf.request_hours (tenant_id, route, hour, n, errors_4xx, errors_5xx, buckets, counts)
SELECT CASE t WHEN 0 THEN '' ELSE 'tenant-' || lpad(t::text, 7, '0') END, '', h, 60, 1, 1,
       ARRAY(SELECT b::smallint FROM generate_series(60, 200) b), ARRAY(SELECT b FROM generate_series(60, 200) b)
FROM generate_series(date_trunc('hour', now()) - interval '14 days', now(), '1 hour') h,
     generate_series(0, {tenants}) t;
INSERT INTO wf.request_minutes (tenant_id, route, minute, n, errors_4xx, errors_5xx, buckets, counts, dim, value)
SELECT CASE t WHEN 0 THEN '' ELSE 'tenant-' || lpad(t::text, 7, '0') END, '', m, 1, 0, 0,
       ARRAY(SELECT b::smallint FROM generate_series(60, 200) b), ARRAY(SELECT b FROM generate_series(60, 200) b),
       CASE r WHEN 0 THEN 'route' ELSE 'region' END, CASE r WHEN 0 THEN '' ELSE 'region-' || r END
FROM generate_series(date_trunc('minute', now()) - interval '6 hours', now(), '1 minute') m,
     generate_series(0, {tenants} / 10) t, generate_series(0, 4) r WHERE r = 0 OR t = 0;
UPDATE wf.request_marks SET rolled_at = now(), minutes_from = now() - interval '6 hours',
  minutes_until = date_trunc('minute', now()), hours_until = date_trunc('hour', now());
INSERT INTO wf.subscriptions (tenant_id, state, trial_plan, trial_version, trial_start, trial_end, trial_return)
SELECT id, CASE hashtext(id) % 100 WHEN 0 THEN 'trial' ELSE 'active' END, 'pro', 1, now(),
       now() + (1 + abs(hashtext(id) % 3000)) * interval '10 minutes', 'expired' FROM wf.tenants ON CONFLICT DO NOTHING;
INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, created_at)
SELECT 'key_' || lpad(row_number() OVER ()::text, 26, '0'), id, 'live', 'wf_live_' || id, sha256(id::bytea), created_at
FROM wf.tenants;
INSERT INTO wf.jobs (kind, state, ended_at, run_at)
SELECT 'deliver', CASE n % 50 WHEN 0 THEN 'dead' WHEN 1 THEN 'waiting' ELSE 'canceled' END,
       CASE n % 50 WHEN 1 THEN NULL ELSE now() END, now() + interval '1 day' FROM generate_series(1, {jobs}) n;
INSERT INTO wf.audit (seq, out_of_band, actor, operation, noun, thing, at)
SELECT (SELECT coalesce(max(seq), 0) FROM wf.audit) + n,
       false, 'ana', 'tenants.edit', 'tenants', 'acme', now() - ({jobs} - n) * interval '1 s'
FROM generate_series(1, {jobs}) n;
UPDATE wf.counters SET value = (SELECT max(seq) FROM wf.audit) WHERE name = 'audit'
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(1000 if small else TENANTS)
    with psycopg.connect(estate.owner, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in _CELLS.format(tenants=50 if small else 1000, jobs=1000 if small else 200_000).split(";\n"):
            connection.execute(statement.encode())
        connection.execute("SET session_replication_role = origin")
        connection.execute("VACUUM ANALYZE")
        return [_asked(connection, name, 1 if small else RUNS) for name in QUESTIONS]


def _asked(connection: psycopg.Connection, name: str, runs: int) -> Figure:
    statement, values = QUESTIONS[name]
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        connection.execute(statement.encode(), values or None).fetchall()
        took.append((time.perf_counter() - began) * 1000)
    ours, spread = middle(took)
    return Figure(f"overview: {name}", ours, "ms", None, "", f"≤ {MOST_MS:.0f} ms", ours <= MOST_MS, spread)
