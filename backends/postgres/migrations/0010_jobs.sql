-- Jobs: what is done in the background, by any number of workers (`watchfloor work`). Why a table of our own, and what
-- it is measured against: docs/jobs.md.
--
-- A worker holds its jobs as long as its heart beats (wf.workers.lease_until); every claim has a number of its own, and
-- whatever a worker writes about a job is fenced by it. The server's clock is the only clock.

CREATE TABLE wf.workers (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        text NOT NULL CONSTRAINT worker_name CHECK (char_length(name) BETWEEN 1 AND 200),
  host        text NOT NULL CONSTRAINT worker_host CHECK (char_length(host) <= 200),
  pid         integer NOT NULL,
  version     text NOT NULL CONSTRAINT worker_version CHECK (char_length(version) <= 100),
  kinds       text[] NOT NULL,   -- the jobs that it can do
  login       text NOT NULL DEFAULT session_user,
  started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  lease_until timestamptz NOT NULL,
  ended_at    timestamptz,       -- from then on it may write nothing more
  ended       text CHECK (ended IN ('stopped', 'gone')),
  done        bigint NOT NULL DEFAULT 0,
  failed      bigint NOT NULL DEFAULT 0,
  counted     bigint NOT NULL DEFAULT 0,  -- both at the last beat
  per_minute  real,              -- between the last two beats; NULL: not known yet
  CONSTRAINT worker_marks CHECK ((ended IS NULL) = (ended_at IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX workers_alive ON wf.workers (id) WHERE ended_at IS NULL;

CREATE FUNCTION wf.worker_lease() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT interval '15 seconds' $$;

CREATE TABLE wf.job_schedules (
  name    text PRIMARY KEY,  -- the kind of its jobs
  every   interval NOT NULL CHECK (every >= interval '1 second'),
  next_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT ON wf.job_schedules TO wf_viewer, wf_worker;

CREATE TABLE wf.jobs (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL CONSTRAINT job_kind CHECK (kind ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  tenant_id  text COLLATE "C" REFERENCES wf.tenants,  -- NULL: of no tenant
  lane       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(tenant_id, '')) STORED,
  schedule   text REFERENCES wf.job_schedules,        -- NULL: it was queued by itself
  payload    jsonb NOT NULL DEFAULT '{}'
             CONSTRAINT job_payload CHECK (jsonb_typeof(payload) = 'object' AND octet_length(payload::text) <= 65536),
  cost       real NOT NULL DEFAULT 1 CONSTRAINT job_cost CHECK (cost > 0 AND cost <= 1000),
  state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'dead', 'canceled')),
  run_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts   integer NOT NULL DEFAULT 0,  -- all there were
  tries      integer NOT NULL DEFAULT 0,  -- those that count: since it was queued or replayed
  max_tries  integer NOT NULL DEFAULT 5 CONSTRAINT job_max_tries CHECK (max_tries BETWEEN 1 AND 100),
  worker_id  bigint,  -- who has it now
  lease      bigint,  -- and by which claim
  started_at timestamptz,
  ended_at   timestamptz,
  error      text CONSTRAINT job_error CHECK (char_length(error) <= 2000),  -- of the last attempt
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT job_marks CHECK ((state = 'running') = (worker_id IS NOT NULL) AND (worker_id IS NULL) = (lease IS NULL)
                              AND (state IN ('done', 'dead', 'canceled')) = (ended_at IS NOT NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX jobs_waiting ON wf.jobs (lane, run_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_running ON wf.jobs (worker_id) WHERE state = 'running';
CREATE INDEX jobs_dead ON wf.jobs (id) WHERE state = 'dead';
CREATE INDEX jobs_of_tenant ON wf.jobs (tenant_id, id) WHERE tenant_id IS NOT NULL;
CREATE INDEX jobs_over ON wf.jobs (ended_at) WHERE state IN ('done', 'canceled');
-- A schedule never has two at a time.
CREATE UNIQUE INDEX job_of_schedule ON wf.jobs (schedule) WHERE state IN ('waiting', 'running');
CREATE INDEX jobs_dead_of_schedule ON wf.jobs (schedule) WHERE state = 'dead' AND schedule IS NOT NULL;
-- What a job is told may be a person's: for those who help.
GRANT SELECT (id, kind, tenant_id, lane, schedule, cost, state, run_at, attempts, tries, max_tries, worker_id, lease,
              started_at, ended_at, error, created_at) ON wf.jobs TO wf_viewer;
GRANT SELECT (payload) ON wf.jobs TO wf_operator;
GRANT SELECT ON wf.jobs TO wf_worker;

-- Every attempt that ended. No foreign key: one is only written beside the job's own row.
CREATE TABLE wf.job_attempts (
  job_id     bigint NOT NULL,
  attempt    integer NOT NULL,
  tenant_id  text COLLATE "C",
  worker_id  bigint NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at   timestamptz NOT NULL,
  outcome    text NOT NULL CHECK (outcome IN ('done', 'failed', 'lost', 'released')),
  error      text,
  PRIMARY KEY (job_id, attempt)
);
CREATE INDEX job_attempts_of_tenant ON wf.job_attempts (tenant_id) WHERE tenant_id IS NOT NULL;

-- One lane per tenant that ever had a job, and one ('') for jobs of no tenant. The lane with the least virtual time is
-- served next, and its time goes on by cost ÷ weight. Only claims change `v`, one at a time.
CREATE TABLE wf.job_lanes (
  lane      text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" REFERENCES wf.tenants,
  weight    double precision NOT NULL DEFAULT 1,
  v         double precision NOT NULL DEFAULT 0,
  ready     boolean NOT NULL DEFAULT false,  -- it may have a job that is due
  wake_at   timestamptz                      -- when it will, unless it is ready; NULL: it has none
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200);
CREATE INDEX job_lanes_ready ON wf.job_lanes (v, lane) WHERE ready;
CREATE INDEX job_lanes_asleep ON wf.job_lanes (wake_at) WHERE NOT ready;
CREATE INDEX job_lanes_of_tenant ON wf.job_lanes (tenant_id);

CREATE TABLE wf.job_clock (v double precision NOT NULL) WITH (fillfactor = 10);  -- the virtual time of the last claim
INSERT INTO wf.job_clock VALUES (0);
CREATE SEQUENCE wf.job_leases;
INSERT INTO wf.tenant_tables VALUES ('wf.job_attempts', 19), ('wf.jobs', 21), ('wf.job_lanes', 22);

-- What a tenant's plan says of its weight; 1 where nothing says any, or nonsense.
CREATE FUNCTION wf.job_weight(tenant text) RETURNS double precision LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT coalesce((SELECT least(e.value::text::numeric, 1000)::float8 FROM wf.entitlement_claims(tenant, now(), 'weight') e
                   WHERE e.place = 1 AND wf.entitlement_kind(e.value) = 'integer' AND e.value::text <> '-1'), 1)
$$;

-- Full jitter below a cap: 2 s, 4 s, 8 s … 10 min, times a random number in [0, 1). The heart says the same (a test
-- compares both).
CREATE FUNCTION wf.job_backoff(tries integer, jitter double precision) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT jitter * least(600, 2.0 ^ least(greatest(tries, 1), 20)) * interval '1 second'
$$;

-- These lanes will have a job that is due at these times. Until this transaction ends nobody lets them fall asleep:
-- a claim that cannot see the job yet skips a lane that is held here.
CREATE FUNCTION wf.wake_lanes(lanes text[], at timestamptz[]) RETURNS void LANGUAGE plpgsql
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

CREATE FUNCTION wf.wake_workers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  n record;
BEGIN
  SELECT array_agg(lane) AS lanes, array_agg(at) AS at INTO n
  FROM (SELECT lane, min(run_at) AS at FROM new_rows WHERE state = 'waiting' GROUP BY lane) x;
  IF n.lanes IS NOT NULL THEN
    PERFORM wf.wake_lanes(n.lanes, n.at);
    PERFORM pg_notify('wf_jobs', '');  -- a hint: workers look every second all the same
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER wake_workers AFTER INSERT ON wf.jobs REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.wake_workers();

CREATE FUNCTION wf.queue_job(
  kind text, tenant text DEFAULT NULL, payload jsonb DEFAULT '{}', run_at timestamptz DEFAULT NULL, cost real DEFAULT 1,
  max_tries integer DEFAULT 5
) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.jobs (kind, tenant_id, payload, run_at, cost, max_tries)
  VALUES ($1, $2, $3, coalesce($4, clock_timestamp()), $5, $6) RETURNING id
$$;

-- Workers

CREATE FUNCTION wf.start_worker(name text, host text, pid integer, version text, kinds text[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.workers (name, host, pid, version, kinds, lease_until)
  VALUES ($1, $2, $3, $4, $5, clock_timestamp() + wf.worker_lease()) RETURNING id
$$;

-- That it lives. False: it was given up, its jobs are with others, and it must begin anew.
CREATE FUNCTION wf.beat(worker bigint) RETURNS boolean LANGUAGE plpgsql
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

-- Settle attempts: of those that are still held by this claim, and of no others. All that ends an attempt comes here.
CREATE FUNCTION wf.settle_jobs(
  worker bigint, ids bigint[], leases bigint[], outcome text, error text, give_up boolean, delay interval
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment  timestamptz := clock_timestamp();
  settled bigint[];
  lanes   text[];
  at      timestamptz[];
BEGIN
  WITH mine AS (
    SELECT j.id, j.worker_id AS had_it,
           CASE WHEN outcome = 'done' THEN 'done'
                WHEN outcome <> 'released' AND (give_up OR j.tries >= j.max_tries) THEN 'dead' ELSE 'waiting' END AS becomes
    FROM unnest(ids, leases) AS u(id, lease)
    JOIN wf.jobs j ON j.id = u.id AND j.lease = u.lease AND j.worker_id = settle_jobs.worker AND j.state = 'running'
    FOR UPDATE OF j SKIP LOCKED
  ), written AS (
    UPDATE wf.jobs j
    SET state = m.becomes, worker_id = NULL, lease = NULL, error = settle_jobs.error,
        ended_at = CASE WHEN m.becomes <> 'waiting' THEN moment END,
        tries = CASE WHEN outcome = 'released' THEN greatest(j.tries - 1, 0) ELSE j.tries END,
        run_at = CASE WHEN m.becomes = 'waiting' THEN moment + coalesce(delay, wf.job_backoff(j.tries, random()))
                      ELSE j.run_at END
    FROM mine m WHERE j.id = m.id
    RETURNING j.id, j.attempts, j.tenant_id, j.lane, j.state, j.run_at, j.started_at, m.had_it
  ), kept AS (
    INSERT INTO wf.job_attempts (job_id, attempt, tenant_id, worker_id, started_at, ended_at, outcome, error)
    SELECT w.id, w.attempts, w.tenant_id, w.had_it, w.started_at, moment, settle_jobs.outcome, settle_jobs.error FROM written w
  )
  SELECT array_agg(w.id), array_agg(w.lane) FILTER (WHERE w.state = 'waiting'),
         array_agg(w.run_at) FILTER (WHERE w.state = 'waiting')
  INTO settled, lanes, at FROM written w;
  IF lanes IS NOT NULL THEN
    PERFORM wf.wake_lanes(lanes, at);
  END IF;
  UPDATE wf.workers w
  SET done = done + CASE WHEN outcome = 'done' THEN coalesce(cardinality(settled), 0) ELSE 0 END,
      failed = failed + CASE WHEN outcome IN ('failed', 'lost') THEN coalesce(cardinality(settled), 0) ELSE 0 END
  WHERE w.id = worker AND outcome <> 'released' AND settled IS NOT NULL;
  RETURN coalesce(settled, '{}');
END
$$;

-- What a worker says of its jobs; each returns the jobs of which it could. The others are not its own any more.
CREATE FUNCTION wf.is_mine(worker bigint) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM wf.workers w WHERE w.id = worker AND w.ended_at IS NULL AND w.login = session_user)
$$;
CREATE FUNCTION wf.finish_jobs(worker bigint, ids bigint[], leases bigint[]) RETURNS bigint[] LANGUAGE sql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN wf.is_mine($1) THEN wf.settle_jobs($1, $2, $3, 'done', NULL, false, NULL) ELSE '{}' END
$$;
CREATE FUNCTION wf.fail_job(worker bigint, id bigint, lease bigint, error text, give_up boolean) RETURNS bigint[]
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN wf.is_mine($1)
              THEN wf.settle_jobs($1, ARRAY[$2], ARRAY[$3], 'failed', left($4, 2000), $5, NULL) ELSE '{}' END
$$;
-- Given back unharmed: it counts as no try.
CREATE FUNCTION wf.release_jobs(worker bigint, ids bigint[], leases bigint[], error text, delay interval)
RETURNS bigint[] LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN wf.is_mine($1) THEN wf.settle_jobs($1, $2, $3, 'released', left($4, 2000), false, $5) ELSE '{}' END
$$;

CREATE FUNCTION wf.stop_worker(worker bigint) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF wf.is_mine(worker) THEN
    PERFORM wf.settle_jobs(worker, array_agg(j.id), array_agg(j.lease), 'released', 'its worker was stopped', false, '0')
    FROM wf.jobs j WHERE j.worker_id = worker AND j.state = 'running' HAVING count(*) > 0;
    UPDATE wf.workers w SET ended = 'stopped', ended_at = clock_timestamp(), per_minute = NULL WHERE w.id = worker;
  END IF;
END
$$;

-- Once a second, by whichever worker comes first: give up workers whose heart stopped, take their jobs back, and queue
-- what is due. Not a job itself: one that is lost with its worker could not be taken back by itself.
CREATE FUNCTION wf.tick_jobs() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  due    text[];
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('wf.tick_jobs', 0)) THEN
    RETURN;
  END IF;
  -- A lease or a date that lies further ahead than any is given was given before the clock was put back.
  UPDATE wf.workers w SET ended = 'gone', ended_at = moment, per_minute = NULL
  WHERE w.ended_at IS NULL AND (w.lease_until < moment OR w.lease_until > moment + 2 * wf.worker_lease());
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
    -- However many periods were missed, it runs once. A dead one of before is settled by the next.
    UPDATE wf.jobs SET state = 'canceled', ended_at = moment WHERE schedule = ANY (due) AND state = 'dead';
    INSERT INTO wf.jobs (kind, schedule) SELECT n, n FROM unnest(due) n ON CONFLICT DO NOTHING;
    UPDATE wf.job_schedules s SET next_at = date_bin(s.every, moment, '2000-01-01') + s.every WHERE s.name = ANY (due);
  END IF;
END
$$;

CREATE FUNCTION wf.put_schedules(names text[], every interval[]) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.job_schedules AS s (name, every) SELECT * FROM unnest($1, $2) ORDER BY 1
  ON CONFLICT (name) DO UPDATE SET every = excluded.every WHERE s.every <> excluded.every
$$;

-- Take up to `most` jobs, in fair order. One claim at a time, each some milliseconds, and none waits for a transaction
-- of anybody else. What is returned is small: a client that does not read it holds nobody up.
CREATE FUNCTION wf.claim_jobs(worker bigint, most integer)
RETURNS TABLE (id bigint, kind text, tenant_id text, attempt integer, lease bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz;
  least_v double precision;
  token  bigint;
  chosen record;
  empty  text[];
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('wf.claim_jobs', 0));
  moment := clock_timestamp();
  IF NOT wf.is_mine(worker) THEN
    RAISE EXCEPTION 'worker % was given up', worker USING ERRCODE = 'check_violation', CONSTRAINT = 'worker_gone';
  END IF;
  -- Who was idle comes back at the least virtual time of those who were not.
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
    -- Each lane offers at most twice its share of the claim, so a claim reads and locks some two times `most` rows.
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
  FROM picked p WHERE j.id = p.id
  RETURNING j.id, j.kind, j.tenant_id, j.attempts, token;

  -- Lanes without a job that is due fall asleep; but for those into which somebody is just putting one. To hold them
  -- and to look are two statements: only what was held before the look is sure to be seen. (A subquery that is no
  -- EXISTS looks once per lane, by the index, whatever the planner believes of the table.)
  empty := ARRAY(
    SELECT l FROM unnest(chosen.lanes) l
    WHERE coalesce((SELECT j.run_at FROM wf.jobs j WHERE j.lane = l AND j.state = 'waiting' ORDER BY j.run_at, j.id LIMIT 1),
                   'infinity') > moment);
  IF empty <> '{}' THEN
    empty := ARRAY(SELECT l.lane FROM wf.job_lanes l WHERE l.lane = ANY (empty) FOR UPDATE SKIP LOCKED);
    UPDATE wf.job_lanes l SET ready = false, wake_at = n.at
    FROM (SELECT e AS lane, (SELECT j.run_at FROM wf.jobs j WHERE j.lane = e AND j.state = 'waiting'
                             ORDER BY j.run_at, j.id LIMIT 1) AS at FROM unnest(empty) e) n
    WHERE l.lane = n.lane AND coalesce(n.at, 'infinity') > moment;
  END IF;
END
$$;

GRANT EXECUTE ON FUNCTION wf.queue_job, wf.start_worker, wf.beat, wf.finish_jobs, wf.fail_job, wf.release_jobs,
  wf.stop_worker, wf.tick_jobs, wf.put_schedules, wf.claim_jobs TO wf_worker;

-- What people do to jobs. The table's own changes are not in the trail (they are a worker's, thousands a second), so
-- these write there themselves.
CREATE FUNCTION wf.change_job(job bigint, becomes text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was wf.jobs;
  made wf.jobs;
BEGIN
  SELECT * INTO was FROM wf.jobs WHERE id = job FOR UPDATE;
  IF (becomes = 'waiting' AND was.state IN ('dead', 'canceled') OR becomes = 'canceled' AND was.state = 'waiting')
     IS NOT TRUE THEN
    RAISE EXCEPTION 'job %: % to % is refused', job, was.state, becomes
      USING ERRCODE = 'check_violation', CONSTRAINT = 'job_transition';
  END IF;
  UPDATE wf.jobs
  SET state = becomes, ended_at = CASE becomes WHEN 'canceled' THEN clock_timestamp() END,
      tries = CASE becomes WHEN 'waiting' THEN 0 ELSE tries END,
      run_at = CASE becomes WHEN 'waiting' THEN clock_timestamp() ELSE run_at END
  WHERE id = was.id RETURNING * INTO made;
  IF becomes = 'waiting' THEN
    PERFORM wf.wake_lanes(ARRAY[made.lane], ARRAY[made.run_at]);
    PERFORM pg_notify('wf_jobs', '');
  END IF;
  RETURN wf.append_audit('jobs', 'update', ARRAY[job::text], ARRAY[was.tenant_id],
                         ARRAY[to_jsonb(was) - ARRAY['payload', 'lane']], ARRAY[to_jsonb(made) - ARRAY['payload', 'lane']], '{}');
END
$$;
CREATE FUNCTION wf.replay_job(job bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.change_job($1, 'waiting')
$$;
CREATE FUNCTION wf.cancel_job(job bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.change_job($1, 'canceled')
$$;
GRANT EXECUTE ON FUNCTION wf.replay_job, wf.cancel_job TO wf_operator;

-- What people read.
CREATE VIEW wf.worker_list AS
SELECT w.id, w.name, w.host, w.pid, w.version, w.login, w.started_at, w.seen_at, w.ended_at, w.done, w.failed,
       CASE WHEN w.ended = 'stopped' THEN 'stopped'
            WHEN w.ended = 'gone' OR w.lease_until < clock_timestamp() THEN 'gone'
            WHEN w.seen_at < clock_timestamp() - interval '10 seconds' THEN 'late' ELSE 'alive' END AS state,
       CASE WHEN w.seen_at >= clock_timestamp() - interval '10 seconds' THEN w.per_minute END AS per_minute,
       (SELECT count(*) FROM wf.jobs j WHERE j.worker_id = w.id AND j.state = 'running') AS running,
       lower(w.name || E'\n' || w.host || E'\n' || w.login) AS search
FROM wf.workers w;

CREATE VIEW wf.job_list AS
SELECT j.id, j.kind, j.tenant_id, j.schedule, j.cost, j.state, j.run_at, j.attempts, j.tries, j.max_tries, j.started_at,
       j.ended_at, j.error, j.created_at, w.name AS worker,
       lower(j.id || E'\n' || j.kind || E'\n' || coalesce(j.tenant_id, '') || E'\n' || coalesce(j.error, '')) AS search
FROM wf.jobs j LEFT JOIN wf.workers w ON w.id = j.worker_id;

CREATE VIEW wf.job_attempt_list AS
SELECT a.job_id, a.attempt, coalesce(w.name, 'worker ' || a.worker_id) AS worker, a.started_at, a.ended_at, a.outcome, a.error
FROM wf.job_attempts a LEFT JOIN wf.workers w ON w.id = a.worker_id;
GRANT SELECT ON wf.worker_list, wf.job_list, wf.job_attempt_list TO wf_viewer;

-- What the periodic jobs do that no function did yet. Each takes a bounded bite: what is left is for the next time.

-- From the newest hour that there is: so after a worker was away nothing is missing.
CREATE FUNCTION wf.roll_up_new_hours() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.roll_up_hours(
    greatest(least((SELECT max(hour) FROM wf.request_hours), now()), now() - interval '31 days') - interval '2 minutes', now())
$$;

-- Done and canceled jobs for a day, workers that ended for a week; the dead stay until somebody replays them.
CREATE FUNCTION wf.prune_jobs() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  old bigint[] := ARRAY(
    SELECT j.id FROM wf.jobs j WHERE j.state IN ('done', 'canceled') AND j.ended_at < now() - interval '1 day'
    ORDER BY j.ended_at LIMIT 20000 FOR UPDATE SKIP LOCKED);
BEGIN
  DELETE FROM wf.job_attempts WHERE job_id = ANY (old);
  DELETE FROM wf.jobs WHERE id = ANY (old);
  DELETE FROM wf.workers w WHERE w.ended_at < now() - interval '7 days'
    AND NOT EXISTS (SELECT FROM wf.jobs j WHERE j.worker_id = w.id AND j.state = 'running');
  RETURN cardinality(old);
END
$$;

-- A plan that changed changes the weight of a lane that never falls asleep, too.
CREATE FUNCTION wf.refresh_job_weights() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
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

-- News older than an hour. The newest 1,000 stay whatever their age: wf_data.news answers with them to whoever is not
-- further behind than that, and tells all others to forget everything.
CREATE FUNCTION wf.prune_key_news() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  DELETE FROM wf.key_news n
  WHERE n.version <= (SELECT c.value FROM wf.counters c WHERE c.name = 'keys') - 1000 AND n.at < now() - interval '1 hour';
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;

CREATE FUNCTION wf.prune_sign_up_attempts() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  DELETE FROM wf.sign_up_attempts WHERE id IN (
    SELECT a.id FROM wf.sign_up_attempts a WHERE a.at <= now() - interval '1 hour' ORDER BY a.at LIMIT 20000
    FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;
GRANT EXECUTE ON FUNCTION wf.roll_up_new_hours, wf.prune_jobs, wf.refresh_job_weights, wf.prune_key_news,
  wf.prune_sign_up_attempts TO wf_worker;
