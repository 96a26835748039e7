"""Executions that stand for those of every operation's example."""

# One for each who may do its steps: 1 is the operator's, 2 the admin's; 3 is stopped. Step 1 is nobody's, 4 is begun.
EXECUTIONS = """
SELECT wf.begin_execution('tell', 'Tell', 'x', (SELECT jsonb_agg('{"name": "a", "kind": "person"}'::jsonb)
  FROM generate_series(1, 4)), NULL, false) FROM generate_series(1, 3);
UPDATE wf.executions SET stopped_at = now() WHERE id = 3;
ALTER TABLE wf.execution_steps DISABLE TRIGGER guard;
UPDATE wf.execution_steps
SET claimed_at = now(), claimed_by = CASE execution WHEN 1 THEN 't_operator' ELSE 't_admin' END,
  begun_at = CASE place WHEN 4 THEN now() END WHERE place > 1 AND execution < 3;
ALTER TABLE wf.execution_steps ENABLE TRIGGER guard;
"""
