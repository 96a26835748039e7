INSERT INTO wf.operations (name, role) VALUES
  ('subscriptions.apply-due', 'operator'), ('subscriptions.change', 'operator'),
  ('subscriptions.convert-trial', 'operator'), ('subscriptions.end-grant', 'operator'),
  ('subscriptions.expire-trials', 'operator'), ('subscriptions.extend-trial', 'operator'),
  ('subscriptions.grant', 'operator'), ('subscriptions.raise', 'operator'), ('subscriptions.start-trial', 'operator'),
  ('subscriptions.state', 'operator'), ('subscriptions.zone', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('subscriptions.apply-due', 'wf.tenants', 'update', '{plan}', NULL, NULL, true),
  ('subscriptions.apply-due', 'wf.subscriptions', 'update',
   '{plan_version,previous_plan,state,cycle,period_start}', NULL, NULL, true),
  ('subscriptions.apply-due', 'wf.plan_changes', 'update', '{applied_at}', NULL, NULL, true),
  ('subscriptions.change', 'wf.tenants', 'update', '{plan}', NULL, NULL, false),
  ('subscriptions.change', 'wf.subscriptions', 'update',
   '{plan_version,previous_plan,state,cycle,period_start}', NULL, NULL, false),
  ('subscriptions.change', 'wf.plan_changes', 'insert', NULL, NULL, NULL, false),
  ('subscriptions.change', 'wf.plan_changes', 'update', '{canceled_at}', NULL, NULL, false),
  ('subscriptions.convert-trial', 'wf.tenants', 'update', '{plan}', NULL, NULL, false),
  ('subscriptions.convert-trial', 'wf.subscriptions', 'update',
   '{plan_version,previous_plan,state,cycle,period_start}', NULL, NULL, false),
  ('subscriptions.convert-trial', 'wf.plan_changes', 'insert', NULL, NULL, NULL, false),
  ('subscriptions.expire-trials', 'wf.subscriptions', 'update', '{state}', NULL, NULL, true),
  ('subscriptions.extend-trial', 'wf.subscriptions', 'update', '{state,trial_end,extensions}', NULL, NULL, false),
  ('subscriptions.start-trial', 'wf.subscriptions', 'update',
   '{state,trial_plan,trial_version,trial_start,trial_end,trial_return}', NULL, NULL, false),
  ('subscriptions.state', 'wf.subscriptions', 'update', '{state,grace_until}', NULL, NULL, false),
  ('subscriptions.zone', 'wf.subscriptions', 'update', '{billing_zone}', NULL, NULL, false),
  ('subscriptions.grant', 'wf.entitlement_grants', 'insert', NULL, NULL, NULL, false),
  ('subscriptions.raise', 'wf.entitlement_grants', 'insert', NULL, NULL, NULL, false),
  ('subscriptions.end-grant', 'wf.entitlement_grants', 'update', '{ended_at}', NULL, NULL, false),
  ('tenants.purge', 'wf.subscriptions', 'delete', NULL, NULL, NULL, false),
  ('tenants.purge', 'wf.entitlement_grants', 'delete', NULL, NULL, NULL, true),
  ('tenants.purge', 'wf.plan_changes', 'delete', NULL, NULL, NULL, true);

GRANT SELECT ON wf.subscriptions, wf.subscription_transitions TO wf_viewer, wf_worker;

-- The state at a time: a trial or a grace ends when its time is over, whether or not a worker has written that yet.
CREATE OR REPLACE FUNCTION wf.state_at(
  state text, trial_end timestamptz, trial_return text, grace_until timestamptz, at timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN state = 'trial' AND trial_end <= at THEN trial_return
              WHEN state = 'grace' AND grace_until <= at THEN 'expired'
              ELSE state END;
END;
GRANT EXECUTE ON FUNCTION wf.state_at TO wf_viewer, wf_worker;

-- The subscriptions for the list: each with its tenant, its state now, and its ends as the indexes store them.
CREATE VIEW wf.subscription_list AS
SELECT s.*, t.id, t.search, t.status AS tenant_status, t.plan,
       wf.state_at(s.state, s.trial_end, s.trial_return, s.grace_until, now()) AS state_now,
       CASE WHEN s.state = 'trial' THEN s.trial_end::timestamptz ELSE 'infinity'::timestamptz END AS trial_ends,
       CASE WHEN s.state = 'grace' THEN s.grace_until::timestamptz ELSE 'infinity'::timestamptz END AS grace_ends
FROM wf.subscriptions s JOIN wf.tenants t ON t.id = s.tenant_id;
GRANT SELECT ON wf.subscription_list TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.guard_subscription() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON wf.subscriptions FOR EACH ROW EXECUTE FUNCTION wf.guard_subscription();

-- The currency that a tenant pays in; NULL: not known.
CREATE OR REPLACE FUNCTION wf.currency_of(tenant text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT p.currency FROM wf.subscriptions s JOIN wf.tenants t ON t.id = s.tenant_id
    JOIN wf.plans p ON p.code = t.plan AND p.version = s.plan_version
  WHERE s.tenant_id = tenant
$$;
GRANT EXECUTE ON FUNCTION wf.currency_of TO wf_viewer;

-- A new tenant on a plan that costs nothing and has trial days begins with that trial.
CREATE OR REPLACE FUNCTION wf.add_subscription() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

CREATE OR REPLACE TRIGGER subscription AFTER INSERT ON wf.tenants REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.add_subscription();

-- When a tenant gets another plan, it gets the latest version of it; a plan with a price ends the trial.
-- Its name sorts after the audit trigger's, so that the trail has first the change and then what followed.
CREATE OR REPLACE FUNCTION wf.follow_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

CREATE OR REPLACE TRIGGER subscription_follows AFTER UPDATE ON wf.tenants REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.follow_plan();

-- When a plan is added whose code tenants have already, their limits are known from then on.
CREATE OR REPLACE FUNCTION wf.learn_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.subscriptions s SET plan_version = NEW.version
  FROM wf.tenants t WHERE t.id = s.tenant_id AND t.plan = NEW.code AND s.plan_version IS NULL;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER learn AFTER INSERT ON wf.plans FOR EACH ROW WHEN (NEW.version = 1) EXECUTE FUNCTION wf.learn_plan();

GRANT UPDATE (plan_version, state, cycle, billing_zone, period_start, trial_plan, trial_version, trial_start, trial_end,
              trial_return, grace_until) ON wf.subscriptions TO wf_operator;

SELECT wf.audited('wf.subscriptions', 'subscriptions', 'tenant_id', 'tenant_id');
-- A subscription is made with its tenant, whose row is in the trail; it cannot be made in any other way.
DROP TRIGGER audit_insert ON wf.subscriptions;

CREATE OR REPLACE FUNCTION wf.guard_plan_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

-- A change that claims to be applied must be true at its commit.
CREATE OR REPLACE FUNCTION wf.check_plan_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.tenants t JOIN wf.subscriptions s ON s.tenant_id = t.id
                 WHERE t.id = NEW.tenant_id AND t.plan = NEW.plan AND s.plan_version = NEW.version AND s.cycle = NEW.cycle) THEN
    RAISE EXCEPTION 'the plan of % was not changed', NEW.tenant_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'plan_change_not_made';
  END IF;
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS check_change ON wf.plan_changes;  -- a constraint trigger cannot be replaced
CREATE CONSTRAINT TRIGGER check_change AFTER INSERT ON wf.plan_changes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.applied_at IS NOT NULL) EXECUTE FUNCTION wf.check_plan_change();

CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON wf.plan_changes FOR EACH ROW EXECUTE FUNCTION wf.guard_plan_change();
GRANT SELECT ON wf.plan_changes TO wf_viewer;

GRANT INSERT (tenant_id, from_plan, from_version, from_cycle, plan, version, cycle, direction, effective_on,
              period_start, period_end, currency, lines, summary, preview_hash, applied_at),
      UPDATE (canceled_at) ON wf.plan_changes TO wf_operator;

SELECT wf.audited('wf.plan_changes', 'plan_changes', 'tenant_id/id', 'tenant_id');

-- Apply the changes of plan whose day has come, for all tenants at once. Running it again changes nothing.
CREATE OR REPLACE FUNCTION wf.apply_due_changes() RETURNS integer
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
GRANT SELECT ON wf.trial_reminders TO wf_viewer, wf_worker;

-- End trials that are over, and note reminders, for all tenants at once. Running it again changes nothing.
CREATE OR REPLACE FUNCTION wf.expire_trials() RETURNS TABLE (ended bigint, reminded bigint)
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

CREATE OR REPLACE FUNCTION wf.guard_grant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.entitlement_grants FOR EACH ROW EXECUTE FUNCTION wf.guard_grant();
GRANT SELECT ON wf.entitlement_grants TO wf_viewer;

GRANT INSERT (tenant_id, name, value, source, starts_at, ends_at, reason), UPDATE (ended_at)
  ON wf.entitlement_grants TO wf_operator;

SELECT wf.audited('wf.entitlement_grants', 'subscriptions', 'tenant_id/name/id', 'tenant_id');

-- All sources of a tenant's entitlements at a time, or of `only` one of them; place 1 of a name holds, the others lost.
-- It has the caller's rights and no settings of its own, so that the planner can inline it.
CREATE OR REPLACE FUNCTION wf.entitlement_claims(tenant text, at timestamptz, only_name text)
RETURNS TABLE (name text, value jsonb, source text, starts_at timestamptz, expires_at timestamptz, grant_id bigint,
               place bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
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
  ) f;
END;

CREATE OR REPLACE FUNCTION wf.entitlement_sources(tenant text, at timestamptz)
RETURNS TABLE (name text, value jsonb, source text, starts_at timestamptz, expires_at timestamptz, grant_id bigint,
               place bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT * FROM wf.entitlement_claims($1, $2, NULL)
$$;
GRANT EXECUTE ON FUNCTION wf.entitlement_sources TO wf_viewer, wf_worker;

-- What holds for a tenant now, for services that enforce it themselves. NULL: no such tenant.
CREATE OR REPLACE FUNCTION wf_data.profile(tenant text) RETURNS jsonb
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
GRANT EXECUTE ON FUNCTION wf_data.profile TO wf_service;
