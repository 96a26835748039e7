"""What services ask on their hot path, against a bare SELECT by primary key; stale keys against asking tenant by
tenant; and from a revocation to the first refusal. On a home of its own, which grows to ten million keys.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import random
from statistics import median, quantiles
from types import ModuleType

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from backends.embedded.binaries import installed
from backends.postgres.home import Home
from benchmarks.estate import CHECKOUT, Estate, estate
from benchmarks.figures import Figure
from controlplane.keys.model import KeyDirectory, StaleCounts, StalePolicy
from controlplane.listing import Query

TENANTS = 10_000
SIZES, SIZES_SMALL = (10_000, 10_000_000), (500, 2000)
STALE, STALE_SMALL = 1_000_000, 1000
REVOKED, REVOKED_SMALL = 200, 5
SECONDS, ROUNDS = 3, 5
CLIENTS = (1, 32)
POLL = 0.4
ROOM = 20 << 30
LEAST, MOST_STALE, PROMISED_MS = 0.7, 0.01, 1000.0
PASSWORD = "for the benchmark only"

SERVICE = f"""
CREATE ROLE bench_service LOGIN PASSWORD '{PASSWORD}' IN ROLE wf_service;
SELECT wf.let_in('bench_service');
CREATE TABLE bare (hash bytea PRIMARY KEY, tenant_id text);
GRANT SELECT ON bare TO bench_service;
"""
# Nobody is suspended, so that every key is good.
SUBSCRIBED = """
SET session_replication_role = replica;
UPDATE wf.tenants SET status = 'active', suspended_at = NULL, suspension_reason = NULL WHERE status = 'suspended';
SET session_replication_role = origin;
INSERT INTO wf.subscriptions (tenant_id, plan_version, period_start)
SELECT id, 1, '2026-01-01' FROM wf.tenants ON CONFLICT DO NOTHING
"""
# Half of them younger than 30 days, one of a hundred rotated lately.
KEYS = """
INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, scopes, created_at, rotated_at, grace_until)
SELECT 'key_' || lpad(n::text, 26, '0'), 'tenant-' || lpad((1 + n %% {tenants})::text, 7, '0'), 'live', 'wf_live_' || n,
       sha256(('bench-' || n)::bytea), '{{read}}', now() - n * 7919::bigint %% 60 * interval '1 day',
       CASE WHEN n %% 100 = 0 THEN now() END, CASE WHEN n %% 100 = 0 THEN now() + interval '9 days' END
FROM generate_series(%s::integer, %s::integer) AS n
"""
USES = "INSERT INTO wf.key_uses (key_id, tenant_id) SELECT id, tenant_id FROM wf.api_keys ON CONFLICT DO NOTHING"
BARE = "INSERT INTO bare SELECT hash, tenant_id FROM wf.api_keys ON CONFLICT DO NOTHING"
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = 'wf.api_keys'::regclass AND NOT indisprimary AND indexrelid <> 'wf.key_hash_taken'::regclass
  AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)
"""

ASKED = {
    "bare": "SELECT tenant_id FROM bare WHERE hash = sha256(('bench-' || :n)::bytea)",
    "authenticate": "SELECT * FROM wf_data.authenticate(sha256(('bench-' || :n)::bytea))",
    # The tenants are on the largest plan, so that none runs into a quota.
    "admit": "SELECT * FROM wf_data.admit('tenant-' || lpad((4 + :n % 2000 * 5)::text, 7, '0'), 'api_calls', 1)",
}
LAZY = "admit on a link with synchronous_commit off"
ASKED[LAZY] = ASKED["admit"]
# What somebody without the view would query for each tenant; by index, prepared.
ONE_TENANT = """
SELECT count(*) FILTER (WHERE k.created_at <= now() - interval '30 days'),
       count(*) FILTER (WHERE k.created_at <= now() - interval '21 days'), max(u.last_used_at),
       (SELECT count(*) FROM wf.api_keys r WHERE r.tenant_id = %s AND r.rotated_at >= now() - interval '30 days')
FROM wf.api_keys k JOIN wf.key_uses u ON u.key_id = k.id
WHERE k.tenant_id = %s AND k.revoked_at IS NULL AND k.disabled_at IS NULL AND k.grace_until IS NULL
  AND (k.expires_at IS NULL OR k.expires_at > now())
"""
REVOKE = "UPDATE wf.api_keys SET revoked_at = now(), revoked_reason = 'measured' WHERE id = 'key_' || lpad(%s, 26, '0')"


