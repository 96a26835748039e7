"""Rolling up and retention, against the plain sum over the rows: late rows, late commits, kills, days that go."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.rollups import Rollups
from controlplane.errors import Usage
from controlplane.telemetry.model import Histogram, RequestTelemetry, Scope, merge
from tests.postgres import Database

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Row = tuple[str, str, int, float | None, str | None, str | None, datetime]
SCOPES = (
    Scope(),
    Scope(route="/a"),
    Scope(region="eu"),
    Scope("acme"),
    Scope("acme", route="/b"),
    Scope("acme", key_prefix="wf_1"),
    Scope("acme", "/a", "wf_1"),
    Scope("beta", region="us"),
)


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@pytest.fixture
async def home(database: Database) -> AsyncIterator[Home]:
    home = Home(database.login("viewer"))
    await home.open()
    yield home
    await home.close()


@pytest.fixture
def now(connection: psycopg.Connection) -> datetime:
    """The minute that it is; minutes have been rolled up for a day."""
    connection.execute("UPDATE wf.request_marks SET minutes_from = date_trunc('hour', now()) - interval '1 day'")
    connection.execute("UPDATE wf.request_marks SET minutes_until = minutes_from, hours_until = minutes_from")
    return one(connection, "SELECT date_trunc('minute', now())").astimezone(UTC)


def one(connection: psycopg.Connection, query: str, values: list[Any] | None = None) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def traffic(until: datetime, minutes: int, count: int, seed: float = 1) -> list[Row]:
    chance = random.Random(seed)
    return [
        (
            chance.choice(["acme", "beta"]),
            chance.choice(["/a", "/b"]),
            chance.choice([200, 200, 404, 500]),
            None if chance.random() < 0.1 else chance.lognormvariate(3, 1),
            chance.choice([None, "wf_1", "wf_2"]),
            chance.choice([None, "eu", "us"]),
            until - timedelta(seconds=chance.random() * 60 * minutes),
        )
        for _ in range(count)
    ]


def store(connection: psycopg.Connection, rows: list[Row]) -> list[Row]:
    connection.cursor().executemany(
        "INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, key_prefix, region, at)"
        " VALUES (%s, %s, 'GET', %s, %s, %s, %s, %s)",
        rows,
    )
    return rows


def roll_up(connection: psycopg.Connection, minutes: int = 1440) -> tuple[int, int, int, int, int]:
    found: tuple[int, int, int, int, int] = one(connection, "SELECT * FROM wf.roll_up_requests(%s, 48)", [minutes])
    return found


def fits(scope: Scope, row: Row) -> bool:
    pairs = ((scope.tenant_id, row[0]), (scope.route, row[1]), (scope.key_prefix, row[4]), (scope.region, row[5]))
    return all(asked is None or asked == found for asked, found in pairs)


async def check(home: Home, rows: list[Row], start: datetime, end: datetime, step: timedelta) -> None:
    """Every scope's series is what the rows say."""
    for scope in SCOPES:
        series = await home.of(RequestTelemetry).series(scope, start, end, step)
        for at, point in zip(series.times(), series.points, strict=True):
            mine = [row for row in rows if fits(scope, row) and at <= row[6] < at + step]
            assert (point is None) == (not mine), (scope, at)
            if point is not None:
                assert (point.n, point.errors_5xx) == (len(mine), sum(row[2] == 500 for row in mine)), (scope, at)
                assert point.latency == merge([Histogram.of(row[3] for row in mine if row[3] is not None)])


def holds(connection: psycopg.Connection, table: str, rows: list[Row]) -> None:
    """The table has what the rows have, no more and no less."""
    found = one(connection, f"SELECT coalesce(sum(n), 0) FROM wf.{table} WHERE dim = 'route' AND tenant_id <> ''")
    assert found == len(rows)
    assert one(connection, f"SELECT coalesce(sum(n), 0) FROM wf.{table} WHERE dim = 'tenant'") == len(rows)
    of_fleet = f"SELECT coalesce(sum(n), 0) FROM wf.{table} WHERE tenant_id = '' AND dim = 'route' AND route = ''"
    assert one(connection, of_fleet) == len(rows)


