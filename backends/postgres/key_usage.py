"""How keys are used: window and baseline from the hour cells, in one statement; of one tenant for people, of all that
may be unusual for their detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from backends.postgres.cells import HOUR, read_marks
from backends.postgres.statements import Connection
from controlplane.errors import Usage
from controlplane.telemetry.anomalies import (
    BASELINE,
    DENIED,
    WINDOW,
    KeyUsage,
    Limits,
    Peers,
    Slice,
    UsageReport,
    judge,
)

if TYPE_CHECKING:
    from backends.postgres.home import Home

MAX_BASELINE_HOURS = 90 * 24
MAX_KEYS_EXPLAINED = 200
MAX_CANDIDATES = 5_000
"""Keys that the detector judges: those that differ most."""

# A row per window of each key and route: `back` is -1 for the judged one, 0 for the one before it, and so on. A bucket
# stands for the value that controlplane.telemetry.model.value_of gives it.
SLICES: LiteralString = """
SELECT c.tenant_id, c.value, c.route,
       CASE WHEN c.hour >= %(start)s THEN -1
            ELSE ceil(extract(epoch FROM %(until)s - c.hour) / %(seconds)s)::integer - 1 END AS back,
       sum(c.n)::bigint, sum(c.n::float8 * c.n), sum(c.errors_4xx)::bigint, sum(c.errors_5xx)::bigint,
       coalesce(sum(l.known), 0)::bigint, coalesce(sum(c.latency_sum), 0)::float8, coalesce(sum(l.squares), 0)::float8
FROM {named}, LATERAL (
  SELECT h.tenant_id, h.value, h.route, h.hour, h.n, h.errors_4xx, h.errors_5xx, h.latency_sum, h.buckets, h.counts
  FROM wf.hour_cells h
  WHERE h.dim = 'key' AND h.hour >= %(baseline)s AND h.hour < %(end)s AND (h.hour < %(until)s OR h.hour >= %(start)s)
    AND {of} OFFSET 0) c, LATERAL (
  SELECT sum(u.n) AS known, sum(u.n * power(0.1 * power(1.04::float8, u.bucket) * 2 / 2.04, 2)) AS squares
  FROM unnest(c.buckets, c.counts) AS u(bucket, n)) l
GROUP BY 1, 2, 3, 4
"""
OF_TENANT: LiteralString = SLICES.format(
    named="(VALUES (true)) AS all_of_it", of="h.tenant_id = %(tenant)s AND (%(key)s::text IS NULL OR h.value = %(key)s)"
)
OF_CANDIDATES: LiteralString = SLICES.format(
    named="unnest(%(tenants)s::text[], %(keys)s::text[], %(routes)s::text[]) AS named(tenant_id, value, route)",
    of="h.tenant_id = named.tenant_id AND h.value = named.value AND h.route = named.route",
)
# Hours without any data do not count as hours without requests. Nor do hours before any key of the tenant was first
# named, or every key would look new when services begin to name keys; that hour is found by the indexes, not computed.
HOURS: LiteralString = """
WITH first AS (
  SELECT t.id, least(
    (SELECT min(f.hour) FROM wf.request_hours f WHERE f.tenant_id = t.id AND f.dim = 'key'),
    (SELECT q.hour FROM wf.quiet_hours q WHERE q.tenant_id = t.id
       AND EXISTS (SELECT FROM unnest(q.requests) e WHERE e.key IS NOT NULL) ORDER BY q.hour LIMIT 1)) AS at
  FROM (SELECT DISTINCT id FROM unnest(%(tenants)s::text[]) AS a(id)) t
)
SELECT first.id, CASE WHEN h.hour >= %(start)s THEN -1
                      ELSE ceil(extract(epoch FROM %(until)s - h.hour) / %(seconds)s)::integer - 1 END,
       count(DISTINCT h.hour)
FROM first CROSS JOIN LATERAL (
  SELECT h.hour FROM wf.hour_cells h WHERE h.tenant_id IN ('', first.id) AND h.dim = 'route' AND h.hour >= %(baseline)s
    AND h.hour < %(end)s AND (h.hour < %(until)s OR h.hour >= %(start)s) AND h.hour >= first.at OFFSET 0) h
GROUP BY 1, 2
"""
CANDIDATES: LiteralString = """
SELECT tenant_id, value, route, key_id, fewest, times, errors, peers, peers_middle, peers_spread
FROM wf.usage_candidates(%(start)s, %(end)s, %(from_day)s, %(until_day)s, %(slower)s, %(server_share)s,
                         %(client_share)s, %(most)s)
"""
STATUSES: LiteralString = """
SELECT key_prefix, route, status, count(*) FROM wf.requests
WHERE tenant_id = %(tenant)s AND at >= %(start)s AND at < %(end)s AND status = ANY(%(denied)s)
  AND (key_prefix, route) IN (SELECT * FROM unnest(%(keys)s::text[], %(routes)s::text[])) GROUP BY 1, 2, 3
