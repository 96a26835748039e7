-- Gates that a worker runs by itself, what is no longer kept of old runs, and reports of what was decided.

-- A worker runs the gate in the environment every so often, until somebody ends that.
CREATE TABLE wf.gate_schedules (
  gate         text NOT NULL REFERENCES wf.gates,
  environment  text NOT NULL CONSTRAINT gate_environment CHECK (wf.environment_valid(environment)),
  every        interval NOT NULL CONSTRAINT gate_schedule_every CHECK (every BETWEEN '5 minutes' AND '31 days'),
  created_at   wf.moment NOT NULL DEFAULT clock_timestamp(),
  created_by   wf.line NOT NULL DEFAULT session_user,
  ended_at     wf.moment,
  version      integer NOT NULL DEFAULT 1,
  updated_at   wf.moment NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (gate, environment)
);
-- When each is due, and its newest job. Apart, for the trail is no place for that.
CREATE TABLE wf.gate_turns (
  gate         text NOT NULL,
  environment  text NOT NULL,
  next_at      wf.moment NOT NULL DEFAULT clock_timestamp(),
  job_id       bigint,
  PRIMARY KEY (gate, environment),
  FOREIGN KEY (gate, environment) REFERENCES wf.gate_schedules ON DELETE CASCADE
);

-- Runs of which what was found is no longer kept. Their verdicts, conditions and hashes are.
CREATE TABLE wf.gate_runs_pruned (
  run_id     bigint PRIMARY KEY REFERENCES wf.gate_runs,
  checks     integer NOT NULL,
  pruned_at  wf.moment NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX gate_runs_by_time ON wf.gate_runs (started_at);
CREATE INDEX gate_latest_by_run ON wf.gate_latest (run_id);

-- A report over a time: of a week, or of a release. A worker makes it from what is recorded then.
CREATE TABLE wf.reports (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind      text NOT NULL CONSTRAINT report_kind CHECK (kind IN ('weekly', 'release')),
  subject   wf.line NOT NULL CONSTRAINT report_subject CHECK (btrim(subject) <> ''),  -- 2026-W48, or which release
  from_at   wf.moment NOT NULL,
  to_at     wf.moment NOT NULL,
  asked_at  wf.moment NOT NULL DEFAULT now(),
  asked_by  wf.line NOT NULL DEFAULT session_user,
  made_at   wf.moment,
  sha256    wf.line,
  version   integer NOT NULL DEFAULT 1,
  CONSTRAINT report_times CHECK (to_at > from_at AND to_at - from_at <= interval '366 days'),
  CONSTRAINT report_made CHECK ((made_at IS NULL) = (sha256 IS NULL))
);
CREATE UNIQUE INDEX report_week ON wf.reports (subject) WHERE kind = 'weekly';
-- What it says, as the very text that was hashed; and the job that makes it.
CREATE TABLE wf.report_data (
  report_id  bigint PRIMARY KEY REFERENCES wf.reports,
  job_id     bigint,
  data       text CONSTRAINT report_data_size CHECK (octet_length(data) <= 1048576 AND jsonb_typeof(data::jsonb) = 'object')
);
