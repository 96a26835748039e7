"""What services record of their requests: what can be one is kept, whatever else the batch holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.postgres import Database


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connection


def test_services_record_what_their_keys_did(database: Database, connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash)"
        " VALUES ('key_' || repeat('0', 26), 'acme', 'live', 'wf_live_1', sha256('x'))"
    )
    key = "key_" + "0" * 26
    batch = [
        {"key_id": key, "route": "/a", "status": 200, "latency_ms": 12.5, "region": "eu", "bytes": 7},
        {"key_id": key, "route": "/a", "status": 401, "at": "2026-03-01T12:00:00Z"},
        {"tenant_id": "acme", "route": "/a", "status": 401},
        {"key_id": "key_" + "1" * 26, "tenant_id": "acme", "route": "/a", "status": 200},
        {"key_id": key, "route": "/a", "status": 20},
        {"key_id": key, "status": 200},
        {"key_id": key, "route": "/a", "status": 200, "latency_ms": -1},
    ]
    with psycopg.connect(database.login("service"), autocommit=True) as service:
        row = service.execute("SELECT * FROM wf_data.record_requests(%s)", [Jsonb(batch)]).fetchone()
        assert row == (2, 2, 3), "stored, credited to nobody, unreadable"
        for wrong in ({}, None, [{}] * 10_001):
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                service.execute("SELECT * FROM wf_data.record_requests(%s)", [Jsonb(wrong)])
    found = connection.execute("SELECT tenant_id, key_prefix, status FROM wf.requests ORDER BY status").fetchall()
    assert found == [("acme", "wf_live_1", 200), ("acme", "wf_live_1", 401)]


def test_a_day_that_is_made_meanwhile_takes_what_a_service_records(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    key = "key_" + "0" * 26
    connection.execute(
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash) VALUES (%s, 'acme', 'live', 'wf_1', sha256('x'))",
        [key],
    )
    batch = Jsonb([{"key_id": key, "route": "/a", "status": 200, "at": "1990-01-01T00:00:00Z"}])
    waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    with (
        psycopg.connect(database.login("service"), autocommit=True) as service,
        psycopg.connect(database.owner) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("SELECT wf.ensure_request_days('1990-01-01', '1990-01-01')")
        answer = pool.submit(lambda: service.execute(RECORD, [batch, "b-1"]).fetchone())
        while not connection.execute(waits, [service.info.backend_pid]).fetchone() and not answer.done():
            time.sleep(0.01)
        other.commit()
        assert answer.result(20) == (1, 0, 0)
    assert connection.execute("SELECT tableoid::regclass::text FROM wf.requests").fetchone() == (
        "wf.requests_19900101",
    )


RECORD = "SELECT * FROM wf_data.record_requests(%s, %s)"


def test_a_batch_that_is_sent_again_is_stored_once(database: Database, connection: psycopg.Connection[Any]) -> None:
    key = "key_" + "0" * 26
    connection.execute(
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash) VALUES (%s, 'acme', 'live', 'wf_1', sha256('x'))",
        [key],
    )
    batch = Jsonb([{"key_id": key, "route": "/a", "status": 200}, {"route": "/a", "status": 401}, {"status": 200}])
    with (
        psycopg.connect(database.login("service")) as first,
        psycopg.connect(database.login("service"), autocommit=True) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        assert first.execute(RECORD, [batch, "b-1"]).fetchone() == (1, 1, 1)
        answer = pool.submit(lambda: second.execute(RECORD, [batch, "b-1"]).fetchone())  # waits for the other
        first.commit()
        assert answer.result(10) == (1, 1, 1)
        first.execute(RECORD, [batch, "b-2"])
        first.rollback()  # nothing was stored, so nothing is known of it
        assert second.execute(RECORD, [batch, "b-2"]).fetchone() == (1, 1, 1)
        for wrong in ("", "b" * 129):
            with pytest.raises(psycopg.errors.CheckViolation) as refused:
                second.execute(RECORD, [batch, wrong])
            assert refused.value.diag.constraint_name == "request_batch_id"
    assert connection.execute("SELECT count(*) FROM wf.requests").fetchone() == (2,)
    connection.execute("UPDATE wf.request_batches SET at = now() - interval '25 hours' WHERE id = 'b-1'")
    assert connection.execute("SELECT wf.prune_request_batches()").fetchone() == (1,)


@pytest.fixture
def service(database: Database, connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    connection.execute(
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash) VALUES (%s, 'acme', 'live', 'wf_1', sha256('x'))",
        [KEY],
    )
    with psycopg.connect(database.login("service"), autocommit=True) as service:
        yield service


KEY = "key_" + "0" * 26
GOOD = {"key_id": KEY, "route": "/a", "status": 200}
DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]
TEXTS = ("key_id", "route", "method", "region", "request_id")
UNREADABLE: list[Any] = [
    *(None, 1, "a", True, [], [GOOD], [1, "a"], {}, {"key_id": KEY}, DEEP),
    *({**GOOD, "status": status} for status in (200.7, "abc", True, None, [], {}, "", 99, 600, -200, 10**30, 1e30)),
    *({**GOOD, "latency_ms": ms} for ms in (-1, 1e10, 1e-60, 10**400, "NaN", "Infinity", "fast", True, [], {})),
    *({**GOOD, "bytes": size} for size in (-1, 1.5, 10**30, 10**400, "many", True, [1], {})),
    *({**GOOD, "at": at} for at in ("not a time", 1795255200, "", "infinity", "-infinity", "20000-01-01T00:00:00Z")),
    *({**GOOD, "at": at} for at in ("0044-03-15 BC", "2026-02-30T00:00:00Z", "2026-03-01T12:00:00+99", True, [], {})),
    *({**GOOD, "at": at} for at in ("2026-03-01T12:00:00 Mars/Base", "2200-01-01T00:00:00Z", "1969-12-31T23:59:59Z")),
    *({**GOOD, "address": address} for address in ("1.2.3.4:80", "", "here", True, 1, [], {})),
    *({**GOOD, name: wrong} for name in TEXTS for wrong in (1, True, [], ["a"], {}, {"a": 1})),
    *({**GOOD, "route": route} for route in ("", None)),
]


def recorded(service: psycopg.Connection[Any], batch: Any, *more: Any) -> tuple[int, int, int]:
    places = ", ".join(["%s"] * (1 + len(more)))
    row = service.execute(f"SELECT * FROM wf_data.record_requests({places})".encode(), [batch, *more]).fetchone()
    assert row is not None
    return row  # type: ignore[return-value]


def test_what_cannot_be_a_request_does_not_stop_the_others(
    service: psycopg.Connection[Any], connection: psycopg.Connection[Any]
) -> None:
    for number, wrong in enumerate(UNREADABLE):
        batch, words = [GOOD, wrong, {"route": "/a", "status": 401}, GOOD], repr(wrong)[:200]
        assert recorded(service, Jsonb(batch), f"b-{number}") == (2, 1, 1), words
        assert recorded(service, Jsonb(batch), f"b-{number}") == (2, 1, 1), "the first answer again"
        assert recorded(service, json.dumps(batch)) == (2, 1, 1), words
        assert recorded(service, Jsonb([wrong])) == (0, 0, 1), words
    kept = connection.execute("SELECT count(*), count(DISTINCT route) FROM wf.requests").fetchone()
    assert kept == (4 * len(UNREADABLE), 1)


def test_what_jsonb_cannot_hold_does_not_stop_the_others_of_a_text(service: psycopg.Connection[Any]) -> None:
    good = json.dumps(GOOD)
    for name in (*GOOD, "method", "region", "request_id", "at", "address", "latency_ms", "bytes", "other"):
        for value in ('"a\\u0000b"', '"\\ud800"', "1e400000", "-1e400000"):
            wrong = f'{good[:-1]}, "{name}": {value}}}'
            assert recorded(service, f"[{good}, {wrong}, {good}]") == (2, 0, 1), wrong
            assert recorded(service, f"[{wrong}]") == (0, 0, 1), wrong


def test_what_can_be_a_request_is_taken(service: psycopg.Connection[Any], connection: psycopg.Connection[Any]) -> None:
    huge = "x" * 1_000_000
    batch = [
        {**GOOD, "status": "200", "latency_ms": "1.5", "bytes": 1e3, "at": "2026-03-01T12:00:00Z"},
        {**GOOD, "latency_ms": 0, "bytes": 0, "at": "2026-03-01 12:00", "address": "1.2.3.4"},
        {**GOOD, "method": huge, "route": huge, "region": huge, "request_id": huge, "address": "::1", "more": DEEP},
        {**GOOD, **dict.fromkeys(("method", "latency_ms", "region", "request_id", "at", "bytes", "address"))},
        {**GOOD, "key_id": None},
        {**GOOD, "key_id": huge},
    ]
    service.execute("SET timezone = 'Pacific/Kiritimati'")
    service.execute("SET datestyle = 'SQL, DMY'")
    assert recorded(service, Jsonb(batch)) == (4, 2, 0)
    twice = f'[{json.dumps(GOOD)[:-1]}, "status": 99, "status": 201}}]'
    assert recorded(service, twice) == (1, 0, 0), "the last of two keys counts"
    assert recorded(service, Jsonb([])) == recorded(service, "[]") == (0, 0, 0)
    noon = "SELECT count(*) FROM wf.requests WHERE at = '2026-03-01T12:00:00Z'"
    assert connection.execute(noon).fetchone() == (2,), "a time without a zone is in UTC"
    longest = "SELECT max(length(method)), max(length(route)), max(length(region)), max(length(request_id))"
    assert connection.execute(f"{longest} FROM wf.requests".encode()).fetchone() == (16, 200, 64, 128)


def test_what_is_no_batch_is_refused(service: psycopg.Connection[Any]) -> None:
    for number, wrong in enumerate(("{}", "null", "1", '"a"', "[", "", "[1,]", f"[{'1,' * 10_000}1]")):
        with pytest.raises(psycopg.errors.DataError):
            recorded(service, wrong, f"b-{number}")
        assert recorded(service, json.dumps([GOOD]), f"b-{number}") == (1, 0, 0), "nothing is known of the id"


def test_ten_thousand_of_which_many_are_wrong(service: psycopg.Connection[Any]) -> None:
    assert recorded(service, Jsonb([GOOD, {**GOOD, "status": "abc"}] * 5000)) == (5000, 0, 5000)


def test_a_batch_is_on_the_disk_when_it_is_answered(database: Database, service: psycopg.Connection[Any]) -> None:
    """On a link that does not wait for its commits, too: as one that asks `admit` may."""
    service.execute("SET synchronous_commit = off")
    with service.transaction():
        recorded(service, Jsonb([GOOD]), "b-1")
        assert service.execute("SHOW synchronous_commit").fetchone() == ("on",)
    assert service.execute("SHOW synchronous_commit").fetchone() == ("off",)
