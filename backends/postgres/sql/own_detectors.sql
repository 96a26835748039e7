-- A team's own detectors. Their SQL runs as wf_detector, which nobody can log in as or become: it reads what a viewer
-- reads, in a transaction that has become read-only, whoever asks. PostgreSQL lets no statement change the role within a
-- function that has its owner's rights, nor make such a transaction writable again.
INSERT INTO wf.operations (name, role) VALUES ('detectors.apply', 'admin');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('detectors.apply', 'wf.own_detectors', 'insert', NULL, NULL, NULL, true),
  ('detectors.apply', 'wf.own_detectors', 'update',
   '{means,every,severity,language,statement,fires,threshold,unit,retired_at,updated_by}', NULL, NULL, true);

DO $$
BEGIN
  BEGIN
    CREATE ROLE wf_detector NOLOGIN;
  EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
  END;
  IF NOT pg_has_role('wf_detector', 'wf_viewer', 'MEMBER') THEN
    GRANT wf_viewer TO wf_detector;
  END IF;
  IF NOT pg_has_role(current_user, 'wf_detector', 'USAGE') THEN
    EXECUTE format('GRANT wf_detector TO %I', current_user);  -- who gives functions to it must be a member
  END IF;
END
$$;
GRANT USAGE, CREATE ON SCHEMA wf TO wf_detector;  -- CREATE only until the functions below are its own

-- The columns that a statement gives, with their types; the statement is planned, not run. Raises what is wrong with it.
CREATE OR REPLACE FUNCTION wf.own_columns(statement text) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  named jsonb;
  typed jsonb;
BEGIN
  PERFORM wf.in_time('admin');
  PERFORM set_config('transaction_read_only', 'on', true);
  EXECUTE format(E'SELECT to_jsonb(r) FROM (SELECT d.* FROM (VALUES (1)) one LEFT JOIN (\n%s\n) d ON false) r', statement)
  INTO named;
  EXECUTE format(E'SELECT jsonb_build_object(%s) FROM (SELECT d.* FROM (VALUES (1)) one LEFT JOIN (\n%s\n) d ON false) r',
                 (SELECT string_agg(format('%L, pg_typeof(r.%I)::text', k, k), ', ') FROM jsonb_object_keys(named) k), statement)
  INTO typed;
  RETURN typed;
END
$$;

-- What a statement measures: a row for each tenant (NULL: the estate) and labels. A value that is no number below 1e300
-- is not known.
CREATE OR REPLACE FUNCTION wf.own_rows(statement text) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  found jsonb;
BEGIN
  PERFORM wf.in_time('operator');
  PERFORM set_config('transaction_read_only', 'on', true);
  EXECUTE format(E'SELECT coalesce(jsonb_agg(to_jsonb(r)), ''[]'') FROM (SELECT d.* FROM (\n%s\n) d LIMIT 10001) r', statement)
  INTO found;
  IF jsonb_array_length(found) > 10000 OR octet_length(found::text) > 8388608 THEN
    RAISE EXCEPTION 'it gives more than 10,000 rows or 8 MB' USING ERRCODE = 'program_limit_exceeded';
  END IF;
  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object('tenant_id', r ->> 'tenant_id', 'value', CASE
        WHEN jsonb_typeof(r -> 'value') <> 'number' THEN NULL
        WHEN abs((r ->> 'value')::numeric) < 1e300 THEN r -> 'value' END, 'labels', (
      SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') FROM jsonb_each_text(r - '{tenant_id,value}'::text[]) l
      WHERE l.value IS NOT NULL))), '[]')
    FROM jsonb_array_elements(found) r);
END
$$;

CREATE OR REPLACE FUNCTION wf.own_detector_rows(detector text) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  SELECT wf.own_rows(d.statement) FROM wf.own_detectors d
  WHERE d.name = detector AND d.language = 'sql' AND d.retired_at IS NULL
$$;
ALTER FUNCTION wf.own_columns OWNER TO wf_detector;
ALTER FUNCTION wf.own_rows OWNER TO wf_detector;
ALTER FUNCTION wf.own_detector_rows OWNER TO wf_detector;
REVOKE CREATE ON SCHEMA wf FROM wf_detector;
GRANT EXECUTE ON FUNCTION wf.own_columns, wf.own_rows TO wf_admin;
GRANT EXECUTE ON FUNCTION wf.own_detector_rows TO wf_operator, wf_worker;

