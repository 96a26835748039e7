"""A stream of request lines: stored once, whatever happens to the home, the stream or this program."""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.postgres import ingest as module
from backends.postgres import stream
from backends.postgres.ingest import ingest
from backends.postgres.live import Revive
from backends.postgres.requests import LogImport, ShowProgress, import_log
from backends.postgres.stream import Stream
from controlplane.requestlogs.model import Format, ImportReport, Skip
from tests.postgres import Database

JOB = LogImport(Path("stdin"), Format.JSONL, request_id="r-1")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(module, "RECONNECT_SECONDS", (0.02,))


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connection


def lines(first: int, last: int) -> bytes:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC).isoformat()
    rows = [
        {"tenant_id": "acme", "route": "/a", "status": 200, "at": at, "request_id": str(n)} for n in range(first, last)
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


class Piped:
    """An ingest in a thread, fed through a pipe."""

    def __init__(
        self, database: Database, number: int = 1, show: ShowProgress | None = None, revive: Revive | None = None
    ) -> None:
        self.out, self.into = os.pipe()
        self.said: list[str] = []
        self.stream = Stream(self.out)
        job = replace(JOB, request_id=f"r-{number}")
        arguments = (database.login("operator"), job, self.stream, self.said.append, show, revive)
        self.running: Future[ImportReport] = Future()
        threading.Thread(target=self._run, args=arguments, daemon=True).start()  # a test that fails leaves it

    def _run(self, *arguments: Any) -> None:
        try:
            self.running.set_result(ingest(*arguments))
        except Exception as error:
            self.running.set_exception(error)

    def feed(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self.running.done():
                raise AssertionError("the ingest has ended") from self.running.exception()
            if select.select([], [self.into], [], 0.1)[1]:
                view = view[os.write(self.into, view[: select.PIPE_BUF]) :]

    def end(self, seconds: float = 20) -> ImportReport:
        os.close(self.into)
        try:
            return self.running.result(seconds)
        finally:
            os.close(self.out)


def until(connection: psycopg.Connection[Any], count: int) -> None:
    for _ in range(1000):
        if stored(connection) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{stored(connection)} of {count}")


def stored(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*), count(DISTINCT request_id) FROM wf.requests").fetchone()
    assert row is not None and row[0] == row[1], "nothing twice"
    return int(row[0])


def test_lines_are_stored_while_the_stream_goes_on(database: Database, connection: psycopg.Connection[Any]) -> None:
    piped = Piped(database)
    piped.feed(lines(0, 5))
    until(connection, 5)
    piped.feed(lines(5, 7) + lines(7, 8)[:30])
    until(connection, 7)
    piped.feed(lines(7, 8)[30:] + b'{"tenant_id": "acme", "route": "/a", "sta')
    report = piped.end()
    assert (report.rows, report.skipped) == (8, {Skip.UNFINISHED: 1})
    trail = connection.execute("SELECT operation, after ->> 'rows' FROM wf.audit WHERE noun = 'requests'").fetchall()
    assert trail == [("requests.import", "8")]


def test_a_stream_from_its_beginning_goes_on(
    database: Database, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    first = Piped(database)
    first.feed(lines(0, 5))
    until(connection, 5)
    first.feed(lines(5, 9))
    first.end()
    second = Piped(database, 2)
    second.feed(lines(0, 12))
    assert (second.end().rows, stored(connection)) == (3, 12)
    other = Piped(database, 3)
    other.feed(lines(100, 101))  # another stream: it does not begin as the first did
    assert (other.end().rows, stored(connection)) == (1, 13)
    file = tmp_path / "same.jsonl"
    file.write_bytes(lines(0, 14))
    report = import_log(database.login("operator"), replace(JOB, path=file, request_id="r-4"))
    assert (report.rows, stored(connection)) == (2, 15)


def test_a_home_that_goes_away_is_waited_for(database: Database, connection: psycopg.Connection[Any]) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'watchfloor ingest'"
    piped = Piped(database)
    piped.feed(lines(1200, 1201))
    until(connection, 1)  # a home that was never there is refused, not waited for
    for round in range(6):
        piped.feed(lines(round * 200, round * 200 + 100))
        connection.execute(cut)
        piped.feed(lines(round * 200 + 100, round * 200 + 200))
    until(connection, 1201)
    assert piped.end().rows == 1201
    assert "The home is back." in piped.said


def test_a_home_that_goes_away_while_late_tenants_are_stored_is_waited_for(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    late = lines(0, 5).replace(b"acme", b"beta")
    first = Piped(database)
    first.feed(late)
    report = first.end()
    assert (report.rows, report.skipped) == (0, {Skip.UNKNOWN_TENANT: 5})
    connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('beta', 'Beta')")
    waits = "SELECT pid FROM pg_stat_activity WHERE application_name = 'watchfloor ingest' AND wait_event_type = 'Lock'"
    with psycopg.connect(database.owner) as blocker:
        blocker.execute("LOCK TABLE wf.import_chunks IN EXCLUSIVE MODE")
        again = Piped(database, 2)
        again.feed(late)
        while (waiting := connection.execute(waits).fetchone()) is None:
            assert not again.running.done()
        connection.execute("SELECT pg_terminate_backend(%s)", waiting)
    until(connection, 5)
    assert (again.end().rows, stored(connection)) == (5, 5)
    assert "The home is back." in again.said


def test_a_writer_that_is_faster_waits(
    database: Database, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHUNK", 1 << 16)
    with psycopg.connect(database.owner) as blocker:
        blocker.execute("LOCK TABLE wf.import_chunks IN EXCLUSIVE MODE")
        piped = Piped(database)
        feeding = threading.Thread(target=piped.feed, args=[lines(0, 20_000)])
        feeding.start()
        feeding.join(0.6)
        assert feeding.is_alive(), "the pipe is full"
    feeding.join(20)
    assert (piped.end().rows, stored(connection)) == (20_000, 20_000)


def test_stopping_stores_the_whole_lines(database: Database, connection: psycopg.Connection[Any]) -> None:
    piped = Piped(database)
    piped.feed(lines(0, 3) + b"{")
    until(connection, 3)
    piped.stream.stop.set()
    assert piped.running.result(20).rows == 3
    piped.end()
