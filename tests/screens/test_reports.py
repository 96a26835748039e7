"""Governance reports and gates' schedules in the console."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
import pytest

from controlplane.gates.document import GateSpec, whole, written
from controlplane.reports.data import document
from screens.dialogs.form import RequestForm
from screens.reports import ReportScreen
from tests.controlplane.test_reports import ASKED, KEPT, figures, gate
from tests.postgres import Database
from tests.screens.console import console, text, until
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
MADE = """
INSERT INTO wf.reports (kind, subject, from_at, to_at, asked_at, asked_by, made_at, sha256)
VALUES ('weekly', '2025-W46', '2025-11-10Z', '2025-11-17Z', '2025-11-17 00:20Z', 'worker-1', %(at)s, %(sha256)s),
       ('release', '2.4.0', '2025-11-14Z', '2025-11-21Z', '2025-11-21 09:00Z', 'ana', NULL, NULL);
"""


def fill(connection: psycopg.Connection) -> None:
    waivers = {"made": 1, "ended": 0, "open": 1, "ending": []}
    found = document(ASKED, figures(gates=[gate("NO_GO"), gate("GO", "core")], waivers=waivers), [KEPT])
    digest = hashlib.sha256(found.encode()).hexdigest()
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute("ALTER TABLE wf.reports DISABLE TRIGGER USER")
        cursor.execute(MADE.encode(), {"at": "2025-11-17 00:21Z", "sha256": digest})
        cursor.execute("ALTER TABLE wf.reports ENABLE TRIGGER USER")
        cursor.execute("INSERT INTO wf.report_data (report_id, data) VALUES (1, %s), (2, NULL)", [found])


async def test_a_report_is_read_in_short_and_asked_for(database: Database) -> None:
    definition = whole(GateSpec.model_validate({"name": "shop", "owner": "ana", "checks": [
        {"name": "asked", "kind": "manual", "question": "?"}]}), {})  # fmt: skip
    with psycopg.connect(database.owner) as owner:
        fill(owner)
        owner.execute("INSERT INTO wf.gates (name, definition) VALUES ('shop', %s)", [written(definition)])
    async with console(database, role="operator") as (app, pilot):
        await pilot.press(*":reports", "enter")
        await until(pilot, lambda: "2025-W46" in text(pilot) and "waits" in text(pilot))
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, ReportScreen) and "closed at the last run" in text(pilot))
        await pilot.press("escape", "a", "n")
        await until(pilot, lambda: isinstance(app.screen, RequestForm) and "which release" in text(pilot))
        await pilot.press("escape", "6")
        await until(pilot, lambda: "never run" in text(pilot))
        await pilot.press("a", "s")
        await until(pilot, lambda: isinstance(app.screen, RequestForm) and "at least 5m" in text(pilot))


SHOTS: dict[str, tuple[str, ...]] = {"list": (":reports",), "report": (":acme-stage/reports/1",)}


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(estate: Database, snap_compare: Any, name: str) -> None:
    with psycopg.connect(estate.owner) as connection:
        fill(connection)
    assert snap_compare(frozen(estate), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


def test_wide(estate: Database, snap_compare: Any) -> None:
    with psycopg.connect(estate.owner) as connection:
        fill(connection)
    assert snap_compare(frozen(estate), terminal_size=WIDE, run_before=steps(*SHOTS["report"]))
