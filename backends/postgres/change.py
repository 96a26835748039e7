"""One open change: the stores that it writes through, all in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from backends.postgres.audit import change_rows
from backends.postgres.impersonations import ImpersonationWriter
from backends.postgres.jobs import JobWriter
from backends.postgres.keys import KeyWriter
from backends.postgres.objectives import ObjectiveWriter
from backends.postgres.operators import OperatorWriter
from backends.postgres.paging import as_json
from backends.postgres.plans import PlanWriter
from backends.postgres.rollups import RetentionWriter
from backends.postgres.runs import RunWriter
from backends.postgres.subscriptions import SubscriptionWriter
from backends.postgres.tenants import ProjectWriter, TenantWriter
from controlplane.audit.model import AuditRow
from controlplane.previewed import Drawn

Connection = psycopg.AsyncConnection[TupleRow]


@dataclass
class OpenChange:
    """The stores of one transaction."""

    connection: Connection
    id: int
    now: datetime
    reason: str | None
    actor: str
    key_prefix: str
    drawn: Drawn

    @property
    def tenants(self) -> TenantWriter:
        return TenantWriter(self.connection)

    @property
    def projects(self) -> ProjectWriter:
        return ProjectWriter(self.connection)

    @property
    def keys(self) -> KeyWriter:
        return KeyWriter(self.connection, self.key_prefix)

    @property
    def plans(self) -> PlanWriter:
        return PlanWriter(self.connection)

    @property
    def operators(self) -> OperatorWriter:
        return OperatorWriter(self.connection)

    @property
    def subscriptions(self) -> SubscriptionWriter:
        return SubscriptionWriter(self.connection)

    @property
    def runs(self) -> RunWriter:
        return RunWriter(self.connection)

    @property
    def impersonations(self) -> ImpersonationWriter:
        return ImpersonationWriter(self.connection)

    @property
    def jobs(self) -> JobWriter:
        return JobWriter(self.connection)

    @property
    def retention(self) -> RetentionWriter:
        return RetentionWriter(self.connection)

    @property
    def objectives(self) -> ObjectiveWriter:
        return ObjectiveWriter(self.connection)

    async def note_writing(self, context: str, minutes: int) -> None:
        await self.connection.execute("SELECT wf.note_writing(%s, %s)", [context, minutes])

    async def rows(self) -> tuple[AuditRow, ...]:
        return await change_rows(self.connection, self.id, personal=await self._sees_personal())

    async def _sees_personal(self) -> bool:
        row = await (await self.connection.execute("SELECT wf.sees_personal()")).fetchone()
        return row == (True,)

    async def finish(self, result: dict[str, Any]) -> None:
        await self.connection.execute("SELECT wf.finish_change(%s)", [as_json(result)])
