"""Tenants with subscriptions to do things to."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from backends.postgres.home import Home
from controlplane.operations import Call, execute
from controlplane.registry import named
from tests.backends.psql import Psql, one

TENANTS = """
INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'starter'), ('trying', 'Trying', 'trial'),
  ('odd', 'Odd', 'mystery');
"""


async def do(home: Home, operation: str, reason: str = "as the test says", /, **fields: Any) -> Any:
    return await execute(home, named(operation), named(operation).parse(fields), Call(reason))


def unguarded(owner: psycopg.Connection, assignments: str, tenant: str = "acme") -> None:
    owner.execute("ALTER TABLE wf.subscriptions DISABLE TRIGGER guard")
    owner.execute(f"UPDATE wf.subscriptions SET {assignments} WHERE tenant_id = '{tenant}'")
    owner.execute("ALTER TABLE wf.subscriptions ENABLE TRIGGER guard")


def admitted(psql: Psql, tenant: str, metric: str = "api_calls", amount: int = 1) -> tuple:
    """admitted, reason, soft, hard, remaining, resets_at, retry_after_ms"""
    return one(psql("service"), "SELECT * FROM wf_data.admit(%s, %s, %s)", tenant, metric, amount)


def give(psql: Psql, name: str, value: object, tenant: str = "acme") -> None:
    psql("owner").execute(
        "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)"
        " VALUES (%s, %s, %s, 'override', '2199-01-01', 'test')",
        [tenant, name, Jsonb(value)],
    )
