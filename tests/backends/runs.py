"""Homes with tenants to do things to in bulk; and, run as a program, a driver that kills itself at a chosen point."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

import psycopg

from app.carrier import Carrier
from backends.postgres.change import OpenChange
from backends.postgres.home import Home
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.runs.engine import drive
from controlplane.runs.list import ITEMS
from controlplane.runs.model import Run, RunDirectory, RunItem
from controlplane.runs.operations import RunStart
from tests.backends.notices import sealing
from tests.controlplane.runs import Ticks
from tests.postgres import Database

SESSIONS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'watchfloor %'
"""


@asynccontextmanager
async def opened(conninfo: str) -> AsyncIterator[Home]:
    """With a key for secrets."""
    home = Home(conninfo)
    home.sealing = sealing()
    await home.open()
    try:
        yield home
    finally:
        await home.close()


def make_tenants(owner: str, count: int) -> list[str]:
    """t001, t002 …, all active."""
    with psycopg.connect(owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name, plan) SELECT 't' || lpad(i::text, 3, '0'), 'Tenant ' || i, 'growth'"
            " FROM generate_series(1, %s) i",
            [count],
        )
    return [f"t{i:03}" for i in range(1, count + 1)]


def suspending(tenants: list[str] | None = None, **more: object) -> RunStart:
    """A request to suspend these, or all that make_tenants made; as fast as it goes."""
    named = {"filter": "plan:growth"} if tenants is None else {"subjects": [{"id": name} for name in tenants]}
    return RunStart.model_validate({"operation": "tenants.suspend", "per_second": 1000, **named, **more})


async def items(home: Home, run: Run, text: str = "") -> tuple[RunItem, ...]:
    return (await home.of(RunDirectory).items(run.id).page(Query(parse(text, ITEMS.fields)), limit=1000)).rows


@asynccontextmanager
async def carrying(database: Database, said: Callable[[str], None] = lambda words: None) -> AsyncIterator[None]:
    """A worker with its own login, which carries runs."""
    task = asyncio.create_task(Carrier(database.login("worker"), said).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until_over(home: Home, run: Run) -> Run:
    deadline = time.monotonic() + 60
    while (found := await home.of(RunDirectory).get(run.id)).state == "running":
        assert time.monotonic() < deadline, "it never ended"
        await asyncio.sleep(0.05)
    return found


def abandoned(owner: str) -> None:
    """As if the seconds were over after which another program may take a run over."""
    with psycopg.connect(owner) as connection:
        connection.execute("UPDATE wf.run_progress SET held_until = now() - interval '1 second'")


def sessions(connection: psycopg.Connection) -> set[int]:
    """Those of our programs, this one included."""
    return {pid for (pid,) in connection.execute(SESSIONS).fetchall()}


def until_gone(owner: str, others: Collection[int] = ()) -> None:
    """Until the sessions of a killed program have ended: what it sent last still happens, and may hold a run again.
    `others`: sessions that go on.
    """
    deadline = time.monotonic() + 60
    with psycopg.connect(owner, autocommit=True) as connection:
        while not sessions(connection) <= {*others}:
            assert time.monotonic() < deadline, "a session never ended"
            time.sleep(0.01)


async def die_while_driving(conninfo: str, run_id: int, point: str, at: int) -> None:
    """Killed at the `at`-th item: before its change is committed, after that, or once that is known."""
    reached = 0

    def passing(here: str) -> None:
        nonlocal reached
        reached += here == point
        if here == point and reached == at:
            os.kill(os.getpid(), signal.SIGKILL)

    finish, commit = OpenChange.finish, Home._commit

    async def watched_finish(change: OpenChange, result: dict[str, object]) -> None:
        await finish(change, result)
        passing("before commit")

    async def watched_commit(home: Home, connection: object, intent: object) -> None:
        await commit(home, connection, intent)
        passing("after commit")

    OpenChange.finish, Home._commit = watched_finish, watched_commit
    async with opened(conninfo) as home:
        await drive(home, run_id, clock=Ticks(), on_progress=lambda run: passing("known"))


if __name__ == "__main__":
    asyncio.run(die_while_driving(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
