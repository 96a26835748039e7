"""Where the notices of drills go: files in one folder, and standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from controlplane.deliveries.drill import check_file
from controlplane.deliveries.model import Answer, DrillLine, Trouble

MAX_FILE_BYTES = 64 << 20


class Drills:
    """`folder`: None where drills have no files. A file is appended to, and never followed out of the folder."""

    def __init__(self, folder: Path | None, write: Callable[[bytes], object] | None = None) -> None:
        self._folder = folder
        self._write = write or _to_standard_output

    def send(self, drill: DrillLine) -> Answer:
        """It blocks. Raises Trouble `unwritable`, `refused_here`; Usage for a name that is no file's."""
        try:
            if drill.file:
                self._append(check_file(drill.file), drill.line)
            else:
                self._write(drill.line)
        except OSError as error:
            raise Trouble("unwritable", f"The notice cannot be written: {error.strerror}.") from None
        return Answer(200, "written")

    def _append(self, name: str, line: bytes) -> None:
        if self._folder is None:
            raise Trouble("refused_here", "This worker has no folder for drills.")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._folder / name, flags, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            if os.fstat(descriptor).st_size + len(line) > MAX_FILE_BYTES:
                raise Trouble("unwritable", f"The file of the drill is full: {MAX_FILE_BYTES >> 20} MB.")
            file.write(line)


def _to_standard_output(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
