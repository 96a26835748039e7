-- On-call schedules and their overrides.
INSERT INTO wf.operations (name, role) VALUES
  ('schedules.create', 'operator'), ('schedules.edit', 'operator'), ('schedules.end-override', 'operator'),
  ('schedules.override', 'operator'), ('schedules.restore', 'operator'), ('schedules.retire', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('schedules.create', 'wf.schedules', 'insert', NULL, NULL, NULL, false),
  ('schedules.edit', 'wf.schedules', 'update', '{rotations}', NULL, NULL, false),
  ('schedules.retire', 'wf.schedules', 'update', '{retired_at}', '{"retired_at": null}', NULL, false),
  ('schedules.restore', 'wf.schedules', 'update', '{retired_at}', NULL, '{"retired_at": null}', false),
  ('schedules.override', 'wf.schedule_overrides', 'insert', NULL, NULL, NULL, false),
  ('schedules.end-override', 'wf.schedule_overrides', 'update', '{ended_at}', '{"ended_at": null}', NULL, false);

CREATE OR REPLACE FUNCTION wf.guard_schedule() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.name, NEW.created_at, NEW.created_by) IS DISTINCT FROM (OLD.name, OLD.created_at, OLD.created_by) THEN
    refused := 'schedule_fixed';
  ELSIF TG_OP = 'UPDATE' AND OLD.retired_at IS NOT NULL AND (NEW.retired_at IS NOT NULL OR NEW.rotations <> OLD.rotations) THEN
    refused := 'schedule_retired';
  ELSIF NEW.retired_at IS NULL AND (TG_OP = 'INSERT' OR OLD.retired_at IS NOT NULL) AND (
      SELECT count(*) FROM (SELECT FROM wf.schedules s WHERE s.retired_at IS NULL LIMIT 500) AS live) = 500 THEN
    refused := 'schedule_many';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'schedule % is refused: %', NEW.name, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.schedules FOR EACH ROW EXECUTE FUNCTION wf.guard_schedule();
GRANT SELECT ON wf.schedules TO wf_viewer, wf_worker;
GRANT INSERT (name, rotations), UPDATE (rotations, retired_at) ON wf.schedules TO wf_operator;
SELECT wf.audited('wf.schedules', 'schedules', 'name', 'none');

CREATE OR REPLACE FUNCTION wf.guard_override() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  moment  constant timestamptz := clock_timestamp();
  retired timestamptz;
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.starts_at := greatest(NEW.starts_at, moment);  -- nobody is on call in hindsight
    SELECT s.retired_at INTO retired FROM wf.schedules s WHERE s.name = NEW.schedule FOR SHARE;
    IF retired IS NOT NULL THEN
      refused := 'schedule_retired';
    ELSIF NEW.ends_at <= moment THEN
      refused := 'override_past';
    ELSIF (SELECT count(*) FROM (
        SELECT FROM wf.schedule_overrides o WHERE o.schedule = NEW.schedule AND least(o.ends_at, o.ended_at) > moment
        LIMIT 200) AS live) = 200 THEN
      refused := 'override_many';
    END IF;
  ELSIF least(OLD.ends_at, OLD.ended_at) <= moment THEN
    refused := 'override_over';
  ELSIF to_jsonb(NEW) - 'ended_at' <> to_jsonb(OLD) - 'ended_at' OR NEW.ended_at IS NULL THEN
    refused := 'override_fixed';
  ELSE
    NEW.ended_at := moment;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'an override of % is refused: %', NEW.schedule, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.schedule_overrides
  FOR EACH ROW EXECUTE FUNCTION wf.guard_override();
GRANT SELECT ON wf.schedule_overrides TO wf_viewer, wf_worker;
GRANT INSERT (schedule, person, starts_at, ends_at, kind, instead_of), UPDATE (ended_at) ON wf.schedule_overrides TO wf_operator;
SELECT wf.audited('wf.schedule_overrides', 'overrides', 'id', 'none');
