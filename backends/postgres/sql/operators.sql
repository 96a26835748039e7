-- Privileges start from nothing: whoever applies these files takes all of them back first (backends/postgres/migrate.py).
GRANT USAGE ON SCHEMA wf TO wf_viewer, wf_worker, wf_service;
GRANT USAGE ON SCHEMA wf_data TO wf_service;
GRANT SELECT ON wf.migrations, wf.sql_applied TO wf_viewer, wf_worker;

GRANT SELECT ON wf.operators TO wf_viewer;
SELECT wf.audited('wf.operators', 'operators', 'name', 'none');

-- Until the transaction ends, and waited for no longer than 30 s: what cannot be had is said, not waited for in silence.
CREATE OR REPLACE FUNCTION wf.take_lock(name text) RETURNS void LANGUAGE plpgsql
SET search_path = wf, pg_temp SET lock_timeout = '30s' AS $$
BEGIN
  PERFORM FROM wf.locks l WHERE l.name = take_lock.name FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no lock %', take_lock.name;
  END IF;
EXCEPTION WHEN lock_not_available THEN
  IF NOT wf.end_idle('wf.locks') THEN
    RAISE EXCEPTION 'for 30 s somebody else was at work on %', take_lock.name
      USING ERRCODE = 'lock_not_available', CONSTRAINT = 'lock_held';
  END IF;
  PERFORM FROM wf.locks l WHERE l.name = take_lock.name FOR UPDATE;
END
$$;

-- Disconnect who holds rows of a table and has sat idle in a transaction for as long as they were waited for: theirs is
-- undone. False when nobody does, or when the owner may not see or end others' sessions (docs/home.md).
CREATE OR REPLACE FUNCTION wf.end_idle(control regclass) RETURNS boolean LANGUAGE sql
SET search_path = wf, pg_temp AS $$
  SELECT coalesce(bool_or(pg_terminate_backend(idle.pid)), false) FROM (
    SELECT DISTINCT a.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
    WHERE l.locktype = 'relation' AND l.relation = control AND l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
      AND a.pid <> pg_backend_pid() AND a.state LIKE 'idle in transaction%'
      AND a.state_change < clock_timestamp() - current_setting('lock_timeout')::interval) idle
$$;

-- One row of those that a kind of work is spread over.
CREATE OR REPLACE FUNCTION wf.take_lock_of(kind text, whom text) RETURNS void LANGUAGE sql SET search_path = wf, pg_temp AS $$
  SELECT wf.take_lock(kind || ' ' || abs(hashtext(whom)::bigint) % 64)
$$;

-- Without waiting: false when another has it.
CREATE OR REPLACE FUNCTION wf.try_lock(name text) RETURNS boolean LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM FROM wf.locks l WHERE l.name = try_lock.name FOR UPDATE SKIP LOCKED;
  RETURN FOUND;
END
$$;

-- Roles belong to the whole server. A login that was there before gets its role here and nothing else: neither its
-- password nor whether it may log in is this home's to change.
CREATE OR REPLACE FUNCTION wf.put_operator(name text, role text, verifier text) RETURNS void
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
  FOREACH held IN ARRAY ARRAY['wf_viewer', 'wf_support', 'wf_operator', 'wf_admin', 'wf_worker', 'wf_service'] LOOP
    IF held <> 'wf_' || put_operator.role AND pg_has_role(put_operator.name, held, 'MEMBER') THEN
      EXECUTE format('REVOKE %I FROM %I', held, put_operator.name);
    END IF;
  END LOOP;
  EXECUTE format('GRANT %I TO %I', 'wf_' || put_operator.role, put_operator.name);
END
$$;
GRANT EXECUTE ON FUNCTION wf.put_operator TO wf_admin;

CREATE OR REPLACE FUNCTION wf.remove_operator(name text) RETURNS boolean
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
  FOREACH held IN ARRAY ARRAY['wf_viewer', 'wf_support', 'wf_operator', 'wf_admin', 'wf_worker', 'wf_service'] LOOP
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
CREATE OR REPLACE FUNCTION wf.my_role() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN pg_has_role(session_user, 'wf_admin', 'MEMBER') THEN 'admin'
              WHEN pg_has_role(session_user, 'wf_operator', 'MEMBER') THEN 'operator'
              WHEN pg_has_role(session_user, 'wf_support', 'MEMBER') THEN 'support'
              WHEN pg_has_role(session_user, 'wf_viewer', 'MEMBER') THEN 'viewer'
              WHEN pg_has_role(session_user, 'wf_worker', 'MEMBER') THEN 'worker' END
$$;
GRANT EXECUTE ON FUNCTION wf.my_role TO wf_viewer, wf_worker;
