-- The SQL of a gate's checks. It is that of a stored version, never the caller's, and runs as wf_detector, as the SQL of a
-- team's own detectors does (own_detectors.sql): it reads what a viewer reads, in a transaction that has become read-only.
GRANT CREATE ON SCHEMA wf TO wf_detector;  -- only until the function below is its own

-- `counted`: how many rows there are in all, else at most one more than the sample.
CREATE OR REPLACE FUNCTION wf.gate_rows(gate text, version integer, check_name text, counted boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  statement text := (
    SELECT c ->> 'sql' FROM wf.gate_versions v, jsonb_array_elements(v.definition::jsonb -> 'checks') c
    WHERE v.gate = gate_rows.gate AND v.version = gate_rows.version AND c ->> 'name' = check_name AND c ->> 'kind' = 'sql');
  found jsonb;
BEGIN
  PERFORM wf.in_time('operator');
  IF statement IS NULL THEN
    RAISE EXCEPTION 'the gate has no such check with SQL' USING ERRCODE = 'check_violation', CONSTRAINT = 'gate_check_unknown';
  END IF;
  PERFORM set_config('transaction_read_only', 'on', true);
  EXECUTE format(CASE WHEN counted THEN
      E'WITH d AS MATERIALIZED (\n%s\n) SELECT jsonb_build_object(''rows'', (SELECT count(*) FROM d), ''sample'',
        (SELECT coalesce(jsonb_agg(to_jsonb(s)), ''[]'') FROM (SELECT * FROM d LIMIT 20) s))'
    ELSE
      E'SELECT jsonb_build_object(''rows'', count(*), ''sample'', coalesce(jsonb_agg(to_jsonb(s)), ''[]''))
        FROM (SELECT d.* FROM (\n%s\n) d LIMIT 21) s' END, statement) INTO found;
  IF octet_length(found::text) > 32768 THEN
    found := found || '{"sample": []}';
  END IF;
  RETURN found;
END
$$;
ALTER FUNCTION wf.gate_rows OWNER TO wf_detector;
REVOKE CREATE ON SCHEMA wf FROM wf_detector;
GRANT EXECUTE ON FUNCTION wf.gate_rows TO wf_operator, wf_worker;
