"""Makes every connection to a home, with the same session settings whatever the environment, the role or a pooler say.

Every wait has a time limit of our own, because a connection that goes silent gives no error. The URL, its service and
the PG… variables decide how the home is reached; the program decides how a session is set up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import _WaitTimeout
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_loads

from controlplane.errors import Refusal
from controlplane.jsontext import read_stored

RV = TypeVar("RV")

set_json_loads(read_stored)  # for every connection of this program

CONNECT_SECONDS = 5
ANSWER_SECONDS = 5.0
"""How long an answer may take beyond the server's own time limit."""
STATEMENT_SECONDS = 15.0
LIVELY: Mapping[str, str | int] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Defaults, where neither the URL nor the environment says otherwise."""
OURS = (
    "datestyle TO 'ISO, MDY'",
    "intervalstyle TO 'postgres'",
    "timezone TO 'UTC'",
    "search_path TO pg_catalog, pg_temp",
    "extra_float_digits TO 1",
)
PROBE_SECONDS = 1.0


class NoAnswer(psycopg.OperationalError):
    """The server went silent; the connection is closed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it did not answer within {seconds:g} s")


class Link(psycopg.Connection[TupleRow]):
    """A connection that waits at most `limit` seconds for an answer."""

    limit = STATEMENT_SECONDS + ANSWER_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.limit)
        except _WaitTimeout:
            self.pgconn.finish()
            raise NoAnswer(self.limit) from None


class AsyncLink(psycopg.AsyncConnection[TupleRow]):
    """A connection that waits at most `limit` seconds for an answer."""

    limit = STATEMENT_SECONDS + ANSWER_SECONDS

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's signature
    ) -> RV:
        if timeout is not None:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, self.limit)
        except _WaitTimeout:
            self.pgconn.finish()
            raise NoAnswer(self.limit) from None


def dressed(conninfo: str, conversation: str) -> str:
    """The conninfo with the parameters that all connections share."""
    given = set(conninfo_to_dict(conninfo))
    if "PGCONNECT_TIMEOUT" in os.environ:
        given.add("connect_timeout")
    lively = {name: value for name, value in LIVELY.items() if name not in given}
    return make_conninfo(conninfo, application_name=f"watchfloor {conversation}", client_encoding="UTF8", **lively)


def settings(statement: float, *, idle: float = 30, local: bool = False, more: tuple[str, ...] = ()) -> bytes:
    """The statements that set up a session, or with `local` a transaction. `statement`, `idle`: limits in seconds."""
    limits = (
        f"statement_timeout TO {round(statement * 1000)}",
        f"idle_in_transaction_session_timeout TO {round(idle * 1000)}",
    )
    word = "SET LOCAL" if local else "SET"
    return "; ".join(f"{word} {setting}" for setting in (*OURS, *limits, *more)).encode()


def connect(
    conninfo: str,
    conversation: str,
    *,
    statement: float = STATEMENT_SECONDS,
    idle: float = 30,
    more: tuple[str, ...] = (),
) -> Link:
    """A session of its own, in autocommit mode. `statement` 0: no limit at the server, and an hour for an answer.

    Raises psycopg.Error; Refusal `home_pooled` behind a pooler in transaction mode, which gives no session.
    """
    link = Link.connect(dressed(conninfo, conversation), autocommit=True)
    try:
        if pooled(link) and shared(link, conninfo):
            raise _no_session()
        link.execute(settings(statement, idle=idle, more=more))
    except BaseException:
        link.close()
        raise
    link.limit = (statement or 3600) + ANSWER_SECONDS
    return link


async def session(conninfo: str, conversation: str, *, statement: float = STATEMENT_SECONDS) -> AsyncLink:
    """As `connect`."""
    link = await AsyncLink.connect(dressed(conninfo, conversation), autocommit=True)
    try:
        if await hands_around(link, conninfo):
            raise _no_session()
        await link.execute(settings(statement))
    except BaseException:
        await link.close()
        raise
    link.limit = statement + ANSWER_SECONDS
    return link


def _no_session() -> Refusal:
    return Refusal(
        "home_pooled",
        "The home is behind a pooler in transaction mode, which shares connections: this needs a session of its own.",
        "Name the PostgreSQL itself, or a pool in session mode (pool_mode = session in pgbouncer.ini).",
    )


def pooled(link: psycopg.Connection[Any]) -> bool:
    """Whether we talk to a pooler: then the backend's pid is not the one that we were given at the login."""
    return link.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() != (link.info.backend_pid,)


def shared(link: psycopg.Connection[Any], conninfo: str) -> bool:
    """Whether the pooler is in transaction mode: then a session that listens hears nothing.

    Another connection must notify: a connection's own notification can come back with the answer, in any mode.
    """
    channel = sql.Identifier(f"wf_{secrets.token_hex(8)}")
    link.execute(sql.SQL("LISTEN {}").format(channel))
    with Link.connect(dressed(conninfo, "probe"), autocommit=True) as other:
        other.execute(sql.SQL("NOTIFY {}").format(channel))
    heard = list(link.notifies(timeout=PROBE_SECONDS, stop_after=1))
    link.execute(sql.SQL("UNLISTEN {}").format(channel))
    return not heard


def pooler_of(link: psycopg.Connection[Any], conninfo: str) -> str:
    """The pooler's mode, in words."""
    if not pooled(link):
        return "none"
    return "in transaction mode: polled, nothing prepared" if shared(link, conninfo) else "in session mode"


async def hands_around(link: AsyncLink, conninfo: str) -> bool:
    """Whether a pooler in transaction mode answers: `pooled` and `shared`, beside the event loop."""
    cursor = await link.execute("SELECT pg_catalog.pg_backend_pid()")
    if await cursor.fetchone() == (link.info.backend_pid,):
        return False
    return await asyncio.to_thread(_shared, conninfo)


def _shared(conninfo: str) -> bool:
    with Link.connect(dressed(conninfo, "probe"), autocommit=True) as link:
        return shared(link, conninfo)


def hang_up(link: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Cut the connection, so that whoever waits for its answer gets an error now."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(link.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
