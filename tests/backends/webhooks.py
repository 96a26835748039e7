"""Tenants' webhooks for the tests, and everything that they can be told of."""

from __future__ import annotations

from typing import Any

import psycopg

from backends.postgres.home import Home
from controlplane.operations import Outcome
from tests.backends.notices import do, sealing
from tests.backends.psql import Psql
from tests.receivers import Receiver

KEY = "key_" + "0" * 25


async def hook(home: Home, *receivers: Receiver, tenant: str = "acme", **fields: Any) -> Outcome:
    """A webhook that tells the first of them; the others may be told too."""
    home.sealing = sealing(*(each.port for each in receivers))
    address = f"http://127.0.0.1:{receivers[0].port}/{tenant}/s3cret-path"
    return await do(home, "webhooks.create", tenant_id=tenant, address=address, **fields)


def make_key(connection: psycopg.Connection, number: int, tenant: str = "acme", **columns: Any) -> str:
    found = {"id": f"{KEY}{number}", "tenant_id": tenant, "env": "live", "display": f"wf_live_{number}"} | columns
    statement = "INSERT INTO wf.api_keys ({}, hash) VALUES ({}, sha256(convert_to(%s, 'UTF8')))"
    places = ", ".join(["%s"] * len(found))
    connection.execute(statement.format(", ".join(found), places).encode(), [*found.values(), found["id"]])
    return str(found["id"])


def change_plan(connection: psycopg.Connection, plan: str, tenant: str = "acme") -> None:
    connection.execute("UPDATE wf.tenants SET plan = %s WHERE id = %s", [plan, tenant])


def everything(psql: Psql) -> None:
    """All that can happen to acme, each as it happens in life; the whole of it twice where that must not matter."""
    owner, operator, admin, worker, service = (
        psql(each) for each in ("owner", "operator", "admin", "worker", "service")
    )
    change_plan(operator, "starter")
    owner.execute(
        "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason) VALUES ('acme', 'calls',"
        " '{\"hard\": 10, \"period\": \"day\"}', 'override', now() + interval '9 days', 'x')"
    )
    for _ in range(2):
        service.execute("SELECT * FROM wf_data.admit('acme', 'calls', 9)")
        worker.execute("SELECT wf.look_at_quotas()")
    owner.execute("ALTER TABLE wf.subscriptions DISABLE TRIGGER guard")
    owner.execute(
        "UPDATE wf.subscriptions SET state = 'trial', trial_plan = 'pro', trial_version = 1, trial_return = 'active',"
        " trial_start = now() - interval '9 d', trial_end = now() + interval '2 d' WHERE tenant_id = 'acme'"
    )
    worker.execute("SELECT * FROM wf.expire_trials()")
    worker.execute("SELECT * FROM wf.expire_trials()")
    owner.execute("UPDATE wf.subscriptions SET trial_end = now() - interval '1 h' WHERE tenant_id = 'acme'")
    owner.execute("ALTER TABLE wf.subscriptions ENABLE TRIGGER guard")
    worker.execute("SELECT * FROM wf.expire_trials()")
    old = make_key(operator, 1, owner_email="ana@acme.example", label="s3cret label")
    operator.execute("UPDATE wf.api_keys SET disabled_at = now() WHERE id = %s", [old])
    operator.execute("UPDATE wf.api_keys SET disabled_at = NULL WHERE id = %s", [old])
    operator.execute(
        "UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + interval '1 d' WHERE id = %s", [old]
    )
    new = make_key(operator, 2, rotated_from=old)
    operator.execute("UPDATE wf.api_keys SET expires_at = now() + interval '3 d' WHERE id = %s", [new])
    worker.execute("SELECT wf.note_expiring_keys()")
    worker.execute("SELECT wf.note_expiring_keys()")
    operator.execute("UPDATE wf.api_keys SET revoked_at = now(), revoked_reason = 's3cret reason' WHERE id = %s", [old])
    suspend = "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 's3cret reason'"
    operator.execute(f"{suspend} WHERE id = 'acme'".encode())
    operator.execute(
        "UPDATE wf.tenants SET status = 'active', suspended_at = NULL, suspension_reason = NULL WHERE id = 'acme'"
    )
    admin.execute(
        "UPDATE wf.tenants SET status = 'pending_deletion', deleted_at = now(), deleted_from = status,"
        " purge_after = now() + interval '3 days' WHERE id = 'acme'"
    )
    admin.execute(
        "UPDATE wf.tenants SET status = deleted_from, deleted_at = NULL, deleted_from = NULL, purge_after = NULL"
        " WHERE id = 'acme'"
    )
