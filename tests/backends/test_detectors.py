"""What each detector finds in a real home, by which threshold, and what it knows when its source is silent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.audit.chain import UNSIGNED
from controlplane.keys.model import StalePolicy
from controlplane.listing import Query
from controlplane.overview.model import TRIAL_DAYS
from tests.backends.alerts import alerts, dead, evaluate, home, key, psql
from tests.backends.psql import Psql, one
from tests.backends.traffic import roll_up, send

__all__ = ["home", "psql"]


def found(psql: Psql, detector: str) -> list[dict[str, Any]]:
    """Its open alerts after an evaluation."""
    evaluate(psql("worker"), detector)
    state = one(psql("owner"), "SELECT error, silent FROM wf.detectors WHERE name = %s", detector)
    assert state == (None, None), detector
    return alerts(psql("owner"), f"kind = '{detector}' AND resolved_at IS NULL")


# Every detector, on what it looks for


def test_stale_keys_are_counted_exactly_and_by_the_tenants_own_limit(psql: Psql) -> None:
    owner = psql("owner")
    for number, days in enumerate((10, 29.9, 31, 40, 100)):
        key(owner, number, "acme", days)
    key(owner, 10, "acme", 50, expires_at="now() - interval '1 day'")
    key(owner, 11, "acme", 50, disabled_at="now()")
    key(owner, 12, "acme", 50, revoked_at="now()", revoked_reason="'x'")
    key(owner, 13, "beta", 35)
    by_tenant = {each["tenant_id"]: each for each in found(psql, "key_rotation_sla_failed")}
    assert by_tenant["acme"]["details"]["stale_count_for_tenant"] == 3 and by_tenant["acme"]["severity"] == "error"
    assert by_tenant["acme"]["details"]["tenant_without_recent_rotation"] is True
    assert by_tenant["beta"]["details"]["stale_count_for_tenant"] == 1
    assert by_tenant["beta"]["details"]["tenant_without_recent_rotation"] is False, "the tenant itself is new"
    owner.execute("INSERT INTO wf.thresholds (detector, name, tenant_id, value) VALUES"
                  " ('key_rotation_sla_failed', 'max_age', 'beta', 60)")  # fmt: skip
    assert [each["tenant_id"] for each in found(psql, "key_rotation_sla_failed")] == ["acme"]
    owner.execute("UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + interval '1 day'"
                  " WHERE created_at < now() - interval '30 days' AND tenant_id = 'acme' AND revoked_at IS NULL"
                  " AND disabled_at IS NULL AND expires_at IS NULL")  # fmt: skip
    assert found(psql, "key_rotation_sla_failed") == []


async def test_the_counts_of_stale_keys_are_those_of_the_list(home: Home, psql: Psql) -> None:
    from controlplane.keys.model import KeyDirectory

    owner = psql("owner")
    for number in range(60):
        key(owner, number, "acme" if number % 3 else "beta", number)
    listing = home.of(KeyDirectory).stale(StalePolicy())
    counts = await listing.counts()
    assert (counts.keys, counts.stale, counts.warn, counts.tenants, counts.tenants_unrotated) == (60, 30, 9, 2, 1)
    rows = (await listing.page(Query((), "created"), limit=100)).rows
    assert sum(each.level == "stale" for each in rows) == counts.stale
    owner.execute(
        "UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + interval '1 day' WHERE display ~ '_4$'"
    )
    counts = await listing.counts()
    assert (counts.keys, counts.tenants_unrotated) == (59, 0)


QUOTA = """
INSERT INTO wf.quotas_near VALUES ('acme', 'exports', 85, 100, 0.85, now() + interval '1 day'),
  ('beta', 'exports', 100, 100, 1, now() + interval '1 day'), ('beta', 'old', 99, 100, 0.99, now() - interval '1 s');
