"""One incident's timeline: many writers, long notes, a link that is cut, a pooler that breaks LISTEN."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from backends.postgres.home import Home
from benchmarks.estate import COLUMNS, LINES, Estate
from benchmarks.figures import Figure
from controlplane.incidents.model import MAX_NOTE, IncidentDirectory, IncidentEvent
from tests import pgbouncer
from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.link import CutLink

WRITERS = 8
EVENTS, EVENTS_SMALL = 10_000, 80
MISSED, TOGETHER = 500, 25
LONG, LONG_SMALL = 50, 3
POLLED, POLLED_SMALL = 20, 2
MOST_POLLED = 2.5
SIZE = {"columns": COLUMNS, "lines": LINES}
WAIT = 60.0
OPEN = "INSERT INTO wf.incidents (title, severity) VALUES ('the benchmark', 'SEV-3') RETURNING id"
AGO = "{0} = {0} - interval '3 hours'"
EARLIER = ", ".join(map(AGO.format, ("began_at", "opened_at", "cycle_at", "severity_at")))
EARLIER_EVENT = ", ".join(map(AGO.format, ("happened_at", "recorded_at")))
NOTE = "SELECT wf.note_incident(%s, %s)"
NOTES = "SELECT wf.note_incident(%s, 'note ' || n) FROM generate_series(%s::integer, %s::integer) n"
AFTER = "SELECT seq FROM wf.incident_event_list WHERE incident_id = %s AND seq > %s ORDER BY seq LIMIT 1000"


def database_of(estate: Estate) -> Database:
    return Database(estate.owner, str(conninfo_to_dict(estate.owner)["dbname"]))


def opened(database: Database) -> int:
    """An incident of three hours ago: its ages do not change every second."""
    with psycopg.connect(database.login("operator"), autocommit=True) as operator:
        row = operator.execute(OPEN).fetchone()
    assert row is not None
    with psycopg.connect(database.owner) as owner:
        owner.execute("SET LOCAL session_replication_role = replica")  # no triggers
        owner.execute(f"UPDATE wf.incidents SET {EARLIER} WHERE id = %s".encode(), row)
        owner.execute(f"UPDATE wf.incident_events SET {EARLIER_EVENT} WHERE incident_id = %s".encode(), row)
    return int(row[0])


def run(estate: Estate, small: bool) -> list[Figure]:
    database = database_of(estate)
    figures = [
        writers(database, EVENTS_SMALL if small else EVENTS),
        long_notes(database, LONG_SMALL if small else LONG),
        asyncio.run(missed(database, MISSED)),
    ]
    if pgbouncer.program() is not None:
        figures += polled(estate, database, POLLED_SMALL if small else POLLED)
    return figures


def writers(database: Database, events: int) -> Figure:
    """Eight at once, and one who reads what comes after the last number that was seen."""
    number, conninfo, faults = opened(database), database.login("operator"), list[BaseException]()

    def write(writer: int) -> None:
        try:
            with psycopg.connect(conninfo, autocommit=True) as person:
                for n in range(events // WRITERS):
                    person.execute(NOTE, [number, f"{writer}/{n}"])
        except psycopg.Error as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    began = time.monotonic()
    for each in threads:
        each.start()
    seen: list[int] = []
    with psycopg.connect(database.login("viewer"), autocommit=True) as reader:
        ended = False
        while True:
            ended = ended or not any(each.is_alive() for each in threads)
            rows = reader.execute(AFTER, [number, seen[-1] if seen else 0]).fetchall()
            seen += [seq for (seq,) in rows]
            if ended and not rows:
                break
    seconds = time.monotonic() - began
    written = events // WRITERS * WRITERS + 1  # with its opening
    skipped = written - len(seen) if seen == sorted({*seen}) else written
    assert faults == [], faults[0]
    claim = f"{events:,} events of {WRITERS} writers, read by number while they write"
    return Figure(claim, written / seconds, "rows/s", aim="none skipped", met=skipped == 0)


def long_notes(database: Database, notes: int) -> Figure:
    """Written by one, then read by another."""
    number, took = opened(database), list[float]()
    body = "é" * (MAX_NOTE // 2)
    with (
        psycopg.connect(database.login("operator"), autocommit=True) as writer,
        psycopg.connect(database.login("viewer"), autocommit=True) as reader,
    ):
        for _ in range(notes):
            began = time.monotonic()
            [event] = writer.execute(NOTE, [number, body]).fetchone() or (None,)
            row = reader.execute(
                "SELECT words FROM wf.incident_event_list WHERE incident_id = %s AND seq = %s", [number, event]
            ).fetchone()
            took.append((time.monotonic() - began) * 1000)
            assert row == (body,)
    return Figure("a note of 50 KB written and read by another", median(took), "ms", spread=(min(took), max(took)))


async def missed(database: Database, events: int) -> Figure:
    """A reader's link is cut in the middle of so many events. From the link's return until it has them all."""
    number, conninfo = opened(database), conninfo_to_dict(database.login("viewer"))
    with CutLink(f"{conninfo['host']}/.s.PGSQL.{conninfo['port']}") as link:
        home = Home(make_conninfo(**conninfo | {"host": "127.0.0.1", "port": str(link.port)}))
        await home.open()
        mine, news = list[IncidentEvent](), asyncio.Event()
        watching = asyncio.create_task(home.feed.watch(news.set, lambda state: None))
        reading = asyncio.create_task(_follow(home, number, mine, news))
        try:
            await asyncio.to_thread(_notes, database, number, 0, events // 2)
            await asyncio.to_thread(link.cut)
            await asyncio.to_thread(_notes, database, number, events // 2, events)
            await asyncio.to_thread(link.restore)
            restored = time.monotonic()
            while len(mine) < events + 1:
                assert time.monotonic() - restored < WAIT, f"{len(mine)} of {events + 1} events"
                await asyncio.sleep(0.01)
            seconds = time.monotonic() - restored
        finally:
            for task in (watching, reading):
                task.cancel()
            await asyncio.gather(watching, reading, return_exceptions=True)
            await home.close()
    with psycopg.connect(database.owner) as owner:
        rows = owner.execute("SELECT seq, words FROM wf.incident_events WHERE incident_id = %s ORDER BY seq", [number])
        same = [(each.seq, each.words) for each in mine] == rows.fetchall()
    claim = f"from the return of a link to a whole timeline of {events} events"
    return Figure(claim, seconds, "s", aim="equals the server's", met=same)


async def _follow(home: Home, number: int, mine: list[IncidentEvent], news: asyncio.Event) -> None:
    """What every console does: news are a hint, and the reader asks for all that comes after the last number."""
    from controlplane.errors import HomeUnreachable

    while True:
        try:
            mine += await home.of(IncidentDirectory).since(number, mine[-1].seq if mine else 0)
        except HomeUnreachable:
            await asyncio.sleep(0.05)
            continue
        await news.wait()
        news.clear()


def _notes(database: Database, number: int, first: int, last: int) -> None:
    with psycopg.connect(database.login("operator"), autocommit=True) as operator:
        for n in range(first, last, TOGETHER):
            operator.execute(NOTES, [number, n, n + TOGETHER - 1])


def polled(estate: Estate, database: Database, changes: int) -> Sequence[Figure]:
    """A real console behind PgBouncer in transaction mode, where LISTEN is lost: it says so, and polls."""
    number = opened(database)
    words = (f"/incidents/{number}",)
    with (
        pgbouncer.pgbouncer(database, "transaction") as port,
        console(database, "viewer", port=port, words=words, environment={**estate.env}, **SIZE) as terminal,
        psycopg.connect(database.login("operator"), autocommit=True) as operator,
    ):
        terminal.see("opened at SEV-3", WAIT)
        terminal.see("polling", WAIT)
        took = [_shown(operator, number, f"polled {n}", lambda told: terminal.see(told, WAIT)) for n in range(changes)]
    p95 = quantiles(took, n=20)[-1]
    claim = "a change seen behind a pooler in transaction mode"
    return [
        Figure(f"{claim}, p50", median(took), "s", spread=(min(took), max(took))),
        Figure(f"{claim}, p95", p95, "s", aim=f"≤ {MOST_POLLED} s", met=p95 <= MOST_POLLED),
    ]


def _shown(operator: psycopg.Connection, number: int, words: str, see: Callable[[str], None]) -> float:
    operator.execute(NOTE, [number, words])
    committed = time.monotonic()
    see(words)
    return time.monotonic() - committed
