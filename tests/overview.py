"""A fleet of which every part of the overview has something to say."""

from __future__ import annotations

import psycopg

TENANTS = """
INSERT INTO wf.plans (code, version, name, currency, month_price, year_price, billing, trial_days, entitlements) VALUES
  ('house', 1, 'House', 'EUR', 100, 1000, 'arrears', 14, '{"exports": {"period": "month", "soft": 80, "hard": 100}}');
INSERT INTO wf.tenants (id, name, plan, region, created_at)
SELECT id, name, 'house', region, now() - interval '90 days' FROM (VALUES
  ('acme', 'Acme GmbH', 'eu-west-1'), ('globex', 'Globex', 'us-east-1'), ('initech', 'Initech', 'eu-west-1'),
  ('umbrella', 'Umbrella', 'ap-south-1')) AS t(id, name, region);
UPDATE wf.tenant_activity a SET per_minute = v.rate, error_share = v.errors, p95_ms = v.p95, until = now()
FROM (VALUES ('acme', 1204, 0.0041, 212), ('globex', 87.5, 0.031, 1240), ('umbrella', 4.2, 0.12, 88)
) AS v(id, rate, errors, p95) WHERE v.id = a.tenant_id;
"""
KEYS = """
INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, created_at)
SELECT 'key_' || lpad(n::text, 26, '0'), 'acme', 'live', 'wf_live_' || n, sha256(n::text::bytea),
       now() - n * interval '20 days'
FROM generate_series(1, 4) n;  -- two are older than 30 days and stay
UPDATE wf.api_keys SET rotated_at = now() - interval '3 days', grace_until = now() + interval '1 day'
WHERE id ~ '0[14]$';
UPDATE wf.key_uses SET last_used_at = now() - interval '1 hour' WHERE key_id ~ '01$';
UPDATE wf.key_uses SET last_used_at = now() - interval '70 days' WHERE key_id ~ '04$';
"""
PLANS = """
UPDATE wf.subscriptions SET state = 'trial', trial_plan = 'house', trial_version = 1,
  trial_start = now() - interval '12 days',
  trial_end = now() + interval '2 days', trial_return = 'expired' WHERE tenant_id = 'initech';
INSERT INTO wf.quota_counters (tenant_id, metric, period, period_start, used, minute, minute_used)
SELECT id, 'exports', 'month', date_trunc('month', now(), 'UTC'), used, now(), 0
FROM (VALUES ('acme', 95), ('globex', 80), ('umbrella', 79)) AS v(id, used);
"""
WORK = """
INSERT INTO wf.workers (name, host, pid, version, kinds, lease_until, seen_at) VALUES
  ('box-1', 'box', 11, '1', '{}', now() + interval '1 hour', now() + interval '1 hour'),
  ('box-2', 'box', 12, '1', '{}', now() - interval '1 s', now() - interval '20 s');
INSERT INTO wf.jobs (kind, tenant_id, state, error, ended_at, run_at) VALUES
  ('deliver', 'acme', 'dead', 'no', now(), now()), ('deliver', 'acme', 'dead', 'no', now(), now()),
  ('deliver', 'acme', 'waiting', NULL, NULL, now() - interval '5 min'),
  ('deliver', NULL, 'waiting', NULL, NULL, now() - interval '2 min'),
  ('deliver', 'globex', 'waiting', NULL, NULL, now() + interval '1 hour'),
  ('deliver', 'globex', 'waiting', NULL, NULL, now());
INSERT INTO wf.runs (operation, state, per_second, breaker_share, changed_at) VALUES
  ('tenants.edit', 'paused', 10, 0.2, now()), ('tenants.edit', 'running', 10, 0.2, now()),
  ('tenants.edit', 'done', 10, 0.2, now()), ('tenants.edit', 'done', 10, 0.2, now() - interval '3 days');
UPDATE wf.run_progress SET refused = 3 WHERE run_id > 2;
"""
# Four requests a minute in Europe, one of them failed; in America there was nothing in the last hour. The week before
# had two requests a minute. Minutes are made one by one, and no part reads more than the newest few hours of them.
TRAFFIC = """
UPDATE wf.request_marks SET minutes_from = date_trunc('minute', now()) - interval '5 hours';
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, region, at)
SELECT 'acme', '/a', 'GET', CASE n % 4 WHEN 0 THEN 500 ELSE 200 END, 100, 'eu-west-1', now() - n * interval '15 s'
FROM generate_series(0, 26 * 240) n;
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, region, at)
SELECT 'acme', '/a', 'GET', 200, 100, 'us-east-1', now() - interval '3 hours' - n * interval '15 s'
FROM generate_series(0, 9) n;
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, region, at)
SELECT 'acme', '/a', 'GET', 200, 50, 'eu-west-1', now() - interval '7 days 3 hours' + n * interval '30 s'
FROM generate_series(0, 480) n;
"""


def fill(connection: psycopg.Connection) -> None:
    for statements in (TENANTS, KEYS, PLANS, WORK, TRAFFIC):
        connection.execute(statements.encode())
    connection.commit()  # rolling up sees what was committed
    connection.execute("SELECT wf.roll_up_requests(5000, 500)")
    connection.execute("SELECT wf.look_at_quotas()")
    connection.commit()
