-- From an alert's event to a delivery: what still has to be routed, what is kept of each group of alerts between two
-- decisions, and the deliveries with their attempts.

-- Alerts to which something happened that is not routed yet. `n`: their newest event. `fault`: why it cannot be.
CREATE TABLE wf.routing_due (
  alert_id bigint PRIMARY KEY REFERENCES wf.alerts ON DELETE CASCADE,
  n        integer NOT NULL,
  at       wf.moment NOT NULL DEFAULT clock_timestamp(),
  fault    wf.words
) WITH (fillfactor = 50);
CREATE INDEX routing_due_by_time ON wf.routing_due (at, alert_id) WHERE fault IS NULL;

-- One row. What is decided is stored only under the round in which it was read, so that what two workers decide at the
-- same time is stored once. `again`: a route, a silence, a maintenance or a schedule changed, so all groups are due.
CREATE TABLE wf.routing (
  one       boolean PRIMARY KEY DEFAULT true CHECK (one),
  round     bigint NOT NULL DEFAULT 0,
  routed_at wf.moment
) WITH (fillfactor = 10);
INSERT INTO wf.routing DEFAULT VALUES;
CREATE TABLE wf.routing_again (
  at wf.moment NOT NULL DEFAULT clock_timestamp()
);

-- A group of alerts on a route (controlplane/routes/model.py: GroupState). `stages`: how its last decision went. One that
-- is over is kept, for the numbers of its notices go on.
CREATE TABLE wf.route_groups (
  key        text COLLATE "C" PRIMARY KEY CONSTRAINT route_group_key CHECK (key ~ '^[0-9a-f]{64}$'),
  route_id   bigint NOT NULL REFERENCES wf.routes ON DELETE CASCADE,
  number     integer NOT NULL,
  state      jsonb NOT NULL CONSTRAINT route_group_state
             CHECK (jsonb_typeof(state) = 'object' AND octet_length(state::text) <= 4194304),
  stages     wf.document NOT NULL DEFAULT '[]',
  decided_at wf.moment NOT NULL DEFAULT clock_timestamp(),
  next_at    wf.moment,
  open       boolean NOT NULL,  -- whether it has alerts that are not resolved, or owes somebody a notice
  fault      wf.words
) WITH (fillfactor = 70);
CREATE INDEX route_groups_over ON wf.route_groups (decided_at) WHERE NOT open;
CREATE INDEX route_groups_open ON wf.route_groups (key) WHERE open;
CREATE INDEX route_groups_due ON wf.route_groups (next_at, key) WHERE next_at IS NOT NULL;
CREATE INDEX groups_of_route ON wf.route_groups (route_id);

-- Which alerts a group has. `stages`: how the last decision went for this one.
CREATE TABLE wf.route_group_alerts (
  alert_id bigint NOT NULL REFERENCES wf.alerts ON DELETE CASCADE,
  key      text COLLATE "C" NOT NULL REFERENCES wf.route_groups ON DELETE CASCADE,
  stages   wf.document NOT NULL DEFAULT '[]',
  PRIMARY KEY (alert_id, key)
);
CREATE INDEX alerts_of_group ON wf.route_group_alerts (key);