"""

Name = tuple[str, str, str]
"""Tenant, key and route."""


class Candidate(NamedTuple):
    """A key that may be unusual on a route, the limits that hold for it, and what the keys of its plan do."""

    name: Name
    key_id: str | None
    limits: Limits
    peers: Peers | None


async def read_key_usage(
    home: Home, tenant_id: str, window: int, baseline: int, limits: Limits, key_prefix: str | None
) -> UsageReport:
    """See `RequestTelemetry.key_usage`."""
    if not 1 <= window <= MAX_BASELINE_HOURS or not 1 <= baseline <= MAX_BASELINE_HOURS:
        raise Usage("window_unreadable", f"Window and baseline are 1 to {MAX_BASELINE_HOURS:,} whole hours.")
    async with home.connection() as connection:
        marks = await read_marks(connection)
        values = _span(marks.hours_until, window, baseline) | {"tenant": tenant_id, "key": key_prefix}
        sliced = await _slices(connection, OF_TENANT, values | {"tenants": [tenant_id]}, window)
        found = sorted(
            (KeyUsage(*name, now, before, judge(now, before, limits)) for name, (now, before) in sliced.items()),
            key=lambda usage: (not usage.signals, -usage.recent.n, usage.key_prefix, usage.route),
        )
        strange = [usage for usage in found if usage.signals][:MAX_KEYS_EXPLAINED]
        kept = values["start"] >= marks.raw_from
        denied = await _denied(connection, strange, values) if strange and kept else None
    if denied is not None:
        explained = [replace(usage, denied=denied.get((usage.key_prefix, usage.route), {})) for usage in strange]
        found = explained + found[len(strange) :]
    return UsageReport(values["baseline"], values["start"], values["end"], tuple(found), marks.now)


async def unusual_keys(connection: Connection) -> list[tuple[KeyUsage, str | None]]:
    """The unusual keys of all tenants, each with its id where that is known: by one cheap statement that finds those
    that may be, and then by the same rule as for one tenant.
    """
    marks = await read_marks(connection)
    values, usual = span_of_days(marks.hours_until), Limits()
    asked = {name: getattr(usual, name) for name in ("slower", "server_share", "client_share")}
    rows = await (await connection.execute(CANDIDATES, values | asked | {"most": MAX_CANDIDATES})).fetchall()
    candidates = [_candidate(row, usual) for row in rows]
    columns = zip(*(each.name for each in candidates), strict=True) if candidates else ((), (), ())
    named = dict(zip(("tenants", "keys", "routes"), map(list, columns), strict=True))
    sliced = await _slices(connection, OF_CANDIDATES, values | named, WINDOW)
    found = []
    for name, key_id, limits, peers in candidates:
        now, before = sliced.get(name, (Slice(), Slice()))
        if signals := judge(now, before, limits, peers):
            found.append((KeyUsage(*name, now, before, signals), key_id))
    return found


def _candidate(row: Sequence[Any], usual: Limits) -> Candidate:
    limits = replace(usual, fewest=int(row[4]), times=row[5], errors=row[6])
    peers = None if row[8] is None else Peers(row[7], row[8], row[9])
    return Candidate((row[0], row[1], row[2]), row[3], limits, peers)


def _span(end: datetime, window: int, baseline: int) -> dict[str, Any]:
    """The window [start, end), and the baseline [baseline, until) right before it."""
    start, first = end - window * HOUR, end - (window + baseline) * HOUR
    return {"start": start, "baseline": first, "until": start, "end": end, "seconds": window * 3600}


def span_of_days(end: datetime) -> dict[str, Any]:
    """The same for the detector: its baseline is the whole days of UTC that were over when the window began, because
    their sums are kept. So up to a day before the window counts for neither.
    """
    start = (end - WINDOW * HOUR).astimezone(UTC)
    until = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = until - BASELINE * HOUR
    days = {"from_day": first.date(), "until_day": until.date()}
    return {"start": start, "baseline": first, "until": until, "end": end, "seconds": WINDOW * 3600, **days}


async def _slices(
    connection: Connection, of: LiteralString, values: dict[str, Any], window: int
) -> dict[Name, tuple[Slice, Slice]]:
    """The judged slice and the baseline of each key and route. `values` names the tenants whose hours count."""
    hours: dict[str, dict[int, int]] = {}
    for tenant, back, number in await (await connection.execute(HOURS, values, prepare=False)).fetchall():
        hours.setdefault(tenant, {})[back] = number
    rows = await (await connection.execute(of, values, prepare=False)).fetchall()
    sums: dict[Name, dict[int, Sequence[Any]]] = {}
    for tenant, key, route, back, *counts in rows:
        sums.setdefault((tenant, key, route), {})[back] = counts
    return {name: _sliced(windows, hours.get(name[0], {}), window) for name, windows in sums.items()}


def _sliced(sums: dict[int, Sequence[Any]], hours: dict[int, int], window: int) -> tuple[Slice, Slice]:
    before = [counts for back, counts in sums.items() if back >= 0]
    whole = [back for back, number in hours.items() if back >= 0 and number == window]
    windows = tuple(sums[back][0] / window if back in sums else 0.0 for back in sorted(whole))
    recent = Slice(hours.get(-1, 0), *sums.get(-1, ()))
    baseline = Slice(
        sum(n for back, n in hours.items() if back >= 0), *(sum(each) for each in zip(*before, strict=True))
    )
    return recent, replace(baseline, windows=windows)


async def _denied(
    connection: Connection, strange: list[KeyUsage], values: dict[str, Any]
) -> dict[tuple[str, str], dict[int, int]]:
    named = {"keys": [usage.key_prefix for usage in strange], "routes": [usage.route for usage in strange]}
    cursor = await connection.execute(STATUSES, values | named | {"denied": list(DENIED)})
    found: dict[tuple[str, str], dict[int, int]] = {}
    for key, route, status, number in await cursor.fetchall():
        found.setdefault((key, route), {})[status] = number
    return found
