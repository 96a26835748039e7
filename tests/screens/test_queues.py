"""Dead letters in the console, by keys: a cause is replayed as a run, a filter stays, a message is edited."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from screens.detail import DetailScreen
from screens.dialogs.form import RequestForm
from tests.backends.letters import die
from tests.postgres import Database
from tests.screens.console import confirm, console, quiet, text, type_in, until


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connection


async def test_a_cause_is_replayed_by_six_keys(database: Database, owner: psycopg.Connection) -> None:
    """From the first screen to its running canary: 5, a, r, and the number with enter."""
    die(owner, 12)
    die(owner, kind="report", error="out of memory")
    async with console(database, role="operator") as (_, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "no answer from" in text(pilot) and "jobs 13, oldest" in text(pilot))
        assert "13 dead" in text(pilot).splitlines()[0]
        await pilot.press("a", "r")
        await until(pilot, lambda: "12 things" in text(pilot) and "--filter" in text(pilot))
        await confirm(pilot, "12")
        await until(pilot, lambda: "12 of 12 · done" in text(pilot), 60)
    assert owner.execute("SELECT kind, state, count(*) FROM wf.jobs GROUP BY 1, 2 ORDER BY 1").fetchall() == [
        ("deliver", "waiting", 12),
        ("report", "dead", 1),
    ]


async def test_the_filter_stays_after_a_discard(database: Database, owner: psycopg.Connection) -> None:
    """mission_control-jobs#161."""
    die(owner, 2)
    die(owner, kind="report", error="out of memory")
    async with console(database, role="operator", link="test/letters?handler:deliver state:dead") as (app, pilot):
        await until(pilot, lambda: "2 of 3" in text(pilot))
        await pilot.press("a", "x")
        await until(pilot, lambda: isinstance(app.screen, RequestForm))
        await type_in(pilot, "obsolete")
        await pilot.press("enter")
        await confirm(pilot, "letter 2")
        await until(pilot, lambda: "1 of 3" in text(pilot))
        assert app.screen.filter_text == "handler:deliver state:dead" and "report" not in text(pilot)


async def test_a_message_shows_what_it_says_and_is_edited(database: Database, owner: psycopg.Connection) -> None:
    die(owner, payload={"id": 9007199254740993, "to": "a@acme.example"})
    async with console(database, role="operator", link="test/letters/1") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, DetailScreen) and "deliver" in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: '"id": 9007199254740993' in text(pilot) and "a@acme.example" in text(pilot))
        await pilot.press("a", "e")
        await until(pilot, lambda: isinstance(app.screen, RequestForm))
        await pilot.press(*'{"id":9007199254740995}', "enter")
        await confirm(pilot)
        await until(pilot, lambda: "in its replay" in text(pilot))
        assert "9007199254740993" in text(pilot)  # the original stays beside it
    assert owner.execute("SELECT edited::text FROM wf.dead_letters").fetchone() == ('{"id": 9007199254740995}',)


async def test_who_may_not_read_messages_sees_that(database: Database, owner: psycopg.Connection) -> None:
    die(owner, error="no mail for ana@acme.example", payload={"to": "ana@acme.example"})
    async with console(database, role="support", link="test/letters/1") as (_, pilot):
        await until(pilot, lambda: "a•••@acme.example" in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: "Only operators" in text(pilot))
        await quiet(pilot)
        assert "ana@" not in text(pilot)