def run(small: bool) -> list[Figure]:
    few, many = SIZES_SMALL if small else SIZES
    tenants = few if small else TENANTS
    with estate() as home, psycopg.connect(home.owner, autocommit=True) as owner:
        home.fill(tenants)
        owner.execute(SERVICE)
        owner.execute(SUBSCRIBED)
        service = make_conninfo(home.owner, user="bench_service", password=PASSWORD)
        _add_keys(owner, tenants, 1, few)
        figures = _calls(home, service, few, small)
        revoked = REVOKED_SMALL if small else REVOKED
        figures += [_promise(owner, service, "as it is", 1, revoked)]
        _mute(owner)
        figures += [_promise(owner, service, "no notification arrives", revoked + 1, 2 * revoked)]
        stale = STALE_SMALL if small else STALE
        _add_keys(owner, tenants, few + 1, stale)
        figures += _stale(home, owner)
        if not small and shutil.disk_usage(home.home.folder).free < ROOM:
            print(f"{many:,} keys: skipped, there are less than {ROOM >> 30} GB of room", file=sys.stderr)
            return figures
        _add_keys(owner, tenants, stale + 1, many, whole=False)
        return figures + _calls(home, service, many, small)


def _add_keys(owner: psycopg.Connection, tenants: int, first: int, last: int, *, whole: bool = True) -> None:
    """Made without triggers. Unless `whole`, only with the indexes that a call uses."""
    indexes = owner.execute(INDEXES).fetchall()
    hashes = owner.execute("SELECT pg_get_indexdef('wf.key_hash_taken'::regclass)").fetchone()
    assert hashes is not None
    owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    owner.execute("SET maintenance_work_mem = '512MB'")
    for name in [name for name, _ in indexes] + ["wf.key_hash_taken"]:
        owner.execute(f"DROP INDEX {name}".encode())
    owner.execute(KEYS.format(tenants=tenants).encode(), [first, last])
    for definition in [hashes[0], *(definition for _, definition in indexes if whole)]:
        owner.execute(definition)
    owner.execute(BARE)
    if whole:
        owner.execute(USES)
    owner.execute("SET session_replication_role = origin; SET synchronous_commit = on")
    for table in ("wf.api_keys", "wf.key_uses", "wf.tenants", "wf.subscriptions", "bare"):
        owner.execute(f"VACUUM ANALYZE {table}".encode())
    owner.execute("CHECKPOINT")


