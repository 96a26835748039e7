"""All detectors over a whole estate, against asking tenant by tenant in the same database; and the exact counts of
stale keys. Measured by the clock, and by the processor time of the server and of this program, which says more when the
machine is busy.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import psycopg

from backends.postgres.detectors import EVALUATE, found_by
from benchmarks.dataplane import KEYS, ONE_TENANT
from benchmarks.estate import Estate, estate
from benchmarks.figures import Figure, middle
from benchmarks.objectives import _CELLS as OBJECTIVES

TENANTS, TENANTS_SMALL = 10_000, 40
FEW_KEYS, MANY_KEYS = 20, 100
"""Of each tenant."""
SAMPLE = 200
"""Tenants that are asked one by one; all would take as many times longer."""
RUNS = 3
NEW_REQUESTS = 20_000
"""Since the last evaluation."""
MOST_STALE_MS, MOST_MS, MOST_SHARE = 150.0, 5000.0, 0.01
# Five keys of each tenant are used, each in every fourth hour of thirty days; a few lately far more than before.
_TELEMETRY = """
INSERT INTO wf.request_hours (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, latency_sum, latency_max,
                              buckets, counts)
SELECT 'tenant-' || lpad(t::text, 7, '0'), 'key', 'wf_live_' || k * {tenants} + t - 1, '/orders', h,
       CASE WHEN t % 500 = 0 AND h > now() - interval '1 day' THEN 900 ELSE 100 + (t + k) % 7 END, 1, 0, 5000, 90,
       '{{150,160}}', '{{60,40}}'
FROM generate_series(1, {tenants}) t, generate_series(1, 5) k,
     generate_series(date_trunc('hour', now()) - interval '{days} days' + k * interval '1 hour',
                     now() - interval '1 hour', interval '4 hours') h;
INSERT INTO wf.request_hours (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, buckets, counts)
SELECT '', 'route', '', '', h, 1, 0, 0, '{{}}', '{{}}'
FROM generate_series(date_trunc('hour', now()) - interval '{days} days', now() - interval '1 hour', interval '1 hour') h
ON CONFLICT DO NOTHING;
UPDATE wf.request_marks SET rolled_at = now(), hours_until = date_trunc('hour', now()),
  minutes_until = date_trunc('minute', now())
"""
_REQUESTS = """
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, key_prefix, key_id, at)
SELECT 'tenant-' || lpad((1 + n % {tenants})::text, 7, '0'), '/orders', 'GET', 200, 20, 'wf_live_' || n,
       'key_' || lpad(n::text, 26, '0'), now() - n * interval '86400 seconds' / {number}
FROM generate_series(1, {number}) n
"""
# A hundred dead jobs among many, quotas near their end, trials, and a week of notices on fifty routes.
_REST = """
INSERT INTO wf.jobs (kind, tenant_id, state, ended_at, run_at)
SELECT 'deliver', 'tenant-' || lpad((1 + n % {tenants})::text, 7, '0'),
       CASE WHEN n % 2000 = 0 THEN 'dead' ELSE 'canceled' END, now(), now() FROM generate_series(1, 20 * {tenants}) n;
INSERT INTO wf.quotas_near SELECT 'tenant-' || lpad(t::text, 7, '0'), 'api_calls', 80 + t % 25, 100,
  (80 + t % 25) / 100.0, now() + interval '1 day' FROM generate_series(1, {tenants}, 10) t;
INSERT INTO wf.quotas_looked (at) VALUES (now());
INSERT INTO wf.subscriptions (tenant_id, state, trial_plan, trial_version, trial_start, trial_end, trial_return)
SELECT id, CASE hashtext(id) % 100 WHEN 0 THEN 'trial' ELSE 'active' END, 'pro', 1, now(),
       now() + (1 + abs(hashtext(id) % 3000)) * interval '10 minutes', 'expired' FROM wf.tenants ON CONFLICT DO NOTHING;
INSERT INTO wf.routes (name, channel, target)
SELECT 'r' || n, 'webhook', 'https://a.example' FROM generate_series(1, 50) n;
INSERT INTO wf.deliveries (key, route_id, group_key, number, tenant_id, action, reason, severity, event_type, summary,
                           notice, state, attempts, created_at, ended_at)
SELECT 'msg_' || repeat('0', 40), r.id, md5(r.name) || md5(''), n, 'tenant-' || lpad((1 + n % {tenants})::text, 7, '0'),
       'trigger', 'first_notification', 'error', 'jobs_dead', 'x', '{{}}',
       CASE WHEN n % 97 = 0 THEN 'failed' ELSE 'delivered' END, 1, now() - n * interval '7 days' / ({tenants} / 2),
       now()
