-- Dead letters: the counts by cause, what people do to a letter, and what they read. How jobs and deliveries of this home
-- become letters is in dead_here.sql.
INSERT INTO wf.operations (name, role) VALUES
  ('queues.replay', 'operator'), ('queues.edit', 'operator'), ('queues.discard', 'operator'),
  ('queues.quarantine', 'operator'), ('queues.release', 'operator'), ('queues.hold', 'operator'),
  ('queues.unhold', 'operator'), ('queues.fixed', 'operator'), ('queues.drill', 'operator'),
  ('queues.export', 'support');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('queues.replay', 'wf.dead_letters', 'update', '{state,settled_at,settled_by,settled_why}', '{"state": "dead"}',
   '{"state": "replayed"}', false),
  ('queues.replay', 'wf.jobs', 'update', '{state,ended_at,tries,run_at}', '{"state": "dead"}', '{"state": "waiting"}', false),
  ('queues.replay', 'wf.deliveries', 'update', '{state,tries,replays,next_at,ended_at}', '{"state": "failed"}',
   '{"state": "waiting"}', false),
  ('queues.edit', 'wf.dead_letters', 'update', '{edited}', '{"state": "dead"}', NULL, false),
  ('queues.discard', 'wf.dead_letters', 'update', '{state,settled_at,settled_by,settled_why}', NULL,
   '{"state": "discarded"}', false),
  ('queues.quarantine', 'wf.dead_letters', 'update', '{state}', '{"state": "dead"}', '{"state": "quarantined"}', false),
  ('queues.release', 'wf.dead_letters', 'update', '{state}', '{"state": "quarantined"}', '{"state": "dead"}', false),
  ('queues.hold', 'wf.dead_letters', 'update', '{hold}', NULL, '{"hold": true}', false),
  ('queues.unhold', 'wf.dead_letters', 'update', '{hold}', NULL, '{"hold": false}', false),
  ('queues.fixed', 'wf.dead_causes', 'update', '{fixed_in,fixed_gate}', NULL, NULL, false),
  ('queues.drill', 'drills', 'note', '{messages}', NULL, NULL, false),
  ('queues.export', 'exports', 'note', '{filter,form}', NULL, NULL, false);

-- After so many replays that ended in the same cause, a message is quarantined.
CREATE OR REPLACE FUNCTION wf.poison_replays() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 3;

-- How long a letter that waits is kept, from the time of its death. How long before the end it is told.
CREATE OR REPLACE FUNCTION wf.letters_kept() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN interval '90 days';
CREATE OR REPLACE FUNCTION wf.letters_told() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN interval '7 days';

-- Whoever writes a letter: its cause follows from what went wrong.
CREATE OR REPLACE FUNCTION wf.name_cause() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  NEW.cause := wf.dead_cause(NEW.error);
  NEW.fingerprint := wf.dead_fingerprint(NEW.queue, NEW.handler, NEW.error_class, NEW.cause);
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER name_cause BEFORE INSERT OR UPDATE OF queue, handler, error_class, error, cause, fingerprint
  ON wf.dead_letters FOR EACH ROW EXECUTE FUNCTION wf.name_cause();

