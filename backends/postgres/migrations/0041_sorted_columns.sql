-- The orders of tenants by protection, and of projects by each of their columns, for pages that are read by key.
CREATE INDEX tenants_by_protection ON wf.tenants (protected, id);
CREATE INDEX projects_by_id ON wf.projects (id, tenant_id);
CREATE INDEX projects_by_name ON wf.projects ((wf.folded(name) COLLATE "C"), tenant_id, id);
CREATE INDEX projects_by_status ON wf.projects (status, tenant_id, id);
