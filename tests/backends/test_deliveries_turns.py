"""Deliveries in numbers: who has a turn, and what is stored together."""

from __future__ import annotations

from collections import Counter

import pytest

from backends.postgres import routing
from backends.postgres.home import Home
from tests.backends.notices import fire, told
from tests.backends.psql import Psql, one
from tests.backends.test_deliveries import Playing, claim, home, psql
from tests.postgres import Database
from tests.receivers import says

__all__ = ["home", "psql"]


async def test_who_fires_during_a_flood_does_not_wait_for_all_of_it(
    database: Database, psql: Psql, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = psql("owner")
    monkeypatch.setattr(routing, "BITE", 10)
    async with Playing(database, home, says("200 OK")) as stage:
        fire(owner, 40, tenant="flood")
        fire(owner, tenant="acme", first=41)
        async with stage.hand.queue.connection() as connection:
            assert await routing.route_bite(connection)
        tenants = [row[0] for row in owner.execute("SELECT tenant_id FROM wf.deliveries ORDER BY id").fetchall()]
        assert tenants.count("acme") == 1 and len(tenants) == 10
        await stage.hand.all()
        assert len({*stage.keys}) == len(stage.keys) == 41


async def test_endpoints_have_turns_while_much_is_due(database: Database, psql: Psql, home: Home) -> None:
    """A flood for one of them hides no other, and each gets its turn whatever the others have waiting."""
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage:
        owner.execute("SET session_replication_role = replica")
        owner.execute(MANY_DUE)
        claimed = []
        async with stage.hand.queue.connection() as connection:
            for _ in range(10):
                found = await connection.execute(CLAIMED, [stage.hand.queue.worker, 40])
                claimed.append([endpoint for (endpoint,) in await found.fetchall()])
        assert all(len(turn) == 40 and max(Counter(turn).values()) <= 8 for turn in claimed)
        served = [endpoint for turn in claimed for endpoint in turn if endpoint > 1000]
        assert len({*served[:300]}) == 300, "each had one of its three before any had another"


async def test_a_claim_reads_what_it_takes_although_the_planner_knows_of_nothing_that_is_due(
    database: Database, psql: Psql, home: Home
) -> None:
    """As after a flood: the statistics are from a time when all was delivered. 600 ms for a claim of 64."""
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage:
        owner.execute("SET session_replication_role = replica")
        owner.execute(MANY_DUE)
        owner.execute("UPDATE wf.deliveries SET state = 'delivered', ended_at = now()")
        owner.execute("VACUUM ANALYZE wf.deliveries")
        owner.execute("UPDATE wf.deliveries SET state = 'waiting', ended_at = NULL")
        async with stage.hand.queue.connection() as connection, connection.transaction():
            await connection.execute(CLAIMED, [stage.hand.queue.worker, 40])
            read = await (await connection.execute(READ)).fetchone()
        assert read is not None and read[0] <= 3000, "not what is due for others, once for each"


READ = """
SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) FROM pg_index i WHERE i.indrelid = 'wf.deliveries'::regclass
"""
MANY_DUE = """
INSERT INTO wf.webhooks (id, tenant_id, target) SELECT 1000 + n, 'acme', 'x' FROM generate_series(1, 300) n;
INSERT INTO wf.endpoints (webhook_id) SELECT 1000 + n FROM generate_series(1, 300) n;
INSERT INTO wf.deliveries (key, webhook_id, group_key, number, tenant_id, reason, event_type, summary, notice, event)
  SELECT 'msg_' || repeat('a', 40), 1000 + n, '', 0, 'acme', 'event', 'key.expiring', 'x', '{}', n * 3 + m
  FROM generate_series(1, 300) n, generate_series(0, 2) m;
INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary, notice,
                           next_at)
  SELECT 'msg_' || repeat('a', 40), r.id, encode(sha256(n::text::bytea), 'hex'), 1, 'trigger', 'first_notification',
         'error', 'jobs_dead', 'x', '{}', now() - interval '1 hour'
  FROM wf.routes r, generate_series(1, 500) n;
"""
CLAIMED = "SELECT endpoint_id FROM wf.claim_deliveries(%s, %s)"


async def test_what_came_of_several_is_stored_together_but_only_what_is_still_ones_own(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage:
        fire(owner, 4)
        await stage.hand.route()
        ids = [claimed for claimed, _ in await claim(stage.hand)]
        owner.execute("UPDATE wf.deliveries SET worker_id = -1 WHERE id = %s", [ids[0]])
        settle = (
            "SELECT wf.settle_deliveries(%s, %s, '{1,1,1,2}', '{delivered,delivered,refused,delivered}', '{a,b,c,d}',"
            " '{w,x,y,z}', '{none,ok,no,none}', '{0.1,0.2,0.3,0.4}', '{NULL,NULL,NULL,NULL}', '{f,f,f,f}')"
        )
        assert one(psql("worker"), settle, stage.hand.queue.worker + 1, ids) == ([],), "of no worker"
        async with stage.hand.queue.connection() as connection:
            found = await (await connection.execute(settle, [stage.hand.queue.worker, ids])).fetchone()
        assert found == (ids[1:3],), "neither another worker's, nor another attempt"
        assert [(row[2], row[4]) for row in told(owner)] == [
            ("sending", None), ("delivered", "b"), ("failed", "c"), ("sending", None),
        ]  # fmt: skip
        kept = "SELECT delivery_id, outcome, code, answer, seconds FROM wf.delivery_attempts ORDER BY 1"
        assert owner.execute(kept).fetchall() == [
            (ids[1], "delivered", "b", "ok", 0.2),
            (ids[2], "refused", "c", "no", 0.3),
        ]
        assert one(owner, "SELECT failures FROM wf.endpoints WHERE id = %s", stage.route) == (1,)
