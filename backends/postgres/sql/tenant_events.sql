-- What happens to tenants, noted in the transaction in which it happens, whoever made the change and however: a webhook is
-- told of it exactly when it was committed. Only tenants with webhooks have events. What is told names no person: no
-- addresses, no names or labels that somebody typed, no reasons.

-- The same happening has the same id. `once`: what tells it from the others of its type.
CREATE OR REPLACE FUNCTION wf.event_id(tenant text, type text, once text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'evt_' || left(encode(sha256(convert_to(jsonb_build_array(tenant, type, once)::text, 'UTF8')), 'hex'), 40);

-- 2026-11-30T06:25:07Z, in whatever zone the session is.
CREATE OR REPLACE FUNCTION wf.in_utc(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

CREATE VIEW wf.told_tenants AS SELECT w.tenant_id FROM wf.webhooks w WHERE w.deleted_at IS NULL;

-- One delivery for each webhook that wants the event. What a disabled one is told is held.
CREATE OR REPLACE FUNCTION wf.tell_webhooks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.deliveries (key, webhook_id, group_key, number, tenant_id, reason, event_type, summary, notice, state, event,
                             created_at)
  SELECT 'msg_' || left(encode(sha256(convert_to(v.id || ' ' || w.id, 'UTF8')), 'hex'), 40), w.id, '', 0, v.tenant_id,
         'tenant_event', v.type, v.summary, jsonb_build_object('id', v.id, 'tenant', v.tenant_id) || v.data,
         CASE WHEN e.disabled IS NULL THEN 'waiting' ELSE 'held' END, v.n, v.at
  FROM new_rows v JOIN wf.webhooks w ON w.tenant_id = v.tenant_id AND w.deleted_at IS NULL
    JOIN wf.endpoints e ON e.id = w.id
  WHERE w.events && ARRAY['*', v.type]
  ORDER BY v.n, w.id;
  IF FOUND THEN
    PERFORM pg_notify('wf', 'deliveries');
  END IF;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER tell AFTER INSERT ON wf.tenant_events REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.tell_webhooks();

-- The triggers' names sort after those of the trail, which has the change first.

CREATE OR REPLACE FUNCTION wf.note_tenant_events() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(n.id, v.type, n.version::text), n.id, v.type, v.summary, v.data
  FROM old_rows o JOIN new_rows n ON n.id = o.id, LATERAL (
    SELECT 'plan.changed' AS type, o.plan || ' → ' || n.plan AS summary,
           jsonb_build_object('from', o.plan, 'to', n.plan) AS data WHERE n.plan <> o.plan
    UNION ALL SELECT t.type, t.words, CASE WHEN n.purge_after IS NULL THEN '{}'
                                           ELSE jsonb_build_object('purge_after', wf.in_utc(n.purge_after)) END
    FROM (VALUES ('active', 'suspended', 'tenant.suspended', 'suspended'), ('suspended', 'active', 'tenant.resumed', 'resumed'),
                 ('active', 'pending_deletion', 'tenant.deleted', 'deleted; its data is kept until the purge'),
                 ('suspended', 'pending_deletion', 'tenant.deleted', 'deleted; its data is kept until the purge'),
                 ('pending_deletion', 'active', 'tenant.restored', 'restored'),
                 ('pending_deletion', 'suspended', 'tenant.restored', 'restored, and suspended as before')
         ) AS t(was, becomes, type, words) WHERE t.was = o.status AND t.becomes = n.status) v
  WHERE n.id IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER webhooks_hear AFTER UPDATE ON wf.tenants REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_tenant_events();

CREATE OR REPLACE FUNCTION wf.note_trial_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(n.tenant_id, 'trial.expired', wf.in_utc(o.trial_end)), n.tenant_id, 'trial.expired',
         'the trial of ' || o.trial_plan || ' is over',
         jsonb_build_object('plan', o.trial_plan, 'ended_at', wf.in_utc(o.trial_end), 'state', n.state)
  FROM old_rows o JOIN new_rows n ON n.tenant_id = o.tenant_id
  WHERE o.state = 'trial' AND n.state <> 'trial' AND o.trial_end <= now() AND n.tenant_id IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER webhooks_hear AFTER UPDATE ON wf.subscriptions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_trial_end();

CREATE OR REPLACE FUNCTION wf.note_trial_reminder() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(n.tenant_id, 'trial.expiring', wf.in_utc(n.trial_end) || ' ' || n.days), n.tenant_id, 'trial.expiring',
         'the trial of ' || s.trial_plan || ' ends within ' || n.days || ' d',
         jsonb_build_object('plan', s.trial_plan, 'ends_at', wf.in_utc(n.trial_end), 'days', n.days)
  FROM new_rows n JOIN wf.subscriptions s ON s.tenant_id = n.tenant_id
  WHERE n.tenant_id IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER webhooks_hear AFTER INSERT ON wf.trial_reminders REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_trial_reminder();

-- What is told of a key, in every event of one.
CREATE OR REPLACE FUNCTION wf.key_facts(key text, shown text, env text, project text, expires_at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object('key', key, 'shown', shown, 'env', env, 'project', project, 'expires_at', wf.in_utc(expires_at));

CREATE OR REPLACE FUNCTION wf.note_new_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(k.tenant_id, v.type, k.id), k.tenant_id, v.type, v.summary,
         wf.key_facts(k.id, k.display, k.env, k.project_id, k.expires_at) || v.data
  FROM new_rows k LEFT JOIN wf.api_keys p ON p.id = k.rotated_from, LATERAL (
    SELECT 'key.created' AS type, k.display || ' was made' AS summary, '{}'::jsonb AS data WHERE p.id IS NULL
    UNION ALL SELECT 'key.rotated', p.display || ' → ' || k.display,
                     jsonb_build_object('replaces', p.id, 'grace_until', wf.in_utc(p.grace_until)) WHERE p.id IS NOT NULL) v
  WHERE k.tenant_id IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER webhooks_hear_new AFTER INSERT ON wf.api_keys REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_new_keys();

CREATE OR REPLACE FUNCTION wf.note_changed_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(k.tenant_id, v.type, k.id || ' ' || k.version), k.tenant_id, v.type, k.display || v.words,
         wf.key_facts(k.id, k.display, k.env, k.project_id, k.expires_at)
  FROM old_rows o JOIN new_rows k ON k.id = o.id, LATERAL (
    SELECT 'key.revoked' AS type, ' was revoked' AS words WHERE o.revoked_at IS NULL AND k.revoked_at IS NOT NULL
    UNION ALL SELECT 'key.disabled', ' was disabled' WHERE o.disabled_at IS NULL AND k.disabled_at IS NOT NULL
    UNION ALL SELECT 'key.enabled', ' was enabled' WHERE o.disabled_at IS NOT NULL AND k.disabled_at IS NULL) v
  WHERE k.tenant_id IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER webhooks_hear AFTER UPDATE ON wf.api_keys REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_changed_keys();

-- A key expires without anybody doing anything, so a worker looks: 7 days and 1 day before, once each. A key that has a
-- successor is not told of again. Returns how many.
CREATE OR REPLACE FUNCTION wf.note_expiring_keys() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  noted bigint;
BEGIN
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(k.tenant_id, 'key.expiring', k.id || ' ' || wf.in_utc(k.expires_at) || ' ' || near.days), k.tenant_id,
         'key.expiring', k.display || ' expires within ' || near.days || ' d',
         wf.key_facts(k.id, k.display, k.env, k.project_id, k.expires_at) || jsonb_build_object('days', near.days)
  FROM wf.api_keys k, LATERAL (SELECT CASE WHEN k.expires_at <= now() + interval '24 hours' THEN 1 ELSE 7 END AS days) near
  WHERE coalesce(k.expires_at, 'infinity'::timestamptz) > now()
    AND coalesce(k.expires_at, 'infinity'::timestamptz) <= now() + interval '168 hours'
    AND k.rotated_at IS NULL AND k.disabled_at IS NULL AND k.revoked_at IS NULL AND k.tenant_id IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING;
  GET DIAGNOSTICS noted = ROW_COUNT;
  RETURN noted;
END
$$;
GRANT EXECUTE ON FUNCTION wf.note_expiring_keys TO wf_worker;

-- Nearly used up: found by a worker every few minutes (wf.look_at_quotas), told once in each period.
CREATE OR REPLACE FUNCTION wf.note_near_quotas() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(n.tenant_id, 'quota.near', n.metric || ' ' || wf.in_utc(n.resets_at)), n.tenant_id, 'quota.near',
         n.metric || ': ' || n.used || ' of ' || n.hard || ' used',
         jsonb_build_object('metric', n.metric, 'used', n.used, 'hard', n.hard, 'resets_at', wf.in_utc(n.resets_at))
  FROM new_rows n WHERE n.tenant_id IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER webhooks_hear_new AFTER INSERT ON wf.quotas_near REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_near_quotas();
CREATE OR REPLACE TRIGGER webhooks_hear AFTER UPDATE ON wf.quotas_near REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_near_quotas();

-- Used up: called where a use is refused for it (wf_data.admit), told once in each period.
CREATE OR REPLACE FUNCTION wf.note_exceeded_quota(tenant text, metric text, used bigint, hard bigint, resets_at timestamptz)
RETURNS void
LANGUAGE sql SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  SELECT wf.event_id(tenant, 'quota.exceeded', metric || ' ' || wf.in_utc(resets_at)), tenant, 'quota.exceeded',
         metric || ': a use was refused at ' || used || ' of ' || hard,
         jsonb_build_object('metric', metric, 'used', used, 'hard', hard, 'resets_at', wf.in_utc(resets_at))
  WHERE tenant IN (SELECT t.tenant_id FROM wf.told_tenants t)
  ON CONFLICT (id) DO NOTHING
$$;

CREATE VIEW wf.tenant_event_list AS
SELECT v.n, v.id, v.tenant_id, v.type, v.summary, v.data, v.at, v.search FROM wf.tenant_events v;
GRANT SELECT ON wf.tenant_event_list TO wf_viewer;
