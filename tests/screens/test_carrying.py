"""How the console carries out: what it shows is what runs, and its words make way for the keys."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from textual.widgets import Input

from controlplane.runs.model import Run
from screens.bulk import progress_words
from screens.desk import Done
from screens.dialogs.form import ReasonForm
from tests.controlplane.runs import a_run
from tests.postgres import Database
from tests.screens.console import command, confirm, console, quiet, shown, text, type_in, until


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) SELECT 't' || i, 'Tenant ' || i FROM generate_series(1, 12) i")
    return database


def sql(database: Database, statement: str) -> list[tuple]:
    with psycopg.connect(database.owner) as owner:
        cursor = owner.execute(statement)
        return cursor.fetchall() if cursor.description else []


async def ask_to_suspend(pilot, *, by_key: bool) -> None:
    if by_key:
        await command(pilot, "tenants id:t1")
        await until(pilot, lambda: "Tenant 1" in text(pilot) and "Tenant 2" not in text(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "Suspend a tenant" in text(pilot))
        await pilot.press("s")
    else:
        await command(pilot, "tenants.suspend t1")
    await until(pilot, lambda: "kept in the audit trail" in text(pilot))
    await type_in(pilot, "unpaid")


async def suspend(pilot, *, by_key: bool = False) -> None:
    await ask_to_suspend(pilot, by_key=by_key)
    await pilot.press("enter")
    await until(pilot, lambda: "Do it?" in text(pilot))


@pytest.mark.parametrize("by_key", [False, True])
async def test_what_another_changed_before_the_y_is_refused(estate: Database, by_key: bool) -> None:
    async with console(estate) as (_, pilot):
        await suspend(pilot, by_key=by_key)
        sql(estate, "UPDATE wf.tenants SET name = 'Of another' WHERE id = 't1'")
        await confirm(pilot)
        await until(pilot, lambda: "somebody changed it since you looked" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "[stale_version]" in text(pilot))
    assert sql(estate, "SELECT status FROM wf.tenants WHERE id = 't1'") == [("active",)]


async def test_a_key_that_answers_a_refusal_waits_for_no_reading(estate: Database, monkeypatch) -> None:
    async with console(estate) as (app, pilot):
        await ask_to_suspend(pilot, by_key=True)
        read = asyncio.Event()
        monkeypatch.setattr(app.area, "read_again", read.wait)
        sql(estate, "UPDATE wf.tenants SET name = 'Of another' WHERE id = 't1'")
        await pilot.press("enter")
        await until(pilot, lambda: "somebody changed it since you looked" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "[stale_version]" in text(pilot))
        read.set()


async def test_u_asks_why_in_a_field_and_takes_nothing_typed_as_keys(
    estate: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.dialogs.confirm.DEAD_SECONDS", 600)  # however slowly the machine types
    async with console(estate) as (app, pilot):
        await suspend(pilot)
        await confirm(pilot)
        await until(pilot, lambda: "u: undo" in text(pilot))
        await pilot.press("u")
        await type_in(pilot, "yes y quit a s")  # before the form is there
        await until(pilot, lambda: isinstance(app.screen, ReasonForm))
        await until(pilot, lambda: app.screen.query_one(Input).value == "yes y quit a s")
        await pilot.press("enter")
        await type_in(pilot, "yy")
        await until(pilot, lambda: "suspended → active" in text(pilot))
        assert sql(estate, "SELECT status FROM wf.tenants WHERE id = 't1'") == [("suspended",)]
        sql(estate, "UPDATE wf.tenants SET name = 'Of another' WHERE id = 't1'")
        await confirm(pilot)
        await until(pilot, lambda: "somebody changed it since you looked" in text(pilot))


async def test_left_empty_the_reason_of_an_undo_is_the_one_that_is_offered(estate: Database) -> None:
    async with console(estate) as (_, pilot):
        await suspend(pilot)
        await confirm(pilot)
        await until(pilot, lambda: "u: undo" in text(pilot))
        await pilot.press("u")
        await until(pilot, lambda: "undo of tenants.suspend (audit" in text(pilot))
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: "resume t1 · audit" in text(pilot))  # not while it is pending
    [(reason,)] = sql(estate, "SELECT reason FROM wf.changes WHERE operation = 'tenants.resume'")
    assert reason.startswith("undo of tenants.suspend (audit")


async def test_the_menu_asks_the_row_that_is_marked_and_not_the_one_under_the_cursor(estate: Database) -> None:
    sql(
        estate,
        "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'unpaid'"
        " WHERE id = 't11'",
    )
    async with console(estate) as (_, pilot):
        await command(pilot, "tenants -id:t2 tenant 1")
        await until(pilot, lambda: "Tenant 12" in text(pilot) and "Tenant 2" not in text(pilot))
        await pilot.press("j", "j", "space", "k", "k")  # ordered by name: 1, 10, 11, 12
        await until(pilot, lambda: "1 marked" in text(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "t11 is suspended already" in text(pilot))
        assert any(line.split()[1:3] == ["u", "resume"] for line in text(pilot).splitlines())


async def test_more_than_ten_at_once_ask_for_their_number(estate: Database) -> None:
    async with console(estate) as (_, pilot):
        await command(pilot, "tenants tenant")
        await until(pilot, lambda: "Tenant 12" in text(pilot))
        await pilot.press("asterisk")
        await until(pilot, lambda: "12 marked" in text(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "Suspend a tenant" in text(pilot))
        await pilot.press("s")
        await until(pilot, lambda: "kept in the audit trail" in text(pilot))
        await type_in(pilot, "unpaid")
        await pilot.press("enter")
        await until(pilot, lambda: "Type 12" in text(pilot))
        await confirm(pilot, "12")
        await until(pilot, lambda: sql(estate, "SELECT count(*) FROM wf.tenants WHERE status = 'suspended'") == [(12,)])
        await quiet(pilot)
        assert "left" not in shown(pilot)[-1]


async def test_words_on_the_last_line_make_way_for_the_keys(estate: Database) -> None:
    async with console(estate) as (app, pilot):
        area = app.area
        assert area is not None
        now = 100.0
        app.session.ticks = lambda: now
        area.say(Done("as the test says"))
        await until(pilot, lambda: "as the test says" in shown(pilot)[-1])
        now = 105.9
        app._tick()
        await pilot.pause()
        assert "as the test says" in shown(pilot)[-1]
        now = 106.0
        app._tick()
        await until(pilot, lambda: "a act" in shown(pilot)[-1])
        area.say(Done("again"))
        await until(pilot, lambda: "again" in shown(pilot)[-1])
        await pilot.press("j")
        await until(pilot, lambda: "a act" in shown(pilot)[-1])
        await pilot.press("w")
        await until(pilot, lambda: "last message" in text(pilot) and "again" in text(pilot))
        await pilot.press("escape")
        # What is revealed keeps its minute, and is nowhere after it.
        area.say(Done("reveal: ada@lovelace.example", seconds=60))
        await pilot.press("j")
        await until(pilot, lambda: "ada@" in shown(pilot)[-1])
        now = 166.0
        app._tick()
        await until(pilot, lambda: "a act" in shown(pilot)[-1])
        await pilot.press("w")
        await quiet(pilot)
        assert "ada@" not in text(pilot)


async def test_what_still_holds_stays_on_the_last_line(estate: Database) -> None:
    async with console(estate) as (_, pilot):
        await pilot.press("p", "j")
        await until(pilot, lambda: "paused: press p to continue" in shown(pilot)[-1])
        await pilot.press("p")
        await until(pilot, lambda: "a act" in shown(pilot)[-1])


@pytest.mark.parametrize(("state", "left"), [("running", True), ("paused", False), ("stopped", False), ("done", False)])
def test_only_a_run_that_runs_has_a_time_left(state: str, left: bool) -> None:
    import dataclasses

    run: Run = dataclasses.replace(a_run(state), done=1)
    words = progress_words(run, 10.0)
    assert ("left" in words) is left and ("/s" in words) is left
