"""Impersonations in PostgreSQL. The table's trigger decides who may begin, end and approve one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, first
from backends.postgres.table import NOW, Table
from controlplane.impersonations.list import IMPERSONATIONS
from controlplane.impersonations.model import Impersonation, ImpersonationDirectory, ImpersonationStore
from controlplane.impersonations.refusals import NO_IMPERSONATION

IMPERSONATION_TABLE = Table("wf.impersonations", Impersonation, ("id",), NO_IMPERSONATION, view="wf.impersonation_list")
MINE = """
SELECT * FROM wf.impersonation_list WHERE actor = session_user AND ended_at IS NULL AND ends_at > clock_timestamp()
"""


class Impersonations(PagedList[Impersonation], ImpersonationDirectory):
    shape = shape_of(
        IMPERSONATIONS,
        "wf.impersonation_list",
        search="wf.folded(tenant_id || ' ' || actor || ' ' || ticket || ' ' || reason)",
        tie=(),
        orders={"started": Order("id", "bigint")},
    )

    async def mine(self) -> Impersonation | None:
        async with self.home.connection() as connection:
            return await first(connection, Impersonation, MINE)


@dataclass(frozen=True)
class ImpersonationWriter(ImpersonationStore):
    """Writes within one transaction."""

    connection: Connection

    async def begin(self, tenant_id: str, reason: str, ticket: str, ends_at: datetime) -> Impersonation:
        columns = {"tenant_id": tenant_id, "reason": reason, "ticket": ticket, "ends_at": ends_at}
        return await IMPERSONATION_TABLE.create(self.connection, columns)

    async def lock(self, number: int) -> Impersonation:
        return await IMPERSONATION_TABLE.lock(self.connection, number)

    async def end(self, number: int) -> Impersonation:
        return await IMPERSONATION_TABLE.update(self.connection, {"ended_at": NOW}, number)

    async def approve_writing(self, number: int) -> Impersonation:
        return await IMPERSONATION_TABLE.update(self.connection, {"mode": "write"}, number)
