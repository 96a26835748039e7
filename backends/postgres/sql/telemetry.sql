INSERT INTO wf.operations (name, role) VALUES
  ('telemetry.drop-old', 'admin'), ('telemetry.retention', 'admin');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('telemetry.drop-old', 'telemetry-drops', 'note', '{dropped}', NULL, NULL, false),
  ('telemetry.retention', 'telemetry-drops', 'note', '{would_go}', NULL, NULL, false),
  ('telemetry.retention', 'wf.telemetry_retention', 'update', '{days}', NULL, NULL, false);

GRANT SELECT ON wf.request_hours TO wf_viewer, wf_worker;
-- NULL stays NULL: unknown and impossible latencies are in no bucket. It is simple enough for the planner to inline.
CREATE OR REPLACE FUNCTION wf.latency_bucket(ms real) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN ms <= 0.1 THEN 0::smallint WHEN ms <= 1e9 THEN ceil(ln(ms::float8 / 0.1) / ln(1.04::float8))::smallint END;
END;
GRANT EXECUTE ON FUNCTION wf.latency_bucket TO wf_viewer, wf_worker;

-- The text of a query for the cells of quiet hours (sql/quiet_hours.sql) from `source`, by hours or by minutes: of each
-- tenant, or of `whose`, for the fleet's cells. Each dim is a branch of its own, so that the planner leaves out those that
-- are not asked for.
CREATE OR REPLACE FUNCTION wf.quiet_cells(source text, clock text, condition text DEFAULT 'true', whose text DEFAULT 'q.tenant_id')
RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  SELECT string_agg(format('
    SELECT b.tenant_id, b.route, b.at, sum(b.n)::integer, sum(b.errors_4xx)::integer, sum(b.errors_5xx)::integer,
           sum(b.latency_sum), max(b.latency_max),
           coalesce(array_agg(b.bucket ORDER BY b.bucket) FILTER (WHERE b.bucket IS NOT NULL), ''{}''),
           coalesce(array_agg(b.n::integer ORDER BY b.bucket) FILTER (WHERE b.bucket IS NOT NULL), ''{}''),
           ''%s''::text COLLATE "C", b.value
    FROM (
      SELECT %s AS tenant_id, %s::text COLLATE "C" AS route, %s::text COLLATE "C" AS value, %s AS at,
             wf.latency_bucket(e.latency_max) AS bucket, sum(e.n) AS n, coalesce(sum(e.n) FILTER (WHERE e.class = 4), 0) AS errors_4xx,
             coalesce(sum(e.n) FILTER (WHERE e.class = 5), 0) AS errors_5xx,
             sum(coalesce(e.latency_sum, e.latency_max)) AS latency_sum, max(e.latency_max) AS latency_max
      FROM %s q, unnest(q.requests) e WHERE %s%s GROUP BY 1, 2, 3, 4, 5) b
    GROUP BY b.tenant_id, b.route, b.at, b.value', d.dim, whose, d.route, d.value,
    CASE clock WHEN 'hour' THEN 'q.hour' ELSE 'q.hour + make_interval(mins => e.minute)' END, source, condition, d.also), ' UNION ALL ')
  FROM (VALUES ('tenant', quote_literal(''), quote_literal(''), ''), ('route', 'e.route', quote_literal(''), ''),
               ('key', 'e.route', 'e.key', ' AND e.key IS NOT NULL'),
               ('region', quote_literal(''), 'e.region', ' AND e.region IS NOT NULL')) AS d(dim, route, value, also);
END;

