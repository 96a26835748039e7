-- Approvals: what takes a second person waits here as a request, with exactly what it would change.

-- Which operations take a second person. A `runs.release` rule is about bulk runs, and `queues.edit` about replays of edited
-- messages: both with the number of things above which they hold.
CREATE TABLE wf.approval_rules (
  operation  wf.line PRIMARY KEY,
  -- One approval for each: from somebody with at least that role, each from another person.
  roles      text[] NOT NULL CONSTRAINT approval_rule_roles
             CHECK (cardinality(roles) BETWEEN 1 AND 3 AND roles <@ '{support,operator,admin}'),
  above      integer CONSTRAINT approval_rule_above CHECK (above BETWEEN 0 AND 100000),
  minutes    integer NOT NULL DEFAULT 240 CONSTRAINT approval_rule_minutes CHECK (minutes BETWEEN 10 AND 10080),
  active     boolean NOT NULL DEFAULT true,
  version    integer NOT NULL DEFAULT 1,
  updated_at wf.moment NOT NULL DEFAULT now()
);
INSERT INTO wf.approval_rules (operation, roles, above) VALUES
  ('tenants.purge', '{operator}', NULL), ('operators.raise', '{admin}', NULL), ('approvals.rule', '{operator}', NULL),
  ('runs.release', '{operator}', 1000), ('queues.edit', '{operator}', 20);

CREATE TABLE wf.approvals (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operation   wf.line NOT NULL,
  thing       wf.line NOT NULL CONSTRAINT approval_thing CHECK (thing <> ''),
  fields      wf.document NOT NULL DEFAULT '{}' CONSTRAINT approval_fields CHECK (jsonb_typeof(fields) = 'object'),
  fingerprint text NOT NULL CONSTRAINT approval_fingerprint CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
  reason      wf.words NOT NULL CONSTRAINT approval_reason CHECK (btrim(reason) <> ''),
  -- What it would change, as wf.change_facts gives it, and the hash of that. The run must change exactly this.
  facts       jsonb NOT NULL CONSTRAINT approval_facts
              CHECK (jsonb_typeof(facts) = 'array' AND jsonb_array_length(facts) BETWEEN 1 AND 101
                     AND octet_length(facts::text) <= 262144),
  sha256      text NOT NULL CONSTRAINT approval_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  trail_at    bigint NOT NULL,  -- the newest row of the trail when it was asked: a newer one of these things makes it void
  roles       text[] NOT NULL CONSTRAINT approval_roles
              CHECK (cardinality(roles) BETWEEN 1 AND 3 AND roles <@ '{support,operator,admin}'),
  state       text NOT NULL DEFAULT 'waiting' CONSTRAINT approval_state
              CHECK (state IN ('waiting', 'approved', 'refused', 'withdrawn', 'done')),
  asked_at    wf.moment NOT NULL DEFAULT now(),
  asked_by    wf.line NOT NULL DEFAULT session_user,
  expires_at  wf.moment NOT NULL,
  decided_at  wf.moment,
  done_at     wf.moment,
  change_id   bigint REFERENCES wf.changes,  -- the change that was made under it: one, for ever
  version     integer NOT NULL DEFAULT 1,
  updated_at  wf.moment NOT NULL DEFAULT now(),
  search      text GENERATED ALWAYS AS (wf.folded(operation || E'\n' || thing || E'\n' || asked_by || E'\n' || reason)) STORED,
  CONSTRAINT approval_length CHECK (expires_at > asked_at AND expires_at <= asked_at + interval '7 days'),
  CONSTRAINT approval_done CHECK ((state = 'done') = (done_at IS NOT NULL) AND (state = 'done') = (change_id IS NOT NULL))
);
CREATE INDEX approvals_open ON wf.approvals (expires_at) WHERE state IN ('waiting', 'approved');
CREATE INDEX approvals_by_time ON wf.approvals (asked_at, id);
CREATE UNIQUE INDEX approval_of_change ON wf.approvals (change_id);

-- What each person said to a request. Kept for ever.
CREATE TABLE wf.approval_votes (
  approval_id bigint NOT NULL REFERENCES wf.approvals,
  person      wf.line NOT NULL DEFAULT session_user,
  role        text NOT NULL CONSTRAINT approval_vote_role CHECK (role IN ('support', 'operator', 'admin')),
  vote        text NOT NULL CONSTRAINT approval_vote CHECK (vote IN ('approve', 'refuse')),
  reason      wf.words,
  at          wf.moment NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT approval_voted PRIMARY KEY (approval_id, person),
  CONSTRAINT approval_refusal_reason CHECK (vote = 'approve' OR btrim(reason) <> '')
);

-- A change that takes a second person names the operation; a trigger looks at its commit for the approval.
ALTER TABLE wf.changes ADD COLUMN needs_approval wf.line, ADD COLUMN approval_id bigint REFERENCES wf.approvals;

-- A bulk run that takes a second person is held until it is released.
ALTER TABLE wf.runs ADD COLUMN held boolean NOT NULL DEFAULT false, ADD COLUMN approval_id bigint REFERENCES wf.approvals;

-- Roles that are raised for a while. The login is a member of the higher group meanwhile; after `ends_at` it is refused
-- whatever that membership would allow.
CREATE TABLE wf.raises (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  login       wf.line NOT NULL DEFAULT session_user,
  was         text NOT NULL CONSTRAINT raise_was CHECK (was IN ('viewer', 'support', 'operator')),
  role        text NOT NULL CONSTRAINT raise_role CHECK (role IN ('support', 'operator', 'admin') AND role <> was),
  minutes     integer NOT NULL CONSTRAINT raise_minutes CHECK (minutes BETWEEN 1 AND 480),
  reason      wf.words NOT NULL CONSTRAINT raise_reason CHECK (btrim(reason) <> ''),
  starts_at   wf.moment NOT NULL DEFAULT now(),
  ends_at     wf.moment NOT NULL,
  ended_at    wf.moment,   -- when the membership was taken away
  ended_by    wf.line,
  CONSTRAINT raise_times CHECK (ends_at > starts_at),
  CONSTRAINT raise_ended CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX raise_open ON wf.raises (login) WHERE ended_at IS NULL;

-- How often each was used to write. It changes with every write, so it is not in the trail.
CREATE TABLE wf.raise_uses (
  raise_id bigint PRIMARY KEY REFERENCES wf.raises,
  uses     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- What only a higher role may read as it stands is read by nobody whose raised role is over: see sql/raises.sql.
ALTER TABLE wf.audit_personal ENABLE ROW LEVEL SECURITY;
ALTER TABLE wf.key_leaks ENABLE ROW LEVEL SECURITY;
ALTER TABLE wf.reveals ENABLE ROW LEVEL SECURITY;
