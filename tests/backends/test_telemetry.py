"""What telemetry says of stored requests: hours, series and activity, against the plain sum over the rows."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.telemetry import Telemetry
from controlplane.errors import Usage
from controlplane.telemetry.model import Histogram, Scope, bucket_of, merge, percentile
from tests.postgres import Database

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
OF_TENANTS = "SELECT sum(n) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''"
Rows = list[tuple[str, str, int, float | None, datetime]]


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def telemetry(database: Database) -> AsyncIterator[Telemetry]:
    home = Home(database.login("viewer"))
    await home.open()
    yield Telemetry(home)
    await home.close()


def store(connection: psycopg.Connection, rows: Rows) -> Rows:
    connection.cursor().executemany(
        "INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, at) VALUES (%s, %s, 'GET', %s, %s, %s)",
        rows,
    )
    return rows


def traffic(hours: int, seed: int = 1, tenants: tuple[str, ...] = ("acme",), start: datetime = START) -> Rows:
    chance = random.Random(seed)
    return [
        (
            chance.choice(tenants),
            chance.choice(["/a", "/b"]),
            chance.choice([200, 200, 404, 500]),
            None if chance.random() < 0.1 else chance.lognormvariate(3, 1),
            start + timedelta(seconds=chance.random() * 3600 * hours),
        )
        for _ in range(hours * 50)
    ]


def one(connection: psycopg.Connection, query: str, values: list[Any] | None = None) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def roll_up(connection: psycopg.Connection, hours: int) -> int:
    return int(one(connection, "SELECT wf.roll_up_hours(%s, %s)", [START, START + hours * HOUR]))


def test_hours_hold_what_the_rows_hold(connection: psycopg.Connection) -> None:
    rows = store(connection, traffic(5))
    assert roll_up(connection, 5) == 15 + 15, "two routes and all of them; the same of the fleet"
    cells = connection.execute("SELECT * FROM wf.hour_cells").fetchall()
    for _, route, hour, n, errors_4xx, errors_5xx, latency_sum, latency_max, buckets, counts, _, _ in cells:
        mine = [row for row in rows if row[1] == (route or row[1]) and hour <= row[4] < hour + HOUR]
        known = [row[3] for row in mine if row[3] is not None]
        assert n == len(mine)
        assert errors_4xx == sum(row[2] == 404 for row in mine)
        assert errors_5xx == sum(row[2] == 500 for row in mine)
        assert (latency_sum, latency_max) == (pytest.approx(sum(known)), pytest.approx(max(known)))
        ours = Histogram.of(known)
        assert (tuple(buckets), tuple(counts)) == (ours.buckets, ours.counts)


def test_rolling_up_again_changes_nothing_and_late_rows_are_added(connection: psycopg.Connection) -> None:
    store(connection, traffic(3))
    assert roll_up(connection, 3) > 0
    before = connection.execute("SELECT xmin::text, t::text FROM wf.quiet_hours t ORDER BY 2").fetchall()
    assert roll_up(connection, 3) == 0
    assert connection.execute("SELECT xmin::text, t::text FROM wf.quiet_hours t ORDER BY 2").fetchall() == before
    store(connection, [("acme", "/a", 500, 9.0, START + timedelta(minutes=90))])
    assert roll_up(connection, 3) == 4, "its cell, its tenant's, and two of the fleet"
    assert one(connection, OF_TENANTS) == 151


def test_hours_outlive_their_raw_rows(connection: psycopg.Connection) -> None:
    store(connection, traffic(2))
    roll_up(connection, 2)
    connection.execute("DELETE FROM wf.requests")
    assert roll_up(connection, 2) == 0
    assert one(connection, OF_TENANTS) == 100


@pytest.mark.parametrize("ms", [0.0, 0.0999, 0.11, 1.0, 212.0, 86_400_000.0, None])
def test_the_database_and_the_heart_agree_on_buckets(connection: psycopg.Connection, ms: float | None) -> None:
    assert one(connection, "SELECT wf.latency_bucket(%s::real)", [ms]) == (None if ms is None else bucket_of(ms))


def test_days_are_made_on_demand_and_take_over_what_waits(connection: psycopg.Connection) -> None:
    store(connection, traffic(48))
    assert one(connection, "SELECT count(*) FROM wf.requests_default") == 2400
    assert one(connection, "SELECT wf.ensure_request_days(%s, %s)", [START.date(), (START + DAY).date()]) == 2
    assert one(connection, "SELECT wf.ensure_request_days(%s, %s)", [START.date(), (START + DAY).date()]) == 0
    assert one(connection, "SELECT count(*) FROM wf.requests_default") == 0
    assert one(connection, "SELECT count(*) FROM wf.requests") == 2400
    assert one(connection, "SELECT count(*) FROM wf.requests_20260301 WHERE at < %s", [START + DAY]) > 0
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute("SELECT wf.ensure_request_days('2026-01-01', '2026-03-31')")


def test_a_day_gives_up_when_a_reader_holds_the_default_partition(
    connection: psycopg.Connection, database: Database
) -> None:
    with psycopg.connect(database.owner) as reader:
        reader.execute("SELECT count(*) FROM wf.requests")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("SELECT wf.ensure_request_days('2026-03-01', '2026-03-01')")


def test_activity_is_that_of_the_last_hour_of_data(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'A'), ('beta', 'B'), ('quiet', 'Q')")
    rows = store(connection, traffic(6, tenants=("acme", "beta", "stranger")))
    store(connection, [("quiet", "/a", 200, 1.0, START)])
    future = datetime.now(UTC) + DAY
    store(connection, [("quiet", "/a", 200, 1.0, future)])
    assert one(connection, "SELECT wf.refresh_activity()") == 2
    newest = max(row[4] for row in rows)
    query = "SELECT tenant_id, per_minute, error_share, p95_ms, until FROM wf.tenant_activity WHERE until IS NOT NULL"
    found = {row[0]: row[1:] for row in connection.execute(query).fetchall()}
    assert found.keys() == {"acme", "beta"}, "no request in that hour is unknown, not zero"
    for tenant_id, (per_minute, error_share, p95, until) in found.items():
        mine = [row for row in rows if row[0] == tenant_id and newest - HOUR < row[4] <= newest]
        assert until == newest
        assert per_minute == pytest.approx(len(mine) / 60)
        assert error_share == pytest.approx(sum(row[2] == 500 for row in mine) / len(mine))
        assert p95 == pytest.approx(percentile([row[3] for row in mine if row[3] is not None], 0.95))
    assert one(connection, "SELECT wf.refresh_activity()") == 0, "what is the same is not written"
    assert one(connection, "SELECT wf.refresh_activity(%s)", [START + 2 * HOUR]) == 2
    assert one(connection, "SELECT max(until) FROM wf.tenant_activity") <= START + 2 * HOUR
    connection.execute("DELETE FROM wf.requests")
    assert one(connection, "SELECT wf.refresh_activity()") == 2
    assert one(connection, "SELECT count(per_minute) FROM wf.tenant_activity") == 0


@pytest.mark.parametrize("rolled", [0, 7])
def test_the_newest_request_is_found_with_hours_and_without(connection: psycopg.Connection, rolled: int) -> None:
    rows = store(connection, traffic(9))
    if rolled:
        roll_up(connection, rolled)
    assert one(connection, "SELECT wf.newest_request()") == max(row[4] for row in rows)
    bound = START + 4 * HOUR
    assert one(connection, "SELECT wf.newest_request(%s)", [bound]) == max(row[4] for row in rows if row[4] <= bound)


@pytest.mark.parametrize("step", [HOUR, 6 * HOUR, timedelta(minutes=10), timedelta(minutes=90)])
async def test_series_agree_with_the_rows(
    connection: psycopg.Connection, telemetry: Telemetry, step: timedelta
) -> None:
    rows = [row for row in traffic(24, tenants=("acme", "beta")) if not START + 3 * HOUR <= row[4] < START + 12 * HOUR]
    store(connection, rows)
    roll_up(connection, 24)
    series = await telemetry.series(
        Scope("acme"), START + timedelta(seconds=5), START + DAY - timedelta(seconds=5), step
    )
    assert series.start == START and series.start + len(series.points) * step == START + DAY
    assert None in series.points
    for at, point in zip(series.times(), series.points, strict=True):
        mine = [row for row in rows if row[0] == "acme" and at <= row[4] < at + step]
        assert (point is None) == (not mine), "a step without requests is a gap"
        if point is not None:
            assert (point.n, point.errors_5xx) == (len(mine), sum(row[2] == 500 for row in mine))
            assert point.latency == merge([Histogram.of(row[3] for row in mine if row[3] is not None)])


async def test_hours_that_are_not_over_come_from_raw_rows(connection: psycopg.Connection, telemetry: Telemetry) -> None:
    now = datetime.now(UTC)
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    old = store(connection, [("acme", "/a", 200, 5.0, this_hour - 3 * HOUR)])
    connection.execute("SELECT wf.roll_up_hours(%s, %s)", [this_hour - 3 * HOUR, now])
    store(connection, [("acme", "/a", 200, 5.0, this_hour), ("acme", "/b", 500, None, this_hour - HOUR)])
    series = await telemetry.series(Scope("acme"), this_hour - 4 * HOUR, this_hour + HOUR, HOUR)
    assert [point and point.n for point in series.points] == [None, len(old), None, 1, 1]
    assert await telemetry.newest() == this_hour


async def test_windows_that_make_no_sense(telemetry: Telemetry) -> None:
    assert await telemetry.newest() is None
    for start, end, step in (
        (START, START, HOUR),
        (START, START + DAY, timedelta(0)),
        (START, START + 100 * DAY, HOUR),
    ):
        with pytest.raises(Usage, match="window_unreadable"):
            await telemetry.series(Scope("acme"), start, end, step)


@pytest.mark.parametrize("rolled", [False, True])
async def test_a_step_that_counting_began_in_is_known_from_then_on(
    connection: psycopg.Connection, telemetry: Telemetry, rolled: bool
) -> None:
    began = START + timedelta(hours=2, minutes=37)
    store(connection, [("acme", "/a", 200, 5.0, began + n * timedelta(seconds=1)) for n in range(3600)])
    store(connection, [("late", "/a", 200, 5.0, began + timedelta(minutes=2, seconds=30))])
    if rolled:
        connection.execute(
            "UPDATE wf.request_marks SET minutes_from = %s, minutes_until = %s, hours_until = %s", [START, START, START]
        )
        connection.execute(
            "INSERT INTO wf.request_due SELECT 'minute', %s::timestamptz + n * interval '1 minute'"
            " FROM generate_series(0, 60) n ON CONFLICT DO NOTHING",
            [began],
        )
        connection.execute("SELECT wf.roll_up_requests()")
        roll_up(connection, 5)
    end = START + timedelta(hours=4)
    for minutes, known in ((5, 3), (15, 8), (30, 23)):
        step = timedelta(minutes=minutes)
        found = await telemetry.series(Scope(), START, end, step)
        first = next(index for index, point in enumerate(found.points) if point is not None)
        assert found.since == began and found.known_for(first) == timedelta(minutes=known), minutes
        assert found.known_for(first + 1) == step
        later = await telemetry.series(Scope(), began - timedelta(minutes=1), end, step)
        assert later.since == began, "also when the window begins with it"
        after = await telemetry.series(Scope(), began + timedelta(minutes=40), end, step)
        assert after.since is None
    assert (await telemetry.series(Scope("late"), START, end, timedelta(minutes=1))).since is None, (
        "others were counted"
    )
