-- What each key did on each route by whole days of UTC, kept from the hour cells; and the detector that compares the last
-- hours with those days. A day that is not summed yet, or that changed since, is read from its hours: the answer is the same.

-- These days of these tenants, from the hours.
CREATE OR REPLACE FUNCTION wf.key_days_of(days date[], tenants text[]) RETURNS SETOF wf.key_days LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT u.day, c.tenant_id, c.value, c.route, sum(c.n), sum(c.errors_4xx), sum(c.errors_5xx), coalesce(sum(c.latency_sum), 0),
         min(c.hour)
  FROM unnest(days, tenants) AS u(day, tenant_id) CROSS JOIN LATERAL (
    SELECT * FROM wf.hour_cells c
    WHERE c.tenant_id = u.tenant_id AND c.dim = 'key' AND c.hour >= u.day::timestamp AT TIME ZONE 'UTC'
      AND c.hour < (u.day + 1)::timestamp AT TIME ZONE 'UTC' OFFSET 0) c
  GROUP BY 1, 2, 3, 4
$$;

-- Sum what is due of days that are over, for some tenants and days. Returns how many; 0: nothing was left. Repeating it
-- changes nothing. Who writes hours meanwhile notes it again.
CREATE OR REPLACE FUNCTION wf.keep_key_days(most integer DEFAULT 5000) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp SET work_mem = '64MB' AS $$
DECLARE
  until date;  -- the days before are over and rolled up
  since date;  -- no detector looks at the days before
  whole date;
  kept  bigint := 0;
BEGIN
  PERFORM wf.take_lock('keep_key_days');
  SELECT (m.hours_until AT TIME ZONE 'UTC')::date, (m.hours_until AT TIME ZONE 'UTC')::date - 10 INTO until, since
  FROM wf.request_marks m WHERE m.hours_until BETWEEN '1970-02-01Z' AND '2199-12-31Z';
  IF until IS NULL THEN
    RETURN 0;
  END IF;
  DELETE FROM wf.key_days_due d WHERE d.day < since;
  DELETE FROM wf.key_days k WHERE k.ctid IN (SELECT o.ctid FROM wf.key_days o WHERE o.day < since LIMIT 50000);
  SELECT max(d.day) INTO whole FROM wf.key_days_due d WHERE d.tenant_id IS NULL AND d.day < until;
  IF whole IS NOT NULL THEN
    DELETE FROM wf.key_days_due d WHERE d.day = whole;
    INSERT INTO wf.key_days_due
    SELECT DISTINCT whole, c.tenant_id FROM wf.hour_cells c
    WHERE c.hour >= whole::timestamp AT TIME ZONE 'UTC' AND c.hour < (whole + 1)::timestamp AT TIME ZONE 'UTC'
      AND c.dim = 'key' AND c.tenant_id <> ''
    UNION SELECT whole, k.tenant_id FROM wf.key_days k WHERE k.day = whole;
    kept := 1;
  END IF;
  -- One statement, so that all of it sees the same: a change is either summed, or its note is left.
  WITH due AS MATERIALIZED (
    SELECT DISTINCT d.day, d.tenant_id FROM wf.key_days_due d WHERE d.day < until AND d.tenant_id IS NOT NULL
    ORDER BY d.day DESC, d.tenant_id LIMIT most
  ), noted AS (
    DELETE FROM wf.key_days_due d USING due u WHERE d.day = u.day AND d.tenant_id = u.tenant_id
  ), found AS MATERIALIZED (
    SELECT * FROM wf.key_days_of(ARRAY(SELECT u.day FROM due u), ARRAY(SELECT u.tenant_id FROM due u))
  ), gone AS (
    DELETE FROM wf.key_days k USING due u WHERE k.day = u.day AND k.tenant_id = u.tenant_id
      AND (k.day, k.tenant_id, k.value, k.route) NOT IN (SELECT f.day, f.tenant_id, f.value, f.route FROM found f)
  ), put AS (
    INSERT INTO wf.key_days SELECT * FROM found
    ON CONFLICT (tenant_id, day, value, route) DO UPDATE SET n = excluded.n, errors_4xx = excluded.errors_4xx,
      errors_5xx = excluded.errors_5xx, latency_sum = excluded.latency_sum, first_hour = excluded.first_hour
  )
  SELECT kept + count(*) INTO kept FROM due;
  RETURN kept;
