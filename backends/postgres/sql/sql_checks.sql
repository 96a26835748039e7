-- The SQL of a gate's checks. It is that of a stored version, never the caller's, and runs as wf_detector, as the SQL of a
-- team's own detectors does (own_detectors.sql): it reads what a viewer reads, in a transaction that has become read-only.
GRANT CREATE ON SCHEMA wf TO wf_detector;  -- only until the function below is its own

-- `counted`: how many rows there are in all, else at most one more than the sample; and of a check that can tell, only of
-- what changed since it was last looked at as a whole, as far as that still holds. `seq`: the trail's last row when all was
-- looked at; `since`, `run`, `changes`: what it was looked at from, and how many rows the trail has since then.
CREATE OR REPLACE FUNCTION wf.gate_rows(gate text, version integer, check_name text, environment text, counted boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  spec      jsonb := (
    SELECT c FROM wf.gate_versions v, jsonb_array_elements(v.definition::jsonb -> 'checks') c
    WHERE v.gate = gate_rows.gate AND v.version = gate_rows.version AND c ->> 'name' = check_name AND c ->> 'kind' = 'sql');
  statement text := spec ->> 'sql';
  newest    bigint := (SELECT coalesce(max(a.seq), 0) FROM wf.audit_list a);
  whole     record;
  changes   bigint;
  found     jsonb;
BEGIN
  PERFORM wf.in_time('operator');
  IF statement IS NULL THEN
    RAISE EXCEPTION 'the gate has no such check with SQL' USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_check_unknown';
  END IF;
  IF NOT counted AND spec ->> 'fast' <> '' THEN
    SELECT r.id, (k.observed::jsonb ->> 'seq')::bigint AS seq INTO whole
    FROM wf.gate_runs r JOIN wf.gate_checks k ON k.run_id = r.id AND k.name = check_name
    WHERE r.gate = gate_rows.gate AND r.environment = gate_rows.environment AND r.gate_version = gate_rows.version
      AND r.state = 'decided' AND k.state = 'pass' AND k.observed::jsonb ->> 'seq' ~ '^[0-9]{1,18}$'
      AND k.observed_at > now() - (spec ->> 'freshness')::integer * interval '1 second'
    ORDER BY r.id DESC LIMIT 1;
    IF whole.seq <= newest AND NOT EXISTS (SELECT FROM wf.audit_list a WHERE a.seq > whole.seq AND a.noun = 'triggers') THEN
      SELECT count(*) INTO changes FROM (SELECT FROM wf.audit_list a WHERE a.seq > whole.seq LIMIT 100001) c;
    END IF;
  END IF;
  PERFORM set_config('transaction_read_only', 'on', true);
  IF changes <= 100000 THEN
    EXECUTE format(E'SELECT jsonb_build_object(''rows'', count(*), ''sample'', coalesce(jsonb_agg(to_jsonb(s)), ''[]''))
        FROM (SELECT d.* FROM (\n%s\n) d LIMIT 21) s', spec ->> 'fast') INTO found USING whole.seq;
    found := found || jsonb_build_object('since', whole.seq, 'run', whole.id, 'changes', changes);
  ELSE
    EXECUTE format(CASE WHEN counted THEN
        E'WITH d AS MATERIALIZED (\n%s\n) SELECT jsonb_build_object(''rows'', (SELECT count(*) FROM d), ''sample'',
          (SELECT coalesce(jsonb_agg(to_jsonb(s)), ''[]'') FROM (SELECT * FROM d LIMIT 20) s))'
      ELSE
        E'SELECT jsonb_build_object(''rows'', count(*), ''sample'', coalesce(jsonb_agg(to_jsonb(s)), ''[]''))
          FROM (SELECT d.* FROM (\n%s\n) d LIMIT 21) s' END, statement) INTO found;
    found := found || jsonb_build_object('seq', newest);
  END IF;
  IF octet_length(found::text) > 32768 THEN
    found := found || '{"sample": []}';
  END IF;
  RETURN found;
END
$$;
ALTER FUNCTION wf.gate_rows OWNER TO wf_detector;
REVOKE CREATE ON SCHEMA wf FROM wf_detector;
GRANT EXECUTE ON FUNCTION wf.gate_rows TO wf_operator, wf_worker;
