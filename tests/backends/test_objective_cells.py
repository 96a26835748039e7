"""What is kept of objectives against what is derived from the same requests: the same numbers, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.postgres.objectives import FINE_LIST, _hour, _Reader
from backends.postgres.slis import Slis, Span
from controlplane.objectives.rules import evaluate, period_of
from tests.backends.traffic import ESTATE
from tests.postgres import Database

Step = Callable[[psycopg.Connection, random.Random], None]


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute(ESTATE)
        connection.execute(
            "UPDATE wf.request_marks SET minutes_from = date_trunc('hour', now()) - interval '1 day',"
            " minutes_until = date_trunc('hour', now()) - interval '1 day',"
            " hours_until = date_trunc('hour', now()) - interval '1 day'"
        )
        connection.execute(
            "INSERT INTO wf.objectives (name, target, plan, route, tenant_id, kind, threshold_ms, period) VALUES"
            " ('api', 0.99, NULL, NULL, NULL, 'availability', NULL, 'month'),"
            " ('api', 0.99, 'growth', NULL, NULL, 'availability', NULL, '7d'),"
            " ('api', 0.9, NULL, '/a', 'acme', 'availability', NULL, '30d'),"
            " ('speed', 0.9, NULL, NULL, NULL, 'latency', 100, 'week'),"
            " ('speed', 0.9, NULL, '/b', NULL, 'latency', 100, '90d')"
        )
        yield connection


def requests(connection: psycopg.Connection, chance: random.Random) -> None:
    """Of the last half hour mostly; some are hours or days late."""
    back = chance.choice([1800, 1800, 6 * 3600, 40 * 86400])
    rows = [
        (
            chance.choice(["acme", "beta", "gone", "nobody"]),
            chance.choice(["/a", "/b"]),
            chance.choice([200, 200, 200, 404, 500]),
            None if chance.random() < 0.2 else chance.lognormvariate(4, 1),
            chance.random() * back,
        )
        for _ in range(chance.choice([1, 40]))
    ]
    connection.cursor().executemany(
        "INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, at)"
        " VALUES (%s, %s, 'GET', %s, %s, now() - make_interval(secs => %s))",
        rows,
    )


def roll_up(connection: psycopg.Connection, chance: random.Random) -> None:
    connection.execute("SELECT wf.roll_up_requests(%s, %s)", [chance.choice([5, 2000]), chance.choice([1, 2000])])


def by_hand(connection: psycopg.Connection, chance: random.Random) -> None:
    connection.execute("SELECT wf.roll_up_hours(now() - interval '3 hours', now())")


def keep(connection: psycopg.Connection, chance: random.Random) -> None:
    """Two hours in one bite, or two days in as many as there is time for."""
    hours, most = chance.choice([(2, "0 s"), (48, "1 minute")])
    connection.execute("SELECT wf.keep_objectives(%s, %s)", [hours, most])


def killed(connection: psycopg.Connection, chance: random.Random) -> None:
    with contextlib.suppress(ZeroDivisionError), connection.transaction():
        keep(connection, chance)
        raise ZeroDivisionError


def define(connection: psycopg.Connection, chance: random.Random) -> None:
    connection.execute(
        chance.choice(
            [
                "UPDATE wf.objectives SET threshold_ms = threshold_ms * 2 WHERE id = 4 AND retired_at IS NULL",
                "UPDATE wf.objectives SET retired_at = now() WHERE id = 3 AND retired_at IS NULL",
                "UPDATE wf.objectives SET retired_at = NULL WHERE id = 3",
                "UPDATE wf.objectives SET target = 0.95, period = '30d' WHERE id = 2",
                "INSERT INTO wf.objectives (name, target, tenant_id) VALUES ('api', .5, 'beta') ON CONFLICT DO NOTHING",
                "UPDATE wf.tenants SET plan = CASE plan WHEN 'pro' THEN 'growth' ELSE 'pro' END WHERE id = 'acme'",
            ]
        ).encode()
    )


def maintain(connection: psycopg.Connection, chance: random.Random) -> None:
    scope = chance.choice(["NULL, NULL, NULL", "'acme', NULL, NULL", "NULL, 'growth', NULL", "NULL, NULL, '/b'"])
    if chance.random() < 0.3:
        connection.execute("UPDATE wf.maintenance SET ended_at = now() WHERE ended_at IS NULL AND ends_at > now()")
    else:
        connection.execute("ALTER TABLE wf.maintenance DISABLE TRIGGER guard")  # so that it can be of a while ago
        connection.execute(
            "INSERT INTO wf.maintenance (tenant_id, plan, route, starts_at, ends_at, reason)"
            f" VALUES ({scope}, now() - interval '20 minutes', now() + interval '1 hour', 'x')".encode()
        )
        connection.execute("ALTER TABLE wf.maintenance ENABLE TRIGGER guard")


def erase(connection: psycopg.Connection, chance: random.Random) -> None:
    for table in ("requests", "request_minutes", "request_hours"):
        connection.execute(f"DELETE FROM wf.{table} WHERE tenant_id = 'gone'".encode())


STEPS: tuple[Step, ...] = (requests, roll_up, by_hand, keep, killed, define, maintain, erase)


async def compare(conninfo: str) -> int:
    """How many slices of what is kept were read."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        reader, slis = _Reader(connection), Slis(connection)
        now, objectives = await reader.now(), await reader.live()
        since = {each: period_of(each.period, each.zone, now)[0] for each in objectives}
        start = _hour(now - timedelta(days=93))
        kept = Span(start, _hour(now - FINE_LIST), now)
        derived = Span(start, kept.fine, now, kept=False)
        sums = await slis.sums(kept, since)
        for each in objectives:
            expected = await slis.slices(derived, each)
            assert await slis.slices(kept, each) == expected, each.label
            assert evaluate(each, sums.get(each.id, ()), now) == evaluate(each, expected, now), each.label
        row = await (await connection.execute("SELECT count(*) FROM wf.objective_cells")).fetchone()
        assert row is not None
        return int(row[0])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=14), seed=st.integers(0, 2**32))
