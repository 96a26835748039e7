-- Release gates: named checks in versions, the runs that carried them out, and what was found, waived and answered.

-- A gate as it is now. `definition`: its canonical JSON, as text, so that its SHA-256 is that of its bytes.
CREATE TABLE wf.gates (
  name        text PRIMARY KEY CONSTRAINT gate_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  definition  text NOT NULL CONSTRAINT gate_definition CHECK (wf.gate_valid(definition)),
  sha256      wf.line NOT NULL DEFAULT '',
  version     integer NOT NULL DEFAULT 1,
  created_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  created_by  wf.line NOT NULL DEFAULT session_user,
  updated_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  updated_by  wf.line NOT NULL DEFAULT session_user,
  retired_at  wf.moment
);

-- Every version that a gate ever had. A trigger fills it, and nobody else writes it.
CREATE TABLE wf.gate_versions (
  gate        text NOT NULL REFERENCES wf.gates,
  version     integer NOT NULL,
  definition  text NOT NULL CONSTRAINT gate_version_definition CHECK (octet_length(definition) <= 131072),
  sha256      wf.line NOT NULL,
  made_at     wf.moment NOT NULL DEFAULT clock_timestamp(),
  made_by     wf.line NOT NULL DEFAULT session_user,
  PRIMARY KEY (gate, version)
);

-- `checks`: how many the gate has. `batch_size`, `batch_index`: only the checks from batch_index * batch_size on. `ends_by`: a run that has no verdict by
-- then never gets one. `inputs_sha256`: of all that was found, so that the trail's row of the verdict vouches for it.
CREATE TABLE wf.gate_runs (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gate          text NOT NULL,
  gate_version  integer NOT NULL,
  environment   text NOT NULL CONSTRAINT gate_environment CHECK (wf.environment_valid(environment)),
  mode          text NOT NULL DEFAULT 'full' CONSTRAINT gate_mode CHECK (mode IN ('full', 'fast')),
  batch_size    integer CONSTRAINT gate_batch_size CHECK (batch_size BETWEEN 1 AND 200),
  batch_index   integer CONSTRAINT gate_batch_index CHECK (batch_index BETWEEN 0 AND 199),
  checks        integer NOT NULL DEFAULT 0,
  state         text NOT NULL DEFAULT 'running' CONSTRAINT gate_run_state CHECK (state IN ('running', 'decided')),
  verdict       text CONSTRAINT gate_verdict CHECK (verdict IN ('GO', 'GO_WITH_CONDITIONS', 'NO_GO', 'INCONCLUSIVE')),
  conditions    jsonb,
  inputs_sha256 text,
  started_at    wf.moment NOT NULL DEFAULT clock_timestamp(),
  started_by    wf.line NOT NULL DEFAULT session_user,
  ends_by       wf.moment NOT NULL,
  decided_at    wf.moment,
  version       integer NOT NULL DEFAULT 1,
  FOREIGN KEY (gate, gate_version) REFERENCES wf.gate_versions (gate, version),
  CONSTRAINT gate_batch CHECK ((batch_size IS NULL) = (batch_index IS NULL)),
  CONSTRAINT gate_decided CHECK ((state = 'decided') = (verdict IS NOT NULL AND decided_at IS NOT NULL AND conditions IS NOT NULL
                                                        AND inputs_sha256 IS NOT NULL))
);
CREATE INDEX gate_runs_of ON wf.gate_runs (gate, environment, id DESC);

-- What a run found: appended as each check ends. `observed`: what was seen, as text, so that its hash is that of its bytes;
-- from it and the definition alone the state can be computed again.
CREATE TABLE wf.gate_checks (
  run_id       bigint NOT NULL REFERENCES wf.gate_runs,
  name         text NOT NULL CONSTRAINT gate_check_name CHECK (char_length(name) <= 130),
  kind         text NOT NULL CONSTRAINT gate_check_kind CHECK (char_length(kind) <= 40),
  state        text NOT NULL CONSTRAINT gate_check_state CHECK (state IN ('pass', 'fail', 'inconclusive')),
  because      text NOT NULL DEFAULT '' CONSTRAINT gate_check_because CHECK (because ~ '^[a-z_]{0,40}$'),
  value        float8 CONSTRAINT gate_check_value CHECK (abs(value) < 1e300),
  threshold    wf.line NOT NULL DEFAULT '',
  unit         wf.line NOT NULL DEFAULT '',
  words        wf.words NOT NULL DEFAULT '',
  observed     text NOT NULL CONSTRAINT gate_check_observed CHECK (octet_length(observed) <= 65536
                 AND jsonb_typeof(observed::jsonb) = 'object'),
  sha256       wf.line NOT NULL DEFAULT '',
  observed_at  wf.moment NOT NULL,
  recorded_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  seconds      float8 NOT NULL DEFAULT 0 CONSTRAINT gate_check_seconds CHECK (seconds BETWEEN 0 AND 86400),
  PRIMARY KEY (run_id, name)
);

-- The newest decided run that holds each check of a gate in an environment.
CREATE TABLE wf.gate_latest (
  gate         wf.line NOT NULL,
  environment  wf.line NOT NULL,
  name         wf.line NOT NULL,
  run_id       bigint NOT NULL REFERENCES wf.gate_runs,
  PRIMARY KEY (gate, environment, name)
);

-- A waiver opens a check that does not pass, until it ends. In production it takes a second person.
CREATE TABLE wf.gate_waivers (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gate         text NOT NULL REFERENCES wf.gates,
  check_name   text NOT NULL CONSTRAINT waiver_check CHECK (char_length(check_name) BETWEEN 1 AND 130),
  environment  text NOT NULL CONSTRAINT waiver_environment CHECK (wf.environment_valid(environment)),
  reason       wf.words NOT NULL CONSTRAINT waiver_reason CHECK (btrim(reason) <> ''),
  ends_at      wf.moment NOT NULL,
  created_at   wf.moment NOT NULL DEFAULT clock_timestamp(),
  created_by   wf.line NOT NULL DEFAULT session_user,
  approved_at  wf.moment,
  approved_by  wf.line CONSTRAINT waiver_second_person CHECK (approved_by <> created_by),
  ended_at     wf.moment,
  ended_by     wf.line,
  version      integer NOT NULL DEFAULT 1,
  CONSTRAINT waiver_times CHECK (ends_at > created_at),
  CONSTRAINT waiver_approved CHECK ((approved_at IS NULL) = (approved_by IS NULL)),
  CONSTRAINT waiver_ended CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX gate_waivers_by_end ON wf.gate_waivers (ends_at);
CREATE INDEX gate_waivers_of ON wf.gate_waivers (gate, environment, ends_at);

-- A person's answer to a manual check. The newest counts.
CREATE TABLE wf.gate_answers (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gate         text NOT NULL REFERENCES wf.gates,
  check_name   text NOT NULL CONSTRAINT answer_check CHECK (char_length(check_name) BETWEEN 1 AND 130),
  environment  text NOT NULL CONSTRAINT answer_environment CHECK (wf.environment_valid(environment)),
  answer       text NOT NULL CONSTRAINT answer_word CHECK (answer IN ('pass', 'fail')),
  reason       wf.words NOT NULL CONSTRAINT answer_reason CHECK (btrim(reason) <> ''),
  answered_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  answered_by  wf.line NOT NULL DEFAULT session_user
);
CREATE INDEX gate_answers_of ON wf.gate_answers (gate, environment, check_name, id DESC);
