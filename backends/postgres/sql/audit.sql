GRANT SELECT ON wf.changes TO wf_viewer;
GRANT SELECT ON wf.audit TO wf_viewer;
GRANT SELECT ON wf.audit_personal TO wf_operator;

CREATE OR REPLACE FUNCTION wf.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only'
    USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'audit_append_only';
END
$$;

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.audit
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

-- An erasure deletes personal values, a change gets its result; the rest of both stays.
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON wf.audit_personal
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON wf.changes
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON wf.counters
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

-- Open this transaction's change. Without one, everything that the transaction writes is marked out-of-band. The
-- operation must exist, and the login must be allowed to run it (wf.operations).
CREATE OR REPLACE FUNCTION wf.begin_change(operation text, reason text, request_id text, fingerprint text DEFAULT '')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  least_role text := (SELECT o.role FROM wf.operations o WHERE o.name = begin_change.operation);
BEGIN
  IF least_role IS NULL THEN
    RAISE EXCEPTION 'there is no operation %', left(operation, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'operation_unknown';
  ELSIF NOT (pg_has_role(session_user, current_user, 'MEMBER')  -- the owner
             OR least_role <> 'owner' AND wf.may(least_role)) THEN
    RAISE EXCEPTION '% needs the role %', operation, least_role USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM wf.check_request_id(request_id);
  RETURN wf.open_change(operation, reason, request_id, fingerprint);
END
$$;
GRANT EXECUTE ON FUNCTION wf.begin_change TO wf_support;

-- A caller takes no request id that the home gives: taken before, it would keep the home from that change, and an incident's
-- timeline is told by it what a run did. Of a run's ids, only that of an item is a caller's, which settles it
-- (wf.settle_items).
CREATE OR REPLACE FUNCTION wf.check_request_id(request_id text) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = wf, pg_temp AS $$
BEGIN
  IF request_id ~ '^home-|^run-[0-9]+-' AND request_id !~ '^run-[0-9]{1,18}-[0-9]{1,9}(-preview)?$' THEN
    RAISE EXCEPTION 'the request id % is one that the home gives', left(request_id, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'request_id_home';
  END IF;
END
$$;

-- The same for functions that check by themselves who may call them, and under which request id.
CREATE OR REPLACE FUNCTION wf.open_change(operation text, reason text, request_id text, fingerprint text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change bigint;
BEGIN
  INSERT INTO wf.changes (operation, reason, request_id, fingerprint)
  VALUES (open_change.operation, nullif(btrim(open_change.reason), ''), open_change.request_id, open_change.fingerprint)
  RETURNING id INTO change;
  PERFORM set_config('wf.change', change::text, true);
  RETURN change;
END
$$;

-- A change that the home makes itself, with an id that nobody else takes.
CREATE OR REPLACE FUNCTION wf.open_home_change(operation text, reason text, name text) RETURNS bigint LANGUAGE sql
SET search_path = wf, pg_temp AS $$ SELECT wf.open_change(operation, reason, 'home-' || name, '') $$;

-- The open change of this transaction, if there is one. The xid rules out a setting left by another transaction.
CREATE OR REPLACE FUNCTION wf.current_change() RETURNS wf.changes LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT c FROM wf.changes c
  WHERE c.id = nullif(current_setting('wf.change', true), '')::bigint AND c.xid = pg_current_xact_id_if_assigned()
$$;

-- A change of this transaction.
CREATE OR REPLACE FUNCTION wf.change_of_now(change bigint) RETURNS wf.changes LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT c FROM wf.changes c WHERE c.id = change AND c.xid = pg_current_xact_id_if_assigned()
$$;

-- Whose change it is: of one that a worker carries, the person who started the run.
CREATE OR REPLACE FUNCTION wf.person() RETURNS text LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT coalesce((wf.current_change()).carried_for, session_user)
$$;

-- Keep the result for repeats of the request; e-mail addresses in it are masked.
CREATE OR REPLACE FUNCTION wf.finish_change(result jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  IF wf.size_of(result) > 1048576 THEN
    RAISE EXCEPTION 'the result of a change takes % bytes', wf.size_of(result)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'change_result_size';
  END IF;
  UPDATE wf.changes
  SET result = wf.without_addresses(wf.without_personal(finish_change.result, ARRAY['owner_email']))
  WHERE id = (wf.current_change()).id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.finish_change TO wf_support;

CREATE OR REPLACE FUNCTION wf.without_personal(value jsonb, personal text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN value IS NULL OR personal = '{}' THEN value ELSE value || coalesce(
    (SELECT jsonb_object_agg(field, wf.masked(value ->> field)) FROM unnest(personal) AS field WHERE value ? field),
    '{}') END
$$;

-- Mask whatever looks like an e-mail address, at any depth, in values whose fields are not known.
CREATE OR REPLACE FUNCTION wf.without_addresses(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN regexp_replace(value::text, '((?:\\u[0-9a-f]{4}|\\[^u])+|[^\s"@\\])[^\s"@\\]*@([^\s"@\\]+\.[^\s"@\\]+)', '\1•••@\2', 'g')::jsonb;

-- The same in a text: of whatever characters the address is, also with its local part in quotes. The same as
-- controlplane.queues.source.without_mail.
CREATE OR REPLACE FUNCTION wf.without_mail(body text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(body, '(?:"[^"@]{1,64}"|(?<![^\t-\r @<>()\[\],;:"])([^\t-\r @<>()\[\],;:"])[^\t-\r @<>()\[\],;:"]*)@(\[?[^\t-\r @<>()\[\],;:"]+)',
                      '\1•••@\2', 'g');

-- Sizes. Every column that somebody can write has a limit; this is for columns without one, and for rows older than the
-- limits. A value whose text cannot be built (1 GB) must not stop anything.

-- The value as it is in memory: a stored one may be compressed, so its size says little.
CREATE OR REPLACE FUNCTION wf.unpacked(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN CASE jsonb_typeof(value) WHEN 'object' THEN value || '{}' WHEN 'array' THEN value || '[]'
                                ELSE jsonb_build_array(value) END;

-- The size in PostgreSQL's own format; as text it takes at most a small multiple of that.
CREATE OR REPLACE FUNCTION wf.size_of(value jsonb) RETURNS integer LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$ SELECT CASE WHEN value IS NOT NULL THEN pg_column_size(wf.unpacked(value)) END $$;

-- SHA-256 of a value of any size, from its parts: a small value's text, a large text's characters, and each element of
-- a large object or array together with its path. The text of the whole value is never built.
CREATE OR REPLACE FUNCTION wf.digest(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = wf, pg_temp AS $$
  WITH RECURSIVE part(way, v) AS (
    SELECT sha256(''), wf.unpacked(value)
    UNION ALL
    SELECT sha256(p.way || sha256(convert_to(e.key, 'UTF8'))), e.value
    FROM part p, LATERAL (
      SELECT o.key, o.value FROM jsonb_each(CASE WHEN jsonb_typeof(p.v) = 'object' THEN p.v ELSE '{}' END) o
      UNION ALL
      SELECT a.i::text, a.value
      FROM jsonb_array_elements(CASE WHEN jsonb_typeof(p.v) = 'array' THEN p.v ELSE '[]' END) WITH ORDINALITY a(value, i)) e
    WHERE pg_column_size(p.v) > 65536
  ), hashed AS (
    SELECT sha256(way || sha256(convert_to(jsonb_typeof(v) || ' ' || CASE
             WHEN pg_column_size(v) <= 65536 THEN v::text
             WHEN jsonb_typeof(v) IN ('object', 'array') THEN ''
             ELSE v #>> '{}' END, 'UTF8'))) AS h
    FROM part
  ), bites AS (
    SELECT sha256(string_agg(h, '' ORDER BY h)) AS h
    FROM (SELECT h, row_number() OVER (ORDER BY h) / 1000000 AS bite FROM hashed) n GROUP BY bite
  )
  SELECT encode(sha256(string_agg(h, '' ORDER BY h)), 'hex') FROM bites
$$;

-- Cut down a row that is too large for the trail: each large field is replaced by its size and SHA-256.
CREATE OR REPLACE FUNCTION wf.cut_down(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN wf.size_of(value) <= 1048576 OR value IS NULL THEN value ELSE (
    SELECT jsonb_object_agg(e.key, CASE WHEN pg_column_size(e.value) <= 1024 THEN e.value ELSE
             jsonb_build_object('bytes', pg_column_size(e.value), 'sha256', wf.digest(e.value)) END)
    FROM jsonb_each(value) e) END
$$;

-- For readers: a row that is too large is not read. What is stored may be compressed, so both sizes are checked, the
-- cheap one first.
CREATE OR REPLACE FUNCTION wf.shown(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN pg_column_size(value) > 2097152 OR wf.size_of(value) > 1048576
              THEN jsonb_build_object('too_large_to_show', pg_column_size(value)) ELSE value END
$$;

CREATE VIEW wf.audit_list AS
SELECT a.seq, a.at, a.change_id, a.out_of_band, a.actor, a.operation, a.noun, a.thing, a.tenant_id, a.reason,
       a.request_id, a.carried_by, a.impersonation, wf.shown(a.before) AS before, wf.shown(a.after) AS after
FROM wf.audit a;
GRANT SELECT ON wf.audit_list TO wf_viewer;
GRANT EXECUTE ON FUNCTION wf.shown TO wf_viewer;

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
    -- Key columns never change (each table's guard ensures it), so they join the old and new rows.
    SELECT array_agg(o.row) AS before, array_agg(n.row) AS after INTO r
    FROM (SELECT to_jsonb(o) - ARRAY['search', 'hash'] AS row FROM old_rows o) o
    JOIN (SELECT to_jsonb(n) - ARRAY['search', 'hash'] AS row FROM new_rows n) n
      ON wf.thing(o.row, keys) = wf.thing(n.row, keys)
    WHERE o.row IS DISTINCT FROM n.row;
  END IF;
  IF r.before IS NOT NULL THEN
    PERFORM wf.append_audit(
      'wf.' || TG_TABLE_NAME, TG_ARGV[0], lower(TG_OP),
      (SELECT array_agg(wf.thing(coalesce(a, b), keys) ORDER BY i) FROM unnest(r.before, r.after) WITH ORDINALITY u(b, a, i)),
      (SELECT array_agg(coalesce(a, b) ->> TG_ARGV[2] ORDER BY i) FROM unnest(r.before, r.after) WITH ORDINALITY u(b, a, i)),
      r.before, r.after, personal);
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION wf.thing(value jsonb, keys text[]) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT string_agg(value ->> key, '/' ORDER BY i) FROM unnest(keys) WITH ORDINALITY AS k(key, i));

-- No trigger sees the rows that a TRUNCATE removes, so they could not be recorded.
CREATE OR REPLACE FUNCTION wf.refuse_truncate() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the rows of % are in the trail, and TRUNCATE would leave none there', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'truncate_unrecorded', HINT = 'DELETE does.';
END
$$;

-- Put the triggers on a table.
CREATE OR REPLACE FUNCTION wf.audited(control regclass, VARIADIC arguments text[]) RETURNS void LANGUAGE plpgsql
SET search_path = wf, pg_temp AS $$
DECLARE
  quoted text := (SELECT string_agg(quote_literal(a), ', ' ORDER BY i) FROM unnest(arguments) WITH ORDINALITY u(a, i));
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER audit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
  EXECUTE format('CREATE OR REPLACE TRIGGER audit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
  EXECUTE format('CREATE OR REPLACE TRIGGER audit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION wf.record_change(%s)', control, quoted);
  EXECUTE format('CREATE OR REPLACE TRIGGER no_truncate BEFORE TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_truncate()', control);
END
$$;

-- Record something that changed no row of a control table, such as an import. wf.operation_writes gives the nouns and
-- fields of the notes that an operation may write, so a note cannot pass for a changed row.
CREATE OR REPLACE FUNCTION wf.note(noun text, thing text, tenant_id text, after jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
  fields text[] := (SELECT w.columns FROM wf.operation_writes w
                    WHERE w.operation = change.operation AND w.verb = 'note' AND w.control = note.noun);
BEGIN
  IF change.id IS NULL THEN
    RAISE EXCEPTION 'wf.note needs an open change' USING ERRCODE = 'invalid_transaction_state';
  ELSIF fields IS NULL THEN
    RAISE EXCEPTION '% writes no notes of %', change.operation, left(noun, 100)
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'audit_note_unknown';
  ELSIF (jsonb_typeof(after) = 'object' AND wf.size_of(after) <= 131072) IS NOT TRUE
      OR EXISTS (SELECT FROM jsonb_object_keys(after) field WHERE field <> ALL (fields)) THEN
    RAISE EXCEPTION 'a note of % holds %, and takes 131072 bytes at most', noun, array_to_string(fields, ', ')
      USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_note';
  END IF;
  RETURN wf.append_audit(noun, noun, 'note', ARRAY[thing], ARRAY[tenant_id], ARRAY[NULL::jsonb],
                         ARRAY[wf.without_addresses(after)], '{}');
END
$$;
GRANT EXECUTE ON FUNCTION wf.note TO wf_operator;

-- Take the next numbers of a counter; returns the last of them. The row is locked until the transaction ends, or there
-- would be gaps and late numbers. So a session that took one and then sits idle holds up every writer; it is
-- disconnected when another has waited five seconds for it.
CREATE OR REPLACE FUNCTION wf.take_numbers(counter text, many integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  last bigint;
BEGIN
  LOOP
    PERFORM FROM wf.counters c WHERE c.name = counter FOR NO KEY UPDATE SKIP LOCKED;  -- usually nobody has it
    EXIT WHEN FOUND;
    BEGIN
      PERFORM FROM wf.counters c WHERE c.name = counter FOR NO KEY UPDATE;
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      IF NOT wf.end_idle('wf.counters') THEN
        RAISE EXCEPTION 'for 5 s somebody else was writing to the trail'
          USING ERRCODE = 'lock_not_available', CONSTRAINT = 'lock_held';
      END IF;
    END;
  END LOOP;
  UPDATE wf.counters c SET value = c.value + many WHERE c.name = counter RETURNING c.value INTO last;
  RETURN last;
END
$$;

-- `control`: the table of the rows, or a note's noun. A row belongs to the open change when the change's operation
-- writes such rows (wf.operation_writes). Any other row is marked out-of-band, as one without a change is, but keeps
-- the change's id.
CREATE OR REPLACE FUNCTION wf.append_audit(
  control text, noun text, verb text, things text[], tenants text[], befores jsonb[], afters jsonb[], personal text[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  RETURN wf.append_audit_of(NULL, control, noun, verb, things, tenants, befores, afters, personal);
END
$$;

-- The same for rows of many changes of this transaction, all of one operation and person: `changes` has the change of each
-- row, none twice; NULL: all rows are of the open change.
CREATE OR REPLACE FUNCTION wf.append_audit_of(
  changes bigint[], control text, noun text, verb text, things text[], tenants text[], befores jsonb[], afters jsonb[],
  personal text[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := CASE WHEN changes IS NULL THEN wf.current_change() ELSE wf.change_of_now(changes[1]) END;
  person text := coalesce(change.carried_for, session_user);
  own    bigint[] := coalesce(changes, array_fill(change.id, ARRAY[cardinality(things)]));
  -- What the change's operation writes to such rows: this table, verb, columns and values.
  writes wf.operation_writes := (SELECT w FROM wf.operation_writes w
    WHERE w.operation = change.operation AND w.control = append_audit_of.control AND w.verb = append_audit_of.verb);
  kept   text[] := writes.columns::text[] || '{version,updated_at,changed_at}';
  -- Whether some of the changes have written such a row before.
  again  boolean := EXISTS (SELECT FROM wf.audit a WHERE a.change_id = ANY (own) AND a.noun = append_audit_of.noun);
  acting record;
  grown  text;
  last   bigint;
BEGIN
  PERFORM wf.check_raise();
  SELECT u.thing INTO grown FROM unnest(things, befores, afters) AS u(thing, old, new)
  WHERE pg_column_size(u.new) > 1048576 AND (pg_column_size(u.old) > 1048576) IS NOT TRUE LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% % would be too large for the trail', noun, left(grown, 200)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_row_size';
  END IF;
  SELECT * INTO acting FROM wf.acting_as(person);
  -- Who acts for a tenant only to read changes nothing of it. To end it, to look and to reveal is no change of it.
  IF acting.mode = 'read' AND acting.tenant_id = ANY (tenants) AND noun NOT IN ('impersonations', 'look_ups', 'reveals') THEN
    RAISE EXCEPTION '% acts for %, reading only', person, acting.tenant_id
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'impersonation_reading';
  END IF;
  last := wf.take_numbers('audit', cardinality(things));
  INSERT INTO wf.audit (seq, change_id, out_of_band, actor, operation, noun, thing, tenant_id, reason, request_id,
                        carried_by, impersonation, before, after)
  -- unnest, not befores[i]: finding one element of such an array costs as much as reading all elements before it.
  SELECT last - cardinality(things) + i, c.id, NOT f.fits, CASE WHEN f.fits THEN person ELSE session_user END,
         CASE WHEN f.fits THEN c.operation ELSE 'sql.' || verb END, append_audit_of.noun, u.thing, u.tenant,
         c.reason, c.request_id, CASE WHEN f.fits AND c.carried_for IS NOT NULL THEN session_user END,
         CASE WHEN u.tenant = acting.tenant_id THEN acting.impersonation END,
         -- An array's elements are never compressed, so their sizes are those in memory (wf.size_of).
         CASE WHEN pg_column_size(u.old) > 1048576 THEN wf.without_personal(wf.cut_down(u.old), personal)
              WHEN personal = '{}' THEN u.old ELSE wf.without_personal(u.old, personal) END,
         CASE WHEN pg_column_size(u.new) > 1048576 THEN wf.without_personal(wf.cut_down(u.new), personal)
              WHEN personal = '{}' THEN u.new ELSE wf.without_personal(u.new, personal) END
  FROM unnest(things, tenants, befores, afters, own) WITH ORDINALITY AS u(thing, tenant, old, new, change_id, i)
  LEFT JOIN wf.changes c ON c.id = u.change_id AND c.xid = pg_current_xact_id_if_assigned()
  -- Whether the row is one of those; and, unless the operation writes many things, of one thing. Not a function: called for
  -- each row, it would take half of the time. OFFSET: asked once per row.
  CROSS JOIN LATERAL (
    SELECT coalesce(c.operation = change.operation AND writes.operation IS NOT NULL
      AND (writes.was IS NULL OR u.old @> writes.was) AND (writes.becomes IS NULL OR u.new @> writes.becomes)
      AND (append_audit_of.verb <> 'update' OR u.new - kept = u.old - kept)
      AND (writes.many OR (changes IS NOT NULL OR cardinality(things) = 1) AND NOT (again AND EXISTS (
        SELECT FROM wf.audit a
        WHERE a.change_id = c.id AND a.noun = append_audit_of.noun AND a.thing <> u.thing
          AND NOT a.out_of_band AND (a.before IS NULL) = (u.old IS NULL) AND (a.after IS NULL) = (u.new IS NULL)))), false)
    AS fits OFFSET 0) f;
  INSERT INTO wf.audit_personal (seq, tenant_id, field, before, after)
  SELECT last - cardinality(things) + i, u.tenant, field, left(u.old ->> field, 100000), left(u.new ->> field, 100000)
  FROM unnest(things, tenants, befores, afters) WITH ORDINALITY AS u(thing, tenant, old, new, i),
       unnest(personal) AS field
  WHERE u.old ->> field IS DISTINCT FROM u.new ->> field;
  IF change.needs_approval IS NOT NULL THEN  -- what it has written is looked at again, now or at the commit (approvals.sql)
    UPDATE wf.changes c SET needs_approval = c.needs_approval WHERE c.id = change.id;
  END IF;
  PERFORM pg_notify('wf', noun || ' ' || last);
  RETURN last;
END
$$;

-- What a tenant may read of its own trail: who did what, and whether they acted for it; only then also the reason,
-- since other reasons are internal. Values, addresses and request ids are left out.
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
GRANT SELECT ON wf.audit TO wf_worker;  -- a worker reads what it signs

-- The text of a row that is hashed. It must never change, or chained rows could not be verified. It holds every column;
-- in a row that is too large (older than the limits) a digest replaces the value.
CREATE OR REPLACE FUNCTION wf.audit_canonical(a wf.audit) RETURNS text LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT (jsonb_build_object(
    'seq', a.seq, 'at', to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'change_id', a.change_id,
    'out_of_band', a.out_of_band, 'actor', a.actor, 'operation', a.operation, 'noun', a.noun, 'thing', a.thing,
    'tenant_id', a.tenant_id, 'reason', a.reason, 'request_id', a.request_id, 'carried_by', a.carried_by,
    'impersonation', a.impersonation
    ) || wf.held('before', a.before) || wf.held('after', a.after))::text
$$;

CREATE OR REPLACE FUNCTION wf.held(name text, value jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = wf, pg_temp AS $$
DECLARE
  unpacked jsonb := wf.unpacked(value);
BEGIN
  IF value IS NOT NULL AND pg_column_size(unpacked) > 1048576 THEN
    RETURN jsonb_build_object(name, NULL, name || '_digest', wf.digest(unpacked));
  END IF;
  RETURN jsonb_build_object(name, value);
END
$$;

-- One worker signs at a time: it holds this lock until its transaction ends.
CREATE OR REPLACE FUNCTION wf.checkpoint_turn() RETURNS boolean LANGUAGE sql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$ SELECT wf.try_lock('audit_checkpoint') $$;

-- Chain at most `most` committed rows that are not chained yet; returns how many. One at a time: a second caller gets
-- 0.
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
  IF NOT wf.try_lock('chain_audit') THEN
    RETURN 0;
  END IF;
  SELECT c.seq, c.head INTO newest FROM wf.audit_chain c ORDER BY c.seq DESC LIMIT 1;
  IF FOUND THEN
    last := newest.seq;
    link := newest.head;
  END IF;
  -- Both in one statement, so as of one moment: every counted row must exist, and every chained row must be counted.
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
      EXIT WHEN numbers <> '{}';  -- first chain the rows before the gap
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

-- Keep a copy of a checkpoint whose original is outside the home. It must be of this home's chain.
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
GRANT EXECUTE ON FUNCTION wf.chain_audit, wf.checkpoint_turn, wf.keep_checkpoint TO wf_worker;

-- The guarding and recording triggers, as the catalogue has them. A table's owner can disable or drop one; doing and
-- undoing that both rewrite its catalogue row, which shows in the row's xmin. So it is noticed even afterwards.
CREATE VIEW wf.triggers_now AS
SELECT 'wf.' || c.relname AS control, t.tgname::text AS name, t.tgenabled::text AS enabled, t.xmin::text AS written
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND c.relnamespace = 'wf'::regnamespace;

-- Write a row to the trail for each table whose triggers changed since they were last seen; returns how many. The job
-- that chains calls it.
CREATE OR REPLACE FUNCTION wf.note_triggers() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  r       record;
  changed bigint := 0;
BEGIN
  IF NOT wf.try_lock('note_triggers') THEN
    RETURN 0;
  END IF;
  FOR r IN
    SELECT coalesce(o.control, n.control) AS control, jsonb_object_agg(coalesce(o.name, n.name), coalesce(o.enabled, 'none')) AS old,
           jsonb_object_agg(coalesce(o.name, n.name), coalesce(n.enabled, 'none')) AS new
    FROM wf.triggers_seen o FULL JOIN wf.triggers_now n USING (control, name)
    WHERE (o.enabled, o.written) IS DISTINCT FROM (n.enabled, n.written) GROUP BY 1 ORDER BY 1
  LOOP
    PERFORM wf.append_audit('triggers', 'triggers', 'update', ARRAY[r.control], ARRAY[NULL], ARRAY[r.old], ARRAY[r.new], '{}');
    changed := changed + 1;
  END LOOP;
  IF changed > 0 THEN
    PERFORM wf.see_triggers();
  END IF;
  RETURN changed;
END
$$;
GRANT EXECUTE ON FUNCTION wf.note_triggers TO wf_worker;

-- Remember the present triggers as the right ones, after making them (backends/postgres/sql_files.py).
CREATE OR REPLACE FUNCTION wf.see_triggers() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  DELETE FROM wf.triggers_seen;
  INSERT INTO wf.triggers_seen SELECT * FROM wf.triggers_now;
$$;

-- How far chaining and signing have come. `waits_since`: when the first unchained row was written; NULL: there is none.
-- `unsigned_since`: the same for unsigned rows. `signed` and its time are NULL before the first checkpoint. `trouble`:
-- the last error of chaining or signing, until it succeeds again.
CREATE VIEW wf.audit_chain_status AS
SELECT n.written, n.chained, s.size AS signed, s.made_at AS signed_at,
       (SELECT a.at FROM wf.audit a WHERE a.seq = n.chained + 1) AS waits_since,
       (SELECT a.at FROM wf.audit a WHERE a.seq = coalesce(s.size, 0) + 1) AS unsigned_since,
       (SELECT wf.without_mail(j.error) FROM wf.jobs j JOIN (VALUES ('sign_audit_checkpoint', s.made_at), ('chain_audit',
               (SELECT c.chained_at FROM wf.audit_chain c WHERE c.seq = n.chained))) AS went_well(schedule, at) USING (schedule)
        WHERE j.error IS NOT NULL AND (j.state IN ('waiting', 'running')
          OR j.state = 'dead' AND j.ended_at > coalesce(went_well.at, '-infinity') AND n.written > coalesce(s.size, 0))
        ORDER BY j.id DESC LIMIT 1) AS trouble
FROM (SELECT coalesce((SELECT max(seq) FROM wf.audit), 0) AS written,
             coalesce((SELECT max(seq) FROM wf.audit_chain), 0) AS chained) n
LEFT JOIN LATERAL (SELECT c.size, c.made_at FROM wf.audit_checkpoints c ORDER BY c.size DESC, c.id DESC LIMIT 1) s ON true;

GRANT SELECT ON wf.audit_chain_status TO wf_viewer;
GRANT SELECT ON wf.audit_chain_status TO wf_worker;  -- for gates that it runs by a schedule
