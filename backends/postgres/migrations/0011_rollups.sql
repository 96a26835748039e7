-- Rollups: minutes and hours of requests, per tenant's route, key and region and of the fleet; and how long each class
-- of telemetry is kept.
--
-- Rolling up computes whole cells from the raw rows and writes them over the old ones, so repeating it is harmless.
-- What is to be computed again is told by the transactions that were committed since (wf.requests.xid), so a row
-- that comes late, whatever its time, is folded in by the next run.

-- No BRIN of xid8 exists, and PostgreSQL before 13 knew no xid8: so its number as the older function gives it.
-- NULL: stored before this migration; the hours of those rows are made again below.
ALTER TABLE wf.requests ADD COLUMN xid bigint;
ALTER TABLE wf.requests ALTER COLUMN xid SET DEFAULT txid_current();
CREATE INDEX requests_by_transaction ON wf.requests USING brin (xid) WITH (pages_per_range = 32, autosummarize = on);

-- A cell: dim 'tenant': all of a tenant. 'route': one route of it. 'key': one key prefix (`value`) on one route.
-- 'region': one region (`value`), all routes. The fleet is the tenant '': 'route' with its routes, and '' for all of them;
-- 'region'. Hours from before this migration have no 'tenant': readers add up their routes.
ALTER TABLE wf.request_hours
  ADD COLUMN dim   text COLLATE "C" NOT NULL DEFAULT 'route' CONSTRAINT request_dim CHECK (dim IN ('tenant', 'route', 'key', 'region')),
  ADD COLUMN value text COLLATE "C" NOT NULL DEFAULT '',
  DROP CONSTRAINT request_hours_pkey,
  ADD PRIMARY KEY (tenant_id, dim, hour, value, route);
DROP INDEX wf.request_hours_by_hour;
CREATE INDEX request_hours_by_hour ON wf.request_hours (hour, dim);

CREATE TABLE wf.request_minutes (
  tenant_id   text COLLATE "C" NOT NULL,
  route       text COLLATE "C" NOT NULL,
  minute      timestamptz NOT NULL,
  n           integer NOT NULL,
  errors_4xx  integer NOT NULL,
  errors_5xx  integer NOT NULL,
  latency_sum double precision,
  latency_max real,
  buckets     smallint[] NOT NULL,
  counts      integer[] NOT NULL,
  dim         text COLLATE "C" NOT NULL DEFAULT 'route' CONSTRAINT request_dim CHECK (dim IN ('tenant', 'route', 'key', 'region')),
  value       text COLLATE "C" NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, dim, minute, value, route)
) PARTITION BY RANGE (minute);
CREATE INDEX request_minutes_by_minute ON wf.request_minutes (minute, dim);
CREATE TABLE wf.request_minutes_default PARTITION OF wf.request_minutes DEFAULT;
GRANT SELECT ON wf.request_minutes TO wf_viewer, wf_worker;
INSERT INTO wf.tenant_tables VALUES ('wf.request_minutes', 3);

-- How far rolling up has come. Readers take minutes from minutes_from up to minutes_until, hours from hours_from up to
-- hours_until, and raw rows, from raw_from on, for the rest.
CREATE TABLE wf.request_marks (
  one           boolean PRIMARY KEY DEFAULT true CHECK (one),
  before        bigint NOT NULL,       -- the rows of every transaction before this one were seen
  minutes_from  timestamptz NOT NULL,
  minutes_until timestamptz NOT NULL,
  hours_from    timestamptz NOT NULL DEFAULT '-infinity',
  hours_until   timestamptz NOT NULL,
  raw_from      timestamptz NOT NULL DEFAULT '-infinity',
  rolled_at     timestamptz            -- the last run that ended; NULL: none yet
) WITH (fillfactor = 50);
-- Hours that are over were rolled up by whoever stored their rows; minutes are made of what comes from now on.
INSERT INTO wf.request_marks (before, minutes_from, minutes_until, hours_until)
SELECT 0, mark, mark, date_bin('1 hour', now(), '2000-01-01') - interval '1 hour'
FROM (SELECT CASE WHEN EXISTS (SELECT FROM wf.requests) THEN date_trunc('minute', now()) ELSE '-infinity' END) m(mark);
GRANT SELECT ON wf.request_marks TO wf_viewer, wf_worker;

