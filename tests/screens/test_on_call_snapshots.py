"""How silences and schedules look, frozen: at both sizes; the week also on a night on which the clocks change, and in
ASCII.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
import pytest

from backends.postgres.schedules import Schedules
from backends.postgres.silences import Silences
from backends.postgres.statements import Connection
from tests.postgres import Database
from tests.screens.alerts import ROWS as ALERTS
from tests.screens.test_snapshots import NARROW, NOW, WIDE, estate, frozen, steps

__all__ = ["estate"]
ROWS = r"""
ALTER TABLE wf.silences DISABLE TRIGGER guard;
ALTER TABLE wf.schedule_overrides DISABLE TRIGGER guard;
INSERT INTO wf.silences (matchers, starts_at, ends_at, comment, ends, created_by, created_at, ended_at, ended_by,
  replaces)
SELECT matchers::jsonb, starts::timestamptz, till::timestamptz, comment, ends, by, starts::timestamptz,
       ended::timestamptz, ender, old FROM (VALUES
  ('[{"label": "kind", "op": "=", "value": "worker_missing"}]', '2025-11-21T08:00Z', '2025-11-21T13:00Z',
   'the host is being replaced', 'time', 'ben', '2025-11-21T09:00Z', 'ana', NULL),
  ('[{"label": "kind", "op": "=~", "value": "worker_missing|telemetry_absent"}]', '2025-11-21T09:00Z',
   '2025-11-21T18:00Z', E'the host is \x1b[31mbeing replaced, CHG-12', 'resolved', 'ana', NULL, NULL, 1),
  ('[{"label": "tenant", "op": "=", "value": "umbrella"}, {"label": "severity", "op": "!=", "value": "critical"}]',
   '2025-11-21T11:00Z', '2025-11-21T14:30Z', 'their own load test', 'time', 'chi', NULL, NULL, NULL),
  ('[{"label": "kind", "op": "=", "value": "quota_near"}]', '2025-11-22T06:00Z', '2025-11-22T12:00Z',
   'the month''s import', 'unmatched', 'ana', NULL, NULL, NULL),
  ('[{"label": "tenant", "op": "=~", "value": "(acme"}]', '2025-11-21T10:00Z', '2025-11-21T20:00Z', 'by hand', 'time',
   'wf_owner', NULL, NULL, NULL)
) AS s(matchers, starts, till, comment, ends, by, ended, ender, old);
INSERT INTO wf.schedules (name, rotations, created_at) VALUES
  ('primary', '[{"name": "week", "people": ["ana", "ben", "chi"], "starts": "2025-01-06 09:00",
    "zone": "Europe/Berlin"}]', '2025-01-02T09:00Z'),
  ('support', '[{"name": "day", "people": ["dan", "株式会社 バックエンド"], "starts": "2025-01-06 09:00", "shift": "1d",
    "zone": "America/New_York", "only": ["mon-fri 09:00-17:00"]}, {"name": "night", "people": ["eve"], "shift": "12h",
    "starts": "2025-01-06 20:00", "zone": "Asia/Seoul", "only": ["sat+sun 20:00-08:00"]}]', '2025-01-02T09:00Z'),
  ('typed', '[{"people": ["ana"], "starts": "soon"}]', '2025-11-20T09:00Z');
INSERT INTO wf.schedule_overrides (schedule, person, starts_at, ends_at, kind, instead_of, created_by, created_at)
VALUES
  ('primary', 'zoe', '2025-11-22T17:00Z', '2025-11-23T08:00Z', 'replace', 'ana', 'ben', '2025-11-20T09:00Z'),
  ('primary', 'dan', '2025-11-19T07:00Z', '2025-11-19T11:00Z', 'replace', '', 'ben', '2025-11-18T09:00Z');
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET at = '2025-11-21T11:00Z' WHERE noun IN ('silences', 'schedules', 'overrides');
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
"""
ONE, PRIMARY, SUPPORT = ":acme-stage/silences/2", ":acme-stage/schedules/primary", ":acme-stage/schedules/support"
LATER = ["l"] * 18
SHOTS: dict[str, tuple[str, ...]] = {
    "silences": (":silences",),
    "silence": (ONE,),
    "hidden": (ONE, "tab"),
    "silence_why": (":silences", "w"),
    "silence_form": ("3", "a", "s"),
    "schedules": (":schedules",),
    "week": (PRIMARY,),
    "week_of_spring": (PRIMARY, *LATER),
    "now": (PRIMARY, "tab"),
    "overrides": (PRIMARY, "tab", "tab"),
    "week_with_gaps": (SUPPORT,),
    "unreadable": (":acme-stage/schedules/typed",),
    "schedule_form": (PRIMARY, "a", "e"),
}


async def now(self: Any, connection: Connection) -> datetime:
    return NOW


@pytest.fixture
def on_call(estate: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(Silences, "now", now)
    monkeypatch.setattr(Schedules, "now", now)
    with psycopg.connect(estate.owner) as owner:
        owner.execute(ALERTS)
        owner.execute(ROWS)
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(on_call: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(on_call), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["silences", "silence", "schedules", "week", "week_with_gaps"])
def test_wide(on_call: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(on_call), terminal_size=WIDE, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["silences", "week"])
def test_sixteen_colours(on_call: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(on_call, theme="sixteen"), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["silences", "week"])
def test_ascii(on_call: Database, snap_compare: Any, name: str) -> None:
    app = frozen(on_call)
    app.ascii_only = True
    assert snap_compare(app, terminal_size=NARROW, run_before=steps(*SHOTS[name]))
