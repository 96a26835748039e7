-- Items of a run that are carried together: see carrying.sql for what is done to one.

-- Carry out the next items of a run in one transaction: at most `most`, and none after the `failures`-th refusal. `places`
-- and `codes` are the items that are refused and why; the caller writes those verdicts (wf.refuse_items). A batch ends before
-- an item that somebody else has locked, or whose verdict depends on one before it; when it did nothing, the first item goes
-- by itself (wf.carry_item), and that says why.
CREATE OR REPLACE FUNCTION wf.carry_items(
  run bigint, most integer, failures integer, OUT done integer, OUT places integer[], OUT codes text[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp
SET lock_timeout = '200ms' AS $$  -- it gives way before whoever waits for what it holds is ended as a deadlock
DECLARE
  ordered wf.runs;
  control text;
  refused text;
  place   integer;
BEGIN
  SELECT r.* INTO ordered FROM wf.runs r WHERE r.id = run FOR SHARE;
  control := (SELECT c.control FROM wf.carried_operations c WHERE c.operation = ordered.operation);
  refused := CASE
    WHEN control IS NULL OR control = 'wf.source_acts' THEN 'run_not_carried'  -- outside_runs.sql
    WHEN ordered.state <> 'running' THEN 'run_not_running'
    WHEN NOT (wf.drives(run) AND wf.may_drive(run)) THEN 'run_not_held'
    WHEN NOT wf.login_may(CASE WHEN wf.may('operator') THEN session_user ELSE ordered.actor END,
                          (SELECT o.role FROM wf.operations o WHERE o.name = ordered.operation)) THEN 'run_actor' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'run % is refused: %', run, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  done := 0;
  places := '{}';
  codes := '{}';
  IF control = 'wf.dead_letters' THEN
    SELECT * INTO done, places, codes FROM wf.carry_letters(ordered, least(coalesce(most, 0), 2000), failures);
    RETURN;
  END IF;
  FOR place IN
    SELECT i.ordinal FROM wf.run_items i WHERE i.run_id = run AND i.state = 'waiting' ORDER BY i.ordinal
    LIMIT least(greatest(coalesce(most, 0), 0), 60)  -- more subtransactions than PostgreSQL keeps at hand cost everybody
  LOOP
    BEGIN
      PERFORM wf.carry_item(run, place);
    EXCEPTION WHEN OTHERS THEN
      EXIT;  -- what went well before it stays
    END;
    done := done + 1;
  END LOOP;
END
$$;

-- The same for letters: each step is one statement for all of them.
CREATE OR REPLACE FUNCTION wf.carry_letters(
  ordered wf.runs, most integer, failures integer, OUT done integer, OUT places integer[], OUT codes text[]
) LANGUAGE plpgsql SET search_path = wf, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  verb    text := split_part(ordered.operation, '.', 2);
  next    record;
  good    record;
  changes bigint[];
BEGIN
  -- The first items whose letters, and what these stand for, nobody else has locked.
  WITH items AS MATERIALIZED (
    SELECT i.ordinal, i.thing::bigint AS letter FROM wf.run_items i
    WHERE i.run_id = ordered.id AND i.state = 'waiting' ORDER BY i.ordinal LIMIT greatest(most, 0)
  ), letters AS MATERIALIZED (
    SELECT l.id, l.source, l.source_id::bigint AS source_id FROM wf.dead_letters l
    WHERE l.id = ANY (ARRAY(SELECT i.letter FROM items i)) AND l.source IN (SELECT wf.sources_here())
    FOR NO KEY UPDATE OF l SKIP LOCKED
  ), jobs AS MATERIALIZED (
    SELECT j.id FROM wf.jobs j
    WHERE j.id = ANY (ARRAY(SELECT l.source_id FROM letters l WHERE l.source = 'jobs')) FOR UPDATE SKIP LOCKED
  ), deliveries AS MATERIALIZED (
    SELECT d.id FROM wf.deliveries d
    WHERE d.id = ANY (ARRAY(SELECT l.source_id FROM letters l WHERE l.source = 'deliveries')) FOR NO KEY UPDATE SKIP LOCKED
  ), held AS (
    SELECT i.ordinal, i.letter, bool_and(coalesce(j.id, d.id) IS NOT NULL) OVER (ORDER BY i.ordinal) AS so_far
    FROM items i LEFT JOIN letters l ON l.id = i.letter LEFT JOIN jobs j ON l.source = 'jobs' AND j.id = l.source_id
      LEFT JOIN deliveries d ON l.source = 'deliveries' AND d.id = l.source_id
  )
  SELECT coalesce(array_agg(h.ordinal ORDER BY h.ordinal), '{}') AS places,
         coalesce(array_agg(h.letter ORDER BY h.ordinal), '{}') AS letters INTO next FROM held h WHERE h.so_far;
  -- Their verdicts. Two of one key or schedule are not judged together: what the first does is a verdict on the second.
  WITH judged AS MATERIALIZED (
    SELECT i.ordinal, l.id, l.idempotency_key, l.headers ->> 'schedule' AS schedule,
           wf.letter_refusal(l, verb, ordered.fields, coalesce(i.version, (
             SELECT (a.after ->> 'version')::integer FROM wf.changes c JOIN wf.audit a ON a.change_id = c.id
             WHERE c.request_id = i.undoes AND a.noun = 'queues' AND a.thing = i.thing AND NOT a.out_of_band)),
             nullif(btrim(ordered.reason), '')) AS code
    FROM unnest(next.places, next.letters) u(ordinal, letter)
      JOIN wf.run_items i ON i.run_id = ordered.id AND i.ordinal = u.ordinal JOIN wf.dead_letters l ON l.id = u.letter
  ), counted AS (
    SELECT j.*, count(j.code) OVER before AS refusals,
           verb = 'replay' AND (j.idempotency_key IS NOT NULL AND row_number() OVER of_key > 1
             OR j.schedule IS NOT NULL AND row_number() OVER of_schedule > 1) AS depends
    FROM judged j
    WINDOW before AS (ORDER BY j.ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
           of_key AS (PARTITION BY j.idempotency_key ORDER BY j.ordinal),
           of_schedule AS (PARTITION BY j.schedule ORDER BY j.ordinal)
  ), kept AS (
    SELECT c.* FROM (SELECT *, bool_or(depends) OVER (ORDER BY ordinal) AS late FROM counted) c
    WHERE NOT c.late AND c.refusals < greatest(failures, 1)
  )
  SELECT array_agg(k.ordinal ORDER BY k.ordinal) FILTER (WHERE k.code IS NULL) AS places,
         array_agg(k.id ORDER BY k.ordinal) FILTER (WHERE k.code IS NULL) AS letters,
         coalesce(array_agg(k.ordinal ORDER BY k.ordinal) FILTER (WHERE k.code IS NOT NULL), '{}') AS refused,
         coalesce(array_agg(k.code ORDER BY k.ordinal) FILTER (WHERE k.code IS NOT NULL), '{}') AS codes INTO good FROM kept k;
  done := coalesce(cardinality(good.places), 0);
  places := good.refused;
  codes := good.codes;
  IF done > 0 THEN
    WITH made AS (
      INSERT INTO wf.changes (operation, reason, request_id, carried_for)
      SELECT ordered.operation, nullif(btrim(ordered.reason), ''), format('run-%s-%s', ordered.id, p),
             CASE WHEN NOT wf.may('operator') THEN ordered.actor END
      FROM unnest(good.places) p ORDER BY p RETURNING id
    )
    SELECT array_agg(m.id ORDER BY m.id) INTO changes FROM made m;
    PERFORM wf.change_letters(verb, good.letters, ordered.fields, changes);
  END IF;
END
$$;
GRANT EXECUTE ON FUNCTION wf.carry_items TO wf_operator, wf_worker;
