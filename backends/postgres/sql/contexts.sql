INSERT INTO wf.operations (name, role) VALUES
  ('contexts.write', 'support');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('contexts.write', 'contexts', 'note', '{context,minutes}', NULL, NULL, false);

-- Opening a read-only context for writing for a while. No row changes in the home, so this writes a note.
-- For people only: a worker has no console.
CREATE OR REPLACE FUNCTION wf.note_writing(context text, minutes int) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.note('contexts', context, NULL, jsonb_build_object('context', context, 'minutes', minutes))
$$;
GRANT EXECUTE ON FUNCTION wf.note_writing TO wf_support;
