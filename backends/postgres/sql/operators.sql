INSERT INTO wf.operations (name, role) VALUES
  ('operators.add', 'admin'), ('operators.password', 'admin'), ('operators.remove', 'admin');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('operators.add', 'wf.operators', 'insert', NULL, NULL, '{"active": true}', false),
  ('operators.add', 'wf.operators', 'update', '{role,active,made_here,password_by,password_at}', NULL, '{"active": true}', false),
  ('operators.password', 'wf.operators', 'update', '{password_by,password_at}', NULL, '{"active": true}', false),
  ('operators.remove', 'wf.operators', 'update', '{active}', NULL, '{"active": false}', false);

-- Privileges start from nothing: all are revoked before these files are applied (backends/postgres/sql_files.py).
GRANT SELECT ON wf.migrations, wf.sql_applied TO wf_viewer, wf_worker;

GRANT SELECT ON wf.operators TO wf_viewer;
SELECT wf.audited('wf.operators', 'operators', 'name', 'none');

-- Lock a name until the transaction ends. Raises after 30 s, so that nobody waits in silence.
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

-- Disconnect sessions that hold locks on a table and have sat idle in a transaction for the whole wait; their
-- transactions are rolled back. False when there is none, or when the owner may not see or end others' sessions
-- (docs/home.md).
CREATE OR REPLACE FUNCTION wf.end_idle(control regclass) RETURNS boolean LANGUAGE sql
SET search_path = wf, pg_temp AS $$
  SELECT coalesce(bool_or(pg_terminate_backend(idle.pid)), false) FROM (
    SELECT DISTINCT a.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
    WHERE l.locktype = 'relation' AND l.relation = control AND l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
      AND a.pid <> pg_backend_pid() AND a.state LIKE 'idle in transaction%'
      AND a.state_change < clock_timestamp() - current_setting('lock_timeout')::interval) idle
$$;

-- Lock the row that a text is hashed to, of those that a kind of work is spread over.
CREATE OR REPLACE FUNCTION wf.take_lock_of(kind text, whom text) RETURNS void LANGUAGE sql SET search_path = wf, pg_temp AS $$
  SELECT wf.take_lock(kind || ' ' || abs(hashtext(whom)::bigint) % 64)
$$;

-- Lock without waiting; false when another has it.
CREATE OR REPLACE FUNCTION wf.try_lock(name text) RETURNS boolean LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM FROM wf.locks l WHERE l.name = try_lock.name FOR UPDATE SKIP LOCKED;
  RETURN FOUND;
END
$$;

-- Who gets in. The wf_* group roles belong to the server: they say what a login may do in the homes that let it in. A
-- home lets in only its own operators: CONNECT on its database and USAGE of its schemas are granted to each of them by
-- name, and neither to a group nor to PUBLIC. A copy of the database keeps USAGE; dropping the database removes both.
CREATE OR REPLACE FUNCTION wf.let_in(name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
  EXECUTE format('GRANT USAGE ON SCHEMA wf, wf_data TO %I', name);
END
$$;

CREATE OR REPLACE FUNCTION wf.keep_out(name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), name);
  EXECUTE format('REVOKE ALL ON SCHEMA wf, wf_data FROM %I', name);
END
$$;

-- The group roles that a login has.
CREATE OR REPLACE FUNCTION wf.groups_of(login name) RETURNS SETOF pg_auth_members LANGUAGE sql STABLE
SET search_path = pg_catalog, wf, pg_temp AS $$
  SELECT m.* FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
  WHERE r.rolname = groups_of.login
    AND m.roleid::regrole::text ~ '^wf_(viewer|support|operator|admin|worker|service)$'
$$;

-- Who is let in when these files are applied: logins whose only group is that of their row. On another server a
-- restored home may find a login of the same name with another home's role.
-- A role that is raised for a while here (wf.raises) does not count.
SELECT wf.let_in(o.name) FROM wf.operators o WHERE o.active
  AND (SELECT array_agg(DISTINCT g.roleid::regrole::text) FROM wf.groups_of(o.name) g
       WHERE NOT EXISTS (SELECT FROM wf.raises r WHERE r.login = o.name AND r.ended_at IS NULL AND r.was = o.role
                         AND 'wf_' || r.role = g.roleid::regrole::text)) = ARRAY['wf_' || o.role];

