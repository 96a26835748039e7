"""A command as a whole process, against the plainest Python that does the same, in turn."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.estate import CHECKOUT, Estate
from benchmarks.figures import Figure, middle

RUNS, TENANTS = 15, 1000
ROWS = 100
NOTHING = "pass"
LIST = """
import json, sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    cursor = connection.execute("SELECT * FROM wf.tenant_list ORDER BY id LIMIT %s", [int(sys.argv[2])])
    names = [column.name for column in cursor.description]
    json.dump({"items": [dict(zip(names, row)) for row in cursor.fetchall()]}, sys.stdout, default=str)
"""
SHOW = """
import json, sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    cursor = connection.execute("SELECT * FROM wf.tenant_list WHERE id = %s", [sys.argv[2]])
    json.dump(dict(zip([column.name for column in cursor.description], cursor.fetchone())), sys.stdout, default=str)
"""
CHANGE = """
import json, sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("SELECT wf.begin_change('tenants.rename', NULL, %s, 'none')", [sys.argv[4]])
    connection.execute("UPDATE wf.tenants SET name = %s WHERE id = %s", [sys.argv[3], sys.argv[2]])
    rows = connection.execute("SELECT to_jsonb(a) FROM wf.audit_list a WHERE thing = %s ORDER BY seq DESC LIMIT 1",
                              [sys.argv[2]]).fetchall()
    json.dump(rows, sys.stdout, default=str)
"""
Words = Callable[[], list[str]]
PYTHON, SCRIPT = "an empty Python", "a psycopg script"


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(TENANTS)
    runs = 1 if small else RUNS
    one = "tenant-0000001"
    login, numbers = estate.home.ensure().login_conninfo(), iter(range(10**9))

    def change() -> list[str]:
        return ["tenants", "rename", one, "--name", f"name {next(numbers)}", "--yes", "--json"]

    def changed() -> list[str]:
        return [CHANGE, login, one, f"name {next(numbers)}", f"bench-{time.monotonic_ns()}"]

    with estate.without_worker():
        return [
            _figure(estate, "--version", lambda: ["--version"], lambda: [NOTHING], PYTHON, 5, runs),
            _figure(estate, "--help", lambda: ["--help"], lambda: [NOTHING], PYTHON, 5, runs),
            _figure(estate, "tenants --help", lambda: ["tenants", "--help"], lambda: [NOTHING], PYTHON, 5, runs),
            _figure(estate, "completion bash", lambda: ["completion", "bash"], lambda: [NOTHING], PYTHON, 5, runs),
            _figure(
                estate,
                f"tenants list --json, {ROWS} rows",
                lambda: ["tenants", "list", "--json", "--limit", str(ROWS)],
                lambda: [LIST, login, str(ROWS)],
                *(SCRIPT, 1.4, runs),
            ),
            _figure(
                estate,
                "tenants show --json",
                lambda: ["tenants", "show", one, "--json"],
                lambda: [SHOW, login, one],
                *(SCRIPT, 1.4, runs),
            ),
            _figure(estate, "tenants rename --yes --json", change, changed, SCRIPT, 2, runs),
        ]


def _figure(estate: Estate, name: str, words: Words, script: Words, other_is: str, aim: float, runs: int) -> Figure:
    home = ["--home", str(estate.home.folder)] if other_is == SCRIPT else []
    ours, other = [], []
    for _ in range(runs + (runs > 1)):  # the first of many only warms up
        given = words()
        ours.append(_timed(["-m", "app", *given[:2], *home, *given[2:]], estate))
        other.append(_timed(["-c", *script()], estate))
    (median, spread), (base, _) = middle(ours[-runs:]), middle(other[-runs:])
    return Figure(name, median, "ms", base, other_is, f"≤ {aim:g} ×", median <= aim * base, spread)


def _timed(words: Sequence[str], estate: Estate) -> float:
    """Milliseconds until the program has ended; it must succeed."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=CHECKOUT, env=estate.env, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000
