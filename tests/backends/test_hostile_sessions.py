"""What a connection's zone, styles and encoding are changes nothing of what is stored and answered.

One script of everything that services, workers and people may call runs in a plain session and in hostile ones; then
each answer and each table must be the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.postgres import Database, Server

PLAIN = {"timezone": "UTC", "datestyle": "ISO,MDY", "intervalstyle": "postgres", "client_encoding": "utf8"}
# East and west of the day's change: in one of them it is always another day than in UTC. IST, which other styles write
# for India's time, is read as Israel's.
HOSTILE = {
    "east": {"timezone": "Pacific/Kiritimati", "datestyle": "SQL,DMY", "intervalstyle": "sql_standard"},
    "west": {"timezone": "Etc/GMT+12", "datestyle": "German", "intervalstyle": "iso_8601"},
    "india": {"timezone": "Asia/Kolkata", "datestyle": "SQL,DMY", "intervalstyle": "postgres_verbose"},
    "summer": {"timezone": "America/Havana", "datestyle": "Postgres,DMY", "intervalstyle": "postgres"},
}
ALWAYS = {"client_encoding": "latin1", "extra_float_digits": "-15", "bytea_output": "escape"}
KEY = "key_" + "0" * 26
# What is called by others of these, is asked elsewhere without a time in it, takes what only the worker's program makes
# (tests/backends/test_deliveries*.py), or ends logins.
NOT_HERE = """
wf.ask_address wf.ask_hash wf.certificate_text wf.first_at wf.hold_import wf.keep_checkpoint wf.kept_from
wf.key_of_hash wf.may wf.my_role wf.note_writing wf.objectives_cells wf.objectives_held
wf.objectives_measured
wf.period_end wf.period_start wf.put_operator wf.raw_cells wf.refuse_items wf.release_run wf.remove_operator
wf.revealed wf.sees_addresses wf.sees_personal wf.set_password wf.sign_cursor wf.stop_worker
wf.tenants_of_email wf.escalate_alert wf.lock_incident wf_data.sign_up
wf.hand_over_alert wf.lock_alert wf.lock_delivery wf.lock_letter wf.put_contact_secret wf.put_endpoint_secret
wf.replay_delivery wf.settle_deliveries wf.settle_delivery wf.settle_publication wf.store_routing wf.test_contact
wf.test_endpoint wf.ask_approval wf.change_facts wf.changed_since wf.extend_approval wf.give_back wf.put_approval_rule
wf.in_time wf.raise_over wf.raise_role wf.rule_of wf.use_approval wf.vote_approval wf.withdraw_approval
wf.begin_scheduled_run wf.keep_report wf.minute_cells wf.post_view wf.be_present wf.left_at
wf.note_abilities wf.note_verification wf.settle_sweep wf.settle_verification
wf.publication_turn wf.begin_run_act wf.end_run_act wf.end_lost_acts
"""

# Who does what; $at is a time of today that both runs share.
SCRIPT: tuple[tuple[str, str], ...] = (
    ("service", f"""SELECT wf_data.provision('sign-1', 'acme', 'Äcme', 'ana@acme.example', 'trial', 'eu', 'web',
                     '{KEY}', sha256('x'), 'wf_live_1', '{{read}}')"""),
    ("service", "SELECT * FROM wf_data.authenticate(sha256('x'), '192.0.2.1')"),
    ("service", "SELECT wf_data.profile('acme')"),
    ("service", "SELECT * FROM wf_data.admit('acme', 'api_calls', 3)"),
    ("service", "SELECT * FROM wf_data.admit('acme', 'recall', 1)"),
    ("service", "SELECT wf_data.record_usage('acme', 'api_calls', 7)"),
    ("service", "SELECT wf_data.record_usage('acme', 'api_calls', 7, '2026-01-02T03:04:05Z')"),
    ("service", f"""SELECT * FROM wf_data.record_requests('[
        {{"key_id": "{KEY}", "route": "/a", "status": 200, "latency_ms": 1.25}},
        {{"key_id": "{KEY}", "route": "/a", "status": 200, "at": "$atZ", "latency_ms": 33.3333333}},
        {{"key_id": "{KEY}", "route": "/b", "status": 500, "at": "$at"}},
        {{"key_id": "{KEY}", "route": "/b", "status": 404, "at": "02/01/2026 10:00"}}]', 'batch-1')"""),
    ("service", f"SELECT wf_data.touch_keys('{{{KEY}}}', '{{$atZ}}', '{{192.0.2.7}}')"),
    ("service", "SELECT * FROM wf_data.news(0)"),
    ("service", "SELECT wf_data.version()"),
    ("service", "SELECT * FROM wf_data.impersonation(1)"),
    ("operator", "SELECT wf.begin_change('tenants.create', 'why', 'req-1'); INSERT INTO wf.tenants (id, name, plan)"
                 " VALUES ('globex', 'Globex', 'starter'); SELECT wf.finish_change('{\"id\": \"globex\"}')"),
    ("operator", "INSERT INTO wf.webhooks (tenant_id, target) VALUES ('acme', 'https://x'), ('globex', 'https://x')"),
    ("operator", "UPDATE wf.webhooks SET enabled = false WHERE tenant_id = 'globex'"),
    ("operator", "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(),"
                 " suspension_reason = 'unpaid' WHERE id = 'globex'"),
    ("operator", "UPDATE wf.webhooks SET enabled = true WHERE tenant_id = 'globex'"),
    ("viewer", "SELECT wf.count_replayable(2, '2026-01-01Z', '2100-01-01Z', '{held}')"),
    ("operator", "SELECT wf.replay_webhook(2, '2026-01-01Z', '2100-01-01Z', '{held}')"),
    ("operator", f"UPDATE wf.api_keys SET expires_at = '$atZ'::timestamptz + interval '72 hours' WHERE id = '{KEY}'"),
    ("worker", "SELECT wf.note_expiring_keys()"),
    ("operator", "UPDATE wf.subscriptions SET billing_zone = 'Asia/Kolkata' WHERE tenant_id = 'acme'"),
    ("operator", "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)"
                 " VALUES ('acme', 'seats', '9', 'override', now() + interval '72 hours', 'launch')"),
    ("operator", "INSERT INTO wf.plan_changes (tenant_id, from_plan, from_version, from_cycle, plan, version, cycle,"
                 " direction, effective_on, period_start, period_end, currency, lines, summary, preview_hash)"
                 " VALUES ('acme', 'trial', 1, 'month', 'growth', 1, 'month', 'upgrade',"
                 " (now() AT TIME ZONE 'Asia/Kolkata')::date, '2026-11-01', '2026-12-01', 'EUR', '[]', '', '')"),
    ("operator", "INSERT INTO wf.objectives (name, kind, target, period, zone)"
                 " VALUES ('up', 'availability', 0.99, 'month', 'Asia/Kolkata')"),
    ("operator", "INSERT INTO wf.maintenance (starts_at, ends_at, reason)"
                 " VALUES (now() + interval '1 hour', now() + interval '2 hours', 'move')"),
    ("operator", "INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('tenants.suspend', 3.3, 0.2)"),
    ("operator", "SELECT wf.ensure_request_days('2026-01-30', '2026-02-02')"),
    ("operator", f"SELECT * FROM wf.key_calls('{KEY}', '2026-01-01Z')"),
    ("operator", f"SELECT wf.leak_calls('{KEY}')"),
    ("operator", "SELECT wf.currency_of('acme')"),
    ("operator", "SELECT wf.newest_request()"),
    ("support", "SELECT wf.begin_change('tenants.reveal', 'she asks', 'req-3');"
                " SELECT wf.grant_reveal('acme', 'owner_email')"),
    ("operator", "SELECT wf.begin_change('requests.import', 'why', 'req-2');"
                 " SELECT wf.note('requests', 'x', 'acme', '{}')"),
    ("support", "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)"
                " VALUES ('acme', 'helps', 'T-1', now() + interval '30 minutes')"),
    ("worker", "SELECT wf.start_worker('box', 'box', 1, '1', '{deliver}')"),
    ("worker", "SELECT wf.put_schedules('{a,b}', '{00:01:00,\"1 day\"}')"),
    ("worker", "SELECT wf.queue_job('deliver', 'acme', '{\"n\": 0.1}', '2099-01-02T03:04:05Z')"),
    ("operator", "SELECT wf.cancel_job(1)"),
    ("worker", "SELECT wf.queue_job('deliver', 'acme', '{}', '2026-01-02T03:04:05Z')"),
    ("worker", "SELECT wf.queue_job('deliver', 'acme')"),
    ("worker", "SELECT wf.queue_job('deliver', 'globex')"),
    ("worker", "SELECT id, kind, tenant_id, attempt, lease FROM wf.claim_jobs(1, 5, '{}', '{}')"),
    ("worker", "SELECT wf.beat(1)"),
    ("worker", "SELECT wf.finish_jobs(1, '{2}', ARRAY(SELECT lease FROM wf.jobs WHERE id = 2))"),
    ("worker", "SELECT wf.fail_job(1, 3, (SELECT lease FROM wf.jobs WHERE id = 3), 'no', true)"),
    ("worker", "SELECT wf.release_jobs(1, '{4}', ARRAY(SELECT lease FROM wf.jobs WHERE id = 4), 'no', '1 day')"),
    ("viewer", "SELECT id, state, handler, error, obstacle FROM wf.letter_list"),
    ("viewer", "SELECT attempts -> 0 -> 'error' FROM wf.letter_attempts"),
    ("operator", "SELECT payload_json, headers -> 'queued_at' IS NOT NULL FROM wf.letter_message"),
    ("viewer", "SELECT wf.letter_obstacle('jobs', '3', 'acme', NULL, 1)"),
    ("operator", "SELECT count(*) FROM wf.last_success(1)"),
    ("operator", "SELECT wf.begin_change('queues.edit', 'why', 'req-7');"
                 " SELECT wf.change_letter('edit', 1, '{\"patch\": {\"n\": 0.1}}') > 0"),
    ("operator", "SELECT wf.begin_change('queues.fixed', 'why', 'req-8');"
                 " SELECT wf.fix_cause(id, '2.0', '') > 0 FROM wf.cause_list"),
    ("operator", "SELECT wf.begin_change('queues.drill', 'why', 'req-9');"
                 " SELECT wf.make_drill('drill-0123456789ab')"),
    ("operator", "SELECT wf.begin_change('messages.replay', 'why', 'req-10');"
                 " SELECT wf.begin_source_act('orders', 'replay', '{1,ü}')"),
    ("operator", "SELECT wf.begin_change('messages.settle', 'why', 'req-11');"
                 " SELECT wf.end_source_act(1, 'done', '{\"1\": \"settled\"}', 'a')"),
    ("operator", "SELECT wf.begin_change('queues.export', 'why', 'req-export');"
                 " SELECT wf.note_letter_export('letters', 'age>2d', 'csv') > 0"),
    ("support", "SELECT wf.begin_change('commands.run', NULL, 'req-command');"
                " SELECT wf.note_command('logs', 'tenants', 'acme') > 0"),
    ("operator", "SELECT wf.inactive_tenants('{acme,globex}')"),
    ("worker", "SELECT wf.collect_letters(), wf.prune_letters(), wf.prune_source_acts()"),
    ("worker", "SELECT wf.evaluate('jobs_dead')"),
    ("operator", "SELECT wf.would_evaluate('jobs_dead') -> 'counts'"),
    ("operator", "SELECT wf.begin_change('alerts.ack', 'why', 'req-4');"
                 " SELECT wf.ack_alert(1, now() + interval '24 hours', 'looking') > 0"),
    ("operator", "SELECT wf.begin_change('alerts.unack', 'why', 'req-5'); SELECT wf.unack_alert(1) > 0"),
    ("operator", "SELECT wf.begin_change('alerts.resolve', 'why', 'req-6'); SELECT wf.resolve_alert(1, 'over') > 0"),
    ("operator", "SELECT wf.evaluate_soon('jobs_dead') IS NULL"),
    ("operator", "INSERT INTO wf.incidents (title, severity, began_at, tenants)"
                 " VALUES ('Down', 'SEV-1', '$atZ', '{acme}')"),
    ("admin", "SELECT true"),  # a login that it can be offered to
    ("operator", "SELECT wf.take_role(1, 'conn'); SELECT wf.take_role(1, 'scribe')"),
    ("operator", "SELECT wf.offer_role(1, 'conn', 't_admin', now() + interval '10 minutes', 'half is back')"),
    ("admin", "SELECT wf.accept_role(1, 'conn'); SELECT wf.return_role(1, 'conn', false)"),
    ("operator", "SELECT wf.begin_change('incidents.override', 'why', 'req-13');"
                 " SELECT wf.override_conn(1, now() + interval '10 minutes')"),
    ("support", "SELECT wf.note_incident(1, 'Ä note', '$atZ') > 0; SELECT wf.correct_incident(1, 1, 'no')"),
    ("operator", "SELECT wf.tell_customers(1, 'We are looking into it.') > 0"),
    ("operator", "UPDATE wf.incidents SET snoozed_until = now() + interval '2 hours', snoozed_why = 'quiet'"),
    ("service", "SELECT wf_data.deployed('shop 2.1', 'eu', '$atZ')"),
    ("worker", "SELECT wf.tend_incidents() > 0"),
    ("worker", "SELECT wf.queue_evaluations() > 0"),
    ("worker", "SELECT wf.begin_routing() IS NULL"),
    ("worker", "SELECT wf.queue_deliveries(), wf.prune_deliveries(), wf.prune_alerts()"),
    ("worker", "SELECT count(*) FROM wf.claim_deliveries(1, 5)"),
    ("viewer", "SELECT wf.is_late('2026-01-02T03:04:05Z', '1 minute')"),
    ("viewer", "SELECT source, value FROM wf.threshold_sources('jobs_dead.number', 'acme')"),
    ("worker", "SELECT wf.count_live_keys()"),
    ("service", "SELECT wf_data.beat('nobody')"),
    ("admin", "SELECT wf.own_columns('SELECT ''acme'' AS tenant_id, 1 AS value')"),
    ("admin", "SELECT wf.own_rows('SELECT ''acme'' AS tenant_id, 1 AS value')"),
    ("worker", "SELECT wf.own_detector_rows('own_names') IS NULL"),
    ("admin", """INSERT INTO wf.gates (name, definition) VALUES ('shop', '{"checks": [{"name": "a", "kind": "sql",
                 "sql": "SELECT id FROM wf.tenant_list", "owner": "ana", "required": true, "freshness": 3600,
                 "due": 3600, "limit": 30}], "name": "shop"}')"""),
    ("operator", "SELECT wf.begin_change('gates.run', 'why', 'req-12');"
                 " SELECT wf.begin_gate_run('shop', 'staging', 'full', NULL, NULL) > 0"),
    ("operator", "SELECT wf.gate_rows('shop', 1, 'a', 'staging', true) -> 'rows'"),
    ("operator", """SELECT wf.record_gate_check(max(id), 'a', 'pass', '', 0.1, '', '', '', '{"n": 0.1}',
                    '2026-01-02T03:04:05Z', 0.1) FROM wf.gate_runs"""),
    ("operator", "SELECT wf.decide_gate_run(max(id)) FROM wf.gate_runs"),
    ("operator", "INSERT INTO wf.gate_waivers (gate, check_name, environment, reason, ends_at)"
                 " VALUES ('shop', 'a', 'staging', 'new disks', now() + interval '1 hour')"),
    ("operator", "INSERT INTO wf.gate_schedules (gate, environment, every) VALUES ('shop', 'staging', '60 minutes')"),
    ("worker", "SELECT wf.queue_gate_runs(), wf.prune_gate_runs()"),
    ("operator", "SELECT wf.begin_change('reports.make', 'why', 'req-14'); SELECT wf.ask_report('2.4', '$atZ')"),
    ("worker", "SELECT wf.queue_weekly_report() > 0"),
    ("worker", "SELECT wf.report_figures(min(id)) -> 'rotations' FROM wf.reports"),
    ("viewer", "SELECT count(*) FROM wf.key_ages('30 days', '7 days', '30 days')"),
    ("worker", "SELECT count(*) FROM"
               " wf.usage_candidates('2026-01-02Z', '2026-01-03Z', '2025-12-26', '2026-01-02', 2, 0.1, 0.1, 10)"),
    ("operator", "SELECT wf.replay_job(3)"),
    ("worker", "SELECT wf.tick_jobs()"),
    ("worker", "SELECT wf.make_request_partitions()"),
    ("worker", "SELECT cells > 0, minutes_left FROM wf.roll_up_requests(5000, 500)"),
    ("worker", "SELECT wf.roll_up_hours('2026-01-01T22:00Z', '2026-01-02T12:00Z') > 0"),
    ("worker", "SELECT wf.roll_up_usage()"),
    ("worker", "SELECT wf.keep_objectives() > 0"),
    ("worker", "SELECT wf.keep_key_days()"),
    ("operator", """INSERT INTO wf.silences (matchers, ends_at, comment, ends) VALUES
                     ('[{"label": "n", "op": "=", "value": "a"}]', now() + interval '24 hours', 'x', 'unmatched')"""),
    ("operator", """INSERT INTO wf.schedules (name, rotations)
                     VALUES ('ops', '[{"people": ["ana"], "starts": "2026-01-05 09:00"}]')"""),
    ("operator", """INSERT INTO wf.schedule_overrides (schedule, person, starts_at, ends_at)
                     VALUES ('ops', 'zoe', now() + interval '1 hour', now() + interval '2208 hours')"""),
    ("worker", "SELECT wf.expire_silences(array_agg(id)) FROM wf.silences"),
    ("worker", "SELECT wf.look_at_quotas(0.001)"),
    ("worker", "SELECT * FROM wf.expire_trials()"),
    ("worker", "SELECT wf.apply_due_changes()"),
    ("worker", "SELECT wf.refresh_activity()"),
    ("worker", "SELECT wf.refresh_job_weights()"),
    ("worker", "SELECT wf.end_overlong_sessions()"),
    ("worker", "SELECT wf.prune_jobs(), wf.prune_key_news(), wf.prune_request_batches(), wf.prune_sign_up_attempts()"),
    ("worker", "SELECT data, part, lower, upper FROM wf.telemetry_partitions()"),
    ("worker", "SELECT data, part, lower, upper, waits FROM wf.drop_old_requests(true)"),
    ("viewer", "SELECT * FROM wf.stray_requests()"),
    ("viewer", "SELECT * FROM wf.late_rotations()"),
    ("viewer", "SELECT metric, resets_at, recorded FROM wf.usage_of('acme', now())"),
    ("viewer", "SELECT name, value, starts_at, expires_at FROM wf.entitlement_sources('acme', now())"),
    ("admin", "UPDATE wf.tenants SET status = 'pending_deletion', deleted_at = now(), deleted_from = status,"
              " purge_after = now() + interval '24 hours' WHERE id = 'globex'"),
    ("owner", "ALTER TABLE wf.tenants DISABLE TRIGGER guard"),
    ("owner", "UPDATE wf.tenants SET deleted_at = now() - interval '48 hours', purge_after = now() - interval '1 hour'"
              " WHERE id = 'globex'"),
    ("owner", "ALTER TABLE wf.tenants ENABLE TRIGGER guard"),
    ("admin", "SELECT wf.purge_tenant('globex') IS NOT NULL"),
    ("worker", "SELECT wf.end_raises()"),
    ("admin", "INSERT INTO wf.runs (operation, fields, reason, per_second, breaker_share)"
              " VALUES ('keys.rotate', '{\"grace\": \"3d 1.5h\"}', 'a run', 1, 1); INSERT INTO wf.run_items"
              f" (run_id, ordinal, thing, subject) SELECT max(id), 1, '{KEY}', '{{}}' FROM wf.runs;"
              f" SELECT wf.prepare_keys(max(id), '{{1}}', '{{{KEY[:-1]}1}}', '{{wf_live_2}}', ARRAY[sha256('y')])"
              " FROM wf.run_list"),
    ("admin", "SELECT wf.hold_run(max(id), 'a') FROM wf.run_list"),
    ("admin", "SELECT wf.carry_item(max(id), 1) FROM wf.run_list"),
    ("admin", "INSERT INTO wf.runs (operation, fields, reason, per_second, breaker_share)"
              " VALUES ('tenants.delete', '{\"retention_days\": 3}', 'a run', 1, 1); INSERT INTO wf.run_items"
              " (run_id, ordinal, thing, subject) SELECT max(id), 1, 'acme', '{}' FROM wf.runs"),
    ("worker", "SELECT wf.hold_run(max(id), 'w') FROM wf.run_list"),
    ("worker", "SELECT wf.carry_item(max(id), 1) FROM wf.run_list"),
    ("worker", "SELECT wf.end_carrying(max(id), 'done', NULL) FROM wf.run_list"),
    ("admin", "INSERT INTO wf.runs (operation, reason, per_second, breaker_share)"
              " VALUES ('queues.hold', 'a run', 1, 1); INSERT INTO wf.run_items (run_id, ordinal, thing, subject)"
              " SELECT (SELECT max(id) FROM wf.runs), row_number() OVER (ORDER BY id), id, '{}' FROM wf.letter_list"),
    ("worker", "SELECT wf.hold_run(max(id), 'x') FROM wf.run_list"),
    ("worker", "SELECT c.* FROM (SELECT max(id) AS run FROM wf.run_list) r, wf.carry_items(r.run, 50, 50) c"),
    ("operator", "INSERT INTO wf.evidence (sha256, bytes, name, kind, environment, at)"
                 " VALUES (repeat('ab', 32), 1, 'a', 'junit', 'production', '2026-01-02T03:04:05Z')"),
    ("operator", "SELECT wf.publish_evidence(1, 's3://bucket')"),
    ("operator", "SELECT wf.change_publication('cancel', 1)"),
    ("operator", "SELECT wf.limit_target('s3://bucket', 1, 500, 365)"),
    ("operator", "SELECT wf.sweep_target('s3://bucket', 24, false)"),
    ("owner", "UPDATE wf.publications SET published_at = now(), attestation = '{}'"),
    ("operator", "SELECT wf.verify_publication(1)"),
    ("operator", "UPDATE wf.evidence SET withdrawn_at = now()"),
    ("operator", """SELECT wf.begin_execution('tell', 'Tell', 'x', '[{"name": "a", "kind": "person"}]', 41, true)
                    > 0"""),
    ("operator", "UPDATE wf.execution_steps SET claimed_at = '2026-01-02T03:04:05Z'"),
    ("operator", "UPDATE wf.execution_steps SET begun_at = '2026-01-02T03:04:05Z'"),
    ("operator", "UPDATE wf.execution_steps SET verdict = 'passed', output = '{\"n\": 0.1}'"),
    ("viewer", "SELECT state, settled FROM wf.execution_list"),
    ("service", "SELECT actor, operation, noun, thing FROM wf_data.audit_feed('acme')"),
    ("worker", "SELECT wf.chain_audit() > 0"),
    ("worker", "SELECT wf.checkpoint_turn()"),
    ("worker", "SELECT wf.note_triggers()"),
)  # fmt: skip
# What differs from run to run: random or running numbers, durations, and what is hashed of a time.
VARYING = {"xid", "took_ms", "written", "head", "hash", "outer_key", "inner_key", "origin", "oldest_seconds"}
VARYING |= {"checksum", "fingerprint", "sha256"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)")