INSERT INTO wf.quotas_looked (at) VALUES (now())
"""


def test_quotas_near_and_over(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute(QUOTA)
    [near] = found(psql, "quota_near")
    assert (near["tenant_id"], near["labels"], near["value"], near["threshold"]) == (
        "acme",
        {"metric": "exports"},
        0.85,
        0.8,
    )
    [over] = found(psql, "quota_over")
    assert (over["tenant_id"], over["severity"]) == ("beta", "error")
    owner.execute(
        "INSERT INTO wf.thresholds (detector, name, plan, value) VALUES ('quota_near', 'share', 'growth', 0.9)"
    )
    assert found(psql, "quota_near") == []
    owner.execute("UPDATE wf.quotas_near SET used = 95, share = 0.95 WHERE tenant_id = 'acme'")
    [near] = found(psql, "quota_near")
    assert (near["threshold"], near["details"]["threshold_from"]) == (0.9, "plan:growth")


def test_dead_jobs_and_the_oldest(psql: Psql) -> None:
    owner = psql("owner")
    dead(owner, "deliver", 2, tenant="acme")
    [error] = found(psql, "jobs_dead")
    assert (error["severity"], error["details"]["dead_letter_backlog"]) == ("error", 2)
    assert 55 <= error["details"]["oldest_seconds"] <= 120
    first = "(SELECT min(id) FROM wf.dead_letters)"
    owner.execute(f"UPDATE wf.dead_letters SET dead_at = now() - interval '25 hours' WHERE id = {first}".encode())
    [critical] = found(psql, "jobs_dead")
    assert critical["severity"] == "critical" and critical["id"] == error["id"]
    owner.execute(
        "INSERT INTO wf.thresholds (detector, name, tenant_id, value) VALUES ('jobs_dead', 'number', 'acme', 3)"
    )
    assert found(psql, "jobs_dead") == []


def test_a_worker_that_was_given_up_and_did_not_come_back(psql: Psql) -> None:
    owner = psql("owner")
    gone = (
        "INSERT INTO wf.workers (name, host, pid, version, kinds, lease_until, ended, ended_at, started_at, seen_at)"
        " VALUES ('box-1', %s, 1, '1', '{}', now(), 'gone', now(), now() - interval '1 hour', now())"
    )
    hostile = "box\x1b[31m\u202e"
    owner.execute(gone, [hostile])
    owner.execute(gone, ["box-2"])
    owner.execute(
        "INSERT INTO wf.workers (name, host, pid, version, kinds, lease_until)"
        " VALUES ('box-2b', 'box-2', 1, '1', '{}', now())"
    )
    [missing] = found(psql, "worker_missing")
    assert missing["labels"] == {"host": hostile}
    owner.execute("DELETE FROM wf.workers WHERE host = %s", [hostile])  # as after a week
    [unknown] = found(psql, "worker_missing")
    assert unknown["id"] == missing["id"] and unknown["standing"] == "unknown"
    assert "no longer on record" in unknown["unknown_why"]
    owner.execute(gone, [hostile])
    owner.execute("UPDATE wf.workers SET ended = 'stopped' WHERE host = %s", [hostile])
    assert found(psql, "worker_missing") == [], "one began there"


def test_telemetry_that_stays_away_is_the_alert(psql: Psql) -> None:
    owner = psql("owner")
    assert found(psql, "telemetry_absent") == [], "none was ever there"
    send(owner, "acme", "/orders", "5 hours", "3 hours", step="1 minute")
    [absent] = found(psql, "telemetry_absent")
    assert absent["severity"] == "critical" and absent["value"] == pytest.approx(181, abs=2)
    assert absent["tenant_id"] is None
    roll_up(owner)
    owner.execute("DELETE FROM wf.requests")
    [absent] = found(psql, "telemetry_absent")
    assert absent["value"] > 100, "that the raw rows are gone is no good news"
    send(owner, "acme", "/orders", "1 minute", "0")
    assert found(psql, "telemetry_absent") == []


def test_a_roll_up_that_lags(psql: Psql) -> None:
    owner = psql("owner")
    assert found(psql, "rollup_behind") == []
    send(owner, "acme", "/orders", "30 minutes", "20 minutes", step="1 minute")
    [never] = found(psql, "rollup_behind")
    assert never["summary"] == "requests were never rolled up"
    owner.execute("SELECT wf.roll_up_requests()")
    assert found(psql, "rollup_behind") == []
    owner.execute("UPDATE wf.request_marks SET minutes_until = now() - interval '11 minutes'")
    [behind] = found(psql, "rollup_behind")
    assert behind["value"] == pytest.approx(11, abs=0.5) and behind["previous_id"] == never["id"]


def test_telemetry_that_is_kept_too_long_or_has_no_partition(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute("SELECT wf.make_partition('requests', 'at', '20200101', '2020-01-01 00:00Z', '2020-01-02 00:00Z')")
    [behind] = found(psql, "retention_behind")
    assert behind["labels"] == {"data": "raw"} and behind["details"]["partitions"] == 1
    owner.execute("SELECT wf.drop_old_requests()")
    assert found(psql, "retention_behind") == []
    owner.execute(
        "INSERT INTO wf.requests (tenant_id, route, method, status, at) VALUES ('a', '/', 'GET', 200, '2001-01-01')"
    )
    [stray] = found(psql, "default_partition")
    assert (stray["labels"], stray["value"]) == ({"data": "raw"}, 1)


TRIAL = """
UPDATE wf.subscriptions SET state = 'trial', trial_plan = 'pro', trial_version = 1, trial_start = now(),
  trial_end = now() + interval '6 days', trial_return = 'expired' WHERE tenant_id = 'acme'
