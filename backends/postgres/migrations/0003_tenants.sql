CREATE TABLE wf.tenants (
  id                text COLLATE "C" PRIMARY KEY CONSTRAINT tenant_id_format CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  name              text NOT NULL CONSTRAINT tenant_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
  status            text NOT NULL DEFAULT 'active' CONSTRAINT tenant_status
                    CHECK (status IN ('active', 'suspended', 'pending_deletion', 'erased')),
  plan              text NOT NULL DEFAULT 'trial' CONSTRAINT tenant_plan_length CHECK (char_length(plan) BETWEEN 1 AND 64),
  region            text NOT NULL DEFAULT 'default' CONSTRAINT tenant_region_length CHECK (char_length(region) BETWEEN 1 AND 64),
  allowed_regions   wf.lines NOT NULL DEFAULT '{}' CONSTRAINT tenant_home_region_allowed
                    CHECK (allowed_regions = '{}' OR region = ANY (allowed_regions)),
  owner_email       text CONSTRAINT tenant_owner_length CHECK (char_length(owner_email) BETWEEN 3 AND 320),
  metadata          jsonb NOT NULL DEFAULT '{}' CONSTRAINT tenant_metadata_size
                    CHECK (jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 65536),
  protected         boolean NOT NULL DEFAULT false,
  version           integer NOT NULL DEFAULT 1,
  created_at        wf.moment NOT NULL DEFAULT now(),
  updated_at        wf.moment NOT NULL DEFAULT now(),
  suspended_at      wf.moment,
  suspension_reason wf.words,
  deleted_at        wf.moment,
  purge_after       wf.moment,
  deleted_from      wf.line,  -- the status that a restore returns to
  erased_at         wf.moment,
  search            text GENERATED ALWAYS AS (wf.folded(id || E'\n' || name)) STORED  -- no word holds a line break,
  CONSTRAINT tenant_marks CHECK (
    (status = 'suspended' OR deleted_from IS NOT DISTINCT FROM 'suspended') = (suspended_at IS NOT NULL)
    AND (suspended_at IS NULL) = (suspension_reason IS NULL)
    AND (status = 'pending_deletion') = (purge_after IS NOT NULL)
    AND (purge_after IS NULL) = (deleted_at IS NULL)
    AND (purge_after IS NULL) = (deleted_from IS NULL)
    AND (status = 'erased') = (erased_at IS NOT NULL))
);

-- For every order of the list; ties are broken by id.
CREATE INDEX tenants_by_name ON wf.tenants ((wf.folded(name) COLLATE "C"), id);
CREATE INDEX tenants_by_status ON wf.tenants (status, id);
CREATE INDEX tenants_by_plan ON wf.tenants (plan, id);
CREATE INDEX tenants_by_region ON wf.tenants (region, id);
CREATE INDEX tenants_by_created ON wf.tenants (created_at, id);

-- For the filters: any part of id or name; equality regardless of case.
CREATE INDEX tenants_search ON wf.tenants USING gin (wf.trigrams(search));
CREATE INDEX tenants_id_folded ON wf.tenants (wf.folded(id));
CREATE INDEX tenants_name_folded ON wf.tenants (wf.folded(name));
CREATE INDEX tenants_plan_folded ON wf.tenants (wf.folded(plan));
CREATE INDEX tenants_region_folded ON wf.tenants (wf.folded(region));
CREATE INDEX tenants_owner_folded ON wf.tenants (wf.folded(owner_email));
CREATE INDEX tenants_owner_masked ON wf.tenants (wf.folded(wf.masked(owner_email)));
CREATE INDEX tenants_of_plan ON wf.tenants (plan) WHERE status <> 'erased';
CREATE INDEX tenants_by_change ON wf.tenants (updated_at, id);
CREATE INDEX tenants_protected ON wf.tenants (id) WHERE protected;
CREATE INDEX tenants_due ON wf.tenants (purge_after) WHERE status = 'pending_deletion';

ALTER TABLE wf.tenants ENABLE ROW LEVEL SECURITY;

