-- Alerts: what detectors found wrong, for all tenants at once, and what became of it. A worker writes them all the time,
-- so no trigger records them; what people do to them is written to the trail by the functions that do it.

-- `source`: what a detector relies on (wf.silence_of). sql/detectors.sql fills in everything up to `means`, and holds the
-- detectors' statements.
CREATE TABLE wf.detectors (
  name      text PRIMARY KEY CONSTRAINT detector_name CHECK (name ~ '^[a-z][a-z0-9_]{0,50}$'),
  every     interval NOT NULL CHECK (every BETWEEN interval '10 seconds' AND interval '1 day'),
  source    text NOT NULL CHECK (source IN ('live', 'hours', 'quotas')),
  computed  boolean NOT NULL,  -- by the worker's program, which gives wf.evaluate what it found
  stays     boolean NOT NULL,  -- its alerts stay until a person resolves them
  means     wf.words NOT NULL,
  next_at   wf.moment NOT NULL DEFAULT clock_timestamp(),
  job_id    bigint,            -- the job that was queued for it last
  looked_at wf.moment,         -- when it was evaluated last
  known_at  wf.moment,         -- when it was last evaluated with a fresh source and without a failure
  took_ms   double precision CONSTRAINT detector_took CHECK (took_ms BETWEEN 0 AND 1e9),
  found     integer,
  silent    wf.words,          -- why its source was silent then
  error     wf.words           -- why it failed then
) WITH (fillfactor = 50);

-- The limits that detectors judge by, with their defaults; sql/detectors.sql fills them in.
CREATE TABLE wf.detector_parameters (
  detector wf.line,
  name     wf.line,
  value    double precision NOT NULL,
  least    double precision NOT NULL,
  most     double precision NOT NULL,
  unit     wf.line NOT NULL,
  means    wf.words NOT NULL,
  PRIMARY KEY (detector, name)
);

-- What is set instead of a default: a tenant's before its plan's before that of all tenants. Cleared: NULL.
CREATE TABLE wf.thresholds (
  detector  text NOT NULL CONSTRAINT threshold_detector CHECK (detector ~ '^[a-z][a-z0-9_]{0,50}$'),
  name      text NOT NULL CONSTRAINT threshold_name CHECK (name ~ '^[a-z][a-z0-9_]{0,50}$'),
  parameter text NOT NULL GENERATED ALWAYS AS (detector || '.' || name) STORED,
  scope     text NOT NULL GENERATED ALWAYS AS (CASE WHEN tenant_id IS NOT NULL THEN 'tenant:' || tenant_id
                                                    WHEN plan IS NOT NULL THEN 'plan:' || plan ELSE 'all' END) STORED,
  tenant_id text COLLATE "C" CONSTRAINT threshold_tenant REFERENCES wf.tenants,
  plan      text CONSTRAINT threshold_plan CHECK (char_length(plan) BETWEEN 1 AND 64),
  value     double precision CONSTRAINT threshold_finite CHECK (value > '-Infinity' AND value < 'Infinity'),
  version   integer NOT NULL DEFAULT 1,
  set_at    wf.moment NOT NULL DEFAULT now(),
  set_by    wf.line NOT NULL DEFAULT session_user,
  PRIMARY KEY (parameter, scope),
  CONSTRAINT threshold_scope CHECK (tenant_id IS NULL OR plan IS NULL)
);
CREATE INDEX thresholds_of_tenant ON wf.thresholds (tenant_id) WHERE tenant_id IS NOT NULL;

-- A row of what a detector finds. `silent`: nothing is known of this one now, and why.
CREATE TYPE wf.finding AS (
  tenant_id text, labels jsonb, severity text, value double precision, threshold double precision, unit text, summary text,
  details jsonb, silent text
);