FROM wf.routes r, generate_series(1, {tenants} / 2) n
"""
_PLANS = """
INSERT INTO wf.thresholds (detector, name, plan, value) SELECT 'key_rotation_sla_failed', 'max_age', p, 30 + n
FROM unnest(ARRAY['trial', 'starter', 'growth', 'pro', 'enterprise']) WITH ORDINALITY AS u(p, n) ON CONFLICT DO NOTHING
"""
# What a program that goes from tenant to tenant would ask for each; every one by an index, prepared.
_BY_TENANT = (
    ONE_TENANT.replace("tenant_id = %s", "tenant_id = %(tenant)s"),
    """SELECT value, route, sum(n) FILTER (WHERE hour >= now() - interval '25 hours'), sum(n), sum(errors_4xx),
         sum(errors_5xx), sum(latency_sum) FROM wf.request_hours
       WHERE tenant_id = %(tenant)s AND dim = 'key' AND hour >= now() - interval '193 hours' GROUP BY 1, 2""",
    "SELECT * FROM wf.quotas_near WHERE tenant_id = %(tenant)s",
    "SELECT kind, count(*), min(ended_at) FROM wf.jobs WHERE tenant_id = %(tenant)s AND state = 'dead' GROUP BY kind",
    "SELECT state, trial_end FROM wf.subscriptions WHERE tenant_id = %(tenant)s",
    """SELECT r.tenant_id, count(*)
       FROM wf.api_keys k JOIN wf.requests r ON r.key_id = k.id AND r.tenant_id <> k.tenant_id
       WHERE k.tenant_id = %(tenant)s AND r.at >= now() - interval '15 minutes' GROUP BY 1""",
    """SELECT route_id, state, count(*) FROM wf.deliveries
       WHERE tenant_id = %(tenant)s AND created_at >= now() - interval '7 days' GROUP BY 1, 2""",
    """SELECT sum(n), sum(errors_5xx) FROM wf.request_hours
       WHERE tenant_id = %(tenant)s AND dim = 'route' AND hour >= now() - interval '30 days'""",
)


class Cost(NamedTuple):
    """In ms: by the clock, and of the processor, the server's and ours."""

    wall: float
    cpu: float


def run(small: bool) -> list[Figure]:
    with estate() as home:
        return measure(home, small)


def measure(home: Estate, small: bool) -> list[Figure]:
    tenants = TENANTS_SMALL if small else TENANTS
    home.fill(tenants)
    with home.without_worker(), psycopg.connect(home.owner, autocommit=True) as owner:
        owner.execute("SET synchronous_commit = off; SET max_parallel_workers_per_gather = 0")
        _load(owner, KEYS.format(tenants=tenants) % (1, FEW_KEYS * tenants), _PLANS)
        _count(owner)
        figures = [_stale(owner, tenants, small)]
        keys = MANY_KEYS * tenants
        _load(owner, KEYS.format(tenants=tenants) % (FEW_KEYS * tenants + 1, keys))
        _count(owner)
        sizes = {"tenants": tenants, "days": 3 if small else 30, "number": keys}
        owner.execute("SELECT wf.ensure_request_days(current_date - 1, current_date)")
        _load(owner, OBJECTIVES.format(tenants=min(tenants, 1000), days=sizes["days"]))
        _load(owner, _TELEMETRY.format(**sizes), _REQUESTS.format(**sizes))
        while owner.execute("SELECT wf.keep_objectives()").fetchone() != (0,):
            pass
        figures.append(_days(owner, tenants))
        _load(owner, _REST.format(**sizes))
        return figures + asyncio.run(_all(home.owner, tenants, keys, small))


def _load(owner: psycopg.Connection, *texts: str) -> None:
    """Without triggers."""
    owner.execute("SET session_replication_role = replica")
    for text in texts:
        for statement in text.split(";\n"):
            owner.execute(statement.encode())
    owner.execute("SET session_replication_role = origin")
    owner.execute("VACUUM ANALYZE")


def _count(owner: psycopg.Connection) -> None:
    """As the triggers and a worker would have."""
    owner.execute("INSERT INTO wf.live_keys_due SELECT id FROM wf.tenants")
    while owner.execute("SELECT wf.count_live_keys()").fetchone() != (0,):
        pass
    owner.execute("VACUUM ANALYZE wf.live_keys")
    owner.execute("VACUUM ANALYZE wf.live_keys_due")


