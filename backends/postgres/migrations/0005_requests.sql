-- Telemetry: every request as it was logged, and hours with a histogram. No audit triggers: the rows show traffic, not
-- what an operator did; an import writes one row of its own to the trail.
CREATE TABLE wf.requests (
  tenant_id  text COLLATE "C" NOT NULL,  -- no foreign key: telemetry may come before its tenant and outlive it
  project_id text,
  route      text COLLATE "C" NOT NULL,  -- the path without ids and query string
  method     text NOT NULL,
  status     smallint NOT NULL,
  latency_ms real,                       -- NULL: the log has none; unknown, never 0
  key_prefix text,
  region     text,
  request_id text,
  at         timestamptz NOT NULL,
  bytes      bigint,
  key_id     text COLLATE "C",           -- which key made the call, and from where: for support
  address    inet,
  xid        bigint DEFAULT txid_current(),  -- tells which rows are rolled up; not xid8, which has no BRIN
  -- One bad row would stop the whole roll-up. It is one expression, because it is evaluated for every incoming row.
  CONSTRAINT request_sound CHECK (
    char_length(tenant_id) BETWEEN 1 AND 64 AND char_length(route) <= 400 AND char_length(method) <= 16
    AND status BETWEEN 0 AND 999 AND latency_ms BETWEEN 0 AND 1e9 AND bytes >= 0
    AND at >= timestamptz '1970-01-01 00:00Z' AND at < timestamptz '2200-01-01 00:00Z'
    AND char_length(project_id) <= 64 AND char_length(key_prefix) <= 64 AND char_length(region) <= 64
    AND char_length(request_id) <= 128 AND char_length(key_id) <= 64)
) PARTITION BY RANGE (at);
CREATE INDEX requests_of_tenant ON wf.requests (tenant_id, route, at);
CREATE INDEX requests_by_time ON wf.requests USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX requests_of_key ON wf.requests (key_id, at) WHERE key_id IS NOT NULL;
CREATE INDEX requests_of_request ON wf.requests (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX requests_by_transaction ON wf.requests USING brin (xid) WITH (pages_per_range = 32, autosummarize = on);

-- Takes rows whose day has no partition yet, so that nothing is lost. Rows that stay in it are worth an alert.
CREATE TABLE wf.requests_default PARTITION OF wf.requests DEFAULT;

INSERT INTO wf.tenant_tables VALUES ('wf.requests', 1), ('wf.request_hours', 2);

-- Which parts of which logs are stored. A chunk is named by the hash of the whole log up to its end, so a log is
-- recognised by its content: the same file again finds all its chunks, a longer one all but its last lines.
-- Written in the transaction that stores the chunk's rows.
CREATE TABLE wf.import_chunks (
  running   bytea PRIMARY KEY CHECK (octet_length(running) = 32),  -- SHA-256 of `previous` and the chunk's bytes
  previous  bytea NOT NULL CHECK (octet_length(previous) = 32),    -- of the previous chunk; for the first: of format and tenant
  size      integer NOT NULL CHECK (size > 0),                     -- bytes, unpacked
  lines     integer NOT NULL,
  rows      integer NOT NULL,
  ends_open boolean NOT NULL,              -- it ends within a line, whose rest belongs to it
  left_out  text[] NOT NULL DEFAULT '{}'     -- all unknown tenants of the chunk, whose rows were not stored
    CONSTRAINT import_left_out CHECK (octet_length(left_out::text) <= 8388608 AND array_position(left_out, NULL) IS NULL),
  from_at   wf.moment,                   -- of all its requests, also those left out
  until_at  wf.moment,
  days      date[] NOT NULL DEFAULT '{}' CONSTRAINT import_days CHECK (cardinality(days) <= 10000),
  marks     bytea NOT NULL DEFAULT '' CONSTRAINT import_marks CHECK (octet_length(marks) <= 16777216),  -- CRC-32 of each whole line
  change_id bigint REFERENCES wf.changes,  -- NULL: neither rolled up nor in the trail yet
  stored_by wf.line NOT NULL DEFAULT session_user,
  stored_at wf.moment NOT NULL DEFAULT now(),
  xid       xid8 NOT NULL DEFAULT pg_current_xact_id()  -- of the last transaction that stored rows of it
);
CREATE INDEX import_chunks_after ON wf.import_chunks (previous);
CREATE INDEX import_chunks_by_transaction ON wf.import_chunks (xid);

-- How long each class of telemetry is kept, in days.
CREATE TABLE wf.telemetry_retention (
  data       text PRIMARY KEY CONSTRAINT retention_data CHECK (data IN ('raw', 'minutes', 'hours')),
  days       integer NOT NULL CONSTRAINT retention_days CHECK (days BETWEEN 2 AND 3660),
  version    integer NOT NULL DEFAULT 1,
  updated_at wf.moment NOT NULL DEFAULT now()
);
INSERT INTO wf.telemetry_retention VALUES ('raw', 14), ('minutes', 2), ('hours', 396);

-- Stored batches: a service that did not get the answer sends the batch again, and gets the same answer.
CREATE TABLE wf.request_batches (
  login      wf.line NOT NULL,  -- each service has its own ids
  id         text NOT NULL CONSTRAINT request_batch_id CHECK (char_length(id) BETWEEN 1 AND 128),
  stored     integer NOT NULL DEFAULT 0,
  uncredited integer NOT NULL DEFAULT 0,
  unreadable integer NOT NULL DEFAULT 0,
  at         wf.moment NOT NULL DEFAULT now(),
  PRIMARY KEY (login, id)
);
CREATE INDEX request_batches_by_time ON wf.request_batches (at);

-- The logs that are being imported now, and the session that imports each: two imports of one log would both store it.
CREATE TABLE wf.import_holds (
  source        bytea PRIMARY KEY CONSTRAINT import_source CHECK (octet_length(source) = 32),
  pid           integer NOT NULL,
  backend_start wf.moment NOT NULL,
  login         wf.line NOT NULL DEFAULT session_user
);
