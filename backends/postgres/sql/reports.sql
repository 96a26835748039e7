-- Governance reports: asked for by people, of each week by a worker; made by a worker from what is recorded then.
INSERT INTO wf.operations (name, role) VALUES ('reports.make', 'operator'), ('reports.weekly', 'owner'), ('reports.made', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('reports.make', 'wf.reports', 'insert', NULL, NULL, '{"kind": "release", "made_at": null}', false),
  ('reports.weekly', 'wf.reports', 'insert', NULL, NULL, '{"kind": "weekly", "made_at": null}', false),
  ('reports.made', 'wf.reports', 'update', '{made_at,sha256}', '{"made_at": null}', NULL, false);

CREATE OR REPLACE FUNCTION wf.guard_report() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (OLD.made_at IS NOT NULL OR NEW.made_at IS NULL
      OR to_jsonb(NEW) - '{made_at,sha256,version}'::text[] <> to_jsonb(OLD) - '{made_at,sha256,version}'::text[]) THEN
    RAISE EXCEPTION 'report % stays as it is', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'report_fixed';
  ELSIF TG_OP = 'UPDATE' THEN
    NEW.version := OLD.version + 1;
  ELSIF NEW.to_at > now() + interval '1 minute' THEN
    RAISE EXCEPTION 'that time is not over' USING ERRCODE = 'check_violation', CONSTRAINT = 'report_times';
  ELSIF (SELECT count(*) FROM wf.reports r WHERE r.made_at IS NULL AND r.kind = NEW.kind) >= 10 THEN
    RAISE EXCEPTION 'ten reports wait' USING ERRCODE = 'check_violation', CONSTRAINT = 'report_many';
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.reports FOR EACH ROW EXECUTE FUNCTION wf.guard_report();

CREATE OR REPLACE FUNCTION wf.queue_report(report bigint) RETURNS void LANGUAGE sql SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.report_data (report_id, job_id)
  VALUES (report, wf.queue_job('make_report', NULL, jsonb_build_object('report', report), NULL, 1, 5))
$$;

CREATE OR REPLACE FUNCTION wf.ask_report(release text, since timestamptz) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  made bigint;
BEGIN
  INSERT INTO wf.reports (kind, subject, from_at, to_at) VALUES ('release', release, since, now()) RETURNING id INTO made;
  PERFORM wf.queue_report(made);
  RETURN made;
END
$$;

-- The report of the last whole week (ISO 8601, UTC), once; none of a week in which the home had nobody.
CREATE OR REPLACE FUNCTION wf.queue_weekly_report() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  monday timestamptz := date_trunc('week', now());
  week   text := to_char(monday - interval '7 days', 'IYYY-"W"IW');
  made   bigint;
BEGIN
  IF EXISTS (SELECT FROM wf.reports r WHERE r.kind = 'weekly' AND r.subject = week)
     OR NOT EXISTS (SELECT FROM wf.tenants t WHERE t.created_at < monday) THEN
    RETURN NULL;
  END IF;
  PERFORM wf.open_home_change('reports.weekly', NULL, 'report-' || week);
  INSERT INTO wf.reports (kind, subject, from_at, to_at) VALUES ('weekly', week, monday - interval '7 days', monday)
  ON CONFLICT DO NOTHING RETURNING id INTO made;
  PERFORM set_config('wf.change', '', true);
  IF made IS NOT NULL THEN
    PERFORM wf.queue_report(made);
  END IF;
  RETURN made;
END
$$;

-- What is counted for a report, whose times are bounded by its table. Lists are short; what is not known is null.
CREATE OR REPLACE FUNCTION wf.report_figures(report bigint) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  WITH asked AS MATERIALIZED (
    SELECT r.from_at::timestamptz AS since, r.to_at::timestamptz AS until FROM wf.reports r WHERE r.id = report
  ), runs AS MATERIALIZED (
    SELECT r.gate, r.environment, r.id, r.started_at, r.decided_at, r.verdict, r.state = 'running' AND r.ends_by < now() AS lost
    FROM asked, wf.gate_runs r WHERE r.started_at >= since AND r.started_at < until AND r.batch_size IS NULL
  ), gates AS (
    SELECT r.gate, r.environment, count(*) AS runs, count(*) FILTER (WHERE r.verdict = 'GO') AS go,
           count(*) FILTER (WHERE r.verdict = 'GO_WITH_CONDITIONS') AS conditions, count(*) FILTER (WHERE r.verdict = 'NO_GO') AS no_go,
           count(*) FILTER (WHERE r.verdict = 'INCONCLUSIVE') AS inconclusive, count(*) FILTER (WHERE r.lost) AS lost,
           (array_agg(r.verdict ORDER BY r.id DESC) FILTER (WHERE r.verdict IS NOT NULL OR r.lost))[1] AS last,
           max(r.decided_at) AS last_at
    FROM runs r GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 200
  ), days AS (
    SELECT to_char(d.day, 'YYYY-MM-DD') AS day, count(r.id) FILTER (WHERE r.verdict = 'GO') AS go,
           count(r.id) FILTER (WHERE r.verdict = 'GO_WITH_CONDITIONS') AS conditions,
           count(r.id) FILTER (WHERE r.verdict = 'NO_GO') AS no_go, count(r.id) FILTER (WHERE r.verdict = 'INCONCLUSIVE') AS inconclusive
    FROM asked, generate_series(date_trunc('day', since), until - interval '1 microsecond', interval '1 day') d(day)
      LEFT JOIN runs r ON date_trunc('day', r.started_at) = d.day
    GROUP BY d.day ORDER BY d.day
  ), ending AS (
    SELECT w.id, w.gate, w.environment, w.check_name AS check, w.ends_at, w.created_by AS by, w.approved_by AS second, left(w.reason, 300) AS reason
    FROM wf.gate_waivers w
    WHERE w.ended_at IS NULL AND w.ends_at > now() AND w.ends_at < now() + interval '14 days' ORDER BY w.ends_at LIMIT 50
  ), keys AS MATERIALIZED (
    SELECT k.tenant_id AS tenant, k.stale, k.keys, k.oldest FROM wf.key_ages(NULL, NULL, NULL) k WHERE k.stale > 0
  ), tenants AS MATERIALIZED (
    SELECT h.tenant_id AS tenant, sum(h.n) AS requests, round(sum(h.errors_5xx)::numeric / sum(h.n), 6)::float8 AS share
    FROM asked, wf.hour_cells h
    WHERE h.dim = 'tenant' AND h.tenant_id <> '' AND h.hour >= since AND h.hour < until
    GROUP BY 1 HAVING sum(h.n) >= 1000
  )
  SELECT jsonb_build_object(
    'made_at', now(),
    'gates', (SELECT coalesce(jsonb_agg(to_jsonb(g) ORDER BY g.gate, g.environment), '[]') FROM gates g),
    'days', (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.day), '[]') FROM days d),
    'waivers', jsonb_build_object(
      'made', (SELECT count(*) FROM asked, wf.gate_waivers w WHERE w.created_at >= since AND w.created_at < until),
      'ended', (SELECT count(*) FROM asked, wf.gate_waivers w
                WHERE least(w.ended_at, w.ends_at) >= since AND least(w.ended_at, w.ends_at) < until),
      'open', (SELECT count(*) FROM wf.gate_waivers w WHERE w.ended_at IS NULL AND w.ends_at > now()),
      'ending', (SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.ends_at), '[]') FROM ending e)),
    'rotations', jsonb_build_object(
      'stale', (SELECT coalesce(sum(k.stale), 0) FROM keys k), 'tenants', (SELECT count(*) FROM keys k),
      'late', (SELECT l.late FROM wf.late_rotations(10000) l),
      'worst', (SELECT coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.stale DESC, k.tenant), '[]')
                FROM (SELECT * FROM keys ORDER BY stale DESC, tenant LIMIT 10) k)),
    'drift', (
      SELECT jsonb_build_object('fewest', 1000, 'tenants', count(*), 'least', min(t.share), 'most', max(t.share),
               'median', round(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.share)::numeric, 6)::float8,
               'spread', CASE WHEN count(*) > 1 THEN round((max(t.share) - min(t.share))::numeric, 6)::float8 END,
               'worst', (SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY w.share DESC, w.tenant), '[]')
                         FROM (SELECT * FROM tenants ORDER BY share DESC, tenant LIMIT 5) w))
      FROM tenants t),
    'drills', jsonb_build_object(
      'made', (SELECT count(*) FROM asked, wf.audit a WHERE wf.folded(a.noun) = 'drills' AND a.at >= since AND a.at < until),
      'last_at', (SELECT max(a.at) FROM asked, wf.audit a WHERE wf.folded(a.noun) = 'drills' AND a.at < until),
      'settled', (SELECT count(*) FROM asked, wf.dead_letters l WHERE l.settled_at >= since AND l.settled_at < until)),
    'chain', (SELECT to_jsonb(c) FROM (SELECT s.written, s.chained, s.signed, s.signed_at, s.trouble FROM wf.audit_chain_status s) c))
