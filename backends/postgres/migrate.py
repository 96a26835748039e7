"""Bring a home to this program's schema: numbered files of tables, then the nouns' functions, views and triggers.

Everything that a home lacks is applied in one transaction, so a killed program leaves nothing half done. Two programs
may start at once: the second waits for the first.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from pathlib import Path
from typing import NamedTuple

import psycopg

from backends.postgres import sql_files
from backends.postgres.link import connect
from backends.postgres.openings import close_to_strangers
from controlplane.errors import Conflict, HomeUnreachable, NotPermitted, Refusal

OLDEST_SERVER = 14
BRING_IT_UP = "An admin brings it up with: watchfloor home migrate"
EDITED = {36: "28037b8b2920c6ce86f458b16891c930b69a95bcbe30b078755f5f33ba2d23ab"}
"""Number → checksum of a migration that was edited for a while after homes had it; 0040 brings both kinds together."""
LOCK_SECONDS = 60.0  # how long to wait for another program, and for locks on what is to be changed


class Migration(NamedTuple):
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class SchemaState(NamedTuple):
    """How a home's schema compares with this program's. `problem` is None when the home can be used as it is."""

    server: int
    applied: int
    known: int
    problem: Refusal | None


def known_migrations() -> list[Migration]:
    """The program's own files, in order. Raises Refusal for a gap or a double number: a fault of the program."""
    found = []
    for path in (Path(__file__).parent / "migrations").iterdir():
        if match := re.fullmatch(r"(\d{4})_(\w+)\.sql", path.name):
            found.append(Migration(int(match[1]), match[2], path.read_bytes().decode()))
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise Refusal("migrations_broken", f"The program's migration files are not numbered 1 to n: {numbers}.")
    return found


def schema_state(connection: psycopg.Connection) -> SchemaState:
    """Check a home without changing it: is it a Watchfloor home, at this program's version, writable?"""
    known = known_migrations()
    server = connection.info.server_version // 10_000
    applied = _applied(connection)
    problem = _problem(connection, server, applied, known)
    return SchemaState(server, max(applied or {0: ("", "")}), len(known), problem)


def _applied(connection: psycopg.Connection) -> dict[int, tuple[str, str]] | None:
    """number → (name, checksum); None when the database is not a home."""
    try:
        if connection.execute("SELECT to_regclass('wf.migrations')").fetchone() == (None,):
            return None
        rows = connection.execute("SELECT number, name, checksum FROM wf.migrations").fetchall()
    except psycopg.errors.InsufficientPrivilege:
        raise NotPermitted(
            "not_an_operator",
            f"The login {connection.info.user} may not read this home.",
            "Ask an admin: watchfloor operators add NAME --role viewer.",
        ) from None
    return {number: (name, checksum) for number, name, checksum in rows}


def _problem(
    connection: psycopg.Connection, server: int, applied: dict[int, tuple[str, str]] | None, known: list[Migration]
) -> Refusal | None:
    if server < OLDEST_SERVER:
        return Refusal(
            "home_server_too_old",
            f"The home runs PostgreSQL {server}; Watchfloor needs {OLDEST_SERVER} or newer.",
            "Upgrade the server, or choose another home with --home.",
        )
    if (encoding := _encoding_problem(connection)) is not None:
        return encoding
    if applied is None:
        return Refusal(
            "home_not_ours",
            f"The database {connection.info.dbname} is not a Watchfloor home: it has no schema wf.",
            "To make it one: watchfloor home migrate, with a login that owns the database and may create roles.",
        )
    if changed := _changed(applied, known):
        return changed
    if max(applied, default=0) > len(known):
        return Conflict(
            "home_newer",
            f"The home is at migration {max(applied)}, this program knows {len(known)}: a newer one made it.",
            "Update watchfloor.",
        )
    if len(applied) < len(known):
        return Conflict("home_older", f"The home is at migration {len(applied)} of {len(known)}.", BRING_IT_UP)
    if (problem := _functions_problem(connection)) is not None:
        return problem
    row = connection.execute("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool").fetchone()
    if row == (True,):
        return HomeUnreachable(
            "home_read_only",
            "The home is read-only: it is a standby, or its database only allows reading.",
            "Use the primary's address: even a reveal or a look-up must write an audit row.",
            brief="standby",
        )
    return None


