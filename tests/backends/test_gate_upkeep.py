"""Gates that a worker runs by itself, the alert of one that is closed, and what is kept of old runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

from app.gating import scheduled
from app.settings import load
from backends.postgres.home import Home
from backends.postgres.job_queue import PostgresQueue, queue
from controlplane.errors import Refusal
from controlplane.gates.model import GateDirectory, RunDirectory
from controlplane.gates.words import run_lines
from controlplane.jobs.model import Claimed
from controlplane.listing import Query
from controlplane.sealing import NOTHING_SEALED
from tests.backends.alerts import evaluate
from tests.backends.gates import apply, begin, do, ran
from tests.backends.psql import Psql, denied, one, refused
from tests.backends.test_gates import admin, operator, psql
from tests.backends.test_publishing import ME
from tests.postgres import Database

__all__ = ["admin", "operator", "psql"]
EVERY = "3600"
QUIET = {"name": "letters", "kind": "queue", "at_most": 0}
SEEN = "SELECT severity, state, summary, unknown_why FROM wf.alert_list WHERE kind = 'gate_closed' ORDER BY id"


class Turns:
    """A worker's jobs over gates, taken one by one."""

    def __init__(self, database: Database, jobs: PostgresQueue) -> None:
        self.jobs = jobs
        self.kind = scheduled(database.login("worker"), NOTHING_SEALED, load())

    async def take(self) -> Claimed:
        await self.jobs.claim(0)
        [job] = [each for each in await self.jobs.claim(10) if each.kind == "run_gate"]
        return job

    async def do(self) -> None:
        job = await self.take()
        assert not await self.kind.run(self.jobs, job)
        await self.jobs.claim(0, [job])


@asynccontextmanager
async def turns(database: Database) -> AsyncIterator[Turns]:
    async with queue(database.login("worker"), ME, {"run_gate": scheduled("", NOTHING_SEALED, load())}) as jobs:
        yield Turns(database, jobs)


def due(owner: psycopg.Connection) -> int:
    """Every schedule is due; how many jobs that queues."""
    owner.execute("UPDATE wf.gate_turns SET next_at = now() - interval '1 second'")
    return int(one(owner, "SELECT wf.queue_gate_runs()")[0])


async def test_a_worker_runs_a_gate_by_its_schedule_and_is_on_record(
    database: Database, admin: Home, operator: Home, psql: Psql
) -> None:
    owner, worker = psql("owner"), psql("worker")
    every = {
        "letters": {"kind": "queue", "at_most": 0}, "late": {"kind": "queue", "measure": "late_jobs", "at_most": 0},
        "sql": {"kind": "sql", "sql": "SELECT id FROM wf.tenant_list WHERE id = 'x'"}, "audit": {"kind": "audit"},
        "keys": {"kind": "keys"}, "alerts": {"kind": "alerts"}, "objective": {"kind": "objective"},
        "evidence": {"kind": "evidence", "artefact": "x"}, "file": {"kind": "junit", "file": "x"},
        "program": {"kind": "command", "run": ["true"]}, "asked": {"kind": "manual", "question": "?"},
    }  # fmt: skip
    await apply(admin, *({"name": name} | check for name, check in every.items()))
    with pytest.raises(Refusal, match="no such gate"):
        await do(operator, "gates.schedule", gate="other", environment="staging", every=EVERY)
    await do(operator, "gates.schedule", gate="shop", environment="staging", every=EVERY)
    assert due(owner) == 1 and due(owner) == 0, "one waits already"
    async with turns(database) as at_work:
        await at_work.do()
    whole = await operator.of(RunDirectory).whole(1)
    assert whole.run.started_by == one(worker, "SELECT session_user")[0] and whole.run.verdict is not None
    because = {name: (each.judged.state, each.judged.because) for name, each in whole.results.items()}
    assert because == {
        "letters": ("pass", ""), "sql": ("pass", ""), "audit": ("inconclusive", "no_data"), "keys": ("pass", ""),
        "alerts": ("inconclusive", "no_data"), "objective": ("inconclusive", "unknown_metric"), "late": ("pass", ""),
        "evidence": ("inconclusive", "no_data"), "file": ("inconclusive", "not_here"),
        "program": ("inconclusive", "not_here"), "asked": ("inconclusive", "unanswered"),
    }  # fmt: skip
    trail = owner.execute("SELECT operation, actor FROM wf.audit WHERE noun = 'decisions' ORDER BY seq").fetchall()
    assert [each[0] for each in trail] == ["gates.run_scheduled", "gates.decide"]
    row = await operator.of(GateDirectory).get("shop/staging")
    assert row.every == timedelta(hours=1) and row.run_id == 1
    await do(operator, "gates.unschedule", gate="shop", environment="staging")
    assert due(owner) == 0
    page = await operator.of(GateDirectory).page(Query())
    assert [each.every for each in page.rows] == [None]


