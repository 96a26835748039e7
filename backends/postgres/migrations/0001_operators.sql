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

-- Each role has what the one before it has. Workers and the product's own services stand outside this ladder.
GRANT wf_viewer TO wf_support;
GRANT wf_support TO wf_operator;
GRANT wf_operator TO wf_admin;

-- What the product's own services ask on their hot path: functions with a stable signature. docs/data-plane.md
CREATE SCHEMA wf_data;

-- The people. A login is made with its group role; the password arrives as a SCRAM verifier, never in clear.
CREATE TABLE wf.operators (
  name       text PRIMARY KEY CHECK (name ~ '^[a-z_][a-z0-9_.-]{0,62}$' AND name !~ '^(pg_|wf_)'),
  role       text NOT NULL CHECK (role IN ('viewer', 'support', 'operator', 'admin', 'worker', 'service')),
  active     boolean NOT NULL DEFAULT true,
  made_here  boolean NOT NULL DEFAULT false,  -- false: the login was there before, and its password is not ours
  password_by text,                           -- who set its password last, and when; NULL: nobody did here
  password_at timestamptz,
  added_at   timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now()
);
