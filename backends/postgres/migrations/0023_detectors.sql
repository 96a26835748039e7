-- What detectors need besides their statements.

-- A detector that looks at what was stored since it looked last: the rows of all transactions before this one were seen.
-- NULL: it looks at how things are. It is a number of the server, like wf.request_marks.before.
ALTER TABLE wf.detectors ADD COLUMN seen bigint;

-- When the live keys of each tenant were created, so that those older than any age are counted without reading the keys.
-- A tenant in live_keys_due is counted from its keys instead; so is one of which a key expired since `until`.
CREATE TABLE wf.live_keys (
  tenant_id  wf.line COLLATE "C" PRIMARY KEY,
  created    timestamptz[] NOT NULL CHECK (cardinality(created) > 0),  -- sorted
  rotated_at wf.moment                                                 -- when the tenant last rotated a key
);
-- Only inserted and deleted, never updated: who changes keys waits for nobody here.
CREATE TABLE wf.live_keys_due (
  tenant_id wf.line COLLATE "C" NOT NULL
);
CREATE INDEX live_keys_due_of_tenant ON wf.live_keys_due (tenant_id);
CREATE TABLE wf.live_keys_until (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  at  wf.moment NOT NULL DEFAULT now()
);
INSERT INTO wf.live_keys_until DEFAULT VALUES;
INSERT INTO wf.live_keys_due SELECT DISTINCT tenant_id FROM wf.api_keys;
INSERT INTO wf.tenant_tables VALUES ('wf.live_keys', 26), ('wf.live_keys_due', 27);
INSERT INTO wf.locks VALUES ('count_live_keys');

-- A team's own detectors: a statement that measures, and the limit that its numbers are judged by.
CREATE TABLE wf.own_detectors (
  name       text PRIMARY KEY CONSTRAINT own_detector_name CHECK (name ~ '^own_[a-z0-9_]{1,46}$'),
  means      text NOT NULL CONSTRAINT own_detector_means CHECK (char_length(means) BETWEEN 1 AND 300),
  every      interval NOT NULL CONSTRAINT own_detector_every CHECK (every BETWEEN interval '10 seconds' AND interval '1 day'),
  severity   text NOT NULL CONSTRAINT own_detector_severity CHECK (severity IN ('info', 'warning', 'error', 'critical')),
  language   text NOT NULL CONSTRAINT own_detector_language CHECK (language IN ('sql', 'promql')),
  statement  text NOT NULL CONSTRAINT own_detector_statement CHECK (char_length(statement) BETWEEN 1 AND 8000),
  fires      text NOT NULL CONSTRAINT own_detector_fires CHECK (fires IN ('above', 'below')),
  threshold  double precision NOT NULL CONSTRAINT own_detector_threshold CHECK (threshold BETWEEN -1e15 AND 1e15),
  unit       text NOT NULL DEFAULT '' CONSTRAINT own_detector_unit CHECK (char_length(unit) <= 40),
  retired_at wf.moment,  -- since when it is in the list no more
  version    integer NOT NULL DEFAULT 1,
  updated_at wf.moment NOT NULL DEFAULT now(),
  updated_by wf.line NOT NULL DEFAULT session_user
);

-- Heartbeats: something outside says by wf_data.beat that it is alive; that it no longer does is the alert.
CREATE TABLE wf.heartbeats (
  name       text COLLATE "C" PRIMARY KEY CONSTRAINT heartbeat_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  tenant_id  text COLLATE "C" CONSTRAINT heartbeat_tenant REFERENCES wf.tenants,  -- NULL: of the whole estate
  means      text NOT NULL DEFAULT '' CONSTRAINT heartbeat_means CHECK (char_length(means) <= 300),
  every      integer NOT NULL CONSTRAINT heartbeat_every CHECK (every BETWEEN 10 AND 31622400),  -- seconds
  grace      integer NOT NULL DEFAULT 60 CONSTRAINT heartbeat_grace CHECK (grace BETWEEN 0 AND 31622400),
  severity   text NOT NULL DEFAULT 'critical' CONSTRAINT heartbeat_severity
             CHECK (severity IN ('info', 'warning', 'error', 'critical')),
  version    integer NOT NULL DEFAULT 1,
  created_at wf.moment NOT NULL DEFAULT now(),
  created_by wf.line NOT NULL DEFAULT session_user,
  since      wf.moment NOT NULL DEFAULT now(),  -- when it was made or restored: it is expected from then on
  retired_at wf.moment
);
CREATE INDEX heartbeats_of_tenant ON wf.heartbeats (tenant_id) WHERE tenant_id IS NOT NULL;
-- Kept apart: it changes all the time, and nobody made that change.
CREATE TABLE wf.beats (
  name text COLLATE "C" PRIMARY KEY REFERENCES wf.heartbeats ON DELETE CASCADE,
  at   wf.moment  -- NULL: none yet
) WITH (fillfactor = 50);
INSERT INTO wf.tenant_tables VALUES ('wf.heartbeats', 28);
