INSERT INTO wf.operations (name, role) VALUES
  ('runs.pause', 'operator'), ('runs.resume', 'operator'), ('runs.stop', 'operator'), ('runs.start', 'operator'),
  ('runs.undo', 'operator'), ('runs.complete', 'operator'), ('runs.release', 'operator'), ('runs.rate', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('runs.start', 'wf.runs', 'insert', NULL, NULL, '{"undoes": null}', false),
  ('runs.undo', 'wf.runs', 'insert', NULL, NULL, NULL, false),
  ('runs.undo', 'wf.runs', 'update', '{state,why,held}', '{"state": "running"}', NULL, true),
  -- A run that takes a second person is held as soon as its things are known.
  ('runs.start', 'wf.runs', 'update', '{state,why,held}', '{"state": "running"}', '{"state": "paused", "held": true}', false),
  ('runs.release', 'wf.runs', 'update', '{state,why,held,approval_id,settled_before}', '{"held": true}', '{"state": "running"}',
   false),
  ('runs.pause', 'wf.runs', 'update', '{state,why}', NULL, '{"state": "paused"}', false),
  ('runs.resume', 'wf.runs', 'update', '{state,why,settled_before}', NULL, '{"state": "running"}', false),
  ('runs.stop', 'wf.runs', 'update', '{state,why}', NULL, '{"state": "stopped"}', false),
  ('runs.rate', 'wf.runs', 'update', '{per_second}', NULL, NULL, false),
  ('runs.complete', 'wf.runs', 'update', '{state,why}', NULL, '{"state": "done"}', false);

GRANT SELECT ON wf.runs TO wf_viewer;

GRANT INSERT (operation, fields, filter, undoes, reason, per_second, breaker_share), UPDATE (state, why, per_second)
  ON wf.runs TO wf_operator;

SELECT wf.audited('wf.runs', 'runs', 'id', 'none');
GRANT SELECT ON wf.run_items TO wf_viewer, wf_worker;
GRANT INSERT (run_id, ordinal, thing, subject, version, undoes) ON wf.run_items TO wf_operator;
GRANT SELECT (run_id, waiting, done, refused, skipped, driver, held_until) ON wf.run_progress TO wf_viewer;

CREATE VIEW wf.run_list AS
SELECT r.*, p.waiting, p.done, p.refused, p.skipped,
       CASE WHEN p.held_until > statement_timestamp() THEN p.driver END AS driver,
       CASE WHEN r.state = 'paused' AND r.held THEN 'held'
            WHEN r.state <> 'running' THEN r.state
            WHEN p.held_until > statement_timestamp() THEN 'running'
            WHEN p.driver IS NULL THEN 'waiting' ELSE 'interrupted' END AS standing,
       wf.folded(r.id || E'\n' || r.operation || E'\n' || coalesce(r.reason, '')) AS search
FROM wf.runs r JOIN wf.run_progress p ON p.run_id = r.id;

GRANT SELECT ON wf.run_list TO wf_viewer, wf_worker;

CREATE OR REPLACE FUNCTION wf.add_progress() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.carried_operations c WHERE c.operation = NEW.operation) THEN
    RAISE EXCEPTION 'no run can do %', NEW.operation USING ERRCODE = 'check_violation', CONSTRAINT = 'run_not_carried';
  END IF;
  INSERT INTO wf.run_progress (run_id) VALUES (NEW.id);
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER progress AFTER INSERT ON wf.runs FOR EACH ROW EXECUTE FUNCTION wf.add_progress();

-- Things can only be added to a run in the transaction that makes it.
CREATE OR REPLACE FUNCTION wf.count_items() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM new_rows n JOIN wf.run_progress p USING (run_id)
             WHERE p.xid IS DISTINCT FROM pg_current_xact_id()) THEN
    RAISE EXCEPTION 'a run takes no more things after it was made'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'run_snapshot_over';
  END IF;
  UPDATE wf.run_progress p SET waiting = waiting + counted.n
  FROM (SELECT run_id, count(*) AS n FROM new_rows GROUP BY run_id) AS counted WHERE p.run_id = counted.run_id;
  UPDATE wf.runs r SET held = true, state = 'paused', why = 'it waits for a second person'
  WHERE r.id IN (SELECT n.run_id FROM new_rows n) AND NOT r.held
    AND (wf.rule_of('runs.release', r.id::text, r.actor)).operation IS NOT NULL;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER count_items AFTER INSERT ON wf.run_items REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.count_items();

