-- The audit trail: every change that was made.

-- Numbers that readers rely on ("all after 41") come from a row that is updated in the writing transaction. Unlike a
-- sequence's, they have no gaps and do not commit out of order.
CREATE TABLE wf.counters (
  name  text PRIMARY KEY,
  value bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO wf.counters (name) VALUES ('audit'), ('keys');  -- keys: for wf.key_news

-- The operations that may open a change, and the least role for each: as in controlplane/registry.py; a test compares
-- the two. Nobody can choose those with the role `owner`. This table and the next are filled again whenever the nouns'
-- files are applied (backends/postgres/sql/): each file lists its operations, and what they write, at its top.
CREATE TABLE wf.operations (
  name wf.line PRIMARY KEY,
  role text NOT NULL CHECK (role IN ('support', 'operator', 'admin', 'owner'))
);

-- What each operation writes to the trail: rows of a table (`control`) with a verb. For an update, which columns
-- (besides those that triggers set) and, where the columns do not tell two operations apart, the values before (`was`)
-- or after (`becomes`). `many`: it writes several things; else only one. A note's `control` is its noun, and `columns`
-- are its fields. wf.append_audit marks every other row out-of-band. A file may also list what another file's operation
-- writes to its tables, and be applied before that file: so the foreign key is checked at the commit.
CREATE TABLE wf.operation_writes (
  operation wf.line REFERENCES wf.operations DEFERRABLE INITIALLY DEFERRED,
  control   wf.line,
  verb      text CHECK (verb IN ('insert', 'update', 'delete', 'note')),
  columns   wf.lines CHECK ((columns IS NOT NULL) = (verb IN ('update', 'note'))),
  was       wf.document,
  becomes   wf.document,
  many      boolean NOT NULL,
  PRIMARY KEY (operation, control, verb)
);

-- One row per transaction that was opened by an operation. Its request id makes a repeat harmless, and an unknown
-- outcome is looked up by it.
CREATE TABLE wf.changes (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  request_id  text NOT NULL UNIQUE CHECK (length(request_id) BETWEEN 1 AND 100),
  operation   text NOT NULL CHECK (length(operation) BETWEEN 1 AND 100),
  -- SHA-256 of the request: the same id for something else is refused
  fingerprint text NOT NULL DEFAULT '' CONSTRAINT change_fingerprint CHECK (octet_length(fingerprint) <= 64),
  reason      text CHECK (length(reason) <= 2000),
  actor       text NOT NULL DEFAULT session_user,
  carried_for text CONSTRAINT change_carried_for CHECK (octet_length(carried_for) <= 63),  -- whose run a worker carries
  started_at  timestamptz NOT NULL DEFAULT now(),
  xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
  result      jsonb  -- wf.finish_change, its only writer, limits its size
);

CREATE TABLE wf.audit (
  seq         bigint PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  change_id   bigint REFERENCES wf.changes,
  out_of_band boolean NOT NULL,  -- true: written without an operation, with psql for instance
  -- The login, whatever role it set. For a run that a worker carries: who started it, with the login in `carried_by`.
  actor       text NOT NULL CONSTRAINT audit_actor CHECK (octet_length(actor) <= 63),
  operation   text NOT NULL CONSTRAINT audit_operation CHECK (char_length(operation) <= 100),
  noun        text NOT NULL CONSTRAINT audit_noun CHECK (char_length(noun) <= 100),
  thing       text NOT NULL CONSTRAINT audit_thing CHECK (char_length(thing) BETWEEN 1 AND 1000),
  tenant_id   text CONSTRAINT audit_tenant CHECK (char_length(tenant_id) BETWEEN 1 AND 100),
  reason      text CONSTRAINT audit_reason CHECK (char_length(reason) <= 2000),
  request_id  text CONSTRAINT audit_request CHECK (char_length(request_id) <= 100),
  carried_by  text CONSTRAINT audit_carried_by CHECK (octet_length(carried_by) <= 63),
  impersonation bigint,         -- set when the actor acted for a tenant (wf.impersonations)
  -- wf.append_audit, their only writer, limits their sizes, not a CHECK: a home older than the limits can be restored.
  before      jsonb,
  after       jsonb
);
CREATE INDEX audit_of_thing ON wf.audit (noun, thing, seq);
CREATE INDEX audit_of_tenant ON wf.audit (tenant_id, seq);
CREATE INDEX audit_of_change ON wf.audit (change_id);
-- For the list's filters, newest first.
CREATE INDEX audit_by_operation ON wf.audit (wf.folded(operation), seq);
CREATE INDEX audit_by_actor ON wf.audit (wf.folded(actor), seq);
CREATE INDEX audit_by_noun ON wf.audit (wf.folded(noun), seq);
CREATE INDEX audit_by_thing ON wf.audit (wf.folded(thing), seq);
CREATE INDEX audit_by_tenant ON wf.audit (wf.folded(tenant_id), seq);
CREATE INDEX audit_by_request ON wf.audit (wf.folded(request_id));
CREATE INDEX audit_by_time ON wf.audit (at);
CREATE INDEX audit_out_of_band ON wf.audit (seq) WHERE out_of_band;
CREATE INDEX audit_search ON wf.audit USING gin (wf.trigrams(wf.folded(
  thing || ' ' || operation || ' ' || actor || ' ' || coalesce(reason, ''))));

-- Personal values are kept beside the trail, so that an erasure can delete them and leave the trail whole.
CREATE TABLE wf.audit_personal (
  seq       bigint REFERENCES wf.audit,
  tenant_id text NOT NULL CONSTRAINT personal_tenant CHECK (char_length(tenant_id) <= 100),
  field     text NOT NULL CONSTRAINT personal_field CHECK (char_length(field) <= 64),
  before    text CONSTRAINT personal_before CHECK (char_length(before) <= 100000),
  after     text CONSTRAINT personal_after CHECK (char_length(after) <= 100000),
  PRIMARY KEY (seq, field)
);
CREATE INDEX audit_personal_of_tenant ON wf.audit_personal (tenant_id);

-- The chain over the audit trail, and the home's copies of its signed checkpoints: docs/audit.md.
--
-- The trail's numbers come from wf.counters in the writing transaction, which locks that row until it ends. So whoever
-- sees row n sees all rows before it, there are no gaps, and no row comes in late: a missing number below an existing
-- one means that a row was deleted. So the chain needs to know nothing about open transactions, and costs writers
-- nothing: it only reads what they wrote.

-- The name of this home's trail in its checkpoints.
CREATE TABLE wf.audit_origin (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  origin text NOT NULL DEFAULT 'watchfloor/audit/' || gen_random_uuid()
         CONSTRAINT audit_origin_form CHECK (origin ~ '^watchfloor/audit/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
);
INSERT INTO wf.audit_origin DEFAULT VALUES;

CREATE TABLE wf.audit_chain (
  seq        bigint PRIMARY KEY CHECK (seq > 0),  -- the row's; no foreign key: a deletion must be found, not refused
  head       bytea NOT NULL CHECK (length(head) = 32),
  chained_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE wf.audit_checkpoints (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  size    bigint NOT NULL CONSTRAINT checkpoint_size CHECK (size > 0),
  head    bytea NOT NULL CONSTRAINT checkpoint_head CHECK (octet_length(head) = 32),
  note    text NOT NULL CONSTRAINT checkpoint_note CHECK (char_length(note) BETWEEN 1 AND 2000),
  made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  made_by text NOT NULL DEFAULT session_user
);
CREATE INDEX audit_checkpoints_of_size ON wf.audit_checkpoints (size);

-- The triggers as they were made or last seen by wf.note_triggers.
CREATE TABLE wf.triggers_seen (control text, name text, enabled text NOT NULL, written text NOT NULL, PRIMARY KEY (control, name));
