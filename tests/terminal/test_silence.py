"""A link that goes silent without an error: nothing is waited for without end, and what is not known is said so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from backends.postgres import live
from backends.postgres.home import Home, Patience
from controlplane.errors import HomeUnreachable, OutcomeUnknown
from controlplane.operations import Call, execute
from controlplane.registry import named
from tests.postgres import LOGIN_PASSWORD, Database
from tests.terminal.console import CHECKOUT, PROGRAM, console, socket_of, url
from tests.terminal.link import CutLink
from tests.terminal.test_faults import DEAD_TIME, suspend

SHORT = Patience(check=0.3, commit=0.3, look_up=0.5)


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name) SELECT 'acme-' || i, 'Acme ' || i FROM generate_series(10, 19) i"
        )
    return database


@pytest.fixture
def link(estate: Database) -> Iterator[CutLink]:
    with CutLink(socket_of(estate)) as link:
        yield link


def status(database: Database) -> object:
    with psycopg.connect(database.owner) as connection:
        row = connection.execute("SELECT status FROM wf.tenants WHERE id = 'acme-10'").fetchone()
    return row and row[0]


# What is waited for


@pytest.mark.parametrize(("whole", "known"), [(False, True), (True, False)], ids=["one connection", "the whole link"])
async def test_a_commit_without_an_answer_is_looked_up_by_its_request_id(
    estate: Database, link: CutLink, monkeypatch: pytest.MonkeyPatch, whole: bool, known: bool
) -> None:
    monkeypatch.setattr("backends.postgres.home.CONNECT_SECONDS", 1)
    told: list[str] = []
    home = Home(through(estate, link), patience=SHORT)
    await home.open()
    try:
        operation = named("tenants.suspend")
        request = operation.parse({"id": "acme-10"})
        link.silence_at(b"COMMIT", whole=whole)
        call = Call("unpaid", "silent-1", tell=told.append)
        if known:
            outcome = await execute(home, operation, request, call)
            assert outcome.repeated and outcome.result["status"] == "suspended"
        else:
            with pytest.raises(OutcomeUnknown, match="silent-1"):
                await execute(home, operation, request, call)
        assert len(told) == 1 and "outcome is unknown" in told[0]
        link.restore()
        assert status(estate) == "suspended"
    finally:
        await home.close()


async def test_reading_over_a_silent_link_ends(
    estate: Database, link: CutLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.postgres.home.ANSWER_SECONDS", 0.2)
    home = Home(through(estate, link), patience=SHORT)
    await home.open()
    try:
        link.silence_at(b"pg_sleep")
        with pytest.raises(HomeUnreachable, match=r"did not answer within 0\.4 s"):
            async with home.connection(0.2) as connection:
                await connection.execute("SELECT pg_sleep(0)")
    finally:
        await home.close()


def test_every_connection_has_its_limits() -> None:
    """Of the libraries' own connections there are none without: all are made in one place."""
    made = re.compile(r"psycopg\.connect\(|AsyncConnection\.connect\(|psycopg\.Connection\.connect\(")
    allowed = {"app/demo", "backends/embedded"}  # they meet an embedded home only, on a socket of this machine
    found = {
        path.relative_to(CHECKOUT).as_posix()
        for folder in ("app", "backends", "screens", "controlplane")
        for path in (CHECKOUT / folder).rglob("*.py")
        if made.search(path.read_text())
    }
    assert {path for path in found if not path.startswith(tuple(allowed))} == set()


def through(database: Database, link: CutLink) -> str:
    return psycopg.conninfo.make_conninfo(database.login("admin"), host="127.0.0.1", port=link.port)


# The shell


@pytest.mark.parametrize("delivers", [True, False])
def test_ctrl_c_during_a_commit_says_that_the_outcome_is_unknown(
    estate: Database, link: CutLink, delivers: bool
) -> None:
    link.silence_at(b"COMMIT", delivers=delivers)
    words = [*PROGRAM, "tenants", "suspend", "acme-10", "--reason", "unpaid", "--yes", "--request-id", "ctrl-c-1"]
    environment = os.environ | {"PGPASSWORD": LOGIN_PASSWORD, "PYTHONPATH": str(CHECKOUT)}
    words += ["--home", url(estate, port=link.port)]
    with subprocess.Popen(words, env=environment, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) as running:
        assert link.silenced.wait(60)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == OutcomeUnknown.exit_code == 7
    first, last = said.splitlines()[0], said.splitlines()[-1]
    assert "interrupted" in first and "being looked up" in first
    assert "--request-id ctrl-c-1" in last and "[outcome_unknown]" in last


def test_ctrl_c_during_a_commit_that_was_made_tells_what_was_made(estate: Database, link: CutLink) -> None:
    link.silence_at(b"COMMIT", whole=False)
    words = [*PROGRAM, "tenants", "suspend", "acme-10", "--reason", "unpaid", "--yes"]
    environment = os.environ | {"PGPASSWORD": LOGIN_PASSWORD, "PYTHONPATH": str(CHECKOUT)}
    words += ["--home", url(estate, port=link.port)]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, env=environment, cwd=CHECKOUT, text=True, **pipes) as running:  # type: ignore[call-overload]
        assert link.silenced.wait(60)
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=60)
    assert running.returncode == 0 and "acme-10" in out
    assert "being looked up" in said and "undo" in said
    assert status(estate) == "suspended"


# The console


def test_a_change_is_pending_until_it_is_answered_and_who_leaves_is_told_how_to_look_it_up(
    estate: Database, link: CutLink
) -> None:
    with console(estate, port=link.port) as t:
        t.see("Acme 10")
        suspend(t)
        t.settle(DEAD_TIME)
        link.silence_at(b"COMMIT")
        t.press("y")
        t.see("suspend acme-10: waiting for the home")
        assert link.silenced.wait(60)
        t.press("ctrl+c", "ctrl+c")
        assert t.wait(10) == OutcomeUnknown.exit_code
        assert t.restored()
        left = "".join("".join(t.screen()).split())  # wherever the terminal broke the line
        assert re.search(r"theoutcomeisunknown.*watchfloorauditlistrequest:wf-\w+", left), left
    link.restore()


def test_a_silent_link_is_called_stale_within_three_seconds(estate: Database, link: CutLink) -> None:
    assert live.BEAT_SECONDS + live.LATE_SECONDS + live.LOOP_SECONDS <= 3
    with console(estate, port=link.port) as t:
        t.see("Acme 10")
        t.see("live")
        link.freeze()
        t.see("stale", timeout=30)
        t.press("a")
        t.see("nothing can be changed")
        link.restore()
        t.see("live", timeout=60)


def test_a_login_that_is_refused_is_named_in_the_header_and_tried_again_by_key(estate: Database) -> None:
    with psycopg.connect(estate.owner, autocommit=True) as owner, console(estate, columns=120) as t:
        t.see("Acme 10")
        t.see("live")
        try:
            owner.execute("ALTER ROLE t_admin PASSWORD 'another'")
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 't_admin'")
            t.see("offline: login refused", timeout=60)
            t.see("the name or the password is wrong")
            t.see("Acme 10")
        finally:  # the login is the whole server's
            owner.execute("ALTER ROLE t_admin PASSWORD 'for tests only'")
        t.press("R")
        t.see("live", timeout=60)
        t.gone("the password is wrong", timeout=60)
        t.see("Acme 10")
