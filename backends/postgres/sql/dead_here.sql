-- The two sources of dead letters in this home itself: jobs that died, and deliveries that failed for good. A letter is
-- written at the end of the transaction in which that happens, so that nothing waits for the counts while it holds a lock.
-- How often this message was replayed before and then died of the same cause.
CREATE OR REPLACE FUNCTION wf.replays_before(letter wf.dead_letters) RETURNS integer LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT coalesce((
    SELECT CASE WHEN b.fingerprint = wf.dead_fingerprint(letter.queue, letter.handler, letter.error_class, wf.dead_cause(letter.error))
                  AND b.state = 'replayed' THEN b.replays + 1 ELSE 0 END
    FROM wf.dead_letters b WHERE b.source = letter.source AND b.source_id = letter.source_id ORDER BY b.id DESC LIMIT 1), 0)
$$;

-- Keep a letter, unless the message is dead already. What is poison is quarantined at once.
CREATE OR REPLACE FUNCTION wf.keep_letter(letter wf.dead_letters) RETURNS void LANGUAGE sql SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.dead_letters (source, source_id, tenant_id, queue, handler, error_class, error, payload, payload_bytes,
    payload_json, headers, attempts, attempt_count, first_failed_at, dead_at, idempotency_key, ordering_key, release, replays, state)
  SELECT letter.source, letter.source_id, letter.tenant_id, letter.queue, letter.handler, coalesce(letter.error_class, ''),
         coalesce(letter.error, ''), substring(coalesce(letter.payload, '') FROM 1 FOR 262144), octet_length(coalesce(letter.payload, '')),
         letter.payload_json, coalesce(letter.headers, '{}'::jsonb), coalesce(letter.attempts, '[]'::jsonb),
         letter.attempt_count, letter.first_failed_at, letter.dead_at, letter.idempotency_key, letter.ordering_key,
         coalesce(letter.release, ''), n.replays,
         CASE WHEN n.replays >= wf.poison_replays() THEN 'quarantined' ELSE 'dead' END
  FROM (SELECT wf.replays_before(letter) AS replays) n
  ON CONFLICT (source, source_id) WHERE state IN ('dead', 'quarantined', 'replaying') DO NOTHING
$$;

-- A message lives again, or was given up, without a look at its letter: `jobs replay`, a schedule's next job.
CREATE OR REPLACE FUNCTION wf.settle_letter(source text, source_id text, becomes text, why text) RETURNS void LANGUAGE sql
SET search_path = wf, pg_temp AS $$
  UPDATE wf.dead_letters l
  SET state = becomes, settled_at = clock_timestamp(), settled_by = session_user, settled_why = why, version = l.version + 1
  WHERE l.source = settle_letter.source AND l.source_id = settle_letter.source_id AND l.state IN ('dead', 'quarantined', 'replaying')
$$;

-- Jobs

