"""Keys to do things to; and, run as a program, one that starts a rotation of many and kills itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from backends.postgres.home import Home
from backends.secrets.handed_out import SecretsFile
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.runs.engine import drive, start_run
from controlplane.runs.model import Run
from controlplane.runs.operations import RunStart
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


async def die_while_rotating(conninfo: str, path: str, point: str, at: int) -> None:
    """Start to rotate all keys of acme, and be killed: `starting`, when the secrets are in the file and nothing is
    committed; or `driving`, once so many keys are done.
    """

    def die(run: Run) -> None:
        if run.done == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def keep(secrets: Sequence[tuple[Mapping[str, Any], str]]) -> None:
        with SecretsFile(Path(path)) as file:
            file.keep(secrets)
        if point == "starting":
            os.kill(os.getpid(), signal.SIGKILL)

    async with opened(conninfo) as home:
        run = await start_run(home, rotating(per_second=10), None, keep=keep)  # one by one
        await drive(home, run.id, clock=Ticks(), on_progress=die)


def rotating(**more: object) -> RunStart:
    return RunStart.model_validate(
        {"operation": "keys.rotate", "filter": "tenant:acme state:active", "per_second": 1000, **more}
    )


if __name__ == "__main__":
    asyncio.run(die_while_rotating(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
