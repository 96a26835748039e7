GRANT EXECUTE ON FUNCTION wf.entitlement_kind, wf.entitlements_valid TO wf_viewer;

-- How many places a currency of ISO 4217 has; NULL: it is none. The heart has the same table
-- (controlplane.plans.currencies); a test compares the two.
CREATE OR REPLACE FUNCTION wf.currency_places(code text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.places FROM (VALUES
    (0::smallint, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'),
    (2::smallint, 'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF '
     'CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL '
     'HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU '
     'MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR '
     'SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED '
     'VES WST XAD XCD XCG YER ZAR ZMW ZWG'),
    (3::smallint, 'BHD IQD JOD KWD LYD OMR TND'),
    (4::smallint, 'CLF UYW')
  ) AS l(places, codes) WHERE code = ANY (string_to_array(l.codes, ' '))
$$;
GRANT EXECUTE ON FUNCTION wf.currency_places TO wf_viewer;

-- A version, once made, never changes: what somebody was sold can be looked up for ever.
CREATE OR REPLACE FUNCTION wf.guard_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    refused := 'plan_version_fixed';
  ELSIF NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM wf.plans WHERE code = NEW.code) THEN
    refused := 'plan_version_next';
  ELSIF wf.currency_places(NEW.currency) IS NULL THEN
    refused := 'plan_currency';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'plan is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON wf.plans FOR EACH ROW EXECUTE FUNCTION wf.guard_plan();
GRANT SELECT ON wf.plans TO wf_viewer, wf_worker;

GRANT INSERT (code, version, name, currency, month_price, year_price, billing, trial_days, entitlements)
  ON wf.plans TO wf_admin;

-- From here on: what is shipped was made by nobody.
SELECT wf.audited('wf.plans', 'plans', 'code/version', 'none');

CREATE VIEW wf.latest_plans AS SELECT DISTINCT ON (code) * FROM wf.plans ORDER BY code, version DESC;
GRANT SELECT ON wf.latest_plans TO wf_viewer;

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

SELECT wf.audited('wf.entitlement_grants', 'plans', 'tenant_id/name/id', 'tenant_id');

-- All that speaks for a tenant's entitlements at a time, or for `only` one of them; place 1 of a name is what holds, the
-- others lost. With the caller's rights and without settings of its own, so that the planner puts it into the query.
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

-- What holds for a tenant now, for services that enforce it themselves. NULL: there is no such tenant.
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

-- The catalogue as it is shown: the latest version of each plan, and how many tenants have it (10,001: more than that).
CREATE VIEW wf.plan_list AS
SELECT p.*, (SELECT count(*) FROM (  -- the index of tenants' plans sorts by the default
           SELECT FROM wf.tenants t WHERE t.plan = p.code COLLATE "default" AND t.status <> 'erased' LIMIT 10001) c) AS tenants
FROM wf.latest_plans p;

GRANT SELECT ON wf.plan_list TO wf_viewer;
