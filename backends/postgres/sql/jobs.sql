INSERT INTO wf.operations (name, role) VALUES
  ('jobs.cancel', 'operator'), ('jobs.replay', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('jobs.cancel', 'wf.jobs', 'update', '{state,ended_at}', NULL, '{"state": "canceled"}', false),
  ('jobs.replay', 'wf.jobs', 'update', '{state,ended_at,tries,run_at}', NULL, '{"state": "waiting"}', false);

CREATE OR REPLACE FUNCTION wf.worker_lease() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT interval '15 seconds';
END;
GRANT SELECT ON wf.job_schedules TO wf_viewer, wf_worker;

-- A payload may hold personal data: among people, only operators and above read it. An error may name a person: the lists
-- mask its addresses for those who may not read them.
GRANT SELECT (id, kind, tenant_id, lane, schedule, cost, state, run_at, attempts, tries, max_tries, worker_id, lease,
              started_at, ended_at, created_at) ON wf.jobs TO wf_viewer;

CREATE VIEW wf.job_payloads AS SELECT j.id, j.payload FROM wf.jobs j WHERE (SELECT wf.in_time('operator'));
GRANT SELECT ON wf.job_payloads TO wf_operator, wf_worker;
GRANT SELECT ON wf.jobs TO wf_worker;

-- A tenant's weight by its plan; 1 where the plan says none, or an unusable one.
CREATE OR REPLACE FUNCTION wf.job_weight(tenant text) RETURNS double precision LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT coalesce((SELECT least(e.value::text::numeric, 1000)::float8 FROM wf.entitlement_claims(tenant, now(), 'weight') e
                   WHERE e.place = 1 AND wf.entitlement_kind(e.value) = 'integer' AND e.value::text <> '-1'), 1)
$$;

-- Full jitter below a cap: 2 s, 4 s, 8 s … 10 min, times a random number in [0, 1). The domain has the same rule; a
-- test compares the two.
CREATE OR REPLACE FUNCTION wf.job_backoff(tries integer, jitter double precision) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT jitter * least(600, 2.0 ^ least(greatest(tries, 1), 20)) * interval '1 second';
END;

-- These lanes will have a due job at these times. The lanes stay locked until this transaction ends, so a claim that
-- cannot see the job yet skips them and does not put them to sleep.
CREATE OR REPLACE FUNCTION wf.wake_lanes(lanes text[], at timestamptz[]) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.job_lanes (lane, tenant_id, weight)
  SELECT DISTINCT n, nullif(n, ''), CASE n WHEN '' THEN 1 ELSE wf.job_weight(n) END FROM unnest(lanes) n
  WHERE NOT EXISTS (SELECT FROM wf.job_lanes l WHERE l.lane = n) ORDER BY n
  ON CONFLICT DO NOTHING;
  PERFORM FROM wf.job_lanes l WHERE l.lane = ANY (lanes) ORDER BY l.lane FOR KEY SHARE;
  UPDATE wf.job_lanes l SET wake_at = least(l.wake_at, u.at)
  FROM (SELECT n, min(a) AS at FROM unnest(lanes, wake_lanes.at) AS given(n, a) GROUP BY n ORDER BY n) u
  WHERE l.lane = u.n AND NOT l.ready AND (l.wake_at IS NULL OR l.wake_at > u.at);
END
$$;

CREATE OR REPLACE FUNCTION wf.wake_workers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  n record;
BEGIN
  IF EXISTS (SELECT FROM new_rows WHERE kind !~ '^[a-z][a-z0-9_.-]{0,63}$') THEN
    RAISE EXCEPTION 'a kind of jobs is small letters, digits, ''.'', ''_'' and ''-'', at most 64'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'job_kind';
  END IF;
  IF EXISTS (SELECT FROM new_rows WHERE jsonb_typeof(payload) <> 'object' OR octet_length(payload::text) > 65536) THEN
    RAISE EXCEPTION 'a payload is an object of at most 65536 bytes'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'job_payload';
  END IF;
  SELECT array_agg(lane) AS lanes, array_agg(at) AS at INTO n
  FROM (SELECT lane, min(run_at) AS at FROM new_rows WHERE state = 'waiting' GROUP BY lane) x;
  IF n.lanes IS NOT NULL THEN
    PERFORM wf.wake_lanes(n.lanes, n.at);
    PERFORM pg_notify('wf_jobs', '');  -- a hint: workers look every second anyway
  END IF;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER wake_workers AFTER INSERT ON wf.jobs REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.wake_workers();

CREATE OR REPLACE FUNCTION wf.queue_job(
  kind text, tenant text DEFAULT NULL, payload jsonb DEFAULT '{}', run_at timestamptz DEFAULT NULL, cost real DEFAULT 1,
  max_tries integer DEFAULT 5
) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.jobs (kind, tenant_id, payload, run_at, cost, max_tries)
  VALUES ($1, $2, $3, coalesce($4, clock_timestamp()), $5, $6) RETURNING id
$$;

-- Workers
CREATE OR REPLACE FUNCTION wf.start_worker(name text, host text, pid integer, version text, kinds text[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.workers (name, host, pid, version, kinds, lease_until)
  VALUES ($1, $2, $3, $4, $5, clock_timestamp() + wf.worker_lease()) RETURNING id
$$;

-- A worker's heartbeat. False: the worker was given up, others have its jobs, and it must register again.
CREATE OR REPLACE FUNCTION wf.beat(worker bigint) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  UPDATE wf.workers w
  SET per_minute = CASE WHEN moment > w.seen_at
                        THEN (w.done + w.failed - w.counted) * 60 / extract(epoch FROM moment - w.seen_at) END,
      counted = w.done + w.failed, seen_at = moment, lease_until = moment + wf.worker_lease()
  WHERE w.id = worker AND w.ended_at IS NULL AND w.login = session_user;
  RETURN FOUND;
END
$$;

-- Finish the jobs that a worker reports as done, as far as it still holds them by these claims; returns those.
CREATE OR REPLACE FUNCTION wf.settle_done(worker bigint, ids bigint[], leases bigint[]) RETURNS bigint[] LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  settled bigint[];
BEGIN
  WITH written AS (
    UPDATE wf.jobs j SET state = 'done', error = NULL, ended_at = clock_timestamp()
    -- A job with a lease and no end is running. Written this way, without a join, only these rows are read.
    WHERE j.id = ANY (ids) AND j.lease = leases[array_position(ids, j.id)] AND j.worker_id = settle_done.worker
      AND j.ended_at IS NULL
    RETURNING j.id
  )
  SELECT coalesce(array_agg(w.id), '{}') INTO settled FROM written w;
  UPDATE wf.workers w SET done = done + cardinality(settled) WHERE w.id = worker AND settled <> '{}';
  RETURN settled;
END
$$;

-- End attempts in any other way, only for jobs that are still held by these claims. (A job that somebody is writing is
-- skipped: if it is lost, the next look finds it.)
CREATE OR REPLACE FUNCTION wf.settle_jobs(
  worker bigint, ids bigint[], leases bigint[], outcome text, error text, give_up boolean, delay interval
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  moment  timestamptz := clock_timestamp();
  settled bigint[];
  lanes   text[];
  at      timestamptz[];
BEGIN
  WITH mine AS (
    SELECT j.id, j.worker_id AS had_it,
           CASE WHEN outcome <> 'released' AND (give_up OR j.tries >= j.max_tries) THEN 'dead' ELSE 'waiting' END AS becomes
    FROM wf.jobs j
    WHERE j.id = ANY (ids) AND j.lease = leases[array_position(ids, j.id)] AND j.worker_id = settle_jobs.worker
      AND j.ended_at IS NULL
    FOR UPDATE OF j SKIP LOCKED
  ), written AS (
    UPDATE wf.jobs j
    SET state = m.becomes, worker_id = NULL, lease = NULL, error = settle_jobs.error,
        ended_at = CASE m.becomes WHEN 'dead' THEN moment END,
        tries = CASE WHEN outcome = 'released' THEN greatest(j.tries - 1, 0) ELSE j.tries END,
        run_at = CASE WHEN m.becomes = 'waiting' THEN moment + coalesce(delay, wf.job_backoff(j.tries, random()))
                      ELSE j.run_at END
    FROM mine m WHERE j.id = m.id AND j.id = ANY (ids)
    RETURNING j.id, j.attempts, j.tenant_id, j.lane, j.state, j.run_at, j.started_at, m.had_it
  ), kept AS (
    INSERT INTO wf.job_attempts (job_id, attempt, tenant_id, worker_id, started_at, ended_at, outcome, error)
    SELECT w.id, w.attempts, w.tenant_id, w.had_it, w.started_at, moment, settle_jobs.outcome, settle_jobs.error
    FROM written w
  )
  SELECT array_agg(w.id), array_agg(w.lane) FILTER (WHERE w.state = 'waiting'),
         array_agg(w.run_at) FILTER (WHERE w.state = 'waiting')
  INTO settled, lanes, at FROM written w;
  IF lanes IS NOT NULL THEN
    PERFORM wf.wake_lanes(lanes, at);
  END IF;
  UPDATE wf.workers w SET failed = failed + cardinality(settled) WHERE w.id = worker AND outcome <> 'released' AND settled <> '{}';
  RETURN coalesce(settled, '{}');
END
$$;

-- What a worker reports about its jobs. Each function returns the jobs that it still held; the others it has lost.
CREATE OR REPLACE FUNCTION wf.is_mine(worker bigint) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM wf.workers w WHERE w.id = worker AND w.ended_at IS NULL AND w.login = session_user)
$$;

CREATE OR REPLACE FUNCTION wf.finish_jobs(worker bigint, ids bigint[], leases bigint[]) RETURNS bigint[] LANGUAGE sql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN wf.is_mine($1) THEN wf.settle_done($1, $2, $3) ELSE '{}' END
$$;

CREATE OR REPLACE FUNCTION wf.fail_job(worker bigint, id bigint, lease bigint, error text, give_up boolean) RETURNS bigint[]
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN wf.is_mine($1)
              THEN wf.settle_jobs($1, ARRAY[$2], ARRAY[$3], 'failed', left($4, 2000), $5, NULL) ELSE '{}' END
$$;

-- Given back without fault: it does not count as a try.
CREATE OR REPLACE FUNCTION wf.release_jobs(worker bigint, ids bigint[], leases bigint[], error text, delay interval)
RETURNS bigint[] LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN wf.is_mine($1) THEN wf.settle_jobs($1, $2, $3, 'released', left($4, 2000), false, $5) ELSE '{}' END
$$;

CREATE OR REPLACE FUNCTION wf.stop_worker(worker bigint) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF wf.is_mine(worker) THEN
    PERFORM wf.settle_jobs(worker, array_agg(j.id), array_agg(j.lease), 'released', 'its worker was stopped', false, '0')
    FROM wf.jobs j WHERE j.worker_id = worker AND j.state = 'running' HAVING count(*) > 0;
    UPDATE wf.workers w SET ended = 'stopped', ended_at = clock_timestamp(), per_minute = NULL WHERE w.id = worker;
  END IF;
END
$$;

-- Once a second, by whichever worker comes first: give up workers whose heartbeats stopped, take their jobs back, and
-- queue what is due. It is not a job: lost with its worker, it could not take itself back.
CREATE OR REPLACE FUNCTION wf.tick_jobs() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  due    text[];
BEGIN
  IF NOT wf.try_lock('tick_jobs') THEN
    RETURN;
  END IF;
  -- A lease or date further ahead than any that is ever given is from before the clock was put back.
  UPDATE wf.workers w SET ended = 'gone', ended_at = moment, per_minute = NULL
  WHERE w.id IN (SELECT g.id FROM wf.workers g WHERE g.ended_at IS NULL
                   AND (g.lease_until < moment OR g.lease_until > moment + 2 * wf.worker_lease())
                 FOR UPDATE SKIP LOCKED);
  PERFORM wf.settle_jobs(w.id, array_agg(j.id), array_agg(j.lease), 'lost',
                         'its worker ' || w.name || ' was lost: no heartbeat', false, NULL)
  FROM wf.jobs j JOIN wf.workers w ON w.id = j.worker_id AND w.ended_at IS NOT NULL
  WHERE j.state = 'running' GROUP BY w.id, w.name;

  due := ARRAY(
    SELECT s.name FROM wf.job_schedules s
    WHERE (s.next_at <= moment OR s.next_at > moment + s.every)
      AND EXISTS (SELECT FROM wf.workers w WHERE w.ended_at IS NULL AND s.name = ANY (w.kinds))
      AND NOT EXISTS (SELECT FROM wf.jobs j WHERE j.schedule = s.name AND j.state IN ('waiting', 'running')));
  IF due <> '{}' THEN
    -- However many periods were missed, it runs once. The next job also settles a dead one before it.
    UPDATE wf.jobs SET state = 'canceled', ended_at = moment WHERE schedule = ANY (due) AND state = 'dead';
    INSERT INTO wf.jobs (kind, schedule) SELECT n, n FROM unnest(due) n ON CONFLICT DO NOTHING;
    UPDATE wf.job_schedules s SET next_at = date_bin(s.every, moment, '2000-01-01') + s.every WHERE s.name = ANY (due);
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION wf.put_schedules(names text[], every interval[]) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.job_schedules AS s (name, every) SELECT * FROM unnest($1, $2) ORDER BY 1
  ON CONFLICT (name) DO UPDATE SET every = excluded.every WHERE s.every <> excluded.every
$$;

-- Finish what is done, and claim up to `most` jobs in fair order. One claim runs at a time, for some milliseconds, and
-- none waits for another transaction. The result is small, so that a client that does not read it holds nobody up.
-- `told`: whether there is a payload to read.
CREATE OR REPLACE FUNCTION wf.claim_jobs(worker bigint, most integer, done bigint[], done_leases bigint[])
RETURNS TABLE (id bigint, kind text, tenant_id text, attempt integer, lease bigint, told boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp
-- Planning takes as long as running, so the plan is kept; but a plan made while the table was small must not read all
-- of it when it is large.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz;
  least_v double precision;
  token  bigint;
  chosen record;
  empty  text[];
BEGIN
  IF NOT wf.is_mine(worker) THEN
    RAISE EXCEPTION 'worker % was given up', worker USING ERRCODE = 'check_violation', CONSTRAINT = 'worker_gone';
  END IF;
  IF done <> '{}' THEN
    PERFORM wf.settle_done(worker, done, done_leases);
  END IF;
  IF most < 1 THEN
    RETURN;
  END IF;
  PERFORM wf.take_lock('claim_jobs');
  moment := clock_timestamp();
  -- A lane that was idle comes back at the least virtual time of the others.
  least_v := coalesce((SELECT min(l.v) FROM wf.job_lanes l WHERE l.ready), (SELECT c.v FROM wf.job_clock c));
  WITH due AS (
    SELECT l.lane FROM wf.job_lanes l WHERE NOT l.ready AND l.wake_at <= moment
    ORDER BY l.wake_at LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
  )
  UPDATE wf.job_lanes l SET ready = true, wake_at = NULL, v = greatest(l.v, least_v) FROM due WHERE l.lane = due.lane;

  SELECT array_agg(l.lane) AS lanes, array_agg(l.v) AS v, array_agg(l.weight) AS weight, sum(l.weight) AS weights
  INTO chosen FROM (SELECT l.lane, l.v, l.weight FROM wf.job_lanes l WHERE l.ready
                    ORDER BY l.v, l.lane LIMIT most FOR NO KEY UPDATE SKIP LOCKED) l;
  IF chosen.lanes IS NULL THEN
    RETURN;
  END IF;
  token := nextval('wf.job_leases');
  RETURN QUERY
  WITH candidates AS MATERIALIZED (
    -- Each lane offers at most twice its share of the claim, so a claim reads and locks about twice `most` rows.
    SELECT j.id, l.lane, l.v + (sum(j.cost) OVER w - j.cost) / l.weight AS began, l.v + sum(j.cost) OVER w / l.weight AS ends
    FROM unnest(chosen.lanes, chosen.v, chosen.weight) AS l(lane, v, weight)
    CROSS JOIN LATERAL (
      SELECT q.id, q.cost::float8 AS cost, q.run_at FROM wf.jobs q
      WHERE q.lane = l.lane AND q.state = 'waiting' AND q.run_at <= moment ORDER BY q.run_at, q.id
      LIMIT least(most, ceil(2 * most * l.weight / chosen.weights)) FOR UPDATE SKIP LOCKED
    ) j
    WINDOW w AS (PARTITION BY l.lane ORDER BY j.run_at, j.id ROWS UNBOUNDED PRECEDING)
  ), picked AS MATERIALIZED (
    SELECT c.* FROM candidates c ORDER BY c.began, c.lane, c.id LIMIT most
  ), served AS (
    UPDATE wf.job_lanes l SET v = p.ends FROM (SELECT lane, max(ends) AS ends FROM picked GROUP BY lane) p WHERE l.lane = p.lane
  ), ticked AS (
    UPDATE wf.job_clock c SET v = greatest(c.v, p.began) FROM (SELECT max(began) AS began FROM picked) p WHERE p.began IS NOT NULL
  )
  UPDATE wf.jobs j
  SET state = 'running', worker_id = claim_jobs.worker, lease = token, started_at = moment, attempts = j.attempts + 1,
      tries = j.tries + 1
  WHERE j.id = ANY (ARRAY(SELECT p.id FROM picked p))
  RETURNING j.id, j.kind::text, j.tenant_id, j.attempts, token, j.payload <> '{}';

  -- Put lanes without a due job to sleep, except those into which somebody is putting one. Locking and looking are two
  -- statements: only after locking a lane does the look see all its jobs. (A subquery other than EXISTS looks once per
  -- lane, by the index, whatever the planner believes about the table.)
  empty := ARRAY(
    SELECT l FROM unnest(chosen.lanes) l
    WHERE coalesce((SELECT j.run_at FROM wf.jobs j WHERE j.lane = l AND j.state = 'waiting' ORDER BY j.run_at, j.id LIMIT 1),
                   'infinity'::timestamptz) > moment);
  IF empty <> '{}' THEN
    empty := ARRAY(SELECT l.lane FROM wf.job_lanes l WHERE l.lane = ANY (empty) FOR UPDATE SKIP LOCKED);
    UPDATE wf.job_lanes l SET ready = false, wake_at = n.at
    FROM (SELECT e AS lane, (SELECT j.run_at FROM wf.jobs j WHERE j.lane = e AND j.state = 'waiting'
                             ORDER BY j.run_at, j.id LIMIT 1) AS at FROM unnest(empty) e) n
    WHERE l.lane = n.lane AND coalesce(n.at, 'infinity'::timestamptz) > moment;
  END IF;
END
$$;
GRANT EXECUTE ON FUNCTION wf.queue_job, wf.start_worker, wf.beat, wf.finish_jobs, wf.fail_job, wf.release_jobs,
  wf.stop_worker, wf.tick_jobs, wf.put_schedules, wf.claim_jobs TO wf_worker;

-- What people do to jobs. The table has no audit trigger (workers change it thousands of times a second), so these
-- functions write to the trail themselves.
CREATE OR REPLACE FUNCTION wf.change_job(job bigint, becomes text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was wf.jobs;
BEGIN
  SELECT * INTO was FROM wf.jobs WHERE id = job FOR UPDATE;
  IF (becomes = 'waiting' AND was.state IN ('dead', 'canceled') OR becomes = 'canceled' AND was.state = 'waiting')
     IS NOT TRUE THEN
    RAISE EXCEPTION 'job %: % to % is refused', job, was.state, becomes
      USING ERRCODE = 'check_violation', CONSTRAINT = 'job_transition';
  END IF;
  RETURN wf.move_jobs(ARRAY[job], becomes, NULL);
END
$$;

-- Do it to jobs that are locked and allow it, and write it to the trail. `changes`: the change of each; NULL: the open one
-- (wf.append_audit_of). Returns the last row of the trail.
CREATE OR REPLACE FUNCTION wf.move_jobs(jobs bigint[], becomes text, changes bigint[]) RETURNS bigint LANGUAGE plpgsql
SET search_path = wf, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  moved record;
BEGIN
  WITH old AS MATERIALIZED (
    SELECT j.id, to_jsonb(j) - ARRAY['payload', 'lane', 'error'] AS image FROM wf.jobs j WHERE j.id = ANY (jobs)
  ), made AS (
    UPDATE wf.jobs j
    SET state = becomes, ended_at = CASE becomes WHEN 'canceled' THEN clock_timestamp() END,
        tries = CASE becomes WHEN 'waiting' THEN 0 ELSE tries END,
        run_at = CASE becomes WHEN 'waiting' THEN clock_timestamp() ELSE run_at END
    WHERE j.id = ANY (jobs)
    RETURNING j.id, j.tenant_id, j.lane, j.run_at, to_jsonb(j) - ARRAY['payload', 'lane', 'error'] AS image
  )
  SELECT array_agg(m.id::text ORDER BY u.place) AS things, array_agg(m.tenant_id ORDER BY u.place) AS tenants,
         array_agg(m.lane) AS lanes, array_agg(m.run_at) AS at,
         array_agg(o.image ORDER BY u.place) AS befores, array_agg(m.image ORDER BY u.place) AS afters INTO moved
  FROM unnest(jobs) WITH ORDINALITY u(id, place) JOIN old o USING (id) JOIN made m USING (id);
  IF becomes = 'waiting' THEN
    PERFORM wf.wake_lanes(moved.lanes, moved.at);
    PERFORM pg_notify('wf_jobs', '');
  END IF;
  RETURN wf.append_audit_of(changes, 'wf.jobs', 'jobs', 'update', moved.things, moved.tenants, moved.befores, moved.afters, '{}');
END
$$;

CREATE OR REPLACE FUNCTION wf.replay_job(job bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.change_job($1, 'waiting')
$$;

CREATE OR REPLACE FUNCTION wf.cancel_job(job bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.change_job($1, 'canceled')
$$;
GRANT EXECUTE ON FUNCTION wf.replay_job, wf.cancel_job TO wf_operator;

-- What people read.
CREATE VIEW wf.worker_list AS
SELECT w.id, w.name, w.host, w.pid, w.version, w.login, w.started_at, w.seen_at, w.ended_at, w.done, w.failed,
       CASE WHEN w.ended = 'stopped' THEN 'stopped'
            WHEN w.ended = 'gone' OR w.lease_until < statement_timestamp() THEN 'gone'
            WHEN w.seen_at < statement_timestamp() - interval '10 seconds' THEN 'late' ELSE 'alive' END AS state,
       CASE WHEN w.seen_at >= statement_timestamp() - interval '10 seconds' THEN w.per_minute END AS per_minute,
       (SELECT count(*) FROM wf.jobs j WHERE j.worker_id = w.id AND j.state = 'running') AS running,
       wf.folded(w.name || E'\n' || w.host || E'\n' || w.login) AS search
FROM wf.workers w;

CREATE VIEW wf.job_list AS
SELECT j.id, j.kind, j.tenant_id, j.schedule, j.cost, j.state, j.run_at, j.attempts, j.tries, j.max_tries, j.started_at,
       j.ended_at, CASE WHEN (SELECT wf.sees_personal()) THEN j.error ELSE wf.without_mail(j.error) END AS error,
       j.created_at, w.name AS worker,
       -- Without addresses, or a search would find out whether one is in it.
       wf.folded(j.id || E'\n' || j.kind || E'\n' || coalesce(j.tenant_id, '') || E'\n'
                 || regexp_replace(coalesce(j.error, ''), '[^\s@]+@[^\s@]+', '', 'g')) AS search
FROM wf.jobs j LEFT JOIN wf.workers w ON w.id = j.worker_id;

CREATE VIEW wf.job_attempt_list AS
SELECT a.job_id, a.attempt, coalesce(w.name, 'worker ' || a.worker_id) AS worker, a.started_at, a.ended_at, a.outcome,
       CASE WHEN (SELECT wf.sees_personal()) THEN a.error ELSE wf.without_mail(a.error) END AS error
FROM wf.job_attempts a LEFT JOIN wf.workers w ON w.id = a.worker_id
UNION ALL
SELECT j.id, j.attempts, coalesce(w.name, 'worker ' || j.worker_id), j.started_at, j.ended_at, 'done', NULL
FROM wf.jobs j LEFT JOIN wf.workers w ON w.id = j.worker_id WHERE j.state = 'done';

GRANT SELECT ON wf.worker_list, wf.job_list, wf.job_attempt_list TO wf_viewer;
GRANT SELECT ON wf.worker_list TO wf_worker;  -- for gates that it runs by a schedule

-- Keep done and canceled jobs for a day, and workers that ended for a week; dead jobs stay until somebody replays them.
CREATE OR REPLACE FUNCTION wf.prune_jobs() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  old bigint[] := ARRAY(
    SELECT j.id FROM wf.jobs j WHERE j.state IN ('done', 'canceled') AND j.ended_at < now() - interval '1 day'
    ORDER BY j.id LIMIT 20000 FOR UPDATE SKIP LOCKED);
BEGIN
  DELETE FROM wf.job_attempts WHERE job_id = ANY (old);
  DELETE FROM wf.jobs WHERE id = ANY (old);
  DELETE FROM wf.workers w WHERE w.ended_at < now() - interval '7 days'
    AND NOT EXISTS (SELECT FROM wf.jobs j WHERE j.worker_id = w.id AND j.state = 'running');
  RETURN cardinality(old);
END
$$;
GRANT EXECUTE ON FUNCTION wf.prune_jobs TO wf_worker;

-- A changed plan must also change the weight of a lane that never sleeps.
CREATE OR REPLACE FUNCTION wf.refresh_job_weights() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  changed bigint;
BEGIN
  UPDATE wf.job_lanes l SET weight = w.weight
  FROM (SELECT i.lane, wf.job_weight(i.tenant_id) AS weight FROM wf.job_lanes i
        WHERE i.tenant_id IS NOT NULL AND (i.ready OR i.wake_at IS NOT NULL)) w
  WHERE l.lane = w.lane AND l.weight <> w.weight;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;
GRANT EXECUTE ON FUNCTION wf.refresh_job_weights TO wf_worker;

-- The kind never changes after that.
CREATE OR REPLACE FUNCTION wf.keep_job_kind() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'a job keeps its kind' USING ERRCODE = 'check_violation', CONSTRAINT = 'job_kind';
END
$$;

CREATE OR REPLACE TRIGGER keep_kind BEFORE UPDATE OF kind ON wf.jobs FOR EACH STATEMENT EXECUTE FUNCTION wf.keep_job_kind();
