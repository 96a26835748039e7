"""What goes wrong around the console: clear words, nothing lost or half done, the terminal restored."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from backends.embedded.server import EmbeddedHome
from tests.app.commands import Cli
from tests.backends.runs import abandoned, until_gone
from tests.postgres import Database, scratch_folder
from tests.terminal.console import CHECKOUT, PROGRAM, console, socket_of
from tests.terminal.driver import Terminal
from tests.terminal.link import CutLink

DEAD_TIME = 0.4
"""A dialog takes no confirming key in its first 300 ms."""
NOTICED = 13.0
"""Seconds in which a frozen link is noticed: a heartbeat, its answer's limit, and some."""

KILLED_WHILE_MIGRATING = """
import os, signal, sys, psycopg
from backends.postgres.migrate import migrate
execute = psycopg.Connection.execute
def watched(self, query, params=None, **more):
    if str(query).startswith("INSERT INTO wf.migrations") and params[0] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, query, params, **more)
psycopg.Connection.execute = watched
migrate(sys.argv[1])
"""


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name) SELECT 'acme-' || i, 'Acme ' || i FROM generate_series(10, 49) i"
        )
    return database


@pytest.fixture
def cli(estate: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    cli = Cli(estate, monkeypatch, capsys)
    cli.log_in()
    return cli


def one(database: Database, query: str) -> object:
    with psycopg.connect(database.owner) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def leave(terminal: Terminal) -> None:
    terminal.press("ctrl+c", "ctrl+c")
    assert terminal.wait() == 0
    assert terminal.restored()


def suspend(terminal: Terminal, reason: str = "chargebacks", question: str = "Do it? y/N") -> None:
    """Up to the question."""
    terminal.press("a", "s")
    terminal.see("kept in the audit trail")
    terminal.type(reason)
    terminal.press("enter")
    terminal.see(question)


# The link


def test_a_frozen_link_is_noticed_refuses_changes_and_recovers(estate: Database) -> None:
    with CutLink(socket_of(estate)) as link, console(estate, port=link.port) as t:
        t.see("Acme 10")
        t.see("live")
        link.freeze()
        t.press("j")
        t.see("›  acme-11")
        t.see("offline", timeout=NOTICED)
        t.see("Acme 10")
        t.press("a")
        t.see("nothing can be changed")
        link.restore()
        t.see("live", timeout=NOTICED)
        t.gone("nothing can be changed")
        with psycopg.connect(estate.owner) as connection:
            connection.execute("UPDATE wf.tenants SET name = 'Acme 11 SE' WHERE id = 'acme-10'")
        t.see("Acme 11 SE", timeout=NOTICED)


def test_a_frozen_link_does_not_keep_the_console_from_leaving(estate: Database) -> None:
    with CutLink(socket_of(estate)) as link, console(estate, port=link.port) as t:
        t.see("Acme 10")
        link.freeze()
        t.press("r", "ctrl+c", "ctrl+c")
        assert t.wait(5) == 0
        assert t.restored()
        assert not any(t.screen())  # no library's warning is left on the person's own screen


# People


def test_two_consoles_on_one_tenant_the_second_is_told(estate: Database) -> None:
    with console(estate) as first, console(estate, "operator") as second:
        for each in (first, second):
            each.see("Acme 10")
            each.press("a")
            each.see("Change a tenant's display")
            each.press("r")
            each.see("name *")
        for each, name in ((first, "First"), (second, "Second")):
            each.type(name)
            each.press("enter")
            if each is first:
                each.see("Do it? y/N")
                each.settle(DEAD_TIME)
                each.press("y")
                each.see("u: undo")
        second.see("somebody changed it since you looked")
        second.see("First")
    assert one(estate, "SELECT name FROM wf.tenants WHERE id = 'acme-10'") == "First"
    assert one(estate, "SELECT count(*) FROM wf.changes") == 1


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_who_may_not_is_told_so_in_the_console(estate: Database, role: str) -> None:
    with console(estate, role) as t:
        t.see("Acme 10")
        t.type(":tenants.suspend acme-10\r")
        t.see(f"tenants.suspend needs the role operator; t_{role} is {role}")
    assert one(estate, "SELECT status FROM wf.tenants WHERE id = 'acme-10'") == "active"


# What is too large


def test_ten_megabytes_are_neither_pasted_nor_stored(cli: Cli, estate: Database, tmp_path: Path) -> None:
    ten = json.dumps({"x": "y" * 10_000_000})
    with console(estate) as t:
        t.see("Acme 10")
        t.press("a", "e")
        t.see("enter next")
        t.paste(ten)
        t.see("Nothing was pasted: 10,000,009 characters", timeout=20)
        t.press("esc")
        t.see("live")
        leave(t)
    file = tmp_path / "tenants.json"
    file.write_text(json.dumps([{"id": "acme-10", "metadata": {"x": "y" * 10_000_000}}]))
    answer = cli("tenants", "apply", str(file), "--yes", "--json")
    assert answer.code == 2 and "metadata" in answer.document["error"]["message"]
    assert one(estate, "SELECT metadata FROM wf.tenants WHERE id = 'acme-10'") == {}
    assert len(answer.out) < 2000


def test_a_name_of_ten_thousand_marks_is_refused_in_words(cli: Cli, estate: Database) -> None:
    name = "e" + "\u0301" * 10_000
    answer = cli("tenants", "rename", "acme-10", "--name", name, "--yes")
    assert answer.code == 2 and "200" in answer.err and len(answer.err) < 1000
    with console(estate) as t:
        t.see("Acme 10")
        t.press("a", "r")
        t.see("name *")
        t.paste(name)
        t.press("enter")
        t.see("200")
        t.press("esc")
        t.see("live")
    assert one(estate, "SELECT name FROM wf.tenants WHERE id = 'acme-10'") == "Acme 10"


def test_an_empty_table_says_how_to_go_on(estate: Database) -> None:
    with console(estate) as t:
        t.see("Acme 10")
        t.type("/nobody\r")
        t.see(re.compile("[Nn]o tenant"))
        t.press("d", "w")
        t.see("Nothing to explain here")
        t.press("esc")
        t.see("live")
        t.type(":projects\r")
        t.see("No projects yet")


# Ends


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_with_a_question_open_does_nothing_and_restores(
    estate: Database, number: signal.Signals, code: int
) -> None:
    with console(estate) as t:
        t.see("Acme 10")
        suspend(t)
        t.signal(number)
        assert t.wait(1.5) == code
        assert t.restored()
    assert one(estate, "SELECT count(*) FROM wf.changes") == 0


def test_a_run_whose_console_is_ended_goes_on_in_the_next(estate: Database) -> None:
    with console(estate, columns=120) as t:
        t.see("Acme 10")
        t.type("/acme\r")
        t.see("40 of 41")
        t.press("*")
        t.see("40 marked")
        suspend(t, question="Type 40")
        t.settle(DEAD_TIME)
        t.type("40\r")
        t.see(re.compile(r"run \d+: [1-9]\d? of 40"))
        t.signal(signal.SIGHUP)
        assert t.wait(2) == 129
        assert t.restored()
    until_gone(estate.owner)
    done = one(estate, "SELECT done FROM wf.run_progress")
    assert isinstance(done, int) and done < 40
    abandoned(estate.owner)
    with psycopg.connect(estate.owner) as connection:
        connection.execute("UPDATE wf.runs SET per_second = 1000")
    with console(estate, columns=120, words=("/runs",)) as t:
        t.see("›      2  tenants.suspend")  # the overview names the operation too
        t.press("a")
        t.see("Resume a paused run")
        t.press("r")
        t.see("40/40", timeout=20)
    assert one(estate, "SELECT count(*) FROM wf.audit WHERE operation = 'tenants.suspend' AND noun = 'tenants'") == 40
    assert one(estate, "SELECT count(*) FROM wf.tenants WHERE status = 'suspended'") == 40


def test_ctrl_c_stops_an_import_and_what_was_stored_stays_whole(estate: Database, tmp_path: Path) -> None:
    log = tmp_path / "big.jsonl"
    line = '{"tenant_id": "acme-10", "route": "/a", "method": "GET", "status": 200, "at": "2026-11-20T10:00:00Z"}\n'
    log.write_text(line * 300_000)
    with console(estate, columns=120) as t:
        t.see("Acme 10")
        t.type(f":import {log}\r")
        t.see("what the log is")
        t.press("enter", "j", "enter", "enter", "enter")
        t.see("rows,")
        t.press("ctrl+c")
        t.see("Stopped. What was done up to there stays.")
        leave(t)
    stored = one(estate, "SELECT count(*) FROM wf.requests")
    assert stored == one(estate, "SELECT coalesce(sum(rows), 0) FROM wf.import_chunks")


def test_a_slow_query_is_ended_by_the_home_and_said(estate: Database) -> None:
    with console(estate) as t:
        t.see("Acme 10")
        with psycopg.connect(estate.owner) as blocker:
            blocker.execute("LOCK TABLE wf.tenants IN ACCESS EXCLUSIVE MODE")
            t.press("r", "j")
            t.see("›  acme-11")
            t.press("ctrl+c")
            t.see("ctrl+c again leaves")
            t.press("ctrl+c")
            t.press("ctrl+c")
            assert t.wait(5) == 0
            assert t.restored()


# Storms


def test_a_storm_of_resizes_over_a_dialog_is_survived(estate: Database) -> None:
    with console(estate) as t:
        t.see("Acme 10")
        suspend(t)
        for number in range(40):
            t.resize(20 + number * 3, 3 + number)
        t.resize(100, 24)
        t.see("Do it? y/N")
        t.press("esc")
        t.see("live")
        t.see("Acme 10")
        leave(t)


# The disk


def test_a_full_disk_is_said_and_leaves_no_half_export(estate: Database, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    full = small / "full"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", small], capture_output=True).returncode:
        pytest.skip("only root can make a small disk")
    try:
        full.write_bytes(b"x" * 4096)
        with console(estate) as t:
            t.see("Acme 10")
            t.press("e")
            t.see("export")
            t.press("enter", "enter", "ctrl+u")
            t.type(str(small / "out.csv"))
            t.press("enter")
            t.see("No space left on device")
            leave(t)
        assert list(small.iterdir()) == [full]
    finally:
        subprocess.run(["umount", small], check=True)


# The home


def test_a_query_that_takes_too_long_is_said_and_the_rows_stay(estate: Database) -> None:
    with console(estate) as t:
        t.see("Acme 10")
        with psycopg.connect(estate.owner, autocommit=True) as owner, owner.transaction():
            owner.execute("LOCK TABLE wf.tenants IN ACCESS EXCLUSIVE MODE")
            t.type("/acme-1\r")
            deadline = time.monotonic() + 20
            # As its time limit does, to every query that waits for the lock: page and count, and what is asked again.
            end_waiting = """SELECT pg_cancel_backend(pid) FROM pg_locks
                             WHERE NOT granted AND relation = 'wf.tenants'::regclass"""
            while not any("The home took too long" in line for line in t.screen()):
                assert time.monotonic() < deadline, "\n".join(t.screen())
                owner.execute(end_waiting)
            t.see("Acme 10")
        t.press("r")
        t.see("10 of 41")


def test_a_home_whose_migration_was_killed_is_finished_by_the_console(tmp_path: Path) -> None:
    """Embedded, as the console starts it: no other is ever migrated without being told to."""
    folder = scratch_folder()
    home = EmbeddedHome(folder / "home")
    try:
        owner = home.ensure().owner_conninfo()
        killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_MIGRATING, owner, "3"], cwd=CHECKOUT)
        assert killed.returncode == -signal.SIGKILL
        environment = {"PYTHONPATH": str(CHECKOUT), "HOME": str(tmp_path)}
        with Terminal([*PROGRAM, "--home", str(home.folder)], env=environment) as t:
            t.see("live")
            t.see("create a tenant")
            home.stop()
            t.see("offline", timeout=NOTICED)
            home.destroy()
            t.press("R", "j")
            t.see("offline")
            leave(t)
    finally:
        home.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (bytes(range(256)) * 300, "not UTF-8 text"),
        (b"\x1f\x8b not gzip at all", "damaged"),
        (b'{"tenant": "acme-10", "route": "/a", "meth', "1 skipped"),
    ],
    ids=["empty", "binary", "damaged", "truncated"],
)
def test_a_log_that_cannot_be_read_is_said_with_its_name(
    cli: Cli, estate: Database, tmp_path: Path, content: bytes, words: str
) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_bytes(content)
    answer = cli("requests", "import", str(log), "--format", "jsonl")
    print(answer)
    assert words in answer.out + answer.err
    assert one(estate, "SELECT count(*) FROM wf.requests") == 0
