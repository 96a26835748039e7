"""Asking whether a tenant may use something, against the plain way: updating a counter without any check."""

from __future__ import annotations

import time
from statistics import median

import psycopg

from benchmarks.estate import Estate
from benchmarks.figures import Figure

CALLS, CALLS_SMALL, ROUNDS = 2000, 100, 5
AIM = 4.0
SET_UP = """
INSERT INTO wf.tenants (id, name, plan) VALUES ('admitted', 'Admitted', 'enterprise') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS plain (id text PRIMARY KEY, used bigint) WITH (fillfactor = 50);
INSERT INTO plain VALUES ('admitted', 0) ON CONFLICT DO NOTHING;
"""
OURS = "SELECT admitted FROM wf_data.admit('admitted', %s, 1)"
PLAIN = "UPDATE plain SET used = used + 1 WHERE id = 'admitted' AND used < 1000000000 RETURNING true"


def run(estate: Estate, small: bool) -> list[Figure]:
    calls = CALLS_SMALL if small else CALLS
    with psycopg.connect(estate.owner, autocommit=True) as connection:
        connection.execute(SET_UP)
        found: dict[str, list[float]] = {"api_calls": [], "recall": [], "plain": []}
        for _ in range(ROUNDS):  # in turns, so that all are measured under the same load
            for name, times in found.items():
                times.append(_each(connection, name, calls))
    plain = median(found["plain"])
    return [
        Figure(
            f"a call to be admitted: {words}",
            median(found[name]),
            "ms",
            plain,
            "a counter's UPDATE",
            f"≤ {AIM:.0f} ×",
            median(found[name]) <= AIM * plain,
            (min(found[name]), max(found[name])),
        )
        for name, words in (("api_calls", "a quota"), ("recall", "a rate"))
    ]


def _each(connection: psycopg.Connection, name: str, calls: int) -> float:
    """Milliseconds of one call; refused calls count too."""
    began = time.perf_counter()
    for _ in range(calls):
        if name == "plain":
            connection.execute(PLAIN)
        else:
            connection.execute(OURS, [name])
    return (time.perf_counter() - began) * 1000 / calls
