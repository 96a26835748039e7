"""Streams at every pace, on a clock of their own: stored soon after they came, and recognised when they come again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.postgres.ingest import ingest
from backends.postgres.requests import import_log
from backends.postgres.stream import Stream
from controlplane.requestlogs.model import ImportReport, Progress, Skip
from tests.backends.test_ingest import JOB, lines
from tests.postgres import Database

SOON = 2.0
Coming = tuple[float, bytes]


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connection


class Paced(Stream):
    """What comes when. It ends at `end`, or is stopped then; without one when all has come."""

    def __init__(self, coming: list[Coming], end: float | None = None, stopped: bool = False) -> None:
        super().__init__(-1)
        self.clock, self.coming, self.stopped = 0.0, list(coming), stopped
        self.end = coming[-1][0] if end is None else end

    def now(self) -> float:
        return self.clock

    def _wait(self, seconds: float) -> bytes:
        if self.coming and self.coming[0][0] <= self.clock + seconds:
            at, data = self.coming.pop(0)
            self.clock = max(self.clock, at)
            return data
        if not self.coming and self.end <= self.clock + seconds:
            self.clock = max(self.clock, self.end)
            self.ended = not self.stopped
            if self.stopped:
                self.stop.set()
            return b""
        self.clock += seconds
        return b""


def paced(first: int, last: int, a_second: float, start: float = 0.0) -> list[Coming]:
    return [(start + (n - first) / a_second, lines(n, n + 1)) for n in range(first, last)]


def at_once(first: int, last: int, at: float = 0.0) -> list[Coming]:
    return [(at, lines(first, last))]


class Fed:
    """One ingest of a stream: what it said, and at which time of the stream how many rows were stored."""

    def __init__(self, database: Database, stream: Stream, number: int) -> None:
        self.stored: list[tuple[float, int]] = []
        job = replace(JOB, request_id=f"r-{number}")

        def show(progress: Progress) -> None:
            self.stored.append((stream.now(), progress.rows))

        said: list[str] = []
        self.report: ImportReport = ingest(database.login("operator"), job, stream, said.append, show)
        assert not said


def lateness(fed: Fed, coming: list[Coming], skipped: int = 0) -> float:
    """How long after it came the slowest line was stored."""
    at = [at for at, data in coming for _ in range(data.count(b"\n"))]
    return max(
        next(stored for stored, rows in fed.stored if rows > number) - came
        for number, came in enumerate(at)
        if number >= skipped
    )


def count(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM wf.requests").fetchone()
    assert row is not None
    return int(row[0])


PACES = {
    "four a second": paced(0, 240, 4),
    "twenty a second": paced(0, 1200, 20),
    "one line": paced(0, 1, 1),
    "a burst, then silence": at_once(0, 2000),
    "a burst, then four a second": at_once(0, 2000) + paced(2000, 2040, 4, start=0.01),
    "bursts": [burst for n in range(20) for burst in at_once(n * 1000, n * 1000 + 1000, n * 0.7)],
    "half a line, and the rest later": [(0.0, lines(0, 1)[:20]), (9.0, lines(0, 1)[20:]), *paced(1, 9, 4, start=9.0)],
}


@pytest.mark.parametrize("known", ["nothing", "a fast stream", "slow streams"])
@pytest.mark.parametrize("pace", PACES)
def test_a_line_is_stored_soon_after_it_came(
    database: Database, connection: psycopg.Connection[Any], pace: str, known: str
) -> None:
    if known == "a fast stream":
        Fed(database, Paced(at_once(100_000, 130_000)), 1)
    if known == "slow streams":
        for number in range(3):
            Fed(database, Paced(paced(100_000 + number, 100_100 + number, 7)), 10 + number)
    before, coming = count(connection), PACES[pace]
    fed = Fed(database, Paced(coming, end=coming[-1][0] + 60), 2)
    number = sum(data.count(b"\n") for _, data in coming)
    assert (fed.report.rows, count(connection) - before) == (number, number)
    assert lateness(fed, coming) <= SOON


@pytest.mark.parametrize(
    "again", [at_once(0, 2040), paced(0, 2040, 5), paced(0, 2040, 300)], ids=["at once", "slower", "faster"]
)
@pytest.mark.parametrize("pace", ["four a second", "a burst, then four a second", "bursts"])
def test_a_stream_that_comes_again_is_recognised_at_any_pace(
    database: Database, connection: psycopg.Connection[Any], pace: str, again: list[Coming]
) -> None:
    Fed(database, Paced(PACES[pace]), 1)
    had = count(connection)
    coming = [*again, *paced(2040, 2060, 4, start=again[-1][0])]
    fed = Fed(database, Paced(coming), 2)
    assert count(connection) == max(had, 2060), "what was there, and the rest"
    assert fed.report.already_lines + fed.report.rows == 2060
    if fed.report.rows:
        new = [(at, data) for at, data in coming if int(data.rpartition(b'"request_id": "')[2].split(b'"')[0]) >= 2040]
        assert lateness_of_last(fed, new) <= SOON


def lateness_of_last(fed: Fed, new: list[Coming]) -> float:
    rows = fed.report.rows
    first = rows - len(new)
    return max(
        next(stored for stored, number in fed.stored if number > first + n) - at for n, (at, _) in enumerate(new)
    )


@pytest.mark.parametrize("stopped", [False, True], ids=["ended", "stopped"])
def test_a_part_of_a_known_stream_is_not_stored_again(
    database: Database, connection: psycopg.Connection[Any], stopped: bool
) -> None:
    """Whoever feeds it again may be killed within a chunk."""
    Fed(database, Paced(at_once(0, 3000)), 1)
    for number, coming in enumerate([at_once(0, 1), at_once(0, 1700), paced(0, 40, 4), [(0.0, lines(0, 9)[:-30])]]):
        fed = Fed(database, Paced(coming, stopped=stopped), 2 + number)
        assert (fed.report.rows, count(connection)) == (0, 3000)
    fed = Fed(database, Paced([(0.0, lines(0, 9)[:-1])]), 9)
    assert (fed.report.rows, fed.report.already_lines, fed.report.skipped) == (0, 9, {}), "its last line has no end"
    fed = Fed(database, Paced([(0.0, lines(0, 9)[:-5])]), 10)
    assert (fed.report.already_lines, fed.report.skipped) == (8, {Skip.UNFINISHED: 1})


def test_a_log_that_was_cut_is_not_imported_again(
    database: Database, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    job = replace(JOB, path=tmp_path / "log")
    for number, (size, more) in enumerate([(3000, 3000), (1700, 0), (1, 0), (3000, 0), (3002, 2)]):
        job.path.write_bytes(lines(0, size))
        assert import_log(database.login("operator"), replace(job, request_id=f"i-{number}")).rows == more
    assert count(connection) == 3002


def test_a_stream_that_begins_as_a_known_one_and_goes_on_otherwise_is_stored(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    Fed(database, Paced(at_once(0, 3000)), 1)
    coming = paced(0, 10, 4) + paced(5000, 5100, 4, start=2.5)
    fed = Fed(database, Paced(coming, end=90), 2)
    assert (fed.report.rows, count(connection)) == (110, 3110)
    assert lateness(fed, coming, skipped=10) <= SOON, "the first ten are there all the time"
    assert Fed(database, Paced(coming), 3).report.rows == 0
    assert Fed(database, Paced(at_once(0, 3000)), 4).report.rows == 0
    last = lines(1, 2)[:-1].replace(b"200", b"404")
    assert Fed(database, Paced([(0.0, lines(0, 1) + last)]), 5).report.rows == 2, "a whole line without its end"


@pytest.mark.parametrize(("a_second", "pauses"), [(1000, False), (100, False), (10, True)])
def test_a_writer_that_refills_its_pipe_does_not_pause(a_second: float, pauses: bool) -> None:
    """Else what was read is stored before more is read, and storing and parsing never overlap."""
    stream, idle = Paced(paced(0, 200, a_second)), []
    stream.when_idle = lambda: idle.append(stream.now())
    while size := stream.next_cut():
        stream.take(size)
    assert (len(idle) > 1) == pauses, "its end is a pause"