-- From the least to the most; NULL for workers and services.
CREATE OR REPLACE FUNCTION wf.role_rank(role text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_position('{viewer,support,operator,admin}'::text[], role);

-- Whether the session still has the role that it took by SET ROLE, although its login is a member of it no more.
CREATE OR REPLACE FUNCTION wf.role_left() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN current_setting('role') = 'none' THEN false
              ELSE NOT coalesce((SELECT pg_has_role(session_user, r.oid, 'MEMBER') FROM pg_roles r
                                 WHERE r.rolname = current_setting('role')), false) END
$$;

-- Whether a login holds a role only because it was raised to it, and the time of that is over. The clock alone decides:
-- nothing has to run for it. See raises.sql.
CREATE OR REPLACE FUNCTION wf.raise_over(login text, role text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM wf.raises r WHERE r.login = raise_over.login AND r.ended_at IS NULL
                 AND r.ends_at <= clock_timestamp() AND wf.role_rank(raise_over.role) > wf.role_rank(r.was))
    OR raise_over.login = session_user AND wf.role_left()
$$;
GRANT EXECUTE ON FUNCTION wf.raise_over TO wf_viewer, wf_worker;

-- For functions that read or work and write nothing to the trail, where a write is refused: refuse who has the role no more.
CREATE OR REPLACE FUNCTION wf.in_time(role text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF wf.raise_over(session_user::text, role) THEN
    RAISE EXCEPTION 'the raised role of % is over', session_user
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'raise_over';
  END IF;
  RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION wf.in_time TO wf_viewer, wf_worker;

-- The same for what is added to tables that are not in the trail.
CREATE OR REPLACE FUNCTION wf.add_in_time() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM wf.in_time(TG_ARGV[0]);
  RETURN NULL;
END
$$;

-- Whether this login has a role's rights in this home; every guard asks this.
CREATE OR REPLACE FUNCTION wf.may(role text) RETURNS boolean LANGUAGE sql STABLE
RETURN pg_has_role(session_user, 'wf_' || role, 'MEMBER') AND has_schema_privilege(session_user, 'wf', 'USAGE')
  AND NOT wf.raise_over(session_user::text, role);
GRANT EXECUTE ON FUNCTION wf.may TO wf_viewer, wf_worker;

-- Only support and above see where calls come from.
CREATE OR REPLACE FUNCTION wf.sees_addresses() RETURNS boolean LANGUAGE sql STABLE
RETURN wf.may('support');
GRANT EXECUTE ON FUNCTION wf.sees_addresses TO wf_viewer;

-- The login's role here: the highest that it has; NULL when it has none.
CREATE OR REPLACE FUNCTION wf.my_role() RETURNS text LANGUAGE sql STABLE
RETURN CASE WHEN wf.may('admin') THEN 'admin'
            WHEN wf.may('operator') THEN 'operator'
            WHEN wf.may('support') THEN 'support'
            WHEN wf.may('viewer') THEN 'viewer'
            WHEN wf.may('worker') THEN 'worker' END;
GRANT EXECUTE ON FUNCTION wf.my_role TO wf_viewer, wf_worker;

-- Another home of this server that lets a login in. (A home's tables are granted to wf_viewer.)
CREATE OR REPLACE FUNCTION wf.other_home(login oid) RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, wf, pg_temp AS $$
  SELECT d.datname FROM pg_database d
  WHERE d.datname <> current_database()
    AND EXISTS (SELECT FROM pg_shdepend s WHERE s.dbid = d.oid AND s.refclassid = 'pg_authid'::regclass
                AND s.refobjid = 'wf_viewer'::regrole)
    AND EXISTS (SELECT FROM pg_shdepend s WHERE s.dbid = d.oid AND s.refclassid = 'pg_authid'::regclass
                AND s.refobjid = other_home.login AND s.classid = 'pg_namespace'::regclass)
  ORDER BY 1 LIMIT 1
$$;

-- What a login has besides this home; NULL: nothing, so its password may be set here.
CREATE OR REPLACE FUNCTION wf.also_of(login oid) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, wf, pg_temp AS $$
  SELECT 'the database ' || d.datname FROM pg_shdepend s
    JOIN pg_database d ON d.oid = CASE WHEN s.classid = 'pg_database'::regclass THEN s.objid ELSE s.dbid END
  WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = also_of.login AND d.datname <> current_database()
  UNION ALL
  SELECT 'the role ' || r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
  WHERE m.member = also_of.login AND r.rolname !~ '^wf_(viewer|support|operator|admin|worker|service)$'
  LIMIT 1
$$;

-- Limits for each login, so that none takes the whole server. The times are defaults: a session can set others.
CREATE OR REPLACE FUNCTION wf.limit_login(name text, role text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  program boolean := role IN ('worker', 'service');
  here    text := format('ALTER ROLE %I IN DATABASE %I SET ', name, current_database());
BEGIN
  EXECUTE format('ALTER ROLE %I CONNECTION LIMIT %s', name, CASE WHEN program THEN 30 ELSE 12 END);
  EXECUTE here || 'idle_in_transaction_session_timeout = ''1min''';
  EXECUTE here || format('statement_timeout = %L', CASE WHEN program THEN '1h' ELSE '5min' END);
  BEGIN
    EXECUTE here || 'temp_file_limit = ''2GB''';
  EXCEPTION WHEN insufficient_privilege THEN  -- an owner that is no superuser may not: docs/home.md
    NULL;
  END;
END
$$;

-- What a session may lift is held from outside: end those that sit idle in a transaction, and people's transactions that run
-- for too long. Their locks would hold up workers and services, and a listener among them the emptying of the server's queue of
-- notifications, without which nothing is written any more. Returns how many.
CREATE OR REPLACE FUNCTION wf.end_sessions_after(idle interval, running interval) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  pid   integer;
  ended bigint := 0;
BEGIN
  FOR pid IN
    SELECT a.pid FROM pg_stat_activity a JOIN wf.operators o ON o.name = a.usename
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      AND (a.state LIKE 'idle in transaction%' AND a.state_change < clock_timestamp() - idle
           OR a.state = 'active' AND o.role NOT IN ('worker', 'service') AND a.xact_start < clock_timestamp() - running)
  LOOP
    BEGIN
      ended := ended + pg_terminate_backend(pid)::integer;
    EXCEPTION WHEN insufficient_privilege THEN  -- an owner that may not: docs/home.md
      NULL;
    END;
  END LOOP;
  RETURN ended;
END
$$;

CREATE OR REPLACE FUNCTION wf.end_overlong_sessions() RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$ SELECT wf.end_sessions_after('2 minutes', '1 hour') $$;
GRANT EXECUTE ON FUNCTION wf.end_overlong_sessions TO wf_worker;

-- Who has a role only for a while makes and changes no login: what that may do would outlast the role.
CREATE OR REPLACE FUNCTION wf.own_role_only() RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM wf.raises r JOIN wf.operators o ON o.name = r.login
             WHERE r.login = session_user AND r.ended_at IS NULL AND o.role <> 'admin') THEN
    RAISE EXCEPTION 'the role of % is raised for a while', session_user
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'raise_logins';
  END IF;
END
$$;

-- A login belongs to the home that made it; the server keeps that as the role's comment. When that home is gone and the
-- login has nothing else, this home takes it over. Any other existing login only gets its role here: this home changes
-- neither its password nor whether it may log in.
CREATE OR REPLACE FUNCTION wf.put_operator(name text, role text, verifier text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  made constant text := 'Made by a Watchfloor home';
  was   wf.operators;
  login pg_roles;
  home  name;
  also  text;
  ours  boolean;
BEGIN
  PERFORM wf.own_role_only();
  LOCK TABLE wf.operators IN SHARE ROW EXCLUSIVE MODE;  -- one at a time: two GRANTs on one database at once fail
  SELECT * INTO was FROM wf.operators o WHERE o.name = put_operator.name;
  SELECT * INTO login FROM pg_roles WHERE rolname = put_operator.name;
  also := wf.also_of(login.oid);
  ours := login.oid IS NULL
       OR also IS NULL AND (coalesce(was.made_here, false) OR shobj_description(login.oid, 'pg_authid') = made);
  INSERT INTO wf.operators AS o (name, role, made_here)
  VALUES (put_operator.name, put_operator.role, coalesce(ours, false))
  ON CONFLICT ON CONSTRAINT operators_pkey
    DO UPDATE SET role = excluded.role, active = true, made_here = o.made_here OR excluded.made_here, changed_at = now();
  IF login.rolsuper OR login.rolcreaterole OR login.rolbypassrls OR login.rolreplication THEN
    RAISE EXCEPTION 'the login % exists and has powers of its own', put_operator.name
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'operator_is_superuser';
  ELSIF NOT coalesce(ours, false) AND (verifier IS NOT NULL OR NOT login.rolcanlogin) THEN
    RAISE EXCEPTION 'the login % is not of this home%', put_operator.name, coalesce(': it is of ' || also, '')
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'operator_login_foreign';
  ELSIF verifier IS NOT NULL AND was.active AND was.password_by IS NOT NULL THEN
    RAISE EXCEPTION 'the operator % has a password', put_operator.name
      USING ERRCODE = 'check_violation', CONSTRAINT = 'operator_password_kept';
  END IF;
  home := wf.other_home(login.oid);
  IF home IS NOT NULL AND EXISTS (SELECT FROM wf.groups_of(put_operator.name) g
                                  WHERE g.roleid::regrole::text <> 'wf_' || put_operator.role) THEN
    RAISE EXCEPTION 'the login % has another role in the home %', put_operator.name, home
      USING ERRCODE = 'check_violation', CONSTRAINT = 'operator_other_home';
  END IF;
  IF login.oid IS NULL THEN
    EXECUTE format('CREATE ROLE %I', put_operator.name);
    EXECUTE format('COMMENT ON ROLE %I IS %L', put_operator.name, made);
  END IF;
  IF ours THEN
    EXECUTE format('ALTER ROLE %I LOGIN', put_operator.name);
    PERFORM wf.limit_login(put_operator.name, put_operator.role);
  END IF;
  IF verifier IS NOT NULL THEN
    PERFORM wf.write_verifier(put_operator.name, verifier);
  END IF;
  PERFORM wf.leave_groups(put_operator.name, 'wf_' || put_operator.role);
  EXECUTE format('GRANT %I TO %I', 'wf_' || put_operator.role, put_operator.name);
  PERFORM wf.let_in(put_operator.name);
END
$$;
GRANT EXECUTE ON FUNCTION wf.put_operator TO wf_admin;

-- Take a login out of all group roles but `stays`, whoever granted them.
CREATE OR REPLACE FUNCTION wf.leave_groups(name text, stays text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  held record;
  by_whom constant text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' GRANTED BY %s' ELSE '' END;
BEGIN
  FOR held IN SELECT g.roleid::regrole::text AS role, g.grantor::regrole::text AS grantor FROM wf.groups_of(name) g
              WHERE g.roleid::regrole::text IS DISTINCT FROM stays LOOP
    EXECUTE format('REVOKE %s FROM %I' || by_whom, held.role, name, held.grantor);
  END LOOP;
END
$$;

-- Set another operator's password: a function of its own, so that the trail says that it was set, and by whom.
CREATE OR REPLACE FUNCTION wf.set_password(name text, verifier text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  ours boolean;
  also text := wf.also_of((SELECT r.oid FROM pg_roles r WHERE r.rolname = set_password.name));
BEGIN
  PERFORM wf.own_role_only();
  SELECT o.made_here INTO ours FROM wf.operators o WHERE o.name = set_password.name AND o.active FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no operator %', name USING ERRCODE = 'no_data_found', CONSTRAINT = 'operator_unknown';
  ELSIF NOT ours OR also IS NOT NULL OR verifier IS NULL THEN
    RAISE EXCEPTION 'the login % is not of this home%', name, coalesce(': it is of ' || also, '')
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'operator_login_foreign';
  END IF;
  PERFORM wf.write_verifier(name, verifier);
END
$$;
GRANT EXECUTE ON FUNCTION wf.set_password TO wf_admin;

CREATE OR REPLACE FUNCTION wf.write_verifier(name text, verifier text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  IF verifier !~ '^SCRAM-SHA-256\$[0-9]{1,7}:[A-Za-z0-9+/=]{1,200}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}$' THEN
    RAISE EXCEPTION 'a password is only taken as a SCRAM verifier' USING CONSTRAINT = 'operator_verifier';
  END IF;
  EXECUTE format('ALTER ROLE %I PASSWORD %L', name, verifier);
  UPDATE wf.operators o SET password_by = session_user, password_at = clock_timestamp() WHERE o.name = write_verifier.name;
END
$$;

CREATE OR REPLACE FUNCTION wf.remove_operator(name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  ours  boolean;
  login oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = remove_operator.name);
  alone boolean := wf.other_home(login) IS NULL;
BEGIN
  LOCK TABLE wf.operators IN SHARE ROW EXCLUSIVE MODE;
  UPDATE wf.operators o SET active = false, changed_at = now() WHERE o.name = remove_operator.name AND o.active
  RETURNING made_here INTO ours;
  IF NOT FOUND THEN
    RETURN false;
  ELSIF login IS NULL THEN  -- somebody dropped it
    RETURN true;
  END IF;
  PERFORM wf.keep_out(name);
  IF alone THEN
    PERFORM wf.leave_groups(name, NULL);
    IF ours THEN
      EXECUTE format('ALTER ROLE %I NOLOGIN', name);
    END IF;
  END IF;
  IF NOT pg_has_role(name, 'USAGE') THEN
    EXECUTE format('GRANT %I TO CURRENT_USER', name);  -- an owner that is no superuser needs it to end the login's sessions
  END IF;
  RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION wf.remove_operator TO wf_admin;

-- Their sessions end when the removal is committed: a preview, which is rolled back, ends none.
CREATE OR REPLACE FUNCTION wf.end_sessions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE usename = NEW.name AND pid <> pg_backend_pid()
    AND (datname = current_database() OR NEW.made_here AND wf.other_home(usesysid) IS NULL);
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS end_sessions ON wf.operators;
CREATE CONSTRAINT TRIGGER end_sessions AFTER UPDATE ON wf.operators DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD.active AND NOT NEW.active) EXECUTE FUNCTION wf.end_sessions();
