-- Approvals: some operations take a second person. Whoever asks stores what the operation would change; others approve just
-- that; the run is committed only if it changes just that. Which operations those are is data (wf.approval_rules).
INSERT INTO wf.operations (name, role) VALUES
  ('approvals.ask', 'support'), ('approvals.approve', 'support'), ('approvals.refuse', 'support'),
  ('approvals.extend', 'support'), ('approvals.withdraw', 'support'), ('approvals.rule', 'admin');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('approvals.ask', 'wf.approvals', 'insert', NULL, NULL, '{"state": "waiting"}', false),
  ('approvals.approve', 'wf.approval_votes', 'insert', NULL, NULL, '{"vote": "approve"}', false),
  ('approvals.approve', 'wf.approvals', 'update', '{state,decided_at}', '{"state": "waiting"}', '{"state": "approved"}', false),
  ('approvals.refuse', 'wf.approval_votes', 'insert', NULL, NULL, '{"vote": "refuse"}', false),
  ('approvals.refuse', 'wf.approvals', 'update', '{state,decided_at}', NULL, '{"state": "refused"}', false),
  ('approvals.extend', 'wf.approvals', 'update', '{expires_at}', NULL, NULL, false),
  ('approvals.withdraw', 'wf.approvals', 'update', '{state,decided_at}', NULL, '{"state": "withdrawn"}', false),
  ('approvals.rule', 'wf.approval_rules', 'insert', NULL, NULL, NULL, false),
  ('approvals.rule', 'wf.approval_rules', 'update', '{roles,above,minutes,active}', NULL, NULL, false),
  -- What is made under an approval marks it as done.
  ('approvals.rule', 'wf.approvals', 'update', '{state,done_at,change_id}', '{"state": "approved"}', '{"state": "done"}', false),
  ('tenants.purge', 'wf.approvals', 'update', '{state,done_at,change_id}', '{"state": "approved"}', '{"state": "done"}', false),
  ('runs.release', 'wf.approvals', 'update', '{state,done_at,change_id}', '{"state": "approved"}', '{"state": "done"}', false),
  ('operators.raise', 'wf.approvals', 'update', '{state,done_at,change_id}', '{"state": "approved"}', '{"state": "done"}', false);

-- Whether each of the roles that a rule names is taken by another person, who has that role or a higher one. `held`: the
-- roles of those people.
CREATE OR REPLACE FUNCTION wf.seats_filled(roles text[], held text[]) RETURNS boolean LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$
  SELECT NOT EXISTS (
    SELECT FROM (SELECT rank, row_number() OVER (ORDER BY rank DESC) AS place
                 FROM (SELECT wf.role_rank(r) AS rank FROM unnest(roles) r) s) seat
    LEFT JOIN (SELECT rank, row_number() OVER (ORDER BY rank DESC) AS place
               FROM (SELECT wf.role_rank(h) AS rank FROM unnest(held) h) p) person USING (place)
    WHERE (person.rank >= seat.rank) IS NOT TRUE)
$$;

-- The rule that holds for an operation that a person wants to do to a thing; NULL: none. A rule holds only where others
-- could approve: a home of one person is not locked. To raise a role always takes somebody else.
CREATE OR REPLACE FUNCTION wf.rule_of(operation text, thing text, person text) RETURNS wf.approval_rules LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT r FROM wf.approval_rules r
  WHERE r.operation = CASE rule_of.operation
      WHEN 'runs.release' THEN wf.release_rule(CASE WHEN thing ~ '^[0-9]{1,18}$' THEN thing::bigint END)
      WHEN 'queues.edit' THEN NULL ELSE rule_of.operation END
    AND r.active AND (r.operation = 'operators.raise' OR wf.seats_filled(r.roles, (
      SELECT coalesce(array_agg(o.role), '{}') FROM wf.operators o
      WHERE o.active AND o.name <> person AND o.role IN ('support', 'operator', 'admin'))))
$$;