END
$$;
GRANT EXECUTE ON FUNCTION wf.keep_key_days TO wf_worker;

-- The days in [from_day, until_day): those that are kept, and what is due from the hours.
CREATE OR REPLACE FUNCTION wf.key_days_in(from_day date, until_day date) RETURNS SETOF wf.key_days LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  WITH due AS MATERIALIZED (
    SELECT DISTINCT d.day, d.tenant_id FROM wf.key_days_due d WHERE d.day >= from_day AND d.day < until_day
  ), whole AS MATERIALIZED (
    SELECT d.day FROM due d WHERE d.tenant_id IS NULL
  ), pairs AS MATERIALIZED (
    SELECT array_agg(d.day) AS days, array_agg(d.tenant_id) AS tenants FROM due d
    WHERE d.tenant_id IS NOT NULL AND d.day NOT IN (SELECT w.day FROM whole w)
  )
  SELECT k.* FROM wf.key_days k
  WHERE k.day >= from_day AND k.day < until_day AND k.day NOT IN (SELECT w.day FROM whole w)
    AND (k.day, k.tenant_id) NOT IN (SELECT d.day, d.tenant_id FROM due d WHERE d.tenant_id IS NOT NULL)
    AND k.first_hour >= (SELECT m.hours_from FROM wf.request_marks m)  -- retention has dropped the hours before
  UNION ALL
  SELECT f.* FROM pairs p, wf.key_days_of(p.days, p.tenants) f
  UNION ALL
  SELECT w.day, c.tenant_id, c.value, c.route, sum(c.n), sum(c.errors_4xx), sum(c.errors_5xx), coalesce(sum(c.latency_sum), 0),
         min(c.hour)
  FROM whole w CROSS JOIN LATERAL (
    SELECT * FROM wf.hour_cells c WHERE c.hour >= w.day::timestamp AT TIME ZONE 'UTC'
      AND c.hour < (w.day + 1)::timestamp AT TIME ZONE 'UTC' AND c.dim = 'key' AND c.tenant_id <> '' OFFSET 0) c
  GROUP BY 1, 2, 3, 4
$$;

