-- Keys: what the product's callers authenticate with, and what its services ask on their hot path (schema wf_data).
--
-- A secret is never in here: only its SHA-256, and the first characters that may be shown. The trail keeps neither
-- (see wf.record_change below).

-- The product's own services stand outside the ladder of roles, as workers do: wf_data and nothing else. A login of
-- theirs is made and taken away as an operator's is.
DO $$
BEGIN
  CREATE ROLE wf_service NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END
$$;
ALTER TABLE wf.operators DROP CONSTRAINT operators_role_check, ADD CONSTRAINT operators_role_check
  CHECK (role IN ('viewer', 'support', 'operator', 'admin', 'worker', 'service'));

-- Three functions of 0001 as they are, but for a word: one more role, and no hash in the trail.
DO $$
DECLARE
  was text;
  f   record;
BEGIN
  FOR f IN SELECT * FROM (VALUES
      ('wf.put_operator', '''wf_worker'']', '''wf_worker'', ''wf_service'']'),
      ('wf.remove_operator', '''wf_worker'']', '''wf_worker'', ''wf_service'']'),
      ('wf.record_change', '- ''search''', '- ARRAY[''search'', ''hash'']')) AS f(name, old, new) LOOP
    was := pg_get_functiondef(f.name::regproc);
    ASSERT strpos(was, f.old) > 0, f.name;
    EXECUTE replace(was, f.old, f.new);
  END LOOP;
END
$$;

-- For the product's own services: functions with a stable signature. docs/data-plane.md
CREATE SCHEMA wf_data;
REVOKE ALL ON SCHEMA wf_data FROM PUBLIC;
GRANT USAGE ON SCHEMA wf_data TO wf_service;

