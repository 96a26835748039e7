"""A real PgBouncer before a test's database, in the mode that the test asks for.

Where none is installed it comes from Debian's package: `make setup` runs this file.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests import debian
from tests.postgres import LOGIN_PASSWORD, ROLES, Database, scratch_folder

PACKAGE, NEEDED = "pgbouncer", ("pgbouncer",)
LIBRARIES = ("libevent-2.1-7", "libc-ares2")
CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {mode}
default_pool_size = {size}
logfile = {folder}/pgbouncer.log
"""


def program() -> str | None:
    return debian.program("pgbouncer", PACKAGE)


@contextlib.contextmanager
def pgbouncer(database: Database, mode: str, *, size: int = 3, more: str = "") -> Iterator[int]:
    """The port on 127.0.0.1 where it listens. `size`: connections to the server per login and database."""
    path = program()
    assert path is not None
    known = conninfo_to_dict(database.owner)
    for role in ROLES:
        database.login(role)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()[1]
    folder = scratch_folder()
    users = [(f"t_{role}", LOGIN_PASSWORD) for role in ROLES] + [(str(known["user"]), str(known["password"]))]
    (folder / "users.txt").write_text("".join(f'"{name}" "{password}"\n' for name, password in users))
    config = CONFIG.format(host=known["host"], port=known["port"], listen=listen, folder=folder, mode=mode, size=size)
    (folder / "pgbouncer.ini").write_text(config + more)
    # It refuses root, and the server's socket is its account's own.
    account = Path(str(known["host"])).stat()
    for each in (folder, *folder.iterdir()):
        os.chown(each, account.st_uid, account.st_gid)
    change = {"user": account.st_uid, "group": account.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    words = [path, "-q", str(folder / "pgbouncer.ini")]
    with subprocess.Popen(words, env=debian.libraries(PACKAGE), **change) as running:  # type: ignore[call-overload]
        try:
            _wait(listen, running, folder / "pgbouncer.log")
            yield listen
        finally:
            running.kill()


def through(conninfo: str, port: int) -> str:
    """The same login, through it."""
    return make_conninfo(conninfo, host="127.0.0.1", port=port)


def url(database: Database, port: int, role: str = "admin") -> str:
    return f"postgresql://t_{role}@127.0.0.1:{port}/{quote(database.name)}"


def _wait(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and running.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"PgBouncer did not start: {log.read_text() if log.exists() else ''}")


if __name__ == "__main__":
    debian.main(PACKAGE, NEEDED, *LIBRARIES)