-- What follows from what was measured ([{"tenant_id", "labels", "value"}]): what is beyond the limit that holds for its
-- tenant. A row without a value, and a series of a Prometheus that is no longer there, are not known: not over.
CREATE OR REPLACE FUNCTION wf.own_findings(this wf.own_detectors, given jsonb) RETURNS SETOF wf.finding LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  WITH said AS MATERIALIZED (
    SELECT g.tenant_id, g.labels, g.value, coalesce(t.value, e.value) AS threshold, coalesce(t.source, e.source) AS source
    FROM jsonb_to_recordset(given) AS g(tenant_id text, labels jsonb, value double precision)
      CROSS JOIN wf.estate_threshold(this.name, 'limit') e
      LEFT JOIN wf.tenant_thresholds(this.name, 'limit') t ON t.tenant_id = g.tenant_id
  )
  SELECT s.tenant_id, s.labels, this.severity, s.value, s.threshold, this.unit,
         concat_ws(' ', this.means || ':', trim_scale(round(s.value::numeric, 3)), nullif(this.unit, '')),
         jsonb_build_object('threshold_from', s.source), CASE WHEN s.value IS NULL THEN 'its value is not known' END
  FROM said s
  WHERE CASE WHEN s.value IS NULL THEN true WHEN this.fires = 'above' THEN s.value > s.threshold ELSE s.value < s.threshold END
  UNION ALL
  SELECT a.tenant_id, a.labels, a.severity, NULL, NULL, this.unit, a.summary, '{}'::jsonb, 'Prometheus has no such series now'
  FROM wf.alerts a
  WHERE this.language = 'promql' AND a.kind = this.name AND a.resolved_at IS NULL
    AND NOT EXISTS (SELECT FROM said s WHERE s.tenant_id IS NOT DISTINCT FROM a.tenant_id AND s.labels = a.labels)
$$;

CREATE OR REPLACE FUNCTION wf.guard_own_detector() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' AND (SELECT count(*) FROM wf.own_detectors WHERE retired_at IS NULL) >= 100 THEN
    RAISE EXCEPTION 'there are 100 own detectors' USING ERRCODE = 'check_violation', CONSTRAINT = 'own_detector_many';
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.name <> OLD.name THEN
    RAISE EXCEPTION 'a detector keeps its name' USING ERRCODE = 'check_violation', CONSTRAINT = 'own_detector_fixed';
  END IF;
  NEW.version := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE OLD.version + 1 END;
  NEW.updated_at := now();
  NEW.updated_by := session_user;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.own_detectors FOR EACH ROW EXECUTE FUNCTION wf.guard_own_detector();

-- The detector itself, with its limit. Nobody evaluates one that is removed: nothing more is known of its alerts.
CREATE OR REPLACE FUNCTION wf.settle_own_detector() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NEW.retired_at IS NOT NULL THEN
    DELETE FROM wf.detectors d WHERE d.name = NEW.name;
    DELETE FROM wf.detector_parameters p WHERE p.detector = NEW.name;
    PERFORM wf.mark_unknown(NEW.name, 'its detector was removed', ARRAY(
      SELECT a.id FROM wf.alerts a WHERE a.kind = NEW.name AND a.resolved_at IS NULL FOR NO KEY UPDATE));
    RETURN NULL;
  END IF;
  INSERT INTO wf.detectors AS d (name, every, source, computed, stays, means)
  VALUES (NEW.name, NEW.every, 'live', true, false, NEW.means)
  ON CONFLICT (name) DO UPDATE SET every = excluded.every, means = excluded.means, next_at = clock_timestamp();
  INSERT INTO wf.detector_parameters (detector, name, value, least, most, unit, means)
  VALUES (NEW.name, 'limit', NEW.threshold, -1e15, 1e15, NEW.unit, format('what is %s it fires', NEW.fires))
  ON CONFLICT (detector, name) DO UPDATE SET value = excluded.value, unit = excluded.unit, means = excluded.means;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER settle AFTER INSERT OR UPDATE ON wf.own_detectors
  FOR EACH ROW EXECUTE FUNCTION wf.settle_own_detector();
GRANT SELECT ON wf.own_detectors TO wf_viewer, wf_worker;
GRANT INSERT (name, means, every, severity, language, statement, fires, threshold, unit),
      UPDATE (means, every, severity, language, statement, fires, threshold, unit, retired_at) ON wf.own_detectors TO wf_admin;
SELECT wf.audited('wf.own_detectors', 'detectors', 'name', 'none');
