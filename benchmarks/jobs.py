"""Jobs per second against pgqueuer, how soon a killed worker's jobs continue, and what a flood does to quiet tenants.

Both sides do nothing with each job, take 100 at once, and begin when all their workers are up. Run as a program, this
file is one of those workers: `python -m benchmarks.jobs ours|peer`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median, quantiles
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.estate import CHECKOUT, Estate
from benchmarks.figures import Figure

JOBS, JOBS_SMALL = 40_000, 1_000
FLOOD, FLOOD_SMALL = 100_000, 2_000
QUIET = 200
ROUNDS, KILLS = 3, 3
BATCH = 100
AIM = 2.0
PEER = "pgqueuer"


def run(estate: Estate, small: bool) -> list[Figure]:
    ours = make_conninfo(estate.owner, options="-c role=wf_worker")
    peer = _peer(estate) if importlib.util.find_spec(PEER) else None
    if peer is None:
        print("jobs: pgqueuer is not installed (pip install -e '.[bench]'): no comparison", file=sys.stderr)
    figures = []
    for number in (1, 4):
        speeds: dict[str, list[float]] = {"ours": [], "peer": [], "peer as it comes": []}
        for _ in range(1 if small else ROUNDS):  # in turns, so that all are measured under the same load
            speeds["ours"].append(_speed("ours", estate.owner, ours, number, JOBS_SMALL if small else JOBS))
            if peer is not None:
                for side, part in (("peer", 2), ("peer as it comes", 8)):
                    speeds[side].append(_speed(side, peer, peer, number, JOBS_SMALL if small else JOBS // part))
        figures += _faster(f"jobs that do nothing, {number} worker{'s' if number > 1 else ''}", speeds)
    figures += _fairness(estate.owner, ours, FLOOD_SMALL if small else FLOOD)
    return figures if small else figures + _takeover(estate.owner, ours)


def _faster(claim: str, speeds: dict[str, list[float]]) -> list[Figure]:
    mine, spread = median(speeds["ours"]), (min(speeds["ours"]), max(speeds["ours"]))
    if not speeds["peer"]:
        return [Figure(claim, mine, "jobs/s", spread=spread)]
    theirs, default = median(speeds["peer"]), median(speeds["peer as it comes"])
    return [
        Figure(
            claim, mine, "jobs/s", theirs, f"{PEER}, {BATCH} at once", f"≥ {AIM:.0f} ×", mine >= AIM * theirs, spread
        ),
        Figure(f"{claim}, the peer as it comes", mine, "jobs/s", default, f"{PEER}, 10 at once", spread=spread),
    ]


@contextmanager
def _crowd(side: str, conninfo: str, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Workers that are up and wait for the signal to begin."""
    command = [sys.executable, "-m", "benchmarks.jobs", side]
    crowd = [
        subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(number)
    ]
    try:
        for worker in crowd:
            _tell(worker, conninfo)
            assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        yield crowd
    finally:
        for worker in crowd:
            worker.kill()
            worker.communicate()


def _tell(worker: subprocess.Popen[str], words: str) -> None:
    assert worker.stdin is not None
    print(words, file=worker.stdin, flush=True)


def _speed(side: str, owner: str, conninfo: str, number: int, jobs: int) -> float:
    """Jobs per second, from the first job of any worker until the home says that none is left."""
    with psycopg.connect(owner, autocommit=True) as link:
        left = _fill(link, side, jobs)
        with _crowd(side, conninfo, number) as crowd:
            for worker in crowd:
                _tell(worker, "go")
            while _one(link, left):
                time.sleep(0.01)
            over = time.time()
            for worker in crowd if side == "ours" else ():  # the others end when nothing is left
                worker.terminate()
            told: list[dict[str, Any]] = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in crowd]
    worked = [each for each in told if each["jobs"]]
    assert sum(each["jobs"] for each in worked) == jobs, told
    return jobs / (over - min(each["first"] for each in worked))


