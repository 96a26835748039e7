"""How a tenant's keys are used: window and baseline of all its keys from the hour cells, in one statement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.postgres.cells import HOUR, read_marks
from controlplane.errors import Usage
from controlplane.telemetry.anomalies import DENIED, KeyUsage, Limits, Slice, UsageReport, judge

if TYPE_CHECKING:
    from backends.postgres.home import Connection, Home

MAX_BASELINE_HOURS = 90 * 24
MAX_KEYS_EXPLAINED = 200

# A bucket stands for the value that controlplane.telemetry.model.value_of gives it.
SLICES = """
SELECT value, route, hour >= %(start)s AS recent, sum(n)::bigint, sum(n::float8 * n), sum(errors_4xx)::bigint,
       sum(errors_5xx)::bigint, coalesce(sum(known), 0)::bigint, coalesce(sum(latency_sum), 0)::float8,
       coalesce(sum(squares), 0)::float8
FROM wf.request_hours c, LATERAL (
  SELECT sum(u.n) AS known, sum(u.n * power(0.1 * power(1.04::float8, u.bucket) * 2 / 2.04, 2)) AS squares
  FROM unnest(c.buckets, c.counts) AS u(bucket, n)) l
WHERE tenant_id = %(tenant)s AND dim = 'key' AND hour >= %(baseline)s AND hour < %(end)s
  AND (%(key)s::text IS NULL OR value = %(key)s)
GROUP BY 1, 2, 3
"""
# Hours without any data do not count as hours without requests. Nor do hours before any key of the tenant was first
# named, or every key would look new when services begin to name keys.
HOURS = """
WITH first AS (SELECT min(hour) AS at FROM wf.request_hours WHERE tenant_id = %(tenant)s AND dim = 'key')
SELECT count(DISTINCT hour) FILTER (WHERE hour < %(start)s), count(DISTINCT hour) FILTER (WHERE hour >= %(start)s)
FROM wf.request_hours, first
WHERE tenant_id IN ('', %(tenant)s) AND dim = 'route' AND hour >= %(baseline)s AND hour < %(end)s AND hour >= first.at
"""
STATUSES = """
SELECT key_prefix, route, status, count(*) FROM wf.requests
WHERE tenant_id = %(tenant)s AND at >= %(start)s AND at < %(end)s AND status = ANY(%(denied)s)
  AND (key_prefix, route) IN (SELECT * FROM unnest(%(keys)s::text[], %(routes)s::text[])) GROUP BY 1, 2, 3
"""


async def read_key_usage(
    home: Home, tenant_id: str, window: int, baseline: int, limits: Limits, key_prefix: str | None
) -> UsageReport:
    """See `RequestTelemetry.key_usage`."""
    if not 1 <= window <= MAX_BASELINE_HOURS or not 1 <= baseline <= MAX_BASELINE_HOURS:
        raise Usage("window_unreadable", f"Window and baseline are 1 to {MAX_BASELINE_HOURS:,} whole hours.")
    async with home.connection() as connection:
        marks = await read_marks(connection)
        end = marks.hours_until
        start, first = end - window * HOUR, end - (window + baseline) * HOUR
        values: dict[str, Any] = {"tenant": tenant_id, "start": start, "baseline": first, "end": end, "key": key_prefix}
        row = await (await connection.execute(HOURS, values)).fetchone()
        rows = await (await connection.execute(SLICES, values)).fetchall()
        assert row is not None
        found = _judged(tenant_id, rows, row, limits)
        strange = [usage for usage in found if usage.signals][:MAX_KEYS_EXPLAINED]
        denied = await _denied(connection, strange, values) if strange and start >= marks.raw_from else None
    if denied is not None:
        explained = [replace(usage, denied=denied.get((usage.key_prefix, usage.route), {})) for usage in strange]
        found = explained + found[len(strange) :]
    return UsageReport(first, start, end, tuple(found), marks.now)


def _judged(tenant_id: str, rows: list[Any], hours: Any, limits: Limits) -> list[KeyUsage]:
    slices: dict[tuple[str, str], dict[bool, Slice]] = {}
    for key, route, recent, *sums in rows:
        slices.setdefault((key, route), {})[recent] = Slice(hours[1] if recent else hours[0], *sums)
    found = []
    for (key, route), of in slices.items():
        before, now = of.get(False, Slice(hours[0])), of.get(True, Slice(hours[1]))
        found.append(KeyUsage(tenant_id, key, route, now, before, judge(now, before, limits)))
    return sorted(found, key=lambda usage: (not usage.signals, -usage.recent.n, usage.key_prefix, usage.route))


async def _denied(
    connection: Connection, strange: list[KeyUsage], values: dict[str, Any]
) -> dict[tuple[str, str], dict[int, int]]:
    named = {"keys": [usage.key_prefix for usage in strange], "routes": [usage.route for usage in strange]}
    cursor = await connection.execute(STATUSES, values | named | {"denied": list(DENIED)})
    found: dict[tuple[str, str], dict[int, int]] = {}
    for key, route, status, number in await cursor.fetchall():
        found.setdefault((key, route), {})[status] = number
    return found
