-- Every function that pins its search_path also pins the time zone and the date and interval styles, so that how a time
-- is written and read, how long a day is, and what JSON holds do not depend on the caller's session. Immutable
-- functions depend on none of these.
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