$$;

-- What the worker that holds the job made of it. It is hashed here, and never changed.
CREATE OR REPLACE FUNCTION wf.keep_report(report bigint, job bigint, data text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  held bigint;
BEGIN
  SELECT j.lease INTO held FROM wf.report_data d JOIN wf.jobs j ON j.id = d.job_id JOIN wf.workers w ON w.id = j.worker_id
  WHERE d.report_id = report AND d.data IS NULL AND j.id = job AND j.kind = 'make_report' AND j.state = 'running'
    AND w.login = session_user AND w.ended_at IS NULL FOR UPDATE OF d;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'report % is not held by this worker', report USING ERRCODE = 'check_violation', CONSTRAINT = 'report_held';
  END IF;
  UPDATE wf.report_data d SET data = keep_report.data WHERE d.report_id = report;
  PERFORM wf.open_home_change('reports.made', NULL, format('report-%s-claim-%s', report, held));
  UPDATE wf.reports r SET made_at = clock_timestamp(), sha256 = encode(sha256(convert_to(data, 'UTF8')), 'hex') WHERE r.id = report;
  PERFORM set_config('wf.change', '', true);
END
$$;

CREATE VIEW wf.report_list AS
SELECT r.*, wf.folded(r.kind || E'\n' || r.subject || E'\n' || r.asked_by) AS search FROM wf.reports r;
GRANT SELECT ON wf.reports, wf.report_list, wf.report_data TO wf_viewer;
GRANT SELECT ON wf.reports TO wf_worker;
GRANT EXECUTE ON FUNCTION wf.ask_report TO wf_operator;
GRANT EXECUTE ON FUNCTION wf.queue_weekly_report, wf.report_figures, wf.keep_report TO wf_worker;
SELECT wf.audited('wf.reports', 'reports', 'id', 'none');
