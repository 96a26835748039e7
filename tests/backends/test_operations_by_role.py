"""Every operation as every role, past the registry's own check: the home must answer what the registry says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.audit.model import Record
from controlplane.changes import Intent
from controlplane.errors import NotPermitted
from controlplane.operations import Call, execute
from controlplane.operators.roles import ROLES, Role, allows
from controlplane.queues.causes import fingerprint
from controlplane.registry import named, operations
from tests.backends.executions import EXECUTIONS
from tests.backends.notices import PAGING, sealing
from tests.backends.outside import OUTSIDE, outside
from tests.backends.runs import opened as connected
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
INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('tenants.suspend', 1, 1);
INSERT INTO wf.run_items (run_id, ordinal, thing, subject, state, settled_at)
  VALUES (3, 1, 'suspended', '{"id": "suspended"}', 'done', now());
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
SELECT wf.put_operator('leaving', 'viewer', NULL), wf.put_operator('keeping', 'viewer', NULL),
  wf.put_operator('taking', 'operator', NULL);
INSERT INTO wf.contacts (person, channel, target) VALUES ('taking', 'mail', 'a…@acme.example');
INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)
  VALUES ('waiting', 'cannot log in', 'T-1', now() + interval '1 hour');
INSERT INTO wf.jobs (kind, tenant_id, state, ended_at)
  VALUES ('deliver', 'active', 'waiting', NULL), ('deliver', 'active', 'dead', now());
INSERT INTO wf.objectives (name, target) VALUES ('api', 0.999), ('old', 0.99);
UPDATE wf.objectives SET retired_at = now() WHERE name = 'old';
INSERT INTO wf.maintenance (starts_at, ends_at, reason) VALUES (now(), now() + interval '1 hour', 'new disks');
INSERT INTO wf.alerts (kind, severity, summary, labels) VALUES ('jobs_dead', 'error', 'firing', '{"job": "a"}');
INSERT INTO wf.alerts (kind, severity, summary, labels, state, holder, acked_at, ack_until, ack_comment)
  VALUES ('jobs_dead', 'error', 'acked', '{"job": "b"}', 'acked', 'ana', now(), now() + interval '1 hour', 'looking');
INSERT INTO wf.thresholds (detector, name, value) VALUES ('quota_near', 'share', 0.9);
INSERT INTO wf.routes (name, channel, target) VALUES ('ops', 'webhook', 'https://ops.example');
INSERT INTO wf.routes (name, channel, target, enabled) VALUES ('off', 'slack', 'https://slack.example', false);
INSERT INTO wf.routes (name, channel, target) VALUES ('old', 'slack', 'https://slack.example');
UPDATE wf.routes SET retired_at = now() WHERE name = 'old';
INSERT INTO wf.routes (name, channel, target) VALUES ('signs', 'webhook', 'https://signs.example');
INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary, notice,
  state, ended_at)
  VALUES ('msg_' || repeat('a', 40), 1, repeat('a', 64), 1, 'trigger', 'first_notification', 'error', 'x', 'y', '{}',
  'failed', now());
INSERT INTO wf.heartbeats (name, every) VALUES ('billing', 300), ('old', 300);
UPDATE wf.heartbeats SET retired_at = now() WHERE name = 'old';
INSERT INTO wf.webhooks (tenant_id, target) VALUES ('active', 'https://hooks.example');
INSERT INTO wf.webhooks (tenant_id, target) VALUES ('active', 'https://off.example');
UPDATE wf.webhooks SET enabled = false WHERE id = 6;
INSERT INTO wf.webhooks (tenant_id, target)
  VALUES ('paying', 'https://gone.example'), ('paying', 'https://paused.example');
INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
  VALUES ('evt_' || repeat('a', 40), 'active', 'key.created', 'x', '{}');
UPDATE wf.deliveries SET state = 'held' WHERE webhook_id = 5;
INSERT INTO wf.silences (matchers, ends_at, comment)
  VALUES ('[{"label": "tenant", "op": "=", "value": "active"}]', now() + interval '1 hour', 'new disks');
INSERT INTO wf.gates (name, definition) VALUES ('shop',
  '{"checks":[{"due":3600,"freshness":3600,"kind":"manual","limit":30,"name":"m","owner":"ana","question":"Is it?",'
  '"required":true}],"name":"shop","owner":"ana"}');
INSERT INTO wf.gates (name, definition) SELECT 'old', replace(definition, 'shop', 'old') FROM wf.gates;
INSERT INTO wf.gate_schedules (gate, environment, every) VALUES ('shop', 'production', '1 day');
INSERT INTO wf.gate_waivers (gate, check_name, environment, reason, ends_at)
  VALUES ('shop', 'm', 'production', 'new disks', now() + interval '1 hour');
INSERT INTO wf.schedules (name, rotations)
  SELECT name, '[{"name": "main", "people": ["ana", "ben"], "starts": "2026-01-05 09:00"}]'
  FROM unnest(ARRAY['primary', 'old']) name;
UPDATE wf.schedules SET retired_at = now() WHERE name = 'old';
INSERT INTO wf.schedule_overrides (schedule, person, starts_at, ends_at)
  VALUES ('primary', 'zoe', now(), now() + interval '1 day');
INSERT INTO wf.evidence (sha256, bytes, name, kind, environment, at)
  VALUES (repeat('ef', 32), 1, 'a', 'urn:watchfloor:evidence-bundle:v1', 'production', now());
SELECT wf.publish_evidence(1, 's3://bucket'), wf.publish_evidence(1, 's3://canceled');
SELECT wf.change_publication('cancel', 2);
INSERT INTO wf.incidents (title, severity, regions)
  SELECT 'Incident ' || n, 'SEV-1', '{moon}' FROM generate_series(1, 5) n;
UPDATE wf.incidents SET status = 'resolved' WHERE id IN (2, 3);
UPDATE wf.incidents SET status = 'closed' WHERE id = 3;
INSERT INTO wf.incident_roles (incident_id, role, holder, offered_to, offered_until, offered_summary) VALUES
  (1, 'commander', 't_admin', NULL, NULL, NULL), (1, 'deputy', 't_operator', NULL, NULL, NULL),
  (1, 'scribe', 'ben', 't_admin', now() + interval '1 hour', 'x'),
  (1, 'liaison', 'ben', 't_operator', now() + interval '1 hour', 'x'), (4, 'conn', 'ben', NULL, NULL, NULL),
  (5, 'commander', 't_admin', NULL, NULL, NULL), (5, 'deputy', 't_operator', NULL, NULL, NULL);
UPDATE wf.publications SET published_at = now(), attestation = '{"objects": []}' WHERE id = 2;
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO wf.jobs (kind, tenant_id, state, ended_at)
  SELECT 'deliver', 'active', 'dead', now() FROM generate_series(1, 8);
UPDATE wf.dead_letters SET state = 'quarantined' WHERE id = 3;
UPDATE wf.dead_letters SET hold = true WHERE id = 4;
"""
ESTATE += """
INSERT INTO wf.approvals (operation, thing, fingerprint, reason, facts, sha256, trail_at, roles, asked_by, expires_at)
  SELECT 'tenants.purge', 'due', repeat('a', 64), 'x', '[{"noun": "plans", "thing": "x", "verb": "new"}]',
    repeat('a', 64), 0, '{support}', person, now() + interval '1 hour'
  FROM unnest(ARRAY['taking', 'taking', 't_viewer', 't_support', 't_operator', 't_admin']) person;
INSERT INTO wf.raises (login, was, role, minutes, reason, ends_at)
  VALUES ('taking', 'operator', 'admin', 30, 'x', now() + interval '30 minutes');
INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('tenants.suspend', 1, 1);
UPDATE wf.runs SET held = true, state = 'paused' WHERE id = 4;
"""
ESTATE += EXECUTIONS + PAGING + OUTSIDE
ESTATE += "INSERT INTO wf.routes (name, channel, target) VALUES ('mails', 'mail', 'a…@acme.example');"

