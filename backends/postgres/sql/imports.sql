INSERT INTO wf.operations (name, role) VALUES
  ('requests.import', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('requests.import', 'requests', 'note',
   '{file,format,rows,resumed_rows,lines,skipped,created_tenants,from_at,until_at}', NULL, NULL, false),
  ('requests.import', 'wf.tenants', 'insert', NULL, NULL, NULL, true);

-- Which logs are stored, and who is importing them.
GRANT SELECT ON wf.import_chunks TO wf_viewer;

GRANT INSERT (running, previous, size, lines, rows, ends_open, left_out, from_at, until_at, days, marks),
      UPDATE (rows, left_out, change_id) ON wf.import_chunks TO wf_operator;

-- Lock a log for this session; false when another live session has it. A session that ended holds no log.
CREATE OR REPLACE FUNCTION wf.hold_import(source bytea) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM wf.in_time('operator');
  DELETE FROM wf.import_holds h WHERE NOT EXISTS (
    SELECT FROM pg_stat_activity a
    WHERE a.pid = h.pid AND coalesce(a.backend_start = h.backend_start, true));  -- NULL: we may not see it
  INSERT INTO wf.import_holds (source, pid, backend_start)
  SELECT hold_import.source, a.pid, coalesce(a.backend_start, now()) FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()
  ON CONFLICT DO NOTHING;
  RETURN EXISTS (SELECT FROM wf.import_holds h WHERE h.source = hold_import.source AND h.pid = pg_backend_pid());
END
$$;
GRANT EXECUTE ON FUNCTION wf.hold_import TO wf_operator;

-- How many requests of those days this transaction stored; counting stops at `wanted`. New rows are at the end of their
-- day's table, where the index does not cover them yet: so each day is read from its end, a MiB at a time, while it
-- finds some. Rows elsewhere, in space freed by erased rows, are searched for in all of those days.
CREATE OR REPLACE FUNCTION wf.stored_just_now(days date[], wanted integer) RETURNS bigint LANGUAGE plpgsql
SET search_path = wf, pg_temp AS $$
DECLARE
  found bigint := 0;
  upper bigint;
  here  bigint;
  part  regclass;
BEGIN
  FOR part IN SELECT DISTINCT coalesce(to_regclass('wf.requests_' || to_char(day, 'YYYYMMDD')), 'wf.requests_default')
              FROM unnest(days) AS day LOOP
    upper := pg_relation_size(part) / current_setting('block_size')::integer;
    LOOP
      EXECUTE format('SELECT count(*) FROM %s WHERE ctid >= $1 AND ctid < $2 AND xid = txid_current()', part)
      INTO here USING format('(%s,0)', greatest(upper - 128, 0))::tid, format('(%s,0)', upper)::tid;
      found := found + here;
      upper := upper - 128;
      EXIT WHEN here = 0 OR found >= wanted OR upper <= 0;
    END LOOP;
  END LOOP;
  IF found < wanted THEN
    SELECT count(*) INTO found FROM (
      SELECT FROM wf.requests r
      WHERE r.xid = txid_current() AND r.at >= (SELECT min(day)::timestamp AT TIME ZONE 'UTC' FROM unnest(days) AS day)
        AND r.at < (SELECT max(day + 1)::timestamp AT TIME ZONE 'UTC' FROM unnest(days) AS day)
      LIMIT wanted) stored;
  END IF;
  RETURN found;
END
$$;

-- Only the transaction that stores a chunk's rows may enter the chunk in the ledger, or add rows to it; rows of a
-- rolled-back savepoint do not count. One chunk per transaction, or the same rows could stand for two.
CREATE OR REPLACE FUNCTION wf.check_import() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  wanted integer := NEW.rows - CASE TG_OP WHEN 'UPDATE' THEN OLD.rows ELSE 0 END;
BEGIN
  IF wanted < (TG_OP = 'UPDATE')::integer
     OR wanted > 0 AND (EXISTS (SELECT FROM wf.import_chunks c WHERE c.xid = pg_current_xact_id())
                        OR wf.stored_just_now(NEW.days, wanted) < wanted) THEN
    RAISE EXCEPTION 'the % rows of a piece of a log were not stored with it', wanted
      USING ERRCODE = 'check_violation', CONSTRAINT = 'import_not_stored';
  END IF;
  NEW.xid := pg_current_xact_id();
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER check_import BEFORE INSERT OR UPDATE OF rows, left_out ON wf.import_chunks FOR EACH ROW
  EXECUTE FUNCTION wf.check_import();

-- And only the import's own change may mark it as recorded in the trail.
CREATE OR REPLACE FUNCTION wf.check_import_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
BEGIN
  IF (change.id, change.operation) IS DISTINCT FROM (NEW.change_id, 'requests.import') THEN
    RAISE EXCEPTION 'change % does not import a piece of a log', NEW.change_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'import_not_stored';
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER check_import_change BEFORE UPDATE OF change_id ON wf.import_chunks FOR EACH ROW
  WHEN (NEW.change_id IS NOT NULL) EXECUTE FUNCTION wf.check_import_change();
