"""Every filter of the lists that grow, on a home of its own: 5 M audit rows, 1 M keys, tenants, alerts and deliveries
each, 200,000 dead jobs.

A filter that finds nothing is the hardest: nothing stops the search before its end. Each filter's page is measured, and
the count that the screen asks for at the same time.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

import psycopg

from backends.postgres.home import Home
from backends.postgres.paging import PagedList
from benchmarks.estate import Estate, estate
from benchmarks.figures import Figure
from controlplane.alerts.list import ALERTS
from controlplane.audit.list import AUDIT
from controlplane.deliveries.list import DELIVERIES
from controlplane.filters.grammar import Field, parse
from controlplane.jobs.list import JOBS
from controlplane.keys.list import KEYS
from controlplane.listing import Query
from controlplane.nouns import list_named
from controlplane.tenants.list import TENANTS
from tests.postgres import Database

SIZES = {"audit": 5_000_000, "api_keys": 1_000_000, "jobs": 200_000, "alerts": 1_000_000, "deliveries": 1_000_000}
SIZES_SMALL = {"audit": 4_000, "api_keys": 2_000, "jobs": 1_000, "alerts": 2_000, "deliveries": 2_000}
MANY_TENANTS, FEW_TENANTS = 1_000_000, 1_000
MOST_MS = 200.0
ROUNDS = 5

FILL = {
    "audit": """
        INSERT INTO wf.audit (seq, at, out_of_band, actor, operation, noun, thing, tenant_id, reason, request_id)
        SELECT 1000 + n, now() - ({rows} - n) * interval '6 seconds', n %% 1000 = 0, 'person' || n %% 40,
               (ARRAY['tenants.edit', 'keys.create', 'tenants.suspend'])[n %% 3 + 1],
               (ARRAY['tenants', 'keys', 'tenants'])[n %% 3 + 1], 'tenant-' || lpad((1 + n %% 10000)::text, 7, '0'),
               'tenant-' || lpad((1 + n %% 10000)::text, 7, '0'), 'ticket ' || n, 'request-' || md5(n::text)
        FROM generate_series(1, %s) n""",
    "api_keys": """
        INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, label, owner_email, scopes, created_at, expires_at,
                                 revoked_at, revoked_reason)
        SELECT 'key_' || lpad(n::text, 26, '0'), 'tenant-' || lpad((1 + n %% 10000)::text, 7, '0'), 'live',
               'wf_live_' || n, sha256(n::text::bytea), 'service ' || n %% 5000,
               CASE n %% 10 WHEN 0 THEN 'platform@home.example'
                            ELSE chr(97 + n %% 50000 %% 26) || n %% 50000 || '@x.example' END,
               ARRAY['orders:read', 'team:' || n %% 900], now() - n * interval '1 minute',
               CASE WHEN n %% 4 = 0 THEN now() + (n %% 700) * interval '1 day' END,
               CASE WHEN n %% 50000 = 0 THEN now() END, CASE WHEN n %% 50000 = 0 THEN 'leaked' END
        FROM generate_series(1, %s) n""",
    "jobs": """
        INSERT INTO wf.jobs (kind, tenant_id, state, attempts, tries, error, ended_at)
        SELECT (ARRAY['mail.send', 'report.make'])[n %% 2 + 1], 'tenant-' || lpad((1 + n %% 10000)::text, 7,
               '0'), 'dead',
               5, 5, 'no route to host ' || md5(n::text), now() FROM generate_series(1, %s) n""",
    # 40 are open.
    "alerts": """
        INSERT INTO wf.alerts (kind, tenant_id, labels, severity, summary, state, fired_at, resolved_at, holder,
                               acked_at, ack_until, ack_comment)
        SELECT (ARRAY['jobs_dead', 'quota_near', 'trial_ending'])[n %% 3 + 1],
               'tenant-' || lpad((1 + n %% 10000)::text, 7, '0'), jsonb_build_object('job', n::text),
               (ARRAY['info', 'warning', 'error'])[n %% 3 + 1], n || ' dead jobs of ' || md5(n::text),
               CASE WHEN n > {rows} - 40 THEN 'firing' ELSE 'resolved' END,
               now() - ({rows} - n) * interval '30 seconds',
               CASE WHEN n <= {rows} - 40 THEN now() - ({rows} - n) * interval '29 seconds' END,
               CASE WHEN n <= {rows} - 40 THEN 'person' || n %% 40 END, CASE WHEN n <= {rows} - 40 THEN now() END,
               CASE WHEN n <= {rows} - 40 THEN now() END, CASE WHEN n <= {rows} - 40 THEN 'looking' END
        FROM generate_series(1, %s) n""",
    "deliveries": """
        WITH routes AS (
          INSERT INTO wf.routes (name, channel, target)
          SELECT 'route-' || n, 'webhook', 'x' FROM generate_series(1, 40) n
        )
        INSERT INTO wf.deliveries (key, route_id, group_key, number, tenant_id, action, reason, severity, event_type,
                                   summary, notice, state, attempts, code, created_at, ended_at)
        SELECT 'msg_' || repeat('a', 40), n %% 39 + 1, encode(sha256(n::text::bytea), 'hex'), 1,
               'tenant-' || lpad((1 + n %% 10000)::text, 7, '0'), 'trigger', 'first_notification', 'error', 'jobs_dead',
               n || ' dead jobs of ' || md5(n::text), '{{}}', 'delivered', 1, 'http_200',
               now() - ({rows} - n) * interval '30 seconds', now() FROM generate_series(1, %s) n""",
}  # fmt: skip
ASKED: dict[str, tuple[str, ...]] = {
    "audit": (
        "nowhereword", "4711", "request:nothing", "actor:nobody", "actor:person7", "operation:runs.stop", "noun:jobs",
        "thing:tenant-0004711", "tenant:tenant-0004711", "at<1h", "outofband:yes",
    ),
    "keys": (
        "nowhereword", "label:nothing", 'label:"service 17"', "scope:none", 'scope:"team:17"', "state:revoked",
        "state:disabled", "project:none", "env:test", "used>90d", "left<7", "expires<7d", "expired<7d",
        "display:wf_live_77", "owner:nobody", "owner:b27@x.example", "owner:platform@home.example",
        "owner:b27@x.example,c28@x.example", "-owner:platform@home.example",
    ),
    "tenants": ("owner:nobody", "owner:owner@tenant-4711.example", "-owner:owner@tenant-4711.example"),
    "jobs": (
        "state:dead nowhereword", "state:dead kind:nothing", "state:dead tenant:tenant-0000017", "state:dead 4711",
    ),
    "alerts": (
        "nowhereword", "4711", "state:firing", "state:acked", "severity:critical", "tenant:tenant-0004711",
        "who:person7", "kind:nothing", "age>3000d", "age<1h", "id:4711",
    ),
    "deliveries": (
        "nowhereword", "4711", "state:failed", "age<1h", "reason:escalated", "tenant:tenant-0004711", "attempts>3",
        "code:http_500", "action:resolve", "route:nothing", "route:route-7", "route:route-40", "route_no:7",
        "channel:slack", "person:ana", "kind:nothing", "severity:critical", "test:yes", "id:4711",
    ),
}  # fmt: skip
MASKED: dict[str, tuple[str, ...]] = {
    "keys": ("owner:b27@x.example", "owner:b•••@x.example", "owner:p•••@home.example", "-owner:p•••@home.example"),
    "tenants": ("owner:owner@tenant-4711.example", "owner:o•••@tenant-4711.example"),
}
FIELDS: dict[str, tuple[Field, ...]] = {
    "audit": AUDIT.fields, "keys": KEYS.fields, "jobs": JOBS.fields, "tenants": TENANTS.fields,
    "alerts": ALERTS.fields, "deliveries": DELIVERIES.fields,
}  # fmt: skip


def run(small: bool) -> list[Figure]:
    with estate() as home:
        home.fill(FEW_TENANTS if small else MANY_TENANTS)
        for table, rows in (SIZES_SMALL if small else SIZES).items():
            _load(home, table, rows)
        viewer = Database(home.owner, "").login("viewer")
        rounds = 1 if small else ROUNDS
        return asyncio.run(_ask(home.owner, ASKED, rounds)) + asyncio.run(_ask(viewer, MASKED, rounds, "a viewer's "))


def _load(home: Estate, table: str, rows: int) -> None:
    with psycopg.connect(home.owner, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("SET maintenance_work_mem = '512MB'")
        indexes = owner.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass"
            " AND NOT indisunique",
            [f"wf.{table}"],
        ).fetchall()
        for name, _ in indexes:
            owner.execute(f"DROP INDEX {name}".encode())
        owner.execute(FILL[table].format(rows=rows).encode(), [rows])
        for _, definition in indexes:
            owner.execute(definition)
        if table == "api_keys":
            owner.execute("INSERT INTO wf.key_uses (key_id, tenant_id) SELECT id, tenant_id FROM wf.api_keys")
            owner.execute("VACUUM ANALYZE wf.key_uses")
        owner.execute(f"VACUUM ANALYZE wf.{table}".encode())


async def _ask(conninfo: str, asked: dict[str, tuple[str, ...]], rounds: int, whose: str = "") -> list[Figure]:
    home = Home(conninfo)
    await home.open()
    try:
        figures = []
        for name, texts in asked.items():
            listing: PagedList[Any] = list_named(name).of(home)
            for text in texts:
                query = Query(parse(text, FIELDS[name]), None, name in ("audit", "jobs", "alerts", "deliveries"))
                page = await _time(lambda listing=listing, query=query: listing.page(query, limit=100), rounds)  # type: ignore[misc]
                count = await _time(lambda listing=listing, query=query: listing.count(query), rounds)  # type: ignore[misc]
                slow = max(page, count)
                figures.append(
                    Figure(f"{whose}{name} {text}", page, "ms", count, "its count", "≤ 200 ms", slow <= MOST_MS)
                )
        return figures
    finally:
        await home.close()


async def _time(ask: Any, rounds: int) -> float:
    """The median in ms; the first answer is not counted."""
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken[1:])
