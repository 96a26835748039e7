"""The embedded home: a PostgreSQL of the user's own, started when the first program needs it.

All programs of that user share it, and it outlives any of them. Nothing here trusts a pid in a file: the server is
alive when a connection succeeds, and gone when the lock that its processes inherited is free. Whichever program finds
that the server died starts it again (`revive`); a stopped server is only started by a program that opens it (`ensure`).
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from backends.embedded import folder as disk
from backends.embedded import process, worker
from backends.embedded.binaries import MAJOR, Account, account_for, person
from controlplane.errors import HomeUnreachable, Refusal

DATABASE = "watchfloor"
LOOKED_AT_SECONDS = 0.5
"""How long a new worker retries for the lock: a program that only checks for a worker holds it for a moment."""
START_SECONDS = 120.0  # long enough to replay a gigabyte of WAL after a crash


class Credentials(NamedTuple):
    """How to log in: as the owner of the database, or as the user who runs the program."""

    socket_folder: Path
    port: int
    dbname: str
    owner_user: str
    owner_password: str
    login_user: str
    login_password: str

    def __repr__(self) -> str:
        """Without the passwords."""
        return f"Credentials({self.owner_user} and {self.login_user}, {self.socket_folder})"

    def owner_conninfo(self, dbname: str | None = None) -> str:
        return self._conninfo(self.owner_user, self.owner_password, dbname or self.dbname)

    def login_conninfo(self) -> str:
        return self._conninfo(self.login_user, self.login_password, self.dbname)

    def _conninfo(self, user: str, password: str, dbname: str) -> str:
        from psycopg.conninfo import make_conninfo

        return make_conninfo(host=str(self.socket_folder), port=self.port, dbname=dbname, user=user, password=password)


class Status(NamedTuple):
    """`pid` and `socket_folder` are set only while it runs; `version` is the server's while it runs, else the data's.
    `worker_pid`: the home's own worker, if it is running.
    """

    state: Literal["running", "stopped", "absent"]
    version: str | None
    pid: int | None
    folder: Path
    socket_folder: Path | None
    size_bytes: int
    account: str | None
    worker_pid: int | None = None


class EmbeddedHome:
    """A home in `folder`. All methods block (use a thread), and any number of processes may call them at once.

    They raise Refusal: `home_folder_foreign`, `home_folder_unwritable`, `home_folder_unreachable`,
    `home_folder_damaged`, `home_other_account`, `home_other_version`, `home_start_failed`, `home_stop_failed`,
    `home_stopped`, `home_absent`, `home_out_of_room`, `embedded_unavailable`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).resolve()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def ensure(self) -> Credentials:
        """Make the home if there is none, start it if it is down. If it runs, this costs one connection."""
        with disk.explained(self.folder):
            if self.folder.is_dir():
                disk.check_ours(self.folder)
                known = self._credentials()
                if known and _answers(known.login_conninfo()):
                    return known
            disk.make(self.folder)
            with disk.locked(self.folder) as lock:
                return self._bring_up(lock)

    def revive(self) -> bool:
        """Start the server again if it died; True when this call started it. Costs next to nothing while the server
        lives. If another program is already starting it, this call leaves that to it.

        Call it when the home did not answer. Raises HomeUnreachable `home_stopped` or `home_absent` for a home that is
        not meant to run, `home_out_of_room`, and all that `ensure` raises.
        """
        with disk.explained(self.folder):
            if not self._data.is_dir():
                raise HomeUnreachable("home_absent", f"The home in {self.folder} is gone: it was destroyed.")
            disk.check_ours(self.folder)
            if self._can_be_reached():
                if full := self.out_of_room():  # it is about to die of it, or just did
                    raise full
                return False
            with disk.locked_now(self.folder) as lock:
                if lock is None or self._can_be_reached():
                    return False
                if self.stopped:
                    raise HomeUnreachable(
                        "home_stopped",
                        f"The home in {self.folder} was stopped with `watchfloor home stop`.",
                        "Press R in the console to start it again; any command that needs it starts it too.",
                        brief="stopped",
                    )
                self._bring_up(lock)
                return True

    @property
    def stopped(self) -> bool:
        """Somebody stopped it on purpose, and nobody has opened it since."""
        return (self.folder / disk.STOPPED).exists()

    def out_of_room(self) -> HomeUnreachable | None:
        """The refusal for a full disk, when that keeps the home away; else None."""
        with disk.explained(self.folder):
            return disk.out_of_room(self.folder)

    def start_worker(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the program that does the background work, unless it is running. It must hold `as_worker`."""
        with disk.explained(self.folder):
            worker.start(self.folder, command, environment)

    @property
    def has_worker(self) -> bool:
        return disk.is_held(self.folder, disk.WORKER_LOCK)

    def stop_worker(self) -> None:
        worker.stop(self.folder)

    @contextmanager
    def as_worker(self) -> Iterator[int | None]:
        """The home's one worker holds this as long as it or one of its children lives. Yields the lock's descriptor,
        for `worker.sign_in`; None when there is a worker already, or when the home was stopped.
        """
        if self._data.is_dir():
            disk.touch(self.folder / disk.WORKER_LOCK)
        deadline = time.monotonic() + LOOKED_AT_SECONDS
        while True:
            with disk.held(self.folder, disk.WORKER_LOCK) as lock:
                if lock is not None or time.monotonic() > deadline:
                    yield None if self.stopped else lock
                    return
            time.sleep(0.02)

    def known(self) -> Credentials | None:
        """How to log in to a complete home, running or not. None when there is none yet."""
        with disk.explained(self.folder):
            if not self.folder.is_dir():
                return None
            disk.check_ours(self.folder)
            return self._credentials()

    def status(self) -> Status:
        with disk.explained(self.folder):
            if not self.folder.exists():
                return Status("absent", None, None, self.folder, None, 0, None)
            disk.check_ours(self.folder)
            size = disk.size_of(self.folder)
            if not self._data.is_dir():
                return Status("absent", None, None, self.folder, None, size, None)
            account, known = account_for(self._data).name, self._credentials()
            version = _answers(known.owner_conninfo()) if known else None
            if known is None or version is None:
                return Status("stopped", disk.data_version(self.folder), None, self.folder, None, size, account)
            pid, at_work = process.postmaster(self.folder), worker.pid(self.folder)
            return Status("running", version, pid, self.folder, known.socket_folder, size, account, at_work)

    def stop(self) -> bool:
        """Stop the server and its worker; True when it was running. Connected programs lose their connection but no
        committed data, and do not start it again.
        """
        with disk.explained(self.folder):
            if not self.folder.exists():
                return False
            disk.check_ours(self.folder)
            with disk.locked(self.folder):
                disk.touch(self.folder / disk.STOPPED)
                worker.stop(self.folder)
                return process.stop(self.folder)

    def destroy(self) -> None:
        """Stop it, and remove the folder with all data. Refuses a folder that is not a home."""
        with disk.explained(self.folder):
            if not self.folder.exists():
                return
            disk.check_ours(self.folder)
            with disk.locked(self.folder):
                disk.touch(self.folder / disk.STOPPED)
                worker.stop(self.folder, grace=0.0)
                process.stop(self.folder)
                disk.remove(self.folder)

    def _bring_up(self, lock: int) -> Credentials:
        """Under the home's lock."""
        disk.sweep(self.folder)
        account = account_for(self._data)
        if not account.is_us and not account.can_enter(self.folder):
            raise HomeUnreachable(
                "home_folder_unreachable",
                f"PostgreSQL runs as {account.name}, because it refuses root, and {account.name} cannot reach"
                f" {self.folder}: a folder above it is closed to others.",
                "Choose a folder elsewhere with --home (root's default is /var/lib/watchfloor/home).",
            )
        if not self._data.exists():
            process.initialise(self.folder, account, lock)
        self._check_data()
        if disk.read_secret(self._login_file) is None:
            disk.write_secret(self._login_file, secrets.token_urlsafe(24))
        credentials = self._run(account)
        _furnish(credentials)
        (self.folder / disk.STOPPED).unlink(missing_ok=True)
        return credentials

    def _check_data(self) -> None:
        version = disk.data_version(self.folder)
        if version is None or disk.read_secret(self.folder / disk.OWNER_FILE) is None:
            missing = self._data / "PG_VERSION" if version is None else self.folder / disk.OWNER_FILE
            raise Refusal(
                "home_folder_damaged",
                f"{missing} is missing: without it the home cannot be opened.",
                "Put it back from a backup, or give the home up with: watchfloor home destroy",
            )
        if version != MAJOR:
            raise Refusal(
                "home_other_version",
                f"The data in {self.folder} is of PostgreSQL {version}; this program comes with {MAJOR}.",
                f"Use the program's version that made it, or dump it with PostgreSQL {version} and load it anew.",
            )

    def _run(self, account: Account) -> Credentials:
        """Wait for the server to answer; launch it when none is alive."""
        if disk.server_alive(self.folder) and not self._has_socket():
            process.stop(self.folder)  # nobody can reach it: something emptied the temporary folder
        deadline, pause, log_start = time.monotonic() + START_SECONDS, 0.01, None
        while True:
            credentials = self._credentials()
            if credentials and _answers(credentials.owner_conninfo("postgres")):
                return credentials
            disk.touch(self.folder / disk.SERVER_LOCK)
            with disk.held(self.folder, disk.SERVER_LOCK) as free:
                if free is not None and log_start is not None:
                    said = (self.folder / "postgres.log").read_bytes()[log_start:]
                    raise process.failed(self.folder, "PostgreSQL did not start", said.decode(errors="replace"))
                if free is not None:
                    log_start = process.launch(self.folder, account, free)
            if time.monotonic() > deadline:
                raise HomeUnreachable(
                    "home_start_failed",
                    f"PostgreSQL has been starting for {START_SECONDS:.0f} s; after a crash it first replays its log.",
                    f"Try again in a minute. See {self.folder / 'postgres.log'}.",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def _can_be_reached(self) -> bool:
        return disk.server_alive(self.folder) and self._has_socket()

    def _has_socket(self) -> bool:
        place = disk.socket_folder(self.folder)
        return place is not None and (place / disk.SOCKET_NAME).exists()

    @property
    def _login_file(self) -> Path:
        return self.folder / f"login-{login_name(person())}.password"

    def _credentials(self) -> Credentials | None:
        """None as long as the home is not complete."""
        place = disk.socket_folder(self.folder)
        owner, login = disk.read_secret(self.folder / disk.OWNER_FILE), disk.read_secret(self._login_file)
        if place is None or owner is None or login is None:
            return None
        return Credentials(place, process.PORT, DATABASE, process.OWNER, owner, login_name(person()), login)


def login_name(name: str) -> str:
    """The PostgreSQL role name for a system account: one that needs no quotes and is not reserved."""
    role = re.sub("[^a-z0-9_]", "_", name.lower())
    if not role[:1].isalpha() or role.startswith(("pg_", "wf_")) or role in ("public", "none"):
        role = f"u_{role}"
    return role[:63]


def _answers(conninfo: str) -> str | None:
    """The server's version, by a real connection; None when there is no server or it refuses us."""
    import psycopg

    try:
        with psycopg.connect(conninfo, connect_timeout=5) as connection:
            return connection.info.parameter_status("server_version")
    except psycopg.OperationalError:
        return None


def _furnish(credentials: Credentials) -> None:
    """Make the database and the user's login, which has no rights of its own. Safe to repeat after a kill."""
    import psycopg
    from psycopg import sql

    login, password = credentials.login_user, credentials.login_password
    with psycopg.connect(credentials.owner_conninfo("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login]).fetchone()
        if known and _answers(credentials.login_conninfo()):
            return
        # Iterations protect passwords that can be guessed. This one is random, and they cost each connection 7 ms.
        connection.execute("SET scram_iterations = 1")
        verifier = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"), sql.Identifier(login), sql.Literal(verifier.decode())
            )
        )
