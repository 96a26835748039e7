"""Folders of demonstrations: made, locked as long as their process lives, and removed later when it was killed.

A folder whose lock is held is in use: the kernel releases the lock when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path

from backends.embedded.folder import is_held
from backends.embedded.server import EmbeddedHome
from controlplane.errors import Refusal

PREFIX = "watchfloor-demo-"
LOCK = "lock"


MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that must be free in memory: an estate takes 0.3 GB, and half a gigabyte more each day that it runs."""


def parents() -> list[Path]:
    """Where folders of demonstrations may be, the best place first: in memory a home is up, and gone, at once."""
    memory = [MEMORY] if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else []
    temporary = Path(tempfile.gettempdir())
    roomy = bool(memory) and shutil.disk_usage(MEMORY).free > ROOM
    return [*memory, temporary] if roomy else [temporary, *memory]


def make() -> tuple[Path, int]:
    """A fresh folder and the descriptor that holds it."""
    unnamed = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parents()[0]))
    # As root, PostgreSQL runs as another account, which must pass through; the home in it guards itself.
    unnamed.chmod(0o711 if os.geteuid() == 0 else 0o700)
    held = os.open(unnamed / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    folder = unnamed.with_name(unnamed.name[1:])
    unnamed.rename(folder)  # the name that `sweep` looks for: from now on the lock is held
    return folder, held


def home(folder: Path) -> Path:
    return folder / "home"


def remove(folder: Path) -> None:
    """Stop its server and remove it. Raises Refusal when the server does not stop."""
    EmbeddedHome(home(folder)).destroy()
    shutil.rmtree(folder, ignore_errors=True)


def number(home: Path) -> str | None:
    """The number in the folder's name, which tells demonstrations apart; None for a home that is kept."""
    found = re.fullmatch(rf"{PREFIX}(\w{{8}})", home.parent.name)
    return found[1] if found else None


def living(number: str) -> Path | None:
    """The home of the running demonstration with this number."""
    mine = (folder for folder in _ours() if folder.name == f"{PREFIX}{number}")
    return next((home(folder) for folder in mine if is_held(folder, LOCK)), None)


def _ours() -> list[Path]:
    found = (folder for parent in parents() for folder in parent.glob(f"{PREFIX}*"))
    named = (each for each in found if re.fullmatch(rf"{PREFIX}\w{{8}}", each.name) and not each.is_symlink())
    return [folder for folder in named if folder.stat().st_uid == os.geteuid()]


def sweep() -> None:
    """Remove our own folders whose lock nobody holds. What cannot be removed is left for the next time."""
    for folder in _ours():
        try:
            _sweep(folder)
        except (OSError, Refusal):
            continue


def _sweep(folder: Path) -> None:
    held = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when it is in use
        remove(folder)
    finally:
        os.close(held)
