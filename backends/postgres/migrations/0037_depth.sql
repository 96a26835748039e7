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

-- What a console shows, as controlplane.listing.View writes it: texts, and lists of texts.
ALTER TABLE wf.presences DROP CONSTRAINT presence_view;
ALTER TABLE wf.incident_views DROP CONSTRAINT incident_view;
DO $$
DECLARE
  place text;
BEGIN
  FOREACH place IN ARRAY '{presences,incident_views}'::text[] LOOP
    EXECUTE format($check$ALTER TABLE wf.%I ADD CONSTRAINT view_form CHECK (
      jsonb_typeof(view) = 'object' AND view ? 'noun' AND octet_length(view::text) <= 4096
      AND CASE jsonb_typeof(view) WHEN 'object' THEN view - '{noun,path,filter,sort,row,columns}'::text[] = '{}' ELSE false END
      AND NOT jsonb_path_exists(view, '$.*[*] ? (@.type() != "string")')) NOT VALID$check$, place);
  END LOOP;
END
$$;
