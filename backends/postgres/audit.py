"""The audit trail in PostgreSQL, read-only: triggers write its rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg import sql
from psycopg.rows import class_row

from backends.postgres.audit_chain import origin_of, page_of_links
from backends.postgres.audit_rows import COLUMNS, rows_where
from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from controlplane.audit.chain import ChainStatus, Link
from controlplane.audit.list import AUDIT
from controlplane.audit.model import AuditDirectory, AuditRow
from controlplane.jobs.engine import sql as job

UPKEEP = (job("chain_audit", "SELECT wf.note_triggers(), wf.chain_audit()", timedelta(seconds=5), seconds=300),)
"""Signing checkpoints needs a worker's own key: see `notary`."""


OF_EXECUTION = Filtered(
    sql.SQL("execution::text"), number=sql.SQL("execution"), among=(sql.SQL("seq"), sql.SQL("wf.execution_trail"))
)
"""Asked by the screen of an execution only."""


class AuditTrail(PagedList[AuditRow], AuditDirectory):
    """Time is the order in which the rows were written."""

    shape = shape_of(
        AUDIT,
        "wf.audit_list",
        search="wf.folded(thing || ' ' || operation || ' ' || actor || ' ' || coalesce(reason, ''))",
        tie=("seq",),
        orders={
            **{name: Order("seq", "bigint") for name in ("at", "seq")},
            **{name: Order(f"wf.folded({name})", "text") for name in ("actor", "operation", "thing")},
        },
        filters={"execution": OF_EXECUTION},
    )._replace(columns=COLUMNS)

    async def get(self, *key: Any) -> AuditRow:
        """With its personal fields if the login may see them."""
        async with self.home.connection() as connection:
            rows = await rows_where(connection, "seq = %s", *key)
        if not rows:
            raise AUDIT.missing.of(*key)
        return rows[0]

    async def chain_status(self) -> ChainStatus:
        async with (
            self.home.connection() as connection,
            connection.cursor(row_factory=class_row(ChainStatus)) as cursor,
        ):
            found = await (await cursor.execute("SELECT * FROM wf.audit_chain_status")).fetchone()
            assert found is not None
            return found

    async def origin(self) -> str:
        """The name of this trail in its checkpoints."""
        async with self.home.connection() as connection:
            return await origin_of(connection)

    async def links(self, after: int) -> list[Link]:
        """A page of the chain after a row; empty at the end."""
        async with self.home.connection() as connection:
            return await page_of_links(connection, after)

    async def behind(self, seq: int) -> tuple[int, int]:
        """The rows after `seq`: how many there are, and how many there should be."""
        async with self.home.connection() as connection:
            statement = "SELECT count(*), coalesce(max(seq), %s) - %s FROM wf.audit WHERE seq > %s"
            row = await (await connection.execute(statement, [seq, seq, seq])).fetchone()
            assert row is not None
            return row[0], row[1]