@pytest.mark.parametrize("rolled", ["not at all", "in part", "wholly"])
async def test_every_scope_reads_what_the_rows_hold(
    connection: psycopg.Connection, home: Home, now: datetime, rolled: str
) -> None:
    rows = store(connection, traffic(now + MINUTE, 300, 900))
    if rolled != "not at all":
        roll_up(connection, 100 if rolled == "in part" else 1440)
        rows += store(connection, traffic(now + MINUTE, 1, 20, seed=2))  # newer than the last run
    await check(home, rows, now - 5 * HOUR, now + 2 * MINUTE, 7 * MINUTE)
    await check(home, rows, now - 6 * HOUR, now + HOUR, 2 * HOUR)


@pytest.mark.parametrize("table", ["minute", "hour"])
async def test_a_tenant_without_cells_of_its_own_is_read_by_its_routes(
    connection: psycopg.Connection, home: Home, now: datetime, table: str
) -> None:
    """As the hours are that were rolled up before there were such cells."""
    start = (now - 4 * HOUR).replace(minute=0)
    rows = store(connection, traffic(start + 2 * HOUR, 120, 600))
    roll_up(connection)
    connection.execute(
        f"DELETE FROM wf.request_{table}s WHERE dim = 'tenant' AND {table} < %s".encode(), [start + HOUR]
    )
    await check(home, rows, start, start + 2 * HOUR, HOUR if table == "hour" else 30 * MINUTE)


@pytest.mark.parametrize("seed", range(3))
async def test_quiet_hours_say_what_cells_say(
    connection: psycopg.Connection, home: Home, now: datetime, seed: int
) -> None:
    """Few requests, late ones, hours that are no longer quiet, and hours that are rolled up twice, in any order."""
    chance, start = random.Random(seed), (now - 4 * HOUR).replace(minute=0)
    rows: list[Row] = []
    for _ in range(7):
        until = start + timedelta(minutes=chance.randrange(30, 240))
        rows += store(connection, traffic(until, 30, chance.choice([1, 3, 9, 40]), seed=chance.random()))
        if chance.random() < 0.3:
            connection.execute("SELECT wf.roll_up_hours(%s, %s)", [start, until])
        roll_up(connection)
        assert roll_up(connection)[2] == 0
    await check(home, rows, start, start + 4 * HOUR, HOUR)
    await check(home, rows, start, start + 4 * HOUR, 5 * MINUTE)
    found = await Rollups(home).verify(start, start + 4 * HOUR)
    assert found.differences == () and found.cells > 50
    quiet, cells = "SELECT count(*) FROM wf.quiet_hours", "SELECT count(*) FROM wf.request_minutes WHERE dim = 'tenant'"
    assert one(connection, quiet) > 0 and (seed or one(connection, cells) > 0)
    twice = "SELECT count(*) FROM wf.quiet_hours q JOIN wf.request_hours c USING (tenant_id, hour)"
    assert one(connection, twice) == 0, "an hour is quiet or has cells"


def test_rolling_up_again_writes_nothing(connection: psycopg.Connection, now: datetime) -> None:
    store(connection, traffic(now, 200, 500))
    minutes, hours, cells, *left = roll_up(connection)
    assert minutes > 100 and hours >= 2 and cells > 500 and left == [0, 0]
    assert roll_up(connection)[2] == 0


async def test_a_fresh_home_has_minutes_of_what_was_before_it(connection: psycopg.Connection, home: Home) -> None:
    """As of a log that is imported first of all; until the first run its raw rows are read."""
    end = one(connection, "SELECT date_trunc('minute', now()) - interval '3 minutes'").astimezone(UTC)
    rows = store(connection, traffic(end, 60, 200))
    await check(home, rows, end - HOUR, end, 10 * MINUTE)
    roll_up(connection)
    holds(connection, "minute_cells('-infinity', 'infinity')", rows)
    await check(home, rows, end - HOUR, end, 10 * MINUTE)


