"""Requests of the last days for the tests of objectives, made by the database in one statement each."""

from __future__ import annotations

import psycopg

ESTATE = """
INSERT INTO wf.tenants (id, name, plan)
VALUES ('acme', 'Acme', 'growth'), ('beta', 'Beta', 'growth'), ('gone', 'Gone', 'pro');
"""

TRAFFIC = """
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, key_prefix, at)
SELECT %(tenant)s, %(route)s, 'GET', CASE WHEN n %% %(every)s = 0 THEN 500 ELSE 200 END,
       CASE WHEN n %% 4 = 3 THEN NULL ELSE 50 * (1 + n %% 4) END, %(key)s, at
FROM (SELECT row_number() OVER () AS n, at
      FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 microsecond',
                           %(step)s::interval) at) AS t
"""


def send(
    connection: psycopg.Connection,
    tenant: str,
    route: str,
    start: str,
    end: str,
    *,
    step: str = "1 second",
    every: int = 1_000_000_000,
    key: str | None = None,
) -> None:
    """`start` and `end` are how long ago, as an interval; every so many a 500."""
    edges = connection.execute("SELECT now() - %s::interval, now() - %s::interval", [start, end]).fetchone() or ()
    values = {"tenant": tenant, "route": route, "start": edges[0], "end": edges[1], "step": step, "every": every}
    connection.execute(TRAFFIC, values | {"key": key})


def roll_up(connection: psycopg.Connection, days: int = 4) -> None:
    connection.execute("SELECT wf.roll_up_hours(now() - make_interval(days => %s), now())", [days])
