INSERT INTO wf.operations (name, role) VALUES
  ('keys.create', 'operator'), ('keys.disable', 'operator'), ('keys.edit', 'operator'), ('keys.enable', 'operator'),
  ('keys.grace', 'operator'), ('keys.leak', 'operator'), ('keys.register', 'operator'), ('keys.revoke', 'operator'),
  ('keys.rotate', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('keys.create', 'wf.api_keys', 'insert', NULL, NULL, '{"rotated_from": null}', false),
  ('keys.register', 'wf.api_keys', 'insert', NULL, NULL, '{"rotated_from": null}', false),
  ('keys.edit', 'wf.api_keys', 'update', '{label,owner_email,scopes,addresses,expires_at,spend_cap}', NULL, NULL, false),
  ('keys.disable', 'wf.api_keys', 'update', '{disabled_at}', '{"disabled_at": null}', NULL, false),
  ('keys.enable', 'wf.api_keys', 'update', '{disabled_at}', NULL, '{"disabled_at": null}', false),
  ('keys.grace', 'wf.api_keys', 'update', '{grace_until}', NULL, NULL, false),
  ('keys.revoke', 'wf.api_keys', 'update', '{revoked_at,revoked_reason}', NULL, NULL, false),
  ('keys.rotate', 'wf.api_keys', 'update', '{rotated_at,grace_until}', '{"rotated_at": null}', NULL, false),
  ('keys.rotate', 'wf.api_keys', 'insert', NULL, NULL, NULL, false),
  ('keys.leak', 'wf.api_keys', 'update', '{disabled_at,rotated_at,grace_until}', NULL, NULL, false),
  ('keys.leak', 'wf.api_keys', 'insert', NULL, NULL, NULL, false),
  ('keys.leak', 'wf.key_leaks', 'insert', NULL, NULL, NULL, false),
  ('tenants.purge', 'wf.api_keys', 'delete', NULL, NULL, NULL, true),
  ('tenants.purge', 'wf.key_leaks', 'delete', NULL, NULL, NULL, true);

-- The worst state counts: revoked before disabled before expired. A rotated key stays valid until its grace ends.
CREATE OR REPLACE FUNCTION wf.key_state(
  revoked_at timestamptz, disabled_at timestamptz, expires_at timestamptz, grace_until timestamptz, at timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN revoked_at <= at THEN 'revoked'
              WHEN disabled_at <= at THEN 'disabled'
              WHEN least(expires_at, grace_until) <= at THEN 'expired'
              WHEN grace_until > at THEN 'rotating'
              ELSE 'active' END;
END;
GRANT EXECUTE ON FUNCTION wf.key_state TO wf_viewer, wf_worker;

-- Programs that listen on IPv6 write IPv4 addresses as ::ffff:192.0.2.1: take these as IPv4.
CREATE OR REPLACE FUNCTION wf.plain_address(address inet) RETURNS inet LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN address <<= '::ffff:0.0.0.0/96'
              THEN set_masklen('0.0.0.0'::inet + (address - '::ffff:0.0.0.0'::inet), masklen(address) - 96)
              ELSE address END;
END;

CREATE OR REPLACE FUNCTION wf.guard_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  parent  wf.api_keys;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF (SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
      refused := 'key_tenant_gone';
    ELSIF (SELECT status FROM wf.projects WHERE tenant_id = NEW.tenant_id AND id = NEW.project_id FOR SHARE) = 'archived' THEN
      refused := 'key_project_archived';
    ELSIF NEW.rotated_from IS NOT NULL THEN
      SELECT * INTO parent FROM wf.api_keys WHERE id = NEW.rotated_from;
      IF parent.tenant_id IS DISTINCT FROM NEW.tenant_id OR parent.env IS DISTINCT FROM NEW.env
         OR parent.rotated_at IS NULL THEN
        refused := 'key_successor';
      END IF;
    END IF;
  ELSIF (NEW.id, NEW.tenant_id, NEW.project_id, NEW.env, NEW.display, NEW.hash, NEW.rotated_from, NEW.created_at)
      IS DISTINCT FROM
        (OLD.id, OLD.tenant_id, OLD.project_id, OLD.env, OLD.display, OLD.hash, OLD.rotated_from, OLD.created_at) THEN
    refused := 'key_fixed';
  ELSIF OLD.revoked_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
    refused := 'key_revoked';  -- for good
  ELSIF OLD.rotated_at IS NULL AND NEW.rotated_at IS NOT NULL
      AND wf.key_state(OLD.revoked_at, OLD.disabled_at, OLD.expires_at, OLD.grace_until, now()) <> 'active' THEN
    refused := 'key_not_alive';  -- a successor does not bring a dead key back
  ELSIF OLD.rotated_at IS NOT NULL AND (NEW.rotated_at IS DISTINCT FROM OLD.rotated_at
      OR NEW.grace_until IS DISTINCT FROM OLD.grace_until AND OLD.grace_until <= now()) THEN
    refused := 'key_grace_over';
  ELSIF NEW.grace_until > NEW.expires_at THEN
    refused := 'key_grace_too_long';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'key % is refused: %', NEW.id, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  NEW.addresses := ARRAY(SELECT wf.plain_address(a)::cidr FROM unnest(NEW.addresses) AS a);
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.api_keys FOR EACH ROW EXECUTE FUNCTION wf.guard_key();
SELECT wf.audited('wf.api_keys', 'keys', 'id', 'tenant_id', 'owner_email');

-- The row exists from the start, so that the first two users of a key do not wait for each other.
CREATE OR REPLACE FUNCTION wf.add_key_uses() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.key_uses (key_id, tenant_id) SELECT id, tenant_id FROM new_rows;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER uses AFTER INSERT ON wf.api_keys REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.add_key_uses();

-- What people read: no hash, and owners masked like those of tenants.
CREATE VIEW wf.key_list AS
SELECT k.id, k.tenant_id, k.project_id, k.env, k.display, k.label,
       CASE WHEN (SELECT wf.sees_personal()) THEN k.owner_email ELSE wf.masked(k.owner_email) END AS owner_email,
       wf.masked(k.owner_email) AS owner_masked,  -- for filters: an index is on it
       k.scopes, k.addresses::text[] AS addresses, k.expires_at, k.spend_cap,
       k.rotated_from, k.rotated_at, k.grace_until, k.disabled_at, k.revoked_at, k.revoked_reason,
       k.version, k.created_at, k.updated_at, k.created_by, k.search,
       (SELECT s.id FROM wf.api_keys s WHERE s.rotated_from = k.id) AS rotated_to,
       wf.key_state(k.revoked_at, k.disabled_at, k.expires_at, k.grace_until, now()) AS state,
       u.last_used_at,
       CASE WHEN (SELECT wf.sees_addresses()) THEN host(u.last_address) END AS last_address
FROM wf.api_keys k LEFT JOIN wf.key_uses u ON u.key_id = k.id;

-- For filters by the owner, as wf.tenant_owners.
CREATE VIEW wf.key_owners AS SELECT k.id, k.owner_email FROM wf.api_keys k WHERE (SELECT wf.in_time('operator'));
GRANT SELECT ON wf.key_owners TO wf_operator;
GRANT SELECT ON wf.key_list TO wf_viewer;
GRANT SELECT (tenant_id, created_at, revoked_at, disabled_at, grace_until, expires_at) ON wf.key_list TO wf_worker;  -- for gates that it runs by a schedule

GRANT SELECT (id, tenant_id, project_id, env, display, label, owner_email, scopes, addresses, expires_at, spend_cap,
              rotated_from, rotated_at, grace_until, disabled_at, revoked_at, revoked_reason, version, created_at,
              updated_at, created_by, search),
      INSERT (id, tenant_id, project_id, env, display, hash, label, owner_email, scopes, addresses, expires_at,
              spend_cap, rotated_from),
      UPDATE (label, owner_email, scopes, addresses, expires_at, spend_cap, rotated_at, grace_until, disabled_at,
              revoked_at, revoked_reason)
  ON wf.api_keys TO wf_operator;

-- Who calls with a key: by address and route, most calls first, at most 200 rows; `whole`: the newest 500,000 calls,
-- which are read, were all. Without `addresses` all addresses are one.
CREATE OR REPLACE FUNCTION wf.calls_of(key text, since timestamptz, addresses boolean)
RETURNS TABLE (address text, route text, calls bigint, first_at timestamptz, last_at timestamptz, whole boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH newest AS MATERIALIZED (
    SELECT CASE WHEN addresses THEN host(r.address) END AS address, r.route, r.at
    FROM wf.requests r WHERE r.key_id = calls_of.key AND r.at >= calls_of.since ORDER BY r.at DESC LIMIT 500001)
  SELECT n.address, n.route, count(*), min(n.at), max(n.at), (SELECT count(*) <= 500000 FROM newest)
  FROM newest n GROUP BY n.address, n.route ORDER BY count(*) DESC, n.address, n.route LIMIT 200
$$;

-- The same as the login may see it.
CREATE OR REPLACE FUNCTION wf.key_calls(key text, since timestamptz)
RETURNS TABLE (address text, route text, calls bigint, first_at timestamptz, last_at timestamptz, whole boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT * FROM wf.calls_of(key, since, (SELECT wf.sees_addresses()))
$$;
GRANT EXECUTE ON FUNCTION wf.key_calls TO wf_viewer;

-- What is kept of a leaked key's calls: those of the 30 days before, with their addresses.
CREATE OR REPLACE FUNCTION wf.leak_calls(key text) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  SELECT jsonb_build_object('since', now() - interval '30 days', 'until', now(),
    'total', sum(calls), 'whole', coalesce(bool_and(whole) AND count(*) < 200, true),
    'by', coalesce(jsonb_agg(jsonb_build_object('address', address, 'route', route, 'calls', calls,
      'first_at', first_at, 'last_at', last_at)), '[]'))
  FROM wf.calls_of(key, now() - interval '30 days', true)
$$;
GRANT EXECUTE ON FUNCTION wf.leak_calls TO wf_operator;

-- Keys in their grace, each with its successor and the calls with either. A count is unknown (NULL) when no call with
-- either key is stored since the rotation, or when the old key was used but no call with it is stored: 0 is only shown
-- where calls name their keys.
CREATE VIEW wf.key_rotations AS
SELECT k.id, k.tenant_id, k.env, k.display, k.label, k.rotated_at, k.grace_until, s.id AS successor_id,
       s.display AS successor_display,
       CASE WHEN o.n > 0 OR (n.n > 0 AND (u.last_used_at < k.rotated_at) IS NOT FALSE) THEN o.n END AS old_calls,
       CASE WHEN n.n > 0 OR (o.n > 0 AND (v.last_used_at < k.rotated_at) IS NOT FALSE) THEN n.n END AS new_calls,
       greatest(l.at, CASE WHEN u.last_used_at >= k.rotated_at THEN u.last_used_at END) AS old_last_at,
       CASE WHEN (SELECT wf.sees_addresses()) THEN
         CASE WHEN u.last_used_at >= k.rotated_at AND (u.last_used_at >= l.at) IS NOT FALSE THEN host(u.last_address)
              ELSE host(l.address) END END AS old_last_address,
       k.version, k.search
FROM wf.api_keys k
LEFT JOIN wf.api_keys s ON s.rotated_from = k.id
LEFT JOIN wf.key_uses u ON u.key_id = k.id
LEFT JOIN wf.key_uses v ON v.key_id = s.id
LEFT JOIN LATERAL (SELECT count(*) AS n FROM wf.requests r WHERE r.key_id = k.id AND r.at >= k.rotated_at) o ON true
LEFT JOIN LATERAL (SELECT count(*) AS n FROM wf.requests r WHERE r.key_id = s.id AND r.at >= k.rotated_at) n ON true
LEFT JOIN LATERAL (SELECT r.at, r.address FROM wf.requests r WHERE r.key_id = k.id AND r.at >= k.rotated_at
                   ORDER BY r.at DESC LIMIT 1) l ON true
WHERE k.grace_until > now()
  AND wf.key_state(k.revoked_at, k.disabled_at, k.expires_at, k.grace_until, now()) = 'rotating';

GRANT SELECT ON wf.key_rotations TO wf_viewer;
GRANT SELECT (id, tenant_id, key_id, successor_id, reason, at, actor) ON wf.key_leaks TO wf_viewer;
GRANT SELECT (calls) ON wf.key_leaks TO wf_support;
GRANT INSERT (tenant_id, key_id, successor_id, reason, calls) ON wf.key_leaks TO wf_operator;
SELECT wf.audited('wf.key_leaks', 'leaks', 'id', 'tenant_id', 'calls');

CREATE OR REPLACE FUNCTION wf.tell_services() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  last bigint;
BEGIN
  last := wf.take_numbers('keys', 1);
  IF TG_TABLE_NAME = 'api_keys' THEN
    INSERT INTO wf.key_news (version, tenant_id, key_id) VALUES (last, NEW.tenant_id, NEW.id);
  ELSIF TG_TABLE_NAME = 'tenants' THEN
    INSERT INTO wf.key_news (version, tenant_id) VALUES (last, NEW.id);
  ELSE
    INSERT INTO wf.key_news (version, tenant_id) VALUES (last, NEW.tenant_id);
  END IF;
  DELETE FROM wf.key_news WHERE version = last - 2000;  -- a cache that is so far behind forgets everything
  PERFORM pg_notify('wf_keys', last::text);
  RETURN NULL;
END
$$;

-- Its name sorts after the audit trigger's, so that every transaction locks the two counters in the same order.
CREATE OR REPLACE TRIGGER tell_services AFTER UPDATE ON wf.api_keys FOR EACH ROW
  WHEN ((OLD.revoked_at, OLD.disabled_at, OLD.expires_at, OLD.grace_until, OLD.scopes, OLD.addresses)
        IS DISTINCT FROM (NEW.revoked_at, NEW.disabled_at, NEW.expires_at, NEW.grace_until, NEW.scopes, NEW.addresses))
  EXECUTE FUNCTION wf.tell_services();

CREATE OR REPLACE TRIGGER tell_services AFTER UPDATE ON wf.tenants FOR EACH ROW
  WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION wf.tell_services();

CREATE OR REPLACE TRIGGER tell_services AFTER UPDATE ON wf.projects FOR EACH ROW
  WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION wf.tell_services();

-- A key lives no longer than its tenant's plan allows. An unknown limit does not bind.
CREATE OR REPLACE FUNCTION wf.guard_key_lifetime() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  days jsonb := (SELECT e.value FROM wf.entitlement_claims(NEW.tenant_id, now(), 'key_lifetime_days') e
                 WHERE e.place = 1);
BEGIN
  IF wf.entitlement_kind(days) = 'integer' AND days::text <> '-1'
     AND coalesce(NEW.expires_at, 'infinity'::timestamptz) > NEW.created_at + least(days::bigint, 100000)::int * interval '24 hours' THEN
    RAISE EXCEPTION 'a key of % lives at most % days', NEW.tenant_id, days
      USING ERRCODE = 'check_violation', CONSTRAINT = 'key_lifetime';
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER key_within_plan BEFORE INSERT OR UPDATE OF expires_at ON wf.api_keys
  FOR EACH ROW EXECUTE FUNCTION wf.guard_key_lifetime();

-- What the product's services call on their hot path. The signatures are a contract: docs/data-plane.md.

-- Whose key is this, and may it be used from that address now? Always one row; `refusal` says why not. The answer may
-- be cached until there are news of the key or its tenant with a higher version than `version`.
CREATE OR REPLACE FUNCTION wf_data.authenticate(
  key_hash bytea, address inet DEFAULT NULL,
  OUT tenant text, OUT project text, OUT key_id text, OUT env text, OUT scopes text[], OUT good_until timestamptz,
  OUT version bigint, OUT refusal text
) RETURNS record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  this constant timestamptz := clock_timestamp();  -- a value, so that the planner can inline wf.key_state
BEGIN
  SELECT k.tenant_id, k.project_id, k.id, k.env, k.scopes, least(k.expires_at, k.grace_until), c.value,
         CASE wf.key_state(k.revoked_at, k.disabled_at, k.expires_at, k.grace_until, this)
           WHEN 'revoked' THEN 'key_revoked'
           WHEN 'disabled' THEN 'key_disabled'
           WHEN 'expired' THEN 'key_expired'
           ELSE CASE WHEN t.status = 'suspended' THEN 'tenant_suspended'
                     WHEN t.status <> 'active' THEN 'tenant_deleted'
                     WHEN p.status = 'archived' THEN 'project_archived'
                     WHEN k.addresses <> '{}'
                       AND NOT coalesce(wf.plain_address(authenticate.address) <<= ANY (k.addresses), false)
                       THEN 'address_not_allowed' END END
  INTO tenant, project, key_id, env, scopes, good_until, version, refusal
  FROM wf.api_keys k
  JOIN wf.tenants t ON t.id = k.tenant_id
  JOIN wf.counters c ON c.name = 'keys'
  LEFT JOIN wf.projects p ON p.tenant_id = k.tenant_id AND p.id = k.project_id
  WHERE k.hash = key_hash;
  IF NOT FOUND THEN
    refusal := 'key_unknown';
  END IF;
END
$$;

-- The number of the newest news. Caches poll it, because notifications may always be lost.
CREATE OR REPLACE FUNCTION wf_data.version() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT value FROM wf.counters WHERE name = 'keys'
$$;

-- What a cache must forget: one key, all keys of a tenant (key_id NULL), or everything (tenant NULL). Everything, when
-- the cache is more than 1,000 news behind, is ahead of the home (which was restored), or when news went with an erased
-- tenant. Returns all news after the given one.
CREATE OR REPLACE FUNCTION wf_data.news(after bigint)
RETURNS TABLE (version bigint, tenant text, key_id text) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  newest bigint := (SELECT value FROM wf.counters WHERE name = 'keys');
BEGIN
  IF after IS NULL OR after NOT BETWEEN newest - 1000 AND newest
     OR newest - after <> (SELECT count(*) FROM wf.key_news n WHERE n.version > after) THEN
    RETURN QUERY SELECT newest, NULL::text, NULL::text;
  ELSE
    RETURN QUERY SELECT n.version, n.tenant_id::text, n.key_id::text FROM wf.key_news n WHERE n.version > after ORDER BY n.version;
  END IF;
END
$$;

-- Note when keys were last used, in batches, about once a minute. Times only move forward; a row that somebody else is
-- writing is skipped, so nobody waits. Returns how many moved.
CREATE OR REPLACE FUNCTION wf_data.touch_keys(keys text[], at timestamptz[], addresses inet[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moved integer;
BEGIN
  WITH newest AS (
    SELECT DISTINCT ON (k) k, least(a, clock_timestamp()) AS a, ad
    FROM unnest(keys, touch_keys.at, addresses) AS given(k, a, ad) ORDER BY k, a DESC
  ), free AS (
    SELECT u.key_id FROM wf.key_uses u JOIN newest n ON n.k = u.key_id
    WHERE u.last_used_at IS NULL OR u.last_used_at < n.a
    FOR UPDATE OF u SKIP LOCKED
  )
  UPDATE wf.key_uses u SET last_used_at = n.a, last_address = coalesce(n.ad, u.last_address)
  FROM newest n JOIN free f ON f.key_id = n.k WHERE u.key_id = n.k;
  GET DIAGNOSTICS moved = ROW_COUNT;
  RETURN moved;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.authenticate, wf_data.version, wf_data.news, wf_data.touch_keys TO wf_service;

-- Delete news older than an hour. The newest 1,000 stay whatever their age: wf_data.news answers with them unless a
-- cache is further behind, and then tells it to forget everything.
CREATE OR REPLACE FUNCTION wf.prune_key_news() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  DELETE FROM wf.key_news n
  WHERE n.version <= (SELECT c.value FROM wf.counters c WHERE c.name = 'keys') - 1000 AND n.at < now() - interval '1 hour';
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;
GRANT EXECUTE ON FUNCTION wf.prune_key_news TO wf_worker;

-- Rotations whose grace is half over and whose old key was used within half a grace of now (the domain's rule is_late),
-- among the 500 whose grace ends first. Both stored calls that name the key and uses noted by authenticating count.
CREATE OR REPLACE FUNCTION wf.late_rotations(most integer DEFAULT 500, OUT late integer, OUT looked integer) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH due AS MATERIALIZED (
    SELECT k.id, k.rotated_at, (k.grace_until - k.rotated_at) / 2 AS half, u.last_used_at
    FROM wf.api_keys k LEFT JOIN wf.key_uses u ON u.key_id = k.id
    WHERE k.grace_until > now() AND k.rotated_at + (k.grace_until - k.rotated_at) / 2 <= now()
      AND wf.key_state(k.revoked_at, k.disabled_at, k.expires_at, k.grace_until, now()) = 'rotating'
    ORDER BY k.grace_until LIMIT most
  )
  SELECT count(*) FILTER (
           WHERE d.last_used_at >= greatest(d.rotated_at, now() - d.half)
              OR EXISTS (SELECT FROM wf.requests r WHERE r.key_id = d.id AND r.at >= greatest(d.rotated_at, now() - d.half)))::integer,
         count(*)::integer
  FROM due d
$$;
GRANT EXECUTE ON FUNCTION wf.late_rotations TO wf_viewer;
GRANT EXECUTE ON FUNCTION wf.late_rotations TO wf_worker;  -- for gates that it runs by a schedule