-- The new keys that items of a run will make; like things, they can only be added in the transaction that makes the run.
CREATE OR REPLACE FUNCTION wf.prepare_keys(run bigint, places integer[], ids text[], displays text[], hashes bytea[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM wf.in_time('operator');
  IF NOT EXISTS (SELECT FROM wf.run_progress p WHERE p.run_id = run AND p.xid = pg_current_xact_id()) THEN
    RAISE EXCEPTION 'a run takes no more keys after it was made'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'run_snapshot_over';
  END IF;
  INSERT INTO wf.run_keys (run_id, ordinal, id, display, hash) SELECT run, * FROM unnest(places, ids, displays, hashes);
END
$$;
GRANT EXECUTE ON FUNCTION wf.prepare_keys TO wf_operator;

CREATE OR REPLACE FUNCTION wf.guard_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  progress wf.run_progress := (SELECT p FROM wf.run_progress p WHERE p.run_id = OLD.id);
BEGIN
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
      ('running', 'paused'), ('paused', 'running'), ('running', 'stopped'), ('paused', 'stopped'), ('running', 'done'))
    OR OLD.state <> 'done' AND NEW.state = 'done' AND progress.waiting > 0 THEN
    RAISE EXCEPTION 'run %: % to % is refused', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = 'run_transition';
  END IF;
  IF NEW.state = 'running' AND OLD.held THEN
    IF (wf.current_change()).operation IS DISTINCT FROM 'runs.release' THEN
      RAISE EXCEPTION 'run % waits for a second person', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'run_held';
    END IF;
    PERFORM wf.require_approval('runs.release', OLD.id::text);
    NEW.held := false;
    NEW.approval_id := (wf.current_change()).approval_id;
  END IF;
  IF NEW.per_second <> OLD.per_second AND OLD.state IN ('stopped', 'done') THEN
    RAISE EXCEPTION 'run % is over', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'run_over';
  END IF;
  -- A worker carries it with the rights of the person who started it, so nobody with fewer rights may set it going.
  IF (NEW.state = 'running' AND OLD.state = 'paused' OR NEW.per_second <> OLD.per_second) AND session_user <> OLD.actor
    AND NOT coalesce((SELECT wf.may(o.role) FROM wf.operations o WHERE o.name = OLD.operation), false) THEN
    RAISE EXCEPTION 'run % is of an operation that % may not do', OLD.id, session_user
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'run_role';
  END IF;
  IF NEW.state = 'running' AND OLD.state = 'paused' THEN
    NEW.settled_before := progress.done + progress.refused;
  END IF;
  NEW.changed_at := now();
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON wf.runs FOR EACH ROW EXECUTE FUNCTION wf.guard_run();

CREATE OR REPLACE FUNCTION wf.skip_the_rest() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.run_items SET state = 'skipped', settled_at = clock_timestamp() WHERE run_id = NEW.id AND state = 'waiting';
  UPDATE wf.run_progress SET skipped = skipped + waiting, waiting = 0 WHERE run_id = NEW.id;
  DELETE FROM wf.run_keys WHERE run_id = NEW.id;  -- their secrets will never be good
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER skip_the_rest AFTER UPDATE ON wf.runs FOR EACH ROW
  WHEN (NEW.state = 'stopped' AND OLD.state <> 'stopped') EXECUTE FUNCTION wf.skip_the_rest();

-- Whether the login drives the run: only then may it settle the run's items.
CREATE OR REPLACE FUNCTION wf.drives(run bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM wf.run_progress p
                 WHERE p.run_id = run AND p.driver = session_user AND p.held_until > clock_timestamp())
$$;

-- A change that takes the id of an item settles it. The run's row is locked until the change ends: a pause or a stop
-- waits for what is under way, and nothing begins after it. Once per statement: a batch takes many ids at once.
CREATE OR REPLACE FUNCTION wf.settle_items() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  taken   record;
  run     wf.runs;
  settled integer;
  refused text;
BEGIN
  FOR taken IN
    SELECT split_part(n.request_id, '-', 2)::bigint AS run_id, array_agg(split_part(n.request_id, '-', 3)::integer) AS places,
           min(n.request_id) AS example, array_agg(DISTINCT n.operation) AS operations, bool_and(n.carried_for IS NOT NULL) AS lent
    FROM new_rows n WHERE n.request_id ~ '^run-[0-9]{1,18}-[0-9]{1,9}$' GROUP BY 1 ORDER BY 1
  LOOP
    SELECT * INTO run FROM wf.runs WHERE id = taken.run_id FOR SHARE;
    IF ARRAY[run.operation] IS DISTINCT FROM taken.operations OR NOT (taken.lent OR wf.may('operator'))
      OR run.operation LIKE 'messages.%' THEN  -- wf.end_run_act settles those
      refused := 'run_item_unknown';
    ELSIF run.state <> 'running' THEN
      refused := 'run_not_running';
    ELSIF NOT wf.drives(run.id) THEN
      refused := 'run_not_held';
    ELSE
      UPDATE wf.run_items SET state = 'done', settled_at = clock_timestamp(), settled_by = session_user
      WHERE run_id = run.id AND ordinal = ANY (taken.places) AND state = 'waiting';
      GET DIAGNOSTICS settled = ROW_COUNT;
      IF settled <> cardinality(taken.places) THEN
        refused := 'run_item_settled';
      END IF;
    END IF;
    IF refused IS NOT NULL THEN
      RAISE EXCEPTION 'the request id % is refused', taken.example USING ERRCODE = 'check_violation', CONSTRAINT = refused;
    END IF;
    UPDATE wf.run_progress SET waiting = waiting - settled, done = done + settled WHERE run_id = run.id;
  END LOOP;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER settle_items AFTER INSERT ON wf.changes REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.settle_items();

-- And the change must have done something: at its commit, the trail must have a row of that thing by it.
CREATE OR REPLACE FUNCTION wf.check_item() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.run_items i JOIN wf.audit a ON a.change_id = NEW.id AND a.thing = i.thing AND NOT a.out_of_band
                 WHERE i.run_id = split_part(NEW.request_id, '-', 2)::bigint
                   AND i.ordinal = split_part(NEW.request_id, '-', 3)::integer) THEN
    RAISE EXCEPTION 'the change % did nothing to its item', NEW.request_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'run_item_not_done';
  END IF;
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS check_item ON wf.changes;  -- a constraint trigger cannot be replaced
CREATE CONSTRAINT TRIGGER check_item AFTER INSERT ON wf.changes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.request_id ~ '^run-[0-9]{1,18}-[0-9]{1,9}$') EXECUTE FUNCTION wf.check_item();

