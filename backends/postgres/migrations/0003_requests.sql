-- Telemetry: every request as it was logged, and hours of it with a histogram. No audit triggers: the rows are
-- evidence of traffic, not of what an operator did; an import leaves one row of its own in the trail.

CREATE TABLE wf.requests (
  tenant_id  text COLLATE "C" NOT NULL,  -- no foreign key: telemetry may come before its tenant and outlive it
  project_id text,
  route      text COLLATE "C" NOT NULL,  -- the path without ids and query string
  method     text NOT NULL,
  status     smallint NOT NULL,
  latency_ms real,                       -- NULL: the log has none. Unknown, never 0
  key_prefix text,
  region     text,
  request_id text,
  at         timestamptz NOT NULL,
  bytes      bigint
) PARTITION BY RANGE (at);
CREATE INDEX requests_of_tenant ON wf.requests (tenant_id, route, at);
CREATE INDEX requests_by_time ON wf.requests USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
-- Takes what has no day yet, so that nothing is lost. Rows in it for long are worth an alert.
CREATE TABLE wf.requests_default PARTITION OF wf.requests DEFAULT;

-- Histogram: bucket ceil(ln(ms / 0.1) / ln 1.04), at least 0; two arrays, sorted by bucket.
-- n may be more than the sum of counts: requests without a known latency are in n alone.
CREATE TABLE wf.request_hours (
  tenant_id   text COLLATE "C" NOT NULL,
  route       text COLLATE "C" NOT NULL,
  hour        timestamptz NOT NULL,
  n           integer NOT NULL,
  errors_4xx  integer NOT NULL,
  errors_5xx  integer NOT NULL,
  latency_sum double precision,  -- ms; NULL when no latency is known
  latency_max real,
  buckets     smallint[] NOT NULL,
  counts      integer[] NOT NULL,
  PRIMARY KEY (tenant_id, route, hour)
) PARTITION BY RANGE (hour);
CREATE INDEX request_hours_by_hour ON wf.request_hours (hour);
CREATE TABLE wf.request_hours_default PARTITION OF wf.request_hours DEFAULT;

GRANT SELECT ON wf.requests, wf.request_hours TO wf_viewer, wf_worker;
GRANT INSERT ON wf.requests TO wf_operator, wf_worker;
INSERT INTO wf.tenant_tables VALUES ('wf.requests', 1), ('wf.request_hours', 2);