def run(database: Database, settings: dict[str, str], at: datetime) -> list[Any]:
    """Every answer, or the refusal that came instead; then every table."""
    answers: list[Any] = []
    options = " ".join(f"-c {name}={value.replace(' ', '')}" for name, value in settings.items())
    held: dict[str, psycopg.Connection] = {}
    for role, text in SCRIPT:
        if role not in held:
            conninfo = database.owner if role == "owner" else database.login(role)
            held[role] = psycopg.connect(conninfo, options=options, autocommit=True)
        try:
            with held[role].transaction():
                for statement in text.replace("$at", f"{at:%Y-%m-%dT%H:%M:%S}").split("; "):
                    if statement.startswith("SELECT"):
                        statement = f"SELECT to_jsonb(a) FROM ({statement}) a"
                    asked = held[role].execute(statement.encode(held[role].info.encoding))
                answers.append((text, asked.fetchall() if asked.description else asked.rowcount))
        except psycopg.Error as error:
            answers.append((text, type(error).__name__, error.diag.constraint_name))
    for connection in held.values():
        connection.close()
    return answers + list(tables(database))


def tables(database: Database) -> Iterator[Any]:
    with psycopg.connect(database.owner, row_factory=dict_row) as connection:
        connection.execute("SET timezone = 'UTC'")
        names = connection.execute(
            "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'wf'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"
        ).fetchall()
        for name in (row["name"] for row in names):
            rows = connection.execute(f"SELECT to_jsonb(t) AS row FROM {name} t".encode()).fetchall()
            yield name, sorted((varied(row["row"]) for row in rows), key=_without_times)
        parts = connection.execute(
            "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class"
            " WHERE relnamespace = 'wf'::regnamespace AND relispartition AND relkind = 'r' ORDER BY 1"
        ).fetchall()
        yield "partitions", parts


