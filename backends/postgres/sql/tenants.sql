INSERT INTO wf.operations (name, role) VALUES
  ('projects.archive', 'operator'), ('projects.create', 'operator'), ('projects.rename', 'operator'),
  ('projects.restore', 'operator'), ('tenants.apply', 'operator'), ('tenants.create', 'operator'),
  ('tenants.delete', 'admin'), ('tenants.edit', 'operator'), ('tenants.protect', 'admin'),
  ('tenants.provision', 'operator'), ('tenants.purge', 'admin'), ('tenants.rename', 'operator'),
  ('tenants.restore', 'admin'), ('tenants.resume', 'operator'), ('tenants.reveal', 'support'),
  ('tenants.suspend', 'operator'), ('tenants.unprotect', 'admin');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('projects.create', 'wf.projects', 'insert', NULL, NULL, NULL, false),
  ('projects.rename', 'wf.projects', 'update', '{name}', NULL, NULL, false),
  ('projects.archive', 'wf.projects', 'update', '{status,archived_at}', NULL, '{"status": "archived"}', false),
  ('projects.restore', 'wf.projects', 'update', '{status,archived_at}', NULL, '{"status": "active"}', false),
  ('tenants.create', 'wf.tenants', 'insert', NULL, NULL, NULL, false),
  ('tenants.apply', 'wf.tenants', 'insert', NULL, NULL, NULL, true),
  ('tenants.apply', 'wf.tenants', 'update', '{name,plan,region,allowed_regions,owner_email,metadata}', NULL, NULL, true),
  ('tenants.apply', 'wf.subscriptions', 'update', '{plan_version,previous_plan,state}', NULL, NULL, true),
  ('tenants.provision', 'wf.tenants', 'insert', NULL, NULL, NULL, false),
  ('tenants.provision', 'wf.projects', 'insert', NULL, NULL, NULL, false),
  ('tenants.provision', 'wf.api_keys', 'insert', NULL, NULL, NULL, false),
  ('tenants.provision', 'wf.subscriptions', 'update',
   '{state,trial_plan,trial_version,trial_start,trial_end,trial_return}', NULL, NULL, false),
  ('tenants.rename', 'wf.tenants', 'update', '{name}', NULL, NULL, false),
  ('tenants.edit', 'wf.tenants', 'update', '{plan,region,allowed_regions,owner_email,metadata}', NULL, NULL, false),
  ('tenants.edit', 'wf.subscriptions', 'update', '{plan_version,previous_plan,state}', NULL, NULL, false),
  ('tenants.suspend', 'wf.tenants', 'update', '{status,suspended_at,suspension_reason}', NULL, '{"status": "suspended"}',
   false),
  ('tenants.resume', 'wf.tenants', 'update', '{status,suspended_at,suspension_reason}', NULL, '{"status": "active"}',
   false),
  ('tenants.delete', 'wf.tenants', 'update', '{status,deleted_at,deleted_from,purge_after}', NULL,
   '{"status": "pending_deletion"}', false),
  ('tenants.restore', 'wf.tenants', 'update', '{status,deleted_at,deleted_from,purge_after}',
   '{"status": "pending_deletion"}', NULL, false),
  ('tenants.protect', 'wf.tenants', 'update', '{protected}', NULL, '{"protected": true}', false),
  ('tenants.unprotect', 'wf.tenants', 'update', '{protected}', NULL, '{"protected": false}', false),
  ('tenants.reveal', 'wf.reveals', 'insert', NULL, NULL, NULL, false),
  ('tenants.purge', 'wf.tenants', 'update',
   '{status,erased_at,name,owner_email,metadata,suspended_at,suspension_reason,deleted_at,purge_after,deleted_from}', NULL,
   '{"status": "erased"}', false),
  ('tenants.purge', 'wf.erasure_certificates', 'insert', NULL, NULL, NULL, false),
  ('tenants.purge', 'wf.projects', 'delete', NULL, NULL, NULL, true),
  ('tenants.purge', 'wf.reveals', 'delete', NULL, NULL, NULL, true);

