"""How the charts look, frozen: each at both sizes and in 16 colours, on eight days that are long over."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from controlplane.telemetry.model import Histogram, bucket_of
from tests.postgres import Database, Server
from tests.screens.test_snapshots import NARROW, WIDE, frozen, steps

END = datetime(2025, 11, 21, 12, tzinfo=UTC)
GAP = range(54, 59)
"""Hours before the end of which nothing is stored."""
SPIKE = range(30, 34)
ROWS = """
SELECT wf.begin_change('tenants.suspend', 'three chargebacks', 'r-1');
UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'chargebacks' WHERE id = 'acme';
SELECT wf.begin_change('tenants.resume', 'paid', 'r-2');
UPDATE wf.tenants SET status = 'active', suspended_at = NULL, suspension_reason = NULL WHERE id = 'acme';
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET actor = 'ana', at = CASE operation WHEN 'tenants.suspend' THEN timestamptz '2025-11-20T05:10Z'
  WHEN 'tenants.resume' THEN '2025-11-20T10:10Z' ELSE '2020-01-01Z' END;
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
"""
CELL = (
    "INSERT INTO wf.request_hours (tenant_id, route, hour, n, errors_4xx, errors_5xx, latency_sum, latency_max,"
    " buckets, counts, dim, value) VALUES (%s, %s, %s, %s, %s, %s, NULL, NULL, %s, %s, 'route', '')"
)


def cells(tenant: str, route: str, size: int, middle: float) -> list[tuple[Any, ...]]:
    rows = []
    for back in range(24 * 15):
        hour = END - (back + 1) * timedelta(hours=1)
        if back in GAP:
            continue
        slow = 6.0 if back in SPIKE else 1.0
        n = round(size * (1.2 + math.sin((hour.hour - 8) / 24 * 2 * math.pi)))
        spread = {bucket_of(middle * slow * factor): share for factor, share in SPREAD.items()}
        counts = {bucket: max(1, round(n * share)) for bucket, share in spread.items()}
        found = Histogram(tuple(sorted(counts)), tuple(counts[bucket] for bucket in sorted(counts)))
        failed = n // 8 if back in SPIKE else n // 400
        rows.append((tenant, route, hour, found.n, n // 40, failed, list(found.buckets), list(found.counts)))
    return rows


SPREAD = {0.3: 0.05, 0.6: 0.2, 1.0: 0.4, 1.6: 0.2, 2.6: 0.1, 5.0: 0.04, 11.0: 0.01}


@pytest.fixture(scope="module")
def template_database(postgres_server: Server, template_database: str) -> Iterator[str]:
    with postgres_server.database(template_database) as estate:
        with psycopg.connect(estate.owner) as owner:
            fill(owner)
        yield estate.name


def fill(owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'growth'), ('globex', 'Globex', 'pro')"
    )
    wanted = (
        ("acme", "/v1/orders", 900, 40.0),
        ("acme", "/v1/users", 300, 25.0),
        ("globex", "/v1/orders", 500, 90.0),
    )
    for each in wanted:
        owner.cursor().executemany(CELL, cells(*each))
    owner.execute("SELECT wf.put_fleet('request_hours', 'hour', '2025-11-01Z', '2025-11-22Z')")
    owner.execute(ROWS)


@pytest.fixture
def estate(database: Database) -> Database:
    return database


WEEK = ":telemetry tenant:acme p95>250ms errors>3 compare:week window:2025-11-14T12:00..2025-11-21T12:00"
FLEET = ":telemetry window:2025-11-14T12:00..2025-11-21T12:00"
GAPPED = ":telemetry tenant:acme at:2025-11-19T03:00 window:2025-11-18T12:00..2025-11-20T12:00"
SHOTS: dict[str, tuple[str, ...]] = {
    "requests": (WEEK,),
    "errors": (WEEK, "tab"),
    "error_share": (WEEK, "tab", "tab"),
    "latency": (WEEK, "tab", "tab", "tab", "b"),
    "saturation": (WEEK, *("tab",) * 4),
    "heat": (WEEK, *("tab",) * 5),
    "top": (FLEET, "shift+tab", "o"),
    "mark": (WEEK, "n"),
    "gap": (GAPPED,),
    "many": (":telemetry tenant:acme,globex window:2025-11-14T12:00..2025-11-21T12:00", "tab", "tab", "tab", "b"),
    "no_data": (":telemetry window:2025-06-01..2025-06-02",),
}


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(estate: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(estate), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["errors", "latency", "saturation", "many", "top", "gap", "no_data"])
def test_wide(estate: Database, snap_compare: Any, name: str) -> None:
    """All of them are seen together there."""
    assert snap_compare(frozen(estate), terminal_size=WIDE, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", [name for name in SHOTS if name not in ("no_data", "mark", "gap")])
def test_sixteen_colours(estate: Database, snap_compare: Any, name: str) -> None:
    app = frozen(estate, theme="sixteen")
    assert snap_compare(app, terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["latency", "saturation", "top"])
def test_sixteen_colours_wide(estate: Database, snap_compare: Any, name: str) -> None:
    app = frozen(estate, theme="sixteen")
    assert snap_compare(app, terminal_size=WIDE, run_before=steps(*SHOTS[name]))
