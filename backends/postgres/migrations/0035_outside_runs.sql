-- Runs over dead messages of other systems: an act is done to the next items of a run.
ALTER TABLE wf.source_acts ADD COLUMN run_id bigint REFERENCES wf.runs;
CREATE INDEX source_acts_of_run ON wf.source_acts (run_id, id) WHERE run_id IS NOT NULL;
-- The gate that decides about the release in which a cause is fixed, as gate/environment, and since when that is said.
ALTER TABLE wf.dead_causes ADD COLUMN fixed_gate wf.line, ADD COLUMN fixed_at wf.moment;
-- Since when nothing was delivered to an endpoint although it was tried.
ALTER TABLE wf.endpoints ADD COLUMN failing_since wf.moment;
