"""The worker beside the demonstration: `python -m app.demo.worker`, with its home's conninfo and folder on stdin.

It ends when stdin does: so it dies with the caretaker, in whatever way that goes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from app.worker import Work, until_told
from backends.checkpoint_folder import CheckpointFolder, signing_key
from backends.postgres.notary import Notary, signing
from backends.postgres.upkeep import KINDS
from controlplane.errors import Refusal

SECONDS_TO_END = 5.0
"""Everything of a demonstration that is thrown away may end at once."""


@contextmanager
def beside(conninfo: str, folder: Path) -> Iterator[None]:
    """A worker as long as the block runs. Its key and its checkpoints are in the folder, and go with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.demo.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(f"{conninfo}\n{folder}\n".encode())
        process.stdin.flush()
        yield
    finally:
        process.stdin.close()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    conninfo, _, folder = os.read(0, 65536).decode().strip().partition("\n")
    if folder:
        Thread(target=_end_with_parent, daemon=True).start()
        asyncio.run(_work(conninfo, Path(folder)))


async def _work(conninfo: str, folder: Path) -> None:
    try:
        key = signing_key(folder, make=True)
        assert key is not None
        sign = signing(Notary(conninfo, CheckpointFolder(folder / "checkpoints"), key))
        await until_told(Work(conninfo, {**KINDS, sign.name: sign}, grace=1.0))
    except Refusal:
        from app.faults import write

        write("the worker of the demonstration was refused")


if __name__ == "__main__":
    main()
