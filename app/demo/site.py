"""The home that the demonstration is put into, reached as its owner and as the people of the estate."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from app.demo.estate import HISTORY, LATELY
from app.demo.past import Past
from backends.postgres.home import Home
from controlplane.clock import machine_now
from controlplane.errors import Conflict
from controlplane.sealing import Sealing

WORKER = "demo_traffic"
"""The login that stores the requests."""
SERVICE = "demo_service"
"""The login of the product's own service, which asks the data plane."""
PROGRAMS = (WORKER, SERVICE)
PEOPLE = {
    "ana": "operator",
    "ben": "operator",
    "chi": "admin",
    WORKER: "worker",
    SERVICE: "service",
}


Homes = dict[str, Home]
"""By the person's name."""


@dataclass(frozen=True)
class Staff:
    """The people's homes, and the loop that they are opened in."""

    runner: asyncio.Runner
    homes: Homes


@dataclass(frozen=True)
class Site:
    """`owner` and `logins` (by name) are conninfos; `sealing`: the key of the home's secrets; `folder`:
    that of the home, where it has one; `past`: when the present step happened; `staff`: audit.staffed. A noun's
    `seed(estate, site)` fills in what is its own.
    """

    owner: str = field(repr=False)
    logins: Mapping[str, str] = field(repr=False)
    report: Callable[[str], None]
    sealing: Sealing = field(repr=False)
    folder: Path | None = None
    past: Past = field(default_factory=Past)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    staff: Staff | None = field(default=None, repr=False)

    def run(self, work: Callable[[Homes], Coroutine[Any, Any, None]]) -> None:
        """Do what people do, each in the own home."""
        assert self.staff is not None
        self.staff.runner.run(work(self.staff.homes))

    @contextmanager
    def change(self, operation: str, reason: str) -> Iterator[psycopg.Connection]:
        """A transaction as the owner whose rows in the trail say what it was."""
        with change(self.owner, operation, reason) as connection:
            yield connection


@contextmanager
def change(owner: str, operation: str, reason: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner, options="-c timezone=UTC") as connection:
        _begin(connection, operation, reason)
        yield connection


def _begin(connection: psycopg.Connection, operation: str, reason: str) -> None:
    connection.execute("SELECT wf.begin_change(%s, %s, %s)", [operation, reason, f"demo-{uuid.uuid4().hex}"])


def open_site(
    owner: str,
    report: Callable[[str], None],
    sealing: Sealing,
    folder: Path | None = None,
    made: datetime | None = None,
) -> Site:
    """Make the people's logins, with passwords that only this program knows. `made`: when the making of the home began,
    if it is made now. Raises Conflict `demo_login_taken`.
    """
    passwords = {name: secrets.token_urlsafe(18) for name in PEOPLE}
    site = known_site(owner, report, sealing, passwords, folder)
    site.past.at(machine_now() - LATELY - HISTORY - timedelta(minutes=5), made)
    with psycopg.connect(owner) as connection:
        if connection.info.server_version >= 160000:
            # Random passwords need no iterations, and they cost each connection 7 ms.
            connection.execute("SET scram_iterations = 1")
        for name, role in PEOPLE.items():
            _begin(connection, "operators.add", "the people of the demonstration")
            verifier = connection.pgconn.encrypt_password(passwords[name].encode(), name.encode(), b"scram-sha-256")
            try:
                connection.execute("SELECT wf.put_operator(%s, %s, NULL)", [name, role])
                connection.execute("SELECT wf.set_password(%s, %s)", [name, verifier.decode()])
            except psycopg.errors.InsufficientPrivilege:
                raise Conflict(
                    "demo_login_taken",
                    f"The server has a login {name} already, and the demonstration brings its own.",
                    "See it in a home of its own: watchfloor demo",
                ) from None
    return site


def known_site(
    owner: str, report: Callable[[str], None], sealing: Sealing, passwords: Mapping[str, str], folder: Path | None
) -> Site:
    """A home that has the people's logins already."""
    logins = {name: make_conninfo(owner, user=name, password=passwords[name]) for name in PEOPLE}
    return Site(owner, logins, report, sealing, folder, passwords=passwords)
