"""Subscriptions, what tenants may use, and usage in PostgreSQL."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from backends.postgres.plans import read_plan
from backends.postgres.statements import assignments, inserted, names
from controlplane.errors import NotFound
from controlplane.jobs.engine import sql as job
from controlplane.subscriptions.model import Facts, Grant, PlanChange, Standing, Subscription, Usage
from controlplane.subscriptions.rules import effective

if TYPE_CHECKING:
    from backends.postgres.home import Home

Connection = psycopg.AsyncConnection[TupleRow]

CHANGE_COLUMNS = tuple(f.name for f in dataclasses.fields(PlanChange))
GRANT_COLUMNS = tuple(f.name for f in dataclasses.fields(Grant))
SUBSCRIPTION = sql.SQL("SELECT {} FROM wf.subscriptions s JOIN {} t ON t.id = s.tenant_id WHERE s.tenant_id = %s")
OF_TENANT = {"tenant_status": "t.status", "plan": "t.plan"}


UPKEEP = (
    job("roll_up_usage", "SELECT wf.roll_up_usage()", timedelta(minutes=1)),
    job("expire_trials", "SELECT wf.expire_trials()", timedelta(minutes=1)),
    job("apply_due_changes", "SELECT wf.apply_due_changes()", timedelta(minutes=1)),
    job("look_at_quotas", "SELECT wf.look_at_quotas()", timedelta(minutes=5), seconds=120),
    job("prune_sign_up_attempts", "SELECT wf.prune_sign_up_attempts()", timedelta(minutes=10)),
)


class Subscriptions:
    """What each tenant of a home has."""

    def __init__(self, home: Home) -> None:
        self.home = home

    async def currency(self, tenant_id: str) -> str | None:
        async with self.home.connection() as connection:
            return await _Reader(connection, "wf.tenant_list").currency(tenant_id)

    async def standing(self, tenant_id: str) -> Standing:
        """All of it is of one moment."""
        async with self.home.connection(snapshot=True) as connection:
            reader = _Reader(connection, "wf.tenant_list")
            subscription = await reader.subscription(tenant_id)
            row = await (await connection.execute("SELECT now()")).fetchone()
            assert row is not None
            facts = await reader.facts(subscription)
            return Standing(
                subscription,
                facts.plan,
                tuple(effective(facts, row[0]).values()),
                await reader.usage(tenant_id),
                await reader.pending(tenant_id),
                row[0],
            )


@dataclasses.dataclass(frozen=True)
class _Reader:
    """`tenants`: the table or the view that the login may read."""

    connection: Connection
    tenants: str

    async def subscription(self, tenant_id: str, *, lock: bool = False) -> Subscription:
        columns = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.SQL(OF_TENANT.get(f.name, f"s.{f.name}")), sql.Identifier(f.name))
            for f in dataclasses.fields(Subscription)
        )
        statement = SUBSCRIPTION.format(columns, sql.SQL(self.tenants))
        async with self.connection.cursor(row_factory=class_row(Subscription)) as cursor:
            await cursor.execute(statement + sql.SQL(" FOR UPDATE OF s" if lock else ""), [tenant_id])
            if (found := await cursor.fetchone()) is None:
                raise NotFound(
                    "no_subscription", f"There is no subscription of {tenant_id}.", "watchfloor tenants list finds it."
                )
            return found

    async def currency(self, tenant_id: str) -> str | None:
        statement = sql.SQL(
            "SELECT p.currency FROM wf.subscriptions s JOIN {} t ON t.id = s.tenant_id"
            " JOIN wf.plans p ON p.code = t.plan AND p.version = s.plan_version WHERE s.tenant_id = %s"
        ).format(sql.SQL(self.tenants))
        row = await (await self.connection.execute(statement, [tenant_id])).fetchone()
        return None if row is None else row[0]

    async def facts(self, subscription: Subscription) -> Facts:
        statement = sql.SQL(
            "SELECT {} FROM wf.entitlement_grants"
            " WHERE tenant_id = %s AND ends_at > now() AND ended_at IS NULL ORDER BY id"
        ).format(names(GRANT_COLUMNS))
        async with self.connection.cursor(row_factory=class_row(Grant)) as cursor:
            await cursor.execute(statement, [subscription.tenant_id])
            grants = tuple(await cursor.fetchall())
        return Facts(
            await read_plan(self.connection, subscription.plan, subscription.plan_version),
            await read_plan(self.connection, subscription.trial_plan, subscription.trial_version),
            subscription.state,
            subscription.trial_start,
            subscription.trial_end,
            grants,
        )

    async def usage(self, tenant_id: str) -> tuple[Usage, ...]:
        rows = await (
            await self.connection.execute("SELECT * FROM wf.usage_of(%s, now()) ORDER BY metric", [tenant_id])
        ).fetchall()
        return tuple(
            Usage(row[0], row[1], row[2], row[3], row[4], None if row[5] is None else int(row[5])) for row in rows
        )

    async def pending(self, tenant_id: str) -> PlanChange | None:
        statement = sql.SQL(
            "SELECT {} FROM wf.plan_changes WHERE tenant_id = %s AND applied_at IS NULL AND canceled_at IS NULL"
        ).format(names(CHANGE_COLUMNS))
        async with self.connection.cursor(row_factory=class_row(PlanChange)) as cursor:
            await cursor.execute(statement, [tenant_id])
            return await cursor.fetchone()


@dataclasses.dataclass(frozen=True)
class SubscriptionWriter:
    """Writes within one transaction."""

    connection: Connection

    @property
    def _reader(self) -> _Reader:
        return _Reader(self.connection, "wf.tenants")

    async def lock(self, tenant_id: str) -> Subscription:
        return await self._reader.subscription(tenant_id, lock=True)

    async def update(self, tenant_id: str, columns: dict[str, Any]) -> Subscription:
        statement = sql.SQL("UPDATE wf.subscriptions SET {} WHERE tenant_id = %s").format(assignments(columns))
        await self.connection.execute(statement, [*columns.values(), tenant_id])
        return await self._reader.subscription(tenant_id)

    async def facts(self, tenant_id: str) -> Facts:
        return await self._reader.facts(await self._reader.subscription(tenant_id))

    async def currency(self, tenant_id: str) -> str | None:
        return await self._reader.currency(tenant_id)

    async def grant(self, columns: dict[str, Any]) -> Grant:
        async with self.connection.cursor(row_factory=class_row(Grant)) as cursor:
            await cursor.execute(
                *inserted("entitlement_grants", columns | {"value": Jsonb(columns["value"])}, GRANT_COLUMNS)
            )
            found = await cursor.fetchone()
            assert found is not None
            return found

    async def end_grant(self, tenant_id: str, grant: int) -> Grant:
        statement = sql.SQL(
            "UPDATE wf.entitlement_grants SET ended_at = now() WHERE tenant_id = %s AND id = %s RETURNING {}"
        ).format(names(GRANT_COLUMNS))
        async with self.connection.cursor(row_factory=class_row(Grant)) as cursor:
            await cursor.execute(statement, [tenant_id, grant])
            if (found := await cursor.fetchone()) is None:
                raise NotFound(
                    "no_grant", f"{tenant_id} has no grant {grant}.", f"watchfloor subscriptions effective {tenant_id}"
                )
            return found

    async def pending(self, tenant_id: str) -> PlanChange | None:
        return await self._reader.pending(tenant_id)

    async def cancel_pending(self, tenant_id: str, at: datetime) -> None:
        await self.connection.execute(
            "UPDATE wf.plan_changes SET canceled_at = %s"
            " WHERE tenant_id = %s AND applied_at IS NULL AND canceled_at IS NULL",
            [at, tenant_id],
        )

    async def note_change(self, columns: dict[str, Any]) -> int:
        row = await (
            await self.connection.execute(
                *inserted("plan_changes", columns | {"lines": Jsonb(columns["lines"])}, ("id",))
            )
        ).fetchone()
        assert row is not None
        return int(row[0])

    async def expire_trials(self) -> tuple[int, int]:
        row = await (await self.connection.execute("SELECT ended, reminded FROM wf.expire_trials()")).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    async def apply_due(self) -> int:
        row = await (await self.connection.execute("SELECT wf.apply_due_changes()")).fetchone()
        assert row is not None
        return int(row[0])
