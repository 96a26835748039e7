INSERT INTO wf.operations (name, role) VALUES
  ('commands.run', 'support');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('commands.run', 'commands', 'note', '{command,noun,row}', NULL, NULL, false);

-- Record that somebody ran a command of their settings on a row: its name, never its words or what it wrote.
CREATE OR REPLACE FUNCTION wf.note_command(command text, noun text, key text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF (wf.current_change()).operation IS DISTINCT FROM 'commands.run'
    OR (command ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$' AND noun ~ '^[a-z_-]{1,32}$' AND char_length(key) <= 400) IS NOT TRUE THEN
    RAISE EXCEPTION 'a command of one''s own is recorded by commands.run' USING ERRCODE = 'check_violation', CONSTRAINT = 'command_note';
  END IF;
  RETURN wf.note('commands', command, NULL, jsonb_build_object('command', command, 'noun', noun, 'row', key));
END
$$;
GRANT EXECUTE ON FUNCTION wf.note_command TO wf_support;
