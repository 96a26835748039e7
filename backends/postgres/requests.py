"""Imports request logs by COPY, so that a kill at any point loses nothing and repeats nothing.

A log is cut into chunks. Each is stored in one transaction together with its row in the ledger `wf.import_chunks`,
which names the chunk by the hash of the whole log up to its end. An import first skips the chunks that the ledger
knows, as far as the log's content agrees, and stores what comes after them.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, AnyStr

import psycopg

from backends.postgres.copying import Encoder
from backends.postgres.import_ledger import Chunk, Known, Ledger, Stored, marks_of, running_hash
from backends.postgres.link import connect
from backends.postgres.logfile import LogFile, look_at, opened
from backends.postgres.recognition import recognised
from backends.postgres.refusals import refusal_of
from controlplane.errors import NotFound, Refusal
from controlplane.requestlogs.mappings import LogMapping, TenantSource
from controlplane.requestlogs.model import (
    FIRST_LINES,
    MAX_LINE_BYTES,
    ImportReport,
    Progress,
    RequestRow,
    Skip,
)
from controlplane.requestlogs.parsing import Log, Whose, check_whose, guarded, is_whole, reader
from controlplane.requestlogs.telling import FINE, FIRST, first_lines, nothing_taken
from controlplane.text import clean

STRIDE = 400
"""Lines parsed between two batches sent: fewer than a batch holds, so that sending stays ahead of parsing."""
STATEMENT_SECONDS = 600.0
SETTINGS = ("synchronous_commit TO on",)
"""A chunk that is reported as stored is on the disk, whatever the server's own setting."""


@dataclass(frozen=True)
class LogImport:
    """What to import, and how. For a format that does not name tenants, one of `tenant_id` (whose log it is) and
    `tenant_from` (where its lines say it).
    """

    path: Path
    format: Log
    tenant_id: str | None = None
    create_tenants: bool = False
    strict: bool = False
    dry_run: bool = False
    reason: str | None = None
    request_id: str = field(default_factory=lambda: f"wf-{uuid.uuid4().hex[:24]}")
    tenant_from: TenantSource | None = None

    @property
    def whose(self) -> Whose:
        return self.tenant_id or self.tenant_from


ShowProgress = Callable[[Progress], None]


