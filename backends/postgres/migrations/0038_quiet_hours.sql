-- Most tenants are quiet. When a tenant has few requests in an hour, they are kept as they are in one row, instead of
-- cells of its minutes and of the hour for each of its routes, keys and regions (sql/quiet_hours.sql). Cells that are there
-- stay as they are: a tenant's hour is in cells or in such a row, and readers read both.

-- Requests of one minute (0 to 59) that have route, key, region, class of status (4, 5, or 0 for all others) and bucket of
-- latency in common; NULL: there is no key, no region, no known latency. A sum of one latency is left out.
CREATE TYPE wf.quiet_requests AS (
  latency_sum double precision,
  latency_max real,
  n           smallint,
  class       smallint,
  minute      smallint,
  route       text COLLATE "C",
  key         text COLLATE "C",
  region      text COLLATE "C"
);
CREATE TABLE wf.quiet_hours (
  tenant_id text COLLATE "C" NOT NULL,
  hour      timestamptz NOT NULL,
  requests  wf.quiet_requests[] NOT NULL CONSTRAINT quiet_requests CHECK (cardinality(requests) BETWEEN 1 AND 100),
  PRIMARY KEY (tenant_id, hour)
) PARTITION BY RANGE (hour);
CREATE INDEX quiet_hours_by_hour ON wf.quiet_hours (hour);
CREATE TABLE wf.quiet_hours_default PARTITION OF wf.quiet_hours DEFAULT;
INSERT INTO wf.tenant_tables VALUES ('wf.quiet_hours', 4);
