"""An embedded home as programs meet it: it comes back by itself when it died, and has one worker."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import psycopg
import pytest

from app.embedded import bring_up
from app.environment import hide_libpq, show_libpq
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
    """With all its sessions: they outlive it by a moment, in which they may still store something."""
    pid = home.status().pid
    assert pid is not None
    sessions = psutil.Process(pid).children()
    os.kill(pid, signal.SIGKILL)
    _, living = psutil.wait_procs(sessions, PATIENCE)
    assert not living
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
    with program("worker", "--home", str(home.folder)) as worker:
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


# Nothing of the environment


def nonsense() -> dict[str, str]:
    """Every variable that libpq or a server reads."""
    known = [option.envvar.decode() for option in psycopg.pq.Conninfo.get_defaults() if option.envvar]
    beside = ["PGHOST", "PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGTZ", "PGDATESTYLE", "PGGEQO", "PGREQUIRESSL"]
    return dict.fromkeys([*known, *beside, "PGDATA", "PGUSER", "LC_ALL", "LC_MESSAGES"], "nonsense")


def test_an_embedded_home_takes_nothing_from_the_environment() -> None:
    folder = scratch_folder()
    home = EmbeddedHome(folder / "home")
    try:
        made = command("tenants", "create", "acme", "--json", "--home", str(home.folder), **nonsense())
        assert json.loads(made)["result"]["id"] == "acme"
        status = json.loads(command("home", "status", "--json", "--home", str(home.folder), **nonsense()))["item"]
        assert status["state"] == "running" and status["usable"] is True
        until(lambda: sql(home, "SELECT count(*) FROM wf.worker_list WHERE state = 'alive'") == 1)
        with console(home, env=nonsense()) as t:
            t.see("acme", PATIENCE)
            t.type(":q\r")
            t.wait()
        command("home", "stop", "--yes", "--home", str(home.folder), **nonsense())
        command("tenants", "list", "--home", str(home.folder), **nonsense())
    finally:
        home.destroy()
        shutil.rmtree(folder)


@pytest.mark.usefixtures("prepared_demonstration")
def test_a_demonstration_takes_nothing_from_the_environment() -> None:
    words = [sys.executable, "-m", "app.demo.caretaker", "7"]
    with subprocess.Popen(
        words, env={**os.environ, **nonsense()}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as caretaker:
        assert caretaker.stdin is not None and caretaker.stdout is not None
        said = [next(line for line in caretaker.stdout if "ready" in line or "refused" in line)]
        caretaker.stdin.close()
        caretaker.wait(PATIENCE)
    assert "ready" in said[0]


def test_a_home_by_url_finds_the_environment_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGAPPNAME", "mine")
    hide_libpq()
    assert "PGAPPNAME" not in os.environ
    show_libpq()
    assert os.environ["PGAPPNAME"] == "mine"


# Its worker


def workers_of(home: EmbeddedHome) -> list[psutil.Process]:
    """The processes: the one that works and the one that waits."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline()[1:] == ["-m", "app.home_worker", str(home.folder)]:
                found.append(process)
    return found


def alive(home: EmbeddedHome) -> list[int]:
    """The pids of the workers that the home knows to live."""
    known = home.known()
    assert known is not None
    with psycopg.connect(known.owner_conninfo()) as connection:
        return [row[0] for row in connection.execute("SELECT pid FROM wf.worker_list WHERE state = 'alive'").fetchall()]


def test_a_home_has_one_worker_that_outlives_who_began_it_and_ends_with_it(home: EmbeddedHome) -> None:
    with console(home) as one, console(home) as two:
        one.see("create a tenant", PATIENCE)
        two.see("create a tenant", PATIENCE)
        until(lambda: alive(home))
        one.signal(signal.SIGKILL)
        two.type(":q\r")
        two.wait()
    command("tenants", "list", "--home", str(home.folder))
    [pid] = alive(home)
    status = json.loads(command("home", "status", "--json", "--home", str(home.folder)))["item"]
    assert (status["worker"], status["worker_pid"]) == ("running", pid)
    assert pid in [process.pid for process in until(lambda: two_of(workers_of(home)))]
    command("home", "stop", "--yes", "--home", str(home.folder))
    assert workers_of(home) == []
    assert json.loads(command("home", "status", "--json", "--home", str(home.folder)))["item"]["worker"] is None
    home.ensure()
    assert sql(home, "SELECT string_agg(ended, ' ') FROM wf.workers") == "stopped"


def two_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    return processes if len(processes) == 2 else []


def test_a_worker_that_died_is_begun_anew(home: EmbeddedHome) -> None:
    command("tenants", "list", "--home", str(home.folder))
    [first] = until(lambda: alive(home))
    os.kill(first, signal.SIGKILL)
    second = until(lambda: [pid for pid in alive(home) if pid != first])[0]
    assert home.status().worker_pid == second
    assert "the worker died (signal 9)" in (home.folder / "worker.log").read_text()
    # Both at once: then the next command does it.
    for process in workers_of(home):
        process.kill()
    until(lambda: not workers_of(home))
    command("tenants", "list", "--home", str(home.folder))
    assert until(lambda: home.status().worker_pid) not in (first, second)


def test_the_homes_worker_brings_it_back(home: EmbeddedHome) -> None:
    command("tenants", "list", "--home", str(home.folder))
    until(lambda: alive(home))
    until(runs_again(home, kill_postgres(home)))
    until(lambda: (home.folder / "worker.log").read_text().count("takes jobs") == 2)
    assert "PostgreSQL had died: it was started again." in (home.folder / "worker.log").read_text()


def test_a_second_worker_by_hand_is_refused_with_the_reason(home: EmbeddedHome) -> None:
    command("tenants", "list", "--home", str(home.folder))
    until(lambda: alive(home))
    with program("worker", "--home", str(home.folder)) as second:
        said = second.communicate(timeout=PATIENCE)[0]
    assert second.returncode == 5 and "has a worker of its own already" in said and "home_has_worker" in said


def test_destroying_a_home_ends_its_worker(home: EmbeddedHome) -> None:
    command("tenants", "list", "--home", str(home.folder))
    until(lambda: two_of(workers_of(home)))
    home.destroy()
    assert workers_of(home) == [] and not home.folder.exists()
