"""Acting for a tenant, provisioning and signing up, as the home guards them: past all of the console's own rules."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors, sql

from controlplane.errors import Refusal
from controlplane.impersonations.model import ImpersonationDirectory
from controlplane.impersonations.rules import check_running, minutes_left
from controlplane.keys.model import KeyDirectory
from controlplane.operations import Call, execute
from controlplane.registry import named
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import opened
from tests.backends.signup import ATTEMPTS_PER_HOUR, sign_up_fault
from tests.postgres import Database, Server

TENANTS = """
INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Acme', 'ada@lovelace.example'), ('zed', 'Zed', NULL);
INSERT INTO wf.tenants (id, name, protected) VALUES ('bank', 'Bank', true);
"""
BEGIN = (
    "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)"
    " VALUES ('{}', 'cannot log in', 'T-1', now() + interval '{}') RETURNING id"
)
ASK = "SELECT tenant, actor, mode, refusal FROM wf_data.impersonation(%s)"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with psycopg.connect(database.owner) as owner:
        owner.execute(TENANTS)
    with logins(database) as connect:
        yield connect


def move(owner: psycopg.Connection, by: str) -> None:
    """As if the impersonations had been begun that much earlier."""
    owner.execute("ALTER TABLE wf.impersonations DISABLE TRIGGER guard")
    owner.execute(
        sql.SQL(
            "UPDATE wf.impersonations SET started_at = started_at - {0}::interval, ends_at = ends_at - {0}::interval"
        ).format(by)
    )
    owner.execute("ALTER TABLE wf.impersonations ENABLE TRIGGER guard")


# Acting for a tenant


def test_an_impersonation_lasts_an_hour_at_most_and_begins_with_reading(psql: Psql) -> None:
    support = psql("support")
    refused(support, "impersonation_length", BEGIN.format("acme", "60 minutes 1 microsecond"))
    refused(support, "impersonation_length", BEGIN.format("acme", "0"))
    for column, given_ in (("reason", "'cannot log in'"), ("ticket", "'T-1'")):
        refused(support, f"impersonation_{column}", BEGIN.format("acme", "1 hour").replace(given_, "' '"))
    for column, value in (("actor", "'t_admin'"), ("mode", "'write'"), ("started_at", "now() + interval '1 day'")):
        denied(
            support,
            f"INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at, {column})"
            f" VALUES ('acme', 'x', 'x', now() + interval '1 hour', {value})",
        )
    denied(psql("viewer"), BEGIN.format("acme", "1 hour"))
    assert one(support, BEGIN.format("acme", "60 minutes")) > (0,)
    assert (
        one(psql("service"), ASK, 1 + one(support, "SELECT max(id) FROM wf.impersonations")[0])[3]
        == "impersonation_unknown"
    )


def test_nobody_acts_for_a_protected_tenant_or_one_that_goes_or_for_two(psql: Psql) -> None:
    support, owner = psql("support"), psql("owner")
    for tenant in ("bank", "default"):
        refused(support, "impersonation_protected", BEGIN.format(tenant, "1 hour"))
    (number,) = one(support, BEGIN.format("acme", "1 hour"))
    refused(support, "impersonation_open", BEGIN.format("zed", "1 hour"))
    one(psql("operator"), BEGIN.format("zed", "1 hour"))  # another person
    owner.execute(
        "UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),"
        " purge_after = now() + interval '2 days' WHERE id = 'acme'"
    )
    assert one(psql("service"), ASK, number)[3] == "impersonation_tenant_gone"
    refused(psql("admin"), "impersonation_tenant_gone", BEGIN.format("acme", "1 hour"))


def test_two_begun_at_once_by_one_person_are_one(psql: Psql, database: Database) -> None:
    support = psql("support")
    codes: list[str | None] = []
    with psycopg.connect(database.login("support"), autocommit=True) as other:

        def begin() -> None:
            try:
                other.execute(BEGIN.format("zed", "1 hour"))
            except errors.CheckViolation as error:
                codes.append(error.diag.constraint_name)

        with support.transaction():
            support.execute(BEGIN.format("acme", "1 hour"))
            waiting = threading.Thread(target=begin)
            waiting.start()
        waiting.join()
    assert codes == ["impersonation_open"]


def test_only_another_person_of_the_operators_lets_it_write(psql: Psql) -> None:
    support, operator = psql("support"), psql("operator")
    (number,) = one(support, BEGIN.format("acme", "1 hour"))
    (own,) = one(operator, BEGIN.format("acme", "1 hour"))
    write = "UPDATE wf.impersonations SET mode = 'write' WHERE id = {}"
    denied(support, write.format(number), "UPDATE wf.impersonations SET approved_by = 'x', mode = 'write'")
    refused(operator, "impersonation_own", write.format(own))
    assert one(psql("service"), ASK, number) == ("acme", "t_support", "read", None)
    operator.execute(write.format(number))
    assert one(psql("service"), ASK, number) == ("acme", "t_support", "write", None)
    assert one(support, "SELECT approved_by FROM wf.impersonations WHERE id = %s", number) == ("t_operator",)
    refused(operator, "impersonation_fixed", f"UPDATE wf.impersonations SET mode = 'read' WHERE id = {number}")
    for longer in (
        "ends_at = ends_at + interval '1 second'",
        "started_at = now()",
        "tenant_id = 'zed'",
        "reason = 'x'",
    ):
        denied(psql("admin"), f"UPDATE wf.impersonations SET {longer}")
        refused(psql("owner"), "impersonation_fixed", f"UPDATE wf.impersonations SET {longer} WHERE id = {number}")
    denied(psql("admin"), "DELETE FROM wf.impersonations", "TRUNCATE wf.impersonations")


def test_after_an_hour_it_counts_for_nothing_whatever_happens(psql: Psql) -> None:
    support, owner = psql("support"), psql("owner")
    (number,) = one(support, BEGIN.format("acme", "60 minutes"))
    psql("operator").execute("UPDATE wf.impersonations SET mode = 'write'")
    move(owner, "59 minutes 50 seconds")
    assert one(psql("service"), ASK, number) == ("acme", "t_support", "write", None)
    assert one(support, "SELECT state FROM wf.impersonation_list") == ("open",)
    with psql("operator").transaction():  # begun before the end, at work after it
        psql("operator").execute("SELECT now()")
        move(owner, "10 seconds")
        assert one(psql("operator"), "SELECT state FROM wf.impersonation_list") == ("over",)
    assert one(psql("service"), ASK, number) == (None, None, None, "impersonation_over")
    refused(support, "impersonation_over", "UPDATE wf.impersonations SET ended_at = now()")
    refused(psql("operator"), "impersonation_over", "UPDATE wf.impersonations SET mode = 'write'")
    one(support, BEGIN.format("zed", "1 hour"))  # it does not stand in the way either


def test_ending_one_counts_at_once_and_a_removed_operator_acts_for_nobody(psql: Psql) -> None:
    support, owner = psql("support"), psql("owner")
    (number,) = one(support, BEGIN.format("acme", "1 hour"))
    support.execute("UPDATE wf.impersonations SET ended_at = '2199-01-01'")
    assert one(support, "SELECT ended_at <= clock_timestamp() FROM wf.impersonations") == (True,)
    assert one(psql("service"), ASK, number)[3] == "impersonation_ended"
    (another,) = one(support, BEGIN.format("acme", "1 hour"))
    owner.execute("REVOKE wf_support FROM t_support")
    assert one(psql("service"), ASK, another) == (None, None, None, "impersonation_actor_gone")
    owner.execute("GRANT wf_support TO t_support")


def test_what_is_done_meanwhile_carries_both_identities_and_the_tenant_can_see_it(psql: Psql) -> None:
    operator, owner = psql("operator"), psql("owner")
    (number,) = one(operator, BEGIN.format("acme", "1 hour"))
    psql("admin").execute("UPDATE wf.impersonations SET mode = 'write'")
    with operator.transaction():
        operator.execute("SELECT wf.begin_change('tenants.apply', 'ticket T-1', 'edit-1')")
        operator.execute(
            "UPDATE wf.tenants SET plan = 'growth', owner_email = 'eve@x.example' WHERE id IN ('acme', 'zed')"
        )
    marks = (
        "SELECT tenant_id, actor, impersonation FROM wf.audit WHERE operation = 'tenants.apply' AND noun = 'tenants'"
    )
    marks += " ORDER BY tenant_id"
    assert owner.execute(marks).fetchall() == [("acme", "t_operator", number), ("zed", "t_operator", None)]
    psql("admin").execute("UPDATE wf.tenants SET plan = 'pro' WHERE id = 'acme'")
    move(owner, "1 hour")
    operator.execute("UPDATE wf.tenants SET plan = 'late' WHERE id = 'acme'")
    feed = psql("service").execute("SELECT * FROM wf_data.audit_feed('acme', 0, 1000)").fetchall()
    assert [(row[2], row[3], row[7]) for row in feed if row[4] == "tenants"] == [
        ("wf_owner", "sql.insert", None),
        ("t_operator", "tenants.apply", number),
        ("t_admin", "sql.update", None),
        ("t_operator", "sql.update", None),
    ]
    assert "example" not in repr(feed) and "edit-1" not in repr(feed) and "ticket T-1" not in repr(feed)
    assert [row[6] for row in feed if row[4] == "impersonations"] == ["cannot log in"] * 3
    assert (
        psql("service").execute("SELECT * FROM wf_data.audit_feed('acme', %s, 1)", [feed[0][0]]).fetchall() == feed[1:2]
    )
    assert not psql("service").execute("SELECT * FROM wf_data.audit_feed('acme', 0, -5)").fetchall()


def test_the_services_functions_are_for_the_services_alone(psql: Psql) -> None:
    asked = ("impersonation(1)", "audit_feed('acme')", "sign_up('192.0.2.1', 'a@b.c', 'abc')")
    for role in ("viewer", "support", "operator", "admin", "worker"):
        denied(psql(role), *(f"SELECT * FROM wf_data.{call}" for call in asked))
    denied(
        psql("service"), "TABLE wf.impersonations", "TABLE wf.sign_up_attempts", "TABLE wf.audit", "TABLE wf.tenants"
    )
    for role in ("support", "admin"):
        denied(psql(role), "TABLE wf.sign_up_attempts", "SELECT * FROM wf.acting_as('t_admin')")


async def test_the_operations_say_the_same_in_words(psql: Psql, database: Database) -> None:
    async def run(role: str, name: str, fields: dict[str, object], reason: str = "T-1") -> dict[str, object]:
        async with opened(database.login(role)) as home:
            return (await execute(home, named(name), named(name).parse(fields), Call(reason))).result

    async def code(*asked: object) -> str:
        with pytest.raises(Refusal) as refusal:
            await run(*asked)  # type: ignore[arg-type]
        return refusal.value.code

    begun = await run("support", "tenants.impersonate", {"id": "acme", "ticket": "T-1"})
    assert (begun["mode"], begun["actor"], begun["reason"]) == ("read", "t_support", "T-1")
    assert begun["ends_at"] - begun["started_at"] == timedelta(minutes=30)  # type: ignore[operator]
    number = {"number": begun["id"]}
    assert await code("support", "tenants.impersonate", {"id": "zed", "ticket": "T-1"}) == "impersonation_open"
    assert await code("operator", "tenants.impersonate", {"id": "bank", "ticket": "T-1"}) == "impersonation_protected"
    assert await code("support", "tenants.approve-writing", number) == "role_too_low"
    assert (await run("operator", "tenants.approve-writing", number))["approved_by"] == "t_operator"
    assert await code("admin", "tenants.approve-writing", number) == "already_writing"
    await run("admin", "tenants.end-impersonation", number)
    assert await code("support", "tenants.end-impersonation", number) == "impersonation_over"
    assert await code("support", "tenants.end-impersonation", {"number": 999}) == "no_impersonation"
    own = await run("operator", "tenants.impersonate", {"id": "zed", "ticket": "T-2", "minutes": 60})
    assert await code("operator", "tenants.approve-writing", {"number": own["id"]}) == "impersonation_own"
    async with opened(database.login("operator")) as home:
        mine = await home.of(ImpersonationDirectory).mine()
        assert mine is not None and mine.id == own["id"]
        assert minutes_left(mine, mine.started_at) == 60 and minutes_left(mine, mine.ends_at) == 0
        with pytest.raises(Refusal):
            check_running(mine, mine.ends_at)
        check_running(mine, mine.ends_at - timedelta(microseconds=1))


async def test_beginning_one_is_undone_by_ending_it(psql: Psql, database: Database) -> None:
    async with opened(database.login("support")) as home:
        operation = named("tenants.impersonate")
        outcome = await execute(home, operation, operation.parse({"id": "acme", "ticket": "T-1"}), Call("on the phone"))
        assert outcome.undo is not None and outcome.undo.operation == "tenants.end-impersonation"
        back = named(outcome.undo.operation)
        await execute(home, back, back.parse(outcome.undo.request), Call(outcome.undo.reason))
        assert await home.of(ImpersonationDirectory).mine() is None


# A tenant in one step

KEY = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"
PROVISION = (
    "SELECT wf_data.provision(%s, %s, 'Acme', 'ada@lovelace.example', 'trial', 'eu', 'main', %s, sha256(%s::bytea),"
    " 'wf_live_abcd', '{read}')"
)


def test_a_service_makes_a_tenant_whole_and_once(psql: Psql) -> None:
    asked, owner = psql("service"), psql("owner")
    first = one(asked, PROVISION, "sign-up-1", "new", KEY, "secret")
    assert one(asked, PROVISION, "sign-up-1", "new", KEY, "secret") == first
    ends = first[0].pop("trial_end")
    assert datetime.fromisoformat(ends) > datetime.now(UTC)
    assert first[0] == {"tenant": "new", "project": "main", "key_id": KEY, "plan": "trial", "state": "trial"}
    rows = owner.execute(
        "SELECT actor, operation, noun, out_of_band FROM wf.audit WHERE tenant_id = 'new' ORDER BY seq"
    )
    assert rows.fetchall() == [("t_service", "tenants.provision", n, False) for n in ("tenants", "projects", "keys")]
    with pytest.raises(errors.UniqueViolation) as reused:
        asked.execute(PROVISION, ["sign-up-1", "other", KEY, "secret"])
    assert reused.value.diag.constraint_name == "request_id_reused"
    assert "lovelace" not in repr(owner.execute("SELECT result FROM wf.changes").fetchall())
    denied(psql("admin"), "SELECT wf_data.provision('x','x','x',NULL,'x','x','x','x','x','x','{}')")


@pytest.mark.parametrize(
    ("tenant", "key", "constraint"),
    [("acme", KEY, "tenants_pkey"), ("ok", "key_short", "key_id_format"), ("-", KEY, "tenant_id_format")],
)
def test_a_fault_leaves_nothing_behind(psql: Psql, tenant: str, key: str, constraint: str) -> None:
    counts = (
        "SELECT (SELECT count(*) FROM wf.tenants), (SELECT count(*) FROM wf.changes), (SELECT max(seq) FROM wf.audit)"
    )
    before = one(psql("owner"), counts)
    with pytest.raises(psycopg.Error) as fault:
        psql("service").execute(PROVISION, ["sign-up-1", tenant, key, "secret"])
    assert fault.value.diag.constraint_name == constraint
    assert one(psql("owner"), counts) == before
    one(psql("service"), PROVISION, "sign-up-1", "fresh", KEY, "secret")  # the id is still free


def test_the_same_request_at_once_is_one(psql: Psql, database: Database) -> None:
    asked = psql("service")
    answers = []
    with psycopg.connect(database.login("service"), autocommit=True) as other:
        with asked.transaction():
            first = one(asked, PROVISION, "sign-up-1", "new", KEY, "secret")
            waiting = threading.Thread(
                target=lambda: answers.append(one(other, PROVISION, "sign-up-1", "new", KEY, "secret"))
            )
            waiting.start()
        waiting.join()
    assert answers == [first]


async def test_the_operation_provisions_and_rolls_back_whole(psql: Psql, database: Database) -> None:
    operation = named("tenants.provision")
    fields = {"id": "new", "plan": "growth", "trial_days": 20, "scopes": ["read"]}
    async with opened(database.login("operator")) as home:
        outcome = await execute(home, operation, operation.parse(fields), Call(None, "provision-1"))
        assert [row.noun for row in outcome.rows] == ["tenants", "projects", "subscriptions", "keys"]
        assert outcome.secret is not None
        found = await home.of(KeyDirectory).of_hash(hashlib.sha256(outcome.secret.encode()).digest())
        assert found is not None and (found.id, found.scopes) == (outcome.result["key_id"], ["read"])
        assert (outcome.result["state"], found.project_id) == ("trial", "main")
        again = await execute(home, operation, operation.parse(fields), Call(None, "provision-1"))
        assert again.repeated and again.secret is None
        with pytest.raises(Refusal) as refused:
            await execute(home, operation, operation.parse(fields | {"id": "two", "plan": "unheard-of"}), Call(None))
        assert refused.value.code == "no_plan"
    assert one(psql("owner"), "SELECT count(*) FROM wf.tenants WHERE id = 'two'") == (0,)
    trial = "SELECT state, trial_return, trial_end - trial_start FROM wf.subscriptions WHERE tenant_id = 'new'"
    assert one(psql("owner"), trial) == ("trial", "expired", timedelta(days=20))


# Signing up

SIGN_UP = "SELECT * FROM wf_data.sign_up(%s, %s, %s)"
GOOD = ("ada@lovelace.example", "Analytical Engines")


def test_five_attempts_an_hour_from_one_address(psql: Psql) -> None:
    asked, owner = psql("service"), psql("owner")
    assert one(asked, SIGN_UP, "192.0.2.1", "no address", GOOD[1]) == (False, "invalid_email", None)
    assert one(asked, SIGN_UP, "192.0.2.1/24", GOOD[0], "a/b") == (False, "invalid_name", None)
    for _ in range(ATTEMPTS_PER_HOUR - 2):
        assert one(asked, SIGN_UP, "192.0.2.1", *GOOD) == (True, None, None)
    allowed, code, wait = one(asked, SIGN_UP, "192.0.2.1", *GOOD)
    assert (allowed, code) == (False, "too_many_attempts") and 3590 <= wait <= 3600
    assert one(asked, SIGN_UP, "192.0.2.2", *GOOD)[0] and one(asked, SIGN_UP, "2001:db8::1", *GOOD)[0]
    owner.execute("UPDATE wf.sign_up_attempts SET at = at - interval '59 minutes'")  # the window slides
    allowed, code, wait = one(asked, SIGN_UP, "192.0.2.1", *GOOD)
    assert (allowed, code) == (False, "too_many_attempts") and 50 <= wait <= 60
    owner.execute("UPDATE wf.sign_up_attempts SET at = at - interval '1 minute'")
    assert one(asked, SIGN_UP, "192.0.2.1", *GOOD)[0]
    assert one(owner, "SELECT count(*) FROM wf.sign_up_attempts") == (1,), "those that are over go by themselves"
    assert "lovelace" not in repr(owner.execute("TABLE wf.sign_up_attempts").fetchall())


def test_sixteen_at_once_are_five(psql: Psql, database: Database) -> None:
    conninfo, answers = database.login("service"), []

    def try_it() -> None:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            together.wait()
            answers.append(one(connection, SIGN_UP, "192.0.2.1", *GOOD)[1])

    together = threading.Barrier(16)
    clients = [threading.Thread(target=try_it) for _ in range(16)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(map(str, answers)) == ["None"] * ATTEMPTS_PER_HOUR + ["too_many_attempts"] * 11


anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)
emails = (
    anything
    | st.from_regex(r"\A[a-z .@]{0,6}@?[a-z.@ ]{0,8}\.?[a-z]{0,3}\Z")
    | st.integers(240, 270).map(lambda size: "a@b." + "c" * (size - 4))
)
names = anything | st.text("ab./\\ \x1f\x7f\x85", max_size=66) | st.integers(0, 70).map(lambda size: "n" * size)


@pytest.fixture(scope="module")
def owner(postgres_server: Server, template_database: str) -> Iterator[psycopg.Connection]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection
    postgres_server.drop(database)


@given(st.lists(st.tuples(emails, names), min_size=20, max_size=60))
def test_the_heart_and_the_home_judge_a_sign_up_alike(owner: psycopg.Connection, texts: list[tuple[str, str]]) -> None:
    asked = (
        "SELECT array_agg(coalesce(wf.sign_up_fault(e, n), '') ORDER BY i)"
        " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY u(e, n, i)"
    )
    (judged,) = one(owner, asked, [email for email, _ in texts], [name for _, name in texts])
    assert judged == [sign_up_fault(email, name) or "" for email, name in texts]


@pytest.mark.parametrize("email", ["a@b.c", "a.b+c@d.e.f", "ä@ü.de", "a" * 250 + "@b.c"])
def test_an_address_that_is_one(email: str) -> None:
    assert sign_up_fault(email, "Acme") is None


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "@b.c",
        "a@",
        "a@b",
        "a@.b",
        "a@b.",
        "a@.",
        "a@@b.c",
        "a@b@c.d",
        "a b@c.d",
        "a@b.c\n",
        "a@b\u3000.c",
        "a" * 251 + "@b.c",
    ],
)
def test_an_address_that_is_none(email: str) -> None:
    assert sign_up_fault(email, "Acme") == "invalid_email"


@pytest.mark.parametrize("name", ["", "ab", ".", "..", "a/b", "a\\b", "a\tb", "a\x7fb", "a\x85b", "n" * 65])
def test_a_name_that_is_none(name: str) -> None:
    assert sign_up_fault("a@b.c", name) == "invalid_name"
    assert sign_up_fault("a@b.c", "..." if len(name) < 3 else "n" * 64) is None