def _functions_problem(connection: psycopg.Connection) -> Refusal | None:
    """Compare the home's functions with this program's. The home remembers every version that it had, so if it had
    this program's before, it now has newer ones.
    """
    if connection.execute("SELECT to_regclass('wf.sql_applied')").fetchone() == (None,):
        return Conflict("home_older", "The home lacks the program's functions.", BRING_IT_UP)
    had = [sum_ for (sum_,) in connection.execute("SELECT checksum FROM wf.sql_applied ORDER BY number").fetchall()]
    ours = sql_files.checksum()
    if had and had[-1] == ours:
        return None
    if ours in had:
        return Conflict(
            "home_newer", "The home's functions are from a newer program than this one.", "Update watchfloor."
        )
    return Conflict("home_older", "The home's functions are not this program's.", BRING_IT_UP)


def _changed(applied: dict[int, tuple[str, str]], known: list[Migration]) -> Refusal | None:
    if applied.get(1, ("", ""))[0] == "roles_and_audit":
        return Conflict(
            "home_before_baseline",
            "The home was made by a version from before the first release; its tables have a different layout.",
            "Keep using the version that made it (home backup keeps a copy of it), or make a new home with this one.",
        )
    for migration in known:
        if migration.number not in applied:
            if migration.number < max(applied, default=0):
                return Conflict(
                    "migration_missing",
                    f"Migration {migration.number:04}_{migration.name} was never applied, though later ones were.",
                    "The home was changed by hand: restore it from a backup, or ask whoever changed it.",
                )
            continue
        name, checksum = applied[migration.number]
        if checksum not in (migration.checksum, EDITED.get(migration.number)):
            return Conflict(
                "migration_changed",
                f"Migration {migration.number:04}_{name} is not the file that was applied to this home.",
                "Use the program's version that made the home, or an unmodified one.",
            )
    return None


def _encoding_problem(connection: psycopg.Connection) -> Refusal | None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding == "UTF8":
        return None
    return Refusal(
        "home_encoding",
        f"The database is in {encoding}, which cannot hold every text: Watchfloor needs UTF8.",
        "Make another: createdb --encoding UTF8 --template template0 NAME, then watchfloor home migrate",
    )