async def test_late_rows_are_folded_in(connection: psycopg.Connection, home: Home, now: datetime) -> None:
    rows = store(connection, traffic(now, 200, 400))
    roll_up(connection)
    rows += store(connection, traffic(now - 90 * MINUTE, 60, 30, seed=3))
    roll_up(connection)
    await check(home, rows, now - 5 * HOUR, now, 10 * MINUTE)
    await check(home, rows, now - 5 * HOUR, now, HOUR)


def test_a_commit_that_comes_late_is_seen(connection: psycopg.Connection, database: Database, now: datetime) -> None:
    rows = traffic(now - 5 * MINUTE, 60, 40)
    with psycopg.connect(database.owner) as slow:
        store(slow, rows[:20])
        store(connection, rows[20:])  # of a later transaction, committed first
        roll_up(connection)
        holds(connection, "minute_cells('-infinity', 'infinity')", rows[20:])
        slow.commit()
    roll_up(connection)
    holds(connection, "minute_cells('-infinity', 'infinity')", rows)


def test_a_killed_run_neither_loses_nor_counts_twice(
    connection: psycopg.Connection, database: Database, now: datetime
) -> None:
    rows = store(connection, traffic(now - 2 * MINUTE, 400, 1200))
    chance = random.Random(5)
    for _ in range(8):
        with psycopg.connect(database.owner, autocommit=True) as roller:
            pid = roller.info.backend_pid
            killer = threading.Timer(chance.uniform(0.005, 0.4), _kill, [database.owner, pid])
            killer.start()
            with contextlib.suppress(psycopg.OperationalError):
                roller.execute("SELECT * FROM wf.roll_up_requests(40)")
            killer.join()
    assert any(roll_up(connection)[3] == 0 for _ in range(2))
    holds(connection, "minute_cells('-infinity', 'infinity')", rows)


async def test_a_clock_that_was_ahead_hides_nothing(connection: psycopg.Connection, home: Home, now: datetime) -> None:
    rows = store(connection, traffic(now + HOUR, 20, 60))  # as they were stamped then
    connection.execute(
        "UPDATE wf.request_marks SET minutes_until = %s, hours_until = date_trunc('hour', %s::timestamptz)",
        [now + HOUR] * 2,
    )
    rows += store(connection, traffic(now, 30, 60, seed=2))
    roll_up(connection)
    assert one(connection, "SELECT minutes_until <= now() AND hours_until <= now() FROM wf.request_marks")
    await check(home, rows, now - HOUR, now + 2 * HOUR, 10 * MINUTE)
    await check(home, rows, now - 2 * HOUR, now + 2 * HOUR, HOUR)


def _kill(conninfo: str, pid: int) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])


async def test_a_home_restored_on_another_server_is_looked_at_anew(
    connection: psycopg.Connection, home: Home, now: datetime
) -> None:
    rows = store(connection, traffic(now - 2 * MINUTE, 60, 100))
    connection.execute("UPDATE wf.request_marks SET before = 1 << 60")
    roll_up(connection)
    holds(connection, "minute_cells('-infinity', 'infinity')", rows)


def test_a_scope_that_is_not_kept_is_refused(home: Home) -> None:
    from backends.postgres.cells import check_scope

    for scope in (Scope(key_prefix="wf_1"), Scope("acme", "/a", region="eu"), Scope("")):
        with pytest.raises(Usage, match="scope_unreadable"):
            check_scope(scope)


def days(connection: psycopg.Connection, *ago: int) -> None:
    """Days so long ago, each with a row."""
    for each in ago:
        day = one(connection, "SELECT current_date - %s", [each])
        connection.execute("SELECT wf.ensure_request_days(%s, %s)", [day, day])
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        store(connection, [("acme", "/a", 200, 5.0, None, None, at)])


