"""A role that is raised for a while: used by an open psql session, gone when given back or when its time is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.approvals.model import ApprovalDirectory
from controlplane.errors import Refusal
from tests.backends.psql import Psql, denied, logins, one
from tests.backends.test_approvals import asked, attempt, do
from tests.postgres import Database

EDIT = "UPDATE wf.tenants SET name = 'By support' WHERE id = 'acme'"
READ = ("SELECT * FROM wf.audit_personal", "SELECT calls FROM wf.key_leaks", "SELECT * FROM wf.letter_message")


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        owner = connect("owner")
        owner.execute("UPDATE wf.approval_rules SET active = true")
        owner.execute("INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Acme', 'ada@acme.example')")
        yield connect
        owner.execute("REVOKE wf_operator, wf_admin FROM t_support")  # roles belong to the server, not to the database


@pytest.fixture
async def admin(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("admin"))
    await home.open()
    yield home
    await home.close()


@pytest.fixture
async def support(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("support"))
    await home.open()
    yield home
    await home.close()


@pytest.fixture
async def raised(admin: Home, support: Home) -> int:
    """Support is an operator for 30 minutes; the number of the request."""
    request = await asked(support, "operators.raise", role="operator", minutes=30)
    [fact] = request.facts
    assert fact["after"] == fact["after"] | {"login": "t_support", "was": "support", "role": "operator", "minutes": 30}
    await do(admin, "approvals.approve", id=request.id)
    await do(support, "operators.raise", role="operator", minutes=30)
    return request.id


def over(psql: Psql) -> None:
    """Half an hour goes by. Nothing runs for it: no worker, no console."""
    owner = psql("owner")
    owner.execute("SET session_replication_role = replica")
    owner.execute("UPDATE wf.raises SET starts_at = now() - interval '31 min', ends_at = now() - interval '1 s'")
    owner.execute("SET session_replication_role = origin")


async def test_a_role_is_raised_with_an_approval_only(psql: Psql, admin: Home, support: Home) -> None:
    begin = "SELECT wf.begin_change('operators.raise', 'x', 'r{}')"
    assert attempt(psql("support"), begin.format(1), "SELECT wf.raise_role('operator', 30)") == "approval_needed"
    assert attempt(psql("support"), begin.format(2), "SELECT wf.raise_role('support', 30)") == "raise_role"
    assert attempt(psql("support"), "SELECT wf.raise_role('admin', 30)") == "raise_change"
    request = await asked(support, "operators.raise", role="operator", minutes=30)
    use = f"SELECT wf.use_approval({request.id})"
    await do(admin, "approvals.approve", id=request.id)
    # Another role, or for longer, is not what was approved.
    assert attempt(psql("support"), begin.format(3), use, "SELECT wf.raise_role('admin', 30)") == "approval_void"
    assert attempt(psql("support"), begin.format(4), use, "SELECT wf.raise_role('operator', 31)") == "approval_void"
    denied(psql("support"), EDIT)
    for role in ("viewer", "worker", "service"):
        denied(psql(role), "SELECT wf.raise_role('admin', 480)", "SELECT wf.end_raise('t_support')")


async def test_an_open_session_has_the_role_and_loses_it_when_it_is_given_back(
    psql: Psql, support: Home, raised: int
) -> None:
    session = psql("support")
    session.execute(EDIT)
    assert one(session, "SELECT wf.my_role(), owner_email FROM wf.tenant_list WHERE id = 'acme'") == (
        "operator",
        "ada@acme.example",
    )
    assert (await support.of(ApprovalDirectory).desk()).raised_role == "operator"
    assert support.actor.role == "operator"
    await do(support, "operators.give-back")
    denied(session, EDIT, "SELECT owner_email FROM wf.tenants", READ[0], READ[2])
    assert one(session, "SELECT wf.my_role(), owner_email FROM wf.tenant_list WHERE id = 'acme'") == (
        "support",
        "a•••@acme.example",
    )
    await support.of(ApprovalDirectory).desk()
    assert support.actor.role == "support"
    trail = psql("owner").execute(
        "SELECT operation, actor, out_of_band FROM wf.audit WHERE noun IN ('raises', 'tenants') AND thing <> 'default'"
        " ORDER BY seq DESC LIMIT 3"
    )
    assert trail.fetchall() == [
        ("operators.give-back", "t_support", False),
        ("sql.update", "t_support", True),
        ("operators.raise", "t_support", False),
    ]
    with pytest.raises(Refusal, match="not raised"):
        await do(support, "operators.give-back")


async def test_what_a_session_is_doing_ends_with_the_role(psql: Psql, support: Home, raised: int) -> None:
    session = psql("support")
    session.execute("BEGIN")
    session.execute(EDIT)
    await do(support, "operators.give-back")  # although that transaction holds the trail's counter
    with pytest.raises(psycopg.OperationalError):
        session.execute("COMMIT")
    assert one(psql("viewer"), "SELECT name FROM wf.tenant_list WHERE id = 'acme'") == ("Acme",)


async def test_an_open_session_loses_it_with_the_time_though_nothing_runs_for_it(psql: Psql, raised: int) -> None:
    session = psql("support")
    session.execute(EDIT)
    session.execute("BEGIN")
    session.execute("UPDATE wf.tenants SET name = 'Late' WHERE id = 'acme'")
    over(psql)
    with pytest.raises(errors.InsufficientPrivilege) as late:
        session.execute("COMMIT")  # begun in time, and committed too late
    assert late.value.diag.constraint_name == "raise_over"
    assert one(session, "SELECT pg_has_role('wf_operator', 'MEMBER')") == (True,)  # nobody took it away yet
    for statement in (
        EDIT,
        "INSERT INTO wf.tenants (id, name) VALUES ('mine', 'Mine')",
        "SELECT wf.begin_change('tenants.suspend', 'x', 'late')",
        "SELECT wf.note_writing('x', 1)",
    ):
        with pytest.raises(psycopg.Error):
            session.execute(statement)
            raise AssertionError(statement)
    for statement in READ:
        assert session.execute(statement).fetchall() == []
    assert one(session, "SELECT wf.my_role(), owner_email FROM wf.tenant_list WHERE id = 'acme'") == (
        "support",
        "a•••@acme.example",
    )
    assert one(psql("viewer"), "SELECT name FROM wf.tenant_list WHERE id = 'acme'") == ("By support",)


async def test_the_worker_takes_the_membership_away(psql: Psql, raised: int) -> None:
    assert one(psql("worker"), "SELECT wf.end_raises()") == (0,)
    over(psql)
    assert one(psql("worker"), "SELECT wf.end_raises()") == (1,)
    assert one(psql("support"), "SELECT pg_has_role('wf_operator', 'MEMBER')") == (False,)
    assert one(psql("viewer"), "SELECT standing, uses FROM wf.raise_list") == ("over", 0)
    denied(psql("support"), EDIT)
    assert one(psql("viewer"), "SELECT operation, actor FROM wf.audit ORDER BY seq DESC LIMIT 1") == (
        "raises.end", "t_worker"
    )  # fmt: skip


async def test_an_admin_takes_it_back_and_nobody_else(psql: Psql, admin: Home, raised: int) -> None:
    assert attempt(psql("operator"), "SELECT wf.give_back('t_support')") == "raise_not_yours"
    await do(admin, "operators.give-back", name="t_support")
    denied(psql("support"), EDIT)


async def test_a_raised_login_is_let_in_when_the_home_is_brought_up(
    database: Database, psql: Psql, raised: int
) -> None:
    """The files of the home are applied anew while a role is raised."""
    from backends.postgres import sql_files

    psql("support").execute("SELECT 1")
    with psycopg.connect(database.owner) as connection:
        sql_files.apply(connection, anew=False, wait_ms=2000)
    assert one(psql("support"), "SELECT wf.my_role()") == ("operator",)
