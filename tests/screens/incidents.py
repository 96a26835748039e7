"""Incidents with fixed times, for snapshots: one under way and one that is closed."""

from __future__ import annotations

import psycopg

INCIDENTS = """
ALTER TABLE wf.incidents DISABLE TRIGGER USER;
ALTER TABLE wf.incident_roles DISABLE TRIGGER USER;
INSERT INTO wf.incidents (id, title, summary, severity, status, cycle, tenants, regions, origin_noun, origin,
  origin_words, began_at, opened_at, opened_by, cycle_at, severity_at, mitigated_at, resolved_at, closed_at) VALUES
  (1, 'Sign-in fails for every tenth person', 'The release halved the pool. It is back.', 'SEV-2', 'closed', 2,
   '{}', '{eu-w1}', NULL, NULL, NULL, '2025-11-20T09:00Z', '2025-11-20T09:10Z', 'ana', '2025-11-20T14:00Z',
   '2025-11-20T09:10Z', '2025-11-20T14:10Z', '2025-11-20T14:30Z', '2025-11-20T15:00Z'),
  (2, 'Checkout is down', 'Half is back: the second region is not.', 'SEV-1', 'open', 1, '{acme}', '{}', 'alerts', '1',
   'alert 1: half of the requests fail', '2025-11-21T11:10Z', '2025-11-21T11:20Z', 'ben', '2025-11-21T11:20Z',
   '2025-11-21T11:20Z', NULL, NULL, NULL);
ALTER TABLE wf.incidents ENABLE TRIGGER USER;
INSERT INTO wf.incident_marks VALUES
  (1, 3, '2025-11-20T14:20Z', NULL), (2, 8, '2025-11-21T11:37Z', NULL);
INSERT INTO wf.incident_roles (incident_id, role, holder, since, offered_to, offered_until, offered_summary) VALUES
  (2, 'conn', 'ben', '2025-11-21T11:21Z', NULL, NULL, NULL),
  (2, 'liaison', 'ana', '2025-11-21T11:30Z', NULL, NULL, NULL);
ALTER TABLE wf.incident_roles ENABLE TRIGGER USER;
INSERT INTO wf.incident_events (incident_id, seq, cycle, happened_at, recorded_at, kind, actor, words, becomes,
  corrects, operation)
SELECT incident, seq, cycle, at, at, kind, actor, words, becomes, corrects, operation FROM (VALUES
  (1, 1, 1, timestamptz '2025-11-20T09:10Z', 'opened', 'ana', 'opened at SEV-2: Sign-in fails', 'SEV-2',
   NULL::bigint, NULL),
  (1, 2, 1, '2025-11-20T10:00Z', 'status', 'ana', 'open → resolved', 'resolved', NULL, NULL),
  (1, 3, 2, '2025-11-20T14:00Z', 'status', 'ana', 'reopened, cycle 2', 'open', NULL, NULL),
  (2, 1, 1, '2025-11-21T11:10Z', 'origin', 'ben', 'alert 1: half of the requests fail', NULL, NULL, NULL),
  (2, 2, 1, '2025-11-21T11:20Z', 'opened', 'ben', 'opened at SEV-1: Checkout is down', 'SEV-1', NULL, NULL),
  (2, 3, 1, '2025-11-21T11:21Z', 'role', 'ben', 'ben takes the conn', 'conn', NULL, NULL),
  (2, 4, 1, '2025-11-21T11:25Z', 'note', 'ben', 'It is the disks.', NULL, NULL, NULL),
  (2, 5, 1, '2025-11-21T11:26Z', 'alert', NULL, 'alert 1 raised, critical: all requests fail', NULL, NULL, NULL),
  (2, 6, 1, '2025-11-21T11:25Z', 'correction', 'ana', 'It is the network: [b]bold[/b]', NULL, 4, NULL),
  (2, 7, 1, '2025-11-21T11:37Z', 'customers', 'ana', 'Checkout fails. We are working on it.', NULL, NULL, NULL),
  (2, 8, 1, '2025-11-21T11:50Z', 'change', 'ben', 'tenants.suspend acme: too loud', NULL, NULL, 'tenants.suspend')
) e(incident, seq, cycle, at, kind, actor, words, becomes, corrects, operation);
"""

PRESENCES = """
INSERT INTO wf.presences (console, person, view, view_at, moved_at, seen_at)
SELECT console::uuid, person, view::jsonb, since::timestamptz, moved::timestamptz, '2190-01-01Z' FROM (VALUES
  ('00000000-0000-4000-8000-000000000001', 'ana', '{"noun": "incidents", "path": "incidents/2"}',
   '2025-11-21T11:30Z', '2025-11-21T11:59:50Z'),
  ('00000000-0000-4000-8000-000000000002', 'ben',
   '{"noun": "tenants", "path": "tenants", "filter": "owner:x@[b]acme[/b].example status:suspended", "row": "acme"}',
   '2025-11-21T11:56Z', '2025-11-21T11:59:10Z'),
  ('00000000-0000-4000-8000-000000000003', 'ben', '{"noun": "audit", "path": "audit", "row": "1,204"}',
   '2025-11-20T17:00Z', '2025-11-20T17:10Z')
) AS v(console, person, view, since, moved)
"""
"""Consoles that are open whenever the snapshot is taken."""


def fill(connection: psycopg.Connection) -> None:
    connection.execute(INCIDENTS.encode())
    connection.execute(PRESENCES.encode())
