"""Drives a run with programs that are killed, one after another. Arguments: the owner, LOGIN,LOGIN, run, kills, seed.

Everything is imported once; then each driver is a fork, which needs some milliseconds. A fork is killed a moment after
it began its n-th statement, so before, while or after the home does it; n and the moment come from the seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
import warnings

import psycopg

from backends.postgres.refusals import words
from backends.postgres.stores import readers
from controlplane.registry import operations
from controlplane.runs import rules
from controlplane.runs.engine import drive
from tests.backends.runs import abandoned, opened, sessions, until_gone

STATES = """
SELECT DISTINCT l.state || ' ' || j.state || ' ' || i.state
FROM wf.run_items i JOIN wf.dead_letters l ON l.id = i.thing::bigint JOIN wf.jobs j ON j.id = l.source_id::bigint
"""
WHOLE = {"dead dead waiting", "replayed waiting done"}


async def _drive(login: str, run: int, statement: int, delay: float) -> None:
    begun, execute = 0, psycopg.AsyncConnection.execute

    async def counted(self: psycopg.AsyncConnection, *args: object, **more: object) -> object:
        nonlocal begun
        begun += 1
        if begun == statement:
            threading.Timer(delay, os.kill, [os.getpid(), signal.SIGKILL]).start()
        return await execute(self, *args, **more)  # type: ignore[arg-type]

    async with opened(login) as home:
        psycopg.AsyncConnection.execute = counted  # type: ignore[assignment, method-assign]
        await drive(home, run)


def main(owner: str, logins: list[str], run: int, kills: int, seed: int) -> None:
    """Exits with an error when a message is anything but wholly dead or wholly alive after a kill."""
    operations(), words(), readers()  # what each fork would import by itself
    chance, died = random.Random(seed), 0
    with psycopg.connect(owner, autocommit=True) as connection:
        others = sessions(connection)
        while died < kills:
            login, statement, delay = chance.choice(logins), chance.randint(2, 24), chance.random() * 0.01
            rules.MAX_BATCH = chance.choice((1, 5, 9))  # small, so that every driver is killed among several
            if (child := os.fork()) == 0:
                asyncio.run(_drive(login, run, statement, delay))
                os._exit(0)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert ended == -signal.SIGKILL, f"after {died} kills a driver ended with {ended}"
            died += 1
            until_gone(owner, others)
            states = {state for (state,) in connection.execute(STATES)}
            assert states <= WHOLE, states
            abandoned(owner)


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads: there are none but the one that kills
    main(sys.argv[1], sys.argv[2].split(","), *map(int, sys.argv[3:6]))
