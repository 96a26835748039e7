"""Logins and their roles in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import TupleRow, class_row

from controlplane.memorylist import MemoryList
from controlplane.operators.list import OPERATORS
from controlplane.operators.model import Operator
from controlplane.operators.roles import LoginRole

if TYPE_CHECKING:
    from backends.postgres.home import Home


class Operators(MemoryList[Operator]):
    """Who may log in. A team's list is short: it is read whole."""

    declared = OPERATORS

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[list[Operator], datetime]:
        async with self.home.connection() as connection, connection.cursor(row_factory=class_row(Operator)) as cursor:
            await cursor.execute("SELECT name, role, active, added_at, changed_at FROM wf.operators ORDER BY name")
            return await cursor.fetchall(), self.home.clock.now()


@dataclass(frozen=True)
class OperatorWriter:
    connection: psycopg.AsyncConnection[TupleRow]

    async def put(self, name: str, role: LoginRole, password: str | None) -> None:
        verifier = None if password is None else self._verifier(name, password)
        await self.connection.execute("SELECT wf.put_operator(%s, %s, %s)", [name, role, verifier])

    async def set_password(self, name: str, password: str) -> None:
        await self.connection.execute("SELECT wf.set_password(%s, %s)", [name, self._verifier(name, password)])

    def _verifier(self, name: str, password: str) -> str:
        return self.connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()

    async def remove(self, name: str) -> bool:
        row = await (await self.connection.execute("SELECT wf.remove_operator(%s)", [name])).fetchone()
        return row == (True,)
