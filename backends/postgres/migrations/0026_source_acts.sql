-- What people do from this home to dead messages of other systems. The intent is committed before anything is sent, the
-- outcome after it, so that a link that is cut in between leaves an open act, and never nothing.
CREATE TABLE wf.source_acts (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source   text NOT NULL CONSTRAINT act_source CHECK (source ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  verb     text NOT NULL CONSTRAINT act_verb CHECK (verb IN ('replay', 'discard', 'redrive', 'cancel')),
  things   wf.lines NOT NULL CONSTRAINT act_things CHECK (cardinality(things) BETWEEN 1 AND 500),  -- their names there
  state    text NOT NULL DEFAULT 'open' CONSTRAINT act_state CHECK (state IN ('open', 'done', 'refused', 'unknown')),
  done     integer NOT NULL DEFAULT 0,
  others   wf.document NOT NULL DEFAULT '{}'     -- the verdict of each thing that it was not done to
           CONSTRAINT act_others CHECK (jsonb_typeof(others) = 'object'),
  detail   wf.words NOT NULL DEFAULT '',         -- what the source said of those
  actor    wf.line NOT NULL,
  reason   wf.words NOT NULL,
  at       wf.moment NOT NULL DEFAULT clock_timestamp(),
  ended_at wf.moment,
  CONSTRAINT act_marks CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE INDEX source_acts_by_time ON wf.source_acts (at);
CREATE INDEX source_acts_of_source ON wf.source_acts (source, id);
CREATE INDEX source_acts_of_thing ON wf.source_acts USING gin ((things::text[]));
