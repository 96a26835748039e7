-- Dead letters: what could not be done after all its tries, of every source, until somebody replays or discards it.
--
-- A job or delivery of this home becomes one in the transaction in which it dies, and the letter is settled in the one in
-- which it lives again (sql/dead_letters.sql). Each death is a letter of its own, so that what fails again never joins the
-- run that replayed it.
CREATE TABLE wf.dead_letters (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source          text NOT NULL CONSTRAINT letter_source CHECK (source ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  source_id       wf.line COLLATE "C" NOT NULL,  -- its name there
  tenant_id       wf.line COLLATE "C",           -- no foreign key: another source may know tenants that this home does not
  queue           wf.line NOT NULL,
  handler         wf.line NOT NULL,
  error_class     wf.line NOT NULL DEFAULT '',
  error           wf.words NOT NULL DEFAULT '',  -- of the last attempt
  cause           wf.words NOT NULL,             -- wf.dead_cause of it; wf.name_cause fills in this and the next
  fingerprint     text COLLATE "C" NOT NULL CONSTRAINT letter_fingerprint CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
  payload         bytea NOT NULL DEFAULT '' CONSTRAINT letter_payload CHECK (octet_length(payload) <= 262144),
  payload_bytes   bigint NOT NULL DEFAULT 0,     -- of the original; more than are kept: it was cut
  payload_json    jsonb CONSTRAINT letter_payload_json CHECK (pg_column_size(payload_json) <= 1048576),
  headers         wf.document NOT NULL DEFAULT '{}' CONSTRAINT letter_headers CHECK (jsonb_typeof(headers) = 'object'),
  edited          wf.document,                   -- a JSON merge patch, for the replay
  attempts        wf.document NOT NULL DEFAULT '[]' CONSTRAINT letter_attempts CHECK (jsonb_typeof(attempts) = 'array'),
  attempt_count   integer NOT NULL DEFAULT 0 CONSTRAINT letter_attempt_count CHECK (attempt_count >= 0),
  first_failed_at wf.moment,
  dead_at         wf.moment NOT NULL DEFAULT clock_timestamp(),
  idempotency_key wf.line,
  ordering_key    wf.line,
  release         wf.line NOT NULL DEFAULT '',   -- of the program that failed
  state           text NOT NULL DEFAULT 'dead' CONSTRAINT letter_state
                  CHECK (state IN ('dead', 'quarantined', 'replaying', 'replayed', 'discarded')),
  replays         integer NOT NULL DEFAULT 0,    -- how often it was replayed before and died of the same cause
  hold            boolean NOT NULL DEFAULT false,  -- a legal hold: it is neither discarded nor deleted
  settled_at      wf.moment,
  settled_by      wf.line,
  settled_why     wf.words,
  version         integer NOT NULL DEFAULT 1,
  search          text GENERATED ALWAYS AS (wf.folded(handler || E'\n' || coalesce(tenant_id, '') || E'\n' || source_id
                    || E'\n' || error_class || E'\n' || cause)) STORED,  -- nothing personal: not the error itself
  CONSTRAINT letter_marks CHECK ((state IN ('replayed', 'discarded')) = (settled_at IS NOT NULL))
) WITH (fillfactor = 85);

-- A message is dead once at a time.
CREATE UNIQUE INDEX letter_waiting ON wf.dead_letters (source, source_id) WHERE state IN ('dead', 'quarantined', 'replaying');
CREATE INDEX letters_id_folded ON wf.dead_letters (wf.folded(id::text));
CREATE INDEX letters_of_source ON wf.dead_letters (source, source_id, id);
CREATE INDEX letters_oldest ON wf.dead_letters (source, dead_at) WHERE state IN ('dead', 'quarantined');
CREATE INDEX letters_in ON wf.dead_letters (dead_at);
CREATE INDEX letters_out ON wf.dead_letters (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX letters_by_state ON wf.dead_letters (state, id);
CREATE INDEX letters_of_cause ON wf.dead_letters (wf.folded(left(fingerprint, 16)), id);
CREATE INDEX letters_of_tenant ON wf.dead_letters (tenant_id);
CREATE INDEX letters_tenant_folded ON wf.dead_letters (wf.folded(tenant_id), id);
CREATE INDEX letters_handler_folded ON wf.dead_letters (wf.folded(handler), id);
CREATE INDEX letters_by_key ON wf.dead_letters (source, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX letters_payload ON wf.dead_letters USING gin (payload_json jsonb_path_ops);
CREATE INDEX letters_search ON wf.dead_letters USING gin (wf.trigrams(search));

-- One row per cause, with counts that triggers keep. `replayed`, `discarded`: all there ever were.
CREATE TABLE wf.dead_causes (
  fingerprint wf.line COLLATE "C" PRIMARY KEY,
  source      wf.line NOT NULL,
  queue       wf.line NOT NULL,
  handler     wf.line NOT NULL,
  error_class wf.line NOT NULL,
  cause       wf.words NOT NULL,
  dead        bigint NOT NULL DEFAULT 0,
  quarantined bigint NOT NULL DEFAULT 0,
  replayed    bigint NOT NULL DEFAULT 0,
  discarded   bigint NOT NULL DEFAULT 0,
  waiting     bigint NOT NULL GENERATED ALWAYS AS (dead + quarantined) STORED,
  tenants     integer NOT NULL DEFAULT 0,  -- with a message that waits
  first_seen  wf.moment NOT NULL,
  last_seen   wf.moment NOT NULL,
  releases    wf.lines NOT NULL DEFAULT '{}',
  fixed_in    wf.line,                     -- the release that is said to have removed it
  version     integer NOT NULL DEFAULT 1,  -- counts what people do
  search      text GENERATED ALWAYS AS (wf.folded(handler || E'\n' || error_class || E'\n' || cause)) STORED
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX causes_by_waiting ON wf.dead_causes (waiting, fingerprint);
CREATE INDEX causes_waiting ON wf.dead_causes (source) INCLUDE (waiting) WHERE waiting > 0;
CREATE INDEX causes_by_last ON wf.dead_causes (last_seen, fingerprint);
CREATE INDEX causes_folded ON wf.dead_causes (wf.folded(left(fingerprint, 16)));
CREATE INDEX causes_handler_folded ON wf.dead_causes (wf.folded(handler), fingerprint);
CREATE INDEX causes_search ON wf.dead_causes USING gin (wf.trigrams(search));

-- How many of a cause died in an hour, and how many of a tenant wait.
CREATE TABLE wf.dead_cause_hours (
  fingerprint wf.line COLLATE "C",
  hour        wf.moment,
  n           bigint NOT NULL,
  PRIMARY KEY (fingerprint, hour)
) WITH (fillfactor = 70);
CREATE INDEX cause_hours_by_time ON wf.dead_cause_hours (hour);
CREATE TABLE wf.dead_cause_tenants (
  fingerprint wf.line COLLATE "C",
  tenant_id   wf.line COLLATE "C",
  n           bigint NOT NULL,
  PRIMARY KEY (fingerprint, tenant_id)
) WITH (fillfactor = 70);
CREATE INDEX cause_tenants_of_tenant ON wf.dead_cause_tenants (tenant_id);
-- So many letters of a cause, tenant and state.
CREATE TYPE wf.letter_count AS (fingerprint text, tenant_id text, state text, n bigint);
INSERT INTO wf.tenant_tables VALUES ('wf.dead_letters', 15), ('wf.dead_cause_tenants', 16);
