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

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.audit_chain
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.audit_checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();
GRANT SELECT ON wf.audit_origin, wf.audit_chain, wf.audit_checkpoints TO wf_viewer, wf_worker;
GRANT SELECT ON wf.audit TO wf_worker;  -- whoever signs reads what it signs

-- The text of a row that is hashed. Never changed: what was chained by it must be found again.
CREATE FUNCTION wf.audit_canonical(a wf.audit) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'seq', a.seq, 'at', to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'change_id', a.change_id,
    'out_of_band', a.out_of_band, 'actor', a.actor, 'operation', a.operation, 'noun', a.noun, 'thing', a.thing,
    'tenant_id', a.tenant_id, 'reason', a.reason, 'request_id', a.request_id, 'before', a.before, 'after', a.after)::text
$$;

-- Chain what was committed and is not chained yet, at most `most` rows; how many. One at a time: a second gets 0.
--   leaf = SHA-256(0x00 ‖ text)   head = SHA-256(head before ‖ leaf)   the head before row 1: 32 zero bytes
CREATE FUNCTION wf.chain_audit(most integer DEFAULT 50000) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  last    bigint := 0;
  link    bytea := decode(repeat('00', 32), 'hex');
  numbers bigint[] := '{}';
  heads   bytea[] := '{}';
  newest  record;
  r       record;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('wf.chain_audit', 0)) THEN
    RETURN 0;
  END IF;
  SELECT c.seq, c.head INTO newest FROM wf.audit_chain c ORDER BY c.seq DESC LIMIT 1;
  IF FOUND THEN
    last := newest.seq;
    link := newest.head;
  END IF;
  -- Both in one statement, so of one moment: what was counted must be there, and what was chained must have been counted.
  SELECT c.value AS counted, coalesce((SELECT max(a.seq) FROM wf.audit a), 0) AS there INTO r
  FROM wf.counters c WHERE c.name = 'audit';
  IF r.there < greatest(r.counted, last) THEN
    RAISE EXCEPTION 'row % of the audit trail is missing', r.there + 1
      USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_gap';
  ELSIF r.there IS DISTINCT FROM r.counted THEN
    RAISE EXCEPTION 'row % of the audit trail was never counted', r.there
      USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_gap';
  END IF;
  FOR r IN
    SELECT a.seq, sha256('\x00'::bytea || convert_to(wf.audit_canonical(a), 'UTF8')) AS leaf
    FROM wf.audit a WHERE a.seq > last ORDER BY a.seq LIMIT most
  LOOP
    IF r.seq <> last + 1 THEN
      EXIT WHEN numbers <> '{}';  -- what is whole is chained first
      RAISE EXCEPTION 'row % of the audit trail is missing', last + 1
        USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_gap';
    END IF;
    last := r.seq;
    link := sha256(link || r.leaf);
    numbers := array_append(numbers, last);
    heads := array_append(heads, link);
  END LOOP;
  INSERT INTO wf.audit_chain (seq, head) SELECT * FROM unnest(numbers, heads);
  RETURN cardinality(numbers);
END
$$;

-- Keep a copy of a checkpoint whose original lies outside. Only one of the chain that is here.
CREATE FUNCTION wf.keep_checkpoint(size bigint, head bytea, note text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM wf.audit_chain c WHERE c.seq = keep_checkpoint.size AND c.head = keep_checkpoint.head) THEN
    RAISE EXCEPTION 'a checkpoint of % rows is not of this chain', size
      USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_inconsistent';
  END IF;
  INSERT INTO wf.audit_checkpoints (size, head, note)
  VALUES (keep_checkpoint.size, keep_checkpoint.head, keep_checkpoint.note);
END
$$;
GRANT EXECUTE ON FUNCTION wf.chain_audit, wf.keep_checkpoint TO wf_worker;

-- How far both have come. `waits_since`: when the first row was written that is not chained; NULL: there is none.
-- `unsigned_since`: the same of checkpoints. `signed` and its time are NULL when none was made yet.
CREATE VIEW wf.audit_chain_status AS
SELECT n.written, n.chained, s.size AS signed, s.made_at AS signed_at,
       (SELECT a.at FROM wf.audit a WHERE a.seq = n.chained + 1) AS waits_since,
       (SELECT a.at FROM wf.audit a WHERE a.seq = coalesce(s.size, 0) + 1) AS unsigned_since
FROM (SELECT coalesce((SELECT max(seq) FROM wf.audit), 0) AS written,
             coalesce((SELECT max(seq) FROM wf.audit_chain), 0) AS chained) n
LEFT JOIN LATERAL (SELECT c.size, c.made_at FROM wf.audit_checkpoints c ORDER BY c.size DESC, c.id DESC LIMIT 1) s ON true;
GRANT SELECT ON wf.audit_chain_status TO wf_viewer;
