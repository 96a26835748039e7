"""Request rows in the format of PostgreSQL's binary COPY: nothing to escape, nothing for the server to parse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from struct import Struct

import psycopg
from psycopg.rows import TupleRow

from controlplane.requestlogs.model import RequestRow

COPY = f"COPY wf.requests ({', '.join(RequestRow._fields)}) FROM STDIN (FORMAT binary)"
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
BATCH = 500
"""Rows sent at once: some 70 KiB, less than a socket buffers, so that sending seldom waits."""

_NULL = b"\xff\xff\xff\xff"
_COLUMNS = Struct(">h").pack(len(RequestRow._fields))
_length = Struct(">i").pack
_small = Struct(">ih").pack
_real = Struct(">if").pack
_big = Struct(">iq").pack
_latency_alone = Struct(">ifii").pack  # a latency, then two NULLs
_time_and_size = Struct(">iqiq").pack
_NO_CALLER = _NULL * 2
_INET = Struct(">iBBBB").pack(8, 2, 32, 0, 4)  # then the four bytes of one IPv4 address
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def _address(value: str | None) -> bytes:
    return _NULL if value is None else _INET + IPv4Address(value).packed


class Encoder:
    """Encodes one row; caches the encoded columns whose values repeat: the first five, key and region, the caller."""

    def __init__(self) -> None:
        self.starts: dict[tuple[str, str | None, str, str, int], bytes] = {}
        self.middles: dict[tuple[str | None, str | None], bytes] = {}
        self.callers: dict[tuple[str | None, str | None], bytes] = {(None, None): _NO_CALLER}

    def __call__(self, row: RequestRow) -> bytes:
        start = self.starts.get(row[:5])
        if start is None:
            if len(self.starts) >= 10_000:
                self.starts.clear()
            start = self.starts[row[:5]] = _COLUMNS + b"".join(map(_text, row[:4])) + _small(2, row.status)
        _, _, _, _, _, latency, key_prefix, region, request_id, at, size, key_id, address = row
        instant = (at - _EPOCH) // _MICROSECOND
        if (
            latency is not None
            and key_prefix is None
            and region is None
            and request_id is not None
            and size is not None
            and key_id is None
            and address is None
        ):
            name = request_id.encode()  # a fast path for the shape of nova's rows
            return b"".join(
                (
                    start,
                    _latency_alone(4, latency, -1, -1),
                    _length(len(name)),
                    name,
                    _time_and_size(8, instant, 8, size),
                    _NO_CALLER,
                )
            )
        return b"".join(
            (
                start,
                _NULL if latency is None else _real(4, latency),
                self.middles.get((key_prefix, region)) or self._middle(key_prefix, region),
                _text(request_id),
                _big(8, instant) + _NULL if size is None else _time_and_size(8, instant, 8, size),
                self.callers.get((key_id, address)) or self._caller(key_id, address),
            )
        )

    def _middle(self, key_prefix: str | None, region: str | None) -> bytes:
        if len(self.middles) >= 10_000:
            self.middles.clear()
        made = self.middles[key_prefix, region] = _text(key_prefix) + _text(region)
        return made

    def _caller(self, key_id: str | None, address: str | None) -> bytes:
        if len(self.callers) >= 10_000:
            self.callers.clear()
        made = self.callers[key_id, address] = _text(key_id) + _address(address)
        return made


def copy_rows(cursor: psycopg.Cursor[TupleRow], rows: list[bytes]) -> Iterator[None]:
    """Store encoded rows by COPY, within the caller's transaction; yields after each batch."""
    with cursor.copy(COPY) as copy:
        copy.write(HEADER)
        for start in range(0, len(rows), BATCH):
            copy.write(b"".join(rows[start : start + BATCH]))
            yield
        copy.write(TRAILER)
