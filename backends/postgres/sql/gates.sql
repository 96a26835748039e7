-- Gates: what people keep, how a run records what it found, and the verdict, which only the home gives.
INSERT INTO wf.operations (name, role) VALUES
  ('gates.apply', 'admin'), ('gates.retire', 'admin'), ('gates.run', 'operator'), ('gates.answer', 'operator'),
  ('gates.decide', 'owner'), ('waivers.create', 'operator'), ('waivers.approve', 'operator'), ('waivers.end', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('gates.apply', 'wf.gates', 'insert', NULL, NULL, '{"retired_at": null}', true),
  ('gates.apply', 'wf.gates', 'update', '{definition,sha256,retired_at,updated_by}', NULL, '{"retired_at": null}', true),
  ('gates.retire', 'wf.gates', 'update', '{retired_at,updated_by}', '{"retired_at": null}', NULL, false),
  ('gates.run', 'wf.gate_runs', 'insert', NULL, NULL, '{"state": "running"}', false),
  ('gates.decide', 'wf.gate_runs', 'update', '{state,verdict,conditions,inputs_sha256,decided_at}',
   '{"state": "running"}', '{"state": "decided"}', false),
  ('gates.answer', 'wf.gate_answers', 'insert', NULL, NULL, NULL, false),
  ('waivers.create', 'wf.gate_waivers', 'insert', NULL, NULL, NULL, false),
  ('waivers.approve', 'wf.gate_waivers', 'update', '{approved_at,approved_by}', '{"approved_at": null, "ended_at": null}', NULL, false),
  ('waivers.end', 'wf.gate_waivers', 'update', '{ended_at,ended_by}', '{"ended_at": null}', NULL, false);

CREATE OR REPLACE FUNCTION wf.guard_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF NOT wf.gate_valid(NEW.definition) THEN
    refused := 'gate_definition';
  ELSIF TG_OP = 'INSERT' AND (SELECT count(*) FROM wf.gates) >= 200 THEN
    refused := 'gate_many';
  ELSIF NEW.definition::jsonb ->> 'name' IS DISTINCT FROM NEW.name
      OR TG_OP = 'UPDATE' AND NEW.name <> OLD.name THEN
    refused := 'gate_fixed';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'gate % is refused: %', NEW.name, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  NEW.sha256 := encode(sha256(convert_to(NEW.definition, 'UTF8')), 'hex');
  NEW.version := CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE OLD.version + 1 END;
  NEW.updated_at := clock_timestamp();
  NEW.updated_by := wf.person();
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.gates FOR EACH ROW EXECUTE FUNCTION wf.guard_gate();

CREATE OR REPLACE FUNCTION wf.keep_gate_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.gate_versions (gate, version, definition, sha256, made_by)
  VALUES (NEW.name, NEW.version, NEW.definition, NEW.sha256, NEW.updated_by);
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER keep_version AFTER INSERT OR UPDATE ON wf.gates FOR EACH ROW EXECUTE FUNCTION wf.keep_gate_version();

CREATE OR REPLACE FUNCTION wf.refuse_gate_rewriting() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'gate_append_only';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.gate_versions
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_gate_rewriting();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON wf.gate_checks
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_gate_rewriting();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.gate_answers
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_gate_rewriting();
CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON wf.gate_runs
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_gate_rewriting();

-- The checks of a gate's version in their order.
CREATE OR REPLACE FUNCTION wf.gate_check_list(gate text, version integer)
RETURNS TABLE (place integer, name text, spec jsonb) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT c.place::integer - 1, c.spec ->> 'name', c.spec
  FROM wf.gate_versions v, jsonb_array_elements(v.definition::jsonb -> 'checks') WITH ORDINALITY AS c(spec, place)
  WHERE v.gate = gate_check_list.gate AND v.version = gate_check_list.version
$$;

-- The waiver that opens a check at a time: the one that ends last.
CREATE OR REPLACE FUNCTION wf.gate_waived_until(gate text, check_name text, environment text, at timestamptz)
RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT max(w.ends_at) FROM wf.gate_waivers w
  WHERE w.gate = gate_waived_until.gate AND w.environment = gate_waived_until.environment
    AND w.check_name = gate_waived_until.check_name AND w.created_at <= at AND w.ends_at > at
    AND (w.ended_at IS NULL OR w.ended_at > at) AND (w.environment <> 'production' OR w.approved_at <= at)
$$;

-- What a run comes to at a time: the same rule as controlplane.gates.deciding.decide; a test compares the two.
CREATE OR REPLACE FUNCTION wf.gate_decision(run wf.gate_runs, at timestamptz) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  WITH found AS (
    SELECT c.place, c.name, c.spec ->> 'owner' AS owner, (c.spec ->> 'required')::boolean AS required, w.until,
           at + make_interval(secs => (c.spec ->> 'due')::integer) AS due,
           CASE WHEN r.state = 'pass' AND r.observed_at + make_interval(secs => (c.spec ->> 'freshness')::integer) >= at THEN 'pass'
                WHEN w.until IS NOT NULL THEN 'waived'
                WHEN r.state = 'pass' THEN 'stale'
                ELSE coalesce(r.state, 'inconclusive') END AS state
    FROM wf.gate_check_list(run.gate, run.gate_version) c
      LEFT JOIN wf.gate_checks r ON r.run_id = run.id AND r.name = c.name,
      LATERAL (SELECT wf.gate_waived_until(run.gate, c.name, run.environment, at) AS until) w
  )
  SELECT jsonb_build_object(
    'verdict', CASE
      WHEN bool_or(required AND state = 'fail') THEN 'NO_GO'
      WHEN bool_or(required AND state IN ('inconclusive', 'stale')) THEN 'INCONCLUSIVE'
      WHEN bool_or(state <> 'pass') THEN 'GO_WITH_CONDITIONS'
      ELSE 'GO' END,
    'conditions', coalesce(jsonb_agg(jsonb_build_object(
        'check', name, 'state', state, 'owner', owner,
        'due', to_char((CASE WHEN state = 'waived' THEN until ELSE due END) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
      ORDER BY place) FILTER (WHERE state = 'waived' OR NOT required AND state <> 'pass'), '[]'))
  FROM found
$$;

-- The only change of a run is its verdict, which follows from what it found, whoever writes it.
CREATE OR REPLACE FUNCTION wf.guard_gate_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  decision jsonb;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'running' THEN
      RAISE EXCEPTION 'a run begins without a verdict' USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_run_begun';
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.state <> 'running' OR NEW.state <> 'decided'
      OR to_jsonb(NEW) - '{state,verdict,conditions,inputs_sha256,decided_at,version}'::text[]
         <> to_jsonb(OLD) - '{state,verdict,conditions,inputs_sha256,decided_at,version}'::text[] THEN
    RAISE EXCEPTION 'run % is decided once', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_run_over';
  ELSIF OLD.ends_by < clock_timestamp() THEN
    RAISE EXCEPTION 'run % had to end by %', OLD.id, OLD.ends_by USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_run_late';
  END IF;
  NEW.decided_at := clock_timestamp();
  decision := wf.gate_decision(OLD, NEW.decided_at);
  IF NEW.verdict IS NOT NULL AND NEW.verdict <> decision ->> 'verdict' THEN
    RAISE EXCEPTION 'run % comes to %, not %', OLD.id, decision ->> 'verdict', NEW.verdict
      USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_verdict_follows';
  END IF;
  NEW.verdict := decision ->> 'verdict';
  NEW.conditions := decision -> 'conditions';
  NEW.inputs_sha256 := (
    SELECT encode(sha256(convert_to(v.sha256 || E'\n' || coalesce(string_agg(
      concat_ws(' ', c.name, c.state, c.sha256), E'\n' ORDER BY c.name COLLATE "C"), ''), 'UTF8')), 'hex')
    FROM wf.gate_versions v LEFT JOIN wf.gate_checks c ON c.run_id = OLD.id
    WHERE v.gate = OLD.gate AND v.version = OLD.gate_version GROUP BY v.sha256);
  NEW.version := OLD.version + 1;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.gate_runs FOR EACH ROW EXECUTE FUNCTION wf.guard_gate_run();

-- Begin a run of a gate's present version. Returns its number.
CREATE OR REPLACE FUNCTION wf.begin_gate_run(gate text, environment text, mode text, batch_size integer, batch_index integer)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  now_at constant timestamptz := clock_timestamp();
  present wf.gates;
  checks integer;
  seconds bigint;
  run bigint;
BEGIN
  SELECT * INTO present FROM wf.gates g WHERE g.name = begin_gate_run.gate AND g.retired_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no gate %', left(gate, 100) USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_unknown';
  END IF;
  SELECT count(*), sum((c.spec ->> 'limit')::integer) INTO checks, seconds FROM wf.gate_check_list(present.name, present.version) c;
  IF batch_index * batch_size >= checks THEN
    RAISE EXCEPTION 'the gate has % checks', checks USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_batch_empty';
  ELSIF (SELECT count(*) FROM wf.gate_runs r
         WHERE r.gate = present.name AND r.environment = begin_gate_run.environment AND r.started_by = session_user
           AND r.state = 'running' AND r.ends_by > now_at) >= 20 THEN
    RAISE EXCEPTION 'twenty runs of it are under way' USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_runs_many';
  END IF;
  INSERT INTO wf.gate_runs (gate, gate_version, environment, mode, batch_size, batch_index, checks, started_by, ends_by)
  VALUES (present.name, present.version, begin_gate_run.environment, begin_gate_run.mode, begin_gate_run.batch_size,
          begin_gate_run.batch_index, checks, session_user, now_at + least(seconds + 60, 86400) * interval '1 second')
  RETURNING id INTO run;
  RETURN run;
END
$$;

-- Record what a run found; only who began it, once for each of its checks, while it is under way. What a person answered
-- is taken from the answers, whatever the caller says.
CREATE OR REPLACE FUNCTION wf.record_gate_check(
  run bigint, name text, state text, because text, value float8, threshold text, unit text, words text, observed text,
  observed_at timestamptz, seconds float8
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  this     wf.gate_runs;
  found_at record;
  answered wf.gate_answers;
BEGIN
  PERFORM wf.in_time('operator');
  -- Until it is decided: FOR KEY SHARE would let the verdict overtake a check.
  SELECT * INTO this FROM wf.gate_runs r WHERE r.id = run FOR SHARE;
  IF NOT FOUND OR this.started_by <> session_user THEN
    RAISE EXCEPTION 'run % is not yours', run USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_run_not_yours';
  ELSIF this.state <> 'running' OR this.ends_by < clock_timestamp() THEN
    RAISE EXCEPTION 'run % is over', run USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_run_over';
  END IF;
  SELECT * INTO found_at FROM wf.gate_check_list(this.gate, this.gate_version) c WHERE c.name = record_gate_check.name;
  IF NOT FOUND OR found_at.place / this.batch_size <> this.batch_index THEN
    RAISE EXCEPTION 'run % has no check %', run, left(name, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_check_unknown';
  END IF;
  IF found_at.spec ->> 'kind' = 'manual' THEN
    SELECT * INTO answered FROM wf.gate_answers a
    WHERE a.gate = this.gate AND a.environment = this.environment AND a.check_name = found_at.name ORDER BY a.id DESC LIMIT 1;
    state := coalesce(answered.answer, 'inconclusive');
    because := CASE WHEN answered.id IS NULL THEN 'unanswered' ELSE '' END;
    words := CASE WHEN answered.id IS NULL THEN found_at.spec ->> 'question'
                  ELSE left(answered.answered_by || ': ' || answered.reason, 400) END;
    observed := json_build_object('answer', answered.answer, 'by', answered.answered_by, 'reason', left(answered.reason, 400));
    observed_at := coalesce(answered.answered_at, clock_timestamp());
  END IF;
  INSERT INTO wf.gate_checks (run_id, name, kind, state, because, value, threshold, unit, words, observed, sha256, observed_at, seconds)
  VALUES (run, name, found_at.spec ->> 'kind', state, because, value, threshold, unit, words, observed,
          encode(sha256(convert_to(observed, 'UTF8')), 'hex'), least(observed_at, clock_timestamp()), seconds);
END
$$;

-- End a run. Returns its verdict, which follows from what it found.
CREATE OR REPLACE FUNCTION wf.decide_gate_run(run bigint) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this wf.gate_runs;
BEGIN
  SELECT * INTO this FROM wf.gate_runs r WHERE r.id = run FOR NO KEY UPDATE;
  IF NOT FOUND OR this.started_by <> session_user THEN
    RAISE EXCEPTION 'run % is not yours', run USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_run_not_yours';
  END IF;
  IF this.state = 'decided' THEN
    RETURN this.verdict;
  END IF;
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'a snapshot of before would not have what was found or withdrawn since'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_isolation';
  END IF;
  PERFORM wf.open_home_change('gates.decide', NULL, format('gate-run-%s', run));
  UPDATE wf.gate_runs r SET state = 'decided' WHERE r.id = run RETURNING * INTO this;
  PERFORM set_config('wf.change', '', true);
  INSERT INTO wf.gate_latest AS l (gate, environment, name, run_id)
  SELECT this.gate, this.environment, c.name, run FROM wf.gate_checks c WHERE c.run_id = run ORDER BY c.name
  ON CONFLICT (gate, environment, name) DO UPDATE SET run_id = excluded.run_id WHERE l.run_id < excluded.run_id;
  RETURN this.verdict;
END
$$;
GRANT EXECUTE ON FUNCTION wf.begin_gate_run TO wf_operator;
GRANT EXECUTE ON FUNCTION wf.record_gate_check, wf.decide_gate_run TO wf_operator, wf_worker;

CREATE OR REPLACE FUNCTION wf.guard_waiver() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  moment constant timestamptz := clock_timestamp();
  refused text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.created_at := moment;
    NEW.created_by := wf.person();
    IF NOT EXISTS (SELECT FROM wf.gates g, wf.gate_check_list(g.name, g.version) c
                   WHERE g.name = NEW.gate AND g.retired_at IS NULL AND c.name = NEW.check_name) THEN
      refused := 'gate_check_unknown';
    ELSIF NEW.ends_at <= moment THEN
      refused := 'waiver_past';
    ELSIF NEW.ends_at > moment + (CASE WHEN wf.may('admin') THEN interval '90 days' ELSE interval '14 days' END) THEN
      refused := 'waiver_length';
    ELSIF (SELECT count(*) FROM wf.gate_waivers w WHERE w.gate = NEW.gate AND w.environment = NEW.environment
           AND w.ends_at > moment AND w.ended_at IS NULL) >= 100 THEN
      refused := 'waiver_many';
    END IF;
  ELSIF (NEW.gate, NEW.check_name, NEW.environment, NEW.reason, NEW.ends_at, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.gate, OLD.check_name, OLD.environment, OLD.reason, OLD.ends_at, OLD.created_at, OLD.created_by) THEN
    refused := 'waiver_fixed';
  ELSIF OLD.ended_at IS NOT NULL OR OLD.ends_at <= moment THEN
    refused := 'waiver_over';
  ELSE
    IF OLD.approved_at IS NOT NULL AND NEW.approved_at IS DISTINCT FROM OLD.approved_at THEN
      refused := 'waiver_fixed';
    ELSIF OLD.approved_at IS NULL AND NEW.approved_at IS NOT NULL THEN
      NEW.approved_at := moment;
      NEW.approved_by := wf.person();
      IF NEW.approved_by = NEW.created_by OR session_user = NEW.created_by THEN
        refused := 'waiver_second_person';
      END IF;
    END IF;
    IF NEW.ended_at IS NOT NULL THEN
      NEW.ended_at := moment;
      NEW.ended_by := wf.person();
    END IF;
    IF NEW IS DISTINCT FROM OLD THEN
      NEW.version := OLD.version + 1;
    END IF;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'waiver is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.gate_waivers FOR EACH ROW EXECUTE FUNCTION wf.guard_waiver();

CREATE OR REPLACE FUNCTION wf.guard_answer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.gates g, wf.gate_check_list(g.name, g.version) c
                 WHERE g.name = NEW.gate AND g.retired_at IS NULL AND c.name = NEW.check_name AND c.spec ->> 'kind' = 'manual') THEN
    RAISE EXCEPTION 'nobody is asked that' USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_not_manual';
  END IF;
  NEW.answered_at := clock_timestamp();
  NEW.answered_by := wf.person();
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT ON wf.gate_answers FOR EACH ROW EXECUTE FUNCTION wf.guard_answer();

GRANT SELECT ON wf.gates, wf.gate_versions, wf.gate_runs, wf.gate_checks, wf.gate_latest, wf.gate_waivers, wf.gate_answers
  TO wf_viewer, wf_worker;
GRANT INSERT (name, definition), UPDATE (definition, retired_at) ON wf.gates TO wf_admin;
GRANT INSERT (gate, check_name, environment, reason, ends_at), UPDATE (approved_at, ended_at) ON wf.gate_waivers TO wf_operator;
GRANT INSERT (gate, check_name, environment, answer, reason) ON wf.gate_answers TO wf_operator;
SELECT wf.audited('wf.gates', 'gates', 'name', 'none');
SELECT wf.audited('wf.gate_runs', 'decisions', 'id', 'none');
SELECT wf.audited('wf.gate_waivers', 'waivers', 'id', 'none');
SELECT wf.audited('wf.gate_answers', 'gates', 'gate', 'none');
GRANT EXECUTE ON FUNCTION wf.gate_valid TO wf_admin;
GRANT EXECUTE ON FUNCTION wf.environment_valid TO wf_operator;
