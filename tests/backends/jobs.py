"""Jobs of the tests; and, run as a program with a conninfo, a real worker that can do them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import psycopg

from controlplane.errors import Refusal
from controlplane.jobs.engine import GiveUp, Kind
from controlplane.jobs.model import Claimed, JobQueue

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds; the machine may be busy
COUNTED = """
CREATE TABLE IF NOT EXISTS public.counted (job bigint, at timestamptz DEFAULT clock_timestamp());
GRANT INSERT, SELECT ON public.counted TO wf_worker;
"""


async def nothing(queue: JobQueue, job: Claimed) -> bool:
    return False


async def count(queue: JobQueue, job: Claimed) -> bool:
    """Its effect and its end are one transaction."""
    await queue.settled(job, f"INSERT INTO public.counted (job) VALUES ({job.id})")
    return True


async def kill(queue: JobQueue, job: Claimed) -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return False


async def hold_up(queue: JobQueue, job: Claimed) -> bool:
    """Holds the whole program up: no other task of it runs meanwhile."""
    time.sleep(job.payload["seconds"])  # noqa: ASYNC251
    return False


async def wait(queue: JobQueue, job: Claimed) -> bool:
    await asyncio.sleep(job.payload["seconds"])
    return False


async def fail(queue: JobQueue, job: Claimed) -> bool:
    how = job.payload["how"]
    raise {"refusal": Refusal("not_now", "Not now."), "give up": GiveUp("for good"), "bug": ValueError("s3cret")}[how]


async def late(queue: JobQueue, job: Claimed) -> bool:
    await asyncio.sleep(60)
    return False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("nothing", nothing),
        Kind("count", count),
        Kind("kill", kill),
        Kind("hold_up", hold_up),
        Kind("wait", wait),
        Kind("fail", fail),
        Kind("late", late, seconds=0.05),
        Kind("often", count, every=timedelta(seconds=1)),
    )
}


def queue_jobs(owner: str, kind: str, number: int = 1, *, tenant: str | None = None, payload: str = "{}") -> None:
    with psycopg.connect(owner) as connection:
        connection.execute(
            "INSERT INTO wf.jobs (kind, tenant_id, payload) SELECT %s, %s, %s FROM generate_series(1, %s)",
            [kind, tenant, payload, number],
        )


class Workers:
    """Real worker processes on one database."""

    def __init__(self, conninfo: str, kinds: Sequence[str] = ()) -> None:
        self.command = [sys.executable, "-m", "tests.backends.jobs", conninfo, *kinds]
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()


@contextlib.contextmanager
def workers(conninfo: str, number: int = 1, kinds: Sequence[str] = ()) -> Iterator[Workers]:
    crowd = Workers(conninfo, kinds)
    for _ in range(number):
        crowd.start()
    try:
        yield crowd
    finally:
        for process in crowd.running:
            process.kill()
            process.communicate()


def until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


if __name__ == "__main__":
    from app.worker import Work, until_told
    from backends.postgres import heartbeat

    chosen = {name: KINDS[name] for name in sys.argv[2:]} if len(sys.argv) > 2 else KINDS
    heartbeat.BEAT_SECONDS = 0.5
    told = Work(sys.argv[1], chosen, lambda words: print(words, file=sys.stderr, flush=True), grace=2)
    asyncio.run(until_told(told))
