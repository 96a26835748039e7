"""Folders of demonstrations: made, held as long as their process lives, and swept when it died without a word.

Who holds a folder's lock is alive: the kernel knows, whatever became of pids.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path

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
    unnamed.rename(folder)  # by this name the sweepers look, and now it is held
    return folder, held


def home(folder: Path) -> Path:
    return folder / "home"


def remove(folder: Path) -> None:
    """Stop its server and take it away. Raises Refusal when the server does not stop."""
    EmbeddedHome(home(folder)).destroy()
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Take away our own folders that nobody holds. What cannot be taken away is left for the next time."""
    for folder in (folder for parent in parents() for folder in parent.glob(f"{PREFIX}*")):
        if re.fullmatch(rf"{PREFIX}\w{{8}}", folder.name) and not folder.is_symlink():
            try:
                _sweep(folder)
            except (OSError, Refusal):
                continue


def _sweep(folder: Path) -> None:
    if folder.stat().st_uid != os.geteuid():
        return
    held = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when somebody lives in it
        remove(folder)
    finally:
        os.close(held)
