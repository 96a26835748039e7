-- What the product's services ask on their hot path. The signatures are a contract: docs/data-plane.md.

-- Whose key is this, and may it be used from there, now? Always one row; `refusal` says why not. Good for a cache
-- until news of the key or its tenant with a higher version than `version` come.
CREATE FUNCTION wf_data.authenticate(
  key_hash bytea, address inet DEFAULT NULL,
  OUT tenant text, OUT project text, OUT key_id text, OUT env text, OUT scopes text[], OUT good_until timestamptz,
  OUT version bigint, OUT refusal text
) RETURNS record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  this constant timestamptz := clock_timestamp();  -- a value, so that the planner puts wf.key_state into the query
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

-- The number of the newest news: what a cache polls when notifications may be lost (they always may).
CREATE FUNCTION wf_data.version() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT value FROM wf.counters WHERE name = 'keys'
$$;

-- What a cache must forget: one key, all keys of a tenant (key_id NULL), or everything (tenant NULL): when it is more
-- than 1,000 news behind, ahead of the home (which was restored), or when news are gone with an erased tenant. Always
-- all that is new.
CREATE FUNCTION wf_data.news(after bigint)
RETURNS TABLE (version bigint, tenant text, key_id text) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  newest bigint := (SELECT value FROM wf.counters WHERE name = 'keys');
BEGIN
  IF after IS NULL OR after NOT BETWEEN newest - 1000 AND newest
     OR newest - after <> (SELECT count(*) FROM wf.key_news n WHERE n.version > after) THEN
    RETURN QUERY SELECT newest, NULL::text, NULL::text;
  ELSE
    RETURN QUERY SELECT n.version, n.tenant_id, n.key_id FROM wf.key_news n WHERE n.version > after ORDER BY n.version;
  END IF;
END
$$;

-- Keys that were used: in batches, once a minute or so. Only forward; a row that somebody else is writing is left
-- to them, so nobody waits. Returns how many moved.
CREATE FUNCTION wf_data.touch_keys(keys text[], at timestamptz[], addresses inet[] DEFAULT NULL) RETURNS integer
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