GRANT EXECUTE ON FUNCTION wf.trigrams, wf.folded, wf.folded_all TO wf_viewer, wf_worker;

-- Tenants and their projects. Triggers guard which status may follow which, so that psql is bound by it as well.
CREATE OR REPLACE FUNCTION wf.sees_personal() RETURNS boolean LANGUAGE sql STABLE
RETURN wf.may('operator');
GRANT EXECUTE ON FUNCTION wf.sees_personal, wf.masked TO wf_viewer;
GRANT SELECT ON wf.tenant_activity TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.add_activity() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.tenant_activity (tenant_id) SELECT id FROM new_rows;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER activity AFTER INSERT ON wf.tenants REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.add_activity();

GRANT SELECT ON wf.tenant_transitions TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.guard_tenant() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
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
    refused := 'tenant_retention';  -- a promised retention is not shortened: restore the tenant, then delete it again
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

CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON wf.tenants FOR EACH ROW EXECUTE FUNCTION wf.guard_tenant();

-- What people read. It runs with the owner's rights, so that only operators need the table itself.
CREATE VIEW wf.tenant_list AS
SELECT t.id, t.name, t.status, t.plan, t.region, t.allowed_regions,
       CASE WHEN (SELECT wf.sees_personal()) THEN t.owner_email ELSE wf.masked(t.owner_email) END AS owner_email,
       wf.masked(t.owner_email) AS owner_masked,  -- for filters: an index is on it
       t.metadata, t.protected, t.version, t.created_at, t.updated_at, t.suspended_at, t.suspension_reason,
       t.deleted_at, t.purge_after, t.deleted_from, t.erased_at, t.search,
       a.per_minute, a.error_share, a.p95_ms, a.until,
       a.tenant_id  -- always equal to id: the last column of the activity's indexes, for pages in their order
FROM wf.tenants t JOIN wf.tenant_activity a ON a.tenant_id = t.id;

-- For filters by the owner: an index is on it, and the time of a raised role is looked at once.
CREATE VIEW wf.tenant_owners AS SELECT t.id, t.owner_email FROM wf.tenants t WHERE (SELECT wf.in_time('operator'));
GRANT SELECT ON wf.tenant_owners TO wf_operator;
GRANT SELECT ON wf.tenant_list TO wf_viewer;
GRANT SELECT, INSERT (id, name, plan, region, allowed_regions, owner_email, metadata) ON wf.tenants TO wf_operator;

GRANT UPDATE (name, status, plan, region, allowed_regions, owner_email, metadata, suspended_at, suspension_reason)
  ON wf.tenants TO wf_operator;

GRANT INSERT (protected), UPDATE (protected, deleted_at, purge_after, deleted_from) ON wf.tenants TO wf_admin;

DROP POLICY IF EXISTS operators_read ON wf.tenants;
CREATE POLICY operators_read ON wf.tenants FOR SELECT TO wf_operator USING (true);

DROP POLICY IF EXISTS operators_create ON wf.tenants;
CREATE POLICY operators_create ON wf.tenants FOR INSERT TO wf_operator WITH CHECK (status = 'active');

-- An operator neither deletes a tenant nor changes one that is being deleted.
DROP POLICY IF EXISTS operators_change ON wf.tenants;
CREATE POLICY operators_change ON wf.tenants FOR UPDATE TO wf_operator
  USING (status IN ('active', 'suspended')) WITH CHECK (status IN ('active', 'suspended'));

DROP POLICY IF EXISTS admins_change ON wf.tenants;
CREATE POLICY admins_change ON wf.tenants FOR UPDATE TO wf_admin USING (true)
  WITH CHECK (status <> 'erased');  -- only wf.purge_tenant erases

SELECT wf.audited('wf.tenants', 'tenants', 'id', 'id', 'owner_email');

