-- Where evidence is published to. A target is known from its first publication on; a worker finds out what it can do.
INSERT INTO wf.operations (name, role) VALUES
  ('evidence.limit', 'operator'), ('evidence.sweep', 'operator'), ('evidence.probed', 'owner'), ('evidence.swept', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('evidence.publish', 'wf.publication_targets', 'insert', NULL, NULL, NULL, false),
  ('evidence.limit', 'wf.publication_targets', 'update', '{priority,rate,keep_days}', NULL, NULL, false),
  ('evidence.sweep', 'wf.publication_targets', 'update', '{sweep_asked_at,sweep_hours,sweep_remove}', NULL, NULL, false),
  ('evidence.probed', 'wf.publication_targets', 'update',
   '{probed_at,creates,versions,digests,locks,lock_mode,lock_days}', NULL, NULL, false),
  ('evidence.swept', 'wf.publication_targets', 'update', '{swept_at,swept_found,swept_removed,swept_items}', NULL, NULL, false);

GRANT SELECT ON wf.publication_targets, wf.sweep_jobs TO wf_viewer, wf_worker;
SELECT wf.audited('wf.publication_targets', 'targets', 'target', 'none');

CREATE OR REPLACE FUNCTION wf.no_target(target text) RETURNS void LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'nothing was published to %', left(target, 300)
    USING ERRCODE = 'check_violation', CONSTRAINT = 'target_unknown';
END
$$;

CREATE OR REPLACE FUNCTION wf.limit_target(target text, priority integer, rate integer, keep_days integer) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.publication_targets t
  SET priority = limit_target.priority, rate = limit_target.rate, keep_days = limit_target.keep_days, version = t.version + 1, updated_at = now()
  WHERE t.target = limit_target.target;
  IF NOT FOUND THEN
    PERFORM wf.no_target(target);
  END IF;
END
$$;

-- Look for uploads that were begun so long ago and never ended; with `remove`, end them.
CREATE OR REPLACE FUNCTION wf.sweep_target(target text, hours integer, remove boolean) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  state text;
BEGIN
  PERFORM FROM wf.publication_targets t WHERE t.target = sweep_target.target FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM wf.no_target(target);
  END IF;
  SELECT j.state INTO state FROM wf.sweep_jobs s JOIN wf.jobs j ON j.id = s.job_id
  WHERE s.target = sweep_target.target FOR UPDATE OF j;
  IF state IN ('waiting', 'running') THEN
    RAISE EXCEPTION '% is being swept', left(target, 300) USING ERRCODE = 'check_violation', CONSTRAINT = 'target_sweeping';
  END IF;
  UPDATE wf.publication_targets t
  SET sweep_asked_at = now(), sweep_hours = hours, sweep_remove = coalesce(remove, false), version = t.version + 1, updated_at = now()
  WHERE t.target = sweep_target.target;
  INSERT INTO wf.sweep_jobs AS s (target, job_id)
  VALUES (target, wf.queue_job('sweep_target', NULL, jsonb_build_object('target', target), NULL, 1, 8))
  ON CONFLICT ON CONSTRAINT sweep_jobs_pkey DO UPDATE SET job_id = excluded.job_id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.limit_target, wf.sweep_target TO wf_operator;

-- How many seconds the publication has to wait: a target with a rate takes one at a time, and whoever has the higher
-- priority goes first, unless it has to wait itself. NULL: it may go.
CREATE OR REPLACE FUNCTION wf.publication_turn(publication bigint, job bigint) RETURNS integer LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH publishing AS (
    SELECT p.id, t.target, t.priority, t.rate, j.state, j.run_at, j.lease
    FROM wf.jobs j JOIN wf.publication_jobs q ON q.job_id = j.id JOIN wf.publications p ON p.id = q.publication_id
    JOIN wf.publication_targets t ON t.target = p.target
    WHERE j.kind = 'publish_evidence' AND j.state IN ('waiting', 'running')
  ), mine AS (SELECT * FROM publishing WHERE id = publication)
  SELECT CASE
    WHEN EXISTS (SELECT FROM publishing o, mine m WHERE o.target = m.target AND m.rate IS NOT NULL AND o.state = 'running'
                   AND o.id <> m.id AND (o.lease, o.id) < (m.lease, m.id)) THEN 10
    WHEN EXISTS (SELECT FROM publishing o, mine m WHERE o.priority < m.priority AND o.state = 'waiting'
                   AND o.run_at <= clock_timestamp() + interval '10 seconds'
                   AND (o.rate IS NULL OR NOT EXISTS (SELECT FROM publishing r WHERE r.target = o.target AND r.state = 'running')))
      THEN 10
  END
$$;

-- What a probe of the target of a publication showed, by the worker that holds its job.
CREATE OR REPLACE FUNCTION wf.note_abilities(
  publication bigint, job bigint, creates boolean, versions boolean, digests boolean, locks boolean, mode text,
  days double precision
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  held bigint := wf.claim_of(job, 'publish_evidence');
  place text := (SELECT p.target FROM wf.publications p JOIN wf.publication_jobs q ON q.publication_id = p.id
                 WHERE p.id = publication AND q.job_id = job);
BEGIN
  IF held IS NULL OR place IS NULL THEN
    RAISE EXCEPTION 'publication % is not held by this worker', publication
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_held';
  END IF;
  PERFORM wf.open_home_change('evidence.probed', NULL, format('probe-%s-claim-%s', publication, held));
  UPDATE wf.publication_targets t
  SET probed_at = clock_timestamp(), creates = note_abilities.creates, versions = note_abilities.versions,
      digests = note_abilities.digests, locks = note_abilities.locks, lock_mode = mode, lock_days = days,
      version = t.version + 1, updated_at = now()
  WHERE t.target = place;
  PERFORM set_config('wf.change', '', true);
END
$$;

CREATE OR REPLACE FUNCTION wf.settle_sweep(target text, job bigint, unfinished integer, ended integer, items jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  held bigint := wf.claim_of(job, 'sweep_target');
BEGIN
  PERFORM FROM wf.sweep_jobs s WHERE s.target = settle_sweep.target AND s.job_id = job FOR UPDATE;
  IF NOT FOUND OR held IS NULL THEN
    RAISE EXCEPTION '% is not swept by this worker', left(target, 300)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_held';
  END IF;
  PERFORM wf.open_home_change('evidence.swept', NULL, format('sweep-%s-claim-%s', job, held));
  UPDATE wf.publication_targets t
  SET swept_at = clock_timestamp(), swept_found = unfinished, swept_removed = ended, swept_items = items,
      version = t.version + 1, updated_at = now()
  WHERE t.target = settle_sweep.target;
  PERFORM set_config('wf.change', '', true);
END
$$;
GRANT EXECUTE ON FUNCTION wf.publication_turn, wf.note_abilities, wf.settle_sweep TO wf_worker;
