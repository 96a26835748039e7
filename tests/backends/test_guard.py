"""What the home refuses to psql: each login with nothing but SQL, past all of the console's own rules."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from datetime import UTC

import psycopg
import pytest
from psycopg import errors

from controlplane.operations import Call, execute
from controlplane.registry import named, operations
from controlplane.tenants.model import STATUSES
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.test_operations_by_role import ESTATE, EXAMPLES, opened
from tests.controlplane.tenants import TRANSITIONS
from tests.postgres import ROLES, Database

EMAIL = "active@lovelace.example"


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)
    return database


@pytest.fixture
def psql(estate: Database) -> Iterator[Psql]:
    with logins(estate) as connect:
        yield connect


def last_audit(connection: psycopg.Connection) -> tuple:
    return one(connection, "SELECT out_of_band, actor, operation, thing FROM wf.audit ORDER BY seq DESC LIMIT 1")


# Personal data


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_those_who_may_not_see_an_owner_see_a_mask_everywhere(psql: Psql, role: str) -> None:
    person = psql(role)
    denied(person, "SELECT owner_email FROM wf.tenants", "SELECT count(*) FROM wf.tenants", "TABLE wf.audit_personal")
    assert one(person, "SELECT owner_email FROM wf.tenant_list WHERE id = 'active'") == ("a•••@lovelace.example",)
    assert one(person, "SELECT count(*) FROM wf.tenant_list WHERE owner_email = %s", EMAIL) == (0,)
    assert one(person, "SELECT count(*) FROM pg_stats WHERE schemaname = 'wf' AND attname = 'owner_email'") == (0,)


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_operators_see_an_owner(psql: Psql, role: str) -> None:
    assert one(psql(role), "SELECT owner_email FROM wf.tenant_list WHERE id = 'active'") == (EMAIL,)
    assert one(psql(role), "SELECT count(*) > 0 FROM wf.audit_personal") == (True,)


def test_taking_on_a_lower_role_does_not_unmask_and_taking_on_a_higher_one_fails(psql: Psql) -> None:
    denied(psql("support"), "SET ROLE wf_operator")
    psql("support").execute("SET ROLE wf_viewer")
    denied(psql("support"), "SELECT owner_email FROM wf.tenant_list WHERE id = 'active'")  # no home lets a group in
    psql("owner").execute("GRANT USAGE ON SCHEMA wf TO wf_viewer")
    assert one(psql("support"), "SELECT owner_email FROM wf.tenant_list WHERE id = 'active'")[0] != EMAIL


def grant_reveal(connection: psycopg.Connection, request_id: str, reason: str = "ticket 7") -> None:
    connection.execute("SELECT wf.begin_change('tenants.reveal', %s, %s)", [reason, request_id])
    connection.execute("SELECT wf.grant_reveal('active', 'owner_email')")


RAISE = "operators.raise"
REVEALED = "SELECT wf.revealed('active', 'owner_email')"


def test_a_reveal_counts_once_it_is_committed_for_a_minute_for_one_person(psql: Psql) -> None:
    support = psql("support")
    denied(support, REVEALED)
    with pytest.raises(errors.InsufficientPrivilege), support.transaction():
        grant_reveal(support, "look inside and roll back")
        support.execute(REVEALED)
    denied(support, REVEALED)
    with pytest.raises(errors.InsufficientPrivilege), support.transaction():
        grant_reveal(support, "look inside a savepoint")
        with support.transaction():
            support.execute(REVEALED)
    with support.transaction():
        grant_reveal(support, "committed")
    assert one(support, REVEALED) == (EMAIL,)
    assert last_audit(support) == (False, "t_support", "tenants.reveal", "active/owner_email")
    denied(psql("admin"), REVEALED)
    denied(support, "UPDATE wf.reveals SET expires_at = 'infinity'", "INSERT INTO wf.reveals DEFAULT VALUES")
    (left,) = one(support, "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM wf.reveals")
    assert 0 < left <= 60
    psql("owner").execute("UPDATE wf.reveals SET expires_at = clock_timestamp()")
    denied(support, REVEALED)


def test_a_reveal_needs_a_reason_and_support(psql: Psql) -> None:
    for reason in ("", "  "):
        with pytest.raises(errors.CheckViolation), psql("support").transaction():
            grant_reveal(psql("support"), "no reason", reason)
    refused(psql("support"), "reveal_reason", "SELECT wf.grant_reveal('active', 'owner_email')")
    denied(psql("viewer"), REVEALED, "SELECT wf.grant_reveal('active', 'owner_email')")


async def test_no_operation_leaves_an_owner_in_what_a_viewer_reads(estate: Database, psql: Psql) -> None:
    owners = {"tenants.create": "grace@hopper.example", "tenants.edit": "joan@clarke.example"}
    last = ("contacts.remove", "tenants.delete", "tenants.protect")
    async with opened(estate.login("admin")) as admin:
        for name in [*sorted(set(operations()) - {*last, RAISE}), *last]:  # an admin has no role above
            fields = EXAMPLES[name] | ({"owner_email": owners[name]} if name in owners else {})
            await execute(admin, named(name), named(name).parse(fields), Call("as the test says", f"do {name}"))
    done = {name for (name,) in psql("viewer").execute("SELECT DISTINCT operation FROM wf.audit")}
    assert done >= set(operations()) - {RAISE}
    read = everything(psql("viewer"))
    assert {"wf.audit", "wf.changes", "wf.runs", "wf.tenant_list"} <= read.keys()
    for table, text in read.items():
        for email in (EMAIL, "due@lovelace.example", *owners.values()):
            assert email not in text, table
    assert (
        "g•••@hopper.example" in read["wf.audit"]
        and "joan@clarke.example" in everything(psql("owner"))["wf.audit_personal"]
    )


def everything(connection: psycopg.Connection) -> dict[str, str]:
    """Table or view → all its rows as text, of all in the schema that the login may read."""
    tables = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = 'wf'::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege(c.oid, 'SELECT')"
    ).fetchall()
    return {
        table: "\n".join(text for (text,) in connection.execute(f"SELECT t::text FROM {table} t"))
        for (table,) in tables
    }


# The trail


def test_nobody_writes_the_trail_or_the_changes(psql: Psql) -> None:
    for role in (*ROLES, "worker"):
        for table in ("wf.audit", "wf.audit_personal", "wf.changes", "wf.counters", "wf.migrations"):
            denied(psql(role), f"DELETE FROM {table}", f"TRUNCATE {table}", f"INSERT INTO {table} DEFAULT VALUES")
        denied(
            psql(role),
            "UPDATE wf.audit SET actor = 'somebody'",
            "UPDATE wf.changes SET xid = pg_current_xact_id()",
            "UPDATE wf.changes SET result = '{}'",
            "UPDATE wf.counters SET value = 0",
            "SELECT wf.append_audit('wf.tenants', 'tenants', 'x', '{x}', '{x}', '{null}', '{null}', '{}')",
            "ALTER TABLE wf.audit DISABLE TRIGGER ALL",
            "CREATE TABLE wf.mine ()",
            "DROP TRIGGER audit_update ON wf.tenants",
        )
    with pytest.raises(errors.InsufficientPrivilege), psql("operator").transaction():
        psql("operator").execute("SET LOCAL session_replication_role = replica")


def test_not_even_the_owner_rewrites_the_trail_by_accident(psql: Psql) -> None:
    for statement in ("UPDATE wf.audit SET actor = 'x'", "DELETE FROM wf.audit", "TRUNCATE wf.audit CASCADE"):
        with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
            psql("owner").execute(statement)


RENAME = "UPDATE wf.tenants SET name = 'Renamed' WHERE id = 'active'"


def test_what_psql_changes_is_recorded_out_of_band(psql: Psql) -> None:
    operator = psql("operator")
    operator.execute(RENAME)
    assert last_audit(operator) == (True, "t_operator", "sql.update", "active")
    before, after = one(operator, "SELECT before, after FROM wf.audit ORDER BY seq DESC LIMIT 1")
    assert (before["name"], after["name"]) == ("active", "Renamed")


def test_a_role_taken_on_does_not_hide_the_login(psql: Psql) -> None:
    admin = psql("admin")
    psql("owner").execute("GRANT USAGE ON SCHEMA wf TO wf_operator")  # which no home does
    admin.execute("SET ROLE wf_operator")
    admin.execute(RENAME)
    assert last_audit(admin) == (True, "t_admin", "sql.update", "active")
    denied(admin, "SET SESSION AUTHORIZATION t_operator")


def test_a_forged_mark_of_a_change_stays_out_of_band(psql: Psql) -> None:
    operator = psql("operator")
    earlier, another = one(psql("owner"), "SELECT id FROM wf.changes")[0], 0
    with operator.transaction():
        (another,) = one(operator, "SELECT wf.begin_change('tenants.rename', 'mine', 'mine-1')")
    for forged in (earlier, another, 10**9, -1, ""):
        operator.execute("SELECT set_config('wf.change', %s, false)", [str(forged)])
        operator.execute("UPDATE wf.tenants SET plan = plan || 'x' WHERE id = 'active'")
        assert last_audit(operator)[0] is True, forged
    operator.execute("SET wf.change = 'not a number'")
    with pytest.raises(errors.InvalidTextRepresentation):
        operator.execute(RENAME)
    operator.execute("RESET wf.change")
    with operator.transaction():
        operator.execute("SELECT wf.begin_change('tenants.rename', 'mine', 'mine-2')")
        operator.execute(RENAME)
    assert last_audit(operator) == (False, "t_operator", "tenants.rename", "active")


def test_the_trail_has_neither_holes_nor_a_second_of_any_number(psql: Psql) -> None:
    operator = psql("operator")
    for plan in ("a", "b"):
        with pytest.raises(ZeroDivisionError), operator.transaction():
            operator.execute("UPDATE wf.tenants SET plan = %s WHERE id = 'active'", [plan])
            raise ZeroDivisionError
        operator.execute("UPDATE wf.tenants SET plan = %s", [plan])
    assert one(operator, "SELECT count(*) = max(seq), count(*) = count(DISTINCT seq) FROM wf.audit") == (True, True)
    assert one(
        psql("owner"), "SELECT value = (SELECT max(seq) FROM wf.audit) FROM wf.counters WHERE name = 'audit'"
    ) == (True,)


def test_each_row_of_one_statement_keeps_its_own_before_and_after(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute(
        "INSERT INTO wf.tenants (id, name, owner_email)"
        " SELECT 'n' || i, 'was ' || i, CASE WHEN i % 2 = 0 THEN i || '@was.example' END FROM generate_series(1, 300) i"
    )
    owner.execute(
        "UPDATE wf.tenants SET name = 'is' || substr(name, 4), owner_email = id || '@is.example' WHERE id ~ '^n'"
    )
    rows = owner.execute(
        "SELECT a.thing, a.before ->> 'name', a.after ->> 'name', p.before, p.after FROM wf.audit a"
        " JOIN wf.audit_personal p USING (seq) WHERE a.operation = 'sql.update' AND a.thing ~ '^n'"
    ).fetchall()
    assert sorted(rows, key=lambda row: int(row[0][1:])) == [
        (f"n{i}", f"was {i}", f"is {i}", None if i % 2 else f"{i}@was.example", f"n{i}@is.example")
        for i in range(1, 301)
    ]


# Tenants and projects


def test_the_heart_and_the_home_hold_the_same_transitions(psql: Psql) -> None:
    assert set(psql("viewer").execute("SELECT was, becomes FROM wf.tenant_transitions").fetchall()) == TRANSITIONS


def into(status: str, was: str) -> str:
    """The assignments that bring a tenant into a status, with all the marks that belong to it."""
    suspended = status == "suspended" or (was == "suspended" and status == "pending_deletion")
    deleted = status == "pending_deletion"
    marks = {
        "status": f"'{status}'",
        "suspended_at": "now()" if suspended else "NULL",
        "suspension_reason": "'unpaid'" if suspended else "NULL",
        "deleted_at": "now()" if deleted else "NULL",
        "purge_after": "now() + interval '2 days'" if deleted else "NULL",
        "deleted_from": f"'{was}'" if deleted else "NULL",
        "erased_at": "now()" if status == "erased" else "NULL",
    }
    return ", ".join(f"{column} = {value}" for column, value in marks.items())


@pytest.mark.parametrize(("was", "becomes"), list(itertools.permutations(STATUSES, 2)))
def test_a_status_follows_on_another_only_as_the_table_says(psql: Psql, was: str, becomes: str) -> None:
    owner = psql("owner")
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    before = "suspended" if becomes == "suspended" else "active"
    owner.execute(f"UPDATE wf.tenants SET {into(was, before)} WHERE id = 'active'")
    owner.execute("UPDATE wf.tenants SET purge_after = now() - interval '1 s' WHERE purge_after IS NOT NULL")
    owner.execute("ALTER TABLE wf.tenants ENABLE TRIGGER guard")
    change = f"UPDATE wf.tenants SET {into(becomes, was)} WHERE id = 'active'"
    if (was, becomes) in TRANSITIONS:
        owner.execute(change)
    else:
        refused(owner, "tenant_erased" if was == "erased" else "tenant_transition", change)


SUSPEND = "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = '{}'"
DELETE = (
    "UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),"
    " purge_after = now() + interval '{}' WHERE id = '{}'"
)


def test_a_protected_tenant_is_neither_suspended_nor_deleted_nor_unprotected_by_an_operator(psql: Psql) -> None:
    refused(psql("operator"), "tenant_protected", SUSPEND.format("protected"))
    refused(psql("admin"), "tenant_protected", DELETE.format("2 days", "protected"))
    together = SUSPEND.format("protected").replace("SET ", "SET protected = false, ")
    refused(psql("admin"), "tenant_protected", together)
    denied(
        psql("operator"),
        "UPDATE wf.tenants SET protected = false WHERE id = 'protected'",
        "INSERT INTO wf.tenants (id, name, protected) VALUES ('x', 'x', true)",
    )
    assert one(psql("viewer"), "SELECT protected, status FROM wf.tenant_list WHERE id = 'default'") == (True, "active")


def test_an_operator_neither_deletes_nor_touches_what_is_being_deleted(psql: Psql) -> None:
    operator = psql("operator")
    denied(
        operator,
        DELETE.format("2 days", "active"),
        "DELETE FROM wf.tenants",
        "TRUNCATE wf.tenants CASCADE",
        "SELECT wf.purge_tenant('due')",
        "UPDATE wf.tenants SET version = 1",
        "UPDATE wf.tenants SET created_at = now()",
        "INSERT INTO wf.tenants (id, name, status) VALUES ('x', 'x', 'erased')",
        "INSERT INTO wf.erasure_certificates (tenant_id) VALUES ('active')",
    )
    assert operator.execute("UPDATE wf.tenants SET name = 'x' WHERE id = 'deleted'").rowcount == 0
    denied(psql("admin"), "DELETE FROM wf.tenants", "UPDATE wf.tenants SET id = 'other'")


def test_a_deletion_keeps_for_a_day_at_least_and_is_not_shortened(psql: Psql) -> None:
    admin = psql("admin")
    refused(admin, "tenant_retention", DELETE.format("23 hours", "active"))
    refused(
        admin,
        "tenant_retention",
        DELETE.format("2 days", "active").replace("'active', deleted_at", "'suspended', deleted_at"),
    )
    for change in ("purge_after = now() - interval '1 hour'", "deleted_from = 'suspended'", "deleted_at = now()"):
        refused(admin, "tenant_retention", f"UPDATE wf.tenants SET {change} WHERE id = 'deleted'")
    refused(admin, "tenant_not_due", "SELECT wf.purge_tenant('deleted')")
    refused(admin, "tenant_transition", "SELECT wf.purge_tenant('active')")


def test_a_restore_brings_back_what_was_there(psql: Psql) -> None:
    marks = "deleted_at = NULL, purge_after = NULL, deleted_from = NULL"
    as_suspended = SUSPEND.format("deleted").replace("SET ", f"SET {marks}, ")
    refused(psql("admin"), "tenant_restore", as_suspended)
    psql("admin").execute(f"UPDATE wf.tenants SET status = 'active', {marks} WHERE id = 'deleted'")


def test_erasing_goes_by_purge_alone_and_is_final(psql: Psql) -> None:
    admin, owner = psql("admin"), psql("owner")
    denied(
        admin,
        "UPDATE wf.tenants SET status = 'erased', erased_at = now(), deleted_at = NULL, purge_after = NULL,"
        " deleted_from = NULL WHERE id = 'due'",
    )
    owner.execute("UPDATE wf.tenants SET protected = true WHERE id = 'due'")
    refused(admin, "tenant_not_due", "SELECT wf.purge_tenant('due')")
    owner.execute("UPDATE wf.tenants SET protected = false WHERE id = 'due'")
    admin.execute("SELECT wf.purge_tenant('due')")
    refused(admin, "tenant_erased", "UPDATE wf.tenants SET name = 'back' WHERE id = 'due'")
    refused(admin, "tenant_erased", "SELECT wf.purge_tenant('due')")
    with pytest.raises(errors.NoDataFound):
        admin.execute("SELECT wf.purge_tenant('nobody')")
    refused(admin, "project_tenant_gone", "INSERT INTO wf.projects (tenant_id, id, name) VALUES ('due', 'x', 'x')")


def test_the_certificate_says_what_was_erased_and_its_hash_can_be_made_again(psql: Psql) -> None:
    owner, admin = psql("owner"), psql("admin")
    owner.execute("UPDATE wf.tenants SET owner_email = 'later@lovelace.example' WHERE id = 'due'")
    owner.execute(
        "INSERT INTO wf.requests (tenant_id, route, method, status, at) VALUES ('due', '/', 'GET', 200, now())"
    )
    with admin.transaction():
        admin.execute("SELECT wf.begin_change('tenants.purge', 'asked for', 'purge-1')")
        admin.execute("SELECT wf.purge_tenant('due')")
    tenant, at, by, request, counts, sha256 = one(psql("viewer"), "SELECT * FROM wf.erasure_certificates")
    assert (tenant, by, request) == ("due", "t_admin", "purge-1")
    assert (counts["wf.requests"], counts["wf.audit_personal"], counts["wf.projects"]) == (1, 3, 0)
    lines = [
        "watchfloor erasure certificate 1",
        f"tenant {tenant}",
        f"erased at {at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        f"erased by {by}",
        *(f"{table} {counts[table]}" for table in sorted(counts)),
    ]
    assert hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest() == sha256
    for role in ("operator", "admin"):
        denied(psql(role), "UPDATE wf.erasure_certificates SET counts = '{}'", "DELETE FROM wf.erasure_certificates")
    for table, text in everything(owner).items():
        for email in ("due@lovelace.example", "later@lovelace.example"):
            assert email not in text, table


def test_a_project_belongs_to_its_tenant_for_ever(psql: Psql) -> None:
    denied(
        psql("admin"),
        "UPDATE wf.projects SET tenant_id = 'suspended'",
        "UPDATE wf.projects SET id = 'x'",
        "DELETE FROM wf.projects",
    )
    refused(psql("owner"), "project_belongs_for_ever", "UPDATE wf.projects SET tenant_id = 'suspended'")
    gone = "INSERT INTO wf.projects (tenant_id, id, name) VALUES ('deleted', 'x', 'x')"
    refused(psql("operator"), "project_tenant_gone", gone)


def test_sizes_and_shapes_are_the_homes_too(psql: Psql) -> None:
    operator = psql("operator")
    make = "INSERT INTO wf.tenants (id, name, {}) VALUES ('x', 'x', {})"
    refused(operator, "tenant_metadata_size", make.format("metadata", "jsonb_build_object('a', repeat('x', 10000000))"))
    refused(operator, "tenant_metadata_size", make.format("metadata", "'[]'"))
    refused(operator, "tenant_home_region_allowed", make.format("region, allowed_regions", "'mars', '{eu}'"))
    rename = "UPDATE wf.tenants SET name = {} WHERE id = 'active'"
    refused(operator, "tenant_name_length", rename.format("repeat(U&'a\\0301', 5000)"))
    refused(operator, "tenant_name_length", rename.format("''"))
    for bad in ("", "-x", "../x", "x" * 65, "ä", "a b", "a\nb"):
        with pytest.raises(errors.CheckViolation):
            operator.execute("INSERT INTO wf.tenants (id, name) VALUES (%s, 'x')", [bad])


# People


def test_only_an_admin_makes_logins_and_none_of_other_powers(psql: Psql) -> None:
    for role in ("viewer", "support", "operator", "worker"):
        denied(psql(role), "SELECT wf.put_operator('x', 'admin', NULL)", "SELECT wf.remove_operator('leaving')")
    admin, owner = psql("admin"), psql("owner")
    denied(admin, "CREATE ROLE x", "GRANT wf_admin TO t_viewer")
    for name in ("pg_monitor", "wf_admin", "Upper", "a b"):
        with pytest.raises(errors.CheckViolation):
            admin.execute("SELECT wf.put_operator(%s, 'admin', NULL)", [name])
    with pytest.raises(errors.CheckViolation):
        admin.execute("SELECT wf.put_operator('x', 'superuser', NULL)")
    owner.execute("CREATE ROLE mighty SUPERUSER")
    denied(admin, "SELECT wf.put_operator('mighty', 'viewer', NULL)")
    with pytest.raises(psycopg.Error, match="SCRAM"):
        admin.execute("SELECT wf.put_operator('x', 'viewer', 'in clear')")


def test_an_admin_cannot_take_over_a_login_that_is_not_of_this_home(psql: Psql) -> None:
    """Roles belong to the whole server: a password set here would open another program's databases."""
    admin, owner = psql("admin"), psql("owner")
    verifier = owner.pgconn.encrypt_password(b"known to the admin", b"billing", b"scram-sha-256").decode()
    owner.execute("CREATE ROLE billing LOGIN")
    owner.execute("CREATE ROLE accounts NOLOGIN")
    with pytest.raises(errors.InsufficientPrivilege) as found:
        admin.execute("SELECT wf.put_operator('billing', 'viewer', %s)", [verifier])
    assert found.value.diag.constraint_name == "operator_login_foreign"
    denied(admin, "SELECT wf.put_operator('accounts', 'viewer', NULL)")
    admin.execute("SELECT wf.put_operator('billing', 'viewer', NULL)")  # the same person, by the login that they have
    assert one(owner, "SELECT pg_has_role('billing', 'wf_viewer', 'MEMBER')") == (True,)
    denied(admin, f"SELECT wf.put_operator('billing', 'viewer', '{verifier}')")
    admin.execute("SELECT wf.put_operator('leaving', 'support', %s)", [verifier])  # made here, so it may


def test_another_role_takes_the_former_one_away_and_leaving_ends_the_session(psql: Psql, estate: Database) -> None:
    admin, owner = psql("admin"), psql("owner")
    verifier = owner.pgconn.encrypt_password(b"secret enough", b"leaving", b"scram-sha-256").decode()
    admin.execute("SELECT wf.put_operator('leaving', 'operator', %s)", [verifier])
    conninfo = psycopg.conninfo.make_conninfo(estate.owner, user="leaving", password="secret enough")
    with psycopg.connect(conninfo, autocommit=True) as leaving:
        leaving.execute("UPDATE wf.tenants SET plan = 'x' WHERE id = 'active'")
        admin.execute("SELECT wf.put_operator('leaving', 'viewer', NULL)")
        denied(leaving, "UPDATE wf.tenants SET plan = 'y' WHERE id = 'active'")
        assert one(leaving, "SELECT wf.my_role()") == ("viewer",)
        assert one(admin, "SELECT wf.remove_operator('leaving'), wf.remove_operator('nobody')") == (True, False)
        with pytest.raises(psycopg.OperationalError):
            leaving.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(conninfo)
