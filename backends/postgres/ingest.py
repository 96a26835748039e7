"""Ingests a stream of request lines, stored every second or so in the same chunks and ledger as an import.

While the home is away nothing more is read, so that the writer of the stream waits; what was read is kept, and stored
once when the home is back. A stream that is fed again from its beginning continues where the ledger left off.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from backends.postgres.import_ledger import Chunk, Known, Ledger, Stored, running_hash
from backends.postgres.link import Link, connect
from backends.postgres.live import Revive
from backends.postgres.refusals import refusal_of
from backends.postgres.requests import SETTINGS, ImportRun, LogImport, ShowProgress, check
from backends.postgres.stream import Stream
from controlplane.errors import Conflict, Refusal
from controlplane.requestlogs.model import ImportReport, Skip
from controlplane.requestlogs.parsing import is_whole

FINISH_SECONDS = 600.0
"""How often an endless stream writes a row to the trail."""
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
SLOW_SECONDS = 30.0
"""The pause between retries when only a person can fix the trouble."""
STATEMENT_SECONDS = 60.0
LIVELY = ("tcp_keepalives_idle TO 10", "tcp_keepalives_interval TO 5", "tcp_keepalives_count TO 3")
"""The server ends a session whose connection was cut, too: until then that session holds the stream."""

Say = Callable[[str], None]
T = TypeVar("T")


async def ingest_requests(
    conninfo: str,
    job: LogImport,
    descriptor: int,
    say: Say,
    show: ShowProgress | None = None,
    revive: Revive | None = None,
) -> ImportReport:
    """`ingest` in a thread. When it is cancelled, it stores the whole lines that were read, and ends."""
    stream = Stream(descriptor)
    running = asyncio.ensure_future(asyncio.to_thread(ingest, conninfo, job, stream, say, show, revive))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stream.stop.set()
        return await running


def ingest(
    conninfo: str,
    job: LogImport,
    stream: Stream,
    say: Say,
    show: ShowProgress | None = None,
    revive: Revive | None = None,
) -> ImportReport:
    """Store what comes until the stream ends. Waits for a home that goes away, and starts it again where this program
    can (`revive`). Raises Refusal.
    """
    check(job)
    first_line = stream.first_line()
    try:
        ledger = PatientLedger(
            conninfo,
            say,
            stream.stop,
            create=job.create_tenants,
            reason=job.reason or "ingest of a stream",
            request_id=job.request_id,
            revive=revive,
        )
        run = IngestRun(ledger, job, stream, show or (lambda progress: None))
        try:
            run.run(first_line)
        finally:
            run.report.seconds = time.monotonic() - run.started
            ledger.connection.close()
        return run.report
    except psycopg.Error as error:
        refusal = refusal_of(error)
        hint = "What was stored stays, but the last lines may be missing: feed the stream again from its beginning."
        raise type(refusal)(refusal.code, refusal.message, f"{refusal.hint} {hint}".strip(), refusal.why) from None


class PatientLedger(Ledger):
    """A ledger whose home may go away: the interrupted step is retried when it is back."""

    def __init__(
        self,
        conninfo: str,
        say: Say,
        stop: threading.Event,
        *,
        create: bool,
        reason: str,
        request_id: str,
        revive: Revive | None = None,
    ) -> None:
        self.conninfo, self.say, self.stop, self.revive = conninfo, say, stop, revive
        self.source: bytes | None = None
        self._told, self._failures = "", 0
        super().__init__(self._connect(), create=create, reason=reason, request_id=request_id)
        self.is_stream = True

    def lock(self, source: bytes) -> None:
        self.source = source
        self._patiently(lambda: super(PatientLedger, self).lock(source))

    def refuse_used_request(self) -> None:
        self._patiently(super().refuse_used_request)

    def after(self, previous: bytes, first_line: bytes) -> list[Known]:
        return self._patiently(lambda: super(PatientLedger, self).after(previous, first_line))

    def known_tenants(self, ids: Iterable[str]) -> set[str]:
        wanted = list(ids)
        if self.connection.info.transaction_status is not TransactionStatus.IDLE:
            return super().known_tenants(wanted)  # part of a transaction that is retried as a whole
        return self._patiently(lambda: super(PatientLedger, self).known_tenants(wanted))

    def store(self, running: bytes, previous: bytes, chunk: Chunk) -> Generator[None, None, Stored]:
        write = partial(super().store, running, previous, chunk)
        return (yield from self._written(write, running, lambda left_out: left_out is not None))

    def store_left_out(self, known: Known, chunk: Chunk) -> Generator[None, None, Stored]:
        write = partial(super().store_left_out, known, chunk)
        return (yield from self._written(write, known.running, lambda left_out: left_out != known.left_out))

    def _written(
        self,
        write: Callable[[], Generator[None, None, Stored]],
        running: bytes,
        is_done: Callable[[list[str] | None], bool],
    ) -> Generator[None, None, Stored]:
        """Write until it is done. `is_done` gets the tenants that the ledger left out of the chunk; None when the chunk
        is not in the ledger.
        """
        statement = "SELECT left_out FROM wf.import_chunks WHERE running = %s"
        failed = False
        while True:
            self.attempt = None
            try:
                stored = yield from write()
            except psycopg.OperationalError as error:
                failed = True
                self._recover(error)
            else:
                self._is_well(after=failed)
                return stored
            found = self._patiently(lambda: self.connection.execute(statement, [running]).fetchone())
            if self.attempt is not None and is_done(found and found[0]):  # committed; only the answer was lost
                self.touched.add(running)
                self._is_well(after=True)
                return self.attempt

    def finish(self, totals: dict[str, Any], thing: str, tenant_id: str | None) -> None:
        self._patiently(lambda: super(PatientLedger, self).finish(totals, thing, tenant_id))

    def _patiently(self, act: Callable[[], T]) -> T:
        failed = False
        while True:
            try:
                result = act()
            except psycopg.OperationalError as error:
                failed = True
                self._recover(error)
            else:
                self._is_well(after=failed)
                return result

    def _connect(self) -> Link:
        return connect(self.conninfo, "ingest", statement=STATEMENT_SECONDS, idle=0, more=(*SETTINGS, *LIVELY))

    def _recover(self, error: psycopg.Error) -> None:
        """Wait until the step can be retried, and lock the stream again. Raises the error if it is stopped meanwhile.

        A home that answers but cannot store is not back: only the retried step's success shows that.
        """
        trouble = refusal_of(error)
        while True:
            self._tell(trouble)
            pause = SLOW_SECONDS if trouble.slow else RECONNECT_SECONDS[min(self._failures, len(RECONNECT_SECONDS) - 1)]
            self._failures += 1
            if self.stop.wait(pause):
                raise error
            try:
                if self.connection.closed or self.connection.broken:
                    self._revive()
                    self.connection = self._connect()
                    self.tenants = set()
                    if self.source is not None:
                        super().lock(self.source)
                return
            except psycopg.OperationalError as again:
                error, trouble = again, refusal_of(again)
            except Conflict as held:
                hint = "It may be this program's earlier session, which the server has not ended yet."
                trouble = Conflict(held.code, held.message, hint)
            except Refusal as away:
                trouble = away
            self.connection.close()

    def _tell(self, trouble: Refusal) -> None:
        """Report each trouble once, not with every retry."""
        if trouble.code != self._told:
            self._told = trouble.code
            self.say(f"{trouble.message} {trouble.hint} Waiting for it; what was read is kept.")

    def _is_well(self, *, after: bool) -> None:
        """Report that the failed step has succeeded. Another step's success proves nothing: a full disk can be read."""
        if after:
            self.say("The home is back.")
            self._told, self._failures = "", 0

    def _revive(self) -> None:
        """Raises Refusal: it cannot be started."""
        if self.revive is not None and self.revive():
            self.say("PostgreSQL had died: it was started again.")