CREATE OR REPLACE FUNCTION wf.guard_project() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.projects FOR EACH ROW EXECUTE FUNCTION wf.guard_project();
GRANT SELECT ON wf.projects TO wf_viewer;
GRANT INSERT (tenant_id, id, name), UPDATE (name, status, archived_at) ON wf.projects TO wf_operator;
SELECT wf.audited('wf.projects', 'projects', 'tenant_id/id', 'tenant_id');
GRANT SELECT ON wf.erasure_certificates TO wf_viewer;
SELECT wf.audited('wf.erasure_certificates', 'certificates', 'tenant_id', 'tenant_id');

-- One line per fact, in a fixed order, so that an auditor can compute the hash again.
CREATE OR REPLACE FUNCTION wf.certificate_text(tenant_id text, erased_at timestamptz, erased_by text, counts jsonb)
RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT 'watchfloor erasure certificate 1' || E'\ntenant ' || tenant_id
    || E'\nerased at ' || to_char(erased_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || E'\nerased by ' || erased_by
    || (SELECT coalesce(string_agg(E'\n' || key || ' ' || value, '' ORDER BY key COLLATE "C"), '') FROM jsonb_each_text(counts))
    || E'\n';
END;
GRANT EXECUTE ON FUNCTION wf.certificate_text TO wf_viewer;

-- Erase a tenant's data, keep its id as a tombstone, and write the certificate.
CREATE OR REPLACE FUNCTION wf.purge_tenant(tenant text) RETURNS wf.erasure_certificates
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  person      text := coalesce((wf.current_change()).carried_for, session_user);
  counts      jsonb := '{}';
  erased      bigint;
  child       record;
  certificate wf.erasure_certificates;
BEGIN
  PERFORM wf.require_approval('tenants.purge', tenant);
  UPDATE wf.tenants SET status = 'erased', erased_at = now(), name = '(erased)', owner_email = NULL, metadata = '{}',
         suspended_at = NULL, suspension_reason = NULL, deleted_at = NULL, purge_after = NULL, deleted_from = NULL
  WHERE id = tenant;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no tenant %', tenant USING ERRCODE = 'no_data_found';
  ELSIF EXISTS (SELECT FROM wf.dead_letters l WHERE l.tenant_id = tenant AND l.hold) THEN
    RAISE EXCEPTION 'dead letters of % are under a legal hold', left(tenant, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'tenant_letters_held';
  END IF;
  FOR child IN SELECT control FROM wf.tenant_tables ORDER BY position LOOP
    EXECUTE format('DELETE FROM %s WHERE tenant_id = $1', child.control) USING tenant;
    GET DIAGNOSTICS erased = ROW_COUNT;
    counts := counts || jsonb_build_object(child.control, erased);
  END LOOP;
  INSERT INTO wf.tenant_activity (tenant_id) VALUES (tenant);
  INSERT INTO wf.erasure_certificates (tenant_id, erased_at, erased_by, request_id, counts, sha256)
  VALUES (tenant, now(), person, (wf.current_change()).request_id, counts,
          encode(sha256(convert_to(wf.certificate_text(tenant, now(), person, counts), 'UTF8')), 'hex'))
  RETURNING * INTO certificate;
  RETURN certificate;
END
$$;
GRANT EXECUTE ON FUNCTION wf.purge_tenant TO wf_admin;
GRANT SELECT ON wf.reveals TO wf_support;
SELECT wf.audited('wf.reveals', 'reveals', 'tenant_id/field', 'tenant_id');

CREATE OR REPLACE FUNCTION wf.grant_reveal(tenant text, field text) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  until timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
  -- Letters and digits of any script: everything but blanks and ASCII punctuation.
  IF coalesce(length(regexp_replace((wf.current_change()).reason, '[\s!-/:-@\[-`{-~]', '', 'g')), 0) < 5 THEN
    RAISE EXCEPTION 'a reveal needs a change with a reason' USING ERRCODE = 'check_violation', CONSTRAINT = 'reveal_reason';
  END IF;
  PERFORM wf.count_look_up('reveal', sha256(convert_to(tenant || E'\n' || grant_reveal.field, 'UTF8')), 20);
  INSERT INTO wf.reveals (tenant_id, field, expires_at) VALUES (tenant, grant_reveal.field, until);
  RETURN until;
END
$$;

CREATE OR REPLACE FUNCTION wf.revealed(tenant text, field text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM wf.in_time('support');
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

-- Each tenant's figures over the last hour of data, which ends with the newest stored request not after `as_of`:
-- requests per minute, share of 5xx, p95 by rank. A tenant without requests in that hour is unknown (NULL). One
-- statement for all; only rows that differ are written. Returns how many.
CREATE OR REPLACE FUNCTION wf.refresh_activity(as_of timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET work_mem = '64MB' AS $$
DECLARE
  newest  timestamptz := wf.newest_request(as_of);
  written bigint;
BEGIN
  PERFORM wf.in_time('operator');
  PERFORM wf.take_lock('refresh_activity');
  UPDATE wf.tenant_activity AS a
  SET per_minute = s.per_minute, error_share = s.error_share, p95_ms = s.p95_ms, until = s.until
  FROM wf.tenant_activity AS t LEFT JOIN (
    SELECT tenant_id, count(*) / 60.0::float8 AS per_minute,
           ((count(*) FILTER (WHERE status >= 500)) / count(*)::float8) AS error_share,
           (percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms))::float8 AS p95_ms, newest AS until
    FROM wf.requests WHERE at > newest - interval '1 hour' AND at <= newest
    GROUP BY tenant_id
  ) AS s ON s.tenant_id = t.tenant_id
  WHERE a.tenant_id = t.tenant_id
    AND (a.per_minute, a.error_share, a.p95_ms, a.until)
      IS DISTINCT FROM (s.per_minute, s.error_share, s.p95_ms, s.until);
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;
GRANT EXECUTE ON FUNCTION wf.refresh_activity TO wf_operator, wf_worker;

-- Make a tenant with its project, its plan and its first key, for a sign-up service: all of it or nothing. The request
-- id makes a repeat harmless: it gets the first answer again. The secret stays with the caller, who sends only its
-- hash.
CREATE OR REPLACE FUNCTION wf_data.provision(
  request_id text, tenant text, name text, owner_email text, plan text, region text, project text,
  key_id text, key_hash bytea, key_display text, key_scopes text[]
) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  -- Without the address, which could be guessed from the hash; the console's fingerprints leave it out for the same
  -- reason.
  asked  text := encode(sha256(convert_to(jsonb_build_array('wf_data.provision', tenant, provision.name, plan, region,
                   project, key_id, encode(key_hash, 'hex'), key_display, key_scopes)::text, 'UTF8')), 'hex');
  found  wf.changes;
  answer jsonb;
BEGIN
  PERFORM wf.check_request_id(provision.request_id);
  BEGIN
    PERFORM wf.open_change('tenants.provision', 'signed up', provision.request_id, asked);
  EXCEPTION WHEN unique_violation THEN  -- committed earlier, or just now by another session that this one waited for
    SELECT * INTO found FROM wf.changes c WHERE c.request_id = provision.request_id;
    IF found.operation <> 'tenants.provision' OR found.fingerprint <> asked OR found.actor <> session_user THEN
      RAISE EXCEPTION 'the request id % was used for something else', provision.request_id
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'request_id_reused';
    END IF;
    RETURN found.result;
  END;
  INSERT INTO wf.tenants (id, name, owner_email, plan, region)
  VALUES (tenant, provision.name, provision.owner_email, provision.plan, provision.region);
  INSERT INTO wf.projects (tenant_id, id, name) VALUES (tenant, project, project);
  INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, label, scopes)
  VALUES (key_id, tenant, project, CASE WHEN key_display ~ '_test_' THEN 'test' ELSE 'live' END, key_display, key_hash,
          'first key', key_scopes);
  SELECT jsonb_build_object('tenant', tenant, 'project', project, 'key_id', key_id, 'plan', plan, 'state', s.state,
                            'trial_end', s.trial_end)
  INTO answer FROM wf.subscriptions s WHERE s.tenant_id = tenant;
  PERFORM wf.finish_change(answer);
  RETURN answer;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.provision TO wf_service;
