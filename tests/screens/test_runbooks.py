"""Runbooks in the console: one is begun from its list, its steps are done with dialogs, another console goes on."""

from __future__ import annotations

import psycopg

from backends.postgres.home import Home
from controlplane.runbooks.drill import Player, walk
from controlplane.runbooks.model import ExecutionDirectory
from screens.dialogs.confirm import Confirm
from screens.dialogs.fields import FieldsForm
from screens.runbooks.execution import ExecutionScreen
from tests.postgres import Database
from tests.screens.console import console, quiet, text, until


async def test_a_runbook_is_carried_out_from_the_console(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    async with console(database, role="operator", size=(120, 40)) as (app, pilot):
        app.run_command("runbooks name:p1-cross-tenant-leak")
        await until(pilot, lambda: "never run" in text(pilot))
        await pilot.press("a", "r")
        await until(pilot, lambda: isinstance(app.screen, ExecutionScreen) and "1 of 12. Acknowledge" in text(pilot))
        for answer in ("", "acme"):
            await pilot.press("a", "d")
            await until(pilot, lambda: isinstance(app.screen, FieldsForm))
            await pilot.press(*answer, "enter", "enter") if not answer else await pilot.press(*answer, "enter")
            await until(pilot, lambda: isinstance(app.screen, ExecutionScreen) and "passed" in text(pilot))
            await quiet(pilot)
            await pilot.press("j")
        await until(pilot, lambda: "3 of 12. It is one of ours" in text(pilot))
        assert "id:acme status:active" in text(pilot), "what doing it will ask, with the answer in its place"
        await pilot.press("a", "d")
        await until(pilot, lambda: "step 3, It is one of ours: passed" in text(pilot))
        await pilot.press("j", "a", "d")
        await until(pilot, lambda: isinstance(app.screen, Confirm) and "suspend acme" in text(pilot))
        assert "security_incident" in text(pilot)
        await pilot.pause(0.4)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ExecutionScreen) and "begun" in text(pilot))
        other = Home(database.login("operator"))
        await other.open()
        number = int(app.screen.thing_id)
        whole = await walk(other, number, Player(other, {}))
        await other.close()
        assert whole.execution.state == "passed"
        await until(pilot, lambda: "passed; 12 of 12 steps" in text(pilot))
        assert (await app.session.plane.of(ExecutionDirectory).get(number)).settled == 12


async def test_a_viewer_reads_and_is_offered_nothing(database: Database) -> None:
    async with console(database, role="viewer") as (app, pilot):
        app.run_command("runbooks name:worker-down")
        await until(pilot, lambda: "never run" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "A worker is alive" in text(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "Nothing can be done here as viewer" in text(pilot))
