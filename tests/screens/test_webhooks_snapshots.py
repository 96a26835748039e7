"""How tenants' webhooks and events look, frozen at both sizes, as of 2025-11-21 12:00 UTC."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
ROWS = r"""
INSERT INTO wf.webhooks (tenant_id, label, target, events, secret_at, created_at, created_by, target_at) VALUES
  ('acme', 'billing', 'https://hooks.acme.example/•••', '{plan.changed,quota.exceeded,key.expiring}', now(),
   '2025-11-01T09:00Z', 'ana', now()),
  ('acme', '', 'https://old.acme.example/•••', '{*}', now(), '2025-06-01T09:00Z', 'ben', now()),
  ('umbrella', 'all of it', 'https://in.umbrella.example/•••', '{*}', now(), '2025-11-20T09:00Z', 'ana', now());
SELECT wf.begin_change('webhooks.disable', 'they move to another host, SUP-77', 'r-77');
UPDATE wf.webhooks SET enabled = false WHERE tenant_id = 'umbrella';
INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data, at)
SELECT 'evt_' || lpad(n::text, 40, '0'), tenant, type, summary, data::jsonb, at::timestamptz FROM (VALUES
  (1, 'acme', 'plan.changed', 'starter → growth', '{"from": "starter", "to": "growth"}', '2025-11-14T08:00Z'),
  (2, 'acme', 'key.expiring', 'wf_live_x1 expires within 7 d', '{"days": 7}', '2025-11-20T09:00Z'),
  (3, 'umbrella', 'tenant.suspended', 'suspended', '{}', '2025-11-20T10:00Z'),
  (4, 'acme', 'quota.exceeded', E'api_calls: a use was refused at 100 of 100 \x1b[31m', '{"metric": "api_calls",
   "used": 100, "hard": 100, "resets_at": "2025-12-01T00:00:00Z"}', '2025-11-21T11:20Z')
) AS e(n, tenant, type, summary, data, at);
UPDATE wf.endpoints SET delivered_at = '2025-11-21T11:20Z' WHERE id = 1;
UPDATE wf.endpoints SET failures = 50, disabled_at = '2025-11-21T03:30Z', disabled =
  E'50 attempts in a row failed; the last one: The receiver cannot take it now (503) \x1b[31m.' WHERE id = 2;
UPDATE wf.deliveries SET state = 'delivered', attempts = 1, code = 'http_200', words = 'The receiver took it (200).',
  ended_at = created_at WHERE webhook_id = 1;
UPDATE wf.deliveries SET state = 'held', attempts = 5, code = 'http_503',
  words = 'The receiver cannot take it now (503).' WHERE webhook_id = 2;
UPDATE wf.webhooks SET target_at = '2025-06-01T09:00Z', secret_at = '2025-06-01T09:00Z';
ALTER TABLE wf.webhooks DISABLE TRIGGER guard;
UPDATE wf.webhooks SET target_at = '2025-06-01T09:00Z', secret_at = '2025-06-01T09:00Z', updated_at = created_at;
UPDATE wf.webhooks SET replayed = 12, replayed_from = '2025-11-19T12:00Z', replayed_until = '2025-11-20T08:00Z'
WHERE id = 1;
ALTER TABLE wf.webhooks ENABLE TRIGGER guard;
UPDATE wf.endpoints SET disabled_at = '2025-11-20T09:30Z' WHERE id = 3;
INSERT INTO wf.delivery_attempts SELECT id, 5, 1, '2025-11-21T11:25Z', '2025-11-21T11:25:01Z', 'retry', 'http_503',
  'The receiver cannot take it now (503).', E'down \x1b[2J for now', 0.21 FROM wf.deliveries WHERE webhook_id = 2;
"""
SHOTS: dict[str, tuple[str, ...]] = {
    "webhooks": (":webhooks",),
    "webhook": (":acme-stage/webhooks/1",),
    "off": (":acme-stage/webhooks/2",),
    "disabled": (":acme-stage/webhooks/3",),
    "log": (":acme-stage/webhooks/2", "tab"),
    "happened": (":acme-stage/webhooks/1", "tab", "tab"),
    "events": (":events",),
    "event": (":events", "d"),
    "told": (":acme-stage/deliveries/3",),
}


@pytest.fixture
def hooked(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as owner:
        owner.execute(ROWS.encode())
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(hooked: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(hooked), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", SHOTS)
def test_wide(hooked: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(hooked), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