async def import_requests(conninfo: str, job: LogImport, show: ShowProgress | None = None) -> ImportReport:
    """`import_log` in a thread. When it is cancelled, the import ends cleanly after the current chunk."""
    stop = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(import_log, conninfo, job, show, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await running
        raise


def import_log(
    conninfo: str, job: LogImport, show: ShowProgress | None = None, stop: threading.Event | None = None
) -> ImportReport:
    """Import a log; what is stored already is recognised by its content and not stored again.

    `show` is called after every chunk, in this thread. Raises Refusal; what was stored before stays, and the next
    import of the same log continues after it.
    """
    check(job)
    started = time.monotonic()
    with opened(job.path) as file:
        first_line = look_at(file, job.format, job.whose, job.path)
        try:
            with connect(conninfo, "import", statement=STATEMENT_SECONDS, idle=0, more=SETTINGS) as connection:
                work = ImportRun(connection, job, file, show or (lambda progress: None), stop or threading.Event())
                try:
                    work.run(first_line)
                finally:
                    work.report.seconds = time.monotonic() - started
                return work.report
        except psycopg.Error as error:
            refusal = refusal_of(error)
            hint = "What was stored stays; import the log again, and it goes on from there."
            raise type(refusal)(refusal.code, refusal.message, f"{refusal.hint} {hint}".strip(), refusal.why) from None


def check(job: LogImport) -> None:
    check_whose(job.format, job.tenant_id, job.tenant_from)


class ImportRun:
    """One run of an import."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        job: LogImport,
        file: LogFile,
        show: ShowProgress,
        stop: threading.Event,
    ) -> None:
        self.job, self.file, self.show, self.stop = job, file, show, stop
        self.name = clean(job.path.name, 200)
        self.ledger = Ledger(
            connection,
            create=job.create_tenants,
            reason=job.reason or f"import of {self.name}",
            request_id=job.request_id,
        )
        self.report = ImportReport(dry_run=job.dry_run)
        self.reads, self.encode = reader(job.format, job.whose), Encoder()
        self.parse = guarded(self.reads)
        self.first: list[bytes] = []  # the first lines, to report how they are read
        self.before = ImportReport()  # of known chunks from which an earlier import stored nothing
        self.line = 1  # the number of the next line that begins
        self.open_line = False  # the next bytes still belong to the previous line
        self.storing: Iterator[None] = iter(())  # stores the previous chunk: each step sends some of it
        self.first_of: dict[str, int] = {}  # tenant → the line of its first request
        self.started = time.monotonic()

    def run(self, first_line: bytes) -> None:
        running = self.ledger.beginning = self.seed()
        if not self.job.dry_run:
            self.ledger.refuse_used_request()
            self.ledger.lock(hashlib.sha256(running + first_line).digest())
        self._check_tenant()
        fault: Refusal | None = None
        try:
            self._store_rest(self._follow(running))
        except Refusal as refusal:
            fault = refusal
        self._say_what_is_odd()
        self.report.first = first_lines(self.first, self.parse) if self.job.dry_run else []
        if not self.job.dry_run:
            self.ledger.finish(self._totals(), self.name, self.job.tenant_id)
        if fault is not None:
            raise fault
        self._refuse_nothing()
        if self.job.strict and self.file.damage:
            raise Refusal(
                "log_damaged", self.report.notes[0], "Copy the log again and import it: it goes on from there."
            )

    def _refuse_nothing(self) -> None:
        """Refuse a log of which nothing was stored, now or before, unless every line was rightly skipped."""
        report, before = self.report, self.before
        if report.rows or report.already_rows or report.unknown_tenants or self.stop.is_set():
            return
        report.skipped = report.skipped or before.skipped
        if set(report.skipped) <= FINE:
            return
        raise nothing_taken(self.name, self.job.format, self.job.whose, report, self.first)

    def seed(self) -> bytes:
        """The running hash before the first byte: of the format and of whose log it is."""
        log, source = self.job.format, self.job.tenant_from
        read_as = log.identity if isinstance(log, LogMapping) else log
        whose = f"from {source}" if source else self.job.tenant_id or ""
        seed = f"watchfloor requests 1\n{read_as}\n{whose}\n".encode()
        return hashlib.sha256(seed).digest()

    def _check_tenant(self) -> None:
        tenant_id = self.job.tenant_id
        if tenant_id is None or self.job.create_tenants or tenant_id in self.ledger.known_tenants([tenant_id]):
            return
        raise NotFound("tenant_not_found", f"There is no tenant {tenant_id}.", "Add --create-tenants to make it.")

    # What the ledger knows

    def _follow(self, running: bytes) -> bytes:
        """Skip what is stored already. Returns the running hash at its end."""
        while not self.stop.is_set() and (known := self._recognised(running)):
            data = self.file.take(known.size)
            if not known.finished:
                self.ledger.touched.add(known.running)
                self.report.resumed_rows += known.rows
            if known.left_out:
                self._fill(known, data)
            self.report.already_lines += known.lines
            self.report.already_rows += min(known.rows, known.lines)
            if not known.rows and not known.left_out:
                self._read(data, self.before)
            self._advance(known.lines, known.ends_open)
            running = known.running
        return running

    def _recognised(self, running: bytes) -> Known | None:
        line = self.file.first_line()
        known = self.ledger.after(running, line) if self.file.buffer else []
        return recognised(self.file, running, known, self.job.format)

    def _fill(self, known: Known, data: bytes) -> None:
        """Store rows that an earlier import left out because their tenants were unknown."""
        if not self.job.create_tenants and self.ledger.known_tenants(known.left_out).isdisjoint(known.left_out):
            self._name_unknown(known.left_out)
            return
        chunk = self._read(data, ImportReport())
        if not self.job.dry_run:
            self.storing = self._stored_late(known, chunk)
            self._end_storing()

    def _stored_late(self, known: Known, chunk: Chunk) -> Iterator[None]:
        self._count((yield from self.ledger.store_left_out(known, chunk)), chunk)

    # What is new

    def _store_rest(self, running: bytes) -> None:
        """Read and parse a chunk while the server stores the one before."""
        fault: Refusal | None = None
        while fault is None and not self.stop.is_set() and self.file.fill(1):
            data = self._whole_lines(self.file.take(self.file.next_cut()))
            if self.job.strict:
                data, fault = self._up_to_fault(data)
            if not data:
                break
            chunk = self._read(data, self.report)
            self.report.lines += chunk.lines
            self._advance(chunk.lines, chunk.ends_open)
            self._end_storing()
            previous, running = running, running_hash(running, data)
            self.storing = self._stored(running, previous, chunk)
        self._end_storing()
        if fault is not None:
            raise fault

    def _stored(self, running: bytes, previous: bytes, chunk: Chunk) -> Iterator[None]:
        if self.job.dry_run:
            self._count(self._would_store(chunk), chunk)
        else:
            self._count((yield from self.ledger.store(running, previous, chunk)), chunk)

    def _end_storing(self) -> None:
        for _ in self.storing:
            pass

    def _would_store(self, chunk: Chunk) -> Stored:
        unknown = set(chunk.rows) - self.ledger.known_tenants(chunk.rows)
        left_out = {} if self.job.create_tenants else {id: len(chunk.rows[id]) for id in unknown}
        rows = sum(map(len, chunk.rows.values())) - sum(left_out.values())
        return Stored(rows, sorted(unknown - set(left_out) - set(self.report.created_tenants)), left_out)

    def _whole_lines(self, data: bytes) -> bytes:
        """Leave out a last line that is still being written or was cut off: a later import finds it whole."""
        start = data.rfind(b"\n") + 1
        begins_here = start > 0 or not self.open_line
        if not self.file.fill(1) and begins_here and start < len(data) and not is_whole(self.job.format, data[start:]):
            number = self.line + data.count(b"\n") - (1 if self.open_line else 0)
            self.report.skip(Skip.UNFINISHED, number)
            return data[:start]
        return data

    def _up_to_fault(self, data: bytes) -> tuple[bytes, Refusal | None]:
        """What comes before the first unreadable line, and the refusal for that line; None when there is none."""
        start = (data.find(b"\n") + 1 or len(data)) if self.open_line else 0
        for number, line in enumerate(_lines(data[start:], b"\n"), self.line):
            found = self.parse(line)
            if isinstance(found, Skip) and found.is_fault:
                return data[:start], self._unreadable(found, number)
            start += len(line) + 1
        if lines := self.report.first_lines.get(Skip.UNFINISHED):
            return data, self._unreadable(Skip.UNFINISHED, lines[0])
        return data, None

    def _unreadable(self, reason: Skip, line: int) -> Refusal:
        return Refusal(
            "log_line_unreadable",
            f"Line {line:,} of {self.name} cannot be read: {reason.words}. The lines before it are stored.",
            "Correct the line and import again, or leave --strict out to skip such lines.",
            why=[f"--strict stops at {reason.value}"],
        )

    def _read(self, data: bytes, report: ImportReport) -> Chunk:
        """Parse and encode a chunk; skipped lines are counted in the report."""
        start = (data.find(b"\n") + 1 or len(data)) if self.open_line else 0
        if len(self.first) < FIRST:
            self.first += _lines(data[start : start + 2 * MAX_LINE_BYTES], b"\n")[: FIRST - len(self.first)]
        parse, lines = self._parser_for(data[start:] if start else data)
        chunk = Chunk(len(data), len(lines), not data.endswith(b"\n"), marks_of(data))
        encode, rows, times = self.encode, chunk.rows, []
        for number, line in enumerate(lines, self.line):
            if not number % STRIDE:
                next(self.storing, None)
            row = parse(line)
            if row.__class__ is not RequestRow:
                report.skip(row, number)
                continue
            mine = rows.get(row[0])
            if mine is None:
                mine = rows[row[0]] = []
                self.first_of.setdefault(row[0], number)
            mine.append(encode(row))
            times.append(row[9])
        if times:
            chunk.from_at, chunk.until_at = min(times), max(times)
            alone = chunk.from_at.date() == chunk.until_at.date()
            chunk.days = {chunk.from_at.toordinal()} if alone else {time.toordinal() for time in times}
        return chunk

    def _parser_for(self, data: bytes) -> tuple[Callable[[Any], Any], list[Any]]:
        """The chunk's lines with their parser: decoded as a whole where it is all UTF-8, else line by line."""
        try:
            lines = _lines(data.decode(), "\n")
        except UnicodeDecodeError:
            return self.parse, _lines(data, b"\n")
        if b"\0" in data or max(map(len, lines), default=0) * 4 > MAX_LINE_BYTES:
            return self.parse, _lines(data, b"\n")
        return self.reads, lines

    def _advance(self, lines: int, ends_open: bool) -> None:
        self.line += lines
        self.open_line = ends_open

    # What is told

    def _count(self, stored: Stored, chunk: Chunk) -> None:
        report = self.report
        report.rows += stored.rows
        report.created_tenants += stored.created
        for tenant_id, rows in stored.left_out.items():
            report.skip(Skip.UNKNOWN_TENANT, self.first_of[tenant_id])
            report.skipped[Skip.UNKNOWN_TENANT] += rows - 1
        self._name_unknown(stored.left_out)
        if chunk.from_at is not None and chunk.until_at is not None:
            report.from_at = min(report.from_at or chunk.from_at, chunk.from_at)
            report.until_at = max(report.until_at or chunk.until_at, chunk.until_at)
        seconds = max(time.monotonic() - self.started, 1e-6)
        self.show(Progress(self.file.bytes_done, self.file.size, report.rows, report.rows / seconds))

    def _name_unknown(self, ids: Any) -> None:
        known = self.report.unknown_tenants
        known += [id for id in ids if id not in known][: FIRST_LINES - len(known)]

    def _say_what_is_odd(self) -> None:
        report = self.report
        if self.file.damage:
            report.notes.append(f"{self.name} is not whole: {self.file.damage}. What comes before that is stored.")
        if self.stop.is_set():
            report.notes.append(f"Stopped before line {self.line:,}; import the log again, and it goes on from there.")

    def _totals(self) -> dict[str, Any]:
        report = self.report
        return {
            "file": self.name,
            "format": str(self.job.format),
            "rows": report.rows,
            "resumed_rows": report.resumed_rows,
            "lines": report.lines,
            "skipped": {reason.value: n for reason, n in report.skipped.items()},
            "created_tenants": len(report.created_tenants),
            "from_at": report.from_at and report.from_at.isoformat(),
            "until_at": report.until_at and report.until_at.isoformat(),
        }


def _lines(data: AnyStr, end: AnyStr) -> list[AnyStr]:
    lines = data.split(end)
    if not lines[-1]:
        lines.pop()
    return lines
