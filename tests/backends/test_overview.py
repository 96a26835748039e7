"""The parts of the overview against a real home: what they say, to whom, and what they cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.overview import QUESTIONS, Overview
from controlplane.errors import Refusal
from controlplane.listing import Count
from controlplane.overview.entries import PARTS, traffic_entries
from controlplane.overview.model import OverviewSource
from tests.postgres import Database


@pytest.fixture
def connection(fleet: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(fleet.owner) as connection:
        yield connection


@pytest.fixture
async def glance(fleet: Database) -> AsyncIterator[Overview]:
    """As the one who may least."""
    home = Home(fleet.login("viewer"))
    await home.open()
    yield home.of(OverviewSource)
    await home.close()


async def test_an_empty_home_says_of_nothing_that_it_is_well(database: Database) -> None:
    home = Home(database.login("viewer"))
    await home.open()
    answers = {part.name: await part.read(home.of(OverviewSource)) for part in PARTS}
    await home.close()
    assert answers["traffic"].until is None and answers["plans"].quotas is None
    assert answers["failing"] == answers["slowest"] == []
    assert [(region.name, region.until) for region in answers["regions"]] == [("default", None)]
    now = datetime.now(UTC)
    tones = {entry.key: entry.tone for part in PARTS for entry in part.entries(answers[part.name], now)}
    assert "good" not in tones.values()
    assert tones["requests"] == tones["errors"] == tones["p95"] == tones["quotas"] == tones["default"] == "unknown"
    assert tones["workers"] == "bad"


async def test_a_home_is_empty_until_it_has_a_tenant_or_a_request(database: Database) -> None:
    home = Home(database.login("viewer"))
    await home.open()
    glance = home.of(OverviewSource)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        assert await glance.empty()
        owner.execute("UPDATE wf.tenant_activity SET until = now()")
        assert not await glance.empty()
        owner.execute("UPDATE wf.tenant_activity SET until = NULL")
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        assert not await glance.empty()
    await home.close()


async def test_every_part_says_what_there_is(connection: psycopg.Connection, glance: Overview) -> None:
    traffic = await glance.traffic()
    assert traffic.until is not None and datetime.now(UTC) - traffic.until < timedelta(minutes=4)
    assert traffic.now.per_minute == pytest.approx(4, rel=0.02) and traffic.now.error_share == pytest.approx(0.25)
    assert traffic.now.p95_ms == pytest.approx(100, rel=0.02)
    assert len(traffic.day) == 24
    assert [hour.per_minute for hour in traffic.day] == pytest.approx([4] * 24, rel=0.1)  # ten more in two of them
    assert (traffic.before.per_minute, traffic.before.error_share) == (pytest.approx(2, rel=0.02), 0)
    assert [row.id for row in await glance.failing()] == ["umbrella", "globex", "acme"]
    assert [row.id for row in await glance.slowest()] == ["globex", "acme", "umbrella"]
    regions = {region.name: region.now for region in await glance.regions()}
    assert regions["eu-west-1"].per_minute == pytest.approx(4, rel=0.02)
    for silent in ("us-east-1", "ap-south-1", "default"):
        assert regions[silent].per_minute is None, "no request of the last hour: not known, and no zero"
    keys = await glance.keys()
    assert (keys.late, keys.stale) == (Count(1), Count(2))
    plans = await glance.plans()
    assert (plans.trials, plans.first_trials[0].tenant_id) == (Count(1), "initech")
    assert plans.quotas == Count(2) and [(q.tenant_id, q.used, q.hard) for q in plans.first_quotas] == [
        ("acme", 95, 100),
        ("globex", 80, 100),
    ]
    work = await glance.work()
    assert (work.alive, work.gone, work.dead, work.late) == (1, 1, Count(2), Count(2))
    runs = await glance.runs()
    assert (runs.paused, runs.running, runs.refused) == (Count(1), Count(1), Count(1))
    stray = connection.execute("SELECT count(*) FROM (SELECT FROM wf.requests_default LIMIT 1000) r").fetchone()
    assert ((await glance.stray()).raw.number,) == stray, "at most the day after the one of the template was made"
    assert stray > (0,)
    changes = await glance.changes()
    newest = connection.execute("SELECT max(seq), count(*) FROM wf.audit").fetchone()
    assert newest is not None and (changes.newest[0].seq, changes.number) == (newest[0], Count(newest[1]))


async def test_minutes_that_are_not_rolled_up_are_not_the_last_hour(
    connection: psycopg.Connection, glance: Overview
) -> None:
    """A home whose worker stopped: its last hour is that of then, and so is said to be old."""
    connection.execute("UPDATE wf.request_marks SET minutes_until = minutes_until - interval '2 hours',"
                       " hours_until = hours_until - interval '2 hours'")  # fmt: skip
    connection.commit()
    traffic = await glance.traffic()
    assert traffic.until is not None and traffic.now.per_minute == pytest.approx(4, rel=0.1)
    entries = {entry.key: entry for entry in traffic_entries(traffic, datetime.now(UTC))}
    assert entries["requests"].value.startswith("~") and "ago: not current" in entries["requests"].words
    assert entries["errors"].tone == "muted"


async def test_quotas_follow_what_holds_for_each_tenant(connection: psycopg.Connection, glance: Overview) -> None:
    connection.execute(
        "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason) VALUES ('acme', 'exports',"
        " '{\"period\": \"month\", \"soft\": 800, \"hard\": 1000}', 'override', now() + interval '1 day', 'a while')"
    )
    connection.execute("UPDATE wf.quota_counters SET period_start = '2020-01-01' WHERE tenant_id = 'globex'")
    connection.execute("UPDATE wf.quota_counters SET used = 99 WHERE tenant_id = 'umbrella'")
    assert connection.execute("SELECT wf.look_at_quotas()").fetchone() == (1,)
    connection.commit()
    assert [near.tenant_id for near in (await glance.plans()).first_quotas] == ["umbrella"]
    before = connection.execute("SELECT xmin::text FROM wf.quotas_near").fetchall()
    connection.execute("SELECT wf.look_at_quotas()")
    assert connection.execute("SELECT xmin::text FROM wf.quotas_near").fetchall() == before, "what is the same stays"


async def test_a_part_that_fails_takes_no_other_down(connection: psycopg.Connection, glance: Overview) -> None:
    connection.execute("REVOKE SELECT ON wf.runs FROM wf_viewer")
    connection.commit()
    try:
        with pytest.raises(Refusal):
            await glance.runs()
        assert (await glance.work()).alive == 1
    finally:
        connection.execute("GRANT SELECT ON wf.runs TO wf_viewer")
        connection.commit()


MANY = """
INSERT INTO wf.request_hours (tenant_id, route, hour, n, errors_4xx, errors_5xx, buckets, counts)
SELECT CASE r WHEN 0 THEN '' ELSE 't' || r END, '', h, 1, 0, 0, '{1}', '{1}'
FROM generate_series(now() - interval '9 days', now(), '1 hour') h, generate_series(0, 100) r;
INSERT INTO wf.request_minutes (tenant_id, route, minute, n, errors_4xx, errors_5xx, buckets, counts, dim, value)
SELECT CASE r WHEN 0 THEN '' ELSE 't' || r END, '', date_trunc('minute', m), 1, 0, 0, '{1}', '{1}', d,
       CASE d WHEN 'region' THEN 'eu' ELSE '' END
