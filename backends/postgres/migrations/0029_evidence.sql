-- Evidence: files that prove something, by their SHA-256. The files themselves are elsewhere. What was recorded stays; it
-- can only be withdrawn.
CREATE TABLE wf.evidence (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sha256         text COLLATE "C" NOT NULL CONSTRAINT evidence_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  bytes          bigint NOT NULL CONSTRAINT evidence_bytes CHECK (bytes BETWEEN 0 AND 1000000000000000),
  name           text NOT NULL CONSTRAINT evidence_name CHECK (name ~ '^[^/\x01-\x1f\x7f]{1,200}$'),
  -- The type of an in-toto predicate, or a word for what has none: junit, sarif, cyclonedx, …
  kind           text COLLATE "C" NOT NULL CONSTRAINT evidence_kind CHECK (kind ~ '^[!-~]{1,200}$'),
  subject        wf.line NOT NULL DEFAULT '',   -- what it is about: a release, an incident, an artefact
  subject_sha256 text COLLATE "C" CONSTRAINT evidence_subject_sha256 CHECK (subject_sha256 ~ '^[0-9a-f]{64}$'),
  environment    text COLLATE "C" NOT NULL CONSTRAINT evidence_environment CHECK (environment ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  at             wf.moment NOT NULL,            -- when it was found out, as the file says
  -- As whoever recorded it found it: good, not verified (nobody had the key), none.
  signature      text NOT NULL DEFAULT 'none' CONSTRAINT evidence_signature CHECK (signature IN ('good', 'unverified', 'none')),
  signer         wf.line NOT NULL DEFAULT '' CONSTRAINT evidence_signer CHECK ((signer <> '') = (signature = 'good')),
  version        integer NOT NULL DEFAULT 1,
  recorded_at    wf.moment NOT NULL DEFAULT now(),
  recorded_by    wf.line NOT NULL DEFAULT session_user,
  withdrawn_at   wf.moment,
  updated_at     wf.moment NOT NULL DEFAULT now(),
  search         text GENERATED ALWAYS AS (wf.folded(name || E'\n' || kind || E'\n' || subject || E'\n' || sha256)) STORED
);
CREATE UNIQUE INDEX evidence_taken ON wf.evidence (sha256) WHERE withdrawn_at IS NULL;
CREATE INDEX evidence_newest ON wf.evidence (kind, environment, at DESC) WHERE withdrawn_at IS NULL;
CREATE INDEX evidence_by_time ON wf.evidence (at, id);
CREATE INDEX evidence_kind_folded ON wf.evidence (wf.folded(kind), id);
CREATE INDEX evidence_sha256_folded ON wf.evidence (wf.folded(sha256), id);
CREATE INDEX evidence_subject_folded ON wf.evidence (wf.folded(subject), id);
CREATE INDEX evidence_search ON wf.evidence USING gin (wf.trigrams(search));

-- Where evidence is published. The work is a job; what is here is for good, also when that job is gone.
CREATE TABLE wf.publications (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  evidence_id  bigint NOT NULL REFERENCES wf.evidence,
  -- No user, no password, no parameters, no way up: nothing in it can be a secret, or lead elsewhere.
  target       text NOT NULL CONSTRAINT publication_target CHECK (char_length(target) <= 300
               AND target ~ '^((s3|gs)://[A-Za-z0-9]|az://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9]|file:///[A-Za-z0-9])[A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$'),
  asked_at     wf.moment NOT NULL DEFAULT now(),  -- when it was last asked for
  published_at wf.moment,        -- when it was last read back as it should be
  attestation  jsonb CONSTRAINT publication_attestation
               CHECK (jsonb_typeof(attestation) = 'object' AND pg_column_size(attestation) <= 524288),
  canceled_at  wf.moment,
  version      integer NOT NULL DEFAULT 1,
  created_at   wf.moment NOT NULL DEFAULT now(),
  created_by   wf.line NOT NULL DEFAULT session_user,
  updated_at   wf.moment NOT NULL DEFAULT now(),
  CONSTRAINT publication_marks CHECK ((published_at IS NULL) = (attestation IS NULL))
);
CREATE UNIQUE INDEX publication_taken ON wf.publications (evidence_id, target);
CREATE INDEX publications_by_time ON wf.publications (created_at, id);
-- The newest job of each; done jobs are pruned. It is kept apart, because the trail is no place for its number: a preview
-- would show another one than the run.
CREATE TABLE wf.publication_jobs (
  publication_id bigint PRIMARY KEY REFERENCES wf.publications ON DELETE CASCADE,
  job_id         bigint NOT NULL
);
