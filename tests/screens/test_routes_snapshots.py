"""How routes, deliveries and what an alert told look, frozen at both sizes, as of 2025-11-21 12:00 UTC."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.alerts import ROWS as ALERTS
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
ROWS = r"""
INSERT INTO wf.routes (name, tenant_id, position, matchers, min_severity, channel, target, policy, escalation, group_by)
VALUES
  ('db-on-call', NULL, 0, '[{"label": "kind", "op": "=~", "value": "jobs.*|worker.*"}]', 'error', 'pagerduty',
   'a routing key (EU)', '{"quiet_windows": [{"start": "22:00", "end": "06:00", "timezone": "Europe/Berlin"}]}',
   '{"levels": [{"targets": [{"kind": "person", "name": "ana"}], "minutes": 10}], "repeat": 2}', NULL),
  ('acme-hook', 'acme', 1, '[]', 'info', 'webhook', 'https://hooks.acme.example/•••', '{}', NULL, NULL),
  ('everything', NULL, 2, '[]', 'warning', 'slack', 'https://hooks.slack.com/•••', '{}', NULL, '{kind,tenant}'),
  ('broken', NULL, 3, '[]', 'info', 'webhook', 'https://old.example/•••', '{"quiet_windows": 5}', NULL, NULL),
  ('night', NULL, 4, '[]', 'critical', 'mail', 'o…@example.com', '{}', NULL, NULL);
UPDATE wf.routes SET enabled = false WHERE name = 'night';
UPDATE wf.endpoints SET delivered_at = '2025-11-21T11:48Z';
UPDATE wf.endpoints SET failures = 50, disabled_at = '2025-11-21T11:30Z', disabled =
  E'50 attempts in a row failed; the last one: The receiver cannot take it now (503) \x1b[31m.' WHERE route_id = 2;
INSERT INTO wf.deliveries (key, route_id, group_key, number, tenant_id, person, level, action, reason, severity,
  event_type, summary, notice, state, attempts, next_at, code, words, created_at, ended_at)
SELECT 'msg_' || repeat('a', 38) || lpad(n::text, 2, '0'), route, repeat('a', 62) || lpad(n::text, 2, '0'), n, tenant,
  person, level, action, reason, severity, kind, summary, '{}', state, attempts,
  '2025-11-21T12:05Z', code, words, made::timestamptz,
  CASE WHEN state IN ('delivered', 'failed') THEN made::timestamptz END
FROM (VALUES
  (1, 1, NULL, '', 0, 'trigger', 'first_notification', 'error', 'worker_missing',
   'no worker on box-7 since 2025-11-21 09:10 UTC', 'delivered', 1, 'http_202', 'The receiver took it (202).',
   '2025-11-21T09:11Z'),
  (2, 1, NULL, 'ana', 1, 'trigger', 'escalation', 'error', 'worker_missing', 'no worker on box-7 (for ana, level 1)',
   'delivered', 2, 'http_202', 'The receiver took it (202).', '2025-11-21T09:16Z'),
  (3, 3, NULL, '', 0, 'acknowledge', 'acknowledged', 'error', 'worker_missing', 'no worker on box-7', 'failed', 1,
   'http_404', 'The receiver says no (404).', '2025-11-21T09:20Z'),
  (4, 2, 'acme', '', 0, 'trigger', 'first_notification', 'error', 'key_rotation_sla_failed',
   '2 of 3 live keys older than 30 days', 'held', 3, 'http_503', 'The receiver cannot take it now (503).',
   '2025-11-21T11:30Z'),
  (5, 3, 'umbrella', '', 0, 'trigger', 'severity_raised', 'critical', 'burn_rate',
   'api (umbrella): page: burn 17.3 over 1h and 21.0 over 5m, both above 14.4', 'waiting', 4, 'http_429',
   'The receiver cannot take it now (429), and asks to wait 5m.', '2025-11-21T11:48Z')
) AS d(n, route, tenant, person, level, action, reason, severity, kind, summary, state, attempts, code, words, made);
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET at = '2025-11-20T10:00Z' WHERE at > '2025-11-22';
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
INSERT INTO wf.delivery_alerts VALUES (6, 1, false), (6, 2, false), (6, 3, false), (2, 4, false), (1, 5, false);
INSERT INTO wf.delivery_attempts VALUES
  (5, 3, 1, '2025-11-21T11:54Z', '2025-11-21T11:54:01Z', 'lost', 'lost',
   'Its worker was lost; whether it was received is not known.', '', NULL),
  (5, 4, 1, '2025-11-21T11:59Z', '2025-11-21T11:59:01Z', 'retry', 'http_429',
   'The receiver cannot take it now (429), and asks to wait 5m.', E'slow \x1b[2J down', 0.21);
"""
SHOTS: dict[str, tuple[str, ...]] = {
    "routes": (":routes",),
    "route": (":acme-stage/routes/1",),
    "endpoint_off": (":acme-stage/routes/2",),
    "deliveries": (":deliveries",),
    "delivery": (":acme-stage/deliveries/5",),
    "attempts": (":acme-stage/deliveries/5", "tab"),
    "told": (":acme-stage/alerts/6", "tab", "tab", "tab"),
}


@pytest.fixture
def routed(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as owner:
        owner.execute(ALERTS.encode())
        owner.execute(ROWS.encode())
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(routed: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(routed), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", SHOTS)
def test_wide(routed: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(routed), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
