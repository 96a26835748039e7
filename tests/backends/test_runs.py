"""Done to many, on a real home: everything exactly once, whoever is killed, pauses or drives at the same time."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.audit.model import Record
from controlplane.errors import Conflict, NotPermitted, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.runs.engine import drive, preview_run, start_run, undo_run
from controlplane.runs.list import ITEMS
from controlplane.runs.model import Run, RunDirectory, RunItem
from controlplane.runs.operations import RunStart
from tests.backends.runs import abandoned, make_tenants, opened, suspending
from tests.controlplane.runs import Ticks
from tests.postgres import Database


@pytest.fixture
async def home(database: Database):
    async with opened(database.login("operator")) as home:
        yield home


def asked(database: Database, statement: str, *values: object) -> list[tuple]:
    with psycopg.connect(database.owner) as connection:
        return connection.execute(statement, values).fetchall()


def suspensions(database: Database) -> Counter[str]:
    """Tenant → how often the trail says that it was suspended."""
    return Counter(
        thing for (thing,) in asked(database, "SELECT thing FROM wf.audit WHERE operation = 'tenants.suspend'")
    )


async def items(home: Home, run: Run, filter_: str = "") -> tuple[RunItem, ...]:
    page = await home.of(RunDirectory).items(run.id).page(Query(parse(filter_, ITEMS.fields)), limit=1000)
    return page.rows


async def do(home: Home, name: str, /, **fields: object) -> Outcome:
    return await execute(home, named(name), named(name).parse(fields), Call("as the test says"))


async def test_three_hundred_tenants_are_suspended_each_in_a_change_of_its_own(database: Database, home: Home) -> None:
    tenants = make_tenants(database.owner, 300)
    seen: list[int] = []
    run = await start_run(home, suspending(), "unpaid")
    assert (run.state, run.waiting, run.actor, run.filter) == ("running", 300, "t_operator", "plan:growth")
    run = await drive(home, run.id, clock=Ticks(), on_progress=lambda run: seen.append(run.done))
    assert (run.state, run.done, run.waiting, run.refused) == ("done", 300, 0, 0)
    assert seen == sorted(seen) and seen[:2] == [1, 11] and len(seen) < 12, "the canaries, then batches"
    assert suspensions(database) == Counter(tenants)
    assert asked(
        database, "SELECT DISTINCT reason, out_of_band FROM wf.audit WHERE noun = 'tenants' AND actor = 't_operator'"
    ) == [("unpaid", False)]
    assert asked(database, "SELECT DISTINCT status FROM wf.tenants WHERE plan = 'growth'") == [("suspended",)]
    # The run itself is in the trail; its items are not, but for what was done to each.
    runs = asked(database, "SELECT operation, after ->> 'state' FROM wf.audit WHERE noun = 'runs' ORDER BY seq")
    assert runs == [("runs.start", "running"), ("runs.complete", "done")]


async def test_a_change_and_its_verdict_are_one_transaction(database: Database, home: Home) -> None:
    make_tenants(database.owner, 3)
    run = await start_run(home, suspending(), "unpaid")
    await drive(home, run.id, clock=Ticks())
    found = asked(
        database,
        "SELECT count(*), count(DISTINCT i.xmin::text) FROM wf.run_items i JOIN wf.changes c"
        " ON c.request_id = 'run-' || i.run_id || '-' || i.ordinal AND i.xmin = c.xmin",
    )
    assert found == [(3, 3)]


@pytest.mark.parametrize(
    ("point", "at"),
    [("before commit", 1), ("before commit", 4), ("after commit", 1), ("after commit", 4), ("known", 4)],
)
async def test_a_killed_run_is_taken_over_and_nothing_is_done_twice(
    database: Database, home: Home, point: str, at: int
) -> None:
    tenants = make_tenants(database.owner, 8)
    run = await start_run(home, suspending(per_second=10), "unpaid")
    command = [sys.executable, "-m", "tests.backends.runs", database.login("operator"), str(run.id), point, str(at)]
    assert (await asyncio.to_thread(subprocess.run, command)).returncode == -signal.SIGKILL
    run = await home.of(RunDirectory).get(run.id)
    assert run.state == "running" and run.done == (at - 1 if point == "before commit" else at)
    with pytest.raises(Conflict) as refused:  # the dead program may still be alive, for all the home knows
        await drive(home, run.id, clock=Ticks())
    assert refused.value.code == "run_driven"
    abandoned(database.owner)
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.done) == ("done", 8)
    assert suspensions(database) == Counter(tenants)


async def test_two_drivers_at_once_do_everything_once(database: Database, home: Home) -> None:
    tenants = make_tenants(database.owner, 40)
    run = await start_run(home, suspending(), "unpaid")
    async with opened(database.login("operator")) as other:
        first, second = await asyncio.gather(
            drive(home, run.id, clock=Ticks()), drive(other, run.id, clock=Ticks()), return_exceptions=True
        )
    refused, finished = (first, second) if isinstance(first, Refusal) else (second, first)
    assert isinstance(refused, Refusal) and refused.code == "run_driven"
    assert isinstance(finished, Run) and (finished.state, finished.done) == ("done", 40)
    assert suspensions(database) == Counter(tenants)


async def test_two_drivers_that_both_hold_it_still_do_everything_once(database: Database, home: Home) -> None:
    """A program that was only slow, not dead: the hold is a courtesy, the request ids are the guarantee."""
    tenants = make_tenants(database.owner, 40)
    run = await start_run(home, suspending(), "unpaid")
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION wf.hold_run(run bigint, holder text) RETURNS boolean"
            " LANGUAGE sql AS 'SELECT true'"
        )
        connection.execute(
            "CREATE OR REPLACE FUNCTION wf.drives(run bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        )
    async with opened(database.login("operator")) as other:
        ended = await asyncio.gather(drive(home, run.id, clock=Ticks()), drive(other, run.id, clock=Ticks()))
    assert {each.state for each in ended} == {"done"}
    assert [(each.done, each.refused) for each in ended] == [(40, 0)] * 2
    assert suspensions(database) == Counter(tenants)


async def test_the_breaker_pauses_and_a_person_lets_it_go_on(database: Database, home: Home) -> None:
    make_tenants(database.owner, 60)
    with psycopg.connect(database.owner) as connection:
        connection.execute("UPDATE wf.tenants SET protected = true WHERE id BETWEEN 't021' AND 't030'")
    run = await drive(home, (await start_run(home, suspending(), "unpaid")).id, clock=Ticks())
    assert (run.state, run.why) == ("paused", "breaker: 5 of the last 20 refused")
    assert (run.done, run.refused, run.waiting) == (20, 5, 35)
    refused = await items(home, run, "state:refused")
    assert [(item.thing, item.code) for item in refused] == [(f"t{i:03}", "tenant_protected") for i in range(21, 26)]
    assert refused[0].words == "not suspended: t021 is protected."
    assert await drive(home, run.id, clock=Ticks()) == run, "a paused run is not driven"
    await do(home, "runs.resume", id=run.id)
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.refused, run.settled_before) == ("paused", 10, 25)
    await do(home, "runs.resume", id=run.id)
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.done, run.refused) == ("done", 50, 10)


async def test_a_refused_canary_pauses_before_anything_is_done(database: Database, home: Home) -> None:
    tenants = make_tenants(database.owner, 3)
    run = await start_run(home, suspending(["default", *tenants]), "unpaid")
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.why, run.settled) == ("paused", "breaker: 1 of the canary of 1 refused", 1)
    assert not suspensions(database)


async def test_a_breaker_that_was_due_when_the_driver_died_still_pauses(database: Database, home: Home) -> None:
    tenants = make_tenants(database.owner, 2)
    run = await start_run(home, suspending(["default", *tenants]), "unpaid")
    (first,) = await home.of(RunDirectory).waiting(run.id, 1)
    await home.of(RunDirectory).hold(run.id, "a program that dies")
    assert await home.of(RunDirectory).refuse(first, "tenant_protected", "not suspended") is True
    assert await home.of(RunDirectory).refuse(first, "again", "") is False
    abandoned(database.owner)
    assert (await drive(home, run.id, clock=Ticks())).state == "paused"
    assert not suspensions(database)


@pytest.mark.parametrize(("operation", "state"), [("runs.pause", "paused"), ("runs.stop", "stopped")])
async def test_pause_and_stop_hold_at_once_against_a_driver(
    database: Database, home: Home, operation: str, state: str
) -> None:
    make_tenants(database.owner, 60)
    run = await start_run(home, suspending(per_second=10), "unpaid")
    async with opened(database.login("operator")) as other:
        interrupting: list[asyncio.Task[Outcome]] = []

        def interrupt(run: Run) -> None:
            if run.done == 20:
                interrupting.append(asyncio.create_task(do(other, operation, id=run.id)))

        run = await drive(home, run.id, clock=Ticks(), on_progress=interrupt)
        await interrupting[0]
    assert run.state == state and 20 <= run.done < 60 and run.why == "as the test says"
    assert len(suspensions(database)) == run.done, "nothing was done after it"
    if state == "paused":
        assert run.waiting == 60 - run.done
        await do(home, "runs.resume", id=run.id)
        run = await drive(home, run.id, clock=Ticks())
        assert (run.state, run.done) == ("done", 60)
    else:
        assert (run.waiting, run.skipped) == (0, 60 - run.done)
        assert len(await items(home, run, "state:skipped")) == run.skipped
        assert await drive(home, run.id, clock=Ticks()) == run
    assert set(suspensions(database).values()) == {1}


async def test_a_tenant_that_changed_since_is_refused_and_the_run_goes_on(database: Database, home: Home) -> None:
    make_tenants(database.owner, 12)
    run = await start_run(home, suspending(), "unpaid")
    await do(home, "tenants.rename", id="t005", name="Renamed meanwhile")
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.done, run.refused) == ("done", 11, 1)
    (refused,) = await items(home, run, "state:refused")
    assert (refused.thing, refused.code, refused.version) == ("t005", "stale_version", 1)


async def test_the_version_that_a_person_saw_counts_not_the_one_at_the_start(database: Database, home: Home) -> None:
    make_tenants(database.owner, 2)
    await do(home, "tenants.rename", id="t002", name="Renamed before")
    subjects = [{"id": "t001", "version": 1}, {"id": "t002", "version": 1}]
    request = RunStart(operation="tenants.suspend", subjects=subjects, per_second=1000)
    run = await drive(home, (await start_run(home, request, "unpaid")).id, clock=Ticks())
    assert [(item.thing, item.code) for item in await items(home, run)] == [("t001", None), ("t002", "stale_version")]


async def test_undoing_a_run_restores_all_but_what_was_changed_since(database: Database, home: Home) -> None:
    tenants = make_tenants(database.owner, 30)
    request = RunStart(
        operation="tenants.edit", filter="plan:growth", fields={"plan": "scale", "metadata": {"a": 1}}, per_second=1000
    )
    facts = "SELECT id, plan, metadata, status FROM wf.tenants ORDER BY id"
    before = asked(database, facts)
    run = await drive(home, (await start_run(home, request, None)).id, clock=Ticks())
    assert asked(database, facts) != before
    await do(home, "tenants.rename", id="t020", name="Renamed since")
    undo = await undo_run(home, run.id, "wrong plan")
    assert (undo.undoes, undo.operation, undo.waiting, undo.reason) == (run.id, "tenants.edit", 30, "wrong plan")
    undo = await drive(home, undo.id, clock=Ticks())
    assert (undo.state, undo.done, undo.refused) == ("done", 29, 1)
    assert [item.thing for item in await items(home, undo)] == tenants[::-1], "last first"
    changed = [row for row, was in zip(asked(database, facts), before, strict=True) if row != was]
    assert changed == [("t020", "scale", {"a": 1}, "active")]


async def test_an_undo_puts_personal_values_back_and_keeps_none(database: Database, home: Home) -> None:
    make_tenants(database.owner, 1)
    with psycopg.connect(database.owner) as connection:
        connection.execute("UPDATE wf.tenants SET owner_email = 'ada@lovelace.example' WHERE id = 't001'")
    request = RunStart(operation="tenants.rename", filter="plan:growth", fields={"name": "One"}, per_second=1000)
    run = await drive(home, (await start_run(home, request, None)).id, clock=Ticks())
    undo = await drive(home, (await undo_run(home, run.id)).id, clock=Ticks())
    assert undo.done == 1
    assert asked(database, "SELECT name, owner_email FROM wf.tenants WHERE id = 't001'") == [
        ("Tenant 1", "ada@lovelace.example")
    ]
    kept = asked(database, "SELECT i::text FROM wf.run_items i UNION ALL SELECT r::text FROM wf.runs r")
    assert kept and not any("ada@" in text for (text,) in kept)
    for fields in ({"owner_email": "x@example.org"}, {"id": "t001"}, {"version": 3}):
        with pytest.raises(Usage, match=r"personal|thing to thing"):
            await start_run(home, RunStart(operation="tenants.edit", filter="plan:growth", fields=fields), None)


async def test_a_preview_tries_the_first_and_counts_the_rest_and_changes_nothing(
    database: Database, home: Home
) -> None:
    tenants = make_tenants(database.owner, 30)
    with psycopg.connect(database.owner) as connection:
        connection.execute("UPDATE wf.tenants SET protected = true WHERE id IN ('t002', 't029', 't030')")
    before = asked(database, "SELECT max(seq) FROM wf.audit")
    for request in (suspending(), suspending(tenants)):
        preview = await preview_run(home, request, "unpaid")
        assert preview.total == 30
        assert [thing for thing, _ in preview.sample] == tenants[:5]
        tried = dict(preview.sample)
        assert isinstance(tried["t001"], Outcome) and tried["t001"].rows[0].after["status"] == "suspended"
        assert isinstance(tried["t002"], Refusal) and tried["t002"].code == "tenant_protected"
        assert preview.refusals == {"tenant_protected": 3}
        assert preview.words["tenant_protected"].startswith("not suspended: t0")
    assert asked(database, "SELECT max(seq) FROM wf.audit") == before
    assert (await home.of(RunDirectory).count(Query())).number == 0


async def test_starting_twice_with_one_request_id_starts_once(database: Database, home: Home) -> None:
    make_tenants(database.owner, 3)
    one = await start_run(home, suspending(), "unpaid", "start-1")
    assert await start_run(home, suspending(), "unpaid", "start-1") == one
    assert (await home.of(RunDirectory).count(Query())).number == 1


REFUSED: list[tuple[Record, str]] = [
    ({"filter": ""}, "run_filter_empty"),
    ({"filter": "~acme"}, "run_filter_fuzzy"),
    ({"filter": "colour:red"}, "filter_unreadable"),
    ({"filter": "plan:nobody-has-it"}, "run_empty"),
    ({"subjects": []}, "run_empty"),
    ({"subjects": [{"id": "t001"}, {"id": "t001"}]}, "run_thing_twice"),
    ({"subjects": [{"id": "t001", "name": "x"}]}, "run_fields"),
    ({"subjects": [{"id": "../x"}]}, "request_invalid"),
    ({"filter": "plan:growth", "fields": {"colour": "red"}}, "request_invalid"),
    ({"filter": "plan:growth", "operation": "tenants.create"}, "not_in_bulk"),
    ({"filter": "plan:growth", "operation": "nothing.at_all"}, "not_in_bulk"),
    ({"filter": "plan:growth", "operation": "tenants.delete"}, "role_too_low"),
]


@pytest.mark.parametrize(("given", "code"), REFUSED, ids=[str(code) for _, code in REFUSED])
async def test_what_cannot_be_a_run_is_refused_and_leaves_nothing(
    database: Database, home: Home, given: Record, code: str
) -> None:
    make_tenants(database.owner, 1)
    with pytest.raises(Refusal) as refused:
        await start_run(home, RunStart.model_validate({"operation": "tenants.suspend"} | given), "unpaid")
    assert refused.value.code == code
    assert (await home.of(RunDirectory).count(Query())).number == 0


async def test_a_run_needs_the_reason_that_its_operation_needs(database: Database, home: Home) -> None:
    make_tenants(database.owner, 1)
    for attempt in (start_run, preview_run):
        with pytest.raises(Usage) as refused:
            await attempt(home, suspending(), " ")
        assert refused.value.code == "reason_needed"


async def test_more_than_a_hundred_thousand_things_are_refused(database: Database, home: Home) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("ALTER TABLE wf.tenants DISABLE TRIGGER audit_insert")
        connection.execute("ALTER TABLE wf.run_progress DROP CONSTRAINT run_too_large")
        connection.execute(
            "ALTER TABLE wf.run_progress ADD CONSTRAINT run_too_large CHECK (waiting + done + refused + skipped <= 20)"
        )
    make_tenants(database.owner, 21)
    with pytest.raises(Usage) as refused:
        await start_run(home, suspending(), "unpaid")
    assert refused.value.code == "run_too_large" and "100,000" in refused.value.message
    assert (await home.of(RunDirectory).count(Query())).number == 0


async def test_a_viewer_reads_runs_and_support_neither_starts_nor_drives(database: Database, home: Home) -> None:
    make_tenants(database.owner, 2)
    run = await start_run(home, suspending(), "unpaid")
    async with opened(database.login("viewer")) as viewer:
        page = await viewer.of(RunDirectory).page(Query())
        assert [each.id for each in page.rows] == [run.id]
        assert len(await items(viewer, run)) == 2
    async with opened(database.login("support")) as support:
        for attempt in (
            drive(support, run.id),
            start_run(support, suspending(), "x"),
            do(support, "runs.stop", id=run.id),
        ):
            with pytest.raises(NotPermitted):
                await attempt
        statements = (
            "SELECT wf.hold_run(1, 'x')",
            "SELECT wf.refuse_items(1, '{1}', '{x}', '{x}')",
            "UPDATE wf.runs SET state = 'stopped'",
            "INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('tenants.suspend', 1, 1)",
            f"SELECT wf.begin_change('tenants.suspend', 'x', 'run-{run.id}-1')",
        )
        for statement in statements:
            with pytest.raises(Refusal) as refused:
                async with support.connection() as connection:
                    await connection.execute(statement)
            assert refused.value.code in ("not_permitted", "run_item_unknown")
    assert (await home.of(RunDirectory).get(run.id)).waiting == 2


async def test_psql_neither_forges_verdicts_nor_adds_things_nor_skips_states(database: Database, home: Home) -> None:
    make_tenants(database.owner, 2)
    run = await start_run(home, suspending(), "unpaid")
    await home.of(RunDirectory).hold(run.id, "this program")
    refused_by_the_home = {
        "UPDATE wf.run_items SET state = 'done'": "not_permitted",
        "UPDATE wf.run_progress SET done = 2": "not_permitted",
        "DELETE FROM wf.run_items": "not_permitted",
        "UPDATE wf.runs SET operation = 'tenants.delete'": "not_permitted",
        "UPDATE wf.runs SET state = 'done'": "run_transition",
        "INSERT INTO wf.run_items (run_id, ordinal, thing, subject) VALUES (1, 9, 'x', '{}')": "run_snapshot_over",
        f"SELECT wf.begin_change('tenants.resume', 'x', 'run-{run.id}-1')": "run_item_unknown",
        f"SELECT wf.begin_change('tenants.suspend', 'x', 'run-{run.id}-7')": "run_item_settled",
        "SELECT wf.begin_change('tenants.suspend', 'x', 'run-999-1')": "run_item_unknown",
    }
    for statement, code in refused_by_the_home.items():
        with pytest.raises(Refusal) as refused:
            async with home.connection() as connection:
                await connection.execute(statement)
        assert refused.value.code == code, statement
    async with home.connection() as connection:
        await connection.execute("UPDATE wf.runs SET state = 'paused'")
    ((out_of_band,),) = asked(
        database, "SELECT out_of_band FROM wf.audit WHERE noun = 'runs' ORDER BY seq DESC LIMIT 1"
    )
    assert out_of_band is True


async def test_the_rate_is_kept_and_a_slow_run_notices_a_pause(database: Database, home: Home) -> None:
    make_tenants(database.owner, 5)
    run = await start_run(home, suspending(per_second=0.5), "unpaid")
    clock, times = Ticks(), []
    run = await drive(home, run.id, clock=clock, on_progress=lambda run: times.append(clock.now()))
    assert (run.state, times) == ("done", [0, 2, 4, 6, 8])


async def test_a_pause_is_noticed_while_waiting_for_the_next_turn(database: Database, home: Home) -> None:
    make_tenants(database.owner, 3)
    run = await start_run(home, suspending(per_second=0.01), "unpaid")

    class Interrupted(Ticks):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if 6 <= self.at < 9:
                await do(home, "runs.pause", id=run.id)

    clock = Interrupted()
    run = await drive(home, run.id, clock=clock)
    assert (run.state, run.done) == ("paused", 1) and clock.now() < 10


async def test_projects_are_archived_in_bulk(database: Database, home: Home) -> None:
    for tenant in make_tenants(database.owner, 2):
        await do(home, "projects.create", tenant_id=tenant, id="web")
    request = RunStart(operation="projects.archive", filter="web", per_second=1000)
    preview = await preview_run(home, request, None)
    assert [thing for thing, _ in preview.sample] == ["t001/web", "t002/web"] and not preview.refusals
    run = await drive(home, (await start_run(home, request, None)).id, clock=Ticks())
    assert (run.state, run.done) == ("done", 2)
    undo = await drive(home, (await undo_run(home, run.id)).id, clock=Ticks())
    assert undo.done == 2
    assert asked(database, "SELECT DISTINCT status FROM wf.projects") == [("active",)]
