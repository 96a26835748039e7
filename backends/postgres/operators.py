"""Logins and their roles in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from backends.postgres.statements import Connection, rows, scalar
from controlplane.memorylist import MemoryList
from controlplane.operators.list import OPERATORS
from controlplane.operators.model import Operator, OperatorDirectory
from controlplane.operators.ports import OperatorStore
from controlplane.operators.roles import LoginRole

if TYPE_CHECKING:
    from backends.postgres.home import Home


ALL = "SELECT name, role, active, added_at, changed_at FROM wf.operators ORDER BY name"
PUT = "SELECT wf.put_operator(%s, %s, %s)"
SET_PASSWORD = "SELECT wf.set_password(%s, %s)"
REMOVE = "SELECT wf.remove_operator(%s)"


class Operators(MemoryList[Operator], OperatorDirectory):
    """Who may log in. A team is small, so the list is read whole."""

    declared = OPERATORS

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[list[Operator], datetime]:
        async with self.home.connection() as connection:
            return await rows(connection, Operator, ALL), self.home.clock.now()


@dataclass(frozen=True)
class OperatorWriter(OperatorStore):
    connection: Connection

    async def put(self, name: str, role: LoginRole, password: str | None) -> None:
        verifier = None if password is None else self._verifier(name, password)
        await self.connection.execute(PUT, [name, role, verifier])

    async def set_password(self, name: str, password: str) -> None:
        await self.connection.execute(SET_PASSWORD, [name, self._verifier(name, password)])

    def _verifier(self, name: str, password: str) -> str:
        return self.connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()

    async def remove(self, name: str) -> bool:
        return bool(await scalar(self.connection, REMOVE, [name]))
