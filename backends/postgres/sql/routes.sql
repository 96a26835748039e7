INSERT INTO wf.operations (name, role) VALUES
  ('routes.create', 'operator'), ('routes.disable', 'operator'), ('routes.edit', 'operator'), ('routes.enable', 'operator'),
  ('routes.restore', 'operator'), ('routes.retire', 'operator'), ('routes.rotate-secret', 'operator'),
  ('routes.test', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('routes.create', 'wf.routes', 'insert', NULL, NULL, NULL, false),
  ('routes.edit', 'wf.routes', 'update', '{parent,position,continues,matchers,events,min_severity,urgency,policy,group_by,
   group_wait,group_interval,repeat_seconds,escalation,target,target_at,template}', NULL, NULL, false),
  ('routes.rotate-secret', 'wf.routes', 'update', '{secret_at}', NULL, NULL, false),
  ('routes.disable', 'wf.routes', 'update', '{enabled}', NULL, '{"enabled": false}', false),
  ('routes.enable', 'wf.routes', 'update', '{enabled,revived_at}', NULL, '{"enabled": true}', false),
  ('routes.retire', 'wf.routes', 'update', '{retired_at}', '{"retired_at": null}', NULL, false),
  ('routes.restore', 'wf.routes', 'update', '{retired_at}', NULL, '{"retired_at": null}', false),
  ('tenants.purge', 'wf.routes', 'delete', NULL, NULL, NULL, true);

CREATE OR REPLACE FUNCTION wf.guard_route() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  up      wf.routes;
  depth   integer := 0;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.id, NEW.name, NEW.tenant_id, NEW.channel, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.id, OLD.name, OLD.tenant_id, OLD.channel, OLD.created_at, OLD.created_by) THEN
    refused := 'route_fixed';
  ELSIF TG_OP = 'UPDATE' AND OLD.retired_at IS NOT NULL AND NEW.retired_at IS NOT NULL
      AND to_jsonb(NEW) - 'parent' IS DISTINCT FROM to_jsonb(OLD) - 'parent' THEN
    refused := 'route_retired';
  ELSIF NEW.tenant_id IS NOT NULL AND NEW.retired_at IS NULL AND (
      SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
    refused := 'route_tenant_gone';
  ELSIF TG_OP = 'INSERT' AND (SELECT count(*) FROM (SELECT FROM wf.routes WHERE retired_at IS NULL LIMIT 1000) r) = 1000 THEN
    refused := 'route_many';
  ELSIF NEW.parent IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.parent IS DISTINCT FROM OLD.parent) THEN
    SELECT * INTO up FROM wf.routes WHERE id = NEW.parent;
    IF up.id IS NULL OR up.retired_at IS NOT NULL OR up.tenant_id IS NOT NULL AND up.tenant_id IS DISTINCT FROM NEW.tenant_id THEN
      refused := 'route_parent';
    END IF;
    WHILE refused IS NULL AND up.id IS NOT NULL LOOP
      depth := depth + 1;
      IF up.id = NEW.id OR depth >= 20 THEN
        refused := 'route_parent';
      END IF;
      SELECT * INTO up FROM wf.routes WHERE id = up.parent;
    END LOOP;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'route % is refused: %', NEW.name, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
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
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.routes FOR EACH ROW EXECUTE FUNCTION wf.guard_route();

-- Its endpoint exists from the start. Who enables an endpoint again lets it begin anew.
CREATE OR REPLACE FUNCTION wf.revive_route() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO wf.endpoints (route_id) VALUES (NEW.id);
  ELSIF NEW.revived_at IS DISTINCT FROM OLD.revived_at THEN
    UPDATE wf.endpoints SET failures = 0, failing_since = NULL, disabled = NULL, disabled_at = NULL WHERE id = NEW.id;
  END IF;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER revive AFTER INSERT OR UPDATE ON wf.routes FOR EACH ROW EXECUTE FUNCTION wf.revive_route();

