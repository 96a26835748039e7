"""A bundle as one file: a tar in its one form, so that no bit of it, not even of the padding, is without meaning.

The envelope comes first, then the files by name; every header is the one that `header` makes. Any tar unpacks it.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from backends.evidence.folder import CHUNK, BundleFolder, pieces, readable, writable
from controlplane.errors import Refusal, Usage
from controlplane.evidence.bundles import ENVELOPE, Entry, is_name
from controlplane.evidence.envelopes import MAX_ENVELOPE_BYTES
from controlplane.text import clean

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_FILE_BYTES = 8**11 - 1
"""What fits into a header of ustar."""
SUFFIX = ".tar"


def header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)


def pack(folder: Path, to: Path) -> int:
    """Write a bundle's folder into one file; returns its bytes. Raises Refusal, Usage `bundle_exists`."""
    bundle = BundleFolder(folder)
    names = [each.name for each in bundle.entries() if each.read is not None]
    with writable(to):
        try:
            file = to.open("xb")
        except FileExistsError:
            raise Usage("bundle_exists", f"{clean(to, 400)} is there already.", "Name a new file.") from None
        with file:
            for name in [ENVELOPE, *names]:
                size = (folder / name).lstat().st_size
                if not (name == ENVELOPE or is_name(name)) or size > MAX_FILE_BYTES:
                    raise Refusal("evidence_unwritable", f"{clean(name, 200)} does not fit into one file.")
                file.write(header(name, size))
                for piece in pieces(folder / name):
                    file.write(piece)
                file.write(bytes(-size % BLOCK))
            file.write(END)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()


class BundleArchive:
    """Implements `Container`; it is read once, from its start to its end, and never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def envelope(self) -> bytes | None:
        with readable(self.path):
            self._file = self.path.open("rb")
            first = self._header()
            if first is None or first[0] != ENVELOPE or first[1] > MAX_ENVELOPE_BYTES:
                return None
            return b"".join(self._content(first[1]))

    def entries(self) -> Iterator[Entry]:
        assert self._file is not None, "the envelope is read first"
        before = ""
        with readable(self.path), self._file:
            while (found := self._header()) is not None:
                name, size = found
                if name <= before:
                    raise _odd(f"{clean(name, 200)} is not where it belongs")
                before = name
                content = self._content(size)
                yield Entry(name, lambda content=content: content)  # type: ignore[misc]
                for _ in content:
                    pass
            if self._file.read(1):
                raise _odd("there is something after its end")

    def _header(self) -> tuple[str, int] | None:
        """Name and size of the next file; None at the end."""
        assert self._file is not None
        block = self._file.read(BLOCK)
        if block == END[:BLOCK]:
            if self._file.read(BLOCK) != END[BLOCK:]:
                raise _odd("it does not end as it should")
            return None
        try:
            name = block[:100].rstrip(b"\0").decode("ascii")
            size = int(block[124:135], 8)
            if header(name, size) == block:
                return name, size
        except (ValueError, OverflowError):
            pass
        raise _odd("it has a header that is not as it was written")

    def _content(self, size: int) -> Iterator[bytes]:
        assert self._file is not None
        left = size
        while left:
            piece = self._file.read(min(left, CHUNK))
            if not piece:
                raise _odd("it is cut off")
            left -= len(piece)
            yield piece
        if self._file.read(-size % BLOCK) != bytes(-size % BLOCK):
            raise _odd("it has something between its files")


def _odd(words: str) -> Refusal:
    return Refusal("archive_changed", f"This is not a bundle as it was packed: {words}.")
