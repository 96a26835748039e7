-- The registry of evidence.
INSERT INTO wf.operations (name, role) VALUES ('evidence.add', 'operator'), ('evidence.withdraw', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('evidence.add', 'wf.evidence', 'insert', NULL, NULL, NULL, false),
  ('evidence.withdraw', 'wf.evidence', 'update', '{withdrawn_at}', '{"withdrawn_at": null}', NULL, false);

CREATE OR REPLACE FUNCTION wf.guard_evidence() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- What the home knows itself is not the caller's to say.
    NEW.recorded_at := now();
    NEW.recorded_by := session_user;
    NEW.withdrawn_at := NULL;
    IF NEW.at > now() + interval '5 minutes' THEN
      refused := 'evidence_future';  -- it would count as fresh for ever
    END IF;
  ELSIF OLD.withdrawn_at IS NOT NULL THEN
    refused := 'evidence_withdrawn';
  ELSIF to_jsonb(NEW) - ARRAY['withdrawn_at', 'search'] IS DISTINCT FROM to_jsonb(OLD) - ARRAY['withdrawn_at', 'search']
      OR NEW.withdrawn_at IS NULL THEN  -- search is made from the others, and not yet
    refused := 'evidence_fixed';
  ELSE
    NEW.withdrawn_at := now();
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'evidence % is refused: %', left(NEW.sha256, 12), refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.evidence FOR EACH ROW EXECUTE FUNCTION wf.guard_evidence();

-- Not even the owner removes a row by mistake.
CREATE OR REPLACE FUNCTION wf.refuse_removal() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'what was recorded as evidence stays'
    USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'evidence_append_only', HINT = 'Withdraw it.';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE DELETE ON wf.evidence FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_removal();

GRANT SELECT ON wf.evidence TO wf_viewer, wf_worker;
GRANT INSERT (sha256, bytes, name, kind, subject, subject_sha256, environment, at, signature, signer) ON wf.evidence
  TO wf_operator;
GRANT UPDATE (withdrawn_at) ON wf.evidence TO wf_operator;
SELECT wf.audited('wf.evidence', 'evidence', 'id', 'none');
