"""What services are told of plans: who is let in, what is used, and exactly once of each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.subscriptions.model import SubscriptionDirectory
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import opened
from tests.backends.subscriptions import TENANTS, admitted, give
from tests.postgres import Database


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute(TENANTS)
        yield connect


@pytest.fixture
async def admin(database: Database, psql: Psql) -> Any:
    async with opened(database.login("admin")) as home:
        yield home


def test_a_service_may_call_the_contract_and_nothing_else(psql: Psql) -> None:
    service = psql("service")
    denied(
        service,
        "SELECT * FROM wf.plans",
        "SELECT * FROM wf.usage",
        "UPDATE wf.usage SET amount = 1",
        "DELETE FROM wf.usage",
        "INSERT INTO wf.usage (tenant_id, metric, amount, xid) VALUES ('acme', 'x', 1, '1')",
        "UPDATE wf.quota_counters SET used = 0",
        "SELECT wf.roll_up_usage()",
    )
    for role in ("viewer", "admin", "worker"):
        denied(psql(role), "SELECT * FROM wf_data.admit('acme', 'api_calls', 1)", "SELECT wf_data.profile('acme')")
    bare = psql("owner").execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'wf_data'::regnamespace AND prosecdef"
        " AND NOT coalesce('search_path=wf, pg_temp' = ANY (proconfig), false)"
    )
    assert bare.fetchall() == []


def test_who_is_not_let_in_is_told_why(psql: Psql) -> None:
    give(psql, "support", "hard")
    for tenant, metric, reason in (
        ("nobody", "api_calls", "unknown_tenant"),
        ("odd", "api_calls", "limit_unknown"),
        ("acme", "nothing", "limit_unknown"),
        ("acme", "seats", "limit_unknown"),
        ("acme", "support", "limit_unknown"),
    ):
        assert admitted(psql, tenant, metric)[:2] == (False, reason)
    assert admitted(psql, "acme", amount=0)[1] == "amount_invalid"
    psql("owner").execute(
        "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = 'acme'"
    )
    assert admitted(psql, "acme")[1] == "tenant_suspended"
    assert one(psql("service"), "SELECT wf_data.profile('nobody')") == (None,)
    (profile,) = one(psql("service"), "SELECT wf_data.profile('acme')")
    assert (profile["status"], profile["plan"], profile["state"]) == ("suspended", "starter", "active")
    assert profile["entitlements"]["seats"] == {"value": 5, "source": "plan", "expires_at": None}


def test_a_quota_is_let_in_to_its_last_unit_and_starts_anew(psql: Psql) -> None:
    give(psql, "api_calls", {"soft": 3, "hard": 5, "period": "day"})
    answers = [admitted(psql, "acme", amount=2) for _ in range(3)]
    assert [a[:2] + a[3:5] for a in answers] == [
        (True, "admitted", 5, 3),
        (True, "soft_exceeded", 5, 1),
        (False, "quota_exceeded", 5, 1),
    ]
    assert answers[2][6] > 0 and answers[2][5] > datetime.now(UTC)
    assert admitted(psql, "acme")[:2] == (True, "soft_exceeded")
    assert admitted(psql, "acme", amount=6)[6] is None, "more than the limit never fits"
    psql("owner").execute("UPDATE wf.quota_counters SET period_start = period_start - interval '1 day'")
    assert admitted(psql, "acme")[4] == 4


def test_a_burst_is_the_most_of_one_minute_and_unlimited_has_no_end(psql: Psql) -> None:
    give(psql, "api_calls", {"hard": -1, "burst": 2, "period": "month"})
    psql("owner").execute(  # a minute that lasts as long as the test
        "INSERT INTO wf.quota_counters VALUES ('acme', 'api_calls', 'month', '2000-01-01', 0, '2199-01-01', 1)"
    )
    assert admitted(psql, "acme")[:5] == (True, "admitted", None, -1, None)
    assert admitted(psql, "acme")[:2] == (False, "rate_exceeded")


def test_a_rate_refills_and_says_when_to_come_again(psql: Psql) -> None:
    give(psql, "recall", {"rps": 0.001, "burst": 2})
    assert [admitted(psql, "acme", "recall")[:2] for _ in range(3)] == [(True, "admitted")] * 2 + [
        (False, "rate_exceeded")
    ]
    answer = admitted(psql, "acme", "recall")
    assert (answer[4], answer[6]) == (0, pytest.approx(1_000_000, rel=0.01))
    assert admitted(psql, "acme", "recall", 3)[6] is None
    psql("owner").execute("UPDATE wf.rate_buckets SET at = at - interval '1000 s'")
    assert admitted(psql, "acme", "recall")[0] is True


@pytest.mark.parametrize("value", [{"soft": 90, "hard": 100, "period": "month"}, {"rps": 0.000001, "burst": 100}])
def test_sixteen_at_once_never_get_more_than_the_limit(psql: Psql, database: Database, value: dict) -> None:
    give(psql, "api_calls", value)
    conninfo = database.login("service")
    reasons: list[str] = []
    start = threading.Barrier(16)

    def client() -> None:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            start.wait()
            for _ in range(10):
                row = one(connection, "SELECT reason, admitted FROM wf_data.admit('acme', 'api_calls', 1)")
                reasons.append(row[0] if row[1] else "refused")

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    let_in = {reason: reasons.count(reason) for reason in set(reasons)}
    soft = {"admitted": 90, "soft_exceeded": 10} if "hard" in value else {"admitted": 100}
    assert let_in == soft | {"refused": 60}


def test_usage_is_rolled_up_exactly_once_whoever_commits_late(psql: Psql, database: Database) -> None:
    service, worker = psql("service"), psql("worker")
    hours = "SELECT metric, amount::int, n FROM wf.usage_hours ORDER BY 1"
    with psycopg.connect(database.login("service")) as late:
        late.execute("SELECT wf_data.record_usage('acme', 'early', 5, '2026-01-01T10:20Z')")  # not committed yet
        with service.cursor().copy("COPY wf.usage (tenant_id, metric, amount, at) FROM STDIN") as copy:
            for _ in range(10):
                copy.write_row(("acme", "copied", 2, "2026-01-01T10:59:59Z"))
        # Nothing behind the one that still runs is folded in, and nothing is lost.
        worker.execute("SELECT wf.roll_up_usage()")
        late.commit()
    worker.execute("SELECT wf.roll_up_usage()")
    expected = [("copied", 20, 10), ("early", 5, 1)]
    assert worker.execute(hours).fetchall() == expected
    assert one(worker, "SELECT wf.roll_up_usage()") == (0,)
    assert worker.execute(hours).fetchall() == expected
    service.execute("SELECT wf_data.record_usage('acme', 'copied', 1, '2026-01-01T10:00Z')")  # late, into an old hour
    assert one(worker, "SELECT wf.roll_up_usage()") == (1,)
    assert worker.execute(hours).fetchall() == [("copied", 21, 11), ("early", 5, 1)]
    psql("owner").execute("UPDATE wf.usage_rolled_up SET before = '9999999999'")
    refused(psql("owner"), "usage_restored", "SELECT wf.roll_up_usage()")


async def test_what_was_never_counted_is_unknown_and_what_was_is_told_before_it_is_rolled_up(
    admin: Home, psql: Psql
) -> None:
    [usage] = (await admin.of(SubscriptionDirectory).standing("acme")).usage
    assert (usage.used, usage.left, usage.admitted, usage.recorded) == (None, None, None, None)
    admitted(psql, "acme", amount=7)
    for rolled in (False, True):
        psql("service").execute("SELECT wf_data.record_usage('acme', 'api_calls', 5)")
        if rolled:
            psql("worker").execute("SELECT wf.roll_up_usage()")
        [usage] = (await admin.of(SubscriptionDirectory).standing("acme")).usage
        assert (usage.admitted, usage.recorded) == (7, 10 if rolled else 5)
    assert (usage.used, usage.left) == (10, 99_990)


def test_a_key_lives_no_longer_than_its_plan_lets_it(psql: Psql) -> None:
    make = (
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, expires_at)"
        " VALUES ('key_' || repeat('{}', 26), '{}', 'live', 'k', decode(repeat('0{}', 32), 'hex'), {})"
    )
    operator = psql("operator")
    operator.execute(make.format(0, "acme", 0, "NULL"))
    give(psql, "key_lifetime_days", 30)
    refused(operator, "key_lifetime", make.format(1, "acme", 1, "NULL"))
    refused(operator, "key_lifetime", make.format(1, "acme", 1, "now() + interval '31 days'"))
    operator.execute(make.format(1, "acme", 1, "now() + interval '30 days'"))
    refused(operator, "key_lifetime", "UPDATE wf.api_keys SET expires_at = NULL WHERE id LIKE 'key_1%'")
    operator.execute("UPDATE wf.api_keys SET label = 'old ones stay' WHERE id LIKE 'key_0%'")
    operator.execute(make.format(2, "odd", 2, "NULL"))  # an unknown plan is no limit


def test_an_erasure_takes_all_of_it(psql: Psql) -> None:
    owner = psql("owner")
    give(psql, "api_calls", {"hard": 5, "period": "day"})
    give(psql, "recall", {"rps": 1, "burst": 5})
    admitted(psql, "acme"), admitted(psql, "acme", "recall")
    psql("service").execute("SELECT wf_data.record_usage('acme', 'api_calls', 5)")
    psql("worker").execute("SELECT wf.roll_up_usage()")
    owner.execute(
        "UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),"
        " purge_after = now() + interval '2 days' WHERE id = 'acme'"
    )
    refused(owner, "subscription_tenant_gone", "UPDATE wf.subscriptions SET cycle = 'year' WHERE tenant_id = 'acme'")
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.tenants SET purge_after = now() - interval '1 s' WHERE id = 'acme'")
    owner.execute("ALTER TABLE wf.tenants ENABLE TRIGGER guard")
    with owner.transaction():
        owner.execute("SELECT wf.begin_change('tenants.purge', 'asked for', 'purge-1')")
        (counts,) = one(owner, "SELECT (wf.purge_tenant('acme')).counts")
    tables = ("subscriptions", "entitlement_grants", "usage", "usage_hours", "quota_counters", "rate_buckets")
    assert {name: counts[f"wf.{name}"] for name in tables} == dict.fromkeys(tables, 1) | {"entitlement_grants": 2}
    assert admitted(psql, "acme")[1] == "unknown_tenant"
