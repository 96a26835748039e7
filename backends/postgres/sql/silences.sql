-- Silences: what people write, and what ends them by itself.
INSERT INTO wf.operations (name, role) VALUES
  ('silences.create', 'operator'), ('silences.edit', 'operator'), ('silences.end', 'operator'),
  ('silences.expire', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('silences.create', 'wf.silences', 'insert', NULL, NULL, '{"replaces": null}', false),
  ('silences.edit', 'wf.silences', 'update', '{starts_at,ends_at,comment,ended_at,ended_by}', NULL, NULL, false),
  ('silences.edit', 'wf.silences', 'insert', NULL, NULL, NULL, false),
  ('silences.end', 'wf.silences', 'update', '{ended_at,ended_by}', '{"ended_at": null}', NULL, false),
  ('silences.expire', 'wf.silences', 'update', '{ended_at}', '{"ended_at": null}', NULL, true);

-- An edit either changes an end, a comment or a start that is still to come; or it ends the silence and, in the same
-- transaction, inserts the one that takes its place. The times are the home's own, whatever the caller says.
CREATE OR REPLACE FUNCTION wf.guard_silence() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  moment  constant timestamptz := clock_timestamp();
  most    constant interval := CASE WHEN wf.may('admin') THEN interval '90 days' ELSE interval '7 days' END;
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.starts_at := greatest(NEW.starts_at, moment);
    IF NEW.replaces IS NOT NULL AND NOT EXISTS (
        SELECT FROM wf.silences s WHERE s.id = NEW.replaces AND s.ended_at >= now() AND s.ended_by = session_user) THEN
      refused := 'silence_replaces';
    ELSIF (SELECT count(*) FROM (
        SELECT FROM wf.silences s WHERE least(s.ends_at, s.ended_at) > moment LIMIT 1000) AS live) = 1000 THEN
      refused := 'silence_many';
    END IF;
  ELSIF (NEW.id, NEW.matchers, NEW.ends, NEW.after_seconds, NEW.replaces, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.id, OLD.matchers, OLD.ends, OLD.after_seconds, OLD.replaces, OLD.created_at, OLD.created_by) THEN
    refused := 'silence_fixed';
  ELSIF least(OLD.ends_at, OLD.ended_at) <= moment THEN
    refused := 'silence_over';
  ELSIF NEW.ended_at IS NOT NULL THEN
    IF (NEW.starts_at, NEW.ends_at, NEW.comment) IS DISTINCT FROM (OLD.starts_at, OLD.ends_at, OLD.comment) THEN
      refused := 'silence_fixed';
    END IF;
    NEW.ended_at := moment;
    NEW.ended_by := CASE WHEN wf.may('operator') OR (wf.current_change()).carried_for IS NOT NULL THEN wf.person() END;
  ELSIF NEW.starts_at <> OLD.starts_at THEN
    NEW.starts_at := greatest(NEW.starts_at, moment);
    refused := CASE WHEN OLD.starts_at <= moment THEN 'silence_started' END;
  END IF;
  IF refused IS NULL AND (TG_OP = 'INSERT' OR (NEW.starts_at, NEW.ends_at) IS DISTINCT FROM (OLD.starts_at, OLD.ends_at)) THEN
    IF NEW.ends_at <= moment THEN
      refused := 'silence_past';
    ELSIF NEW.ends_at > greatest(NEW.starts_at, moment) + most
        AND (TG_OP = 'INSERT' OR NEW.ends_at > OLD.ends_at OR NEW.starts_at < OLD.starts_at) THEN
      refused := 'silence_length';
    END IF;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'silence % is refused: %', NEW.id, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.silences FOR EACH ROW EXECUTE FUNCTION wf.guard_silence();
GRANT SELECT ON wf.silences TO wf_viewer, wf_worker;
GRANT INSERT (matchers, starts_at, ends_at, comment, ends, after_seconds, replaces),
      UPDATE (starts_at, ends_at, comment, ended_at) ON wf.silences TO wf_operator;
SELECT wf.audited('wf.silences', 'silences', 'id', 'none');
GRANT EXECUTE ON FUNCTION wf.matchers_valid TO wf_operator;

-- End silences that have had nothing to hide for long enough, of which the worker's program says so; only those that end
-- in that way, and no sooner than that. Returns how many.
CREATE OR REPLACE FUNCTION wf.expire_silences(ids bigint[]) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  over bigint[] := ARRAY(
    SELECT s.id FROM wf.silences s
    WHERE s.id = ANY (ids) AND s.ends <> 'time' AND least(s.ends_at, s.ended_at) > clock_timestamp() + interval '1 second'
      AND s.starts_at <= clock_timestamp() - make_interval(secs => s.after_seconds)
    ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED);
BEGIN
  IF over = '{}' THEN
    RETURN 0;
  END IF;
  PERFORM wf.open_home_change('silences.expire', NULL, format('silence-%s-expired', over[1]));
  UPDATE wf.silences SET ended_at = clock_timestamp() WHERE id = ANY (over);
  PERFORM set_config('wf.change', '', true);
  RETURN cardinality(over);
END
$$;
GRANT EXECUTE ON FUNCTION wf.expire_silences TO wf_worker;
