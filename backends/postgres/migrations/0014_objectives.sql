-- Objectives (SLOs), planned maintenance, and their measurements, which one function derives from the request cells.
-- A worker keeps the results; whatever makes a result wrong marks its time as due, so that kept and derived agree.
CREATE TABLE wf.objectives (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL CONSTRAINT objective_name CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  tenant_id    text COLLATE "C" REFERENCES wf.tenants,
  plan         text CONSTRAINT objective_plan CHECK (char_length(plan) BETWEEN 1 AND 64),
  route        text COLLATE "C" CONSTRAINT objective_route CHECK (char_length(route) BETWEEN 1 AND 400),
  kind         text NOT NULL DEFAULT 'availability' CONSTRAINT objective_kind CHECK (kind IN ('availability', 'latency')),
  threshold_ms double precision,
  target       numeric(9, 8) NOT NULL CONSTRAINT objective_target CHECK (target >= 0 AND target < 1),  -- 1 would leave no budget
  contractual  numeric(9, 8),
  period       text NOT NULL DEFAULT '30d' CONSTRAINT objective_period
               CHECK (period ~ '^([7-9]|[1-8][0-9]|90)d$' OR period IN ('week', 'month', 'quarter')),
  zone         wf.line NOT NULL DEFAULT 'UTC',  -- of a calendar window
  min_events   integer NOT NULL DEFAULT 100 CONSTRAINT objective_min_events CHECK (min_events BETWEEN 1 AND 1000000000),
  version      integer NOT NULL DEFAULT 1,
  created_at   wf.moment NOT NULL DEFAULT now(),
  created_by   wf.line NOT NULL DEFAULT session_user,
  updated_at   wf.moment NOT NULL DEFAULT now(),
  retired_at   wf.moment,
  CONSTRAINT objective_scope CHECK (plan IS NULL OR (tenant_id IS NULL AND route IS NULL)),
  CONSTRAINT objective_threshold
    CHECK ((kind = 'latency') = (threshold_ms IS NOT NULL) AND (threshold_ms > 0 AND threshold_ms <= 86400000) IS NOT FALSE),
  CONSTRAINT objective_contractual CHECK (contractual >= 0 AND contractual <= target)
);

-- One objective of a name per scope; a retired one frees its place. Neither text is ever '' (see above).
CREATE UNIQUE INDEX objective_taken ON wf.objectives
  (name, coalesce(tenant_id, ''), coalesce(plan, ''), coalesce(route, '')) WHERE retired_at IS NULL;

CREATE INDEX objectives_of_tenant ON wf.objectives (tenant_id) WHERE tenant_id IS NOT NULL;

-- Planned maintenance: what falls into it does not burn the adjusted budget. The raw one is always shown beside it.
CREATE TABLE wf.maintenance (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id  text COLLATE "C" REFERENCES wf.tenants,
  plan       text CONSTRAINT maintenance_plan CHECK (char_length(plan) BETWEEN 1 AND 64),
  route      text COLLATE "C" CONSTRAINT maintenance_route CHECK (char_length(route) BETWEEN 1 AND 400),
  starts_at  wf.moment NOT NULL,
  ends_at    wf.moment NOT NULL,
  ended_at   wf.moment,
  reason     text NOT NULL CONSTRAINT maintenance_reason CHECK (char_length(btrim(reason)) BETWEEN 1 AND 2000),
  created_by wf.line NOT NULL DEFAULT session_user,
  created_at wf.moment NOT NULL DEFAULT now(),
  CONSTRAINT maintenance_scope CHECK (plan IS NULL OR (tenant_id IS NULL AND route IS NULL)),
  CONSTRAINT maintenance_length CHECK (ends_at > starts_at AND ends_at - starts_at <= interval '7 days')
);
CREATE INDEX maintenance_by_end ON wf.maintenance (ends_at);
CREATE INDEX maintenance_of_tenant ON wf.maintenance (tenant_id) WHERE tenant_id IS NOT NULL;
INSERT INTO wf.tenant_tables VALUES ('wf.objectives', 21), ('wf.maintenance', 22);

-- Measurements of whole hours and minutes (`seconds`), for all tenants together.
CREATE TABLE wf.objective_cells (
  objective_id  bigint NOT NULL REFERENCES wf.objectives ON DELETE CASCADE,
  seconds       integer NOT NULL CHECK (seconds IN (60, 3600)),
  at            wf.moment NOT NULL,
  good          bigint NOT NULL,
  total         bigint NOT NULL,
  skipped_good  bigint NOT NULL,
  skipped_total bigint NOT NULL,
  PRIMARY KEY (objective_id, seconds, at)
);
CREATE INDEX objective_cells_by_time ON wf.objective_cells (seconds, at);

-- Times whose kept cells no longer hold: of hours, of minutes, or of both (NULL); for the objectives of a name, or for
-- all (NULL). Readers derive these until a worker has kept them again. Writers only insert, so nobody waits for
-- another.
CREATE TABLE wf.objective_due (
  seconds integer CHECK (seconds IN (60, 3600)),
  span    tstzrange NOT NULL,
  name    wf.line
);
INSERT INTO wf.objective_due VALUES (NULL, '(,)');
