"""Every operation as every role, past the registry's own check: the home must answer what the registry says."""

from __future__ import annotations

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.audit.model import Record
from controlplane.changes import Intent
from controlplane.errors import NotPermitted
from controlplane.operations import Call, execute
from controlplane.operators.roles import ROLES, Role, allows
from controlplane.registry import named, operations
from tests.backends.runs import opened
from tests.postgres import Database, Server

ESTATE = """
SELECT wf.begin_change('demo.load', 'before the test', 'estate');
INSERT INTO wf.tenants (id, name, owner_email) SELECT id, id, id || '@lovelace.example'
  FROM unnest(ARRAY['active', 'suspended', 'deleted', 'due', 'protected']) id;
UPDATE wf.tenants SET protected = true WHERE id = 'protected';
UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'unpaid' WHERE id = 'suspended';
UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),
  purge_after = now() + interval '2 days' WHERE id IN ('deleted', 'due');
ALTER TABLE wf.tenants DISABLE TRIGGER guard;
UPDATE wf.tenants SET purge_after = now() - interval '1 day' WHERE id = 'due';
ALTER TABLE wf.tenants ENABLE TRIGGER guard;
INSERT INTO wf.projects (tenant_id, id, name) VALUES ('active', 'web', 'Web'), ('active', 'old', 'Old');
UPDATE wf.projects SET status = 'archived', archived_at = now() WHERE id = 'old';
INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('tenants.suspend', 1, 1), ('tenants.suspend', 1, 1);
UPDATE wf.runs SET state = 'paused' WHERE id = 2;
INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, owner_email)
  SELECT 'key_' || lpad(n::text, 26, '0'), 'active', 'web', 'live', 'wf_live_' || n, sha256(n::text::bytea),
         'active@lovelace.example' FROM generate_series(1, 6) n;
UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + interval '1 day' WHERE display = 'wf_live_2';
UPDATE wf.api_keys SET disabled_at = now() WHERE display = 'wf_live_3';
INSERT INTO wf.tenants (id, name, plan) VALUES ('paying', 'Paying', 'starter'), ('waiting', 'Waiting', 'starter');
ALTER TABLE wf.subscriptions DISABLE TRIGGER guard;
UPDATE wf.subscriptions SET trial_start = now() - interval '15 days', trial_end = now() - interval '1 day'
  WHERE tenant_id = 'protected';
ALTER TABLE wf.subscriptions ENABLE TRIGGER guard;
INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)
  VALUES ('paying', 'seats', '50', 'override', now() + interval '1 day', 'a fair');
INSERT INTO wf.plan_changes (tenant_id, from_plan, from_version, from_cycle, plan, version, cycle, direction,
  effective_on, period_start, period_end, currency, lines, summary, preview_hash)
  VALUES ('waiting', 'starter', 1, 'month', 'growth', 1, 'month', 'upgrade',
  current_date, current_date, current_date + 30, 'EUR', '[]', 'as was said', 'x');
SELECT wf.put_operator('leaving', 'viewer', NULL), wf.put_operator('keeping', 'viewer', NULL);
INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)
  VALUES ('waiting', 'cannot log in', 'T-1', now() + interval '1 hour');
INSERT INTO wf.jobs (kind, tenant_id, state, ended_at)
  VALUES ('deliver', 'active', 'waiting', NULL), ('deliver', 'active', 'dead', now());
INSERT INTO wf.objectives (name, target) VALUES ('api', 0.999), ('old', 0.99);
UPDATE wf.objectives SET retired_at = now() WHERE name = 'old';
INSERT INTO wf.maintenance (starts_at, ends_at, reason) VALUES (now(), now() + interval '1 hour', 'new disks');
"""

