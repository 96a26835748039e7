"""Applying the nouns' SQL files again while people write and read: how long anybody waits."""

from __future__ import annotations

import threading
import time

import psycopg

from backends.postgres.migrate import migrate
from benchmarks.estate import Estate
from benchmarks.figures import Figure, middle

WRITERS = 4
ROUNDS, ROUNDS_SMALL = 10, 1
MOST_MS = 1000.0
WRITE = "UPDATE wf.tenants SET name = 'T' || %s WHERE id = %s"
READ = "SELECT count(*) FROM (SELECT FROM wf.tenant_list LIMIT 100) page"


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(1000)
    over = threading.Event()
    waits: list[float] = []
    names = [f"tenant-{n + 1:07}" for n in range(WRITERS)]
    threads = [threading.Thread(target=_work, args=(estate.owner, name, over, waits)) for name in (*names, None)]
    for thread in threads:
        thread.start()
    took, longest = [], []
    for _ in range(ROUNDS_SMALL if small else ROUNDS):
        time.sleep(0.5)
        with psycopg.connect(estate.owner, autocommit=True) as owner:
            owner.execute("DELETE FROM wf.sql_applied")
        waits.clear()
        began = time.perf_counter()
        migrate(estate.owner)
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.2)
        longest.append(max(waits) * 1000)
    over.set()
    for thread in threads:
        thread.join()
    ours, spread = middle(longest)
    applied, between = middle(took)
    return [
        Figure("longest wait of 4 writers and a reader while functions are put in anew", ours, "ms", None, "",
               "≤ 1 s", spread[1] <= MOST_MS, spread),
        Figure("until they are in, with its tries for the locks", applied, "ms", spread=between),
    ]  # fmt: skip


def _work(conninfo: str, tenant: str | None, over: threading.Event, waits: list[float]) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        turn = 0
        while not over.is_set():
            turn += 1
            began = time.perf_counter()
            if tenant is None:
                connection.execute(READ)
            else:
                connection.execute(WRITE, [turn, tenant])
            waits.append(time.perf_counter() - began)
