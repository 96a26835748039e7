-- Usage: rows as they were recorded, and hours of them. Nobody changes or deletes a row.
CREATE TABLE wf.usage (
  tenant_id wf.line COLLATE "C" NOT NULL,  -- no foreign key: it may come before its tenant and outlive it
  metric    text COLLATE "C" NOT NULL CONSTRAINT usage_metric CHECK (metric ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  amount    bigint NOT NULL CONSTRAINT usage_amount CHECK (amount > 0),
  at        wf.moment NOT NULL DEFAULT now(),
  key_id    wf.line COLLATE "C",
  xid       xid8 NOT NULL DEFAULT pg_current_xact_id()  -- tells which rows are rolled up
);
CREATE INDEX usage_by_transaction ON wf.usage (xid);
CREATE INDEX usage_of_tenant ON wf.usage (tenant_id, metric, at);

CREATE TABLE wf.usage_hours (
  tenant_id wf.line COLLATE "C" NOT NULL,
  metric    wf.line COLLATE "C" NOT NULL,
  hour      wf.moment NOT NULL,
  amount    numeric NOT NULL,
  n         bigint NOT NULL,
  PRIMARY KEY (tenant_id, metric, hour)
) WITH (fillfactor = 80);

CREATE TABLE wf.usage_rolled_up (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  before xid8 NOT NULL  -- the rows of every transaction before this one are in the hours
);
INSERT INTO wf.usage_rolled_up (before) VALUES ('0');

-- Counters of admitted use. They are no evidence, so not in the trail; one row per limit, updated in place.
CREATE TABLE wf.quota_counters (
  tenant_id    wf.line COLLATE "C" NOT NULL,
  metric       wf.line COLLATE "C" NOT NULL,
  period       wf.line NOT NULL,
  period_start wf.moment NOT NULL,
  used         bigint NOT NULL,
  minute       wf.moment NOT NULL,
  minute_used  bigint NOT NULL,
  PRIMARY KEY (tenant_id, metric, period)
) WITH (fillfactor = 50);

CREATE TABLE wf.rate_buckets (
  tenant_id wf.line COLLATE "C" NOT NULL,
  metric    wf.line COLLATE "C" NOT NULL,
  tokens    double precision NOT NULL,
  at        wf.moment NOT NULL,
  PRIMARY KEY (tenant_id, metric)
) WITH (fillfactor = 50);
INSERT INTO wf.tenant_tables VALUES ('wf.usage', 15), ('wf.usage_hours', 16), ('wf.quota_counters', 17),
  ('wf.rate_buckets', 18);

-- Quotas that are nearly used up, of all tenants. Entitlements are derived, so no index can find these; a worker looks
-- for them every few minutes. Not in the trail: they are observed, not changed by anybody.
CREATE TABLE wf.quotas_near (
  tenant_id wf.line COLLATE "C" NOT NULL,
  metric    wf.line COLLATE "C" NOT NULL,
  used      bigint NOT NULL,
  hard      bigint NOT NULL CHECK (hard >= 0),
  share     double precision NOT NULL,
  resets_at wf.moment NOT NULL,
  PRIMARY KEY (tenant_id, metric)
);
CREATE INDEX quotas_near_by_share ON wf.quotas_near (share DESC, tenant_id, metric);
INSERT INTO wf.tenant_tables VALUES ('wf.quotas_near', 0);

CREATE TABLE wf.quotas_looked (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  at  wf.moment NOT NULL
);
