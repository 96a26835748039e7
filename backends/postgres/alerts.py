"""Alerts in PostgreSQL: read from one view, written by the home's functions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, first, names, rows
from backends.postgres.table import Table, fields_of
from controlplane.alerts.list import ALERTS
from controlplane.alerts.model import Alert, AlertDirectory, AlertEvent, AlertStore, Newest, OpenAlerts
from controlplane.alerts.refusals import NO_ALERT
from controlplane.jobs.engine import sql as job

ALERT_TABLE = Table("wf.alerts", Alert, ("id",), NO_ALERT, view="wf.alert_list")
COLUMNS = names(fields_of(Alert))
EVENTS = sql.SQL("""
SELECT {0} FROM (SELECT * FROM wf.alert_events WHERE alert_id = %s ORDER BY n DESC LIMIT 200) AS newest ORDER BY n
""").format(names(fields_of(AlertEvent)))
SIMILAR = sql.SQL("""
WITH same AS (
  SELECT *, 0 AS rank FROM wf.alert_list
  WHERE print = decode(%(fingerprint)s, 'hex') AND id <> %(id)s AND state = 'resolved'
  ORDER BY id DESC LIMIT 20
), others AS (
  SELECT *, 1 AS rank FROM wf.alert_list
  WHERE (tenant_id = %(tenant)s OR %(tenant)s::text IS NULL AND tenant_id IS NULL) AND kind = %(kind)s
    AND print <> decode(%(fingerprint)s, 'hex') AND state = 'resolved' ORDER BY id DESC LIMIT 20
)
SELECT {0} FROM (SELECT * FROM same UNION ALL SELECT * FROM others) s ORDER BY rank, id DESC LIMIT 20
""").format(COLUMNS)
DURING = sql.SQL("""
SELECT {0} FROM (
  SELECT a.* FROM unnest(%(tenants)s::text[]) AS t(tenant), LATERAL (
    SELECT * FROM wf.alert_list l WHERE l.tenant_id = t.tenant AND {1} ORDER BY l.id DESC LIMIT 200) a
  UNION ALL
  (SELECT * FROM wf.alert_list l WHERE cardinality(%(tenants)s::text[]) = 0 AND l.tenant_id IS NULL AND {1}
   ORDER BY l.id DESC LIMIT 200)
) found ORDER BY id
""").format(
    COLUMNS,
    sql.SQL("""
  l.fired_at < %(end)s AND (l.resolved_at >= %(start)s OR l.resolved_at IS NULL) AND (%(key)s::text IS NULL
    OR l.details ->> 'key_id' = %(key)s
    OR l.details @> jsonb_build_object('sample', jsonb_build_array(jsonb_build_object('key', %(shown)s::text))))
"""),
)
OPEN = """
SELECT count(*) FILTER (WHERE standing = 'firing') AS firing,
  count(*) FILTER (WHERE standing = 'firing' AND severity = 'critical') AS critical,
  count(*) FILTER (WHERE standing = 'acked') AS acked, count(*) FILTER (WHERE standing = 'unknown') AS unknown,
  greatest(count(*) FILTER (WHERE urgency >= 10), count(*) FILTER (WHERE urgency < 10)) > 10000 AS capped,
  (SELECT max(looked_at) FROM wf.detector_list) AS evaluated
FROM (
  (SELECT standing, severity, urgency FROM wf.alert_list WHERE urgency >= 10 ORDER BY urgency DESC, id DESC LIMIT 10001)
  UNION ALL
  (SELECT standing, severity, urgency FROM wf.alert_list WHERE urgency > 0 AND urgency < 10
   ORDER BY urgency DESC, id DESC LIMIT 10001)
) o
"""
"""Firing and acked ones are bounded apart, so that no flood of one hides the other."""
NEWEST = """
SELECT id, state = 'firing' AND unknown_since IS NULL AS fires FROM wf.alerts ORDER BY id DESC LIMIT 300
"""
LOCK = "SELECT wf.lock_alert(%s)"
UNRESOLVED, RESOLVED = sql.SQL("resolved_at IS NULL"), sql.SQL("resolved_at IS NOT NULL")
UPKEEP = (job("prune_alerts", "SELECT wf.prune_alerts()", timedelta(hours=1)),)


class Alerts(PagedList[Alert], AlertDirectory):
    shape = shape_of(
        ALERTS,
        "wf.alert_list",
        orders={
            "severity": Order("urgency", "smallint"),
            **{name: Order("id", "bigint") for name in ("age", "id")},
            "kind": Order("wf.folded(kind)", "text"),
        },
        filters={
            "id": Filtered(sql.SQL("id::text"), number=sql.SQL("id")),
            "state": Filtered(
                sql.SQL("standing"),
                "choice",
                implied={"firing": UNRESOLVED, "acked": UNRESOLVED, "unknown": UNRESOLVED, "resolved": RESOLVED},
            ),
        },
    )

    async def events(self, number: int) -> Sequence[AlertEvent]:
        async with self.home.connection() as connection:
            return await rows(connection, AlertEvent, EVENTS, [number])

    async def similar(self, alert: Alert) -> Sequence[Alert]:
        asked = {"fingerprint": alert.fingerprint, "id": alert.id, "tenant": alert.tenant_id, "kind": alert.kind}
        async with self.home.connection() as connection:
            return await rows(connection, Alert, SIMILAR, asked)

    async def during(
        self, start: datetime, end: datetime, tenants: Sequence[str] = (), key: tuple[str, str] | None = None
    ) -> Sequence[Alert]:
        key_id, shown = key or (None, None)
        asked = {"start": start, "end": end, "tenants": list(tenants), "key": key_id, "shown": shown}
        async with self.home.connection() as connection:
            return await rows(connection, Alert, DURING, asked)

    async def open_alerts(self) -> OpenAlerts:
        async with self.home.connection() as connection:
            found = await first(connection, OpenAlerts, OPEN)
        assert found is not None
        return found

    async def newest(self) -> Sequence[Newest]:
        async with self.home.connection() as connection:
            return await rows(connection, Newest, sql.SQL(NEWEST))


@dataclass(frozen=True)
class AlertWriter(AlertStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> Alert:
        await self.connection.execute(LOCK, [number])
        return await ALERT_TABLE.get(self.connection, number)

    async def ack(self, number: int, until: datetime, comment: str) -> Alert:
        return await self._done("SELECT wf.ack_alert(%s, %s, %s)", number, until, comment)

    async def unack(self, number: int) -> Alert:
        return await self._done("SELECT wf.unack_alert(%s)", number)

    async def resolve(self, number: int, why: str) -> Alert:
        return await self._done("SELECT wf.resolve_alert(%s, %s)", number, why)

    async def hand_over(self, number: int, to: str) -> Alert:
        return await self._done("SELECT wf.hand_over_alert(%s, %s)", number, to)

    async def escalate(self, number: int) -> Alert:
        return await self._done("SELECT wf.escalate_alert(%s)", number)

    async def _done(self, statement: str, number: int, *given: object) -> Alert:
        await self.connection.execute(statement, [number, *given])
        return await ALERT_TABLE.get(self.connection, number)
