GRANT SELECT ON wf.changes TO wf_viewer;
GRANT SELECT ON wf.audit TO wf_viewer;
GRANT SELECT ON wf.audit_personal TO wf_operator;

CREATE OR REPLACE FUNCTION wf.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only'
    USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'audit_append_only';
END
$$;

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.audit
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

CREATE OR REPLACE FUNCTION wf.masked(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN value IS NULL THEN NULL
              WHEN strpos(value, '@') > 1 THEN left(value, 1) || '•••@' || split_part(value, '@', -1)
              ELSE '•••' END;
END;

-- Open the change that this transaction makes. Without it, what the transaction writes is marked out-of-band.
CREATE OR REPLACE FUNCTION wf.begin_change(operation text, reason text, request_id text, fingerprint text DEFAULT '')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change bigint;
BEGIN
  INSERT INTO wf.changes (operation, reason, request_id, fingerprint)
  VALUES (begin_change.operation, nullif(btrim(begin_change.reason), ''), begin_change.request_id,
          begin_change.fingerprint)
  RETURNING id INTO change;
  PERFORM set_config('wf.change', change::text, true);
  RETURN change;
END
$$;
GRANT EXECUTE ON FUNCTION wf.begin_change TO wf_support, wf_worker;

-- The open change of this transaction, if there is one. The xid keeps a setting of another transaction out.
CREATE OR REPLACE FUNCTION wf.current_change() RETURNS wf.changes LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT c FROM wf.changes c
  WHERE c.id = nullif(current_setting('wf.change', true), '')::bigint AND c.xid = pg_current_xact_id_if_assigned()
$$;

-- Keep the result for whoever repeats the request; personal fields in it are masked, for the same reason as above.
CREATE OR REPLACE FUNCTION wf.finish_change(result jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.changes SET result = wf.without_personal(finish_change.result, ARRAY['owner_email'])
  WHERE id = (wf.current_change()).id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.finish_change TO wf_support, wf_worker;

CREATE OR REPLACE FUNCTION wf.without_personal(value jsonb, personal text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  SELECT CASE WHEN value IS NULL THEN NULL ELSE value || coalesce(
    (SELECT jsonb_object_agg(field, wf.masked(value ->> field)) FROM unnest(personal) AS field WHERE value ? field),
    '{}') END;
END;

-- The trigger of every control table, once per statement.
-- Arguments: noun, key columns joined by '/', tenant column, then the columns with personal data.
CREATE OR REPLACE FUNCTION wf.record_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  keys     text[] := string_to_array(TG_ARGV[1], '/');
  personal text[] := coalesce(TG_ARGV[3:], '{}');
  r        record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(NULL::jsonb) AS before, array_agg(to_jsonb(n) - ARRAY['search', 'hash']) AS after INTO r FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(to_jsonb(o) - ARRAY['search', 'hash']) AS before, array_agg(NULL::jsonb) AS after INTO r FROM old_rows o;
  ELSE
    -- Key columns never change (each table's guard sees to it), so old and new rows meet by them.
    SELECT array_agg(o.row) AS before, array_agg(n.row) AS after INTO r
    FROM (SELECT to_jsonb(o) - ARRAY['search', 'hash'] AS row FROM old_rows o) o
    JOIN (SELECT to_jsonb(n) - ARRAY['search', 'hash'] AS row FROM new_rows n) n
      ON wf.thing(o.row, keys) = wf.thing(n.row, keys)
    WHERE o.row IS DISTINCT FROM n.row;
  END IF;
  IF r.before IS NOT NULL THEN
    PERFORM wf.append_audit(
      TG_ARGV[0], lower(TG_OP),
      (SELECT array_agg(wf.thing(coalesce(a, b), keys) ORDER BY i) FROM unnest(r.before, r.after) WITH ORDINALITY u(b, a, i)),
      (SELECT array_agg(coalesce(a, b) ->> TG_ARGV[2] ORDER BY i) FROM unnest(r.before, r.after) WITH ORDINALITY u(b, a, i)),
      r.before, r.after, personal);
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION wf.thing(value jsonb, keys text[]) RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  SELECT string_agg(value ->> key, '/' ORDER BY i) FROM unnest(keys) WITH ORDINALITY AS k(key, i);
END;

-- Put the trigger on a table.
CREATE OR REPLACE FUNCTION wf.audited(control regclass, VARIADIC arguments text[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  quoted text := (SELECT string_agg(quote_literal(a), ', ' ORDER BY i) FROM unnest(arguments) WITH ORDINALITY u(a, i));
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER audit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
  EXECUTE format('CREATE OR REPLACE TRIGGER audit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
  EXECUTE format('CREATE OR REPLACE TRIGGER audit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
END
$$;

-- Something that happened without a row of a control table changing: an import.
-- Only within a change, so that it has an operation, a reason and a request id; and never under the noun of a
-- control table, so that it cannot pass for a changed row.
CREATE OR REPLACE FUNCTION wf.note(noun text, thing text, tenant_id text, after jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  IF (wf.current_change()).id IS NULL THEN
    RAISE EXCEPTION 'wf.note needs an open change' USING ERRCODE = 'invalid_transaction_state';
  END IF;
  IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = 'wf.record_change'::regproc
             AND split_part(encode(t.tgargs, 'escape'), '\000', 1) = note.noun) THEN
    RAISE EXCEPTION 'the trail of % is written by its triggers alone', noun
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'audit_noun_taken';
  END IF;
  RETURN wf.append_audit(noun, 'note', ARRAY[thing], ARRAY[tenant_id], ARRAY[NULL::jsonb], ARRAY[after], '{}');
END
$$;
GRANT EXECUTE ON FUNCTION wf.note TO wf_support, wf_worker;

CREATE OR REPLACE FUNCTION wf.append_audit(
  noun text, verb text, things text[], tenants text[], befores jsonb[], afters jsonb[], personal text[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
  acting record;
  last   bigint;
BEGIN
  SELECT * INTO acting FROM wf.acting_as();
  -- Who acts for a tenant only to read changes nothing of it. To end it, to look and to reveal is no change of it.
  IF acting.mode = 'read' AND acting.tenant_id = ANY (tenants) AND noun NOT IN ('impersonations', 'look_ups', 'reveals') THEN
    RAISE EXCEPTION '% acts for %, reading only', session_user, acting.tenant_id
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'impersonation_reading';
  END IF;
  UPDATE wf.counters SET value = value + cardinality(things) WHERE name = 'audit' RETURNING value INTO last;
  INSERT INTO wf.audit (seq, change_id, out_of_band, actor, operation, noun, thing, tenant_id, reason, request_id,
                        impersonation, before, after)
  -- unnest, not befores[i]: to find one element of such an array costs as much as to read all before it.
  SELECT last - cardinality(things) + i, change.id, change.id IS NULL, session_user,
         coalesce(change.operation, 'sql.' || verb), append_audit.noun, u.thing, u.tenant,
         change.reason, change.request_id, CASE WHEN u.tenant = acting.tenant_id THEN acting.impersonation END,
         wf.without_personal(u.old, personal), wf.without_personal(u.new, personal)
  FROM unnest(things, tenants, befores, afters) WITH ORDINALITY AS u(thing, tenant, old, new, i);
  INSERT INTO wf.audit_personal (seq, tenant_id, field, before, after)
  SELECT last - cardinality(things) + i, u.tenant, field, u.old ->> field, u.new ->> field
  FROM unnest(things, tenants, befores, afters) WITH ORDINALITY AS u(thing, tenant, old, new, i),
       unnest(personal) AS field
  WHERE u.old ->> field IS DISTINCT FROM u.new ->> field;
  PERFORM pg_notify('wf', noun || ' ' || last);
  RETURN last;
END
$$;

-- What a tenant may read of its own trail: who did what, and whether they acted in its name; then also why. Other
-- reasons are words among colleagues; they, the rows themselves, addresses and request ids are left out.
CREATE OR REPLACE FUNCTION wf_data.audit_feed(tenant text, after bigint DEFAULT 0, max integer DEFAULT 100)
RETURNS TABLE (seq bigint, at timestamptz, actor text, operation text, noun text, thing text, reason text, impersonation bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT a.seq, a.at, a.actor, a.operation, a.noun, a.thing, CASE WHEN a.noun = 'impersonations' THEN
           (SELECT i.reason FROM wf.impersonations i WHERE i.id = a.thing::bigint) END, a.impersonation
  FROM wf.audit a WHERE a.tenant_id = audit_feed.tenant AND a.seq > coalesce(audit_feed.after, 0)
  ORDER BY a.seq LIMIT least(greatest(coalesce(audit_feed.max, 100), 0), 1000)
$$;

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.audit_chain
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.audit_checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

GRANT SELECT ON wf.audit_origin, wf.audit_chain, wf.audit_checkpoints TO wf_viewer, wf_worker;
GRANT SELECT ON wf.audit TO wf_worker;  -- whoever signs reads what it signs

-- The text of a row that is hashed. Never changed: what was chained by it must be found again.
CREATE OR REPLACE FUNCTION wf.audit_canonical(a wf.audit) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'seq', a.seq, 'at', to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'change_id', a.change_id,
    'out_of_band', a.out_of_band, 'actor', a.actor, 'operation', a.operation, 'noun', a.noun, 'thing', a.thing,
    'tenant_id', a.tenant_id, 'reason', a.reason, 'request_id', a.request_id, 'before', a.before, 'after', a.after)::text;
END;

-- Chain what was committed and is not chained yet, at most `most` rows; how many. One at a time: a second gets 0.
--   leaf = SHA-256(0x00 ‖ text)   head = SHA-256(head before ‖ leaf)   the head before row 1: 32 zero bytes
CREATE OR REPLACE FUNCTION wf.chain_audit(most integer DEFAULT 50000) RETURNS bigint LANGUAGE plpgsql
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
CREATE OR REPLACE FUNCTION wf.keep_checkpoint(size bigint, head bytea, note text) RETURNS void LANGUAGE plpgsql
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
