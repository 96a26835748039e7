-- Who may do what. People log in as themselves; their login is a member of exactly one of the group roles below.
-- Roles belong to the whole server, so they may be there already from another home.
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['wf_viewer', 'wf_support', 'wf_operator', 'wf_admin', 'wf_worker', 'wf_service'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
END
$$;

-- Each role includes the one before it. Workers and the product's own services are outside this order.
GRANT wf_viewer TO wf_support;
GRANT wf_support TO wf_operator;
GRANT wf_operator TO wf_admin;

-- Work that must run one at a time locks the row of its name (wf.take_lock). Only the home's own functions can reach
-- this table; an advisory lock could be taken by any login and held for ever.
CREATE TABLE wf.locks (
  name text PRIMARY KEY
);
INSERT INTO wf.locks VALUES ('partitions'), ('roll_up_requests'), ('refresh_activity'), ('look_at_quotas'), ('tick_jobs'),
  ('claim_jobs'), ('keep_objectives'), ('chain_audit'), ('audit_checkpoint'), ('note_triggers');
-- Some work is one at a time for each address or login; these are hashed to a few rows.
INSERT INTO wf.locks SELECT of || ' ' || n FROM unnest(ARRAY['sign_up', 'impersonation']) of, generate_series(0, 63) n;

-- Limits for the columns of all tables. A time or day outside Python's calendar, or outside what a chart can show,
-- would break the lists for everybody; a text without a limit would break the trail that copies it.
CREATE DOMAIN wf.moment AS timestamptz CONSTRAINT moment_range
  CHECK (VALUE >= timestamptz '1970-01-01 00:00Z' AND VALUE < timestamptz '2200-01-01 00:00Z');
CREATE DOMAIN wf.day AS date CONSTRAINT day_range CHECK (VALUE >= date '1970-01-01' AND VALUE < date '2200-01-01');
CREATE DOMAIN wf.line AS text CONSTRAINT line_length CHECK (char_length(VALUE) <= 400);     -- a name, an id, a code
CREATE DOMAIN wf.words AS text CONSTRAINT words_length CHECK (char_length(VALUE) <= 2000);  -- a reason, an error
CREATE DOMAIN wf.document AS jsonb CONSTRAINT document_size CHECK (octet_length(VALUE::text) <= 65536);
CREATE DOMAIN wf.lines AS text[] CONSTRAINT lines_size CHECK (
  cardinality(VALUE) <= 1000 AND octet_length(VALUE::text) <= 65536 AND array_position(VALUE, NULL) IS NULL);

-- Functions with stable signatures that the product's own services call on their hot path: docs/data-plane.md.
CREATE SCHEMA wf_data;

-- The operators. A login is made with its group role; its password arrives as a SCRAM verifier, never in clear.
CREATE TABLE wf.operators (
  name       text PRIMARY KEY CHECK (name ~ '^[a-z_][a-z0-9_.-]{0,62}$' AND name !~ '^(pg_|wf_)'),
  role       text NOT NULL CHECK (role IN ('viewer', 'support', 'operator', 'admin', 'worker', 'service')),
  active     boolean NOT NULL DEFAULT true,
  made_here  boolean NOT NULL DEFAULT false,  -- false: the login existed before, and its password is not ours
  password_by wf.line,                        -- who set its password last, and when; NULL: nobody in this home
  password_at wf.moment,
  added_at   wf.moment NOT NULL DEFAULT now(),
  changed_at wf.moment NOT NULL DEFAULT now()
);

-- Counts each login's look-ups by masked values, and its reveals, per hour. Nobody may read it: a look-up is answered
-- once its row here is committed, and refused above a limit.
CREATE TABLE wf.look_ups (
  login wf.line NOT NULL DEFAULT session_user,
  kind  text NOT NULL CHECK (kind IN ('owner', 'key', 'reveal')),
  hour  wf.moment NOT NULL,
  asked bytea[] NOT NULL CHECK (cardinality(asked) <= 100),  -- SHA-256 of what was asked; the last one is by `xid`
  xid   xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (login, kind, hour)
);