-- One notice to one target. `group_key`, `number` name the notice: a second worker's is the same. `key`: the same in
-- every attempt, for the receiver. `person`: whom an escalation pages; '' is the route's own target.
CREATE TABLE wf.deliveries (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key          text NOT NULL CONSTRAINT delivery_key CHECK (key ~ '^msg_[0-9a-f]{40}$'),
  route_id     bigint NOT NULL REFERENCES wf.routes ON DELETE CASCADE,
  group_key    text COLLATE "C" NOT NULL CONSTRAINT delivery_group CHECK (group_key ~ '^[0-9a-f]{64}$' OR test AND group_key = ''),
  number       integer NOT NULL,
  tenant_id    wf.line COLLATE "C",
  person       wf.line NOT NULL DEFAULT '',
  level        smallint NOT NULL DEFAULT 0,
  action       text NOT NULL CONSTRAINT delivery_action CHECK (action IN ('trigger', 'acknowledge', 'resolve')),
  reason       text NOT NULL CONSTRAINT delivery_reason CHECK (reason ~ '^[a-z][a-z_]{0,50}$'),
  severity     text NOT NULL CONSTRAINT delivery_severity CHECK (severity IN ('info', 'warning', 'error', 'critical')),
  event_type   wf.line NOT NULL,
  summary      wf.words NOT NULL,
  dedupe_key   text NOT NULL DEFAULT '' CONSTRAINT delivery_dedupe CHECK (char_length(dedupe_key) <= 2000),
  notice       jsonb NOT NULL CONSTRAINT delivery_notice
               CHECK (jsonb_typeof(notice) = 'object' AND octet_length(notice::text) <= 131072),
  test         boolean NOT NULL DEFAULT false,
  state        text NOT NULL DEFAULT 'waiting' CONSTRAINT delivery_state
               CHECK (state IN ('waiting', 'sending', 'delivered', 'failed', 'held')),
  attempts     integer NOT NULL DEFAULT 0,  -- all attempts
  tries        integer NOT NULL DEFAULT 0,  -- those since it was decided or replayed
  replays      integer NOT NULL DEFAULT 0,
  next_at      wf.moment NOT NULL DEFAULT clock_timestamp(),
  worker_id    bigint,
  started_at   wf.moment,  -- of the attempt that is under way
  code         wf.line,    -- of the last attempt
  words        wf.words,
  created_at   wf.moment NOT NULL DEFAULT clock_timestamp(),
  created_by   wf.line,    -- who asked for a test; NULL: it was decided
  ended_at     wf.moment,
  version      integer NOT NULL DEFAULT 1,  -- counts what people do
  search       text GENERATED ALWAYS AS (wf.folded(event_type || E'\n' || coalesce(tenant_id, '') || E'\n' || summary)) STORED,
  CONSTRAINT delivery_marks CHECK (
    (state = 'sending') = (started_at IS NOT NULL) AND (state = 'sending') <= (worker_id IS NOT NULL)
    AND (state IN ('delivered', 'failed')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 70);

-- Whoever decides a notice, and however often: it is one delivery.
CREATE UNIQUE INDEX delivery_taken ON wf.deliveries (group_key, number) WHERE NOT test;
CREATE INDEX deliveries_waiting ON wf.deliveries (route_id, next_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_due ON wf.deliveries (next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_sending ON wf.deliveries (route_id, started_at) WHERE state = 'sending';
CREATE INDEX deliveries_of_route ON wf.deliveries (route_id, id);
CREATE INDEX deliveries_route_folded ON wf.deliveries (wf.folded(route_id::text), id);
CREATE INDEX deliveries_of_tenant ON wf.deliveries (tenant_id, id);
CREATE INDEX deliveries_tenant_folded ON wf.deliveries (wf.folded(tenant_id), id);
CREATE INDEX deliveries_by_state ON wf.deliveries (state, id);
CREATE INDEX deliveries_deduped ON wf.deliveries (route_id, created_at) WHERE dedupe_key <> '' AND state <> 'failed';
CREATE INDEX deliveries_ended ON wf.deliveries (created_at);
CREATE INDEX deliveries_search ON wf.deliveries USING gin (wf.trigrams(search));

-- Which alerts a delivery tells of: those that fire, and those that do not any more.
CREATE TABLE wf.delivery_alerts (
  alert_id    bigint NOT NULL,  -- no foreign key: it is inserted by the thousand, for alerts that were just read
  delivery_id bigint NOT NULL REFERENCES wf.deliveries ON DELETE CASCADE,
  resolved    boolean NOT NULL,
  PRIMARY KEY (alert_id, delivery_id)
);
CREATE INDEX alerts_of_delivery ON wf.delivery_alerts (delivery_id);

CREATE TABLE wf.delivery_attempts (
  delivery_id bigint NOT NULL REFERENCES wf.deliveries ON DELETE CASCADE,
  attempt     integer NOT NULL,
  worker_id   bigint NOT NULL,
  started_at  wf.moment NOT NULL,
  ended_at    wf.moment NOT NULL DEFAULT clock_timestamp(),
  outcome     text NOT NULL CONSTRAINT delivery_attempt_outcome CHECK (outcome IN ('delivered', 'retry', 'refused', 'lost')),
  code        wf.line NOT NULL,
  words       wf.words NOT NULL,
  answer      wf.words NOT NULL DEFAULT '',
  seconds     double precision CONSTRAINT delivery_attempt_seconds CHECK (seconds BETWEEN 0 AND 86400),
  PRIMARY KEY (delivery_id, attempt)
);
INSERT INTO wf.tenant_tables VALUES ('wf.deliveries', 18);
