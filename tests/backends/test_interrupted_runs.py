"""A run whose program is gone is called interrupted, and is resumed, undone, or carried on by a worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psycopg
import pytest

from app.carrier import Carrier
from backends.postgres.home import Home
from controlplane.errors import Refusal
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.runs.engine import drive, follow, start_run, undo_run
from controlplane.runs.left import left_runs
from controlplane.runs.list import RUNS
from controlplane.runs.model import Run, RunDirectory
from controlplane.runs.operations import RunStart
from tests.backends.keys import make_keys
from tests.backends.runs import abandoned, make_tenants, opened, suspending, until_over
from tests.controlplane.runs import Ticks
from tests.postgres import Database


@pytest.fixture
async def home(database: Database):
    make_tenants(database.owner, 6)
    async with opened(database.login("operator")) as home:
        yield home


async def interrupted(database: Database, home: Home, after: int = 3) -> Run:
    """A run whose driver was killed after some items; its heartbeat is over."""
    run = await start_run(home, suspending(per_second=10), "unpaid")

    class Killed(BaseException):
        pass

    def die(run: Run) -> None:
        if run.settled == after:
            raise Killed

    with suppress(Killed):
        await drive(home, run.id, clock=Ticks(), on_progress=die)
    await home.of(RunDirectory).hold(run.id, "a killed program, which released nothing")
    abandoned(database.owner)
    return await home.of(RunDirectory).get(run.id)


async def test_a_run_waits_runs_and_is_interrupted_by_these_names(database: Database, home: Home) -> None:
    run = await start_run(home, suspending(), "unpaid")
    assert (run.state, run.standing) == ("running", "waiting")
    held = await home.of(RunDirectory).hold(run.id, "somebody")
    assert held.standing == "running"
    abandoned(database.owner)
    assert (await home.of(RunDirectory).get(run.id)).standing == "interrupted"
    page = await home.of(RunDirectory).page(Query(parse("state:interrupted", RUNS.fields)), limit=9)
    assert [row.id for row in page.rows] == [run.id] == [row.id for row in await left_runs(home)]
    async with opened(database.login("admin")) as other:
        assert await left_runs(other) == []
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.standing, run.done) == ("done", "done", 6)


async def test_an_interrupted_run_is_undone_as_it_is(database: Database, home: Home) -> None:
    run = await interrupted(database, home)
    assert (run.standing, run.done, run.waiting) == ("interrupted", 3, 3)
    undone = await drive(home, (await undo_run(home, run.id)).id, clock=Ticks())
    assert (undone.state, undone.done) == ("done", 3)
    run = await home.of(RunDirectory).get(run.id)
    assert (run.state, run.skipped) == ("stopped", 3)
    with psycopg.connect(database.owner) as owner:
        assert owner.execute("SELECT count(*) FROM wf.tenants WHERE status = 'suspended'").fetchone() == (0,)


async def test_one_that_is_driven_is_not_undone(database: Database, home: Home) -> None:
    run = await start_run(home, suspending(), "unpaid")
    await home.of(RunDirectory).hold(run.id, "somebody")
    with pytest.raises(Refusal) as refused:
        await undo_run(home, run.id)
    assert refused.value.code == "run_running"


async def test_a_worker_carries_on_what_was_interrupted_and_leaves_the_rest(database: Database, home: Home) -> None:
    run = await interrupted(database, home)
    make_keys(database.owner, 1, "t001")
    rotates = RunStart.model_validate({"operation": "keys.rotate", "filter": "tenant:t001"})
    rotation = await start_run(home, rotates, None, keep=lambda secrets: None)
    async with opened(database.login("admin")) as other:
        of_another = await start_run(other, suspending(["t006"]), "unpaid")
    said: list[str] = []
    carrying = asyncio.create_task(Carrier(database.login("operator"), said.append).run())
    try:
        while (await home.of(RunDirectory).get(run.id)).state != "done":
            assert not carrying.done()
            await asyncio.sleep(0.05)
        later = await start_run(home, suspending(["default"], breaker_share=1.0), "unpaid")
        while (await home.of(RunDirectory).get(later.id)).waiting:
            assert not carrying.done()
            await asyncio.sleep(0.05)
        ended = await follow(home, later.id, on_progress=lambda run: None)
        rotated = await until_over(home, rotation)
    finally:
        carrying.cancel()
        await asyncio.wait([carrying])
    assert (await home.of(RunDirectory).get(run.id)).done == 6 and (ended.state, ended.refused) == ("done", 1)
    assert (rotated.done, rotated.refused) == (1, 0)
    # Nobody's login is lent to others.
    assert (await home.of(RunDirectory).get(of_another.id)).standing == "waiting"
    assert any(f"run {run.id} (tenants.suspend): done, 6 done, 0 refused" in words for words in said)
