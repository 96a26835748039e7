-- Routes: who is told of which alerts, by which channel, and how. What a channel needs to reach its target is a secret
-- (an address of Slack is one), so it is kept apart, encrypted; a route itself has only a shown form of it.
CREATE TABLE wf.routes (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name           text NOT NULL CONSTRAINT route_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  tenant_id      text COLLATE "C" REFERENCES wf.tenants,  -- NULL: of all tenants
  parent         bigint REFERENCES wf.routes ON DELETE SET NULL,
  position       integer NOT NULL DEFAULT 0 CONSTRAINT route_position CHECK (position BETWEEN 0 AND 1000000),
  continues      boolean NOT NULL DEFAULT false,
  matchers       jsonb NOT NULL DEFAULT '[]' CONSTRAINT route_matchers CHECK (wf.matchers_valid(matchers)),
  events         text[] NOT NULL DEFAULT '{*}' CONSTRAINT route_events
                 CHECK (cardinality(events) BETWEEN 1 AND 50 AND octet_length(events::text) <= 4096
                        AND array_position(events, NULL) IS NULL),
  min_severity   text NOT NULL DEFAULT 'info' CONSTRAINT route_severity
                 CHECK (min_severity IN ('info', 'warning', 'error', 'critical')),
  urgency        text NOT NULL DEFAULT 'high' CONSTRAINT route_urgency CHECK (urgency IN ('high', 'low')),
  policy         wf.document NOT NULL DEFAULT '{}' CONSTRAINT route_policy CHECK (jsonb_typeof(policy) = 'object'),
  group_by       text[] CONSTRAINT route_group_by
                 CHECK (cardinality(group_by) <= 20 AND octet_length(group_by::text) <= 4096
                        AND array_position(group_by, NULL) IS NULL),  -- NULL: each alert by itself
  group_wait     integer NOT NULL DEFAULT 0 CONSTRAINT route_group_wait CHECK (group_wait BETWEEN 0 AND 86400),
  group_interval integer NOT NULL DEFAULT 300 CONSTRAINT route_group_interval CHECK (group_interval BETWEEN 0 AND 86400),
  repeat_seconds integer DEFAULT 14400 CONSTRAINT route_repeat CHECK (repeat_seconds BETWEEN 60 AND 2592000),
  escalation     wf.document CONSTRAINT route_escalation CHECK (jsonb_typeof(escalation) = 'object'),
  channel        text NOT NULL CONSTRAINT route_channel
                 CHECK (channel IN ('webhook', 'slack', 'pagerduty', 'mail', 'drill')),
  target         wf.line NOT NULL CONSTRAINT route_target CHECK (target <> ''),  -- as it is shown
  template       text NOT NULL DEFAULT '' CONSTRAINT route_template CHECK (char_length(template) <= 4000),
  target_at      wf.moment NOT NULL DEFAULT now(),  -- since when it has this target
  secret_at      wf.moment,  -- since when it signs with its newest secret
  revived_at     wf.moment,  -- when its endpoint was enabled again
  enabled        boolean NOT NULL DEFAULT true,
  version        integer NOT NULL DEFAULT 1,
  created_at     wf.moment NOT NULL DEFAULT now(),
  created_by     wf.line NOT NULL DEFAULT session_user,
  updated_at     wf.moment NOT NULL DEFAULT now(),
  retired_at     wf.moment
);
CREATE UNIQUE INDEX route_taken ON wf.routes (name, coalesce(tenant_id, '')) WHERE retired_at IS NULL;
CREATE INDEX routes_of_tenant ON wf.routes (tenant_id) WHERE tenant_id IS NOT NULL;
CREATE INDEX routes_of_parent ON wf.routes (parent) WHERE parent IS NOT NULL;

-- Encrypted, each bound to its route, its id and its kind. Nobody but a worker reads them.
CREATE TABLE wf.route_secrets (
  id       uuid PRIMARY KEY,
  route_id bigint NOT NULL REFERENCES wf.routes ON DELETE CASCADE,
  kind     text NOT NULL CONSTRAINT route_secret_kind CHECK (kind IN ('target', 'signing')),
  key_id   text NOT NULL CONSTRAINT route_secret_key CHECK (key_id ~ '^[0-9a-f]{16}$'),
  data     bytea NOT NULL CONSTRAINT route_secret_data CHECK (octet_length(data) BETWEEN 28 AND 65536),
  made_at  wf.moment NOT NULL DEFAULT clock_timestamp(),
  ends_at  wf.moment  -- of a secret that another has taken the place of
);
CREATE INDEX secrets_of_route ON wf.route_secrets (route_id);

-- How an endpoint does: how many attempts in a row were not delivered, and why it was disabled.
CREATE TABLE wf.route_health (
  route_id    bigint PRIMARY KEY REFERENCES wf.routes ON DELETE CASCADE,
  failures    integer NOT NULL DEFAULT 0,
  disabled_at wf.moment,
  disabled    wf.words,
  delivered_at wf.moment,
  CONSTRAINT route_health_marks CHECK ((disabled_at IS NULL) = (disabled IS NULL))
) WITH (fillfactor = 50);
INSERT INTO wf.tenant_tables VALUES ('wf.routes', 25);
