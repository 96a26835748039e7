-- Tenants and their projects. What may follow on what is guarded here, so that psql is bound by it as well.

CREATE FUNCTION wf.sees_personal() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT pg_has_role(session_user, 'wf_operator', 'MEMBER')
$$;
GRANT EXECUTE ON FUNCTION wf.sees_personal, wf.masked TO wf_viewer;

-- Substring search without an extension: every part of three letters of a text, for a GIN index.
-- The text must already be lower case. PL/pgSQL because it is three times as fast here as SQL's ARRAY(SELECT …);
-- the cost makes the planner try a plain LIKE first wherever it does not use the index.
CREATE FUNCTION wf.trigrams(body text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 200 AS $$
DECLARE
    parts text[] := '{}';
BEGIN
    FOR place IN 1 .. length(body) - 2 LOOP
        parts[place] := substr(body, place, 3);
    END LOOP;
    RETURN parts;
END
$$;

CREATE TABLE wf.tenants (
  id                text COLLATE "C" PRIMARY KEY CONSTRAINT tenant_id_format CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  name              text NOT NULL CONSTRAINT tenant_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
  status            text NOT NULL DEFAULT 'active' CONSTRAINT tenant_status
                    CHECK (status IN ('active', 'suspended', 'pending_deletion', 'erased')),
  plan              text NOT NULL DEFAULT 'trial' CONSTRAINT tenant_plan_length CHECK (char_length(plan) BETWEEN 1 AND 64),
  region            text NOT NULL DEFAULT 'default' CONSTRAINT tenant_region_length CHECK (char_length(region) BETWEEN 1 AND 64),
  allowed_regions   text[] NOT NULL DEFAULT '{}' CONSTRAINT tenant_home_region_allowed
                    CHECK (allowed_regions = '{}' OR region = ANY (allowed_regions)),
  owner_email       text CONSTRAINT tenant_owner_length CHECK (char_length(owner_email) BETWEEN 3 AND 320),
  metadata          jsonb NOT NULL DEFAULT '{}' CONSTRAINT tenant_metadata_size
                    CHECK (jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 65536),
  protected         boolean NOT NULL DEFAULT false,
  version           integer NOT NULL DEFAULT 1,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  suspended_at      timestamptz,
  suspension_reason text,
  deleted_at        timestamptz,
  purge_after       timestamptz,
  deleted_from      text,  -- the status that a restore brings back
  erased_at         timestamptz,
  search            text GENERATED ALWAYS AS (lower(id || E'\n' || name)) STORED  -- no word holds a line break,
  CONSTRAINT tenant_marks CHECK (
    (status = 'suspended' OR deleted_from IS NOT DISTINCT FROM 'suspended') = (suspended_at IS NOT NULL)
    AND (suspended_at IS NULL) = (suspension_reason IS NULL)
    AND (status = 'pending_deletion') = (purge_after IS NOT NULL)
    AND (purge_after IS NULL) = (deleted_at IS NULL)
    AND (purge_after IS NULL) = (deleted_from IS NULL)
    AND (status = 'erased') = (erased_at IS NOT NULL))
);
-- Every order that the list offers; ties are broken by id.
CREATE INDEX tenants_by_name ON wf.tenants ((lower(name) COLLATE "C"), id);
CREATE INDEX tenants_by_status ON wf.tenants (status, id);
CREATE INDEX tenants_by_plan ON wf.tenants (plan, id);
CREATE INDEX tenants_by_region ON wf.tenants (region, id);
CREATE INDEX tenants_by_created ON wf.tenants (created_at, id);
-- What the filters ask for: any part of id or name; equality without regard to case.
CREATE INDEX tenants_search ON wf.tenants USING gin (wf.trigrams(search));
CREATE INDEX tenants_id_folded ON wf.tenants (lower(id COLLATE "default"));
CREATE INDEX tenants_name_folded ON wf.tenants (lower(name COLLATE "default"));
CREATE INDEX tenants_plan_folded ON wf.tenants (lower(plan COLLATE "default"));
CREATE INDEX tenants_region_folded ON wf.tenants (lower(region COLLATE "default"));
CREATE INDEX tenants_due ON wf.tenants (purge_after) WHERE status = 'pending_deletion';

-- How each tenant is doing over the last hour of data. NULL: unknown, never zero.
CREATE TABLE wf.tenant_activity (
  tenant_id   text COLLATE "C" PRIMARY KEY REFERENCES wf.tenants,
  per_minute  double precision,
  error_share double precision,
  p95_ms      double precision,
  until       timestamptz  -- the end of that hour
) WITH (fillfactor = 80);
-- Unknown sorts below every number.
CREATE INDEX activity_by_rate ON wf.tenant_activity ((coalesce(per_minute, -1)), tenant_id);
CREATE INDEX activity_by_errors ON wf.tenant_activity ((coalesce(error_share, -1)), tenant_id);
CREATE INDEX activity_by_p95 ON wf.tenant_activity ((coalesce(p95_ms, -1)), tenant_id);
GRANT SELECT ON wf.tenant_activity TO wf_viewer;

CREATE FUNCTION wf.add_activity() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_activity (tenant_id) SELECT id FROM new_rows;
  RETURN NULL;
END
$$;
CREATE TRIGGER activity AFTER INSERT ON wf.tenants REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.add_activity();

-- Which status may follow on which. The heart holds the same table to explain it; a test compares the two.
CREATE TABLE wf.tenant_transitions (
  was text, becomes text, PRIMARY KEY (was, becomes)
);
INSERT INTO wf.tenant_transitions VALUES
  ('active', 'suspended'), ('suspended', 'active'),
  ('active', 'pending_deletion'), ('suspended', 'pending_deletion'),
  ('pending_deletion', 'active'), ('pending_deletion', 'suspended'), ('pending_deletion', 'erased');
GRANT SELECT ON wf.tenant_transitions TO wf_viewer;

CREATE FUNCTION wf.guard_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refused text;
BEGIN
  IF NEW.id <> OLD.id THEN
    refused := 'tenant_id_fixed';
  ELSIF OLD.status = 'erased' THEN
    refused := 'tenant_erased';
  ELSIF NEW.status <> OLD.status AND NOT EXISTS (
      SELECT FROM wf.tenant_transitions WHERE was = OLD.status AND becomes = NEW.status) THEN
    refused := 'tenant_transition';
  ELSIF NEW.status IN ('pending_deletion', 'suspended', 'erased') AND NEW.status <> OLD.status
      AND OLD.status <> 'pending_deletion' AND OLD.protected THEN
    refused := 'tenant_protected';
  ELSIF NEW.status = 'pending_deletion' AND OLD.status <> 'pending_deletion' AND (
      NEW.deleted_from <> OLD.status OR NEW.purge_after < now() + interval '1 day') THEN
    refused := 'tenant_retention';
  ELSIF OLD.status = 'pending_deletion' AND NEW.status = OLD.status
      AND (NEW.deleted_at, NEW.deleted_from, NEW.purge_after)
        IS DISTINCT FROM (OLD.deleted_at, OLD.deleted_from, OLD.purge_after) THEN
    refused := 'tenant_retention';  -- what was promised is not shortened: restore it, then delete it anew
  ELSIF OLD.status = 'pending_deletion' AND NEW.status IN ('active', 'suspended') AND NEW.status <> OLD.deleted_from THEN
    refused := 'tenant_restore';
  ELSIF NEW.status = 'erased' AND (OLD.purge_after > now() OR OLD.protected) THEN
    refused := 'tenant_not_due';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'tenant %: % to % is refused', OLD.id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE UPDATE ON wf.tenants FOR EACH ROW EXECUTE FUNCTION wf.guard_tenant();

-- What people read. Runs with the owner's rights, so that nobody but operators needs the table itself.
CREATE VIEW wf.tenant_list AS
SELECT t.id, t.name, t.status, t.plan, t.region, t.allowed_regions,
       CASE WHEN (SELECT wf.sees_personal()) THEN t.owner_email ELSE wf.masked(t.owner_email) END AS owner_email,
       t.metadata, t.protected, t.version, t.created_at, t.updated_at, t.suspended_at, t.suspension_reason,
       t.deleted_at, t.purge_after, t.deleted_from, t.erased_at, t.search,
       a.per_minute, a.error_share, a.p95_ms, a.until,
       a.tenant_id  -- always equal to id: the end of the activity's indexes, for pages in their order
FROM wf.tenants t JOIN wf.tenant_activity a ON a.tenant_id = t.id;
GRANT SELECT ON wf.tenant_list TO wf_viewer;

GRANT EXECUTE ON FUNCTION wf.trigrams TO wf_viewer, wf_worker;
GRANT SELECT, INSERT (id, name, plan, region, allowed_regions, owner_email, metadata) ON wf.tenants TO wf_operator;
GRANT UPDATE (name, status, plan, region, allowed_regions, owner_email, metadata, suspended_at, suspension_reason)
  ON wf.tenants TO wf_operator;
GRANT INSERT (protected), UPDATE (protected, deleted_at, purge_after, deleted_from) ON wf.tenants TO wf_admin;
ALTER TABLE wf.tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY operators_read ON wf.tenants FOR SELECT TO wf_operator USING (true);
CREATE POLICY operators_create ON wf.tenants FOR INSERT TO wf_operator WITH CHECK (status = 'active');
-- An operator neither deletes nor touches what is being deleted.
CREATE POLICY operators_change ON wf.tenants FOR UPDATE TO wf_operator
  USING (status IN ('active', 'suspended')) WITH CHECK (status IN ('active', 'suspended'));
CREATE POLICY admins_change ON wf.tenants FOR UPDATE TO wf_admin USING (true)
  WITH CHECK (status <> 'erased');  -- erasing goes by wf.purge_tenant alone
SELECT wf.audited('wf.tenants', 'tenants', 'id', 'id', 'owner_email');

CREATE TABLE wf.projects (
  tenant_id   text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  id          text COLLATE "C" NOT NULL CONSTRAINT project_id_format CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  name        text NOT NULL CONSTRAINT project_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
  status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived')),
  version     integer NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT project_marks CHECK ((status = 'archived') = (archived_at IS NOT NULL))
);
CREATE INDEX projects_by_created ON wf.projects (created_at, tenant_id, id);
CREATE INDEX projects_search ON wf.projects USING gin (wf.trigrams(lower(id || E'\n' || name)));

CREATE FUNCTION wf.guard_project() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.tenant_id <> OLD.tenant_id OR NEW.id <> OLD.id) THEN
    refused := 'project_belongs_for_ever';
  ELSIF (SELECT status FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE) NOT IN ('active', 'suspended') THEN
    refused := 'project_tenant_gone';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'project %/% is refused', NEW.tenant_id, NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.projects FOR EACH ROW EXECUTE FUNCTION wf.guard_project();
