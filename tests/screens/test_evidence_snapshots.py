"""How evidence, coverage and publications look, frozen at both sizes, as of 2025-11-21 12:00 UTC."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
BUNDLE = "urn:watchfloor:evidence-bundle:v1"
ROWS = rf"""
ALTER TABLE wf.evidence DISABLE TRIGGER guard;
INSERT INTO wf.evidence (sha256, bytes, name, kind, subject, environment, at, signature, signer, recorded_at,
  recorded_by) VALUES
  (repeat('1a', 32), 48210, 'release-2.4.0', '{BUNDLE}', '2.4.0', 'production', '2025-11-20T09:00Z', 'good', '9c1f0a2b',
   '2025-11-20T09:00:10Z', 'ana'),
  (repeat('2b', 32), 512, 'provenance.json', 'https://slsa.dev/provenance/v1', E'app:2.4.0 \x1b[31m', 'production',
   '2025-11-19T18:30Z', 'unverified', '', '2025-11-19T18:31Z', 'ben'),
  (repeat('3c', 32), 90210, 'semgrep.sarif', 'sarif', '2.3.0', 'production', '2025-10-01T08:00Z', 'none', '',
   '2025-10-01T08:01Z', 'ben'),
  (repeat('4d', 32), 20480, 'incident-INC-41', '{BUNDLE}', 'INC-41', 'staging', '2025-11-12T02:10Z', 'good', '9c1f0a2b',
   '2025-11-12T02:11Z', 'chi');
UPDATE wf.evidence SET withdrawn_at = '2025-11-18T10:00Z', version = 2 WHERE id = 3;
ALTER TABLE wf.evidence ENABLE TRIGGER guard;
SELECT wf.publish_evidence(1, 's3://acme-evidence/production'), wf.publish_evidence(1, 'gs://acme-mirror'),
  wf.publish_evidence(4, 'file:///srv/evidence');
DELETE FROM wf.jobs WHERE (payload ->> 'publication') = '1';
UPDATE wf.jobs SET error = E'gs://acme-mirror: it does not let this worker do that. [target_failed] \x1b[2J',
  attempts = 3, tries = 3 WHERE (payload ->> 'publication') = '2';
UPDATE wf.publications SET created_at = '2025-11-20T09:01Z', created_by = 'ana', updated_at = '2025-11-20T09:05Z';
UPDATE wf.publications SET published_at = '2025-11-20T09:05Z', attestation = jsonb_build_object('objects', (
  SELECT jsonb_agg(jsonb_build_object('path', f, 'sha256', encode(sha256(f::bytea), 'hex'), 'bytes', 16000,
    'etag', '"' || left(md5(f), 12) || E'"\x1b[31m', 'version', 'nXwQ' || left(md5(f), 6)) ORDER BY f)
  FROM unnest(ARRAY['alerts.ndjson', 'audit/trail', 'bundle.dsse.json']) f)) WHERE id = 1;
UPDATE wf.publications SET lock_mode = 'COMPLIANCE', locked_until = '2026-11-20T09:05Z', faults = 1,
  verified_at = '2025-11-21T03:00Z', fault_list = '[{{"path": "audit/trail", "fault": "it is gone"}}]' WHERE id = 1;
UPDATE wf.publication_jobs SET job_id = 41 WHERE publication_id = 1;
UPDATE wf.publication_targets SET probed_at = '2025-11-21T09:01Z', creates = true, versions = true, digests = true,
  locks = true, lock_mode = E'COMPLIANCE\x1b[31m', lock_days = 365, priority = 1, rate = 20000,
  swept_at = '2025-11-21T04:00Z', swept_found = 2, swept_removed = 0, sweep_remove = false,
  swept_items = '[{{"key": "data/sha256/9f/9f86d0", "since": "2025-11-19T03:00:00Z"}}]' WHERE target LIKE 's3%';
UPDATE wf.publication_targets SET probed_at = '2025-11-21T09:01Z', creates = true, versions = false
WHERE target LIKE 'gs%';
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET at = '2025-11-20T10:00Z', actor = 'ana' WHERE at > '2025-11-22';
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
"""
SHOTS: dict[str, tuple[str, ...]] = {
    "evidence": (":evidence",),
    "one": (":acme-stage/evidence/1",),
    "coverage": (":coverage",),
    "published": (":acme-stage/publications/1", "tab"),
    "targets": (":targets",),
    "target": (":targets", "G", "w"),
}


@pytest.fixture
def proved(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as owner:
        owner.execute(ROWS.encode())
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(proved: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(proved), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", SHOTS)
def test_wide(proved: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(proved), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
