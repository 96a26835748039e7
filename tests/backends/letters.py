"""Jobs and deliveries that die, for tests of dead letters."""

from __future__ import annotations

import psycopg
from psycopg.types.json import Jsonb

from backends.postgres.home import Home
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.queues.list import LETTERS
from controlplane.queues.model import Letter, LetterDirectory

DEAD = """
INSERT INTO wf.jobs (kind, tenant_id, payload, state, tries, attempts, ended_at, error)
SELECT %s, %s, coalesce(%s::jsonb, jsonb_build_object('n', i)), 'dead', 5, 5, now(), %s FROM generate_series(1, %s) i
"""


def die(
    owner: psycopg.Connection,
    number: int = 1,
    *,
    kind: str = "deliver",
    tenant: str | None = "acme",
    error: str = "no answer from 192.0.2.7 [http_503]",
    payload: dict[str, object] | None = None,
) -> None:
    """So many jobs die. `payload` None: each has its number."""
    owner.execute(DEAD, [kind, tenant, None if payload is None else Jsonb(payload), error, number])


def fail_all(worker: psycopg.Connection, error: str = "no answer from 192.0.2.7 [http_503]") -> int:
    """What a handler does that always fails: every waiting job is taken and dies. Returns how many."""
    [number] = worker.execute("SELECT wf.start_worker('w', 'h', 1, '2.0', '{}')").fetchone() or ()
    ended = 0
    while claimed := worker.execute("SELECT id, lease FROM wf.claim_jobs(%s, 100, '{}', '{}')", [number]).fetchall():
        for job, lease in claimed:
            worker.execute("SELECT wf.fail_job(%s, %s, %s, %s, true)", [number, job, lease, error])
            ended += 1
    return ended


async def letters(home: Home, text: str = "") -> list[Letter]:
    """The newest first."""
    found = await home.of(LetterDirectory).page(Query(parse(text, LETTERS.fields), "age", True), limit=5000)
    return list(found.rows)


def fail_delivery(owner: psycopg.Connection, code: str = "http_503") -> None:
    """A delivery to a route fails for good."""
    owner.execute("""
        INSERT INTO wf.routes (name, channel, target, tenant_id)
        VALUES ('ops', 'webhook', 'https://ops.example', 'acme') ON CONFLICT DO NOTHING""")
    owner.execute("""
        INSERT INTO wf.deliveries (key, route_id, group_key, number, tenant_id, action, reason, severity, event_type,
          summary, notice)
        SELECT 'msg_' || encode(sha256(n::text::bytea), 'hex')::char(40), r.id, repeat('a', 64), n, 'acme', 'trigger',
          'first_notification', 'error', 'quota_near', 'y', '{"details": {"n": 1}}'
        FROM wf.routes r, (SELECT count(*) + 1 AS n FROM wf.deliveries) m WHERE r.name = 'ops'""")
    owner.execute(
        "UPDATE wf.deliveries SET state = 'failed', ended_at = now(), code = %s, words = 'answered 503', attempts = 8"
        " WHERE state = 'waiting'",
        [code],
    )
