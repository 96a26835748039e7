-- On-call schedules: who is paged when. A row is a schedule's rotations as a document, which the pure rules read and judge
-- (controlplane/schedules): one that cannot be read is shown as such, and stops none of the others.
CREATE TABLE wf.schedules (
  name       text COLLATE "C" PRIMARY KEY CONSTRAINT schedule_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  rotations  wf.document NOT NULL CONSTRAINT schedule_rotations CHECK (
               CASE jsonb_typeof(rotations) WHEN 'array' THEN jsonb_array_length(rotations) BETWEEN 1 AND 20 ELSE false END),
  version    integer NOT NULL DEFAULT 1,
  created_at wf.moment NOT NULL DEFAULT clock_timestamp(),
  created_by wf.line NOT NULL DEFAULT session_user,
  updated_at wf.moment NOT NULL DEFAULT clock_timestamp(),
  retired_at wf.moment
);

-- Somebody else for a while. Rows are never changed but ended, so that who was on call stays on record.
CREATE TABLE wf.schedule_overrides (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  schedule   text COLLATE "C" NOT NULL REFERENCES wf.schedules,
  person     text NOT NULL CONSTRAINT override_person CHECK (char_length(btrim(person)) BETWEEN 1 AND 100),
  starts_at  wf.moment NOT NULL,
  ends_at    wf.moment NOT NULL,
  kind       text NOT NULL DEFAULT 'replace' CONSTRAINT override_kind CHECK (kind IN ('replace', 'add')),
  instead_of text NOT NULL DEFAULT '' CONSTRAINT override_instead_of
             CHECK (char_length(instead_of) <= 100 AND (kind = 'replace' OR instead_of = '')),
  ended_at   wf.moment,
  created_at wf.moment NOT NULL DEFAULT clock_timestamp(),
  created_by wf.line NOT NULL DEFAULT session_user,
  CONSTRAINT override_times CHECK (ends_at > starts_at AND ends_at - starts_at <= interval '2208 hours')
);

-- Those of a schedule that are not over at a time.
CREATE INDEX schedule_overrides_by_end ON wf.schedule_overrides (schedule, least(ends_at, ended_at));
