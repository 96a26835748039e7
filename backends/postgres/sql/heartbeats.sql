INSERT INTO wf.operations (name, role) VALUES
  ('heartbeats.create', 'operator'), ('heartbeats.edit', 'operator'), ('heartbeats.restore', 'operator'),
  ('heartbeats.retire', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('heartbeats.create', 'wf.heartbeats', 'insert', NULL, NULL, NULL, false),
  ('heartbeats.edit', 'wf.heartbeats', 'update', '{means,every,grace,severity}', '{"retired_at": null}', NULL, false),
  ('heartbeats.retire', 'wf.heartbeats', 'update', '{retired_at}', '{"retired_at": null}', NULL, false),
  ('heartbeats.restore', 'wf.heartbeats', 'update', '{retired_at,since}', NULL, '{"retired_at": null}', false),
  ('tenants.purge', 'wf.heartbeats', 'delete', NULL, NULL, NULL, true);

CREATE OR REPLACE FUNCTION wf.guard_heartbeat() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.name, NEW.tenant_id, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.name, OLD.tenant_id, OLD.created_at, OLD.created_by) THEN
    refused := 'heartbeat_fixed';
  ELSIF TG_OP = 'UPDATE' AND OLD.retired_at IS NOT NULL AND NEW.retired_at IS NOT NULL THEN
    refused := 'heartbeat_retired';
  ELSIF NEW.tenant_id IS NOT NULL AND NEW.retired_at IS NULL AND (
      SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
    refused := 'heartbeat_tenant_gone';
  ELSIF TG_OP = 'INSERT' AND (SELECT count(*) FROM wf.heartbeats) >= 10000 THEN
    refused := 'heartbeat_many';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'heartbeat % is refused: %', NEW.name, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  NEW.since := CASE WHEN TG_OP = 'INSERT' THEN now() WHEN OLD.retired_at IS NOT NULL AND NEW.retired_at IS NULL THEN now()
                    ELSE OLD.since END;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.heartbeats FOR EACH ROW EXECUTE FUNCTION wf.guard_heartbeat();

-- The row exists from the start, so that a beat only updates it.
CREATE OR REPLACE FUNCTION wf.add_beats() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.beats (name) VALUES (NEW.name);
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER beats AFTER INSERT ON wf.heartbeats FOR EACH ROW EXECUTE FUNCTION wf.add_beats();
GRANT SELECT ON wf.heartbeats, wf.beats TO wf_viewer;
GRANT INSERT (name, tenant_id, means, every, grace, severity), UPDATE (means, every, grace, severity, retired_at)
  ON wf.heartbeats TO wf_operator;
SELECT wf.audited('wf.heartbeats', 'heartbeats', 'name', 'tenant_id');

-- "I am alive." Whether there is such a heartbeat. Of two at the same moment one is enough: neither waits.
CREATE OR REPLACE FUNCTION wf_data.beat(name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM FROM wf.heartbeats h WHERE h.name = beat.name AND h.retired_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM FROM wf.beats b WHERE b.name = beat.name FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE wf.beats b SET at = clock_timestamp() WHERE b.name = beat.name;
  END IF;
  RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.beat TO wf_service;

-- What people read. It is expected `every` so many seconds from the last beat, or from when it was made.
CREATE VIEW wf.heartbeat_list AS
SELECT h.name, h.tenant_id, h.means, h.every, h.grace, h.severity, h.version, h.created_at, h.created_by, h.retired_at,
       b.at AS beat_at, CASE
         WHEN h.retired_at IS NOT NULL THEN 'retired'
         WHEN statement_timestamp() > e.at + h.grace * interval '1 second' THEN 'missing'
         WHEN statement_timestamp() > e.at THEN 'late' WHEN b.at IS NULL THEN 'never' ELSE 'alive' END AS state,
       e.at AS expected_at, wf.folded(h.name || E'\n' || h.means) AS search
FROM wf.heartbeats h JOIN wf.beats b ON b.name = h.name,
  LATERAL (SELECT greatest(b.at, h.since) + h.every * interval '1 second' AS at) e;
GRANT SELECT ON wf.heartbeat_list TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.detect_heartbeat_missing() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT h.tenant_id, jsonb_build_object('heartbeat', h.name), h.severity,
         extract(epoch FROM now() - h.expected_at)::float8 / 60, h.grace / 60.0::float8, 'minutes',
         concat_ws(': ', h.name || CASE WHEN h.beat_at IS NULL THEN ' has never said that it is alive'
                                   ELSE ' said last at ' || wf.minute_of(h.beat_at) || ' that it is alive' END, nullif(h.means, '')),
         jsonb_build_object('beat_at', h.beat_at, 'every_seconds', h.every, 'grace_seconds', h.grace,
                            'threshold_from', 'the heartbeat itself'), NULL
  FROM wf.heartbeat_list h WHERE h.state = 'missing'
$$;