def _cpu(pid: int) -> float:
    """Milliseconds of the processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _days(owner: psycopg.Connection, tenants: int) -> Figure:
    """What keys did each day, summed for the first time, as a worker does it in bites."""
    began, used = time.perf_counter(), _cpu(owner.info.backend_pid)
    while owner.execute("SELECT wf.keep_key_days()").fetchone() != (0,):
        pass
    wall, cpu = time.perf_counter() - began, _cpu(owner.info.backend_pid) - used
    found = owner.execute("SELECT count(DISTINCT day) FROM wf.key_days").fetchone()
    days = found[0] if found else 1
    owner.execute("VACUUM ANALYZE wf.key_days")
    claim = f"a day of the keys of {tenants:,} tenants summed"
    return Figure(claim, wall * 1000 / days, "ms", cpu / days, "of the processor")


def _stale(owner: psycopg.Connection, tenants: int, small: bool) -> Figure:
    pid = owner.info.backend_pid
    walls, cpus = [], []
    for _ in range(1 if small else 20):  # many, because the processor's clock ticks every 10 ms
        began, used = time.perf_counter(), _cpu(pid)
        owner.execute("SELECT sum(keys), sum(stale), sum(warned) FROM wf.key_ages(NULL, '21 days', NULL)").fetchone()
        walls.append((time.perf_counter() - began) * 1000)
        cpus.append(_cpu(pid) - used)
    ours, spread = middle(walls)
    claim = f"exact counts of stale keys, {tenants:,} tenants, {FEW_KEYS * tenants:,} keys, a limit for each plan"
    mean, met = sum(cpus) / len(cpus), ours <= MOST_STALE_MS
    return Figure(claim, ours, "ms", mean, "of the processor", f"≤ {MOST_STALE_MS:.0f} ms", met, spread)


async def _all(conninfo: str, tenants: int, keys: int, small: bool) -> list[Figure]:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as link:
        await link.execute("SET max_parallel_workers_per_gather = 0; SET synchronous_commit = off")
        cursor = await link.execute("SELECT name FROM wf.detectors ORDER BY name")
        names = [name for (name,) in await cursor.fetchall()]

        async def once(name: str) -> None:
            found = await found_by(link, name, None)
            await link.execute(EVALUATE, [name, found, None, None])

        async def every() -> None:
            for name in names:
                await once(name)

        async def arrive() -> None:
            await link.execute(_REQUESTS.format(tenants=tenants, number=min(keys, NEW_REQUESTS)).encode())

        await every()  # what fires now is open afterwards, as it usually is
        await arrive()
        await link.execute("VACUUM ANALYZE wf.alerts")
        each = {name: await _cost(link, lambda name=name: once(name)) for name in names}
        ours = []
        for _ in range(1 if small else RUNS):
            await arrive()
            ours.append(await _cost(link, every))
        other = await _by_tenant(link, tenants)
    size = f"{tenants:,} tenants, {keys:,} keys"
    wall, spread = middle([cost.wall for cost in ours])
    cpu, cpus = middle([cost.cpu for cost in ours])
    figures = [
        Figure(
            f"all detectors evaluated once, {size}",
            *(wall, "ms", other.wall, "tenant by tenant", f"≤ {MOST_MS:,.0f} ms", wall <= MOST_MS, spread),
        ),
        Figure(
            f"the same, of the processor, {size}",
            *(cpu, "ms", other.cpu, "tenant by tenant", f"≤ {MOST_SHARE} ×", cpu <= MOST_SHARE * other.cpu, cpus),
        ),
    ]
    for name in sorted(each, key=lambda name: -each[name].cpu)[:6]:
        figures.append(Figure(f"detector {name}", each[name].wall, "ms", each[name].cpu, "of the processor"))
    return figures


async def _cost(link: psycopg.AsyncConnection, work: Callable[[], Awaitable[None]]) -> Cost:
    used, began = _cpu(link.info.backend_pid) + time.process_time() * 1000, time.perf_counter()
    await work()
    wall = (time.perf_counter() - began) * 1000
    return Cost(wall, _cpu(link.info.backend_pid) + time.process_time() * 1000 - used)


async def _by_tenant(link: psycopg.AsyncConnection, tenants: int) -> Cost:
    """One statement for each tenant and thing, on some of the tenants, times as many as there are more."""
    step = max(1, tenants // SAMPLE)
    some = [f"tenant-{number:07}" for number in range(1, tenants + 1, step)]

    async def ask() -> None:
        for tenant in some:
            for statement in _BY_TENANT:
                await (await link.execute(statement, {"tenant": tenant}, prepare=True)).fetchall()

    await ask()
    cost = await _cost(link, ask)
    return Cost(cost.wall * tenants / len(some), cost.cpu * tenants / len(some))
