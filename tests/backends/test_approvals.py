"""What needs a second person: nothing is committed without an approval of just that, past the console too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane import carrying
from controlplane.approvals.model import Approval, ApprovalDirectory
from controlplane.approvals.seconding import ApprovalAsked
from controlplane.approvals.words import fact_lines
from controlplane.errors import Conflict, NotPermitted, Refusal
from controlplane.jsontext import TOO_DEEP
from controlplane.listing import Query
from controlplane.operations import Call, Outcome
from controlplane.registry import named
from controlplane.runs.engine import drive, start_run
from controlplane.runs.model import RunDirectory
from controlplane.runs.operations import START
from tests.backends.psql import Psql, denied, logins, one
from tests.postgres import Database

DUE = """
SET session_replication_role = replica;
UPDATE wf.tenants SET status = 'pending_deletion', deleted_at = now() - interval '40 days', deleted_from = 'active',
  purge_after = now() - interval '1 day';
SET session_replication_role = origin;
"""


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        owner = connect("owner")
        owner.execute("UPDATE wf.approval_rules SET active = true")
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('beta', 'Beta')")
        yield connect


@pytest.fixture
def due(psql: Psql) -> Psql:
    """Both tenants may be purged."""
    psql("owner").execute(DUE.encode())
    return psql


async def _home(database: Database, role: str) -> AsyncIterator[Home]:
    home = Home(database.login(role))
    await home.open()
    yield home
    await home.close()


@pytest.fixture
async def admin(database: Database, psql: Psql) -> AsyncIterator[Home]:
    async for home in _home(database, "admin"):
        yield home


@pytest.fixture
async def operator(database: Database, psql: Psql) -> AsyncIterator[Home]:
    async for home in _home(database, "operator"):
        yield home


@pytest.fixture
async def support(database: Database, psql: Psql) -> AsyncIterator[Home]:
    async for home in _home(database, "support"):
        yield home


async def do(home: Home, name: str, reason: str = "as the test says", /, **fields: object) -> Outcome:
    operation = named(name)
    return await carrying.carry_out(home, operation, operation.parse(fields), Call(reason))


async def asked(home: Home, name: str, /, **fields: object) -> Approval:
    """Ask for it, and read the request."""
    with pytest.raises(ApprovalAsked) as found:
        await do(home, name, **fields)
    return await home.of(ApprovalDirectory).get(found.value.number)


async def test_a_purge_is_asked_for_approved_and_done_once(due: Psql, admin: Home, operator: Home) -> None:
    request = await asked(admin, "tenants.purge", id="acme")
    assert (request.standing, request.thing, request.roles) == ("waiting", "acme", ["operator"])
    changed = {(fact["noun"], fact["verb"]) for fact in request.facts}
    assert changed == {("tenants", "changed"), ("certificates", "new"), ("subscriptions", "gone")}
    desk = await operator.of(ApprovalDirectory).desk()
    assert (desk.to_decide, desk.approved) == (1, 0)

    with pytest.raises(Refusal, match=f"Request {request.id} waits for an operator"):
        await do(admin, "tenants.purge", id="acme")
    with pytest.raises(NotPermitted, match="yourself"):
        await do(admin, "approvals.approve", id=request.id)
    agreed = await do(operator, "approvals.approve", "looks right", id=request.id)
    assert agreed.result["state"] == "approved" and "tenants acme: changed" in agreed.result["notes"]
    assert (await admin.of(ApprovalDirectory).desk()).approved == 1

    done = await do(admin, "tenants.purge", id="acme")
    assert {row.operation for row in done.rows} == {"tenants.purge"}
    kept = await admin.of(ApprovalDirectory).get(request.id)
    assert (kept.standing, kept.approvers) == ("done", ["t_operator"]) and kept.change_id is not None
    assert one(due("viewer"), "SELECT status FROM wf.tenant_list WHERE id = 'acme'") == ("erased",)
    strange = "SELECT count(*) FROM wf.audit WHERE out_of_band AND noun NOT IN ('tenants', 'approval-rules')"
    assert one(due("viewer"), strange) == (0,)  # the test itself made those


async def test_a_refusal_needs_a_reason_and_ends_it(due: Psql, admin: Home, operator: Home) -> None:
    request = await asked(admin, "tenants.purge", id="acme")
    with pytest.raises(Refusal, match="needs a reason"):
        await do(operator, "approvals.refuse", "", id=request.id)
    await do(operator, "approvals.refuse", "not this one", id=request.id)
    again = await asked(admin, "tenants.purge", id="acme")  # the refused one stays, and another may be asked
    assert again.id > request.id
    with pytest.raises(Conflict, match="refused"):
        await do(operator, "approvals.approve", id=request.id)


async def test_an_approval_is_void_once_its_thing_was_changed(due: Psql, admin: Home, operator: Home) -> None:
    request = await asked(admin, "tenants.purge", id="acme")
    await do(operator, "approvals.approve", id=request.id)
    await do(admin, "tenants.protect", id="acme")
    await do(admin, "tenants.unprotect", id="acme")
    assert (await admin.of(ApprovalDirectory).get(request.id)).standing == "void"
    with pytest.raises(errors.CheckViolation) as found, due("admin").transaction():
        due("admin").execute("SELECT wf.begin_change('tenants.purge', 'x', 'late')")
        due("admin").execute("SELECT wf.use_approval(%s)", [request.id])
    assert found.value.diag.constraint_name == "approval_void"
    another = await asked(admin, "tenants.purge", id="acme")
    assert another.id != request.id


async def test_without_another_person_a_rule_waits(database: Database, due: Psql, admin: Home) -> None:
    """A home of one person is not locked."""
    assert await admin.of(ApprovalDirectory).rule("tenants.purge", "acme") is None
    await do(admin, "tenants.purge", id="acme")
    assert one(due("viewer"), "SELECT standing FROM wf.approval_rule_list WHERE operation = 'tenants.purge'")


async def test_two_approvers_from_two_roles(due: Psql, admin: Home, operator: Home, support: Home) -> None:
    due("owner").execute("UPDATE wf.approval_rules SET roles = '{support,operator}' WHERE operation = 'tenants.purge'")
    request = await asked(admin, "tenants.purge", id="acme")
    first = await do(support, "approvals.approve", id=request.id)
    assert first.result["state"] == "waiting" and "1 of 2 approved" in first.result["notes"][-1]
    with pytest.raises(Conflict, match="voted"):
        await do(support, "approvals.approve", id=request.id)
    assert (await do(operator, "approvals.approve", id=request.id)).result["state"] == "approved"


def attempt(connection: psycopg.Connection, *statements: str) -> str:
    """The constraint that refuses these statements, in one transaction."""
    with pytest.raises(psycopg.Error) as found, connection.transaction():
        for statement in statements:
            connection.execute(statement.encode())
    return found.value.diag.constraint_name or found.value.diag.sqlstate or "?"


async def test_psql_gets_nothing_that_was_not_approved(due: Psql, admin: Home, operator: Home) -> None:
    root, begin = due("admin"), "SELECT wf.begin_change('tenants.purge', 'x', 'p{}')"
    purge, early = "SELECT wf.purge_tenant('{}')", "SET CONSTRAINTS ALL IMMEDIATE"
    assert attempt(root, purge.format("acme")) == "approval_needed"
    assert attempt(root, begin.format(1), purge.format("acme")) == "approval_needed"
    assert attempt(root, begin.format(2), purge.format("acme"), early) == "approval_needed"
    wrong = "SELECT wf.begin_change('tenants.edit', 'x', 'p3')"
    assert attempt(root, wrong, purge.format("acme")) == "approval_needed"
    request = await asked(admin, "tenants.purge", id="acme")
    use = f"SELECT wf.use_approval({request.id})"
    assert attempt(root, begin.format(4), use, purge.format("acme")) == "approval_waiting"
    await do(operator, "approvals.approve", id=request.id)
    assert attempt(root, begin.format(5), use, purge.format("beta")) == "approval_void"
    assert attempt(root, begin.format(6), use, purge.format("acme"), purge.format("beta")) == "approval_void"
    # Checked early, then more is done under the same approval.
    more = "UPDATE wf.tenants SET name = 'Mine' WHERE id = 'beta'"
    assert attempt(root, begin.format(7), use, purge.format("acme"), early, purge.format("beta")) == "approval_void"
    assert attempt(root, begin.format(8), use, purge.format("acme"), early, more) == "approval_void"
    assert attempt(root, begin.format(9), use) == "approval_void"  # nothing done: the approval is not used up
    second = "SELECT wf.begin_change('tenants.purge', 'x', 'p10b')"
    assert attempt(root, begin.format(10), use, purge.format("acme"), second, purge.format("beta")) == "approval_needed"
    isolated = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
    assert attempt(root, isolated, begin.format(11), use, purge.format("beta")) == "approval_void"
    assert (await admin.of(ApprovalDirectory).get(request.id)).standing == "approved"
    with root.transaction():
        for statement in (begin.format(12), use, purge.format("acme")):
            root.execute(statement.encode())
    assert attempt(root, begin.format(13), use) == "approval_used"
    assert one(due("viewer"), "SELECT status FROM wf.tenant_list WHERE id = 'beta'") == ("pending_deletion",)


async def test_psql_cannot_vote_for_others_or_touch_a_request(due: Psql, admin: Home, operator: Home) -> None:
    request = await asked(admin, "tenants.purge", id="acme")
    for role in ("viewer", "support", "operator", "admin", "worker", "service"):
        denied(
            due(role),
            "UPDATE wf.approvals SET state = 'approved'",
            "DELETE FROM wf.approvals",
            "INSERT INTO wf.approval_votes (approval_id, person, role, vote) VALUES (1, 't_x', 'admin', 'approve')",
            "UPDATE wf.approval_rules SET active = false",
            "UPDATE wf.runs SET held = false",
            "UPDATE wf.changes SET needs_approval = NULL",
            "UPDATE wf.raises SET ends_at = 'infinity'",
        )
    vote = "SELECT wf.vote_approval({}, '{}', '{}')"
    approve = "SELECT wf.begin_change('approvals.approve', 'x', 'v{}')"
    assert attempt(due("operator"), approve.format(1), vote.format(request.id, "0" * 64, "approve")) == "approval_seen"
    assert attempt(due("operator"), vote.format(request.id, request.sha256, "approve")) == "approval_change"
    assert (
        attempt(due("admin"), approve.format(2), vote.format(request.id, request.sha256, "approve")) == "approval_own"
    )
    assert (
        attempt(due("support"), approve.format(3), vote.format(request.id, request.sha256, "approve"))
        == "approval_role"
    )
    for role in ("viewer", "worker", "service"):
        denied(due(role), vote.format(request.id, request.sha256, "approve"))
    # A request that shows less than it would do is good for less than it would do.
    less = '[{"noun": "plans", "thing": "x", "verb": "new"}]'
    lie = f"SELECT wf.ask_approval('tenants.purge', 'beta', '{{}}', repeat('b', 64), '{less}')"
    due("admin").execute("BEGIN")
    due("admin").execute("SELECT wf.begin_change('approvals.ask', 'harmless', 'lie')")
    number = one(due("admin"), lie)[0]
    due("admin").execute("COMMIT")
    await do(operator, "approvals.approve", id=number)
    begin = "SELECT wf.begin_change('tenants.purge', 'x', 'lied')"
    assert attempt(due("admin"), begin, f"SELECT wf.use_approval({number})", "SELECT wf.purge_tenant('beta')") == (
        "approval_void"
    )


async def test_a_rule_is_changed_by_two_people_only(due: Psql, admin: Home, operator: Home) -> None:
    off = {"operation": "tenants.purge", "roles": ["operator"], "active": False}
    request = await asked(admin, "approvals.rule", **off)
    put = "SELECT wf.put_approval_rule('tenants.purge', '{operator}', NULL, 240, false)"
    begin = "SELECT wf.begin_change('approvals.rule', 'x', 'off')"
    assert attempt(due("admin"), begin, put) == "approval_needed"
    await do(operator, "approvals.approve", id=request.id)
    await do(admin, "approvals.rule", **off)
    await do(admin, "tenants.purge", id="acme")


async def test_many_at_once_are_held_until_approved(psql: Psql, admin: Home, operator: Home) -> None:
    psql("owner").execute("UPDATE wf.approval_rules SET above = 1 WHERE operation = 'runs.release'")
    subjects = [{"id": "acme"}, {"id": "beta"}]
    start = START.parse({"operation": "tenants.suspend", "subjects": subjects, "per_second": 1000})
    run = await start_run(operator, start, "abuse")
    assert (run.standing, run.waiting) == ("held", 2)
    [request] = (await operator.of(ApprovalDirectory).page(_all(), limit=5)).rows
    [fact] = request.facts
    assert fact["run"]["things"] == 2 and fact["run"]["operation"] == "tenants.suspend"
    assert fact["run"]["first"] == ["acme", "beta"] and request.operation == "runs.release"

    with pytest.raises(Refusal, match="second person"):
        await do(operator, "runs.resume", id=run.id)
    release = "SELECT wf.begin_change('runs.release', 'x', 'r1')"
    resume = "SELECT wf.begin_change('runs.resume', 'x', 'r2')"
    go = f"UPDATE wf.runs SET state = 'running' WHERE id = {run.id}"
    assert attempt(psql("operator"), release, go) == "approval_needed"
    assert attempt(psql("operator"), resume, go) == "run_held"
    assert attempt(psql("operator"), go) == "run_held"
    assert attempt(psql("operator"), f"SELECT wf.carry_items({run.id}, 10, 10)") == "run_not_running"

    await do(admin, "approvals.approve", id=request.id)
    await do(operator, "runs.release", id=run.id)
    done = await drive(operator, run.id)
    assert (done.state, done.done) == ("done", 2)
    assert one(psql("viewer"), "SELECT approval_id, held FROM wf.runs WHERE id = %s", run.id) == (request.id, False)


async def test_a_run_of_purges_is_held_whatever_its_size_and_carried_by_a_worker(
    database: Database, due: Psql, admin: Home, operator: Home
) -> None:
    start = START.parse({"operation": "tenants.purge", "subjects": [{"id": "acme"}], "per_second": 1000})
    run = await start_run(admin, start, "over")
    assert run.standing == "held"
    [request] = (await admin.of(ApprovalDirectory).page(_all(), limit=5)).rows
    await do(operator, "approvals.approve", id=request.id)
    await do(admin, "runs.release", id=run.id)
    # An item of an approved run may not take more with it.
    hold = f"SELECT wf.hold_run({run.id}, 'psql')"
    begin = f"SELECT wf.begin_change('tenants.purge', 'x', 'run-{run.id}-1')"
    both = "SELECT wf.purge_tenant('acme'), wf.purge_tenant('beta')"
    assert attempt(due("admin"), hold, begin, both) == "approval_void"
    async for worker in _home(database, "worker"):
        done = await drive(worker, run.id)
    assert (done.state, done.done) == ("done", 1), one(due("owner"), "SELECT code, words FROM wf.run_items")
    assert one(due("viewer"), "SELECT DISTINCT actor, carried_by FROM wf.audit WHERE operation = 'tenants.purge'") == (
        "t_admin", "t_worker"
    )  # fmt: skip
    assert (await admin.of(RunDirectory).get(run.id)).held is False


async def test_a_replay_of_many_edited_messages_is_held(psql: Psql, admin: Home, operator: Home) -> None:
    owner = psql("owner")
    owner.execute("UPDATE wf.approval_rules SET above = 1 WHERE operation = 'queues.edit'")
    owner.execute(
        "INSERT INTO wf.jobs (kind, tenant_id, state, payload, ended_at)"
        " SELECT 'deliver', 'acme', 'dead', '{}', now() FROM generate_series(1, 3)"
    )
    for letter in (1, 2):
        await do(operator, "queues.edit", id=letter, patch={"amount": 1})
    few = START.parse({"operation": "queues.replay", "subjects": [{"id": 1}, {"id": 3}], "per_second": 1000})
    assert (await start_run(operator, few, "one of them edited")).standing == "waiting"
    owner.execute("UPDATE wf.runs SET state = 'stopped'")
    many = START.parse({"operation": "queues.replay", "subjects": [{"id": 1}, {"id": 2}], "per_second": 1000})
    run = await start_run(operator, many, "both edited")
    assert run.standing == "held"
    hold = f"SELECT wf.hold_run({run.id}, 'x')"
    assert attempt(psql("operator"), hold, f"SELECT wf.carry_items({run.id}, 9, 9)") == "run_not_running"


async def test_a_request_ends_is_extended_and_withdrawn(due: Psql, admin: Home, operator: Home) -> None:
    request = await asked(admin, "tenants.purge", id="acme")
    longer = await do(operator, "approvals.extend", id=request.id, minutes=60)
    assert (longer.result["expires_at"] - request.expires_at).total_seconds() == 3600
    with pytest.raises(Refusal, match="7 days"):
        await do(admin, "approvals.extend", id=request.id, minutes=10_080)
    with pytest.raises(NotPermitted, match="person who asked"):
        await do(operator, "approvals.withdraw", id=request.id)
    due("owner").execute(
        "UPDATE wf.approvals SET asked_at = now() - interval '2 h', expires_at = now() - interval '1 h' WHERE id = %s",
        [request.id],
    )
    assert (await admin.of(ApprovalDirectory).get(request.id)).standing == "expired"
    with pytest.raises(Refusal, match="ended at"):
        await do(operator, "approvals.approve", id=request.id)
    again = await asked(admin, "tenants.purge", id="acme")
    await do(admin, "approvals.withdraw", id=again.id)
    assert (await admin.of(ApprovalDirectory).get(again.id)).standing == "withdrawn"


async def test_who_approved_and_was_removed_does_not_count(due: Psql, admin: Home, operator: Home) -> None:
    due("support")
    request = await asked(admin, "tenants.purge", id="acme")
    await do(operator, "approvals.approve", id=request.id)
    due("owner").execute("REVOKE wf_operator FROM t_operator")
    due("owner").execute("UPDATE wf.approval_rules SET roles = '{support}' WHERE operation = 'tenants.purge'")
    try:
        with pytest.raises(Refusal, match="may no longer log in"):
            await do(admin, "tenants.purge", id="acme")
    finally:
        due("owner").execute("GRANT wf_operator TO t_operator")


def _all():
    from controlplane.listing import Query

    return Query((), "asked", True)


async def test_a_request_that_no_program_could_read_is_refused(due: Psql, admin: Home) -> None:
    """What it would change is somebody's word: nested deeper than a document, it would hide all other requests."""
    support = due("support")
    deep = ('{"a":' * depth + "1" + "}" * depth for depth in (80, 3000))
    for facts in (
        *(f'[{{"noun": "raises", "thing": "(new)", "verb": "new", "after": {each}}}]' for each in deep),
        '["more"]',  # a text has the key that it is
        '[["more"]]',
        '[{"more": "x", "sha256": "x"}]',
        '[{"more": 1, "sha256": "x", "noun": "tenants"}]',
    ):
        with pytest.raises(psycopg.errors.CheckViolation) as found, support.transaction():
            support.execute("SELECT wf.begin_change('approvals.ask', 'x', gen_random_uuid()::text)")
            support.execute("SELECT wf.ask_approval('operators.raise', 't_support', '{}', %s, %s)", ["a" * 64, facts])
        assert found.value.diag.constraint_name == "approval_facts"
    # One that is there already is shown, and hides no other.
    due("owner").execute(
        "INSERT INTO wf.approvals (operation, thing, fingerprint, reason, facts, sha256, trail_at, roles, expires_at)"
        " VALUES ('operators.raise', 'x', %s, 'x', %s, %s, 0, '{admin}', now() + interval '1 h')",
        ["a" * 64, '["more", ' + "[" * 80 + "]" * 80 + "]", "a" * 64],
    )
    [row] = (await admin.of(ApprovalDirectory).page(Query(()), limit=10)).rows
    assert row.facts == TOO_DEEP and fact_lines(row.facts) == ["unreadable: nested deeper than 64 levels"]
