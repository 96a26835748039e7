INSERT INTO wf.operations (name, role) VALUES
  ('objectives.create', 'operator'), ('objectives.edit', 'operator'), ('objectives.end-maintenance', 'operator'),
  ('objectives.maintenance', 'operator'), ('objectives.restore', 'operator'), ('objectives.retire', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('objectives.create', 'wf.objectives', 'insert', NULL, NULL, NULL, false),
  ('objectives.edit', 'wf.objectives', 'update', '{threshold_ms,target,contractual,period,zone,min_events}', NULL, NULL,
   false),
  ('objectives.retire', 'wf.objectives', 'update', '{retired_at}', '{"retired_at": null}', NULL, false),
  ('objectives.restore', 'wf.objectives', 'update', '{retired_at}', NULL, '{"retired_at": null}', false),
  ('objectives.maintenance', 'wf.maintenance', 'insert', NULL, NULL, NULL, false),
  ('objectives.end-maintenance', 'wf.maintenance', 'update', '{ended_at}', NULL, NULL, false),
  ('tenants.purge', 'wf.objectives', 'delete', NULL, NULL, NULL, true),
  ('tenants.purge', 'wf.maintenance', 'delete', NULL, NULL, NULL, true);

-- The more specific objective wins: tenant and route, tenant, plan, route, all. The domain uses the same numbers.
CREATE OR REPLACE FUNCTION wf.objective_rank(tenant_id text, plan text, route text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN tenant_id IS NOT NULL THEN CASE WHEN route IS NOT NULL THEN 4 ELSE 3 END
              WHEN plan IS NOT NULL THEN 2 WHEN route IS NOT NULL THEN 1 ELSE 0 END;
END;
GRANT EXECUTE ON FUNCTION wf.objective_rank TO wf_viewer, wf_worker;

CREATE OR REPLACE FUNCTION wf.guard_objective() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.id, NEW.name, NEW.tenant_id, NEW.plan, NEW.route, NEW.kind, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.id, OLD.name, OLD.tenant_id, OLD.plan, OLD.route, OLD.kind, OLD.created_at, OLD.created_by) THEN
    refused := 'objective_fixed';  -- a changed kind or scope would inherit the history of another objective
  ELSIF TG_OP = 'UPDATE' AND OLD.retired_at IS NOT NULL AND NEW.retired_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
    refused := 'objective_retired';
  ELSIF NEW.tenant_id IS NOT NULL AND NEW.retired_at IS NULL AND (
      SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
    refused := 'objective_tenant_gone';
  END IF;
  -- Only by its name: PostgreSQL also accepts rules such as UTC+3, which others do not.
  IF refused IS NULL AND (TG_OP = 'INSERT' OR NEW.zone <> OLD.zone) AND NEW.zone <> 'UTC'
     AND NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = NEW.zone) THEN
    refused := 'objective_zone';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'objective % is refused', NEW.name USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.objectives FOR EACH ROW EXECUTE FUNCTION wf.guard_objective();
GRANT SELECT ON wf.objectives TO wf_viewer, wf_worker;
GRANT SELECT (id, plan, status) ON wf.tenant_list TO wf_worker;  -- for wf.objectives_held, and the keys of a gate

GRANT INSERT (name, tenant_id, plan, route, kind, threshold_ms, target, contractual, period, zone, min_events),
      UPDATE (threshold_ms, target, contractual, period, zone, min_events, retired_at) ON wf.objectives TO wf_operator;

SELECT wf.audited('wf.objectives', 'objectives', 'id', 'tenant_id');

CREATE OR REPLACE FUNCTION wf.guard_maintenance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.starts_at < now() - interval '5 minutes' THEN
      refused := 'maintenance_past';  -- past downtime is an outage, not maintenance
    ELSIF NEW.tenant_id IS NOT NULL AND (
        SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
      refused := 'maintenance_tenant_gone';
    END IF;
  ELSIF OLD.ended_at IS NOT NULL OR OLD.ends_at <= now() THEN
    refused := 'maintenance_over';
  ELSIF to_jsonb(NEW) - 'ended_at' <> to_jsonb(OLD) - 'ended_at' THEN
    refused := 'maintenance_fixed';
  ELSE
    NEW.ended_at := now();
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'maintenance is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.maintenance FOR EACH ROW EXECUTE FUNCTION wf.guard_maintenance();
GRANT SELECT ON wf.maintenance TO wf_viewer, wf_worker;
GRANT INSERT (tenant_id, plan, route, starts_at, ends_at, reason), UPDATE (ended_at) ON wf.maintenance TO wf_operator;
SELECT wf.audited('wf.maintenance', 'maintenance', 'id', 'tenant_id');

-- For everyone with requests in those times, the objective of each name that holds (the most specific), and when
-- maintenance was planned. It is a function of its own so that it is planned for its arguments: if the planner guessed
-- few rows, it would look up the cells once for each.
CREATE OR REPLACE FUNCTION wf.objectives_held(
  hours tstzmultirange, minutes tstzmultirange, raw tstzmultirange, names text[], only_tenant text, only_route text
) RETURNS TABLE (tenant_id text, route text, id bigint, kind text, bucket smallint, planned tstzmultirange)
LANGUAGE plpgsql STABLE ROWS 10000
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  RETURN QUERY EXECUTE $query$
    WITH parties AS (
      SELECT c.tenant_id, c.route FROM unnest($1) AS r(span)
        JOIN wf.request_hours c ON c.hour >= lower(r.span) AND c.hour < upper(r.span) AND c.dim = 'route' AND c.tenant_id <> ''
          AND ($5 IS NULL OR c.tenant_id = $5) AND ($6 IS NULL OR c.route = $6)
      UNION
      SELECT c.tenant_id, c.route FROM unnest($2) AS r(span)
        JOIN wf.request_minutes c ON c.minute >= lower(r.span) AND c.minute < upper(r.span) AND c.dim = 'route'
          AND c.tenant_id <> ''
          AND ($5 IS NULL OR c.tenant_id = $5) AND ($6 IS NULL OR c.route = $6)
      UNION
      SELECT q.tenant_id, e.route FROM unnest($1) AS r(span)
        JOIN wf.quiet_hours q ON q.hour >= lower(r.span) AND q.hour < upper(r.span) AND ($5 IS NULL OR q.tenant_id = $5),
        unnest(q.requests) e WHERE $6 IS NULL OR e.route = $6
      UNION
      SELECT q.tenant_id, e.route FROM unnest($2) AS r(span)
        JOIN wf.quiet_hours q ON q.hour > lower(r.span) - interval '1 hour' AND q.hour < upper(r.span)
          AND ($5 IS NULL OR q.tenant_id = $5),
        unnest(q.requests) e WHERE q.hour + make_interval(mins => e.minute) <@ r.span AND ($6 IS NULL OR e.route = $6)
      UNION
      SELECT c.tenant_id, c.route FROM unnest($3) AS r(span)
        JOIN wf.requests c ON c.at >= lower(r.span) AND c.at < upper(r.span)
          AND ($5 IS NULL OR c.tenant_id = $5) AND ($6 IS NULL OR c.route = $6)
    )
    SELECT DISTINCT ON (p.tenant_id, p.route, o.name)
           p.tenant_id, p.route, o.id, o.kind, wf.latency_bucket(o.threshold_ms::real),
           (SELECT range_agg(tstzrange(m.starts_at, least(m.ends_at, m.ended_at)))
            FROM wf.maintenance m
            WHERE (m.tenant_id IS NULL OR m.tenant_id = p.tenant_id) AND (m.plan IS NULL OR m.plan = t.plan)
              AND (m.route IS NULL OR m.route = p.route) AND m.ends_at > now() - interval '2400 hours'
              AND coalesce(m.ended_at, m.ends_at) > m.starts_at)
    FROM parties p LEFT JOIN wf.tenant_list t ON t.id = p.tenant_id JOIN wf.objectives o
      ON o.retired_at IS NULL AND ($4 IS NULL OR o.name = ANY ($4)) AND (o.tenant_id IS NULL OR o.tenant_id = p.tenant_id)
        AND (o.plan IS NULL OR o.plan = t.plan) AND (o.route IS NULL OR o.route = p.route)
    ORDER BY p.tenant_id, p.route, o.name, wf.objective_rank(o.tenant_id, o.plan, o.route) DESC
  $query$ USING hours, minutes, raw, names, only_tenant, only_route;
END
$$;

-- The request cells of those times: hours, minutes, both of quiet hours and, by the minute, raw rows. The planner inlines
-- it; a CTE, with its arrays, would be written to disk.
CREATE OR REPLACE FUNCTION wf.objectives_cells(
  hours tstzmultirange, minutes tstzmultirange, raw tstzmultirange, only_tenant text, only_route text
) RETURNS TABLE (tenant_id text, route text, at timestamptz, seconds integer, n integer, errors_5xx integer,
                 buckets smallint[], counts integer[])
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT c.tenant_id, c.route, c.hour AS at, 3600 AS seconds, c.n, c.errors_5xx, c.buckets, c.counts
  FROM unnest(hours) AS r(span)
    JOIN wf.request_hours c ON c.hour >= lower(r.span) AND c.hour < upper(r.span) AND c.dim = 'route' AND c.tenant_id <> ''
      AND (only_tenant IS NULL OR c.tenant_id = only_tenant) AND (only_route IS NULL OR c.route = only_route)
  UNION ALL
  SELECT c.tenant_id, c.route, c.minute, 60, c.n, c.errors_5xx, c.buckets, c.counts
  FROM unnest(minutes) AS r(span)
    JOIN wf.request_minutes c ON c.minute >= lower(r.span) AND c.minute < upper(r.span) AND c.dim = 'route'
      AND c.tenant_id <> ''
      AND (only_tenant IS NULL OR c.tenant_id = only_tenant) AND (only_route IS NULL OR c.route = only_route)
  UNION ALL
  SELECT b.tenant_id, b.route, b.at, b.seconds, sum(b.n)::integer, sum(b.errors_5xx)::integer,
         coalesce(array_agg(b.bucket ORDER BY b.bucket) FILTER (WHERE b.bucket IS NOT NULL), '{}'),
         coalesce(array_agg(b.n ORDER BY b.bucket) FILTER (WHERE b.bucket IS NOT NULL), '{}')
  FROM (SELECT e.tenant_id, e.route, e.at, e.seconds, wf.latency_bucket(e.latency_max) AS bucket, sum(e.n)::integer AS n,
               (coalesce(sum(e.n) FILTER (WHERE e.class = 5), 0))::integer AS errors_5xx
        FROM (SELECT q.tenant_id, q.hour AS at, 3600 AS seconds, e.*
              FROM unnest(hours) AS r(span) JOIN wf.quiet_hours q ON q.hour >= lower(r.span) AND q.hour < upper(r.span)
                AND (only_tenant IS NULL OR q.tenant_id = only_tenant), unnest(q.requests) e
              UNION ALL
              SELECT q.tenant_id, q.hour + make_interval(mins => e.minute), 60, e.*
              FROM unnest(minutes) AS r(span) JOIN wf.quiet_hours q
                ON q.hour > lower(r.span) - interval '1 hour' AND q.hour < upper(r.span)
                AND (only_tenant IS NULL OR q.tenant_id = only_tenant), unnest(q.requests) e
              WHERE q.hour + make_interval(mins => e.minute) <@ r.span) AS e
        WHERE only_route IS NULL OR e.route = only_route GROUP BY 1, 2, 3, 4, 5) AS b
  GROUP BY 1, 2, 3, 4
  UNION ALL
  SELECT f.tenant_id, f.route, f.at, least(60, greatest(1, floor(extract(epoch FROM upper(raw) - f.at))))::integer,
         sum(f.n)::integer, sum(f.errors_5xx)::integer,
         coalesce(array_agg(f.bucket ORDER BY f.bucket) FILTER (WHERE f.bucket IS NOT NULL), '{}'),
         coalesce(array_agg(f.n ORDER BY f.bucket) FILTER (WHERE f.bucket IS NOT NULL), '{}')
  FROM (SELECT c.tenant_id, c.route, date_bin('1 minute', c.at, '2000-01-01 UTC') AS at,
               wf.latency_bucket(c.latency_ms) AS bucket, count(*)::integer AS n,
               (count(*) FILTER (WHERE c.status >= 500))::integer AS errors_5xx
        FROM unnest(raw) AS r(span)
          JOIN wf.requests c ON c.at >= lower(r.span) AND c.at < upper(r.span)
            AND (only_tenant IS NULL OR c.tenant_id = only_tenant) AND (only_route IS NULL OR c.route = only_route)
        GROUP BY 1, 2, 3, 4) AS f
  GROUP BY 1, 2, 3;
END;

-- Good and total requests of each objective, tenant and route, from hours, from minutes and, by the minute, from raw
-- rows. A latency objective counts requests with a known latency; those in buckets up to its threshold's are good
-- (buckets are sorted, so the bad ones are the end of the arrays).
CREATE OR REPLACE FUNCTION wf.objectives_measured(
  hours tstzmultirange, minutes tstzmultirange, raw tstzmultirange, names text[], only_id bigint, only_tenant text,
  only_route text
) RETURNS TABLE (id bigint, tenant_id text, route text, at timestamptz, seconds integer, good integer, total integer,
                 skipped boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH held AS MATERIALIZED (
    SELECT * FROM wf.objectives_held(hours, minutes, raw, names, only_tenant, only_route) h
    WHERE only_id IS NULL OR h.id = only_id
  )
  SELECT h.id, c.tenant_id, c.route, c.at, c.seconds, c.n - c.errors_5xx, c.n,
         h.planned IS NOT NULL AND c.at + make_interval(secs => c.seconds / 2.0) <@ h.planned
  FROM held h JOIN wf.objectives_cells(hours, minutes, raw, only_tenant, only_route) c USING (tenant_id, route)
  WHERE h.kind = 'availability'
  UNION ALL
  SELECT h.id, c.tenant_id, c.route, c.at, c.seconds, g.total - g.bad, g.total,
         h.planned IS NOT NULL AND c.at + make_interval(secs => c.seconds / 2.0) <@ h.planned
  FROM held h JOIN wf.objectives_cells(hours, minutes, raw, only_tenant, only_route) c USING (tenant_id, route)
  CROSS JOIN LATERAL (
    SELECT coalesce((SELECT sum(u.n) FROM unnest(c.counts) AS u(n)), 0)::integer AS total,
           coalesce((SELECT sum(u.n) FROM unnest(c.counts[width_bucket(h.bucket, c.buckets) + 1:]) AS u(n)), 0)::integer
             AS bad
    OFFSET 0  -- computed once for each cell
  ) AS g
  WHERE h.kind = 'latency' AND EXISTS (SELECT FROM held WHERE kind = 'latency');
END;
GRANT EXECUTE ON FUNCTION wf.objectives_held, wf.objectives_cells, wf.objectives_measured TO wf_viewer, wf_worker;
GRANT SELECT ON wf.objective_cells TO wf_viewer, wf_worker;
GRANT SELECT ON wf.objective_due TO wf_viewer, wf_worker;

-- Written or erased cells make their times due, in the same transaction.
CREATE OR REPLACE FUNCTION wf.due_by_hours() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.objective_due
  SELECT DISTINCT 3600, tstzrange(hour, hour + interval '1 hour') FROM touched WHERE dim = 'route' AND tenant_id <> '';
  -- And the days of their keys (sql/key_days.sql), also where they are due already: that note may be taken this moment.
  INSERT INTO wf.key_days_due
  SELECT DISTINCT (hour AT TIME ZONE 'UTC')::date, tenant_id FROM touched WHERE dim = 'key' AND tenant_id <> '';
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION wf.due_by_minutes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.objective_due
  SELECT DISTINCT 60, tstzrange(minute, minute + interval '1 minute') FROM touched WHERE dim = 'route' AND tenant_id <> '';
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER due_insert AFTER INSERT ON wf.request_hours REFERENCING NEW TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_hours();

CREATE OR REPLACE TRIGGER due_update AFTER UPDATE ON wf.request_hours REFERENCING NEW TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_hours();

CREATE OR REPLACE TRIGGER due_delete AFTER DELETE ON wf.request_hours REFERENCING OLD TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_hours();

CREATE OR REPLACE TRIGGER due_insert AFTER INSERT ON wf.request_minutes REFERENCING NEW TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_minutes();

CREATE OR REPLACE TRIGGER due_update AFTER UPDATE ON wf.request_minutes REFERENCING NEW TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_minutes();

CREATE OR REPLACE TRIGGER due_delete AFTER DELETE ON wf.request_minutes REFERENCING OLD TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION wf.due_by_minutes();

-- So does a changed definition, which decides whose requests count for which objective of its name. Targets and windows
-- do not: readers apply those.
CREATE OR REPLACE FUNCTION wf.due_by_definition() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.objective_due VALUES (NULL, '(,)', CASE WHEN TG_OP = 'DELETE' THEN OLD.name ELSE NEW.name END);
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER due_when_made AFTER INSERT ON wf.objectives FOR EACH ROW EXECUTE FUNCTION wf.due_by_definition();

CREATE OR REPLACE TRIGGER due_when_changed AFTER UPDATE ON wf.objectives FOR EACH ROW
  WHEN ((OLD.threshold_ms, OLD.retired_at) IS DISTINCT FROM (NEW.threshold_ms, NEW.retired_at))
  EXECUTE FUNCTION wf.due_by_definition();

CREATE OR REPLACE TRIGGER due_when_gone AFTER DELETE ON wf.objectives FOR EACH ROW EXECUTE FUNCTION wf.due_by_definition();

-- So does a tenant's plan.
CREATE OR REPLACE FUNCTION wf.due_by_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.objective_due
  SELECT DISTINCT NULL::integer, '(,)'::tstzrange, o.name FROM wf.objectives o
  WHERE o.plan IN (OLD.plan, NEW.plan) AND o.retired_at IS NULL
  UNION ALL
  SELECT NULL, tstzrange(m.starts_at - interval '1 hour', m.ends_at), NULL FROM wf.maintenance m
  WHERE m.plan IN (OLD.plan, NEW.plan) AND m.ends_at > now() - interval '2400 hours';
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER due_for_objectives AFTER UPDATE ON wf.tenants FOR EACH ROW
  WHEN (OLD.plan IS DISTINCT FROM NEW.plan) EXECUTE FUNCTION wf.due_by_plan();

CREATE OR REPLACE FUNCTION wf.due_by_maintenance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this wf.maintenance := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
  INSERT INTO wf.objective_due VALUES (NULL, tstzrange(this.starts_at - interval '1 hour', this.ends_at));
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER due AFTER INSERT OR UPDATE OR DELETE ON wf.maintenance FOR EACH ROW EXECUTE FUNCTION wf.due_by_maintenance();

-- Measure these times for the objectives of a name, or for all (NULL), and replace the kept cells.
CREATE OR REPLACE FUNCTION wf.keep_objective_cells(this text, hours tstzmultirange, minutes tstzmultirange) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  kept bigint;
BEGIN
  DELETE FROM wf.objective_cells c USING unnest(hours) r
  WHERE c.seconds = 3600 AND c.at >= lower(r) AND c.at < upper(r)
    AND (this IS NULL OR c.objective_id IN (SELECT o.id FROM wf.objectives o WHERE o.name = this));
  DELETE FROM wf.objective_cells c USING unnest(minutes) r
  WHERE c.seconds = 60 AND c.at >= lower(r) AND c.at < upper(r)
    AND (this IS NULL OR c.objective_id IN (SELECT o.id FROM wf.objectives o WHERE o.name = this));
  INSERT INTO wf.objective_cells
  SELECT m.id, m.seconds, m.at, sum(m.good), sum(m.total), coalesce(sum(m.good) FILTER (WHERE m.skipped), 0),
         coalesce(sum(m.total) FILTER (WHERE m.skipped), 0)
  FROM wf.objectives_measured(hours, minutes, '{}', CASE WHEN this IS NOT NULL THEN ARRAY[this] END, NULL, NULL, NULL) m
  GROUP BY 1, 2, 3 HAVING sum(m.total) > 0;
  GET DIAGNOSTICS kept = ROW_COUNT;
  RETURN kept;
END
$$;

-- Measure again what is due and rolled up, in batches of so many hours, newest first; when the time is up, the rest
-- stays due. It is one transaction: killed at any point, it has done nothing. Returns how many cells were kept.
CREATE OR REPLACE FUNCTION wf.keep_objectives(most_hours integer DEFAULT 168, most interval DEFAULT '1 minute') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET work_mem = '64MB' AS $$
DECLARE
  begun timestamptz := clock_timestamp();
  mark  wf.request_marks;
  dues  wf.objective_due[];
  due   record;
  bite  tstzmultirange;
  kept  bigint := 0;
BEGIN
  PERFORM wf.take_lock('keep_objectives');
  WITH taken AS (DELETE FROM wf.objective_due d RETURNING d) SELECT array_agg(d) INTO dues FROM taken;
  SELECT * INTO mark FROM wf.request_marks;
  FOR due IN
    SELECT d.name, coalesce(range_agg(d.span) FILTER (WHERE d.seconds IS DISTINCT FROM 60), '{}') AS hours,
           coalesce(range_agg(d.span) FILTER (WHERE d.seconds IS DISTINCT FROM 3600), '{}') AS minutes
    FROM unnest(dues) d GROUP BY d.name
  LOOP
    -- No window is longer than a quarter and a day.
    due.hours := due.hours * tstzmultirange(
      tstzrange(greatest(mark.hours_from, date_trunc('day', now()) - interval '2400 hours'), 'infinity'));
    due.minutes := due.minutes * tstzmultirange(tstzrange(mark.minutes_from, 'infinity'));
    LOOP
      bite := due.hours * tstzmultirange(
        tstzrange(least(upper(due.hours), now()) - make_interval(hours => most_hours), 'infinity'));
      kept := kept + wf.keep_objective_cells(due.name, bite, due.minutes);
      due.hours := due.hours - bite;
      due.minutes := '{}';
      EXIT WHEN isempty(due.hours) OR clock_timestamp() > begun + most;
    END LOOP;
    INSERT INTO wf.objective_due SELECT 3600, r, due.name FROM unnest(due.hours) r;
  END LOOP;
  DELETE FROM wf.objective_cells c WHERE c.seconds = 60 AND c.at < mark.minutes_from;
  DELETE FROM wf.objective_cells c WHERE c.seconds = 3600 AND c.at < greatest(mark.hours_from, now() - interval '101 days');
  RETURN kept;
END
$$;
GRANT EXECUTE ON FUNCTION wf.keep_objectives TO wf_worker;
