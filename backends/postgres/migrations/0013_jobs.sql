-- Jobs: background work, done by any number of workers (`watchfloor worker`). Why we have a table of our own, and what
-- it was measured against: docs/jobs.md.
--
-- A worker holds its jobs as long as its heartbeats come (wf.workers.lease_until). Every claim has a number of its own,
-- which fences whatever a worker writes about a job. The server's clock is the only clock.
CREATE TABLE wf.workers (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        text NOT NULL CONSTRAINT worker_name CHECK (char_length(name) BETWEEN 1 AND 200),
  host        text NOT NULL CONSTRAINT worker_host CHECK (char_length(host) <= 200),
  pid         integer NOT NULL,
  version     text NOT NULL CONSTRAINT worker_version CHECK (char_length(version) <= 100),
  kinds       wf.lines NOT NULL,   -- the jobs that it can do
  login       wf.line NOT NULL DEFAULT session_user,
  started_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  seen_at     wf.moment NOT NULL DEFAULT clock_timestamp(),
  lease_until wf.moment NOT NULL,
  ended_at    wf.moment,       -- from then on it may write nothing more
  ended       text CHECK (ended IN ('stopped', 'gone')),
  done        bigint NOT NULL DEFAULT 0,
  failed      bigint NOT NULL DEFAULT 0,
  counted     bigint NOT NULL DEFAULT 0,  -- both at the last heartbeat
  per_minute  real,              -- between the last two heartbeats; NULL: not known yet
  CONSTRAINT worker_marks CHECK ((ended IS NULL) = (ended_at IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX workers_alive ON wf.workers (id) WHERE ended_at IS NULL;

CREATE TABLE wf.job_schedules (
  name    wf.line PRIMARY KEY,  -- the kind of its jobs
  every   interval NOT NULL CHECK (every >= interval '1 second'),
  next_at wf.moment NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE wf.jobs (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       wf.line NOT NULL,  -- wf.wake_workers checks it and the payload once, at queueing; a CHECK would run at every write
  tenant_id  text COLLATE "C" REFERENCES wf.tenants,  -- NULL: it belongs to no tenant
  lane       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(tenant_id, '')) STORED,
  schedule   wf.line REFERENCES wf.job_schedules,        -- NULL: it was queued without a schedule
  payload    jsonb NOT NULL DEFAULT '{}',
  cost       real NOT NULL DEFAULT 1 CONSTRAINT job_cost CHECK (cost > 0 AND cost <= 1000),
  state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'dead', 'canceled')),
  run_at     wf.moment NOT NULL DEFAULT clock_timestamp(),
  attempts   integer NOT NULL DEFAULT 0,  -- all attempts
  tries      integer NOT NULL DEFAULT 0,  -- those that count: since it was queued or replayed
  max_tries  integer NOT NULL DEFAULT 5 CONSTRAINT job_max_tries CHECK (max_tries BETWEEN 1 AND 100),
  worker_id  bigint,  -- the worker that has it or did it
  lease      bigint,  -- the number of that claim
  started_at wf.moment,
  ended_at   wf.moment,
  error      text CONSTRAINT job_error CHECK (char_length(error) <= 2000),  -- of the last attempt
  created_at wf.moment NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT job_marks CHECK ((state IN ('running', 'done')) = (worker_id IS NOT NULL)
                              AND (worker_id IS NULL) = (lease IS NULL)
                              AND (state IN ('done', 'dead', 'canceled')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 50,  -- each job is updated twice soon after it is queued: this leaves room on its page
        autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX jobs_waiting ON wf.jobs (lane, run_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_running ON wf.jobs (worker_id) WHERE state = 'running';
CREATE INDEX jobs_dead ON wf.jobs (id) WHERE state = 'dead';
-- Only for dead jobs: there are never many others for long.
CREATE INDEX jobs_dead_search ON wf.jobs USING gin (wf.trigrams(wf.folded(
  id || E'\n' || kind || E'\n' || coalesce(tenant_id, '') || E'\n' || coalesce(error, '')))) WHERE state = 'dead';
CREATE INDEX jobs_dead_kind ON wf.jobs (wf.folded(kind), id) WHERE state = 'dead';
CREATE INDEX jobs_dead_tenant ON wf.jobs (wf.folded(tenant_id), id) WHERE state = 'dead';
CREATE INDEX jobs_of_tenant ON wf.jobs (tenant_id, id) WHERE tenant_id IS NOT NULL;

-- A schedule never has two at a time.
CREATE UNIQUE INDEX job_of_schedule ON wf.jobs (schedule) WHERE schedule IS NOT NULL AND state IN ('waiting', 'running');
CREATE INDEX jobs_dead_of_schedule ON wf.jobs (schedule) WHERE state = 'dead' AND schedule IS NOT NULL;

-- Every attempt that ended, except the one that completed the job: that one is in the job's own row
-- (wf.job_attempt_list shows all). No foreign key is needed: an attempt is only written together with its job's row.
CREATE TABLE wf.job_attempts (
  job_id     bigint NOT NULL,
  attempt    integer NOT NULL,
  tenant_id  wf.line COLLATE "C",
  worker_id  bigint NOT NULL,
  started_at wf.moment NOT NULL,
  ended_at   wf.moment NOT NULL,
  outcome    text NOT NULL CHECK (outcome IN ('failed', 'lost', 'released')),
  error      wf.words,
  PRIMARY KEY (job_id, attempt)
);
CREATE INDEX job_attempts_of_tenant ON wf.job_attempts (tenant_id) WHERE tenant_id IS NOT NULL;

-- One lane per tenant that ever had a job, and one ('') for jobs of no tenant. The lane with the least virtual time is
-- served next, and its time advances by cost ÷ weight. Only claims change `v`, one at a time.
CREATE TABLE wf.job_lanes (
  lane      wf.line COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" REFERENCES wf.tenants,
  weight    double precision NOT NULL DEFAULT 1,
  v         double precision NOT NULL DEFAULT 0,
  ready     boolean NOT NULL DEFAULT false,  -- it may have a job that is due
  wake_at   wf.moment                        -- when it will have one, unless it is ready; NULL: it has none
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200);
CREATE INDEX job_lanes_ready ON wf.job_lanes (v, lane) WHERE ready;
CREATE INDEX job_lanes_asleep ON wf.job_lanes (wake_at) WHERE NOT ready;
CREATE INDEX job_lanes_of_tenant ON wf.job_lanes (tenant_id);
CREATE TABLE wf.job_clock (v double precision NOT NULL) WITH (fillfactor = 10);  -- the virtual time of the last claim
INSERT INTO wf.job_clock VALUES (0);
CREATE SEQUENCE wf.job_leases;
INSERT INTO wf.tenant_tables VALUES ('wf.job_attempts', 19), ('wf.jobs', 21), ('wf.job_lanes', 22);
