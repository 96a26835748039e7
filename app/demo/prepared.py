"""A copy of the prepared home in the user's cache, so that only the first start has to make it.

It is used by the program that made it: another version, other migrations or another seed make their own. After some
hours it is made anew, because the estate's "two days ago" would no longer be true. Only its owner can read it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from app.embedded import embedded_at
from backends.embedded.binaries import MAJOR
from backends.embedded.server import Credentials, EmbeddedHome
from controlplane.clock import machine_now

ROOT = Path(__file__).parents[2]
MADE_OF = ("app/demo", "backends/postgres/migrations", "backends/postgres/sql", "pyproject.toml")
RECORD = "demonstration.json"
MAX_AGE = timedelta(hours=6)
OF_THE_SERVER = ("run", "socket-folder", "stopped", "server.lock", "worker.lock", "postgres.log", "worker.log")
"""What belongs to one running server, and not to its data."""


@dataclass(frozen=True)
class Record:
    """What is known of a home that was filled: the estate's `now`, and the people's passwords."""

    seed: int
    at: str
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Start:
    """A home that is copied from a prepared one, if there is one, and started meanwhile. `record` waits for the copy,
    `credentials` for the server; both raise Refusal.
    """

    home: EmbeddedHome
    at: datetime
    record: Callable[[], Record | None] = field(repr=False)
    credentials: Callable[[], Credentials] = field(repr=False)


def start(seed: int, folder: Path, beside: Executor, *, careless: bool) -> Start:
    """`beside` has one thread. `careless`: see opening.opened."""
    home, now = embedded_at(folder), machine_now()
    record = beside.submit(restore, seed, folder, now) if careless else beside.submit(read, folder)
    return Start(home, now, record.result, beside.submit(home.ensure).result)


def read(home: Path) -> Record | None:
    """None for a home that was never filled."""
    try:
        return Record(**json.loads((home / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(home: Path, record: Record) -> None:
    descriptor = os.open(home / RECORD, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(record), file)


def restore(seed: int, home: Path, now: datetime) -> Record | None:
    """Copy the prepared home to a place where nothing is yet; None when there is none that can be used."""
    made = _place(seed)
    if not _is_fresh(read(made), now) or not _copy(made, home):
        return None
    record = read(home)
    if _is_fresh(record, now):
        return record
    shutil.rmtree(home, ignore_errors=True)  # it was replaced meanwhile
    return None


def keep(seed: int, home: Path) -> None:
    """Keep a copy of a home that is stopped, in place of older ones. Without room there is none."""
    made = _place(seed)
    try:
        made.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scrap = Path(tempfile.mkdtemp(prefix=".", dir=made.parent))
    except OSError:
        return
    try:
        if _copy(home, scrap / "home"):
            for old in made.parent.iterdir():
                if not old.name.startswith("."):
                    shutil.rmtree(old, ignore_errors=True)
            (scrap / "home").rename(made)
    except OSError:
        return  # another one was faster
    finally:
        shutil.rmtree(scrap, ignore_errors=True)


def _is_fresh(record: Record | None, now: datetime) -> bool:
    return record is not None and timedelta() <= now - record.now < MAX_AGE


def _copy(source: Path, target: Path) -> bool:
    """With owners and rights: as root, the data are another account's."""
    done = subprocess.run(["cp", "-a", "--", str(source), str(target)], capture_output=True, check=False)
    for name in OF_THE_SERVER:
        gone = target / name
        shutil.rmtree(gone, ignore_errors=True) if gone.is_dir() else gone.unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
    return done.returncode == 0


def _place(seed: int) -> Path:
    return user_cache_path("watchfloor", appauthor=False) / "demonstration" / f"{seed}-{_version()}"


@cache
def _version() -> str:
    """A digest of all that decides what is in it."""
    found = hashlib.sha256(str(MAJOR).encode())
    for name in MADE_OF:
        place = ROOT / name
        for file in sorted(place.glob("*.*")) if place.is_dir() else [place]:
            if file.is_file():
                found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()[:16]
