"""The files of runbooks: those that come with the program, and those of a team's folder, which may replace them."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from controlplane.runbooks.files import MAX_BYTES, File, Shelf
from controlplane.text import clean

MAX_FILES = 500
SUFFIX = ".md"


class RunbookFolder(Shelf):
    """Blocks while it reads."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def files(self) -> Sequence[File]:
        """By name. A file that cannot be read is there, with the reason; so is a folder that cannot be."""
        found = {each.name: each for each in shipped()}
        if self.folder is not None:
            found |= {each.name: each for each in _yours(self.folder)}
        return [found[name] for name in sorted(found)]


def shipped() -> Sequence[File]:
    entries = [each for each in files("runbooks").iterdir() if each.name.endswith(SUFFIX)]
    return [File(each.name.removesuffix(SUFFIX), "shipped", each.read_text(encoding="utf-8")) for each in entries]


def _yours(folder: Path) -> Sequence[File]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.name != "README.md")
    except OSError as error:
        return [File("your-folder", "yours", None, f"{clean(folder, 300)} cannot be read: {error.strerror}")]
    return [read_file(path) for path in paths[:MAX_FILES]]


def read_file(path: Path) -> File:
    name = clean(path.stem, 100)
    try:
        # Opened without waiting: a pipe that somebody put into a shared folder would hang every console.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return File(name, "yours", None, "it is not a file")
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            return File(name, "yours", None, f"it is larger than {MAX_BYTES:,} bytes")
        return File(name, "yours", content.decode("utf-8-sig"))
    except OSError as error:
        return File(name, "yours", None, f"it cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return File(name, "yours", None, f"line {line}: this is not UTF-8 text")
