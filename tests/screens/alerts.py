"""Alerts of the snapshots: the same at every run, as of 2025-11-21 12:00 UTC."""

from __future__ import annotations

ROWS = r"""
CREATE OR REPLACE FUNCTION wf.is_late(looked_at timestamptz, every interval) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT (looked_at >= timestamptz '2025-11-21T12:00Z' - 3 * every - interval '1 minute') IS NOT TRUE;
END;
UPDATE wf.detectors SET looked_at = '2025-11-21T11:59:40Z', known_at = '2025-11-21T11:59:40Z', took_ms = 12, found = 0,
  next_at = '2025-11-21T12:00:40Z';
UPDATE wf.detectors SET took_ms = 184, found = 2 WHERE name = 'key_rotation_sla_failed';
UPDATE wf.detectors SET took_ms = 1240, silent = 'no request has come in since 2025-11-21 11:02 UTC',
  known_at = '2025-11-21T10:50Z' WHERE name = 'key_usage_anomaly';
UPDATE wf.detectors SET error = 'relation "wf.quotas_near" does not exist (SQLSTATE 42P01)', known_at = NULL
  WHERE name = 'quota_over';
UPDATE wf.detectors SET looked_at = NULL, known_at = NULL, took_ms = NULL, found = NULL WHERE name = 'tenant_leak';
UPDATE wf.detectors SET looked_at = '2025-11-21T11:20Z' WHERE name = 'jobs_dead';
INSERT INTO wf.alerts (kind, tenant_id, labels, severity, value, threshold, unit, summary, details, fired_at, events)
SELECT kind, tenant, labels::jsonb, severity, value, threshold, unit, summary, details::jsonb, fired::timestamptz, 1
FROM (VALUES
  ('burn_rate', 'umbrella', '{"objective": "3"}', 'critical', 17.3, 14.4, '×',
   'api (umbrella): page: burn 17.3 over 1h and 21.0 over 5m, both above 14.4',
   '{"objective": 3, "objective_name": "api", "remaining": -0.37,
     "threshold_from": "the page pair of windows of objective 3"}', '2025-11-21T11:48Z'),
  ('key_rotation_sla_failed', 'acme', '{}', 'error', 2, 1, 'keys', '2 of 3 live keys older than 30 days',
   '{"stale_count_for_tenant": 2, "tenant_without_recent_rotation": false, "threshold_from": "plan:growth"}',
   '2025-11-19T12:00Z'),
  ('quota_near', 'soylent', E'{"metric": "ex\\u001b[31mports"}', 'warning', 0.93, 0.8, 'share',
   E'ex\x1b[31mports: 93 of 100 used', '{"used": 93, "hard": 100}', '2025-11-21T10:00Z'),
  ('key_usage_anomaly', 'globex', '{}', 'warning', 3, 1, 'keys', '3 keys differ from the week before',
   '{"anomalies_count": 3, "key_id": "key_00000000000000000000000003"}', '2025-11-21T08:00Z'),
  ('trial_ending', 'initech', '{}', 'info', 2.1, 7, 'days', 'the trial ends at 2025-11-23 14:00 UTC', '{}',
   '2025-11-20T14:00Z'),
  ('worker_missing', NULL, '{"host": "box-7"}', 'error', 1, 1, 'workers',
   'no worker on box-7 since 2025-11-21 09:10 UTC', '{}', '2025-11-21T09:11Z')
) AS a(kind, tenant, labels, severity, value, threshold, unit, summary, details, fired);
INSERT INTO wf.alerts (kind, tenant_id, labels, severity, value, threshold, unit, summary, fired_at, state, resolved_at,
  resolved_by, resolved_why, events)
SELECT 'worker_missing', NULL, '{"host": "box-7"}', 'error', 1, 1, 'workers', 'no worker on box-7', at, 'resolved',
       at + interval '12 minutes', by, why, 2
FROM (VALUES ('2025-11-21T03:00Z'::timestamptz, NULL, NULL), ('2025-11-21T05:30Z', 'ben', 'drained for the new disks'),
             ('2025-11-21T06:00Z', NULL, NULL)) AS o(at, by, why);
UPDATE wf.alerts SET previous_id = 9, fired_at = fired_at WHERE id = 6;
UPDATE wf.alerts SET state = 'acked', holder = 'ana', acked_at = '2025-11-21T09:20Z', ack_until = '2025-11-21T13:20Z',
  ack_comment = 'the host is being replaced, CHG-12', events = 4 WHERE id = 6;
UPDATE wf.alerts SET unknown_since = '2025-11-21T11:17Z', events = 2,
  unknown_why = 'no request has come in since 2025-11-21 11:02 UTC' WHERE id = 4;
INSERT INTO wf.alert_events (alert_id, n, at, kind, severity, value, actor, holder, until, words, audit_seq) VALUES
  (6, 1, '2025-11-21T09:11Z', 'fired', 'error', 1, NULL, NULL, NULL,
   'no worker on box-7 since 2025-11-21 09:10 UTC', NULL),
  (6, 2, '2025-11-21T09:20Z', 'acked', 'error', 1, 'ben', 'ben', '2025-11-21T13:20Z',
   'the host is being replaced, CHG-12', 41),
  (6, 3, '2025-11-21T10:02Z', 'handed_over', 'error', 1, 'ben', 'ana', '2025-11-21T13:20Z', 'end of my shift', 44),
  (6, 4, '2025-11-21T11:30Z', 'unknown', 'error', 1, NULL, 'ana', NULL, 'its detector failed', NULL),
  (4, 1, '2025-11-21T08:00Z', 'fired', 'warning', 3, NULL, NULL, NULL, '3 keys differ from the week before', NULL),
  (4, 2, '2025-11-21T11:17Z', 'unknown', 'warning', 3, NULL, NULL, NULL,
   'no request has come in since 2025-11-21 11:02 UTC', NULL);
INSERT INTO wf.objectives (name, tenant_id, target) VALUES ('spare', 'acme', 0.9), ('spare', 'globex', 0.9),
  ('api', 'umbrella', 0.999);
DELETE FROM wf.objective_due;
INSERT INTO wf.objective_cells (objective_id, seconds, at, good, total, skipped_good, skipped_total)
SELECT 3, 3600, at, CASE WHEN at < '2025-11-21T11:00Z' THEN 9990 - extract(hour FROM at) ELSE 9827 END, 10000, 0, 0
FROM generate_series('2025-11-20T12:00Z'::timestamptz, '2025-11-21T11:00Z', '1 hour') at
WHERE at <> '2025-11-21T08:00Z';
INSERT INTO wf.thresholds (detector, name, plan, value, set_at, set_by) VALUES
  ('key_rotation_sla_failed', 'max_age', 'growth', 60, '2025-11-01T09:00Z', 'ana');
INSERT INTO wf.thresholds (detector, name, tenant_id, value, set_at, set_by) VALUES
  ('key_rotation_sla_failed', 'max_age', 'acme', 30, '2025-11-02T09:00Z', 'ben');
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET at = '2025-11-21T10:00Z' WHERE at > '2025-11-22';
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
"""