-- What of which log is in. A chunk is named by the hash of all that the log held up to its end, so a log is known
-- by its content: the same file twice finds all its chunks, a grown one all but its last lines.
-- Written in the transaction that stores the chunk's rows.
CREATE TABLE wf.import_chunks (
  running   bytea PRIMARY KEY CHECK (octet_length(running) = 32),  -- SHA-256 of `previous` and the chunk's bytes
  previous  bytea NOT NULL CHECK (octet_length(previous) = 32),    -- of the chunk before; the first: of format and tenant
  size      integer NOT NULL CHECK (size > 0),                     -- bytes, unpacked
  lines     integer NOT NULL,
  rows      integer NOT NULL,
  ends_open boolean NOT NULL,              -- it stops within a line; what follows up to the line's end belongs to it
  left_out  text[] NOT NULL DEFAULT '{}',  -- unknown tenants whose rows were not stored
  from_at   timestamptz,                   -- of all requests in it, those left out as well
  until_at  timestamptz,
  days      date[] NOT NULL DEFAULT '{}',
  change_id bigint REFERENCES wf.changes,  -- NULL: not rolled up and not in the trail yet
  stored_by text NOT NULL DEFAULT session_user,
  stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX import_chunks_after ON wf.import_chunks (previous);
GRANT SELECT ON wf.import_chunks TO wf_viewer;
GRANT INSERT (running, previous, size, lines, rows, ends_open, left_out, from_at, until_at, days),
      UPDATE (rows, left_out, change_id) ON wf.import_chunks TO wf_operator;

-- Make the partition of one period, and move in what the default one holds of it. Returns whether it was made.
-- The default partition is closed meanwhile: a row of that period written to it in between would be refused.
CREATE FUNCTION wf.make_partition(parent text, clock text, stamp text, lower timestamptz, upper timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  part text := parent || '_' || stamp;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('wf.partitions', 0));
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

-- Make the day partitions from `first` to `last`, both included; at most 62 per call, and 1,000 in all: beyond,
-- rows go to the default partition. Returns how many were made. Fails after 2 s when a reader blocks it.
CREATE FUNCTION wf.ensure_request_days(first date, last date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  made integer := 0;
  room integer;
  day  date;
BEGIN
  IF last - first NOT BETWEEN 0 AND 61 THEN
    RAISE EXCEPTION 'days % to %: at most 62 at a time', first, last USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR day IN
    SELECT d::date FROM generate_series(first::timestamp, last::timestamp, interval '1 day') d
    WHERE to_regclass('wf.requests_' || to_char(d, 'YYYYMMDD')) IS NULL
  LOOP
    room := coalesce(room, 1000 - (SELECT count(*) FROM pg_inherits WHERE inhparent = 'wf.requests'::regclass)) - 1;
    EXIT WHEN room < 0;
    made := made + wf.make_partition('requests', 'at', to_char(day, 'YYYYMMDD'), day::timestamp AT TIME ZONE 'UTC',
                                     (day + 1)::timestamp AT TIME ZONE 'UTC')::integer;
  END LOOP;
  RETURN made;
END
$$;
GRANT EXECUTE ON FUNCTION wf.ensure_request_days TO wf_operator, wf_worker;

-- NULL stays NULL: unknown is in no bucket. Simple enough for the planner to inline.
CREATE FUNCTION wf.latency_bucket(ms real) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN ms <= 0.1 THEN 0::smallint ELSE ceil(ln(ms::float8 / 0.1) / ln(1.04::float8))::smallint END
$$;
GRANT EXECUTE ON FUNCTION wf.latency_bucket TO wf_viewer, wf_worker;

-- Make the hours from raw rows again, for every hour that the given time touches. Repeating changes nothing, and
-- hours whose raw rows are gone stay. Returns the number of cells written.
CREATE FUNCTION wf.roll_up_hours(from_at timestamptz, until_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET timezone = 'UTC' SET work_mem = '64MB' AS $$
DECLARE
  lower   timestamptz := date_trunc('hour', from_at);
  upper   timestamptz := date_trunc('hour', until_at) + interval '1 hour';
  month   timestamptz;
  written bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('wf.roll_up_hours', 0));  -- one roller at a time
  FOR month IN
    SELECT m FROM generate_series(date_trunc('month', lower), upper - interval '1 second', interval '1 month') m
    WHERE to_regclass('wf.request_hours_' || to_char(m, 'YYYYMM')) IS NULL
      AND EXISTS (SELECT FROM wf.requests WHERE at >= greatest(m, lower) AND at < least(m + interval '1 month', upper))
    LIMIT 240
  LOOP
    PERFORM wf.make_partition('request_hours', 'hour', to_char(month, 'YYYYMM'), month, month + interval '1 month');
  END LOOP;
  INSERT INTO wf.request_hours AS old
  SELECT tenant_id, route, hour, sum(n), sum(errors_4xx), sum(errors_5xx), sum(latency_sum), max(latency_max),
         coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}'),
         coalesce(array_agg(n ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}')
  FROM (
    SELECT tenant_id, route, date_bin('1 hour', at, '2000-01-01') AS hour,
           wf.latency_bucket(latency_ms) AS bucket,
           count(*)::integer AS n,
           (count(*) FILTER (WHERE status BETWEEN 400 AND 499))::integer AS errors_4xx,
           (count(*) FILTER (WHERE status >= 500))::integer AS errors_5xx,
           sum(latency_ms::float8) AS latency_sum, max(latency_ms) AS latency_max
    FROM wf.requests WHERE at >= lower AND at < upper
    GROUP BY 1, 2, 3, 4
  ) AS buckets
  GROUP BY tenant_id, route, hour
  ON CONFLICT (tenant_id, route, hour) DO UPDATE
    SET n = excluded.n, errors_4xx = excluded.errors_4xx, errors_5xx = excluded.errors_5xx,
        latency_sum = excluded.latency_sum, latency_max = excluded.latency_max,
        buckets = excluded.buckets, counts = excluded.counts
    WHERE (old.n, old.errors_4xx, old.errors_5xx, old.latency_max, old.buckets, old.counts)
      IS DISTINCT FROM (excluded.n, excluded.errors_4xx, excluded.errors_5xx, excluded.latency_max,
                        excluded.buckets, excluded.counts);
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;
GRANT EXECUTE ON FUNCTION wf.roll_up_hours TO wf_operator, wf_worker;

-- The newest stored request up to a time. The newest whole hour before it tells where to look, so that only the
-- last rows are read.
CREATE FUNCTION wf.newest_request(as_of timestamptz DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  bound timestamptz := coalesce(as_of, now());
  rolled timestamptz := (SELECT max(hour) FROM wf.request_hours WHERE hour <= bound - interval '1 hour');
BEGIN
  RETURN (SELECT max(at) FROM wf.requests WHERE at >= coalesce(rolled, '-infinity') AND at <= bound);
END
$$;
GRANT EXECUTE ON FUNCTION wf.newest_request TO wf_viewer, wf_worker;

-- How each tenant does over the last hour of data: the hour that ends with the newest stored request not after
-- `as_of`. Requests per minute, share of 5xx, p95 by rank. A tenant without requests in it is unknown (NULL).
-- One statement for all; only rows that differ are written. Returns how many.
CREATE FUNCTION wf.refresh_activity(as_of timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp SET work_mem = '64MB' AS $$
DECLARE
  newest  timestamptz := wf.newest_request(as_of);
  written bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('wf.refresh_activity', 0));
  UPDATE wf.tenant_activity AS a
  SET per_minute = s.per_minute, error_share = s.error_share, p95_ms = s.p95_ms, until = s.until
  FROM wf.tenant_activity AS t LEFT JOIN (
    SELECT tenant_id, count(*) / 60.0::float8 AS per_minute,
           ((count(*) FILTER (WHERE status >= 500)) / count(*)::float8) AS error_share,
           (percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms))::float8 AS p95_ms, newest AS until
    FROM wf.requests WHERE at > newest - interval '1 hour' AND at <= newest
    GROUP BY tenant_id
  ) AS s ON s.tenant_id = t.tenant_id
  WHERE a.tenant_id = t.tenant_id
    AND (a.per_minute, a.error_share, a.p95_ms, a.until)
      IS DISTINCT FROM (s.per_minute, s.error_share, s.p95_ms, s.until);
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;
GRANT EXECUTE ON FUNCTION wf.refresh_activity TO wf_operator, wf_worker;
