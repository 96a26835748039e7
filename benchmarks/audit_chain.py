"""Chaining the audit trail against the plain way, a statement for each row; and what writers pay for it."""

from __future__ import annotations

import threading
import time
from statistics import median

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.estate import Estate
from benchmarks.figures import Figure, middle

ROWS, ROWS_SMALL = 20_000, 1_000
WRITES, WRITES_SMALL = 1_500, 100
ROUNDS = 5
AIM = 2_000
LEAST_SHARE = 0.9
CHANGE = "UPDATE wf.tenants SET name = %s || right(name, 8), version = version + 1 WHERE id = 'chained'"
SET_UP = """
INSERT INTO wf.tenants (id, name) VALUES ('chained', 'Chained') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS plain_chain (seq bigint PRIMARY KEY, head bytea NOT NULL);
"""
MANY = """
INSERT INTO wf.projects (tenant_id, id, name)
SELECT 'chained', %s || '-' || n, 'a project of many' FROM generate_series(1, %s) n
"""
PLAIN = """
INSERT INTO plain_chain (seq, head)
SELECT a.seq, sha256(coalesce((SELECT head FROM plain_chain ORDER BY seq DESC LIMIT 1), '')
                     || sha256('\\x00'::bytea || convert_to(wf.audit_canonical(a), 'UTF8')))
FROM wf.audit a WHERE a.seq > coalesce((SELECT max(seq) FROM plain_chain), %s) ORDER BY a.seq LIMIT 1
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    rounds = 1 if small else ROUNDS
    worker = make_conninfo(estate.owner, options="-c role=wf_worker")
    with psycopg.connect(estate.owner, autocommit=True) as owner, psycopg.connect(worker, autocommit=True) as sequencer:
        owner.execute(SET_UP)
        figures = _speed(owner, sequencer, ROWS_SMALL if small else ROWS, rounds)
        return [*figures, _cost(owner, sequencer, WRITES_SMALL if small else WRITES, rounds)]


def _speed(owner: psycopg.Connection, sequencer: psycopg.Connection, rows: int, rounds: int) -> list[Figure]:
    ours, plain = [], []
    for number in range(rounds):  # in turns, so that both are measured under the same load
        _chain_all(sequencer)
        [(last,)] = owner.execute("SELECT max(seq) FROM wf.audit").fetchall()
        owner.execute(MANY, [f"p{number}-{time.time_ns()}", rows])
        began = time.perf_counter()
        assert _chain_all(sequencer) == rows
        ours.append(rows / (time.perf_counter() - began))
        owner.execute("TRUNCATE plain_chain")
        few = max(100, rows // 20)
        began = time.perf_counter()
        for _ in range(few):
            owner.execute(PLAIN, [last])
        plain.append(few / (time.perf_counter() - began))
    mine, spread = middle(ours)
    claim = "audit rows chained in bites"
    aim = f"≥ {AIM:,} a second"
    return [Figure(claim, mine, "rows/s", median(plain), "a statement for each", aim, mine >= AIM, spread)]


def _cost(owner: psycopg.Connection, sequencer: psycopg.Connection, writes: int, rounds: int) -> Figure:
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(_write(owner, writes))
        stop = threading.Event()
        thread = threading.Thread(target=_keep_chaining, args=(sequencer, stop))
        thread.start()
        try:
            beside.append(_write(owner, writes))
        finally:
            stop.set()
            thread.join()
    mine, spread = middle(beside)
    other = median(alone)
    aim, met = f"≥ {LEAST_SHARE:.0%}", mine >= LEAST_SHARE * other
    return Figure("audited changes while others chain", mine, "rows/s", other, "nobody chains", aim, met, spread)


def _write(owner: psycopg.Connection, writes: int) -> float:
    began = time.perf_counter()
    for number in range(writes):
        owner.execute(CHANGE, [f"n{number}-"])
    return writes / (time.perf_counter() - began)


def _keep_chaining(sequencer: psycopg.Connection, stop: threading.Event) -> None:
    """Ten times as often as a worker does."""
    while not stop.wait(0.5):
        _chain_all(sequencer)


def _chain_all(sequencer: psycopg.Connection) -> int:
    done = 0
    while row := sequencer.execute("SELECT wf.chain_audit()").fetchone():
        if not row[0]:
            break
        done += row[0]
    return done
