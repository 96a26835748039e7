"""Subscriptions, what tenants may use, and usage in PostgreSQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.plans import PLAN_TABLE
from backends.postgres.statements import Connection, first, names, rows, scalar
from backends.postgres.table import NOW, Table, Writer, fields_of
from controlplane.jobs.engine import sql as job
from controlplane.subscriptions.list import SUBSCRIPTIONS
from controlplane.subscriptions.model import (
    STATES,
    Facts,
    Grant,
    Listed,
    PlanChange,
    Standing,
    Subscription,
    SubscriptionDirectory,
    Usage,
)
from controlplane.subscriptions.ports import SubscriptionStore
from controlplane.subscriptions.refusals import NO_GRANT, NO_PLAN_CHANGE, NO_SUBSCRIPTION
from controlplane.subscriptions.rules import effective

_OF_TENANT = {"tenant_status": "t.status", "plan": "t.plan"}
_COLUMNS = ", ".join(f"{_OF_TENANT.get(name, f's.{name}')} AS {name}" for name in fields_of(Subscription))
_WITH = f"(SELECT {_COLUMNS} FROM wf.subscriptions s JOIN {{tenants}} t ON t.id = s.tenant_id) AS of_tenants"
SUBSCRIPTION_TABLE = Table(
    "wf.subscriptions", Subscription, ("tenant_id",), NO_SUBSCRIPTION, view=_WITH.format(tenants="wf.tenants")
)
SHOWN = SUBSCRIPTION_TABLE._replace(view=_WITH.format(tenants="wf.tenant_list"))
"""For logins that may not read the table of tenants."""
GRANT_TABLE = Table("wf.entitlement_grants", Grant, ("tenant_id", "id"), NO_GRANT)
CHANGE_TABLE = Table("wf.plan_changes", PlanChange, ("id",), NO_PLAN_CHANGE)

HELD = sql.SQL("""
SELECT {} FROM wf.entitlement_grants WHERE tenant_id = %s AND ends_at > now() AND ended_at IS NULL ORDER BY id
""").format(names(fields_of(Grant)))
USAGE = "SELECT * FROM wf.usage_of(%s, now()) ORDER BY metric"
RECORDED = """
SELECT hour, amount::bigint FROM wf.usage_hours
WHERE tenant_id = %s AND metric = %s AND hour >= %s AND hour < %s ORDER BY hour
"""
PENDING = sql.SQL("""
SELECT {} FROM wf.plan_changes WHERE tenant_id = %s AND applied_at IS NULL AND canceled_at IS NULL
""").format(names(fields_of(PlanChange)))
CANCEL_PENDING = """
UPDATE wf.plan_changes SET canceled_at = %s WHERE tenant_id = %s AND applied_at IS NULL AND canceled_at IS NULL
"""
EXPIRE_TRIALS = "SELECT ended, reminded FROM wf.expire_trials()"
APPLY_DUE = "SELECT wf.apply_due_changes()"

_OF_STATE: dict[str, sql.Composable] = {state: sql.SQL("state = {}").format(state) for state in STATES}
"""Conditions on the stored state, which is indexed; few rows have an end that is over but not written yet."""
_OF_STATE["active"] += sql.SQL(" OR trial_ends <= now()")
_OF_STATE["expired"] += sql.SQL(" OR trial_ends <= now() OR grace_ends <= now()")


UPKEEP = (
    job("roll_up_usage", "SELECT wf.roll_up_usage()", timedelta(minutes=1)),
    job("expire_trials", "SELECT wf.expire_trials()", timedelta(minutes=1)),
    job("apply_due_changes", "SELECT wf.apply_due_changes()", timedelta(minutes=1)),
    job("look_at_quotas", "SELECT wf.look_at_quotas()", timedelta(minutes=5), seconds=120),
    job("prune_sign_up_attempts", "SELECT wf.prune_sign_up_attempts()", timedelta(minutes=10)),
)


def _to_come(column: str) -> sql.Composed:
    return sql.SQL("{0} > now() AND {0} < 'infinity'::timestamptz").format(sql.Identifier(column))


class Subscriptions(PagedList[Listed], SubscriptionDirectory):
    """What each tenant of a home has."""

    shape = shape_of(
        SUBSCRIPTIONS,
        "wf.subscription_list",
        tie=("tenant_id",),
        orders={
            "tenant": Order("tenant_id", "text", bound="id"),
            "plan": Order("plan", "text", tie=("id",)),
            "trial": Order("trial_ends", "timestamptz", unknown="infinity"),
            "grace": Order("grace_ends", "timestamptz", unknown="infinity"),
        },
        filters={
            "tenant": Filtered(sql.SQL("id")),
            "state": Filtered(sql.SQL("state_now"), "choice", implied=_OF_STATE),
            "trial": Filtered(sql.SQL("trial_ends"), "until", also=_to_come("trial_ends"), ahead=True),
            "grace": Filtered(sql.SQL("grace_ends"), "until", also=_to_come("grace_ends"), ahead=True),
            "unknown": Filtered(sql.SQL("plan_version IS NULL"), "flag"),
        },
    )

    async def currency(self, tenant_id: str) -> str | None:
        async with self.home.connection() as connection:
            return await _currency(connection, tenant_id)

    async def recorded(
        self, tenant_id: str, metric: str, start: datetime, end: datetime
    ) -> Sequence[tuple[datetime, int]]:
        async with self.home.connection() as connection:
            found = await connection.execute(RECORDED, [tenant_id, metric, start, end])
            return [(hour, amount) for hour, amount in await found.fetchall()]

    async def standing(self, tenant_id: str) -> Standing:
        """Everything as of one moment."""
        async with self.home.connection(snapshot=True) as connection:
            subscription = await SHOWN.get(connection, tenant_id)
            now: datetime = await scalar(connection, "SELECT now()")
            facts = await _facts(connection, subscription)
            used = await rows(connection, Usage, USAGE, [tenant_id])
            return Standing(
                subscription,
                facts.plan,
                tuple(effective(facts, now).values()),
                tuple(
                    dataclasses.replace(each, recorded=None if each.recorded is None else int(each.recorded))
                    for each in used
                ),
                await first(connection, PlanChange, PENDING, [tenant_id]),
                now,
            )


async def _currency(connection: Connection, tenant_id: str) -> str | None:
    currency: str | None = await scalar(connection, "SELECT wf.currency_of(%s)", [tenant_id])
    return currency


async def _facts(connection: Connection, subscription: Subscription) -> Facts:
    return Facts(
        await PLAN_TABLE.look(connection, subscription.plan, subscription.plan_version),
        await PLAN_TABLE.look(connection, subscription.trial_plan, subscription.trial_version),
        subscription.state,
        subscription.trial_start,
        subscription.trial_end,
        tuple(await rows(connection, Grant, HELD, [subscription.tenant_id])),
    )


class SubscriptionWriter(Writer[Subscription], SubscriptionStore):
    table = SUBSCRIPTION_TABLE

    async def facts(self, tenant_id: str) -> Facts:
        return await _facts(self.connection, await SUBSCRIPTION_TABLE.get(self.connection, tenant_id))

    async def currency(self, tenant_id: str) -> str | None:
        return await _currency(self.connection, tenant_id)

    async def grant(self, columns: dict[str, Any]) -> Grant:
        return await GRANT_TABLE.create(self.connection, columns | {"value": Jsonb(columns["value"])})

    async def end_grant(self, tenant_id: str, grant: int) -> Grant:
        return await GRANT_TABLE.update(self.connection, {"ended_at": NOW}, tenant_id, grant)

    async def pending(self, tenant_id: str) -> PlanChange | None:
        return await first(self.connection, PlanChange, PENDING, [tenant_id])

    async def cancel_pending(self, tenant_id: str, at: datetime) -> None:
        await self.connection.execute(CANCEL_PENDING, [at, tenant_id])

    async def note_change(self, columns: dict[str, Any]) -> int:
        return (await CHANGE_TABLE.create(self.connection, columns | {"lines": Jsonb(columns["lines"])})).id

    async def expire_trials(self) -> tuple[int, int]:
        row = await (await self.connection.execute(EXPIRE_TRIALS)).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    async def apply_due(self) -> int:
        return int(await scalar(self.connection, APPLY_DUE))