def _calls(home: Estate, service: str, keys: int, small: bool) -> list[Figure]:
    """In turns, so that all are measured under the same load; each claim reports its turn with the median ratio."""
    figures = []
    for clients in CLIENTS:
        turns: list[dict[str, float]] = []
        for _ in range(1 if small else ROUNDS):
            turns.append({name: _pgbench(home, service, name, keys, clients, small) for name in ASKED})
        for name in list(ASKED)[1:]:
            turn = sorted(turns, key=lambda turn: turn[name] / turn["bare"])[len(turns) // 2]
            claim = f"{name}, {keys:,} keys, {clients} client{'s' if clients > 1 else ''}"
            met = turn[name] >= LEAST * turn["bare"]
            spread = (min(turn[name] for turn in turns), max(turn[name] for turn in turns))
            figures.append(
                Figure(claim, turn[name], "calls/s", turn["bare"], "a bare SELECT by key", f"≥ {LEAST} ×", met, spread)
            )
    return figures


def _pgbench(home: Estate, service: str, name: str, keys: int, clients: int, small: bool) -> float:
    """Calls per second, without the time of connecting."""
    script = home.home.folder / f"{name}.sql"
    script.write_text(f"\\set n random(1, {keys})\n{ASKED[name]};\n")
    parts = conninfo_to_dict(service)
    options = "-c synchronous_commit=off" if name == LAZY else ""
    environment = os.environ | {"PGPASSWORD": PASSWORD, "PGOPTIONS": options}
    length = ["-t", "20"] if small else ["-T", str(SECONDS)]
    command = [installed() / "bin" / "pgbench", "-n", "-M", "prepared", "-c", clients, "-j", min(clients, 2), *length]
    command += ["-f", script, "-h", parts["host"], "-p", parts["port"], "-U", parts["user"], parts["dbname"]]
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
    assert done.returncode == 0 and found, done.stderr
    return float(found[1])


def _stale(home: Estate, owner: psycopg.Connection) -> list[Figure]:
    (tenants,) = owner.execute("SELECT array_agg(id) FROM wf.tenants WHERE id <> 'default'").fetchone() or ([],)
    began = time.perf_counter()
    stale = sum(row[0] for tenant in tenants for row in owner.execute(ONE_TENANT, [tenant, tenant]).fetchall())
    one_by_one = (time.perf_counter() - began) * 1000
    page, counted, found = asyncio.run(_view(home.owner))
    assert 0 < found.stale <= stale
    (keys,) = owner.execute("SELECT count(*) FROM wf.api_keys").fetchone() or (0,)
    size = f"{len(tenants):,} tenants, {keys:,} keys"
    return [
        Figure(
            f"{what} stale keys, {size}",
            median(times),
            "ms",
            one_by_one,
            "tenant by tenant",
            f"≤ {MOST_STALE} ×",
            median(times) <= MOST_STALE * one_by_one,
            (min(times), max(times)),
        )
        for what, times in (("a page of the", page), ("the exact counts of", counted))
    ]


async def _view(owner: str) -> tuple[list[float], list[float], StaleCounts]:
    home = Home(owner)
    await home.open()
    try:
        view = home.of(KeyDirectory).stale(StalePolicy())
        page: list[float] = []
        counted: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            assert (await view.page(Query(), limit=100)).rows
            page.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            found = await view.counts()
            counted.append((time.perf_counter() - began) * 1000)
        return page, counted, found
    finally:
        await home.close()


def _promise(owner: psycopg.Connection, service: str, how: str, first: int, last: int) -> Figure:
    """From a revocation's commit to the reference client's first refusal of a key that it has cached."""
    keys = _reference().Keys(service)
    took: list[float] = []
    try:
        for n in range(first, last + 1):
            while (said := keys.authenticate(f"bench-{n}").refusal) is None and not keys._kept:
                time.sleep(0.001)
            assert said is None, said
            time.sleep(random() * POLL)  # at a random moment between two polls
            owner.execute(REVOKE, [str(n)])
            began = time.perf_counter()
            while keys.authenticate(f"bench-{n}").refusal is None:
                time.sleep(0.0002)
            took.append((time.perf_counter() - began) * 1000)
    finally:
        keys.close()
    ranks = quantiles(took, n=100, method="inclusive")
    claim = f"from a revocation to the first refusal, p99 of {len(took)}, {how}"
    aim = f"≤ {PROMISED_MS:,.0f} ms"
    return Figure(claim, ranks[98], "ms", ranks[49], "p50", aim, ranks[98] <= PROMISED_MS, (min(took), max(took)))


def _reference() -> ModuleType:
    path: Path = CHECKOUT / "docs" / "examples" / "keys.py"
    spec = importlib.util.spec_from_file_location("example_keys", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _mute(owner: psycopg.Connection) -> None:
    """As behind a pooler that delivers no notifications, so that only polling is left."""
    row = owner.execute("SELECT pg_get_functiondef('wf.tell_services'::regproc)").fetchone()
    assert row is not None
    owner.execute(row[0].replace("PERFORM pg_notify", "PERFORM concat").encode())