"""


def test_a_trial_that_ends_soon(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute(TRIAL)
    [ending] = found(psql, "trial_ending")
    assert (ending["tenant_id"], ending["severity"], ending["threshold"]) == ("acme", "info", TRIAL_DAYS)
    owner.execute("UPDATE wf.subscriptions SET state = 'active' WHERE tenant_id = 'acme'")
    assert found(psql, "trial_ending") == []


def test_a_trail_that_is_not_chained_or_signed(psql: Psql) -> None:
    owner = psql("owner")
    assert found(psql, "audit_unchained") == []
    owner.execute("ALTER TABLE wf.audit DISABLE TRIGGER append_only")
    owner.execute("UPDATE wf.audit SET at = at - interval '16 minutes'")
    [waits] = found(psql, "audit_unchained")
    assert waits["value"] == pytest.approx(16, abs=0.5)
    [unsigned] = found(psql, "audit_unverified")
    assert unsigned["threshold"] == UNSIGNED / timedelta(minutes=1)
    owner.execute("SELECT wf.chain_audit()")
    assert found(psql, "audit_unchained") == []
    owner.execute("SELECT wf.keep_checkpoint(seq, head, 'x') FROM wf.audit_chain ORDER BY seq DESC LIMIT 1")
    assert found(psql, "audit_unverified") == []
    owner.execute("INSERT INTO wf.job_schedules (name, every) VALUES ('chain_audit', '5 s')")
    owner.execute(
        "INSERT INTO wf.jobs (kind, schedule, error) VALUES ('chain_audit', 'chain_audit', 'row 3 is missing')"
    )
    [trouble] = found(psql, "audit_unverified")
    assert "row 3 is missing" in trouble["summary"]


def test_requests_stored_for_another_tenant_than_the_keys(psql: Psql) -> None:
    owner = psql("owner")
    key(owner, 1, "acme", 1)
    send(owner, "acme", "/orders", "1 minute", "0")
    owner.execute("UPDATE wf.requests SET key_id = 'key_' || lpad('1', 26, '0')")
    assert found(psql, "tenant_leak") == []
    owner.execute("INSERT INTO wf.requests (tenant_id, route, method, status, at, key_id)"
                  " VALUES ('beta', '/', 'GET', 200, now(), 'key_' || lpad('1', 26, '0'))")  # fmt: skip
    [leak] = found(psql, "tenant_leak")
    assert (leak["tenant_id"], leak["labels"], leak["severity"]) == ("acme", {"stored_for": "beta"}, "critical")
    owner.execute("DELETE FROM wf.requests WHERE tenant_id = 'beta'")
    [stays] = found(psql, "tenant_leak")
    assert stays["standing"] == "firing", "it stays until a person resolves it"
    psql("operator").execute("SELECT wf.resolve_alert(%s, 'the importer was wrong')", [leak["id"]])
    assert found(psql, "tenant_leak") == []


def leaked(owner: psycopg.Connection, at: str, number: int = 1) -> None:
    owner.execute(
        "INSERT INTO wf.requests (tenant_id, route, method, status, at, key_id)"
        f" VALUES ('beta', '/', 'GET', 200, now() - %s::interval, 'key_' || lpad('{number}', 26, '0'))".encode(), [at]
    )  # fmt: skip


def test_a_leak_is_found_however_long_no_worker_looked_and_however_old_its_requests_are(psql: Psql) -> None:
    owner = psql("owner")
    key(owner, 1, "acme", 1)
    leaked(owner, "3 hours")
    [leak] = found(psql, "tenant_leak")
    assert leak["value"] == 1
    leaked(owner, "9 days")
    leaked(owner, "0")
    assert found(psql, "tenant_leak")[0]["value"] == 2, "what was stored since then"
    psql("operator").execute("SELECT wf.resolve_alert(%s, 'the importer was wrong')", [leak["id"]])
    assert found(psql, "tenant_leak") == [], "what was seen fires no second alert"


def test_a_leak_is_not_lost_when_an_evaluation_fails_or_somebody_holds_its_alert(psql: Psql) -> None:
    owner, operator, worker = psql("owner"), psql("operator"), psql("worker")
    key(owner, 1, "acme", 1)
    leaked(owner, "0")
    worker.execute("SELECT wf.evaluate('tenant_leak', NULL, NULL, 'it took too long')")
    assert alerts(owner, "kind = 'tenant_leak'") == []
    [leak] = found(psql, "tenant_leak")
    leaked(owner, "0")
    with operator.transaction():
        operator.execute("SELECT wf.resolve_alert(%s, 'the importer was wrong')", [leak["id"]])
        evaluate(worker, "tenant_leak")
    assert [each["state"] for each in alerts(owner, "kind = 'tenant_leak'")] == ["resolved"]
    [again] = found(psql, "tenant_leak")
    assert again["value"] == 1 and again["previous_id"] == leak["id"]


DELIVERED = """
INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary, notice,
                           state, attempts, created_at, ended_at, test, replays)
