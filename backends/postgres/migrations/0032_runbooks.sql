-- Executions: runbooks that people carry out, step by step. The runbooks themselves are files; an execution keeps the text
-- that it was begun with, so that it can be resumed where that file is not, and so that its evidence says what was done.

-- The texts of runbooks, each once.
CREATE TABLE wf.runbook_texts (
  sha256   wf.line PRIMARY KEY,
  body     text NOT NULL CONSTRAINT runbook_text CHECK (octet_length(body) BETWEEN 1 AND 131072),
  kept_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  kept_by  wf.line NOT NULL DEFAULT session_user
);

CREATE TABLE wf.executions (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  runbook     text COLLATE "C" NOT NULL CONSTRAINT execution_runbook CHECK (runbook ~ '^[a-z][a-z0-9-]{0,63}$'),
  title       wf.line NOT NULL,
  sha256      wf.line NOT NULL REFERENCES wf.runbook_texts,
  steps       integer NOT NULL,
  incident    bigint CONSTRAINT execution_incident CHECK (incident > 0),  -- the incident that it is carried out for
  drill       boolean NOT NULL DEFAULT false,
  started_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  started_by  wf.line NOT NULL DEFAULT session_user,
  stopped_at  wf.moment,
  stopped_by  wf.line,
  version     integer NOT NULL DEFAULT 1,
  CONSTRAINT execution_stop CHECK ((stopped_at IS NULL) = (stopped_by IS NULL))
);
CREATE INDEX executions_of ON wf.executions (runbook, drill, id DESC);
CREATE INDEX executions_started ON wf.executions (started_at, id);
CREATE INDEX executions_by ON wf.executions (started_by, id DESC);

-- `remedy_of`: the check for whose failure the step is; it is not needed when that check passes. `request_id`: of the change
-- that the operation makes: with it an outcome that is unknown is looked up, and nothing is done twice.
CREATE TABLE wf.execution_steps (
  execution   bigint NOT NULL REFERENCES wf.executions,
  place       integer NOT NULL CONSTRAINT step_place CHECK (place BETWEEN 1 AND 100),
  name        wf.line NOT NULL,
  kind        text NOT NULL CONSTRAINT step_kind CHECK (kind IN ('operation', 'check', 'question', 'person')),
  operation   wf.line CONSTRAINT step_operation CHECK ((operation IS NOT NULL) = (kind = 'operation')),
  remedy_of   integer CONSTRAINT step_remedy CHECK (remedy_of < place),
  claimed_at  wf.moment,
  claimed_by  wf.line,
  begun_at    wf.moment,
  request_id  text CONSTRAINT step_request CHECK (char_length(request_id) BETWEEN 1 AND 100),
  verdict     text CONSTRAINT step_verdict CHECK (verdict IN ('passed', 'failed', 'unknown', 'skipped')),
  note        wf.words NOT NULL DEFAULT '',
  output      jsonb NOT NULL DEFAULT '{}' CONSTRAINT step_output CHECK (jsonb_typeof(output) = 'object'
                AND octet_length(output::text) <= 16384),
  ended_at    wf.moment,
  tries       integer NOT NULL DEFAULT 0,
  version     integer NOT NULL DEFAULT 1,
  PRIMARY KEY (execution, place),
  FOREIGN KEY (execution, remedy_of) REFERENCES wf.execution_steps (execution, place),
  CONSTRAINT step_claim CHECK ((claimed_at IS NULL) = (claimed_by IS NULL)),
  CONSTRAINT step_end CHECK ((verdict IS NULL) = (ended_at IS NULL) AND (verdict IS NULL OR claimed_at IS NOT NULL))
);
