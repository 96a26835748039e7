"""An embedded home as programs meet it: it comes back by itself when it died, and has one worker."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from app.embedded import bring_up
from backends.embedded.server import EmbeddedHome
from controlplane.errors import HomeUnreachable
from tests.postgres import scratch_folder
from tests.terminal.console import CHECKOUT, PROGRAM
from tests.terminal.driver import Terminal

PATIENCE = 60.0  # seconds; the machine may be busy


def until(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


@pytest.fixture
def home() -> Iterator[EmbeddedHome]:
    """A running home without a worker."""
    folder = scratch_folder()
    home = EmbeddedHome(folder / "home")
    bring_up(home)
    yield home
    home.destroy()
    shutil.rmtree(folder)


def program(*words: str, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **more.pop("env", {})}
    return subprocess.Popen(
        [*PROGRAM, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )


def command(*words: str, **env: str) -> str:
    with program(*words, env=env) as running:
        said = running.communicate(timeout=PATIENCE)[0]
    assert running.returncode == 0, said
    return said


def console(home: EmbeddedHome, **more: Any) -> Terminal:
    environment = {name: value for name, value in os.environ.items() if name.startswith(("XDG_", "HOME"))}
    environment |= {"PYTHONPATH": str(CHECKOUT), **more.pop("env", {})}
    return Terminal([*PROGRAM, "--home", str(home.folder)], columns=120, env=environment, **more)


def kill_postgres(home: EmbeddedHome) -> int:
    pid = home.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def sql(home: EmbeddedHome, query: str) -> Any:
    known = home.known()
    assert known is not None
    with psycopg.connect(known.owner_conninfo(), autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def runs_again(home: EmbeddedHome, killed: int) -> Callable[[], bool]:
    def look() -> bool:
        status = home.status()
        return status.state == "running" and status.pid not in (None, killed)

    return look


# A server that died


@pytest.fixture
def alone(home: EmbeddedHome) -> Iterator[EmbeddedHome]:
    """A home whose own worker is kept from starting: who brings it back is the program under test."""
    with home.as_worker() as lock:
        assert lock is not None
        yield home


def test_a_console_starts_a_server_that_was_killed(alone: EmbeddedHome) -> None:
    with console(alone) as t:
        t.see("live", PATIENCE)
        t.see("create a tenant", PATIENCE)
        killed = kill_postgres(alone)
        t.see("PostgreSQL had died; it was started again", PATIENCE)
        assert runs_again(alone, killed)()
        t.see(re.compile(r" live *$", re.M), PATIENCE)
        t.type(":q\r")
        t.wait()


def test_a_worker_starts_a_server_that_was_killed(home: EmbeddedHome) -> None:
    with program("work", "--home", str(home.folder)) as worker:
        try:
            assert worker.stdout is not None
            assert "takes jobs" in worker.stdout.readline()
            killed = kill_postgres(home)
            said = []
            while not any("takes jobs" in line for line in said):
                said.append(worker.stdout.readline())
                assert said[-1], said
            assert any("PostgreSQL had died: it was started again." in line for line in said), said
            assert runs_again(home, killed)()
            worker.send_signal(signal.SIGTERM)
            assert "stopped" in worker.stdout.read() and worker.wait(PATIENCE) == 0
        finally:
            worker.kill()


def test_an_ingest_starts_a_server_that_was_killed(alone: EmbeddedHome) -> None:
    line = '192.0.2.1 - - [17/May/2015:10:05:{:02} +0000] "GET /{} HTTP/1.1" 200 203 "-" "curl"\n'
    words = ["requests", "ingest", "--format", "combined", "--tenant", "default", "--home", str(alone.folder)]
    with program(*words, stdin=subprocess.PIPE) as ingest:
        try:
            assert ingest.stdin is not None and ingest.stdout is not None
            for number in range(20):
                ingest.stdin.write(line.format(number, number))
            ingest.stdin.flush()
            until(lambda: sql(alone, "SELECT count(*) FROM wf.requests") == 20)
            sql(alone, "SELECT pg_switch_wal()")  # the first half is on the disk; the rest is this test's
            killed = kill_postgres(alone)
            for number in range(20, 40):
                ingest.stdin.write(line.format(number, number))
            ingest.stdin.close()
            said = ingest.stdout.read()
            assert ingest.wait(PATIENCE) == 0, said
        finally:
            ingest.kill()
    assert "PostgreSQL had died: it was started again." in said
    assert runs_again(alone, killed)()
    assert sql(alone, "SELECT count(*) FROM wf.requests") == 40


def test_four_that_meet_it_dead_start_it_once(alone: EmbeddedHome) -> None:
    kill_postgres(alone)
    programs = [subprocess.Popen([sys.executable, "-c", REVIVE, str(alone.folder)], cwd=CHECKOUT) for _ in range(4)]
    assert sorted(each.wait(PATIENCE) for each in programs) == [0, 0, 0, 1]


REVIVE = """
import sys, time
from pathlib import Path
from backends.embedded.server import EmbeddedHome
home, did = EmbeddedHome(Path(sys.argv[1])), False
while home.status().state != "running":
    did = home.revive() or did
    time.sleep(0.05)
sys.exit(did)
"""


def test_a_home_that_was_stopped_or_destroyed_is_not_brought_back(home: EmbeddedHome) -> None:
    home.stop()
    with pytest.raises(HomeUnreachable, match="was stopped with") as caught:
        home.revive()
    assert caught.value.code == "home_stopped" and home.status().state == "stopped"
    home.ensure()
    kill_postgres(home)
    until(home.revive)
    home.destroy()
    with pytest.raises(HomeUnreachable) as caught:
        home.revive()
    assert caught.value.code == "home_absent" and not home.folder.exists()


def test_a_console_says_that_the_home_was_stopped_and_comes_back_with_it(alone: EmbeddedHome) -> None:
    with console(alone) as t:
        t.see("create a tenant", PATIENCE)
        command_stop(alone)
        t.see("offline", PATIENCE)
        t.press("r")
        t.see("was stopped with", PATIENCE)
        alone.ensure()
        t.press("R")
        t.see(re.compile(r" live *$", re.M), PATIENCE)
        t.type(":q\r")
        t.wait()


def command_stop(home: EmbeddedHome) -> None:
    """As `home stop` does for the server; the test holds the worker's lock."""
    from backends.embedded import folder as disk
    from backends.embedded import process

    disk.touch(home.folder / disk.STOPPED)
    process.stop(home.folder)
