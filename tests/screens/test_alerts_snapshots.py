"""How alerts and detectors look, frozen: at both sizes, the list also in 16 colours."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from backends.postgres.detectors import Detectors
from controlplane.detectors.model import DryRun, Foreseen
from tests.postgres import Database
from tests.screens.alerts import ROWS
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
ONE = ":acme-stage/alerts/6"
SHOTS: dict[str, tuple[str, ...]] = {
    "list": ("3",),
    "facts": (ONE,),
    "timeline": (ONE, "tab"),
    "no_series": (ONE, "tab", "tab"),
    "similar": (ONE, "tab", "tab", "tab", "tab"),
    "chart": (":acme-stage/alerts/1", "tab", "tab"),
    "thresholds_of_it": (":acme-stage/alerts/2", "w"),
    "traffic": (":acme-stage/tenants/acme", "tab", "tab"),
    "unknown": (":acme-stage/alerts/4",),
    "why": ("3", "w"),
    "ack_form": ("3", "a", "a"),
    "detectors": (":detectors",),
    "dry_run": (":acme-stage/detectors/key_rotation_sla_failed", "tab"),
    "thresholds": (":thresholds",),
    "heartbeats": (":heartbeats",),
}
HEARTBEATS = """
ALTER TABLE wf.heartbeats DISABLE TRIGGER guard;
INSERT INTO wf.heartbeats (name, tenant_id, every, grace, means, since) VALUES
  ('backups', NULL, 86400, 3600, 'no backup was made', '2020-01-01'), ('billing', 'acme', 300, 60, '', '2020-01-01'),
  ('new', NULL, 86400, 60, 'the daily report', '2190-01-01'), ('old', NULL, 300, 60, 'moved elsewhere', '2020-01-01');
UPDATE wf.heartbeats SET retired_at = '2021-01-01' WHERE name = 'old';
UPDATE wf.beats SET at = '2020-01-02' WHERE name IN ('backups', 'old')
"""


@pytest.fixture
def alerts(estate: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    async def dry_run(self: Detectors, name: str) -> DryRun:
        again = Foreseen(("unchanged",), 2, "acme", {}, "error", 2, 1, "keys", "2 of 3 live keys older than 30 days")
        new = Foreseen(("fired",), None, "umbrella", {}, "warning", 0, 1, "keys", "no key rotated for too long")
        return DryRun(None, {"fired": 1, "unchanged": 1}, 2, 184.2, (new, again))

    monkeypatch.setattr(Detectors, "dry_run", dry_run)
    with psycopg.connect(estate.owner) as owner:
        owner.execute(ROWS)
        for statement in HEARTBEATS.split(";\n"):
            owner.execute(statement)
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(alerts: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(alerts), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["list", "facts", "chart", "traffic", "detectors", "dry_run"])
def test_wide(alerts: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(alerts), terminal_size=WIDE, run_before=steps(*SHOTS[name]))


def test_sixteen_colours(alerts: Database, snap_compare: Any) -> None:
    assert snap_compare(frozen(alerts, theme="sixteen"), terminal_size=NARROW, run_before=steps("3"))
