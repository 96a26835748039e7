"""The PostgreSQL of the tests: one server per test process, a fresh database per test.

Roles belong to the whole server, so a server of its own keeps parallel test processes apart; roles that a test makes
are dropped with its database.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from backends.embedded.server import Credentials, EmbeddedHome
from controlplane.errors import Refusal

ROLES = ("viewer", "support", "operator", "admin", "worker", "service")
TEMPLATE = "template_watchfloor"
LOGIN_PASSWORD = "for tests only"
# Nothing in here outlives the tests, so nothing needs to reach a disk; and nobody guesses a password that stands below,
# so it needs no thousands of iterations: they took 2.4 of the 6 ms that a connection costs.
CARELESS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "256MB",
    "scram_iterations": "1",
}
SCRATCH = "watchfloor-test-"
RAISED = """
SELECT m.roleid::regrole::text, m.member::regrole::text, m.grantor::regrole::text FROM pg_auth_members m
WHERE m.member::regrole::text LIKE 't\\_%' AND m.roleid::regrole::text LIKE 'wf\\_%'
  AND substr(m.member::regrole::text, 3) <> substr(m.roleid::regrole::text, 4)
"""
"""The logins t_ROLE that are members of another role's group."""


def scratch_folder() -> Path:
    """A folder that the server's account can reach: in memory where there is room (a database in 13 ms, not 80)."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30
    parent = memory if roomy else Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-", dir=parent))
    folder.chmod(0o711)  # PostgreSQL refuses root: then it runs as another account, which must pass through
    return folder


def _sweep(parent: Path) -> None:
    """Take away what test processes left that were killed."""
    for folder in parent.glob(f"{SCRATCH}*"):
        owner = re.match(rf"{SCRATCH}(\d+)-", folder.name)
        if owner and folder.stat().st_uid == os.geteuid() and not _lives(int(owner[1])):
            with contextlib.suppress(FileNotFoundError, Refusal):  # two test processes sweep at once
                EmbeddedHome(folder / "home").destroy()
                shutil.rmtree(folder)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@dataclass(frozen=True)
class Database:
    """One test's database. `owner` is a conninfo with all rights."""

    owner: str
    name: str

    def login(self, role: str) -> str:
        """The conninfo of a login with the group role wf_`role`, if there is one: t_viewer … t_service."""
        assert role in ROLES
        with psycopg.connect(self.owner) as connection:
            _make_login(connection, role)
        return make_conninfo(self.owner, user=f"t_{role}", password=LOGIN_PASSWORD)


def _make_login(connection: psycopg.Connection, role: str) -> None:
    login, group = sql.Identifier(f"t_{role}"), sql.Identifier(f"wf_{role}")
    known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    if f"t_{role}" not in known:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(login, LOGIN_PASSWORD))
    if f"wf_{role}" in known:
        member = connection.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", [f"t_{role}", f"wf_{role}"]).fetchone()
        if member != (True,):
            connection.execute(sql.SQL("GRANT {} TO {}").format(group, login))
    if connection.execute("SELECT to_regclass('wf.operators')").fetchone() != (None,):
        let_in = connection.execute("SELECT has_schema_privilege(%s, 'wf', 'USAGE')", [f"t_{role}"]).fetchone()
        if let_in != (True,):
            # An operator of this home, of whom the trail says nothing.
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute("INSERT INTO wf.operators (name, role) VALUES (%s, %s)", [f"t_{role}", role])
            connection.execute("SELECT wf.let_in(%s)", [f"t_{role}"])


class Server:
    """The server of this test process, and what the fixtures do with it."""

    def __init__(self, credentials: Credentials, log: Path) -> None:
        self.credentials = credentials
        self.log = log
        self._numbers = itertools.count(1)
        self._admin = psycopg.connect(credentials.owner_conninfo("postgres"), autocommit=True)
        for name, value in CARELESS.items():
            self._admin.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        self._admin.execute("SELECT pg_reload_conf()")
        self._admin.execute("SET scram_iterations = 1")  # this session may not have read the file yet
        again = sql.SQL("ALTER ROLE {} PASSWORD {}")  # made anew, with one iteration
        self._admin.execute(again.format(sql.Identifier(credentials.owner_user), credentials.owner_password))

    def close(self) -> None:
        self._admin.close()

    def create(self, name: str | None = None, template: str = "template1") -> Database:
        name = name or f"t{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._admin.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return Database(self.credentials.owner_conninfo(name), name)

    @contextlib.contextmanager
    def database(self, template: str) -> Iterator[Database]:
        """A copy of `template` for a while. It may be the template of others, once nobody is connected to it."""
        database = self.create(template=template)
        try:
            yield database
        finally:
            self.drop(database)

    def drop(self, database: Database) -> None:
        """With the roles that its test made, so that the next test finds none of them."""
        # Sessions that are just ending make DROP DATABASE sleep for 100 ms: wait for them ourselves.
        sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        deadline = time.monotonic() + 5
        while self._admin.execute(sessions, [database.name]).fetchone() and time.monotonic() < deadline:
            time.sleep(0.001)
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._admin.execute(statement.format(sql.Identifier(database.name)))
        made = self._admin.execute(
            "SELECT rolname FROM pg_roles WHERE oid >= 16384 AND rolname !~ '^(wf|t)_' AND rolname <> %s",
            [self.credentials.login_user],
        ).fetchall()
        for (role,) in made:
            with contextlib.suppress(psycopg.errors.DependentObjectsStillExist):  # of a database that a module keeps
                self._admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
        self._take_raises_back()

    def _take_raises_back(self) -> None:
        """A login that a test raised is what its name says again: roles belong to the whole server."""
        for names in self._admin.execute(RAISED).fetchall():
            self._admin.execute(sql.SQL("REVOKE {} FROM {} GRANTED BY {}").format(*map(sql.Identifier, names)))

    def make_template(self) -> str:
        """The name of a database with all migrations applied."""
        from backends.postgres.migrate import migrate

        made = self.create(TEMPLATE)
        migrate(made.owner)
        with psycopg.connect(made.owner) as connection:  # tests of other things ask no second person
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute("UPDATE wf.approval_rules SET active = false")
        return TEMPLATE


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    folder = scratch_folder()
    home = EmbeddedHome(folder / "home")
    try:
        server = Server(home.ensure(), home.folder / "postgres.log")
        try:
            yield server
        finally:
            server.close()
    finally:
        home.destroy()
        shutil.rmtree(folder)