def drop_old(connection: psycopg.Connection, dry_run: bool = False) -> list[Any]:
    return connection.execute("SELECT data, part, waits FROM wf.drop_old_requests(%s)", [dry_run]).fetchall()


async def test_old_days_go_once_they_are_rolled_up(connection: psycopg.Connection, home: Home, now: datetime) -> None:
    days(connection, 3, 20, 21)
    names = [f"requests_{one(connection, 'SELECT current_date - %s', [ago]):%Y%m%d}" for ago in (21, 20)]
    assert drop_old(connection) == [("raw", name, "not rolled up yet") for name in names]
    roll_up(connection)
    assert drop_old(connection, dry_run=True) == [("raw", name, None) for name in names]
    assert one(connection, "SELECT count(*) FROM wf.requests") == 3
    assert drop_old(connection) == [("raw", name, None) for name in names]
    assert one(connection, "SELECT count(*) FROM wf.requests") == 1
    assert drop_old(connection) == []
    series = await home.of(RequestTelemetry).series(Scope("acme"), now - timedelta(days=22), now, timedelta(days=1))
    assert sum(point is not None for point in series.points) == 3, "hours outlive the raw rows"
    fine = await home.of(RequestTelemetry).series(Scope("acme"), now - timedelta(days=22), now, 17 * MINUTE)
    assert sum(point is not None for point in fine.points) == 1


def test_a_drop_behind_a_reader_gives_up(connection: psycopg.Connection, database: Database, now: datetime) -> None:
    days(connection, 20)
    roll_up(connection)
    with psycopg.connect(database.owner) as reader:
        reader.execute("SELECT count(*) FROM wf.requests")
        [(_, _, waits)] = drop_old(connection)
        assert waits == "somebody is reading"
    assert drop_old(connection)[0][2] is None


def test_late_rows_of_a_day_that_is_gone_take_nothing_away(connection: psycopg.Connection, now: datetime) -> None:
    days(connection, 20, 20, 20)
    roll_up(connection)
    drop_old(connection)
    days(connection, 20)
    roll_up(connection)
    assert one(connection, "SELECT max(n) FROM wf.hour_cells") == 3


def test_partitions_are_made_a_week_ahead_by_the_home_and_by_the_worker(connection: psycopg.Connection) -> None:
    assert one(connection, "SELECT wf.make_request_partitions()") == 0
    assert one(connection, "SELECT wf.make_request_partitions(9)") >= 4
    assert one(connection, "SELECT wf.make_request_partitions(9)") == 0
    ahead = connection.execute(
        "SELECT data, max(upper) > now() + interval '7 days', sum(rows) FILTER (WHERE part ~ 'default')"
        " FROM wf.telemetry_partitions() GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert ahead == [("hours", True, 0), ("minutes", True, 0), ("raw", True, 0)]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
async def test_no_time_zone_moves_a_bucket(
    connection: psycopg.Connection, database: Database, home: Home, zone: str
) -> None:
    """Over the nights in which clocks change: hours are those of UTC, whatever the roller's session thinks."""
    rows: list[Row] = []
    for night in (datetime(2025, 3, 9, 4, tzinfo=UTC), datetime(2025, 4, 5, 12, tzinfo=UTC)):
        rows += traffic(night + 8 * HOUR, 960, 100, seed=night.day)
    with psycopg.connect(database.owner, autocommit=True, options=f"-c timezone={zone}") as elsewhere:
        store(elsewhere, rows)
        roll_up(elsewhere)
        crooked = "SELECT count(*) FROM wf.hour_cells WHERE date_bin('1 hour', hour, 'epoch') <> hour"
        assert one(elsewhere, crooked) == 0
    for start in (datetime(2025, 3, 8, 20, tzinfo=UTC), datetime(2025, 4, 5, 4, tzinfo=UTC)):
        await check(home, rows, start, start + 16 * HOUR, HOUR)
