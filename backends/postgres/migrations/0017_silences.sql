-- Silences: alerts that match all of a silence's matchers are told to nobody while it is active. What was hidden stays on
-- record: a silence is ended or replaced, never deleted, and the matchers of one never change.
CREATE TABLE wf.silences (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- At least one that does not match an alert without that label; of a regular expression only the reader can say so.
  matchers      jsonb NOT NULL CONSTRAINT silence_matchers CHECK (wf.matchers_valid(matchers) AND jsonb_path_exists(matchers,
                  '$[*] ? (@.op == "=" && @.value != "" || @.op == "!=" && @.value == "" || @.op == "=~" || @.op == "!~")')),
  starts_at     wf.moment NOT NULL DEFAULT clock_timestamp(),
  ends_at       wf.moment NOT NULL,
  comment       text NOT NULL CONSTRAINT silence_comment CHECK (char_length(btrim(comment)) BETWEEN 1 AND 2000),
  ends          text NOT NULL DEFAULT 'time' CONSTRAINT silence_ends CHECK (ends IN ('time', 'resolved', 'unmatched')),
  after_seconds integer NOT NULL DEFAULT 900 CONSTRAINT silence_after CHECK (after_seconds BETWEEN 60 AND 604800),
  ended_at      wf.moment,
  ended_by      wf.line,  -- NULL: it ended by how it ends
  replaces      bigint CONSTRAINT silence_replaced UNIQUE REFERENCES wf.silences,
  created_at    wf.moment NOT NULL DEFAULT clock_timestamp(),
  created_by    wf.line NOT NULL DEFAULT session_user,
  version       integer NOT NULL DEFAULT 1,
  CONSTRAINT silence_times CHECK (ends_at > starts_at)
);

-- Those that are not over at a time.
CREATE INDEX silences_by_end ON wf.silences (least(ends_at, ended_at), id);
