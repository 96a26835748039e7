"""A disk that is really full, under an embedded home that runs: it is said, nothing is half done, and all goes on when
there is room again.

Two ways to be full: a table does not grow, and the server lives on; its log does not, and the server dies and cannot be
started.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app import home_worker
from app import worker as worker_module
from app.__main__ import _guarded
from app.embedded import bring_back, bring_up, start_worker, worker_conninfo
from app.settings_text import put_table
from app.worker import Work
from backends.checkpoint_folder import CheckpointFolder, signing_key
from backends.embedded.folder import server_alive
from backends.embedded.server import EmbeddedHome
from backends.embedded.worker import pid as pid_of_worker
from backends.postgres import ingest as ingest_module
from backends.postgres import live as live_module
from backends.postgres.home import Home
from backends.secrets.age_file import AgeFile
from controlplane.audit.checkpoints import SigningKey
from controlplane.errors import HomeUnreachable, Refusal
from controlplane.jobs.kinds import kinds
from controlplane.live import LinkState
from controlplane.operations import Call, execute
from controlplane.registry import named
from tests.app.commands import Answer
from tests.backends.test_ingest import Piped, lines
from tests.postgres import Database
from tests.small_disk import SmallDisk, on_small_disk

PATIENCE = 30.0  # seconds; the machine may be busy
BLOCK = 4096


def large() -> str:
    """So much, and so mixed, that no table takes it without growing."""
    return secrets.token_hex(20_000)


def with_home(scenario: Callable[[SmallDisk, EmbeddedHome], Any]) -> None:
    """Play it where there is a home on the disk, running and without a worker. It returns which tenants there must be
    when all is over.
    """

    def play(disk: SmallDisk) -> None:
        home = EmbeddedHome(disk.place / "home")
        bring_up(home)
        try:
            tenants = scenario(disk, home)
            if asyncio.iscoroutine(tenants):
                tenants = asyncio.run(asyncio.wait_for(tenants, 2 * PATIENCE))
            nothing_is_half_done(home, tenants)
        finally:
            home.destroy()

    on_small_disk(play)


def nothing_is_half_done(home: EmbeddedHome, tenants: Collection[str]) -> None:
    """These tenants are there and no others, each with its row in a trail that verifies."""
    wanted = " ".join(sorted(tenants))
    assert (
        sql(
            home,
            "SELECT coalesce(string_agg(id, ' ' ORDER BY id), '') FROM wf.tenants WHERE id NOT IN ('default', 'acme')",
        )
        == wanted
    )
    rows = "FROM wf.audit WHERE operation = 'tenants.create'"
    assert sql(home, f"SELECT coalesce(string_agg(thing, ' ' ORDER BY thing), '') {rows}") == wanted
    assert sql(home, "SELECT count(*) FROM wf.changes WHERE operation = 'tenants.create'") == len(tenants)
    sql(home, "SELECT wf.chain_audit()")
    for words in (("audit", "checkpoint"), ("audit", "verify")):
        answer = command(*words, "--home", str(home.folder))
        assert answer.code == 0, answer


def command(*words: str) -> Answer:
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = _guarded([*words])
    return Answer(code, out.getvalue(), err.getvalue())


@asynccontextmanager
async def opened(home: EmbeddedHome) -> AsyncIterator[Home]:
    """As the console opens it, but for its worker."""
    known = home.known()
    assert known is not None
    opened = Home(known.login_conninfo(), revive=home.revive, out_of_room=home.out_of_room)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def going(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def change(home: Home, name: str, /, **fields: Any) -> None:
    await execute(home, named(name), named(name).parse(fields), Call("as the test says"))


async def refused(home: Home, name: str) -> Refusal:
    try:
        await change(home, "tenants.create", id=name, name=name, metadata={"note": large()})
    except Refusal as refusal:
        return refusal
    raise AssertionError("it was stored on a full disk")


def end_the_log(home: EmbeddedHome) -> None:
    """The server's log of changes needs its next file, for which there is no room: the server dies."""
    known = home.known()
    assert known is not None
    with pytest.raises(psycopg.Error), psycopg.connect(known.owner_conninfo(), autocommit=True) as owner:
        for _ in range(100):
            owner.execute("SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()")
    until(lambda: not server_alive(home.folder))


