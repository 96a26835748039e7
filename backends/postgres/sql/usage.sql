GRANT INSERT (tenant_id, metric, amount, at, key_id) ON wf.usage TO wf_service;
GRANT SELECT ON wf.usage_hours TO wf_viewer, wf_worker;

-- Roll up what was committed since the last run. Numbers from a sequence would miss a writer that commits late; but
-- every transaction before the oldest running one has ended, so all its rows are visible now.
CREATE OR REPLACE FUNCTION wf.roll_up_usage() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  from_xid xid8;
  horizon  xid8;
  folded   bigint;
BEGIN
  PERFORM wf.in_time('operator');
  SELECT before INTO from_xid FROM wf.usage_rolled_up FOR UPDATE;
  horizon := pg_snapshot_xmin(pg_current_snapshot());
  IF from_xid > horizon AND from_xid > pg_snapshot_xmax(pg_current_snapshot()) THEN
    -- A dump was loaded into another server, whose transactions have lower numbers: raise rather than skip its rows.
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
GRANT SELECT ON wf.quota_counters TO wf_viewer;

-- When a zone's clock first shows this local time or a later one (a clock skips some times and shows some twice).
CREATE OR REPLACE FUNCTION wf.first_at(shown timestamp, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found timestamptz := shown AT TIME ZONE zone;
BEGIN
  RETURN CASE WHEN (found - interval '1 hour') AT TIME ZONE zone >= shown THEN found - interval '1 hour' ELSE found END;
END
$$;

-- When a quota's period began and when it ends: hours, days and months of the tenant's zone. Where a clock is put
-- forward or back by half an hour a new hour begins, and the next one begins with the next whole hour that the clock
-- shows.
CREATE OR REPLACE FUNCTION wf.period_start(period text, at timestamptz, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  began timestamptz;
BEGIN
  IF period <> 'hour' THEN
    RETURN wf.first_at(date_trunc(period, at AT TIME ZONE zone), zone);
  END IF;
  began := date_trunc('hour', at, zone);
  RETURN CASE WHEN extract(minute FROM began AT TIME ZONE zone) = 0 THEN began ELSE began + interval '30 minutes' END;
END
$$;

CREATE OR REPLACE FUNCTION wf.period_end(period text, at timestamptz, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF period <> 'hour' THEN
    RETURN wf.first_at(date_trunc(period, at AT TIME ZONE zone) + ('1 ' || period)::interval, zone);
  END IF;
  RETURN date_trunc('hour', at, zone) + interval '1 hour';
END
$$;
GRANT EXECUTE ON FUNCTION wf.first_at, wf.period_start, wf.period_end TO wf_viewer, wf_worker;

-- What was used in a time: rolled-up hours, minus the parts of the first and the last one that are outside (in a zone
-- that is not on whole hours a period begins within an hour), plus what is not rolled up yet.
CREATE OR REPLACE FUNCTION wf.used_between(tenant text, metric text, began timestamptz, until timestamptz) RETURNS numeric
LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT coalesce((SELECT sum(h.amount) FROM wf.usage_hours h
                   WHERE h.tenant_id = $1 AND h.metric = $2 AND h.hour >= date_trunc('hour', $3, 'UTC') AND h.hour <= $4), 0)
       - coalesce((SELECT sum(u.amount) FROM wf.usage u
                   WHERE u.tenant_id = $1 AND u.metric = $2 AND u.xid < r.before
                     AND u.at >= date_trunc('hour', $3, 'UTC') AND u.at < $3), 0)
       - coalesce((SELECT sum(u.amount) FROM wf.usage u
                   WHERE u.tenant_id = $1 AND u.metric = $2 AND u.xid < r.before
                     AND u.at > $4 AND u.at < date_trunc('hour', $4, 'UTC') + interval '1 hour'), 0)
       + coalesce((SELECT sum(u.amount) FROM wf.usage u
                   WHERE u.tenant_id = $1 AND u.metric = $2 AND u.xid >= r.before AND u.at >= $3 AND u.at <= $4), 0)
  FROM wf.usage_rolled_up r
$$;

-- Every quota of a tenant, with what is used of it. NULL: nothing was ever counted, so it is unknown.
CREATE OR REPLACE FUNCTION wf.usage_of(tenant text, as_of timestamptz)
RETURNS TABLE (metric text, value jsonb, source text, resets_at timestamptz, admitted bigint, recorded numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT e.name, e.value, e.source, wf.period_end(e.value ->> 'period', as_of, s.billing_zone),
         (SELECT CASE WHEN c.period_start >= began.at THEN c.used ELSE 0 END FROM wf.quota_counters c
          WHERE c.tenant_id = tenant AND c.metric = e.name AND c.period = e.value ->> 'period'),
         CASE WHEN EXISTS (SELECT FROM wf.usage u WHERE u.tenant_id = tenant AND u.metric = e.name)
              THEN wf.used_between(tenant, e.name, began.at, as_of) END
  FROM wf.subscriptions s, wf.entitlement_sources(tenant, as_of) e,
       LATERAL (SELECT wf.period_start(e.value ->> 'period', as_of, s.billing_zone) AS at) began
  WHERE s.tenant_id = tenant AND e.place = 1 AND wf.entitlement_kind(e.value) = 'quota'
$$;
GRANT EXECUTE ON FUNCTION wf.usage_of TO wf_viewer;

-- The data-plane contract.
CREATE OR REPLACE FUNCTION wf_data.record_usage(
  tenant text, metric text, amount bigint, at timestamptz DEFAULT now(), key_id text DEFAULT NULL
) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.usage (tenant_id, metric, amount, at, key_id) VALUES ($1, $2, $3, $4, $5)
$$;

-- May this tenant use that much of a metric now? Atomic: one statement raises a counter, and only within its limit.
-- reason: admitted, soft_exceeded (admitted as well), quota_exceeded, rate_exceeded, limit_unknown, unknown_tenant,
-- tenant_suspended, tenant_gone, subscription_suspended, …_expired, …_canceled, amount_invalid.
-- hard -1: no limit, and then remaining is NULL. A quota's burst is the most that one minute may use.
CREATE OR REPLACE FUNCTION wf_data.admit(tenant text, metric text, amount bigint)
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
  IF jsonb_typeof(known.value) = 'object' THEN  -- stored values are valid, so their shape tells their kind
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
  -- Another call may have begun the next period or minute already: the later one stands.
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
        PERFORM wf.note_exceeded_quota(admit.tenant, admit.metric, coalesce(now_used, 0), hard, resets_at);
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
GRANT EXECUTE ON FUNCTION wf_data.record_usage, wf_data.admit TO wf_service;
GRANT SELECT ON wf.quotas_near TO wf_viewer;
GRANT SELECT ON wf.quotas_looked TO wf_viewer;

-- Find the quotas that are nearly used up. Counters below the lowest limit of any plan or grant cannot be near theirs;
-- for the others the limit is derived as in `admit`. One statement for all tenants. Returns how many are near.
CREATE OR REPLACE FUNCTION wf.look_at_quotas(least_share double precision DEFAULT 0.8) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  found bigint;
BEGIN
  PERFORM wf.take_lock('look_at_quotas');
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
