-- Gates as they are read: runs with how much they hold. With now(), which is stable, the planner sees through the view and
-- reads a page by the index; with clock_timestamp() it would count the checks of every run first.
CREATE VIEW wf.gate_run_list AS
SELECT r.id, r.gate, r.gate_version, r.environment, r.mode, r.batch_size, r.batch_index,
       CASE WHEN r.state = 'running' AND r.ends_by < now() THEN 'lost' ELSE r.state END AS state,
       r.verdict, r.conditions, r.inputs_sha256, r.started_at, r.started_by, r.ends_by, r.decided_at, r.version,
       coalesce(r.verdict, CASE WHEN r.ends_by < now() THEN 'lost' ELSE 'running' END) AS outcome,
       (SELECT count(*)::integer FROM wf.gate_checks c WHERE c.run_id = r.id) AS found,
       (SELECT count(*)::integer FROM wf.gate_checks c WHERE c.run_id = r.id AND c.state = 'fail') AS failed, r.checks,
       p.pruned_at, wf.folded(r.gate || E'\n' || r.environment || E'\n' || r.started_by) AS search
FROM wf.gate_runs r LEFT JOIN wf.gate_runs_pruned p ON p.run_id = r.id;
GRANT SELECT ON wf.gate_run_list TO wf_viewer, wf_worker;