-- The counts. Every statement locks what it counts in one order (tenants, causes, hours, each by fingerprint), so that two
-- of them never deadlock.
CREATE OR REPLACE FUNCTION wf.count_letters() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO wf.dead_causes AS c (fingerprint, source, queue, handler, error_class, cause, first_seen, last_seen, dead,
                                     quarantined, replayed, discarded, tenants, releases)
    SELECT n.fingerprint, min(n.source), min(n.queue), min(n.handler), min(n.error_class), min(n.cause), min(n.dead_at),
           max(n.dead_at), 0, 0, 0, 0, 0, '{}'
    FROM new_rows n WHERE NOT EXISTS (SELECT FROM wf.dead_causes k WHERE k.fingerprint = n.fingerprint)
    GROUP BY n.fingerprint ORDER BY n.fingerprint
    ON CONFLICT DO NOTHING;
    PERFORM wf.add_to_causes(ARRAY(
      SELECT ROW(n.fingerprint, n.tenant_id, n.state, count(*))::wf.letter_count FROM new_rows n
      GROUP BY n.fingerprint, n.tenant_id, n.state));
    UPDATE wf.dead_causes c
    SET first_seen = least(c.first_seen, s.first_seen), last_seen = greatest(c.last_seen, s.last_seen),
        releases = CASE WHEN s.releases <@ c.releases::text[] THEN c.releases ELSE (s.releases || c.releases::text[])[1:20] END
    FROM (SELECT n.fingerprint, min(n.dead_at) AS first_seen, max(n.dead_at) AS last_seen,
                 (coalesce(array_agg(DISTINCT n.release::text) FILTER (WHERE n.release <> ''), '{}'))[1:20] AS releases
          FROM new_rows n GROUP BY n.fingerprint) s
    WHERE c.fingerprint = s.fingerprint;
    INSERT INTO wf.dead_cause_hours AS h (fingerprint, hour, n)
    SELECT n.fingerprint, date_trunc('hour', n.dead_at, 'UTC'), count(*) FROM new_rows n GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (fingerprint, hour) DO UPDATE SET n = h.n + excluded.n;
  ELSIF TG_OP = 'DELETE' THEN
    PERFORM wf.add_to_causes(ARRAY(
      SELECT ROW(o.fingerprint, o.tenant_id, o.state, -count(*))::wf.letter_count FROM old_rows o
      WHERE o.state IN ('dead', 'quarantined') GROUP BY o.fingerprint, o.tenant_id, o.state));
  ELSE
    PERFORM wf.add_to_causes(ARRAY(
      SELECT ROW(b.fingerprint, b.tenant_id, b.state, sum(b.n))::wf.letter_count
      FROM (SELECT o.fingerprint, o.tenant_id, o.state, -1 AS n FROM old_rows o
            UNION ALL SELECT n.fingerprint, n.tenant_id, n.state, 1 FROM new_rows n) b
      GROUP BY b.fingerprint, b.tenant_id, b.state HAVING sum(b.n) <> 0));
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION wf.add_to_causes(added wf.letter_count[]) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  WITH waiting AS MATERIALIZED (
    SELECT a.fingerprint, a.tenant_id, sum(a.n) AS n FROM unnest(added) a
    WHERE a.tenant_id <> '' AND a.state IN ('dead', 'quarantined') GROUP BY 1, 2 HAVING sum(a.n) <> 0
  ), kept AS (
    INSERT INTO wf.dead_cause_tenants AS t (fingerprint, tenant_id, n)
    SELECT w.fingerprint, w.tenant_id, w.n FROM waiting w ORDER BY 1, 2
    ON CONFLICT (fingerprint, tenant_id) DO UPDATE SET n = t.n + excluded.n
    RETURNING fingerprint, tenant_id, n
  ), hit AS (
    SELECT k.fingerprint, sum((k.n > 0)::integer - (k.n - w.n > 0)::integer) AS tenants
    FROM kept k JOIN waiting w USING (fingerprint, tenant_id) GROUP BY 1
  ), moved AS (
    SELECT a.fingerprint, sum(a.n) FILTER (WHERE a.state = 'dead') AS dead,
           sum(a.n) FILTER (WHERE a.state = 'quarantined') AS quarantined,
           sum(a.n) FILTER (WHERE a.state = 'replayed') AS replayed, sum(a.n) FILTER (WHERE a.state = 'discarded') AS discarded
    FROM unnest(added) a GROUP BY 1
  ), locked AS MATERIALIZED (
    SELECT c.fingerprint FROM wf.dead_causes c
    WHERE c.fingerprint = ANY (ARRAY(SELECT m.fingerprint FROM moved m)) AND (SELECT count(*) FROM hit) >= 0  -- after the tenants
    ORDER BY c.fingerprint FOR NO KEY UPDATE
  )
  UPDATE wf.dead_causes c
  SET dead = c.dead + coalesce(m.dead, 0), quarantined = c.quarantined + coalesce(m.quarantined, 0),
      replayed = c.replayed + coalesce(m.replayed, 0), discarded = c.discarded + coalesce(m.discarded, 0),
      tenants = c.tenants + coalesce(h.tenants, 0)::integer
  FROM locked l JOIN moved m USING (fingerprint) LEFT JOIN hit h USING (fingerprint) WHERE c.fingerprint = l.fingerprint
$$;

