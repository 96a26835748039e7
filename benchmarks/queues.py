"""The list of causes over a million dead letters, against GROUP BY over the same rows; and what a replay costs, against
one transaction per row and against a bare UPDATE.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path
from statistics import quantiles

import psycopg

from backends.postgres.home import Home
from benchmarks.estate import Estate
from benchmarks.figures import Figure, middle
from controlplane.runs import rules
from controlplane.runs.engine import drive, start_run
from controlplane.runs.operations import RunStart

LETTERS, CAUSES, REPLAYED = 1_000_000, 5_000, 100_000
PAGES, MOST_MS = 60, 50.0
LEAST_OF_ROWS, LEAST_OF_UPDATE = 10.0, 0.3
# Past the triggers, which would take longer than all the rest; the counts are then made from the rows.
_FILL = """
INSERT INTO wf.dead_letters (source, source_id, tenant_id, queue, handler, error_class, error, cause, fingerprint,
                             dead_at)
SELECT 'bench', n::text, 'tenant-' || n % 1000, 'q', 'handler-' || n % {causes} % 50, 'timeout', 'no answer after 30 s',
       'no answer after <n> s', encode(sha256((n % {causes})::text::bytea), 'hex'), now() - n * interval '100 ms'
FROM generate_series(1, {letters}) n;
INSERT INTO wf.dead_causes (fingerprint, source, queue, handler, error_class, cause, dead, tenants, first_seen,
                            last_seen)
SELECT fingerprint, min(source), min(queue), min(handler), min(error_class), min(cause), count(*),
       count(DISTINCT tenant_id), min(dead_at), max(dead_at)
FROM wf.dead_letters WHERE source = 'bench' GROUP BY 1 ON CONFLICT DO NOTHING;
INSERT INTO wf.dead_cause_hours
SELECT fingerprint, date_trunc('hour', dead_at, 'UTC'), count(*) FROM wf.dead_letters WHERE source = 'bench'
GROUP BY 1, 2 ON CONFLICT DO NOTHING
"""
_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i WHERE i.indrelid = 'wf.dead_letters'::regclass AND NOT i.indisprimary
"""
PAGE = "SELECT * FROM wf.cause_list ORDER BY waiting DESC, fingerprint DESC LIMIT 100"
GROUPED = """
SELECT fingerprint, min(cause), count(*), count(DISTINCT tenant_id), min(dead_at), max(dead_at)
FROM wf.dead_letters WHERE state IN ('dead', 'quarantined') GROUP BY 1 ORDER BY 3 DESC LIMIT 100
"""
DEAD = """
INSERT INTO wf.jobs (kind, payload, state, ended_at, error)
SELECT 'bench', jsonb_build_object('n', n), 'dead', now(), 'no answer [timeout]' FROM generate_series(1, %s) n
"""
RUN = """
INSERT INTO wf.runs (operation, reason, per_second, breaker_share) VALUES ('queues.replay', 'bench', 1000, 1)
RETURNING id
"""
ITEMS = """
INSERT INTO wf.run_items (run_id, ordinal, thing, subject)
SELECT %s, row_number() OVER (ORDER BY id), id, '{}' FROM wf.dead_letters
WHERE handler = 'bench' AND state = 'dead' LIMIT %s
"""
BY_TRANSACTION, IN_ONE = 900, 20_000
"""So many are replayed the other ways, whose rates do not change with more."""
LETTER, JOB = (
    "UPDATE wf.dead_letters SET state = 'replayed', settled_at = now() WHERE ",
    "UPDATE wf.jobs SET state = 'waiting', ended_at = NULL WHERE ",
)
MINE = "SELECT id, source_id FROM wf.dead_letters WHERE handler = 'bench' AND state = 'dead' LIMIT %s"


def run(estate: Estate, small: bool) -> list[Figure]:
    letters, replayed = (5_000, 500) if small else (LETTERS, REPLAYED)
    with estate.without_worker(), psycopg.connect(estate.owner, autocommit=True) as connection:
        _fill(connection, letters)
        connection.execute("VACUUM ANALYZE wf.dead_letters, wf.dead_causes, wf.dead_cause_hours")
        with Processes(connection) as listing:
            listed = _listed(connection, small)
        _die(connection, replayed)
        with Processes(connection) as replaying:
            ours = _carried(estate, replayed)
        return [
            *listed,
            Figure("the same, the home's memory at its peak", listing.peak, "MB"),
            *_compared(connection, ours, small),
            Figure("replay of one, of the processor", replaying.used / replayed * 1000, "ms"),
            Figure("replay, the home's memory at its peak", replaying.peak, "MB"),
            Figure("replay, the worker's memory at its peak", replaying.own, "MB"),
        ]


def _fill(connection: psycopg.Connection, letters: int) -> None:
    """Without triggers, and the indexes afterwards: with them it takes a quarter of an hour."""
    indexes = connection.execute(_INDEXES).fetchall()
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET maintenance_work_mem = '512MB'")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    for statement in _FILL.format(letters=letters, causes=CAUSES if letters > CAUSES else 50).split(";\n"):
        connection.execute(statement.encode())
    for _, definition in indexes:
        connection.execute(definition)
    connection.execute("SET session_replication_role = origin")


def _die(connection: psycopg.Connection, number: int) -> None:
    """A thousand at a time: each counts in the row of its cause, which gets slow within one transaction."""
    for at in range(0, number, 1_000):
        connection.execute(DEAD, [min(1_000, number - at)])


