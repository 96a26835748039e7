INSERT INTO wf.operations (name, role) VALUES ('deliveries.replay', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('webhooks.test', 'wf.deliveries', 'insert', NULL, NULL, '{"test": true}', false),
  ('deliveries.replay', 'wf.deliveries', 'update', '{state,tries,replays,next_at,ended_at}', NULL, '{"state": "waiting"}',
   false),
  ('routes.test', 'wf.deliveries', 'insert', NULL, NULL, '{"test": true}', false);

-- Queue jobs that send what is due: more of them when there is much, so that several workers share it. Returns how many.
CREATE OR REPLACE FUNCTION wf.queue_deliveries() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  due     bigint;
  waiting bigint;
  wanted  bigint;
BEGIN
  PERFORM wf.hold_deliveries();
  SELECT count(*) INTO due FROM (
    SELECT FROM wf.deliveries d WHERE d.state = 'waiting' AND d.next_at <= clock_timestamp() LIMIT 1000) x;
  IF due = 0 AND NOT EXISTS (SELECT FROM wf.deliveries d WHERE d.state = 'sending'
                             AND d.started_at < clock_timestamp() - wf.delivery_lease()) THEN
    RETURN 0;
  END IF;
  SELECT count(*) INTO waiting FROM wf.jobs j WHERE j.kind = 'deliver' AND j.state = 'waiting';
  wanted := greatest(0, least(4, 1 + due / 100) - waiting);
  PERFORM wf.queue_job('deliver') FROM generate_series(1, wanted);
  RETURN wanted;
END
$$;

-- An attempt is over long before that: one that was begun earlier was lost with its worker.
CREATE OR REPLACE FUNCTION wf.delivery_lease() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '60 seconds';

-- How many deliveries to one endpoint are under way at the same time, whoever sends them: one that hangs holds up no more
-- than that. Tenants have many webhooks, and one whose last attempt failed is tried with one delivery at a time.
CREATE OR REPLACE FUNCTION wf.deliveries_at_once(of_webhook boolean, failures integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN NOT of_webhook THEN 8 WHEN failures = 0 THEN 4 ELSE 1 END;

-- So many attempts in a row that were not delivered disable an endpoint, or attempts for so long without one that was.
CREATE OR REPLACE FUNCTION wf.endpoint_failure_limit() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 50;
CREATE OR REPLACE FUNCTION wf.endpoint_failing_limit() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN interval '5 days';

-- Hold what waits for disabled endpoints, in bounded bites: also what was decided by a transaction that did not see yet
-- that its endpoint was disabled.
CREATE OR REPLACE FUNCTION wf.hold_deliveries() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  UPDATE wf.deliveries d SET state = 'held' WHERE d.id IN (
    SELECT w.id FROM wf.endpoints e, LATERAL (
      SELECT o.id FROM wf.deliveries o WHERE o.endpoint_id = e.id AND o.state = 'waiting' AND NOT o.test AND o.contact_id IS NULL
      LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED) w
    WHERE e.disabled IS NOT NULL LIMIT 5000)
$$;

-- Give up attempts that were lost: a worker that was killed left no word of whether the receiver had it.
CREATE OR REPLACE FUNCTION wf.lose_deliveries() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH lost AS (
    SELECT d.id FROM wf.deliveries d LEFT JOIN wf.workers w ON w.id = d.worker_id
    WHERE d.state = 'sending' AND (d.started_at < clock_timestamp() - wf.delivery_lease() OR w.ended_at IS NOT NULL OR w.id IS NULL)
    LIMIT 500 FOR NO KEY UPDATE OF d SKIP LOCKED
  ), noted AS (
    INSERT INTO wf.delivery_attempts (delivery_id, attempt, worker_id, started_at, outcome, code, words)
    SELECT d.id, d.attempts, d.worker_id, d.started_at, 'lost', 'lost', 'Its worker was lost; whether it was received is not known.'
    FROM wf.deliveries d JOIN lost USING (id) ON CONFLICT DO NOTHING
  )
  UPDATE wf.deliveries d
  SET state = 'waiting', next_at = clock_timestamp(), started_at = NULL, worker_id = NULL, code = 'lost',
      words = 'Its worker was lost; whether it was received is not known.'
  FROM lost WHERE d.id = lost.id
$$;

-- Endpoints with a delivery that is due: all while little is due. Where much is, up to `most`, each in its turn, so that what
-- waits for one hides no other; an index gives the next endpoint, however many deliveries of it wait.
CREATE OR REPLACE FUNCTION wf.endpoints_due(moment timestamptz, most integer) RETURNS bigint[] LANGUAGE plpgsql
SET search_path = wf, pg_temp
-- By the indexes, also when the table has just grown and the planner does not know it yet.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
  number bigint;
  found  bigint[];
  turn   bigint;
BEGIN
  SELECT count(*), array_agg(DISTINCT d.endpoint_id) INTO number, found FROM (
    SELECT w.endpoint_id FROM wf.deliveries w WHERE w.state = 'waiting' AND w.next_at <= moment
    ORDER BY w.next_at LIMIT 200) d;
  IF number < 200 THEN
    RETURN found;
  END IF;
  SELECT s.last_value INTO turn FROM wf.delivery_turns s;
  WITH RECURSIVE after_it AS (
    (SELECT d.endpoint_id, d.next_at FROM wf.deliveries d WHERE d.state = 'waiting' AND d.endpoint_id > turn
     ORDER BY d.endpoint_id, d.next_at LIMIT 1)
    UNION ALL
    SELECT n.endpoint_id, n.next_at FROM after_it f, LATERAL (
      SELECT d.endpoint_id, d.next_at FROM wf.deliveries d WHERE d.state = 'waiting' AND d.endpoint_id > f.endpoint_id
      ORDER BY d.endpoint_id, d.next_at LIMIT 1) n
  ), before_it AS (
    (SELECT d.endpoint_id, d.next_at FROM wf.deliveries d WHERE d.state = 'waiting' AND d.endpoint_id <= turn
     ORDER BY d.endpoint_id, d.next_at LIMIT 1)
    UNION ALL
    SELECT n.endpoint_id, n.next_at FROM before_it f, LATERAL (
      SELECT d.endpoint_id, d.next_at FROM wf.deliveries d
      WHERE d.state = 'waiting' AND d.endpoint_id > f.endpoint_id AND d.endpoint_id <= turn
      ORDER BY d.endpoint_id, d.next_at LIMIT 1) n
  )
  SELECT array_agg(e.endpoint_id) INTO found FROM (
    SELECT f.endpoint_id FROM (SELECT * FROM after_it UNION ALL SELECT * FROM before_it) f
    WHERE f.next_at <= moment LIMIT most) e;
  PERFORM setval('wf.delivery_turns', found[cardinality(found)]);
  RETURN found;
END
$$;

-- Claim up to `most` deliveries that are due, fairly between endpoints: first one of each, those that waited longest first.
-- The attempt is counted by that. An endpoint is locked while it is counted how many of its deliveries are under way.
-- Where somebody's address was removed meanwhile, the route's own target is told.
CREATE OR REPLACE FUNCTION wf.claim_deliveries(worker bigint, most integer)
RETURNS TABLE (id bigint, key text, endpoint_id bigint, attempt integer, tries integer, person text, level smallint,
               action text, reason text, severity text, event_type text, tenant_id text, summary text, notice jsonb,
               group_key text, test boolean, created_at timestamptz, contact_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp
-- Each endpoint's deliveries by the index that has them in their order, also when many came since the planner last looked: by
-- time alone it would read past those of all others.
SET enable_sort = off SET enable_incremental_sort = off AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz;
  ids    bigint[];
BEGIN
  IF NOT wf.is_mine(worker) THEN
    RAISE EXCEPTION 'worker % was given up', worker USING ERRCODE = 'check_violation', CONSTRAINT = 'worker_gone';
  END IF;
  PERFORM wf.lose_deliveries();
  moment := clock_timestamp();
  ids := wf.endpoints_due(moment, least(most, 200));
  IF ids IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY
  WITH due AS MATERIALIZED (
    SELECT e.id, e.disabled, under_way.room FROM wf.endpoints e,
      LATERAL (SELECT wf.deliveries_at_once(e.webhook_id IS NOT NULL, e.failures) - count(*) AS room
               FROM wf.deliveries s WHERE s.endpoint_id = e.id AND s.state = 'sending') under_way
    WHERE e.id = ANY (ids) AND under_way.room > 0 FOR NO KEY UPDATE OF e SKIP LOCKED
  ), chosen AS (
    SELECT d.id FROM due, LATERAL (
      SELECT w.id, w.next_at, row_number() OVER (ORDER BY w.next_at, w.id) AS place FROM (
        SELECT x.id, x.next_at FROM wf.deliveries x
        WHERE x.endpoint_id = due.id AND x.state = 'waiting' AND x.next_at <= moment
          AND (due.disabled IS NULL OR x.test OR x.contact_id IS NOT NULL)
        ORDER BY x.next_at, x.id LIMIT due.room FOR NO KEY UPDATE SKIP LOCKED) w) d
    ORDER BY d.place, d.next_at, d.id LIMIT least(claim_deliveries.most, 200)
  )
  UPDATE wf.deliveries d
  SET state = 'sending', attempts = d.attempts + 1, tries = d.tries + 1, started_at = clock_timestamp(),
      worker_id = claim_deliveries.worker,
      contact_id = (SELECT c.id FROM wf.contacts c WHERE c.id = d.contact_id AND c.removed_at IS NULL)
  FROM chosen WHERE d.id = chosen.id
  RETURNING d.id, d.key, d.endpoint_id, d.attempts, d.tries, d.person::text, d.level, d.action, d.reason, d.severity,
            d.event_type::text, d.tenant_id::text, d.summary::text, d.notice, d.group_key, d.test, d.created_at::timestamptz,
            d.contact_id;
END
$$;

-- What came of an attempt, if it is still this worker's. `again_in`: when the next one is, after a "retry"; NULL: it was
-- the last. Tests, replays and what goes to a person's own address say nothing about the endpoint's health.
CREATE OR REPLACE FUNCTION wf.settle_delivery(
  worker bigint, delivery bigint, attempt integer, outcome text, code text, words text, answer text,
  seconds double precision, again_in interval, gone boolean
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was    wf.deliveries;
  health wf.endpoints;
  moment timestamptz := clock_timestamp();
  counts boolean;  -- for the endpoint's health
BEGIN
  SELECT * INTO was FROM wf.deliveries d WHERE d.id = delivery FOR NO KEY UPDATE;
  IF NOT FOUND OR was.state <> 'sending' OR was.worker_id <> worker OR was.attempts <> attempt OR NOT wf.is_mine(worker) THEN
    RETURN false;
  END IF;
  INSERT INTO wf.delivery_attempts (delivery_id, attempt, worker_id, started_at, outcome, code, words, answer, seconds)
  VALUES (delivery, attempt, worker, was.started_at, outcome, left(settle_delivery.code, 400), left(settle_delivery.words, 2000),
          left(answer, 2000), CASE WHEN seconds BETWEEN 0 AND 86400 THEN seconds END);
  counts := NOT was.test AND was.replays = 0 AND was.contact_id IS NULL;
  IF counts THEN
    UPDATE wf.endpoints h
    SET failures = CASE outcome WHEN 'delivered' THEN 0 ELSE h.failures + 1 END,
        failing_since = CASE WHEN outcome <> 'delivered' THEN coalesce(h.failing_since, moment) END,
        delivered_at = CASE outcome WHEN 'delivered' THEN moment ELSE h.delivered_at END
    WHERE h.id = was.endpoint_id RETURNING * INTO health;
    IF outcome <> 'delivered' AND health.disabled IS NULL AND (gone OR health.failures >= wf.endpoint_failure_limit()
        OR health.failing_since <= moment - wf.endpoint_failing_limit()) THEN
      UPDATE wf.endpoints h SET disabled_at = moment, disabled = left(
        CASE WHEN gone THEN settle_delivery.words
             ELSE health.failures || ' attempts in a row failed since ' || to_char(health.failing_since, 'YYYY-MM-DD HH24:MI "UTC"')
               || '; the last one: ' || settle_delivery.words END, 2000)
      WHERE h.id = was.endpoint_id RETURNING * INTO health;
      PERFORM wf.hold_deliveries();
    END IF;
  ELSE
    SELECT * INTO health FROM wf.endpoints h WHERE h.id = was.endpoint_id;
  END IF;
  UPDATE wf.deliveries d
  SET state = CASE WHEN outcome = 'delivered' THEN 'delivered'
                   WHEN health.disabled IS NOT NULL AND counts THEN 'held'
                   WHEN outcome = 'retry' AND again_in IS NOT NULL AND NOT was.test THEN 'waiting' ELSE 'failed' END,
      next_at = moment + greatest(interval '0', least(coalesce(again_in, interval '0'), interval '2 days')),
      started_at = NULL, code = left(settle_delivery.code, 400), words = left(settle_delivery.words, 2000),
      ended_at = CASE WHEN outcome = 'delivered' THEN moment
                      WHEN health.disabled IS NOT NULL AND counts THEN NULL
                      WHEN outcome = 'retry' AND again_in IS NOT NULL AND NOT was.test THEN NULL ELSE moment END
  WHERE d.id = delivery;
  PERFORM pg_notify('wf', 'deliveries ' || delivery);
  RETURN true;
END
$$;
-- What came of many attempts; returns those that were still this worker's. Those that were delivered are stored together,
-- the others one by one, because each counts toward disabling its endpoint. All endpoints are locked first and in order, so
-- that two workers never wait for each other.
CREATE OR REPLACE FUNCTION wf.settle_deliveries(
  worker bigint, deliveries bigint[], attempts integer[], outcomes text[], codes text[], words text[], answers text[],
  seconds double precision[], again_in interval[], gone boolean[]
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment  timestamptz := clock_timestamp();
  settled bigint[];
  this    record;
BEGIN
  IF NOT wf.is_mine(worker) THEN
    RETURN '{}';
  END IF;
  PERFORM FROM wf.endpoints h
  WHERE h.id IN (SELECT d.endpoint_id FROM wf.deliveries d WHERE d.id = ANY (deliveries)) ORDER BY h.id FOR NO KEY UPDATE;
  WITH said AS (
    SELECT * FROM unnest(deliveries, attempts, outcomes, codes, words, answers, seconds)
      AS u(delivery, attempt, outcome, code, words, answer, seconds) WHERE u.outcome = 'delivered'
  ), mine AS MATERIALIZED (
    SELECT s.*, d.started_at, d.endpoint_id, NOT d.test AND d.replays = 0 AND d.contact_id IS NULL AS counts
    FROM said s JOIN wf.deliveries d ON d.id = s.delivery AND d.attempts = s.attempt
    WHERE d.state = 'sending' AND d.worker_id = worker FOR NO KEY UPDATE OF d
  ), noted AS (
    INSERT INTO wf.delivery_attempts (delivery_id, attempt, worker_id, started_at, outcome, code, words, answer, seconds)
    SELECT m.delivery, m.attempt, worker, m.started_at, 'delivered', left(m.code, 400), left(m.words, 2000),
           left(m.answer, 2000), CASE WHEN m.seconds BETWEEN 0 AND 86400 THEN m.seconds END
    FROM mine m
  ), healthy AS (
    UPDATE wf.endpoints h SET failures = 0, failing_since = NULL, delivered_at = moment
    WHERE h.id IN (SELECT m.endpoint_id FROM mine m WHERE m.counts)
  ), done AS (
    UPDATE wf.deliveries d
    SET state = 'delivered', next_at = moment, started_at = NULL, code = left(m.code, 400), words = left(m.words, 2000),
        ended_at = moment
    FROM mine m WHERE d.id = m.delivery RETURNING d.id
  )
  SELECT coalesce(array_agg(d.id), '{}') INTO settled FROM done d;
  PERFORM pg_notify('wf', 'deliveries ' || d) FROM unnest(settled) d;
  FOR this IN
    SELECT * FROM unnest(deliveries, attempts, outcomes, codes, words, answers, seconds, again_in, gone)
      AS u(delivery, attempt, outcome, code, words, answer, seconds, again_in, gone) WHERE u.outcome <> 'delivered'
  LOOP
    IF wf.settle_delivery(worker, this.delivery, this.attempt, this.outcome, this.code, this.words, this.answer, this.seconds,
                          this.again_in, this.gone) THEN
      settled := settled || this.delivery;
    END IF;
  END LOOP;
  RETURN settled;
END
$$;
GRANT SELECT (route_id, dedupe_key, created_at, state, next_at, test) ON wf.deliveries TO wf_viewer, wf_worker;
GRANT EXECUTE ON FUNCTION wf.queue_deliveries, wf.claim_deliveries, wf.settle_delivery, wf.settle_deliveries TO wf_worker;

-- What people do. A worker writes deliveries thousands of times, so no trigger records them: these do.
CREATE OR REPLACE FUNCTION wf.delivery_image(d wf.deliveries) RETURNS jsonb LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT to_jsonb(d) - ARRAY['notice', 'search', 'words', 'summary', 'dedupe_key', 'endpoint_id']
$$;

CREATE OR REPLACE FUNCTION wf.lock_delivery(delivery bigint) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  SELECT FROM wf.deliveries d WHERE d.id = lock_delivery.delivery FOR NO KEY UPDATE
$$;

-- Send a delivery again, with the same key and the secrets of now; the attempts before stay on record.
CREATE OR REPLACE FUNCTION wf.replay_delivery(delivery bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  was     wf.deliveries;
  refused text;
BEGIN
  SELECT * INTO was FROM wf.deliveries d WHERE d.id = delivery FOR NO KEY UPDATE;
  refused := CASE WHEN was.id IS NULL THEN 'delivery_unknown'
                  WHEN was.test THEN 'delivery_test'
                  WHEN was.state NOT IN ('delivered', 'failed', 'held') THEN 'delivery_under_way'
                  WHEN EXISTS (SELECT FROM wf.routes r WHERE r.id = was.route_id AND (NOT r.enabled OR r.retired_at IS NOT NULL))
                    OR was.contact_id IS NULL
                      AND EXISTS (SELECT FROM wf.endpoints h WHERE h.id = was.endpoint_id AND h.disabled IS NOT NULL)
                    THEN 'delivery_route_off' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'delivery % is refused: %', delivery, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN wf.revive_deliveries(ARRAY[delivery], NULL);
END
$$;

-- Do it to deliveries that are locked and allow it, and write it to the trail. `changes`: the change of each; NULL: the open
-- one (wf.append_audit_of). Returns the last row of the trail.
CREATE OR REPLACE FUNCTION wf.revive_deliveries(ids bigint[], changes bigint[]) RETURNS bigint LANGUAGE plpgsql
SET search_path = wf, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  moved record;
BEGIN
  WITH old AS MATERIALIZED (
    SELECT d.id, wf.delivery_image(d) AS image FROM wf.deliveries d WHERE d.id = ANY (ids)
  ), made AS (
    UPDATE wf.deliveries d
    SET state = 'waiting', tries = 0, replays = d.replays + 1, next_at = clock_timestamp(), ended_at = NULL,
        version = d.version + 1
    WHERE d.id = ANY (ids) RETURNING d.id, d.tenant_id, wf.delivery_image(d) AS image
  )
  SELECT array_agg(m.id::text ORDER BY u.place) AS things, array_agg(m.tenant_id::text ORDER BY u.place) AS tenants,
         array_agg(o.image ORDER BY u.place) AS befores, array_agg(m.image ORDER BY u.place) AS afters INTO moved
  FROM unnest(ids) WITH ORDINALITY u(id, place) JOIN old o USING (id) JOIN made m USING (id);
  PERFORM wf.queue_deliveries();
  RETURN wf.append_audit_of(changes, 'wf.deliveries', 'deliveries', 'update', moved.things, moved.tenants, moved.befores,
                            moved.afters, '{}');
END
$$;

-- A real delivery marked as a test, to a route's target or to a webhook: it is tried once, and counts toward nothing.
-- Returns its number.
CREATE OR REPLACE FUNCTION wf.test_endpoint(endpoint bigint, key text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  route wf.routes := (SELECT r FROM wf.routes r WHERE r.id = endpoint AND r.retired_at IS NULL);
  hook  wf.webhooks := (SELECT w FROM wf.webhooks w WHERE w.id = endpoint AND w.deleted_at IS NULL);
  made  wf.deliveries;
BEGIN
  IF route.id IS NULL AND hook.id IS NULL THEN
    RAISE EXCEPTION 'there is no endpoint %', endpoint USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoint_unknown';
  END IF;
  INSERT INTO wf.deliveries (key, route_id, webhook_id, group_key, number, tenant_id, action, reason, severity, event_type,
                             summary, notice, test, created_by)
  VALUES (test_endpoint.key, route.id, hook.id, '', 0, coalesce(route.tenant_id, hook.tenant_id),
          CASE WHEN hook.id IS NULL THEN 'trigger' END, 'test', CASE WHEN hook.id IS NULL THEN 'info' END,
          CASE WHEN hook.id IS NULL THEN 'test' ELSE 'webhook.test' END,
          'This is a test of ' || coalesce('the route ' || route.name, 'the webhook ' || hook.id),
          CASE WHEN hook.id IS NULL THEN '{}' ELSE jsonb_build_object('tenant', hook.tenant_id) END, true, session_user)
  RETURNING * INTO made;
  PERFORM wf.queue_deliveries();
  PERFORM wf.append_audit('wf.deliveries', 'deliveries', 'insert', ARRAY[made.id::text], ARRAY[made.tenant_id::text],
                          ARRAY[NULL::jsonb], ARRAY[wf.delivery_image(made)], '{}');
  RETURN made.id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.lock_delivery, wf.replay_delivery, wf.test_endpoint TO wf_operator;

CREATE VIEW wf.delivery_list AS
SELECT d.id, d.key AS message, d.route_id, r.name AS route, d.webhook_id, w.label AS webhook_label,
       coalesce(r.channel, 'webhook') AS channel, coalesce(r.target, w.target) AS target, d.group_key, d.number, d.tenant_id,
       d.person, d.level,
       d.action, d.reason, CASE d.reason WHEN 'escalated' THEN left(d.notice #>> '{details,escalated_by}', 63) END AS escalated_by,
       d.severity, d.event_type, d.summary, d.test, d.state, d.attempts, d.tries, d.replays,
       CASE d.state WHEN 'waiting' THEN d.next_at END AS next_at, d.code,
       CASE WHEN (SELECT wf.sees_personal()) THEN d.words ELSE wf.without_mail(d.words) END AS words, d.created_at, d.created_by, d.ended_at,
       d.version, d.search, c.target AS contact,
       ARRAY(SELECT a.alert_id FROM wf.delivery_alerts a WHERE a.delivery_id = d.id AND NOT a.resolved
             ORDER BY 1 LIMIT 100) AS alerts,
       ARRAY(SELECT a.alert_id FROM wf.delivery_alerts a WHERE a.delivery_id = d.id AND a.resolved ORDER BY 1 LIMIT 100) AS resolved
FROM wf.deliveries d LEFT JOIN wf.routes r ON r.id = d.route_id LEFT JOIN wf.webhooks w ON w.id = d.webhook_id
  LEFT JOIN wf.contacts c ON c.id = d.contact_id;
-- What an endpoint answered may name a person, as an error may.
CREATE VIEW wf.delivery_attempt_list AS
SELECT a.delivery_id, a.attempt, a.worker_id, a.started_at, a.ended_at, a.outcome, a.code,
       CASE WHEN (SELECT wf.sees_personal()) THEN a.words ELSE wf.without_mail(a.words) END AS words,
       CASE WHEN (SELECT wf.sees_personal()) THEN a.answer ELSE wf.without_mail(a.answer) END AS answer, a.seconds
FROM wf.delivery_attempts a;
GRANT SELECT ON wf.delivery_list, wf.delivery_alerts, wf.delivery_attempt_list TO wf_viewer;

-- Delete deliveries and tenants' events older than 400 days, and groups that have been over for as long, in bounded bites.
CREATE OR REPLACE FUNCTION wf.prune_deliveries() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  DELETE FROM wf.deliveries d WHERE d.id IN (
    SELECT o.id FROM wf.deliveries o WHERE o.created_at < now() - interval '400 days' ORDER BY o.created_at LIMIT 5000
    FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS pruned = ROW_COUNT;
  DELETE FROM wf.tenant_events v WHERE v.n IN (
    SELECT o.n FROM wf.tenant_events o WHERE o.at < now() - interval '400 days' ORDER BY o.at LIMIT 5000
    FOR UPDATE SKIP LOCKED);
  DELETE FROM wf.route_groups g WHERE g.key IN (
    SELECT o.key FROM wf.route_groups o WHERE NOT o.open AND o.decided_at < now() - interval '400 days'
    ORDER BY o.decided_at LIMIT 5000 FOR UPDATE SKIP LOCKED);
  RETURN pruned;
END
$$;
GRANT EXECUTE ON FUNCTION wf.prune_deliveries TO wf_worker;
