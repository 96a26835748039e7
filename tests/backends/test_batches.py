"""Items of a run that are carried together: the same verdicts, trail and counts as one by one, whatever happens."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.runs.engine import drive, start_run
from controlplane.runs.model import Run, RunDirectory
from controlplane.runs.operations import RunStart
from tests.backends.letters import die, fail_delivery
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import items, make_tenants, opened, suspending
from tests.backends.test_dead_letters import RECOUNTED
from tests.controlplane.runs import Ticks
from tests.postgres import Database

ROOT = Path(__file__).parents[2]
KILLS, LETTERS = 50, 1_100


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('globex', 'Globex')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    async with opened(database.login("operator")) as opened_home:
        yield opened_home


async def begun(home: Home, operation: str = "queues.replay", text: str = "state:dead", **more: object) -> Run:
    asked = {"operation": operation, "filter": text, "per_second": 10_000, "breaker_share": 1.0, **more}
    return await start_run(home, RunStart.model_validate(asked), "the receiver is back")


async def test_fifty_kills_leave_each_message_dead_or_alive_once(home: Home, psql: Psql, database: Database) -> None:
    """sidekiq#3436: kill -9 of 50 drivers, workers and people's programs, at random points of one run."""
    die(psql("owner"), LETTERS)
    run = await begun(home)
    logins = ",".join(database.login(role) for role in ("worker", "operator"))
    words = ["-m", "tests.backends.kills", database.owner, logins, str(run.id), str(KILLS), "3436"]
    killing = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT)
    assert await killing.wait() == 0
    before = await home.of(RunDirectory).get(run.id)
    assert 0 < before.done < LETTERS and before.refused == 0
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.done, run.refused) == ("done", LETTERS, 0)
    owner = psql("owner")
    assert owner.execute("SELECT state, count(*) FROM wf.jobs GROUP BY 1").fetchall() == [("waiting", LETTERS)]
    told = "SELECT noun, count(*), count(DISTINCT thing) FROM wf.audit WHERE operation = 'queues.replay' GROUP BY 1"
    assert sorted(owner.execute(told).fetchall()) == [("jobs", LETTERS, LETTERS), ("queues", LETTERS, LETTERS)]
    assert one(owner, "SELECT max(seq) = count(*) FROM wf.audit") == (True,)
    assert owner.execute(RECOUNTED).fetchall() == []


MIXED = """
INSERT INTO wf.jobs (kind, tenant_id, payload, state, tries, attempts, ended_at, error, schedule)
SELECT '{kind}', CASE i % 4 WHEN 0 THEN 'globex' WHEN 1 THEN NULL ELSE 'acme' END,
       CASE WHEN i IN (7, 9) THEN '{{"idempotency_key": "{kind}"}}' ELSE jsonb_build_object('n', i) END::jsonb,
       'dead', 5, 5, '2026-01-02Z', 'no answer [http_503]', NULL FROM generate_series(1, 24) i
"""
EDITED = """
UPDATE wf.dead_letters SET edited = '{"to": 9}' WHERE payload_json ->> 'n' = '2';
UPDATE wf.dead_letters SET edited = jsonb_build_object('x', repeat('x', 60000)) WHERE payload_json ->> 'n' = '6';
UPDATE wf.jobs SET payload = jsonb_build_object('n', 6, 'y', repeat('y', 60000)) WHERE payload ->> 'n' = '6';
UPDATE wf.dead_letters SET state = 'quarantined' WHERE payload_json ->> 'n' = '10';
UPDATE wf.jobs SET state = 'canceled' WHERE payload ->> 'n' = '11';
UPDATE wf.dead_letters SET hold = true WHERE payload_json ->> 'n' = '13'
"""
TRAIL = """
SELECT a.noun, a.operation, a.out_of_band, a.actor, a.carried_by, a.reason, a.tenant_id,
       a.before - %(own)s::text[], a.after - %(own)s::text[]
FROM wf.audit a JOIN wf.run_items i ON a.request_id = 'run-' || i.run_id || '-' || i.ordinal
WHERE i.run_id = %(run)s ORDER BY i.ordinal, a.noun
"""
OWN = "{id,source_id,dead_at,created_at,run_at,ended_at,settled_at,kind,handler,fingerprint,idempotency_key}"
AFTER = (
    "SELECT state, tries, max_tries, tenant_id, payload - 'idempotency_key' FROM wf.jobs WHERE kind = %s ORDER BY id"
)


@pytest.mark.parametrize("operation", ["queues.replay", "queues.discard", "queues.hold", "queues.quarantine"])
async def test_a_batch_does_what_one_by_one_does(home: Home, psql: Psql, database: Database, operation: str) -> None:
    """The same verdicts, the same trail and the same jobs; one bad item neither stops nor undoes the others."""
    owner, found = psql("owner"), []
    owner.execute("UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x'"
                  " WHERE id = 'globex'")  # fmt: skip
    for kind in ("alone", "batch"):
        owner.execute(MIXED.format(kind=kind))
    owner.execute(EDITED)
    async with opened(database.login("worker")) as worker:
        for kind, rate in (("alone", 10), ("batch", 10_000)):
            run = await begun(home, operation, f"handler:{kind}", per_second=rate)
            run = await drive(worker, run.id, clock=Ticks())
            assert (run.state, run.waiting) == ("done", 0) and run.done and run.refused
            verdicts = [(item.state, item.code, item.words) for item in await items(home, run)]
            found.append(
                (
                    verdicts,
                    owner.execute(TRAIL, {"run": run.id, "own": OWN}).fetchall(),
                    owner.execute(AFTER, [kind]).fetchall(),
                )
            )
    assert found[0] == found[1]
    codes = {code for _, code, _ in found[0][0] if code}
    if operation == "queues.replay":
        assert codes == {"letter_tenant", "job_payload", "letter_quarantined", "letter_settled", "letter_conflict"}
    assert owner.execute(RECOUNTED).fetchall() == []
    assert one(owner, "SELECT max(seq) = count(*) FROM wf.audit") == (True,)


