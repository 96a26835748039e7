"""PostgreSQL crashes while logs come in: what was told to be stored is there, and nothing is there twice."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.postgres import ingest as streaming
from backends.postgres import logfile, stream
from backends.postgres.requests import import_log
from controlplane.errors import Refusal
from controlplane.requestlogs.model import Progress
from tests.backends.test_ingest import JOB, Piped, lines, stored, until
from tests.postgres import Database, Server, running_server

LINES = 6_000
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that may crash without taking other tests' sessions with it."""
    with running_server() as server:
        server.make_template()
        yield server


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Database:
    for module in (stream, logfile):
        monkeypatch.setattr(module, "CHUNK", 1 << 14)
    monkeypatch.setattr(streaming, "RECONNECT_SECONDS", (0.05,))
    name = f"crash{next(_numbers)}"
    with connected(server.credentials.owner_conninfo("postgres")) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template_watchfloor".encode())
    database = Database(server.credentials.owner_conninfo(name), name)
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    return database


class Crashes:
    """Kills a session of the server after the chosen chunks: then the whole server ends all others, and recovers."""

    def __init__(self, database: Database, after: set[int]) -> None:
        self.database, self.after, self.chunks = database, after, 0

    def __call__(self, progress: Progress) -> None:
        self.chunks += 1
        if self.chunks in self.after:
            with psycopg.connect(self.database.owner) as victim:
                os.kill(victim.info.backend_pid, signal.SIGKILL)


def connected(conninfo: str) -> psycopg.Connection[Any]:
    """Waits for a server that recovers."""
    for _ in range(1000):
        with contextlib.suppress(psycopg.OperationalError):
            return psycopg.connect(conninfo, autocommit=True)
        threading.Event().wait(0.02)
    return psycopg.connect(conninfo, autocommit=True)


def counted(database: Database) -> int:
    with connected(database.owner) as connection:
        return stored(connection)


def holes(database: Database) -> int:
    """Chunks whose one before is not there: a log that comes again is not recognised after it."""
    with psycopg.connect(database.owner) as connection:
        row = connection.execute(
            "SELECT count(*) - 1 FROM wf.import_chunks c"
            " WHERE NOT EXISTS (SELECT FROM wf.import_chunks b WHERE b.running = c.previous)"
        ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_outlives_crashes_of_the_server(database: Database, seed: int) -> None:
    crashes = Crashes(database, {1, *random.Random(seed).sample(range(2, 35), 3)})
    piped = Piped(database, show=crashes)
    piped.feed(lines(0, LINES))
    report = piped.end(60)
    assert crashes.chunks > 35
    assert (report.rows, counted(database), holes(database)) == (LINES, LINES, 0)
    again = Piped(database, 2)
    again.feed(lines(0, LINES))
    assert (again.end().rows, counted(database)) == (0, LINES)
    with psycopg.connect(database.owner) as connection:
        told = "SELECT sum((after ->> 'rows')::int) FROM wf.audit WHERE noun = 'requests'"
        assert connection.execute(told).fetchone() == (LINES,)


def test_an_import_goes_on_after_crashes_of_the_server(database: Database, tmp_path: Path) -> None:
    job = replace(JOB, path=tmp_path / "log.jsonl")
    job.path.write_bytes(lines(0, LINES))
    login, crashes = database.login("operator"), Crashes(database, {1, 8, 20})
    for number in range(3):
        with pytest.raises(Refusal) as refused:
            import_log(login, replace(job, request_id=f"i-{number}"), crashes)
        assert "it goes on from there" in refused.value.hint
        with connected(database.owner) as connection:
            known = connection.execute("SELECT count(*) FROM wf.import_chunks").fetchone()
            assert known == (crashes.chunks,), "what was shown as stored is stored"
    report = import_log(login, job)
    assert (report.rows + report.resumed_rows, counted(database), holes(database)) == (LINES, LINES, 0)
    assert import_log(login, replace(job, request_id="i-9")).rows == 0


def test_a_home_that_lost_what_it_had_is_said(database: Database) -> None:
    """As when a copy with older data takes the server's place: the stream has to come again from its beginning."""
    piped = Piped(database)
    piped.feed(lines(0, 100))
    with psycopg.connect(database.owner, autocommit=True) as owner:
        until(owner, 100)
        for table in ("requests", "import_chunks"):
            owner.execute(f"DELETE FROM wf.{table}".encode())
    piped.feed(lines(100, 200))
    with pytest.raises(Refusal, match="home_went_back"):
        piped.end()
    assert counted(database) == 0
    again = Piped(database, 2)
    again.feed(lines(0, 200))
    assert (again.end().rows, counted(database), holes(database)) == (200, 200, 0)


def test_a_stream_that_ends_does_not_say_stored_what_the_home_lost(database: Database) -> None:
    piped = Piped(database)
    piped.feed(lines(0, 100))
    with psycopg.connect(database.owner, autocommit=True) as owner:
        until(owner, 100)
        owner.execute("DELETE FROM wf.import_chunks")
    with pytest.raises(Refusal, match="home_went_back"):
        piped.end()
