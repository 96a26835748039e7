"""Guessing what is masked, and revealing it by the dozen: each attempt with psql's powers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import product

import psycopg
import pytest
from psycopg import errors

from controlplane.errors import Refusal
from controlplane.find import Finder, seek
from controlplane.keys.model import KeyDirectory
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import opened
from tests.backends.test_operations_by_role import ESTATE
from tests.postgres import ROLES, Database

EMAIL = "active@lovelace.example"
PEOPLE = ("viewer", "support", "operator", "admin")
FOUND = f"SELECT array_agg(t) FROM wf.tenants_of_email('{EMAIL}') t"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)
    with logins(database) as connect:
        yield connect


def unasked(connection: psycopg.Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege) as found:
        connection.execute(statement.encode())
    assert found.value.diag.constraint_name == "look_up_unasked"


@pytest.mark.parametrize("role", PEOPLE)
def test_an_address_is_answered_once_the_asking_is_committed_and_in_the_trail(psql: Psql, role: str) -> None:
    person = psql(role)
    unasked(person, FOUND)
    with pytest.raises(errors.InsufficientPrivilege), person.transaction():  # look, and roll the trace back
        person.execute(f"SELECT wf.ask_address('{EMAIL}')")
        person.execute(FOUND)
    unasked(person, FOUND)
    person.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    person.execute("SAVEPOINT s")
    person.execute(f"SELECT wf.ask_address('{EMAIL}')")
    person.execute("RELEASE s")
    unasked(person, FOUND)
    person.execute("ROLLBACK")
    for _ in range(3):  # once more of the same is no other
        person.execute(f"SELECT wf.ask_address('{EMAIL}')")
    assert one(person, FOUND) == (["active"],)
    unasked(person, FOUND.replace("active@", "due@"))
    rows = person.execute(
        "SELECT actor, operation, out_of_band, after FROM wf.audit WHERE noun = 'look_ups'"
    ).fetchall()
    assert rows == [(f"t_{role}", "look_ups.ask", False, {"asked": "a•••@lovelace.example"})]
    assert EMAIL not in repr(psql("owner").execute("SELECT * FROM wf.changes").fetchall())


def test_what_one_asked_answers_nobody_else(psql: Psql) -> None:
    psql("viewer").execute(f"SELECT wf.ask_address('{EMAIL}')")
    unasked(psql("support"), FOUND)
    for role in ("worker", "service"):
        denied(psql(role), FOUND, f"SELECT wf.ask_address('{EMAIL}')")


GUESSES = (
    "SELECT chr(a) || chr(b) || 'tive@lovelace.example' AS guess"
    " FROM generate_series(97, 122) a, generate_series(97, 122) b"
)


def test_guesses_by_the_thousand_find_nothing_and_one_statement_asks_once(psql: Psql) -> None:
    viewer = psql("viewer")
    unasked(viewer, f"SELECT guess, t FROM ({GUESSES}) g, LATERAL wf.tenants_of_email(guess) t")
    refused(viewer, "look_up_alone", f"SELECT wf.ask_address(guess) FROM ({GUESSES}) g")
    refused(
        viewer,
        "look_up_alone",
        "DO $$ BEGIN PERFORM wf.ask_address('a@x.example'); PERFORM wf.ask_address('b@x.example'); END $$",
    )
    with pytest.raises(errors.CheckViolation) as found:  # each in a transaction of its own, by one statement
        viewer.execute(
            f"DO $$ DECLARE g text; BEGIN FOR g IN {GUESSES} LOOP PERFORM wf.ask_address(g); COMMIT; END LOOP; END $$"
        )
    assert found.value.diag.constraint_name == "look_up_limit"
    asked = "SELECT count(*), max(cardinality(asked)) FROM wf.look_ups"
    assert one(psql("owner"), asked) == (1, 60)
    assert one(viewer, "SELECT count(*) FROM wf.audit WHERE noun = 'look_ups'") == (60,)
    refused(viewer, "look_up_limit", "SELECT wf.ask_address('another@x.example')")
    psql("support").execute(f"SELECT wf.ask_address('{EMAIL}')")  # others are not held up


def test_keys_are_looked_up_by_their_hash_under_the_same_limit(psql: Psql) -> None:
    viewer = psql("viewer")
    answer = "SELECT wf.key_of_hash(sha256('1'))"
    unasked(viewer, answer)
    unasked(viewer, "SELECT wf.key_of_hash(sha256(n::text::bytea)) FROM generate_series(1, 9999) n")
    viewer.execute("SELECT wf.ask_hash(sha256('1'))")
    assert one(viewer, answer) == ("key_00000000000000000000000001",)
    refused(viewer, "look_up_alone", "SELECT wf.ask_hash(sha256(n::text::bytea)) FROM generate_series(2, 9999) n")
    denied(psql("support"), "SELECT * FROM wf_data.authenticate(sha256('1'))")


def test_nobody_reads_or_writes_what_was_asked(psql: Psql) -> None:
    for role in ROLES:
        denied(
            psql(role), "TABLE wf.look_ups", "DELETE FROM wf.look_ups", "TRUNCATE wf.look_ups",
            "INSERT INTO wf.look_ups (kind, hour, asked) VALUES ('owner', now(), '{}')",
            "UPDATE wf.look_ups SET xid = '3'", "SELECT wf.count_look_up('owner', 'x', 99)",
            "SELECT wf.was_asked('owner', 'x')", "SELECT wf.ask('owner', 'x', 'x')",
        )  # fmt: skip


def test_what_was_asked_is_gone_after_two_hours(psql: Psql) -> None:
    viewer, owner = psql("viewer"), psql("owner")
    viewer.execute(f"SELECT wf.ask_address('{EMAIL}')")
    owner.execute("UPDATE wf.look_ups SET hour = hour - interval '1 hour'")
    assert one(viewer, FOUND) == (["active"],)
    owner.execute("UPDATE wf.look_ups SET hour = hour - interval '1 hour'")
    unasked(viewer, FOUND)
    psql("support").execute("SELECT wf.ask_address('a@x.example')")  # whoever asks next sweeps
    assert owner.execute("SELECT login FROM wf.look_ups").fetchall() == [("t_support",)]


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_no_filter_order_statistic_or_plan_tells_more_than_the_mask(psql: Psql, role: str) -> None:
    person = psql(role)
    psql("owner").execute("ANALYZE wf.tenants, wf.api_keys, wf.audit_personal")
    for view, column in product(("wf.tenant_list", "wf.key_list"), ("owner_email", "owner_masked")):
        for condition in ("= %s", "LIKE 'ac%%'", "BETWEEN 'ab' AND 'ad'", "~ '^act'"):
            values = [EMAIL] if "%s" in condition else []
            rows = person.execute(f"SELECT count(*) FROM {view} WHERE lower({column}) {condition}", values).fetchone()
            assert rows == (0,), condition
    shown = [mail for (mail,) in person.execute("SELECT owner_email FROM wf.tenant_list ORDER BY owner_email, id")]
    ordered = [
        mail for (mail,) in psql("owner").execute("SELECT wf.masked(owner_email) m FROM wf.tenants ORDER BY m, id")
    ]
    assert shown == ordered, "in the order of the masks"
    personal = (
        "SELECT count(*) FROM pg_stats WHERE schemaname = 'wf' AND (tablename ~ 'owner' OR attname ~ 'owner|address')"
    )
    assert one(person, personal) == (0,)
    assert one(person, "SELECT count(*) FROM pg_stats_ext_exprs WHERE schemaname = 'wf'") == (0,)
    guesses = [EMAIL, "nobody@x.example"]
    plans = [
        repr(person.execute(f"EXPLAIN SELECT FROM wf.tenant_list WHERE '{g}' IN {column}").fetchall()).replace(g, "")
        for column in ("(owner_email)", "(owner_masked)", "(wf.folded(owner_masked))")
        for g in guesses
    ]
    assert plans[::2] == plans[1::2], "a plan's estimate is the same for a right and a wrong guess"


def test_a_cheap_function_in_a_filter_sees_the_mask_alone(psql: Psql, database: Database) -> None:
    viewer = psql("viewer")
    psql("owner").execute(f"GRANT TEMPORARY ON DATABASE {database.name} TO t_viewer")
    viewer.execute(
        "CREATE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS"
        " $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
    )
    said: list[str] = []
    viewer.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    for view in ("tenant_list", "key_list", "audit"):
        column = "after::text" if view == "audit" else "concat_ws(' ', owner_email, owner_masked)"
        viewer.execute(f"SELECT count(*) FROM wf.{view} WHERE pg_temp.spy({column})".encode())
    assert len(said) > 10 and not [words for words in said if EMAIL in words]


async def test_the_console_finds_by_an_address_and_says_when_it_was_enough(psql: Psql, database: Database) -> None:
    psql("owner")
    async with opened(database.login("support")) as home:
        assert [row.id for row in await home.of(Finder).look(seek(EMAIL))] == ["active"]
        assert [row.id for row in await home.of(Finder).look(seek(EMAIL))] == ["active"]
        assert await home.of(KeyDirectory).of_hash(hashlib.sha256(b"1").digest()) is not None
        for n in range(59):
            await home.of(Finder).look(seek(f"nobody{n}@x.example"))
        with pytest.raises(Refusal) as told:
            await home.of(Finder).look(seek("one@more.example"))
        assert told.value.code == "look_up_limit"


# Reveals


def reveal(connection: psycopg.Connection, tenant: str, reason: str, number: int) -> None:
    with connection.transaction():
        connection.execute("SELECT wf.begin_change('tenants.reveal', %s, %s)", [reason, f"reveal-{tenant}-{number}"])
        connection.execute("SELECT wf.grant_reveal(%s, 'owner_email')", [tenant])


def test_reveals_go_one_at_a_time_with_a_reason_that_says_something(psql: Psql) -> None:
    support = psql("support")
    for number, reason in enumerate((".", "", "  ", "....!!!!....", "a b c d", "-----", "7")):
        with pytest.raises(errors.CheckViolation) as found:
            reveal(support, "active", reason, number)
        assert found.value.diag.constraint_name == "reveal_reason"
    with pytest.raises(errors.CheckViolation) as found, support.transaction():
        support.execute("SELECT wf.begin_change('tenants.reveal', 'for all of them', 'all')")
        support.execute("SELECT wf.grant_reveal(id, 'owner_email') FROM wf.tenant_list")
    assert found.value.diag.constraint_name == "look_up_alone"
    reveal(support, "active", "問い合わせ番号", 8)
    assert one(support, "SELECT wf.revealed('active', 'owner_email')") == (EMAIL,)


def test_reveals_are_limited_for_each_person_and_hour(psql: Psql) -> None:
    support = psql("support")
    for number in range(20):
        reveal(support, "active" if number % 2 else "due", "ticket 7", number)
    with pytest.raises(errors.CheckViolation) as found:
        reveal(support, "active", "ticket 7", 21)
    assert found.value.diag.constraint_name == "look_up_limit"
    reveal(psql("operator"), "active", "ticket 7", 22)


# Acting for a tenant, reading only

BEGIN = (
    "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)"
    " VALUES ('{}', 'cannot log in', 'T-1', now() + interval '1 hour') RETURNING id"
)
CHANGES = (
    "UPDATE wf.tenants SET plan = 'growth' WHERE id = 'active'",
    "UPDATE wf.tenants SET plan = 'growth' WHERE id IN ('active', 'suspended')",
    "INSERT INTO wf.projects (tenant_id, id, name) VALUES ('active', 'more', 'More')",
    "UPDATE wf.api_keys SET disabled_at = now() WHERE display = 'wf_live_1'",
    "UPDATE wf.subscriptions SET billing_zone = 'Europe/Berlin' WHERE tenant_id = 'active'",
    "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)"
    " VALUES ('active', 'seats', '5', 'override', now() + interval '1 day', 'x')",
    "SELECT wf.replay_job(2)",
    "INSERT INTO wf.objectives (name, target, tenant_id) VALUES ('mine', 0.99, 'active')",
    "INSERT INTO wf.maintenance (tenant_id, starts_at, ends_at, reason)"
    " VALUES ('active', now(), now() + interval '1 hour', 'new disks')",
)


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_who_acts_for_a_tenant_to_read_changes_nothing_of_it(psql: Psql, role: str) -> None:
    person = psql(role)
    (number,) = one(person, BEGIN.format("active"))
    for change in CHANGES:
        with pytest.raises(errors.InsufficientPrivilege) as found:
            person.execute(change)
        assert found.value.diag.constraint_name == "impersonation_reading", change
    with pytest.raises(errors.InsufficientPrivilege), person.transaction():
        person.execute("SELECT wf.begin_change('tenants.edit', 'ticket T-1', 'edit-1')")
        person.execute(CHANGES[0])
    person.execute("UPDATE wf.tenants SET plan = 'growth' WHERE id = 'suspended'")  # another's is theirs to change
    reveal(person, "active", "ticket 7", 1)
    other = psql("admin" if role == "operator" else "operator")
    other.execute("UPDATE wf.impersonations SET mode = 'write' WHERE id = %s", [number])
    person.execute(CHANGES[0])
    person.execute("UPDATE wf.impersonations SET ended_at = now() WHERE id = %s", [number])
    (number,) = one(person, BEGIN.format("active"))
    person.execute("UPDATE wf.impersonations SET ended_at = now() WHERE id = %s", [number])
    person.execute("UPDATE wf.tenants SET plan = 'pro' WHERE id = 'active'")
