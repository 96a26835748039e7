"""A PostgreSQL that is not the home: short transactions with limits of their own, and its errors in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from backends.postgres.link import ANSWER_SECONDS, AsyncLink, NoAnswer, dressed
from controlplane.errors import NotPermitted, Refusal, Usage
from controlplane.secrets import Reference, Secret
from controlplane.text import clean
from controlplane.urls import shown_url, without_secrets

Secrets = Callable[[Reference], Secret]
LOCK_MS = 2000
"""How long a row that somebody else holds is waited for."""


class Database:
    """`seconds`: how long one statement may take there. The password is looked up at the first connection."""

    def __init__(self, name: str, url: str, password: Reference | None, secret: Secrets, seconds: float) -> None:
        self.name, self.url, self.seconds = name, url, seconds
        self._password, self._secret = password, secret
        self._conninfo: str | None = None
        self._link: AsyncLink | None = None
        self._turn = asyncio.Lock()

    @property
    def where(self) -> str:
        return shown_url(self.url)

    @asynccontextmanager
    async def reading(self, seconds: float | None = None) -> AsyncIterator[AsyncLink]:
        """A transaction that can only read. Raises Refusal."""
        async with self._turn, self._refusing(), self._opened("READ ONLY", seconds or self.seconds) as link:
            yield link

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncLink]:
        """A transaction that is committed at the end. Raises psycopg.Error: the caller knows what it means."""
        async with self._turn, self._opened("READ WRITE", self.seconds) as link:
            yield link

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    @asynccontextmanager
    async def _opened(self, mode: str, seconds: float) -> AsyncIterator[AsyncLink]:
        link = await self._connected()
        try:
            async with link.transaction():
                link.limit = seconds + ANSWER_SECONDS
                await link.execute(
                    f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED {mode};"
                    f" SET LOCAL statement_timeout TO {round(seconds * 1000)}; SET LOCAL lock_timeout TO {LOCK_MS};"
                    " SET LOCAL idle_in_transaction_session_timeout TO 30000; SET LOCAL timezone TO 'UTC';"
                    " SET LOCAL datestyle TO 'ISO, MDY'".encode()
                )
                yield link
        finally:
            if link.closed or link.broken:
                self._link = None

    async def _connected(self) -> AsyncLink:
        if self._link is None or self._link.closed:
            if self._conninfo is None:
                self._conninfo = await asyncio.to_thread(self._with_password)
            self._link = await AsyncLink.connect(dressed(self._conninfo, "sources"), autocommit=True)
            self._link.prepare_threshold = None  # there may be a pooler in front
        return self._link

    def _with_password(self) -> str:
        if self._password is None:
            return self.url
        try:
            parts: dict[str, Any] = conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:  # its words repeat the URL
            raise Usage("sources_invalid", f"{self.name}.url: {self.where} cannot be read as a URL.") from None
        return make_conninfo("", **{**parts, "password": self._secret(self._password).value})

    @asynccontextmanager
    async def _refusing(self) -> AsyncIterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self.refusal(error) from None

    def refusal(self, error: psycopg.Error) -> Refusal:
        """What an error of this source means."""
        said = clean(without_secrets(error.diag.message_primary or str(error).split("\n")[0]), 300).rstrip(".")
        name = self.name
        if isinstance(error, errors.InsufficientPrivilege):
            return NotPermitted(
                "source_not_permitted", f"{name} does not permit it: {said}.", "Grant it to the login there."
            )
        if isinstance(error, errors.QueryCanceled | NoAnswer):
            return Refusal(
                "source_slow",
                f"{name} took longer than {self.seconds:g} s and was told to stop.",
                "An index on the id over the dead rows makes it fast: docs/queues.md",
            )
        if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
            return Refusal("source_busy", f"Somebody else holds rows of {name}: {said}.", "Try again.")
        if (
            isinstance(error, errors.InvalidAuthorizationSpecification | errors.InvalidPassword)
            or "authentication" in said
        ):
            return NotPermitted(
                "source_login_refused", f"{name} does not let us in: {said}.", "Check its user and password."
            )
        if lost(error):
            return Refusal("source_unreachable", f"{name} cannot be reached at {self.where}: {said}.")
        return Refusal("source_refused_sql", f"{name} refused it: {said} (SQLSTATE {error.diag.sqlstate or 'none'}).")


def lost(error: psycopg.Error) -> bool:
    """Whether the link is gone, or never was there: the server did not answer."""
    state = error.diag.sqlstate or ""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and state[:2] in ("", "08", "57")
