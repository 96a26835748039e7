"""What was previewed is what runs, or it is refused: with another person at work between the preview and the yes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.carrying import NotConfirmed, Question, carry_out
from controlplane.errors import Conflict, Refusal
from controlplane.listing import Query
from controlplane.operations import Call, Outcome
from controlplane.previews import outcome_lines
from controlplane.registry import named, operations
from controlplane.runs.engine import RunQuestion, drive, start_run, undo_run
from controlplane.runs.model import RunDirectory
from controlplane.tenants.model import TenantDirectory
from tests.backends.keys import make_keys
from tests.backends.runs import make_tenants, opened, suspending
from tests.backends.test_operations_by_role import ESTATE, EXAMPLES
from tests.backends.test_operations_by_role import opened as opened_with_all
from tests.controlplane.runs import Ticks
from tests.postgres import Database


@pytest.fixture
async def home(database: Database):
    make_tenants(database.owner, 3)
    async with opened(database.login("admin")) as home:
        yield home


def by_another(database: Database, statement: str) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute(statement.encode())


def yes_after(database: Database, statement: str) -> Callable[[Any], Awaitable[bool]]:
    """Somebody else is faster than the answer."""

    async def ask(question: Question | RunQuestion) -> bool:
        by_another(database, statement)
        return True

    return ask


async def do(home: Home, name: str, ask: Any = None, /, **fields: Any) -> Outcome:
    return await carry_out(home, named(name), named(name).parse(fields), Call("as the test says"), ask)


RENAMED = "UPDATE wf.tenants SET name = 'Of another' WHERE id = 't001'"
GRANTED = (
    "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)"
    " VALUES ('t001', 'seats', '50', 'override', now() + interval '1 day', 'a fair')"
)


@pytest.mark.parametrize(
    ("name", "fields", "statement", "code"),
    [
        ("tenants.suspend", {"id": "t001"}, RENAMED, "stale_version"),
        ("keys.rotate", {"id": "key_" + "0" * 25 + "1"}, "UPDATE wf.api_keys SET label = 'x'", "stale_version"),
        ("subscriptions.zone", {"tenant_id": "t001", "zone": "Europe/Oslo"}, "UPDATE wf.subscriptions"
         " SET billing_zone = 'UTC', state = 'suspended' WHERE tenant_id = 't001'", "stale_version"),
        # Without a version of its own: bound by what it was seen to change.
        ("tenants.apply", {"tenants": [{"id": "t001", "plan": "pro"}]}, RENAMED, "preview_changed"),
        ("telemetry.retention", {"data": "raw", "days": 20}, "UPDATE wf.telemetry_retention SET days = 9"
         " WHERE data = 'raw'", "preview_changed"),
        ("operators.add", {"name": "joining", "role": "viewer"}, "SELECT wf.put_operator('joining', 'admin', NULL)",
         "preview_changed"),
        ("plans.apply", EXAMPLES["plans.apply"], "INSERT INTO wf.plans (code, version, name, currency, month_price,"
         " year_price, billing, entitlements) VALUES ('basic', 1, 'Other', 'EUR', 1, 1, 'arrears', '{}')",
         "preview_changed"),
    ],
)  # fmt: skip
async def test_what_another_changed_after_the_preview_is_not_overrun(
    database: Database, home: Home, name: str, fields: dict[str, Any], statement: str, code: str
) -> None:
    make_keys(database.owner, 1, "t001")
    with psycopg.connect(database.owner) as owner:
        owner.execute("SELECT wf.put_operator('leaving', 'viewer', NULL)")
    with pytest.raises(Conflict) as refused:
        await do(home, name, yes_after(database, statement), **fields)
    assert refused.value.code == code
    with psycopg.connect(database.owner) as owner:
        assert owner.execute("SELECT count(*) FROM wf.changes WHERE operation = %s", [name]).fetchone() == (0,)


async def test_an_undo_does_not_overrun_either(database: Database, home: Home) -> None:
    step = (await do(home, "tenants.suspend", id="t001")).undo
    assert step is not None
    with pytest.raises(Conflict) as refused:
        await do(home, step.operation, yes_after(database, RENAMED), **step.request)
    assert refused.value.code == "stale_version"
    step = (await do(home, "subscriptions.state", tenant_id="t001", state="suspended")).undo
    assert step is not None
    by_another(database, "UPDATE wf.subscriptions SET billing_zone = 'Europe/Oslo' WHERE tenant_id = 't001'")
    with pytest.raises(Conflict) as later:
        await do(home, step.operation, **step.request)
    assert later.value.code == "stale_version"
    step = (await do(home, "subscriptions.grant", tenant_id="t001", name="seats", value="9", until="7d")).undo
    assert step is not None and step.operation == "subscriptions.end-grant"
    with pytest.raises(Refusal) as ended:
        await do(home, step.operation, yes_after(database, "UPDATE wf.entitlement_grants SET ended_at = now()"),
                 **step.request)  # fmt: skip
    assert ended.value.code in ("grant_over", "preview_changed")


@pytest.mark.parametrize(
    ("request_", "statement"),
    [
        (suspending(), "INSERT INTO wf.tenants (id, name, plan) VALUES ('more', 'More', 'growth')"),
        (suspending(), "UPDATE wf.tenants SET plan = 'pro' WHERE id = 't002'"),
        (suspending(["t001", "t002"]), RENAMED),
    ],
)
async def test_a_run_starts_with_the_things_that_were_shown(
    database: Database, home: Home, request_: Any, statement: str
) -> None:
    with pytest.raises(Conflict) as refused:
        await start_run(home, request_, "unpaid", ask=yes_after(database, statement))
    assert refused.value.code == "preview_changed"
    run = await start_run(home, request_, "unpaid", ask=yes_after(database, "SELECT 1"))
    assert (await drive(home, run.id, clock=Ticks())).done == run.total


async def test_an_item_that_another_changed_is_refused_and_the_others_are_done(database: Database, home: Home) -> None:
    """As the console asks: the version of each is the one that was seen in the list."""
    seen = [{"id": f"t00{n}", "version": 1} for n in (1, 2, 3)]
    request = suspending([], subjects=seen, breaker_share=1.0)
    run = await start_run(home, request, "unpaid", ask=yes_after(database, RENAMED))
    run = await drive(home, run.id, clock=Ticks())
    assert (run.done, run.refused) == (2, 1)
    page = await home.of(RunDirectory).items(run.id).page(Query(), limit=9)
    [item] = [item for item in page.rows if item.state == "refused"]
    assert (item.thing, item.code) == ("t001", "stale_version")
    # Its undo shows what it does, and takes back what it showed.
    questions: list[RunQuestion] = []

    async def yes(question: RunQuestion) -> bool:
        questions.append(question)
        return True

    undone = await drive(home, (await undo_run(home, run.id, ask=yes)).id, clock=Ticks())
    assert undone.done == 2 and questions[0].preview.total == 2
    shown = [line for _, tried in questions[0].preview.sample for line in outcome_lines(tried)]
    assert "  status: suspended → active" in shown
    again = await start_run(home, suspending(), "unpaid")
    await drive(home, again.id, clock=Ticks())
    with pytest.raises(Refusal):
        await undo_run(home, again.id, ask=yes_after(database, "UPDATE wf.runs SET state = 'done' WHERE false;"
                       "UPDATE wf.run_items SET state = 'skipped' WHERE ordinal = 1"))  # fmt: skip


async def test_no_is_no(database: Database, home: Home) -> None:
    async def no(question: Question) -> bool:
        assert question.preview.dry_run and question.name == "t001"
        return False

    with pytest.raises(NotConfirmed):
        await do(home, "tenants.suspend", no, id="t001")
    assert (await home.of(TenantDirectory).get("t001")).status == "active"


async def test_the_ids_that_a_preview_shows_are_those_of_its_run(database: Database, home: Home) -> None:
    shown: list[Outcome] = []

    async def yes(question: Question) -> bool:
        shown.append(question.preview)
        return True

    made = await do(home, "keys.create", yes, tenant_id="t001")
    [seen], [kept] = shown[-1].rows, made.rows
    assert seen.thing == kept.thing and seen.after and kept.after
    assert seen.after["display"] == kept.after["display"] and shown[-1].secret is None and made.secret is not None
    provisioned = await do(home, "tenants.provision", yes, id="new")
    assert shown[-1].result["key_id"] == provisioned.result["key_id"]
    rotated = await do(home, "keys.rotate", yes, id=seen.thing)
    assert {row.thing for row in shown[-1].rows} == {row.thing for row in rotated.rows}
    assert shown[-1].drawn[0] not in repr(shown[-1])
    # A number that the home gives when it commits is not shown before.
    granted = await do(home, "subscriptions.grant", yes, tenant_id="t001", name="seats", value="9", until="7d")
    assert shown[-1].rows[0].thing == "t001/seats/(new)" and "grant" not in shown[-1].result
    assert granted.result["grant"] and granted.rows[0].thing == f"t001/seats/{granted.result['grant']}"
    planned = await do(home, "objectives.create", yes, name="api", target="99.9%")
    assert "objectives (new): new" in outcome_lines(shown[-1]) and planned.result["id"]


async def test_a_request_that_is_repeated_is_told_again_and_not_previewed(database: Database, home: Home) -> None:
    async def yes(question: Question) -> bool:
        return True

    async def never(question: Question) -> bool:
        raise AssertionError

    operation = named("tenants.suspend")
    request, call = operation.parse({"id": "t001"}), Call("unpaid", "once")
    first = await carry_out(home, operation, request, call, yes, repeating=True)
    again = await carry_out(home, operation, request, call, never, repeating=True)
    assert again.repeated and again.audit_ids == first.audit_ids


@pytest.mark.parametrize("name", sorted(EXAMPLES))
async def test_every_operation_runs_as_it_was_previewed(database: Database, name: str) -> None:
    """When nobody else is at work, a preview never differs from its run: not by a time, an id, or a count."""
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)

    async def yes(question: Question) -> bool:
        return True

    role = "support" if name in ("tenants.impersonate", "operators.raise") else "admin"
    async with opened_with_all(database.login(role)) as home:
        assert (await do(home, name, yes, **EXAMPLES[name])).rows


def test_every_operation_is_named() -> None:
    assert set(EXAMPLES) == set(operations())
