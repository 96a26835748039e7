-- A role that is raised for a while, with an approval. Its rights end with the clock: every check of a role and every write
-- to the trail looks at the time, and so does what a higher role may read. Taking the membership away comes after that.
INSERT INTO wf.operations (name, role) VALUES
  ('operators.raise', 'support'), ('operators.give-back', 'support'), ('raises.end', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('operators.raise', 'wf.raises', 'insert', NULL, NULL, '{"ended_at": null}', false),
  ('operators.raise', 'wf.raises', 'update', '{ended_at,ended_by}', '{"ended_at": null}', NULL, false),
  ('operators.give-back', 'wf.raises', 'update', '{ended_at,ended_by}', '{"ended_at": null}', NULL, false),
  ('raises.end', 'wf.raises', 'update', '{ended_at,ended_by}', '{"ended_at": null}', NULL, false);

-- Refuse a write with a role whose time is over. The use is counted, so that the commit looks at the time again.
CREATE OR REPLACE FUNCTION wf.check_raise() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  raised wf.raises := (SELECT r FROM wf.raises r WHERE r.login = session_user AND r.ended_at IS NULL);
BEGIN
  IF wf.role_left() THEN
    RAISE EXCEPTION '% has the role % no more', session_user, current_setting('role')
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'raise_over';
  ELSIF raised.id IS NULL OR raised.starts_at = now() THEN  -- it is raised by this very change
    RETURN;
  ELSIF raised.ends_at <= clock_timestamp() THEN
    RAISE EXCEPTION 'the role % of % ended at %', raised.role, session_user, raised.ends_at
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'raise_over';
  END IF;
  INSERT INTO wf.raise_uses AS u (raise_id, uses) VALUES (raised.id, 1)
  ON CONFLICT (raise_id) DO UPDATE SET uses = u.uses + 1;
END
$$;

CREATE OR REPLACE FUNCTION wf.check_raise_use() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM wf.raises r WHERE r.id = NEW.raise_id AND r.ends_at <= clock_timestamp() AND r.ended_at IS NULL) THEN
    RAISE EXCEPTION 'the role of % ended before the commit', session_user
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'raise_over';
  END IF;
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS check_raise_use ON wf.raise_uses;  -- a constraint trigger cannot be replaced
CREATE CONSTRAINT TRIGGER check_raise_use AFTER INSERT OR UPDATE ON wf.raise_uses DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION wf.check_raise_use();

-- Raise one's own role for a while.
CREATE OR REPLACE FUNCTION wf.raise_role(role text, minutes integer) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
  home   name := wf.other_home((SELECT r.oid FROM pg_roles r WHERE r.rolname = session_user));
  own    text;
  until  timestamptz := clock_timestamp() + make_interval(mins => minutes);
BEGIN
  LOCK TABLE wf.operators IN SHARE ROW EXCLUSIVE MODE;  -- two GRANTs on one login at once fail
  own := (SELECT o.role FROM wf.operators o WHERE o.name = session_user AND o.active);
  IF change.operation IS DISTINCT FROM 'operators.raise' OR change.carried_for IS NOT NULL THEN
    RAISE EXCEPTION 'a role is raised by its own change' USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'raise_change';
  ELSIF (wf.role_rank(raise_role.role) > wf.role_rank(own)) IS NOT TRUE THEN
    RAISE EXCEPTION '% is %', session_user, own USING ERRCODE = 'check_violation', CONSTRAINT = 'raise_role';
  ELSIF home IS NOT NULL THEN  -- a login has one role on a server, and nobody there was asked
    RAISE EXCEPTION '% is let into the home % as well', session_user, home
      USING ERRCODE = 'check_violation', CONSTRAINT = 'raise_other_home';
  END IF;
  PERFORM wf.end_raise(session_user::text);  -- the new one takes the place of one that is open, or over
  PERFORM wf.require_approval('operators.raise', session_user::text);
  INSERT INTO wf.raises (was, role, minutes, reason, ends_at)
  VALUES (own, raise_role.role, raise_role.minutes, coalesce(change.reason, ''), until);
  EXECUTE format('GRANT %I TO %I', 'wf_' || raise_role.role, session_user);
  RETURN until;
END
$$;

-- Take the membership away. What the login's sessions are doing is ended at the commit.
CREATE OR REPLACE FUNCTION wf.end_raise(name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  own text;
BEGIN
  -- At once too, or a transaction that holds the trail's counter would hold this up; but a preview ends nothing.
  IF EXISTS (SELECT FROM wf.raises r WHERE r.login = name AND r.ended_at IS NULL)
      AND (wf.current_change()).request_id NOT LIKE '%-preview' THEN
    PERFORM wf.end_work_of(name);
  END IF;
  LOCK TABLE wf.operators IN SHARE ROW EXCLUSIVE MODE;
  UPDATE wf.raises r SET ended_at = clock_timestamp(), ended_by = session_user WHERE r.login = name AND r.ended_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  own := (SELECT o.role FROM wf.operators o WHERE o.name = end_raise.name AND o.active);
  -- On another server, a restored home's login may not be there, or be another home's.
  IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = name AND has_schema_privilege(r.oid, 'wf', 'USAGE')) THEN
    PERFORM wf.leave_groups(name, 'wf_' || own);
  END IF;
  RETURN true;
END
$$;

