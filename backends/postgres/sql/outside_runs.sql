-- Runs over dead messages of other systems. The program that carries such a run has the sources' credentials; the home says
-- who may carry it, commits what is about to be done before it is done, and gives the items their verdicts together with the
-- outcome. A program may be killed at any point: its act has no outcome then, and says so.

-- Why the login may not do the next items of such a run; NULL: it may.
CREATE OR REPLACE FUNCTION wf.outside_refusal(ordered wf.runs) RETURNS text LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT CASE
    WHEN NOT EXISTS (SELECT FROM wf.carried_operations c
                     WHERE c.operation = ordered.operation AND c.control = 'wf.source_acts') THEN 'run_not_carried'
    WHEN ordered.state <> 'running' THEN 'run_not_running'
    WHEN NOT (wf.drives(ordered.id) AND wf.may_drive(ordered.id)) THEN 'run_not_held'
    WHEN NOT wf.login_may(CASE WHEN wf.may('operator') THEN session_user ELSE ordered.actor END,
                          (SELECT o.role FROM wf.operations o WHERE o.name = ordered.operation)) THEN 'run_actor' END
$$;

-- Record what is about to be done to these items, all of one source.
CREATE OR REPLACE FUNCTION wf.begin_run_act(run bigint, places integer[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  ordered wf.runs;
  named   record;
  made    wf.source_acts;
  refused text;
BEGIN
  SELECT * INTO ordered FROM wf.runs r WHERE r.id = run FOR SHARE;
  SELECT count(*) AS many, count(DISTINCT split_part(i.thing, '/', 1)) AS sources, min(split_part(i.thing, '/', 1)) AS source,
         array_agg(substring(i.thing FROM position('/' IN i.thing) + 1) ORDER BY i.ordinal) AS things,
         bool_and(i.state = 'waiting') AS waiting INTO named
  FROM wf.run_items i WHERE i.run_id = run AND i.ordinal = ANY (places);
  refused := coalesce(wf.outside_refusal(ordered), CASE
    WHEN ordered.reason IS NULL THEN 'act_reason'
    WHEN named.many NOT BETWEEN 1 AND 500 OR named.many <> cardinality(places) OR named.sources <> 1
      OR octet_length(named.things::text) > 49152 THEN 'act_things'
    WHEN NOT named.waiting OR EXISTS (SELECT FROM wf.source_acts a WHERE a.run_id = run AND a.state = 'open')
      THEN 'run_item_settled' END);
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'an act of run % is refused: %', run, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  PERFORM wf.open_act_change(ordered, ordered.operation);
  INSERT INTO wf.source_acts (source, verb, things, actor, reason, run_id)
  VALUES (named.source, split_part(ordered.operation, '.', 2), named.things, wf.person(), left(ordered.reason, 2000), run)
  RETURNING * INTO made;
  PERFORM wf.append_audit('wf.source_acts', 'messages', 'insert', ARRAY[made.id::text], ARRAY[NULL::text],
                          ARRAY[NULL::jsonb], ARRAY[wf.act_image(made)], '{}');
  PERFORM set_config('wf.change', '', true);
  RETURN made.id;
END
$$;

-- The change of an act: of the person who started the run, when a worker carries it.
CREATE OR REPLACE FUNCTION wf.open_act_change(ordered wf.runs, operation text) RETURNS void LANGUAGE plpgsql
SET search_path = wf, pg_temp AS $$
DECLARE
  change bigint;
BEGIN
  INSERT INTO wf.changes (operation, reason, request_id, carried_for)
  VALUES (operation, nullif(btrim(ordered.reason), ''), format('run-%s-act-%s', ordered.id, gen_random_uuid()),
          CASE WHEN NOT wf.may('operator') THEN ordered.actor END) RETURNING id INTO change;
  PERFORM set_config('wf.change', change::text, true);
END
$$;

-- Record what became of an act, once, and give its items their verdicts; also when the run was paused or stopped meanwhile, for it
-- was done. `others`: the verdict of each thing that it was not done to; one that is `left` was not tried, and waits on.
-- `said`: each verdict in words.
CREATE OR REPLACE FUNCTION wf.end_run_act(act bigint, state text, others jsonb, detail text, said jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was     wf.source_acts;
  moved   record;
  refused text;
BEGIN
  SELECT * INTO was FROM wf.source_acts a WHERE a.id = act;
  PERFORM FROM wf.runs r WHERE r.id = was.run_id FOR SHARE;  -- before the act's row, as begin_run_act does
  SELECT * INTO was FROM wf.source_acts a WHERE a.id = act FOR NO KEY UPDATE;
  refused := CASE
    WHEN was.run_id IS NULL THEN 'act_unknown'
    WHEN NOT wf.drives(was.run_id) THEN 'run_not_held'
    WHEN was.state <> 'open' OR end_run_act.state NOT IN ('done', 'refused', 'unknown') THEN 'act_ended'
    WHEN EXISTS (SELECT FROM jsonb_object_keys(others) k WHERE k <> ALL (was.things::text[])) THEN 'act_things' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the outcome of an act is refused: %', refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  PERFORM wf.close_act(was, end_run_act.state, others, detail);
  WITH verdicts AS (
    SELECT was.source || '/' || t AS thing, others ->> t AS verdict FROM unnest(was.things::text[]) t
  ), old AS (
    SELECT i.ordinal, i.state, v.verdict FROM verdicts v JOIN wf.run_items i ON i.run_id = was.run_id AND i.thing = v.thing
    WHERE i.state IN ('waiting', 'skipped') AND v.verdict IS DISTINCT FROM 'left' FOR NO KEY UPDATE OF i
  ), new AS (
    UPDATE wf.run_items i
    SET state = CASE WHEN o.verdict IS NULL THEN 'done' ELSE 'refused' END, code = 'message_' || left(o.verdict, 40),
        words = left(said ->> o.verdict, 1000), settled_at = clock_timestamp(), settled_by = session_user
    FROM old o WHERE i.run_id = was.run_id AND i.ordinal = o.ordinal RETURNING o.state AS before, i.state
  )
  SELECT count(*) FILTER (WHERE n.before = 'waiting') AS waited, count(*) FILTER (WHERE n.before = 'skipped') AS skipped,
         count(*) FILTER (WHERE n.state = 'done') AS done, count(*) FILTER (WHERE n.state = 'refused') AS refused
  INTO moved FROM new n;
  UPDATE wf.run_progress p SET waiting = p.waiting - moved.waited, skipped = p.skipped - moved.skipped,
         done = p.done + moved.done, refused = p.refused + moved.refused WHERE p.run_id = was.run_id;
  PERFORM pg_notify('wf', 'runs ' || was.run_id);
END
$$;

CREATE OR REPLACE FUNCTION wf.close_act(was wf.source_acts, becomes text, verdicts jsonb, told text) RETURNS void
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  own  boolean := (wf.current_change()).operation IS NOT DISTINCT FROM 'messages.settle';
  made wf.source_acts;
BEGIN
  IF NOT own THEN
    PERFORM wf.open_act_change(r, 'messages.settle') FROM wf.runs r WHERE r.id = was.run_id;
  END IF;
  UPDATE wf.source_acts a
  SET state = becomes, others = verdicts, detail = left(wf.without_addresses(to_jsonb(told)) #>> '{}', 2000),
      ended_at = clock_timestamp(),
      done = CASE becomes WHEN 'done' THEN cardinality(a.things) - (SELECT count(*) FROM jsonb_object_keys(verdicts)) ELSE 0 END
  WHERE a.id = was.id RETURNING * INTO made;
  PERFORM wf.append_audit('wf.source_acts', 'messages', 'update', ARRAY[made.id::text], ARRAY[NULL::text],
                          ARRAY[wf.act_image(was)], ARRAY[wf.act_image(made)], '{}');
  IF NOT own THEN
    PERFORM set_config('wf.change', '', true);
  END IF;
END
$$;

-- Whoever begins to drive a run: what a program that is gone had begun gets the outcome `unknown`. Returns the items that wait
-- of which nobody knows whether it was done.
CREATE OR REPLACE FUNCTION wf.end_lost_acts(run bigint) RETURNS integer[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  ordered wf.runs;
  lost    wf.source_acts;
  refused text;
BEGIN
  SELECT * INTO ordered FROM wf.runs r WHERE r.id = run FOR SHARE;
  refused := wf.outside_refusal(ordered);
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the acts of run % are not ended: %', run, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  FOR lost IN SELECT a.* FROM wf.source_acts a WHERE a.run_id = run AND a.state = 'open' FOR NO KEY UPDATE LOOP
    PERFORM wf.close_act(lost, 'unknown', (SELECT jsonb_object_agg(t, 'unknown') FROM unnest(lost.things::text[]) t),
                         'the program that did it is gone');
  END LOOP;
  RETURN ARRAY(
    SELECT DISTINCT i.ordinal FROM wf.source_acts a CROSS JOIN unnest(a.things::text[]) t
      JOIN wf.run_items i ON i.run_id = run AND i.thing = a.source || '/' || t AND i.state = 'waiting'
    WHERE a.run_id = run AND a.state = 'unknown' AND a.others ->> t = 'unknown');
END
$$;
GRANT EXECUTE ON FUNCTION wf.begin_run_act, wf.end_run_act, wf.end_lost_acts TO wf_operator, wf_worker;

-- Those of these tenants that this home knows, and that are not active.
CREATE OR REPLACE FUNCTION wf.inactive_tenants(tenants text[]) RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  SELECT ARRAY(SELECT t.id::text FROM wf.tenants t WHERE t.id = ANY (tenants) AND t.status <> 'active')
$$;
GRANT EXECUTE ON FUNCTION wf.inactive_tenants TO wf_operator, wf_worker;
