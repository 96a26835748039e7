-- Addresses are read through wf.request_list and wf.key_calls, which show them to support and above.
GRANT SELECT (tenant_id, project_id, route, method, status, latency_ms, key_prefix, region, request_id, at, bytes, key_id)
  ON wf.requests TO wf_viewer;
GRANT SELECT ON wf.requests TO wf_worker;
-- The roll-up relies on the number of the transaction that stores a row, so the caller cannot set it.
GRANT INSERT (tenant_id, project_id, route, method, status, latency_ms, key_prefix, region, request_id, at, bytes, key_id,
              address) ON wf.requests TO wf_operator, wf_worker, wf_service;

-- What people read, with the owner's rights: an address is masked for those who may not see it. `id` names a row by its
-- time and its place in the table; rows never change, so it stays, but for one moved to a new partition.
CREATE VIEW wf.request_list AS
SELECT (extract(epoch FROM r.at) * 1000000)::bigint || '-' || replace(btrim(r.ctid::text, '()'), ',', '-') COLLATE "C" AS id,
       r.at, r.tenant_id, r.route, r.method, r.status, r.latency_ms, r.bytes, r.key_prefix, r.key_id,
       CASE WHEN (SELECT wf.sees_addresses()) THEN host(r.address) ELSE wf.masked(host(r.address)) END AS address,
       r.region, r.project_id, r.request_id, r.xid
FROM wf.requests r;
GRANT SELECT ON wf.request_list TO wf_viewer;