def _fill(link: psycopg.Connection, side: str, jobs: int) -> str:
    """Queue jobs. Returns a query that says whether any is left, and that costs the home next to nothing."""
    if side == "ours":
        link.execute("TRUNCATE wf.jobs, wf.job_attempts, wf.job_lanes")
        link.execute("INSERT INTO wf.jobs (kind) SELECT 'nothing' FROM generate_series(1, %s)", [jobs])
        link.execute("VACUUM ANALYZE wf.jobs")
        before = _one(link, "SELECT coalesce(sum(done), 0) FROM wf.workers")
        return f"SELECT coalesce(sum(done), 0) < {before + jobs} FROM wf.workers"
    link.execute("TRUNCATE pgqueuer, pgqueuer_log")
    link.execute(
        "INSERT INTO pgqueuer (priority, entrypoint, status) SELECT 0, 'nothing', 'queued' FROM generate_series(1, %s)",
        [jobs],
    )
    link.execute("VACUUM ANALYZE pgqueuer")
    return "SELECT count(*) FROM (SELECT FROM pgqueuer ORDER BY id DESC LIMIT 1) x"


def _one(link: psycopg.Connection, query: str) -> Any:
    row = link.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _peer(estate: Estate) -> str:
    """A database of its own on the same server."""
    with psycopg.connect(estate.owner, autocommit=True) as link:
        if not _one(link, f"SELECT count(*) FROM pg_database WHERE datname = '{PEER}'"):
            link.execute(f"CREATE DATABASE {PEER}".encode())
    conninfo = estate.home.known().owner_conninfo(PEER)  # type: ignore[union-attr]
    asyncio.run(_install(conninfo))
    return conninfo


def _fairness(owner: str, conninfo: str, flood: int) -> list[Figure]:
    with psycopg.connect(owner, autocommit=True) as link:
        _fill(link, "ours", 0)
        link.execute(
            "INSERT INTO wf.tenants (id, name, plan) SELECT 'quiet-' || n, 'Quiet', 'trial'"
            " FROM generate_series(1, %s) n ON CONFLICT DO NOTHING",
            [QUIET],
        )
        link.execute(
            "INSERT INTO wf.jobs (kind, tenant_id) SELECT 'nothing', 'default' FROM generate_series(1, %s)", [flood]
        )
        link.execute("VACUUM ANALYZE wf.jobs")
        with _crowd("ours", conninfo, 2) as crowd:
            for worker in crowd:
                _tell(worker, "go")
            while not _one(link, "SELECT count(*) FROM wf.jobs WHERE state = 'done'"):
                time.sleep(0.005)
            for n in range(1, QUIET + 1):
                link.execute("INSERT INTO wf.jobs (kind, tenant_id) VALUES ('nothing', %s)", [f"quiet-{n}"])
            while _one(
                link, "SELECT count(*) FROM wf.jobs WHERE state IN ('waiting', 'running') AND tenant_id <> 'default'"
            ):
                time.sleep(0.01)
            behind = _one(link, "SELECT count(*) FROM wf.jobs WHERE state = 'waiting'")
            while _one(link, "SELECT count(*) FROM wf.jobs WHERE state IN ('waiting', 'running')"):
                time.sleep(0.5)
        waits = [
            float(wait)
            for (wait,) in link.execute(
                "SELECT extract(epoch FROM started_at - created_at) * 1000 FROM wf.jobs WHERE tenant_id <> 'default'"
            )
        ]
        drained = _one(
            link,
            "SELECT extract(epoch FROM max(ended_at) - min(created_at) FILTER (WHERE tenant_id <> 'default')) * 1000"
            " FROM wf.jobs",
        )
    words = f"behind {flood:,} jobs of one tenant"
    print(
        f"jobs: {behind:,} of the flood were left when the last of {QUIET} quiet tenants had been served",
        file=sys.stderr,
    )
    p99 = quantiles(waits, n=100)[98]
    other = (float(drained), "when first come is first served")
    return [
        Figure(f"wait of {QUIET} quiet tenants' jobs {words}, median", median(waits), "ms", *other),
        Figure(f"the same, p99 (greatest {max(waits):,.0f} ms)", p99, "ms", *other, "≤ 1 s", p99 <= 1000),
    ]


