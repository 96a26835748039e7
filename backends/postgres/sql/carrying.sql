-- A worker carries other people's runs, so that they outlive the console that started them. The worker's login gets no
-- rights to what a run changes. It names an item of a run that it drives; the home carries out the run's operation on
-- that item, once, if the person who started the run may still do it. What is written follows from the run and the row
-- alone, so the worker has nothing to choose.

-- The operations that runs do, and the table of the things that they change: all that can be done in bulk
-- (controlplane.runs.operations.in_bulk). Tests compare what both write.
CREATE VIEW wf.carried_operations AS SELECT * FROM (VALUES
  ('tenants.suspend', 'wf.tenants'), ('tenants.resume', 'wf.tenants'), ('tenants.rename', 'wf.tenants'),
  ('tenants.edit', 'wf.tenants'), ('tenants.delete', 'wf.tenants'), ('tenants.restore', 'wf.tenants'),
  ('tenants.protect', 'wf.tenants'), ('tenants.unprotect', 'wf.tenants'), ('tenants.purge', 'wf.tenants'),
  ('projects.rename', 'wf.projects'), ('projects.archive', 'wf.projects'), ('projects.restore', 'wf.projects'),
  ('keys.disable', 'wf.api_keys'), ('keys.enable', 'wf.api_keys'), ('keys.revoke', 'wf.api_keys'),
  ('keys.edit', 'wf.api_keys'), ('keys.grace', 'wf.api_keys'), ('keys.rotate', 'wf.api_keys'), ('keys.leak', 'wf.api_keys'),
  ('alerts.ack', 'wf.alerts'), ('alerts.unack', 'wf.alerts'), ('alerts.hand-over', 'wf.alerts'),
  ('alerts.escalate', 'wf.alerts'), ('alerts.resolve', 'wf.alerts'),
  ('silences.end', 'wf.silences'), ('deliveries.replay', 'wf.deliveries'),
  ('queues.replay', 'wf.dead_letters'), ('queues.discard', 'wf.dead_letters'), ('queues.quarantine', 'wf.dead_letters'),
  ('queues.release', 'wf.dead_letters'), ('queues.hold', 'wf.dead_letters'), ('queues.unhold', 'wf.dead_letters'),
  ('messages.replay', 'wf.source_acts'), ('messages.discard', 'wf.source_acts')
) AS o(operation, control);

-- Whether the login may drive a run. A worker may drive a running one.
CREATE OR REPLACE FUNCTION wf.may_drive(run bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT wf.may('operator') OR EXISTS (SELECT FROM wf.runs r WHERE r.id = may_drive.run AND r.state = 'running')
$$;

-- Whether a login has a role's rights in this home now: as wf.may, for another login.
CREATE OR REPLACE FUNCTION wf.login_may(login text, role text) RETURNS boolean LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = login AND r.rolcanlogin
                 AND pg_has_role(r.oid, 'wf_' || role, 'MEMBER') AND has_schema_privilege(r.oid, 'wf', 'USAGE'))
    AND NOT wf.raise_over(login, role)
$$;