GRANT SELECT ON wf.projects TO wf_viewer;
GRANT INSERT (tenant_id, id, name), UPDATE (name, status, archived_at) ON wf.projects TO wf_operator;
SELECT wf.audited('wf.projects', 'projects', 'tenant_id/id', 'tenant_id');

-- Every table that holds rows of a tenant, so that an erasure finds them all. Later tables add themselves;
-- a test compares this list with the catalogue.
CREATE TABLE wf.tenant_tables (
  control text PRIMARY KEY,  -- qualified name
  position integer NOT NULL  -- children before parents
);
INSERT INTO wf.tenant_tables VALUES ('wf.projects', 10), ('wf.tenant_activity', 20), ('wf.audit_personal', 30);

CREATE TABLE wf.erasure_certificates (
  tenant_id  text COLLATE "C" PRIMARY KEY REFERENCES wf.tenants,
  erased_at  timestamptz NOT NULL,
  erased_by  text NOT NULL,
  request_id text,
  counts     jsonb NOT NULL,  -- rows erased per table
  sha256     text NOT NULL    -- of the certificate's canonical text (wf.certificate_text)
);
GRANT SELECT ON wf.erasure_certificates TO wf_viewer;
SELECT wf.audited('wf.erasure_certificates', 'certificates', 'tenant_id', 'tenant_id');