class IngestRun(ImportRun):
    """An import whose log is still being written."""

    def __init__(self, ledger: PatientLedger, job: LogImport, stream: Stream, show: ShowProgress) -> None:
        super().__init__(ledger.connection, job, stream, show, ledger.stop)
        self.ledger, self.stream = ledger, stream
        stream.when_idle = self._end_storing  # while more comes, the next chunk is parsed as the server stores this one
        self.finished, self.finishes = time.monotonic(), 0

    def _store_rest(self, running: bytes) -> None:
        while size := self.stream.next_cut():
            data = self._up_to_whole_line(self.stream.take(size))
            if not data:
                break
            chunk = self._read(data, self.report)
            self.report.lines += chunk.lines
            self._advance(chunk.lines, chunk.ends_open)
            previous, running = running, running_hash(running, data)
            self._end_storing()
            self.storing = self._stored(running, previous, chunk)
            if time.monotonic() > self.finished + FINISH_SECONDS:
                self._end_storing()
                self._leave_trail()
        self._end_storing()

    def _up_to_whole_line(self, data: bytes) -> bytes:
        """Leave out a last line that the end of the stream cut off; when the stream is fed again, it comes whole."""
        start = data.rfind(b"\n") + 1
        over = self.stream.ended and not self.stream.buffer
        if over and start < len(data) and not is_whole(self.job.format, data[start:]):
            self.report.skip(Skip.UNFINISHED, self.line + data.count(b"\n"))
            return data[:start]
        return data

    def _leave_trail(self) -> None:
        """Write a row to the trail now and then, because a stream may never end."""
        self.finishes += 1
        request_id = self.ledger.request_id
        self.ledger.request_id = f"{request_id[:90]}/{self.finishes}"
        try:
            self.ledger.finish(self._totals(), self.name, self.job.tenant_id)
        finally:
            self.ledger.request_id = request_id
        self.ledger.touched.clear()
        self.finished = time.monotonic()
