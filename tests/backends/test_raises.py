"""A role that is raised for a while: used by an open psql session, gone when given back or when its time is over."""

from __future__ import annotations

import contextlib
import re
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

ROWS = (
    "SELECT (SELECT count(*) FROM wf.requests), (SELECT count(*) FROM wf.import_holds), (SELECT count(*) FROM wf.audit)"
)


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        owner = connect("owner")
        owner.execute("UPDATE wf.approval_rules SET active = true")
        owner.execute(
            "INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Acme', 'ada@acme.example');"
            "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, owner_email) VALUES"
            " ('key_' || repeat('0', 25) || '1', 'acme', 'live', 'wf_live_8sKq', sha256('1'), 'ada@acme.example');"
            "INSERT INTO wf.incidents (title, severity) VALUES ('Down', 'SEV-3');"
            "INSERT INTO wf.runs (operation, reason, per_second, breaker_share) VALUES ('tenants.protect', 'x', 1, 1);"
            "INSERT INTO wf.jobs (kind, payload) VALUES ('mail', '{\"to\": \"ada@acme.example\"}')"
        )
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


LEFT = (
    EDIT,
    "INSERT INTO wf.tenants (id, name) VALUES ('mine', 'Mine')",
    "INSERT INTO wf.requests (tenant_id, route, status) VALUES ('acme', '/', 200)",
    "SELECT owner_email FROM wf.tenants",
    "SELECT id FROM wf.incidents FOR UPDATE",
    "SELECT wf.take_role(1, 'conn')",
    "SELECT wf.lock_alert(1)",
    "SELECT wf.roll_up_requests()",
)


async def test_a_role_that_was_set_before_it_was_given_back_is_worth_nothing(
    psql: Psql, support: Home, raised: int
) -> None:
    """PostgreSQL leaves a session the role that it took by SET ROLE, also when the login is a member of it no more. It
    may not name what is in the home with it; what it prepared before, it need not name.
    """
    session = psql("support")
    empty = (*READ, "SELECT * FROM wf.tenant_owners", "SELECT payload FROM wf.job_payloads")
    for place, statement in enumerate((*LEFT, *empty)):
        session.execute(f"PREPARE s{place} AS {statement}")
    session.execute("SET ROLE wf_operator")
    assert session.execute(f"EXECUTE s{len(LEFT) + len(empty) - 1}").fetchall()
    await do(support, "operators.give-back")
    assert one(session, "SELECT current_user, pg_has_role(session_user, 'wf_operator', 'MEMBER')") == (
        "wf_operator",
        False,
    )
    for place, statement in enumerate(LEFT):
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(f"EXECUTE s{place}")
            raise AssertionError(statement)
    for place, statement in enumerate(empty, len(LEFT)):
        with contextlib.suppress(errors.InsufficientPrivilege):
            assert session.execute(f"EXECUTE s{place}").fetchall() == [], statement
    session.execute("RESET ROLE")
    session.execute("SELECT wf.note_incident(1, 'what support may do goes on')")


HIGHER = ("support", "operator", "admin")
PURE = {"environment_valid", "gate_valid", "matchers_valid"}
OF_A_CHANGE = {"finish_change"}  # which was begun in time
AUDITED = """
SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE p.proname = ANY (%s)
"""
CALLED = """
SELECT p.proname, array_agg(DISTINCT a.grantee::regrole::text) FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
WHERE p.pronamespace = 'wf'::regnamespace GROUP BY 1
"""
SOURCES = """
SELECT proname, coalesce(nullif(prosrc, ''), pg_get_function_sqlbody(oid)) FROM pg_proc
WHERE pronamespace = 'wf'::regnamespace
"""
GRANTED = """
SELECT DISTINCT c.relname, c.relkind::text, a.privilege_type, a.grantee::regrole::text FROM pg_class c
  LEFT JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(coalesce(t.attacl, c.relacl)) a
WHERE c.relnamespace = 'wf'::regnamespace AND a.grantee::regrole::text = ANY (%s)
"""
POLICIES = "SELECT c.relname || ' ' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"


def test_all_that_a_higher_role_may_looks_at_the_time(psql: Psql) -> None:
    """So that what is granted later is not forgotten: functions write to the trail or ask; so do tables and views."""
    owner = psql("owner")
    audited = {name for (name,) in owner.execute(AUDITED, [["record_change"]])}
    in_time = {name for (name,) in owner.execute(AUDITED, [["add_in_time"]])}
    sources = dict(owner.execute(SOURCES).fetchall())
    asks = re.compile(r"wf\.(may|raise_over|in_time|my_role|sees_personal|append_audit|open_change|check_raise)\(")

    def looks(name: str, seen: frozenset[str] = frozenset()) -> bool:
        source = sources.get(name, "")
        written = re.findall(r"(?:INSERT INTO|UPDATE|DELETE FROM)\s+wf\.(\w+)", source)
        if audited.intersection(written) or asks.search(source):
            return True
        return any(looks(each, seen | {name}) for each in {*re.findall(r"wf\.(\w+)\(", source)} - seen - {name})

    higher = {f"wf_{role}" for role in HIGHER}
    called = [name for name, roles in owner.execute(CALLED) if higher & {*roles} and "wf_viewer" not in roles]
    assert len(called) > 50
    assert {name for name in called if not looks(name)} == PURE | OF_A_CHANGE
    policies = {name for (name,) in owner.execute(POLICIES)}
    for table, kind, verb, role in owner.execute(GRANTED, [sorted(higher)]):
        if verb == "INSERT":
            assert table in audited | in_time, (table, verb, role)
        elif verb == "UPDATE":
            assert table in in_time or f"{table} in_time_update" in policies, (table, verb, role)
        elif verb == "SELECT" and kind == "v":
            [view] = one(owner, "SELECT pg_get_viewdef(%s::regclass)", f"wf.{table}")
            assert re.search(r"\b(may|in_time)\(", view), (table, verb, role)
        elif table not in SEEN_BY_ALL:
            assert f"{table} in_time_select" in policies, (table, verb, role)