def migrate(conninfo: str, *, admin: str | None = None) -> list[str]:
    """Apply what is missing; returns the names of what was applied. `admin`: for an embedded home, the login to make
    its admin.

    Raises Refusal when the home cannot be brought up; it is left as it was then.
    """
    with connect(conninfo, "migrate", statement=0) as connection:
        if connection.info.server_version // 10_000 < OLDEST_SERVER:
            raise _problem(connection, connection.info.server_version // 10_000, {}, []) or AssertionError
        if (problem := _encoding_problem(connection)) is not None:
            raise problem
        try:
            done = _patiently(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotPermitted(
                "home_migrate_privileges",
                f"The login {connection.info.user} may not migrate the home: {error.diag.message_primary}.",
                "Migrate with a login that owns the database and has CREATEROLE.",
            ) from None
        except psycopg.errors.ReadOnlySqlTransaction:
            raise HomeUnreachable("home_read_only", "The home is read-only.", "Use the primary's address.") from None
        if admin is not None:
            _make_admin(connection, admin)
            _let_the_worker_in(connection)
        return done


def _patiently(connection: psycopg.Connection) -> list[str]:
    """Retry until it gets the locks. Each try waits only briefly, so that nobody waits long behind it."""
    deadline, anew, wait_ms = time.monotonic() + LOCK_SECONDS, False, sql_files.FIRST_WAIT_MS
    while True:
        try:
            with connection.transaction():
                return _apply_missing(connection, anew, wait_ms)
        except sql_files.NOT_IN_PLACE:
            if anew:
                raise
            anew = True
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.QueryCanceled,
            psycopg.errors.DeadlockDetected,
            psycopg.errors.DuplicateSchema,  # two made the first table at once: IF NOT EXISTS does not see the other's
            psycopg.errors.DuplicateTable,
            psycopg.errors.UniqueViolation,
        ) as error:
            if error.diag.schema_name == "wf":  # our own rows, not the catalogue's: a fault that no retry mends
                raise
            if time.monotonic() > deadline:
                raise Conflict(
                    "migration_locked",
                    f"The home's tables could not be locked within {LOCK_SECONDS:.0f} s: somebody's transaction stays"
                    " open, or another program is migrating the home.",
                    "Find it: SELECT pid, usename, state, query FROM pg_stat_activity WHERE xact_start < now() - "
                    "interval '10 seconds'. Then try again.",
                ) from None
            wait_ms = min(sql_files.LONGEST_WAIT_MS, wait_ms + 30)
            time.sleep(random.uniform(0.05, 0.4))


def _apply_missing(connection: psycopg.Connection, anew: bool, wait_ms: int) -> list[str]:
    # Views, checks, defaults and policies bind their names when they are made: only to these schemas and to fully
    # qualified names, whatever the login's own search_path is.
    connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    connection.execute("CREATE SCHEMA IF NOT EXISTS wf")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS wf.migrations (number integer PRIMARY KEY, name text NOT NULL,"
        " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    connection.execute(
        "CREATE TABLE IF NOT EXISTS wf.sql_applied (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " checksum text NOT NULL UNIQUE, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS:.0f}s'")
    connection.execute("LOCK TABLE wf.migrations IN EXCLUSIVE MODE")  # one program at a time
    known, applied = known_migrations(), _applied(connection) or {}
    problem = _changed(applied, known)
    if problem is None and len(applied) >= len(known):
        problem = _problem(connection, OLDEST_SERVER, applied, known)
        if problem is None:
            return []
        if problem.code == "home_older":
            problem = None
    if problem is not None:
        raise problem
    missing = [migration for migration in known if migration.number not in applied]
    if missing:
        sql_files.apply_values(connection)
    for migration in missing:
        connection.execute(migration.text.encode())
        connection.execute(
            "INSERT INTO wf.migrations (number, name, checksum) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.checksum],
        )
    sql_files.apply(connection, anew=anew, wait_ms=wait_ms)
    # A migration may come without a change of the functions; the newest line is what the home has.
    connection.execute("DELETE FROM wf.sql_applied WHERE checksum = %s", [sql_files.checksum()])
    connection.execute("INSERT INTO wf.sql_applied (checksum) VALUES (%s)", [sql_files.checksum()])
    if not applied:
        connection.execute("SELECT wf.make_request_partitions()")
        close_to_strangers(connection)
    return [f"{migration.number:04}_{migration.name}" for migration in missing] or ["functions"]


def _let_the_worker_in(connection: psycopg.Connection) -> None:
    """An embedded server has one home; its worker logs in as the owner and acts as wf_worker, without its own login."""
    let_in = "SELECT has_schema_privilege('wf_worker', 'wf', 'USAGE')"
    if connection.execute(let_in).fetchone() != (True,):
        with connection.transaction():
            connection.execute("LOCK TABLE wf.operators IN SHARE ROW EXCLUSIVE MODE")  # two GRANTs at once fail
            if connection.execute(let_in).fetchone() != (True,):
                connection.execute("GRANT USAGE ON SCHEMA wf TO wf_worker")


def _make_admin(connection: psycopg.Connection, login: str) -> None:
    let_in = connection.execute(
        "SELECT FROM wf.operators WHERE name = %s AND role = 'admin' AND active"
        " AND pg_has_role(name, 'wf_admin', 'MEMBER') AND has_schema_privilege(name, 'wf', 'USAGE')"
        " AND has_database_privilege(name, current_database(), 'CONNECT')",
        [login],
    ).fetchone()
    if let_in is None:
        with connection.transaction():
            connection.execute(
                "SELECT wf.begin_change('operators.add', 'the person who set up this home', gen_random_uuid()::text)"
            )
            connection.execute("SELECT wf.put_operator(%s, 'admin', NULL)", [login])