def varied(value: Any) -> Any:
    """Without what differs anyway; `before` of a mark is a transaction."""
    if not isinstance(value, dict):
        return value
    gone = VARYING | ({"before"} if isinstance(value.get("before"), int | str) else set())
    return {name: varied(each) for name, each in value.items() if name not in gone}


def _without_times(row: Any) -> str:
    return INSTANT.sub("", json.dumps(row, sort_keys=True))


def differences(one: Any, other: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """But for the seconds between the two runs. A column is in its reader's zone; what JSON holds is in UTC."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from differences(one[name], other[name], f"{path} {name}", depth + 1)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{path} {one[0] if place and isinstance(one[0], str) else place}", depth)
    elif isinstance(one, str) and isinstance(other, str) and INSTANT.fullmatch(one) and INSTANT.fullmatch(other):
        apart = datetime.fromisoformat(one) - datetime.fromisoformat(other)
        zones = {INSTANT.fullmatch(each)[2] for each in (one, other)}  # type: ignore[index]
        if abs(apart) > timedelta(minutes=10) or (depth > 1 and len(zones) > 1):
            yield f"{path}: {one} and {other}"
    elif one != other:
        yield f"{path}: {one} and {other}"


@pytest.fixture(scope="module")
def plain(postgres_server: Server, template_database: str) -> tuple[datetime, list[Any]]:
    """What was answered and stored, and the time that the script names."""
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner) as connection:
        [at] = connection.execute("SELECT date_trunc('minute', now(), 'UTC') AT TIME ZONE 'UTC'").fetchone() or ()
    at -= timedelta(minutes=20)
    try:
        return at, run(database, PLAIN, at)
    finally:
        postgres_server.drop(database)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_connections_settings_change_nothing(
    database: Database, plain: tuple[datetime, list[Any]], name: str
) -> None:
    at, expected = plain
    found = run(database, ALWAYS | HOSTILE[name], at)
    assert "\n".join(differences(expected, found)) == ""


def test_the_script_goes_through(plain: tuple[datetime, list[Any]]) -> None:
    """What is refused is refused for a reason of its own, not by a fault of the script."""
    refused = [answer for answer in plain[1] if len(answer) == 3]
    assert refused == [], "\n".join(map(str, refused))


def test_every_function_that_somebody_may_call_is_in_the_script(database: Database) -> None:
    script = " ".join(text for _, text in SCRIPT)
    with psycopg.connect(database.owner) as connection:
        rows = connection.execute(
            "SELECT DISTINCT pronamespace::regnamespace::text, proname FROM pg_proc, aclexplode(proacl) a"
            " WHERE pronamespace::regnamespace::text IN ('wf', 'wf_data') AND provolatile <> 'i'"
            " AND a.grantee <> proowner"
        ).fetchall()
    found = {f"{schema}.{name}" for schema, name in rows}
    missing = {name for name in found - set(NOT_HERE.split()) if f"{name}(" not in script}
    assert not missing and set(NOT_HERE.split()) <= found


def test_what_pins_its_search_path_pins_what_else_a_session_has(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        rows = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace::regnamespace::text IN ('wf', 'wf_data')"
            " AND provolatile <> 'i' AND array_to_string(proconfig, '|') LIKE '%search_path=%'"
            " AND array_to_string(proconfig, '|') NOT LIKE ALL (ARRAY['%TimeZone=UTC%', '%DateStyle=ISO, MDY%'])"
        ).fetchall()
    assert rows == []
