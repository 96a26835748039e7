-- Publishing evidence: people ask for it, a worker does it.
INSERT INTO wf.operations (name, role) VALUES
  ('evidence.publish', 'operator'), ('evidence.cancel', 'operator'), ('evidence.republish', 'operator'),
  ('evidence.published', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('evidence.publish', 'wf.publications', 'insert', NULL, NULL, NULL, false),
  ('evidence.cancel', 'wf.publications', 'update', '{canceled_at}', NULL, NULL, false),
  ('evidence.cancel', 'wf.jobs', 'update', '{state,ended_at}', NULL, '{"state": "canceled"}', false),
  ('evidence.republish', 'wf.publications', 'update', '{asked_at,canceled_at}', NULL, NULL, false),
  ('evidence.republish', 'wf.jobs', 'update', '{state,ended_at,tries,run_at}', NULL, '{"state": "waiting"}', false),
  ('evidence.published', 'wf.publications', 'update', '{published_at,attestation}', NULL, NULL, false);

GRANT SELECT ON wf.publications, wf.publication_jobs TO wf_viewer, wf_worker;
SELECT wf.audited('wf.publications', 'publications', 'id', 'none');

CREATE VIEW wf.publication_list AS
SELECT p.id, p.evidence_id, e.sha256, e.kind, e.subject, p.target, q.job_id,
       CASE WHEN j.state IN ('waiting', 'running') THEN j.state
            WHEN j.state = 'dead' THEN 'failed'
            WHEN p.published_at IS NOT NULL THEN 'published'
            WHEN p.canceled_at IS NOT NULL OR j.state = 'canceled' THEN 'canceled' ELSE 'failed' END AS state,
       j.attempts, CASE WHEN j.state <> 'done' THEN j.error END AS error, p.published_at,
       jsonb_array_length(p.attestation -> 'objects') AS objects,
       (SELECT sum((o ->> 'bytes')::bigint)::bigint FROM jsonb_array_elements(p.attestation -> 'objects') o) AS bytes,
       p.version, p.created_at, p.created_by, p.updated_at,
       wf.folded(p.target || E'\n' || e.subject || E'\n' || e.sha256) AS search
FROM wf.publications p JOIN wf.evidence e ON e.id = p.evidence_id LEFT JOIN wf.publication_jobs q ON q.publication_id = p.id
LEFT JOIN wf.jobs j ON j.id = q.job_id;
GRANT SELECT ON wf.publication_list TO wf_viewer;

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
  INSERT INTO wf.publications (evidence_id, target) VALUES (evidence, publish_evidence.target) RETURNING id INTO made;
  PERFORM wf.queue_publication(made);
  RETURN made;
END
$$;

-- `cancel` one that waits; `republish` one that failed, was canceled, or is to be looked at again.
CREATE OR REPLACE FUNCTION wf.change_publication(verb text, publication bigint) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  p     wf.publications;
  job   bigint := (SELECT q.job_id FROM wf.publication_jobs q WHERE q.publication_id = publication);
  state text;
BEGIN
  SELECT * INTO p FROM wf.publications x WHERE x.id = publication FOR UPDATE;
  SELECT j.state INTO state FROM wf.jobs j WHERE j.id = job FOR UPDATE;
  IF p.id IS NULL OR (verb = 'cancel' AND state = 'waiting'
      OR verb = 'republish' AND coalesce(state, 'done') IN ('done', 'dead', 'canceled')) IS NOT TRUE THEN
    RAISE EXCEPTION 'publication %: % is refused while its job is %', publication, left(verb, 20), coalesce(state, 'gone')
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_transition';
  END IF;
  IF verb = 'cancel' THEN
    PERFORM wf.cancel_job(job);
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

-- What the worker that holds the job read back; its claim is checked with it, in the same transaction.
CREATE OR REPLACE FUNCTION wf.settle_publication(publication bigint, job bigint, attestation jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  held bigint;
BEGIN
  SELECT j.lease INTO held
  FROM wf.publications p JOIN wf.publication_jobs q ON q.publication_id = p.id JOIN wf.jobs j ON j.id = q.job_id
  JOIN wf.workers w ON w.id = j.worker_id
  WHERE p.id = publication AND j.id = job AND j.kind = 'publish_evidence' AND j.state = 'running'
    AND w.login = session_user AND w.ended_at IS NULL FOR UPDATE OF p;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'publication % is not held by this worker', publication
      USING ERRCODE = 'check_violation', CONSTRAINT = 'publication_held';
  END IF;
  PERFORM wf.open_change('evidence.published', NULL, format('publication-%s-claim-%s', publication, held), '');
  UPDATE wf.publications p
  SET published_at = clock_timestamp(), attestation = settle_publication.attestation, version = p.version + 1, updated_at = now()
  WHERE p.id = publication;
  PERFORM set_config('wf.change', '', true);
END
$$;
GRANT EXECUTE ON FUNCTION wf.settle_publication TO wf_worker;
