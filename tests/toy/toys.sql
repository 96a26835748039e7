-- The noun of tests/toy/test_toy.py, as a file of backends/postgres/sql would have it, with its table.
CREATE TABLE wf.toys (
  id         text COLLATE "C" CONSTRAINT toys_pkey PRIMARY KEY CONSTRAINT toy_id_format CHECK (id ~ '^[a-z]{1,20}$'),
  label      text NOT NULL CONSTRAINT toy_label_length CHECK (char_length(label) BETWEEN 1 AND 60),
  state      text NOT NULL DEFAULT 'whole' CONSTRAINT toy_state CHECK (state IN ('whole', 'broken')),
  pieces     integer,
  version    integer NOT NULL DEFAULT 1,
  created_at wf.moment NOT NULL DEFAULT now()
);

CREATE VIEW wf.toy_list AS SELECT t.*, wf.folded(t.id || E'\n' || t.label) AS search FROM wf.toys t;

CREATE FUNCTION wf.guard_toy() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  IF OLD.state = 'broken' THEN
    RAISE EXCEPTION 'toy % is broken', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'toy_broken';
  END IF;
  NEW.version := OLD.version + 1;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE UPDATE ON wf.toys FOR EACH ROW EXECUTE FUNCTION wf.guard_toy();

GRANT SELECT ON wf.toys, wf.toy_list TO wf_viewer;
GRANT INSERT (id, label, pieces), UPDATE (label, state) ON wf.toys TO wf_operator;
SELECT wf.audited('wf.toys', 'toys', 'id', NULL);

INSERT INTO wf.operations VALUES ('toys.create', 'operator'), ('toys.rename', 'operator'), ('toys.smash', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, many) VALUES
  ('toys.create', 'wf.toys', 'insert', NULL, false),
  ('toys.rename', 'wf.toys', 'update', '{label}', false),
  ('toys.smash', 'wf.toys', 'update', '{state}', false);