GRANT EXECUTE ON FUNCTION wf.matchers_valid TO wf_operator;  -- in the CHECKs of what operators write
GRANT SELECT ON wf.routes, wf.endpoints TO wf_viewer, wf_worker;
GRANT INSERT (name, tenant_id, parent, position, continues, matchers, events, min_severity, urgency, policy, group_by,
              group_wait, group_interval, repeat_seconds, escalation, channel, target, target_at, template, secret_at, enabled),
      UPDATE (parent, position, continues, matchers, events, min_severity, urgency, policy, group_by, group_wait,
              group_interval, repeat_seconds, escalation, target, target_at, template, secret_at, revived_at, enabled, retired_at)
  ON wf.routes TO wf_operator;
SELECT wf.audited('wf.routes', 'routes', 'id', 'tenant_id');
GRANT SELECT ON wf.endpoint_secrets TO wf_worker;

-- Keep an encrypted secret of a route or a webhook in the transaction that says so in its row, and with it in the trail. A
-- new target takes the old one's place; a new signing secret lets the ones before it sign for a while as well.
CREATE OR REPLACE FUNCTION wf.put_endpoint_secret(
  endpoint bigint, secret uuid, kind text, key_id text, data bytea, keeps interval
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  said boolean;
BEGIN
  PERFORM wf.in_time('operator');
  PERFORM FROM wf.routes r WHERE r.id = endpoint AND r.xmin = pg_current_xact_id()::xid
    AND now() = CASE put_endpoint_secret.kind WHEN 'target' THEN r.target_at ELSE r.secret_at END FOR UPDATE;
  said := FOUND;
  PERFORM FROM wf.webhooks w WHERE w.id = endpoint AND w.xmin = pg_current_xact_id()::xid AND w.deleted_at IS NULL
    AND now() = CASE put_endpoint_secret.kind WHEN 'target' THEN w.target_at ELSE w.secret_at END FOR NO KEY UPDATE;
  IF NOT (said OR FOUND) OR NOT keeps BETWEEN interval '0' AND interval '30 days' THEN
    RAISE EXCEPTION 'the secret of endpoint % is refused', endpoint
      USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoint_secret_alone';
  END IF;
  DELETE FROM wf.endpoint_secrets s WHERE s.endpoint_id = endpoint AND s.kind = put_endpoint_secret.kind
    AND (put_endpoint_secret.kind = 'target' OR s.ends_at <= now());
  UPDATE wf.endpoint_secrets s SET ends_at = least(s.ends_at, now() + keeps)
  WHERE s.endpoint_id = endpoint AND s.kind = put_endpoint_secret.kind;
  IF (SELECT count(*) FROM wf.endpoint_secrets s
      WHERE s.endpoint_id = endpoint AND s.kind = put_endpoint_secret.kind) >= 4 THEN
    RAISE EXCEPTION 'endpoint % has four active secrets', endpoint
      USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoint_secret_many';
  END IF;
  INSERT INTO wf.endpoint_secrets (id, endpoint_id, kind, key_id, data) VALUES (secret, endpoint, kind, key_id, data);
END
$$;
GRANT EXECUTE ON FUNCTION wf.put_endpoint_secret TO wf_operator;

CREATE VIEW wf.route_list AS
SELECT r.id, r.name, r.tenant_id, r.parent, r.position, r.continues, r.matchers, r.events, r.min_severity, r.urgency,
       r.policy, r.group_by, r.group_wait, r.group_interval, r.repeat_seconds, r.escalation, r.channel, r.target,
       r.template, r.target_at, r.secret_at, r.enabled, r.version, r.created_at, r.created_by, r.updated_at, r.retired_at,
       h.failures, h.disabled, h.disabled_at, h.delivered_at
FROM wf.routes r JOIN wf.endpoints h ON h.id = r.id;
GRANT SELECT ON wf.route_list TO wf_viewer;
