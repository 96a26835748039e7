"""A worker carries the runs of others: exactly what was ordered, as whoever ordered it, whatever else it tries."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.errors import NotPermitted
from controlplane.operations import Call, execute
from controlplane.registry import named
from controlplane.runs.engine import drive, start_run, undo_run
from controlplane.runs.left import left_runs
from controlplane.runs.model import Run, RunDirectory
from controlplane.runs.operations import RunStart
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import abandoned, carrying, items, make_tenants, opened, suspending, until_over
from tests.controlplane.runs import Ticks
from tests.postgres import Database


@pytest.fixture
async def person(database: Database) -> AsyncIterator[Home]:
    make_tenants(database.owner, 6)
    async with opened(database.login("admin")) as home:
        yield home


@pytest.fixture
async def worker(database: Database) -> AsyncIterator[Home]:
    async with opened(database.login("worker")) as home:
        yield home


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


async def do(home: Home, name: str, /, **fields: Any) -> None:
    await execute(home, named(name), named(name).parse(fields), Call("as the test says"))


# What it does


async def test_a_run_is_done_as_whoever_started_it_and_the_trail_names_both(
    database: Database, person: Home, worker: Home, psql: Psql
) -> None:
    run = await start_run(person, suspending(), "unpaid")
    assert [row.id for row in await left_runs(worker)] == [run.id]
    run = await drive(worker, run.id, clock=Ticks())
    assert (run.state, run.done, run.refused) == ("done", 6, 0)
    trail = "SELECT DISTINCT actor, carried_by, reason, out_of_band FROM wf.audit WHERE operation = 'tenants.suspend'"
    assert psql("owner").execute(trail).fetchall() == [("t_admin", "t_worker", "unpaid", False)]
    ended = "SELECT actor, carried_by FROM wf.audit WHERE operation = 'runs.complete'"
    assert one(psql("owner"), ended) == ("t_worker", None)
    recorded = await person.recorded(f"run-{run.id}-1")
    assert recorded is not None and recorded.rows[0].carried_by == "t_worker"


async def test_a_killed_program_leaves_its_run_to_the_worker(database: Database, person: Home, psql: Psql) -> None:
    run = await start_run(person, suspending(per_second=10), "unpaid")
    command = [sys.executable, "-m", "tests.backends.runs", database.login("admin"), str(run.id), "after commit", "3"]
    assert (await asyncio.to_thread(subprocess.run, command)).returncode == -signal.SIGKILL
    abandoned(database.owner)
    async with carrying(database):
        run = await until_over(person, run)
    assert (run.state, run.done) == ("done", 6)
    by = "SELECT settled_by::text, count(*) FROM wf.run_items GROUP BY 1 ORDER BY 1"
    assert psql("owner").execute(by).fetchall() == [("t_admin", 3), ("t_worker", 3)]


@pytest.mark.parametrize("operation", ["tenants.create", "subscriptions.change", "keys.register", "no.such"])
def test_nobody_makes_a_run_of_what_is_not_done_to_many(psql: Psql, operation: str) -> None:
    """It would wait for a worker for ever, before all others."""
    insert = f"INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('{operation}', 1, 1)"
    for role in ("operator", "admin", "owner"):
        refused(psql(role), "run_not_carried", insert)


async def test_it_is_undone_by_the_worker_as_well(database: Database, person: Home, worker: Home, psql: Psql) -> None:
    renames = {
        "operation": "tenants.rename",
        "fields": {"name": "Of many"},
        "subjects": [{"id": "t001"}, {"id": "t002"}],
    }
    run = await drive(worker, (await start_run(person, RunStart.model_validate(renames), "why")).id, clock=Ticks())
    assert run.done == 2
    await do(person, "tenants.rename", id="t001", name="Of another")
    undo = await drive(worker, (await undo_run(person, run.id)).id, clock=Ticks())
    assert (undo.done, undo.refused) == (1, 1)
    assert [item.code for item in await items(person, undo, "state:refused")] == ["stale_version"]
    names = psql("owner").execute("SELECT id, name FROM wf.tenants WHERE id IN ('t001', 't002') ORDER BY id").fetchall()
    assert names == [("t001", "Of another"), ("t002", "Tenant 2")]


async def test_pause_resume_and_stop_are_obeyed(person: Home, worker: Home, psql: Psql) -> None:
    run = await start_run(person, suspending(per_second=10), "unpaid")

    def turn(becomes: str, at: int) -> Callable[[Run], None]:
        def look(run: Run) -> None:
            if run.done == at:
                psql("operator").execute(f"UPDATE wf.runs SET state = '{becomes}' WHERE id = {run.id}".encode())

        return look

    paused = await drive(worker, run.id, clock=Ticks(), on_progress=turn("paused", 2))
    assert (paused.state, paused.done, paused.waiting, paused.driver) == ("paused", 2, 4, None)
    assert await left_runs(worker) == [] and await drive(worker, run.id, clock=Ticks()) == paused
    await do(person, "runs.resume", id=run.id)
    stopped = await drive(worker, run.id, clock=Ticks(), on_progress=turn("stopped", 4))
    assert (stopped.state, stopped.done, stopped.skipped) == ("stopped", 4, 2)
    assert one(psql("owner"), "SELECT count(*) FROM wf.tenants WHERE status = 'suspended'") == (4,)


async def test_its_breaker_pauses_and_says_why(database: Database, person: Home, worker: Home, psql: Psql) -> None:
    psql("owner").execute("UPDATE wf.tenants SET protected = true WHERE id <= 't003'")
    run = await drive(worker, (await start_run(person, suspending(), "unpaid")).id, clock=Ticks())
    assert (run.state, run.why, run.refused) == ("paused", "breaker: 1 of the canary of 1 refused", 1)
    assert [(item.thing, item.code) for item in await items(person, run, "state:refused")] == [
        ("t001", "tenant_protected")
    ]


# With whose rights


@pytest.mark.parametrize(
    "meanwhile",
    [
        "SELECT wf.put_operator('t_admin', 'support', NULL)",
        "SELECT wf.remove_operator('t_admin')",
        "ALTER ROLE t_admin NOLOGIN",
    ],
)
async def test_who_lost_the_role_meanwhile_has_the_rest_refused(
    database: Database, person: Home, worker: Home, psql: Psql, meanwhile: str
) -> None:
    run = await start_run(person, suspending(breaker_share=1.0), "unpaid")
    await worker.of(RunDirectory).hold(run.id, "w")
    await worker.of(RunDirectory).carry((await worker.of(RunDirectory).waiting(run.id, 1))[0])
    await worker.of(RunDirectory).release(run.id, "w")
    try:
        psql("owner").execute(meanwhile)
        run = await drive(worker, run.id, clock=Ticks())
        assert (run.state, run.done, run.refused) == ("done", 1, 5)
        rest = psql("owner").execute("SELECT DISTINCT code, words FROM wf.run_items WHERE state = 'refused'").fetchall()
        assert rest == [("run_actor", rest[0][1])] and "may no longer do this" in rest[0][1]
        assert one(psql("owner"), "SELECT count(*) FROM wf.tenants WHERE status = 'suspended'") == (1,)
    finally:  # the login is the whole server's
        psql("owner").execute("ALTER ROLE t_admin LOGIN")
        psql("owner").execute("GRANT wf_admin TO t_admin; REVOKE wf_support FROM t_admin")


async def test_a_role_that_was_never_enough_is_not_lent(database: Database, person: Home, worker: Home) -> None:
    """An operator with psql orders what only an admin may do."""
    async with await psycopg.AsyncConnection.connect(database.login("operator")) as operator:
        await operator.execute(
            "INSERT INTO wf.runs (operation, reason, per_second, breaker_share) VALUES ('tenants.delete', 'x', 10, 1)"
        )
        await operator.execute(
            "INSERT INTO wf.run_items (run_id, ordinal, thing, subject) SELECT max(id), 1, 't001', '{}' FROM wf.runs"
        )
    run = (await left_runs(worker))[0]
    run = await drive(worker, run.id, clock=Ticks())
    assert (run.done, [item.code for item in await items(person, run)]) == (0, ["run_actor"])


async def test_nobody_with_less_rights_sets_a_run_going_again(database: Database, person: Home, worker: Home) -> None:
    deletes = {"operation": "tenants.delete", "subjects": [{"id": "t001"}]}
    run = await start_run(person, RunStart.model_validate(deletes), "by an admin")
    async with opened(database.login("operator")) as operator:
        await do(operator, "runs.pause", id=run.id)
        with pytest.raises(NotPermitted) as refusal:
            await do(operator, "runs.resume", id=run.id)
        assert refusal.value.code == "run_role"
    await do(person, "runs.resume", id=run.id)
    assert (await drive(worker, run.id, clock=Ticks())).done == 1


async def test_who_acts_for_a_tenant_to_read_has_nothing_changed_of_it(person: Home, worker: Home) -> None:
    run = await start_run(person, suspending(["t001", "t002"], breaker_share=1.0), "unpaid")
    await do(person, "tenants.impersonate", id="t001", ticket="T-1", minutes=5)
    run = await drive(worker, run.id, clock=Ticks())
    assert [(item.thing, item.state, item.code) for item in await items(person, run)] == [
        ("t001", "refused", "impersonation_reading"),
        ("t002", "done", None),
    ]


# What a worker's login tries with psql


CARRY = "SELECT wf.carry_item({}, {})"


@pytest.fixture
async def ordered(person: Home) -> Run:
    return await start_run(person, suspending(["t001", "t002"]), "unpaid")


def held(psql: Psql, run: Run) -> None:
    assert one(psql("worker"), "SELECT wf.hold_run(%s, 'mine')", run.id) == (True,)


def test_it_may_not_write_or_read_what_runs_are_about(psql: Psql, ordered: Run) -> None:
    held(psql, ordered)
    denied(
        psql("worker"),
        "UPDATE wf.tenants SET status = 'suspended' WHERE id = 't001'",
        "SELECT * FROM wf.tenants",
        "SELECT * FROM wf.tenant_list",
        "UPDATE wf.api_keys SET disabled_at = now()",
        "SELECT wf.begin_change('tenants.suspend', 'x', 'run-1-1')",
        "SELECT wf.open_change('tenants.suspend', 'x', 'run-1-1', '')",
        "INSERT INTO wf.changes (operation, request_id, carried_for) VALUES ('tenants.suspend', 'x', 't_admin')",
        "INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('tenants.suspend', 1, 1)",
        "INSERT INTO wf.run_items (run_id, ordinal, thing, subject) VALUES (1, 9, 't003', '{}')",
        "UPDATE wf.run_items SET thing = 't003'",
        "UPDATE wf.runs SET operation = 'tenants.delete'",
        "UPDATE wf.runs SET state = 'running'",
        "SELECT wf.carried_columns(NULL, NULL, NULL)",
        "SELECT wf.purge_tenant('t001')",
        "SELECT wf.leak_calls('x')",
        "SELECT wf.append_audit('wf.tenants', 'tenants', 'update', '{t001}', '{t001}', '{NULL}', '{NULL}', '{}')",
        "SELECT holder FROM wf.run_progress",
        "SET ROLE wf_operator",
    )


def test_an_item_is_done_by_who_drives_its_run_once_and_no_other(psql: Psql, ordered: Run) -> None:
    mine = psql("worker")
    refused(mine, "run_not_held", CARRY.format(ordered.id, 1))
    held(psql, ordered)
    for run, place in (
        (ordered.id, 3),
        (ordered.id, 0),
        (ordered.id, -1),
        (ordered.id + 1, 1),
        ("NULL", 1),
        (ordered.id, "NULL"),
    ):
        refused(mine, "run_not_carried", CARRY.format(run, place))
    mine.execute(CARRY.format(ordered.id, 1))
    refused(mine, "run_item_settled", CARRY.format(ordered.id, 1))
    suspended = "SELECT array_agg(id::text) FROM wf.tenants WHERE status = 'suspended'"
    assert one(psql("owner"), suspended) == (["t001"],)


@pytest.mark.parametrize("becomes", ["paused", "stopped"])
def test_nothing_is_done_after_a_run_was_halted(psql: Psql, ordered: Run, becomes: str) -> None:
    held(psql, ordered)
    psql("operator").execute(f"UPDATE wf.runs SET state = '{becomes}' WHERE id = {ordered.id}".encode())
    mine = psql("worker")
    refused(mine, "run_not_running" if becomes == "paused" else "run_item_settled", CARRY.format(ordered.id, 1))
    refused(mine, "run_not_held", f"SELECT wf.refuse_items({ordered.id}, '{{2}}', '{{x}}', '{{made up}}')")
    refused(mine, "run_not_held", f"SELECT wf.end_carrying({ordered.id}, 'done', NULL)")
    assert one(mine, "SELECT wf.hold_run(%s, 'another')", ordered.id) == (False,)
    assert one(psql("owner"), "SELECT count(*) FROM wf.tenants WHERE status = 'suspended'") == (0,)


def test_an_open_snapshot_from_before_changes_nothing(psql: Psql, ordered: Run) -> None:
    """Whatever isolation the session chooses: what was stopped or taken away since counts."""
    held(psql, ordered)
    mine = psql("worker")
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        mine.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM wf.run_list".encode())
        psql("operator").execute(f"UPDATE wf.runs SET state = 'paused' WHERE id = {ordered.id}".encode())
        with pytest.raises((errors.SerializationFailure, errors.CheckViolation)):
            mine.execute(CARRY.format(ordered.id, 1))
        mine.execute("ROLLBACK")
        psql("admin").execute(f"UPDATE wf.runs SET state = 'running' WHERE id = {ordered.id}".encode())
        held(psql, ordered)
    assert one(psql("owner"), "SELECT count(*) FROM wf.tenants WHERE status = 'suspended'") == (0,)


def test_a_run_ends_when_all_is_settled_and_no_sooner(psql: Psql, ordered: Run) -> None:
    held(psql, ordered)
    mine = psql("worker")
    for becomes in ("done", "stopped", "running", "", "NULL"):
        quoted = becomes if becomes == "NULL" else f"'{becomes}'"
        refused(mine, "run_transition", f"SELECT wf.end_carrying({ordered.id}, {quoted}, NULL)")
    for place in (1, 2):
        mine.execute(CARRY.format(ordered.id, place))
    mine.execute(f"SELECT wf.end_carrying({ordered.id}, 'done', NULL)".encode())
    assert one(psql("owner"), "SELECT state FROM wf.runs") == ("done",)


def test_what_else_it_writes_in_that_transaction_is_its_own(psql: Psql, ordered: Run) -> None:
    """The change that was lent is over with the item; to name it again lends nothing."""
    held(psql, ordered)
    mine = psql("worker")
    psql("owner").execute(
        "SET session_replication_role = replica; UPDATE wf.subscriptions SET state = 'trial', trial_plan = 'growth',"
        " trial_version = 1, trial_start = now() - interval '9 days', trial_end = now() - interval '1 day',"
        " trial_return = 'active' WHERE tenant_id = 't003'; SET session_replication_role = origin"
    )
    mine.execute(f"BEGIN; {CARRY.format(ordered.id, 1)}".encode())
    assert one(mine, "SELECT current_setting('wf.change')") == ("",)
    mine.execute("SELECT set_config('wf.change', (SELECT max(change_id)::text FROM wf.audit), true)")
    assert one(mine, "SELECT ended FROM wf.expire_trials()") == (1,)
    mine.execute("COMMIT")
    rows = "SELECT noun, thing, actor, carried_by FROM wf.audit WHERE noun IN ('subscriptions', 'tenants')"
    assert psql("owner").execute(f"{rows} ORDER BY seq DESC".encode()).fetchmany(2) == [
        ("subscriptions", "t003", "t_worker", None),
        ("tenants", "t001", "t_admin", "t_worker"),
    ]


def test_the_thing_of_an_item_is_what_it_says(psql: Psql, person: Home) -> None:
    """An operator's own rows: a subject beside the thing, a project's thing for a tenant, a quote."""
    mine = psql("operator")
    mine.execute(
        "INSERT INTO wf.runs (operation, reason, per_second, breaker_share) VALUES ('tenants.suspend', 'x', 9, 1)"
    )
    things = ["t001", "t002/x", "t003' OR true --", "%I"]
    run = one(psql("owner"), "SELECT max(id) FROM wf.runs")[0]
    for place, thing in enumerate(things, 1):
        # Things join a run in the transaction that makes it.
        psql("owner").execute(
            "SET session_replication_role = replica; INSERT INTO wf.run_items (run_id, ordinal, thing, subject)"
            f' VALUES ({run}, {place}, $q${thing}$q$, \'{{"id": "t006"}}\'); SET session_replication_role = origin'
        )
    psql("owner").execute(f"UPDATE wf.run_progress SET waiting = 4 WHERE run_id = {run}")
    assert one(psql("worker"), "SELECT wf.hold_run(%s, 'mine')", run) == (True,)
    psql("worker").execute(CARRY.format(run, 1))
    for place in (2, 3, 4):
        refused(psql("worker"), "run_thing_gone", CARRY.format(run, place))
    suspended = "SELECT array_agg(id::text) FROM wf.tenants WHERE status = 'suspended'"
    assert one(psql("owner"), suspended) == (["t001"],)
