-- Acting for a tenant: who, why and for which ticket; at most an hour, and read-only unless another person approves.
CREATE TABLE wf.impersonations (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id   text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  actor       wf.line NOT NULL DEFAULT session_user,
  reason      text NOT NULL CONSTRAINT impersonation_reason CHECK (char_length(btrim(reason)) BETWEEN 1 AND 2000),
  ticket      text NOT NULL CONSTRAINT impersonation_ticket CHECK (char_length(btrim(ticket)) BETWEEN 1 AND 100),
  mode        text NOT NULL DEFAULT 'read' CHECK (mode IN ('read', 'write')),
  started_at  wf.moment NOT NULL DEFAULT now(),
  ends_at     wf.moment NOT NULL,  -- a hard stop: it is void from then on, whatever else the row says
  ended_at    wf.moment,           -- when somebody ended it early
  approved_by wf.line,
  approved_at wf.moment,
  CONSTRAINT impersonation_length CHECK (ends_at > started_at AND ends_at <= started_at + interval '60 minutes'),
  CONSTRAINT impersonation_own CHECK (approved_by <> actor),
  CONSTRAINT impersonation_marks CHECK ((mode = 'write') = (approved_by IS NOT NULL)
                                        AND (approved_by IS NULL) = (approved_at IS NULL))
);
CREATE INDEX impersonations_open ON wf.impersonations (actor, ends_at) WHERE ended_at IS NULL;
CREATE INDEX impersonations_of_tenant ON wf.impersonations (tenant_id, id);
INSERT INTO wf.tenant_tables VALUES ('wf.impersonations', 9);