-- What class of error a worker's words are of: a refusal's code, the type of an unforeseen error, or how the try ended.
CREATE OR REPLACE FUNCTION wf.job_error_class(error text, outcome text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN outcome = 'lost' THEN 'worker_lost'
            WHEN error ~ '\[[a-z][a-z0-9_]{0,60}\]$' THEN substring(error FROM '\[([a-z][a-z0-9_]{0,60})\]$')
            WHEN error ~ '^[A-Za-z_][A-Za-z0-9_]{0,60}; the log' THEN substring(error FROM '^([A-Za-z_][A-Za-z0-9_]{0,60});')
            WHEN error ~ '^it took longer than' THEN 'timeout' ELSE 'gave_up' END;

CREATE OR REPLACE FUNCTION wf.letter_of_job(job wf.jobs) RETURNS wf.dead_letters LANGUAGE plpgsql STABLE
SET search_path = wf, pg_temp AS $$
DECLARE
  letter wf.dead_letters;
  last   wf.job_attempts := (SELECT a FROM wf.job_attempts a WHERE a.job_id = job.id ORDER BY a.attempt DESC LIMIT 1);
BEGIN
  letter.source := 'jobs';
  letter.source_id := job.id;
  letter.tenant_id := job.tenant_id;
  letter.queue := 'jobs';
  letter.handler := job.kind;
  letter.error_class := wf.job_error_class(coalesce(job.error, ''), last.outcome);
  -- Without what the class says.
  letter.error := regexp_replace(regexp_replace(coalesce(job.error, ''), ' \[[a-z][a-z0-9_]{0,60}\]$', ''),
                                 '^[A-Za-z_][A-Za-z0-9_]{0,60}; (the log)', '\1');
  letter.payload := convert_to(job.payload::text, 'UTF8');
  letter.payload_json := job.payload;
  letter.headers := jsonb_build_object('queued_at', job.created_at, 'schedule', job.schedule, 'cost', job.cost);
  letter.attempts := (
    SELECT jsonb_agg(jsonb_build_object('attempt', a.attempt, 'at', a.started_at, 'ended_at', a.ended_at, 'outcome', a.outcome,
                                        'error', left(a.error, 1000), 'by', w.name) ORDER BY a.attempt)
    FROM (SELECT * FROM wf.job_attempts t WHERE t.job_id = job.id ORDER BY t.attempt DESC LIMIT 20) a
      LEFT JOIN wf.workers w ON w.id = a.worker_id);
  letter.attempt_count := job.attempts;
  letter.first_failed_at := (SELECT min(a.ended_at) FROM wf.job_attempts a WHERE a.job_id = job.id);
  letter.dead_at := job.ended_at;
  letter.idempotency_key := left(job.payload ->> 'idempotency_key', 400);
  letter.release := (SELECT w.version FROM wf.workers w WHERE w.id = last.worker_id);
  RETURN letter;
END
$$;

CREATE OR REPLACE FUNCTION wf.dead_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM wf.keep_letter(wf.letter_of_job(NEW));
  RETURN NULL;
END
$$;

-- Dead jobs without a letter: from before there were letters. Returns how many were found.
CREATE OR REPLACE FUNCTION wf.collect_letters() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH found AS MATERIALIZED (
    SELECT j AS job FROM wf.jobs j
    WHERE j.state = 'dead' AND NOT EXISTS (
      SELECT FROM wf.dead_letters l WHERE l.source = 'jobs' AND l.source_id = j.id::text
        AND l.state IN ('dead', 'quarantined', 'replaying'))
    ORDER BY j.id LIMIT 5000
  )
  SELECT count(*) FROM found f, LATERAL (SELECT wf.keep_letter(wf.letter_of_job(f.job))) k
$$;
GRANT EXECUTE ON FUNCTION wf.collect_letters TO wf_worker;

CREATE OR REPLACE FUNCTION wf.living_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.dead_letters l WHERE l.source = 'jobs' AND l.source_id = NEW.id::text
                 AND l.state IN ('dead', 'quarantined', 'replaying')) THEN
    RETURN NULL;  -- usually: it lives because its letter was settled
  END IF;
  PERFORM wf.settle_letter('jobs', NEW.id::text, CASE NEW.state WHEN 'canceled' THEN 'discarded' ELSE 'replayed' END,
    CASE WHEN NEW.state = 'canceled' THEN 'its job was canceled, or its schedule queued the next one' ELSE 'its job was replayed' END);
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS job_died ON wf.jobs;  -- a constraint trigger cannot be replaced
CREATE CONSTRAINT TRIGGER job_died AFTER UPDATE ON wf.jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.state = 'dead' AND OLD.state <> 'dead') EXECUTE FUNCTION wf.dead_job();
DROP TRIGGER IF EXISTS job_born_dead ON wf.jobs;
CREATE CONSTRAINT TRIGGER job_born_dead AFTER INSERT ON wf.jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.state = 'dead') EXECUTE FUNCTION wf.dead_job();
DROP TRIGGER IF EXISTS job_lives ON wf.jobs;
CREATE CONSTRAINT TRIGGER job_lives AFTER UPDATE ON wf.jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD.state = 'dead' AND NEW.state <> 'dead') EXECUTE FUNCTION wf.living_job();

-- Deliveries

CREATE OR REPLACE FUNCTION wf.dead_delivery() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  letter wf.dead_letters;
  route  wf.routes := (SELECT r FROM wf.routes r WHERE r.id = NEW.route_id);