def to_a_block(log: Path) -> None:
    """What was written last ends where a block ends: on a full disk nothing more goes into it."""
    with log.open("ab") as file:
        file.write(b"\n" * (-file.tell() % BLOCK))


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def sql(home: EmbeddedHome, query: str) -> Any:
    known = home.known()
    assert known is not None
    with psycopg.connect(known.owner_conninfo(), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


# A table that cannot grow


def test_a_change_is_refused_in_words_and_nothing_of_it_is_stored() -> None:
    async def scenario(disk: SmallDisk, embedded: EmbeddedHome) -> list[str]:
        async with opened(embedded) as home:
            await change(home, "tenants.create", id="before", name="Before")
            disk.fill()
            for number in range(3):
                refusal = await refused(home, f"full-{number}")
                assert (refusal.code, refusal.exit_code) == ("home_out_of_room", 6), refusal
                assert "disk is full" in refusal.message and "Make room" in refusal.hint
            disk.make_room()
            await change(home, "tenants.create", id="after", name="After", metadata={"note": large()})
        return ["before", "after"]

    with_home(scenario)


def test_an_import_is_refused_in_words_and_goes_on_from_there() -> None:
    def scenario(disk: SmallDisk, home: EmbeddedHome) -> list[str]:
        sql(home, "INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        log = Path(os.environ["HOME"]) / "log.jsonl"
        log.write_bytes(lines(0, 60_000))
        words = ["requests", "import", str(log), "--format", "jsonl", "--home", str(home.folder), "--json"]
        disk.fill()
        answer = command(*words)
        assert (answer.code, answer.document["error"]["code"]) == (6, "home_out_of_room"), answer
        disk.make_room()
        assert command(*words).code == 0
        assert sql(home, "SELECT count(*) FROM wf.requests") == 60_000
        return []

    with_home(scenario)


# A server that died of it


def test_a_console_says_why_its_home_is_away_and_goes_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MAX_PAUSE_SECONDS", 0.2)

    async def scenario(disk: SmallDisk, embedded: EmbeddedHome) -> list[str]:
        states = asyncio.Queue[LinkState]()
        async with opened(embedded) as home, going(home.feed.watch(lambda: None, states.put_nowait)):
            await change(home, "tenants.create", id="before", name="Before")
            while (await states.get()).state != "live":
                pass
            disk.fill()
            await asyncio.to_thread(end_the_log, embedded)
            for number in range(2):
                refusal = await refused(home, f"full-{number}")
                assert refusal.code == "home_out_of_room" and str(embedded.folder) in refusal.message, refusal
            while (state := await states.get()).state != "offline" or not state.brief:
                pass
            assert state.brief == "disk full" and "Make room" in state.words, state
            disk.make_room()
            while (state := await states.get()).state != "live":
                assert state.brief in ("", "disk full"), state
            assert "started again" in state.words
            await change(home, "tenants.create", id="after", name="After", metadata={"note": large()})
        return ["before", "after"]

    with_home(scenario)


def test_a_server_that_dies_of_the_change_itself_says_what_became_of_it() -> None:
    """Its commit may stand in the log that could not be written to its end: it is looked up, and told so."""

    async def scenario(disk: SmallDisk, embedded: EmbeddedHome) -> list[str]:
        async with opened(embedded) as home:
            await change(home, "tenants.create", id="before", name="Before")
            disk.fill()
            with pytest.raises(Refusal) as refused:
                for number in range(5000):  # each fits into pages that are there, until the log's file is at its end
                    await change(home, "tenants.rename", id="before", name=f"Name {number}")
            assert refused.value.code in ("home_out_of_room", "outcome_unknown"), refused.value
            assert "disk is full" in str(refused.value)
            disk.make_room()
            await asyncio.to_thread(embedded.revive)
        renamed = sql(embedded, "SELECT count(*) FROM wf.audit WHERE operation = 'tenants.rename'")
        assert renamed in (number, number + (refused.value.code == "outcome_unknown"))
        return ["before"]

    with_home(scenario)


def test_a_command_says_why_it_cannot_start_the_home() -> None:
    def scenario(disk: SmallDisk, home: EmbeddedHome) -> list[str]:
        to_a_block(home.folder / "postgres.log")  # it cannot say why either
        disk.fill()
        end_the_log(home)
        where = ["--home", str(home.folder), "--json"]
        for words in (["tenants", "list"], ["tenants", "create", "full", "--name", "Full", "--yes"], ["worker"]):
            answer = command(*words, *where)
            assert (answer.code, answer.document["error"]["code"]) == (6, "home_out_of_room"), answer
            assert str(home.folder) in answer.document["error"]["message"]
        found = command("home", "status", *where).document["item"]
        assert (found["state"], found["problem"]["code"]) == ("stopped", "home_out_of_room")
        disk.make_room()
        assert command("tenants", "create", "after", "--name", "After", "--yes", *where).code == 0
        return ["after"]

    with_home(scenario)


def test_a_home_is_stopped_and_opened_again_on_a_full_disk() -> None:
    def scenario(disk: SmallDisk, home: EmbeddedHome) -> list[str]:
        start_worker(home)
        until(lambda: pid_of_worker(home.folder) is not None)
        disk.fill()
        assert home.stop() and not home.has_worker
        with pytest.raises(HomeUnreachable) as refused:
            while True:  # it may start, as long as its log has files left
                home.ensure()
                end_the_log(home)
        assert refused.value.code == "home_out_of_room"
        disk.make_room()
        home.ensure()
        return []

    with_home(scenario)


# What works in the background


def test_a_worker_says_it_once_and_goes_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "MAX_PAUSE_SECONDS", 0.05)

    async def scenario(disk: SmallDisk, home: EmbeddedHome) -> list[str]:
        said, tried = asyncio.Queue[str](), asyncio.Queue[None]()
        loop = asyncio.get_running_loop()

        def revive() -> bool:
            loop.call_soon_threadsafe(tried.put_nowait, None)
            return home.revive()

        work = Work(worker_conninfo(home), kinds(), said.put_nowait, revive=revive)
        async with going(work.run()):
            assert "takes jobs" in await said.get()
            disk.fill()
            await asyncio.to_thread(end_the_log, home)
            while "disk is full" not in (words := await said.get()):
                assert "cannot be reached" not in words
            for _ in range(4):
                await tried.get()
            assert said.empty(), said.get_nowait()
            disk.make_room()
            while "takes jobs" not in await said.get():
                pass
        return []

    with_home(scenario)


def test_the_worker_of_a_home_outlives_a_disk_that_takes_not_even_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "MAX_PAUSE_SECONDS", 0.05)

    async def scenario(disk: SmallDisk, home: EmbeddedHome) -> list[str]:
        tried = threading.Semaphore(0)

        def attempt(home: EmbeddedHome) -> bool:
            tried.release()
            return bring_back(home)

        monkeypatch.setattr(home_worker, "bring_back", attempt)
        with redirect_stderr(Full()):
            async with going(home_worker.work(home)):
                await asyncio.to_thread(until, lambda: workers(home) == 1)
                disk.fill()
                await asyncio.to_thread(end_the_log, home)
                for _ in range(3):
                    assert await asyncio.to_thread(tried.acquire, timeout=PATIENCE)
                disk.make_room()
                await asyncio.to_thread(until, lambda: server_alive(home.folder) and workers(home) == 1)
        return []

    with_home(scenario)


