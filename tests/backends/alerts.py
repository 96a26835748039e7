"""What detectors find in the tests: dead jobs, which anybody can make and settle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from backends.postgres.home import Home
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from tests.backends.psql import Psql, logins
from tests.postgres import Database

DIE = """
INSERT INTO wf.jobs (kind, tenant_id, state, ended_at, error)
SELECT %s, %s, 'dead', clock_timestamp() - %s::interval, 'the receiver is away' FROM generate_series(1, %s)
"""
SETTLE = "UPDATE wf.jobs SET state = 'canceled' WHERE kind = %s AND state = 'dead'"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    """With an old tenant, and a new one."""
    with logins(database) as connect:
        connect("owner").execute(
            "INSERT INTO wf.tenants (id, name, plan, created_at) VALUES"
            " ('acme', 'Acme', 'growth', now() - interval '90 days'), ('beta', 'Beta', 'growth', now())"
        )
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


async def do(home: Home, verb: str, /, *, dry_run: bool = False, **fields: Any) -> Outcome:
    operation = named(verb)
    return await execute(home, operation, operation.parse(fields), Call("as the test says", dry_run=dry_run))


def dead(owner: psycopg.Connection, kind: str = "deliver", number: int = 1, *, tenant: str | None = None) -> None:
    owner.execute(DIE, [kind, tenant, "1 minute", number])


def settle(owner: psycopg.Connection, kind: str = "deliver") -> None:
    owner.execute(SETTLE, [kind])


def evaluate(worker: psycopg.Connection, detector: str = "jobs_dead") -> Mapping[str, int] | None:
    """The number of events by kind."""
    row = worker.execute("SELECT wf.evaluate(%s)", [detector]).fetchone()
    assert row is not None
    return row[0]


def alerts(connection: psycopg.Connection, condition: str = "TRUE") -> list[dict[str, Any]]:
    """Oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SELECT * FROM wf.alert_list WHERE {condition} ORDER BY id".encode()).fetchall()


def events(connection: psycopg.Connection, alert: int) -> list[str]:
    """Their kinds, in order; their numbers have no gap."""
    found = connection.execute("SELECT n, kind FROM wf.alert_events WHERE alert_id = %s ORDER BY n", [alert]).fetchall()
    assert [n for n, _ in found] == list(range(1, len(found) + 1))
    counted = connection.execute("SELECT count(*) FROM wf.alert_events WHERE alert_id = %s", [alert]).fetchone()
    assert counted == (len(found),)
    return [kind for _, kind in found]


def key(owner: psycopg.Connection, number: int, tenant: str, days: float, **more: str) -> None:
    columns = "".join(f", {name}" for name in more)
    values = "".join(f", {value}" for value in more.values())
    owner.execute(
        f"INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, created_at{columns})"
        f" VALUES ('key_' || lpad(%s::text, 26, '0'), %s, 'live', 'wf_live_' || %s, sha256(%s::text::bytea),"
        f" now() - %s * interval '24 hours'{values})".encode(),
        [number, tenant, number, number, days],
    )