BEGIN
  letter.source := 'deliveries';
  letter.source_id := NEW.id;
  letter.tenant_id := NEW.tenant_id;
  letter.queue := coalesce(route.channel, 'webhook');
  letter.handler := coalesce(route.name, 'webhook ' || NEW.webhook_id);
  letter.error := coalesce(NEW.words, '');
  letter.error_class := coalesce(NEW.code, '');
  letter.payload := convert_to(NEW.notice::text, 'UTF8');
  letter.payload_json := NEW.notice;
  letter.headers := jsonb_build_object('event', NEW.event_type, 'action', NEW.action, 'reason', NEW.reason, 'severity', NEW.severity,
    'person', nullif(NEW.person, ''), 'alert', (SELECT min(a.alert_id) FROM wf.delivery_alerts a WHERE a.delivery_id = NEW.id));
  letter.attempts := (
    SELECT jsonb_agg(jsonb_build_object('attempt', a.attempt, 'at', a.started_at, 'ended_at', a.ended_at, 'outcome', a.outcome,
                                        'error', left(a.code || ': ' || a.words, 1000)) ORDER BY a.attempt)
    FROM (SELECT * FROM wf.delivery_attempts t WHERE t.delivery_id = NEW.id ORDER BY t.attempt DESC LIMIT 20) a);
  letter.attempt_count := NEW.attempts;
  letter.first_failed_at := (SELECT min(a.ended_at) FROM wf.delivery_attempts a WHERE a.delivery_id = NEW.id);
  letter.dead_at := NEW.ended_at;
  letter.idempotency_key := NEW.key;
  letter.ordering_key := nullif(NEW.group_key, '');
  letter.release := (SELECT w.version FROM wf.workers w WHERE w.id = NEW.worker_id);
  PERFORM wf.keep_letter(letter);
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION wf.living_delivery() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.dead_letters l WHERE l.source = 'deliveries' AND l.source_id = NEW.id::text
                 AND l.state IN ('dead', 'quarantined', 'replaying')) THEN
    RETURN NULL;
  END IF;
  PERFORM wf.settle_letter('deliveries', NEW.id::text, 'replayed', 'its delivery was replayed');
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS delivery_failed ON wf.deliveries;
CREATE CONSTRAINT TRIGGER delivery_failed AFTER UPDATE ON wf.deliveries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.state = 'failed' AND OLD.state <> 'failed' AND NOT NEW.test) EXECUTE FUNCTION wf.dead_delivery();
DROP TRIGGER IF EXISTS delivery_lives ON wf.deliveries;
CREATE CONSTRAINT TRIGGER delivery_lives AFTER UPDATE ON wf.deliveries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD.state = 'failed' AND NEW.state <> 'failed') EXECUTE FUNCTION wf.living_delivery();

-- The jobs, or deliveries, that letters stand for.
CREATE OR REPLACE FUNCTION wf.stood_for(letters bigint[], source text) RETURNS bigint[] LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT array_agg(l.source_id::bigint ORDER BY u.place)
  FROM unnest(letters) WITH ORDINALITY u(id, place) JOIN wf.dead_letters l USING (id) WHERE l.source = stood_for.source
$$;