-- By which rule a run of many things is held: that of its operation, of edited messages, or of bulk. NULL: by none.
CREATE OR REPLACE FUNCTION wf.release_rule(run bigint) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT CASE
    WHEN EXISTS (SELECT FROM wf.approval_rules a WHERE a.operation = r.operation AND a.active) THEN r.operation
    WHEN r.operation = 'queues.replay' AND (
        SELECT count(*) FROM wf.run_items i JOIN wf.dead_letters l
          ON l.id = CASE WHEN i.thing ~ '^[0-9]{1,18}$' THEN i.thing::bigint END AND l.edited IS NOT NULL
        WHERE i.run_id = r.id) > (SELECT a.above FROM wf.approval_rules a WHERE a.operation = 'queues.edit' AND a.active)
      THEN 'queues.edit'
    WHEN p.waiting + p.done + p.refused + p.skipped
        > (SELECT a.above FROM wf.approval_rules a WHERE a.operation = 'runs.release' AND a.active) THEN 'runs.release' END
  FROM wf.runs r JOIN wf.run_progress p ON p.run_id = r.id WHERE r.id = run
$$;

-- What a change has written so far, in the form in which it is approved: for each thing what was seen and what becomes of
-- it; of a time only that it is set, of a new thing not its number. At most 100 things are listed; the others are in a hash.
-- NULL: the open change.
CREATE OR REPLACE FUNCTION wf.change_facts(change bigint DEFAULT NULL) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('support');
  WITH written AS (
    SELECT a.noun, CASE WHEN n.number IS NULL THEN a.thing ELSE (
             SELECT string_agg(CASE WHEN p = n.number THEN '(new)' ELSE p END, '/' ORDER BY i)
             FROM unnest(string_to_array(a.thing, '/')) WITH ORDINALITY u(p, i)) END AS thing,
           a.before, CASE WHEN n.number IS NULL THEN a.after ELSE a.after - 'id' END AS after, a.out_of_band
    FROM wf.audit a
      CROSS JOIN LATERAL (SELECT CASE WHEN a.before IS NULL AND jsonb_typeof(a.after -> 'id') = 'number'
                                      THEN a.after ->> 'id' END AS number) n
    WHERE a.change_id = coalesce(change, (SELECT (wf.current_change()).id)) AND a.noun <> 'approvals'
  ), facts AS (
    SELECT jsonb_strip_nulls(jsonb_build_object(
      'noun', noun, 'thing', thing, 'verb', CASE WHEN before IS NULL THEN 'new' WHEN after IS NULL THEN 'gone' ELSE 'changed' END,
      'seen', CASE WHEN before ? 'version' THEN before -> 'version' WHEN before IS NOT NULL
        THEN to_jsonb(left(encode(sha256(convert_to(wf.timeless(before)::text, 'UTF8')), 'hex'), 16)) END,
      'out_of_band', CASE WHEN out_of_band THEN true END,
      'run', CASE WHEN noun = 'runs' AND after IS NOT NULL AND thing ~ '^[0-9]+$' THEN wf.run_facts(thing::bigint) END,
      'before', CASE WHEN after IS NOT NULL AND before IS NOT NULL THEN wf.timeless(wf.differing(before, after)) END))
      -- what becomes NULL is told too
      || jsonb_build_object('after', CASE WHEN after IS NOT NULL THEN wf.timeless(wf.differing(after, before)) END) AS fact
    FROM written
  ), numbered AS (
    SELECT fact, row_number() OVER (ORDER BY fact ->> 'noun', fact ->> 'thing', fact::text) AS place FROM facts
  )
  SELECT coalesce(jsonb_agg(n.fact ORDER BY n.place) FILTER (WHERE n.place <= 100), '[]')
    || CASE WHEN count(*) > 100 THEN jsonb_build_object(
         'more', count(*) - 100, 'sha256', encode(sha256(convert_to(
           string_agg(n.fact::text, E'\n' ORDER BY n.place) FILTER (WHERE n.place > 100), 'UTF8')), 'hex'))
       ELSE '[]' END
  FROM numbered n
$$;

