"""One open change and the stores it writes through, all in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.rows import TupleRow

from backends.postgres.audit_rows import change_rows
from backends.postgres.paging import as_json
from backends.postgres.stores import implementing, writers
from controlplane.audit.model import AuditRow

if TYPE_CHECKING:
    from controlplane.changes import Drawn
    from controlplane.detectors.model import MetricSource
    from controlplane.queues.held import SourceBook
    from controlplane.runbooks.files import Shelf
    from controlplane.sealing import Sealing

Connection = psycopg.AsyncConnection[TupleRow]
P = TypeVar("P")


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
    sealing: Sealing
    metrics: MetricSource | None
    sources: SourceBook | None
    runbooks: Shelf

    def of(self, port: type[P]) -> P:
        return implementing(port, writers())(self.connection)

    async def note_writing(self, context: str, minutes: int) -> None:
        await self.connection.execute("SELECT wf.note_writing(%s, %s)", [context, minutes])

    async def note_command(self, command: str, noun: str, key: str) -> None:
        await self.connection.execute("SELECT wf.note_command(%s, %s, %s)", [command, noun, key])

    async def rows(self) -> tuple[AuditRow, ...]:
        return await change_rows(self.connection, self.id)

    async def finish(self, result: dict[str, Any]) -> None:
        await self.connection.execute("SELECT wf.finish_change(%s)", [as_json(result)])
