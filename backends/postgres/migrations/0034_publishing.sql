-- Where evidence is published to: what a place can do, who goes first, and how fast; what was last swept up there.
CREATE TABLE wf.publication_targets (
  target         text COLLATE "C" PRIMARY KEY CONSTRAINT publication_target CHECK (char_length(target) <= 300
                 AND target ~ '^((s3|gs)://[A-Za-z0-9]|az://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9]|file:///[A-Za-z0-9])[A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$'),
  priority       integer NOT NULL DEFAULT 5 CONSTRAINT target_priority CHECK (priority BETWEEN 1 AND 9),  -- 1 goes first
  rate           integer CONSTRAINT target_rate CHECK (rate BETWEEN 1 AND 10000000),  -- kB a second; NULL: any
  keep_days      integer CONSTRAINT target_keep_days CHECK (keep_days BETWEEN 1 AND 36600),  -- evidence must stay locked
  probed_at      wf.moment,
  creates        boolean,        -- what a probe showed; NULL: it could not be found out
  versions       boolean,
  digests        boolean,
  locks          boolean,
  lock_mode      wf.line,
  lock_days      double precision CONSTRAINT target_lock_days CHECK (lock_days BETWEEN 0 AND 100000),
  sweep_asked_at wf.moment,
  sweep_hours    integer CONSTRAINT target_sweep_hours CHECK (sweep_hours BETWEEN 1 AND 8760),
  sweep_remove   boolean,
  swept_at       wf.moment,
  swept_found    integer CONSTRAINT target_swept CHECK (swept_found >= swept_removed AND swept_removed >= 0),
  swept_removed  integer,
  swept_items    jsonb CONSTRAINT target_swept_items
                 CHECK (jsonb_typeof(swept_items) = 'array' AND octet_length(swept_items::text) <= 131072
                        AND NOT jsonb_path_exists(swept_items, '$[*] ? (@.type() != "object")')),
  version        integer NOT NULL DEFAULT 1,
  created_at     wf.moment NOT NULL DEFAULT now(),
  created_by     wf.line NOT NULL DEFAULT session_user,
  updated_at     wf.moment NOT NULL DEFAULT now()
);
CREATE TABLE wf.sweep_jobs (
  target text COLLATE "C" PRIMARY KEY REFERENCES wf.publication_targets ON DELETE CASCADE,
  job_id bigint NOT NULL
);
INSERT INTO wf.publication_targets (target) SELECT DISTINCT p.target FROM wf.publications p;

-- Until when all of it is locked where it was published, and whether it was still there when it was last looked at.
ALTER TABLE wf.publications
  ADD COLUMN lock_mode wf.line,
  ADD COLUMN locked_until wf.moment,
  ADD COLUMN verify_asked_at wf.moment,
  ADD COLUMN verified_at wf.moment,
  ADD COLUMN faults integer CONSTRAINT publication_faults CHECK (faults >= 0),
  ADD COLUMN fault_list jsonb CONSTRAINT publication_fault_list
    CHECK (jsonb_typeof(fault_list) = 'array' AND octet_length(fault_list::text) <= 65536
           AND NOT jsonb_path_exists(fault_list, '$[*] ? (@.type() != "object")'));
CREATE INDEX publications_by_target ON wf.publications (target);
CREATE INDEX publications_by_lock ON wf.publications (locked_until) WHERE locked_until IS NOT NULL;
-- The newest verification of each, and how far it has come: apart, for the trail is no place for that.
CREATE TABLE wf.publication_checks (
  publication_id bigint PRIMARY KEY REFERENCES wf.publications ON DELETE CASCADE,
  job_id         bigint NOT NULL,
  objects        integer NOT NULL DEFAULT 0,
  bytes          bigint NOT NULL DEFAULT 0,
  faults         integer NOT NULL DEFAULT 0,
  fault_list     jsonb NOT NULL DEFAULT '[]',
  CONSTRAINT publication_check_progress CHECK (objects >= 0 AND bytes >= 0 AND faults >= 0),
  CONSTRAINT publication_check_faults CHECK (jsonb_typeof(fault_list) = 'array' AND octet_length(fault_list::text) <= 65536
                                             AND NOT jsonb_path_exists(fault_list, '$[*] ? (@.type() != "object")'))
);
