"""How requests for approval look, frozen: at both sizes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
# What is open now ends in 2099, whatever the real clock says.
ROWS = """
ALTER TABLE wf.approvals DROP CONSTRAINT approval_length;
INSERT INTO wf.approvals (operation, thing, fields, fingerprint, reason, facts, sha256, trail_at, roles, state,
  asked_at, asked_by, expires_at, decided_at)
SELECT operation, thing, '{}', repeat('a', 64), why, facts::jsonb, encode(sha256(facts::bytea), 'hex'), 1000000,
  roles::text[], state, asked::timestamptz, by, ends::timestamptz, decided::timestamptz
FROM (VALUES
  ('tenants.purge', 'hooli', 'contract ended', '[{"noun": "tenants", "thing": "hooli", "verb": "gone"}]',
   '{operator}', 'refused', '2025-11-19T08:00Z', 'chi', '2025-11-19T12:00Z', '2025-11-19T08:30Z'),
  ('operators.raise', 'sam', 'the on-call engineer is in the air',
   '[{"noun": "raises", "thing": "(new)", "verb": "new", "after": {"login": "sam", "was": "support", "role": "operator",
     "minutes": 30, "reason": "the on-call engineer is in the air"}}]', '{admin}', 'approved', '2025-11-21T11:10Z',
   'sam', '2099-01-01T00:00Z', '2025-11-21T11:20Z'),
  ('runs.release', '2', 'new plan names', '[{"noun": "runs", "thing": "2", "verb": "changed", "seen": 1,
     "run": {"operation": "tenants.edit", "fields": {"plan": "pro"}, "filter": "plan:growth", "things": 1204,
     "first": ["acme", "globex", "initech", "umbrella", "soylent", "hooli", "wayne", "stark", "oscorp"],
     "sha256": "6f1c9a0b6f1c9a0b"}, "before": {"held": true}, "after": {"held": false}}]', '{operator,admin}',
   'waiting', '2025-11-21T11:50Z', 'ben', '2099-01-01T00:00Z', NULL)
) AS a(operation, thing, why, facts, roles, state, asked, by, ends, decided);
INSERT INTO wf.approval_votes (approval_id, person, role, vote, reason, at) VALUES
  (1, 'ana', 'operator', 'refuse', 'they pay again since Monday', '2025-11-19T08:30Z'),
  (2, 'chi', 'admin', 'approve', NULL, '2025-11-21T11:20Z'),
  (3, 'ana', 'operator', 'approve', 'looked at all of them', '2025-11-21T11:55Z');
UPDATE wf.approval_rules SET active = operation <> 'queues.edit';
INSERT INTO wf.raises (login, was, role, minutes, reason, starts_at, ends_at, ended_at, ended_by) VALUES
  ('sam', 'support', 'operator', 30, 'a queue stood still', '2025-11-18T22:00Z', '2025-11-18T22:30Z',
   '2025-11-18T22:12Z', 'sam'),
  ('ben', 'operator', 'admin', 60, 'INC-41', '2025-11-20T09:00Z', '2025-11-20T10:00Z', '2025-11-20T10:00:01Z',
   'worker_1');
INSERT INTO wf.raise_uses VALUES (1, 14), (2, 3);
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET actor = 'ben', at = '2025-11-21T11:50Z' WHERE noun = 'approvals';
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
"""
SHOTS: dict[str, tuple[str, ...]] = {
    "list": (":approvals",),
    "why": (":approvals", "w"),
    "request": (":acme-stage/approvals/3",),
    "approve": (":acme-stage/approvals/3", "y"),
    "rules": (":approval-rules",),
    "raises": (":raises",),
}


@pytest.fixture
def asked(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as connection:
        connection.execute(ROWS)
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(asked: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(asked), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["list", "request"])
def test_wide(asked: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(asked), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
