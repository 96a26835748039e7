"""A link opens the context that it names, or says that there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from app.homes import HomeChoice, home_name
from app.links import Link, chosen_by, read
from app.settings import load
from controlplane.errors import NotFound, Usage
from tests.app.commands import program, url_of
from tests.app.test_demo import DEMO, PATIENCE
from tests.postgres import Database, Server
from tests.screens.console import console, text, until
from tests.terminal.console import CHECKOUT, PROGRAM
from tests.terminal.driver import Terminal


@pytest.mark.parametrize(
    ("words", "link"),
    [
        ("prod/tenants", Link("prod", "tenants")),
        ("prod/tenants#beta", Link("prod", "tenants", "", "beta")),
        ("prod/tenants/acme/eu", Link("prod", "tenants", "", "acme/eu")),
        ("prod/queues?cause:a/b#7", Link("prod", "queues", "cause:a/b")),
    ],
)
def test_what_a_link_says(words: str, link: Link) -> None:
    assert read(words) == link


@pytest.fixture
def other(postgres_server: Server, template_database: str):
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('zed', 'Zed')")
    yield database
    postgres_server.drop(database)


@pytest.fixture
def settings(other: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One profile: acme-prod, which has the tenant zed."""
    url, password = url_of(other.login("admin"))
    monkeypatch.setenv("WATCHFLOOR_PASSWORD_ACME_PROD", password)
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[profiles.acme-prod]\nurl = "{url}"\nenvironment = "production"\n'
        'password = "env:WATCHFLOOR_PASSWORD_ACME_PROD"\n'
    )
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(file))
    return load()


def test_a_link_chooses_its_context(settings) -> None:
    usual = HomeChoice("folder", "/srv/team", None, "the settings")
    assert home_name(usual) == "team"
    assert chosen_by(Link("team", "tenants"), settings, usual, named=False) == usual
    assert chosen_by(Link("acme-prod", "tenants"), settings, usual, named=False).profile == "acme-prod"  # type: ignore[union-attr]
    assert chosen_by(Link("home", "tenants"), settings, usual, named=False).value is None  # type: ignore[union-attr]
    assert chosen_by(Link("demo-a_b1c2d3", "tenants"), settings, usual, named=False) is None
    with pytest.raises(NotFound, match="no context beta") as caught:
        chosen_by(Link("beta", "tenants"), settings, usual, named=False)
    assert caught.value.hint == "Contexts: home, team, acme-prod."
    with pytest.raises(Usage, match="--home names team"):
        chosen_by(Link("acme-prod", "tenants"), settings, usual, named=True)


def test_the_program_refuses_a_link_to_an_unknown_context(frozen_environment: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name.startswith(("XDG_", "HOME", "WATCH"))}
    with Terminal([*PROGRAM, "acme-prod/tenants#beta"], env={"PYTHONPATH": str(CHECKOUT), **environment}) as t:
        assert t.wait(PATIENCE) == 4
        assert any("There is no context acme-prod. Contexts: home." in line for line in t.screen())
    assert not (frozen_environment / "home").exists(), "nothing was opened instead"


def test_without_a_screen_a_link_is_its_table(settings) -> None:
    shown = program("acme-prod/tenants?id:zed")
    assert shown.code == 0 and "zed" in shown.out and "2 in total" in shown.err
    assert "Zed" in program("acme-prod/tenants#zed").out
    refused = program("--plain", "nowhere/tenants")
    assert refused.code == 4 and "Contexts: home, acme-prod." in refused.err


async def test_a_link_typed_in_the_console_enters_its_context(database: Database, settings) -> None:
    async with console(database, settings=settings) as (app, pilot):
        app.run_command("nowhere/tenants")
        await until(pilot, lambda: "There is no context nowhere" in text(pilot))
        app.run_command("acme-prod/tenants#zed")
        await until(pilot, lambda: "acme-prod › tenants › zed" in text(pilot))
        assert app.session.context == "acme-prod"


def test_a_link_into_a_demonstration_opens_that_one_while_it_lives(prepared_demonstration: Path) -> None:
    environment = {"PYTHONPATH": str(CHECKOUT), "HOME": os.environ["HOME"]}
    environment["XDG_CACHE_HOME"] = str(prepared_demonstration)
    with Terminal(DEMO, env=environment) as demo:
        demo.see("in the last hour", PATIENCE)
        name = re.search(r"demo-\w{8}", demo.screen()[0])
        assert name is not None
        with Terminal([*PROGRAM, f"{name[0]}/tenants#juniper-textiles"], env=environment) as visitor:
            visitor.see(f"{name[0]} › tenants › juniper-textiles", PATIENCE)
            visitor.type(":q\r")
            visitor.wait(PATIENCE)
        demo.type(":q\r")
        demo.wait(PATIENCE)
    over = subprocess.run(
        [sys.executable, "-m", "app", f"{name[0]}/tenants"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert over.returncode == 4 and "is over" in over.stderr
