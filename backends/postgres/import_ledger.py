"""The ledger of chunks: which parts of which logs are stored, written in the transactions that store their rows."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from struct import pack
from typing import Any
from zlib import crc32

import psycopg
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from backends.postgres.copying import copy_rows
from controlplane.errors import Conflict

OPERATION = "requests.import"
LOCK_SECONDS = 10
DAYS_AT_ONCE = 62
MARK = 4
"""Bytes of a line's mark."""
DAYS_MADE = 5
"""How often storing a chunk is retried because the partition of one of its days was made meanwhile."""


@dataclass(frozen=True)
class Known:
    """A chunk that is in the ledger."""

    running: bytes
    size: int
    lines: int
    rows: int
    ends_open: bool
    left_out: list[str]
    finished: bool
    marks: bytes


@dataclass
class Chunk:
    """Some lines of a log, parsed: their requests by tenant, encoded for COPY."""

    size: int
    lines: int
    ends_open: bool
    marks: bytes
    rows: dict[str, list[bytes]] = field(default_factory=dict)
    days: set[int] = field(default_factory=set)  # ordinals
    from_at: datetime | None = None
    until_at: datetime | None = None


@dataclass(frozen=True)
class Stored:
    """What became of a chunk: rows stored, tenants made, and how many rows of which tenants were left out."""

    rows: int
    created: list[str]
    left_out: dict[str, int]


