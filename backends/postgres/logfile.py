"""Reading a log file in bounded memory: unpacked, in chunks that end with a line wherever they can."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from controlplane.errors import NotFound, NotPermitted, Refusal, Usage
from controlplane.requestlogs.model import Format, Skip
from controlplane.requestlogs.parsing import parser
from controlplane.text import clean

CHUNK = 4 << 20
"""Bytes that are stored in one transaction."""
BLOCK = 1 << 18
HEAD = 1 << 16
PACKED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
}
WIDE = (b"\xff\xfe", b"\xfe\xff")


class LogFile:
    """A buffer over the unpacked bytes. `damage` says why it ended early, when it did."""

    def __init__(self, raw: BinaryIO, stream: BinaryIO, size: int) -> None:
        self.raw, self.stream, self.size = raw, stream, size
        self.buffer = bytearray()
        self.ended = False
        self.damage: str | None = None

    def fill(self, wanted: int) -> bool:
        """Whether so many bytes are left; then the buffer holds them."""
        while len(self.buffer) < wanted and not self.ended:
            try:
                block = self.stream.read(min(BLOCK, max(1, wanted - len(self.buffer))))
            except EOFError:
                block, self.damage = b"", "it stops in the middle of the compressed data"
            except (zlib.error, gzip.BadGzipFile) as error:
                block, self.damage = b"", f"its compressed data is damaged ({error})"
            self.buffer += block
            self.ended = not block
        return len(self.buffer) >= wanted

    def more(self) -> bool:
        """Read a block more. False: there is none."""
        size = len(self.buffer)
        self.fill(size + BLOCK)
        return len(self.buffer) > size

    def first_line(self) -> bytes:
        """All up to the first line's end; a huge line is not read to its end."""
        while b"\n" not in self.buffer and len(self.buffer) < CHUNK and self.more():
            pass
        return bytes(self.buffer.partition(b"\n")[0])

    def take(self, size: int) -> bytes:
        data = bytes(memoryview(self.buffer)[:size])
        del self.buffer[:size]
        return data

    @property
    def bytes_done(self) -> int:
        """Of the file as it lies there."""
        return self.raw.tell() if self.size else 0

    def next_cut(self) -> int:
        """Where the next chunk ends: after its last line's end; all that is left; or all, within one huge line."""
        self.fill(CHUNK)
        if self.ended and len(self.buffer) <= CHUNK:
            return len(self.buffer)
        return (self.buffer.rfind(b"\n", 0, CHUNK) + 1) or min(CHUNK, len(self.buffer))


@contextmanager
def opened(path: Path) -> Iterator[LogFile]:
    """Open a log, packed with gzip or not. Raises NotFound, NotPermitted, Refusal for what is no log at all."""
    shown = clean(str(path), 200)
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise NotFound("log_not_found", f"There is no file {shown}.", "Look at the path.") from None
    except IsADirectoryError:
        raise Usage("log_is_folder", f"{shown} is a folder.", "Import the files in it one by one.") from None
    except PermissionError:
        raise NotPermitted("log_not_readable", f"You may not read {shown}.", "Look at its permissions.") from None
    except (OSError, ValueError) as error:
        raise Refusal("log_not_readable", f"{shown} cannot be read: {clean(str(error), 200)}.") from None
    with raw:
        status = os.fstat(raw.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        magic = raw.peek(8)[:8]
        for start, name in PACKED.items():
            if magic.startswith(start):
                raise Refusal(
                    "log_packed", f"{shown} is packed with {name}.", "Unpack it first; gzip is read as it is."
                )
        if magic.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                yield LogFile(raw, unpacked, size)  # type: ignore[arg-type]
        else:
            yield LogFile(raw, raw, size)


def look_at(file: LogFile, log: Format, tenant_id: str | None, path: Path) -> bytes:
    """The first line. Refuses what is empty, binary, or plainly a log of another format."""
    shown = clean(path.name, 100)
    file.fill(HEAD)
    head = bytes(file.buffer[:HEAD])
    if not head.strip():
        if file.damage:
            raise Refusal("log_damaged", f"{shown} cannot be unpacked: {file.damage}.", "Copy it again.")
        raise Refusal("log_empty", f"{shown} is empty: there is nothing to import.", "Is it the right file?")
    lines = [line for line in head.split(b"\n")[:1000] if line.strip()]
    if head.startswith(WIDE) or (not _fits(lines, log, tenant_id) and _is_binary(head)):
        raise Refusal(
            "log_binary", f"{shown} is not a text in UTF-8.", "Is it the right file? UTF-16: convert it first."
        )
    if not _fits(lines, log, tenant_id):
        for other in Format:
            if other is not log and _fits(lines, other, tenant_id or "any"):
                raise Usage(
                    "log_other_format", f"{shown} is not {log.value}: it reads as {other.value}.",
                    f"Say --format {other.value}."
                )  # fmt: skip
    return lines[0]


def _fits(lines: list[bytes], log: Format, tenant_id: str | None) -> bool:
    parse = parser(log, tenant_id)
    return any(not isinstance(found, Skip) or not found.is_fault for found in map(parse, lines))


def _is_binary(head: bytes) -> bool:
    """NUL, or more than a tenth of bytes that no text has."""
    strange = sum(byte < 32 and byte not in b"\t\n\r\x1b" for byte in head) + head.decode(errors="replace").count("�")
    return b"\0" in head or strange > len(head) / 10