-- The fields of a row that another has not, or with another value.
CREATE OR REPLACE FUNCTION wf.differing(value jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$
  SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(value) e
  WHERE e.value IS DISTINCT FROM other -> e.key AND (other IS NOT NULL OR e.value <> 'null')
$$;

-- Without what always differs between a preview and its run, and without times; a long value is its hash.
CREATE OR REPLACE FUNCTION wf.timeless(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = wf, pg_temp AS $$
  SELECT coalesce(jsonb_object_agg(e.key, CASE
    WHEN jsonb_typeof(e.value) = 'string' AND e.value #>> '{}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d' THEN '"an instant"'
    WHEN octet_length(e.value::text) > 400
      THEN jsonb_build_object('sha256', encode(sha256(convert_to(e.value::text, 'UTF8')), 'hex'))
    ELSE e.value END), '{}')
  FROM jsonb_each(value) e
  WHERE e.key <> ALL ('{version,updated_at,created_at,changed_at,request_id,sha256,counts,approval_id}')
$$;

-- What a run does, and to what.
CREATE OR REPLACE FUNCTION wf.run_facts(run bigint) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT jsonb_build_object('operation', r.operation, 'fields', r.fields, 'filter', r.filter, 'per_second', r.per_second,
    'things', (SELECT count(*) FROM wf.run_items i WHERE i.run_id = r.id),
    'first', (SELECT jsonb_agg(i.thing ORDER BY i.ordinal) FROM wf.run_items i WHERE i.run_id = r.id AND i.ordinal <= 20),
    'sha256', (SELECT encode(sha256(convert_to(
        string_agg(concat_ws(' ', i.thing, i.version, i.undoes), E'\n' ORDER BY i.ordinal), 'UTF8')), 'hex')
      FROM wf.run_items i WHERE i.run_id = r.id))
  FROM wf.runs r WHERE r.id = run
$$;

-- Whether any of the things of a request was changed since it was asked.
CREATE OR REPLACE FUNCTION wf.changed_since(a wf.approvals) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM jsonb_array_elements(a.facts) f JOIN wf.audit t
      ON t.noun = f ->> 'noun' AND t.thing = f ->> 'thing' AND t.seq > a.trail_at)
$$;

-- Every function of what takes a second person calls this. The change is refused at its commit unless it is made under an
-- approval: not now, or it could not be previewed.
CREATE OR REPLACE FUNCTION wf.require_approval(operation text, thing text) RETURNS void LANGUAGE plpgsql
SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
  rule   wf.approval_rules := wf.rule_of(operation, thing, wf.person());
BEGIN
  IF rule.operation IS NULL THEN
    RETURN;
  ELSIF change.id IS NULL OR change.operation <> require_approval.operation THEN
    RAISE EXCEPTION '% % takes an approval, and so a change of its own', operation, left(thing, 100)
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'approval_needed';
  END IF;
  UPDATE wf.changes c SET needs_approval = require_approval.operation WHERE c.id = change.id;
END
$$;

-- At the commit. Each row that the change writes later has this looked at again (wf.append_audit_of), also when the session
-- has its constraints checked early.
CREATE OR REPLACE FUNCTION wf.check_approval() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  change   wf.changes := (SELECT c FROM wf.changes c WHERE c.id = NEW.id);
  approval wf.approvals := (SELECT a FROM wf.approvals a WHERE a.id = change.approval_id AND a.change_id = change.id);
  ordered  wf.runs;
  item     wf.run_items;
  refused  text;
BEGIN
  IF change.request_id ~ '^run-[0-9]{1,18}-[0-9]{1,9}$' THEN  -- an item of a run: the run was approved, with this item
    SELECT r.* INTO ordered FROM wf.runs r WHERE r.id = split_part(change.request_id, '-', 2)::bigint;
    SELECT i.* INTO item FROM wf.run_items i
    WHERE i.run_id = ordered.id AND i.ordinal = split_part(change.request_id, '-', 3)::integer;
    refused := CASE
      WHEN ordered.approval_id IS NULL OR ordered.operation <> change.operation THEN 'approval_needed'
      WHEN EXISTS (SELECT FROM wf.audit a WHERE a.change_id = change.id
                   AND (a.out_of_band OR a.thing <> item.thing AND a.tenant_id IS DISTINCT FROM item.thing)) THEN 'approval_void' END;
  ELSE
    refused := CASE
      WHEN approval.id IS NULL OR approval.operation <> change.operation THEN 'approval_needed'
      WHEN wf.change_facts(change.id) <> approval.facts THEN 'approval_void' END;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION '% is refused: %', change.operation, refused
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = refused;
  END IF;
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS check_approval ON wf.changes;  -- a constraint trigger cannot be replaced
CREATE CONSTRAINT TRIGGER check_approval AFTER UPDATE OF needs_approval ON wf.changes DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.needs_approval IS NOT NULL) EXECUTE FUNCTION wf.check_approval();

