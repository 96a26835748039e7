INSERT INTO wf.operations (name, role) VALUES
  ('tenants.approve-writing', 'operator'), ('tenants.end-impersonation', 'support'), ('tenants.impersonate', 'support');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('tenants.impersonate', 'wf.impersonations', 'insert', NULL, NULL, NULL, false),
  ('tenants.approve-writing', 'wf.impersonations', 'update', '{mode,approved_by,approved_at}', NULL, NULL, false),
  ('tenants.end-impersonation', 'wf.impersonations', 'update', '{ended_at}', NULL, NULL, false),
  ('tenants.purge', 'wf.impersonations', 'delete', NULL, NULL, NULL, true);

-- The impersonation that a login has open: one at most.
CREATE OR REPLACE FUNCTION wf.acting_as(login text, OUT impersonation bigint, OUT tenant_id text, OUT mode text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.id, i.tenant_id, i.mode FROM wf.impersonations i
  WHERE i.actor = login AND i.ended_at IS NULL AND i.ends_at > clock_timestamp()
  LIMIT 1;
END;

CREATE OR REPLACE FUNCTION wf.guard_impersonation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  tenant  wf.tenants;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM wf.take_lock_of('impersonation', session_user);
    SELECT * INTO tenant FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE;
    IF (NEW.actor, NEW.mode, NEW.started_at) IS DISTINCT FROM (session_user::text, 'read', now())
       OR (NEW.ended_at, NEW.approved_by, NEW.approved_at) IS DISTINCT FROM (NULL::timestamptz, NULL::text, NULL::timestamptz) THEN
      refused := 'impersonation_fixed';
    ELSIF (wf.acting_as(session_user::text)).impersonation IS NOT NULL THEN
      refused := 'impersonation_open';
    ELSIF tenant.status NOT IN ('active', 'suspended') THEN
      refused := 'impersonation_tenant_gone';
    ELSIF tenant.protected THEN
      refused := 'impersonation_protected';
    END IF;
  ELSIF (NEW.id, NEW.tenant_id, NEW.actor, NEW.reason, NEW.ticket, NEW.started_at, NEW.ends_at)
      IS DISTINCT FROM (OLD.id, OLD.tenant_id, OLD.actor, OLD.reason, OLD.ticket, OLD.started_at, OLD.ends_at) THEN
    refused := 'impersonation_fixed';
  ELSIF OLD.ended_at IS NOT NULL OR OLD.ends_at <= clock_timestamp() THEN
    refused := 'impersonation_over';
  ELSIF NEW.ended_at IS NOT NULL AND NEW.mode = OLD.mode THEN
    NEW.ended_at := clock_timestamp();
  ELSIF OLD.mode = 'read' AND NEW.mode = 'write' AND NEW.ended_at IS NULL THEN
    NEW.approved_by := session_user;
    NEW.approved_at := now();
    IF session_user = OLD.actor THEN
      refused := 'impersonation_own';
    END IF;
  ELSE
    refused := 'impersonation_fixed';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'impersonation of % is refused: %', NEW.tenant_id, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.impersonations
  FOR EACH ROW EXECUTE FUNCTION wf.guard_impersonation();

CREATE VIEW wf.impersonation_list AS
SELECT i.*, CASE WHEN ended_at IS NOT NULL THEN 'ended' WHEN ends_at <= statement_timestamp() THEN 'over' ELSE 'open' END AS state
FROM wf.impersonations i;

GRANT SELECT ON wf.impersonations, wf.impersonation_list TO wf_viewer;

-- Ending one is always safe, so whoever may begin one may end anybody's.
GRANT INSERT (tenant_id, reason, ticket, ends_at), UPDATE (ended_at) ON wf.impersonations TO wf_support;

GRANT UPDATE (mode) ON wf.impersonations TO wf_operator;
SELECT wf.audited('wf.impersonations', 'impersonations', 'id', 'tenant_id');

-- The product's services call this before they let somebody act for a tenant. With a `refusal` (a code) all else is
-- NULL. Its answer must never be cached: the end, an early end and a removed operator take effect at once.
CREATE OR REPLACE FUNCTION wf_data.impersonation(id bigint)
RETURNS TABLE (tenant text, actor text, mode text, until timestamptz, refusal text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN f.refusal IS NULL THEN i.tenant_id END, CASE WHEN f.refusal IS NULL THEN i.actor END,
         CASE WHEN f.refusal IS NULL THEN i.mode END, CASE WHEN f.refusal IS NULL THEN i.ends_at END, f.refusal
  FROM (SELECT) AS always
  LEFT JOIN wf.impersonations i ON i.id = impersonation.id
  LEFT JOIN wf.tenants t ON t.id = i.tenant_id
  CROSS JOIN LATERAL (SELECT CASE
    WHEN i.id IS NULL THEN 'impersonation_unknown'
    WHEN i.ended_at IS NOT NULL THEN 'impersonation_ended'
    WHEN i.ends_at <= clock_timestamp() THEN 'impersonation_over'
    WHEN t.status NOT IN ('active', 'suspended') THEN 'impersonation_tenant_gone'
    WHEN t.protected THEN 'impersonation_protected'
    WHEN NOT wf.login_may(i.actor, 'support') THEN 'impersonation_actor_gone' END AS refusal  -- also with the time of a raised role
  ) AS f
$$;
GRANT EXECUTE ON FUNCTION wf_data.impersonation, wf_data.audit_feed TO wf_service;
