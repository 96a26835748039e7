-- What workers do for gates: run those that have a schedule, and remove what was found long ago.
INSERT INTO wf.operations (name, role) VALUES
  ('gates.schedule', 'operator'), ('gates.unschedule', 'operator'), ('gates.run_scheduled', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('gates.schedule', 'wf.gate_schedules', 'insert', NULL, NULL, '{"ended_at": null}', false),
  ('gates.schedule', 'wf.gate_schedules', 'update', '{every,ended_at}', NULL, '{"ended_at": null}', false),
  ('gates.unschedule', 'wf.gate_schedules', 'update', '{ended_at}', '{"ended_at": null}', NULL, false),
  ('gates.run_scheduled', 'wf.gate_runs', 'insert', NULL, NULL, '{"state": "running"}', false);

CREATE OR REPLACE FUNCTION wf.guard_gate_schedule() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NEW.ended_at IS NULL AND NOT EXISTS (SELECT FROM wf.gates g WHERE g.name = NEW.gate AND g.retired_at IS NULL) THEN
    RAISE EXCEPTION 'there is no gate %', left(NEW.gate, 100) USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_unknown';
  ELSIF TG_OP = 'INSERT' AND (SELECT count(*) FROM wf.gate_schedules) >= 500 THEN
    RAISE EXCEPTION 'there are 500 schedules' USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_schedules_many';
  ELSIF TG_OP = 'UPDATE' THEN
    IF (NEW.gate, NEW.environment) IS DISTINCT FROM (OLD.gate, OLD.environment) THEN
      RAISE EXCEPTION 'a schedule keeps its gate' USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_schedule_fixed';
    END IF;
    NEW.ended_at := CASE WHEN NEW.ended_at IS NOT NULL THEN coalesce(OLD.ended_at, now()) END;
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.gate_schedules
  FOR EACH ROW EXECUTE FUNCTION wf.guard_gate_schedule();
GRANT SELECT ON wf.gate_schedules, wf.gate_turns, wf.gate_runs_pruned TO wf_viewer, wf_worker;
GRANT INSERT (gate, environment, every), UPDATE (every, ended_at) ON wf.gate_schedules TO wf_operator;
SELECT wf.audited('wf.gate_schedules', 'gates', 'gate', 'none');

-- Queue a job for each gate that is due, unless its last one still waits or runs; a dead one is settled by the next.
CREATE OR REPLACE FUNCTION wf.queue_gate_runs() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this   record;
  queued bigint := 0;
BEGIN
  INSERT INTO wf.gate_turns (gate, environment)
  SELECT s.gate, s.environment FROM wf.gate_schedules s
  WHERE s.ended_at IS NULL AND NOT EXISTS (SELECT FROM wf.gate_turns t WHERE t.gate = s.gate AND t.environment = s.environment)
  FOR KEY SHARE SKIP LOCKED  -- whoever holds a schedule holds up that one only
  ON CONFLICT DO NOTHING;
  FOR this IN
    SELECT t.gate, t.environment, t.job_id, s.every FROM wf.gate_turns t JOIN wf.gate_schedules s USING (gate, environment)
      JOIN wf.gates g ON g.name = t.gate AND g.retired_at IS NULL
    WHERE s.ended_at IS NULL AND (t.next_at <= clock_timestamp() OR t.next_at > clock_timestamp() + s.every)
      AND NOT EXISTS (SELECT FROM wf.jobs j WHERE j.id = t.job_id AND j.state IN ('waiting', 'running'))
    ORDER BY t.next_at FOR UPDATE OF t SKIP LOCKED LIMIT 100
  LOOP
    UPDATE wf.jobs j SET state = 'canceled', ended_at = clock_timestamp() WHERE j.id = this.job_id AND j.state = 'dead';
    UPDATE wf.gate_turns t
    SET job_id = wf.queue_job('run_gate', NULL, jsonb_build_object('gate', this.gate, 'environment', this.environment), NULL, 1, 3),
        next_at = clock_timestamp() + this.every
    WHERE t.gate = this.gate AND t.environment = this.environment;
    queued := queued + 1;
  END LOOP;
  RETURN queued;
END
$$;

-- Begin the run that a job of the schedule is for: its worker carries it out, and is on record as who began it.
CREATE OR REPLACE FUNCTION wf.begin_scheduled_run(job bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  turn record;
  run  bigint;
BEGIN
  SELECT t.gate, t.environment, j.lease INTO turn
  FROM wf.gate_turns t JOIN wf.gate_schedules s USING (gate, environment) JOIN wf.jobs j ON j.id = t.job_id
    JOIN wf.workers w ON w.id = j.worker_id
  WHERE t.job_id = job AND s.ended_at IS NULL AND j.kind = 'run_gate' AND j.state = 'running'
    AND w.login = session_user AND w.ended_at IS NULL FOR UPDATE OF t;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % is not held by this worker, or its schedule is over', job
      USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_turn_held';
  END IF;
  PERFORM wf.open_home_change('gates.run_scheduled', NULL, format('gate-job-%s-claim-%s', job, turn.lease));
  run := wf.begin_gate_run(turn.gate, turn.environment, 'full', NULL, NULL);
  PERFORM set_config('wf.change', '', true);
  RETURN run;
END
$$;
GRANT EXECUTE ON FUNCTION wf.queue_gate_runs, wf.begin_scheduled_run TO wf_worker;

-- Retention: what a run found is kept 400 days, and as long as it says how a gate stands. The run, its verdict, conditions
-- and the hash of its inputs stay, as do waivers and answers.

CREATE OR REPLACE FUNCTION wf.gate_run_prunable(run bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM wf.gate_runs r WHERE r.id = run AND r.started_at < now() - interval '400 days')
     AND NOT EXISTS (SELECT FROM wf.gate_latest l WHERE l.run_id = run)
$$;

-- The rule is held here, so that nobody removes more, the owner of the tables included.
CREATE OR REPLACE FUNCTION wf.keep_gate_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT wf.gate_run_prunable(OLD.run_id) THEN
    RAISE EXCEPTION 'what run % found is kept', OLD.run_id
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'gate_append_only';
  END IF;
  RETURN OLD;
END
$$;

CREATE OR REPLACE TRIGGER kept BEFORE DELETE ON wf.gate_checks FOR EACH ROW EXECUTE FUNCTION wf.keep_gate_check();

-- The oldest first, at most so many runs at once. Returns how many runs.
CREATE OR REPLACE FUNCTION wf.prune_gate_runs(most integer DEFAULT 200) RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  WITH old AS (
    SELECT r.id FROM wf.gate_runs r
    WHERE r.started_at < now() - interval '400 days' AND NOT EXISTS (SELECT FROM wf.gate_runs_pruned p WHERE p.run_id = r.id)
      AND NOT EXISTS (SELECT FROM wf.gate_latest l WHERE l.run_id = r.id)
    ORDER BY r.started_at LIMIT least(most, 1000)
  ), removed AS (
    DELETE FROM wf.gate_checks c USING old o WHERE c.run_id = o.id RETURNING c.run_id
  ), told AS (
    INSERT INTO wf.gate_runs_pruned (run_id, checks)
    SELECT o.id, (SELECT count(*) FROM removed c WHERE c.run_id = o.id) FROM old o
    ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT count(*) FROM told
$$;
GRANT EXECUTE ON FUNCTION wf.prune_gate_runs TO wf_worker;
