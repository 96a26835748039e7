-- Tenants' webhooks: the addresses that a tenant is told at of what happens to it (tenant_events.sql). How each does is in
-- wf.endpoints, its secrets are in wf.endpoint_secrets, and what it was told in wf.deliveries, as with routes.
INSERT INTO wf.operations (name, role) VALUES
  ('webhooks.create', 'operator'), ('webhooks.delete', 'operator'), ('webhooks.disable', 'operator'),
  ('webhooks.edit', 'operator'), ('webhooks.enable', 'operator'), ('webhooks.replay', 'operator'),
  ('webhooks.rotate-secret', 'operator'), ('webhooks.test', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('webhooks.create', 'wf.webhooks', 'insert', NULL, NULL, NULL, false),
  ('webhooks.edit', 'wf.webhooks', 'update', '{label,events,target,target_at}', NULL, NULL, false),
  ('webhooks.rotate-secret', 'wf.webhooks', 'update', '{secret_at}', NULL, NULL, false),
  ('webhooks.disable', 'wf.webhooks', 'update', '{enabled}', NULL, '{"enabled": false}', false),
  ('webhooks.enable', 'wf.webhooks', 'update', '{enabled,revived_at}', NULL, '{"enabled": true}', false),
  ('webhooks.delete', 'wf.webhooks', 'update', '{deleted_at,enabled}', '{"deleted_at": null}', '{"enabled": false}', false),
  ('webhooks.replay', 'wf.webhooks', 'update', '{replayed,replayed_from,replayed_until}', NULL, NULL, false),
  ('tenants.purge', 'wf.webhooks', 'delete', NULL, NULL, NULL, true);

-- So many webhooks has a tenant at most, and so many deliveries one replay.
CREATE OR REPLACE FUNCTION wf.webhooks_of_a_tenant() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 10;
CREATE OR REPLACE FUNCTION wf.replayed_at_most() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 10000;

-- What a webhook can be told of, as in controlplane/webhooks/events.py.
CREATE OR REPLACE FUNCTION wf.event_types() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
  'plan.changed', 'trial.expiring', 'trial.expired', 'quota.near', 'quota.exceeded', 'key.created', 'key.rotated',
  'key.disabled', 'key.enabled', 'key.revoked', 'key.expiring', 'tenant.suspended', 'tenant.resumed', 'tenant.deleted',
  'tenant.restored'];

CREATE OR REPLACE FUNCTION wf.guard_webhook() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  status  text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- Locked so that two who make one at the same time see each other.
    SELECT t.status INTO status FROM wf.tenants t WHERE t.id = NEW.tenant_id FOR NO KEY UPDATE;
    IF status NOT IN ('active', 'suspended') THEN
      refused := 'webhook_tenant_gone';
    ELSIF (SELECT count(*) FROM wf.webhooks w WHERE w.tenant_id = NEW.tenant_id AND w.deleted_at IS NULL)
        >= wf.webhooks_of_a_tenant() THEN
      refused := 'webhook_many';
    END IF;
    NEW.id := nextval('wf.routes_id_seq');
  ELSIF (NEW.id, NEW.tenant_id, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.id, OLD.tenant_id, OLD.created_at, OLD.created_by) THEN
    refused := 'webhook_fixed';
  ELSIF OLD.deleted_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
    refused := 'webhook_deleted';
  END IF;
  IF refused IS NULL AND (NEW.events <@ (wf.event_types() || '{*}'::text[])) IS NOT TRUE THEN
    refused := 'webhook_events';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'a webhook of % is refused: %', NEW.tenant_id, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  -- The home's own times, whatever the caller says: that they change is what the trail tells of a new secret.
  IF TG_OP = 'INSERT' OR NEW.target_at IS DISTINCT FROM OLD.target_at OR NEW.target <> OLD.target THEN
    NEW.target_at := now();
  END IF;
  IF TG_OP = 'INSERT' OR NEW.secret_at IS DISTINCT FROM OLD.secret_at THEN
    NEW.secret_at := CASE WHEN NEW.secret_at IS NOT NULL THEN now() END;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.webhooks FOR EACH ROW EXECUTE FUNCTION wf.guard_webhook();