async def test_a_breaker_pauses_a_batch_where_it_pauses_one_by_one(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    die(owner, 30, kind="a")
    die(owner, 30, kind="b")
    owner.execute("UPDATE wf.dead_letters SET state = 'quarantined' WHERE id % 30 IN (0, 16, 17, 20, 22, 23, 24, 25)")
    for kind, rate in (("a", 10), ("b", 10_000)):
        run = await begun(home, text=f"handler:{kind}", per_second=rate, breaker_share=0.2)
        run = await drive(home, run.id, clock=Ticks())
        assert (run.state, run.why, run.done, run.refused) == ("paused", "breaker: 5 of the last 20 refused", 18, 5)


async def test_a_batch_ends_before_what_somebody_else_has_locked(home: Home, psql: Psql, database: Database) -> None:
    owner = psql("owner")
    die(owner, 9)
    fail_delivery(owner)
    run = await begun(home)
    await home.of(RunDirectory).hold(run.id, "me")
    carry = home.of(RunDirectory).carry_batch
    with psycopg.connect(database.owner) as other:
        other.execute("SELECT FROM wf.dead_letters WHERE id = 4 FOR UPDATE")
        assert [await carry(run.id, 50, 9), await carry(run.id, 50, 9)] == [3, 0]
        other.rollback()
        other.execute(
            "SELECT FROM wf.jobs WHERE id = (SELECT source_id::bigint FROM wf.dead_letters WHERE id = 6) FOR UPDATE"
        )
        assert [await carry(run.id, 50, 9), await carry(run.id, 50, 9)] == [2, 0]
        other.rollback()
    assert [await carry(run.id, 50, 9), await carry(run.id, 50, 9)] == [5, 0]
    assert one(owner, "SELECT state, replays FROM wf.deliveries") == ("waiting", 1)
    run = await home.of(RunDirectory).get(run.id)
    assert (run.done, run.waiting) == (10, 0)


async def test_things_without_statements_of_their_own_share_a_transaction(
    home: Home, psql: Psql, database: Database
) -> None:
    """One that is refused ends the batch and goes by itself, so it says the same as alone."""
    make_tenants(database.owner, 40)
    psql("owner").execute("UPDATE wf.tenants SET protected = true WHERE id IN ('t020', 't021', 't033')")
    run = await drive(home, (await start_run(home, suspending(), "unpaid")).id, clock=Ticks())
    assert (run.state, run.done, run.refused) == ("done", 37, 3)
    words = {item.words for item in await items(home, run, "state:refused")}
    assert words == {f"not suspended: {name} is protected." for name in ("t020", "t021", "t033")}
    shared = "SELECT count(DISTINCT xid), count(*) FROM wf.changes WHERE operation = 'tenants.suspend'"
    transactions, changes = one(psql("owner"), shared)
    assert changes == 37 and transactions < 12


def test_with_psql_nobody_carries_more_than_a_run_says(psql: Psql) -> None:
    owner, operator, worker = psql("owner"), psql("operator"), psql("worker")
    die(owner, 5)
    with operator.transaction():
        operator.execute("INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('queues.replay', 1, 1)")
        operator.execute("INSERT INTO wf.run_items (run_id, ordinal, thing, subject)"
                         " SELECT r.id, i, CASE i WHEN 4 THEN 'x' ELSE i::text END, '{}'"
                         " FROM wf.runs r, generate_series(1, 4) i")  # fmt: skip
    [run] = one(owner, "SELECT id FROM wf.runs")
    carry = f"SELECT * FROM wf.carry_items({run}, 2, 9)"
    for role in ("viewer", "support"):
        denied(psql(role), carry)
    for role in ("viewer", "support", "operator", "admin", "worker"):
        denied(
            psql(role),
            "SELECT wf.change_letters('replay', '{5}', '{}', '{1}')",
            "SELECT wf.carry_letters(r, 9, 9) FROM wf.runs r",
            "SELECT wf.move_jobs('{5}', 'waiting', '{1}')",
            "SELECT wf.revive_deliveries('{5}', '{1}')",
            "SELECT wf.drop_here('{5}')",
            "SELECT wf.append_audit_of('{1}', 'wf.jobs', 'jobs', 'update', '{5}', '{t}', '{NULL}', '{NULL}', '{}')",
        )
    refused(worker, "run_not_held", carry)
    assert one(worker, "SELECT wf.hold_run(%s, 'w')", run) == (True,)
    for limits in ("-1, 9", "0, 9", "NULL, 9"):
        assert one(worker, f"SELECT done FROM wf.carry_items({run}, {limits})")[0] in (0, 3)
    refused(operator, "run_not_held", carry)
    refused(worker, "run_not_carried", "SELECT * FROM wf.carry_items(NULL, 2, 9)")
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        worker.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM wf.run_list".encode())
        operator.execute("UPDATE wf.runs SET state = 'paused'")
        with pytest.raises((errors.SerializationFailure, errors.CheckViolation)):
            worker.execute(carry.encode())
        worker.execute("ROLLBACK")
        refused(worker, "run_not_running", carry)
        operator.execute("UPDATE wf.runs SET state = 'running'")