CREATE TABLE wf.alerts (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind          text NOT NULL CONSTRAINT alert_kind CHECK (kind ~ '^[a-z][a-z0-9_]{0,50}$'),  -- the name of its detector
  tenant_id     wf.line COLLATE "C",  -- NULL: the whole estate. No foreign key: a tenant may be known from its requests alone
  labels        jsonb NOT NULL DEFAULT '{}' CONSTRAINT alert_labels
                CHECK (jsonb_typeof(labels) = 'object' AND octet_length(labels::text) <= 4096),
  fingerprint   bytea NOT NULL GENERATED ALWAYS AS (wf.fingerprint(tenant_id, kind, labels)) STORED,
  severity      text NOT NULL CONSTRAINT alert_severity CHECK (severity IN ('info', 'warning', 'error', 'critical')),
  value         double precision CONSTRAINT alert_value CHECK (value > '-Infinity' AND value < 'Infinity'),
  threshold     double precision CONSTRAINT alert_threshold CHECK (threshold > '-Infinity' AND threshold < 'Infinity'),
  unit          wf.line NOT NULL DEFAULT '',
  summary       text NOT NULL CONSTRAINT alert_summary CHECK (char_length(summary) BETWEEN 1 AND 500),
  details       jsonb NOT NULL DEFAULT '{}' CONSTRAINT alert_details
                CHECK (jsonb_typeof(details) = 'object' AND octet_length(details::text) <= 16384),
  state         text NOT NULL DEFAULT 'firing' CONSTRAINT alert_state CHECK (state IN ('firing', 'acked', 'resolved')),
  fired_at      wf.moment NOT NULL DEFAULT clock_timestamp(),
  holder        wf.line,    -- who has it
  acked_at      wf.moment,
  ack_until     wf.moment,
  ack_comment   wf.words,
  unknown_since wf.moment,  -- since when nothing is known of it: its source is silent, or its detector failed
  unknown_why   wf.words,
  resolved_at   wf.moment,
  resolved_by   wf.line,    -- NULL: it was no longer found
  resolved_why  wf.words,
  previous_id   bigint,     -- the last alert with the same fingerprint
  events        integer NOT NULL DEFAULT 0,
  version       integer NOT NULL DEFAULT 1,  -- counts what people decide by, not every change of the value
  urgency       smallint NOT NULL GENERATED ALWAYS AS (
                  CASE state WHEN 'firing' THEN 10 WHEN 'acked' THEN 5 ELSE 0 END
                  + CASE state WHEN 'resolved' THEN 0 ELSE wf.severity_rank(severity) END) STORED,
  search        text GENERATED ALWAYS AS (wf.folded(kind || E'\n' || coalesce(tenant_id, '') || E'\n' || summary)) STORED,
  CONSTRAINT alert_marks CHECK (
    (state = 'resolved') = (resolved_at IS NOT NULL)
    AND (state = 'acked') <= (num_nonnulls(holder, acked_at, ack_until, ack_comment) = 4)
    AND (state = 'firing') <= (num_nonnulls(holder, acked_at, ack_until, ack_comment) = 0)
    AND (unknown_since IS NULL) = (unknown_why IS NULL))
) WITH (fillfactor = 70);

-- Identity: of what is wrong with the same tenant in the same way, one alert is open at a time.
CREATE UNIQUE INDEX alert_open ON wf.alerts (fingerprint) WHERE resolved_at IS NULL;
CREATE INDEX alerts_of_fingerprint ON wf.alerts (fingerprint, id);
CREATE INDEX alerts_open_of_kind ON wf.alerts (kind, id) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_urgency ON wf.alerts (urgency, id);
CREATE INDEX alerts_of_tenant ON wf.alerts (tenant_id, id);
CREATE INDEX alerts_tenant_folded ON wf.alerts (wf.folded(tenant_id), id);
CREATE INDEX alerts_kind_folded ON wf.alerts (wf.folded(kind), id);
CREATE INDEX alerts_resolved ON wf.alerts (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX alerts_search ON wf.alerts USING gin (wf.trigrams(search));

-- What happened to an alert, in order: what notices are routed by, and its timeline. Rows are only added.
CREATE TABLE wf.alert_events (
  alert_id  bigint NOT NULL REFERENCES wf.alerts ON DELETE CASCADE,
  n         integer NOT NULL CHECK (n > 0),
  at        wf.moment NOT NULL DEFAULT clock_timestamp(),
  kind      text NOT NULL CONSTRAINT alert_event_kind CHECK (kind IN (
              'fired', 'raised', 'lowered', 'acked', 'unacked', 'ack_ended', 'handed_over', 'unknown', 'known', 'resolved',
              'escalated')),
  severity  text NOT NULL CONSTRAINT alert_event_severity CHECK (severity IN ('info', 'warning', 'error', 'critical')),
  value     double precision CONSTRAINT alert_event_value CHECK (value > '-Infinity' AND value < 'Infinity'),
  actor     wf.line,    -- NULL: its detector
  holder    wf.line,    -- who has it from then on
  until     wf.moment,  -- the end of an ack
  words     wf.words,   -- what was found, or what the person said
  audit_seq bigint,
  PRIMARY KEY (alert_id, n)
);
CREATE INDEX alert_events_by_time ON wf.alert_events (at);
INSERT INTO wf.tenant_tables VALUES ('wf.thresholds', 23), ('wf.alerts', 24);

-- The keys whose age counts: for exact counts of stale keys that read nothing but this index.
CREATE INDEX api_keys_live ON wf.api_keys (tenant_id, created_at) INCLUDE (expires_at)
  WHERE revoked_at IS NULL AND disabled_at IS NULL AND grace_until IS NULL;
