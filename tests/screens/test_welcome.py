import asyncio
from pathlib import Path

import psycopg
import pytest
from textual.widgets import Input

from app.console import OpenContext, Watchfloor
from app.contexts import Context
from app.homes import HomeChoice
from app.settings import Settings
from backends.postgres.home import Home
from screens.longwork import WorkScreen
from screens.welcome import WelcomeScreen
from tests.controlplane.test_logmappings import CADDY
from tests.postgres import Database
from tests.screens.console import confirm, console, quiet, text, until

LOG = "\n".join(
    f'10.0.0.{n % 9} - - [21/Nov/2026:05:{n // 60 % 60:02}:{n % 60:02} +0000] "GET /v1/orders HTTP/1.1" 200 {n}'
    for n in range(300)
)


def people(database: Database) -> list[tuple[str, ...]]:
    with psycopg.connect(database.owner) as connection:
        return connection.execute("SELECT id FROM wf.tenants ORDER BY id").fetchall()


def opener(database: Database, there: asyncio.Event) -> OpenContext:
    """Opens the home when it is `there`."""

    async def open_context(report: object) -> Context:
        await there.wait()
        home = Home(database.login("admin"))
        await home.open()
        return Context(home, "new", "development", False, "the test", embedded=True)

    return open_context


async def test_an_empty_home_says_how_to_begin_and_any_tenant_ends_that(database: Database) -> None:
    async with console(database, link="") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        for words in ("create a tenant", ":import", ":connect", "load the demonstration"):
            assert words in text(pilot)
        await until(pilot, lambda: "start one with watchfloor worker" in text(pilot))
        with psycopg.connect(database.owner) as connection:
            connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        await until(pilot, lambda: "FAILING MOST" in text(pilot))
        assert app.area is not None and app.area.noun == "overview"


async def test_a_home_with_tenants_is_looked_over_at_once(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    async with console(database, link="") as (app, pilot):
        await until(pilot, lambda: "FAILING MOST" in text(pilot))
        assert not app.session.vacant and not isinstance(app.screen, WelcomeScreen)


async def test_a_home_that_is_being_made_greets_at_once_and_loses_no_key(database: Database, tmp_path: Path) -> None:
    there = asyncio.Event()
    open_context = opener(database, there)
    choice = HomeChoice("folder", str(tmp_path / "new"), None, "the test")
    app = Watchfloor(Settings(Path("/nowhere/settings.toml")), open_context, choice=choice)
    async with app.run_test(size=(80, 24)) as pilot:
        assert isinstance(app.screen, WelcomeScreen), "no other screen is painted before, which would take the keys"
        assert app.session.plane is None and "create a tenant" in text(pilot)
        await pilot.press("n")
        assert "as soon as the home is there" in text(pilot)
        there.set()
        await until(pilot, lambda: bool(app.screen.query("#field-id")))
        assert app.context is not None
        await app.context.close()


async def test_an_empty_home_never_shows_an_overview_of_nothing(database: Database) -> None:
    seen = []

    async def open_context(report: object) -> Context:
        home = Home(database.login("admin"))
        await home.open()
        return Context(home, "new", "development", False, "the test", embedded=True)

    class Watched(Watchfloor):
        def go(self, noun: str, text: str = "") -> None:
            super().go(noun, text)
            seen.append((self.session.plane is not None, type(self.screen).__name__))

    app = Watched(Settings(Path("/nowhere/settings.toml")), open_context)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        assert seen == [(False, "OverviewScreen"), (True, "WelcomeScreen")]
        assert app.context is not None
        await app.context.close()


async def test_an_empty_home_takes_no_command_away_that_is_being_typed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.greeting.TYPING_SECONDS", 0.01)
    there = asyncio.Event()
    open_context = opener(database, there)
    app = Watchfloor(Settings(Path("/nowhere/settings.toml")), open_context)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(":", *"ten")
        there.set()
        await until(pilot, lambda: app.session.plane is not None and app.session.vacant)
        await pilot.press(*"ants")
        assert isinstance(app.focused, Input) and app.focused.value == "tenants"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        assert app.context is not None
        await app.context.close()


async def test_n_creates_a_tenant(database: Database) -> None:
    async with console(database, link="") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        await pilot.press("n")
        await until(pilot, lambda: "create" in text(pilot) and app.screen.query("#field-id"))
        await pilot.press(*"acme", "enter")
        while app.screen.query("#field-id"):
            await pilot.press("enter")
            await pilot.pause(0.05)
        await until(pilot, lambda: "tenants acme: new" in text(pilot))
        assert people(database) == [("default",)]
        await confirm(pilot)
        await until(pilot, lambda: app.area is not None and app.area.noun == "overview")
        assert people(database) == [("acme",), ("default",)]


async def test_an_import_runs_on_when_its_screen_is_left_and_is_found_again(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(LOG + "\nnot a line of a log\n")
    async with console(database, link="") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        await pilot.press("i")
        await quiet(pilot)
        app.screen.query_one("#ask-path").value = str(tmp_path / "nothing.log")  # type: ignore[attr-defined]
        await pilot.press("enter", "c", "enter", "enter", "enter")
        await until(pilot, lambda: "is not a file" in text(pilot))
        app.screen.query_one("#ask-path").value = str(log)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WorkScreen))
        await pilot.press("escape")
        assert not isinstance(app.screen, WorkScreen)
        await until(pilot, lambda: app.session.works[0].state == "done")
        app.run_command("work")
        await until(pilot, lambda: "300 requests stored of 301 lines" in text(pilot))
        assert "1 skipped" in text(pilot)
    with psycopg.connect(database.owner) as connection:
        assert connection.execute("SELECT count(*) FROM wf.requests WHERE tenant_id = 'default'").fetchone() == (300,)


async def test_a_log_of_another_program_is_imported_by_its_format(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "access.json"
    log.write_text(CADDY)
    async with console(database, link="") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        await pilot.press("i")
        await quiet(pilot)
        app.screen.query_one("#ask-path").value = str(log)  # type: ignore[attr-defined]
        await pilot.press("enter", "c", "c", "enter")
        app.screen.query_one("#ask-tenant").value = "header:X-Tenant"  # type: ignore[attr-defined]
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "1 request stored of 1 line" in text(pilot))
    assert people(database) == [("acme",), ("default",)]


async def test_the_demonstration_is_not_put_into_a_server_of_somebody(database: Database) -> None:
    async with console(database, link="") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        await pilot.press("l")
        await until(pilot, lambda: "embedded home only" in text(pilot))
        assert people(database) == [("default",)]