CREATE OR REPLACE TRIGGER count_new AFTER INSERT ON wf.dead_letters REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.count_letters();
CREATE OR REPLACE TRIGGER count_moved AFTER UPDATE ON wf.dead_letters REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.count_letters();
CREATE OR REPLACE TRIGGER count_gone AFTER DELETE ON wf.dead_letters REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.count_letters();

-- What people do to a letter. Workers write the table too, so this function writes to the trail, and no trigger.

-- What the trail keeps of a letter: all but the message, its error, and what follows from these. An edit may be personal; its
-- value is kept in the guarded part of the trail, which is of tenants. A plain expression: a run asks it twice for each letter.
CREATE OR REPLACE FUNCTION wf.letter_image(l wf.dead_letters) RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object(
  'id', l.id, 'source', l.source, 'source_id', l.source_id, 'tenant_id', l.tenant_id, 'queue', l.queue, 'handler', l.handler,
  'error_class', l.error_class, 'fingerprint', l.fingerprint, 'payload_bytes', l.payload_bytes,
  'edited', CASE WHEN l.edited IS NULL OR l.tenant_id IS NOT NULL THEN l.edited ELSE to_jsonb(wf.masked(l.edited::jsonb #>> '{}')) END,
  'attempt_count', l.attempt_count, 'first_failed_at', l.first_failed_at, 'dead_at', l.dead_at,
  'idempotency_key', l.idempotency_key, 'ordering_key', l.ordering_key, 'release', l.release, 'state', l.state,
  'replays', l.replays, 'hold', l.hold, 'settled_at', l.settled_at, 'settled_by', l.settled_by, 'settled_why', l.settled_why,
  'version', l.version);

-- Whether a message may be edited before its replay. A notice is made from alerts, so it is not.
CREATE OR REPLACE FUNCTION wf.editable_here(source text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN source = 'jobs';

-- Why a letter cannot be replayed now, whatever its own state; NULL: it can. The code of a refusal. What few letters need is
-- asked apart, so that a run pays for it only there.
CREATE OR REPLACE FUNCTION wf.letter_obstacle(source text, source_id text, tenant text, key text, letter bigint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  job record;
BEGIN
  IF tenant IS NOT NULL AND EXISTS (SELECT FROM wf.tenants t WHERE t.id = tenant AND t.status <> 'active') THEN
    RETURN 'letter_tenant';
  END IF;
  IF source = 'jobs' THEN
    SELECT j.state, j.schedule INTO job FROM wf.jobs j WHERE j.id = source_id::bigint;
    IF job.state IS DISTINCT FROM 'dead' THEN
      RETURN CASE WHEN job.state = 'done' THEN 'letter_processed' WHEN job.state IN ('waiting', 'running') THEN 'letter_conflict'
                  ELSE 'letter_gone' END;
    ELSIF job.schedule IS NOT NULL AND EXISTS (
        SELECT FROM wf.jobs o WHERE o.schedule = job.schedule AND o.state IN ('waiting', 'running')) THEN
      RETURN 'letter_conflict';
    ELSIF key IS NULL THEN
      RETURN NULL;
    END IF;
    RETURN (  -- another job with the same key, that died once and was replayed; its own death is no obstacle
      SELECT CASE WHEN bool_or(o.state = 'done') THEN 'letter_processed'
                  WHEN bool_or(o.state IN ('waiting', 'running')) THEN 'letter_conflict' END
      FROM wf.dead_letters l JOIN wf.jobs o ON o.id = l.source_id::bigint
      WHERE l.source = 'jobs' AND l.idempotency_key = key AND l.id <> letter AND l.source_id <> letter_obstacle.source_id);
  ELSIF source = 'deliveries' THEN
    RETURN (
      SELECT CASE WHEN d.id IS NULL THEN 'letter_gone'
                  WHEN d.state = 'delivered' THEN 'letter_processed'
                  WHEN d.state <> 'failed' THEN 'letter_conflict'
                  WHEN NOT r.enabled OR r.retired_at IS NOT NULL OR NOT w.enabled OR w.deleted_at IS NOT NULL
                    OR h.disabled IS NOT NULL AND d.contact_id IS NULL THEN 'delivery_route_off' END
      FROM (VALUES (source_id::bigint)) n(id) LEFT JOIN wf.deliveries d ON d.id = n.id
        LEFT JOIN wf.routes r ON r.id = d.route_id LEFT JOIN wf.webhooks w ON w.id = d.webhook_id
        LEFT JOIN wf.endpoints h ON h.id = d.endpoint_id);
  END IF;
  RETURN NULL;
END
$$;

-- Why it is refused; NULL: it is not. A plain expression, so that it is a part of the statement for all letters of a run.
CREATE OR REPLACE FUNCTION wf.letter_refusal(l wf.dead_letters, verb text, given jsonb, seen integer, why text) RETURNS text
LANGUAGE sql STABLE
RETURN CASE
  WHEN l.id IS NULL THEN 'letter_unknown'
  WHEN l.state IN ('replayed', 'discarded', 'replaying') AND verb NOT IN ('hold', 'unhold') THEN 'letter_settled'
  WHEN verb IN ('replay', 'edit', 'quarantine') AND l.state = 'quarantined' THEN 'letter_quarantined'
  WHEN verb = 'release' AND l.state <> 'quarantined' THEN 'letter_not_quarantined'
  WHEN verb = 'hold' AND l.hold THEN 'letter_held'
  WHEN verb = 'unhold' AND NOT l.hold THEN 'letter_not_held'
  WHEN verb = 'discard' AND l.hold THEN 'letter_held'
  WHEN verb = 'discard' AND why IS NULL THEN 'letter_reason'
  WHEN seen <> l.version THEN 'stale_version'
  WHEN verb = 'edit' AND NOT wf.editable_here(l.source) OR verb = 'edit' AND jsonb_typeof(l.payload_json) <> 'object'
    THEN 'letter_not_editable'
  WHEN verb = 'edit' AND jsonb_typeof(given -> 'patch') IS DISTINCT FROM 'object' THEN 'letter_patch'
  WHEN verb = 'replay' THEN wf.letter_obstacle(l.source, l.source_id, l.tenant_id, l.idempotency_key, l.id) END;

-- Change a letter, and with it what it stands for, in one transaction. `seen`: the version that was looked at. Returns the
-- row of the trail.
CREATE OR REPLACE FUNCTION wf.change_letter(verb text, letter bigint, given jsonb DEFAULT '{}', seen integer DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was     wf.dead_letters;
  refused text;
BEGIN
  SELECT * INTO was FROM wf.dead_letters l WHERE l.id = letter FOR NO KEY UPDATE;
  refused := CASE WHEN verb = ANY ('{replay,edit,quarantine,release,discard,hold,unhold}')
                  THEN wf.letter_refusal(was, verb, given, seen, (wf.current_change()).reason) ELSE 'letter_verb' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'letter % is refused: % (%)', letter, refused, left(verb, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN wf.change_letters(verb, ARRAY[letter], given, NULL);
END
$$;

-- The same for letters that are locked and allow it. `changes`: the change of each; NULL: the open one
-- (wf.append_audit_of). What is locked for it is locked in one order: jobs, their lanes, causes, the trail's counter.
CREATE OR REPLACE FUNCTION wf.change_letters(verb text, letters bigint[], given jsonb, changes bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  change wf.changes := CASE WHEN changes IS NULL THEN wf.current_change() ELSE wf.change_of_now(changes[1]) END;
  person text := coalesce(change.carried_for, session_user);
  made   record;
BEGIN
  IF verb = 'replay' THEN
    PERFORM wf.prepare_here(letters);
  END IF;
  WITH old AS MATERIALIZED (
    SELECT l.id, l.edited IS NOT NULL AS edited, wf.letter_image(l) AS image FROM wf.dead_letters l WHERE l.id = ANY (letters)
  ), new AS (
    UPDATE wf.dead_letters l
    SET state = CASE verb WHEN 'replay' THEN 'replayed' WHEN 'discard' THEN 'discarded' WHEN 'quarantine' THEN 'quarantined'
                          WHEN 'release' THEN 'dead' ELSE l.state END,
        hold = CASE verb WHEN 'hold' THEN true WHEN 'unhold' THEN false ELSE l.hold END,
        edited = CASE WHEN verb <> 'edit' THEN l.edited WHEN given -> 'patch' = '{}' THEN NULL ELSE (given -> 'patch')::wf.document END,
        settled_at = CASE WHEN verb IN ('replay', 'discard') THEN clock_timestamp() ELSE l.settled_at END,
        settled_by = CASE WHEN verb IN ('replay', 'discard') THEN person ELSE l.settled_by END,
        settled_why = CASE WHEN verb IN ('replay', 'discard') THEN left(change.reason, 2000) ELSE l.settled_why END,
        version = l.version + 1
    WHERE l.id = ANY (letters) RETURNING l.id, l.tenant_id, l.edited IS NOT NULL AS edited, wf.letter_image(l) AS image
  )
  SELECT array_agg(n.id::text ORDER BY u.place) AS things, array_agg(n.tenant_id::text ORDER BY u.place) AS tenants,
         array_agg(o.image ORDER BY u.place) AS befores, array_agg(n.image ORDER BY u.place) AS afters,
         bool_or(o.edited OR n.edited) AND NOT (verb = 'edit' AND bool_or(n.tenant_id IS NULL)) AS personal INTO made
  FROM unnest(letters) WITH ORDINALITY u(id, place) JOIN old o USING (id) JOIN new n USING (id);
  IF verb = 'replay' THEN
    PERFORM wf.revive_here(letters, changes);
  ELSIF verb = 'discard' THEN
    PERFORM wf.drop_here(letters);
  END IF;
  -- An edit may be personal; where it has no tenant, its image masks it, and the trail keeps no other copy.
  RETURN wf.append_audit_of(changes, 'wf.dead_letters', 'queues', 'update', made.things, made.tenants, made.befores, made.afters,
                            CASE WHEN made.personal THEN ARRAY['edited'] ELSE '{}' END);
END
$$;
GRANT EXECUTE ON FUNCTION wf.change_letter TO wf_operator;

-- Record an export of letters, within its operation. Addresses in the filter are masked (wf.note).
CREATE OR REPLACE FUNCTION wf.note_letter_export(noun text, filter text, form text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF (wf.current_change()).operation IS DISTINCT FROM 'queues.export' OR (wf.current_change()).reason IS NULL
    OR (noun IN ('letters', 'messages') AND form ~ '^[a-z]{1,20}$' AND char_length(filter) <= 2000) IS NOT TRUE THEN
    RAISE EXCEPTION 'an export is recorded by queues.export, with a reason' USING ERRCODE = 'check_violation', CONSTRAINT = 'export_note';
  END IF;
  RETURN wf.note('exports', noun, NULL, jsonb_build_object('filter', filter, 'form', form));
END
$$;
GRANT EXECUTE ON FUNCTION wf.note_letter_export TO wf_support;

-- Say in which release a cause is fixed, and which gate decides about that release, as gate/environment; NULL: it is not known.
CREATE OR REPLACE FUNCTION wf.fix_cause(cause text, release text, gate text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  was  wf.dead_causes;
  made wf.dead_causes;
BEGIN
  SELECT * INTO was FROM wf.dead_causes c
  WHERE wf.folded(left(c.fingerprint, 16)) = fix_cause.cause ORDER BY c.fingerprint LIMIT 1 FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no cause %', left(cause, 100) USING ERRCODE = 'check_violation', CONSTRAINT = 'cause_unknown';
  END IF;
  IF btrim(gate) <> '' AND (btrim(release) = '' OR NOT EXISTS (
      SELECT FROM wf.gates g WHERE g.name = split_part(gate, '/', 1) AND g.retired_at IS NULL
        AND gate = g.name || '/' || split_part(gate, '/', 2) AND wf.environment_valid(split_part(gate, '/', 2)))) THEN
    RAISE EXCEPTION 'there is no gate %, or no release', left(gate, 100) USING ERRCODE = 'check_violation', CONSTRAINT = 'cause_gate';
  END IF;
  UPDATE wf.dead_causes c
  SET fixed_in = nullif(btrim(release), ''), fixed_gate = nullif(btrim(gate), ''), fixed_at = clock_timestamp(), version = c.version + 1
  WHERE c.fingerprint = was.fingerprint RETURNING * INTO made;
  RETURN wf.append_audit('wf.dead_causes', 'queues', 'update', ARRAY[cause], ARRAY[NULL::text],
    ARRAY[jsonb_build_object('fixed_in', was.fixed_in, 'fixed_gate', was.fixed_gate, 'version', was.version)],
    ARRAY[jsonb_build_object('fixed_in', made.fixed_in, 'fixed_gate', made.fixed_gate, 'version', made.version)], '{}');
END
$$;
CREATE OR REPLACE FUNCTION wf.lock_letter(letter bigint) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  SELECT FROM wf.dead_letters l WHERE l.id = lock_letter.letter FOR NO KEY UPDATE
$$;
GRANT EXECUTE ON FUNCTION wf.fix_cause, wf.lock_letter TO wf_operator;

-- What people read. An error may name a person: its addresses are masked for those who may not read them. The message
-- itself is for operators and above.
CREATE VIEW wf.letter_list AS
SELECT l.id, l.source, l.source_id, l.tenant_id, l.queue, l.handler, l.error_class,
       CASE WHEN (SELECT wf.sees_personal()) THEN l.error::text ELSE wf.without_mail(l.error) END AS error,
       l.cause, left(l.fingerprint, 16) AS cause_id, l.payload_bytes, l.edited IS NOT NULL AS is_edited, l.attempt_count,
       l.first_failed_at, l.dead_at, l.idempotency_key, l.ordering_key, l.release, l.state, l.replays, l.hold, l.settled_at,
       l.settled_by, l.settled_why, l.version, l.search,
       CASE WHEN l.state IN ('dead', 'quarantined') AND NOT l.hold THEN l.dead_at + wf.letters_kept() END AS kept_until,
       CASE WHEN l.state = 'dead'
            THEN wf.letter_obstacle(l.source, l.source_id, l.tenant_id, l.idempotency_key, l.id) END AS obstacle,
       CASE WHEN (SELECT wf.sees_personal()) THEN l.payload_json END AS payload_json
FROM wf.dead_letters l;

-- One message with what is in it. `cut`: the original is longer than what is kept.
CREATE VIEW wf.letter_message AS
SELECT l.id, l.payload, l.payload_bytes > octet_length(l.payload) AS cut, jsonb_pretty(l.payload_json) AS payload_json,
       l.headers, l.edited::text AS edited, l.attempts
FROM wf.dead_letters l WHERE (SELECT wf.may('operator'));  -- not when the time of a raised role is over

CREATE VIEW wf.letter_attempts AS
SELECT l.id, (SELECT coalesce(jsonb_agg(a || jsonb_build_object('error', CASE WHEN (SELECT wf.sees_personal())
         THEN a ->> 'error' ELSE wf.without_mail(a ->> 'error') END) ORDER BY place), '[]')
       FROM jsonb_array_elements(l.attempts) WITH ORDINALITY AS e(a, place)) AS attempts
FROM wf.dead_letters l;

CREATE VIEW wf.cause_list AS
SELECT left(c.fingerprint, 16) AS id, c.fingerprint, c.source, c.queue, c.handler, c.error_class, c.cause, c.dead,
       c.quarantined, c.replayed, c.discarded, c.waiting, c.tenants, c.first_seen, c.last_seen, c.releases, c.fixed_in,
       c.version, c.search,
       ARRAY(SELECT coalesce(h.n, 0) FROM generate_series(23, 0, -1) AS ago
             LEFT JOIN wf.dead_cause_hours h ON h.fingerprint = c.fingerprint
               AND h.hour = date_trunc('hour', now(), 'UTC') - ago * interval '1 hour'
             ORDER BY ago DESC) AS hours,
       c.fixed_gate, v.verdict AS gate_verdict,
       -- Its release passed, and it did not die in that one: a replay may be tried.
       coalesce(c.dead > 0 AND c.fixed_in <> ALL (c.releases::text[]) AND v.verdict IN ('GO', 'GO_WITH_CONDITIONS'), false) AS ready
FROM wf.dead_causes c LEFT JOIN LATERAL (
  -- What the gate decided last, of all its checks, in a run that began after somebody said so.
  SELECT r.verdict FROM wf.gate_runs r
  WHERE c.fixed_gate IS NOT NULL AND r.gate = split_part(c.fixed_gate, '/', 1) AND r.environment = split_part(c.fixed_gate, '/', 2)
    AND r.state = 'decided' AND r.mode = 'full' AND r.batch_size IS NULL AND r.started_at >= c.fixed_at
  ORDER BY r.id DESC LIMIT 1) v ON c.fixed_gate IS NOT NULL;

CREATE OR REPLACE FUNCTION wf.sources_here() RETURNS SETOF text LANGUAGE sql IMMUTABLE SET search_path = wf, pg_temp AS $$
  VALUES ('jobs'), ('deliveries')
$$;

-- Each source with what waits in it. Rates are of the last hour, counted up to 10,000.
CREATE VIEW wf.letter_sources AS
SELECT s.name, s.waiting,
       (SELECT l.dead_at FROM wf.dead_letters l WHERE l.source = s.name AND l.state IN ('dead', 'quarantined')
        ORDER BY l.dead_at LIMIT 1) AS oldest,
       (SELECT count(*) FROM (SELECT FROM wf.dead_letters l WHERE l.dead_at > now() - interval '1 hour' AND l.source = s.name
                              LIMIT 10001) i) AS entered,
       (SELECT count(*) FROM (SELECT FROM wf.dead_letters l WHERE l.settled_at > now() - interval '1 hour' AND l.source = s.name
                              LIMIT 10001) o) AS settled,
       (SELECT count(*) FROM (SELECT FROM wf.dead_letters l WHERE l.source = s.name AND l.state IN ('dead', 'quarantined')
          AND NOT l.hold AND l.dead_at < now() - wf.letters_kept() + wf.letters_told() LIMIT 10001) e) AS ending
FROM (SELECT n.name, (SELECT coalesce(sum(c.waiting), 0)::bigint FROM wf.dead_causes c
                      WHERE c.source = n.name AND c.waiting > 0) AS waiting
      FROM wf.sources_here() AS n(name)) s;
-- A view's functions are called with its reader's rights.
GRANT EXECUTE ON FUNCTION wf.letter_obstacle, wf.letters_kept, wf.letters_told, wf.without_mail, wf.sources_here TO wf_viewer;
GRANT SELECT ON wf.letter_list, wf.letter_attempts, wf.cause_list, wf.letter_sources TO wf_viewer;
GRANT SELECT ON wf.cause_list, wf.letter_sources TO wf_worker;  -- for gates that it runs by a schedule
GRANT EXECUTE ON FUNCTION wf.letters_kept, wf.letters_told, wf.sources_here, wf.without_mail TO wf_worker;
GRANT SELECT ON wf.letter_message TO wf_operator;
-- For filters by the payload, as wf.tenant_owners.
CREATE VIEW wf.letter_payloads AS SELECT l.id, l.payload_json FROM wf.dead_letters l WHERE (SELECT wf.in_time('operator'));
GRANT SELECT ON wf.letter_payloads TO wf_operator;

-- Delete letters whose time is over, in bounded bites: those that wait and are not held, with what they stand for; those
-- that were settled 30 days ago; then causes without any.
CREATE OR REPLACE FUNCTION wf.prune_letters() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  given  bigint[] := ARRAY(
    SELECT l.id FROM wf.dead_letters l
    WHERE l.state IN ('dead', 'quarantined') AND NOT l.hold AND l.dead_at < clock_timestamp() - wf.letters_kept()
    ORDER BY l.dead_at LIMIT 2000 FOR UPDATE SKIP LOCKED);
  many   bigint;
BEGIN
  PERFORM wf.drop_here(given);
  DELETE FROM wf.dead_letters l WHERE l.id = ANY (given);  -- these and no others: one that is locked is being replayed
  DELETE FROM wf.dead_letters l WHERE l.id IN (
    SELECT o.id FROM wf.dead_letters o WHERE o.settled_at < clock_timestamp() - interval '30 days' AND NOT o.hold
    ORDER BY o.settled_at LIMIT 5000 FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS many = ROW_COUNT;
  DELETE FROM wf.dead_cause_hours h WHERE (h.fingerprint, h.hour) IN (
    SELECT o.fingerprint, o.hour FROM wf.dead_cause_hours o WHERE o.hour < clock_timestamp() - interval '8 days'
    ORDER BY o.hour LIMIT 20000);
  DELETE FROM wf.dead_causes c WHERE c.fingerprint IN (
    SELECT o.fingerprint FROM wf.dead_causes o
    WHERE o.waiting = 0 AND o.last_seen < clock_timestamp() - interval '120 days'
      AND NOT EXISTS (SELECT FROM wf.dead_letters l
                      WHERE wf.folded(left(l.fingerprint, 16)) = wf.folded(left(o.fingerprint, 16)))
    ORDER BY o.last_seen LIMIT 1000 FOR UPDATE SKIP LOCKED);
  RETURN cardinality(given) + many;
END
$$;
GRANT EXECUTE ON FUNCTION wf.prune_letters TO wf_worker;
