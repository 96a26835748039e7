-- Detectors of gates and of publishing (sql/detectors.sql has the list).

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
           WHEN 'not run' THEN format('%s could not be run in %s: %s', p.gate, p.environment, left(coalesce(p.error, 'its job died'), 300))
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

-- Publications that were asked for in the last 24 hours and have been tried, by the place that they go to: the share that is
-- not published, and the share that is dead, each against that of the 6 days before; and how many wait, or are dead.
CREATE OR REPLACE FUNCTION wf.detect_publishing_failing() RETURNS SETOF wf.finding LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  WITH tried AS (
    SELECT substring(p.target FROM '^[a-z0-9]+://[^/]*') AS place, p.asked_at,
           coalesce(j.state, 'done') IN ('waiting', 'running') AS open, coalesce(j.state = 'dead', false) AS dead,
           coalesce(j.state, 'done') <> 'canceled' AND (p.published_at >= p.asked_at OR j.state = 'dead' OR j.attempts > 0) AS counts,
           coalesce(p.published_at >= p.asked_at, false) AS published
    FROM wf.publications p LEFT JOIN wf.publication_jobs q ON q.publication_id = p.id LEFT JOIN wf.jobs j ON j.id = q.job_id
    WHERE p.asked_at > now() - interval '7 days' OR j.state IN ('waiting', 'running', 'dead')
  ), summed AS (
    SELECT t.place, count(*) FILTER (WHERE t.open) AS open, count(*) FILTER (WHERE t.dead) AS dead_backlog,
           count(*) FILTER (WHERE t.counts AND t.asked_at > now() - interval '24 hours') AS n,
           count(*) FILTER (WHERE t.counts AND NOT t.published AND t.asked_at > now() - interval '24 hours') AS failed,
           count(*) FILTER (WHERE t.dead AND t.asked_at > now() - interval '24 hours') AS dead,
           count(*) FILTER (WHERE t.counts AND t.asked_at BETWEEN now() - interval '7 days' AND now() - interval '24 hours') AS old_n,
           count(*) FILTER (WHERE t.counts AND NOT t.published
                              AND t.asked_at BETWEEN now() - interval '7 days' AND now() - interval '24 hours') AS old_failed,
           count(*) FILTER (WHERE t.dead AND t.asked_at BETWEEN now() - interval '7 days' AND now() - interval '24 hours') AS old_dead
    FROM tried t GROUP BY t.place
  ), judged AS (
    SELECT s.*, s.failed::float8 / nullif(s.n, 0) AS share, s.dead::float8 / nullif(s.n, 0) AS dead_share, s.n >= f.value AS enough,
           greatest(l.value, CASE WHEN s.old_n >= f.value THEN x.value * s.old_failed / s.old_n END) AS share_limit,
           greatest(d.value, CASE WHEN s.old_n >= f.value THEN x.value * s.old_dead / s.old_n END) AS dead_limit,
           b.value AS backlog, db.value AS dead_warning, dc.value AS dead_critical, x.source
    FROM summed s CROSS JOIN wf.estate_threshold('publishing_failing', 'fewest') f
      CROSS JOIN wf.estate_threshold('publishing_failing', 'times') x CROSS JOIN wf.estate_threshold('publishing_failing', 'share') l
      CROSS JOIN wf.estate_threshold('publishing_failing', 'dead') d CROSS JOIN wf.estate_threshold('publishing_failing', 'backlog') b
      CROSS JOIN wf.estate_threshold('publishing_failing', 'dead_backlog') db
      CROSS JOIN wf.estate_threshold('publishing_failing', 'dead_critical') dc
  ), told AS (
    SELECT j.*, w.signal, w.value, w.held, w.critical, w.unit,
           row_number() OVER (PARTITION BY j.place ORDER BY w.critical DESC, w.rank) AS nth,
           array_agg(w.signal) OVER (PARTITION BY j.place) AS signals
    FROM judged j, LATERAL (VALUES
      (1, 'failed', j.share, j.share_limit, j.enough AND j.share > 1.5 * j.share_limit, 'share', j.enough AND j.share > j.share_limit),
      (2, 'dead', j.dead_share, j.dead_limit, j.enough AND j.dead_share > 1.5 * j.dead_limit, 'share',
       j.enough AND j.dead_share > j.dead_limit),
      (3, 'dead_backlog', j.dead_backlog::float8, j.dead_warning, j.dead_backlog > j.dead_critical, 'jobs', j.dead_backlog > j.dead_warning),
      (4, 'backlog', j.open::float8, j.backlog, false, 'jobs', j.open > j.backlog)) AS w(rank, signal, value, held, critical, unit, over)
    WHERE w.over
  )
  SELECT NULL, jsonb_build_object('place', t.place), CASE WHEN t.critical THEN 'critical' ELSE 'warning' END, t.value, t.held, t.unit,
         CASE t.signal
           WHEN 'failed' THEN format('%s of %s publications to %s in 24 hours are not published', t.failed, t.n, t.place)
           WHEN 'dead' THEN format('%s of %s publications to %s in 24 hours were given up', t.dead, t.n, t.place)
           WHEN 'dead_backlog' THEN format('%s to %s wait to be published again', wf.counted(t.dead_backlog, 'dead publication'), t.place)
           ELSE format('%s to %s wait', wf.counted(t.open, 'publication'), t.place) END,
         jsonb_build_object('signals', to_jsonb(t.signals), 'publications', t.n, 'failed', t.failed, 'dead', t.dead, 'open', t.open,
                            'dead_backlog', t.dead_backlog, 'publications_before', t.old_n, 'failure_rate', t.share,
                            'failure_rate_threshold', t.share_limit, 'dead_letter_rate', t.dead_share,
                            'dead_letter_rate_threshold', t.dead_limit, 'threshold_from', t.source), NULL
  FROM told t WHERE t.nth = 1
$$;

-- When what was published may be removed again: the end of its retention lock, as the provider said it when it was read back.
CREATE OR REPLACE FUNCTION wf.lock_end(attestation jsonb) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = wf, pg_temp AS $$
BEGIN
  RETURN (attestation -> 'lock' ->> 'until')::timestamptz;
EXCEPTION WHEN data_exception THEN  -- one that cannot be read hides no other
  RETURN NULL;
END
$$;

-- It stays until the lock is longer, or the evidence is withdrawn: that it ended is no better than that it ends.
CREATE OR REPLACE FUNCTION wf.detect_lock_ending() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, jsonb_build_object('publication', p.id), CASE WHEN p.ends <= now() THEN 'error' ELSE 'warning' END,
         extract(epoch FROM p.ends - now()) / 86400, t.value, 'days',
         format('the lock of evidence %s at %s %s at %s', p.evidence_id, left(p.target, 200),
                CASE WHEN p.ends <= now() THEN 'ended' ELSE 'ends' END, wf.minute_of(p.ends)),
         jsonb_build_object('publication', p.id, 'evidence', p.evidence_id, 'target', p.target, 'locked_until', p.ends,
                            'threshold_from', t.source), NULL
  FROM (SELECT x.*, wf.lock_end(x.attestation) AS ends FROM wf.publications x WHERE x.attestation IS NOT NULL) p
    JOIN wf.evidence e ON e.id = p.evidence_id AND e.withdrawn_at IS NULL,
    wf.estate_threshold('lock_ending', 'days') t
  WHERE p.ends <= now() + t.value * interval '24 hours'
$$;
