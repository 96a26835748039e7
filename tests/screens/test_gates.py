"""Gates in the console: one is run from its list, its checks come in, and enter opens what each saw."""

from __future__ import annotations

import psycopg

from controlplane.gates.document import GateSpec, whole, written
from screens.dialogs.form import RequestForm
from screens.gates.decision import DecisionScreen
from screens.gates.detail import GateScreen
from tests.postgres import Database
from tests.screens.console import console, quiet, text, until

CHECKS = [
    {"name": "tenants", "kind": "sql", "sql": "SELECT count(*) AS value FROM wf.tenant_list", "at_least": 1},
    {"name": "smoke", "kind": "command", "run": ["true"], "required": False},
    {"name": "way-back", "kind": "manual", "question": "Is it rehearsed?"},
]


async def test_a_gate_is_run_and_answered_from_the_console(database: Database) -> None:
    definition = whole(GateSpec.model_validate({"name": "shop", "owner": "ana", "checks": CHECKS}), {})
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.gates (name, definition) VALUES ('shop', %s)", [written(definition)])
    async with console(database, role="operator") as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: "never run" in text(pilot))
        await pilot.press("a", "r")
        await until(pilot, lambda: isinstance(app.screen, DecisionScreen))
        await until(pilot, lambda: "inconclusive" in text(pilot) and "3 of 3 checks recorded" in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: "● pass" in text(pilot) and "? inconclusive" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: '"rows"' in text(pilot))
        await pilot.press("escape", "escape")
        await quiet(pilot)
        await pilot.press("6")
        await until(pilot, lambda: "WHAT BLOCKS" in text(pilot) and "? inconclusive" in text(pilot))
        # The row that the cursor was on is gone: it was that of no environment.
        await until(pilot, lambda: app.screen.table.cursor_row is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, GateScreen) and "what must change" in text(pilot))
        assert "somebody answers it" in text(pilot)
        await pilot.press("a", "q")
        await until(pilot, lambda: isinstance(app.screen, RequestForm))
        assert "way-back" in text(pilot), "the form begins with the check that waits for an answer"
