from __future__ import annotations

import psycopg
from textual import events

from tests.postgres import Database
from tests.screens.console import console, text, until


async def test_half_a_filter_that_hid_all_is_taken_back_when_the_whole_cannot_be_read(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")
    async with console(database) as (app, pilot):
        app.run_command("tenants -id:zed")
        await until(pilot, lambda: "Acme" in text(pilot) and "Zed" not in text(pilot))
        await pilot.press("slash", "ctrl+u")
        app.post_message(events.Paste("status"))  # a word that nothing has, as long as the typing rests
        await until(pilot, lambda: "No tenant" in text(pilot))
        app.post_message(events.Paste(":sleepy"))
        await until(pilot, lambda: "status is never" in text(pilot))
        await until(pilot, lambda: "Acme" in text(pilot))
        assert "Zed" not in text(pilot) and "/-id:zed" in text(pilot)


async def test_a_field_of_text_alone_says_its_values(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name, plan) VALUES ('a', 'A', 'pro'), ('b', 'B', 'pro')")
    async with console(database) as (app, pilot):
        await until(pilot, lambda: "3" in text(pilot).splitlines()[1])
        await pilot.press("slash")
        app.post_message(events.Paste("plan:"))
        await until(pilot, lambda: "plan is pro (2)" in text(pilot))
        app.post_message(events.Paste("pro"))
        await until(pilot, lambda: "plan is" not in text(pilot))
