"""Backs up a home to one file and restores it, with the pg_dump and pg_restore that come with the program.

The file has pg_dump's custom format, so that any PostgreSQL's pg_restore can read it. It holds no logins: those belong
to a server. The two programs get passwords in their environment, never as arguments.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.embedded.binaries import MAJOR, installed
from backends.postgres.link import connect
from backends.postgres.migrate import migrate
from backends.postgres.openings import close_to_strangers
from controlplane.errors import Conflict, Refusal

# Connection parameters whose variable is not PG and the name in capitals.
_VARIABLES = {"dbname": "PGDATABASE", "application_name": "PGAPPNAME"}
# Left out: which functions the home had, so that a restored home has none until `migrate` has put them in; and which
# triggers were seen, because the new catalogue has its own.
_LEFT_OUT = ("--exclude-table-data=wf.sql_applied", "--exclude-table-data=wf.triggers_seen")
# Transactions have other numbers on another server. What was rolled up there gets the number of none; the rest gets
# that of this transaction.
_SETTLE = (
    "UPDATE wf.usage SET xid = CASE WHEN xid < (SELECT before FROM wf.usage_rolled_up) THEN '3'"
    " ELSE pg_current_xact_id() END",
    "UPDATE wf.usage_rolled_up SET before = pg_current_xact_id()",
    # A backup of an older version has no `seen`.
    "UPDATE wf.requests SET xid = txid_current() WHERE xid >= (SELECT least(m.before,"
    " min((to_jsonb(d) ->> 'seen')::bigint)) FROM wf.request_marks m, wf.detectors d GROUP BY m.before)",
    "UPDATE wf.request_marks SET before = txid_current()",
    "UPDATE wf.import_chunks SET xid = pg_current_xact_id()",
    "UPDATE wf.run_progress SET holder = NULL, driver = NULL, held_until = NULL, xid = pg_current_xact_id()",
    "UPDATE wf.workers SET ended_at = clock_timestamp(), ended = 'gone' WHERE ended_at IS NULL",
)
# Not 0, which would read all requests again.
_SEEN = "UPDATE wf.detectors SET seen = (SELECT before FROM wf.request_marks) WHERE seen IS NOT NULL"


def back_up(conninfo: str, target: Path, *, on_table: Callable[[str], None] = lambda table: None) -> int:
    """Write the home to a new file that only its owner may read. Returns its size in bytes.

    Raises Refusal when the file exists or pg_dump failed; it leaves no file then.
    """
    if target.exists():
        raise Conflict("backup_exists", f"The file {target} exists already.", "Name another, or move that one away.")
    with connect(conninfo, "backup", statement=0) as connection:
        found = connection.execute("SELECT to_regclass('wf.migrations')").fetchone()
        if found == (None,):
            raise Refusal("home_not_ours", "The database is not a Watchfloor home: there is nothing to back up.", "")
    descriptor, scrap = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    try:
        options = ["--format=custom", "--schema=wf", "--schema=wf_data", "--no-owner", "--no-privileges", *_LEFT_OUT]
        _run("pg_dump", [*options, f"--file={scrap}"], conninfo, on_table)
        with open(scrap, "rb") as written:  # noqa: PTH123 - a descriptor is what fsync takes
            os.fsync(written.fileno())
        os.link(scrap, target)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise Conflict("backup_exists", f"The file {target} exists already.", "Name another.") from None
    finally:
        Path(scrap).unlink(missing_ok=True)
    return target.stat().st_size


def restore(
    conninfo: str, source: Path, *, admin: str | None = None, on_table: Callable[[str], None] = lambda table: None
) -> list[str]:
    """Restore a home from a file into an empty database. Returns the operators that have no login on this server.

    `admin`: a login to make an admin of the home. Raises Refusal when the database holds a home already, or the file is
    not a backup of a home of this version; the database is left as it was then.
    """
    with connect(conninfo, "backup", statement=0) as connection:
        if connection.execute("SELECT to_regnamespace('wf')").fetchone() != (None,):
            raise Conflict(
                "home_not_empty",
                f"The database {connection.info.dbname} holds a home already.",
                "Restore into a new one: an empty database, or --home with a folder that does not exist yet.",
            )
        from backends.postgres.migrate import known_migrations

        roles = known_migrations()[0].text.partition("$$;")[0] + "$$;"
        connection.execute(roles.encode())
    _run("pg_restore", ["--no-owner", "--no-privileges", "--single-transaction", str(source)], conninfo, on_table)
    with _or_nothing(conninfo):
        with connect(conninfo, "backup", statement=0) as connection, connection.transaction():
            for statement in _SETTLE:
                connection.execute(statement.encode())
        migrate(conninfo, admin=admin)
    with connect(conninfo, "backup", statement=0) as connection:
        connection.execute(_SEEN.encode())
        close_to_strangers(connection)
        rows = connection.execute(
            "SELECT name FROM wf.operators o WHERE active AND NOT EXISTS (SELECT FROM pg_roles r"
            " WHERE r.rolname = o.name AND has_schema_privilege(r.oid, 'wf', 'USAGE')) ORDER BY name"
        )
        return [name for (name,) in rows]


@contextmanager
def _or_nothing(conninfo: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with connect(conninfo, "backup", statement=0) as connection:
            connection.execute("DROP SCHEMA IF EXISTS wf, wf_data CASCADE")
        raise


def _run(program: str, options: list[str], conninfo: str, on_table: Callable[[str], None]) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
    with connect(conninfo, "backup", statement=0) as connection:  # its parameters as resolved, wherever they came from
        used = connection.info.get_parameters() | {"password": connection.info.password}
    for name, value in used.items():
        environment[_VARIABLES.get(name, f"PG{name.upper()}")] = value
    command = [str(installed() / "bin" / program), "--verbose", "--no-password", *options]
    if program == "pg_restore":
        command[1:1] = [f"--dbname={environment['PGDATABASE']}"]
    last = ""
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if found := re.search(r'(?:contents of table|data for table) "([^"]+)"', line):
                on_table(found[1])
            elif "error:" in line or "fatal:" in line.lower():
                last = last or line.partition("error:")[2].strip() or line.strip()
    if running.returncode != 0:
        hint = f"This is {program} of PostgreSQL {MAJOR}; a newer server needs its own." if "version" in last else ""
        raise Refusal("backup_failed", f"{program} failed: {last or f'exit code {running.returncode}'}.", hint)