CAUSE = fingerprint("jobs", "deliver", "gave_up", "")[:16]
KEY, ROTATING, DISABLED, LEAKED, REVOKED, ROTATED = (f"key_{n:026}" for n in range(1, 7))
EXAMPLES: dict[str, Record] = {
    "alerts.ack": {"id": 1, "comment": "looking", "until": "1h"},
    "alerts.escalate": {"id": 1},
    "alerts.hand-over": {"id": 2, "to": "taking"},
    "alerts.resolve": {"id": 1},
    "alerts.unack": {"id": 2},
    "approvals.approve": {"id": 1},
    "approvals.extend": {"id": 1},
    "approvals.refuse": {"id": 2},
    "approvals.rule": {"operation": "queues.edit", "roles": ["operator"], "above": 5},
    "approvals.withdraw": {"id": 6},
    "contacts.add": {"person": "taking", "channel": "slack", "address": "U012AB3CD"},
    "contacts.edit": {"id": 1, "address": "ana@acme.example"},
    "contacts.remove": {"id": 1},
    "contacts.test": {"id": 1},
    "contexts.write": {"context": "acme-prod"},
    "deliveries.replay": {"id": 1},
    "detectors.apply": {
        "detectors": [
            {"name": "own_x", "means": "x", "above": 9, "sql": "SELECT id AS tenant_id, 1 AS value FROM wf.tenant_list"}
        ]
    },
    "detectors.evaluate": {"name": "jobs_dead"},
    "gates.answer": {"gate": "shop", "environment": "staging", "check_name": "m", "answer": "pass"},
    "gates.apply": {"gates": [{"name": "x", "owner": "ana", "checks": [{"name": "a", "kind": "keys"}]}]},
    "gates.retire": {"gate": "old"},
    "gates.run": {"gate": "shop", "environment": "staging"},
    "gates.schedule": {"gate": "shop", "environment": "staging", "every": 3600},
    "gates.unschedule": {"gate": "shop", "environment": "production"},
    "evidence.add": {"sha256": "ab" * 32, "bytes": 9, "name": "a.xml", "kind": "junit", "environment": "production"},
    "evidence.cancel": {"id": 1},
    "evidence.publish": {"id": 1, "target": "gs://bucket/prod"},
    "evidence.limit": {"target": "s3://bucket", "priority": 1, "rate": 500, "keep_days": 365},
    "evidence.republish": {"id": 2},
    "evidence.sweep": {"target": "s3://bucket", "remove": True},
    "evidence.verify-remote": {"id": 2},
    "evidence.withdraw": {"id": 1},
    "heartbeats.create": {"name": "nightly", "every": "1d"},
    "heartbeats.edit": {"name": "billing", "grace": "2m"},
    "heartbeats.restore": {"name": "old"},
    "heartbeats.retire": {"name": "billing"},
    "incidents.accept": {"id": 1, "role": "scribe"},
    "incidents.affect": {"id": 1, "kind": "tenant", "name": "protected"},
    "incidents.close-out": {"id": 2},
    "incidents.correct": {"id": 1, "event": 1, "text": "It was another."},
    "incidents.edit": {"id": 1, "summary": "half is back"},
    "incidents.mitigate": {"id": 4},
    "incidents.note": {"id": 1, "text": "It is the disks.", "at": "5m ago"},
    "incidents.offer": {"id": 1, "role": "commander", "to": "taking", "summary": "half is back"},
    "incidents.open": {"title": "Down", "severity": "SEV-2", "tenants": ["waiting"], "origin": "tenants/waiting"},
    "incidents.override": {"id": 1, "until": "5m"},
    "incidents.relieve": {"id": 4},
    "incidents.reopen": {"id": 3},
    "incidents.resolve": {"id": 5},
    "incidents.return": {"id": 5, "role": "commander"},
    "incidents.severity": {"id": 1, "severity": "SEV-2"},
    "incidents.snooze": {"id": 1, "until": "1h"},
    "incidents.take": {"id": 1},
    "incidents.interval": {"severity": "SEV-1", "minutes": 30},
    "incidents.tell-customers": {"id": 1, "text": "We are looking into it."},
    "incidents.unaffect": {"id": 1, "kind": "region", "name": "moon"},
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
    "messages.discard": {"id": "orders/2"},
    "messages.replay": {"id": "orders/1"},
    "objectives.create": {"name": "api", "target": "99.9%", "tenant_id": "active", "route": "/orders"},
    "objectives.edit": {"id": 1, "target": 0.9995, "contractual": 0.99},
    "objectives.end-maintenance": {"number": 1},
    "objectives.maintenance": {"tenant_id": "active", "starts": "2h", "lasts": "30m"},
    "objectives.restore": {"id": 2},
    "objectives.retire": {"id": 1},
    "operators.add": {"name": "joining", "role": "viewer"},
    "operators.give-back": {"name": "taking"},
    "operators.raise": {"role": "operator"},
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
    "schedules.create": {"name": "new", "people": ["ana", "ben"], "starts": "2026-01-05 09:00"},
    "schedules.edit": {"name": "primary", "shift": "1d"},
    "schedules.end-override": {"number": 1},
    "schedules.override": {"name": "primary", "person": "zoe", "until": "8h"},
    "schedules.restore": {"name": "old"},
    "schedules.retire": {"name": "primary"},
    "silences.create": {"matchers": 'tenant="active"', "until": "1h", "comment": "new disks"},
    "silences.edit": {"id": 1, "comment": "newer disks"},
    "silences.end": {"id": 1},
    "sources.cancel": {"id": "busy"},
    "sources.redrive": {"id": "idle", "per_second": 5},
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
    "queues.discard": {"id": 9},
    "queues.edit": {"id": 5, "patch": {"to": 7}},
    "queues.fixed": {"id": CAUSE, "release": "2.1"},
    "queues.hold": {"id": 6},
    "queues.quarantine": {"id": 7},
    "queues.release": {"id": 3},
    "queues.replay": {"id": 8},
    "queues.unhold": {"id": 4},
    "reports.make": {"release": "2.4.0"},
    "routes.create": {"name": "new", "channel": "webhook", "address": "https://hooks.example/x"},
    "routes.disable": {"id": 1},
    "routes.edit": {"id": 1, "min_severity": "error", "address": "https://hooks.example/y"},
    "routes.enable": {"id": 2},
    "routes.restore": {"id": 3},
    "routes.retire": {"id": 1},
    "routes.rotate-secret": {"id": 4},
    "routes.test": {"id": 4},
    "webhooks.create": {"tenant_id": "active", "address": "https://hooks.example/x"},
    "webhooks.delete": {"id": 7},
    "webhooks.disable": {"id": 8},
    "webhooks.edit": {"id": 5, "events": ["plan.changed"], "address": "https://hooks.example/y"},
    "webhooks.enable": {"id": 6},
    "webhooks.replay": {"id": 5, "since": "1h"},
    "webhooks.rotate-secret": {"id": 5},
    "webhooks.test": {"id": 5},
    "runbooks.claim": {"execution": 2, "place": 1},
    "runbooks.do": {"execution": 2, "place": 2},
    "runbooks.release": {"execution": 2, "place": 3},
    "runbooks.resume": {"id": 3},
    "runbooks.run": {"name": "worker-down"},
    "runbooks.settle": {"execution": 2, "place": 4, "verdict": "passed", "note": "seen"},
    "runbooks.stop": {"id": 2},
    "runs.pause": {"id": 1},
    "runs.release": {"id": 4},
    "runs.rate": {"id": 1, "per_second": 5},
    "runs.resume": {"id": 2},
    "runs.stop": {"id": 1},
    "runs.undo": {"id": 3},
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
    "thresholds.clear": {"parameter": "quota_near.share", "scope": "all"},
    "thresholds.set": {"parameter": "trial_ending.days", "scope": "tenant:active", "value": 3},
    "waivers.approve": {"id": 1},
    "waivers.create": {"gate": "shop", "environment": "staging", "check_name": "m", "until": "1h"},
    "waivers.end": {"id": 1},
}
"""A request of each operation that fits the estate. A new operation needs one here."""


