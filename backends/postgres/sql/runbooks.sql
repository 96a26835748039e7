-- Runbooks that are carried out: who has which step, what came of it, and in which order it may be done.
INSERT INTO wf.operations (name, role) VALUES
  ('runbooks.run', 'operator'), ('runbooks.stop', 'operator'), ('runbooks.resume', 'operator'),
  ('runbooks.claim', 'operator'), ('runbooks.release', 'operator'), ('runbooks.do', 'operator'),
  ('runbooks.settle', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('runbooks.run', 'wf.executions', 'insert', NULL, NULL, '{"stopped_at": null}', false),
  ('runbooks.run', 'wf.execution_steps', 'insert', NULL, NULL, '{"claimed_at": null, "verdict": null}', true),
  ('runbooks.stop', 'wf.executions', 'update', '{stopped_at,stopped_by}', '{"stopped_at": null}', NULL, false),
  ('runbooks.resume', 'wf.executions', 'update', '{stopped_at,stopped_by}', NULL, '{"stopped_at": null}', false),
  ('runbooks.claim', 'wf.execution_steps', 'update',
   '{claimed_at,claimed_by,begun_at,request_id,verdict,note,output,ended_at,tries}', NULL, '{"verdict": null}', false),
  ('runbooks.release', 'wf.execution_steps', 'update', '{claimed_at,claimed_by}', '{"verdict": null}', '{"claimed_at": null}', false),
  ('runbooks.do', 'wf.execution_steps', 'update', '{begun_at,request_id}', '{"begun_at": null}', '{"verdict": null}', false),
  ('runbooks.settle', 'wf.execution_steps', 'update', '{verdict,note,output,ended_at}', '{"verdict": null}', NULL, false);

-- Begin an execution of a runbook. Its steps are as the caller read them in the text. Returns its number.
CREATE OR REPLACE FUNCTION wf.begin_execution(runbook text, title text, body text, steps jsonb, incident bigint, drill boolean)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  hash text := encode(sha256(convert_to(body, 'UTF8')), 'hex');
  made bigint;
BEGIN
  IF (jsonb_typeof(steps) = 'array' AND octet_length(steps::text) <= 131072
      AND jsonb_array_length(steps) BETWEEN 1 AND 100) IS NOT TRUE THEN
    RAISE EXCEPTION 'a runbook has 1 to 100 steps' USING ERRCODE = 'check_violation', CONSTRAINT = 'execution_steps';
  ELSIF (SELECT count(*) FROM (
           SELECT FROM wf.executions e WHERE e.started_by = wf.person() AND e.stopped_at IS NULL AND EXISTS (
             SELECT FROM wf.execution_steps s WHERE s.execution = e.id AND s.verdict IS NULL) LIMIT 50) o) >= 50 THEN
    RAISE EXCEPTION 'fifty of them are open' USING ERRCODE = 'check_violation', CONSTRAINT = 'execution_many';
  END IF;
  INSERT INTO wf.runbook_texts (sha256, body) VALUES (hash, begin_execution.body) ON CONFLICT DO NOTHING;
  INSERT INTO wf.executions (runbook, title, sha256, steps, incident, drill, started_by)
  VALUES (begin_execution.runbook, begin_execution.title, hash, jsonb_array_length(steps), begin_execution.incident,
          begin_execution.drill, wf.person()) RETURNING id INTO made;
  INSERT INTO wf.execution_steps (execution, place, name, kind, operation, remedy_of)
  SELECT made, s.place, s.step ->> 'name', s.step ->> 'kind', s.step ->> 'operation', (s.step ->> 'remedy_of')::integer
  FROM jsonb_array_elements(steps) WITH ORDINALITY AS s(step, place);
  IF EXISTS (SELECT FROM wf.execution_steps s JOIN wf.execution_steps c ON c.execution = s.execution AND c.place = s.remedy_of
             WHERE s.execution = made AND c.kind <> 'check') THEN
    RAISE EXCEPTION 'a remedy is one of a check' USING ERRCODE = 'check_violation', CONSTRAINT = 'step_remedy';
  END IF;
  RETURN made;
END
$$;

-- An execution is only stopped and resumed; that it is over follows from its steps.
CREATE OR REPLACE FUNCTION wf.guard_execution() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF to_jsonb(NEW) - '{stopped_at,stopped_by,version}'::text[] <> to_jsonb(OLD) - '{stopped_at,stopped_by,version}'::text[] THEN
    refused := 'execution_fixed';
  ELSIF NEW.stopped_at IS NULL THEN
    IF OLD.stopped_at IS NULL THEN
      refused := 'execution_open';
    END IF;
    NEW.stopped_by := NULL;
  ELSIF OLD.stopped_at IS NOT NULL THEN
    refused := 'execution_stopped';
  ELSIF NOT EXISTS (SELECT FROM wf.execution_steps s WHERE s.execution = OLD.id AND s.verdict IS NULL) THEN
    refused := 'execution_over';
  ELSE
    NEW.stopped_at := clock_timestamp();
    NEW.stopped_by := wf.person();
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'execution % is refused: %', OLD.id, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  NEW.version := OLD.version + 1;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON wf.executions FOR EACH ROW EXECUTE FUNCTION wf.guard_execution();

-- One change of a step at a time: claim, release, begin, end. Whoever locks the row first has the claim.
CREATE OR REPLACE FUNCTION wf.guard_execution_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  moment constant timestamptz := clock_timestamp();
  me     constant text := wf.person();
  asked  wf.execution_steps := NEW;
  stop   timestamptz;
  refused text;
BEGIN
  SELECT e.stopped_at INTO stop FROM wf.executions e WHERE e.id = OLD.execution FOR SHARE;  -- a stop waits for it
  NEW := OLD;
  IF stop IS NOT NULL THEN
    refused := 'execution_stopped';
  ELSIF (asked.execution, asked.place, asked.name, asked.kind, asked.operation, asked.remedy_of)
      IS DISTINCT FROM (OLD.execution, OLD.place, OLD.name, OLD.kind, OLD.operation, OLD.remedy_of) THEN
    refused := 'step_fixed';
  ELSIF asked.claimed_at IS NOT NULL AND asked.claimed_at IS DISTINCT FROM OLD.claimed_at THEN
    IF OLD.verdict IN ('passed', 'skipped') THEN
      refused := 'step_over';
    ELSIF OLD.claimed_at IS NOT NULL AND OLD.verdict IS NULL THEN
      refused := 'step_claimed';
    ELSIF OLD.verdict IS NOT NULL THEN  -- it failed, and is tried again
      NEW.begun_at := NULL;
      NEW.request_id := NULL;
      NEW.verdict := NULL;
      NEW.note := '';
      NEW.output := '{}';
      NEW.ended_at := NULL;
    END IF;
    NEW.claimed_at := moment;
    NEW.claimed_by := me;
    NEW.tries := OLD.tries + 1;
  ELSIF OLD.claimed_at IS NULL THEN
    refused := 'step_unclaimed';
  ELSIF OLD.verdict IS NOT NULL THEN
    refused := 'step_over';
  ELSIF asked.claimed_at IS NULL THEN
    IF OLD.claimed_by <> me AND OLD.claimed_at > moment - interval '30 minutes' AND NOT wf.may('admin') THEN
      refused := 'step_held';
    END IF;
    NEW.claimed_at := NULL;  -- what was begun stays begun: whoever claims it next looks up what came of it
    NEW.claimed_by := NULL;
  ELSIF OLD.claimed_by <> me THEN
    refused := 'step_not_yours';
  ELSIF asked.verdict IS NULL THEN
    IF asked.begun_at IS NULL OR OLD.begun_at IS NOT NULL THEN
      refused := 'step_begun';
    ELSIF (asked.request_id IS NOT NULL) <> (OLD.kind = 'operation') THEN
      refused := 'step_request';
    -- After a step that did not pass only what is for that failure is done; nothing is changed while a check is open.
    ELSIF EXISTS (
        SELECT FROM wf.execution_steps s
        WHERE s.execution = OLD.execution AND s.place < OLD.place AND s.place IS DISTINCT FROM OLD.remedy_of
          AND (s.verdict IN ('failed', 'unknown')
               OR OLD.kind = 'operation' AND s.kind IN ('check', 'question') AND s.verdict IS NULL)) THEN
      refused := 'step_blocked';
    END IF;
    NEW.begun_at := moment;
    NEW.request_id := asked.request_id;
  ELSE
    IF asked.verdict <> 'skipped' AND OLD.begun_at IS NULL THEN
      refused := 'step_not_begun';
    ELSIF asked.verdict = 'skipped' AND btrim(asked.note) = '' THEN
      refused := 'step_note';
    ELSIF asked.verdict = 'passed' AND OLD.kind = 'operation' AND NOT EXISTS (
        SELECT FROM wf.changes c WHERE c.request_id = OLD.request_id AND c.operation = OLD.operation
          AND c.started_at >= OLD.begun_at) THEN
      refused := 'step_without_change';
    END IF;
    NEW.verdict := asked.verdict;
    NEW.note := wf.without_addresses(to_jsonb(asked.note)) #>> '{}';
    NEW.output := wf.without_addresses(asked.output);
    NEW.ended_at := moment;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'step % of execution % is refused: %', OLD.place, OLD.execution, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused, DETAIL = coalesce(OLD.claimed_by, '');
  END IF;
  NEW.version := OLD.version + 1;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON wf.execution_steps FOR EACH ROW EXECUTE FUNCTION wf.guard_execution_step();

CREATE OR REPLACE FUNCTION wf.refuse_runbook_rewriting() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'runbook_append_only';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.runbook_texts
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_runbook_rewriting();
CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON wf.executions
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_runbook_rewriting();
CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON wf.execution_steps
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_runbook_rewriting();

-- `state`: what follows from the steps. `at`: the step that comes next. `ended_at`: when the last step got its verdict.
CREATE VIEW wf.execution_list AS
SELECT e.id, e.runbook, e.title, e.sha256, e.steps, e.incident, e.drill, e.started_at, e.started_by, e.stopped_at, e.stopped_by,
       e.version,
       CASE WHEN s.left_over > 0 THEN CASE WHEN e.stopped_at IS NULL THEN 'open' ELSE 'stopped' END
            WHEN s.failed > 0 THEN 'failed' WHEN s.unknown > 0 THEN 'unknown' ELSE 'passed' END AS state,
       s.settled, s.failed, s.skipped, s.next AS at,
       CASE WHEN s.left_over = 0 THEN s.last END AS ended_at,
       wf.folded(e.runbook || E'\n' || e.title || E'\n' || e.started_by) AS search
FROM wf.executions e, LATERAL (
  SELECT count(*) FILTER (WHERE verdict IS NULL) AS left_over, count(verdict)::integer AS settled,
         (count(*) FILTER (WHERE verdict = 'failed'))::integer AS failed,
         count(*) FILTER (WHERE verdict = 'unknown') AS unknown,
         (count(*) FILTER (WHERE verdict = 'skipped'))::integer AS skipped,
         min(place) FILTER (WHERE verdict IS NULL) AS next, max(ended_at) AS last
  FROM wf.execution_steps x WHERE x.execution = e.id) s;
GRANT SELECT ON wf.runbook_texts, wf.executions, wf.execution_steps, wf.execution_list TO wf_viewer;
GRANT UPDATE (stopped_at) ON wf.executions TO wf_operator;
GRANT UPDATE (claimed_at, begun_at, request_id, verdict, note, output) ON wf.execution_steps TO wf_operator;
GRANT EXECUTE ON FUNCTION wf.begin_execution TO wf_operator;
-- The rows of the trail of each execution: its own, those of its steps, and what its operations changed.
CREATE VIEW wf.execution_trail AS
SELECT e.id AS execution, a.seq AS id FROM wf.executions e JOIN wf.audit a ON a.noun = 'executions' AND a.thing = e.id::text
UNION ALL SELECT s.execution, a.seq FROM wf.execution_steps s
  JOIN wf.audit a ON a.noun = 'executions' AND a.thing = s.execution || '/' || s.place
UNION ALL SELECT s.execution, a.seq FROM wf.execution_steps s
  JOIN wf.audit a ON wf.folded(a.request_id) = wf.folded(s.request_id) AND a.noun <> 'executions';
GRANT SELECT ON wf.execution_trail TO wf_viewer;

SELECT wf.audited('wf.executions', 'executions', 'id', 'none');
SELECT wf.audited('wf.execution_steps', 'executions', 'execution/place', 'none');
