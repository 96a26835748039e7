-- What a console shows, as controlplane.listing.View writes it: texts, and lists of texts. Homes that were made with the
-- edited 0036 (backends/postgres/migrate.py, EDITED) have a domain that says the same.
ALTER TABLE wf.presences DROP CONSTRAINT IF EXISTS presence_view;
ALTER TABLE wf.incident_views DROP CONSTRAINT IF EXISTS incident_view;
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