-- Minutes and hours that hold rows which are in no cell yet.
CREATE TABLE wf.request_due (
  step text NOT NULL CHECK (step IN ('minute', 'hour')),
  at   timestamptz NOT NULL,
  PRIMARY KEY (step, at)
);
GRANT SELECT ON wf.request_due TO wf_viewer, wf_worker;
INSERT INTO wf.request_due SELECT DISTINCT 'hour', hour FROM wf.request_hours;

-- How long each class of telemetry is kept, in days.
CREATE TABLE wf.telemetry_retention (
  data       text PRIMARY KEY CONSTRAINT retention_data CHECK (data IN ('raw', 'minutes', 'hours')),
  days       integer NOT NULL CONSTRAINT retention_days CHECK (days BETWEEN 2 AND 3660),
  version    integer NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO wf.telemetry_retention VALUES ('raw', 14), ('minutes', 2), ('hours', 396);
GRANT SELECT ON wf.telemetry_retention TO wf_viewer, wf_worker;
GRANT UPDATE (days) ON wf.telemetry_retention TO wf_admin;
SELECT wf.audited('wf.telemetry_retention', 'telemetry', 'data', 'none');

CREATE FUNCTION wf.guard_retention() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  IF NEW.data <> OLD.data THEN
    RAISE EXCEPTION 'a class of data keeps its name' USING ERRCODE = 'check_violation', CONSTRAINT = 'retention_fixed';
  END IF;
  NEW.version := OLD.version + 1;
  NEW.updated_at := now();
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE UPDATE ON wf.telemetry_retention FOR EACH ROW EXECUTE FUNCTION wf.guard_retention();

-- What is older may be dropped: whole days, in UTC.
CREATE FUNCTION wf.kept_from(class text, as_of timestamptz DEFAULT now()) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT date_trunc('day', as_of, 'UTC') - r.days * interval '24 hours' FROM wf.telemetry_retention r WHERE r.data = class
$$;
GRANT EXECUTE ON FUNCTION wf.kept_from TO wf_viewer, wf_worker;

-- Several cells as one, for each (tenant_id, dim, value, route, at) that the query gives: the text of a statement.
-- Names are compared once, and then only their numbers: comparing them for each bucket is most of the time else.
CREATE FUNCTION wf.merging(cells text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT format('numbered AS MATERIALIZED (
      SELECT c.*, dense_rank() OVER names AS id, lag(1) OVER same IS NULL AND lead(1) OVER same IS NULL AS alone
      FROM (%s) c
      WINDOW names AS (ORDER BY tenant_id, dim, at, value, route), same AS (PARTITION BY tenant_id, dim, at, value, route)
    ), sums AS (
      SELECT id, min(tenant_id) AS tenant_id, min(dim) AS dim, min(value) AS value, min(route) AS route, min(at) AS at,
             sum(n)::integer AS n, sum(errors_4xx)::integer AS errors_4xx, sum(errors_5xx)::integer AS errors_5xx,
             sum(latency_sum) AS latency_sum, max(latency_max) AS latency_max
      FROM numbered WHERE NOT alone GROUP BY id
    ), hist AS (
      SELECT id, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(n ORDER BY bucket) AS counts
      FROM (SELECT c.id, h.bucket, sum(h.n)::integer AS n
            FROM numbered c, unnest(c.buckets, c.counts) AS h(bucket, n) WHERE NOT c.alone GROUP BY 1, 2) b
      GROUP BY id
    )
    SELECT tenant_id, route, at, n, errors_4xx, errors_5xx, latency_sum, latency_max, buckets, counts, dim, value
    FROM numbered WHERE alone
    UNION ALL
    SELECT s.tenant_id, s.route, s.at, s.n, s.errors_4xx, s.errors_5xx, s.latency_sum, s.latency_max,
           coalesce(h.buckets, ''{}''), coalesce(h.counts, ''{}''), s.dim, s.value
    FROM sums s LEFT JOIN hist h USING (id)', cells)
$$;
GRANT EXECUTE ON FUNCTION wf.merging TO wf_viewer;

-- The tenants' cells of a time, computed from raw rows. No route is '': that is the fleet's name for all of them.
CREATE FUNCTION wf.raw_cells(lower timestamptz, upper timestamptz, step interval)
RETURNS TABLE (tenant_id text, route text, at timestamptz, n integer, errors_4xx integer, errors_5xx integer,
               latency_sum double precision, latency_max real, buckets smallint[], counts integer[], dim text, value text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY EXECUTE format('WITH fine AS (
      SELECT r.tenant_id, coalesce(nullif(r.route, ''''), ''-'') AS route, r.key_prefix COLLATE "C" AS key,
             r.region COLLATE "C" AS region, date_bin(%3$L, r.at, ''2000-01-01 00:00Z'') AS at,
             wf.latency_bucket(r.latency_ms) AS bucket, count(*)::integer AS n,
             (count(*) FILTER (WHERE r.status BETWEEN 400 AND 499))::integer AS errors_4xx,
             (count(*) FILTER (WHERE r.status >= 500))::integer AS errors_5xx,
             sum(r.latency_ms::float8) AS latency_sum, max(r.latency_ms) AS latency_max
      FROM wf.requests r WHERE r.at >= %1$L AND r.at < %2$L GROUP BY 1, 2, 3, 4, 5, 6
    ), whole AS MATERIALIZED (
      SELECT tenant_id, route, key, region, at, sum(n)::integer AS n, sum(errors_4xx)::integer AS errors_4xx,
             sum(errors_5xx)::integer AS errors_5xx, sum(latency_sum) AS latency_sum, max(latency_max) AS latency_max,
             coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), ''{}'') AS buckets,
             coalesce(array_agg(n ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), ''{}'') AS counts
      FROM fine GROUP BY 1, 2, 3, 4, 5
    ), ', lower, upper, step) || wf.merging('
      SELECT w.tenant_id, d.dim, d.value, d.route, w.at, w.n, w.errors_4xx, w.errors_5xx,
             w.latency_sum, w.latency_max, w.buckets, w.counts
      FROM whole w, LATERAL (VALUES (''tenant'', '''', ''''), (''route'', '''', w.route), (''key'', w.key, w.route),
                                    (''region'', w.region, '''')) AS d(dim, value, route)
      WHERE d.value IS NOT NULL');
END
$$;

-- The fleet's cells of a time, from the tenants' cells: those outlive the raw rows. Then all its routes as one.
CREATE FUNCTION wf.fleet_cells(lower timestamptz, upper timestamptz, cells text, clock text, whole boolean) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT 'WITH ' || wf.merging(format('SELECT '''' AS tenant_id, dim, value, %s AS route, %I AS at, n, errors_4xx,
             errors_5xx, latency_sum, latency_max, buckets, counts
      FROM wf.%I WHERE %2$I >= %4$L AND %2$I < %5$L AND %6$s', CASE WHEN whole THEN '''''' ELSE 'route' END, clock, cells,
      lower, upper, CASE WHEN whole THEN 'dim = ''route'' AND tenant_id = '''' AND route <> '''''
                         ELSE 'dim IN (''route'', ''region'') AND tenant_id <> ''''' END))
$$;

-- Write cells over those that are there; returns how many changed. Raw rows are only ever added, so a cell that would
-- get fewer has lost raw rows to retention: it stays as it is.
CREATE FUNCTION wf.put_cells(target text, clock text, cells text) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  written bigint;
BEGIN
  EXECUTE format('INSERT INTO wf.%1$I AS old (tenant_id, route, %2$I, n, errors_4xx, errors_5xx, latency_sum, latency_max,
      buckets, counts, dim, value) %3$s
    ON CONFLICT (tenant_id, dim, %2$I, value, route) DO UPDATE
    SET n = excluded.n, errors_4xx = excluded.errors_4xx, errors_5xx = excluded.errors_5xx,
        latency_sum = excluded.latency_sum, latency_max = excluded.latency_max,
        buckets = excluded.buckets, counts = excluded.counts
    WHERE excluded.n >= old.n
      AND (old.n, old.errors_4xx, old.errors_5xx, old.latency_max, old.buckets, old.counts)
      IS DISTINCT FROM (excluded.n, excluded.errors_4xx, excluded.errors_5xx, excluded.latency_max,
                        excluded.buckets, excluded.counts)', target, clock, cells);
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;

CREATE FUNCTION wf.put_fleet(target text, clock text, lower timestamptz, upper timestamptz) RETURNS bigint
LANGUAGE sql SET search_path = wf, pg_temp AS $$
  SELECT wf.put_cells(target, clock, wf.fleet_cells(lower, upper, target, clock, false))
       + wf.put_cells(target, clock, wf.fleet_cells(lower, upper, target, clock, true))
$$;

CREATE FUNCTION wf.hold_roller() RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('wf.roll_up_hours', 0))  -- one roller at a time
$$;

CREATE FUNCTION wf.make_cell_partition(parent text, clock text, at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = wf, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  unit  text := CASE parent WHEN 'request_hours' THEN 'month' ELSE 'day' END;
  lower timestamptz := date_trunc(unit, at);
  stamp text := to_char(lower, CASE unit WHEN 'month' THEN 'YYYYMM' ELSE 'YYYYMMDD' END);
BEGIN
  IF to_regclass('wf.' || parent || '_' || stamp) IS NULL
     AND (SELECT count(*) FROM pg_inherits WHERE inhparent = ('wf.' || parent)::regclass) < 1000 THEN
    PERFORM wf.make_partition(parent, clock, stamp, lower, lower + ('1 ' || unit)::interval);
  END IF;
END
$$;

DROP FUNCTION wf.roll_up_new_hours;  -- the run below does what it did

-- Make the hours from raw rows again, for every hour that the given time touches. Repeating changes nothing, and
-- hours whose raw rows are gone stay. Returns the number of cells written.
CREATE OR REPLACE FUNCTION wf.roll_up_hours(from_at timestamptz, until_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET timezone = 'UTC' SET work_mem = '64MB' AS $$
DECLARE
  lower timestamptz := date_trunc('hour', from_at);
  upper timestamptz := date_trunc('hour', until_at) + interval '1 hour';
  month timestamptz;
BEGIN
  PERFORM wf.hold_roller();
  FOR month IN
    SELECT m FROM generate_series(date_trunc('month', lower), upper - interval '1 second', interval '1 month') m
    WHERE to_regclass('wf.request_hours_' || to_char(m, 'YYYYMM')) IS NULL
      AND EXISTS (SELECT FROM wf.requests WHERE at >= greatest(m, lower) AND at < least(m + interval '1 month', upper))
    LIMIT 240
  LOOP
    PERFORM wf.make_cell_partition('request_hours', 'hour', month);
  END LOOP;
  RETURN wf.put_cells('request_hours', 'hour', format('SELECT * FROM wf.raw_cells(%L, %L, ''1 hour'')', lower, upper))
       + wf.put_fleet('request_hours', 'hour', lower, upper);
END
$$;

-- One hour from its minutes, where they are all there; else from raw rows.
CREATE FUNCTION wf.roll_up_hour(this timestamptz, from_minutes boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT from_minutes THEN
    RETURN wf.roll_up_hours(this, this);
  END IF;
  PERFORM wf.make_cell_partition('request_hours', 'hour', this);
  RETURN wf.put_cells('request_hours', 'hour', 'WITH ' || wf.merging(format('SELECT tenant_id, dim, value, route, %L::timestamptz AS at,
      n, errors_4xx, errors_5xx, latency_sum, latency_max, buckets, counts FROM wf.request_minutes
    WHERE minute >= %1$L AND minute < %2$L', this, this + interval '1 hour')));
END
$$;

-- Fold in what was committed since the last run: minutes 90 s after they began, then hours that are over. Takes a
-- bounded bite, the oldest first; what is left waits for the next run, and readers take its raw rows meanwhile.
-- One transaction: killed at any point, it has done nothing.
CREATE FUNCTION wf.roll_up_requests(
  most_minutes integer DEFAULT 180, most_hours integer DEFAULT 24,
  OUT minutes integer, OUT hours integer, OUT cells bigint, OUT minutes_left integer, OUT hours_left integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET timezone = 'UTC' SET work_mem = '64MB' AS $$
DECLARE
  mark    wf.request_marks;
  horizon bigint;  -- every transaction before it has ended, so what it stored is seen below
  ready   timestamptz := date_trunc('minute', now() - interval '90 seconds') + interval '1 minute';  -- minutes before it
  this    timestamptz;
BEGIN
  PERFORM wf.hold_roller();
  horizon := txid_snapshot_xmin(txid_current_snapshot());
  minutes := 0; hours := 0; cells := 0;
  SELECT * INTO mark FROM wf.request_marks FOR UPDATE;
  -- A dump that was read into another server, whose transactions have lower numbers: look at all rows once.
  IF mark.before > txid_snapshot_xmax(txid_current_snapshot()) THEN
    mark.before := 0;
  END IF;
  mark.minutes_from := greatest(mark.minutes_from, wf.kept_from('minutes'));
  WITH fresh AS (SELECT DISTINCT date_trunc('minute', at) AS at FROM wf.requests WHERE xid >= mark.before)
  INSERT INTO wf.request_due
  SELECT DISTINCT CASE WHEN at >= mark.minutes_from THEN 'minute' ELSE 'hour' END,
         CASE WHEN at >= mark.minutes_from THEN at ELSE date_trunc('hour', at) END FROM fresh ON CONFLICT DO NOTHING;
  FOR this IN
    DELETE FROM wf.request_due d WHERE d.step = 'minute' AND d.at IN (
      SELECT at FROM wf.request_due WHERE step = 'minute' AND at < ready ORDER BY at LIMIT most_minutes) RETURNING d.at
  LOOP
    INSERT INTO wf.request_due VALUES ('hour', date_trunc('hour', this)) ON CONFLICT DO NOTHING;
    CONTINUE WHEN this < mark.minutes_from;
    PERFORM wf.make_cell_partition('request_minutes', 'minute', this);
    cells := cells + wf.put_cells('request_minutes', 'minute',
        format('SELECT * FROM wf.raw_cells(%L, %L, ''1 minute'')', this, this + interval '1 minute'))
      + wf.put_fleet('request_minutes', 'minute', this, this + interval '1 minute');
    minutes := minutes + 1;
  END LOOP;
  mark.minutes_until := least(ready, (SELECT min(at) FROM wf.request_due WHERE step = 'minute' AND at >= mark.minutes_until));
  FOR this IN
    DELETE FROM wf.request_due d WHERE d.step = 'hour' AND d.at IN (
      SELECT at FROM wf.request_due WHERE step = 'hour' AND at + interval '1 hour' <= mark.minutes_until
      ORDER BY at LIMIT most_hours) RETURNING d.at
  LOOP
    cells := cells + wf.roll_up_hour(this, this >= mark.minutes_from);
    hours := hours + 1;
  END LOOP;
  mark.hours_until := least(date_trunc('hour', mark.minutes_until),
                            (SELECT min(at) FROM wf.request_due WHERE step = 'hour' AND at >= mark.hours_until));
  SELECT count(*) FILTER (WHERE step = 'minute' AND at < ready),
         count(*) FILTER (WHERE step = 'hour' AND at + interval '1 hour' <= ready)
  INTO minutes_left, hours_left FROM wf.request_due;
  UPDATE wf.request_marks SET before = horizon, minutes_from = mark.minutes_from,
    minutes_until = mark.minutes_until, hours_until = mark.hours_until, rolled_at = clock_timestamp();
END
$$;
GRANT EXECUTE ON FUNCTION wf.roll_up_requests TO wf_operator, wf_worker;

-- The partitions of each class. `rows` is an estimate, NULL where there is none; of the default ones it is counted, up
-- to 10,001: rows in those have no day of their own.
CREATE FUNCTION wf.telemetry_partitions()
RETURNS TABLE (data text, part text, lower timestamptz, upper timestamptz, rows bigint, bytes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp SET timezone = 'UTC' AS $$
  SELECT t.data, c.relname::text, b.lower, b.lower + CASE length(s.stamp) WHEN 6 THEN interval '1 month' ELSE interval '1 day' END,
         CASE WHEN s.stamp IS NULL THEN
                CASE t.data WHEN 'raw' THEN (SELECT count(*) FROM (SELECT FROM wf.requests_default LIMIT 10001) r)
                            WHEN 'minutes' THEN (SELECT count(*) FROM (SELECT FROM wf.request_minutes_default LIMIT 10001) r)
                            ELSE (SELECT count(*) FROM (SELECT FROM wf.request_hours_default LIMIT 10001) r) END
              ELSE nullif(c.reltuples, -1)::bigint END,
         pg_total_relation_size(c.oid)
  FROM (VALUES ('raw', 'wf.requests'::regclass), ('minutes', 'wf.request_minutes'), ('hours', 'wf.request_hours')) t(data, parent)
  JOIN pg_inherits i ON i.inhparent = t.parent JOIN pg_class c ON c.oid = i.inhrelid,
  LATERAL (SELECT substring(c.relname::text FROM '_([0-9]{6}|[0-9]{8})$') AS stamp) s,
  LATERAL (SELECT (CASE length(s.stamp) WHEN 6 THEN to_date(s.stamp, 'YYYYMM') ELSE to_date(s.stamp, 'YYYYMMDD') END)::timestamptz AS lower) b
  ORDER BY 1, 3
$$;
GRANT EXECUTE ON FUNCTION wf.telemetry_partitions TO wf_viewer, wf_worker;

-- Drop the partitions that are older than their class is kept, the oldest first; `dry_run` names them. `waits`: why one
-- stays for now. A drop needs the whole table for a moment: behind a long reader it gives up after a second.
CREATE FUNCTION wf.drop_old_requests(dry_run boolean DEFAULT false, as_of timestamptz DEFAULT now())
RETURNS TABLE (data text, part text, lower timestamptz, upper timestamptz, rows bigint, bytes bigint, waits text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET lock_timeout = '1s' AS $$
#variable_conflict use_column
DECLARE
  old    record;
  unseen boolean;
  failed text[] := '{}';
BEGIN
  FOR old IN SELECT * FROM wf.telemetry_partitions() p WHERE p.upper <= wf.kept_from(p.data, least(as_of, now()))
             ORDER BY p.data, p.upper LOOP
    SELECT old.data, old.part, old.lower, old.upper, old.rows, old.bytes, NULL
    INTO data, part, lower, upper, rows, bytes, waits;
    unseen := EXISTS (SELECT FROM wf.request_due d WHERE d.at >= old.lower AND d.at < old.upper AND old.data <> 'hours');
    IF old.data = 'raw' AND NOT unseen THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM wf.%I WHERE xid >= (SELECT before FROM wf.request_marks))', old.part)
      INTO unseen;
    END IF;
    waits := CASE WHEN unseen THEN 'not rolled up yet' WHEN old.data = ANY (failed) THEN 'an older one stays' END;
    IF waits IS NULL AND NOT dry_run THEN
      BEGIN
        EXECUTE format('DROP TABLE wf.%I', old.part);
        UPDATE wf.request_marks m SET
          raw_from = CASE old.data WHEN 'raw' THEN greatest(m.raw_from, old.upper) ELSE m.raw_from END,
          minutes_from = CASE old.data WHEN 'minutes' THEN greatest(m.minutes_from, old.upper) ELSE m.minutes_from END,
          hours_from = CASE old.data WHEN 'hours' THEN greatest(m.hours_from, old.upper) ELSE m.hours_from END;
      EXCEPTION WHEN lock_not_available THEN
        waits := 'somebody is reading';
      END;
    END IF;
    IF waits IS NOT NULL THEN
      failed := failed || old.data;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION wf.drop_old_requests TO wf_admin, wf_worker;

-- Partitions for the days to come, so that no row meets none. Returns how many were made; gives up when a reader
-- blocks it, before the second after which PostgreSQL would look for a deadlock and fail the reader.
CREATE FUNCTION wf.make_request_partitions(ahead integer DEFAULT 7) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET timezone = 'UTC' SET lock_timeout = '500ms' AS $$
DECLARE
  before integer := (SELECT count(*) FROM wf.telemetry_partitions());
BEGIN
  PERFORM wf.ensure_request_days(current_date, current_date + least(ahead, 60));
  PERFORM wf.make_cell_partition('request_minutes', 'minute', d) FROM generate_series(now(), now() + ahead * interval '1 day', '1 day') d;
  PERFORM wf.make_cell_partition('request_hours', 'hour', d) FROM unnest(ARRAY[now(), now() + ahead * interval '1 day']) d;
  RETURN (SELECT count(*) FROM wf.telemetry_partitions()) - before;
END
$$;
GRANT EXECUTE ON FUNCTION wf.make_request_partitions TO wf_operator, wf_worker;
ALTER FUNCTION wf.ensure_request_days SET lock_timeout = '500ms';
SELECT wf.make_request_partitions();
GRANT EXECUTE ON FUNCTION wf.raw_cells TO wf_viewer;

-- What the home signs cursors with. Nobody reads it: HMAC-SHA-256 is made here, from the key's two paddings.
CREATE TABLE wf.signing_keys (
  name  text PRIMARY KEY,
  inner_key bytea NOT NULL,
  outer_key bytea NOT NULL
);
DO $$
DECLARE
  key   bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
  ipad  bytea := decode(repeat('36', 64), 'hex');
  opad  bytea := decode(repeat('5c', 64), 'hex');
BEGIN
  FOR place IN 0 .. 31 LOOP
    ipad := set_byte(ipad, place, get_byte(ipad, place) # get_byte(key, place));
    opad := set_byte(opad, place, get_byte(opad, place) # get_byte(key, place));
  END LOOP;
  INSERT INTO wf.signing_keys VALUES ('cursor', ipad, opad);
END
$$;
CREATE FUNCTION wf.sign_cursor(body text) RETURNS bytea
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT sha256(k.outer_key || sha256(k.inner_key || convert_to(body, 'UTF8'))) FROM wf.signing_keys k WHERE k.name = 'cursor'
$$;
GRANT EXECUTE ON FUNCTION wf.sign_cursor TO wf_viewer;

-- Batches that were stored: who did not hear the answer says the same again, and gets it.
CREATE TABLE wf.request_batches (
  login      text NOT NULL,  -- ids of one service mean nothing to another
  id         text NOT NULL CONSTRAINT request_batch_id CHECK (char_length(id) BETWEEN 1 AND 128),
  stored     integer NOT NULL DEFAULT 0,
  uncredited integer NOT NULL DEFAULT 0,
  unreadable integer NOT NULL DEFAULT 0,
  at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (login, id)
);
CREATE INDEX request_batches_by_time ON wf.request_batches (at);

-- Those of more than a day ago: nobody waits that long for an answer.
CREATE FUNCTION wf.prune_request_batches() RETURNS bigint LANGUAGE plpgsql
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

-- Requests as a service saw them, at most 10,000 at once, all or none: an array of objects with key_id, route, status,
-- and method, latency_ms, region, request_id, at, bytes, address where they are known. Whose request it was is what its
-- key says; one without a key of ours (a 401 as often as not) is nobody's: it is counted in `uncredited` and not kept.
-- Telemetry must not fail a service: values that cannot be are counted in `unreadable`. With an id a batch is stored
-- once, however often it is sent within a day; each time the answer is that of the first.
CREATE FUNCTION wf_data.record_requests(batch jsonb, batch_id text DEFAULT NULL, OUT stored integer, OUT uncredited integer, OUT unreadable integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  broken text;
BEGIN
  IF jsonb_typeof(batch) IS DISTINCT FROM 'array' OR jsonb_array_length(batch) > 10000 THEN
    RAISE EXCEPTION 'a batch is an array of at most 10,000 requests'
      USING ERRCODE = 'invalid_parameter_value', CONSTRAINT = 'request_batch';
  END IF;
  IF batch_id IS NOT NULL THEN
    -- Whoever sends it at the same time waits here for the other one.
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
        SELECT r.key_id, left(r.route, 200) AS route, left(coalesce(r.method, '-'), 16) AS method, r.status,
               r.latency_ms, left(r.region, 64) AS region, left(r.request_id, 128) AS request_id,
               coalesce(r.at, clock_timestamp()) AS at, r.bytes, r.address,
               coalesce(r.route <> '' AND r.status BETWEEN 100 AND 599, false)
                 AND coalesce(r.latency_ms BETWEEN 0 AND 1e9, r.latency_ms IS NULL) AND coalesce(r.bytes >= 0, true)
                 AND coalesce(r.at BETWEEN '1970-01-01' AND '2199-12-31', true) AS sound
        FROM jsonb_to_recordset(batch) AS r(key_id text, route text, method text, status integer, latency_ms float8,
          region text, request_id text, at timestamptz, bytes bigint, address inet)
      ), kept AS (
        INSERT INTO wf.requests (tenant_id, project_id, route, method, status, latency_ms, key_prefix, region, request_id, at,
                                 bytes, key_id, address)
        SELECT k.tenant_id, k.project_id, g.route, g.method, g.status, g.latency_ms, k.display, g.region, g.request_id, g.at,
               g.bytes, k.id, g.address
        FROM given g JOIN wf.api_keys k ON k.id = g.key_id WHERE g.sound
        RETURNING 1
      )
      SELECT (SELECT count(*) FROM kept), count(*) FILTER (WHERE g.sound AND k.id IS NULL), count(*) FILTER (WHERE NOT g.sound)
      INTO stored, uncredited, unreadable FROM given g LEFT JOIN wf.api_keys k ON k.id = g.key_id;
      EXIT;
    EXCEPTION WHEN check_violation THEN
      -- Its day was made while a row was on its way to the default partition: it goes there now.
      GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
      IF broken <> '' OR days_made = 10 THEN
        RAISE;
      END IF;
    END;
  END LOOP;
  IF batch_id IS NOT NULL THEN
    UPDATE wf.request_batches b
    SET stored = record_requests.stored, uncredited = record_requests.uncredited, unreadable = record_requests.unreadable
    WHERE b.login = session_user AND b.id = batch_id;
  END IF;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.record_requests TO wf_service;
