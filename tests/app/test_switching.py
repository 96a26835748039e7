from pathlib import Path

import psycopg
import pytest

from app.homes import HomeChoice
from app.settings import load
from screens.contexts import ContextsScreen
from tests.app.commands import url_of
from tests.postgres import Database, Server
from tests.screens.console import console, quiet, text, until


@pytest.fixture
def other(postgres_server: Server, template_database: str):
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('zed', 'Zed')")
    yield database
    postgres_server.drop(database)


@pytest.fixture
def settings_of(other: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A production profile that works, and one that nothing answers."""
    url, password = url_of(other.login("admin"))
    monkeypatch.setenv("WATCHFLOOR_PASSWORD_ACME_PROD", password)
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[profiles.acme-prod]\nurl = "{url}"\nenvironment = "production"\n'
        'password = "env:WATCHFLOOR_PASSWORD_ACME_PROD"\n'
        '[profiles.broken]\nurl = "postgresql://ana@127.0.0.1:1/x"\nenvironment = "staging"\n'
    )
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(file))
    return load()


async def test_the_contexts_are_listed_with_where_their_passwords_come_from(database: Database, settings_of) -> None:
    async with console(database, settings=settings_of, size=(120, 40)) as (app, pilot):
        app.run_command("context")
        await until(pilot, lambda: isinstance(app.screen, ContextsScreen) and "acme-prod" in text(pilot))
        lines = {
            line.split()[0]: line for line in text(pilot).splitlines() if line[:3].strip("› ") == "" and line.strip()
        }
        assert "production" in lines["acme-prod"] and " RO " in lines["acme-prod"]
        assert "env:WATCHFLOOR_PA" in lines["acme-prod"]
        assert "not driven yet" in lines["remote"]
        await pilot.press("G", "enter")
        await until(pilot, lambda: "remote: not driven yet" in text(pilot))
        assert app.session.context == "test"


async def test_a_production_profile_opens_read_only_and_nothing_of_the_old_context_stays(
    database: Database, settings_of
) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    async with console(database, settings=settings_of) as (app, pilot):
        await until(pilot, lambda: "Acme" in text(pilot))
        old = app.context
        await pilot.press("space")
        app.run_command("context acme-prod")
        assert "Acme" not in text(pilot)
        app.run_command("tenants")  # it begins with the overview
        await until(pilot, lambda: "Zed" in text(pilot))
        header = text(pilot).splitlines()[0]
        assert "PROD" in header and "RO" in header and "acme-prod" in header
        assert "Acme" not in text(pilot) and "marked" not in text(pilot)
        assert old is not None and old.home.pool.closed
        await pilot.press("a")
        await until(pilot, lambda: "read-only" in text(pilot))


async def test_a_context_that_fails_can_be_left(database: Database, settings_of, other: Database) -> None:
    async with console(database, settings=settings_of) as (app, pilot):
        app.run_command("context broken")
        await until(pilot, lambda: "offline" in text(pilot))
        assert "STAGING" in text(pilot)
        app.run_command("context acme-prod")
        app.run_command("tenants")
        await until(pilot, lambda: "Zed" in text(pilot))
        app.run_command("context nowhere")
        await until(pilot, lambda: "There is no context nowhere" in text(pilot))


async def test_writing_is_opened_with_a_reason_that_stands_in_the_trail(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    async with console(database, environment="production", read_only=True) as (app, pilot):
        assert " RO " in text(pilot).splitlines()[0]
        app.run_command("rw 15m")
        await until(pilot, lambda: "Say for how long and why" in text(pilot))
        app.run_command("rw 15m unpaid since May")
        await until(pilot, lambda: "writing 15m" in text(pilot).splitlines()[0])
        assert " RO " not in text(pilot).splitlines()[0]
        opened = app.session.clock()
        app.session.clock = lambda: opened.replace(year=opened.year + 1)
        app.area.draw_frame()  # type: ignore[union-attr]
        await pilot.pause()
        assert " RO " in text(pilot).splitlines()[0] and "writing" not in text(pilot).splitlines()[0]
    with psycopg.connect(database.owner) as connection:
        row = connection.execute(
            "SELECT operation, thing, reason, after ->> 'minutes' FROM wf.audit WHERE noun = 'contexts'"
        ).fetchone()
    assert row == ("contexts.write", "test", "unpaid since May", "15")


async def test_who_may_not_write_cannot_open_writing(database: Database) -> None:
    async with console(database, role="viewer", read_only=True) as (app, pilot):
        app.run_command("rw 15m because")
        await until(pilot, lambda: "needs the role support" in text(pilot))
        assert app.session.locked


async def test_connecting_asks_for_the_password_hidden_and_keeps_a_profile(
    database: Database, other: Database, settings_of, tmp_path: Path
) -> None:
    url, password = url_of(other.login("admin"))
    async with console(database, settings=settings_of) as (app, pilot):
        app.run_command("connect")
        await until(pilot, lambda: app.screen.query("#ask-address"))

        def fill(**answers: str) -> None:
            for name, value in answers.items():
                app.screen.query_one(f"#ask-{name}").value = value  # type: ignore[attr-defined]

        fill(address=url.replace("@", ":secret@"), password=password, keep="mine")
        await pilot.press("enter", "enter", "enter", "enter")
        await until(pilot, lambda: "The URL holds a password" in text(pilot))
        fill(address=url)
        await quiet(pilot)
        assert password not in text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.session.context == "mine")
        app.run_command("tenants")
        await until(pilot, lambda: "Zed" in text(pilot))
        assert app.session.context == "mine" and app.session.environment == "development"
    written = load()
    assert written.profiles["mine"].url == url and "acme-prod" in written.profiles
    assert password not in written.text


async def test_a_password_that_is_not_kept_serves_this_console_only(
    database: Database, other: Database, settings_of
) -> None:
    url, password = url_of(other.login("admin"))
    async with console(database, settings=settings_of) as (app, pilot):
        app.choice = HomeChoice("url", "postgresql://t@nowhere/test", None, "the test")
        before = settings_of.text
        app.run_command(f"connect {url}")
        await until(pilot, lambda: app.screen.query("#ask-address"))
        app.screen.query_one("#ask-password").value = password  # type: ignore[attr-defined]
        await pilot.press("enter", "enter", "enter", "enter")
        await until(pilot, lambda: app.session.context == other.name)
        app.run_command("tenants")
        await until(pilot, lambda: "Zed" in text(pilot))
        name = app.session.context
        assert name == other.name and load().text == before
        app.run_command("context broken")
        await until(pilot, lambda: "offline" in text(pilot))
        app.run_command(f"context {name}")
        app.run_command("tenants")
        await until(pilot, lambda: "Zed" in text(pilot))
