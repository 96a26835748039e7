"""Deliveries in PostgreSQL: read from one view, written by the home's functions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from psycopg import sql

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.routing import route_alerts
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.deliveries.kept import Attempt, Delivery, DeliveryDirectory, DeliveryStore
from controlplane.deliveries.list import DELIVERIES
from controlplane.deliveries.refusals import NO_DELIVERY
from controlplane.encryption import Encrypted
from controlplane.jobs.engine import Kind
from controlplane.jobs.engine import sql as job

DELIVERY_TABLE = Table("wf.deliveries", Delivery, ("id",), NO_DELIVERY, view="wf.delivery_list")
ATTEMPTS = sql.SQL("""
SELECT {0}
FROM (SELECT * FROM wf.delivery_attempt_list WHERE delivery_id = %s ORDER BY attempt DESC LIMIT 200) AS newest
ORDER BY attempt
""").format(names(fields_of(Attempt)))
OF_ALERT = sql.SQL("""
SELECT {0} FROM wf.delivery_list WHERE id IN (
  SELECT delivery_id FROM wf.delivery_alerts WHERE alert_id = %s ORDER BY delivery_id DESC LIMIT 200) ORDER BY id
""").format(names(fields_of(Delivery)))
OF_ROUTE = (sql.SQL("route_id"), sql.SQL("wf.routes"))
UPKEEP = (
    Kind("route_alerts", route_alerts, timedelta(seconds=1), seconds=60.0),
    job("queue_deliveries", "SELECT wf.queue_deliveries()", timedelta(seconds=1)),
    job("prune_deliveries", "SELECT wf.prune_deliveries()", timedelta(hours=1)),
)


class Deliveries(PagedList[Delivery], DeliveryDirectory):
    shape = shape_of(
        DELIVERIES,
        "wf.delivery_list",
        orders={
            **{name: Order("id", "bigint") for name in ("age", "id")},
            "attempts": Order("attempts::float8", "float8"),
        },
        filters={
            "id": Filtered(sql.SQL("id::text"), number=sql.SQL("id")),
            "route": Filtered(sql.SQL("name"), among=OF_ROUTE),
            "channel": Filtered(sql.SQL("channel"), "choice", among=OF_ROUTE),
            "attempts": Filtered(sql.SQL("attempts::float8"), "number"),
            "route_no": Filtered(sql.SQL("route_id::text"), number=sql.SQL("route_id")),
            "webhook": Filtered(sql.SQL("webhook_id::text"), number=sql.SQL("webhook_id")),
        },
    )

    async def attempts(self, number: int) -> Sequence[Attempt]:
        async with self.home.connection() as connection:
            return await rows(connection, Attempt, ATTEMPTS, [number])

    async def of_alert(self, number: int) -> Sequence[Delivery]:
        async with self.home.connection() as connection:
            return await rows(connection, Delivery, OF_ALERT, [number])


@dataclass(frozen=True)
class DeliveryWriter(DeliveryStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> Delivery:
        await self.connection.execute("SELECT wf.lock_delivery(%s)", [number])
        return await DELIVERY_TABLE.get(self.connection, number)

    async def replay(self, number: int) -> Delivery:
        await self.connection.execute("SELECT wf.replay_delivery(%s)", [number])
        return await DELIVERY_TABLE.get(self.connection, number)

    async def test(self, endpoint: int, key: str) -> Delivery:
        number = await scalar(self.connection, "SELECT wf.test_endpoint(%s, %s)", [endpoint, key])
        return await DELIVERY_TABLE.get(self.connection, number)

    async def test_contact(self, contact: int, key: str) -> Delivery:
        number = await scalar(self.connection, "SELECT wf.test_contact(%s, %s)", [contact, key])
        return await DELIVERY_TABLE.get(self.connection, number)

    async def put_secret(self, endpoint: int, secret: str, kind: str, stored: Encrypted, keeps_seconds: int) -> None:
        await self.connection.execute(
            "SELECT wf.put_endpoint_secret(%s, %s, %s, %s, %s, %s)",
            [endpoint, secret, kind, stored.key_id, stored.data, timedelta(seconds=keeps_seconds)],
        )