-- The keys that may be unusual on a route, with the limits that hold for their tenant and what the keys of their plan
-- usually make of requests in the window [start, until), which is compared with the days in [from_day, until_day) before it.
-- It leaves out those that controlplane.telemetry.anomalies.judge would not call unusual (a test compares the two), by what
-- costs little: days with gaps count as they are, and latencies as if that of each request were known. Those that differ
-- most come first.
CREATE OR REPLACE FUNCTION wf.usage_candidates(
  start timestamptz, until timestamptz, from_day date, until_day date, slower double precision,
  server_share double precision, client_share double precision, most integer
) RETURNS TABLE (tenant_id text, value text, route text, key_id text, fewest double precision, times double precision,
                 errors double precision, peers integer, peers_middle double precision, peers_spread double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp SET work_mem = '64MB' AS $$
  SELECT wf.in_time('operator');
  WITH recent AS MATERIALIZED (
    SELECT c.tenant_id, c.value, c.route, sum(c.n)::float8 AS n, sum(c.errors_4xx)::float8 AS e4,
           sum(c.errors_5xx)::float8 AS e5, coalesce(sum(c.latency_sum), 0) AS ms, min(c.hour) AS first
    FROM wf.hour_cells c WHERE c.hour >= start AND c.hour < until AND c.dim = 'key' AND c.tenant_id <> '' GROUP BY 1, 2, 3
  ), before AS MATERIALIZED (
    SELECT d.tenant_id, d.value, d.route, sum(d.n)::float8 AS n, sum(d.errors_4xx)::float8 AS e4,
           sum(d.errors_5xx)::float8 AS e5, sum(d.latency_sum) AS ms, array_agg(d.n::float8 ORDER BY d.n) AS windows,
           min(d.first_hour) AS first
    FROM wf.key_days_in(from_day, until_day) d GROUP BY 1, 2, 3
  ), sums AS MATERIALIZED (
    SELECT tenant_id, value, route, coalesce(r.n, 0) AS n, coalesce(r.e4, 0) AS e4, coalesce(r.e5, 0) AS e5,
           coalesce(r.ms, 0) AS ms, coalesce(b.n, 0) AS old_n, coalesce(b.e4, 0) AS old_e4, coalesce(b.e5, 0) AS old_e5,
           coalesce(b.ms, 0) AS old_ms, b.windows, least(r.first, b.first) AS first
    FROM recent r FULL JOIN before b USING (tenant_id, value, route)
  ), span AS MATERIALIZED (
    SELECT from_day::timestamp AT TIME ZONE 'UTC' AS lower, until_day::timestamp AT TIME ZONE 'UTC' AS upper
  ), hours AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE h.hour >= start)::float8 AS now, count(*) FILTER (WHERE h.hour < p.upper)::float8 AS old
    FROM span p, (SELECT DISTINCT c.hour FROM wf.request_hours c, span p
                  WHERE c.tenant_id = '' AND c.dim = 'route' AND c.hour >= p.lower AND c.hour < until) h
  ), plans AS MATERIALIZED (
    SELECT t.plan, count(*)::integer AS keys,
           percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY s.old_n * h.now / h.old) AS q
    FROM sums s JOIN wf.tenants t ON t.id = s.tenant_id, hours h WHERE s.old_n > 0 AND h.old > 0 GROUP BY t.plan
  ), judged AS (
    SELECT s.*, t.plan, f.value AS fewest, m.value AS times, e.value AS errors, s.old_n / nullif(h.old, 0) * h.now AS least_expected,
           -- Of a tenant whose keys were first named later than the baseline began, fewer hours count.
           s.old_n / nullif(least(h.old, extract(epoch FROM p.upper - min(s.first) OVER (PARTITION BY s.tenant_id))::float8 / 3600), 0)
             * h.now AS most_expected,
           coalesce(s.windows[(w.n + 1) / 2 - (w.n - cardinality(s.windows))], 0) * h.now / w.hours AS low_median,
           coalesce(s.windows[w.n / 2 + 1 - (w.n - cardinality(s.windows))], 0) * h.now / w.hours AS high_median
    FROM sums s JOIN wf.tenants t ON t.id = s.tenant_id AND t.status IN ('active', 'suspended')
      JOIN wf.tenant_thresholds('key_usage_anomaly', 'fewest') f ON f.tenant_id = s.tenant_id
      JOIN wf.tenant_thresholds('key_usage_anomaly', 'times') m ON m.tenant_id = s.tenant_id
      JOIN wf.tenant_thresholds('key_usage_anomaly', 'errors') e ON e.tenant_id = s.tenant_id
      CROSS JOIN hours h CROSS JOIN span p CROSS JOIN (SELECT 24::float8 AS hours, until_day - from_day AS n) w
  )
  SELECT j.tenant_id, j.value, j.route,
         (SELECT max(k.id) FROM wf.api_keys k WHERE k.tenant_id = j.tenant_id AND k.display = j.value),
         j.fewest, j.times, j.errors, p.keys, p.q[2], (p.q[3] - p.q[1]) / 1.349
  FROM judged j LEFT JOIN plans p ON p.plan = j.plan
  WHERE j.n >= j.fewest AND (
          j.n >= j.times * least(j.least_expected, j.low_median)
          OR j.old_n >= j.fewest AND j.ms * j.old_n >= (1 + slower) / 2 * j.old_ms * j.n
          OR j.e5 >= server_share * j.n AND j.e5 * j.old_n >= j.times * j.old_e5 * j.n
          OR j.e4 >= client_share * j.n AND j.e4 * j.old_n >= j.times * j.old_e4 * j.n)
     OR greatest(j.most_expected, j.high_median) >= j.fewest AND j.n * j.times <= greatest(j.most_expected, j.high_median)
  ORDER BY abs(ln((j.n + 1) / (coalesce(j.least_expected, 0) + 1))) DESC, j.tenant_id, j.value, j.route LIMIT most
$$;
GRANT EXECUTE ON FUNCTION wf.usage_candidates TO wf_operator, wf_worker;
