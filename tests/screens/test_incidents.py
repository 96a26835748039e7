"""Incidents in the console: what others do is seen without a key, and a form begins with what is under the cursor."""

from __future__ import annotations

import psycopg
from textual.widgets import Input

from screens.dialogs.form import RequestForm
from screens.incidents import IncidentScreen
from tests.postgres import Database
from tests.screens.console import confirm, console, text, until


async def test_an_incident_is_opened_from_a_tenant_and_grows_while_one_looks(database: Database) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme, Inc')")
        async with console(database, role="operator", link="test/tenants/acme", size=(120, 40)) as (app, pilot):
            await pilot.press("I")
            await until(pilot, lambda: isinstance(app.screen, RequestForm))
            assert app.screen.query_one("#field-tenants", Input).value == "acme"
            assert app.screen.query_one("#field-regions", Input).value == ""
            app.screen.query_one("#field-title", Input).value = "acme is down"
            app.screen.query_one("#field-severity", Input).value = "SEV-1"
            app.screen.query_one("#field-severity", Input).focus()
            await pilot.press(*["enter"] * 5)
            await confirm(pilot)
            await until(pilot, lambda: "INC-1: nobody has the conn" in text(pilot))
            await pilot.press("7")
            await until(pilot, lambda: "acme is down" in text(pilot))
            await pilot.press("enter")
            await until(
                pilot, lambda: isinstance(app.screen, IncidentScreen) and "affected: tenant acme" in text(pilot)
            )
            owner.execute("UPDATE wf.tenants SET name = 'X' WHERE id = 'acme'")
            await until(pilot, lambda: "sql.update tenants acme" in text(pilot))
