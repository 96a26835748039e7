"""Who is here, and following them: two consoles on one home."""

from __future__ import annotations

import psycopg

from screens.consoles import ConsolesScreen
from screens.lists import ListScreen
from tests.postgres import Database
from tests.screens.console import console, text, until


def fill(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name) SELECT 'acme-' || i, 'Acme ' || i FROM generate_series(10, 19) i"
        )


async def test_one_console_follows_another_to_its_screen_its_filter_and_its_row(database: Database) -> None:
    fill(database)
    async with console(database) as (ana, first), console(database, role="operator") as (ben, second):
        ben.run_command("tenants /acme")
        await until(second, lambda: "tenants  10 of 11" in text(second))
        await second.press("j", "j")
        ben._say_view()
        ana.run_command("consoles")
        await until(first, lambda: "tenants /acme" in text(first) and "acme-12" in text(first))
        await first.press("/", *"t_operator", "enter")
        await until(first, lambda: isinstance(ana.area, ConsolesScreen) and ana.area.current() is not None)
        await first.press("f")
        await until(first, lambda: "following t_operator" in text(first) and "›  acme-12" in text(first))
        await second.press("j", "S", "n")
        ben._say_view()
        await until(first, lambda: "›  acme-13" in text(first))
        await until(first, lambda: isinstance(ana.area, ListScreen) and ana.area.sort == "name")
        ben.open_thing("tenants", "acme-14")
        await until(second, lambda: "Acme 14" in text(second))
        ben._say_view()
        await until(first, lambda: "acme-14" in text(first)[:80])
        assert "following" not in text(second), "it leaves no trace there"
        await first.press("escape")
        await until(first, lambda: "you no longer follow t_operator" in text(first))
        assert "acme-14" in text(first)[:80], "it stays where it was led"
        ben.run_command("keys")
        ben._say_view()
        await first.pause(0.6)
        assert "acme-14" in text(first)[:80]


async def test_nobody_follows_their_own_console(database: Database) -> None:
    async with console(database) as (app, pilot):
        app._say_view()
        app.run_command("consoles")
        await until(pilot, lambda: "t_admin" in text(pilot))
        await pilot.press("f")
        await until(pilot, lambda: "that is this console" in text(pilot))


async def test_a_view_is_posted_to_the_incident_and_opened_again_from_its_timeline(database: Database) -> None:
    fill(database)
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.incidents (title, severity) VALUES ('half of it fails', 'SEV-1')")
    async with console(database, size=(120, 40)) as (app, pilot):
        app.run_command("tenants /acme")
        await until(pilot, lambda: "tenants  10 of 11" in text(pilot) and "INC-1" in text(pilot))
        await pilot.press("j", "j")
        await pilot.press(">")
        await until(pilot, lambda: "in your words" in text(pilot))
        await pilot.press(*"look", "enter")
        await until(pilot, lambda: "posted to INC-1 as event" in text(pilot))
        with psycopg.connect(database.owner) as connection:
            row = connection.execute("SELECT words, view FROM wf.incident_event_list WHERE kind = 'view'").fetchone()
        assert row is not None and row[0].startswith("look\n\n") and "Acme 12" in row[0]
        assert row[1] == {"noun": "tenants", "path": "tenants", "filter": "acme", "sort": "name", "row": "acme-12"}
        app.run_command("timeline /kind:view")
        await until(pilot, lambda: "view of tenants /acme: look" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "›  acme-12" in text(pilot) and "/acme" in text(pilot))


async def test_who_comes_back_catches_up_with_the_incidents(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.incidents (title, severity) VALUES ('half of it fails', 'SEV-1')")
        steps = '[{"name": "look", "kind": "person"}, {"name": "say so", "kind": "person"}]'
        connection.execute("SELECT wf.begin_execution('key-leak', 'A key leaked', '# x', %s, 1, false)", [steps])
    async with console(database) as (app, pilot):
        app.run_command("catch-up")
        await until(pilot, lambda: "When you left is not known here" in text(pilot))
        app.run_command("catch-up 2h")
        await until(pilot, lambda: "INC-1 SEV-1 open: half of it fails" in text(pilot))
        assert "1 event" in text(pilot) and "to do: key-leak, 2 steps of 2 left (execution 1, open)" in text(pilot)