-- Before letters are replayed: put the edits into what they stand for, and lock the lanes that it will wait in. Whoever ends
-- a job locks its lane before its cause as well.
CREATE OR REPLACE FUNCTION wf.prepare_here(letters bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = wf, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  jobs bigint[] := wf.stood_for(letters, 'jobs');
BEGIN
  IF EXISTS (SELECT FROM wf.dead_letters l WHERE l.id = ANY (letters) AND l.edited IS NOT NULL) THEN
    UPDATE wf.jobs j SET payload = wf.merge_patch(j.payload, l.edited) FROM wf.dead_letters l
    WHERE l.id = ANY (letters) AND l.edited IS NOT NULL AND l.source = 'jobs' AND j.id = l.source_id::bigint;
    IF EXISTS (SELECT FROM wf.jobs j WHERE j.id = ANY (jobs) AND octet_length(j.payload::text) > 65536) THEN
      RAISE EXCEPTION 'the edited payload is too large' USING ERRCODE = 'check_violation', CONSTRAINT = 'job_payload';
    END IF;
  END IF;
  PERFORM wf.wake_lanes(array_agg(j.lane), array_agg(clock_timestamp())) FROM wf.jobs j WHERE j.id = ANY (jobs) HAVING count(*) > 0;
END
$$;

-- Do what letters stand for again, with all its tries.
CREATE OR REPLACE FUNCTION wf.revive_here(letters bigint[], changes bigint[]) RETURNS void LANGUAGE plpgsql
SET search_path = wf, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  n record;
BEGIN
  IF changes IS NULL THEN  -- one letter: whoever calls it has looked at the letter alone
    SELECT l.source, l.source_id::bigint AS id INTO n FROM wf.dead_letters l WHERE l.id = letters[1];
    PERFORM CASE n.source WHEN 'jobs' THEN wf.replay_job(n.id) ELSE wf.replay_delivery(n.id) END;
    RETURN;
  END IF;
  SELECT array_agg(l.source_id::bigint) FILTER (WHERE l.source = 'jobs') AS jobs,
         array_agg(u.change) FILTER (WHERE l.source = 'jobs') AS of_jobs,
         array_agg(l.source_id::bigint) FILTER (WHERE l.source = 'deliveries') AS deliveries,
         array_agg(u.change) FILTER (WHERE l.source = 'deliveries') AS of_deliveries INTO n
  FROM unnest(letters, changes) u(id, change) JOIN wf.dead_letters l USING (id);
  IF n.jobs IS NOT NULL THEN
    PERFORM wf.move_jobs(n.jobs, 'waiting', n.of_jobs);
  END IF;
  IF n.deliveries IS NOT NULL THEN
    PERFORM wf.revive_deliveries(n.deliveries, n.of_deliveries);
  END IF;
END
$$;

-- Give up what letters stand for.
CREATE OR REPLACE FUNCTION wf.drop_here(letters bigint[]) RETURNS void LANGUAGE sql SET search_path = wf, pg_temp AS $$
  UPDATE wf.jobs j SET state = 'canceled', ended_at = clock_timestamp()
  WHERE j.id = ANY (wf.stood_for(letters, 'jobs')) AND j.state = 'dead'
$$;

-- A JSON merge patch (RFC 7396): null removes a field, an object is merged, anything else replaces.
CREATE OR REPLACE FUNCTION wf.merge_patch(target jsonb, patch jsonb, depth integer DEFAULT 0) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = wf, pg_temp AS $$
DECLARE
  made jsonb := CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END;
  part record;
BEGIN
  IF jsonb_typeof(patch) <> 'object' THEN
    RETURN patch;
  ELSIF depth > 64 THEN
    RAISE EXCEPTION 'the patch is nested too deep' USING ERRCODE = 'check_violation', CONSTRAINT = 'letter_patch';
  END IF;
  FOR part IN SELECT key, value FROM jsonb_each(patch) LOOP
    made := CASE WHEN part.value = 'null' THEN made - part.key
                 ELSE made || jsonb_build_object(part.key, wf.merge_patch(made -> part.key, part.value, depth + 1)) END;
  END LOOP;
  RETURN made;
END
$$;

-- Messages that die on purpose: nine of one cause, three of another. Nothing depends on them.
CREATE OR REPLACE FUNCTION wf.make_drill(name text) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF (wf.current_change()).operation IS DISTINCT FROM 'queues.drill' OR name !~ '^drill-[0-9a-f]{12}$' THEN
    RAISE EXCEPTION 'a drill is made by queues.drill' USING ERRCODE = 'check_violation', CONSTRAINT = 'drill_change';
  END IF;
  INSERT INTO wf.jobs (kind, payload, state, tries, attempts, ended_at, error)
  SELECT 'drill', jsonb_build_object('drill', name, 'n', i), 'dead', 1, 1, clock_timestamp(),
         CASE WHEN i <= 9 THEN 'no answer within ' || i || ' s [no_answer]' ELSE 'message ' || i || ' is not valid [rejected]' END
  FROM generate_series(1, 12) i;
  PERFORM wf.note('drills', name, NULL, '{"messages": 12}');
  RETURN 12;
END
$$;
GRANT EXECUTE ON FUNCTION wf.make_drill TO wf_operator;

-- What the handler of a letter did last with success, so that the two can be compared: a job of the same kind, which is
-- kept for a day, or a delivery to the same route or webhook. Only the latest are looked through.
CREATE OR REPLACE FUNCTION wf.last_success(letter bigint) RETURNS TABLE (source_id text, at timestamptz, payload text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  SELECT s.* FROM wf.dead_letters l, LATERAL (
    (SELECT j.id::text, j.ended_at::timestamptz, jsonb_pretty(j.payload) FROM wf.jobs j
     WHERE l.source = 'jobs' AND j.kind = l.handler AND j.state = 'done'
       AND j.id > (SELECT max(m.id) FROM wf.jobs m) - 20000 ORDER BY j.id DESC LIMIT 1)
    UNION ALL
    (SELECT d.id::text, d.ended_at::timestamptz, jsonb_pretty(d.notice)
     FROM (SELECT x.* FROM wf.deliveries x
           WHERE l.source = 'deliveries' AND x.route_id = (SELECT o.route_id FROM wf.deliveries o
                                                           WHERE o.id = CASE l.source WHEN 'deliveries' THEN l.source_id::bigint END)
           ORDER BY x.id DESC LIMIT 1000) d WHERE d.state = 'delivered' AND NOT d.test ORDER BY d.id DESC LIMIT 1)
    UNION ALL
    (SELECT d.id::text, d.ended_at::timestamptz, jsonb_pretty(d.notice)
     FROM (SELECT x.* FROM wf.deliveries x
           WHERE l.source = 'deliveries' AND x.webhook_id = (SELECT o.webhook_id FROM wf.deliveries o
                                                             WHERE o.id = CASE l.source WHEN 'deliveries' THEN l.source_id::bigint END)
           ORDER BY x.created_at DESC LIMIT 1000) d WHERE d.state = 'delivered' AND NOT d.test ORDER BY d.created_at DESC LIMIT 1)) s
  WHERE l.id = letter
$$;
GRANT EXECUTE ON FUNCTION wf.last_success TO wf_operator;
