"""What scripts hold on to: exit codes, one document on stdout, what is in it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from backends.postgres.home import Patience
from controlplane.queues.causes import fingerprint
from controlplane.registry import operations
from tests.app.commands import Cli, program
from tests.backends.executions import EXECUTIONS
from tests.backends.notices import KEY, PAGING
from tests.backends.outside import OUTSIDE
from tests.backends.outside import url_of as sources_url
from tests.sqs import prop
from tests.sqs import settings as sqs_settings
from tests.terminal.link import CutLink

LIST = {"items", "next", "total", "as_of"}
CHANGE = {"result", "changes", "audit_ids", "undo", "dry_run", "request_id", "repeated"}
ERROR = {"code", "message", "hint", "request_id", "why"}

# What each generated command is tried with, on the tenants that `estate` makes.
TRIED = {
    "operators.add": ["ana", "--role", "support"],
    "alerts.ack": ["1", "--comment", "looking"],
    "alerts.escalate": ["1"],
    "alerts.hand-over": ["2", "--to", "on_duty"],
    "alerts.resolve": ["1"],
    "alerts.unack": ["2"],
    "approvals.approve": ["1"],
    "approvals.extend": ["1", "--minutes", "30"],
    "approvals.refuse": ["1"],
    "approvals.rule": ["queues.edit", "--roles", "operator", "--above", "5"],
    "approvals.withdraw": ["2"],
    "contacts.add": ["on_duty", "--channel", "mail", "--address-from", "env:AN_ADDRESS"],
    "contacts.edit": ["1", "--address-from", "env:AN_ADDRESS"],
    "contacts.remove": ["1"],
    "contacts.test": ["1"],
    "contexts.write": ["acme-prod", "--minutes", "5"],
    "detectors.apply": ["DETECTORS"],
    "gates.answer": ["--gate", "shop", "--environment", "staging", "--check", "m", "--answer", "pass"],
    "gates.apply": ["GATES"],
    "gates.retire": ["shop"],
    "gates.run": ["shop", "--environment", "staging"],
    "gates.schedule": ["shop", "staging", "--every", "1h"],
    "gates.unschedule": ["shop", "production"],
    "reports.make": ["--release", "2.4.0"],
    "evidence.add": ["FILE", "--kind", "junit", "--about", "2.4.0"],
    "evidence.cancel": ["1"],
    "evidence.publish": ["1", "--target", "gs://bucket/prod"],
    "evidence.limit": ["s3://bucket", "--priority", "1"],
    "evidence.republish": ["2"],
    "evidence.sweep": ["s3://bucket", "--remove"],
    "evidence.verify-remote": ["2"],
    "evidence.withdraw": ["1"],
    "heartbeats.create": ["nightly", "--every", "1d", "--grace", "1h"],
    "heartbeats.edit": ["billing", "--every", "10m"],
    "heartbeats.restore": ["old"],
    "heartbeats.retire": ["billing"],
    "detectors.evaluate": ["jobs_dead"],
    "incidents.accept": ["INC-1", "--role", "scribe"],
    "incidents.affect": ["1", "--kind", "tenant", "--name", "acme"],
    "incidents.close-out": ["2"],
    "incidents.correct": ["1", "--event", "1", "--text", "It was another."],
    "incidents.edit": ["1", "--summary", "half is back"],
    "incidents.mitigate": ["1"],
    "incidents.note": ["1", "--text", "It is the disks.", "--at", "5m ago"],
    "incidents.offer": ["1", "--role", "commander", "--to", "on_duty", "--summary", "half is back"],
    "incidents.open": ["--title", "Down", "--severity", "SEV-2", "--tenants", "acme", "--origin", "tenants/acme"],
    "incidents.override": ["1", "--for", "5m"],
    "incidents.relieve": ["1"],
    "incidents.reopen": ["2"],
    "incidents.resolve": ["1"],
    "incidents.return": ["1", "--role", "commander"],
    "incidents.severity": ["1", "--severity", "SEV-2"],
    "incidents.snooze": ["1", "--until", "1h"],
    "incidents.take": ["1", "--role", "deputy"],
    "incidents.interval": ["SEV-1", "--minutes", "30"],
    "incidents.tell-customers": ["1", "--text", "We are looking into it."],
    "incidents.unaffect": ["1", "--kind", "region", "--name", "moon"],
    "jobs.cancel": ["1"],
    "jobs.replay": ["2"],
    "keys.create": ["acme", "--label", "ci", "--scopes", "read", "--expires-in", "90d"],
    "keys.disable": ["KEY"],
    "keys.edit": ["KEY", "--owner-email", "ana@acme.example", "--spend-cap", "none", "--expires", "never"],
    "keys.enable": ["DISABLED"],
    "keys.grace": ["ROTATING", "--grace", "1h"],
    "keys.leak": ["KEY"],
    "keys.register": ["acme", "--display", "old_abc", "--sha256", "ab" * 32],
    "keys.revoke": ["KEY"],
    "keys.rotate": ["KEY", "--grace", "7d"],
    "messages.discard": ["orders/2"],
    "messages.replay": ["orders/1"],
    "objectives.create": ["api", "--target", "99.9%", "--tenant-id", "acme", "--route", "/orders"],
    "objectives.edit": ["1", "--target", "0.9995", "--period", "month"],
    "objectives.end-maintenance": ["1"],
    "objectives.maintenance": ["--starts", "2h", "--lasts", "30m"],
    "objectives.restore": ["2"],
    "objectives.retire": ["1"],
    "operators.give-back": [],
    "operators.raise": ["admin"],
    "operators.password": ["gone_soon"],
    "operators.remove": ["gone_soon"],
    "plans.apply": ["PLANS"],
    "deliveries.replay": ["1"],
    "routes.create": ["ops", "--channel", "slack", "--address-from", "env:A_HOOK", "--matchers", 'tenant="acme"'],
    "routes.disable": ["1"],
    "routes.edit": ["1", "--group-by", "kind", "--repeat", "never"],
    "routes.enable": ["2"],
    "routes.restore": ["3"],
    "routes.retire": ["1"],
    "routes.rotate-secret": ["1", "--keeps", "2h"],
    "routes.test": ["1"],
    "webhooks.create": ["acme", "--address-from", "env:A_HOOK", "--events", "plan.changed", "--label", "billing"],
    "webhooks.delete": ["4"],
    "webhooks.disable": ["4"],
    "webhooks.edit": ["4", "--events", "plan.changed", "--events", "key.expiring"],
    "webhooks.enable": ["5"],
    "webhooks.replay": ["4", "--since", "2h ago", "--what", "all"],
    "webhooks.rotate-secret": ["4", "--keeps", "2h"],
    "webhooks.test": ["4"],
    "schedules.create": ["new", "--people", "ana", "--people", "ben", "--starts", "2026-01-05 09:00"],
    "schedules.edit": ["primary", "--rotations", "ROTATIONS"],
    "schedules.end-override": ["1"],
    "schedules.override": ["primary", "--person", "zoe", "--for", "8h"],
    "schedules.restore": ["old"],
    "schedules.retire": ["primary"],
    "silences.create": ["--matchers", 'tenant="acme"', "--for", "1h", "--comment", "new disks"],
    "silences.edit": ["1", "--matchers", 'tenant=~"acme|beta"'],
    "silences.end": ["1"],
    "subscriptions.apply-due": [],
    "subscriptions.change": ["held", "--plan", "growth"],
    "subscriptions.convert-trial": ["acme", "--plan", "growth"],
    "subscriptions.end-grant": ["held", "1"],
    "subscriptions.expire-trials": [],
    "subscriptions.extend-trial": ["acme", "--days", "7"],
    "subscriptions.grant": ["held", "--name", "sso", "--value", "true", "--until", "24h"],
    "subscriptions.raise": ["held", "--name", "seats", "--to", "60", "--until", "7d"],
    "subscriptions.start-trial": ["held", "--plan", "pro"],
    "subscriptions.state": ["held", "--state", "suspended"],
    "subscriptions.zone": ["held", "--zone", "Europe/Berlin"],
    "thresholds.clear": ["jobs_dead.number", "all"],
    "thresholds.set": ["jobs_dead.critical", "plan:growth", "--value", "50"],
    "queues.discard": ["1"],
    "queues.edit": ["1", "--patch", "to=7"],
    "queues.fixed": ["CAUSE", "--release", "2.1"],
    "queues.hold": ["1"],
    "queues.quarantine": ["1"],
    "queues.release": ["2"],
    "queues.replay": ["1"],
    "queues.unhold": ["2"],
    "projects.archive": ["acme", "web"],
    "projects.create": ["acme", "new"],
    "projects.rename": ["acme", "web", "--name", "The web"],
    "projects.restore": ["acme", "old"],
    "runbooks.claim": ["2", "1"],
    "runbooks.do": ["2", "2"],
    "runbooks.release": ["2", "2"],
    "runbooks.resume": ["3"],
    "runbooks.run": ["worker-down"],
    "runbooks.settle": ["2", "4", "--verdict", "passed"],
    "runbooks.stop": ["2"],
    "runs.pause": ["RUN"],
    "runs.release": ["HELD"],
    "runs.rate": ["RUN", "--per-second", "5"],
    "runs.resume": ["PAUSED"],
    "runs.stop": ["RUN"],
    "runs.undo": ["DONE"],
    "telemetry.drop-old": [],
    "sources.cancel": ["busy"],
    "sources.redrive": ["idle", "--per-second", "5"],
    "telemetry.retention": ["raw", "--days", "30"],
    "tenants.apply": ["FILE"],
    "tenants.approve-writing": ["1"],
    "tenants.create": ["fresh", "--name", "Fresh", "--metadata", "a=1", "--allowed-regions", "default"],
    "tenants.delete": ["acme", "--retention-days", "3"],
    "tenants.end-impersonation": ["1"],
    "tenants.edit": ["acme", "--owner-email", "ana@acme.example"],
    "tenants.impersonate": ["acme", "--ticket", "T-2"],
    "tenants.provision": ["new", "--scopes", "read"],
    "tenants.protect": ["acme"],
    "tenants.purge": ["due"],
    "tenants.rename": ["acme", "--name", "Acme & Co"],
    "tenants.restore": ["due"],
    "tenants.resume": ["held"],
    "tenants.reveal": ["acme"],
    "tenants.suspend": ["acme"],
    "tenants.unprotect": ["default"],
    "waivers.approve": ["1"],
    "waivers.create": ["--gate", "shop", "--environment", "staging", "--check", "m", "--until", "1h"],
    "waivers.end": ["1"],
}


def name_sources(cli: Cli, folder: Path) -> None:
    """A profile of the home, with the source `orders` in it."""
    url = sources_url(cli.database.login("admin"))
    (folder / "sources.toml").write_text(
        f'[orders]\nurl = "{url}"\npassword = "env:PGPASSWORD"\ntable = "public.outside"\ndead = "t.dead"\n'
        'columns = {id = "id"}\nrequeue = "UPDATE $table SET dead = false WHERE id = ANY ($ids)"\n'
        'discard = "DELETE FROM $table WHERE id = ANY ($ids)"\n'
        + "".join(sqs_settings(name, queue) for name, queue in zip(("idle", "busy"), prop(), strict=True))
    )
    cli.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for tests only")
    settings = folder / "settings.toml"
    settings.write_text(
        f'[profiles.here]\nurl = "{os.environ["WATCHFLOOR_HOME"]}"\npassword = "env:PGPASSWORD"\n'
        'environment = "testing"\nsources = "sources.toml"\n'
    )
    cli.monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    cli.monkeypatch.setenv("WATCHFLOOR_HOME", "here")


@pytest.fixture
def estate(cli: Cli, tmp_path: Path) -> dict[str, str]:
    """Something for every operation to be done to; what stands for ids in TRIED."""
    cli.sql(
        """
        INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Acme', 'owner@acme.example');
        INSERT INTO wf.tenants (id, name, plan) VALUES ('held', 'Held', 'starter'), ('due', 'Due', 'trial');
        INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web'), ('acme', 'old', 'Old');
        ALTER TABLE wf.tenants DISABLE TRIGGER guard;
        UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = 'held';
        UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now() - interval '9 d',
          purge_after = now() - interval '1 d' WHERE id = 'due';
        ALTER TABLE wf.tenants ENABLE TRIGGER guard;
        ALTER TABLE wf.subscriptions DISABLE TRIGGER guard;
        UPDATE wf.subscriptions SET trial_start = now() - interval '9 d', trial_end = now() - interval '1 d'
          WHERE tenant_id = 'acme';
        ALTER TABLE wf.subscriptions ENABLE TRIGGER guard;
        INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)
          VALUES ('held', 'seats', '50', 'override', now() + interval '1 day', 'a fair');
        INSERT INTO wf.plan_changes (tenant_id, from_plan, from_version, from_cycle, plan, version, cycle, direction,
          effective_on, period_start, period_end, currency, lines, summary, preview_hash)
          VALUES ('held', 'starter', 1, 'month', 'growth', 1, 'month', 'upgrade', current_date, current_date,
          current_date + 30, 'EUR', '[]', 'as was said', 'x');
        UPDATE wf.projects SET status = 'archived', archived_at = now() WHERE id = 'old';
        INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, spend_cap)
          SELECT 'key_' || lpad(n::text, 26, '0'), 'acme', 'live', 'wf_live_' || n, sha256(n::text::bytea), 5
          FROM generate_series(1, 3) n;
        UPDATE wf.api_keys SET disabled_at = now() WHERE display = 'wf_live_2';
        UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + interval '1 d' WHERE display = 'wf_live_3';
        INSERT INTO wf.jobs (kind, tenant_id, state, ended_at)
          VALUES ('deliver', 'acme', 'waiting', NULL), ('deliver', 'acme', 'dead', now());
        INSERT INTO wf.objectives (name, target) VALUES ('api', 0.999), ('old', 0.99);
        UPDATE wf.objectives SET retired_at = now() WHERE name = 'old';
        INSERT INTO wf.maintenance (starts_at, ends_at, reason) VALUES (now(), now() + interval '1 hour', 'new disks');
        INSERT INTO wf.alerts (kind, severity, summary) VALUES ('jobs_dead', 'error', 'x');
        INSERT INTO wf.alerts (kind, severity, summary, state, holder, acked_at, ack_until, ack_comment)
          VALUES ('tenant_leak', 'error', 'x', 'acked', 'ana', now(), now() + interval '1 hour', 'looking');
        INSERT INTO wf.thresholds (detector, name, value) VALUES ('jobs_dead', 'number', 5);
        INSERT INTO wf.incidents (title, severity, regions) VALUES ('Down', 'SEV-1', '{moon}'), ('Over', 'SEV-1', '{}');
        UPDATE wf.incidents SET status = 'resolved' WHERE id = 2;
        INSERT INTO wf.incident_roles (incident_id, role, holder, offered_to, offered_until, offered_summary) VALUES
          (1, 'commander', 't_admin', NULL, NULL, NULL), (1, 'conn', 'ben', NULL, NULL, NULL),
          (1, 'scribe', 'ben', 't_admin', now() + interval '1 hour', 'x');
        INSERT INTO wf.routes (name, channel, target) VALUES ('a', 'webhook', 'https://a.example');
        INSERT INTO wf.routes (name, channel, target, enabled) VALUES ('b', 'slack', 'https://b.example', false);
        INSERT INTO wf.routes (name, channel, target) VALUES ('c', 'slack', 'https://c.example');
        UPDATE wf.routes SET retired_at = now() WHERE name = 'c';
        INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary,
          notice, state, ended_at) VALUES ('msg_' || repeat('a', 40), 1, repeat('a', 64), 1, 'trigger',
          'first_notification', 'error', 'x', 'y', '{}', 'failed', now());
        INSERT INTO wf.heartbeats (name, every) VALUES ('billing', 300), ('old', 300);
        UPDATE wf.heartbeats SET retired_at = now() WHERE name = 'old';
        INSERT INTO wf.webhooks (tenant_id, target) VALUES ('acme', 'https://a.example');
        INSERT INTO wf.webhooks (tenant_id, target) VALUES ('acme', 'https://b.example');
        UPDATE wf.webhooks SET enabled = false WHERE id = 5;
        INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data)
          VALUES ('evt_' || repeat('a', 40), 'acme', 'key.created', 'x', '{}');
        UPDATE wf.deliveries SET state = 'held' WHERE webhook_id = 4;
        INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)
          VALUES ('acme', 'x', 'T-1', now() + interval '1 hour');
        INSERT INTO wf.silences (matchers, ends_at, comment)
          VALUES ('[{"label": "tenant", "op": "=", "value": "acme"}]', now() + interval '1 hour', 'new disks');
        INSERT INTO wf.gates (name, definition) VALUES ('shop',
          '{"checks":[{"due":3600,"freshness":3600,"kind":"manual","limit":30,"name":"m","owner":"ana",'
          '"question":"Is it?","required":true}],"name":"shop","owner":"ana"}');
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
        INSERT INTO wf.approvals (operation, thing, fingerprint, reason, facts, sha256, trail_at, roles, asked_by,
            expires_at)
          SELECT 'tenants.purge', 'due', repeat('a', 64), 'x', '[{"noun": "plans", "thing": "x", "verb": "new"}]',
            repeat('a', 64), 0, '{support}', person, now() + interval '1 hour'
          FROM unnest(ARRAY['ana', 't_admin']) person;
        INSERT INTO wf.raises (login, was, role, minutes, reason, ends_at)
          VALUES ('t_admin', 'operator', 'admin', 30, 'x', now() + interval '30 minutes');
        SELECT wf.publish_evidence(1, 's3://bucket'), wf.publish_evidence(1, 's3://canceled');
        SELECT wf.change_publication('cancel', 2);
        UPDATE wf.publications SET published_at = now(), attestation = '{"objects": []}' WHERE id = 2;
        SET CONSTRAINTS ALL IMMEDIATE;
        INSERT INTO wf.jobs (kind, tenant_id, state, ended_at) VALUES ('deliver', 'acme', 'dead', now());
        UPDATE wf.dead_letters SET state = 'quarantined', hold = true WHERE id = 2;
        """
        + EXECUTIONS
        + PAGING
        + OUTSIDE
    )
    name_sources(cli, tmp_path)
    cli.monkeypatch.setenv("WATCHFLOOR_ENCRYPTION_KEY", KEY)
    cli.monkeypatch.setenv("A_HOOK", "https://hooks.slack.com/services/T0/B0/x")
    cli.done("operators", "add", "gone_soon", "--role", "viewer", "--yes")
    cli.done("operators", "add", "on_duty", "--role", "operator", "--yes")
    cli.monkeypatch.setenv("AN_ADDRESS", "ana@acme.example")
    cli.sql("INSERT INTO wf.contacts (person, channel, target) VALUES ('gone_soon', 'mail', 'a…@acme.example')")
    cli.sql("INSERT INTO wf.routes (name, channel, target) VALUES ('d', 'mail', 'a…@acme.example')")
    # A run whose breaker paused it, and one that nobody drives.
    paused = cli("tenants", "suspend", "held", "acme", "--reason", "x", "--yes", "--json").document["result"]["id"]
    other = cli("tenants", "suspend", "held", "due", "--reason", "x", "--yes", "--json").document["result"]["id"]
    cli.sql("UPDATE wf.runs SET state = 'running' WHERE id = %s", other)
    done = cli("tenants", "rename", "acme", "held", "--name", "x", "--yes", "--json").document["result"]["id"]
    file = tmp_path / "tenants.yaml"
    file.write_text("- {id: one, plan: growth}\n- {id: acme, name: ACME}\n")
    keys = {name: f"key_{n:026}" for n, name in enumerate(("KEY", "DISABLED", "ROTATING"), 1)}
    plans = tmp_path / "plans.yaml"
    plans.write_text(
        "- {code: basic, name: Basic, currency: EUR, month_price: 900, year_price: 9000, billing: arrears,\n"
        "   entitlements: {seats: 2, api_calls: {soft: 80, hard: 100, period: day}}}\n"
    )
    rotations = tmp_path / "rotations.yaml"
    rotations.write_text("rotations:\n- {people: [cho], starts: 2026-01-05 09:00:00, shift: 1d, zone: Asia/Seoul}\n")
    detectors = tmp_path / "detectors.yaml"
    detectors.write_text(
        "- {name: own_names, means: Long names, above: 9,\n"
        "   sql: 'SELECT id AS tenant_id, length(name) AS value FROM wf.tenant_list'}\n"
    )
    gates = tmp_path / "gates.yaml"
    gates.write_text("- {name: other, owner: ana, checks: [{name: a, kind: keys}]}\n")
    # One that waits for a second person.
    held = cli("tenants", "rename", "acme", "held", "--name", "y", "--yes", "--json").document["result"]["id"]
    cli.sql("ALTER TABLE wf.runs DISABLE TRIGGER guard")
    cli.sql("UPDATE wf.runs SET state = 'paused', held = true WHERE id = %s", held)
    cli.sql("ALTER TABLE wf.runs ENABLE TRIGGER guard")
    keys |= {"HELD": str(held)}
    keys |= {"ROTATIONS": str(rotations), "DETECTORS": str(detectors), "GATES": str(gates)}
    keys |= {"CAUSE": fingerprint("jobs", "deliver", "gave_up", "")[:16]}
    return keys | {"PLANS": str(plans), "RUN": str(other), "PAUSED": str(paused), "DONE": str(done), "FILE": str(file)}


def test_every_operation_has_a_command_whose_dry_run_keeps_the_contract(cli: Cli, estate: dict[str, str]) -> None:
    assert set(TRIED) == set(operations())
    before = cli.sql("SELECT max(seq) FROM wf.audit")
    for name, operation in operations().items():
        if name == "operators.raise":
            continue  # an admin has no higher role
        words = [estate.get(word, word) for word in TRIED[name]]
        answer = cli(operation.noun, operation.verb, *words, "--dry-run", "--json", "--reason", "to see")
        document = answer.document
        assert answer.code == 0, (name, answer)
        assert (
            set(document) == CHANGE | ({"secret"} if operation.makes_secret else set()) and document["dry_run"] is True
        ), name
        assert document.get("secret") is None
        assert document["audit_ids"] == [] and document["undo"] is None and document["repeated"] is False
        assert document["changes"], name
        for change in document["changes"]:
            assert {"noun", "thing", "before", "after"} <= set(change)
            assert change["audit_id"] is None
        assert document["request_id"].startswith("wf-")
    assert cli.sql("SELECT max(seq) FROM wf.audit") == before
    assert cli.sql("SELECT count(*) FROM wf.tenants WHERE status = 'active'") == [(2,)]


def test_every_list_has_the_same_four_keys(cli: Cli) -> None:
    lists = ("tenants list", "tenants impersonations", "projects list", "keys list", "keys rotations", "audit list")
    lists = (*lists, "operators list", "runs list", "contexts list", "jobs list", "workers list", "objectives list")
    lists = (*lists, "silences list", "schedules list", "webhooks list", "events list", "contacts list")
    lists = (*lists, "messages list", "sources list", "gates list", "gates decisions", "waivers list")
    lists = (*lists, "evidence list", "evidence coverage", "evidence publications", "evidence targets")
    for words in lists:
        document = cli.done(*words.split())
        assert set(document) == LIST, words
        assert datetime.fromisoformat(document["as_of"]).utcoffset().total_seconds() == 0  # type: ignore[union-attr]
        assert document["total"] == len(document["items"]), words
    assert [o["name"] for o in cli.done("operations")["items"]] == list(operations())
    assert cli.done("operations")["items"][0]["request"]["type"] == "object"


ON_A_FRESH_HOME = (
    *("tenants list", "projects list", "keys list", "keys rotations", "keys stale", "audit list", "plans list"),
    *("objectives list", "tenants impersonations", "operators list", "runs list", "jobs list", "workers list"),
    *("silences list", "schedules list", "webhooks list", "events list", "contacts list"),
    *("gates list", "gates decisions", "waivers list"),
    *("evidence list", "evidence coverage", "evidence publications", "evidence targets"),
    *("telemetry series", "telemetry series --by tenant", "telemetry export", "telemetry export --by region"),
    *("telemetry top", "telemetry top route", "telemetry top key", "telemetry status", "telemetry verify"),
    *(
        "telemetry saturation default",
        "telemetry anomalies default",
        "subscriptions usage default",
        "subscriptions effective default",
    ),
    *("overview", "find nothing", "home status", "objectives budget default", "subscriptions show default"),
)


@pytest.mark.parametrize("words", ON_A_FRESH_HOME)
def test_a_home_without_anything_is_no_fault(cli: Cli, words: str) -> None:
    for more in ((), ("--json",)):
        answer = cli(*words.split(), *more)
        assert answer.code == 0 and "refused" not in answer.err, answer


def test_a_change_tells_before_after_its_audit_rows_and_the_way_back(cli: Cli) -> None:
    made = cli.done("tenants", "create", "acme", "--name", "Acme GmbH", "--metadata", "tier=1")
    [change] = made["changes"]
    assert change["before"] is None and change["after"]["metadata"] == {"tier": 1}
    held = cli.done("tenants", "suspend", "acme", "--reason", "unpaid", "--yes")
    [change] = held["changes"]
    assert (change["before"]["status"], change["after"]["status"]) == ("active", "suspended")
    assert change["changed"]["suspension_reason"] == [None, "unpaid"]
    [audit_id] = held["audit_ids"]
    assert held["undo"]["command"] == f"watchfloor undo {audit_id}"
    assert cli.done("audit", "show", str(audit_id))["item"]["reason"] == "unpaid"
    cli.done("undo", str(audit_id), "--yes")
    assert cli.done("tenants", "show", "acme")["item"]["status"] == "active"
    trail = cli.done("audit", "list", "thing:acme")["items"]
    assert [row["operation"] for row in trail] == ["tenants.resume", "tenants.suspend", "tenants.create"]


def test_unknown_is_null(cli: Cli) -> None:
    [tenant] = cli.done("tenants", "list")["items"]
    assert tenant["p95_ms"] is None and tenant["per_minute"] is None and tenant["suspended_at"] is None


REFUSED = [
    (1, "already_suspended", "admin", ["tenants", "suspend", "held", "--reason", "x", "--yes"]),
    (1, "confirmation_needed", "admin", ["tenants", "protect", "acme"]),
    (1, "tenant_protected", "admin", ["tenants", "delete", "default", "--reason", "x", "--yes"]),
    (2, "usage", "admin", ["tenants", "suspned", "acme"]),
    (2, "usage", "admin", ["tenants", "list", "--limit", "many"]),
    (2, "usage", "admin", ["tenants", "list", "--nope"]),
    (2, "usage", "admin", ["tenants", "rename", "acme"]),
    (2, "verb_missing", "admin", ["tenants"]),
    (2, "request_invalid", "admin", ["tenants", "create", "no good"]),
    (2, "request_invalid", "admin", ["tenants", "delete", "acme", "--retention-days", "0", "--yes"]),
    (2, "metadata_unreadable", "admin", ["tenants", "create", "new", "--metadata", "nothing"]),
    (2, "reason_needed", "admin", ["tenants", "suspend", "acme", "--yes"]),
    (2, "filter_unreadable", "admin", ["tenants", "list", "nosuch:field"]),
    (2, "sort_unknown", "admin", ["tenants", "list", "--sort", "colour"]),
    (2, "limit_out_of_range", "admin", ["tenants", "list", "--limit", "0"]),
    (2, "cursor_unreadable", "admin", ["tenants", "list", "--after", "???"]),
    (2, "home_invalid", "admin", ["tenants", "list", "--home", "nosuch"]),
    (2, "file_unreadable", "admin", ["tenants", "apply", "/nosuch"]),
    (3, "role_too_low", "viewer", ["tenants", "create", "new"]),
    (4, "no_tenant", "admin", ["tenants", "resume", "nosuch", "--yes"]),
    (4, "no_tenant", "viewer", ["tenants", "show", "nosuch"]),
    (4, "no_audit_row", "viewer", ["audit", "show", "99999"]),
    (5, "tenant_exists", "admin", ["tenants", "create", "acme"]),
    (5, "stale_version", "admin", ["tenants", "rename", "acme", "--name", "B", "--version", "7", "--yes"]),
]


def test_refusals_have_their_exit_code_and_leave_stdout_to_the_answer(cli: Cli, estate: dict[str, str]) -> None:
    last = cli.sql("SELECT max(seq) FROM wf.audit")
    for code, name, role, words in REFUSED:
        cli.log_in(role)
        said = cli(*words)
        assert (said.code, said.out) == (code, ""), (words, said)
        assert f"[{name}]" in said.err, (words, said)
        asked = cli(*words, "--json")
        assert asked.code == code
        assert set(asked.document) == {"error"} and set(asked.document["error"]) == ERROR
        assert asked.document["error"]["code"] == name, (words, asked)
        assert asked.document["error"]["request_id"].startswith("wf-")
    assert cli.sql("SELECT max(seq) FROM wf.audit") == last


def test_a_home_that_cannot_be_reached_is_6(cli: Cli) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        home = f"postgresql://somebody@127.0.0.1:{taken.getsockname()[1]}/nothing"
        for words in (["tenants", "list"], ["tenants", "create", "x"]):
            answer = cli(*words, "--home", home, "--json")
            assert (answer.code, answer.document["error"]["code"]) == (6, "home_unreachable")


def test_a_wrong_password_is_6_and_says_where_to_look(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    answer = cli("tenants", "list")
    assert answer.code == 6 and "secrets doctor" in answer.err and "wrong." in answer.err


SLOW_COMMIT = """
CREATE FUNCTION wf.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON wf.tenants DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION wf.slow();
"""
COMMITTING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND wait_event = 'PgSleep'"
)


@contextlib.contextmanager
def cut_in_the_commit(cli: Cli) -> Iterator[CutLink]:
    """The admin's link, which is cut while the home commits a new tenant (and takes its time for it)."""
    cli.sql(SLOW_COMMIT)
    parts = psycopg.conninfo.conninfo_to_dict(cli.database.owner)
    ended = threading.Event()
    with CutLink(f"{parts['host']}/.s.PGSQL.{parts['port']}") as link:

        def watch() -> None:
            with psycopg.connect(cli.database.owner, autocommit=True) as connection:
                while not (committing := connection.execute(COMMITTING).fetchone()) and not ended.is_set():
                    pass
            if committing:
                link.cut()

        cutter = threading.Thread(target=watch)
        cutter.start()
        try:
            cli.log_in("admin", host="127.0.0.1", port=link.port)
            yield link
        finally:
            ended.set()
            cutter.join()
            cli.log_in("admin")


