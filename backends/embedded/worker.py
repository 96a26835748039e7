"""The one process that does a home's background work, found by the lock that it holds. The caller says what to run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from backends.embedded import folder as disk
from controlplane.errors import HomeUnreachable

GRACE_SECONDS = 30.0
"""Longer than a worker takes to finish its current jobs."""
KILL_SECONDS = 5.0


def start(folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start it, unless one is running. If two start at once, the one that does not get the lock ends by itself."""
    if disk.is_held(folder, disk.WORKER_LOCK):
        return
    log = disk.open_log(folder, "worker.log")
    try:
        # The shell ends at once and leaves the worker to init, in a session of its own, out of reach of a terminal's
        # ctrl+c or hang-up.
        subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" &', "sh", *command],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=dict(environment),
        )
    finally:
        os.close(log)


def sign_in(lock: int) -> None:
    """Write this worker's pid into the file of the lock that it holds. Raises OSError."""
    said = f"{os.getpid()}\n".encode()
    os.pwrite(lock, said, 0)  # over the old one: an emptied file may get no room again on a full disk
    os.ftruncate(lock, len(said))


def pid(folder: Path) -> int | None:
    """The worker's pid, if the process with the pid in the lock file really has that file open."""
    path = folder / disk.WORKER_LOCK
    if not disk.is_held(folder, disk.WORKER_LOCK):
        return None
    try:
        number = int(path.read_text())
        if Path("/proc/self/fd").exists():
            open_files = [_target(each) for each in Path(f"/proc/{number}/fd").iterdir()]
            return number if str(path) in open_files else None
    except (OSError, ValueError):
        return None
    return number


def _target(descriptor: Path) -> str:
    with suppress(OSError):
        return str(descriptor.readlink())
    return ""


def stop(folder: Path, grace: float = GRACE_SECONDS) -> None:
    """End it; it may finish its current jobs first, within `grace` seconds."""
    for sign, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_SECONDS)):
        deadline, told = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            if not disk.is_held(folder, disk.WORKER_LOCK):
                return
            number = pid(folder)
            if number is not None and number != told:
                with suppress(ProcessLookupError):
                    os.kill(number, sign)
                told = number
            time.sleep(0.01)
    raise HomeUnreachable(
        "home_stop_failed",
        f"The worker of {folder} did not end within {grace + KILL_SECONDS:.0f} s.",
        f"See {folder / 'worker.log'}.",
    )