class Ledger:
    """One connection's use of the ledger, in autocommit mode."""

    def __init__(self, connection: psycopg.Connection[TupleRow], *, create: bool, reason: str, request_id: str) -> None:
        self.connection = connection
        self.create, self.reason, self.request_id = create, reason, request_id
        self.tenants: set[str] = set()
        self.beginning = b""  # the running hash before a log's first byte
        self.touched: set[bytes] = set()
        self.attempt: Stored | None = None  # what the latest transaction stores, if it is committed
        self.is_stream = False  # if so, workers roll it up minute by minute, and readers read its raw rows until then

    def lock(self, source: bytes) -> None:
        """Lock the log for this session, or two imports of one log would both store it. Raises Conflict."""
        deadline = time.monotonic() + LOCK_SECONDS
        while self.connection.execute("SELECT wf.hold_import(%s)", [source]).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise Conflict(
                    "import_running",
                    "The same log is being imported by another program.",
                    "Wait for it, then try again.",
                )
            time.sleep(0.1)

    def refuse_used_request(self) -> None:
        found = self.connection.execute("SELECT 1 FROM wf.changes WHERE request_id = %s", [self.request_id]).fetchone()
        if found:
            raise Conflict(
                "request_id_used",
                f"The request id {self.request_id} was used before.",
                "Leave it out, or take another.",
            )

    def after(self, previous: bytes, first_line: bytes) -> list[Known]:
        """The known chunks that follow `previous` and may begin with that line, shortest first."""
        with self.connection.cursor(row_factory=class_row(Known)) as cursor:
            return cursor.execute(
                "SELECT running, size, lines, rows, ends_open, left_out, change_id IS NOT NULL AS finished, marks"
                " FROM wf.import_chunks WHERE previous = %s AND substr(marks, 1, %s) IN ('', %s) ORDER BY size",
                [previous, MARK, marks_of(first_line + b"\n")],
            ).fetchall()

    def known_tenants(self, ids: Iterable[str]) -> set[str]:
        """The tenants that the home has. An erased one is not among them: it gets no more telemetry."""
        if new := list(set(ids) - self.tenants):
            found = self.connection.execute(
                "SELECT id FROM wf.tenants WHERE id = ANY(%s) AND status <> 'erased'", [new]
            ).fetchall()
            self.tenants.update(row[0] for row in found)
        return self.tenants

    def store(self, running: bytes, previous: bytes, chunk: Chunk) -> Generator[None, None, Stored]:
        """Store a new chunk, all of it or nothing. Yields while the server works; at the end it is on the disk."""
        stored = yield from self._in_its_day(lambda: self._store(running, previous, chunk))
        self.touched.add(running)
        return stored

    def _in_its_day(self, write: Callable[[], Generator[None, None, Stored]]) -> Generator[None, None, Stored]:
        """Retry when a day's partition was made while the day's rows were on their way to the default partition."""
        left = DAYS_MADE
        while True:
            tenants = set(self.tenants)
            try:
                return (yield from write())
            except psycopg.Error as error:
                self.tenants = tenants  # tenants made in this transaction were rolled back
                left -= 1
                if not is_made_meanwhile(error) or not left:
                    raise

    def _store(self, running: bytes, previous: bytes, chunk: Chunk) -> Generator[None, None, Stored]:
        self._ensure_days(chunk.days)
        with self.connection.transaction():
            self._refuse_hole(previous)
            created = self._create_tenants(chunk.rows)
            known = self.known_tenants(chunk.rows)
            left_out = {id: len(rows) for id, rows in chunk.rows.items() if id not in known}
            rows = yield from self._copy(chunk, left_out)
            self.connection.execute(
                "INSERT INTO wf.import_chunks"
                " (running, previous, size, lines, rows, ends_open, left_out, from_at, until_at, days, marks)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    running,
                    previous,
                    chunk.size,
                    chunk.lines,
                    rows,
                    chunk.ends_open,
                    sorted(left_out),
                    chunk.from_at,
                    chunk.until_at,
                    [date.fromordinal(day) for day in sorted(chunk.days)],
                    chunk.marks,
                ],
            )
            self.attempt = Stored(rows, created, left_out)
        return self.attempt

    def _refuse_hole(self, previous: bytes) -> None:
        """Refuse a chunk whose predecessor is missing: across a gap, the same log would not be recognised again."""
        known = "SELECT 1 FROM wf.import_chunks WHERE running = %s"
        if previous != self.beginning and not self.connection.execute(known, [previous]).fetchone():
            raise went_back()

    def store_left_out(self, known: Known, chunk: Chunk) -> Generator[None, None, Stored]:
        """Store the rows of a known chunk whose tenants were unknown at the time and are known now."""
        stored = yield from self._in_its_day(lambda: self._store_left_out(known, chunk))
        self.touched.add(known.running)
        return stored

    def _store_left_out(self, known: Known, chunk: Chunk) -> Generator[None, None, Stored]:
        late = set(known.left_out)
        wanted = {id: rows for id, rows in chunk.rows.items() if id in late}
        self._ensure_days(chunk.days)
        with self.connection.transaction():
            created = self._create_tenants(wanted)
            known_now = self.known_tenants(wanted)
            still = {id: len(rows) for id, rows in wanted.items() if id not in known_now}
            chunk.rows = wanted
            rows = yield from self._copy(chunk, still)
            if rows:
                updated = self.connection.execute(
                    "UPDATE wf.import_chunks SET rows = rows + %s, left_out = %s, change_id = NULL WHERE running = %s",
                    [rows, sorted(still), known.running],
                )
                if not updated.rowcount:
                    raise went_back()
            self.attempt = Stored(rows, created, still)
        return self.attempt

    def _ensure_days(self, days: set[int]) -> None:
        for first, last in list(_ranges(days, DAYS_AT_ONCE))[:DAYS_AT_ONCE]:
            try:
                self.connection.execute("SELECT wf.ensure_request_days(%s, %s)", [first, last])
            except psycopg.errors.LockNotAvailable:
                return  # a long read blocks it; the default partition takes the rows

    def _create_tenants(self, ids: Iterable[str]) -> list[str]:
        missing = set(ids) - self.known_tenants(ids) if self.create else set()
        if not missing:
            return []
        self.connection.execute(
            "SELECT wf.begin_change(%s, %s, %s)",
            [OPERATION, self.reason, f"{self.request_id[:80]}/{uuid.uuid4().hex[:8]}"],
        )
        return ensure_tenants(self.connection.cursor(), missing)

    def _copy(self, chunk: Chunk, left_out: dict[str, int]) -> Generator[None, None, int]:
        rows = [row for id, rows in chunk.rows.items() if id not in left_out for row in rows]
        if rows:
            yield from copy_rows(self.connection.cursor(), rows)
        return len(rows)

    def finish(self, totals: dict[str, Any], thing: str, tenant_id: str | None) -> None:
        """Roll up what was stored, and write one row to the trail. Does nothing when nothing was stored."""
        touched = list(self.touched)
        found = self.connection.execute(
            "SELECT days, from_at, until_at, change_id FROM wf.import_chunks WHERE running = ANY(%s)", [touched]
        ).fetchall()
        if len(found) < len(touched):
            raise went_back()
        unfinished = [row for row in found if row[3] is None]
        if not unfinished:
            return
        if self.is_stream:
            self.connection.execute("SELECT wf.refresh_activity()")
        elif times := [row for row in unfinished if row[1] is not None]:
            self._roll_up({day.toordinal() for row in times for day in row[0]}, times)
        with self.connection.transaction():
            row = self.connection.execute(
                "SELECT wf.begin_change(%s, %s, %s)", [OPERATION, self.reason, self.request_id]
            ).fetchone()
            self.connection.execute("SELECT wf.note('requests', %s, %s, %s)", [thing, tenant_id, Jsonb(totals)])
            self.connection.execute(
                "UPDATE wf.import_chunks SET change_id = %s WHERE running = ANY(%s) AND change_id IS NULL",
                [row and row[0], touched],
            )
            self.connection.execute("SELECT wf.finish_change(%s)", [Jsonb(totals)])

    def _roll_up(self, days: set[int], times: list[TupleRow]) -> None:
        earliest, latest = min(row[1] for row in times), max(row[2] for row in times)
        for first, last in _ranges(days, 7):
            lower = datetime(first.year, first.month, first.day, tzinfo=UTC)
            upper = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=UTC)
            self.connection.execute(
                "SELECT wf.roll_up_hours(%s, %s)", [max(lower, earliest), min(upper, max(latest, lower))]
            )
        self.connection.execute("SELECT wf.refresh_activity()")