async def test_a_gate_that_its_schedule_finds_closed_is_an_alert_and_unknown_once_nothing_is_fresh(
    database: Database, admin: Home, operator: Home, psql: Psql
) -> None:
    owner, worker = psql("owner"), psql("worker")
    await apply(admin, {"name": "tenants", "kind": "sql", "sql": "SELECT id FROM wf.tenant_list WHERE name = 'Acme'"})
    await do(operator, "gates.schedule", gate="shop", environment="production", every=EVERY)

    def told() -> list[tuple[str, str, str, str | None]]:
        evaluate(worker, "gate_closed")
        return [tuple(each) for each in owner.execute(SEEN.encode()).fetchall()]  # type: ignore[misc]

    assert told() == [], "it was never run: nothing is known, and no alert is open that this could resolve"
    async with turns(database) as at_work:
        due(owner)
        await at_work.do()
        closed = "shop is closed in production: 1 check failed"
        assert told() == [("error", "firing", closed, None)]
        # Two periods without a run: nothing is known, and nobody hears that it is resolved.
        owner.execute("ALTER TABLE wf.gate_runs DISABLE TRIGGER USER")
        owner.execute("UPDATE wf.gate_runs SET decided_at = decided_at - interval '131 minutes'")
        [(_, state, _, why)] = told()
        assert state == "firing" and why is not None and why.startswith("it was last run at ")
        assert one(owner, "SELECT standing FROM wf.alert_list") == ("unknown",)
        # A run that was begun and never ended is told too, and so is one that could not begin.
        owner.execute("UPDATE wf.tenants SET name = 'Other' WHERE id = 'acme'")
        await begin(operator, environment="production")
        owner.execute("UPDATE wf.gate_runs SET ends_by = now() - interval '1 second' WHERE id = 2")
        assert told() == [("warning", "firing", "the run of shop in production never ended", None)]
        due(owner)
        job = await at_work.take()
        await at_work.jobs.fail(job, "no connection was free", give_up=True)
        assert told() == [("warning", "firing", "shop could not be run in production: no connection was free", None)]
        owner.execute("ALTER TABLE wf.gate_runs ENABLE TRIGGER USER")
        due(owner)
        await at_work.do()
        assert [each[1] for each in told()] == ["resolved"], "it is open again"
        await apply(admin, {"name": "letters", "source": "x", "kind": "queue", "at_most": 0})
        due(owner)
        await at_work.do()
        assert told()[-1][:3] == ("warning", "firing", "shop is inconclusive in production")
    await do(operator, "gates.unschedule", gate="shop", environment="production")
    assert {each[1] for each in told()} == {"resolved"}


