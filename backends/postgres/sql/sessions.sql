-- Whatever the zone and the styles of a caller's connection are: how a time is written and read, how long a day is, and
-- what JSON holds does not depend on them in a function that pins its search_path. What is immutable depends on none.
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid FROM pg_proc p
           WHERE p.pronamespace IN ('wf'::regnamespace, 'wf_data'::regnamespace) AND p.provolatile <> 'i'
             AND EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=%') LOOP
    EXECUTE format($set$ALTER FUNCTION %s SET timezone TO 'UTC' SET datestyle TO 'ISO, MDY' SET intervalstyle TO 'postgres'
      SET extra_float_digits TO 1 SET bytea_output TO 'hex'$set$, f);
  END LOOP;
END
$$;
