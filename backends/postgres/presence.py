"""Presence in PostgreSQL: a few rows that change all the time, so their list is read whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres.statements import first, names, rows, scalar
from backends.postgres.table import fields_of
from controlplane.listing import View
from controlplane.memorylist import MemoryList
from controlplane.presence.list import CONSOLES
from controlplane.presence.model import Presence, PresenceDirectory

if TYPE_CHECKING:
    from backends.postgres.home import Home

MOST = 500
"""Consoles that are listed."""
_ALL = sql.SQL("SELECT {} FROM wf.presence_list").format(names(fields_of(Presence)))
LATEST = _ALL + sql.SQL(" ORDER BY person, seen_at DESC LIMIT {}").format(MOST)
ONE = _ALL + sql.SQL(" WHERE console = %s")
SAY = "SELECT wf.be_present(%s, %s, %s)"
LEFT_AT = "SELECT wf.left_at(%s)"


class Presences(MemoryList[Presence], PresenceDirectory):
    declared = CONSOLES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[Presence], datetime]:
        async with self.home.connection() as connection:
            now: datetime = await scalar(connection, "SELECT now()")
            return await rows(connection, Presence, LATEST), now.astimezone(UTC)

    async def of(self, console: UUID) -> Presence | None:
        async with self.home.connection() as connection:
            return await first(connection, Presence, ONE, [console])

    async def say(self, console: UUID, view: View, idle: float) -> None:
        async with self.home.connection() as connection:
            await connection.execute(SAY, [console, Jsonb(view.record()), idle])

    async def left_at(self, console: UUID | None) -> datetime | None:
        async with self.home.connection() as connection:
            found: datetime | None = await scalar(connection, LEFT_AT, [console])
            return found
