"""Periods of zones that are not on whole hours, and of those whose clocks change at odd times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from controlplane.subscriptions.periods import began
from tests.backends.psql import Psql, logins, one
from tests.backends.subscriptions import TENANTS, give
from tests.postgres import Database

ZONES = (
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour forward and back
    "Pacific/Chatham",  # an hour, at a quarter to
    "America/Havana",  # a midnight that is twice
    "Africa/Cairo",  # a midnight that is skipped
    "America/Santiago",
    "America/St_Johns",
    "Australia/Adelaide",
    "Asia/Tehran",
    "Africa/Casablanca",
    "Europe/Berlin",
    "Pacific/Kiritimati",
)
# Every quarter of an hour in the two days around each change of the clocks.
AROUND = """
WITH hours AS (SELECT h, (h AT TIME ZONE %(zone)s) - (h AT TIME ZONE 'UTC') AS offset
               FROM generate_series('2026-01-01Z'::timestamptz, '2027-12-31Z', interval '1 hour') h),
changes AS (SELECT h FROM (SELECT h, offset, lag(offset) OVER (ORDER BY h) AS before FROM hours) c
            WHERE offset <> before UNION ALL SELECT '2026-11-01Z')
SELECT t, wf.period_start(%(period)s, t, %(zone)s), wf.period_end(%(period)s, t, %(zone)s)
FROM changes, generate_series(h - interval '1 day', h + interval '1 day', interval '15 minutes') t
ORDER BY t
"""


@pytest.fixture
def psql(database: Database) -> Any:
    with logins(database) as connect:
        connect("owner").execute(TENANTS)
        yield connect


@pytest.mark.parametrize("period", ["hour", "day", "month"])
@pytest.mark.parametrize("zone", ZONES)
def test_every_time_is_in_one_period_and_both_sides_know_which(database: Database, zone: str, period: str) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("SET timezone = 'America/Havana'")
        rows = connection.execute(
            AROUND.replace("offset", "shift").encode(), {"zone": zone, "period": period}
        ).fetchall()
    assert rows
    before = None
    for at, start, end in ([at.astimezone(UTC) for at in row] for row in rows):
        assert start <= at < end, at
        assert before is None or (start, end) == before or start >= before[1], at
        assert began(period, at, zone) == start, at
        before = start, end


def _instants(zone: str, period: str) -> tuple[datetime, datetime]:
    """Two times of a period to come, its beginning and much later."""
    start = began(period, datetime(2099, 3, 20, 15, 0, tzinfo=UTC), zone)
    return start, start + {"hour": timedelta(minutes=50), "day": timedelta(hours=20), "month": timedelta(days=20)}[
        period
    ]


@pytest.mark.parametrize("period", ["hour", "day", "month"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham"])
def test_rolling_up_changes_no_number_of_a_period(psql: Psql, zone: str, period: str) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute("UPDATE wf.subscriptions SET billing_zone = %s WHERE tenant_id = 'acme'", [zone])
    give(psql, "calls", {"hard": 10_000, "period": period})
    start, now = _instants(zone, period)
    used = {
        start - timedelta(hours=1): 100_000,
        start - timedelta(seconds=1): 10_000,
        start: 1000,
        start + timedelta(minutes=14): 100,
        start + timedelta(minutes=29): 10,
        now: 1,
        now + timedelta(seconds=1): 20_000,
    }
    for at, amount in used.items():
        service.execute("SELECT wf_data.record_usage('acme', 'calls', %s, %s)", [amount, at])
    recorded = "SELECT recorded::int FROM wf.usage_of('acme', %s) WHERE metric = 'calls'"
    assert one(owner, recorded, now) == (1111,)
    psql("worker").execute("SELECT wf.roll_up_usage()")
    assert one(owner, recorded, now) == (1111,)
    service.execute("SELECT wf_data.record_usage('acme', 'calls', 5, %s)", [start + timedelta(minutes=1)])
    assert one(owner, recorded, now) == (1116,)