-- Each tenant's figures over the last hour of data. NULL: unknown, never zero.
CREATE TABLE wf.tenant_activity (
  tenant_id   text COLLATE "C" PRIMARY KEY REFERENCES wf.tenants,
  per_minute  double precision,
  error_share double precision,
  p95_ms      double precision,
  until       wf.moment    -- the end of that hour
) WITH (fillfactor = 80);

-- Unknown sorts below every number.
CREATE INDEX activity_by_rate ON wf.tenant_activity ((coalesce(per_minute, -1)), tenant_id);
CREATE INDEX activity_by_errors ON wf.tenant_activity ((coalesce(error_share, -1)), tenant_id);
CREATE INDEX activity_by_p95 ON wf.tenant_activity ((coalesce(p95_ms, -1)), tenant_id);

-- Which status may follow which. The domain has the same table, to explain refusals; a test compares the two.
CREATE TABLE wf.tenant_transitions (
  was wf.line, becomes wf.line, PRIMARY KEY (was, becomes)
);
INSERT INTO wf.tenant_transitions VALUES
  ('active', 'suspended'), ('suspended', 'active'),
  ('active', 'pending_deletion'), ('suspended', 'pending_deletion'),
  ('pending_deletion', 'active'), ('pending_deletion', 'suspended'), ('pending_deletion', 'erased');

CREATE TABLE wf.projects (
  tenant_id   text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  id          text COLLATE "C" NOT NULL CONSTRAINT project_id_format CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  name        text NOT NULL CONSTRAINT project_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
  status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived')),
  version     integer NOT NULL DEFAULT 1,
  created_at  wf.moment NOT NULL DEFAULT now(),
  updated_at  wf.moment NOT NULL DEFAULT now(),
  archived_at wf.moment,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT project_marks CHECK ((status = 'archived') = (archived_at IS NOT NULL))
);
CREATE INDEX projects_by_created ON wf.projects (created_at, tenant_id, id);
CREATE INDEX projects_id_folded ON wf.projects (wf.folded(id));
CREATE INDEX projects_name_folded ON wf.projects (wf.folded(name));
CREATE INDEX projects_tenant_folded ON wf.projects (wf.folded(tenant_id));
CREATE INDEX projects_archived ON wf.projects (created_at, tenant_id, id) WHERE status = 'archived';
CREATE INDEX projects_search ON wf.projects USING gin (wf.trigrams(wf.folded(id || E'\n' || name)));

-- Every table that holds rows of a tenant, so that an erasure finds them all. Later migrations add their tables;
-- a test compares this list with the catalogue.
CREATE TABLE wf.tenant_tables (
  control wf.line PRIMARY KEY,  -- qualified name
  position integer NOT NULL  -- children before parents
);
INSERT INTO wf.tenant_tables VALUES ('wf.projects', 10), ('wf.tenant_activity', 20), ('wf.audit_personal', 30);

CREATE TABLE wf.erasure_certificates (
  tenant_id  text COLLATE "C" PRIMARY KEY REFERENCES wf.tenants,
  erased_at  wf.moment NOT NULL,
  erased_by  wf.line NOT NULL,
  request_id wf.line,
  counts     wf.document NOT NULL,  -- rows erased per table
  sha256     wf.line NOT NULL    -- of wf.certificate_text, the certificate's canonical text
);

-- Reveals one masked field for a minute, with a reason. The value can only be read once the grant is committed, so that
-- nobody reads it in a transaction and then rolls the audit row back.
CREATE TABLE wf.reveals (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  field      text NOT NULL CHECK (field = 'owner_email'),
  actor      wf.line NOT NULL DEFAULT session_user,
  expires_at wf.moment NOT NULL,
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX reveals_of_actor ON wf.reveals (tenant_id, actor, expires_at);
INSERT INTO wf.tenant_tables VALUES ('wf.reveals', 5);

-- Nobody made the shipped rows, so they are not in the trail.
INSERT INTO wf.tenants (id, name, protected) VALUES ('default', 'Default', true);
INSERT INTO wf.tenant_activity (tenant_id) VALUES ('default');
