"""The real console on a test's database, in a real pty."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from tests.postgres import LOGIN_PASSWORD, Database
from tests.terminal.driver import Terminal

CHECKOUT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "app"]


def url(database: Database, role: str = "admin", port: int | None = None) -> str:
    """The home's URL as a person would write it; `port`: by TCP to this machine, through a link of the test's."""
    known = conninfo_to_dict(database.login(role))
    if port is not None:
        return f"postgresql://t_{role}@127.0.0.1:{port}/{database.name}"
    return f"postgresql://t_{role}@/{database.name}?host={quote(str(known['host']), safe='')}&port={known['port']}"


def console(
    database: Database,
    role: str = "admin",
    *,
    columns: int = 100,
    lines: int = 24,
    port: int | None = None,
    words: tuple[str, ...] = ("/tenants",),
    environment: dict[str, str | None] | None = None,
    delay: float = 0.0,
) -> Terminal:
    """Start the program; use it in a `with`. The login's password comes from the environment, as libpq reads it.

    `words`: what it is called with; the tests are about the list of tenants, unless they say something else. Of a link
    to a view of this home its name may be left out.
    """
    own: dict[str, str | None] = {
        name: value for name, value in os.environ.items() if name.startswith(("XDG_", "HOME", "TEXTUAL_"))
    }
    own |= {"PGPASSWORD": LOGIN_PASSWORD, "PYTHONPATH": str(CHECKOUT), "COLORTERM": "truecolor"}
    argv = [*PROGRAM, "--home", url(database, role, port)]
    argv += [f"{database.name}{word}" if word.startswith("/") else word for word in words]
    return Terminal(argv, columns=columns, lines=lines, env=own | (environment or {}), delay=delay)


def socket_of(database: Database) -> str:
    """The path of the server's socket: what a link of the test's leads to."""
    known = conninfo_to_dict(database.owner)
    return f"{known['host']}/.s.PGSQL.{known['port']}"
