-- Quiet hours: a tenant's hour of few requests is one row with these requests, and has no cells: for such a tenant, cells of
-- its minutes, routes, keys and regions would take several times the room of its raw rows. With one request too many, the
-- row becomes cells, and stays so. Cells and rows say the same: readers read both (wf.hour_cells, wf.minute_cells).

CREATE OR REPLACE FUNCTION wf.most_quiet() RETURNS integer LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  SELECT 24;
END;

-- Put the raw rows of whole minutes, or of whole hours, into quiet hours, and make cells of `target` of those that are no
-- longer quiet. As with cells, a minute that would shrink is kept: its raw rows are dropped. Returns how many rows changed.
-- Without statistics of what was written this moment, nested loops or sorts would be chosen.
CREATE OR REPLACE FUNCTION wf.put_quiet(target text, clock text, lower timestamptz, upper timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp SET enable_nestloop = off SET enable_mergejoin = off AS $$
DECLARE
  first   timestamptz := date_bin('1 hour', lower, '2000-01-01 00:00Z');
  written bigint;
BEGIN
  IF EXISTS (SELECT FROM wf.quiet_hours q WHERE q.hour >= first AND q.hour < upper) THEN
    PERFORM wf.end_quiet(target, clock, lower, upper);
  END IF;
  WITH counted AS MATERIALIZED (
    SELECT r.tenant_id, date_bin('1 hour', r.at, '2000-01-01 00:00Z') AS hour, count(*) AS n
    FROM wf.requests r WHERE r.at >= lower AND r.at < upper GROUP BY 1, 2 HAVING count(*) <= wf.most_quiet()
  ), celled AS MATERIALIZED (
    SELECT c.tenant_id, date_bin('1 hour', c.minute, '2000-01-01 00:00Z') AS hour FROM wf.request_minutes c
    WHERE c.minute >= first AND c.minute < date_bin('1 hour', upper - interval '1 microsecond', '2000-01-01 00:00Z') + interval '1 hour'
      AND c.dim IN ('tenant', 'route') AND c.tenant_id <> ''
    UNION SELECT c.tenant_id, c.hour FROM wf.request_hours c
    WHERE c.hour >= first AND c.hour < upper AND c.dim IN ('tenant', 'route') AND c.tenant_id <> ''
  ), quiet AS MATERIALIZED (
    SELECT c.tenant_id, c.hour FROM counted c
    WHERE NOT EXISTS (SELECT FROM celled d WHERE d.tenant_id = c.tenant_id AND d.hour = c.hour)
  ), fresh AS MATERIALIZED (
    SELECT q.tenant_id, q.hour, date_part('minute', r.at AT TIME ZONE 'UTC')::smallint AS minute,
           left(coalesce(nullif(r.route, ''), '-'), 400) AS route, left(r.key_prefix, 64) AS key, left(r.region, 64) AS region,
           CASE WHEN r.status >= 500 THEN 5 WHEN r.status BETWEEN 400 AND 499 THEN 4 ELSE 0 END::smallint AS class,
           wf.latency_bucket(r.latency_ms) AS bucket, count(*)::smallint AS n,
           CASE WHEN count(*) > 1 THEN sum(r.latency_ms::float8) FILTER (WHERE r.latency_ms <= 1e9) END AS latency_sum,
           max(r.latency_ms) FILTER (WHERE r.latency_ms <= 1e9) AS latency_max
    FROM quiet q JOIN wf.requests r ON r.tenant_id = q.tenant_id AND date_bin('1 hour', r.at, '2000-01-01 00:00Z') = q.hour
    WHERE r.at >= lower AND r.at < upper GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
  ), old AS MATERIALIZED (
    SELECT h.tenant_id, h.hour, e.* FROM quiet q JOIN wf.quiet_hours h ON h.tenant_id = q.tenant_id AND h.hour = q.hour,
      unnest(h.requests) e WHERE h.hour >= first AND h.hour < upper
  ), kept AS MATERIALIZED (  -- the minutes that stay as they are: those not computed again, and those that would shrink
    SELECT o.tenant_id, o.hour, o.minute
    FROM (SELECT tenant_id, hour, minute, sum(n) AS n FROM old GROUP BY 1, 2, 3) o
    LEFT JOIN (SELECT tenant_id, hour, minute, sum(n) AS n FROM fresh GROUP BY 1, 2, 3) f USING (tenant_id, hour, minute)
    WHERE o.n > coalesce(f.n, 0)
  ), every AS (
    SELECT o.tenant_id, o.hour, o.latency_sum, o.latency_max, o.n, o.class, o.minute, o.route, o.key, o.region
    FROM old o JOIN kept k USING (tenant_id, hour, minute)
    UNION ALL
    SELECT f.tenant_id, f.hour, f.latency_sum, f.latency_max, f.n, f.class, f.minute, f.route, f.key, f.region
    FROM fresh f LEFT JOIN kept k USING (tenant_id, hour, minute) WHERE k.hour IS NULL
  )
  INSERT INTO wf.quiet_hours AS was
  SELECT a.tenant_id, a.hour, array_agg(ROW(a.latency_sum, a.latency_max, a.n, a.class, a.minute, a.route, a.key, a.region)::wf.quiet_requests
                                        ORDER BY a.minute, a.route, a.key, a.region, a.class, a.latency_max)
  FROM every a GROUP BY 1, 2
  ON CONFLICT (tenant_id, hour) DO UPDATE SET requests = excluded.requests WHERE was.requests IS DISTINCT FROM excluded.requests;
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;

-- Make cells of the quiet hours that will have too many requests with the raw rows of that time: cells of `target`, and of
-- their minutes, if these are kept.
CREATE OR REPLACE FUNCTION wf.end_quiet(target text, clock text, lower timestamptz, upper timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = wf, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
  ended wf.quiet_hours[];
BEGIN
  WITH counted AS MATERIALIZED (
    SELECT r.tenant_id, date_bin('1 hour', r.at, '2000-01-01 00:00Z') AS hour, count(*) AS n
    FROM wf.requests r WHERE r.at >= lower AND r.at < upper GROUP BY 1, 2
  ), gone AS (
    DELETE FROM wf.quiet_hours q USING counted c
    WHERE q.hour >= date_bin('1 hour', lower, '2000-01-01 00:00Z') AND q.hour < upper AND q.tenant_id = c.tenant_id AND q.hour = c.hour
      AND (c.n + cardinality(q.requests) > 4 * wf.most_quiet()
           OR c.n + (SELECT coalesce(sum(e.n), 0) FROM unnest(q.requests) e WHERE q.hour + make_interval(mins => e.minute) < lower
                     OR q.hour + make_interval(mins => e.minute) >= upper) > wf.most_quiet())
    RETURNING q.tenant_id, q.hour, q.requests
  )
  SELECT array_agg(ROW(g.tenant_id, g.hour, g.requests)::wf.quiet_hours) INTO ended FROM gone g;
  IF ended IS NOT NULL THEN
    PERFORM wf.put_cells(target, clock, wf.quiet_cells(format('unnest(%L::wf.quiet_hours[])', ended), clock));
    IF clock = 'hour' THEN
      PERFORM wf.put_cells('request_minutes', 'minute', wf.quiet_cells(format('unnest(%L::wf.quiet_hours[])', ended), 'minute',
        'q.hour >= (SELECT minutes_from FROM wf.request_marks)'));
    END IF;
  END IF;
END
$$;

-- Written or erased quiet hours make their times due, like cells (sql/objectives.sql): the minutes that differ; the hour if
-- it was rolled up, else its roll-up does it; and the day of their keys, unless that is noted and not over, for such a note
-- stays.
CREATE OR REPLACE FUNCTION wf.due_by_quiet_hours() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  rolled timestamptz := (SELECT hours_until FROM wf.request_marks);
BEGIN
  IF TG_OP = 'UPDATE' THEN
    INSERT INTO wf.objective_due
    SELECT DISTINCT 60, tstzrange(d.at, d.at + interval '1 minute') FROM (
      (SELECT t.tenant_id, t.hour + make_interval(mins => e.minute) AS at, e FROM touched t, unnest(t.requests) e
       EXCEPT SELECT w.tenant_id, w.hour + make_interval(mins => e.minute), e FROM was w, unnest(w.requests) e)
      UNION
      (SELECT w.tenant_id, w.hour + make_interval(mins => e.minute), e FROM was w, unnest(w.requests) e
       EXCEPT SELECT t.tenant_id, t.hour + make_interval(mins => e.minute), e FROM touched t, unnest(t.requests) e)) d;
  ELSE
    INSERT INTO wf.objective_due
    SELECT 60, tstzrange(t.hour + make_interval(mins => t.minute), t.hour + make_interval(mins => t.minute + 1))
    FROM (SELECT DISTINCT t.hour, e.minute FROM touched t, unnest(t.requests) e) t;
  END IF;
  INSERT INTO wf.objective_due
  SELECT DISTINCT 3600, tstzrange(t.hour, t.hour + interval '1 hour') FROM touched t WHERE t.hour < rolled;
  INSERT INTO wf.key_days_due
  SELECT t.day, t.tenant_id FROM (SELECT DISTINCT (t.hour AT TIME ZONE 'UTC')::date AS day, t.tenant_id FROM touched t
                                  WHERE EXISTS (SELECT FROM unnest(t.requests) e WHERE e.key IS NOT NULL)) t
  WHERE t.day < (rolled AT TIME ZONE 'UTC')::date
     OR NOT EXISTS (SELECT FROM wf.key_days_due d WHERE d.day = t.day AND d.tenant_id = t.tenant_id);
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER due_insert AFTER INSERT ON wf.quiet_hours REFERENCING NEW TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_quiet_hours();

CREATE OR REPLACE TRIGGER due_update AFTER UPDATE ON wf.quiet_hours REFERENCING NEW TABLE AS touched OLD TABLE AS was
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_quiet_hours();

CREATE OR REPLACE TRIGGER due_delete AFTER DELETE ON wf.quiet_hours REFERENCING OLD TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_quiet_hours();
