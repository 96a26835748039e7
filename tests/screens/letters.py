"""Dead letters of the snapshots: three causes, one of them poison, the same at every run."""

from __future__ import annotations

ROWS = r"""
CREATE OR REPLACE FUNCTION wf.letters_kept() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN interval '40 years';
INSERT INTO wf.workers (name, host, pid, version, kinds, login, lease_until, started_at, seen_at, ended_at, ended)
  VALUES ('box-1', 'box', 11, '2.4.0', '{}', 'w', '2025-11-21T11:00Z', '2025-11-20T09:00Z', '2025-11-21T11:00Z',
          '2025-11-21T11:00Z', 'stopped');
INSERT INTO wf.jobs (kind, tenant_id, payload, state, tries, attempts, created_at, ended_at, error)
SELECT 'invoice.send', (ARRAY['acme', 'globex', 'soylent'])[1 + i % 3],
  jsonb_build_object('invoice', 9007199254740990 + i, 'to', 'billing-' || i || '@customer.example', 'total', 129.90,
                     'lines', jsonb_build_array(jsonb_build_object('sku', 'A-' || i, 'n', 2))),
  'dead', 5, 5, '2025-11-21T08:00Z', '2025-11-21T11:40Z'::timestamptz - make_interval(mins => i),
  'POST https://mail.example/v1/send: 503 after 30.2 s, request 550e8400-e29b-41d4-a716-4466554400'
  || lpad(i::text, 2, '0') || ' [http_503]'
FROM generate_series(1, 24) i;
INSERT INTO wf.jobs (kind, tenant_id, payload, state, tries, attempts, created_at, ended_at, error)
SELECT 'report.render', 'umbrella', jsonb_build_object('report', i, 'rows', 12000000), 'dead', 5, 5,
  '2025-11-20T08:00Z', '2025-11-20T21:00Z'::timestamptz - make_interval(mins => i),
  'MemoryError; the log of its worker has more'
FROM generate_series(1, 3) i;
INSERT INTO wf.jobs (kind, tenant_id, payload, state, tries, attempts, created_at, ended_at, error)
SELECT 'webhook', 'acme', '{"id": 7, "name": "ev\u001b[31mil"}', 'dead', 5, 5, '2025-11-21T08:00Z', '2025-11-21T09:30Z',
  E'it said \x1b[31mno\x1b[0m to \'' || i || E'\' [rejected]' FROM generate_series(1, 2) i;
INSERT INTO wf.job_attempts (job_id, attempt, tenant_id, worker_id, started_at, ended_at, outcome, error)
SELECT 1, n, 'acme', 1, '2025-11-21T11:30Z'::timestamptz + make_interval(mins => n),
  '2025-11-21T11:30:30Z'::timestamptz + make_interval(mins => n), CASE n WHEN 3 THEN 'lost' ELSE 'failed' END,
  CASE n WHEN 3 THEN NULL ELSE '503 after 30.2 s [http_503]' END FROM generate_series(1, 5) n;
UPDATE wf.dead_letters SET attempts = (SELECT jsonb_agg(jsonb_build_object('attempt', a.attempt, 'ended_at', a.ended_at,
  'outcome', a.outcome, 'error', a.error, 'by', 'box-1') ORDER BY a.attempt) FROM wf.job_attempts a),
  release = '2.4.0', headers = '{"queued_at": "2025-11-21T08:00:00+00:00"}', edited = '{"to": "ap@customer.example"}',
  first_failed_at = '2025-11-21T11:31:30Z' WHERE id = 1;
UPDATE wf.dead_letters SET state = 'quarantined', replays = 3 WHERE handler = 'report.render';
UPDATE wf.dead_causes SET releases = '{2.4.0}', replayed = 9 WHERE handler <> 'webhook';
UPDATE wf.dead_causes SET fixed_in = '2.4.1' WHERE handler = 'webhook';
DELETE FROM wf.dead_cause_hours;
UPDATE wf.dead_letters SET hold = true WHERE id = 2;
INSERT INTO wf.jobs (kind, payload, state, ended_at, worker_id, lease) VALUES ('invoice.send',
  '{"invoice": 9007199254740980, "to": "ok@customer.example", "total": 99.00, "lines": [{"n": 2, "sku": "B-1"}]}',
  'done', '2025-11-21T11:00Z', 1, 1);
"""
