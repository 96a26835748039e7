-- Who may do what, and the trail of all that was done.
--
-- People log in as themselves; their login is a member of exactly one of the group roles below.
-- Roles belong to the whole server, so they may be there already from another home.

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['wf_viewer', 'wf_support', 'wf_operator', 'wf_admin', 'wf_worker'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
END
$$;

-- Each role has what the one before it has.
GRANT wf_viewer TO wf_support;
GRANT wf_support TO wf_operator;
GRANT wf_operator TO wf_admin;

REVOKE ALL ON SCHEMA wf FROM PUBLIC;
GRANT USAGE ON SCHEMA wf TO wf_viewer, wf_worker;
GRANT SELECT ON wf.migrations TO wf_viewer, wf_worker;
-- Functions are open to everybody by default; the migration runner takes that back after every file.

-- Numbers that readers rely on ("all after 41") come from a row that is updated in the writing transaction:
-- they neither skip nor commit out of order, as a sequence's would.
CREATE TABLE wf.counters (
  name  text PRIMARY KEY,
  value bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO wf.counters (name) VALUES ('audit');

-- One row per transaction that came through an operation. Its request id is what makes a repeat harmless
-- and what an unknown outcome is looked up by.
CREATE TABLE wf.changes (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  request_id  text NOT NULL UNIQUE CHECK (length(request_id) BETWEEN 1 AND 100),
  operation   text NOT NULL CHECK (length(operation) BETWEEN 1 AND 100),
  fingerprint text NOT NULL DEFAULT '',  -- SHA-256 of the request: the same id for something else is refused
  reason      text CHECK (length(reason) <= 2000),
  actor       text NOT NULL DEFAULT session_user,
  started_at  timestamptz NOT NULL DEFAULT now(),
  xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
  result      jsonb
);
GRANT SELECT ON wf.changes TO wf_viewer;

CREATE TABLE wf.audit (
  seq         bigint PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  change_id   bigint REFERENCES wf.changes,
  out_of_band boolean NOT NULL,  -- true: written past the operations, with psql for instance
  actor       text NOT NULL,     -- the login, whatever role it had taken on
  operation   text NOT NULL,
  noun        text NOT NULL,
  thing       text NOT NULL,
  tenant_id   text,
  reason      text,
  request_id  text,
  impersonation bigint,      -- which one the actor had open of this tenant: then the row has two identities
  before      jsonb,
  after       jsonb
);
CREATE INDEX audit_of_thing ON wf.audit (noun, thing, seq);
CREATE INDEX audit_of_tenant ON wf.audit (tenant_id, seq);
CREATE INDEX audit_of_change ON wf.audit (change_id);
CREATE INDEX audit_of_operation ON wf.audit (operation, seq);
CREATE INDEX audit_of_actor ON wf.audit (actor, seq);
GRANT SELECT ON wf.audit TO wf_viewer;

-- Personal values are kept beside the trail, not in it: an erasure deletes them and leaves the trail whole.
CREATE TABLE wf.audit_personal (
  seq       bigint REFERENCES wf.audit,
  tenant_id text NOT NULL,
  field     text NOT NULL,
  before    text,
  after     text,
  PRIMARY KEY (seq, field)
);
CREATE INDEX audit_personal_of_tenant ON wf.audit_personal (tenant_id);
GRANT SELECT ON wf.audit_personal TO wf_operator;

CREATE FUNCTION wf.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only'
    USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'audit_append_only';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.audit
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

CREATE FUNCTION wf.masked(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN value IS NULL THEN NULL
              WHEN strpos(value, '@') > 1 THEN left(value, 1) || '•••@' || split_part(value, '@', -1)
              ELSE '•••' END
$$;

-- Open the change that this transaction makes. Without it, what the transaction writes is marked out-of-band.
CREATE FUNCTION wf.begin_change(operation text, reason text, request_id text, fingerprint text DEFAULT '')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change bigint;
BEGIN
  INSERT INTO wf.changes (operation, reason, request_id, fingerprint)
  VALUES (begin_change.operation, nullif(btrim(begin_change.reason), ''), begin_change.request_id,
          begin_change.fingerprint)
  RETURNING id INTO change;
  PERFORM set_config('wf.change', change::text, true);
  RETURN change;
END
$$;
GRANT EXECUTE ON FUNCTION wf.begin_change TO wf_support, wf_worker;

-- The open change of this transaction, if there is one. The xid keeps a setting of another transaction out.
CREATE FUNCTION wf.current_change() RETURNS wf.changes LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT c FROM wf.changes c
  WHERE c.id = nullif(current_setting('wf.change', true), '')::bigint AND c.xid = pg_current_xact_id_if_assigned()
$$;

-- Keep the result for whoever repeats the request; personal fields in it are masked, for the same reason as above.
CREATE FUNCTION wf.finish_change(result jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.changes SET result = wf.without_personal(finish_change.result, ARRAY['owner_email'])
  WHERE id = (wf.current_change()).id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.finish_change TO wf_support, wf_worker;

-- The impersonation that the login has open: one at most. The migration that brings the table replaces this.
CREATE FUNCTION wf.acting_as(OUT impersonation bigint, OUT tenant_id text) LANGUAGE sql STABLE AS $$
  SELECT NULL::bigint, NULL::text
$$;

-- Append rows to the trail: one statement, one step of the counter, one NOTIFY (a hint: the reader selects).
-- `before` and `after` arrive with their personal fields still in them; `personal` names those fields.
CREATE FUNCTION wf.append_audit(
  noun text, verb text, things text[], tenants text[], befores jsonb[], afters jsonb[], personal text[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
  acting record;
  last   bigint;
BEGIN
  SELECT * INTO acting FROM wf.acting_as();
  UPDATE wf.counters SET value = value + cardinality(things) WHERE name = 'audit' RETURNING value INTO last;
  INSERT INTO wf.audit (seq, change_id, out_of_band, actor, operation, noun, thing, tenant_id, reason, request_id,
                        impersonation, before, after)
  -- unnest, not befores[i]: to find one element of such an array costs as much as to read all before it.
  SELECT last - cardinality(things) + i, change.id, change.id IS NULL, session_user,
         coalesce(change.operation, 'sql.' || verb), append_audit.noun, u.thing, u.tenant,
         change.reason, change.request_id, CASE WHEN u.tenant = acting.tenant_id THEN acting.impersonation END,
         wf.without_personal(u.old, personal), wf.without_personal(u.new, personal)
  FROM unnest(things, tenants, befores, afters) WITH ORDINALITY AS u(thing, tenant, old, new, i);
  INSERT INTO wf.audit_personal (seq, tenant_id, field, before, after)
  SELECT last - cardinality(things) + i, u.tenant, field, u.old ->> field, u.new ->> field
  FROM unnest(things, tenants, befores, afters) WITH ORDINALITY AS u(thing, tenant, old, new, i),
       unnest(personal) AS field
  WHERE u.old ->> field IS DISTINCT FROM u.new ->> field;
  PERFORM pg_notify('wf', noun || ' ' || last);
  RETURN last;
END
$$;

CREATE FUNCTION wf.without_personal(value jsonb, personal text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN value IS NULL THEN NULL ELSE value || coalesce(
    (SELECT jsonb_object_agg(field, wf.masked(value ->> field)) FROM unnest(personal) AS field WHERE value ? field),
    '{}') END
$$;

-- The trigger of every control table, once per statement.
-- Arguments: noun, key columns joined by '/', tenant column, then the columns with personal data.
CREATE FUNCTION wf.record_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  keys     text[] := string_to_array(TG_ARGV[1], '/');
  personal text[] := coalesce(TG_ARGV[3:], '{}');
  r        record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(NULL::jsonb) AS before, array_agg(to_jsonb(n) - ARRAY['search', 'hash']) AS after INTO r FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(to_jsonb(o) - ARRAY['search', 'hash']) AS before, array_agg(NULL::jsonb) AS after INTO r FROM old_rows o;
  ELSE
    -- Key columns never change (each table's guard sees to it), so old and new rows meet by them.
    SELECT array_agg(o.row) AS before, array_agg(n.row) AS after INTO r
    FROM (SELECT to_jsonb(o) - ARRAY['search', 'hash'] AS row FROM old_rows o) o
    JOIN (SELECT to_jsonb(n) - ARRAY['search', 'hash'] AS row FROM new_rows n) n
      ON wf.thing(o.row, keys) = wf.thing(n.row, keys)
    WHERE o.row IS DISTINCT FROM n.row;
  END IF;
  IF r.before IS NOT NULL THEN
    PERFORM wf.append_audit(
      TG_ARGV[0], lower(TG_OP),
      (SELECT array_agg(wf.thing(coalesce(a, b), keys) ORDER BY i) FROM unnest(r.before, r.after) WITH ORDINALITY u(b, a, i)),
      (SELECT array_agg(coalesce(a, b) ->> TG_ARGV[2] ORDER BY i) FROM unnest(r.before, r.after) WITH ORDINALITY u(b, a, i)),
      r.before, r.after, personal);
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION wf.thing(value jsonb, keys text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT string_agg(value ->> key, '/' ORDER BY i) FROM unnest(keys) WITH ORDINALITY AS k(key, i)
$$;

-- Put the trigger on a table.
CREATE FUNCTION wf.audited(control regclass, VARIADIC arguments text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  quoted text := (SELECT string_agg(quote_literal(a), ', ' ORDER BY i) FROM unnest(arguments) WITH ORDINALITY u(a, i));
BEGIN
  EXECUTE format('CREATE TRIGGER audit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
  EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
  EXECUTE format('CREATE TRIGGER audit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
END
$$;

-- Something that happened without a row of a control table changing: an import.
-- Only within a change, so that it has an operation, a reason and a request id; and never under the noun of a
-- control table, so that it cannot pass for a changed row.
CREATE FUNCTION wf.note(noun text, thing text, tenant_id text, after jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF (wf.current_change()).id IS NULL THEN
    RAISE EXCEPTION 'wf.note needs an open change' USING ERRCODE = 'invalid_transaction_state';
  END IF;
  IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = 'wf.record_change'::regproc
             AND split_part(encode(t.tgargs, 'escape'), '\000', 1) = note.noun) THEN
    RAISE EXCEPTION 'the trail of % is written by its triggers alone', noun
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'audit_noun_taken';
  END IF;
  RETURN wf.append_audit(noun, 'note', ARRAY[thing], ARRAY[tenant_id], ARRAY[NULL::jsonb], ARRAY[after], '{}');
END
$$;
GRANT EXECUTE ON FUNCTION wf.note TO wf_support, wf_worker;

-- The people. A login is made with its group role; the password arrives as a SCRAM verifier, never in clear.
CREATE TABLE wf.operators (
  name       text PRIMARY KEY CHECK (name ~ '^[a-z_][a-z0-9_.-]{0,62}$' AND name !~ '^(pg_|wf_)'),
  role       text NOT NULL CHECK (role IN ('viewer', 'support', 'operator', 'admin', 'worker')),
  active     boolean NOT NULL DEFAULT true,
  made_here  boolean NOT NULL DEFAULT false,  -- false: the login was there before, and its password is not ours
  added_at   timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON wf.operators TO wf_viewer;
SELECT wf.audited('wf.operators', 'operators', 'name', 'none');

-- Roles belong to the whole server. A login that was there before gets its role here and nothing else: neither its
-- password nor whether it may log in is this home's to change.
CREATE FUNCTION wf.put_operator(name text, role text, verifier text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  held  text;
  login pg_roles;
  ours  boolean;
BEGIN
  SELECT * INTO login FROM pg_roles WHERE rolname = put_operator.name;
  INSERT INTO wf.operators AS o (name, role, made_here)
  VALUES (put_operator.name, put_operator.role, login.rolname IS NULL)
  ON CONFLICT ON CONSTRAINT operators_pkey
    DO UPDATE SET role = excluded.role, active = true, made_here = o.made_here OR excluded.made_here, changed_at = now()
  RETURNING made_here INTO ours;
  IF login.rolname IS NULL THEN
    EXECUTE format('CREATE ROLE %I', put_operator.name);
  ELSIF login.rolsuper OR login.rolcreaterole THEN
    RAISE EXCEPTION 'the login % exists and has powers of its own', put_operator.name
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'operator_is_superuser';
  ELSIF NOT ours AND (verifier IS NOT NULL OR NOT login.rolcanlogin) THEN
    RAISE EXCEPTION 'the login % is not of this home', put_operator.name
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'operator_login_foreign';
  END IF;
  IF ours THEN
    EXECUTE format('ALTER ROLE %I LOGIN', put_operator.name);
  END IF;
  IF verifier IS NOT NULL THEN
    IF verifier !~ '^SCRAM-SHA-256\$' THEN
      RAISE EXCEPTION 'a password is only taken as a SCRAM verifier' USING CONSTRAINT = 'operator_verifier';
    END IF;
    EXECUTE format('ALTER ROLE %I PASSWORD %L', put_operator.name, verifier);
  END IF;
  FOREACH held IN ARRAY ARRAY['wf_viewer', 'wf_support', 'wf_operator', 'wf_admin', 'wf_worker'] LOOP
    IF held <> 'wf_' || put_operator.role AND pg_has_role(put_operator.name, held, 'MEMBER') THEN
      EXECUTE format('REVOKE %I FROM %I', held, put_operator.name);
    END IF;
  END LOOP;
  EXECUTE format('GRANT %I TO %I', 'wf_' || put_operator.role, put_operator.name);
END
$$;
GRANT EXECUTE ON FUNCTION wf.put_operator TO wf_admin;

CREATE FUNCTION wf.remove_operator(name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  ours boolean;
  held text;
BEGIN
  UPDATE wf.operators o SET active = false, changed_at = now() WHERE o.name = remove_operator.name AND o.active
  RETURNING made_here INTO ours;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF ours THEN
    EXECUTE format('ALTER ROLE %I NOLOGIN', remove_operator.name);
  END IF;
  FOREACH held IN ARRAY ARRAY['wf_viewer', 'wf_support', 'wf_operator', 'wf_admin', 'wf_worker'] LOOP
    IF pg_has_role(remove_operator.name, held, 'MEMBER') THEN
      EXECUTE format('REVOKE %I FROM %I', held, remove_operator.name);
    END IF;
  END LOOP;
  IF NOT pg_has_role(remove_operator.name, 'USAGE') THEN
    EXECUTE format('GRANT %I TO CURRENT_USER', remove_operator.name);  -- an owner without all powers needs it to end its sessions
  END IF;
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE usename = remove_operator.name AND pid <> pg_backend_pid() AND (ours OR datname = current_database());
  RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION wf.remove_operator TO wf_admin;

-- The role by which a login works here: the highest of those it holds; NULL when it holds none.
CREATE FUNCTION wf.my_role() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN pg_has_role(session_user, 'wf_admin', 'MEMBER') THEN 'admin'
              WHEN pg_has_role(session_user, 'wf_operator', 'MEMBER') THEN 'operator'
              WHEN pg_has_role(session_user, 'wf_support', 'MEMBER') THEN 'support'
              WHEN pg_has_role(session_user, 'wf_viewer', 'MEMBER') THEN 'viewer'
              WHEN pg_has_role(session_user, 'wf_worker', 'MEMBER') THEN 'worker' END
$$;
GRANT EXECUTE ON FUNCTION wf.my_role TO wf_viewer, wf_worker;