MINE = {"incidents.accept": "liaison", "incidents.offer": "deputy", "incidents.return": "deputy"}
"""The role that the operator has, or is offered."""


@asynccontextmanager
async def opened(conninfo: str) -> AsyncIterator[Home]:
    """With a key for secrets, and a source outside."""
    async with connected(conninfo) as home:
        home.sealing, home.sources = sealing(), outside(conninfo)
        try:
            yield home
        finally:
            await home.sources.close()


@pytest.fixture(scope="module")
def estate(postgres_server: Server, template_database: str):
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)
    people = [database.login(role) and f"t_{role}" for role in ROLES]
    with psycopg.connect(database.owner) as connection, connection.cursor() as cursor:
        contact = "INSERT INTO wf.contacts (person, channel, target) VALUES (%s, 'mail', 'a…@acme.example')"
        cursor.executemany(contact, [[person] for person in people])
        raised = "INSERT INTO wf.raises (login, was, role, minutes, reason, ends_at)"
        raised += " VALUES (%s, 'viewer', 'admin', 30, 'x', now() + interval '30 minutes')"
        cursor.executemany(raised, [[person] for person in people])
    yield database
    postgres_server.drop(database)


def test_every_operation_has_an_example() -> None:
    assert set(EXAMPLES) == set(operations())


