-- `look.up` looks up an unknown outcome. `look_ups.ask` is a look-up by a masked value; only functions open it.
INSERT INTO wf.operations (name, role) VALUES
  ('look.up', 'support'), ('look_ups.ask', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('look_ups.ask', 'look_ups', 'note', '{asked}', NULL, NULL, false);

-- Look-ups by masked values, and reveals. Each is counted per login and hour, and answered only once the count is
-- committed, so that nobody can ask, read and roll back. One per transaction, so that a statement cannot ask for each
-- row.

-- Count one. Raises above `most` in an hour, and for a second one in the same transaction.
CREATE OR REPLACE FUNCTION wf.count_look_up(kind text, digest bytea, most integer) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  this timestamptz := date_trunc('hour', clock_timestamp(), 'UTC');
  last xid8;
BEGIN
  DELETE FROM wf.look_ups l USING (
    SELECT o.login, o.kind, o.hour FROM wf.look_ups o WHERE o.hour < this - interval '1 hour' LIMIT 100
    FOR UPDATE SKIP LOCKED) old
  WHERE (l.login, l.kind, l.hour) = (old.login, old.kind, old.hour);
  INSERT INTO wf.look_ups AS l (kind, hour, asked) VALUES (count_look_up.kind, this, ARRAY[digest])
  ON CONFLICT ON CONSTRAINT look_ups_pkey DO UPDATE SET asked = l.asked || excluded.asked, xid = excluded.xid
    WHERE cardinality(l.asked) < most AND l.xid <> excluded.xid;
  IF NOT FOUND THEN
    SELECT l.xid INTO last FROM wf.look_ups l WHERE l.login = session_user AND l.kind = count_look_up.kind AND l.hour = this;
    IF last = pg_current_xact_id() THEN
      RAISE EXCEPTION 'one at a time: a second % in one transaction', kind
        USING ERRCODE = 'check_violation', CONSTRAINT = 'look_up_alone';
    END IF;
    RAISE EXCEPTION '% has asked % times this hour', session_user, most
      USING ERRCODE = 'check_violation', CONSTRAINT = 'look_up_limit';
  END IF;
END
$$;

-- Whether this login asked for that in a committed transaction, in this hour or the one before.
CREATE OR REPLACE FUNCTION wf.was_asked(kind text, digest bytea) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, wf, pg_temp AS $$
  SELECT EXISTS (SELECT FROM wf.look_ups l
                 WHERE l.login = session_user AND l.kind = was_asked.kind AND was_asked.digest = ANY (l.asked)
                   AND l.hour >= date_trunc('hour', clock_timestamp(), 'UTC') - interval '1 hour'
                   AND l.xid IS DISTINCT FROM pg_current_xact_id_if_assigned())
$$;

CREATE OR REPLACE FUNCTION wf.of_address(email text) RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN sha256(convert_to(wf.folded(email), 'UTF8'));

-- Ask whose an owner's address or a key's hash is. wf.tenants_of_email and wf.key_of_hash answer.
CREATE OR REPLACE FUNCTION wf.ask(kind text, digest bytea, words text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  was text := current_setting('wf.change', true);
BEGIN
  IF digest IS NULL OR wf.was_asked(kind, digest) THEN
    RETURN;
  END IF;
  PERFORM wf.count_look_up(kind, digest, 60);
  PERFORM wf.open_home_change('look_ups.ask', NULL, 'look-up-' || gen_random_uuid());
  PERFORM wf.append_audit('look_ups', 'look_ups', 'note', ARRAY[kind], ARRAY[NULL::text], ARRAY[NULL::jsonb],
                          ARRAY[jsonb_build_object('asked', words)], '{}');
  PERFORM set_config('wf.change', coalesce(was, ''), true);
END
$$;

CREATE OR REPLACE FUNCTION wf.ask_address(email text) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
  SELECT wf.ask('owner', wf.of_address(left(email, 320)), wf.masked(left(email, 320)))
$$;

CREATE OR REPLACE FUNCTION wf.ask_hash(hash bytea) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
  SELECT wf.ask('key', sha256(hash), 'a key, by its hash') WHERE length(hash) = 32
$$;

-- Whose address is this? Only the whole address finds tenants, and only their ids are returned. So a login that sees
-- owners masked can help somebody on the phone, but cannot read an address that it does not know.
CREATE OR REPLACE FUNCTION wf.tenants_of_email(email text) RETURNS SETOF text LANGUAGE plpgsql STABLE ROWS 5 SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  IF NOT wf.was_asked('owner', wf.of_address(email)) THEN
    RAISE EXCEPTION 'ask first, in a transaction before: wf.ask_address'
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'look_up_unasked';
  END IF;
  RETURN QUERY SELECT id FROM wf.tenants WHERE wf.folded(owner_email) = wf.folded(email)
               UNION SELECT tenant_id FROM wf.api_keys WHERE wf.folded(owner_email) = wf.folded(email)
               LIMIT 100;
END
$$;

-- Which key has this secret? Takes the hash and returns the id: nobody can list hashes, and no query holds a secret.
CREATE OR REPLACE FUNCTION wf.key_of_hash(hash bytea) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  IF NOT wf.was_asked('key', sha256(hash)) THEN
    RAISE EXCEPTION 'ask first, in a transaction before: wf.ask_hash'
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'look_up_unasked';
  END IF;
  RETURN (SELECT k.id FROM wf.api_keys k WHERE k.hash = key_of_hash.hash);
END
$$;
GRANT EXECUTE ON FUNCTION wf.ask_address, wf.ask_hash, wf.tenants_of_email, wf.key_of_hash TO wf_viewer;
