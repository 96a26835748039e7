-- A document nested thousands of levels deep could be read by no program: what people write has at most 64 levels. What is
-- there already is left, and shown as nested too deep.
ALTER DOMAIN wf.document ADD CONSTRAINT document_depth CHECK (NOT jsonb_path_exists(VALUE, 'strict $.**{64 to last}')) NOT VALID;
DO $$
DECLARE
  at text[];
BEGIN
  FOREACH at SLICE 1 IN ARRAY ARRAY[
    ['tenants', 'metadata'], ['plans', 'entitlements'], ['entitlement_grants', 'value'], ['routes', 'matchers'],
    ['silences', 'matchers'], ['execution_steps', 'output']]
  LOOP
    EXECUTE format('ALTER TABLE wf.%I ADD CONSTRAINT document_depth CHECK (NOT jsonb_path_exists(%I, %L)) NOT VALID',
                   at[1], at[2], 'strict $.**{64 to last}');
  END LOOP;
END
$$;