@pytest.mark.parametrize("role", ROLES)
async def test_the_home_permits_what_the_registry_says(estate: Database, role: Role) -> None:
    async with opened(estate.login(role)) as home:
        assert home.actor.role == role
        answers = {name: await permitted(home, name) for name in operations() if fits(name, role)}
    wanted = {name: allows(role, each.role) for name, each in operations().items() if fits(name, role)}
    assert answers == wanted


def fits(name: str, role: str) -> bool:
    """There is no role above an admin's."""
    return (name, role) != ("operators.raise", "admin")


STEPS = ("runbooks.claim", "runbooks.do", "runbooks.release", "runbooks.settle")


def example(name: str, home: Home) -> Record:
    """Those who are no admin change what is their own: contacts, roles, the steps that they claimed."""
    if name in MINE and home.actor.role == "operator":
        return EXAMPLES[name] | {"role": MINE[name]}
    if name == "operators.raise":
        return {"role": "admin" if home.actor.role == "operator" else "operator"}
    if name == "operators.give-back":
        return {"name": home.actor.name}
    if name == "approvals.withdraw" and home.actor.role in ROLES:
        return {"id": 3 + ROLES.index(home.actor.role)}
    if name in STEPS and home.actor.role == "operator":
        return EXAMPLES[name] | {"execution": 1}
    if not name.startswith("contacts.") or home.actor.role not in ROLES:
        return EXAMPLES[name]
    mine = {"person": home.actor.name} if name == "contacts.add" else {"id": 2 + ROLES.index(home.actor.role)}
    return EXAMPLES[name] | mine


async def permitted(home: Home, name: str) -> bool:
    """Whether the home lets the operation be run; what it does is rolled back. Any other refusal is a fault here."""
    operation = named(name)
    try:
        async with home.change(Intent(name, f"try {name}", "", "as the test says", dry_run=True)) as change:
            await operation.perform(change, operation.parse(example(name, home)))
            assert await change.rows(), f"{name} leaves no row in the trail"
    except NotPermitted:
        return False
    return True


@pytest.mark.parametrize("role", ROLES)
async def test_the_registry_refuses_before_the_home_does(estate: Database, role: Role) -> None:
    async with opened(estate.login(role)) as home:
        for name, operation in operations().items():
            call = Call("as the test says", dry_run=True)
            if not fits(name, role):
                continue
            if allows(role, operation.role):
                await execute(home, operation, operation.parse(example(name, home)), call)
                continue
            with pytest.raises(NotPermitted) as refused:
                await execute(home, operation, operation.parse(example(name, home)), call)
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
