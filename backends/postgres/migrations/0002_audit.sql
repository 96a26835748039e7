-- The trail of all that was done.

-- Numbers that readers rely on ("all after 41") come from a row that is updated in the writing transaction:
-- they neither skip nor commit out of order, as a sequence's would.
CREATE TABLE wf.counters (
  name  text PRIMARY KEY,
  value bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO wf.counters (name) VALUES ('audit'), ('keys');  -- keys: of wf.key_news

-- One row per transaction that came through an operation. Its request id is what makes a repeat harmless
-- and what an unknown outcome is looked up by.
CREATE TABLE wf.changes (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  request_id  text NOT NULL UNIQUE CHECK (length(request_id) BETWEEN 1 AND 100),
  operation   text NOT NULL CHECK (length(operation) BETWEEN 1 AND 100),
  fingerprint text NOT NULL DEFAULT '',  -- SHA-256 of the request: the same id for something else is refused
  reason      text CHECK (length(reason) <= 2000),
  actor       text NOT NULL DEFAULT session_user,
  started_at  timestamptz NOT NULL DEFAULT now(),
  xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
  result      jsonb
);

CREATE TABLE wf.audit (
  seq         bigint PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  change_id   bigint REFERENCES wf.changes,
  out_of_band boolean NOT NULL,  -- true: written past the operations, with psql for instance
  actor       text NOT NULL,     -- the login, whatever role it had taken on
  operation   text NOT NULL,
  noun        text NOT NULL,
  thing       text NOT NULL,
  tenant_id   text,
  reason      text,
  request_id  text,
  impersonation bigint,         -- both identities: the actor, and for whom they acted (wf.impersonations)
  before      jsonb,
  after       jsonb
);
CREATE INDEX audit_of_thing ON wf.audit (noun, thing, seq);
CREATE INDEX audit_of_tenant ON wf.audit (tenant_id, seq);
CREATE INDEX audit_of_change ON wf.audit (change_id);
CREATE INDEX audit_of_operation ON wf.audit (operation, seq);
CREATE INDEX audit_of_actor ON wf.audit (actor, seq);

-- Personal values are kept beside the trail, not in it: an erasure deletes them and leaves the trail whole.
CREATE TABLE wf.audit_personal (
  seq       bigint REFERENCES wf.audit,
  tenant_id text NOT NULL,
  field     text NOT NULL,
  before    text,
  after     text,
  PRIMARY KEY (seq, field)
);
CREATE INDEX audit_personal_of_tenant ON wf.audit_personal (tenant_id);

-- The chain over the audit trail, and the home's copies of its signed checkpoints: docs/audit.md.
--
-- A trail's numbers come from wf.counters in the writing transaction, which holds that row until it ends. So whoever
-- sees row n sees all before it, no number is ever left out, and none can come in late: a number that is missing
-- below one that is there was taken away. That is why the sequencer needs no horizon of transactions, and why writers
-- pay nothing for the chain: it only reads what they wrote.

-- What the checkpoints of this home are of.
CREATE TABLE wf.audit_origin (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  origin text NOT NULL DEFAULT 'watchfloor/audit/' || gen_random_uuid()
);
INSERT INTO wf.audit_origin DEFAULT VALUES;

CREATE TABLE wf.audit_chain (
  seq        bigint PRIMARY KEY CHECK (seq > 0),  -- of the row; no reference: what is gone must be found, not refused
  head       bytea NOT NULL CHECK (length(head) = 32),
  chained_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE wf.audit_checkpoints (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  size    bigint NOT NULL,
  head    bytea NOT NULL,
  note    text NOT NULL CONSTRAINT checkpoint_note CHECK (char_length(note) BETWEEN 1 AND 2000),
  made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  made_by text NOT NULL DEFAULT session_user
);
CREATE INDEX audit_checkpoints_of_size ON wf.audit_checkpoints (size);
