-- Roll-ups: minutes and hours of requests, per tenant and its routes, keys and regions, and for the fleet.
--
-- A roll-up computes whole cells from the raw rows and overwrites the old ones, so repeating it is harmless. The
-- transactions committed since the last run (wf.requests.xid) tell which cells to compute again, so the next run
-- includes a late row whatever its time.

-- A cell's dim: 'tenant': all of a tenant; 'route': one of its routes; 'key': one key prefix (`value`) on one route;
-- 'region': one region (`value`), all routes. The fleet is the tenant ''. It has the dims 'route' (a route, or '' for
-- all of them) and 'region'. Histogram: bucket ceil(ln(ms / 0.1) / ln 1.04), at least 0; two arrays, sorted by bucket.
-- n may be more than the sum of counts: requests without a known latency count in n only.
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
  dim         text COLLATE "C" NOT NULL DEFAULT 'route' CONSTRAINT request_dim CHECK (dim IN ('tenant', 'route', 'key', 'region')),
  value       text COLLATE "C" NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, dim, hour, value, route)
) PARTITION BY RANGE (hour);
CREATE INDEX request_hours_by_hour ON wf.request_hours (hour, dim);
CREATE TABLE wf.request_hours_default PARTITION OF wf.request_hours DEFAULT;

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
INSERT INTO wf.tenant_tables VALUES ('wf.request_minutes', 3);

-- How far the roll-up has come. Readers read minutes from minutes_from to minutes_until, hours from hours_from to
-- hours_until, and raw rows, from raw_from on, for the rest.
CREATE TABLE wf.request_marks (
  one           boolean PRIMARY KEY DEFAULT true CHECK (one),
  before        bigint NOT NULL,       -- the rows of all transactions before this one are rolled up
  minutes_from  timestamptz NOT NULL,
  minutes_until timestamptz NOT NULL,
  hours_from    timestamptz NOT NULL DEFAULT '-infinity',
  hours_until   timestamptz NOT NULL,
  raw_from      timestamptz NOT NULL DEFAULT '-infinity',
  rolled_at     timestamptz            -- when the last run ended; NULL: none yet
) WITH (fillfactor = 50);
INSERT INTO wf.request_marks (before, minutes_from, minutes_until, hours_until)
VALUES (0, '-infinity', '-infinity', date_bin('1 hour', now(), '2000-01-01 UTC') - interval '1 hour');

-- Minutes and hours with rows that are in no cell yet.
CREATE TABLE wf.request_due (
  step text NOT NULL CHECK (step IN ('minute', 'hour')),
  at   wf.moment NOT NULL,
  PRIMARY KEY (step, at)
);

-- The key that the home signs cursors with, as HMAC-SHA-256's two padded keys. Nobody may read it.
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