-- Settle items as refused: their changes were rolled back, or not begun, so the verdicts are written by themselves. Returns
-- how many had none yet.
CREATE OR REPLACE FUNCTION wf.refuse_items(run bigint, places integer[], codes text[], words text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  settled integer;
BEGIN
  PERFORM FROM wf.runs WHERE id = run FOR SHARE;
  IF NOT wf.drives(run) OR NOT wf.may_drive(run) THEN
    RAISE EXCEPTION 'run % is not driven by %', run, session_user
      USING ERRCODE = 'check_violation', CONSTRAINT = 'run_not_held';
  END IF;
  UPDATE wf.run_items i SET state = 'refused', settled_by = session_user, code = left(u.code, 100), words = left(u.words, 1000),
         settled_at = clock_timestamp()
  FROM unnest(places, codes, refuse_items.words) u(place, code, words)
  WHERE i.run_id = run AND i.ordinal = u.place AND i.state = 'waiting';
  GET DIAGNOSTICS settled = ROW_COUNT;
  IF settled > 0 THEN
    UPDATE wf.run_progress SET waiting = waiting - settled, refused = refused + settled WHERE run_id = run;
    DELETE FROM wf.run_keys WHERE run_id = run AND ordinal = ANY (places);
    PERFORM pg_notify('wf', 'runs ' || run);
  END IF;
  RETURN settled;
END
$$;

-- Drive a run for 15 s, unless another program does. The holder calls it again to go on.
CREATE OR REPLACE FUNCTION wf.hold_run(run bigint, holder text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.run_progress p
  SET holder = hold_run.holder, driver = session_user, held_until = clock_timestamp() + interval '15 seconds'
  WHERE p.run_id = run AND (wf.may_drive(run) OR p.holder = hold_run.holder)
    AND (p.holder IS NULL OR p.holder = hold_run.holder OR p.held_until < clock_timestamp());
  RETURN FOUND;
END
$$;

CREATE OR REPLACE FUNCTION wf.release_run(run bigint, holder text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  UPDATE wf.run_progress p SET holder = NULL, held_until = NULL WHERE p.run_id = run AND p.holder = release_run.holder
$$;
GRANT EXECUTE ON FUNCTION wf.refuse_items, wf.hold_run, wf.release_run TO wf_operator, wf_worker;