KEY, ROTATING, DISABLED, LEAKED, REVOKED, ROTATED = (f"key_{n:026}" for n in range(1, 7))
EXAMPLES: dict[str, Record] = {
    "contexts.write": {"context": "acme-prod"},
    "jobs.cancel": {"id": 1},
    "jobs.replay": {"id": 2},
    "keys.create": {"tenant_id": "active", "env": "live", "scopes": ["read"], "expires_in": "90d"},
    "keys.disable": {"id": KEY},
    "keys.edit": {"id": KEY, "owner_email": "", "addresses": ["10.0.0.0/8"], "expires": "7d"},
    "keys.enable": {"id": DISABLED},
    "keys.grace": {"id": ROTATING, "grace": "1h"},
    "keys.leak": {"id": LEAKED},
    "keys.register": {"tenant_id": "active", "display": "old_abc", "sha256": "ab" * 32},
    "keys.revoke": {"id": REVOKED},
    "keys.rotate": {"id": ROTATED, "grace": "1h"},
    "objectives.create": {"name": "api", "target": "99.9%", "tenant_id": "active", "route": "/orders"},
    "objectives.edit": {"id": 1, "target": 0.9995, "contractual": 0.99},
    "objectives.end-maintenance": {"number": 1},
    "objectives.maintenance": {"tenant_id": "active", "starts": "2h", "lasts": "30m"},
    "objectives.restore": {"id": 2},
    "objectives.retire": {"id": 1},
    "operators.add": {"name": "joining", "role": "viewer"},
    "operators.password": {"name": "keeping", "password": "another one of theirs"},
    "operators.remove": {"name": "leaving"},
    "plans.apply": {
        "plans": [
            {
                "code": "basic",
                "name": "Basic",
                "currency": "EUR",
                "month_price": 900,
                "year_price": 9000,
                "billing": "arrears",
                "entitlements": {"seats": 2},
            }
        ]
    },
    "subscriptions.apply-due": {},
    "subscriptions.change": {"tenant_id": "paying", "plan": "growth"},
    "subscriptions.convert-trial": {"tenant_id": "active", "plan": "growth"},
    "subscriptions.end-grant": {"tenant_id": "paying", "grant": 1},
    "subscriptions.expire-trials": {},
    "subscriptions.extend-trial": {"tenant_id": "protected", "days": 7},
    "subscriptions.grant": {
        "tenant_id": "paying",
        "name": "sso",
        "value": "true",
        "until": "24h",
        "source": "incident",
    },
    "subscriptions.raise": {"tenant_id": "paying", "name": "seats", "to": 60, "until": "7d"},
    "subscriptions.start-trial": {"tenant_id": "paying", "plan": "pro"},
    "subscriptions.state": {"tenant_id": "paying", "state": "suspended"},
    "subscriptions.zone": {"tenant_id": "paying", "zone": "Europe/Berlin"},
    "projects.archive": {"tenant_id": "active", "id": "web"},
    "projects.create": {"tenant_id": "active", "id": "new"},
    "projects.rename": {"tenant_id": "active", "id": "web", "name": "Renamed"},
    "projects.restore": {"tenant_id": "active", "id": "old"},
    "runs.pause": {"id": 1},
    "runs.resume": {"id": 2},
    "runs.stop": {"id": 1},
    "telemetry.drop-old": {},
    "telemetry.retention": {"data": "raw", "days": 30},
    "tenants.apply": {"tenants": [{"id": "applied"}, {"id": "active", "plan": "growth"}]},
    "tenants.approve-writing": {"number": 1},
    "tenants.create": {"id": "created"},
    "tenants.delete": {"id": "active"},
    "tenants.end-impersonation": {"number": 1},
    "tenants.edit": {"id": "active", "owner_email": "", "metadata": {"a": 1}},
    "tenants.impersonate": {"id": "waiting", "ticket": "T-2"},
    "tenants.provision": {"id": "signed-up", "plan": "growth", "trial_days": 14, "scopes": ["read"]},
    "tenants.protect": {"id": "active"},
    "tenants.purge": {"id": "due"},
    "tenants.rename": {"id": "active", "name": "Renamed"},
    "tenants.restore": {"id": "deleted"},
    "tenants.resume": {"id": "suspended"},
    "tenants.reveal": {"id": "active"},
    "tenants.suspend": {"id": "active"},
    "tenants.unprotect": {"id": "protected"},
}
"""A request of each operation that fits the estate. A new operation needs one here."""


@pytest.fixture(scope="module")
def estate(postgres_server: Server, template_database: str):
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)
    yield database
    postgres_server.drop(database)


def test_every_operation_has_an_example() -> None:
    assert set(EXAMPLES) == set(operations())


@pytest.mark.parametrize("role", ROLES)
async def test_the_home_permits_what_the_registry_says(estate: Database, role: Role) -> None:
    async with opened(estate.login(role)) as home:
        assert home.actor.role == role
        answers = {name: await permitted(home, name) for name in operations()}
    assert answers == {name: allows(role, operation.role) for name, operation in operations().items()}


async def permitted(home: Home, name: str) -> bool:
    """Whether the home lets the operation be run; what it does is rolled back. Any other refusal is a fault here."""
    operation = named(name)
    try:
        async with home.change(Intent(name, f"try {name}", "", "as the test says", dry_run=True)) as change:
            await operation.perform(change, operation.parse(EXAMPLES[name]))
            assert await change.rows(), f"{name} leaves no row in the trail"
    except NotPermitted:
        return False
    return True


@pytest.mark.parametrize("role", ROLES)
async def test_the_registry_refuses_before_the_home_does(estate: Database, role: Role) -> None:
    async with opened(estate.login(role)) as home:
        for name, operation in operations().items():
            call = Call("as the test says", dry_run=True)
            if allows(role, operation.role):
                await execute(home, operation, operation.parse(EXAMPLES[name]), call)
                continue
            with pytest.raises(NotPermitted) as refused:
                await execute(home, operation, operation.parse(EXAMPLES[name]), call)
            assert refused.value.code == "role_too_low"


async def test_a_worker_may_do_nothing_that_a_person_does(estate: Database) -> None:
    async with opened(estate.login("worker")) as home:
        assert {name for name in operations() if await permitted(home, name)} == set()


async def test_nobody_without_a_role_gets_in(estate: Database) -> None:
    conninfo = estate.login("viewer")
    with psycopg.connect(estate.owner) as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'for tests only'")
    with pytest.raises(NotPermitted) as refused:
        async with opened(conninfo.replace("user=t_viewer", "user=stranger")):
            raise AssertionError
    assert refused.value.code in ("not_permitted", "not_an_operator")
