"""What keeps a home from being used: told apart by what PostgreSQL, libpq and poolers say, and by the real ones."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app import worker as worker_module
from app.contexts import usable
from app.worker import Work
from backends.embedded.server import EmbeddedHome
from backends.postgres import ingest as ingest_module
from backends.postgres import live as live_module
from backends.postgres.home import Home
from backends.postgres.job_queue import queue
from backends.postgres.migrate import migrate
from backends.postgres.refusals import refusal_of
from backends.postgres.troubles import TROUBLES, trouble_of
from controlplane.changes import Intent
from controlplane.errors import HomeUnreachable, Refusal
from controlplane.live import LinkState
from controlplane.operators.model import OperatorDirectory
from tests.app.commands import Cli
from tests.backends.runs import opened
from tests.backends.test_ingest import Piped, lines, until
from tests.postgres import Database, Server, scratch_folder

AT = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '
SAID = [
    ("53100", 'could not extend file "base/1/2": No space left on device', "home_out_of_room", True),
    (None, AT + 'FATAL:  could not write to file "pg_wal/x": No space left on device', "home_out_of_room", True),
    ("XX000", 'could not extend file "base/1/2": Disk quota exceeded', "home_out_of_room", True),
    ("53300", "sorry, too many clients already", "home_connections_used_up", True),
    (None, AT + "FATAL:  sorry, too many clients already", "home_connections_used_up", True),
    (None, AT + 'FATAL:  too many connections for role "ana"', "home_connections_used_up", True),
    (None, AT + "FATAL:  remaining connection slots are reserved for roles with …", "home_connections_used_up", True),
    (None, AT + "FATAL:  no more connections allowed (max_client_conn)", "home_connections_used_up", True),
    ("08P01", "query_wait_timeout", "home_connections_used_up", True),
    ("53000", "insufficient resources", "home_out_of_resources", True),
    (None, AT + 'FATAL:  password authentication failed for user "ana"', "home_login_refused", True),
    (None, AT + "fe_sendauth: no password supplied", "home_login_refused", True),
    (None, AT + "FATAL:  SASL authentication failed", "home_login_refused", True),
    (None, AT + 'FATAL:  role "ana" does not exist', "home_login_refused", True),
    (None, AT + 'FATAL:  role "ana" is not permitted to log in', "home_login_refused", True),
    (None, AT + 'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "ana"', "home_login_refused", True),
    ("28000", 'role "ana" is not permitted to log in', "home_login_refused", True),
    (None, AT + 'FATAL:  permission denied for database "wf"', "not_an_operator", True),
    (None, AT + 'FATAL:  database "wf" does not exist', "home_database_missing", True),
    (None, AT + "FATAL:  no such database: wf", "home_database_missing", True),
    ("3D000", 'database "wf" does not exist', "home_database_missing", True),
    (None, AT + "FATAL:  unsupported startup parameter: options", "home_pooler_refuses", True),
    (None, AT + "FATAL:  unsupported startup parameter in options: geqo", "home_pooler_refuses", True),
    (None, AT + "FATAL:  the database system is starting up", "home_starting", False),
    (None, AT + "FATAL:  the database system is not yet accepting connections", "home_starting", False),
    (None, AT + "FATAL:  the database system is in recovery mode", "home_starting", False),
    ("57P03", "the database system is starting up", "home_starting", False),
    (None, AT + "FATAL:  the database system is shutting down", "home_stopping", False),
    ("57P01", "terminating connection due to administrator command", "home_stopping", False),
    ("57P02", "terminating connection because of crash of another server process", "home_stopping", False),
    ("25006", "cannot execute UPDATE in a read-only transaction", "home_read_only", False),
    (None, AT + "session is read-only", "home_read_only", False),
    (
        None,
        AT + "FATAL:  server login has been failing, try again later (server_login_retry)",
        "home_pooler_alone",
        False,
    ),
    ("58030", "could not read block 7: Input/output error", "home_system_error", True),
    (None, AT + "Connection refused\n\tIs the server running?", "home_unreachable", False),
    (None, "failed to resolve host 'db': [Errno -2] Name or service not known", "home_unreachable", False),
    (None, "consuming input failed: server closed the connection unexpectedly", "home_unreachable", False),
    ("08006", "connection failure", "home_unreachable", False),
]


@pytest.mark.parametrize(("state", "words", "code", "slow"), SAID)
def test_each_is_told_from_the_others(state: str | None, words: str, code: str, slow: bool) -> None:
    trouble = trouble_of(state, words)
    assert trouble is not None
    assert (trouble.code, trouble.slow, trouble.exit_code) == (code, slow, 6)
    assert trouble.hint and "{" not in str(trouble) and "\n" not in str(trouble)
    assert (trouble.brief == "") is (code == "home_unreachable")


def test_every_trouble_is_among_them() -> None:
    assert {code for _, _, code, _ in SAID} == {trouble.code for trouble in TROUBLES}


@pytest.mark.parametrize("state", ["53200", "53400", "XX000", "54000", "55000", "40P02", "22P02"])
def test_what_is_no_trouble_of_the_home_is_not_called_away(state: str) -> None:
    assert trouble_of(state, "statement is too complex") is None


def test_words_that_a_hostile_server_says_are_inert() -> None:
    trouble = trouble_of(None, AT + "FATAL:  \x1b[2Jgo away {name} \u202e" + "x" * 5000)
    assert trouble is not None and "\x1b" not in str(trouble) and "\u202e" not in str(trouble)
    assert len(str(trouble)) < 600


# Real ones


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MAX_PAUSE_SECONDS", 0.05)


def cut(owner: psycopg.Connection[Any], login: str) -> None:
    owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [login])


async def test_a_password_that_was_changed_is_said_by_feed_and_readers(
    database: Database, owner: psycopg.Connection[Any], brisk: None
) -> None:
    conninfo, states = database.login("viewer"), asyncio.Queue[LinkState]()
    async with opened(conninfo) as home, asyncio.timeout(60):
        watching = asyncio.create_task(home.feed.watch(lambda: None, states.put_nowait))
        try:
            while (await states.get()).state != "live":
                pass
            owner.execute("ALTER ROLE t_viewer PASSWORD 'another'")
            cut(owner, "t_viewer")
            while (state := await states.get()).brief != "login refused":
                pass
            assert "secrets doctor" in state.words
            with pytest.raises(HomeUnreachable) as refused:
                while True:  # one that was just logging in was not there to be ended
                    cut(owner, "t_viewer")
                    await home.of(OperatorDirectory).rows()
            while refused.value.code == "home_stopping":
                with pytest.raises(HomeUnreachable) as refused:
                    await home.of(OperatorDirectory).rows()
            assert refused.value.code == "home_login_refused"
            owner.execute("ALTER ROLE t_viewer PASSWORD 'for tests only'")
            while (await states.get()).state != "live":
                pass
        finally:  # the login is the whole server's
            owner.execute("ALTER ROLE t_viewer PASSWORD 'for tests only'")
            watching.cancel()


async def test_a_limit_of_connections_and_a_dropped_database_are_said(
    postgres_server: Server, template_database: str
) -> None:
    database = postgres_server.create(template=template_database)
    conninfo = database.login("viewer")
    try:
        with psycopg.connect(database.owner, autocommit=True) as owner:
            owner.execute("ALTER ROLE t_viewer CONNECTION LIMIT 1")
            try:
                with psycopg.connect(conninfo), pytest.raises(HomeUnreachable) as refused:
                    await Home(conninfo).open()
                assert refused.value.code == "home_connections_used_up"
            finally:  # the login is the whole server's
                owner.execute("ALTER ROLE t_viewer CONNECTION LIMIT -1")
    finally:
        postgres_server.drop(database)
    with pytest.raises(HomeUnreachable) as refused:
        await Home(conninfo).open()
    assert refused.value.code == "home_database_missing"


def test_a_home_that_turned_read_only_is_said_and_goes_on_when_it_writes_again(
    database: Database,
    owner: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli = Cli(database, monkeypatch, capsys)
    cli.log_in()
    owner.execute("ALTER ROLE t_admin SET default_transaction_read_only = on")  # as a standby answers
    try:
        answer = cli("tenants", "list", "--json")
    finally:  # the login is the whole server's
        owner.execute("ALTER ROLE t_admin RESET ALL")
    assert (answer.code, answer.document["error"]["code"]) == (6, "home_read_only")
    assert cli("tenants", "list").code == 0


async def test_a_commit_that_the_home_refuses_is_no_unknown_outcome(
    database: Database, owner: psycopg.Connection[Any]
) -> None:
    owner.execute(
        "CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$;"
        " CREATE CONSTRAINT TRIGGER zz_full AFTER INSERT ON wf.changes DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION public.full()"
    )
    async with opened(database.login("admin")) as home:
        with pytest.raises(Refusal) as refused:
            async with home.change(Intent("tenants.rename", "r-1", "f")):
                pass
        assert refused.value.code == "home_out_of_room"


# A full disk


FULL = """
CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file "base/1": No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER zz_full BEFORE INSERT ON wf.{} FOR EACH STATEMENT EXECUTE FUNCTION public.full()
"""


def test_a_stream_says_once_that_the_disk_is_full_and_waits(
    database: Database, owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Semaphore(0)

    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            tried.release()
            return super().wait(0.01)

    pauses: list[float] = []
    owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    owner.execute(FULL.format("import_chunks").encode())
    piped = Piped(database)
    piped.stream.stop.__class__ = Waits
    piped.feed(lines(0, 5))
    for _ in range(6):
        assert tried.acquire(timeout=30)
    owner.execute("DROP FUNCTION public.full() CASCADE")
    until(owner, 5)
    assert piped.end().rows == 5
    assert min(pauses) == ingest_module.SLOW_SECONDS
    assert len(piped.said) == 2 and "disk is full" in piped.said[0] and piped.said[1] == "The home is back."


async def test_a_worker_says_once_that_the_disk_is_full_and_goes_on_by_itself(
    database: Database, owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_PAUSE_SECONDS", 0.05)
    owner.execute(FULL.format("workers").encode())
    tried, said = asyncio.Queue[None](), asyncio.Queue[str]()

    def attempt(*given: Any) -> Any:
        tried.put_nowait(None)
        return queue(*given)

    monkeypatch.setattr(worker_module, "queue", attempt)
    work = Work(database.login("worker"), {}, said.put_nowait)
    running = asyncio.create_task(work.run())
    async with asyncio.timeout(60):
        for _ in range(4):
            await tried.get()
        assert "disk is full" in await said.get() and said.empty()
        owner.execute("DROP FUNCTION public.full() CASCADE")
        assert "takes jobs" in await said.get()
        work.stop()
        await running


def test_an_error_of_the_adapter_itself_is_not_the_link() -> None:
    assert refusal_of(psycopg.DataError("year is too large")).code == "refused_by_home"


async def test_a_standby_says_so_and_goes_on_when_it_is_promoted(monkeypatch: pytest.MonkeyPatch, brisk: None) -> None:
    folder = scratch_folder()
    embedded = EmbeddedHome(folder / "home")
    try:
        migrate(embedded.ensure().owner_conninfo(), admin=embedded.ensure().login_user)
        embedded.stop()
        signal, data = folder / "home/data/standby.signal", (folder / "home/data").stat()
        signal.touch()
        os.chown(signal, data.st_uid, data.st_gid)
        credentials = embedded.ensure()
        with pytest.raises(HomeUnreachable) as refused:
            await Home(credentials.login_conninfo()).open(look=usable)
        assert (refused.value.code, refused.value.brief) == ("home_read_only", "standby")
        states = asyncio.Queue[LinkState]()
        async with opened(credentials.login_conninfo()) as home, asyncio.timeout(60):
            watching = asyncio.create_task(home.feed.watch(lambda: None, states.put_nowait))
            try:
                while (await states.get()).brief != "standby":
                    pass
                with pytest.raises(HomeUnreachable) as refused:
                    async with home.change(Intent("tenants.rename", "r-1", "f")):
                        pass
                assert refused.value.code == "home_read_only" and "promoted" in refused.value.hint
                with psycopg.connect(credentials.owner_conninfo(), autocommit=True) as owner:
                    assert owner.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)
                while (await states.get()).state != "live":
                    pass
                async with home.change(Intent("tenants.rename", "r-1", "f")):
                    pass
            finally:
                watching.cancel()
    finally:
        embedded.destroy()
        shutil.rmtree(folder)