-- Ask for an approval of what the caller's preview showed. Whoever asks for something else than it then does gets nothing:
-- the run must be what stands here.
CREATE OR REPLACE FUNCTION wf.ask_approval(operation text, thing text, fields jsonb, fingerprint text, facts jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change  wf.changes := wf.current_change();
  rule    wf.approval_rules := wf.rule_of(operation, thing, session_user::text);
  refused text;
  made    bigint;
BEGIN
  IF change.operation IS DISTINCT FROM 'approvals.ask' THEN
    refused := 'approval_change';
  ELSIF rule.operation IS NULL THEN
    refused := 'approval_not_needed';
  ELSIF NOT coalesce((SELECT wf.may(o.role) FROM wf.operations o WHERE o.name = ask_approval.operation), false) THEN
    refused := 'approval_asker';
  ELSIF jsonb_typeof(facts) IS DISTINCT FROM 'array' OR jsonb_path_exists(facts, 'strict $.**{64 to last}') OR EXISTS (
      SELECT FROM jsonb_array_elements(facts) f
      WHERE (jsonb_typeof(f) = 'object' AND CASE WHEN f ? 'more'
               THEN f - '{more,sha256}'::text[] = '{}' AND jsonb_typeof(f -> 'more') = 'number' AND jsonb_typeof(f -> 'sha256') = 'string'
               ELSE jsonb_typeof(f -> 'noun') = 'string' AND jsonb_typeof(f -> 'thing') = 'string'
                    AND f ->> 'verb' IN ('new', 'gone', 'changed') END) IS NOT TRUE) THEN
    refused := 'approval_facts';
  ELSIF (SELECT count(*) FROM wf.approvals a WHERE a.state IN ('waiting', 'approved') AND a.expires_at > clock_timestamp()
         AND a.asked_by = session_user) >= 50 THEN
    refused := 'approval_many';
  ELSIF EXISTS (SELECT FROM wf.approvals a WHERE a.state IN ('waiting', 'approved') AND a.expires_at > clock_timestamp()
                AND a.asked_by = session_user AND a.fingerprint = ask_approval.fingerprint AND NOT wf.changed_since(a)) THEN
    refused := 'approval_asked';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'no approval of % is asked: %', left(operation, 100), refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  INSERT INTO wf.approvals (operation, thing, fields, fingerprint, reason, facts, sha256, trail_at, roles, expires_at)
  VALUES (ask_approval.operation, ask_approval.thing, wf.without_addresses(coalesce(ask_approval.fields, '{}')),
          ask_approval.fingerprint, coalesce(change.reason, ''), ask_approval.facts,
          encode(sha256(convert_to(ask_approval.facts::text, 'UTF8')), 'hex'),
          (SELECT c.value FROM wf.counters c WHERE c.name = 'audit'), rule.roles, now() + make_interval(mins => rule.minutes))
  RETURNING id INTO made;
  RETURN made;
END
$$;

-- Why a request that was read under a lock cannot be decided, extended or used any more; NULL: it can.
CREATE OR REPLACE FUNCTION wf.approval_closed(a wf.approvals) RETURNS text LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN a.id IS NULL THEN 'no_approval' WHEN a.state = 'done' THEN 'approval_used'
              WHEN a.state NOT IN ('waiting', 'approved') THEN 'approval_decided'
              WHEN a.expires_at <= clock_timestamp() THEN 'approval_expired' END
$$;

CREATE OR REPLACE FUNCTION wf.lock_approval(approval bigint) RETURNS wf.approvals LANGUAGE sql
SET search_path = wf, pg_temp AS $$ SELECT a FROM wf.approvals a WHERE a.id = approval FOR NO KEY UPDATE $$;

-- Approve or refuse what one has seen: `seen` is its hash. Nobody votes on what they asked for.
CREATE OR REPLACE FUNCTION wf.vote_approval(approval bigint, seen text, vote text) RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change  wf.changes := wf.current_change();
  asked   wf.approvals := wf.lock_approval(approval);
  becomes text;
  refused text := wf.approval_closed(asked);
BEGIN
  refused := CASE
    WHEN change.operation IS DISTINCT FROM 'approvals.' || vote THEN 'approval_change'
    WHEN refused IS NOT NULL THEN refused
    WHEN asked.asked_by = session_user THEN 'approval_own'
    WHEN asked.sha256 IS DISTINCT FROM seen THEN 'approval_seen'
    WHEN NOT coalesce((SELECT bool_or(wf.may(r)) FROM unnest(asked.roles) r), false) THEN 'approval_role'
    WHEN vote = 'approve' AND asked.state <> 'waiting' THEN 'approval_decided'
    WHEN vote = 'approve' AND wf.changed_since(asked) THEN 'approval_void' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the vote on request % is refused: %', approval, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  INSERT INTO wf.approval_votes (approval_id, role, vote, reason)
  VALUES (asked.id, wf.my_role(), vote_approval.vote, change.reason);
  becomes := CASE
    WHEN vote = 'refuse' THEN 'refused'
    WHEN wf.seats_filled(asked.roles, (SELECT array_agg(v.role) FROM wf.approval_votes v
                                       WHERE v.approval_id = asked.id AND v.vote = 'approve')) THEN 'approved'
    ELSE 'waiting' END;
  IF becomes <> asked.state THEN
    UPDATE wf.approvals a SET state = becomes, decided_at = clock_timestamp(), version = a.version + 1, updated_at = now()
    WHERE a.id = asked.id;
  END IF;
  RETURN becomes;
END
$$;

-- The person who asked, or one who may approve, gives it more time; only the former takes it back.
CREATE OR REPLACE FUNCTION wf.extend_approval(approval bigint, minutes integer) RETURNS timestamptz LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  asked   wf.approvals := wf.lock_approval(approval);
  refused text := wf.approval_closed(asked);
  until   timestamptz := asked.expires_at + make_interval(mins => minutes);
BEGIN
  refused := CASE
    WHEN refused IS NOT NULL THEN refused
    WHEN asked.asked_by <> session_user AND NOT coalesce((SELECT bool_or(wf.may(r)) FROM unnest(asked.roles) r), false)
      THEN 'approval_role'
    WHEN (minutes BETWEEN 1 AND 10080) IS NOT TRUE THEN 'approval_length' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'request % is not extended: %', approval, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  UPDATE wf.approvals a SET expires_at = until, version = a.version + 1, updated_at = now() WHERE a.id = asked.id;
  RETURN until;
END
$$;

CREATE OR REPLACE FUNCTION wf.withdraw_approval(approval bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  asked   wf.approvals := wf.lock_approval(approval);
  refused text := coalesce(wf.approval_closed(asked), CASE WHEN asked.asked_by <> session_user THEN 'approval_not_yours' END);
BEGIN
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'request % is not withdrawn: %', approval, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  UPDATE wf.approvals a SET state = 'withdrawn', decided_at = clock_timestamp(), version = a.version + 1, updated_at = now()
  WHERE a.id = asked.id;
END
$$;

-- Make the open change under an approval, once: its row is marked in the same transaction.
CREATE OR REPLACE FUNCTION wf.use_approval(approval bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  change  wf.changes := wf.current_change();
  asked   wf.approvals := wf.lock_approval(approval);
  refused text := wf.approval_closed(asked);
BEGIN
  refused := CASE
    WHEN refused IS NOT NULL THEN refused
    WHEN asked.asked_by <> wf.person() THEN 'approval_not_yours'
    WHEN asked.state <> 'approved' THEN 'approval_waiting'
    WHEN asked.operation IS DISTINCT FROM change.operation OR change.approval_id IS NOT NULL THEN 'approval_other'
    -- Who approved and lost the login since does not count.
    WHEN NOT wf.seats_filled(asked.roles, (
        SELECT array_agg(v.role) FROM wf.approval_votes v
        WHERE v.approval_id = asked.id AND v.vote = 'approve' AND wf.login_may(v.person, 'support'))) THEN 'approval_gone'
    WHEN wf.changed_since(asked) THEN 'approval_void' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'request % is not used: %', approval, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  UPDATE wf.approvals a SET state = 'done', done_at = clock_timestamp(), change_id = change.id, version = a.version + 1,
    updated_at = now() WHERE a.id = asked.id;
  UPDATE wf.changes c SET approval_id = asked.id, needs_approval = asked.operation WHERE c.id = change.id;
END
$$;

CREATE OR REPLACE FUNCTION wf.put_approval_rule(operation text, roles text[], above integer, minutes integer, active boolean)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF operation NOT IN ('tenants.purge', 'operators.raise', 'approvals.rule', 'runs.release', 'queues.edit') THEN
    RAISE EXCEPTION 'no approval can be asked for %', left(operation, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'approval_rule_unknown';
  ELSIF (operation IN ('runs.release', 'queues.edit')) <> (above IS NOT NULL) THEN
    RAISE EXCEPTION 'only rules of many things have a number' USING ERRCODE = 'check_violation', CONSTRAINT = 'approval_rule_above';
  END IF;
  PERFORM wf.require_approval('approvals.rule', operation);
  INSERT INTO wf.approval_rules AS r (operation, roles, above, minutes, active)
  VALUES (put_approval_rule.operation, put_approval_rule.roles, put_approval_rule.above, put_approval_rule.minutes,
          put_approval_rule.active)
  ON CONFLICT ON CONSTRAINT approval_rules_pkey DO UPDATE SET roles = excluded.roles, above = excluded.above,
    minutes = excluded.minutes, active = excluded.active, version = r.version + 1, updated_at = now();
END
$$;

-- For readers. An open request whose time is over, or whose things were changed, is no longer good for anything.
CREATE VIEW wf.approval_list AS
SELECT a.*, CASE WHEN a.state NOT IN ('waiting', 'approved') THEN a.state
                 WHEN a.expires_at <= statement_timestamp() THEN 'expired'
                 WHEN wf.changed_since(a) THEN 'void' ELSE a.state END AS standing,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('person', v.person, 'role', v.role, 'vote', v.vote, 'reason', v.reason,
          'at', v.at) ORDER BY v.at), '[]') FROM wf.approval_votes v WHERE v.approval_id = a.id) AS votes
FROM wf.approvals a;
CREATE VIEW wf.approval_rule_list AS
SELECT r.*, CASE WHEN NOT r.active THEN 'off'
  WHEN r.operation = 'operators.raise' OR wf.seats_filled(r.roles, (
    SELECT coalesce(array_agg(o.role), '{}') FROM wf.operators o
    WHERE o.active AND o.name <> session_user AND o.role IN ('support', 'operator', 'admin'))) THEN 'on'
  ELSE 'nobody else' END AS standing
FROM wf.approval_rules r;
-- What waits for the login: requests that it may decide and did not vote on, its own that are approved, its raised role.
CREATE VIEW wf.approval_desk AS
SELECT wf.my_role() AS role,
       count(*) FILTER (WHERE m.mine_to_decide) AS to_decide,
       min(a.expires_at) FILTER (WHERE a.state = 'waiting' AND (m.mine_to_decide OR a.asked_by = session_user)) AS next_end,
       count(*) FILTER (WHERE a.state = 'approved' AND a.asked_by = session_user) AS approved,
       min(r.ends_at) AS raised_until, min(r.role) AS raised_role
FROM (SELECT) AS always
  LEFT JOIN wf.raises r ON r.login = session_user AND r.ended_at IS NULL AND r.ends_at > clock_timestamp()
  LEFT JOIN wf.approvals a ON a.state IN ('waiting', 'approved') AND a.expires_at > clock_timestamp() AND NOT wf.changed_since(a)
  LEFT JOIN LATERAL (
    SELECT a.state = 'waiting' AND a.asked_by <> session_user
      AND coalesce((SELECT bool_or(wf.may(n)) FROM unnest(a.roles) n), false)
      AND NOT EXISTS (SELECT FROM wf.approval_votes v WHERE v.approval_id = a.id AND v.person = session_user) AS mine_to_decide
  ) m ON true;

GRANT SELECT ON wf.approval_desk, wf.approvals, wf.approval_votes, wf.approval_rules, wf.approval_list, wf.approval_rule_list TO wf_viewer;
GRANT EXECUTE ON FUNCTION wf.changed_since, wf.seats_filled, wf.role_rank, wf.rule_of TO wf_viewer;
GRANT EXECUTE ON FUNCTION wf.change_facts, wf.ask_approval, wf.vote_approval, wf.extend_approval, wf.withdraw_approval,
  wf.use_approval TO wf_support;
GRANT EXECUTE ON FUNCTION wf.put_approval_rule TO wf_admin;
SELECT wf.audited('wf.approvals', 'approvals', 'id', 'none');
SELECT wf.audited('wf.approval_votes', 'approvals', 'approval_id', 'none');
SELECT wf.audited('wf.approval_rules', 'approval-rules', 'operation', 'none');
