INSERT INTO wf.operations (name, role) VALUES
  ('plans.apply', 'admin');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('plans.apply', 'wf.plans', 'insert', NULL, NULL, NULL, true),
  ('plans.apply', 'wf.subscriptions', 'update', '{plan_version}', NULL, NULL, true);

GRANT EXECUTE ON FUNCTION wf.entitlement_kind, wf.entitlements_valid TO wf_viewer;

-- How many decimal places a currency of ISO 4217 has; NULL: there is no such currency. The domain has the same table
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

-- A version never changes once it is made, so that what somebody was sold can always be looked up.
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

-- Only from here on, because nobody made the shipped plans.
SELECT wf.audited('wf.plans', 'plans', 'code/version', 'none');

CREATE VIEW wf.latest_plans AS SELECT DISTINCT ON (code) * FROM wf.plans ORDER BY code, version DESC;
GRANT SELECT ON wf.latest_plans TO wf_viewer;

-- The catalogue as it is shown: the latest version of each plan, and how many tenants have it (10,001: over 10,000).
CREATE VIEW wf.plan_list AS
SELECT p.*, (SELECT count(*) FROM (  -- the index of tenants' plans sorts by the default
           SELECT FROM wf.tenants t WHERE t.plan = p.code COLLATE "default" AND t.status <> 'erased' LIMIT 10001) c) AS tenants
FROM wf.latest_plans p;

GRANT SELECT ON wf.plan_list TO wf_viewer;