-- Give a raised role back: one's own, or as an admin another's.
CREATE OR REPLACE FUNCTION wf.give_back(name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  IF name <> session_user AND NOT wf.may('admin') THEN
    RAISE EXCEPTION 'the role of % is not yours', name USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'raise_not_yours';
  END IF;
  RETURN wf.end_raise(name);
END
$$;

-- For workers: take away the memberships whose time is over. Returns how many.
CREATE OR REPLACE FUNCTION wf.end_raises() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  over  record;
  ended integer := 0;
BEGIN
  FOR over IN SELECT r.id, r.login FROM wf.raises r WHERE r.ended_at IS NULL AND r.ends_at <= clock_timestamp() LIMIT 100 LOOP
    PERFORM wf.open_home_change('raises.end', 'its time is over', format('raise-%s-end', over.id));
    PERFORM wf.end_raise(over.login);
    PERFORM set_config('wf.change', '', true);
    ended := ended + 1;
  END LOOP;
  RETURN ended;
END
$$;

CREATE OR REPLACE FUNCTION wf.end_work_of(name text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = name) THEN
    RETURN;
  ELSIF NOT pg_has_role(name, 'USAGE') THEN
    EXECUTE format('GRANT %I TO CURRENT_USER', name);  -- as in wf.remove_operator
  END IF;
  PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity a
  WHERE a.usename = name AND a.pid <> pg_backend_pid() AND a.state <> 'idle' AND a.datname = current_database();
EXCEPTION WHEN insufficient_privilege THEN  -- a login that is not this owner's to end: its next write, or its commit, is refused
  NULL;
END
$$;

CREATE OR REPLACE FUNCTION wf.end_raised_work() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  PERFORM wf.end_work_of(NEW.login);
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS end_raised_work ON wf.raises;
CREATE CONSTRAINT TRIGGER end_raised_work AFTER UPDATE ON wf.raises DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION wf.end_raised_work();

-- What is granted to a higher role as it stands is neither read, locked nor changed by whose raised role is over. Texts that
-- are searched by an index are read through views that look at the time once (wf.tenant_owners and others): a policy would
-- keep them from their indexes.
DO $$
DECLARE
  guarded record;
BEGIN
  FOR guarded IN
    SELECT control, CASE WHEN control = ANY ('{contacts,impersonations}') THEN 'support'
                         WHEN control = ANY ('{audit_personal,key_leaks,reveals,gates,own_detectors,plans,telemetry_retention,update_intervals}')
                         THEN 'admin' ELSE 'operator' END AS role,
           CASE WHEN control = ANY ('{audit_personal,key_leaks,reveals}') THEN '{SELECT}'
                WHEN control = ANY ('{api_keys,tenants}') THEN '{SELECT,UPDATE}' ELSE '{UPDATE}' END::text[] AS verbs
    FROM unnest('{api_keys,audit_personal,contacts,entitlement_grants,evidence,execution_steps,executions,gate_schedules,gate_waivers,gates,heartbeats,impersonations,incidents,key_leaks,maintenance,objectives,own_detectors,plan_changes,plans,projects,reveals,routes,runs,schedule_overrides,schedules,silences,subscriptions,telemetry_retention,tenants,thresholds,update_intervals,webhooks}'::text[]) control
  LOOP
    IF guarded.control <> 'tenants' THEN  -- which has policies of its own
      EXECUTE format('DROP POLICY IF EXISTS as_granted ON wf.%I', guarded.control);
      EXECUTE format('CREATE POLICY as_granted ON wf.%I USING (true) WITH CHECK (true)', guarded.control);
    END IF;
    FOR place IN 1 .. cardinality(guarded.verbs) LOOP
      EXECUTE format('DROP POLICY IF EXISTS %I ON wf.%I', 'in_time_' || lower(guarded.verbs[place]), guarded.control);
      EXECUTE format('CREATE POLICY %I ON wf.%I AS RESTRICTIVE FOR %s USING (%s)', 'in_time_' || lower(guarded.verbs[place]),
        guarded.control, guarded.verbs[place],
        format(CASE WHEN guarded.role = 'admin' AND guarded.verbs = '{SELECT}' THEN 'NOT (SELECT wf.raise_over(session_user::text, %L))'
                    ELSE '(SELECT wf.in_time(%L))' END, guarded.role));
    END LOOP;
  END LOOP;
END
$$;
CREATE OR REPLACE TRIGGER in_time BEFORE INSERT ON wf.requests FOR EACH STATEMENT EXECUTE FUNCTION wf.add_in_time('operator');
CREATE OR REPLACE TRIGGER in_time BEFORE INSERT OR UPDATE ON wf.import_chunks
  FOR EACH STATEMENT EXECUTE FUNCTION wf.add_in_time('operator');
CREATE OR REPLACE TRIGGER in_time BEFORE INSERT ON wf.run_items FOR EACH STATEMENT EXECUTE FUNCTION wf.add_in_time('operator');

CREATE VIEW wf.raise_list AS
SELECT r.*, coalesce(u.uses, 0) AS uses,
       CASE WHEN r.ended_at IS NOT NULL AND r.ended_at < r.ends_at THEN 'given back' WHEN r.ends_at <= clock_timestamp() THEN 'over'
            ELSE 'open' END AS standing
FROM wf.raises r LEFT JOIN wf.raise_uses u ON u.raise_id = r.id;

GRANT SELECT ON wf.raises, wf.raise_list TO wf_viewer;
GRANT EXECUTE ON FUNCTION wf.raise_role, wf.give_back TO wf_support;
GRANT EXECUTE ON FUNCTION wf.end_raises TO wf_worker;
SELECT wf.audited('wf.raises', 'raises', 'id', 'none');
