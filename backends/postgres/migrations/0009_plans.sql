CREATE TABLE wf.plans (
  code         text COLLATE "C" NOT NULL CONSTRAINT plan_code_length CHECK (char_length(code) BETWEEN 1 AND 64),
  version      integer NOT NULL,
  name         text NOT NULL CONSTRAINT plan_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
  currency     text NOT NULL CONSTRAINT plan_currency CHECK (currency ~ '^[A-Z]{3}$'),
  month_price  bigint NOT NULL CONSTRAINT plan_price CHECK (month_price BETWEEN 0 AND 1000000000000),  -- minor units
  year_price   bigint NOT NULL CONSTRAINT plan_year_price CHECK (year_price BETWEEN 0 AND 1000000000000),
  billing      text NOT NULL CONSTRAINT plan_billing CHECK (billing IN ('arrears', 'advance')),
  trial_days   integer NOT NULL DEFAULT 0 CONSTRAINT plan_trial_days CHECK (trial_days BETWEEN 0 AND 90),
  entitlements jsonb NOT NULL DEFAULT '{}' CONSTRAINT plan_entitlements CHECK (wf.entitlements_valid(entitlements)),
  created_at   wf.moment NOT NULL DEFAULT now(),
  created_by   wf.line NOT NULL DEFAULT session_user,
  PRIMARY KEY (code, version)
);
INSERT INTO wf.plans (code, version, name, currency, month_price, year_price, billing, trial_days, entitlements) VALUES
  ('trial', 1, 'Trial', 'EUR', 0, 0, 'arrears', 14, '{
    "api_calls": {"soft": 800, "hard": 1000, "period": "day"}, "seats": 3, "projects": 3, "storage_gb": 1,
    "retention_days": 7, "key_lifetime_days": -1, "concurrency": 5, "weight": 1, "sso": false, "support": "community",
    "recall": {"rps": 5, "burst": 10}, "write": {"rps": 2, "burst": 5, "max_wait_ms": 200},
    "debug-embed": {"rps": 0.2, "burst": 2}, "recall-text": {"rps": 1, "burst": 2, "max_wait_ms": 500}}'),
  ('starter', 1, 'Starter', 'EUR', 2900, 29000, 'arrears', 14, '{
    "api_calls": {"soft": 80000, "hard": 100000, "period": "month"}, "seats": 5, "projects": 5, "storage_gb": 10,
    "retention_days": 30, "key_lifetime_days": -1, "concurrency": 10, "weight": 2, "sso": false, "support": "email",
    "recall": {"rps": 20, "burst": 40}, "write": {"rps": 10, "burst": 20, "max_wait_ms": 200},
    "debug-embed": {"rps": 0.5, "burst": 2}, "recall-text": {"rps": 5, "burst": 10, "max_wait_ms": 500}}'),
  ('growth', 1, 'Growth', 'EUR', 9900, 99000, 'arrears', 14, '{
    "api_calls": {"soft": 800000, "hard": 1000000, "period": "month"}, "seats": 25, "projects": 25, "storage_gb": 100,
    "retention_days": 90, "key_lifetime_days": -1, "concurrency": 25, "weight": 3, "sso": false, "support": "priority",
    "recall": {"rps": 60, "burst": 120}, "write": {"rps": 30, "burst": 60, "max_wait_ms": 300},
    "debug-embed": {"rps": 1, "burst": 4}, "recall-text": {"rps": 15, "burst": 30, "max_wait_ms": 500}}'),
  ('pro', 1, 'Pro', 'EUR', 29900, 299000, 'advance', 14, '{
    "api_calls": {"soft": 8000000, "hard": 10000000, "period": "month"}, "seats": 100, "projects": 100,
    "storage_gb": 500, "retention_days": 180, "key_lifetime_days": -1, "concurrency": 50, "weight": 5, "sso": true,
    "support": "24x7", "recall": {"rps": 200, "burst": 400}, "write": {"rps": 100, "burst": 200, "max_wait_ms": 300},
    "debug-embed": {"rps": 2, "burst": 8}, "recall-text": {"rps": 50, "burst": 100, "max_wait_ms": 500}}'),
  -- Concurrency must be finite: "unlimited" would end fairness among tenants.
  ('enterprise', 1, 'Enterprise', 'EUR', 99900, 999000, 'advance', 30, '{
    "api_calls": {"hard": -1, "period": "month"}, "seats": -1, "projects": -1, "storage_gb": 5000,
    "retention_days": 365, "key_lifetime_days": -1, "concurrency": 100, "weight": 10, "sso": true,
    "support": "dedicated", "recall": {"rps": 1000, "burst": 2000},
    "write": {"rps": 500, "burst": 1000, "max_wait_ms": 300}, "debug-embed": {"rps": 5, "burst": 20},
    "recall-text": {"rps": 200, "burst": 400, "max_wait_ms": 500}}');

-- What a tenant has besides its plan, for a limited time and with a reason.
CREATE TABLE wf.entitlement_grants (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  name      text NOT NULL CONSTRAINT grant_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  value     jsonb NOT NULL CONSTRAINT grant_value CHECK (wf.entitlement_kind(value) IS NOT NULL),
  source    text NOT NULL CONSTRAINT grant_source CHECK (source IN ('override', 'incident')),
  starts_at wf.moment NOT NULL DEFAULT now(),
  ends_at   wf.moment NOT NULL,
  reason    text NOT NULL CONSTRAINT grant_reason CHECK (char_length(btrim(reason)) BETWEEN 1 AND 2000),
  by        wf.line NOT NULL DEFAULT session_user,
  ended_at  wf.moment,
  CONSTRAINT grant_time CHECK (ends_at > starts_at)
);
CREATE INDEX entitlement_grants_of_tenant ON wf.entitlement_grants (tenant_id, ends_at);
