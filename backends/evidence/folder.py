"""A bundle in a folder: written file by file, and read without ever following a link."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from controlplane.errors import Refusal, Usage
from controlplane.evidence.bundles import ENVELOPE, Entry, is_name
from controlplane.evidence.envelopes import MAX_ENVELOPE_BYTES
from controlplane.evidence.statements import Subject
from controlplane.text import clean

CHUNK = 1 << 20
COLLECTING = ".collecting-"
ABANDONED = timedelta(hours=1)
"""After so long without a write, a folder that nobody holds was left by a program that was killed."""
WORDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISBLK, "device"),
    (stat.S_ISCHR, "device"),
)


class BundleFolder:
    """Implements `Container`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def envelope(self) -> bytes | None:
        path = self.path / ENVELOPE
        with readable(path):
            try:
                if not stat.S_ISREG(path.lstat().st_mode):
                    return None
            except FileNotFoundError:
                return None
            return b"".join(pieces(path, MAX_ENVELOPE_BYTES + 1))

    def entries(self) -> Iterator[Entry]:
        with readable(self.path):
            found = sorted(_below(self.path, ""), key=lambda each: each[0])
        for name, what in found:
            if name != ENVELOPE:
                path = self.path / name
                yield Entry(name, None if what else lambda path=path: pieces(path), what or "file")  # type: ignore[misc]


def _below(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """All names below a folder; with each that is no regular file, what it is."""
    empty = True
    with os.scandir(folder) as found:
        for each in found:
            empty, name = False, prefix + each.name
            mode = each.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _below(folder / each.name, f"{name}/")
            else:
                yield name, "" if stat.S_ISREG(mode) else next((word for is_, word in WORDS if is_(mode)), "device")
    if empty and prefix:
        yield prefix.rstrip("/"), "folder without files"


def pieces(path: Path, most: int | None = None) -> Iterator[bytes]:
    """The content of a regular file, at most so many bytes. Raises Refusal `evidence_unreadable`."""
    with readable(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refusal("evidence_unreadable", f"{clean(path, 400)} is not a regular file.")
            while piece := file.read(CHUNK if most is None else min(CHUNK, most)):
                yield piece
                if most is not None and (most := most - len(piece)) <= 0:
                    return


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal("evidence_unreadable", f"{clean(path, 400)} cannot be read: {error.strerror}.") from None


class Writing:
    """One file of a bundle that is being written."""

    def __init__(self, path: Path, done: Callable[[str], None]) -> None:
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._file = path.open("xb")
        self._done = done

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._file.write(piece)
        self.bytes += len(piece)

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        if kind is None:
            self._done(self._hash.hexdigest())


class BundleWriter:
    """Writes a bundle into a new folder; implements `Files`."""

    def __init__(self, path: Path) -> None:
        """Raises Usage `bundle_exists`, Refusal `evidence_unwritable`."""
        self.path = path
        self.subjects: list[Subject] = []
        self.envelope_sha256 = ""
        self.bytes = 0
        with writable(path):
            try:
                path.mkdir(mode=0o700, parents=True)
            except FileExistsError:
                raise Usage("bundle_exists", f"{clean(path, 400)} is there already.", "Name a new folder.") from None
            self._held = _hold(path)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Writing]:
        """A file for the length of the block. Raises Refusal `evidence_unwritable`."""
        assert is_name(name) or name == ENVELOPE, name
        path = self.path / name
        with writable(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with Writing(path, lambda sha256: self.subjects.append(Subject(name, sha256))) as writing:
                yield writing
            self.bytes += writing.bytes

    def finish(self, envelope: bytes) -> None:
        """Write the envelope last: a folder without one is no bundle."""
        with self.open(ENVELOPE) as file:
            file.write(envelope)
        self.envelope_sha256 = self.subjects.pop().sha256
        for folder in {self.path, self.path.parent, *(path for path in self.path.rglob("*") if path.is_dir())}:
            settle(folder)
        self.release()

    def move(self, to: Path) -> Path:
        """Give the finished bundle its place. Raises Refusal `evidence_unwritable`."""
        with writable(to):
            self.path.rename(to)
        settle(to.parent)
        return to

    def discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Nobody writes to it any more."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def collecting(kept: Path) -> Path:
    """A new name for a bundle that is being collected in the evidence folder."""
    return kept / f"{COLLECTING}{secrets.token_hex(8)}"


def clear_abandoned(kept: Path, now: datetime) -> list[Path]:
    """Remove what killed programs were collecting: nobody holds it, and nothing was written to it for an hour (a lock
    is not seen from another machine). Returns what was removed.
    """
    removed = []
    for path in sorted(kept.glob(f"{COLLECTING}*")):
        try:
            newest = max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
            if newest > (now - ABANDONED).timestamp() or (held := _hold(path)) is None:
                continue
        except OSError:
            continue  # it has just been finished
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)
        removed.append(path)
    return removed


def _hold(folder: Path) -> int | None:
    """A lock on a folder, until the descriptor is closed or the program ends; None: somebody else has it, or there are
    no locks here.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def settle(folder: Path) -> None:
    """Flush a folder: until then a new file's name is not on the disk."""
    with contextlib.suppress(OSError):  # not every system opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal("evidence_unwritable", f"{clean(path, 400)} cannot be written: {error.strerror}.") from None