def _takeover(owner: str, conninfo: str) -> list[Figure]:
    """kill -9 of a worker that has a job, at any point between two heartbeats."""
    back, begun, chance = [], [], random.Random(7)
    with psycopg.connect(owner, autocommit=True) as link:
        for _ in range(KILLS):
            _fill(link, "ours", 0)
            link.execute("INSERT INTO wf.jobs (kind) VALUES ('forever')")
            with _crowd("ours", conninfo, 2) as (first, second):
                _tell(first, "go")
                while _one(link, "SELECT state FROM wf.jobs") != "running":
                    time.sleep(0.01)
                _tell(second, "go")
                time.sleep(1 + chance.uniform(0, 5))
                killed = _one(link, "SELECT clock_timestamp()")
                first.kill()
                while _one(link, "SELECT attempts FROM wf.jobs") < 2:
                    time.sleep(0.01)
                lost, again = (
                    _one(link, "SELECT ended_at FROM wf.job_attempts"),
                    _one(link, "SELECT started_at FROM wf.jobs"),
                )
                back.append((lost - killed).total_seconds() * 1000)
                begun.append((again - killed).total_seconds() * 1000)
    return [
        Figure("a killed worker's job is taken back after", median(back), "ms", aim="≤ 17 s", met=max(back) <= 17_000,
               spread=(min(back), max(back))),
        Figure("and another has begun it after", median(begun), "ms", spread=(min(begun), max(begun))),
    ]  # fmt: skip


# The workers


class Count:
    """How many jobs one worker did, and when it did the first."""

    def __init__(self) -> None:
        self.jobs, self.first = 0, 0.0

    def job(self) -> None:
        self.first = self.first or time.time()
        self.jobs += 1


async def _go() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def _ours(conninfo: str) -> Count:
    from app.worker import Work, until_told
    from controlplane.jobs.engine import Kind
    from controlplane.jobs.model import Claimed, JobQueue

    count = Count()

    async def nothing(queue: JobQueue, job: Claimed) -> bool:
        count.job()
        return False

    async def forever(queue: JobQueue, job: Claimed) -> bool:
        await asyncio.sleep(3600)
        return False

    await _go()
    kinds = {"nothing": Kind("nothing", nothing), "forever": Kind("forever", forever, seconds=3600)}
    await until_told(Work(conninfo, kinds, grace=0))
    return count


async def _install(conninfo: str) -> None:
    from pgqueuer.db import AsyncpgDriver
    from pgqueuer.queries import Queries

    link = await _asyncpg(conninfo)
    queries = Queries(AsyncpgDriver(link))
    if not await link.fetchval("SELECT to_regclass('pgqueuer') IS NOT NULL"):
        await queries.install()
    await link.close()


async def _asyncpg(conninfo: str) -> Any:
    import asyncpg
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(conninfo)
    return await asyncpg.connect(
        host=parts["host"], port=int(str(parts["port"])), user=parts["user"], password=parts["password"],
        database=parts["dbname"],
    )  # fmt: skip


async def _theirs(conninfo: str, batch: int) -> Count:
    """Set up as in its documentation, with its fastest driver, until the queue is drained."""
    from pgqueuer import PgQueuer
    from pgqueuer.db import AsyncpgDriver
    from pgqueuer.models import Job
    from pgqueuer.types import QueueExecutionMode

    count = Count()
    queue = PgQueuer(AsyncpgDriver(await _asyncpg(conninfo)))

    @queue.entrypoint("nothing")
    async def nothing(job: Job) -> None:
        count.job()

    await _go()
    await queue.qm.run(timedelta(seconds=1), batch_size=batch, mode=QueueExecutionMode.drain)
    return count


if __name__ == "__main__":
    place = sys.stdin.readline().strip()  # the conninfo: it holds a password
    sides = {"ours": lambda: _ours(place), "peer": lambda: _theirs(place, BATCH)}
    found = asyncio.run(sides.get(sys.argv[1], lambda: _theirs(place, 10))())
    print(json.dumps(vars(found)), flush=True)
