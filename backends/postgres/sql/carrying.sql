-- A worker carries other people's runs, so that they outlive the console that started them. The worker's login gets no
-- rights to what a run changes. It names an item of a run that it drives; the home carries out the run's operation on
-- that item, once, if the person who started the run may still do it. What is written follows from the run and the row
-- alone, so the worker has nothing to choose.

-- The operations that a worker can carry, and the table of the things that they change: operations that make no secret
-- and need nothing else from the person's program. controlplane/runs/rules.py lists the same ones; tests compare what
-- both write.
CREATE VIEW wf.carried_operations AS SELECT * FROM (VALUES
  ('tenants.suspend', 'wf.tenants'), ('tenants.resume', 'wf.tenants'), ('tenants.rename', 'wf.tenants'),
  ('tenants.edit', 'wf.tenants'), ('tenants.delete', 'wf.tenants'), ('tenants.restore', 'wf.tenants'),
  ('tenants.protect', 'wf.tenants'), ('tenants.unprotect', 'wf.tenants'),
  ('projects.rename', 'wf.projects'), ('projects.archive', 'wf.projects'), ('projects.restore', 'wf.projects'),
  ('keys.disable', 'wf.api_keys'), ('keys.enable', 'wf.api_keys'), ('keys.revoke', 'wf.api_keys')
) AS o(operation, control);

-- Whether the login may drive a run. A worker may drive a running one whose operation it can carry.
CREATE OR REPLACE FUNCTION wf.may_drive(run bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT wf.may('operator') OR EXISTS (
    SELECT FROM wf.runs r JOIN wf.carried_operations c USING (operation) WHERE r.id = may_drive.run AND r.state = 'running')
$$;

-- Whether a login has a role's rights in this home now: as wf.may, for another login.
CREATE OR REPLACE FUNCTION wf.login_may(login text, role text) RETURNS boolean LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = login AND r.rolcanlogin
                 AND pg_has_role(r.oid, 'wf_' || role, 'MEMBER') AND has_schema_privilege(r.oid, 'wf', 'USAGE'))
$$;

