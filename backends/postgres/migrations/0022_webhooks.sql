-- Tenants' own webhooks: what happens to a tenant is told to the addresses that it named, by the deliveries that tell
-- alerts too. So a delivery goes to an endpoint, and that is a route's or a webhook's.

-- An address of a tenant's. As with a route, what is needed to reach it is a secret; here is only what is shown of it.
-- Webhooks are numbered with the routes, so that a number names one endpoint.
CREATE TABLE wf.webhooks (
  id             bigint PRIMARY KEY,
  tenant_id      text COLLATE "C" NOT NULL CONSTRAINT webhook_tenant REFERENCES wf.tenants,
  label          text NOT NULL DEFAULT '' CONSTRAINT webhook_label CHECK (char_length(label) <= 100),
  target         wf.line NOT NULL CONSTRAINT webhook_target CHECK (target <> ''),  -- as it is shown
  events         text[] NOT NULL DEFAULT '{*}' CONSTRAINT webhook_events
                 CHECK (cardinality(events) BETWEEN 1 AND 50 AND octet_length(events::text) <= 4096
                        AND array_position(events, NULL) IS NULL),
  target_at      wf.moment NOT NULL DEFAULT now(),
  secret_at      wf.moment,  -- since when it signs with its newest secret
  revived_at     wf.moment,  -- when it was enabled again
  enabled        boolean NOT NULL DEFAULT true,
  replayed_from  wf.moment,  -- the last replay of a span: its deliveries since then,
  replayed_until wf.moment,  -- and before then,
  replayed       integer,    -- and how many they were
  version        integer NOT NULL DEFAULT 1,
  created_at     wf.moment NOT NULL DEFAULT now(),
  created_by     wf.line NOT NULL DEFAULT session_user,
  updated_at     wf.moment NOT NULL DEFAULT now(),
  deleted_at     wf.moment,
  search         text GENERATED ALWAYS AS (wf.folded(tenant_id || E'\n' || label || E'\n' || target)) STORED,
  CONSTRAINT webhook_marks CHECK (num_nonnulls(replayed_from, replayed_until, replayed) IN (0, 3)
                                  AND (deleted_at IS NULL OR NOT enabled))
);
CREATE INDEX webhooks_of_tenant ON wf.webhooks (tenant_id, id);
CREATE INDEX webhooks_tenant_folded ON wf.webhooks (wf.folded(tenant_id), id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_search ON wf.webhooks USING gin (wf.trigrams(search)) WHERE deleted_at IS NULL;

-- What happened to tenants that have webhooks. `id`: the same for the same happening, however often it is noted.
CREATE TABLE wf.tenant_events (
  n         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id        text COLLATE "C" NOT NULL CONSTRAINT tenant_event_id CHECK (id ~ '^evt_[0-9a-f]{40}$'),
  tenant_id wf.line COLLATE "C" NOT NULL,  -- no foreign key: a service that notes one and idles would lock the tenant
  type      text NOT NULL CONSTRAINT tenant_event_type CHECK (type ~ '^[a-z]{1,20}\.[a-z]{1,20}$'),
  summary   wf.words NOT NULL,
  data      jsonb NOT NULL CONSTRAINT tenant_event_data
            CHECK (jsonb_typeof(data) = 'object' AND octet_length(data::text) <= 8192),
  at        wf.moment NOT NULL DEFAULT clock_timestamp(),
  search    text GENERATED ALWAYS AS (wf.folded(tenant_id || E'\n' || type || E'\n' || summary)) STORED
);
CREATE UNIQUE INDEX tenant_event_once ON wf.tenant_events (id);
CREATE INDEX tenant_events_of_tenant ON wf.tenant_events (tenant_id, n);
CREATE INDEX tenant_events_tenant_folded ON wf.tenant_events (wf.folded(tenant_id), n);
CREATE INDEX tenant_events_by_type ON wf.tenant_events (type, n);
CREATE INDEX tenant_events_by_age ON wf.tenant_events (at);
CREATE INDEX tenant_events_search ON wf.tenant_events USING gin (wf.trigrams(search));

-- How an endpoint does: that of a route, or a webhook.
ALTER TABLE wf.route_health RENAME TO endpoints;
ALTER TABLE wf.endpoints DROP CONSTRAINT route_health_pkey;
ALTER TABLE wf.endpoints RENAME CONSTRAINT route_health_marks TO endpoint_marks;
ALTER TABLE wf.endpoints
  ALTER COLUMN route_id DROP NOT NULL,
  ADD COLUMN webhook_id bigint REFERENCES wf.webhooks ON DELETE CASCADE,
  ADD COLUMN id bigint GENERATED ALWAYS AS (coalesce(route_id, webhook_id)) STORED PRIMARY KEY,
  ADD CONSTRAINT endpoint_of_one CHECK (num_nonnulls(route_id, webhook_id) = 1);
CREATE INDEX endpoints_of_route ON wf.endpoints (route_id) WHERE route_id IS NOT NULL;
CREATE INDEX endpoints_of_webhook ON wf.endpoints (webhook_id) WHERE webhook_id IS NOT NULL;
CREATE INDEX endpoints_disabled ON wf.endpoints (id) WHERE disabled IS NOT NULL;

ALTER TABLE wf.route_secrets RENAME TO endpoint_secrets;
ALTER TABLE wf.endpoint_secrets RENAME COLUMN route_id TO endpoint_id;
ALTER TABLE wf.endpoint_secrets DROP CONSTRAINT route_secrets_route_id_fkey;
ALTER TABLE wf.endpoint_secrets ADD FOREIGN KEY (endpoint_id) REFERENCES wf.endpoints ON DELETE CASCADE;
ALTER TABLE wf.endpoint_secrets RENAME CONSTRAINT route_secret_kind TO endpoint_secret_kind;
ALTER TABLE wf.endpoint_secrets RENAME CONSTRAINT route_secret_key TO endpoint_secret_key;
ALTER TABLE wf.endpoint_secrets RENAME CONSTRAINT route_secret_data TO endpoint_secret_data;
ALTER INDEX wf.route_secrets_pkey RENAME TO endpoint_secrets_pkey;
ALTER INDEX wf.secrets_of_route RENAME TO secrets_of_endpoint;

-- A delivery tells of alerts by a route, or of a tenant's event to a webhook; a test tells of neither.
ALTER TABLE wf.deliveries
  ALTER COLUMN route_id DROP NOT NULL,
  ALTER COLUMN action DROP NOT NULL,
  ALTER COLUMN severity DROP NOT NULL,
  ADD COLUMN webhook_id bigint REFERENCES wf.webhooks ON DELETE CASCADE,
  ADD COLUMN event bigint REFERENCES wf.tenant_events ON DELETE CASCADE,
  ADD COLUMN endpoint_id bigint GENERATED ALWAYS AS (coalesce(route_id, webhook_id)) STORED,
  DROP CONSTRAINT delivery_group,
  ADD CONSTRAINT delivery_group CHECK (
    CASE WHEN webhook_id IS NULL THEN group_key ~ '^[0-9a-f]{64}$' OR test AND group_key = '' ELSE group_key = '' END),
  ADD CONSTRAINT delivery_endpoint CHECK (num_nonnulls(route_id, webhook_id) = 1),
  ADD CONSTRAINT delivery_of_event CHECK ((event IS NOT NULL) = (webhook_id IS NOT NULL AND NOT test)),
  ADD CONSTRAINT delivery_of_alert CHECK ((route_id IS NULL) = (action IS NULL) AND (route_id IS NULL) = (severity IS NULL));
DROP INDEX wf.delivery_taken, wf.deliveries_waiting, wf.deliveries_sending;
CREATE UNIQUE INDEX delivery_taken ON wf.deliveries (group_key, number) WHERE group_key <> '';
CREATE UNIQUE INDEX delivery_of_event_once ON wf.deliveries (event, webhook_id) WHERE event IS NOT NULL;
CREATE INDEX deliveries_waiting ON wf.deliveries (endpoint_id, next_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_sending ON wf.deliveries (endpoint_id, started_at) WHERE state = 'sending';
CREATE INDEX deliveries_of_webhook ON wf.deliveries (webhook_id, created_at) WHERE webhook_id IS NOT NULL;
CREATE INDEX deliveries_webhook_folded ON wf.deliveries (wf.folded(webhook_id::text), id);
INSERT INTO wf.tenant_tables VALUES ('wf.tenant_events', 19), ('wf.webhooks', 25);