-- Make the partition of one period, and move its rows there from the default one. Returns whether it was made.
-- The default partition is locked meanwhile; a row of that period written to it in between would be refused.
CREATE OR REPLACE FUNCTION wf.make_partition(parent text, clock text, stamp text, lower timestamptz, upper timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  part text := parent || '_' || stamp;
BEGIN
  PERFORM wf.take_lock('partitions');
  IF to_regclass('wf.' || quote_ident(part)) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('LOCK TABLE wf.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
  EXECUTE format('CREATE TABLE wf.%I (LIKE wf.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
  EXECUTE format('WITH moved AS (DELETE FROM wf.%I WHERE %I >= $1 AND %2$I < $2 RETURNING *)
                  INSERT INTO wf.%3$I SELECT * FROM moved', parent || '_default', clock, part) USING lower, upper;
  EXECUTE format('ALTER TABLE wf.%I ATTACH PARTITION wf.%I FOR VALUES FROM (%L) TO (%L)', parent, part, lower, upper);
  RETURN true;
END
$$;

-- Make the day partitions from `first` to `last`, both included: at most 62 per call, none beyond the next 62 days, and
-- old days only while there are fewer than 1,000 partitions. Rows of all other days go to the default partition.
-- Returns how many were made. Fails after 0.5 s when a reader blocks it.
CREATE OR REPLACE FUNCTION wf.ensure_request_days(first date, last date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  made  integer := 0;
  today date := (now() AT TIME ZONE 'UTC')::date;
  room  integer;
  day   date;
BEGIN
  PERFORM wf.in_time('operator');
  IF last - first NOT BETWEEN 0 AND 61 THEN
    RAISE EXCEPTION 'days % to %: at most 62 at a time', first, last USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR day IN
    SELECT d::date FROM generate_series(first::timestamp, last::timestamp, interval '1 day') d
    WHERE to_regclass('wf.requests_' || to_char(d, 'YYYYMMDD')) IS NULL
  LOOP
    CONTINUE WHEN day NOT BETWEEN date '1970-01-01' AND today + 62;
    room := coalesce(room, 1000 - (SELECT count(*) FROM pg_inherits WHERE inhparent = 'wf.requests'::regclass)) - 1;
    CONTINUE WHEN room < 0 AND day < today - 62;  -- any number of old days never keeps today's from being made
    made := made + wf.make_partition('requests', 'at', to_char(day, 'YYYYMMDD'), day::timestamp AT TIME ZONE 'UTC',
                                     (day + 1)::timestamp AT TIME ZONE 'UTC')::integer;
  END LOOP;
  RETURN made;
END
$$;
GRANT EXECUTE ON FUNCTION wf.ensure_request_days TO wf_operator, wf_worker;

-- The time of the newest stored request up to a time. The newest hour cell before it tells where to look, so that only
-- the last rows are read.
CREATE OR REPLACE FUNCTION wf.newest_request(as_of timestamptz DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  bound timestamptz := coalesce(as_of, now());
  rolled timestamptz := (SELECT max(hour) FROM wf.request_hours WHERE hour <= bound - interval '1 hour');
BEGIN
  RETURN (SELECT max(at) FROM wf.requests WHERE at >= coalesce(rolled, '-infinity') AND at <= bound);
END
$$;
GRANT EXECUTE ON FUNCTION wf.newest_request TO wf_viewer, wf_worker;

GRANT SELECT ON wf.telemetry_retention TO wf_viewer, wf_worker;
GRANT UPDATE (days) ON wf.telemetry_retention TO wf_admin;
SELECT wf.audited('wf.telemetry_retention', 'telemetry', 'data', 'none');

CREATE OR REPLACE FUNCTION wf.guard_retention() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  IF NEW.data <> OLD.data THEN
    RAISE EXCEPTION 'a class of data keeps its name' USING ERRCODE = 'check_violation', CONSTRAINT = 'retention_fixed';
  END IF;
  NEW.version := OLD.version + 1;
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON wf.telemetry_retention FOR EACH ROW EXECUTE FUNCTION wf.guard_retention();

-- Older data may be dropped: whole days, in UTC.
CREATE OR REPLACE FUNCTION wf.kept_from(class text, as_of timestamptz DEFAULT now()) RETURNS timestamptz LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT date_trunc('day', as_of, 'UTC') - r.days * interval '24 hours' FROM wf.telemetry_retention r WHERE r.data = class;
END;
GRANT EXECUTE ON FUNCTION wf.kept_from TO wf_viewer, wf_worker;

CREATE OR REPLACE FUNCTION wf.make_cell_partition(parent text, clock text, at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  unit  text := CASE parent WHEN 'request_minutes' THEN 'day' ELSE 'month' END;
  lower timestamptz := date_trunc(unit, at);
  stamp text := to_char(lower, CASE unit WHEN 'month' THEN 'YYYYMM' ELSE 'YYYYMMDD' END);
BEGIN
  IF to_regclass('wf.' || parent || '_' || stamp) IS NULL
     AND (SELECT count(*) FROM pg_inherits WHERE inhparent = ('wf.' || parent)::regclass) < 1000 THEN
    PERFORM wf.make_partition(parent, clock, stamp, lower, lower + ('1 ' || unit)::interval);
  END IF;
END
$$;

-- The partitions of each class. `rows` is an estimate, NULL where there is none; for the default partitions, whose rows
-- have no day of their own, it is counted up to 10,001.
CREATE OR REPLACE FUNCTION wf.telemetry_partitions()
RETURNS TABLE (data text, part text, lower timestamptz, upper timestamptz, rows bigint, bytes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT t.data, c.relname::text, b.lower, b.lower + CASE length(s.stamp) WHEN 6 THEN interval '1 month' ELSE interval '1 day' END,
         CASE WHEN s.stamp IS NULL THEN
                CASE c.relname WHEN 'requests_default' THEN (SELECT count(*) FROM (SELECT FROM wf.requests_default LIMIT 10001) r)
                               WHEN 'request_minutes_default' THEN (SELECT count(*) FROM (SELECT FROM wf.request_minutes_default LIMIT 10001) r)
                               WHEN 'quiet_hours_default' THEN (SELECT count(*) FROM (SELECT FROM wf.quiet_hours_default LIMIT 10001) r)
                               ELSE (SELECT count(*) FROM (SELECT FROM wf.request_hours_default LIMIT 10001) r) END
              ELSE nullif(c.reltuples, -1)::bigint END,
         pg_total_relation_size(c.oid)
  FROM (VALUES ('raw', 'wf.requests'::regclass), ('minutes', 'wf.request_minutes'), ('hours', 'wf.request_hours'),
               ('hours', 'wf.quiet_hours')) t(data, parent)
  JOIN pg_inherits i ON i.inhparent = t.parent JOIN pg_class c ON c.oid = i.inhrelid,
  LATERAL (SELECT substring(c.relname::text FROM '_([0-9]{6}|[0-9]{8})$') AS stamp) s,
  LATERAL (SELECT (CASE length(s.stamp) WHEN 6 THEN to_date(s.stamp, 'YYYYMM') ELSE to_date(s.stamp, 'YYYYMMDD') END)::timestamptz AS lower) b
  ORDER BY 1, 3
$$;
GRANT EXECUTE ON FUNCTION wf.telemetry_partitions TO wf_viewer, wf_worker;

-- Drop the partitions that are older than their class is kept, oldest first; `dry_run` only lists them. `waits`: why
-- one stays for now. A drop locks the whole table for a moment; behind a long reader it gives up after a second. Each
-- drop holds locks until the transaction ends, so one call drops a limited number and leaves the rest to the next.
CREATE OR REPLACE FUNCTION wf.drop_old_requests(dry_run boolean DEFAULT false, as_of timestamptz DEFAULT now(), most integer DEFAULT 100)
RETURNS TABLE (data text, part text, lower timestamptz, upper timestamptz, rows bigint, bytes bigint, waits text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET lock_timeout = '1s' AS $$
#variable_conflict use_column
DECLARE
  old    record;
  unseen boolean;
  failed text[] := '{}';
  gone   text[] := '{}';
BEGIN
  FOR old IN SELECT * FROM wf.telemetry_partitions() p WHERE p.upper <= wf.kept_from(p.data, least(as_of, now()))
             ORDER BY p.data, p.upper LIMIT CASE WHEN dry_run THEN NULL ELSE most END LOOP
    SELECT old.data, old.part, old.lower, old.upper, old.rows, old.bytes, NULL
    INTO data, part, lower, upper, rows, bytes, waits;
    unseen := EXISTS (SELECT FROM wf.request_due d WHERE d.at >= old.lower AND d.at < old.upper AND old.data <> 'hours');
    IF old.data = 'raw' AND NOT unseen THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM wf.%I WHERE xid >= (SELECT before FROM wf.request_marks) AND xid < $1)', old.part)
      INTO unseen USING txid_snapshot_xmax(txid_current_snapshot());  -- no transaction had a later number
    END IF;
    waits := CASE WHEN unseen THEN 'not rolled up yet' WHEN old.data = ANY (failed) THEN 'an older one stays' END;
    IF waits IS NULL AND NOT dry_run THEN
      BEGIN
        EXECUTE format('DROP TABLE wf.%I', old.part);
        UPDATE wf.request_marks m SET
          raw_from = CASE old.data WHEN 'raw' THEN greatest(m.raw_from, old.upper) ELSE m.raw_from END,
          minutes_from = CASE old.data WHEN 'minutes' THEN greatest(m.minutes_from, old.upper) ELSE m.minutes_from END,
          hours_from = CASE old.data WHEN 'hours' THEN greatest(m.hours_from, old.upper) ELSE m.hours_from END;
        gone := gone || old.part;
      EXCEPTION WHEN lock_not_available THEN
        waits := 'somebody is reading';
      END;
    END IF;
    IF waits IS NOT NULL THEN
      failed := failed || old.data;
    END IF;
    RETURN NEXT;
  END LOOP;
  IF gone <> '{}' THEN  -- whoever called it, and however
    PERFORM wf.append_audit('telemetry-drops', 'telemetry-drops', 'note', ARRAY['partitions'], ARRAY[NULL], ARRAY[NULL::jsonb],
                            ARRAY[jsonb_build_object('dropped', gone)], '{}');
  END IF;
END
$$;
GRANT EXECUTE ON FUNCTION wf.drop_old_requests TO wf_admin, wf_worker;

-- Make the partitions of the coming days, so that every row finds one. Returns how many were made. When a reader blocks
-- it, it gives up before PostgreSQL's deadlock check, which would fail the reader after a second.
CREATE OR REPLACE FUNCTION wf.make_request_partitions(ahead integer DEFAULT 7) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  before integer := (SELECT count(*) FROM wf.telemetry_partitions());
  today  date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
  PERFORM wf.in_time('operator');
  PERFORM wf.ensure_request_days(today, today + least(ahead, 60));
  PERFORM wf.make_cell_partition('request_minutes', 'minute', d) FROM generate_series(now(), now() + ahead * interval '1 day', '1 day') d;
  PERFORM wf.make_cell_partition('request_hours', 'hour', d), wf.make_cell_partition('quiet_hours', 'hour', d) FROM unnest(ARRAY[now(), now() + ahead * interval '1 day']) d;
  RETURN (SELECT count(*) FROM wf.telemetry_partitions()) - before;
END
$$;
GRANT EXECUTE ON FUNCTION wf.make_request_partitions TO wf_operator, wf_worker;

-- Delete those older than a day: nobody retries for that long.
CREATE OR REPLACE FUNCTION wf.prune_request_batches() RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  DELETE FROM wf.request_batches b USING (
    SELECT o.login, o.id FROM wf.request_batches o WHERE o.at < now() - interval '1 day' ORDER BY o.at LIMIT 20000
    FOR UPDATE SKIP LOCKED) old
  WHERE b.login = old.login AND b.id = old.id;
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;
GRANT EXECUTE ON FUNCTION wf.prune_request_batches TO wf_worker;

-- A batch's elements as typed columns, and whether each can be a request. Raises for a value that its column cannot
-- hold.
CREATE OR REPLACE FUNCTION wf.read_requests(batch jsonb)
RETURNS TABLE (key_id text, route text, method text, status integer, latency_ms real, region text, request_id text,
               at timestamptz, bytes bigint, address inet, sound boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' AS $$
  SELECT r.key_id #>> '{}', left(r.route #>> '{}', 200), left(coalesce(r.method #>> '{}', '-'), 16), r.status::integer,
         r.latency_ms, left(r.region #>> '{}', 64), left(r.request_id #>> '{}', 128), (r.at #>> '{}')::timestamptz,
         r.bytes::bigint, r.address,
         coalesce(jsonb_typeof(r.route) = 'string' AND r.route <> '""' AND r.status BETWEEN 100 AND 599
                    AND r.status = trunc(r.status), false)
           AND coalesce(jsonb_typeof(r.key_id) = 'string', true) AND coalesce(jsonb_typeof(r.method) = 'string', true)
           AND coalesce(jsonb_typeof(r.region) = 'string', true) AND coalesce(jsonb_typeof(r.request_id) = 'string', true)
           AND coalesce(jsonb_typeof(r.at) = 'string', true)
           AND coalesce((r.at #>> '{}')::timestamptz BETWEEN '1970-01-01Z' AND '2199-12-31Z', true)
           AND coalesce(r.latency_ms BETWEEN 0 AND 1e9, true) AND coalesce(r.bytes >= 0 AND r.bytes = trunc(r.bytes), true)
  FROM jsonb_to_recordset(batch) AS r(key_id jsonb, route jsonb, method jsonb, status numeric, latency_ms real,
                                      region jsonb, request_id jsonb, at jsonb, bytes numeric, address inet)
$$;

CREATE OR REPLACE FUNCTION wf.is_request(element jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT r.sound FROM wf.read_requests(jsonb_build_array(element)) r);
EXCEPTION WHEN data_exception THEN
  RETURN false;
END
$$;

-- Text as jsonb; NULL when it holds what jsonb cannot (NUL, half a surrogate pair, a number that is too long).
CREATE OR REPLACE FUNCTION wf.as_jsonb(element json) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN element::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  RETURN NULL;
END
$$;

-- Store requests as a service saw them, at most 10,000 at once, all or none: an array of objects with key_id, route and
-- status, and with method, latency_ms, region, request_id, at, bytes and address where they are known. A request
-- belongs to the tenant of its key; one without a key of ours (often a 401) is counted in `uncredited` and not stored.
-- Telemetry must not fail a service, so what cannot be a request is only counted, in `unreadable`. With an id a batch
-- is stored once, however often it is sent within a day; every repeat gets the first answer, so it waits for the disk.
-- A time without a zone is in UTC, whatever the session's zone is.
CREATE OR REPLACE FUNCTION wf_data.record_requests(batch jsonb, batch_id text DEFAULT NULL, OUT stored integer, OUT uncredited integer, OUT unreadable integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  readable jsonb := batch;
  broken text;
BEGIN
  IF jsonb_typeof(batch) IS DISTINCT FROM 'array' OR jsonb_array_length(batch) > 10000 THEN
    RAISE EXCEPTION 'a batch is an array of at most 10,000 requests'
      USING ERRCODE = 'invalid_parameter_value', CONSTRAINT = 'request_batch';
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF batch_id IS NOT NULL THEN
    -- A second sender of the same batch waits here for the first.
    INSERT INTO wf.request_batches (login, id) VALUES (session_user, batch_id) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT b.stored, b.uncredited, b.unreadable INTO STRICT record_requests.stored, record_requests.uncredited, record_requests.unreadable
      FROM wf.request_batches b WHERE b.login = session_user AND b.id = batch_id;
      RETURN;
    END IF;
  END IF;
  FOR days_made IN 0 .. 10 LOOP
    BEGIN
      WITH given AS MATERIALIZED (
        SELECT * FROM wf.read_requests(readable)
      ), kept AS (
        INSERT INTO wf.requests (tenant_id, project_id, route, method, status, latency_ms, key_prefix, region, request_id, at,
                                 bytes, key_id, address)
        SELECT k.tenant_id, k.project_id, g.route, g.method, g.status, g.latency_ms, k.display, g.region, g.request_id,
               coalesce(g.at, clock_timestamp()), g.bytes, k.id, g.address
        FROM given g JOIN wf.api_keys k ON k.id = g.key_id WHERE g.sound
        RETURNING 1
      )
      SELECT (SELECT count(*) FROM kept), count(*) FILTER (WHERE k.id IS NULL), jsonb_array_length(batch) - count(*)
      INTO stored, uncredited, unreadable FROM given g LEFT JOIN wf.api_keys k ON k.id = g.key_id WHERE g.sound;
      EXIT;
    EXCEPTION
      WHEN check_violation THEN
        -- The partition of a row's day was made while the row was on its way to the default one: try again.
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
        IF broken <> '' OR days_made = 10 THEN
          RAISE;
        END IF;
      WHEN data_exception THEN
        -- A value does not fit its column: only then is each request checked on its own.
        IF days_made > 0 THEN
          RAISE;
        END IF;
        SELECT coalesce(jsonb_agg(e), '[]') INTO readable FROM jsonb_array_elements(batch) e WHERE wf.is_request(e);
    END;
  END LOOP;
  IF batch_id IS NOT NULL THEN
    UPDATE wf.request_batches b
    SET stored = record_requests.stored, uncredited = record_requests.uncredited, unreadable = record_requests.unreadable
    WHERE b.login = session_user AND b.id = batch_id;
  END IF;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.record_requests(jsonb, text) TO wf_service;

-- The same for a batch as text: an element that jsonb cannot hold does not fail the others.
CREATE OR REPLACE FUNCTION wf_data.record_requests(batch text, batch_id text DEFAULT NULL, OUT stored integer, OUT uncredited integer, OUT unreadable integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  readable jsonb;
BEGIN
  BEGIN
    readable := batch::jsonb;
  EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    IF json_typeof(batch::json) = 'array' THEN
      SELECT jsonb_agg(wf.as_jsonb(e)) INTO readable FROM json_array_elements(batch::json) e;
    END IF;
  END;
  SELECT r.stored, r.uncredited, r.unreadable INTO stored, uncredited, unreadable
  FROM wf_data.record_requests(readable, batch_id) r;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.record_requests(text, text) TO wf_service;

-- Telemetry rows in the default partitions, counted up to 1,001 of each class.
CREATE OR REPLACE FUNCTION wf.stray_requests(OUT raw integer, OUT minutes integer, OUT hours integer) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT (SELECT count(*) FROM (SELECT FROM wf.requests_default LIMIT 1001) r)::integer,
         (SELECT count(*) FROM (SELECT FROM wf.request_minutes_default LIMIT 1001) r)::integer,
         (SELECT count(*) FROM (SELECT FROM wf.request_hours_default UNION ALL SELECT FROM wf.quiet_hours_default LIMIT 1001) r)::integer
$$;
GRANT EXECUTE ON FUNCTION wf.stray_requests TO wf_viewer;
