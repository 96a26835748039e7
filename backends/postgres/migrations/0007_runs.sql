-- Runs: one operation done to many things, each in a change of its own. The things are fixed when the run starts.
--
-- An item's change has the request id run-<run>-<ordinal>. Taking that id settles the item in the same transaction, so
-- an item is done exactly when its change is committed, whichever program is killed, and nothing is done twice.
CREATE TABLE wf.runs (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operation      text NOT NULL CHECK (length(operation) BETWEEN 1 AND 100),
  fields         wf.document NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(fields) = 'object'),  -- the fields that all requests share
  filter         wf.words,                          -- the filter that found the things; NULL: they were named
  undoes         bigint REFERENCES wf.runs,     -- the run that this one undoes
  reason         text CHECK (length(reason) <= 2000),
  actor          wf.line NOT NULL DEFAULT session_user,
  state          text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'stopped', 'done')),
  why            text CHECK (length(why) <= 2000),  -- why it is in this state
  per_second     real NOT NULL CHECK (per_second > 0 AND per_second <= 10000),
  breaker_share  real NOT NULL CHECK (breaker_share BETWEEN 0 AND 1),
  settled_before integer NOT NULL DEFAULT 0,    -- verdicts at the last resume: the breaker counts later ones only
  created_at     wf.moment NOT NULL DEFAULT now(),
  changed_at     wf.moment NOT NULL DEFAULT now()
);

CREATE TABLE wf.run_items (
  run_id     bigint NOT NULL REFERENCES wf.runs,
  ordinal    integer NOT NULL CHECK (ordinal > 0),
  thing      wf.line COLLATE "C" NOT NULL,
  subject    wf.document NOT NULL,  -- the request's fields that say which thing
  version    integer,         -- the version that was seen
  undoes     wf.line,            -- the request id of the change to undo
  state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'refused', 'skipped')),
  code       wf.line,            -- of the refusal
  words      wf.words,
  settled_at wf.moment,
  settled_by wf.line,      -- the login; a change is in the trail too, a refusal only here
  PRIMARY KEY (run_id, ordinal),
  CONSTRAINT run_thing_twice UNIQUE (run_id, thing)
);
CREATE INDEX run_items_waiting ON wf.run_items (run_id, ordinal) WHERE state = 'waiting';

-- How far a run is, and which program carries it. It changes with every item, so it is not in the trail.
CREATE TABLE wf.run_progress (
  run_id     bigint PRIMARY KEY REFERENCES wf.runs,
  waiting    integer NOT NULL DEFAULT 0,
  done       integer NOT NULL DEFAULT 0,
  refused    integer NOT NULL DEFAULT 0,
  skipped    integer NOT NULL DEFAULT 0,
  holder     wf.line,      -- a program's secret name, which proves that it is the holder; nobody may read it
  driver     wf.line,         -- the login of that program
  held_until wf.moment,  -- another program may take over from then on
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT run_too_large CHECK (waiting + done + refused + skipped <= 100000)
) WITH (fillfactor = 50);

-- For the overview.

-- Open runs, and those that ended recently. Runs change seldom, so two more indexes cost little.
CREATE INDEX runs_open ON wf.runs (state, id) WHERE state IN ('running', 'paused');
CREATE INDEX runs_by_change ON wf.runs (changed_at);
