-- Objectives (SLOs) and planned maintenance. What is measured of them is derived from the request cells: nothing of it
-- is stored here, so that it cannot disagree with them.

CREATE TABLE wf.objectives (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL CONSTRAINT objective_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  tenant_id    text COLLATE "C" REFERENCES wf.tenants,
  plan         text CONSTRAINT objective_plan CHECK (char_length(plan) BETWEEN 1 AND 64),
  route        text COLLATE "C" CONSTRAINT objective_route CHECK (char_length(route) BETWEEN 1 AND 400),
  kind         text NOT NULL DEFAULT 'availability' CONSTRAINT objective_kind CHECK (kind IN ('availability', 'latency')),
  threshold_ms double precision,
  target       numeric(9, 8) NOT NULL CONSTRAINT objective_target CHECK (target >= 0 AND target < 1),  -- 1 has no budget
  contractual  numeric(9, 8),
  period       text NOT NULL DEFAULT '30d' CONSTRAINT objective_period
               CHECK (period ~ '^([7-9]|[1-8][0-9]|90)d$' OR period IN ('week', 'month', 'quarter')),
  zone         text NOT NULL DEFAULT 'UTC',  -- of a calendar window
  min_events   integer NOT NULL DEFAULT 100 CONSTRAINT objective_min_events CHECK (min_events BETWEEN 1 AND 1000000000),
  version      integer NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT now(),
  created_by   text NOT NULL DEFAULT session_user,
  updated_at   timestamptz NOT NULL DEFAULT now(),
  retired_at   timestamptz,
  CONSTRAINT objective_scope CHECK (plan IS NULL OR (tenant_id IS NULL AND route IS NULL)),
  CONSTRAINT objective_threshold
    CHECK ((kind = 'latency') = (threshold_ms IS NOT NULL) AND (threshold_ms > 0 AND threshold_ms <= 86400000) IS NOT FALSE),
  CONSTRAINT objective_contractual CHECK (contractual >= 0 AND contractual <= target)
);
-- One of a name per scope; a retired one frees its place. Both texts are never '' (see above).
CREATE UNIQUE INDEX objective_taken ON wf.objectives
  (name, coalesce(tenant_id, ''), coalesce(plan, ''), coalesce(route, '')) WHERE retired_at IS NULL;
CREATE INDEX objectives_of_tenant ON wf.objectives (tenant_id) WHERE tenant_id IS NOT NULL;

-- The more specific goes before: tenant and route, tenant, plan, route, all. The heart ranks by the same numbers.
CREATE FUNCTION wf.objective_rank(tenant_id text, plan text, route text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN tenant_id IS NOT NULL THEN CASE WHEN route IS NOT NULL THEN 4 ELSE 3 END
              WHEN plan IS NOT NULL THEN 2 WHEN route IS NOT NULL THEN 1 ELSE 0 END
$$;
GRANT EXECUTE ON FUNCTION wf.objective_rank TO wf_viewer, wf_worker;

CREATE FUNCTION wf.guard_objective() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.id, NEW.name, NEW.tenant_id, NEW.plan, NEW.route, NEW.kind, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.id, OLD.name, OLD.tenant_id, OLD.plan, OLD.route, OLD.kind, OLD.created_at, OLD.created_by) THEN
    refused := 'objective_fixed';  -- another thing under the same number would have another's history
  ELSIF TG_OP = 'UPDATE' AND OLD.retired_at IS NOT NULL AND NEW.retired_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
    refused := 'objective_retired';
  ELSIF NEW.tenant_id IS NOT NULL AND NEW.retired_at IS NULL AND (
      SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
    refused := 'objective_tenant_gone';
  END IF;
  IF refused IS NULL THEN
    BEGIN
      PERFORM now() AT TIME ZONE NEW.zone;
    EXCEPTION WHEN invalid_parameter_value THEN
      refused := 'objective_zone';
    END;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'objective % is refused', NEW.name USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.objectives FOR EACH ROW EXECUTE FUNCTION wf.guard_objective();
GRANT SELECT ON wf.objectives TO wf_viewer, wf_worker;
GRANT INSERT (name, tenant_id, plan, route, kind, threshold_ms, target, contractual, period, zone, min_events),
      UPDATE (threshold_ms, target, contractual, period, zone, min_events, retired_at) ON wf.objectives TO wf_operator;
SELECT wf.audited('wf.objectives', 'objectives', 'id', 'tenant_id');

-- Planned maintenance: what falls into it does not burn the adjusted budget. The raw one is always shown beside it.
CREATE TABLE wf.maintenance (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id  text COLLATE "C" REFERENCES wf.tenants,
  plan       text CONSTRAINT maintenance_plan CHECK (char_length(plan) BETWEEN 1 AND 64),
  route      text COLLATE "C" CONSTRAINT maintenance_route CHECK (char_length(route) BETWEEN 1 AND 400),
  starts_at  timestamptz NOT NULL,
  ends_at    timestamptz NOT NULL,
  ended_at   timestamptz,
  reason     text NOT NULL CONSTRAINT maintenance_reason CHECK (char_length(btrim(reason)) BETWEEN 1 AND 2000),
  created_by text NOT NULL DEFAULT session_user,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT maintenance_scope CHECK (plan IS NULL OR (tenant_id IS NULL AND route IS NULL)),
  CONSTRAINT maintenance_length CHECK (ends_at > starts_at AND ends_at - starts_at <= interval '7 days')
);
CREATE INDEX maintenance_by_end ON wf.maintenance (ends_at);
CREATE INDEX maintenance_of_tenant ON wf.maintenance (tenant_id) WHERE tenant_id IS NOT NULL;

CREATE FUNCTION wf.guard_maintenance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.starts_at < now() - interval '5 minutes' THEN
      refused := 'maintenance_past';  -- it is planned, or it is an outage
    ELSIF NEW.tenant_id IS NOT NULL AND (
        SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
      refused := 'maintenance_tenant_gone';
    END IF;
  ELSIF OLD.ended_at IS NOT NULL OR OLD.ends_at <= now() THEN
    refused := 'maintenance_over';
  ELSIF to_jsonb(NEW) - 'ended_at' <> to_jsonb(OLD) - 'ended_at' THEN
    refused := 'maintenance_fixed';
  ELSE
    NEW.ended_at := now();
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'maintenance is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.maintenance FOR EACH ROW EXECUTE FUNCTION wf.guard_maintenance();
GRANT SELECT ON wf.maintenance TO wf_viewer, wf_worker;
GRANT INSERT (tenant_id, plan, route, starts_at, ends_at, reason), UPDATE (ended_at) ON wf.maintenance TO wf_operator;
SELECT wf.audited('wf.maintenance', 'maintenance', 'id', 'tenant_id');

INSERT INTO wf.tenant_tables VALUES ('wf.objectives', 21), ('wf.maintenance', 22);
