"""Keys to do things to; and, run as a program, a driver of a rotation that kills itself while it works."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psycopg

from backends.postgres.home import Home
from backends.secrets.handed_out import SecretsFile
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.runs.engine import drive
from tests.backends.runs import opened
from tests.controlplane.runs import Ticks


def make_tenants(owner: str, *names: str, age: str = "0 days") -> None:
    with psycopg.connect(owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name, created_at) SELECT t, t, now() - %s::interval FROM unnest(%s::text[]) t",
            [age, list(names)],
        )


def make_keys(owner: str, count: int, tenant: str = "acme", *, age: str = "0 days", first: int = 1) -> list[str]:
    """key_000…1 and so on, all active."""
    with psycopg.connect(owner) as connection:
        cursor = connection.execute(
            "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, created_at)"
            " SELECT 'key_' || lpad(n::text, 26, '0'), %s, 'live', 'wf_live_' || n, sha256(n::text::bytea),"
            " now() - %s::interval FROM generate_series(%s::int, %s::int) n RETURNING id",
            [tenant, age, first, first + count - 1],
        )
        return [key for (key,) in cursor.fetchall()]


def make_calls(owner: str, key: str, count: int, *, ago: str = "1 minute", address: str = "192.0.2.7") -> None:
    with psycopg.connect(owner) as connection:
        connection.execute(
            "INSERT INTO wf.requests (tenant_id, route, method, status, at, key_id, address)"
            " SELECT 'acme', '/v1/things', 'GET', 200, now() - %s::interval, %s, %s FROM generate_series(1, %s::int)",
            [ago, key, address, count],
        )


def asked(owner: str, statement: str, *values: object) -> list[tuple]:
    with psycopg.connect(owner) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


async def do(home: Home, name: str, /, reason: str = "as the test says", **fields: object) -> Outcome:
    return await execute(home, named(name), named(name).parse(fields), Call(reason))


async def die_while_rotating(conninfo: str, run_id: int, path: str, at: int) -> None:
    """Killed at the `at`-th key, when its secret is in the file and its change is not committed."""
    reached = 0
    commit = Home._commit

    async def watched(home: Home, connection: object, intent: object) -> None:
        nonlocal reached
        reached += 1
        if reached == at:
            os.kill(os.getpid(), signal.SIGKILL)
        await commit(home, connection, intent)  # type: ignore[arg-type]

    Home._commit = watched  # type: ignore[method-assign,assignment]
    file = SecretsFile(Path(path), append=True)
    async with opened(conninfo) as home:
        await drive(home, run_id, clock=Ticks(), keep=file.keep)


if __name__ == "__main__":
    asyncio.run(die_while_rotating(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