-- Why a row as it is refuses an operation; NULL: it does not. The same checks as in controlplane/*/rules.py.
CREATE OR REPLACE FUNCTION wf.carried_refusal(operation text, old jsonb) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$
  SELECT CASE
    WHEN operation LIKE 'tenants.%' AND old ->> 'status' = 'erased' THEN 'tenant_erased'
    WHEN operation IN ('tenants.suspend', 'tenants.resume', 'tenants.rename', 'tenants.edit')
      AND old ->> 'status' = 'pending_deletion' THEN 'tenant_pending_deletion'
    WHEN operation = 'tenants.suspend' AND old ->> 'status' = 'suspended' THEN 'already_suspended'
    WHEN operation = 'tenants.resume' AND old ->> 'status' <> 'suspended' THEN 'not_suspended'
    WHEN operation = 'tenants.delete' AND old ->> 'status' = 'pending_deletion' THEN 'already_pending_deletion'
    WHEN operation IN ('tenants.suspend', 'tenants.delete') AND (old ->> 'protected')::boolean THEN 'tenant_protected'
    WHEN operation = 'tenants.restore' AND old ->> 'status' <> 'pending_deletion' THEN 'not_deleted'
    WHEN operation = 'tenants.protect' AND (old ->> 'protected')::boolean THEN 'already_protected'
    WHEN operation = 'tenants.unprotect' AND NOT (old ->> 'protected')::boolean THEN 'not_protected'
    WHEN operation = 'projects.archive' AND old ->> 'status' = 'archived' THEN 'already_archived'
    WHEN operation = 'projects.restore' AND old ->> 'status' <> 'archived' THEN 'not_archived'
    WHEN operation LIKE 'keys.%' AND old ->> 'revoked_at' IS NOT NULL THEN 'key_revoked'
    WHEN operation = 'keys.disable' AND old ->> 'disabled_at' IS NOT NULL THEN 'already_disabled'
    WHEN operation = 'keys.enable' AND old ->> 'disabled_at' IS NULL THEN 'not_disabled' END
$$;

-- What an edit writes: the given fields. Metadata is merged (null removes a field), or replaced with `whole`.
CREATE OR REPLACE FUNCTION wf.carried_edit(given jsonb, old jsonb, whole boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$
  SELECT jsonb_object_agg(g.key, CASE WHEN g.key <> 'metadata' OR whole THEN g.value ELSE (
    SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}') FROM jsonb_each((old -> 'metadata') || g.value) m
    WHERE m.value <> 'null') END)
  FROM jsonb_each(given) g WHERE g.key IN ('plan', 'region', 'allowed_regions', 'metadata') AND g.value <> 'null'
$$;

-- The columns that an operation writes. `undone`: the trail's row of the change to undo; NULL when it undoes none.
CREATE OR REPLACE FUNCTION wf.carried_columns(ordered wf.runs, old jsonb, undone wf.audit) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT CASE ordered.operation
    WHEN 'tenants.suspend' THEN
      jsonb_build_object('status', 'suspended', 'suspended_at', now(), 'suspension_reason', ordered.reason)
    WHEN 'tenants.resume' THEN '{"status": "active", "suspended_at": null, "suspension_reason": null}'
    WHEN 'tenants.rename' THEN jsonb_build_object('name', coalesce(undone.before, ordered.fields) -> 'name')
    WHEN 'tenants.edit' THEN CASE WHEN undone.seq IS NULL
      THEN wf.carried_edit(ordered.fields, old, coalesce((ordered.fields ->> 'replace_metadata')::boolean, false))
      ELSE wf.carried_edit((SELECT jsonb_object_agg(b.key, b.value) FROM jsonb_each(undone.before) b
                            WHERE b.value IS DISTINCT FROM undone.after -> b.key), old, true) END
    WHEN 'tenants.delete' THEN jsonb_build_object(
      'status', 'pending_deletion', 'deleted_at', now(), 'deleted_from', old -> 'status',
      'purge_after', now() + interval '24 hours' * CASE WHEN undone.seq IS NULL
        THEN coalesce((ordered.fields ->> 'retention_days')::integer, 30)
        ELSE greatest(1, ceil(extract(epoch FROM (undone.before ->> 'purge_after')::timestamptz - undone.at) / 86400)) END)
    WHEN 'tenants.restore' THEN jsonb_build_object(
      'status', old -> 'deleted_from', 'deleted_at', NULL, 'deleted_from', NULL, 'purge_after', NULL)
    WHEN 'tenants.protect' THEN '{"protected": true}'
    WHEN 'tenants.unprotect' THEN '{"protected": false}'
    WHEN 'projects.rename' THEN jsonb_build_object('name', coalesce(undone.before, ordered.fields) -> 'name')
    WHEN 'projects.archive' THEN jsonb_build_object('status', 'archived', 'archived_at', now())
    WHEN 'projects.restore' THEN '{"status": "active", "archived_at": null}'
    WHEN 'keys.disable' THEN jsonb_build_object('disabled_at', now())
    WHEN 'keys.enable' THEN '{"disabled_at": null}'
    WHEN 'keys.revoke' THEN jsonb_build_object('revoked_at', now(), 'revoked_reason', ordered.reason) END
$$;

-- Carry out one item in the name of the person who started the run. Its change settles it, like any other
-- (wf.settle_item, wf.check_item).
CREATE OR REPLACE FUNCTION wf.carry_item(run bigint, place integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  ordered wf.runs := (SELECT r FROM wf.runs r WHERE r.id = carry_item.run);
  item    wf.run_items := (SELECT i FROM wf.run_items i WHERE i.run_id = carry_item.run AND i.ordinal = place);
  control text := (SELECT c.control FROM wf.carried_operations c WHERE c.operation = ordered.operation);
  here    text := CASE WHEN control = 'wf.projects' THEN 't.tenant_id = split_part($1, ''/'', 1) AND t.id = split_part($1, ''/'', 2)'
                       ELSE 't.id = $1' END;
  undone  wf.audit;
  old     jsonb;
  columns jsonb;
  change  bigint;
  refused text;
BEGIN
  IF control IS NULL OR item.thing IS NULL THEN
    refused := 'run_not_carried';
  ELSIF item.state <> 'waiting' THEN
    refused := 'run_item_settled';
  ELSIF NOT wf.login_may(ordered.actor, (SELECT o.role FROM wf.operations o WHERE o.name = ordered.operation)) THEN
    refused := 'run_actor';
  ELSE
    INSERT INTO wf.changes (operation, reason, request_id, carried_for)
    VALUES (ordered.operation, ordered.reason, format('run-%s-%s', run, place), ordered.actor)
    ON CONFLICT (request_id) DO NOTHING RETURNING id INTO change;
    refused := CASE WHEN change IS NULL THEN 'run_item_settled' END;
  END IF;
  IF refused IS NULL THEN
    PERFORM set_config('wf.change', change::text, true);
    EXECUTE format('SELECT to_jsonb(t) FROM %s t WHERE %s FOR NO KEY UPDATE', control, here) INTO old USING item.thing;
    SELECT a.* INTO undone FROM wf.changes c JOIN wf.audit a ON a.change_id = c.id
    WHERE c.request_id = item.undoes AND a.thing = item.thing AND NOT a.out_of_band;
    refused := CASE WHEN old IS NULL THEN 'run_thing_gone'
                    WHEN item.undoes IS NOT NULL AND undone.seq IS NULL THEN 'no_undo'
                    WHEN wf.carried_refusal(ordered.operation, old) IS NOT NULL THEN wf.carried_refusal(ordered.operation, old)
                    WHEN coalesce(item.version, (undone.after ->> 'version')::integer) <> (old ->> 'version')::integer
                      THEN 'stale_version' END;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'item % of run % is refused: %', place, run, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  columns := wf.carried_columns(ordered, old, undone);
  EXECUTE (SELECT format('UPDATE %s AS t SET (%s) = (SELECT %2$s FROM jsonb_populate_record(t, $2)) WHERE %s',
                         control, string_agg(format('%I', name), ', '), here) FROM jsonb_object_keys(columns) AS name)
    USING item.thing, columns;
  PERFORM set_config('wf.change', '', true);  -- the session's other statements are not part of the change
END
$$;

-- The worker ends its turn: all items have a verdict, or the breaker paused the run for a person to look at.
CREATE OR REPLACE FUNCTION wf.end_carrying(run bigint, becomes text, why text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT (wf.drives(run) AND wf.may_drive(run)) THEN
    RAISE EXCEPTION 'run % is not driven by %', run, session_user
      USING ERRCODE = 'check_violation', CONSTRAINT = 'run_not_held';
  ELSIF (becomes IN ('done', 'paused')) IS NOT TRUE THEN
    RAISE EXCEPTION 'a worker does not make a run %', left(becomes, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'run_transition';
  END IF;
  PERFORM wf.open_change(CASE becomes WHEN 'done' THEN 'runs.complete' ELSE 'runs.pause' END, why,
                         (SELECT format('run-%s-%s-%s', run, becomes, p.done + p.refused) FROM wf.run_progress p
                          WHERE p.run_id = run), '');
  UPDATE wf.runs SET state = becomes, why = end_carrying.why WHERE id = run;
  PERFORM set_config('wf.change', '', true);
END
$$;
GRANT EXECUTE ON FUNCTION wf.carry_item, wf.end_carrying TO wf_worker;