-- The cells as readers see them: those that are stored, and those of quiet hours. A join must ask for them by a lateral
-- query with OFFSET 0, or all of them are computed.
DO $$
BEGIN
  EXECUTE 'CREATE OR REPLACE VIEW wf.hour_cells AS
    SELECT tenant_id, route, hour, n, errors_4xx, errors_5xx, latency_sum, latency_max, buckets, counts, dim, value
    FROM wf.request_hours UNION ALL' || wf.quiet_cells('wf.quiet_hours', 'hour');
  EXECUTE 'CREATE OR REPLACE FUNCTION wf.minute_cells(lower timestamptz, upper timestamptz)
    RETURNS TABLE (tenant_id text, route text, minute timestamptz, n integer, errors_4xx integer, errors_5xx integer,
                   latency_sum double precision, latency_max real, buckets smallint[], counts integer[], dim text, value text)
    LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC
    SELECT c.tenant_id, c.route, c.minute, c.n, c.errors_4xx, c.errors_5xx, c.latency_sum, c.latency_max, c.buckets, c.counts, c.dim, c.value
    FROM wf.request_minutes c WHERE c.minute >= lower AND c.minute < upper UNION ALL'
    || wf.quiet_cells('wf.quiet_hours', 'minute', 'q.hour > lower - interval ''1 hour'' AND q.hour < upper
      AND q.hour + make_interval(mins => e.minute) >= lower AND q.hour + make_interval(mins => e.minute) < upper') || '; END';
END
$$;
GRANT SELECT ON wf.quiet_hours, wf.hour_cells TO wf_viewer, wf_worker;
GRANT EXECUTE ON FUNCTION wf.minute_cells TO wf_viewer, wf_worker;

GRANT SELECT ON wf.request_minutes TO wf_viewer, wf_worker;
GRANT SELECT ON wf.request_marks TO wf_viewer, wf_worker;
GRANT SELECT ON wf.request_due TO wf_viewer, wf_worker;

-- The text of a query that merges cells with the same (tenant_id, dim, value, route, at) from `cells`, the text of another
-- one. Each histogram is summed by itself: sorting many small sets is far cheaper than one sort of all their buckets.
CREATE OR REPLACE FUNCTION wf.merging(cells text) RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  SELECT format('SELECT c.tenant_id, c.route, c.at, c.n, c.errors_4xx, c.errors_5xx, c.latency_sum, c.latency_max, h.buckets, h.counts, c.dim, c.value
    FROM (SELECT tenant_id, dim, value, route, at, sum(n)::integer AS n, sum(errors_4xx)::integer AS errors_4xx,
                 sum(errors_5xx)::integer AS errors_5xx, sum(latency_sum) AS latency_sum, max(latency_max) AS latency_max,
                 array_agg(ROW(buckets, counts)) AS histograms
          FROM (%s) m GROUP BY tenant_id, dim, value, route, at) c,
    LATERAL (SELECT coalesce(array_agg(bucket), ''{}'') AS buckets, coalesce(array_agg(n), ''{}'') AS counts
             FROM (SELECT u.bucket, sum(u.n)::integer AS n
                   FROM unnest(c.histograms) AS f(buckets smallint[], counts integer[]), unnest(f.buckets, f.counts) AS u(bucket, n)
                   GROUP BY 1 ORDER BY 1) s OFFSET 0) h', cells);
END;

-- The tenants' cells of a time, computed from raw rows, of all tenants or of those whose hour is not quiet. No route is
-- called '': that stands for all routes of the fleet.
CREATE OR REPLACE FUNCTION wf.raw_cells(lower timestamptz, upper timestamptz, step interval, quiet boolean DEFAULT true)
RETURNS TABLE (tenant_id text, route text, at timestamptz, n integer, errors_4xx integer, errors_5xx integer,
               latency_sum double precision, latency_max real, buckets smallint[], counts integer[], dim text, value text)
LANGUAGE plpgsql STABLE SET search_path = wf, pg_temp AS $$
BEGIN
  RETURN QUERY EXECUTE format('WITH parts AS MATERIALIZED (
      SELECT r.tenant_id, r.route, r.key_prefix COLLATE "C" AS key, r.region COLLATE "C" AS region,
             date_bin(%3$L, r.at, ''2000-01-01 00:00Z'') AS at, count(*) AS n,
             count(*) FILTER (WHERE r.status BETWEEN 400 AND 499) AS errors_4xx, count(*) FILTER (WHERE r.status >= 500) AS errors_5xx,
             sum(r.latency_ms::float8) FILTER (WHERE r.latency_ms <= 1e9) AS latency_sum,
             max(r.latency_ms) FILTER (WHERE r.latency_ms <= 1e9) AS latency_max, array_agg(wf.latency_bucket(r.latency_ms)) AS buckets
      FROM wf.requests r WHERE r.at >= %1$L AND r.at < %2$L AND (%4$L OR (r.tenant_id, date_bin(''1 hour'', r.at, ''2000-01-01 00:00Z''))
        NOT IN (SELECT q.tenant_id, q.hour FROM wf.quiet_hours q WHERE q.hour > %1$L::timestamptz - interval ''1 hour'' AND q.hour < %2$L))
      GROUP BY 1, 2, 3, 4, 5
    ), cells AS (  -- the limits of wf.requests: a longer text would not fit into an index
      SELECT p.tenant_id, d.dim, d.value, d.route, p.at, sum(p.n)::integer AS n, sum(p.errors_4xx)::integer AS errors_4xx,
             sum(p.errors_5xx)::integer AS errors_5xx, sum(p.latency_sum) AS latency_sum, max(p.latency_max) AS latency_max,
             array_agg(ROW(p.buckets)) AS buckets
      FROM parts p, LATERAL (SELECT left(coalesce(nullif(p.route, ''''), ''-''), 400) AS route) t,
        LATERAL (VALUES (''tenant'', '''', ''''), (''route'', '''', t.route), (''key'', left(p.key, 64), t.route),
                        (''region'', left(p.region, 64), '''')) AS d(dim, value, route)
      WHERE d.value IS NOT NULL GROUP BY 1, 2, 3, 4, 5
    )
    SELECT c.tenant_id, c.route, c.at, c.n, c.errors_4xx, c.errors_5xx, c.latency_sum, c.latency_max, h.buckets, h.counts, c.dim, c.value
    FROM cells c, LATERAL (
      SELECT coalesce(array_agg(bucket), ''{}'') AS buckets, coalesce(array_agg(n), ''{}'') AS counts
      FROM (SELECT bucket, count(*)::integer AS n FROM unnest(c.buckets) AS f(buckets smallint[]), unnest(f.buckets) bucket
            WHERE bucket IS NOT NULL GROUP BY 1 ORDER BY 1) s OFFSET 0) h', lower, upper, step, quiet);
END
$$;

-- The fleet's cells of a time, from the tenants' cells, which outlive the raw rows, and from quiet hours, without computing
-- their tenants' cells; then one cell for all its routes.
CREATE OR REPLACE FUNCTION wf.fleet_cells(lower timestamptz, upper timestamptz, cells text, clock text, whole boolean) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT wf.merging(format('SELECT '''' AS tenant_id, dim, value, %s AS route, at, n, errors_4xx, errors_5xx, latency_sum,
             latency_max, buckets, counts
      FROM (SELECT tenant_id, route, %I AS at, n, errors_4xx, errors_5xx, latency_sum, latency_max, buckets, counts, dim, value
            FROM wf.%I WHERE %2$I >= %4$L AND %2$I < %5$L AND %6$s) f WHERE dim IN (''route'', ''region'')',
    CASE WHEN whole THEN '''''' ELSE 'route' END, clock, cells, lower, upper,
    CASE WHEN whole THEN 'tenant_id = '''' AND dim = ''route'' AND route <> '''''
         ELSE 'tenant_id <> '''' UNION ALL ' || wf.quiet_cells('wf.quiet_hours', clock, format('q.hour > %1$L::timestamptz - interval ''1 hour''
              AND q.hour < %2$L AND q.hour + make_interval(mins => e.minute) >= %1$L AND q.hour + make_interval(mins => e.minute) < %2$L',
              lower, upper), '''''') END));
END;

-- Overwrite cells; returns how many changed. Raw rows are only ever added, so when a cell would shrink, retention has
-- dropped some of its raw rows: the old cell is kept.
CREATE OR REPLACE FUNCTION wf.put_cells(target text, clock text, cells text) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  written bigint;
BEGIN
  EXECUTE format('INSERT INTO wf.%1$I AS old (tenant_id, route, %2$I, n, errors_4xx, errors_5xx, latency_sum, latency_max,
      buckets, counts, dim, value) %3$s
    ON CONFLICT (tenant_id, dim, %2$I, value, route) DO UPDATE
    SET n = excluded.n, errors_4xx = excluded.errors_4xx, errors_5xx = excluded.errors_5xx,
        latency_sum = excluded.latency_sum, latency_max = excluded.latency_max,
        buckets = excluded.buckets, counts = excluded.counts
    WHERE excluded.n >= old.n
      AND (old.n, old.errors_4xx, old.errors_5xx, old.latency_max, old.buckets, old.counts)
      IS DISTINCT FROM (excluded.n, excluded.errors_4xx, excluded.errors_5xx, excluded.latency_max,
                        excluded.buckets, excluded.counts)', target, clock, cells);
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;

CREATE OR REPLACE FUNCTION wf.put_fleet(target text, clock text, lower timestamptz, upper timestamptz) RETURNS bigint
LANGUAGE sql SET search_path = wf, pg_temp AS $$
  SELECT wf.put_cells(target, clock, wf.fleet_cells(lower, upper, target, clock, false))
       + wf.put_cells(target, clock, wf.fleet_cells(lower, upper, target, clock, true))
$$;

-- Compute the hours again from raw rows, for every hour that the given time overlaps. Repeating it changes nothing, and
-- hours whose raw rows are gone are kept. Returns the number of cells written.
CREATE OR REPLACE FUNCTION wf.roll_up_hours(from_at timestamptz, until_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET work_mem = '64MB' AS $$
DECLARE
  lower timestamptz := date_trunc('hour', greatest(from_at, '1970-01-01 00:00Z'));
  upper timestamptz := date_trunc('hour', least(until_at, '2199-12-31 22:00Z')) + interval '1 hour';
  month timestamptz;
BEGIN
  PERFORM wf.in_time('operator');
  PERFORM wf.take_lock('roll_up_requests');
  FOR month IN
    SELECT m FROM generate_series(date_trunc('month', lower), upper - interval '1 second', interval '1 month') m
    WHERE to_regclass('wf.request_hours_' || to_char(m, 'YYYYMM')) IS NULL
      AND EXISTS (SELECT FROM wf.requests WHERE at >= greatest(m, lower) AND at < least(m + interval '1 month', upper))
    LIMIT 240
  LOOP
    PERFORM wf.make_cell_partition('request_hours', 'hour', month);
    PERFORM wf.make_cell_partition('quiet_hours', 'hour', month);
  END LOOP;
  RETURN wf.put_quiet('request_hours', 'hour', lower, upper)
       + wf.put_cells('request_hours', 'hour', format('SELECT * FROM wf.raw_cells(%L, %L, ''1 hour'', false)', lower, upper))
       + wf.put_fleet('request_hours', 'hour', lower, upper);
END
$$;
GRANT EXECUTE ON FUNCTION wf.roll_up_hours TO wf_operator, wf_worker;

-- One hour from its minutes, when all of them exist; else from raw rows. Quiet hours are there already: they are due now.
CREATE OR REPLACE FUNCTION wf.roll_up_hour(this timestamptz, from_minutes boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT from_minutes THEN
    RETURN wf.roll_up_hours(this, this);
  END IF;
  PERFORM wf.make_cell_partition('request_hours', 'hour', this);
  INSERT INTO wf.objective_due
  SELECT 3600, tstzrange(this, this + interval '1 hour') WHERE EXISTS (SELECT FROM wf.quiet_hours q WHERE q.hour = this);
  RETURN wf.put_cells('request_hours', 'hour', wf.merging(format('SELECT tenant_id, dim, value, route, %L::timestamptz AS at,
      n, errors_4xx, errors_5xx, latency_sum, latency_max, buckets, counts FROM wf.request_minutes
    WHERE minute >= %1$L AND minute < %2$L', this, this + interval '1 hour')));
END
$$;

-- Roll up what was committed since the last run: minutes from 90 s after they began, then hours that are over. One call
-- does a limited amount, oldest first; the rest waits for the next run, and readers read its raw rows meanwhile.
-- It is one transaction: killed at any point, it has done nothing.
CREATE OR REPLACE FUNCTION wf.roll_up_requests(
  most_minutes integer DEFAULT 180, most_hours integer DEFAULT 24,
  OUT minutes integer, OUT hours integer, OUT cells bigint, OUT minutes_left integer, OUT hours_left integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET work_mem = '64MB' AS $$
DECLARE
  mark    wf.request_marks;
  ended   bigint;
  horizon bigint;  -- every transaction before it has ended, so its rows are visible below
  ready   timestamptz := date_trunc('minute', now() - interval '90 seconds') + interval '1 minute';  -- only minutes before this
  this    timestamptz;
  next    timestamptz;
  number  integer;
BEGIN
  PERFORM wf.in_time('operator');
  PERFORM wf.take_lock('roll_up_requests');
  SELECT txid_snapshot_xmin(s), txid_snapshot_xmax(s) INTO horizon, ended FROM txid_current_snapshot() s;
  minutes := 0; hours := 0; cells := 0;
  SELECT * INTO mark FROM wf.request_marks FOR UPDATE;
  -- After a dump was loaded into another server, whose transactions have lower numbers, look at all rows once.
  IF mark.before > ended THEN
    mark.before := 0;
  END IF;
  mark.minutes_from := greatest(mark.minutes_from, wf.kept_from('minutes'));
  -- No row is from a later transaction than `ended`, except in a dump from another server; those rows are read once.
  WITH fresh AS (
    SELECT DISTINCT date_trunc('minute', at) AS at FROM wf.requests
    WHERE xid >= mark.before AND (xid < ended OR mark.before = 0) AND at >= '1970-01-01 00:00Z' AND at < '2200-01-01 00:00Z'
  )
  INSERT INTO wf.request_due
  SELECT DISTINCT CASE WHEN at >= mark.minutes_from THEN 'minute' ELSE 'hour' END,
         CASE WHEN at >= mark.minutes_from THEN at ELSE date_trunc('hour', at) END FROM fresh ON CONFLICT DO NOTHING;
  -- Minutes of an hour that follow one another are computed together.
  FOR this, next, number IN
    WITH taken AS (
      DELETE FROM wf.request_due d WHERE d.step = 'minute' AND d.at IN (
        SELECT at FROM wf.request_due WHERE step = 'minute' AND at < ready ORDER BY at LIMIT most_minutes) RETURNING d.at
    ), due AS (
      INSERT INTO wf.request_due SELECT DISTINCT 'hour', date_trunc('hour', at) FROM taken ON CONFLICT DO NOTHING
    )
    SELECT min(at), max(at) + interval '1 minute', count(*) FROM (
      SELECT at, at - row_number() OVER (ORDER BY at) * interval '1 minute' AS run FROM taken WHERE at >= mark.minutes_from) t
    GROUP BY run, date_trunc('hour', at) ORDER BY 1
  LOOP
    PERFORM wf.make_cell_partition('request_minutes', 'minute', this);
    PERFORM wf.make_cell_partition('quiet_hours', 'hour', this);
    cells := cells + wf.put_quiet('request_minutes', 'minute', this, next)
      + wf.put_cells('request_minutes', 'minute', format('SELECT * FROM wf.raw_cells(%L, %L, ''1 minute'', false)', this, next))
      + wf.put_fleet('request_minutes', 'minute', this, next);
    minutes := minutes + number;
  END LOOP;
  mark.minutes_until := least(ready, (SELECT min(at) FROM wf.request_due WHERE step = 'minute' AND at >= mark.minutes_until));
  FOR this IN
    DELETE FROM wf.request_due d WHERE d.step = 'hour' AND d.at IN (
      SELECT at FROM wf.request_due WHERE step = 'hour' AND at + interval '1 hour' <= mark.minutes_until
      ORDER BY at LIMIT most_hours) RETURNING d.at
  LOOP
    cells := cells + wf.roll_up_hour(this, this >= mark.minutes_from);
    hours := hours + 1;
  END LOOP;
  mark.hours_until := least(date_trunc('hour', mark.minutes_until),
                            (SELECT min(at) FROM wf.request_due WHERE step = 'hour' AND at >= mark.hours_until));
  SELECT count(*) FILTER (WHERE step = 'minute' AND at < ready),
         count(*) FILTER (WHERE step = 'hour' AND at + interval '1 hour' <= ready)
  INTO minutes_left, hours_left FROM wf.request_due;
  UPDATE wf.request_marks SET before = horizon, minutes_from = mark.minutes_from,
    minutes_until = mark.minutes_until, hours_until = mark.hours_until, rolled_at = clock_timestamp();
END
$$;
GRANT EXECUTE ON FUNCTION wf.roll_up_requests TO wf_operator, wf_worker;
GRANT EXECUTE ON FUNCTION wf.raw_cells TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.sign_cursor(body text) RETURNS bytea
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT sha256(k.outer_key || sha256(k.inner_key || convert_to(body, 'UTF8'))) FROM wf.signing_keys k WHERE k.name = 'cursor'
$$;
GRANT EXECUTE ON FUNCTION wf.sign_cursor TO wf_viewer;