def test_a_worker_that_cannot_say_which_it_is_begins_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def scenario(disk: SmallDisk, home: EmbeddedHome) -> list[str]:
        monkeypatch.setattr(home_worker, "say", lambda words: disk.make_room())  # it is said that it died
        with home.as_worker() as lock, ThreadPoolExecutor(1) as thread:
            assert lock is not None
            disk.fill()
            watching = thread.submit(home_worker.watch_over, home, lock)
            until(lambda: pid_of_worker(home.folder) not in (None, os.getpid()))
            until(lambda: workers(home) == 1)
            os.kill(home.status().worker_pid or 0, signal.SIGTERM)
            watching.result(PATIENCE)
        return []

    with_home(scenario)


class Full(StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def workers(home: EmbeddedHome) -> int:
    try:
        return int(sql(home, "SELECT count(*) FROM wf.workers WHERE ended_at IS NULL"))
    except psycopg.OperationalError:
        return -1


def test_a_stream_waits_and_is_stored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(ingest_module, "RECONNECT_SECONDS", (0.05,))

    def scenario(disk: SmallDisk, home: EmbeddedHome) -> list[str]:
        sql(home, "INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        known = home.known()
        assert known is not None
        piped = Piped(Database(known.owner_conninfo(), known.dbname), revive=lambda: bring_back(home))
        piped.feed(lines(0, 1000))
        until(lambda: sql(home, "SELECT count(*) FROM wf.requests") == 1000)
        disk.fill()
        end_the_log(home)
        piped.feed(lines(1000, 2000))
        until(lambda: any("disk is full" in words for words in piped.said))
        disk.make_room()
        assert piped.end(PATIENCE).rows == 2000
        assert sql(home, "SELECT count(*) FROM wf.requests") == 2000
        assert len(piped.said) == len(set(piped.said)) and piped.said[-1] == "The home is back.", piped.said
        return []

    with_home(scenario)


# What is written beside a home


def test_a_file_that_cannot_be_written_is_refused_and_leaves_no_half() -> None:
    def play(disk: SmallDisk) -> None:
        place = disk.place / "files"
        place.mkdir()
        vault = AgeFile(place / "secrets.age", place / "identity")
        folder = CheckpointFolder(place / "checkpoints")
        folder.path.mkdir()
        key = SigningKey(bytes(32)).public("home")
        writing: list[Callable[[], object]] = [
            lambda: vault.set("acme", "a password"),
            lambda: folder.trust(key),
            lambda: signing_key(place, make=True),
            lambda: put_table(place / "settings.toml", ("views", "noisy"), {"link": "tenants"}),
        ]
        disk.fill()
        for write in writing:
            with pytest.raises(Refusal) as refused:
                write()
            assert "No space left on device" in refused.value.message
        left = {path for path in place.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
        assert left == set()
        disk.make_room()
        for write in writing:
            write()

    on_small_disk(play)
