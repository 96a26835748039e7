"""Leaving in the middle of a run: it is said what ends, what goes on, and how it is gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from app.carrier import Carrier
from controlplane.runs.engine import start_run
from controlplane.runs.model import Run, RunDirectory
from controlplane.runs.operations import RunStart
from screens.dialogs.confirm import Confirm
from screens.work import Work
from tests.backends.keys import make_keys
from tests.backends.runs import make_tenants, opened, suspending
from tests.postgres import Database
from tests.screens.console import command, confirm, console, text, type_in, until

SLOW = 0.01
"""Items a second: the second waits for longer than any test."""


@pytest.fixture
def estate(database: Database) -> Database:
    make_tenants(database.owner, 12)
    return database


async def started(database: Database, per_second: float = SLOW) -> Run:
    async with opened(database.login("admin")) as home:
        return await start_run(home, suspending(per_second=per_second), "unpaid")


async def seen(database: Database, run: Run) -> Run:
    async with opened(database.login("admin")) as home:
        return await home.of(RunDirectory).get(run.id)


async def ended(database: Database, run: Run, driver: str) -> Run:
    """How it ended; until then this login drove it, for the person who started it."""
    async with asyncio.timeout(60):
        while (now := await seen(database, run)).standing == "running":
            assert (now.driver, now.actor) == (driver, "t_admin")
            await asyncio.sleep(0.05)
    return now


@asynccontextmanager
async def worker(database: Database, login: str = "admin") -> AsyncIterator[None]:
    """It lives, and carries: that of an embedded home the runs of the home's own login."""
    with psycopg.connect(database.owner) as owner:
        owner.execute(
            "INSERT INTO wf.workers (name, host, pid, version, kinds, lease_until)"
            " VALUES ('w', 'here', 1, '1', '{}', now() + interval '1 minute')"
        )
    carrying = asyncio.create_task(Carrier(database.login(login)).run())
    try:
        yield
    finally:
        carrying.cancel()
        await asyncio.wait([carrying])


async def test_q_says_that_a_run_ends_with_the_console_and_asks(
    estate: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    run = await started(estate)
    async with console(estate) as (app, pilot):
        app.drive_run(run.id)
        await until(pilot, lambda: app.driven.get(run.id) and app.driven[run.id].done == 1)
        app.run_command("q")
        await until(pilot, lambda: "is interrupted at 1 of 12" in text(pilot) and "Do it?" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert app.is_running and (await seen(estate, run)).standing == "running"
        app.run_command("q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        app.session.works.append(Work("import access.log"))
        await confirm(pilot)
        await until(pilot, lambda: app._exit)
    words = capfd.readouterr().err
    assert f"watchfloor runs resume {run.id} continues it, watchfloor runs undo {run.id} takes it back" in words
    assert "import access.log stops" in words
    assert (await seen(estate, run)).standing == "interrupted"


async def test_no_way_back_is_promised_where_there_is_none(estate: Database, capfd: pytest.CaptureFixture[str]) -> None:
    make_keys(estate.owner, 2, "t001")
    async with opened(estate.login("admin")) as home:
        request = RunStart.model_validate({"operation": "keys.rotate", "filter": "tenant:t001", "per_second": SLOW})
        run = await start_run(home, request, None, keep=lambda secrets: None)
    async with console(estate, link="test/runs", size=(120, 30)) as (app, pilot):
        app.drive_run(run.id)
        await until(pilot, lambda: app.driven.get(run.id) and app.driven[run.id].done == 1)
        app.exit()
    words = capfd.readouterr().err
    assert f"watchfloor runs resume {run.id} continues it" in words and "takes it back" not in words
    async with console(estate, link="test/runs", size=(120, 30)) as (_, pilot):
        await until(pilot, lambda: "◌ interrupted" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "press a, then r, to resume it" in " ".join(text(pilot).split()))
        assert "to undo it" not in " ".join(text(pilot).split())


async def test_whoever_comes_back_is_told_and_undoes_it_by_a_key(estate: Database) -> None:
    run = await started(estate)
    async with console(estate) as (app, pilot):
        app.drive_run(run.id)
        await until(pilot, lambda: app.driven.get(run.id) and app.driven[run.id].done == 1)
        app.exit()  # as a hang-up ends it
    async with console(estate, link="test/runs", size=(120, 30)) as (app, pilot):
        await until(pilot, lambda: f"run {run.id} (tenants.suspend) was interrupted at 1 of 12" in text(pilot))
        await until(pilot, lambda: "◌ interrupted" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "press a, then r, to resume it" in " ".join(text(pilot).split()))
        await pilot.press("escape", "a")
        await until(pilot, lambda: "Undo a run" in text(pilot) and "Resume a paused run" in text(pilot))
        await pilot.press("u")
        await type_in(pilot, "not today")
        await pilot.press("enter")
        await until(pilot, lambda: "1 things, 0 would be refused" in text(pilot))
        await confirm(pilot)
        await until(pilot, lambda: "● done" in text(pilot) and "■ stopped" in text(pilot))
    with psycopg.connect(estate.owner) as owner:
        assert owner.execute("SELECT count(*) FROM wf.tenants WHERE status = 'suspended'").fetchone() == (0,)
        assert owner.execute("SELECT reason FROM wf.runs WHERE undoes = %s", [run.id]).fetchone() == ("not today",)


async def test_a_run_that_the_worker_carries_outlives_the_console(
    estate: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    run = await started(estate, per_second=5)
    async with worker(estate):
        async with console(estate, embedded=True) as (app, pilot):
            app.drive_run(run.id)
            await until(pilot, lambda: "by the worker" in text(pilot))
            assert not app.driven
            app.run_command("q")
            await until(pilot, lambda: app._exit)
        assert "continues: the worker carries it" in capfd.readouterr().err
        assert (await ended(estate, run, driver="t_admin")).done == 12


async def test_it_does_with_a_home_by_url_as_well(estate: Database, capfd: pytest.CaptureFixture[str]) -> None:
    run = await started(estate, per_second=5)
    async with worker(estate, "worker"):
        async with console(estate) as (app, pilot):
            app.drive_run(run.id)
            await until(pilot, lambda: "by the worker" in text(pilot))
            assert not app.driven
            app.run_command("q")
            await until(pilot, lambda: app._exit)
        assert "continues: the worker carries it" in capfd.readouterr().err
        assert (await ended(estate, run, driver="t_worker")).done == 12


async def test_without_a_worker_that_takes_it_the_console_carries_it(estate: Database) -> None:
    run = await started(estate, per_second=1000)
    async with console(estate, embedded=True) as (app, pilot):
        app.drive_run(run.id)
        await until(pilot, lambda: "12 of 12" in text(pilot) and "done" in text(pilot))


async def test_u_after_a_pause_drives_the_run_on_whatever_screen_is_shown(estate: Database) -> None:
    run = await started(estate)
    async with console(estate) as (app, pilot):
        app.drive_run(run.id)
        await until(pilot, lambda: app.driven.get(run.id) and app.driven[run.id].done == 1)
        await command(pilot, f"runs.pause {run.id}")
        await until(pilot, lambda: not app.driven and app.session.undo)
        assert (await seen(estate, run)).state == "paused"
        await pilot.press("u")
        await until(pilot, lambda: run.id in app.driven)
        assert (await seen(estate, run)).standing == "running"