SELECT 'msg_' || repeat('0', 40), r.id, md5(r.name || %(state)s || %(ago)s) || md5(''), n, 'trigger',
       'first_notification', 'error', 'jobs_dead', 'x', '{}', %(state)s, %(attempts)s, now() - %(ago)s::interval,
       CASE WHEN %(state)s IN ('delivered', 'failed') THEN now() END, %(test)s, 0
FROM wf.routes r, generate_series(1, %(number)s) n WHERE r.name = %(route)s
"""


def deliveries(owner: psycopg.Connection, route: str, state: str, number: int, ago: str = "1 hour", *,
               attempts: int = 1, test: bool = False) -> None:  # fmt: skip
    owner.execute(
        "INSERT INTO wf.routes (name, channel, target) SELECT %s, 'webhook', 'https://a.example'"
        " WHERE NOT EXISTS (SELECT FROM wf.routes WHERE name = %s)", [route, route]
    )  # fmt: skip
    owner.execute(DELIVERED, {"route": route, "state": state, "number": number, "ago": ago, "attempts": attempts,
                              "test": test})  # fmt: skip


def test_a_route_that_receives_less_than_before(psql: Psql) -> None:
    owner = psql("owner")
    deliveries(owner, "few", "failed", 19)
    deliveries(owner, "usual", "delivered", 90)
    deliveries(owner, "usual", "waiting", 4)
    deliveries(owner, "usual", "waiting", 100, ago="2 hours", attempts=0)
    deliveries(owner, "tests", "delivered", 90)
    deliveries(owner, "tests", "failed", 50, test=True)
    assert found(psql, "deliveries_failing") == [], (
        "19 are chance, 4 of 94 are usual, the rest was not tried or is a test"
    )
    deliveries(owner, "usual", "waiting", 2, ago="90 minutes")
    [failing] = found(psql, "deliveries_failing")
    assert (failing["labels"], failing["severity"], failing["threshold"]) == ({"route": "usual"}, "warning", 0.05)
    assert failing["value"] == pytest.approx(6 / 96) and failing["details"]["dead"] == 0
    deliveries(owner, "usual", "delivered", 90, ago="3 days")
    deliveries(owner, "usual", "failed", 10, ago="3 days")
    assert found(psql, "deliveries_failing") == [], "a tenth failed in the days before: now it takes twice as much"
    deliveries(owner, "usual", "held", 30)
    [dead] = found(psql, "deliveries_failing")
    assert (dead["severity"], dead["threshold"], dead["details"]["dead"]) == ("warning", 0.2, 30)
    deliveries(owner, "usual", "failed", 30)
    assert found(psql, "deliveries_failing")[0]["severity"] == "critical", "more than 1.5 times as much as allowed"
    owner.execute("UPDATE wf.routes SET enabled = false")
    assert found(psql, "deliveries_failing") == []


# A silent source


def test_no_quota_is_resolved_when_no_worker_looks_at_quotas(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    owner.execute(QUOTA)
    assert evaluate(worker, "quota_near") == {"fired": 1}
    owner.execute("UPDATE wf.quotas_looked SET at = now() - interval '21 minutes'")
    owner.execute("DELETE FROM wf.quotas_near")
    assert evaluate(worker, "quota_near") == {"unknown": 1}
    assert one(owner, "SELECT state FROM wf.detector_list WHERE name = 'quota_near'") == ("silent",)
    owner.execute("UPDATE wf.quotas_looked SET at = now()")
    assert evaluate(worker, "quota_near") == {"resolved": 1}
