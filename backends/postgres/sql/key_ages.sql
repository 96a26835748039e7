-- How old the live keys of each tenant are, counted exactly without reading the keys: a worker keeps, for each tenant, when
-- its live keys were created.

-- Note whose keys change, in the transaction that changes them.
CREATE OR REPLACE FUNCTION wf.note_key_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.live_keys_due SELECT DISTINCT tenant_id FROM changed;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER note_insert AFTER INSERT ON wf.api_keys REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_key_change();
CREATE OR REPLACE TRIGGER note_update AFTER UPDATE ON wf.api_keys REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_key_change();
CREATE OR REPLACE TRIGGER note_delete AFTER DELETE ON wf.api_keys REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_key_change();

-- The tenants that must be counted from their keys.
CREATE OR REPLACE FUNCTION wf.tenants_to_count() RETURNS SETOF text LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT d.tenant_id FROM wf.live_keys_due d
  UNION
  SELECT k.tenant_id FROM wf.api_keys k
  WHERE coalesce(k.expires_at, 'infinity'::timestamptz) > (SELECT u.at FROM wf.live_keys_until u)
    AND coalesce(k.expires_at, 'infinity'::timestamptz) <= now()
$$;

-- When the live keys of these tenants were created, from the keys.
CREATE OR REPLACE FUNCTION wf.live_keys_of(tenants text[]) RETURNS SETOF wf.live_keys LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT t.id, k.created, (SELECT max(r.rotated_at) FROM wf.api_keys r WHERE r.tenant_id = t.id AND r.rotated_at IS NOT NULL)
  FROM unnest(tenants) AS t(id), LATERAL (
    SELECT array_agg(l.created_at::timestamptz ORDER BY l.created_at) AS created FROM wf.api_keys l
    WHERE l.tenant_id = t.id AND l.revoked_at IS NULL AND l.disabled_at IS NULL AND l.grace_until IS NULL
      AND (l.expires_at IS NULL OR l.expires_at > now())) k
  WHERE k.created IS NOT NULL
$$;

-- Bring what is kept up to date, for some of the tenants. Returns how many. Who changes keys meanwhile notes it again.
CREATE OR REPLACE FUNCTION wf.count_live_keys(most integer DEFAULT 5000) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  counted bigint;
BEGIN
  PERFORM wf.take_lock('count_live_keys');
  INSERT INTO wf.live_keys_due SELECT t FROM wf.tenants_to_count() t WHERE t NOT IN (SELECT d.tenant_id FROM wf.live_keys_due d);
  UPDATE wf.live_keys_until SET at = now() WHERE at < now();
  -- One statement, so that all of it sees the same: a change is either counted, or its note is left.
  WITH due AS MATERIALIZED (
    SELECT DISTINCT d.tenant_id FROM wf.live_keys_due d ORDER BY d.tenant_id LIMIT most
  ), noted AS (
    DELETE FROM wf.live_keys_due d USING due WHERE d.tenant_id = due.tenant_id
  ), found AS MATERIALIZED (
    SELECT * FROM wf.live_keys_of(ARRAY(SELECT tenant_id FROM due))
  ), gone AS (
    DELETE FROM wf.live_keys l USING due WHERE l.tenant_id = due.tenant_id
      AND NOT EXISTS (SELECT FROM found f WHERE f.tenant_id = due.tenant_id)
  ), kept AS (
    INSERT INTO wf.live_keys SELECT * FROM found
    ON CONFLICT (tenant_id) DO UPDATE SET created = excluded.created, rotated_at = excluded.rotated_at
  )
  SELECT count(*) INTO counted FROM due;
  RETURN counted;
END
$$;
GRANT EXECUTE ON FUNCTION wf.count_live_keys TO wf_worker;

-- The live keys of each tenant: how many there are, how many are stale or nearly so, the oldest, and whether none was
-- rotated for too long. An interval of NULL: as the thresholds say for each tenant.
CREATE OR REPLACE FUNCTION wf.key_ages(max_age interval, warn interval, rotation_window interval)
RETURNS TABLE (tenant_id text, keys bigint, stale bigint, warned bigint, oldest timestamptz, unrotated boolean,
               days double precision, source text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH due AS MATERIALIZED (
    SELECT t AS tenant_id FROM wf.tenants_to_count() t
  ), live AS (
    SELECT l.* FROM wf.live_keys l WHERE l.tenant_id NOT IN (SELECT d.tenant_id FROM due d)
    UNION ALL
    SELECT * FROM wf.live_keys_of(ARRAY(SELECT d.tenant_id FROM due d))
  )
  SELECT l.tenant_id, cardinality(l.created)::bigint, s.stale,
         greatest(width_bucket(now() - warn, l.created) - s.stale, 0), l.created[1],
         t.created_at <= now() - s.rotation_window AND (l.rotated_at >= now() - s.rotation_window) IS NOT TRUE,
         extract(epoch FROM s.age) / 86400, a.source
  FROM live l JOIN wf.tenants t ON t.id = l.tenant_id AND t.status IN ('active', 'suspended')
    JOIN wf.tenant_thresholds('key_rotation_sla_failed', 'max_age') a ON a.tenant_id = t.id
    JOIN wf.tenant_thresholds('key_rotation_sla_failed', 'window') w ON w.tenant_id = t.id, LATERAL (
    SELECT coalesce(max_age, a.value * interval '24 hours') AS age,
           coalesce(key_ages.rotation_window, w.value * interval '24 hours') AS rotation_window,
           width_bucket(now() - coalesce(max_age, a.value * interval '24 hours'), l.created)::bigint AS stale) s
$$;
GRANT EXECUTE ON FUNCTION wf.key_ages TO wf_viewer;