class Processes:
    """The home's processes and this one, while something is measured: their time on the processor, in seconds, and the
    most memory, in MB, that they had to themselves at one time.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        [folder] = connection.execute("SHOW data_directory").fetchone() or ("",)
        self.server = Path(folder, "postmaster.pid").read_text().split("\n")[0]
        self.peak = self.own = self.used = 0.0
        self._over = threading.Event()
        self._look = threading.Thread(target=self._sample)

    def __enter__(self) -> Processes:
        self._before, self._own_before = self._times(), time.process_time()
        self._last = dict(self._before)
        self._look.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._over.set()
        self._look.join()
        self._last |= self._times()
        self.used = sum(self._last.values()) - sum(self._before.values())
        self.used += time.process_time() - self._own_before

    def _sample(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, sum(_memory(pid) for pid in self._pids()))
            self.own = max(self.own, _memory("self"))
            self._last |= self._times()  # a process that has ended by the end counts too

    def _pids(self) -> list[str]:
        return Path(f"/proc/{self.server}/task/{self.server}/children").read_text().split()

    def _times(self) -> dict[str, float]:
        found = {}
        for pid in self._pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                found[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return found


def _memory(pid: str) -> float:
    """What it has to itself, in MB: without the shared buffers and without files."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().split("\n"):
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _listed(connection: psycopg.Connection, small: bool) -> list[Figure]:
    pages = [_took(connection, PAGE) for _ in range(5 if small else PAGES)]
    grouped, _ = middle([_took(connection, GROUPED) for _ in range(1 if small else 3)])
    p95 = quantiles(pages, n=20)[-1]
    aim, spread = f"≤ {MOST_MS:.0f} ms", (min(pages), max(pages))
    claim = "first page of causes, p95"
    return [Figure(claim, p95, "ms", grouped, "ms, GROUP BY", aim, p95 <= MOST_MS, spread)]


def _carried(estate: Estate, number: int) -> float:
    """A run of so many letters, carried as the worker of an embedded home carries it. In letters a second."""
    asked = {"operation": "queues.replay", "filter": "handler:bench state:dead", "per_second": rules.MAX_PER_SECOND}
    request = RunStart.model_validate({**asked, "breaker_share": 1})

    async def carry() -> float:
        home = Home(estate.home.ensure().login_conninfo(), connections=4, conversation="worker")
        await home.open()
        try:
            run = await start_run(home, request, "the benchmark")
            began = time.perf_counter()
            ended = await drive(home, run.id)
            assert ended.done == number, ended
            return number / (time.perf_counter() - began)
        finally:
            await home.close()

    return asyncio.run(carry())


def _compared(connection: psycopg.Connection, ours: float, small: bool) -> list[Figure]:
    by_row, in_one = (50, 200) if small else (BY_TRANSACTION, IN_ONE)
    _die(connection, by_row)
    some = connection.execute(MINE, [by_row]).fetchall()
    began = time.perf_counter()
    for letter, job in some:
        with connection.transaction():
            connection.execute(f"{LETTER} id = %s".encode(), [letter])
            connection.execute(f"{JOB} id = %s".encode(), [job])
    rows = len(some) / (time.perf_counter() - began)
    same = _one_by_one(connection, by_row)
    bare = _in_one(connection, in_one, "origin")
    unrecorded = _in_one(connection, in_one, "replica")
    of_rows, of_update = f"≥ {LEAST_OF_ROWS:.0f} ×", f"≥ {LEAST_OF_UPDATE} ×"
    claim = "replay against "
    return [
        Figure(f"{claim}itself item by item", ours, "jobs/s", same, "", of_rows, ours >= LEAST_OF_ROWS * same),
        Figure(f"{claim}two UPDATEs per transaction", ours, "jobs/s", rows, "", of_rows, ours >= LEAST_OF_ROWS * rows),
        Figure(f"{claim}UPDATEs of all rows", ours, "jobs/s", bare, "", of_update, ours >= LEAST_OF_UPDATE * bare),
        Figure(f"{claim}these without triggers", ours, "jobs/s", unrecorded),
    ]  # fmt: skip


def _one_by_one(connection: psycopg.Connection, number: int) -> float:
    """So many items of a run, each carried by itself."""
    _die(connection, number)
    with connection.transaction():
        [run] = connection.execute(RUN).fetchone() or ()
        connection.execute(ITEMS, [run, number])
    connection.execute("SELECT wf.hold_run(%s, 'bench')", [run])
    began = time.perf_counter()
    for place in range(1, number + 1):
        if place % 100 == 0:  # a busy machine takes its time, and a lease is 15 s
            connection.execute("SELECT wf.hold_run(%s, 'bench')", [run])
        connection.execute("SELECT wf.carry_item(%s, %s)", [run, place])
    return number / (time.perf_counter() - began)


def _in_one(connection: psycopg.Connection, number: int, triggers: str) -> float:
    """So many letters and jobs by one UPDATE each, in one transaction. In letters a second."""
    _die(connection, number)
    found = connection.execute(MINE, [number]).fetchall()
    connection.execute(f"SET session_replication_role = {triggers}".encode())
    began = time.perf_counter()
    with connection.transaction():
        connection.execute(f"{LETTER} id = ANY (%s)".encode(), [[letter for letter, _ in found]])
        connection.execute(f"{JOB} id = ANY (%s)".encode(), [[int(job) for _, job in found]])
    rate = len(found) / (time.perf_counter() - began)
    connection.execute("SET session_replication_role = origin")
    return rate


def _took(connection: psycopg.Connection, statement: str) -> float:
    began = time.perf_counter()
    connection.execute(statement.encode()).fetchall()
    return (time.perf_counter() - began) * 1000
