-- The detector of gates (sql/detectors.sql has the list).

-- Gates with a schedule whose last run does not open them. One that could not be run, or whose run never ended, is told as
-- well. Without a fresh run nothing is known: an open alert is neither resolved nor confirmed.
CREATE OR REPLACE FUNCTION wf.detect_gate_closed() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  WITH places AS (
    SELECT s.gate, s.environment, s.every, r.id, r.verdict, r.started_at, r.started_by, r.decided_at,
           r.state = 'running' AND r.ends_by < now() AS lost, j.id AS job, j.error,
           j.state = 'dead' AND j.ended_at > coalesce(r.started_at, '-infinity') AS unrun
    FROM wf.gate_schedules s JOIN wf.gates g ON g.name = s.gate AND g.retired_at IS NULL
      LEFT JOIN wf.gate_turns t USING (gate, environment) LEFT JOIN wf.jobs j ON j.id = t.job_id
      LEFT JOIN LATERAL (
        SELECT * FROM wf.gate_runs x
        WHERE x.gate = s.gate AND x.environment = s.environment AND x.batch_size IS NULL
          AND (x.state = 'decided' OR x.ends_by < now())
        ORDER BY x.id DESC LIMIT 1) r ON true
    WHERE s.ended_at IS NULL
  ), judged AS (
    SELECT p.*, CASE WHEN p.unrun THEN 'not run' WHEN p.lost THEN 'lost' ELSE p.verdict END AS outcome,
           CASE WHEN NOT p.unrun AND coalesce(p.decided_at, p.started_at) < now() - 2 * p.every - interval '10 minutes'
                THEN 'it was last run at ' || wf.minute_of(p.started_at) END AS silent
    FROM places p WHERE p.id IS NOT NULL OR p.unrun
  )
  SELECT NULL, jsonb_build_object('gate', p.gate, 'environment', p.environment),
         CASE WHEN p.outcome = 'NO_GO' THEN 'error' ELSE 'warning' END, f.failed::float8, 0::float8, 'checks',
         CASE p.outcome
           WHEN 'NO_GO' THEN format('%s is closed in %s: %s', p.gate, p.environment, wf.counted(f.failed, 'check') || ' failed')
           WHEN 'not run' THEN format('%s could not be run in %s: %s', p.gate, p.environment, left(coalesce(wf.without_mail(p.error), 'its job died'), 300))
           WHEN 'lost' THEN format('the run of %s in %s never ended', p.gate, p.environment)
           ELSE format('%s is inconclusive in %s', p.gate, p.environment) END,
         jsonb_build_object('run', p.id, 'outcome', p.outcome, 'decided_at', p.decided_at, 'by', p.started_by, 'job', p.job,
                            'failed', f.names), p.silent
  FROM judged p, LATERAL (
    SELECT count(*) AS failed, coalesce(jsonb_agg(c.name ORDER BY c.name) FILTER (WHERE c.place <= 20), '[]') AS names
    FROM (SELECT c.name, row_number() OVER (ORDER BY c.name) AS place FROM wf.gate_checks c
          WHERE c.run_id = p.id AND c.state = 'fail' AND p.outcome = 'NO_GO') c) f
  WHERE p.silent IS NOT NULL OR p.outcome NOT IN ('GO', 'GO_WITH_CONDITIONS')
$$;