FROM generate_series(now() - interval '6 hours', now(), '1 minute') m, generate_series(0, 30) r,
     (VALUES ('route'), ('region')) AS v(d);
INSERT INTO wf.jobs (kind, state, error, ended_at, run_at, tenant_id)
SELECT 'deliver', CASE n % 50 WHEN 0 THEN 'dead' WHEN 1 THEN 'waiting' ELSE 'canceled' END, NULL,
       CASE n % 50 WHEN 1 THEN NULL ELSE now() END, now() + interval '1 day', NULL FROM generate_series(1, 20000) n;
INSERT INTO wf.dead_causes (fingerprint, source, queue, handler, error_class, cause, dead, first_seen, last_seen)
SELECT encode(sha256(n::text::bytea), 'hex'), 'jobs', 'q', 'h', 'c', 'x', CASE n % 50 WHEN 0 THEN 7 ELSE 0 END, now(),
       now() FROM generate_series(1, 20000) n;
INSERT INTO wf.runs (operation, state, per_second, breaker_share, changed_at)
SELECT 'tenants.edit', CASE n % 500 WHEN 0 THEN 'paused' ELSE 'done' END, 10, 0.2, now() - n * interval '1 hour'
FROM generate_series(1, 5000) n;
UPDATE wf.request_marks SET rolled_at = now(), minutes_from = now() - interval '2 days',
  minutes_until = date_trunc('minute', now()),
  hours_until = date_trunc('hour', now());
INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, created_at)
SELECT 'key_' || lpad(n::text, 26, '0'), 'tenant-' || lpad((1 + n % 20000)::text, 7, '0'), 'live',
       'wf_live_' || n, sha256(n::text::bytea),
       now() - n * interval '2 minutes' FROM generate_series(1, 20000) n;
INSERT INTO wf.subscriptions (tenant_id, state, trial_plan, trial_version, trial_start, trial_end, trial_return)
SELECT 'tenant-' || lpad(n::text, 7, '0'), CASE n % 100 WHEN 0 THEN 'trial' ELSE 'active' END, 'pro', 1, now(),
       now() + n * interval '1 hour' * 0.01, 'expired' FROM generate_series(1, 20000) n;
INSERT INTO wf.audit (seq, out_of_band, actor, operation, noun, thing, at)
SELECT n, false, 'ana', 'tenants.edit', 'tenants', 'acme', now() - (20010 - n) * interval '1 s'
FROM generate_series(10, 20000) n;
"""
SMALL = {"request_marks", "workers", "quotas_looked", "quotas_near", "run_progress", "job_schedules"}


def nodes(plan: dict) -> list[dict]:
    return [plan, *(each for child in plan.get("Plans", ()) for each in nodes(child))]


@pytest.fixture(scope="module")
def crowd(postgres_server, template_database):
    from benchmarks.estate import fill

    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        fill(connection, 1, 20_000)
        connection.execute("SET session_replication_role = replica")
        for statement in MANY.split(";\n"):
            connection.execute(statement.encode())
        connection.execute("ANALYZE")
    yield database
    postgres_server.drop(database)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_part_is_found_by_indexes_and_reads_few_rows(crowd: Database, name: str) -> None:
    statement, values = QUESTIONS[name]
    with psycopg.connect(crowd.login("viewer")) as connection:
        explained = "EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) " + statement
        row = connection.execute(explained.encode(), values or None).fetchone()
    assert row is not None
    found = nodes(row[0][0]["Plan"])
    scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan" and node["Actual Loops"]}
    assert not {table for table in scanned if table not in SMALL and "default" not in table}, row
    rows = max(node["Actual Rows"] * node["Actual Loops"] for node in found)
    assert rows <= 6000, [(node["Node Type"], node.get("Relation Name"), node["Actual Rows"]) for node in found]
