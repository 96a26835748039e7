-- The keys that a run will make, until their items have their verdicts. Their secrets left the program of the person who
-- started the run before it was committed; a home never holds one. Nobody may read these rows: who knew a hash could
-- register it for another tenant first.
CREATE TABLE wf.run_keys (
  run_id  bigint,
  ordinal integer,
  id      text COLLATE "C" NOT NULL CONSTRAINT key_id_format CHECK (id ~ '^key_[0-9A-HJKMNP-TV-Z]{26}$'),
  display text NOT NULL CONSTRAINT key_display_length CHECK (char_length(display) BETWEEN 1 AND 64),
  hash    bytea NOT NULL CONSTRAINT key_hash_length CHECK (octet_length(hash) = 32),
  PRIMARY KEY (run_id, ordinal),
  CONSTRAINT run_key_item FOREIGN KEY (run_id, ordinal) REFERENCES wf.run_items
);
