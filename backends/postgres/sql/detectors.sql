-- Detectors: each is one statement over all tenants, wf.detect_NAME(), whose rows are what it finds now. Two are computed
-- by the worker's program, because screens share their rules (backends/postgres/detectors.py); a team's own are measured by
-- it as well (sql/own_detectors.sql).
INSERT INTO wf.operations (name, role) VALUES
  ('detectors.evaluate', 'operator'), ('thresholds.clear', 'operator'), ('thresholds.set', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('detectors.evaluate', 'detectors', 'note', '{next_at}', NULL, NULL, false),
  ('thresholds.set', 'wf.thresholds', 'insert', NULL, NULL, NULL, false),
  ('thresholds.set', 'wf.thresholds', 'update', '{value,set_at,set_by}', NULL, NULL, false),
  ('thresholds.clear', 'wf.thresholds', 'update', '{value,set_at,set_by}', NULL, '{"value": null}', false),
  ('tenants.purge', 'wf.thresholds', 'delete', NULL, NULL, NULL, true);

WITH known (name, every, source, computed, stays, means) AS (VALUES
  ('key_rotation_sla_failed', interval '5 minutes', 'live', false, false,
   'Live keys of a tenant that are older than allowed, or a tenant that rotated none for too long.'),
  ('key_usage_anomaly', interval '10 minutes', 'hours', true, false,
   'Keys whose use in the last 24 hours differs from the 7 days before: far more or fewer requests, slower, more errors; '
   'a new key is compared with the keys of its plan.'),
  ('burn_rate', interval '1 minute', 'live', true, false,
   'Objectives that burn their error budget fast enough to page or to open a ticket, by the rule of their screen.'),
  ('quota_near', interval '5 minutes', 'quotas', false, false, 'Quotas that are nearly used up.'),
  ('quota_over', interval '5 minutes', 'quotas', false, false, 'Quotas that are used up: further requests are refused.'),
  ('jobs_dead', interval '1 minute', 'live', false, false, 'Jobs whose tries all failed, of one kind and tenant.'),
  ('worker_missing', interval '1 minute', 'live', false, false,
   'A host whose worker died, and where none has started since.'),
  ('telemetry_absent', interval '1 minute', 'live', false, false,
   'No request has come in for too long, although some came before.'),
  ('rollup_behind', interval '1 minute', 'live', false, false, 'Requests that are stored but not rolled up.'),
  ('retention_behind', interval '1 hour', 'live', false, false, 'Telemetry that is kept longer than its retention allows.'),
  ('default_partition', interval '5 minutes', 'live', false, false,
   'Rows of telemetry without a partition for their day: retention does not drop them.'),
  ('trial_ending', interval '1 hour', 'live', false, false, 'Trials that end soon.'),
  ('audit_unverified', interval '1 minute', 'live', false, false,
   'Rows of the trail that no signed checkpoint covers, or a chain that cannot be signed.'),
  ('audit_unchained', interval '1 minute', 'live', false, false, 'Rows of the trail that wait for their link in the chain.'),
  ('tenant_leak', interval '5 minutes', 'live', false, true,
   'Requests stored for one tenant although the key is another''s. Its alerts stay until a person resolves them.'),
  ('heartbeat_missing', interval '30 seconds', 'live', false, false,
   'Heartbeats that are late by more than their grace.'),
  ('deliveries_failing', interval '5 minutes', 'live', false, false,
   'Routes whose notices of the last 24 hours are received less often than those of the 6 days before.'),
  ('gate_closed', interval '1 minute', 'live', false, false,
   'Gates with a schedule whose last run does not open them, or which could not be run.'),
  ('lock_ending', interval '1 hour', 'live', false, false,
   'Targets where a lock on evidence ends soon: after that, it can be changed or removed.'),
  ('publishing_failing', interval '5 minutes', 'live', false, false,
   'Publications of the last 24 hours that fail more often than those of the 6 days before, or too many that wait or are dead.')
), gone AS (
  DELETE FROM wf.detectors d
  WHERE d.name NOT IN (SELECT k.name FROM known k) AND d.name NOT IN (SELECT o.name FROM wf.own_detectors o WHERE o.retired_at IS NULL)
)
INSERT INTO wf.detectors (name, every, source, computed, stays, means) SELECT * FROM known
ON CONFLICT (name) DO UPDATE SET every = excluded.every, source = excluded.source, computed = excluded.computed,
  stays = excluded.stays, means = excluded.means;

DELETE FROM wf.detector_parameters p
WHERE p.detector NOT IN (SELECT o.name FROM wf.own_detectors o WHERE o.retired_at IS NULL);
INSERT INTO wf.detector_parameters (detector, name, value, least, most, unit, means) VALUES
  ('key_rotation_sla_failed', 'max_age', 30, 1, 3660, 'days', 'a live key that is older is stale'),
  ('key_rotation_sla_failed', 'window', 30, 1, 3660, 'days', 'a tenant should rotate a key this often'),
  ('key_usage_anomaly', 'fewest', 30, 1, 1000000, 'requests', 'fewer requests than this count as chance'),
  ('key_usage_anomaly', 'times', 2, 1.1, 1000, '×', 'fires at this many times more, or fewer, requests than expected'),
  ('key_usage_anomaly', 'errors', 3, 0.5, 100, 'standard errors', 'a smaller difference counts as chance'),
  ('quota_near', 'share', 0.8, 0.8, 1, 'share', 'the used share of a quota that is near its limit; workers look from 0.8 on'),
  ('jobs_dead', 'number', 1, 1, 1000000, 'jobs', 'fires from this many dead jobs on'),
  ('jobs_dead', 'critical', 100, 1, 1000000, 'jobs', 'critical from this many on'),
  ('jobs_dead', 'critical_age', 24, 1, 8760, 'hours', 'critical when one has been dead for this long'),
  ('telemetry_absent', 'minutes', 15, 2, 10080, 'minutes', 'the longest time without a request'),
  ('rollup_behind', 'minutes', 10, 3, 1440, 'minutes', 'how far the roll-up of requests may lag'),
  ('retention_behind', 'hours', 26, 1, 8760, 'hours', 'how long dropping old telemetry may take'),
  ('default_partition', 'rows', 1, 1, 1000, 'rows', 'fires from this many rows on'),
  ('trial_ending', 'days', 7, 1, 90, 'days', 'how long before a trial ends'),
  ('audit_unverified', 'minutes', 15, 1, 10080, 'minutes', 'how long a row may wait for a signed checkpoint'),
  ('audit_unchained', 'minutes', 1, 1, 1440, 'minutes', 'how long a row may wait for its link'),
  ('deliveries_failing', 'fewest', 20, 1, 1000000, 'notices', 'fewer notices than this count as chance'),
  ('deliveries_failing', 'times', 2, 1, 20, '×', 'fires from this many times the share of the 6 days before'),
  ('deliveries_failing', 'share', 0.05, 0, 1, 'share', 'the least share of deliveries that are not received'),
  ('deliveries_failing', 'dead', 0.02, 0, 1, 'share', 'the least share of deliveries that were given up or are held'),
  ('lock_ending', 'days', 30, 1, 3660, 'days', 'how long before a lock ends'),
  ('publishing_failing', 'fewest', 20, 1, 1000000, 'jobs', 'fewer publications than this count as chance'),
  ('publishing_failing', 'times', 2, 1, 20, '×', 'fires from this many times the share of the 6 days before'),
  ('publishing_failing', 'share', 0.05, 0, 1, 'share', 'the least share of publications whose last try failed'),
  ('publishing_failing', 'dead', 0.02, 0, 1, 'share', 'the least share of publications that are dead'),
  ('publishing_failing', 'backlog', 200, 1, 1000000, 'jobs', 'fires above this many that wait or run'),
  ('publishing_failing', 'backlog_dead', 20, 1, 1000000, 'jobs', 'fires above this many that are dead'),
  ('publishing_failing', 'backlog_critical', 50, 1, 1000000, 'jobs', 'critical above this many that are dead');

-- From now on, or since it looked last (wf.evaluate).
UPDATE wf.detectors d SET seen = txid_snapshot_xmin(txid_current_snapshot()) WHERE d.name = 'tenant_leak' AND d.seen IS NULL;

-- Queue a job for each detector that is due, unless its last one still waits or runs. A dead one is settled by the next.
CREATE OR REPLACE FUNCTION wf.queue_evaluations() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this   wf.detectors;
  queued bigint := 0;
BEGIN
  FOR this IN
    SELECT d.* FROM wf.detectors d
    WHERE (d.next_at <= clock_timestamp() OR d.next_at > clock_timestamp() + d.every)
      AND NOT EXISTS (SELECT FROM wf.jobs j WHERE j.id = d.job_id AND j.state IN ('waiting', 'running'))
    ORDER BY d.next_at FOR UPDATE SKIP LOCKED
  LOOP
    UPDATE wf.jobs j SET state = 'canceled', ended_at = clock_timestamp() WHERE j.id = this.job_id AND j.state = 'dead';
    UPDATE wf.detectors d
    SET job_id = wf.queue_job('evaluate_detector', payload => jsonb_build_object('detector', this.name)),
        next_at = date_bin(this.every, clock_timestamp(), '2000-01-01 UTC') + this.every
    WHERE d.name = this.name;
    queued := queued + 1;
  END LOOP;
  RETURN queued;
END
$$;
GRANT EXECUTE ON FUNCTION wf.queue_evaluations TO wf_worker;

-- Let a detector be evaluated with the next tick, not only when it is due.
CREATE OR REPLACE FUNCTION wf.evaluate_soon(detector text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  UPDATE wf.detectors d SET next_at = moment WHERE d.name = evaluate_soon.detector;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no detector %', left(detector, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'detector_unknown';
  END IF;
  RETURN wf.append_audit('detectors', 'detectors', 'note', ARRAY[detector], ARRAY[NULL], ARRAY[NULL::jsonb],
                         ARRAY[jsonb_build_object('next_at', moment)], '{}');
END
$$;
GRANT EXECUTE ON FUNCTION wf.evaluate_soon TO wf_operator;

-- Why nothing is known now from what a detector relies on; NULL: it is fresh.
CREATE OR REPLACE FUNCTION wf.silence_of(source text) RETURNS text LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT CASE source
    WHEN 'quotas' THEN (
      SELECT CASE WHEN max(q.at) IS NULL THEN 'no worker has looked at quotas yet'
                  WHEN max(q.at) < now() - interval '20 minutes' THEN 'no worker has looked at quotas since ' || wf.minute_of(max(q.at)) END
      FROM wf.quotas_looked q)
    WHEN 'hours' THEN (
      SELECT CASE WHEN m.rolled_at IS NULL THEN 'no worker has rolled up requests yet'
                  WHEN m.hours_until < now() - interval '130 minutes' THEN 'requests are rolled up only to ' || wf.minute_of(m.hours_until)
                  WHEN wf.newest_request() IS NULL THEN 'no request is stored'
                  WHEN wf.newest_request() < now() - t.value * interval '1 minute'
                    THEN 'no request has come in since ' || wf.minute_of(wf.newest_request()) END
      FROM wf.request_marks m, wf.estate_threshold('telemetry_absent', 'minutes') t) END
$$;

CREATE OR REPLACE FUNCTION wf.minute_of(at timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN to_char(greatest(at, '1970-01-01') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"');

-- What a detector finds now. Raises what its statement raises.
CREATE OR REPLACE FUNCTION wf.findings_of(this wf.detectors, given jsonb) RETURNS wf.finding[] LANGUAGE plpgsql STABLE
SET search_path = wf, pg_temp AS $$
DECLARE
  found wf.finding[];
BEGIN
  IF NOT this.computed THEN
    EXECUTE format('SELECT array_agg(f) FROM wf.%I() f', 'detect_' || this.name) INTO found;
  ELSIF jsonb_typeof(given) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION '% is computed by a worker, which gave nothing', this.name USING ERRCODE = 'invalid_parameter_value';
  ELSIF EXISTS (SELECT FROM wf.own_detectors o WHERE o.name = this.name) THEN
    SELECT array_agg(f) INTO found FROM wf.own_detectors o, wf.own_findings(o, given) f WHERE o.name = this.name;
  ELSE
    SELECT array_agg(f) INTO found FROM jsonb_populate_recordset(NULL::wf.finding, given) f;
  END IF;
  RETURN found;
END
$$;

-- Thresholds

-- The value that holds for each tenant, and where it is from.
CREATE OR REPLACE FUNCTION wf.tenant_thresholds(detector text, name text)
RETURNS TABLE (tenant_id text, value double precision, source text) LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT t.id, coalesce(own.value, plans.value, estate.value, p.value),
         CASE WHEN own.value IS NOT NULL THEN own.scope WHEN plans.value IS NOT NULL THEN plans.scope
              WHEN estate.value IS NOT NULL THEN 'all' ELSE 'default' END
  FROM wf.detector_parameters p CROSS JOIN wf.tenants t
    LEFT JOIN wf.thresholds own ON own.detector = p.detector AND own.name = p.name AND own.tenant_id = t.id
    LEFT JOIN wf.thresholds plans ON plans.detector = p.detector AND plans.name = p.name AND plans.plan = t.plan
    LEFT JOIN wf.thresholds estate ON estate.detector = p.detector AND estate.name = p.name AND estate.scope = 'all'
  WHERE p.detector = tenant_thresholds.detector AND p.name = tenant_thresholds.name
$$;

-- The value that holds for what belongs to no tenant.
CREATE OR REPLACE FUNCTION wf.estate_threshold(detector text, name text) RETURNS TABLE (value double precision, source text)
LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT coalesce(estate.value, p.value), CASE WHEN estate.value IS NOT NULL THEN 'all' ELSE 'default' END
  FROM wf.detector_parameters p
    LEFT JOIN wf.thresholds estate ON estate.detector = p.detector AND estate.name = p.name AND estate.scope = 'all'
  WHERE p.detector = estate_threshold.detector AND p.name = estate_threshold.name
$$;

-- Every value that claims to hold for a tenant (NULL: the whole estate), the one that holds first.
CREATE OR REPLACE FUNCTION wf.threshold_sources(parameter text, tenant text)
RETURNS TABLE (place bigint, source text, value double precision, set_by text, set_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT row_number() OVER (ORDER BY s.rank), s.source, s.value, s.set_by, s.set_at
  FROM (
    SELECT CASE WHEN t.tenant_id IS NOT NULL THEN 1 WHEN t.plan IS NOT NULL THEN 2 ELSE 3 END AS rank, t.scope AS source,
           t.value, t.set_by::text, t.set_at::timestamptz
    FROM wf.thresholds t
    WHERE t.parameter = threshold_sources.parameter AND t.value IS NOT NULL
      AND (t.scope = 'all' OR t.tenant_id = tenant OR t.plan = (SELECT w.plan FROM wf.tenants w WHERE w.id = tenant))
    UNION ALL
    SELECT 4, 'default', p.value, NULL, NULL FROM wf.detector_parameters p
    WHERE p.detector || '.' || p.name = threshold_sources.parameter) s
$$;
GRANT EXECUTE ON FUNCTION wf.threshold_sources TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.guard_threshold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  known   wf.detector_parameters;
  refused text;
BEGIN
  SELECT * INTO known FROM wf.detector_parameters p WHERE p.detector = NEW.detector AND p.name = NEW.name;
  IF TG_OP = 'UPDATE' AND (NEW.detector, NEW.name, NEW.tenant_id, NEW.plan)
      IS DISTINCT FROM (OLD.detector, OLD.name, OLD.tenant_id, OLD.plan) THEN
    refused := 'threshold_fixed';
  ELSIF NEW.value IS NOT NULL AND known.name IS NULL THEN
    refused := 'threshold_unknown';
  ELSIF NEW.value NOT BETWEEN known.least AND known.most THEN
    refused := 'threshold_range';
  ELSIF NEW.tenant_id IS NOT NULL AND NEW.value IS NOT NULL AND (
      SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
    refused := 'threshold_tenant_gone';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the threshold % of % is refused: %', NEW.name, NEW.detector, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.set_at := now();
    NEW.set_by := session_user;
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.thresholds FOR EACH ROW EXECUTE FUNCTION wf.guard_threshold();
GRANT SELECT ON wf.thresholds, wf.detector_parameters TO wf_viewer;
GRANT INSERT (detector, name, tenant_id, plan, value), UPDATE (value) ON wf.thresholds TO wf_operator;
SELECT wf.audited('wf.thresholds', 'thresholds', 'parameter/scope', 'tenant_id');

-- What people read: every parameter with its default, and what was set instead of it.
CREATE VIEW wf.threshold_list AS
SELECT l.*, wf.folded(l.parameter || E'\n' || l.scope) AS search FROM (
  SELECT t.parameter, t.detector, t.scope, t.tenant_id, t.plan, t.value, p.value AS usual, p.least, p.most, p.unit::text AS unit,
         p.means::text AS means, t.version, t.set_at::timestamptz AS set_at, t.set_by::text AS set_by
  FROM wf.thresholds t JOIN wf.detector_parameters p ON p.detector = t.detector AND p.name = t.name WHERE t.value IS NOT NULL
  UNION ALL
  SELECT p.detector || '.' || p.name, p.detector, 'default', NULL, NULL, p.value, p.value, p.least, p.most, p.unit, p.means,
         NULL, NULL, NULL
  FROM wf.detector_parameters p) l;
GRANT SELECT ON wf.threshold_list TO wf_viewer;
