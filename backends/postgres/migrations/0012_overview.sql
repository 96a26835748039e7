-- What the overview asks for and nothing answered by an index yet.

-- Runs that are open, and those that ended of late. Runs change seldom: two more indexes cost nothing.
CREATE INDEX runs_open ON wf.runs (state, id) WHERE state IN ('running', 'paused');
CREATE INDEX runs_by_change ON wf.runs (changed_at);

-- Rows of telemetry that have no partition of their own time, counted up to 1,001 of each class.
CREATE FUNCTION wf.stray_requests(OUT raw integer, OUT minutes integer, OUT hours integer) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT (SELECT count(*) FROM (SELECT FROM wf.requests_default LIMIT 1001) r)::integer,
         (SELECT count(*) FROM (SELECT FROM wf.request_minutes_default LIMIT 1001) r)::integer,
         (SELECT count(*) FROM (SELECT FROM wf.request_hours_default LIMIT 1001) r)::integer
$$;
GRANT EXECUTE ON FUNCTION wf.stray_requests TO wf_viewer;

-- Quotas that are nearly used up, of all tenants: what holds for a tenant is derived, so no index can find them. A
-- worker looks now and then. Not in the trail: it is what was seen, not what anybody did.
CREATE TABLE wf.quotas_near (
  tenant_id text COLLATE "C" NOT NULL,
  metric    text COLLATE "C" NOT NULL,
  used      bigint NOT NULL,
  hard      bigint NOT NULL CHECK (hard >= 0),
  share     double precision NOT NULL,
  resets_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, metric)
);
CREATE INDEX quotas_near_by_share ON wf.quotas_near (share DESC, tenant_id, metric);
GRANT SELECT ON wf.quotas_near TO wf_viewer;
INSERT INTO wf.tenant_tables VALUES ('wf.quotas_near', 0);

CREATE TABLE wf.quotas_looked (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  at  timestamptz NOT NULL
);
GRANT SELECT ON wf.quotas_looked TO wf_viewer;

-- Counters that hold less than the least that any plan or grant allows cannot be near their limit; of the others the
-- limit is derived as `admit` does. One statement for all tenants. Returns how many are near.
CREATE FUNCTION wf.look_at_quotas(least_share double precision DEFAULT 0.8) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  found bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('wf.look_at_quotas', 0));
  WITH least_of AS (
    SELECT name, min(hard) AS hard FROM (
      SELECT e.key AS name, (e.value ->> 'hard')::bigint AS hard FROM wf.plans p, jsonb_each(p.entitlements) e
      WHERE wf.entitlement_kind(e.value) = 'quota'
      UNION ALL SELECT g.name, (g.value ->> 'hard')::bigint FROM wf.entitlement_grants g
      WHERE wf.entitlement_kind(g.value) = 'quota' AND g.ends_at > now() AND g.ended_at IS NULL) l
    WHERE hard <> -1 GROUP BY name
  ), held AS MATERIALIZED (
    SELECT c.tenant_id, c.metric, c.period, c.used, s.billing_zone,
           (SELECT e.value FROM wf.entitlement_claims(c.tenant_id, now(), c.metric) e WHERE e.place = 1) AS value
    FROM wf.quota_counters c JOIN least_of l ON l.name = c.metric JOIN wf.subscriptions s ON s.tenant_id = c.tenant_id
      JOIN wf.tenants t ON t.id = c.tenant_id AND t.status IN ('active', 'suspended')
    WHERE c.used >= least_share * l.hard AND c.period_start >= wf.period_start(c.period, now(), s.billing_zone)
  ), limited AS MATERIALIZED (
    SELECT h.*, (h.value ->> 'hard')::bigint AS hard FROM held h
    WHERE wf.entitlement_kind(h.value) = 'quota' AND h.value ->> 'period' = h.period
  ), near AS MATERIALIZED (
    SELECT l.tenant_id, l.metric, l.used, l.hard, wf.period_end(l.period, now(), l.billing_zone) AS resets_at
    FROM limited l WHERE l.hard <> -1 AND l.used >= least_share * l.hard
  ), gone AS (
    DELETE FROM wf.quotas_near n
    WHERE NOT EXISTS (SELECT FROM near f WHERE f.tenant_id = n.tenant_id AND f.metric = n.metric)
  ), put AS (
    INSERT INTO wf.quotas_near AS n
    SELECT f.tenant_id, f.metric, f.used, f.hard, f.used / greatest(f.hard, 1)::float8, f.resets_at FROM near f
    ON CONFLICT (tenant_id, metric) DO UPDATE
      SET used = excluded.used, hard = excluded.hard, share = excluded.share, resets_at = excluded.resets_at
      WHERE (n.used, n.hard, n.resets_at) IS DISTINCT FROM (excluded.used, excluded.hard, excluded.resets_at)
  )
  SELECT count(*) INTO found FROM near;
  INSERT INTO wf.quotas_looked (at) VALUES (clock_timestamp()) ON CONFLICT (one) DO UPDATE SET at = excluded.at;
  RETURN found;
END
$$;
GRANT EXECUTE ON FUNCTION wf.look_at_quotas TO wf_worker;

-- Keys whose grace is half over and whose old key was used since the middle of a grace ago (the heart's rule is_late),
-- among the 500 whose grace ends first. Calls that name the key count as well as what authenticating noted.
CREATE FUNCTION wf.late_rotations(most integer DEFAULT 500, OUT late integer, OUT looked integer) LANGUAGE sql STABLE
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
