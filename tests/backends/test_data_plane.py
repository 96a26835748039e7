"""What the home answers the product's services: who is calling, what a cache must forget, which keys are in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.backends.keys import make_keys, make_tenants
from tests.postgres import Database

Psql = Callable[[str], psycopg.Connection]
ASK = "SELECT * FROM wf_data.authenticate(sha256(%s::bytea), %s)"
PENDING = (
    "UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = status, deleted_at = now(),"
    " purge_after = now() + interval '2 days' WHERE id = 'acme'"
)
SUSPENDED = (
    "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = 'acme'"
)
ARCHIVED = "UPDATE wf.projects SET status = 'archived', archived_at = now() WHERE id = 'web'"
KEY = "UPDATE wf.api_keys SET {} WHERE id LIKE '%1'"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    """psql(role): a connection of that login, another one each time; "owner" has all rights. There is one key, "1"."""
    held: list[psycopg.Connection] = []
    make_tenants(database.owner, "acme", "zed")
    make_keys(database.owner, 1)

    def connect(role: str) -> psycopg.Connection:
        conninfo = database.owner if role == "owner" else database.login(role)
        held.append(psycopg.connect(conninfo, autocommit=True))
        return held[-1]

    yield connect
    for connection in held:
        connection.close()


def one(connection: psycopg.Connection, statement: str, *values: object) -> tuple[Any, ...]:
    row = connection.execute(statement, values or None).fetchone()
    assert row is not None
    return row


def refusal(connection: psycopg.Connection, secret: str = "1", address: str | None = None) -> str | None:
    refused = one(connection, ASK, secret, address)[7]
    assert refused is None or isinstance(refused, str)
    return refused


def news(connection: psycopg.Connection, after: int | None) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM wf_data.news(%s)", [after]).fetchall()


def erase(owner: psycopg.Connection) -> None:
    owner.execute(PENDING)
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.tenants SET purge_after = now() - interval '1 s' WHERE id = 'acme'")
    owner.execute("ALTER TABLE wf.tenants ENABLE TRIGGER guard")
    with owner.transaction():
        owner.execute("SELECT wf.begin_change('tenants.purge', 'asked for', 'purge-1')")
        owner.execute("SELECT wf.purge_tenant('acme')")


# Who is calling


def test_a_good_key_says_whose_it_is_and_what_it_may(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute("INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web')")
    owner.execute(
        "INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, scopes, expires_at)"
        " VALUES ('key_' || repeat('2', 26), 'acme', 'web', 'test', 'k', sha256('two'), '{read,write}', '2100-01-01Z')"
    )
    found = one(service, ASK, "two", None)
    assert found[:5] == ("acme", "web", "key_" + "2" * 26, "test", ["read", "write"])
    assert found[5].year == 2100 and found[6:] == (0, None)
    assert one(service, ASK, "1", None)[4:] == ([], None, 0, None), "no scope is given that was not named"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (KEY.format("revoked_at = now(), revoked_reason = 'leaked'"), "key_revoked"),
        (KEY.format("disabled_at = now()"), "key_disabled"),
        (KEY.format("expires_at = now()"), "key_expired"),
        (KEY.format("rotated_at = now(), grace_until = now()"), "key_expired"),
        (SUSPENDED, "tenant_suspended"),
        (PENDING, "tenant_deleted"),
        (f"{SUSPENDED}; {PENDING}", "tenant_deleted"),
        (ARCHIVED, "project_archived"),
        (KEY.format("addresses = '{192.0.2.0/24}'"), "address_not_allowed"),
        (f"{SUSPENDED}; {KEY.format('disabled_at = now()')}", "key_disabled"),
        (
            KEY.format("disabled_at = now(), expires_at = now(), revoked_at = now(), revoked_reason = 'x'"),
            "key_revoked",
        ),
    ],
)
def test_everything_that_ends_a_key_refuses_it_at_once_and_is_told(psql: Psql, change: str, code: str) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute("INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web')")
    owner.execute("ALTER TABLE wf.api_keys DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.api_keys SET project_id = 'web'")
    owner.execute("ALTER TABLE wf.api_keys ENABLE TRIGGER guard")
    assert refusal(service) is None
    owner.execute(change.encode())
    found = one(service, ASK, "1", None)
    assert found[7] == code and found[0] == "acme" and found[2].endswith("1"), "the log may name it"
    told = news(service, 0)
    assert told and all(tenant == "acme" for _, tenant, _ in told) and found[6] == told[-1][0]


def test_what_ends_by_itself_ends_to_the_moment(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute(KEY.format("rotated_at = now(), grace_until = now() + interval '1 hour'").encode())
    assert refusal(service) is None and one(service, ASK, "1", None)[5] is not None
    with service.transaction():
        service.execute("SELECT now()")
        owner.execute(KEY.format("grace_until = clock_timestamp()").encode())
        assert refusal(service) == "key_expired", "by the clock, not by the transaction's begin"


def test_an_unknown_key_is_refused_without_a_word_about_anybody(psql: Psql) -> None:
    service = psql("service")
    nothing = (None, None, None, None, None, None, None, "key_unknown")
    assert one(service, ASK, "nobody's", "192.0.2.1") == nothing
    assert one(service, "SELECT * FROM wf_data.authenticate(NULL)") == nothing
    erase(psql("owner"))
    assert one(service, ASK, "1", None) == nothing, "nothing is left of an erased tenant"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("::FFFF:c000:207", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.3.7", False),
        ("192.0.0.0/16", False),
        ("::ffff:192.0.0.0/112", False),
        ("::192.0.2.7", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        (None, False),
    ],
)
def test_a_key_is_used_only_from_its_addresses(psql: Psql, address: str | None, allowed: bool) -> None:
    psql("owner").execute(KEY.format("addresses = '{192.0.2.0/24,2001:db8::/32}'").encode())
    assert refusal(psql("service"), address=address) == (None if allowed else "address_not_allowed")


def test_a_range_in_the_other_form_is_kept_as_the_plain_one(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute(KEY.format("addresses = '{::ffff:192.0.2.0/120,::/0}'").encode())
    assert one(owner, "SELECT addresses::text[] FROM wf.api_keys") == (["192.0.2.0/24", "::/0"],)
    allowed = {"192.0.2.7": None, "::ffff:192.0.2.7": None, "192.0.3.7": "address_not_allowed", "2001:db8::1": None}
    assert {address: refusal(service, address=address) for address in allowed} == allowed


def test_only_services_ask(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    asked = owner.execute(
        "SELECT oid::regprocedure::text, prosecdef, array_to_string(proconfig, ';'),"
        " ARRAY(SELECT g.grantee::regrole::text FROM aclexplode(proacl) g WHERE g.grantee <> proowner)"
        " FROM pg_proc WHERE pronamespace = 'wf_data'::regnamespace"
    ).fetchall()
    assert len(asked) > 8
    for name, definer, config, allowed in asked:
        assert (definer, config.split(";")[0], allowed) == (True, "search_path=wf, pg_temp", ["wf_service"]), name
    for role in ("viewer", "support", "operator", "admin", "worker"):
        for call in (ASK, "SELECT wf_data.version()", "SELECT * FROM wf_data.news(0)"):
            with pytest.raises(errors.InsufficientPrivilege):
                psql(role).execute(call, ["1", None] if call == ASK else None)
    for table in ("api_keys", "key_news", "key_uses", "key_list", "counters", "requests", "usage", "tenants"):
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute(f"SELECT FROM wf.{table}".encode())


# What a cache must forget


def test_every_change_that_matters_is_news_and_no_other(psql: Psql, database: Database) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute("INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web')")
    key = "key_" + "0" * 25 + "1"
    told = [
        (KEY.format("scopes = '{read}'"), key),
        (KEY.format("addresses = '{10.0.0.0/8}'"), key),
        (KEY.format("disabled_at = now()"), key),
        (KEY.format("disabled_at = NULL"), key),
        (KEY.format("expires_at = now() + interval '1 day'"), key),
        (KEY.format("rotated_at = now(), grace_until = now() + interval '1 hour'"), key),
        (KEY.format("grace_until = now() + interval '2 hours'"), key),
        (ARCHIVED, None),
        (SUSPENDED, None),
        (KEY.format("revoked_at = now(), revoked_reason = 'x'"), key),
    ]
    for n, (change, about) in enumerate(told, 1):
        owner.execute(change.encode())
        assert news(service, n - 1) == [(n, "acme", about)], change
        assert one(service, "SELECT wf_data.version()") == (n,)
    owner.execute("UPDATE wf.tenants SET name = 'A'")
    owner.execute("UPDATE wf.projects SET name = 'A'")
    make_keys(database.owner, 1, "zed", first=9)
    assert news(service, len(told)) == []


def test_who_reads_while_changes_commit_out_of_order_misses_none(psql: Psql, database: Database) -> None:
    first, second, owner, service = psql("owner"), psql("owner"), psql("owner"), psql("service")
    make_keys(database.owner, 3, "zed", first=7)
    revoke = "UPDATE wf.api_keys SET revoked_at = now(), revoked_reason = 'x' WHERE id LIKE '%%{}'"
    first.execute("BEGIN")
    first.execute(revoke.format(7).encode(), [])
    ready = threading.Event()

    def later() -> None:
        second.execute("BEGIN")
        ready.set()
        second.execute(revoke.format(8).encode(), [])  # waits for the first: their numbers are told in this order
        second.execute("COMMIT")

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(later)
        waiting = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
        while ready.wait(5) and one(owner, waiting, second.info.backend_pid) != ("Lock",):
            assert not done.done()
        assert news(service, 0) == [] and one(service, "SELECT wf_data.version()") == (0,)
        first.execute("COMMIT")
        done.result(5)
    assert [(n, key[-1]) for n, _, key in news(service, 0)] == [(1, "7"), (2, "8")]
    first.execute("BEGIN")
    first.execute(revoke.format(9).encode(), [])
    first.execute("ROLLBACK")
    assert one(service, "SELECT wf_data.version()") == (2,), "what was taken back leaves no gap"


def test_who_cannot_be_told_all_forgets_everything(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute("UPDATE wf.counters SET value = 5000 WHERE name = 'keys'")
    owner.execute("INSERT INTO wf.key_news (version, tenant_id) SELECT n, 'zed' FROM generate_series(3500, 5000) n")
    everything = [(5000, None, None)]
    assert news(service, 5000) == [] and news(service, 4999) == [(5000, "zed", None)]
    assert len(news(service, 4000)) == 1000
    for after in (3999, 0, None):
        assert news(service, after) == everything, after
    for restored in (5001, 9000):
        assert news(service, restored) == everything, "the home went back behind what was seen"
    owner.execute("UPDATE wf.counters SET value = 5499 WHERE name = 'keys'")
    owner.execute(SUSPENDED)
    assert one(owner, "SELECT min(version) FROM wf.key_news") == (3501,), "old news go one by one"


def test_an_erasure_takes_its_news_away_and_everything_is_forgotten_instead(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    seen = one(service, ASK, "1", None)[6]
    erase(owner)
    newest = one(service, "SELECT wf_data.version()")[0]
    assert newest > seen and news(service, seen) == [(newest, None, None)]
    assert news(service, newest) == []
    owner.execute(
        "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = 'zed'"
    )
    assert news(service, newest) == [(newest + 1, "zed", None)]


# Keys in use

TOUCH = "SELECT wf_data.touch_keys(%s, %s, %s::inet[])"
USED = "SELECT last_used_at, host(last_address) FROM wf.key_uses WHERE key_id LIKE '%%1'"


def test_a_keys_last_use_moves_only_forward_and_never_ahead_of_the_home(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    key = "key_" + "0" * 25 + "1"
    noon: datetime = one(owner, "SELECT now() - interval '1 hour'")[0]
    minute = timedelta(minutes=1)
    several = [noon - minute, noon, noon - 2 * minute]
    assert one(service, TOUCH, [key] * 3, several, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) == (1,)
    assert one(owner, USED) == (noon, "192.0.2.2")
    assert one(service, TOUCH, [key], [noon - minute], ["192.0.2.4"]) == (0,)
    assert one(service, TOUCH, [key, "key_unknown"], [noon + minute, noon], None) == (1,)
    assert one(owner, USED) == (noon + minute, "192.0.2.2"), "where from is not known: what was known stays"
    assert one(service, TOUCH, [key], [noon + timedelta(days=9)], ["192.0.2.5"]) == (1,)
    at, address = one(owner, USED)
    assert at <= one(owner, "SELECT clock_timestamp()")[0] and address == "192.0.2.5"
    assert one(service, TOUCH, [key], [noon + timedelta(days=9)], None) == (1,), "and it goes on from there"


def test_a_thousand_uses_at_once_wait_for_nobody(psql: Psql, database: Database) -> None:
    owner = psql("owner")
    keys = ["key_" + "0" * 25 + "1", *make_keys(database.owner, 49, first=2)]
    now = one(owner, "SELECT clock_timestamp()")[0]
    services = [psql("service") for _ in range(20)]
    for service in services:
        service.execute("SET lock_timeout = '100ms'")  # far less than the row below is held
    ready = threading.Barrier(len(services))

    def report(n: int) -> int:
        ready.wait(10)
        mine = keys[n:] + keys[:n]  # each in another order: a deadlock, if anybody waited
        return sum(
            one(services[n], TOUCH, mine, [now + timedelta(microseconds=n * 10 + i)] * 50, None)[0] for i in range(5)
        )

    with owner.transaction(), ThreadPoolExecutor(len(services)) as pool:
        owner.execute("SELECT FROM wf.key_uses WHERE key_id = %s FOR UPDATE", [keys[7]])
        moved = sum(pool.map(report, range(len(services))))
        assert moved >= 49
        used = "SELECT count(last_used_at), count(*) FROM wf.key_uses"
        assert one(psql("owner"), used) == (49, 50), "only the one that is held was left to its holder"
    assert one(services[0], TOUCH, [keys[7]], [now], None) == (1,)


# Calls


def test_a_service_writes_calls_and_only_support_sees_where_from(psql: Psql) -> None:
    service = psql("service")
    columns = "tenant_id, route, method, status, at, key_id, address"
    with service.cursor().copy(f"COPY wf.requests ({columns}) FROM STDIN".encode()) as copy:
        copy.write_row(("acme", "/v1/things", "GET", 200, "2026-01-01T00:00Z", "key_" + "0" * 25 + "1", "192.0.2.7"))
    for role, seen in (("viewer", None), ("support", "192.0.2.7"), ("operator", "192.0.2.7")):
        calls = "SELECT address, calls FROM wf.key_calls('key_' || repeat('0', 25) || '1', '-infinity')"
        assert one(psql(role), calls) == (seen, 1)
    for denied in ("SELECT address FROM wf.requests", "SELECT * FROM wf.requests"):
        with pytest.raises(errors.InsufficientPrivilege):
            psql("viewer").execute(denied)
    assert one(psql("support"), "SELECT address FROM wf.request_list") == ("192.0.2.7",)
    assert one(psql("viewer"), "SELECT route, key_id IS NOT NULL FROM wf.requests") == ("/v1/things", True)