def running_hash(running: bytes, data: bytes) -> bytes:
    hashed = hashlib.sha256(running)
    hashed.update(data)
    return hashed.digest()


def marks_of(data: bytes) -> bytes:
    """A CRC-32 for each complete line, so that a chunk is recognised by its first lines before all of it has come."""
    lines = data.split(b"\n")[:-1]
    return pack(f">{len(lines)}I", *map(crc32, lines))


def went_back() -> Conflict:
    return Conflict(
        "home_went_back",
        "The home no longer has lines of this log that it had stored: it was restored from a backup,"
        " or a server with older data took its place.",
        "Feed the log again from its beginning: lines that the home has are recognised, the rest is stored.",
    )


def is_made_meanwhile(error: psycopg.Error) -> bool:
    """Whether the default partition refused a row because the partition of its day was made a moment ago."""
    return isinstance(error, psycopg.errors.CheckViolation) and not error.diag.constraint_name


def ensure_tenants(cursor: psycopg.Cursor[TupleRow], ids: Iterable[str]) -> list[str]:
    """Create the tenants that do not exist, named after their ids, within the open change. Returns the ids of the new
    ones.
    """
    cursor.execute(
        "INSERT INTO wf.tenants (id, name) SELECT id, id FROM unnest(%s::text[]) AS id ON CONFLICT DO NOTHING"
        " RETURNING id",
        [sorted(ids)],
    )
    return sorted(row[0] for row in cursor.fetchall())


def _ranges(days: set[int], longest: int) -> list[tuple[date, date]]:
    """Days (ordinals) as (first, last) of runs without a gap, each at most `longest` days."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][1] + 1 and day - runs[-1][0] < longest:
            runs[-1][1] = day
        else:
            runs.append([day, day])
    return [(date.fromordinal(first), date.fromordinal(last)) for first, last in runs]