async def test_only_the_worker_that_holds_the_job_begins_a_scheduled_run(
    database: Database, admin: Home, operator: Home, psql: Psql
) -> None:
    owner, worker = psql("owner"), psql("worker")
    await apply(admin, QUIET)
    await do(operator, "gates.schedule", gate="shop", environment="staging", every=EVERY)
    due(owner)
    async with turns(database) as at_work:
        job = await at_work.take()
        refused(worker, "gate_turn_held", f"SELECT wf.begin_scheduled_run({job.id + 1})")
        for role in ("viewer", "support", "operator", "admin"):
            denied(psql(role), f"SELECT wf.begin_scheduled_run({job.id})")
            denied(psql(role), "SELECT wf.queue_gate_runs()")
            denied(psql(role), "SELECT wf.prune_gate_runs()")
        denied(worker, "SELECT wf.begin_gate_run('shop', 'production', 'full', NULL, NULL)")
        denied(worker, "UPDATE wf.gate_schedules SET environment = 'production'")
        denied(worker, "INSERT INTO wf.gate_schedules (gate, environment, every) VALUES ('shop', 'x', '1 day')")
        run = one(worker, f"SELECT wf.begin_scheduled_run({job.id})")[0]
        refused(psql("operator"), "gate_run_not_yours", f"SELECT wf.decide_gate_run({run})")
        owner.execute("UPDATE wf.gate_schedules SET ended_at = now()")
        refused(worker, "gate_turn_held", f"SELECT wf.begin_scheduled_run({job.id})")
    by_hand = psql("operator")
    refused(by_hand, "gate_schedule_every", "INSERT INTO wf.gate_schedules (gate, environment, every)"
            " VALUES ('shop', 'a', '1 second')")  # fmt: skip
    refused(
        by_hand, "gate_unknown", "INSERT INTO wf.gate_schedules (gate, environment, every) VALUES ('x', 'a', '1 day')"
    )
    by_hand.execute("UPDATE wf.gate_schedules SET ended_at = NULL, every = '2 days'")
    assert one(owner, "SELECT out_of_band FROM wf.audit_list ORDER BY seq DESC LIMIT 1") == (True,)
    denied(by_hand, "UPDATE wf.gate_turns SET next_at = now()")


async def test_what_was_found_long_ago_goes_and_what_was_decided_stays(admin: Home, operator: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    await apply(admin, QUIET, {"name": "asked", "kind": "manual", "question": "?", "required": False})
    await do(operator, "waivers.create", gate="shop", environment="staging", check_name="asked", until="1h")
    for _ in range(4):
        await ran(operator, await begin(operator))
    denied(owner, "DELETE FROM wf.gate_checks")
    owner.execute("ALTER TABLE wf.gate_runs DISABLE TRIGGER USER")
    owner.execute("UPDATE wf.gate_runs SET started_at = now() - interval '401 days' WHERE id <> 3")
    owner.execute("ALTER TABLE wf.gate_runs ENABLE TRIGGER USER")
    denied(owner, "DELETE FROM wf.gate_checks WHERE run_id = 3")
    before = owner.execute("SELECT id, verdict, inputs_sha256, conditions FROM wf.gate_runs ORDER BY id").fetchall()
    assert one(worker, "SELECT wf.prune_gate_runs(1)") == (1,), "in bites"
    assert one(worker, "SELECT wf.prune_gate_runs()") == (1,) and one(worker, "SELECT wf.prune_gate_runs()") == (0,)
    assert owner.execute("SELECT DISTINCT run_id FROM wf.gate_checks ORDER BY 1").fetchall() == [(3,), (4,)], (
        "the fourth is old as well, but says how the gate stands"
    )
    after = owner.execute("SELECT id, verdict, inputs_sha256, conditions FROM wf.gate_runs ORDER BY id").fetchall()
    assert after == before and one(owner, "SELECT count(*) FROM wf.gate_waivers") == (1,)
    pruned = await operator.of(RunDirectory).whole(1)
    assert (pruned.run.found, pruned.run.pruned_at is not None, pruned.run.verdict) == (0, True, "GO_WITH_CONDITIONS")
    assert "what they found was removed" in "\n".join(str(line) for line in run_lines(pruned.run, operator.clock.now()))


async def test_one_gates_detail_reads_its_own_trend_alone(admin: Home, operator: Home, psql: Psql) -> None:
    from backends.postgres.gates import _Read

    for name in ("shop", "other"):
        await apply(admin, QUIET, name=name)
        for environment in ("staging", "production"):
            await ran(operator, await begin(operator, name, environment))
    async with operator.connection(snapshot=True) as connection:
        own, every = await _Read.of(connection, ("shop", "staging")), await _Read.of(connection, None)
    assert list(own.trends) == [("shop", "staging")] and len(every.trends) == 4
    assert own.trends["shop", "staging"] == every.trends["shop", "staging"]
