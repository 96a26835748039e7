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
  bytes      bigint,
  key_id     text COLLATE "C",           -- which key the call was made with, and from where: for those who help a customer
  address    inet,
  xid        bigint DEFAULT txid_current(),  -- whose rows were rolled up is told by it; no BRIN of xid8 exists
  -- One bad row would stop the roll-up of all: one expression, because it is made for every row that comes in.
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

-- Takes what has no day yet, so that nothing is lost. Rows in it for long are worth an alert.
CREATE TABLE wf.requests_default PARTITION OF wf.requests DEFAULT;

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
  left_out  text[] NOT NULL DEFAULT '{}'     -- unknown tenants whose rows were not stored: as many as the chunk names
    CONSTRAINT import_left_out CHECK (octet_length(left_out::text) <= 8388608 AND array_position(left_out, NULL) IS NULL),
  from_at   wf.moment,                   -- of all requests in it, those left out as well
  until_at  wf.moment,
  days      date[] NOT NULL DEFAULT '{}' CONSTRAINT import_days CHECK (cardinality(days) <= 10000),
  marks     bytea NOT NULL DEFAULT '' CONSTRAINT import_marks CHECK (octet_length(marks) <= 16777216),  -- CRC-32 of each whole line
  change_id bigint REFERENCES wf.changes,  -- NULL: not rolled up and not in the trail yet
  stored_by wf.line NOT NULL DEFAULT session_user,
  stored_at wf.moment NOT NULL DEFAULT now(),
  xid       xid8 NOT NULL DEFAULT pg_current_xact_id()  -- that stored rows of it last
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

-- Batches that were stored: who did not hear the answer says the same again, and gets it.
CREATE TABLE wf.request_batches (
  login      wf.line NOT NULL,  -- ids of one service mean nothing to another
  id         text NOT NULL CONSTRAINT request_batch_id CHECK (char_length(id) BETWEEN 1 AND 128),
  stored     integer NOT NULL DEFAULT 0,
  uncredited integer NOT NULL DEFAULT 0,
  unreadable integer NOT NULL DEFAULT 0,
  at         wf.moment NOT NULL DEFAULT now(),
  PRIMARY KEY (login, id)
);
CREATE INDEX request_batches_by_time ON wf.request_batches (at);

-- The logs that are just being imported, each by the session that does it: two imports of one log would both store it.
CREATE TABLE wf.import_holds (
  source        bytea PRIMARY KEY CONSTRAINT import_source CHECK (octet_length(source) = 32),
  pid           integer NOT NULL,
  backend_start wf.moment NOT NULL,
  login         wf.line NOT NULL DEFAULT session_user
);