CREATE TABLE wf.api_keys (
  id             text COLLATE "C" PRIMARY KEY CONSTRAINT key_id_format CHECK (id ~ '^key_[0-9A-HJKMNP-TV-Z]{26}$'),
  tenant_id      text COLLATE "C" NOT NULL CONSTRAINT key_tenant REFERENCES wf.tenants,
  project_id     text COLLATE "C",
  env            text NOT NULL CONSTRAINT key_env CHECK (env IN ('live', 'test')),
  display        text NOT NULL CONSTRAINT key_display_length CHECK (char_length(display) BETWEEN 1 AND 64),
  hash           bytea NOT NULL CONSTRAINT key_hash_length CHECK (octet_length(hash) = 32),  -- SHA-256 of the secret
  label          text NOT NULL DEFAULT '' CONSTRAINT key_label_length CHECK (char_length(label) <= 200),
  owner_email    text CONSTRAINT key_owner_length CHECK (char_length(owner_email) BETWEEN 3 AND 320),
  scopes         text[] NOT NULL DEFAULT '{}',  -- what is not named is denied
  addresses      cidr[] NOT NULL DEFAULT '{}',  -- where it may be used from; empty: anywhere
  expires_at     timestamptz,                   -- NULL: never
  spend_cap      bigint CONSTRAINT key_spend_cap CHECK (spend_cap >= 0),  -- a month, in minor units of the currency
  rotated_from   text COLLATE "C" REFERENCES wf.api_keys,  -- the key that this one takes the place of
  rotated_at     timestamptz,                   -- when this key got a successor
  grace_until    timestamptz,                   -- until when it is good all the same
  disabled_at    timestamptz,
  revoked_at     timestamptz,
  revoked_reason text,
  version        integer NOT NULL DEFAULT 1,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  created_by     text NOT NULL DEFAULT session_user,
  search         text GENERATED ALWAYS AS (lower(id || E'\n' || display || E'\n' || label)) STORED,
  CONSTRAINT key_project FOREIGN KEY (tenant_id, project_id) REFERENCES wf.projects (tenant_id, id),
  CONSTRAINT key_marks CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL) AND (rotated_at IS NULL) = (grace_until IS NULL))
);
CREATE UNIQUE INDEX key_hash_taken ON wf.api_keys (hash);
CREATE UNIQUE INDEX key_rotated_once ON wf.api_keys (rotated_from) WHERE rotated_from IS NOT NULL;
CREATE UNIQUE INDEX api_keys_of_tenant ON wf.api_keys (tenant_id, id);  -- unique, so that a leak can refer to both
CREATE INDEX api_keys_rotated ON wf.api_keys (tenant_id, rotated_at) WHERE rotated_at IS NOT NULL;
CREATE INDEX api_keys_of_project ON wf.api_keys (tenant_id, project_id) WHERE project_id IS NOT NULL;
CREATE INDEX api_keys_by_created ON wf.api_keys (created_at, id);
CREATE INDEX api_keys_by_expiry ON wf.api_keys ((coalesce(expires_at, 'infinity')), id);
CREATE INDEX api_keys_in_grace ON wf.api_keys (grace_until) WHERE grace_until IS NOT NULL;
CREATE INDEX api_keys_disabled ON wf.api_keys (created_at, id) WHERE disabled_at IS NOT NULL;
CREATE INDEX api_keys_revoked ON wf.api_keys (created_at, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_search ON wf.api_keys USING gin (wf.trigrams(search));
CREATE INDEX api_keys_id_folded ON wf.api_keys (lower(id COLLATE "default"));
CREATE INDEX api_keys_tenant_folded ON wf.api_keys (lower(tenant_id COLLATE "default"));
CREATE INDEX api_keys_display_folded ON wf.api_keys (lower(display COLLATE "default"));

-- Revoked before disabled before expired: what is worst is said. A rotated key is good until its grace ends.
CREATE FUNCTION wf.key_state(
  revoked_at timestamptz, disabled_at timestamptz, expires_at timestamptz, grace_until timestamptz, at timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN revoked_at <= at THEN 'revoked'
              WHEN disabled_at <= at THEN 'disabled'
              WHEN least(expires_at, grace_until) <= at THEN 'expired'
              WHEN grace_until > at THEN 'rotating'
              ELSE 'active' END
$$;
GRANT EXECUTE ON FUNCTION wf.key_state TO wf_viewer, wf_worker;

-- An IPv4 address as programs that listen on IPv6 write it (::ffff:192.0.2.1) is that IPv4 address.
CREATE FUNCTION wf.plain_address(address inet) RETURNS inet LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN address <<= '::ffff:0.0.0.0/96'
              THEN set_masklen('0.0.0.0'::inet + (address - '::ffff:0.0.0.0'::inet), masklen(address) - 96)
              ELSE address END
$$;

CREATE FUNCTION wf.guard_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
    refused := 'key_not_alive';  -- a dead key is not brought back by a successor
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
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.api_keys FOR EACH ROW EXECUTE FUNCTION wf.guard_key();
SELECT wf.audited('wf.api_keys', 'keys', 'id', 'tenant_id', 'owner_email');

-- When a key was last used, kept apart: it changes all the time, and is no change that anybody made.
CREATE TABLE wf.key_uses (
  key_id       text COLLATE "C" PRIMARY KEY REFERENCES wf.api_keys,
  tenant_id    text COLLATE "C" NOT NULL,
  last_used_at timestamptz,  -- NULL: never
  last_address inet
) WITH (fillfactor = 70);
CREATE INDEX key_uses_of_tenant ON wf.key_uses (tenant_id);

-- The row is there from the start: who first uses a key waits for nobody who does the same.
CREATE FUNCTION wf.add_key_uses() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.key_uses (key_id, tenant_id) SELECT id, tenant_id FROM new_rows;
  RETURN NULL;
END
$$;
CREATE TRIGGER uses AFTER INSERT ON wf.api_keys REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.add_key_uses();

-- Where calls come from is for those who help a customer.
CREATE FUNCTION wf.sees_addresses() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT pg_has_role(session_user, 'wf_support', 'MEMBER')
$$;
GRANT EXECUTE ON FUNCTION wf.sees_addresses TO wf_viewer;

-- What people read: no hash, owners masked as those of tenants are.
CREATE VIEW wf.key_list AS
SELECT k.id, k.tenant_id, k.project_id, k.env, k.display, k.label,
       CASE WHEN (SELECT wf.sees_personal()) THEN k.owner_email ELSE wf.masked(k.owner_email) END AS owner_email,
       k.scopes, k.addresses::text[] AS addresses, k.expires_at, k.spend_cap,
       k.rotated_from, k.rotated_at, k.grace_until, k.disabled_at, k.revoked_at, k.revoked_reason,
       k.version, k.created_at, k.updated_at, k.created_by, k.search,
       (SELECT s.id FROM wf.api_keys s WHERE s.rotated_from = k.id) AS rotated_to,
       wf.key_state(k.revoked_at, k.disabled_at, k.expires_at, k.grace_until, now()) AS state,
       u.last_used_at,
       CASE WHEN (SELECT wf.sees_addresses()) THEN host(u.last_address) END AS last_address
FROM wf.api_keys k LEFT JOIN wf.key_uses u ON u.key_id = k.id;
GRANT SELECT ON wf.key_list TO wf_viewer;

GRANT SELECT (id, tenant_id, project_id, env, display, label, owner_email, scopes, addresses, expires_at, spend_cap,
              rotated_from, rotated_at, grace_until, disabled_at, revoked_at, revoked_reason, version, created_at,
              updated_at, created_by, search),
      INSERT (id, tenant_id, project_id, env, display, hash, label, owner_email, scopes, addresses, expires_at,
              spend_cap, rotated_from),
      UPDATE (label, owner_email, scopes, addresses, expires_at, spend_cap, rotated_at, grace_until, disabled_at,
              revoked_at, revoked_reason)
  ON wf.api_keys TO wf_operator;

-- Who holds this secret? The hash goes in, the id comes out: nobody can list hashes, and no query holds a secret.
CREATE FUNCTION wf.key_of_hash(hash bytea) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT k.id FROM wf.api_keys k WHERE k.hash = key_of_hash.hash
$$;
GRANT EXECUTE ON FUNCTION wf.key_of_hash TO wf_viewer;

-- Every call may say which key it was made with and from where. Addresses are for those who help a customer.
ALTER TABLE wf.requests ADD COLUMN key_id text COLLATE "C", ADD COLUMN address inet;
CREATE INDEX requests_of_key ON wf.requests (key_id, at) WHERE key_id IS NOT NULL;
REVOKE SELECT ON wf.requests FROM wf_viewer;
GRANT SELECT (tenant_id, project_id, route, method, status, latency_ms, key_prefix, region, request_id, at, bytes, key_id)
  ON wf.requests TO wf_viewer;
GRANT SELECT (address) ON wf.requests TO wf_support;
GRANT USAGE ON SCHEMA wf TO wf_service;
GRANT INSERT ON wf.requests TO wf_service;

-- Who calls with a key: by address and route, the most first, at most 200 of these; `whole` says whether the newest
-- 500,000 calls were all there are. Without support's rights the addresses are not told apart.
CREATE FUNCTION wf.key_calls(key text, since timestamptz)
RETURNS TABLE (address text, route text, calls bigint, first_at timestamptz, last_at timestamptz, whole boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH newest AS MATERIALIZED (
    SELECT CASE WHEN (SELECT wf.sees_addresses()) THEN host(r.address) END AS address, r.route, r.at
    FROM wf.requests r WHERE r.key_id = key_calls.key AND r.at >= key_calls.since ORDER BY r.at DESC LIMIT 500001)
  SELECT n.address, n.route, count(*), min(n.at), max(n.at), (SELECT count(*) <= 500000 FROM newest)
  FROM newest n GROUP BY n.address, n.route ORDER BY count(*) DESC, n.address, n.route LIMIT 200
$$;
GRANT EXECUTE ON FUNCTION wf.key_calls TO wf_viewer;

-- Keys in their grace, each with its successor, and who still uses which. A count is unknown (NULL) when no call of
-- either key is stored since the rotation, or when the old key was used and none of its calls is stored: 0 is said
-- only where calls name their keys.
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

-- Keys that leaked, with what an incident needs: who called with it in the 30 days before. The calls hold addresses,
-- so they stand beside the trail as personal values do, and an erasure takes them away.
CREATE TABLE wf.key_leaks (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id    text COLLATE "C" NOT NULL,
  key_id       text COLLATE "C" NOT NULL,
  successor_id text COLLATE "C",
  reason       text NOT NULL CONSTRAINT leak_reason CHECK (char_length(reason) BETWEEN 1 AND 2000),
  calls        jsonb NOT NULL DEFAULT '{}' CONSTRAINT leak_calls CHECK (jsonb_typeof(calls) = 'object'),
  at           timestamptz NOT NULL DEFAULT now(),
  actor        text NOT NULL DEFAULT session_user,
  CONSTRAINT leak_key FOREIGN KEY (tenant_id, key_id) REFERENCES wf.api_keys (tenant_id, id),
  CONSTRAINT leak_successor FOREIGN KEY (tenant_id, successor_id) REFERENCES wf.api_keys (tenant_id, id)
);
CREATE INDEX key_leaks_of_key ON wf.key_leaks (key_id);
GRANT SELECT (id, tenant_id, key_id, successor_id, reason, at, actor) ON wf.key_leaks TO wf_viewer;
GRANT SELECT (calls) ON wf.key_leaks TO wf_support;
GRANT INSERT (tenant_id, key_id, successor_id, reason, calls) ON wf.key_leaks TO wf_operator;
SELECT wf.audited('wf.key_leaks', 'leaks', 'id', 'tenant_id', 'calls');

-- News for the services' caches: what may not be answered from memory any more. The numbers come from a counter row
-- of the writing transaction, so a reader that asks for all after 41 misses none. NOTIFY is only a hint.
INSERT INTO wf.counters (name) VALUES ('keys');
CREATE TABLE wf.key_news (
  version   bigint PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  tenant_id text COLLATE "C" NOT NULL,
  key_id    text COLLATE "C"  -- NULL: every key of the tenant
);
CREATE INDEX key_news_of_tenant ON wf.key_news (tenant_id);

CREATE FUNCTION wf.tell_services() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  last bigint;
BEGIN
  UPDATE wf.counters SET value = value + 1 WHERE name = 'keys' RETURNING value INTO last;
  IF TG_TABLE_NAME = 'api_keys' THEN
    INSERT INTO wf.key_news (version, tenant_id, key_id) VALUES (last, NEW.tenant_id, NEW.id);
  ELSIF TG_TABLE_NAME = 'tenants' THEN
    INSERT INTO wf.key_news (version, tenant_id) VALUES (last, NEW.id);
  ELSE
    INSERT INTO wf.key_news (version, tenant_id) VALUES (last, NEW.tenant_id);
  END IF;
  DELETE FROM wf.key_news WHERE version = last - 2000;  -- who is that far behind forgets everything
  PERFORM pg_notify('wf_keys', last::text);
  RETURN NULL;
END
$$;
-- After the audit trigger by its name, so that every transaction takes the two counters in one order.
CREATE TRIGGER tell_services AFTER UPDATE ON wf.api_keys FOR EACH ROW
  WHEN ((OLD.revoked_at, OLD.disabled_at, OLD.expires_at, OLD.grace_until, OLD.scopes, OLD.addresses)
        IS DISTINCT FROM (NEW.revoked_at, NEW.disabled_at, NEW.expires_at, NEW.grace_until, NEW.scopes, NEW.addresses))
  EXECUTE FUNCTION wf.tell_services();
CREATE TRIGGER tell_services AFTER UPDATE ON wf.tenants FOR EACH ROW
  WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION wf.tell_services();
CREATE TRIGGER tell_services AFTER UPDATE ON wf.projects FOR EACH ROW
  WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION wf.tell_services();

INSERT INTO wf.tenant_tables VALUES ('wf.key_leaks', 4), ('wf.key_uses', 6), ('wf.key_news', 7), ('wf.api_keys', 8);
