-- The statements of the detectors: one each, over all tenants (sql/detectors.sql has the list). A row is what is wrong
-- with one tenant, or with the estate (NULL), in one way (`labels`).

-- "1 job", "3 jobs".
CREATE OR REPLACE FUNCTION wf.counted(n bigint, noun text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN n || ' ' || noun || CASE n WHEN 1 THEN '' ELSE 's' END;

CREATE OR REPLACE FUNCTION wf.detect_key_rotation_sla_failed() RETURNS SETOF wf.finding LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT k.tenant_id, '{}'::jsonb, CASE WHEN k.stale > 0 THEN 'error' ELSE 'warning' END, k.stale::float8, 1::float8, 'keys',
         concat_ws('; ', CASE WHEN k.stale > 0 THEN format('%s of %s live keys older than %s days', k.stale, k.keys, k.days) END,
                   CASE WHEN k.unrotated THEN 'no key rotated for too long' END),
         jsonb_build_object('stale_count_for_tenant', k.stale, 'tenant_without_recent_rotation', k.unrotated,
                            'live_keys', k.keys, 'oldest_key_at', k.oldest, 'max_age_days', k.days, 'threshold_from', k.source), NULL
  FROM wf.key_ages(NULL, NULL, NULL) k WHERE k.stale > 0 OR k.unrotated
$$;

CREATE OR REPLACE FUNCTION wf.detect_quota_near() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT n.tenant_id, jsonb_build_object('metric', n.metric), 'warning', n.share, t.value, 'share',
         format('%s: %s of %s used', n.metric, n.used, n.hard),
         jsonb_build_object('used', n.used, 'hard', n.hard, 'resets_at', n.resets_at, 'threshold_from', t.source), NULL
  FROM wf.quotas_near n JOIN wf.tenant_thresholds('quota_near', 'share') t ON t.tenant_id = n.tenant_id
  WHERE n.resets_at > now() AND n.share >= t.value AND n.share < 1
$$;

CREATE OR REPLACE FUNCTION wf.detect_quota_over() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT n.tenant_id, jsonb_build_object('metric', n.metric), 'error', n.share, 1::float8, 'share',
         format('%s: all of %s used', n.metric, n.hard),
         jsonb_build_object('used', n.used, 'hard', n.hard, 'resets_at', n.resets_at), NULL
  FROM wf.quotas_near n WHERE n.resets_at > now() AND n.share >= 1
$$;

CREATE OR REPLACE FUNCTION wf.detect_jobs_dead() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  WITH dead AS (  -- what waits as a dead letter, quarantined or not
    SELECT l.tenant_id, l.handler AS kind, count(*) AS n, min(l.dead_at) AS oldest, max(l.source_id::bigint) AS newest
    FROM wf.dead_letters l WHERE l.source = 'jobs' AND l.state IN ('dead', 'quarantined') GROUP BY 1, 2
  )
  SELECT d.tenant_id, jsonb_build_object('job', d.kind),
         CASE WHEN d.n >= coalesce(c.value, ec.value) OR d.oldest <= now() - coalesce(a.value, ea.value) * interval '1 hour'
              THEN 'critical' ELSE 'error' END,
         d.n::float8, coalesce(t.value, et.value), 'jobs', wf.counted(d.n, 'dead ' || d.kind || ' job'),
         jsonb_build_object('dead_letter_backlog', d.n, 'oldest_at', d.oldest, 'newest_job', d.newest,
                            'oldest_seconds', extract(epoch FROM now() - d.oldest)::bigint,
                            'threshold_from', coalesce(t.source, et.source)), NULL
  FROM dead d CROSS JOIN wf.estate_threshold('jobs_dead', 'number') et
    CROSS JOIN wf.estate_threshold('jobs_dead', 'critical') ec CROSS JOIN wf.estate_threshold('jobs_dead', 'critical_age') ea
    LEFT JOIN wf.tenant_thresholds('jobs_dead', 'number') t ON t.tenant_id = d.tenant_id
    LEFT JOIN wf.tenant_thresholds('jobs_dead', 'critical') c ON c.tenant_id = d.tenant_id
    LEFT JOIN wf.tenant_thresholds('jobs_dead', 'critical_age') a ON a.tenant_id = d.tenant_id
  WHERE d.n >= coalesce(t.value, et.value)
$$;

-- With no worker at all nobody evaluates this: then every alert is shown as unknown (wf.alert_list). A worker that was given
-- up is deleted after a week; of a host that has none left nothing is known then, and its alert stays.
CREATE OR REPLACE FUNCTION wf.detect_worker_missing() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, jsonb_build_object('host', left(w.host, 200)), 'error', count(*)::float8, 1::float8, 'workers',
         format('no worker on %s since %s', left(w.host, 200), wf.minute_of(max(w.seen_at))),
         jsonb_build_object('last_seen_at', max(w.seen_at), 'given_up', count(*)), NULL
  FROM wf.workers w
  WHERE w.ended = 'gone' AND NOT EXISTS (
    SELECT FROM wf.workers n WHERE n.host = w.host AND n.started_at >= w.started_at AND n.ended IS DISTINCT FROM 'gone')
  GROUP BY w.host
  UNION ALL
  SELECT NULL, a.labels, a.severity, NULL, NULL, a.unit, a.summary, '{}',
         'its worker was given up over a week ago and is no longer on record: resolve it by hand if that host is gone'
  FROM wf.alerts a WHERE a.kind = 'worker_missing' AND a.resolved_at IS NULL
    AND NOT EXISTS (SELECT FROM wf.workers w WHERE left(w.host, 200) = a.labels ->> 'host')
$$;

CREATE OR REPLACE FUNCTION wf.detect_telemetry_absent() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, '{}'::jsonb, 'critical', extract(epoch FROM now() - n.at) / 60, t.value, 'minutes',
         'no request has come in since ' || wf.minute_of(n.at), jsonb_build_object('newest_at', n.at, 'threshold_from', t.source), NULL
  FROM wf.estate_threshold('telemetry_absent', 'minutes') t,
    (SELECT coalesce(wf.newest_request(), (SELECT max(h.hour) + interval '1 hour' FROM wf.request_hours h
                                           WHERE h.tenant_id = '' AND h.dim = 'route')) AS at) n
  WHERE n.at < now() - t.value * interval '1 minute'
$$;

CREATE OR REPLACE FUNCTION wf.detect_rollup_behind() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, '{}'::jsonb, 'error', extract(epoch FROM now() - greatest(m.minutes_until, '1970-01-01')) / 60, t.value, 'minutes',
         CASE WHEN m.rolled_at IS NULL THEN 'requests were never rolled up'
              ELSE 'requests are rolled up only to ' || wf.minute_of(m.minutes_until) END,
         jsonb_build_object('rolled_at', m.rolled_at, 'minutes_until', greatest(m.minutes_until, '1970-01-01'),
                            'hours_until', greatest(m.hours_until, '1970-01-01'), 'threshold_from', t.source), NULL
  FROM wf.request_marks m, wf.estate_threshold('rollup_behind', 'minutes') t
  WHERE m.minutes_until < now() - t.value * interval '1 minute'
    AND (m.rolled_at IS NOT NULL OR EXISTS (SELECT FROM wf.requests r WHERE r.at < now() - t.value * interval '1 minute'))
$$;

CREATE OR REPLACE FUNCTION wf.detect_retention_behind() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, jsonb_build_object('data', p.data), 'warning', max(extract(epoch FROM wf.kept_from(p.data) - p.upper)) / 3600,
         t.value, 'hours', format('%s of %s should have been dropped', wf.counted(count(*), 'partition'), p.data),
         jsonb_build_object('partitions', count(*), 'bytes', sum(p.bytes), 'oldest', min(p.lower), 'threshold_from', t.source), NULL
  FROM wf.estate_threshold('retention_behind', 'hours') t, wf.telemetry_partitions() p
  WHERE p.upper <= wf.kept_from(p.data) - t.value * interval '1 hour'
  GROUP BY p.data, t.value, t.source
$$;

CREATE OR REPLACE FUNCTION wf.detect_default_partition() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, jsonb_build_object('data', d.data), 'warning', d.n::float8, t.value, 'rows',
         format('%s of %s without a partition', CASE WHEN d.n > 1000 THEN 'more than 1000 rows' ELSE wf.counted(d.n, 'row') END, d.data),
         jsonb_build_object('threshold_from', t.source), NULL
  FROM wf.stray_requests() s, wf.estate_threshold('default_partition', 'rows') t,
    LATERAL (VALUES ('raw', s.raw), ('minutes', s.minutes), ('hours', s.hours)) AS d(data, n)
  WHERE d.n >= t.value
$$;

CREATE OR REPLACE FUNCTION wf.detect_trial_ending() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT s.tenant_id, '{}'::jsonb, 'info', extract(epoch FROM s.trial_end - now()) / 86400, t.value, 'days',
         'the trial ends at ' || wf.minute_of(s.trial_end),
         jsonb_build_object('trial_end', s.trial_end, 'trial_plan', s.trial_plan, 'threshold_from', t.source), NULL
  FROM wf.subscriptions s JOIN wf.tenants w ON w.id = s.tenant_id AND w.status IN ('active', 'suspended')
    JOIN wf.tenant_thresholds('trial_ending', 'days') t ON t.tenant_id = s.tenant_id
  WHERE s.state = 'trial' AND s.trial_end > now() AND s.trial_end <= now() + t.value * interval '24 hours'
$$;

CREATE OR REPLACE FUNCTION wf.detect_audit_unverified() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, '{}'::jsonb, 'error', extract(epoch FROM now() - c.unsigned_since) / 60, t.value, 'minutes',
         CASE WHEN c.trouble IS NOT NULL THEN 'the trail cannot be chained or signed: ' || left(c.trouble, 300)
              ELSE 'no signed checkpoint covers what was done since ' || wf.minute_of(c.unsigned_since) END,
         jsonb_build_object('written', c.written, 'signed', c.signed, 'signed_at', c.signed_at, 'unsigned_since', c.unsigned_since,
                            'threshold_from', t.source), NULL
  FROM wf.audit_chain_status c, wf.estate_threshold('audit_unverified', 'minutes') t
  WHERE c.trouble IS NOT NULL OR c.unsigned_since < now() - t.value * interval '1 minute'
$$;

CREATE OR REPLACE FUNCTION wf.detect_audit_unchained() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT NULL, '{}'::jsonb, 'error', extract(epoch FROM now() - c.waits_since) / 60, t.value, 'minutes',
         format('%s of the trail without a link since %s', wf.counted(c.written - c.chained, 'row'), wf.minute_of(c.waits_since)),
         jsonb_build_object('written', c.written, 'chained', c.chained, 'waits_since', c.waits_since, 'threshold_from', t.source), NULL
  FROM wf.audit_chain_status c, wf.estate_threshold('audit_unchained', 'minutes') t
  WHERE c.waits_since < now() - t.value * interval '1 minute'
$$;

-- What was stored since it looked last, however long ago that was and whatever the time of the requests. After a dump was
-- loaded into another server, whose transactions have lower numbers, all rows once.
CREATE OR REPLACE FUNCTION wf.detect_tenant_leak() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  WITH fresh AS MATERIALIZED (
    SELECT r.key_id, r.tenant_id, count(*) AS n, min(r.at) AS first_at, max(r.at) AS last_at FROM wf.requests r
    WHERE r.key_id IS NOT NULL AND r.xid >= (
      SELECT CASE WHEN d.seen <= txid_snapshot_xmax(txid_current_snapshot()) THEN d.seen ELSE 0 END
      FROM wf.detectors d WHERE d.name = 'tenant_leak')
    GROUP BY 1, 2
  ), owned AS (  -- by a look-up for each key: a join would read all keys
    SELECT f.*, (SELECT k.tenant_id FROM wf.api_keys k WHERE k.id = f.key_id) AS owner FROM fresh f
  )
  SELECT o.owner, jsonb_build_object('stored_for', o.tenant_id), 'critical', sum(o.n)::float8, 1::float8, 'requests',
         format('%s with its keys stored for %s', wf.counted(sum(o.n)::bigint, 'request'), o.tenant_id),
         jsonb_build_object('first_at', min(o.first_at), 'last_at', max(o.last_at), 'key_id', min(o.key_id)), NULL
  FROM owned o WHERE o.owner <> o.tenant_id GROUP BY o.owner, o.tenant_id
$$;

-- Deliveries that were decided in the last 24 hours and have been tried: the share that is not received, and the share that
-- was given up or is held, each against that of the 6 days before. What is received in the end counts as received; tests
-- and replays say nothing about an endpoint. The days before are read only for a route that is over the least shares.
CREATE OR REPLACE FUNCTION wf.detect_deliveries_failing() RETURNS SETOF wf.finding LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  WITH current AS (
    SELECT d.route_id, count(*) AS n, count(*) FILTER (WHERE d.state <> 'delivered') AS failed,
           count(*) FILTER (WHERE d.state IN ('failed', 'held')) AS dead
    FROM wf.deliveries d
    WHERE d.created_at > now() - interval '24 hours' AND NOT d.test AND d.replays = 0
      AND (d.state IN ('delivered', 'failed', 'held') OR d.attempts > 0)
    GROUP BY d.route_id
  ), judged AS (
    SELECT r.tenant_id, r.name, c.*, c.failed::float8 / c.n AS share, c.dead::float8 / c.n AS dead_share,
           coalesce(m.value, em.value) AS fewest, coalesce(x.value, ex.value) AS times,
           coalesce(s.value, es.value) AS least, coalesce(x.source, ex.source) AS source,
           coalesce(g.value, eg.value) AS dead_least
    FROM current c JOIN wf.routes r ON r.id = c.route_id AND r.enabled AND r.retired_at IS NULL
      CROSS JOIN wf.estate_threshold('deliveries_failing', 'fewest') em CROSS JOIN wf.estate_threshold('deliveries_failing', 'times') ex
      CROSS JOIN wf.estate_threshold('deliveries_failing', 'share') es CROSS JOIN wf.estate_threshold('deliveries_failing', 'dead') eg
      LEFT JOIN wf.tenant_thresholds('deliveries_failing', 'fewest') m ON m.tenant_id = r.tenant_id
      LEFT JOIN wf.tenant_thresholds('deliveries_failing', 'times') x ON x.tenant_id = r.tenant_id
      LEFT JOIN wf.tenant_thresholds('deliveries_failing', 'share') s ON s.tenant_id = r.tenant_id
      LEFT JOIN wf.tenant_thresholds('deliveries_failing', 'dead') g ON g.tenant_id = r.tenant_id
  ), over AS MATERIALIZED (
    SELECT * FROM judged j WHERE j.n >= j.fewest AND (j.share > j.least OR j.dead_share > j.dead_least)
  ), before AS (
    SELECT d.route_id, count(*) AS n, count(*) FILTER (WHERE d.state <> 'delivered') AS failed,
           count(*) FILTER (WHERE d.state IN ('failed', 'held')) AS dead
    FROM wf.deliveries d
    WHERE d.route_id IN (SELECT o.route_id FROM over o)
      AND d.created_at > now() - interval '7 days' AND d.created_at <= now() - interval '24 hours'
      AND NOT d.test AND d.replays = 0 AND (d.state IN ('delivered', 'failed', 'held') OR d.attempts > 0)
    GROUP BY d.route_id
  ), compared AS (
    SELECT o.*, coalesce(b.n, 0) AS old_n,
           greatest(o.least, CASE WHEN b.n >= o.fewest THEN o.times * b.failed / b.n END) AS limit_failed,
           greatest(o.dead_least, CASE WHEN b.n >= o.fewest THEN o.times * b.dead / b.n END) AS limit_dead
    FROM over o LEFT JOIN before b ON b.route_id = o.route_id
  )
  SELECT c.tenant_id, jsonb_build_object('route', c.name),
         CASE WHEN c.share > 1.5 * c.limit_failed OR c.dead_share > 1.5 * c.limit_dead THEN 'critical' ELSE 'warning' END,
         CASE WHEN c.share > c.limit_failed THEN c.share ELSE c.dead_share END,
         CASE WHEN c.share > c.limit_failed THEN c.limit_failed ELSE c.limit_dead END, 'share',
         format('%s of %s deliveries to %s in 24 hours were not received, %s of them given up', c.failed, c.n, c.name, c.dead),
         jsonb_build_object('deliveries', c.n, 'failed', c.failed, 'dead', c.dead, 'deliveries_before', c.old_n,
                            'failure_rate', c.share, 'failure_rate_threshold', c.limit_failed,
                            'dead_letter_rate', c.dead_share, 'dead_letter_rate_threshold', c.limit_dead,
                            'threshold_from', c.source), NULL
  FROM compared c WHERE c.share > c.limit_failed OR c.dead_share > c.limit_dead
$$;