-- Its endpoint exists from the start, is off while the webhook is, and begins anew when it is enabled. The secrets of a
-- deleted one are gone.
CREATE OR REPLACE FUNCTION wf.follow_webhook() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
  who    text := coalesce(change.carried_for, session_user);
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO wf.endpoints (webhook_id) VALUES (NEW.id);
    RETURN NULL;
  ELSIF NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN
    UPDATE wf.endpoints SET disabled = 'deleted by ' || who, disabled_at = now() WHERE id = NEW.id;
    DELETE FROM wf.endpoint_secrets WHERE endpoint_id = NEW.id;
  ELSIF OLD.enabled AND NOT NEW.enabled THEN
    UPDATE wf.endpoints SET disabled_at = now(),
      disabled = left(concat_ws(': ', 'disabled by ' || who, change.reason), 2000) WHERE id = NEW.id;
  ELSIF NEW.enabled AND (NOT OLD.enabled OR NEW.revived_at IS DISTINCT FROM OLD.revived_at) THEN
    UPDATE wf.endpoints SET failures = 0, failing_since = NULL, disabled = NULL, disabled_at = NULL WHERE id = NEW.id;
  END IF;
  IF NOT NEW.enabled THEN
    PERFORM wf.hold_deliveries();
  END IF;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER follow AFTER INSERT OR UPDATE ON wf.webhooks FOR EACH ROW EXECUTE FUNCTION wf.follow_webhook();

GRANT SELECT ON wf.webhooks TO wf_viewer, wf_worker;
GRANT INSERT (tenant_id, label, target, events, target_at, secret_at),
      UPDATE (label, target, events, target_at, secret_at, revived_at, enabled, deleted_at) ON wf.webhooks TO wf_operator;
SELECT wf.audited('wf.webhooks', 'webhooks', 'id', 'tenant_id');

-- What of a webhook's deliveries a replay of a span means: those that were decided within it and are in one of the states.
CREATE OR REPLACE FUNCTION wf.replayable(webhook bigint, since timestamptz, before timestamptz, states text[])
RETURNS TABLE (id bigint) LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT d.id FROM wf.deliveries d
  WHERE d.webhook_id = replayable.webhook AND d.created_at >= replayable.since AND d.created_at < replayable.before
    AND d.state = ANY (replayable.states) AND d.state IN ('delivered', 'failed', 'held') AND NOT d.test
  LIMIT wf.replayed_at_most() + 1
$$;

-- How many they are, at most one more than a replay takes.
CREATE OR REPLACE FUNCTION wf.count_replayable(webhook bigint, since timestamptz, before timestamptz, states text[])
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT count(*) FROM wf.replayable(webhook, since, before, states)
$$;
GRANT EXECUTE ON FUNCTION wf.count_replayable TO wf_viewer;

-- Send all of them again, each with its key; the webhook's row, and with it the trail, says how many. Returns that.
CREATE OR REPLACE FUNCTION wf.replay_webhook(webhook bigint, since timestamptz, before timestamptz, states text[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  many    integer;
BEGIN
  PERFORM FROM wf.webhooks w WHERE w.id = webhook AND w.deleted_at IS NULL FOR NO KEY UPDATE;
  refused := CASE WHEN NOT FOUND THEN 'webhook_unknown'
                  WHEN EXISTS (SELECT FROM wf.endpoints e WHERE e.id = webhook AND e.disabled IS NOT NULL)
                    THEN 'delivery_route_off' END;
  IF refused IS NULL THEN
    WITH again AS (
      UPDATE wf.deliveries d
      SET state = 'waiting', tries = 0, replays = d.replays + 1, next_at = clock_timestamp(), ended_at = NULL,
          version = d.version + 1
      WHERE d.id IN (SELECT r.id FROM wf.replayable(webhook, since, before, states) r)
        AND d.state IN ('delivered', 'failed', 'held')
      RETURNING 1
    )
    SELECT count(*) INTO many FROM again;
    refused := CASE WHEN many = 0 THEN 'webhook_nothing_to_replay'
                    WHEN many > wf.replayed_at_most() THEN 'webhook_replay_many' END;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the replay of webhook % is refused: %', webhook, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  UPDATE wf.webhooks SET replayed = many, replayed_from = since, replayed_until = before WHERE id = webhook;
  PERFORM wf.queue_deliveries();
  RETURN many;
END
$$;
GRANT EXECUTE ON FUNCTION wf.replay_webhook TO wf_operator;

-- A deleted webhook is not listed; what it was told still is.
CREATE VIEW wf.webhook_list AS
SELECT w.id, w.tenant_id, w.label, w.target, w.events, w.target_at, w.secret_at, w.enabled,
       CASE WHEN NOT w.enabled THEN 'disabled' WHEN e.disabled IS NOT NULL THEN 'off' ELSE 'on' END AS state,
       w.replayed, w.replayed_from, w.replayed_until, w.version, w.created_at, w.created_by, w.updated_at,
       e.failures, e.disabled, e.disabled_at, e.delivered_at, w.search
FROM wf.webhooks w JOIN wf.endpoints e ON e.id = w.id
WHERE w.deleted_at IS NULL;
GRANT SELECT ON wf.webhook_list TO wf_viewer;
