"""Reads a log file in bounded memory: unpacked, in chunks that end with a line where possible."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from controlplane.errors import NotFound, NotPermitted, Refusal, Usage
from controlplane.requestlogs.mappings import SHIPPED
from controlplane.requestlogs.model import Format, Skip
from controlplane.requestlogs.parsing import Log, Whose, parser
from controlplane.text import clean

CHUNK = 4 << 20
"""Bytes stored in one transaction."""
BLOCK = 1 << 18
PACKED_BLOCK = 1 << 14
_GZIP = zlib.MAX_WBITS | 16
HEAD = 1 << 16
PACKED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
}
PLAIN = [mapping for name, mapping in SHIPPED.items() if name != "nginx-json"]
"""Formats that a log can be recognised by. Not nginx-json: any JSON may have nginx's names."""
WIDE = (b"\xff\xfe", b"\xfe\xff")


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Gzip:
    """Unpacks gzip as far as possible: returns everything before the damaged place, then raises the error."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw, self.packed = raw, b""
        self.unpacker = zlib.decompressobj(_GZIP)
        self.error: zlib.error | None = None

    def read(self, size: int, /) -> bytes:
        """About so many bytes. Raises EOFError and zlib.error."""
        while self.error is None:
            if not self.packed:
                self.packed = self.raw.read(PACKED_BLOCK)
            over = not self.packed
            if self.unpacker.eof:
                self.packed = self.packed.lstrip(b"\0")  # padding between and after concatenated files
                if over:
                    return b""
                if not self.packed:
                    continue
                self.unpacker = zlib.decompressobj(_GZIP)
            before = self.unpacker.copy()
            try:
                data = self.unpacker.decompress(self.packed, size)
                self.packed = self.unpacker.unused_data or self.unpacker.unconsumed_tail
            except zlib.error as error:
                self.error = error
                data = _up_to_error(before, self.packed)
            if data:
                return data
            if over and not self.unpacker.eof and self.error is None:
                raise EOFError
        raise self.error


def _up_to_error(unpacker: zlib._Decompress, packed: bytes) -> bytes:
    """A failed call returns nothing at all; byte by byte, only the last byte's is lost."""
    data = bytearray()
    try:
        for at in range(len(packed)):
            data += unpacker.decompress(packed[at : at + 1])
    except zlib.error:
        pass
    return bytes(data)


class LogFile:
    """A buffer over the unpacked bytes. `damage` says why it ended early, if it did."""

    def __init__(self, raw: BinaryIO, stream: Readable, size: int) -> None:
        self.raw, self.stream, self.size = raw, stream, size
        self.buffer = bytearray()
        self.ended = False
        self.damage: str | None = None

    def fill(self, wanted: int) -> bool:
        """Read until the buffer holds `wanted` bytes. False when the file ends before."""
        while len(self.buffer) < wanted and not self.ended:
            try:
                block = self.stream.read(min(BLOCK, max(1, wanted - len(self.buffer))))
            except EOFError:
                block, self.damage = b"", "it stops in the middle of the compressed data"
            except zlib.error as error:
                block, self.damage = b"", f"its compressed data is damaged ({error})"
            except OSError as error:
                block, self.damage = b"", f"it cannot be read further ({error.strerror})"
            self.buffer += block
            self.ended = not block
        return len(self.buffer) >= wanted

    def more(self) -> bool:
        """Read another block. False at the end."""
        size = len(self.buffer)
        self.fill(size + BLOCK)
        return len(self.buffer) > size

    def first_line(self) -> bytes:
        """The first line, without its end; a huge one only up to a chunk."""
        while b"\n" not in self.buffer and len(self.buffer) < CHUNK and self.more():
            pass
        return bytes(self.buffer.partition(b"\n")[0])

    def take(self, size: int) -> bytes:
        data = bytes(memoryview(self.buffer)[:size])
        del self.buffer[:size]
        return data

    @property
    def bytes_done(self) -> int:
        """Bytes read of the file itself, packed or not."""
        return self.raw.tell() if self.size else 0

    def next_cut(self) -> int:
        """The next chunk's size: up to the end of its last line; all that is left; or a full chunk of one huge line."""
        self.fill(CHUNK)
        if self.ended and len(self.buffer) <= CHUNK:
            return len(self.buffer)
        return (self.buffer.rfind(b"\n", 0, CHUNK) + 1) or min(CHUNK, len(self.buffer))


@contextmanager
def opened(path: Path) -> Iterator[LogFile]:
    """Open a log, packed with gzip or not. Raises NotFound, NotPermitted, or Refusal for what is not a log at all."""
    shown = clean(str(path), 200)
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise NotFound("log_not_found", f"There is no file {shown}.", "Check the path.") from None
    except IsADirectoryError:
        raise Usage("log_is_folder", f"{shown} is a folder.", "Import the files in it one by one.") from None
    except PermissionError:
        raise NotPermitted("log_not_readable", f"You may not read {shown}.", "Check its permissions.") from None
    except (OSError, ValueError) as error:
        raise Refusal("log_not_readable", f"{shown} cannot be read: {clean(str(error), 200)}.") from None
    with raw:
        status = os.fstat(raw.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        magic = raw.peek(8)[:8]
        for start, name in PACKED.items():
            if magic.startswith(start):
                raise Refusal(
                    "log_packed", f"{shown} is packed with {name}.", "Unpack it first; only gzip is read packed."
                )
        if magic.startswith(b"\x1f\x8b"):
            yield LogFile(raw, Gzip(raw), size)
        else:
            yield LogFile(raw, raw, size)


def look_at(file: LogFile, log: Log, whose: Whose, path: Path) -> bytes:
    """Returns the first line. Refuses a file that is empty, binary, or plainly a log of another format."""
    shown = clean(path.name, 100)
    file.fill(HEAD)
    head = bytes(file.buffer[:HEAD])
    if not head.strip():
        if file.damage:
            raise Refusal("log_damaged", f"{shown} cannot be unpacked: {file.damage}.", "Copy it again.")
        raise Refusal("log_empty", f"{shown} is empty: there is nothing to import.", "Is it the right file?")
    lines = [line for line in head.split(b"\n")[:1000] if line.strip()]
    found = list(map(parser(log, whose), lines))
    readable = any(not isinstance(one, Skip) or not one.is_fault for one in found)
    if head.startswith(WIDE) or (not readable and _is_binary(head)):
        raise Refusal(
            "log_binary", f"{shown} is not UTF-8 text.", "Is it the right file? If it is UTF-16, convert it first."
        )
    if all(isinstance(one, Skip) for one in found):
        for other in (*Format, *PLAIN):
            if other is not log and any(not isinstance(one, Skip) for one in map(parser(other, "any"), lines)):
                raise Usage("log_other_format", f"{shown} is not {log}: it reads as {other}.", f"Say --format {other}.")
    return lines[0]


def _is_binary(head: bytes) -> bool:
    """Holds NUL, or more than a tenth of bytes that no text has. Leading NULs are fine: a truncated log has them."""
    head = head.lstrip(b"\0")
    strange = sum(byte < 32 and byte not in b"\t\n\r\x1b" for byte in head) + head.decode(errors="replace").count("�")
    return b"\0" in head or strange > len(head) / 10
