"""Keys in the console: a secret behind a key press, rotations and stale keys at a glance."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from textual.events import Paste
from textual.widgets import Input

from controlplane.keys import secret
from screens.dialogs.secret import ShowSecret
from tests.backends.keys import asked, make_calls, make_keys, make_tenants
from tests.postgres import Database
from tests.screens.console import command, confirm, console, quiet, shown, text, type_in, until

WHOLE = re.compile(r"wf_(?:live|test)_[A-Za-z0-9]{36}")


async def make_key(app, pilot) -> None:
    await command(pilot, "keys.create acme")
    await until(pilot, lambda: "scopes" in text(pilot))
    while "scopes" in text(pilot):
        await pilot.press("enter")
        await pilot.pause(0.05)
    await confirm(pilot)
    await until(pilot, lambda: isinstance(app.screen, ShowSecret))


async def test_a_secret_is_seen_after_a_key_press_and_forgotten(database: Database) -> None:
    make_tenants(database.owner, "acme")
    async with console(database) as (app, pilot):
        await command(pilot, "keys")
        await until(pilot, lambda: "No keys yet" in text(pilot))
        await make_key(app, pilot)
        await until(pilot, lambda: "can show it again" in text(pilot))
        assert not WHOLE.search(text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "You have not seen it yet" in text(pilot))
        await pilot.press("space")
        await until(pilot, lambda: WHOLE.search(text(pilot)))
        assert "You have not seen it yet" not in text(pilot)
        found = WHOLE.search(text(pilot))
        assert found and secret.is_whole(found[0])
        [(hashed,)] = asked(database.owner, "SELECT hash FROM wf.api_keys")
        assert hashed == secret.digest(found[0])
        await pilot.press("space")
        await until(pilot, lambda: not WHOLE.search(text(pilot)))
        await pilot.press("escape")
        await until(pilot, lambda: secret.display(found[0]) in text(pilot) and "active" in text(pilot))
        assert not WHOLE.search(text(pilot)) and "audit" in shown(pilot)[-1]
        assert found[0] not in repr(app.session) and found[0] not in str(app.area and app.area.said)


async def test_c_copies_a_secret_and_says_how(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tenants(database.owner, "acme")
    copied = []

    async def copy(app: object, value: str) -> str:
        copied.append(value)
        return "copied to tmux and its terminal"

    monkeypatch.setattr("screens.dialogs.secret.copy", copy)
    async with console(database) as (app, pilot):
        await make_key(app, pilot)
        await pilot.press("c")
        await until(pilot, lambda: "copied to tmux" in text(pilot))
        assert secret.is_whole(copied[0])
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ShowSecret))


async def test_a_tenants_keys_are_listed_and_one_is_opened(database: Database) -> None:
    make_tenants(database.owner, "acme", "zed")
    [key] = make_keys(database.owner, 1, "acme")
    make_keys(database.owner, 1, "zed", first=2)
    make_calls(database.owner, key, 3)
    async with console(database) as (_, pilot):
        await command(pilot, "test/tenants/acme")
        await until(pilot, lambda: "any region" in text(pilot))
        await pilot.press("A")
        await until(pilot, lambda: "wf_live_1" in text(pilot))
        assert "wf_live_2" not in text(pilot) and "1 of 2" in text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "none: everything is denied" in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: "192.0.2.7" in text(pilot) and "/v1/things" in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: "sql.insert" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "rotate: yes" in text(pilot) and "enable: wf_live_1 is not disabled" in text(pilot))
        await pilot.press("escape", "P")
        await until(pilot, lambda: "the catalogue" in text(pilot) or "a month in" in text(pilot))
        await pilot.press("O")
        await until(pilot, lambda: "any region" in text(pilot))


async def test_a_new_key_is_for_the_tenant_of_the_key_that_it_is_asked_on(database: Database) -> None:
    make_tenants(database.owner, "acme", "zed")
    make_keys(database.owner, 1, "acme")
    make_keys(database.owner, 1, "zed", first=2)
    asks = "tenant id"  # the field
    async with console(database, size=(80, 50)) as (_, pilot):
        await command(pilot, "keys tenant:zed")
        await until(pilot, lambda: "1 of 2" in text(pilot))
        await pilot.press("a", "n")
        await until(pilot, lambda: "create a key of zed" in text(pilot))
        assert asks not in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "create a key" not in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "all of the tenant" in text(pilot))
        await pilot.press("a", "h")
        await until(pilot, lambda: "register a key of zed" in text(pilot))
        assert asks not in text(pilot)
        await pilot.press("escape")
        await command(pilot, "keys tenant:acme,zed")
        await until(pilot, lambda: "wf_live_1" in text(pilot) and "wf_live_2" in text(pilot))
        await pilot.press("space", "space")
        await until(pilot, lambda: "2 marked" in text(pilot))
        await pilot.press("a", "n")  # of two tenants: whose it is has to be said
        await until(pilot, lambda: asks in text(pilot) and "create a key" in text(pilot))
        await pilot.press("escape")
        await command(pilot, "keys.create acme")
        await until(pilot, lambda: "create a key of acme" in text(pilot))


async def test_a_new_project_is_for_the_tenant_of_the_row(database: Database) -> None:
    make_tenants(database.owner, "acme")
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web')")
    async with console(database) as (_, pilot):
        await command(pilot, "projects")
        await until(pilot, lambda: "web" in text(pilot))
        await pilot.press("a", "n")
        await until(pilot, lambda: "Create a project for a tenant" in text(pilot))
        assert "tenant id" not in text(pilot)


async def test_a_viewer_is_told_what_it_takes_and_an_ended_grace_is_over(database: Database) -> None:
    make_tenants(database.owner, "acme")
    make_keys(database.owner, 1)
    with psycopg.connect(database.owner) as connection:
        connection.execute("ALTER TABLE wf.api_keys DISABLE TRIGGER guard")
        connection.execute(
            "UPDATE wf.api_keys SET rotated_at = now() - interval '3 days', grace_until = now() - interval '2 days',"
            " label = repeat('株', 200)"
        )
    async with console(database, role="viewer", size=(80, 15)) as (_, pilot):
        await command(pilot, "keys")
        await pilot.press("a")
        await until(pilot, lambda: "Nothing can be done here as viewer: it takes operator" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "◌ expired" in text(pilot) and "was good until" in text(pilot))
        assert "tenant     acme" in text(pilot)  # the label left room
        await pilot.press("w")
        await until(pilot, lambda: text(pilot).count("it takes operator or more") == 1)


async def test_rotations_show_who_still_uses_the_old_key(database: Database) -> None:
    make_tenants(database.owner, "acme")
    [key] = make_keys(database.owner, 1)
    with psycopg.connect(database.owner) as connection:
        connection.execute("ALTER TABLE wf.api_keys DISABLE TRIGGER guard")
        connection.execute(
            "UPDATE wf.api_keys SET rotated_at = now() - interval '2 hours', grace_until = now() + interval '1 hour'"
        )
        connection.execute("ALTER TABLE wf.api_keys ENABLE TRIGGER guard")
    make_calls(database.owner, key, 4)
    async with console(database) as (_, pilot):
        await command(pilot, "rotations")
        await until(pilot, lambda: "! old in use" in text(pilot))
        row = next(line for line in shown(pilot) if "wf_live_1" in line)
        assert row.split()[2:4] == ["4", "0"] and "59m" in row
        await pilot.press("w")
        await until(pilot, lambda: "from 192.0.2.7" in text(pilot) and "half of the grace" in text(pilot))


async def test_stale_keys_and_exact_counts(database: Database) -> None:
    make_tenants(database.owner, "old", age="90 days")
    make_keys(database.owner, 3, "old", age="31 days")
    make_keys(database.owner, 1, "old", age="22 days", first=9)
    async with console(database) as (_, pilot):
        await command(pilot, "stale")
        await until(pilot, lambda: "3 stale, 1 soon of 4; 1 of 1 tenants rotated none" in text(pilot))
        assert text(pilot).count("✕ stale") == 3 and text(pilot).count("◐ soon") == 1
        await pilot.press("w")
        await until(pilot, lambda: "stale from 30d on" in text(pilot))


async def test_verify_asks_unseen_and_checks_before_it_asks_the_home(database: Database) -> None:
    make_tenants(database.owner, "acme")
    value = secret.make("wf", "test")
    asked(
        database.owner,
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash) VALUES (%s, 'acme', 'test', %s, %s)",
        *("key_" + "0" * 26, secret.display(value), secret.digest(value)),
    )
    async with console(database, role="viewer") as (app, pilot):
        await command(pilot, "verify")
        await until(pilot, lambda: "paste the key" in text(pilot))
        app.screen.query_one(Input).value = value[:-1]
        await pilot.press("enter")
        await until(pilot, lambda: "checksum is wrong" in text(pilot))
        app.screen.query_one(Input).value = ""
        app.screen.query_one(Input).post_message(Paste(f'\n"{value}"\n'))
        await until(pilot, lambda: value in app.screen.query_one(Input).value)
        assert value[8:20] not in text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "a test key: active" in text(pilot) and "acme (active)" in text(pilot))
        await pilot.press("escape")
        await command(pilot, f"verify {value}")
        await until(pilot, lambda: "never a part of a command" in text(pilot))
        assert value not in text(pilot)


async def test_many_are_rotated_into_a_file_that_is_asked_for(database: Database, tmp_path: Path) -> None:
    make_tenants(database.owner, "acme")
    make_keys(database.owner, 2)
    path = tmp_path / "secrets"
    async with console(database) as (app, pilot):
        await command(pilot, "keys tenant:acme")
        await until(pilot, lambda: "wf_live_2" in text(pilot))
        await pilot.press("asterisk")
        await until(pilot, lambda: "2 marked" in text(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "rotate" in text(pilot))
        await pilot.press("r")
        await until(pilot, lambda: "how long the old key" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "a new file for the secrets" in text(pilot))
        app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "Type 2" in text(pilot))
        words = " ".join(text(pilot).replace("│", " ").split())
        assert "keys rotate key_00000000000000000000000001 key_00000000000000000000000002 --grace 24h" in words
        assert "--secrets-to" in words
        await pilot.pause(0.35)
        await type_in(pilot, "2")
        await pilot.press("enter")
        await until(pilot, lambda: path.exists() and len(path.read_text().splitlines()) == 2)
        await quiet(pilot)
        await until(pilot, lambda: "rotating" in text(pilot))
        assert not WHOLE.search(text(pilot)) and path.stat().st_mode & 0o777 == 0o600