-- Why a row as it is refuses an operation; NULL: it does not. The same checks as in controlplane/*/rules.py.
CREATE OR REPLACE FUNCTION wf.carried_refusal(operation text, old jsonb) RETURNS text LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT CASE
    WHEN operation LIKE 'tenants.%' AND old ->> 'status' = 'erased' THEN 'tenant_erased'
    WHEN operation IN ('tenants.suspend', 'tenants.resume', 'tenants.rename', 'tenants.edit')
      AND old ->> 'status' = 'pending_deletion' THEN 'tenant_pending_deletion'
    WHEN operation = 'tenants.suspend' AND old ->> 'status' = 'suspended' THEN 'already_suspended'
    WHEN operation = 'tenants.resume' AND old ->> 'status' <> 'suspended' THEN 'not_suspended'
    WHEN operation = 'tenants.delete' AND old ->> 'status' = 'pending_deletion' THEN 'already_pending_deletion'
    WHEN operation IN ('tenants.restore', 'tenants.purge') AND old ->> 'status' <> 'pending_deletion' THEN 'not_deleted'
    WHEN operation IN ('tenants.suspend', 'tenants.delete', 'tenants.purge') AND (old ->> 'protected')::boolean
      THEN 'tenant_protected'
    WHEN operation = 'tenants.purge' AND (old ->> 'purge_after')::timestamptz > now() THEN 'purge_not_due'
    WHEN operation = 'tenants.protect' AND (old ->> 'protected')::boolean THEN 'already_protected'
    WHEN operation = 'tenants.unprotect' AND NOT (old ->> 'protected')::boolean THEN 'not_protected'
    WHEN operation = 'projects.archive' AND old ->> 'status' = 'archived' THEN 'already_archived'
    WHEN operation = 'projects.restore' AND old ->> 'status' <> 'archived' THEN 'not_archived'
    WHEN operation LIKE 'alerts.%' AND old ->> 'state' = 'resolved' THEN 'alert_resolved'
    WHEN operation IN ('alerts.unack', 'alerts.hand-over') AND old ->> 'state' <> 'acked' THEN 'alert_not_acked'
    WHEN operation = 'alerts.escalate' THEN
      nullif(wf.escalation_refusal((old ->> 'id')::bigint, clock_timestamp()), 'alert_just_escalated')
    WHEN operation = 'silences.end'
      AND least((old ->> 'ends_at')::timestamptz, (old ->> 'ended_at')::timestamptz) <= now() THEN 'silence_over'
    WHEN operation = 'deliveries.replay' AND (old ->> 'test')::boolean THEN 'delivery_test'
    WHEN operation = 'deliveries.replay' AND old ->> 'state' IN ('waiting', 'sending') THEN 'delivery_under_way'
    WHEN operation LIKE 'keys.%' THEN wf.carried_key_refusal(operation, jsonb_populate_record(NULL::wf.api_keys, old)) END
$$;

CREATE OR REPLACE FUNCTION wf.carried_key_refusal(operation text, key wf.api_keys) RETURNS text LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT CASE
    WHEN operation = 'keys.rotate' AND s.state = 'rotating' THEN 'key_rotated_once'
    WHEN operation = 'keys.rotate' AND s.state <> 'active' THEN 'key_not_alive'
    WHEN operation = 'keys.leak' AND s.state NOT IN ('active', 'rotating') THEN 'key_not_alive'
    WHEN operation = 'keys.grace' AND s.state <> 'rotating' THEN 'key_not_rotating'
    WHEN key.revoked_at IS NOT NULL THEN 'key_revoked'
    WHEN operation = 'keys.disable' AND key.disabled_at IS NOT NULL THEN 'already_disabled'
    WHEN operation = 'keys.enable' AND key.disabled_at IS NULL THEN 'not_disabled' END
  FROM (SELECT wf.key_state(key.revoked_at, key.disabled_at, key.expires_at, key.grace_until, now()) AS state) s
$$;

-- What an edit of a tenant writes: the given fields. Metadata is merged (null removes a field), or replaced with `whole`.
CREATE OR REPLACE FUNCTION wf.carried_edit(given jsonb, old jsonb, whole boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$
  SELECT jsonb_object_agg(g.key, CASE WHEN g.key <> 'metadata' OR whole THEN g.value ELSE (
    SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}') FROM jsonb_each((old -> 'metadata') || g.value) m
    WHERE m.value <> 'null') END)
  FROM jsonb_each(given) g WHERE g.key IN ('plan', 'region', 'allowed_regions', 'metadata') AND g.value <> 'null'
$$;

-- What an edit of a key writes. A cap may name its currency: then all its decimals are given.
CREATE OR REPLACE FUNCTION wf.carried_key_edit(given jsonb) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT jsonb_object_agg(CASE g.key WHEN 'expires' THEN 'expires_at' ELSE g.key END, CASE
    WHEN g.key = 'expires' THEN to_jsonb(wf.instant_of(g.value #>> '{}'))
    WHEN g.value = '"none"' AND g.key = 'spend_cap' THEN 'null'
    WHEN g.key = 'spend_cap' THEN to_jsonb(regexp_replace(g.value #>> '{}', '[^0-9]', '', 'g')::bigint)
    ELSE g.value END)
  FROM jsonb_each(given) g WHERE g.key IN ('label', 'scopes', 'addresses', 'expires', 'spend_cap') AND g.value <> 'null'
$$;

-- The time that "90d", "0" or "2027-01-01T00:00:00Z" means from now; NULL for "never". The same as
-- controlplane.keys.requests.instant.
CREATE OR REPLACE FUNCTION wf.instant_of(body text) RETURNS timestamptz LANGUAGE sql STABLE STRICT
SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN body = 'never' THEN NULL WHEN body ~ '^\d{4}-' THEN body::timestamptz
    ELSE now() + make_interval(secs => coalesce((
      SELECT sum(p[1]::numeric * CASE p[2] WHEN 'ms' THEN 0.001 WHEN 's' THEN 1 WHEN 'm' THEN 60 WHEN 'h' THEN 3600
                                           WHEN 'd' THEN 86400 WHEN 'w' THEN 604800 WHEN 'y' THEN 31536000 END)
      FROM regexp_matches(body, '([0-9.]{1,28})(ms|[smhdwy])', 'g') p), 0)::float8) END
$$;

-- What a row of the trail changed, as it was; NULL: nothing. As controlplane.audit.model.differences.
CREATE OR REPLACE FUNCTION wf.values_before(done wf.audit) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = wf, pg_temp AS $$
  SELECT jsonb_object_agg(b.key, b.value) FROM jsonb_each(done.before) b
  WHERE b.value IS DISTINCT FROM done.after -> b.key AND b.key NOT IN ('version', 'updated_at', 'created_at')
$$;

-- The columns that an operation writes. The run's fields hold the operation's defaults as well. `undone`: the trail's row
-- of the change to undo; NULL when it undoes none.
CREATE OR REPLACE FUNCTION wf.carried_columns(ordered wf.runs, old jsonb, undone wf.audit) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  SELECT CASE ordered.operation
    WHEN 'tenants.suspend' THEN
      jsonb_build_object('status', 'suspended', 'suspended_at', now(), 'suspension_reason', ordered.reason)
    WHEN 'tenants.resume' THEN '{"status": "active", "suspended_at": null, "suspension_reason": null}'
    WHEN 'tenants.rename' THEN jsonb_build_object('name', coalesce(undone.before, ordered.fields) -> 'name')
    WHEN 'tenants.edit' THEN CASE WHEN undone.seq IS NULL
      THEN wf.carried_edit(ordered.fields, old, (ordered.fields ->> 'replace_metadata')::boolean)
      ELSE wf.carried_edit(u.was, old, true) END
    WHEN 'tenants.delete' THEN jsonb_build_object(
      'status', 'pending_deletion', 'deleted_at', now(), 'deleted_from', old -> 'status',
      'purge_after', now() + interval '24 hours' * CASE WHEN undone.seq IS NULL
        THEN (ordered.fields ->> 'retention_days')::integer
        ELSE greatest(1, ceil(extract(epoch FROM (undone.before ->> 'purge_after')::timestamptz - undone.at) / 86400)) END)
    WHEN 'tenants.restore' THEN jsonb_build_object(
      'status', old -> 'deleted_from', 'deleted_at', NULL, 'deleted_from', NULL, 'purge_after', NULL)
    WHEN 'tenants.protect' THEN '{"protected": true}'
    WHEN 'tenants.unprotect' THEN '{"protected": false}'
    WHEN 'tenants.purge' THEN '{}'  -- wf.purge_tenant writes them
    WHEN 'silences.end' THEN jsonb_build_object('ended_at', now())
    WHEN 'projects.rename' THEN jsonb_build_object('name', coalesce(undone.before, ordered.fields) -> 'name')
    WHEN 'projects.archive' THEN jsonb_build_object('status', 'archived', 'archived_at', now())
    WHEN 'projects.restore' THEN '{"status": "active", "archived_at": null}'
    WHEN 'keys.disable' THEN jsonb_build_object('disabled_at', now())
    WHEN 'keys.enable' THEN '{"disabled_at": null}'
    WHEN 'keys.revoke' THEN jsonb_build_object('revoked_at', now(), 'revoked_reason', ordered.reason)
    WHEN 'keys.edit' THEN CASE WHEN undone.seq IS NULL THEN wf.carried_key_edit(ordered.fields) ELSE (
      SELECT jsonb_object_agg(w.key, w.value) FROM jsonb_each(u.was) w
      WHERE w.key IN ('label', 'scopes', 'addresses', 'expires_at', 'spend_cap')) END
    WHEN 'keys.grace' THEN jsonb_build_object('grace_until', u.grace_end)
    WHEN 'keys.rotate' THEN jsonb_build_object('rotated_at', now(), 'grace_until', u.grace_end)
    -- Its grace ends too, so that enabling the key by mistake does not bring it back.
    WHEN 'keys.leak' THEN jsonb_build_object('disabled_at', now(), 'grace_until', now())
      || CASE WHEN old ->> 'rotated_at' IS NULL THEN jsonb_build_object('rotated_at', now()) ELSE '{}' END
    ELSE CASE WHEN ordered.operation ~ '^(alerts|deliveries)[.]' THEN '{}'::jsonb END END  -- wf.carry_call does it
  FROM (SELECT
    wf.values_before(undone) AS was,
    -- Never before now, and never after the key itself expires.
    least(CASE WHEN g.until < now() THEN now() ELSE g.until END, (old ->> 'expires_at')::timestamptz) AS grace_end
    FROM (SELECT coalesce((undone.before ->> 'grace_until')::timestamptz, wf.instant_of(ordered.fields ->> 'grace')) AS until) g) u
$$;

-- The successor of a key, with its rights, and the whole lifetime that it was made with. `made`: what its secret is
-- known by.
CREATE OR REPLACE FUNCTION wf.make_successor(made wf.run_keys, replaced text, person text) RETURNS void LANGUAGE sql
SET search_path = wf, pg_temp AS $$
  INSERT INTO wf.api_keys (id, display, hash, tenant_id, project_id, env, label, owner_email, scopes, addresses, spend_cap,
                           rotated_from, expires_at, created_by)
  SELECT made.id, made.display, made.hash, k.tenant_id, k.project_id, k.env, k.label, k.owner_email, k.scopes, k.addresses,
         k.spend_cap, k.id, now() + (k.expires_at - k.created_at), person
  FROM wf.api_keys k WHERE k.id = replaced
$$;

-- What is done to alerts and deliveries: by the functions that people call.
CREATE OR REPLACE FUNCTION wf.carry_call(ordered wf.runs, thing bigint, undone wf.audit) RETURNS void LANGUAGE plpgsql
SET search_path = wf, pg_temp AS $$
BEGIN
  CASE ordered.operation
    WHEN 'alerts.ack' THEN
      PERFORM wf.ack_alert(thing, coalesce((undone.before ->> 'ack_until')::timestamptz, wf.instant_of(ordered.fields ->> 'until')),
                           coalesce(undone.before, ordered.fields) ->> CASE WHEN undone.seq IS NULL THEN 'comment' ELSE 'ack_comment' END);
    WHEN 'alerts.unack' THEN PERFORM wf.unack_alert(thing);
    WHEN 'alerts.hand-over' THEN
      PERFORM wf.hand_over_alert(thing, coalesce(undone.before ->> 'holder', ordered.fields ->> 'to'));
    WHEN 'alerts.escalate' THEN PERFORM wf.escalate_alert(thing);
    WHEN 'alerts.resolve' THEN PERFORM wf.resolve_alert(thing, ordered.reason);
    WHEN 'deliveries.replay' THEN PERFORM wf.replay_delivery(thing);
  END CASE;
END
$$;

-- Carry out one item: with a worker's login in the name of the person who started the run, else in the login's own. Its
-- change settles it, like any other (wf.settle_item, wf.check_item).
CREATE OR REPLACE FUNCTION wf.carry_item(run bigint, place integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  ordered wf.runs := (SELECT r FROM wf.runs r WHERE r.id = carry_item.run);
  item    wf.run_items := (SELECT i FROM wf.run_items i WHERE i.run_id = carry_item.run AND i.ordinal = place);
  control text := (SELECT c.control FROM wf.carried_operations c WHERE c.operation = ordered.operation);
  here    text := CASE WHEN control = 'wf.projects' THEN 't.tenant_id = split_part($1, ''/'', 1) AND t.id = split_part($1, ''/'', 2)'
                       WHEN control IN ('wf.alerts', 'wf.silences', 'wf.deliveries')
                         THEN 't.id = CASE WHEN $1 ~ ''^[0-9]{1,18}$'' THEN $1::bigint END'
                       ELSE 't.id = $1' END;
  lent    text := CASE WHEN NOT wf.may('operator') THEN ordered.actor END;
  person  text := coalesce(lent, session_user);
  undone  wf.audit;
  old     jsonb;
  columns jsonb;
  change  bigint;
  made    wf.run_keys;
  refused text;
BEGIN
  IF control IS NULL OR control = 'wf.source_acts' OR item.thing IS NULL THEN
    refused := 'run_not_carried';
  ELSIF item.state <> 'waiting' THEN
    refused := 'run_item_settled';
  ELSIF NOT wf.login_may(person, (SELECT o.role FROM wf.operations o WHERE o.name = ordered.operation)) THEN
    refused := 'run_actor';
  ELSE
    INSERT INTO wf.changes (operation, reason, request_id, carried_for)
    VALUES (ordered.operation, ordered.reason, format('run-%s-%s', run, place), lent)
    ON CONFLICT (request_id) DO NOTHING RETURNING id INTO change;
    refused := CASE WHEN change IS NULL THEN 'run_item_settled' END;
  END IF;
  IF refused IS NULL AND control = 'wf.dead_letters' THEN  -- a function does it, for people as well
    PERFORM set_config('wf.change', change::text, true);
    SELECT a.* INTO undone FROM wf.changes c JOIN wf.audit a ON a.change_id = c.id
    WHERE c.request_id = item.undoes AND a.noun = 'queues' AND a.thing = item.thing AND NOT a.out_of_band;
    PERFORM wf.change_letter(split_part(ordered.operation, '.', 2), item.thing::bigint, ordered.fields,
                             coalesce(item.version, (undone.after ->> 'version')::integer));
    PERFORM set_config('wf.change', '', true);
    RETURN;
  ELSIF refused IS NULL THEN
    PERFORM set_config('wf.change', change::text, true);
    EXECUTE format('SELECT to_jsonb(t) FROM %s t WHERE %s FOR NO KEY UPDATE', control, here) INTO old USING item.thing;
    SELECT a.* INTO undone FROM wf.changes c JOIN wf.audit a ON a.change_id = c.id
    WHERE c.request_id = item.undoes AND a.thing = item.thing AND NOT a.out_of_band;
    DELETE FROM wf.run_keys k WHERE k.run_id = run AND k.ordinal = place RETURNING * INTO made;
    columns := wf.carried_columns(ordered, old, undone);
    refused := CASE WHEN old IS NULL THEN 'run_thing_gone'
                    WHEN item.undoes IS NOT NULL AND wf.values_before(undone) IS NULL THEN 'no_undo'
                    WHEN wf.carried_refusal(ordered.operation, old) IS NOT NULL THEN wf.carried_refusal(ordered.operation, old)
                    WHEN coalesce(item.version, (undone.after ->> 'version')::integer) <> (old ->> 'version')::integer
                      THEN 'stale_version'
                    WHEN nullif(split_part(ordered.fields ->> 'spend_cap', ' ', 2), '')
                      <> coalesce(wf.currency_of(old ->> 'tenant_id'), '') THEN 'currency_other'
                    WHEN columns IS NULL THEN 'run_item_not_done'
                    WHEN columns ? 'rotated_at' AND made.id IS NULL THEN 'run_key_missing' END;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'item % of run % is refused: %', place, run, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF ordered.operation = 'tenants.purge' THEN
    PERFORM wf.purge_tenant(item.thing);
  ELSIF control IN ('wf.alerts', 'wf.deliveries') THEN
    PERFORM wf.carry_call(ordered, item.thing::bigint, undone);
  ELSE
    EXECUTE (SELECT format('UPDATE %s AS t SET (%s) = (SELECT %2$s FROM jsonb_populate_record(t, $2)) WHERE %s',
                           control, string_agg(format('%I', name), ', '), here) FROM jsonb_object_keys(columns) AS name)
      USING item.thing, columns;
  END IF;
  IF columns ? 'rotated_at' THEN
    PERFORM wf.make_successor(made, item.thing, person);
  END IF;
  IF ordered.operation = 'keys.leak' THEN
    INSERT INTO wf.key_leaks (tenant_id, key_id, successor_id, reason, calls, actor)
    SELECT k.tenant_id, k.id, (SELECT s.id FROM wf.api_keys s WHERE s.rotated_from = k.id), ordered.reason,
           wf.leak_calls(k.id), person
    FROM wf.api_keys k WHERE k.id = item.thing;
  END IF;
  PERFORM set_config('wf.change', '', true);  -- the session's other statements are not part of the change
END
$$;
GRANT EXECUTE ON FUNCTION wf.carry_item TO wf_operator;

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