def test_a_link_that_dies_in_the_commit_is_7_and_repeating_is_safe(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.postgres.home.PATIENCE", Patience(look_up=0.2))
    with cut_in_the_commit(cli):
        answer = cli("tenants", "create", "acme", "--request-id", "once", "--json")
    assert (answer.code, answer.document["error"]["code"]) == (7, "outcome_unknown")
    assert answer.document["error"]["request_id"] == "once" and "once" in answer.document["error"]["hint"]
    again = cli.done("tenants", "create", "acme", "--request-id", "once")
    assert again["repeated"] is True and again["result"]["id"] == "acme"


def test_a_link_that_comes_back_before_the_commit_ends_tells_what_became_of_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cut_in_the_commit(cli) as link:
        cut = link.cut
        monkeypatch.setattr(link, "cut", lambda: (cut(), link.restore()))
        answer = cli("tenants", "create", "acme", "--json")
    assert answer.code == 0 and answer.document["repeated"] is True
    assert answer.document["result"]["id"] == "acme"


def test_a_request_id_makes_a_repeat_harmless(cli: Cli) -> None:
    cli.done("tenants", "create", "acme")
    words = ["tenants", "suspend", "acme", "--reason", "x", "--request-id", "r-1"]
    first = cli.done(*words, "--yes")
    again = cli.done(*words)  # asks nothing: it was done
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert again["audit_ids"] == first["audit_ids"] and again["changes"] == first["changes"]
    other = cli("tenants", "protect", "acme", "--request-id", "r-1", "--yes", "--json")
    assert (other.code, other.document["error"]["code"]) == (5, "request_id_reused")


def test_nothing_asks_without_a_terminal(cli: Cli) -> None:
    cli.done("tenants", "create", "acme")
    answer = program("tenants", "protect", "acme")
    assert (answer.code, answer.out) == (1, "")
    assert "protected: no → yes" in answer.err and "[confirmation_needed]" in answer.err
    assert cli.done("tenants", "show", "acme")["item"]["protected"] is False
    assert program("tenants", "protect", "acme", "--dry-run").code == 0
    assert program("tenants", "protect", "acme", "--yes").code == 0


def test_a_terminal_is_asked_with_no_as_the_answer_of_enter(cli: Cli) -> None:
    cli.done("tenants", "create", "acme")
    no = program("tenants", "protect", "acme", typed=[("[y/N]", "\n")])
    assert (no.code, no.out) == (1, "") and "Do it? [y/N]" in no.err and "[not_confirmed]" in no.err
    yes = program("tenants", "protect", "acme", "--json", typed=[("[y/N]", "y\n")])
    assert yes.code == 0 and yes.document["result"]["protected"] is True
    assert "protected: no → yes" in yes.err
    wrong = program("tenants", "unprotect", "acme", typed=[("Type acme", "y\n")])
    assert wrong.code == 1 and "Type acme to do it:" in wrong.err
    assert program("tenants", "unprotect", "acme", typed=[("Type acme", "acme\n")]).code == 0


def test_what_was_seen_is_what_is_changed(cli: Cli) -> None:
    """Somebody else changes the tenant between the preview and the yes."""
    cli.done("tenants", "create", "acme")

    def dialogue() -> Iterator[tuple[str, str]]:
        yield "[y/N]", ""
        cli.done("tenants", "rename", "acme", "--name", "Another", "--yes")
        yield "", "y\n"

    answer = program("tenants", "protect", "acme", typed=dialogue())
    assert answer.code == 5 and "[stale_version]" in answer.err


def test_nothing_unforeseen_reaches_the_screen(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def fail(*_: object) -> None:
        raise RuntimeError("a fault\x1b[2J of ours")

    monkeypatch.setattr("app.cli.lists.position_of", fail)
    answer = cli("tenants", "list", "--after", "x", "--json")
    fault = answer.document["error"]
    assert (answer.code, fault["code"], answer.err) == (1, "unexpected", "")
    said = cli("tenants", "list", "--after", "x")
    assert said.out == "" and len(said.err.splitlines()) == 1 and "Traceback" not in said.err
    [log] = tmp_path.rglob("watchfloor.log")
    text = log.read_text()
    assert fault["request_id"] in text and "Traceback" in text
    assert log.stat().st_mode & 0o777 == 0o600
