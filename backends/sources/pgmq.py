"""A queue of pgmq, by its tables alone: what was archived after too many readings, or is read again and again."""

from __future__ import annotations

from backends.postgres.link import AsyncLink
from backends.sources.checking import Table
from backends.sources.mapping import Columns, Outbox, Pgmq
from backends.sources.outbox import OutboxSource
from backends.sources.postgres import Secrets
from controlplane.errors import Usage

KNOWN = """
SELECT to_regnamespace('pgmq') IS NOT NULL, to_regclass('pgmq.' || %s) IS NOT NULL,
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass('pgmq.' || %s) AND a.attname = 'headers')
"""


class PgmqSource(OutboxSource):
    def __init__(self, name: str, settings: Pgmq, secret: Secrets) -> None:
        super().__init__(name, mapped(settings, headers=True), secret)
        self.kind, self._pgmq = "pgmq", settings

    async def _checked(self) -> Table:
        if self._table is None:
            async with self.database.reading() as link:
                self.settings = mapped(self._pgmq, headers=await self._has_headers(link))
        return await super()._checked()

    async def _has_headers(self, link: AsyncLink) -> bool:
        """Raises Usage `pgmq_absent`."""
        place = f"{'a' if self._pgmq.held == 'archive' else 'q'}_{self._pgmq.queue}"
        row = await (await link.execute(KNOWN.encode(), [place, place])).fetchone()
        assert row is not None
        schema, table, headers = row
        if not schema:
            raise Usage(
                "pgmq_absent",
                f"{self.name}: {self.where} has no pgmq.",
                "It needs none of its functions, but its tables: CREATE EXTENSION pgmq, or its SQL file.",
            )
        if not table:
            raise Usage(
                "pgmq_absent",
                f"{self.name}.queue: pgmq there has no queue {self._pgmq.queue}: no table pgmq.{place}.",
                "SELECT queue_name FROM pgmq.meta lists them.",
            )
        return bool(headers)


def mapped(settings: Pgmq, *, headers: bool) -> Outbox:
    """Replayed messages get a new number and begin with no reading, as pgmq.send gives them. `headers`: whether this
    version of pgmq has them.
    """
    queue, both = f"pgmq.q_{settings.queue}", "message, headers" if headers else "message"
    archive = settings.held == "archive"
    moved = f"DELETE FROM $table WHERE msg_id = ANY ($ids) RETURNING {both}"
    return Outbox(
        url=settings.url,
        password=settings.password,
        table=f"pgmq.a_{settings.queue}" if archive else queue,
        columns=Columns(
            id="msg_id",
            payload="message",
            headers="headers" if headers else "",
            error="'read ' || t.read_ct || ' times, and never deleted'",
            error_class="'max_reads'",
            attempts="read_ct",
            created="enqueued_at",
            died="archived_at" if archive else "",
            tenant=settings.tenant,
            handler=settings.handler or f"'{settings.queue}'",
            queue=f"'{settings.queue}'",
        ),
        dead=f"t.read_ct >= {settings.max_reads}" + ("" if archive else " AND t.vt <= clock_timestamp()"),
        requeue=f"WITH moved AS ({moved}) INSERT INTO {queue} (vt, {both}) SELECT clock_timestamp(), {both} FROM moved"
        if archive
        else f"UPDATE {queue} SET read_ct = 0, vt = clock_timestamp() WHERE msg_id = ANY ($ids)",
        discard="DELETE FROM $table WHERE msg_id = ANY ($ids)",
        timeout=settings.timeout,
    )
