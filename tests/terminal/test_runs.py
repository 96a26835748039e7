"""A run outlives the console that started it: the real program, a real terminal, a home by URL and its real worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from controlplane.keys import secret
from tests.backends.keys import asked, make_keys, make_tenants
from tests.backends.runs import abandoned, until_gone
from tests.postgres import LOGIN_PASSWORD, Database
from tests.terminal.console import CHECKOUT, PROGRAM, console, url
from tests.terminal.driver import Terminal

DEAD_TIME = 0.4
"""A dialog takes no confirming key in its first 300 ms."""
KEYS = 40
"""At ten a second, long enough to be killed in the middle."""


@contextmanager
def worker(database: Database) -> Iterator[None]:
    environment = os.environ | {"PGPASSWORD": LOGIN_PASSWORD, "PYTHONPATH": str(CHECKOUT)}
    command = [*PROGRAM, "--home", url(database, "worker"), "worker"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None and "takes jobs" in process.stderr.readline()
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def rotate_all(terminal: Terminal, path: Path) -> None:
    """Up to the run's start."""
    terminal.see("wf_live_1")
    terminal.press("*")
    terminal.see(f"{KEYS} marked")
    terminal.press("a")
    terminal.see("Rotate a key")
    terminal.press("r")
    terminal.see("how long the old key")
    terminal.press("enter")
    terminal.see("a new file for the secrets")
    terminal.type(str(path))
    terminal.press("enter")
    terminal.see(f"Type {KEYS}")
    terminal.settle(DEAD_TIME)
    terminal.type(str(KEYS))
    terminal.press("enter")


def done(database: Database) -> int:
    found = asked(database.owner, "SELECT sum(done)::int FROM wf.run_progress")
    return found[0][0] or 0


def until_done(database: Database, least: int) -> None:
    deadline = time.monotonic() + 60
    while done(database) < least:
        assert time.monotonic() < deadline, f"only {done(database)} are done"
        time.sleep(0.05)


def good(database: Database, path: Path) -> list[str]:
    """The old key of each line whose secret the home knows."""
    with psycopg.connect(database.owner) as connection:
        successors = dict(connection.execute("SELECT hash, rotated_from FROM wf.api_keys").fetchall())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(successors.get(secret.digest(line["secret"])) in (None, line["rotated_from"]) for line in lines)
    return [line["rotated_from"] for line in lines if secret.digest(line["secret"]) in successors]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
@pytest.mark.parametrize("begun", ["by the worker", "by the console"])
def test_a_worker_ends_the_rotation_of_a_console_that_is_gone(
    database: Database, tmp_path: Path, number: int, begun: str
) -> None:
    make_tenants(database.owner, "acme")
    keys = make_keys(database.owner, KEYS)
    path = tmp_path / "secrets"
    with console(database, words=("/keys",), columns=120, lines=40) as terminal:
        if begun == "by the worker":
            with worker(database):
                rotate_all(terminal, path)
                terminal.see("by the worker")
                terminal.signal(number)
                terminal.wait(30)
                assert done(database) < KEYS
                until_done(database, KEYS)
        else:
            rotate_all(terminal, path)
            until_done(database, 3)
            terminal.signal(number)
            terminal.wait(30)
            assert 3 <= done(database) < KEYS
            if number == signal.SIGKILL:
                until_gone(database.owner)
                abandoned(database.owner)
            with worker(database):
                until_done(database, KEYS)
    assert sorted(good(database, path)) == sorted(keys)
    assert path.stat().st_mode & 0o777 == 0o600
    by = dict(asked(database.owner, "SELECT settled_by::text, count(*) FROM wf.run_items GROUP BY 1"))
    assert by["t_worker"] == KEYS - by.get("t_admin", 0) and ("t_admin" in by) == (begun == "by the console")
    assert asked(database.owner, "SELECT DISTINCT created_by FROM wf.api_keys WHERE rotated_from IS NOT NULL") == [
        ("t_admin",)
    ]
    assert asked(database.owner, "SELECT count(*) FROM wf.run_keys") == [(0,)]
