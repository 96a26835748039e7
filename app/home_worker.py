"""The worker of an embedded home: `python -m app.home_worker FOLDER`, started by whoever opens the home.

Two processes: one that waits and restarts the other when it dies, and one that works. The lock of
`backends.embedded.worker` makes sure that there is only one pair; they end when the home is stopped.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from app.embedded import bring_back, embedded_at
from backends.embedded.server import EmbeddedHome
from backends.embedded.worker import sign_in
from controlplane.clock import machine_now
from controlplane.errors import Refusal

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
WENT_WELL_SECONDS = 60.0
"""After a worker ran this long, the next pause is the shortest again."""


def main(folder: Path) -> None:
    home = embedded_at(folder)
    with home.as_worker() as lock:
        if lock is not None:
            watch_over(home, lock)


def watch_over(home: EmbeddedHome, lock: int) -> None:
    """Restart the worker until it was told to end, or the home was stopped."""
    pause = FIRST_PAUSE
    while True:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _be_the_worker(home, lock)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0 or home.stopped or not home.folder.exists():
            return
        pause = FIRST_PAUSE if time.monotonic() - began > WENT_WELL_SECONDS else min(LONGEST_PAUSE, 2 * pause)
        say(f"the worker died ({f'signal {-code}' if code < 0 else f'exit code {code}'}); again in {pause:.0f} s")
        with suppress(OSError):  # on a full disk nobody can be told
            sign_in(lock)
        time.sleep(pause)


def _be_the_worker(home: EmbeddedHome, lock: int) -> NoReturn:
    code = 1
    try:
        sign_in(lock)
        asyncio.run(work(home))
        code = 0
    except Refusal as refusal:
        say(str(refusal))
    except BaseException as error:
        from app.faults import log_path, report

        report(error, as_json=False)
        say(f"{type(error).__name__}; more is in {log_path()}")
    finally:
        os._exit(code)


async def work(home: EmbeddedHome) -> None:
    """Do the jobs until told to stop. Raises Refusal."""
    from app.carrier import carrier_of
    from app.cli.worker import kinds_of
    from app.contexts import worker_sources
    from app.embedded import worker_conninfo
    from app.homes import HomeChoice
    from app.settings import load
    from app.worker import Work, until_told

    choice = HomeChoice("folder", str(home.folder), None, "")
    conninfo = await asyncio.to_thread(worker_conninfo, home)
    settings = await asyncio.to_thread(load)
    kinds = await asyncio.to_thread(kinds_of, conninfo, choice, settings)
    work = Work(conninfo, kinds, say, revive=lambda: bring_back(home))
    await until_told(work, carrier_of(home, say, worker_sources(choice, settings)))


def say(words: str) -> None:
    from controlplane.text import clean

    with suppress(OSError):  # its log is on the home's disk, which may be full
        print(f"{machine_now():%Y-%m-%d %H:%M:%S}Z {clean(words)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