def test_what_is_kept_is_what_would_be_derived(
    database: Database, owner: psycopg.Connection, steps: list[Step], seed: int
) -> None:
    chance = random.Random(seed)
    for step in (requests, *steps):
        step(owner, chance)
    asyncio.run(compare(database.owner))


def test_a_worker_that_keeps_up_leaves_little_to_derive(database: Database, owner: psycopg.Connection) -> None:
    chance = random.Random(1)
    for _ in range(5):
        requests(owner, chance)
    owner.execute("SELECT wf.roll_up_requests(3000, 3000)")
    owner.execute("SELECT wf.keep_objectives()")
    assert owner.execute("SELECT count(*) FROM wf.objective_due").fetchone() == (0,)
    assert asyncio.run(compare(database.owner)) > 20
    with owner.transaction():  # within one the time stands: no hour ends between
        owner.execute("SELECT wf.roll_up_requests(3000, 3000)")
        owner.execute("SELECT wf.keep_objectives()")
        cells = owner.execute("SELECT sum(total) FROM wf.objective_cells WHERE seconds = 3600").fetchone()
        owner.execute("SELECT wf.roll_up_requests(3000, 3000)")
        owner.execute("UPDATE wf.objectives SET target = 0.5, period = '14d'")
        assert owner.execute("SELECT count(*) FROM wf.objective_due").fetchone() == (0,), "targets are the reader's"
        assert owner.execute("SELECT sum(total) FROM wf.objective_cells WHERE seconds = 3600").fetchone() == cells


def test_two_workers_and_an_operator_never_wait_for_each_other(database: Database, owner: psycopg.Connection) -> None:
    """An open change that makes an objective holds nothing that rolling up or keeping needs."""
    chance = random.Random(2)
    requests(owner, chance)
    with psycopg.connect(database.owner) as other:
        other.execute("INSERT INTO wf.objectives (name, target) VALUES ('held', 0.9)")
        owner.execute("SET lock_timeout = '2s'")
        owner.execute("SELECT wf.roll_up_requests(3000, 3000)")
        owner.execute("SELECT wf.keep_objectives()")
        other.commit()
    asyncio.run(compare(database.owner))
