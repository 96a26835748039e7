-- Runs over dead messages of other systems: an act is done to the next items of a run.
ALTER TABLE wf.source_acts ADD COLUMN run_id bigint REFERENCES wf.runs;
CREATE INDEX source_acts_of_run ON wf.source_acts (run_id, id) WHERE run_id IS NOT NULL;
