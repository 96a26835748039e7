-- Publishing evidence: people ask for it, a worker does it.
INSERT INTO wf.operations (name, role) VALUES
  ('evidence.publish', 'operator'), ('evidence.cancel', 'operator'), ('evidence.republish', 'operator'),
  ('evidence.published', 'owner'), ('evidence.verify-remote', 'operator'), ('evidence.verified', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('evidence.publish', 'wf.publications', 'insert', NULL, NULL, NULL, false),
  ('evidence.cancel', 'wf.publications', 'update', '{canceled_at}', NULL, NULL, false),
  ('evidence.cancel', 'wf.jobs', 'update', '{state,ended_at}', NULL, '{"state": "canceled"}', false),
  ('evidence.republish', 'wf.publications', 'update', '{asked_at,canceled_at}', NULL, NULL, false),
  ('evidence.republish', 'wf.jobs', 'update', '{state,ended_at,tries,run_at}', NULL, '{"state": "waiting"}', false),
  ('evidence.published', 'wf.publications', 'update', '{published_at,attestation,lock_mode,locked_until}', NULL, NULL, false),
  ('evidence.verify-remote', 'wf.publications', 'update', '{verify_asked_at}', NULL, NULL, false),
  ('evidence.verified', 'wf.publications', 'update', '{verified_at,faults,fault_list}', NULL, NULL, false);

GRANT SELECT ON wf.publications, wf.publication_jobs, wf.publication_checks TO wf_viewer, wf_worker;
SELECT wf.audited('wf.publications', 'publications', 'id', 'none');

CREATE VIEW wf.publication_list AS
SELECT p.id, p.evidence_id, e.sha256, e.kind, e.subject, p.target, q.job_id,
       CASE WHEN j.state IN ('waiting', 'running') THEN CASE WHEN p.canceled_at IS NULL THEN j.state ELSE 'canceling' END
            WHEN j.state = 'dead' THEN 'failed'
            WHEN p.published_at IS NOT NULL THEN 'published'
            WHEN p.canceled_at IS NOT NULL OR j.state = 'canceled' THEN 'canceled' ELSE 'failed' END AS state,
       j.attempts, CASE WHEN j.state = 'done' THEN NULL WHEN (SELECT wf.sees_personal()) THEN j.error
            ELSE wf.without_mail(j.error) END AS error, p.published_at,
       jsonb_array_length(p.attestation -> 'objects') AS objects,
       (SELECT least(sum((o ->> 'bytes')::bigint), 9223372036854775807)::bigint
        FROM jsonb_array_elements(p.attestation -> 'objects') o) AS bytes,
       p.lock_mode, p.locked_until,
       CASE WHEN k.state IN ('waiting', 'running') THEN k.state WHEN k.state IN ('dead', 'canceled') THEN 'failed'
            WHEN p.verified_at IS NULL THEN 'never' WHEN p.faults = 0 THEN 'good' ELSE 'bad' END AS verification,
       p.verified_at, c.objects AS verified_objects, c.bytes AS verified_bytes, p.faults, p.fault_list,
       CASE WHEN k.state = 'done' THEN NULL WHEN (SELECT wf.sees_personal()) THEN k.error
            ELSE wf.without_mail(k.error) END AS verify_error,
       p.version, p.created_at, p.created_by, p.updated_at,
       wf.folded(p.target || E'\n' || e.subject || E'\n' || e.sha256) AS search
FROM wf.publications p JOIN wf.evidence e ON e.id = p.evidence_id LEFT JOIN wf.publication_jobs q ON q.publication_id = p.id
LEFT JOIN wf.jobs j ON j.id = q.job_id
LEFT JOIN wf.publication_checks c ON c.publication_id = p.id LEFT JOIN wf.jobs k ON k.id = c.job_id;
GRANT SELECT ON wf.publication_list TO wf_viewer;

-- Targets, with what was published there.
CREATE VIEW wf.target_list AS
SELECT t.target, t.priority, t.rate, t.keep_days, t.probed_at, t.creates, t.versions, t.digests, t.locks, t.lock_mode, t.lock_days,
       n.published, n.pending, n.failed, s.job_id AS sweep_job,
       CASE WHEN j.state IN ('waiting', 'running') THEN j.state WHEN j.state IN ('dead', 'canceled') THEN 'failed'
            WHEN t.swept_at IS NOT NULL THEN 'done' ELSE 'never' END AS sweep,
       CASE WHEN j.state = 'done' THEN NULL WHEN (SELECT wf.sees_personal()) THEN j.error
            ELSE wf.without_mail(j.error) END AS sweep_error,
       t.sweep_hours, t.sweep_remove, t.swept_at, t.swept_found, t.swept_removed, t.swept_items,
       t.version, t.created_at, t.created_by, t.updated_at, wf.folded(t.target) AS search
FROM wf.publication_targets t LEFT JOIN wf.sweep_jobs s ON s.target = t.target LEFT JOIN wf.jobs j ON j.id = s.job_id,
  LATERAL (SELECT count(*) FILTER (WHERE l.state = 'published') AS published,
                  count(*) FILTER (WHERE l.state IN ('waiting', 'running')) AS pending,
                  count(*) FILTER (WHERE l.state = 'failed') AS failed
           FROM wf.publication_list l WHERE l.target = t.target) n;
GRANT SELECT ON wf.target_list TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.queue_publication(publication bigint) RETURNS void LANGUAGE sql
SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.publication_jobs AS q (publication_id, job_id)
  VALUES (publication, wf.queue_job('publish_evidence', NULL, jsonb_build_object('publication', publication), NULL, 1, 8))
  ON CONFLICT (publication_id) DO UPDATE SET job_id = excluded.job_id
$$;

CREATE OR REPLACE FUNCTION wf.publish_evidence(evidence bigint, target text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  made bigint;
BEGIN
  PERFORM FROM wf.evidence e WHERE e.id = evidence AND e.withdrawn_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'evidence % is not there, or was withdrawn', evidence
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_evidence';
  END IF;
  INSERT INTO wf.publication_targets (target) VALUES (publish_evidence.target) ON CONFLICT DO NOTHING;
  INSERT INTO wf.publications (evidence_id, target) VALUES (evidence, publish_evidence.target) RETURNING id INTO made;
  PERFORM wf.queue_publication(made);
  RETURN made;
END
$$;

-- `cancel` one that waits, or that a worker has: that one breaks it off, unless its manifest is made by then. `republish`
-- one that failed, was canceled, or is to be looked at again.
CREATE OR REPLACE FUNCTION wf.change_publication(verb text, publication bigint) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  p     wf.publications;
  job   bigint := (SELECT q.job_id FROM wf.publication_jobs q WHERE q.publication_id = publication);
  state text;
BEGIN
  SELECT * INTO p FROM wf.publications x WHERE x.id = publication FOR UPDATE;
  -- The row of a job that runs is left to its worker, whose every report would wait for this transaction.
  SELECT j.state INTO state FROM wf.jobs j WHERE j.id = job;
  IF verb <> 'cancel' OR state <> 'running' THEN
    SELECT j.state INTO state FROM wf.jobs j WHERE j.id = job FOR UPDATE;
  END IF;
  IF p.id IS NULL OR (verb = 'cancel' AND state IN ('waiting', 'running') AND p.canceled_at IS NULL
      OR verb = 'republish' AND coalesce(state, 'done') IN ('done', 'dead', 'canceled')) IS NOT TRUE THEN
    RAISE EXCEPTION 'publication %: % is refused while its job is %', publication, left(verb, 20), coalesce(state, 'gone')
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_transition';
  END IF;
  IF verb = 'cancel' AND state = 'waiting' THEN
    PERFORM wf.cancel_job(job);
  ELSIF verb = 'cancel' THEN
    NULL;
  ELSIF state IN ('dead', 'canceled') THEN
    PERFORM wf.replay_job(job);  -- its letter is settled with it
  ELSE
    PERFORM wf.queue_publication(p.id);
  END IF;
  UPDATE wf.publications x
  SET canceled_at = CASE verb WHEN 'cancel' THEN now() END, asked_at = CASE verb WHEN 'cancel' THEN x.asked_at ELSE now() END,
      version = x.version + 1, updated_at = now()
  WHERE x.id = p.id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.publish_evidence, wf.change_publication TO wf_operator;

-- Read what is published again, by ranges: a worker does it, from the beginning.
CREATE OR REPLACE FUNCTION wf.verify_publication(publication bigint) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  p     wf.publications;
  state text;
BEGIN
  SELECT * INTO p FROM wf.publications x WHERE x.id = publication FOR UPDATE;
  SELECT j.state INTO state FROM wf.publication_checks c JOIN wf.jobs j ON j.id = c.job_id
  WHERE c.publication_id = publication FOR UPDATE OF j;
  IF p.published_at IS NULL OR coalesce(state, 'done') NOT IN ('done', 'dead', 'canceled') THEN
    RAISE EXCEPTION 'publication % is not published, or is being verified', publication
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_verifying';
  END IF;
  INSERT INTO wf.publication_checks AS c (publication_id, job_id)
  VALUES (p.id, wf.queue_job('verify_published', NULL, jsonb_build_object('publication', p.id), NULL, 1, 8))
  ON CONFLICT (publication_id) DO UPDATE
    SET job_id = excluded.job_id, objects = 0, bytes = 0, faults = 0, fault_list = '[]';
  UPDATE wf.publications x SET verify_asked_at = now(), version = x.version + 1, updated_at = now() WHERE x.id = p.id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.verify_publication TO wf_operator;

-- The claim by which this login's worker has a job of this kind now; NULL: it does not.
CREATE OR REPLACE FUNCTION wf.claim_of(job bigint, kind text) RETURNS bigint LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT j.lease FROM wf.jobs j JOIN wf.workers w ON w.id = j.worker_id
  WHERE j.id = job AND j.kind = claim_of.kind AND j.state = 'running' AND w.login = session_user AND w.ended_at IS NULL
$$;

-- What the worker that holds the job read back; its claim is checked with it, in the same transaction.
CREATE OR REPLACE FUNCTION wf.settle_publication(publication bigint, job bigint, attestation jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  held bigint := wf.claim_of(job, 'publish_evidence');
  ends timestamptz;
BEGIN
  PERFORM FROM wf.publications p JOIN wf.publication_jobs q ON q.publication_id = p.id
  WHERE p.id = publication AND q.job_id = job FOR UPDATE OF p;
  IF NOT FOUND OR held IS NULL THEN
    RAISE EXCEPTION 'publication % is not held by this worker', publication
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_held';
  END IF;
  BEGIN
    ends := (settle_publication.attestation -> 'lock' ->> 'until')::timestamptz;
    IF jsonb_path_exists(settle_publication.attestation, 'lax $.objects[*] ? (@.type() != "object" || @.lock.type() != "object" && @.lock != null)') THEN
      RAISE data_exception;
    END IF;
    IF (SELECT min((o ->> 'bytes')::bigint) < 0 OR sum((o ->> 'bytes')::bigint) > 9223372036854775807
        FROM jsonb_array_elements(settle_publication.attestation -> 'objects') o) THEN
      RAISE data_exception;
    END IF;
  EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION 'an attestation of publication % cannot be read', publication
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_attestation';
  END;
  PERFORM wf.open_home_change('evidence.published', NULL, format('publication-%s-claim-%s', publication, held));
  UPDATE wf.publications p
  SET published_at = clock_timestamp(), attestation = settle_publication.attestation, locked_until = ends,
      lock_mode = settle_publication.attestation -> 'lock' ->> 'mode', version = p.version + 1, updated_at = now()
  WHERE p.id = publication;
  PERFORM set_config('wf.change', '', true);
END
$$;

-- How far the verification has come, so that whoever takes it over goes on from there.
CREATE OR REPLACE FUNCTION wf.note_verification(
  publication bigint, job bigint, objects integer, bytes bigint, faults integer, fault_list jsonb
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.publication_checks c
  SET objects = note_verification.objects, bytes = note_verification.bytes, faults = note_verification.faults,
      fault_list = note_verification.fault_list
  WHERE c.publication_id = publication AND c.job_id = job AND wf.claim_of(job, 'verify_published') IS NOT NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'publication % is not held by this worker', publication
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_held';
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION wf.settle_verification(publication bigint, job bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  held bigint := wf.claim_of(job, 'verify_published');
  c    wf.publication_checks;
BEGIN
  SELECT * INTO c FROM wf.publication_checks x WHERE x.publication_id = publication AND x.job_id = job FOR UPDATE;
  IF c.job_id IS NULL OR held IS NULL THEN
    RAISE EXCEPTION 'publication % is not held by this worker', publication
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_held';
  END IF;
  PERFORM wf.open_home_change('evidence.verified', NULL, format('verification-%s-claim-%s', publication, held));
  UPDATE wf.publications p
  SET verified_at = clock_timestamp(), faults = c.faults, fault_list = c.fault_list, version = p.version + 1, updated_at = now()
  WHERE p.id = publication;
  PERFORM set_config('wf.change', '', true);
END
$$;
GRANT EXECUTE ON FUNCTION wf.settle_publication, wf.note_verification, wf.settle_verification TO wf_worker;