SEEN_BY_ALL = {"incidents"}  # a list shows viewers the same


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
    # Nothing that the role allowed is left: no reading, no lock, no work, in any table or by any function.
    held = one(psql("owner"), ROWS)
    assert one(psql("owner"), "SELECT count(*) FROM wf.jobs")[0] > 0
    assert session.execute("SELECT * FROM wf.letter_message").fetchall() == []
    for statement in (
        "SELECT * FROM wf.tenant_owners",
        "SELECT * FROM wf.key_owners",
        "SELECT * FROM wf.letter_payloads",
        "SELECT * FROM wf.job_payloads",
        "SELECT owner_email FROM wf.tenants",
        "SELECT owner_email FROM wf.api_keys",
        "SELECT payload FROM wf.jobs",
        "SELECT payload_json FROM wf.dead_letters",
        "SELECT address FROM wf.requests",
        "SELECT id FROM wf.tenants FOR UPDATE",
        "SELECT id FROM wf.incidents FOR SHARE",
        "SELECT id FROM wf.runs FOR UPDATE",
        "SELECT wf.lock_alert(1)",
        "SELECT wf.lock_letter(1)",
        "SELECT wf.last_success(1)",
        "SELECT wf.leak_calls('key_00000000000000000000000001')",
        "SELECT wf.roll_up_requests()",
        "SELECT wf.refresh_activity()",
        "SELECT wf.make_request_partitions(2)",
        "SELECT wf.would_evaluate('errors')",
        "SELECT wf.hold_import('x')",
        "INSERT INTO wf.requests (tenant_id, route, status) VALUES ('acme', '/', 200)",
        "INSERT INTO wf.run_items (run_id, ordinal, thing, subject) VALUES (1, 1, 'acme', '{}')",
        "SET ROLE wf_operator; SELECT owner_email FROM wf.tenants",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(statement)
            raise AssertionError(statement)
    session.execute("RESET ROLE")
    assert one(psql("owner"), ROWS) == held
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


async def test_a_login_that_is_gone_or_anothers_keeps_nobody_elses_role_from_ending(psql: Psql, raised: int) -> None:
    """A home that is restored on another server finds some of its logins missing, and some with another home's role."""
    owner = psql("owner")
    owner.execute("SET session_replication_role = replica")
    for name in ("gone", "elsewhere"):
        owner.execute("INSERT INTO wf.operators (name, role) VALUES (%s, 'support')", [name])
        owner.execute(
            "INSERT INTO wf.raises (login, was, role, minutes, reason, ends_at)"
            " VALUES (%s, 'support', 'operator', 30, 'x', now() + interval '1 min')", [name],
        )  # fmt: skip
    owner.execute("SET session_replication_role = origin")
    owner.execute("CREATE ROLE elsewhere LOGIN IN ROLE wf_operator")
    over(psql)
    assert one(psql("worker"), "SELECT wf.end_raises()") == (3,)
    assert one(psql("support"), "SELECT pg_has_role('wf_operator', 'MEMBER')") == (False,)
    assert one(owner, "SELECT pg_has_role('elsewhere', 'wf_operator', 'MEMBER')") == (True,)


async def test_nobody_acts_for_a_tenant_with_a_role_that_is_over(psql: Psql, raised: int) -> None:
    """The product's services ask whether somebody does, also while no worker runs."""
    operator = psql("operator")
    operator.execute(
        "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at) VALUES ('acme', 'x', 'T-1', now() + '1 h')"
    )
    asks = "SELECT actor, refusal FROM wf_data.impersonation(1)"
    assert one(psql("service"), asks) == ("t_operator", None)
    owner = psql("owner")
    owner.execute("SET session_replication_role = replica")
    owner.execute("UPDATE wf.raises SET login = 't_operator', was = 'viewer'")
    over(psql)
    assert one(psql("service"), asks) == (None, "impersonation_actor_gone")


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


async def test_a_role_for_a_while_makes_nothing_that_outlasts_it(psql: Psql) -> None:
    """An admin for half an hour neither stays one nor makes another, nor takes over the login of one."""
    psql("owner").execute("UPDATE wf.approval_rules SET active = false")
    session = psql("support")
    with session.transaction():
        session.execute("SELECT wf.begin_change('operators.raise', 'x', 'r1')")
        session.execute("SELECT wf.raise_role('admin', 30)")
    assert one(session, "SELECT wf.my_role()") == ("admin",)
    for statement in (
        "SELECT wf.put_operator('t_support', 'admin', NULL)",
        "SELECT wf.put_operator('somebody', 'admin', NULL)",
        "SELECT wf.set_password('t_admin', 'x')",
        "GRANT wf_admin TO t_viewer",
        "GRANT wf_admin TO t_support",
        "ALTER ROLE t_support CREATEROLE",
        "INSERT INTO wf.operators (name, role) VALUES ('somebody', 'admin')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(statement)
            raise AssertionError(statement)
    assert one(session, "SELECT wf.give_back('t_support')") == (True,)
    assert one(session, "SELECT wf.my_role()") == ("support",)
