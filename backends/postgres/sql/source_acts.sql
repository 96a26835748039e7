-- What is done to dead messages outside the home. What they are, and how they are queued again, only the program knows
-- that has the source's credentials; the home says who may do it, and keeps what was meant and what became of it.
INSERT INTO wf.operations (name, role) VALUES
  ('messages.replay', 'operator'), ('messages.discard', 'operator'), ('messages.settle', 'operator'),
  ('sources.redrive', 'operator'), ('sources.cancel', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('messages.replay', 'wf.source_acts', 'insert', NULL, NULL, '{"verb": "replay", "state": "open"}', false),
  ('messages.discard', 'wf.source_acts', 'insert', NULL, NULL, '{"verb": "discard", "state": "open"}', false),
  ('sources.redrive', 'wf.source_acts', 'insert', NULL, NULL, '{"verb": "redrive", "state": "open"}', false),
  ('sources.cancel', 'wf.source_acts', 'insert', NULL, NULL, '{"verb": "cancel", "state": "open"}', false),
  ('messages.settle', 'wf.source_acts', 'update', '{state,done,others,detail,ended_at}', '{"state": "open"}', NULL, false);

-- Record that something is about to be done. Only within the operation of that verb, so that the trail says who may.
CREATE OR REPLACE FUNCTION wf.begin_source_act(source text, verb text, things text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change  wf.changes := wf.current_change();
  made    wf.source_acts;
  refused text;
BEGIN
  IF NOT EXISTS (SELECT FROM wf.operation_writes w WHERE w.operation = change.operation AND w.control = 'wf.source_acts'
                 AND w.becomes ->> 'verb' = begin_source_act.verb) THEN
    refused := 'act_change';
  ELSIF change.reason IS NULL THEN
    refused := 'act_reason';
  ELSIF octet_length(things::text) > 49152 THEN  -- the verdicts of all of them must fit into the outcome
    refused := 'act_things';
  ELSIF (SELECT count(*) <> count(DISTINCT t) FROM unnest(things) t) THEN
    refused := 'act_twice';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the act is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  INSERT INTO wf.source_acts (source, verb, things, actor, reason)
  VALUES (source, verb, things, wf.person(), left(change.reason, 2000)) RETURNING * INTO made;
  PERFORM wf.append_audit('wf.source_acts', split_part(change.operation, '.', 1), 'insert', ARRAY[made.id::text],
                          ARRAY[NULL::text], ARRAY[NULL::jsonb], ARRAY[wf.act_image(made)], '{}');
  RETURN made.id;
END
$$;

-- Record what became of it: by whom it was begun, once. `others`: the verdict of each thing that it was not done to.
CREATE OR REPLACE FUNCTION wf.end_source_act(act bigint, state text, others jsonb, detail text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was     wf.source_acts;
  refused text;
BEGIN
  SELECT * INTO was FROM wf.source_acts a WHERE a.id = act FOR NO KEY UPDATE;
  IF was.id IS NULL THEN
    refused := 'act_unknown';
  ELSIF (wf.current_change()).operation IS DISTINCT FROM 'messages.settle' THEN
    refused := 'act_change';
  ELSIF was.actor <> wf.person() OR was.run_id IS NOT NULL THEN  -- of a run's act wf.end_run_act does
    refused := 'act_foreign';
  ELSIF was.state <> 'open' OR end_source_act.state = 'open' THEN
    refused := 'act_ended';
  ELSIF EXISTS (SELECT FROM jsonb_object_keys(others) k WHERE k <> ALL (was.things::text[])) THEN
    refused := 'act_things';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the outcome of an act is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  PERFORM wf.close_act(was, end_source_act.state, others, detail);
END
$$;

CREATE OR REPLACE FUNCTION wf.act_image(a wf.source_acts) RETURNS jsonb LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT to_jsonb(a) - ARRAY['actor', 'reason', 'at']
$$;
GRANT EXECUTE ON FUNCTION wf.begin_source_act, wf.end_source_act TO wf_operator;

CREATE VIEW wf.source_act_list AS
SELECT a.id, a.source, a.verb, a.things, a.state, a.done, a.others, a.detail, a.actor, a.reason, a.at, a.ended_at, a.run_id
FROM wf.source_acts a;
GRANT SELECT ON wf.source_act_list TO wf_viewer;

CREATE OR REPLACE FUNCTION wf.prune_source_acts() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  WITH gone AS (
    DELETE FROM wf.source_acts a WHERE a.id IN (
      SELECT o.id FROM wf.source_acts o WHERE o.at < clock_timestamp() - interval '400 days' ORDER BY o.at LIMIT 5000)
    RETURNING 1)
  SELECT count(*) FROM gone
$$;
GRANT EXECUTE ON FUNCTION wf.prune_source_acts TO wf_worker;