-- One line per fact, in a fixed order: what an auditor hashes again.
CREATE FUNCTION wf.certificate_text(tenant_id text, erased_at timestamptz, erased_by text, counts jsonb)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT 'watchfloor erasure certificate 1' || E'\ntenant ' || tenant_id
    || E'\nerased at ' || to_char(erased_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || E'\nerased by ' || erased_by
    || (SELECT coalesce(string_agg(E'\n' || key || ' ' || value, '' ORDER BY key COLLATE "C"), '') FROM jsonb_each_text(counts))
    || E'\n'
$$;
GRANT EXECUTE ON FUNCTION wf.certificate_text TO wf_viewer;

-- Erase what a tenant left, keep its id as a tombstone, and certify it.
CREATE FUNCTION wf.purge_tenant(tenant text) RETURNS wf.erasure_certificates
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  counts      jsonb := '{}';
  erased      bigint;
  child       record;
  certificate wf.erasure_certificates;
BEGIN
  UPDATE wf.tenants SET status = 'erased', erased_at = now(), name = '(erased)', owner_email = NULL, metadata = '{}',
         suspended_at = NULL, suspension_reason = NULL, deleted_at = NULL, purge_after = NULL, deleted_from = NULL
  WHERE id = tenant;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no tenant %', tenant USING ERRCODE = 'no_data_found';
  END IF;
  FOR child IN SELECT control FROM wf.tenant_tables ORDER BY position LOOP
    EXECUTE format('DELETE FROM %s WHERE tenant_id = $1', child.control) USING tenant;
    GET DIAGNOSTICS erased = ROW_COUNT;
    counts := counts || jsonb_build_object(child.control, erased);
  END LOOP;
  INSERT INTO wf.tenant_activity (tenant_id) VALUES (tenant);
  INSERT INTO wf.erasure_certificates (tenant_id, erased_at, erased_by, request_id, counts, sha256)
  VALUES (tenant, now(), session_user, (wf.current_change()).request_id, counts,
          encode(sha256(convert_to(wf.certificate_text(tenant, now(), session_user, counts), 'UTF8')), 'hex'))
  RETURNING * INTO certificate;
  RETURN certificate;
END
$$;
GRANT EXECUTE ON FUNCTION wf.purge_tenant TO wf_admin;

-- One masked field in clear, for one reason, for a minute. The grant must be committed before the value can be
-- read: so that nobody looks inside a transaction and rolls the audit row back.
CREATE TABLE wf.reveals (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  field      text NOT NULL CHECK (field = 'owner_email'),
  actor      text NOT NULL DEFAULT session_user,
  expires_at timestamptz NOT NULL,
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX reveals_of_actor ON wf.reveals (tenant_id, actor, expires_at);
GRANT SELECT ON wf.reveals TO wf_support;
SELECT wf.audited('wf.reveals', 'reveals', 'tenant_id/field', 'tenant_id');
INSERT INTO wf.tenant_tables VALUES ('wf.reveals', 5);

CREATE FUNCTION wf.grant_reveal(tenant text, field text) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  until timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
  IF coalesce((wf.current_change()).reason, '') = '' THEN
    RAISE EXCEPTION 'a reveal needs a change with a reason' USING ERRCODE = 'check_violation', CONSTRAINT = 'reveal_reason';
  END IF;
  INSERT INTO wf.reveals (tenant_id, field, expires_at) VALUES (tenant, grant_reveal.field, until);
  RETURN until;
END
$$;
CREATE FUNCTION wf.revealed(tenant text, field text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.reveals r
                 WHERE r.tenant_id = tenant AND r.field = revealed.field AND r.actor = session_user
                   AND r.expires_at > clock_timestamp()
                   AND r.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()) THEN
    RAISE EXCEPTION 'nothing of tenant % is revealed to %', tenant, session_user
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_revealed';
  END IF;
  RETURN (SELECT owner_email FROM wf.tenants WHERE id = tenant);
END
$$;
GRANT EXECUTE ON FUNCTION wf.grant_reveal, wf.revealed TO wf_support;

INSERT INTO wf.tenants (id, name, protected) VALUES ('default', 'Default', true);
