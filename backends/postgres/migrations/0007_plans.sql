-- Plans, subscriptions, what a tenant may use, and what it used.
--
-- An entitlement is derived, never stored: override > incident > trial > plan. The heart holds the same rule
-- (controlplane.plans.rules.effective); a test compares the two.

-- The kind of an entitlement's value by its shape; NULL: it is none. -1 is unlimited, and 0 is never a limit.
--   5, true, "text", {"hard", "soft"?, "burst"?, "period"}, {"rps", "burst", "max_wait_ms"?}
CREATE FUNCTION wf.entitlement_kind(value jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  amount constant text := '^[1-9][0-9]{0,17}$';
  limited boolean;
BEGIN
  IF jsonb_typeof(value) = 'boolean' THEN
    RETURN 'boolean';
  ELSIF jsonb_typeof(value) = 'string' THEN
    RETURN CASE WHEN char_length(value #>> '{}') BETWEEN 1 AND 200 THEN 'string' END;
  ELSIF jsonb_typeof(value) = 'number' THEN
    RETURN CASE WHEN value::text = '-1' OR value::text ~ amount THEN 'integer' END;
  ELSIF jsonb_typeof(value) <> 'object' THEN
    RETURN NULL;
  ELSIF value ? 'hard' THEN
    limited := (value -> 'hard')::text <> '-1';
    IF value - ARRAY['hard', 'soft', 'burst', 'period'] <> '{}'
       OR limited AND (value -> 'hard')::text !~ amount
       OR value ? 'soft' AND (value -> 'soft')::text !~ amount
       OR value ? 'burst' AND (value -> 'burst')::text !~ amount
       OR coalesce(value ->> 'period', '') NOT IN ('hour', 'day', 'month') THEN
      RETURN NULL;
    END IF;
    RETURN CASE WHEN NOT limited OR NOT value ? 'soft' OR (value ->> 'soft')::bigint <= (value ->> 'hard')::bigint
                THEN 'quota' END;
  ELSIF value ? 'rps' THEN
    IF value - ARRAY['rps', 'burst', 'max_wait_ms'] <> '{}' OR jsonb_typeof(value -> 'rps') <> 'number'
       OR NOT coalesce((value -> 'burst')::text ~ amount, false)
       OR value ? 'max_wait_ms' AND (value -> 'max_wait_ms')::text !~ '^(0|[1-9][0-9]{0,6})$' THEN
      RETURN NULL;
    END IF;
    RETURN CASE WHEN (value ->> 'rps')::numeric > 0 AND (value ->> 'rps')::numeric <= 1000000 THEN 'rate' END;
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION wf.entitlements_valid(entitlements jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN jsonb_typeof(entitlements) = 'object' AND octet_length(entitlements::text) <= 65536 AND NOT EXISTS (
    SELECT FROM jsonb_each(entitlements) e
    WHERE e.key !~ '^[a-z][a-z0-9_.-]{0,63}$' OR wf.entitlement_kind(e.value) IS NULL);
END
$$;
GRANT EXECUTE ON FUNCTION wf.entitlement_kind, wf.entitlements_valid TO wf_viewer;

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
  created_at   timestamptz NOT NULL DEFAULT now(),
  created_by   text NOT NULL DEFAULT session_user,
  PRIMARY KEY (code, version)
);

-- A version, once made, never changes: what somebody was sold can be looked up for ever.
CREATE FUNCTION wf.guard_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    refused := 'plan_version_fixed';
  ELSIF NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM wf.plans WHERE code = NEW.code) THEN
    refused := 'plan_version_next';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'plan is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON wf.plans FOR EACH ROW EXECUTE FUNCTION wf.guard_plan();
GRANT SELECT ON wf.plans TO wf_viewer, wf_worker;
GRANT INSERT (code, version, name, currency, month_price, year_price, billing, trial_days, entitlements)
  ON wf.plans TO wf_admin;

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
  -- Concurrency stays finite: "unlimited" would end fairness among tenants.
  ('enterprise', 1, 'Enterprise', 'EUR', 99900, 999000, 'advance', 30, '{
    "api_calls": {"hard": -1, "period": "month"}, "seats": -1, "projects": -1, "storage_gb": 5000,
    "retention_days": 365, "key_lifetime_days": -1, "concurrency": 100, "weight": 10, "sso": true,
    "support": "dedicated", "recall": {"rps": 1000, "burst": 2000},
    "write": {"rps": 500, "burst": 1000, "max_wait_ms": 300}, "debug-embed": {"rps": 5, "burst": 20},
    "recall-text": {"rps": 200, "burst": 400, "max_wait_ms": 500}}');

-- From here on: what is shipped was made by nobody.
SELECT wf.audited('wf.plans', 'plans', 'code/version', 'none');

-- One subscription per tenant. The code of its plan stays in wf.tenants; here is which version of it.
CREATE TABLE wf.subscriptions (
  tenant_id     text COLLATE "C" PRIMARY KEY REFERENCES wf.tenants,
  plan_version  integer,  -- NULL: the catalogue does not know the plan. Its limits are unknown, not unlimited
  previous_plan text,
  state         text NOT NULL DEFAULT 'active' CONSTRAINT subscription_state
                CHECK (state IN ('trial', 'active', 'grace', 'past_due', 'suspended', 'expired', 'canceled')),
  cycle         text NOT NULL DEFAULT 'month' CONSTRAINT subscription_cycle CHECK (cycle IN ('month', 'year')),
  billing_zone  text NOT NULL DEFAULT 'UTC',
  period_start  date NOT NULL DEFAULT current_date,  -- of the first period; the others follow from it
  trial_plan    text,  -- what is tried: it goes before the plan while the trial lasts
  trial_version integer,
  trial_start   timestamptz,
  trial_end     timestamptz,
  trial_return  text CONSTRAINT trial_return CHECK (trial_return IN ('active', 'expired')),  -- what it becomes then
  extensions    smallint NOT NULL DEFAULT 0 CONSTRAINT trial_extensions CHECK (extensions BETWEEN 0 AND 3),
  grace_until   timestamptz,
  version       integer NOT NULL DEFAULT 1,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT trial_of_plan FOREIGN KEY (trial_plan, trial_version) REFERENCES wf.plans,
  CONSTRAINT trial_marks CHECK (num_nonnulls(trial_plan, trial_version, trial_start, trial_end, trial_return) IN (0, 5)),
  CONSTRAINT trial_length CHECK (trial_end > trial_start AND trial_end - trial_start <= interval '365 days'),
  CONSTRAINT subscription_trial CHECK (state <> 'trial' OR trial_end IS NOT NULL),
  CONSTRAINT subscription_grace CHECK (state <> 'grace' OR grace_until IS NOT NULL)
);
CREATE INDEX subscriptions_trials ON wf.subscriptions (trial_end) WHERE state = 'trial';
CREATE INDEX subscriptions_graces ON wf.subscriptions (grace_until) WHERE state = 'grace';
CREATE INDEX subscriptions_unknown ON wf.subscriptions (tenant_id) WHERE plan_version IS NULL;

CREATE TABLE wf.subscription_transitions (
  was text, becomes text, PRIMARY KEY (was, becomes)
);
INSERT INTO wf.subscription_transitions VALUES
  ('trial', 'active'), ('trial', 'expired'), ('trial', 'suspended'), ('trial', 'canceled'),
  ('active', 'trial'), ('active', 'past_due'), ('active', 'grace'), ('active', 'suspended'), ('active', 'canceled'),
  ('past_due', 'active'), ('past_due', 'grace'), ('past_due', 'suspended'), ('past_due', 'canceled'),
  ('grace', 'active'), ('grace', 'suspended'), ('grace', 'expired'), ('grace', 'canceled'),
  ('suspended', 'trial'), ('suspended', 'active'), ('suspended', 'past_due'), ('suspended', 'grace'),
  ('suspended', 'expired'), ('suspended', 'canceled'),
  ('expired', 'trial'), ('expired', 'active'), ('expired', 'canceled'),
  ('canceled', 'active');
GRANT SELECT ON wf.subscriptions, wf.subscription_transitions TO wf_viewer, wf_worker;

-- The state as it is at a time: a trial or a grace is over when its time is, whether or not that was written down yet.
CREATE FUNCTION wf.state_at(
  state text, trial_end timestamptz, trial_return text, grace_until timestamptz, at timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN state = 'trial' AND trial_end <= at THEN trial_return
              WHEN state = 'grace' AND grace_until <= at THEN 'expired'
              ELSE state END
$$;
GRANT EXECUTE ON FUNCTION wf.state_at TO wf_viewer, wf_worker;

CREATE FUNCTION wf.guard_subscription() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  tenant  wf.tenants;
BEGIN
  SELECT * INTO tenant FROM wf.tenants WHERE id = OLD.tenant_id;
  IF NEW.tenant_id <> OLD.tenant_id THEN
    refused := 'subscription_fixed';
  ELSIF tenant.status NOT IN ('active', 'suspended')
      AND (NEW.state, NEW.cycle, NEW.billing_zone, NEW.period_start, NEW.trial_start, NEW.trial_end, NEW.grace_until)
        IS DISTINCT FROM
          (OLD.state, OLD.cycle, OLD.billing_zone, OLD.period_start, OLD.trial_start, OLD.trial_end, OLD.grace_until) THEN
    refused := 'subscription_tenant_gone';
  ELSIF NEW.state <> OLD.state AND NOT EXISTS (
      SELECT FROM wf.subscription_transitions WHERE was = OLD.state AND becomes = NEW.state) THEN
    refused := 'subscription_transition';
  ELSIF OLD.trial_start IS NOT NULL AND NEW.trial_start IS DISTINCT FROM OLD.trial_start THEN
    refused := 'trial_once';
  ELSIF OLD.trial_end IS NOT NULL AND NEW.trial_end < OLD.trial_end THEN
    refused := 'trial_shortened';
  ELSIF NEW.state = 'trial' AND OLD.state <> 'trial' AND NEW.trial_end <= now() THEN
    refused := 'trial_over';
  ELSIF NEW.state = 'grace' AND OLD.state <> 'grace' AND NEW.grace_until <= now() THEN
    refused := 'grace_over';
  ELSIF NEW.plan_version IS DISTINCT FROM OLD.plan_version AND (CASE
      WHEN NEW.plan_version IS NULL THEN EXISTS (SELECT FROM wf.plans WHERE code = tenant.plan)
      ELSE NOT EXISTS (SELECT FROM wf.plans WHERE code = tenant.plan AND version = NEW.plan_version) END) THEN
    refused := 'plan_version_unknown';
  END IF;
  IF refused IS NULL AND NEW.billing_zone <> OLD.billing_zone THEN
    BEGIN
      PERFORM now() AT TIME ZONE NEW.billing_zone;
    EXCEPTION WHEN invalid_parameter_value THEN
      refused := 'billing_zone';
    END;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'subscription of %: % to % is refused', OLD.tenant_id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF NEW.trial_end > OLD.trial_end THEN
    NEW.extensions := OLD.extensions + 1;
  END IF;
  IF NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE UPDATE ON wf.subscriptions FOR EACH ROW EXECUTE FUNCTION wf.guard_subscription();

CREATE VIEW wf.latest_plans AS SELECT DISTINCT ON (code) * FROM wf.plans ORDER BY code, version DESC;
GRANT SELECT ON wf.latest_plans TO wf_viewer;

-- A migration switches nobody off: those who are here already are active, without a trial.
INSERT INTO wf.subscriptions (tenant_id, plan_version, period_start)
SELECT t.id, p.version, (t.created_at AT TIME ZONE 'UTC')::date
FROM wf.tenants t LEFT JOIN wf.latest_plans p ON p.code = t.plan WHERE t.status <> 'erased';

-- A new tenant on a plan that costs nothing and has trial days begins with that trial.
CREATE FUNCTION wf.add_subscription() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.subscriptions (tenant_id, plan_version, state, trial_plan, trial_version, trial_start, trial_end, trial_return)
  SELECT n.id, p.version, CASE WHEN tries.code IS NULL THEN 'active' ELSE 'trial' END,
         tries.code, tries.version, CASE WHEN tries.code IS NOT NULL THEN now() END,
         now() + make_interval(days => tries.trial_days), CASE WHEN tries.code IS NOT NULL THEN 'expired' END
  FROM new_rows n LEFT JOIN wf.latest_plans p ON p.code = n.plan
    LEFT JOIN wf.latest_plans tries ON tries.code = n.plan AND tries.trial_days > 0 AND tries.month_price = 0;
  RETURN NULL;
END
$$;
CREATE TRIGGER subscription AFTER INSERT ON wf.tenants REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.add_subscription();

-- Another plan of the tenant: the latest version of it. Who is given a plan that has a price does not try any more.
-- After the audit trigger by its name, so that the trail says first what was changed and then what followed.
CREATE FUNCTION wf.follow_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.subscriptions s
  SET plan_version = p.version, previous_plan = o.plan,
      state = CASE WHEN s.state = 'trial' AND s.trial_plan = o.plan AND coalesce(p.month_price, 1) > 0
                   THEN 'active' ELSE s.state END
  FROM old_rows o JOIN new_rows n ON n.id = o.id AND n.plan <> o.plan LEFT JOIN wf.latest_plans p ON p.code = n.plan
  WHERE s.tenant_id = n.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER subscription_follows AFTER UPDATE ON wf.tenants REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.follow_plan();

-- The catalogue learns a code that tenants have already: their limits are known from now on.
CREATE FUNCTION wf.learn_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.subscriptions s SET plan_version = NEW.version
  FROM wf.tenants t WHERE t.id = s.tenant_id AND t.plan = NEW.code AND s.plan_version IS NULL;
  RETURN NULL;
END
$$;
CREATE TRIGGER learn AFTER INSERT ON wf.plans FOR EACH ROW WHEN (NEW.version = 1) EXECUTE FUNCTION wf.learn_plan();

GRANT UPDATE (plan_version, state, cycle, billing_zone, period_start, trial_plan, trial_version, trial_start, trial_end,
              trial_return, grace_until) ON wf.subscriptions TO wf_operator;
SELECT wf.audited('wf.subscriptions', 'plans', 'tenant_id', 'tenant_id');
-- It is made with its tenant, whose row is in the trail; nobody else can make one.
DROP TRIGGER audit_insert ON wf.subscriptions;

-- What a tenant has beside its plan, for a while and for a reason.
CREATE TABLE wf.entitlement_grants (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  name      text NOT NULL CONSTRAINT grant_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  value     jsonb NOT NULL CONSTRAINT grant_value CHECK (wf.entitlement_kind(value) IS NOT NULL),
  source    text NOT NULL CONSTRAINT grant_source CHECK (source IN ('override', 'incident')),
  starts_at timestamptz NOT NULL DEFAULT now(),
  ends_at   timestamptz NOT NULL,
  reason    text NOT NULL CONSTRAINT grant_reason CHECK (char_length(btrim(reason)) BETWEEN 1 AND 2000),
  by        text NOT NULL DEFAULT session_user,
  ended_at  timestamptz,
  CONSTRAINT grant_time CHECK (ends_at > starts_at)
);
CREATE INDEX entitlement_grants_of_tenant ON wf.entitlement_grants (tenant_id, ends_at);

CREATE FUNCTION wf.guard_grant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF (SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
      refused := 'grant_tenant_gone';
    END IF;
  ELSIF OLD.ended_at IS NOT NULL OR OLD.ends_at <= now() THEN
    refused := 'grant_over';
  ELSIF to_jsonb(NEW) - 'ended_at' <> to_jsonb(OLD) - 'ended_at' THEN
    refused := 'grant_fixed';
  ELSE
    NEW.ended_at := now();
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'grant of % to % is refused', NEW.name, NEW.tenant_id
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.entitlement_grants FOR EACH ROW EXECUTE FUNCTION wf.guard_grant();
GRANT SELECT ON wf.entitlement_grants TO wf_viewer;
GRANT INSERT (tenant_id, name, value, source, starts_at, ends_at, reason), UPDATE (ended_at)
  ON wf.entitlement_grants TO wf_operator;
SELECT wf.audited('wf.entitlement_grants', 'plans', 'tenant_id/name/id', 'tenant_id');

-- All that speaks for a tenant's entitlements at a time, or for `only` one of them; place 1 of a name is what holds, the
-- others lost. With the caller's rights and without settings of its own, so that the planner puts it into the query.
CREATE FUNCTION wf.entitlement_claims(tenant text, at timestamptz, only_name text)
RETURNS TABLE (name text, value jsonb, source text, starts_at timestamptz, expires_at timestamptz, grant_id bigint,
               place bigint)
LANGUAGE sql STABLE AS $$
  SELECT f.name, f.value, f.source, f.starts_at, f.expires_at, f.grant_id,
         row_number() OVER (PARTITION BY f.name ORDER BY f.rank, f.starts_at DESC, f.grant_id DESC)
  FROM (
    SELECT g.name, g.value, g.source, g.starts_at, g.ends_at AS expires_at, g.id AS grant_id,
           CASE g.source WHEN 'override' THEN 1 ELSE 2 END AS rank
    FROM wf.entitlement_grants g
    WHERE g.tenant_id = $1 AND g.starts_at <= $2 AND g.ends_at > $2 AND (g.ended_at IS NULL OR g.ended_at > $2)
      AND ($3 IS NULL OR g.name = $3)
    UNION ALL
    SELECT e.key, e.value, 'trial', s.trial_start, s.trial_end, NULL, 3
    FROM wf.subscriptions s JOIN wf.plans p ON p.code = s.trial_plan AND p.version = s.trial_version,
         LATERAL (SELECT j.key, j.value FROM jsonb_each(p.entitlements) j WHERE $3 IS NULL
                  UNION ALL SELECT $3, p.entitlements -> $3 WHERE p.entitlements ? $3) e
    WHERE s.tenant_id = $1 AND s.state = 'trial' AND s.trial_start <= $2 AND s.trial_end > $2
    UNION ALL
    SELECT e.key, e.value, 'plan', NULL, NULL, NULL, 4
    FROM wf.subscriptions s JOIN wf.tenants t ON t.id = s.tenant_id
      JOIN wf.plans p ON p.code = t.plan AND p.version = s.plan_version,
         LATERAL (SELECT j.key, j.value FROM jsonb_each(p.entitlements) j WHERE $3 IS NULL
                  UNION ALL SELECT $3, p.entitlements -> $3 WHERE p.entitlements ? $3) e
    WHERE s.tenant_id = $1
  ) f
$$;

CREATE FUNCTION wf.entitlement_sources(tenant text, at timestamptz)
RETURNS TABLE (name text, value jsonb, source text, starts_at timestamptz, expires_at timestamptz, grant_id bigint,
               place bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT * FROM wf.entitlement_claims($1, $2, NULL)
$$;
GRANT EXECUTE ON FUNCTION wf.entitlement_sources TO wf_viewer, wf_worker;

-- Every change of plan with what it costs; one that is neither applied nor canceled waits for its day.
CREATE TABLE wf.plan_changes (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id    text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  from_plan    text NOT NULL,
  from_version integer,
  from_cycle   text NOT NULL,
  plan         text NOT NULL,
  version      integer NOT NULL,
  cycle        text NOT NULL CONSTRAINT plan_change_cycle CHECK (cycle IN ('month', 'year')),
  direction    text NOT NULL CONSTRAINT plan_change_direction CHECK (direction IN ('upgrade', 'downgrade', 'unknown')),
  effective_on date NOT NULL,
  period_start date NOT NULL,
  period_end   date NOT NULL,  -- the first day after it
  currency     text NOT NULL,
  lines        jsonb NOT NULL,
  summary      text NOT NULL,
  preview_hash text NOT NULL,
  applied_at   timestamptz,
  canceled_at  timestamptz,
  at           timestamptz NOT NULL DEFAULT now(),
  by           text NOT NULL DEFAULT session_user,
  CONSTRAINT plan_change_of_plan FOREIGN KEY (plan, version) REFERENCES wf.plans,
  CONSTRAINT plan_change_settled_once CHECK (num_nonnulls(applied_at, canceled_at) < 2)
);
CREATE UNIQUE INDEX plan_change_pending ON wf.plan_changes (tenant_id) WHERE applied_at IS NULL AND canceled_at IS NULL;
CREATE INDEX plan_changes_due ON wf.plan_changes (effective_on) WHERE applied_at IS NULL AND canceled_at IS NULL;
CREATE INDEX plan_changes_of_tenant ON wf.plan_changes (tenant_id, id);

CREATE FUNCTION wf.guard_plan_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF num_nonnulls(OLD.applied_at, OLD.canceled_at) > 0
     OR to_jsonb(NEW) - ARRAY['applied_at', 'canceled_at'] <> to_jsonb(OLD) - ARRAY['applied_at', 'canceled_at'] THEN
    RAISE EXCEPTION 'plan change % is settled', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'plan_change_settled';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE UPDATE ON wf.plan_changes FOR EACH ROW EXECUTE FUNCTION wf.guard_plan_change();
GRANT SELECT ON wf.plan_changes TO wf_viewer;
GRANT INSERT (tenant_id, from_plan, from_version, from_cycle, plan, version, cycle, direction, effective_on,
              period_start, period_end, currency, lines, summary, preview_hash, applied_at),
      UPDATE (canceled_at) ON wf.plan_changes TO wf_operator;
SELECT wf.audited('wf.plan_changes', 'plan_changes', 'tenant_id/id', 'tenant_id');

-- Carry out the changes whose day has come, of all tenants at once. Twice changes nothing more.
CREATE FUNCTION wf.apply_due_changes() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  due bigint[] := ARRAY(
    SELECT c.id FROM wf.plan_changes c JOIN wf.subscriptions s ON s.tenant_id = c.tenant_id
      JOIN wf.tenants t ON t.id = c.tenant_id
    WHERE c.applied_at IS NULL AND c.canceled_at IS NULL AND c.effective_on <= (now() AT TIME ZONE 'UTC')::date + 1
      AND c.effective_on <= (now() AT TIME ZONE s.billing_zone)::date AND t.status IN ('active', 'suspended')
    FOR UPDATE OF c SKIP LOCKED);
BEGIN
  UPDATE wf.tenants t SET plan = c.plan FROM wf.plan_changes c
  WHERE c.id = ANY (due) AND t.id = c.tenant_id AND t.plan <> c.plan;
  UPDATE wf.subscriptions s
  SET plan_version = c.version, cycle = c.cycle,
      period_start = CASE WHEN s.cycle = c.cycle THEN s.period_start ELSE c.effective_on END
  FROM wf.plan_changes c
  WHERE c.id = ANY (due) AND s.tenant_id = c.tenant_id
    AND (s.plan_version, s.cycle) IS DISTINCT FROM (c.version, c.cycle);
  UPDATE wf.plan_changes SET applied_at = now() WHERE id = ANY (due);
  RETURN cardinality(due);
END
$$;

-- That a trial's end is near, said once for each of the three days. An extension brings another end, and three more.
CREATE TABLE wf.trial_reminders (
  tenant_id text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  trial_end timestamptz NOT NULL,
  days      integer NOT NULL CHECK (days IN (7, 3, 1)),
  at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, trial_end, days)
);
GRANT SELECT ON wf.trial_reminders TO wf_viewer, wf_worker;

-- End what is over, and remember whom to remind, of all tenants at once. Twice changes nothing more.
CREATE FUNCTION wf.expire_trials() RETURNS TABLE (ended bigint, reminded bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH over AS (
    UPDATE wf.subscriptions s
    SET state = wf.state_at(s.state, s.trial_end, s.trial_return, s.grace_until, now())
    FROM wf.tenants t
    WHERE t.id = s.tenant_id AND t.status IN ('active', 'suspended')
      AND (s.state = 'trial' AND s.trial_end <= now() OR s.state = 'grace' AND s.grace_until <= now())
    RETURNING s.tenant_id
  ), near AS (
    INSERT INTO wf.trial_reminders (tenant_id, trial_end, days)
    SELECT s.tenant_id, s.trial_end,
           CASE WHEN s.trial_end <= now() + interval '1 day' THEN 1
                WHEN s.trial_end <= now() + interval '3 days' THEN 3 ELSE 7 END
    FROM wf.subscriptions s JOIN wf.tenants t ON t.id = s.tenant_id AND t.status IN ('active', 'suspended')
    WHERE s.state = 'trial' AND s.trial_end > now() AND s.trial_end <= now() + interval '7 days'
    ON CONFLICT DO NOTHING RETURNING days
  )
  SELECT (SELECT count(*) FROM over), (SELECT count(*) FROM near)
$$;
GRANT EXECUTE ON FUNCTION wf.apply_due_changes, wf.expire_trials TO wf_operator, wf_worker;

-- A key lives no longer than its tenant's plan lets it. What is not known is no limit.
CREATE FUNCTION wf.guard_key_lifetime() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  days jsonb := (SELECT e.value FROM wf.entitlement_claims(NEW.tenant_id, now(), 'key_lifetime_days') e
                 WHERE e.place = 1);
BEGIN
  IF wf.entitlement_kind(days) = 'integer' AND days::text <> '-1'
     AND coalesce(NEW.expires_at, 'infinity') > NEW.created_at + least(days::bigint, 100000)::int * interval '24 hours' THEN
    RAISE EXCEPTION 'a key of % lives at most % days', NEW.tenant_id, days
      USING ERRCODE = 'check_violation', CONSTRAINT = 'key_lifetime';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER key_within_plan BEFORE INSERT OR UPDATE OF expires_at ON wf.api_keys
  FOR EACH ROW EXECUTE FUNCTION wf.guard_key_lifetime();

INSERT INTO wf.tenant_tables VALUES ('wf.subscriptions', 11), ('wf.entitlement_grants', 12), ('wf.plan_changes', 13),
  ('wf.trial_reminders', 14);

-- Usage: what was used, as it came; and hours of it. Nobody changes or takes away a row.
CREATE TABLE wf.usage (
  tenant_id text COLLATE "C" NOT NULL,  -- no foreign key: it may come before its tenant and outlive it
  metric    text COLLATE "C" NOT NULL CONSTRAINT usage_metric CHECK (metric ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  amount    bigint NOT NULL CONSTRAINT usage_amount CHECK (amount > 0),
  at        timestamptz NOT NULL DEFAULT now(),
  key_id    text COLLATE "C",
  xid       xid8 NOT NULL DEFAULT pg_current_xact_id()  -- whose rows were rolled up is told by it
);
CREATE INDEX usage_by_transaction ON wf.usage (xid);
CREATE INDEX usage_of_tenant ON wf.usage (tenant_id, metric, at);
GRANT INSERT (tenant_id, metric, amount, at, key_id) ON wf.usage TO wf_service;

CREATE TABLE wf.usage_hours (
  tenant_id text COLLATE "C" NOT NULL,
  metric    text COLLATE "C" NOT NULL,
  hour      timestamptz NOT NULL,
  amount    numeric NOT NULL,
  n         bigint NOT NULL,
  PRIMARY KEY (tenant_id, metric, hour)
) WITH (fillfactor = 80);
GRANT SELECT ON wf.usage_hours TO wf_viewer, wf_worker;

CREATE TABLE wf.usage_rolled_up (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  before xid8 NOT NULL  -- the rows of every transaction before this one are in the hours
);
INSERT INTO wf.usage_rolled_up (before) VALUES ('0');

-- Fold in what was committed since. A number from a sequence would skip a writer that commits late; every transaction
-- before the oldest that still runs has ended, so its rows are seen now or never.
CREATE FUNCTION wf.roll_up_usage() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  from_xid xid8;
  horizon  xid8;
  folded   bigint;
BEGIN
  SELECT before INTO from_xid FROM wf.usage_rolled_up FOR UPDATE;
  horizon := pg_snapshot_xmin(pg_current_snapshot());
  IF from_xid > horizon AND from_xid > pg_snapshot_xmax(pg_current_snapshot()) THEN
    -- A dump was read into another server, whose transactions have lower numbers: say so rather than skip its rows.
    RAISE EXCEPTION 'usage was rolled up to transaction %, which this server has not reached', from_xid
      USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_restored';
  END IF;
  WITH fresh AS (
    SELECT tenant_id, metric, date_trunc('hour', at, 'UTC') AS hour, sum(amount) AS amount, count(*) AS n
    FROM wf.usage WHERE xid >= from_xid AND xid < horizon GROUP BY 1, 2, 3
  ), folding AS (
    INSERT INTO wf.usage_hours AS h (tenant_id, metric, hour, amount, n) SELECT * FROM fresh
    ON CONFLICT (tenant_id, metric, hour) DO UPDATE SET amount = h.amount + excluded.amount, n = h.n + excluded.n
  )
  SELECT coalesce(sum(n), 0) INTO folded FROM fresh;
  UPDATE wf.usage_rolled_up SET before = horizon WHERE before < horizon;
  RETURN folded;
END
$$;
GRANT EXECUTE ON FUNCTION wf.roll_up_usage TO wf_operator, wf_worker;

-- Counters of what was let in. Not evidence, so not in the trail; one row per limit, changed in place.
CREATE TABLE wf.quota_counters (
  tenant_id    text COLLATE "C" NOT NULL,
  metric       text COLLATE "C" NOT NULL,
  period       text NOT NULL,
  period_start timestamptz NOT NULL,
  used         bigint NOT NULL,
  minute       timestamptz NOT NULL,
  minute_used  bigint NOT NULL,
  PRIMARY KEY (tenant_id, metric, period)
) WITH (fillfactor = 50);
CREATE TABLE wf.rate_buckets (
  tenant_id text COLLATE "C" NOT NULL,
  metric    text COLLATE "C" NOT NULL,
  tokens    double precision NOT NULL,
  at        timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, metric)
) WITH (fillfactor = 50);
GRANT SELECT ON wf.quota_counters TO wf_viewer;

INSERT INTO wf.tenant_tables VALUES ('wf.usage', 15), ('wf.usage_hours', 16), ('wf.quota_counters', 17),
  ('wf.rate_buckets', 18);

-- When a quota's period began and when it ends: the tenant's own days and months.
CREATE FUNCTION wf.period_start(period text, at timestamptz, zone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT date_trunc(period, at, zone) $$;
CREATE FUNCTION wf.period_end(period text, at timestamptz, zone text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN period = 'hour' THEN date_trunc('hour', at, zone) + interval '1 hour'
              ELSE (date_trunc(period, at AT TIME ZONE zone) + ('1 ' || period)::interval) AT TIME ZONE zone END
$$;
GRANT EXECUTE ON FUNCTION wf.period_start, wf.period_end TO wf_viewer, wf_worker;

-- Every quota of a tenant with what is used of it. NULL: nothing was ever counted, so it is not known.
CREATE FUNCTION wf.usage_of(tenant text, as_of timestamptz)
RETURNS TABLE (metric text, value jsonb, source text, resets_at timestamptz, admitted bigint, recorded numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT e.name, e.value, e.source, wf.period_end(e.value ->> 'period', as_of, s.billing_zone),
         (SELECT CASE WHEN c.period_start >= began.at THEN c.used ELSE 0 END FROM wf.quota_counters c
          WHERE c.tenant_id = tenant AND c.metric = e.name AND c.period = e.value ->> 'period'),
         CASE WHEN EXISTS (SELECT FROM wf.usage u WHERE u.tenant_id = tenant AND u.metric = e.name) THEN
           coalesce((SELECT sum(h.amount) FROM wf.usage_hours h
                     WHERE h.tenant_id = tenant AND h.metric = e.name AND h.hour >= began.at AND h.hour <= as_of), 0)
           + coalesce((SELECT sum(u.amount) FROM wf.usage u
                       WHERE u.tenant_id = tenant AND u.metric = e.name AND u.at >= began.at AND u.at <= as_of
                         AND u.xid >= (SELECT before FROM wf.usage_rolled_up)), 0) END
  FROM wf.subscriptions s, wf.entitlement_sources(tenant, as_of) e,
       LATERAL (SELECT wf.period_start(e.value ->> 'period', as_of, s.billing_zone) AS at) began
  WHERE s.tenant_id = tenant AND e.place = 1 AND wf.entitlement_kind(e.value) = 'quota'
$$;
GRANT EXECUTE ON FUNCTION wf.usage_of TO wf_viewer;

-- The data-plane contract.

CREATE FUNCTION wf_data.record_usage(
  tenant text, metric text, amount bigint, at timestamptz DEFAULT now(), key_id text DEFAULT NULL
) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.usage (tenant_id, metric, amount, at, key_id) VALUES ($1, $2, $3, $4, $5)
$$;

-- May this tenant use so much of that now? Atomic: a counter is raised only within its limit, by one statement.
-- reason: admitted, soft_exceeded (let in all the same), quota_exceeded, rate_exceeded, limit_unknown, unknown_tenant,
-- tenant_suspended, tenant_gone, subscription_suspended, …_expired, …_canceled, amount_invalid.
-- hard -1: no limit, and then remaining is NULL. A quota's burst is the most of one minute.
CREATE FUNCTION wf_data.admit(tenant text, metric text, amount bigint)
RETURNS TABLE (admitted boolean, reason text, soft bigint, hard bigint, remaining bigint, resets_at timestamptz,
               retry_after_ms bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
#variable_conflict use_column
DECLARE
  this   timestamptz := clock_timestamp();
  this_minute timestamptz := date_trunc('minute', this);
  known  record;
  kind   text;
  most   bigint;
  burst  bigint;
  began  timestamptz;
  now_used    bigint;
  minute_used bigint;
  bucket double precision;
  rps    double precision;
BEGIN
  SELECT t.status, wf.state_at(s.state, s.trial_end, s.trial_return, s.grace_until, this) AS state, s.billing_zone,
         (SELECT e.value FROM wf.entitlement_claims(admit.tenant, this, admit.metric) e WHERE e.place = 1) AS value
  INTO known FROM wf.tenants t LEFT JOIN wf.subscriptions s ON s.tenant_id = t.id WHERE t.id = admit.tenant;
  IF jsonb_typeof(known.value) = 'object' THEN  -- what is stored is of some kind, so a look tells which
    kind := CASE WHEN known.value ? 'hard' THEN 'quota' ELSE 'rate' END;
  END IF;
  admitted := false;
  reason := CASE WHEN coalesce(admit.amount, 0) < 1 THEN 'amount_invalid'
                 WHEN coalesce(known.status, 'erased') = 'erased' THEN 'unknown_tenant'
                 WHEN known.status = 'suspended' THEN 'tenant_suspended'
                 WHEN known.status <> 'active' THEN 'tenant_gone'
                 WHEN known.state IN ('suspended', 'expired', 'canceled') THEN 'subscription_' || known.state
                 WHEN coalesce(kind, '') NOT IN ('quota', 'rate') THEN 'limit_unknown' END;
  IF reason IS NOT NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;
  burst := known.value ->> 'burst';

  IF kind = 'rate' THEN
    rps := known.value ->> 'rps';
    hard := burst;
    INSERT INTO wf.rate_buckets AS b (tenant_id, metric, tokens, at)
    SELECT admit.tenant, admit.metric, burst - admit.amount, this WHERE admit.amount <= burst
    ON CONFLICT (tenant_id, metric) DO UPDATE
      SET tokens = least(burst, b.tokens + rps * greatest(0, extract(epoch FROM this - b.at))) - admit.amount,
          at = greatest(b.at, this)
      WHERE least(burst, b.tokens + rps * greatest(0, extract(epoch FROM this - b.at))) >= admit.amount
    RETURNING b.tokens INTO bucket;
    IF FOUND THEN
      admitted := true;
      reason := 'admitted';
    ELSE
      reason := 'rate_exceeded';
      SELECT least(burst, b.tokens + rps * greatest(0, extract(epoch FROM this - b.at))) INTO bucket
      FROM wf.rate_buckets b WHERE b.tenant_id = admit.tenant AND b.metric = admit.metric;
      bucket := coalesce(bucket, burst);
      IF admit.amount <= burst THEN  -- more than the bucket holds never fits
        retry_after_ms := greatest(1, ceil((admit.amount - bucket) / rps * 1000));
      END IF;
    END IF;
    remaining := greatest(0, floor(bucket));
    RETURN NEXT;
    RETURN;
  END IF;

  soft := known.value ->> 'soft';
  hard := known.value ->> 'hard';
  most := CASE WHEN hard = -1 THEN 9223372036854775807 ELSE hard END;
  burst := coalesce(burst, 9223372036854775807);
  began := wf.period_start(known.value ->> 'period', this, known.billing_zone);
  resets_at := wf.period_end(known.value ->> 'period', this, known.billing_zone);
  -- Another call may have seen the next period or minute already: what is later stands.
  INSERT INTO wf.quota_counters AS c (tenant_id, metric, period, period_start, used, minute, minute_used)
  SELECT admit.tenant, admit.metric, known.value ->> 'period', began, admit.amount, this_minute, admit.amount
  WHERE admit.amount <= most AND admit.amount <= burst
  ON CONFLICT (tenant_id, metric, period) DO UPDATE
    SET used = CASE WHEN c.period_start >= began THEN c.used ELSE 0 END + admit.amount,
        period_start = greatest(c.period_start, began),
        minute_used = CASE WHEN c.minute >= this_minute THEN c.minute_used ELSE 0 END + admit.amount,
        minute = greatest(c.minute, this_minute)
    WHERE CASE WHEN c.period_start >= began THEN c.used ELSE 0 END <= most - admit.amount
      AND CASE WHEN c.minute >= this_minute THEN c.minute_used ELSE 0 END <= burst - admit.amount
  RETURNING c.used INTO now_used;
  IF FOUND THEN
    admitted := true;
    reason := CASE WHEN now_used > soft THEN 'soft_exceeded' ELSE 'admitted' END;
  ELSE
    SELECT CASE WHEN c.period_start >= began THEN c.used ELSE 0 END,
           CASE WHEN c.minute >= this_minute THEN c.minute_used ELSE 0 END
    INTO now_used, minute_used FROM wf.quota_counters c
    WHERE c.tenant_id = admit.tenant AND c.metric = admit.metric AND c.period = known.value ->> 'period';
    IF coalesce(now_used, 0) > most - admit.amount THEN
      reason := 'quota_exceeded';
      IF admit.amount <= most THEN
        retry_after_ms := greatest(1, ceil(extract(epoch FROM resets_at - this) * 1000));
      END IF;
    ELSE
      reason := 'rate_exceeded';
      IF admit.amount <= burst THEN
        retry_after_ms := greatest(1, ceil(extract(epoch FROM this_minute + interval '1 minute' - this) * 1000));
      END IF;
    END IF;
  END IF;
  remaining := CASE WHEN hard <> -1 THEN greatest(0, hard - coalesce(now_used, 0)) END;
  RETURN NEXT;
END
$$;

-- What holds for a tenant now, for services that enforce it themselves. NULL: there is no such tenant.
CREATE FUNCTION wf_data.profile(tenant text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT jsonb_build_object(
    'tenant', t.id, 'status', t.status, 'plan', t.plan, 'plan_version', s.plan_version,
    'state', wf.state_at(s.state, s.trial_end, s.trial_return, s.grace_until, now()),
    'billing_zone', s.billing_zone, 'as_of', now(),
    'entitlements', coalesce((
      SELECT jsonb_object_agg(e.name, jsonb_build_object('value', e.value, 'source', e.source, 'expires_at', e.expires_at))
      FROM wf.entitlement_sources(t.id, now()) e WHERE e.place = 1), '{}'))
  FROM wf.tenants t LEFT JOIN wf.subscriptions s ON s.tenant_id = t.id
  WHERE t.id = profile.tenant AND t.status <> 'erased'
$$;
GRANT EXECUTE ON FUNCTION wf_data.record_usage, wf_data.admit, wf_data.profile TO wf_service;

-- The catalogue as it is shown: the latest version of each plan, and how many tenants have it (10,001: more than that).
CREATE VIEW wf.plan_list AS
SELECT p.*, (SELECT count(*) FROM (SELECT FROM wf.tenants t WHERE t.plan = p.code AND t.status <> 'erased' LIMIT 10001) c)
         AS tenants
FROM wf.latest_plans p;
GRANT SELECT ON wf.plan_list TO wf_viewer;
