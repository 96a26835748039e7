"""A gate of fifty checks against its slowest one; and consistency of an estate, what changed against all of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psycopg

from app.cli.gates import CONNECTIONS
from app.gating import run_gate
from app.settings import load
from backends.postgres.home import Home
from benchmarks.dataplane import KEYS
from benchmarks.estate import Estate, estate
from benchmarks.figures import Figure, middle
from controlplane.gates.document import GateSpec, whole, written
from controlplane.gates.model import Mode, RunDirectory
from controlplane.gates.shipped.texts import text
from controlplane.operations import Call, execute
from controlplane.registry import named

CHECKS, SLOWEST, EACH = 50, 2.0, 0.1
SLOWEST_SMALL, EACH_SMALL = 0.5, 0.02
"""Seconds that the slowest check takes, and that each of the others does."""
MOST_OF_SLOWEST, MOST_OF_FULL = 1.25, 0.5
MANY = 1_000_000
TENANTS, KEYS_OF_EACH = 10_000, 100
TENANTS_SMALL = 200
RUNS = 3


def run(small: bool) -> list[Figure]:
    with estate() as home:
        return _measured(home, small)


def _measured(home: Estate, small: bool) -> list[Figure]:
    import yaml

    tenants, keys = (TENANTS_SMALL, 5) if small else (TENANTS, KEYS_OF_EACH)
    slowest, each = (SLOWEST_SMALL, EACH_SMALL) if small else (SLOWEST, EACH)
    home.fill(tenants)
    waits = [{"name": f"c{n}", "kind": "sql", "sql": f"SELECT 1 WHERE pg_sleep({each}) IS NULL"} for n in range(CHECKS)]
    waits[0]["sql"] = f"SELECT 1 WHERE pg_sleep({slowest}) IS NULL"
    [consistency] = yaml.safe_load(text(["consistency"]))
    with psycopg.connect(home.owner, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute((KEYS.format(tenants=tenants) % (1, tenants * keys)).encode())
        connection.execute("SET session_replication_role = origin")
        connection.execute("VACUUM ANALYZE")
        for spec in ({"name": "waits", "owner": "bench", "checks": waits}, consistency):
            definition = whole(GateSpec.model_validate(spec), {})
            values = [definition.name, written(definition)]
            connection.execute("INSERT INTO wf.gates (name, definition) VALUES (%s, %s)", values)
    return asyncio.run(_ran(home.owner, slowest, tenants * keys, tenants))


def _change(owner: str, tenants: int) -> None:
    """So many tenants are changed after the full runs, as in the minutes between two fast ones."""
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("UPDATE wf.tenants SET name = name || '.' WHERE id IN (SELECT id FROM wf.tenants LIMIT %s)",
                           [tenants])  # fmt: skip


async def _ran(owner: str, slowest: float, keys: int, tenants: int) -> list[Figure]:
    changed = tenants // 100
    home = Home(owner, connections=CONNECTIONS)
    await home.open()
    try:
        wall = [await _seconds(home, "waits", "full") for _ in range(RUNS)]
        full = [await _seconds(home, "consistency", "full") for _ in range(RUNS)]
        await asyncio.to_thread(_change, owner, changed)
        fast = [await _seconds(home, "consistency", "fast") for _ in range(RUNS)]
    finally:
        await home.close()
    (took, spread), (counted, _), (sampled, sampled_spread) = middle(wall), middle(full), middle(fast)
    most = f"≤ {MOST_OF_SLOWEST:g} ×"
    met = took <= MOST_OF_SLOWEST * slowest
    claim = f"consistency of {tenants:,} tenants with {keys:,} keys, fast after {changed:,} changes"
    # A small estate is looked at in the time that a run takes anyway.
    aim = ("", None) if keys < MANY else (f"≤ {MOST_OF_FULL:g} ×", sampled <= MOST_OF_FULL * counted)
    in_ms = (sampled_spread[0] * 1000, sampled_spread[1] * 1000)
    return [
        Figure(f"a gate of {CHECKS} checks", took, "s", slowest, "s of its slowest check", most, met, spread),
        Figure(claim, sampled * 1000, "ms", counted * 1000, "ms in full", *aim, in_ms),
    ]


async def _seconds(home: Home, gate: str, mode: Mode) -> float:
    operation = named("gates.run")
    request = operation.parse({"gate": gate, "environment": "staging", "mode": mode})
    number = int((await execute(home, operation, request, Call())).result["id"])
    begun = time.monotonic()
    await run_gate(home, number, settings=load(), folder=Path(), of_home=CONNECTIONS - 1)
    took = time.monotonic() - begun
    found = await home.of(RunDirectory).whole(number)
    assert all(each.judged.state != "inconclusive" for each in found.results.values()), "a check did not look"
    return took
