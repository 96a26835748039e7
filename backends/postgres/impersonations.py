"""Impersonations in PostgreSQL. The table's trigger decides who may begin, end and approve one."""

from __future__ import annotations

from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import first
from backends.postgres.table import Table, Writer
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
        orders={name: Order("id", "bigint") for name in ("started", "id")},
    )

    async def mine(self) -> Impersonation | None:
        async with self.home.connection() as connection:
            return await first(connection, Impersonation, MINE)


class ImpersonationWriter(Writer[Impersonation], ImpersonationStore):
    table = IMPERSONATION_TABLE
