"""Who gets into a home, with what rights, and how much of it one login can take: each attempt with psql's powers."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from backends.postgres.home import Home
from backends.postgres.migrate import migrate
from backends.postgres.openings import openings
from controlplane.errors import HomeUnreachable
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.test_operations_by_role import ESTATE
from tests.postgres import ROLES, Database, Server

IN = "SELECT count(*) FROM wf.tenant_list"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)
    with logins(database) as connect:
        yield connect


def verifier(name: str, password: str) -> str:
    return (
        psycopg.pq.PGconn.connect_start(b"")
        .encrypt_password(  # of no connection: the server is not asked
            password.encode(), name.encode(), b"scram-sha-256"
        )
        .decode()
    )


def put(owner: str | psycopg.Connection, name: str, role: str, password: str | None = None) -> None:
    given = None if password is None else verifier(name, password)
    if isinstance(owner, psycopg.Connection):
        owner.execute("SELECT wf.put_operator(%s, %s, %s)", [name, role, given])
        return
    with psycopg.connect(owner) as connection:
        connection.execute("SELECT wf.put_operator(%s, %s, %s)", [name, role, given])


def as_login(database: Database, name: str, password: str) -> psycopg.Connection:
    return psycopg.connect(make_conninfo(database.owner, user=name, password=password), autocommit=True)


def kept_out(database: Database, name: str, password: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        as_login(database, name, password)


@pytest.fixture
def home(empty_database: Database) -> Database:
    migrate(empty_database.owner)
    return empty_database


@pytest.fixture
def neighbour(postgres_server: Server) -> Iterator[Database]:
    """Another home of the same server."""
    database = postgres_server.create()
    migrate(database.owner)
    yield database
    postgres_server.drop(database)


def made_anew(server: Server, database: Database) -> None:
    """The database dropped and made again, under its name; the logins stay, as they do on a server."""
    with psycopg.connect(server.credentials.owner_conninfo("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {database.name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {database.name}".encode())


# Who gets in


async def test_the_operators_of_a_home_that_is_gone_are_not_those_of_the_next(
    postgres_server: Server, home: Database
) -> None:
    put(home.owner, "ana", "operator", "of the first home")
    with as_login(home, "ana", "of the first home") as ana:
        ana.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    made_anew(postgres_server, home)
    migrate(home.owner)
    kept_out(home, "ana", "of the first home")
    with pytest.raises(HomeUnreachable) as told:
        await Home(make_conninfo(home.owner, user="ana", password="of the first home")).open()
    assert told.value.code == "not_an_operator"
    with psycopg.connect(home.owner, autocommit=True) as owner:
        owner.execute(f"GRANT CONNECT ON DATABASE {home.name} TO PUBLIC")  # whatever lets her connect
        with as_login(home, "ana", "of the first home") as ana:
            denied(ana, IN, "INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')", "SELECT wf.my_role()")
        put(owner, "ana", "viewer", "of the second home")  # taken over: she is good for nothing else
        with pytest.raises(psycopg.OperationalError, match="password authentication"):
            as_login(home, "ana", "of the first home")
        with as_login(home, "ana", "of the second home") as ana:
            assert one(ana, "SELECT wf.my_role()") == ("viewer",)
            denied(ana, "INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")


def test_an_operator_of_another_home_on_the_server_does_not_get_into_this_one(
    home: Database, neighbour: Database
) -> None:
    for role in ROLES:
        put(neighbour.owner, f"next_{role}", role, "secret enough")
        kept_out(home, f"next_{role}", "secret enough")
    with psycopg.connect(home.owner, autocommit=True) as owner:
        owner.execute(f"GRANT CONNECT ON DATABASE {home.name} TO PUBLIC")
        for role in ROLES:
            with as_login(home, f"next_{role}", "secret enough") as stranger:
                denied(
                    stranger, IN, "TABLE wf.audit", "SELECT * FROM wf_data.authenticate('x')",
                    "SELECT wf.chain_audit()", "SELECT wf.put_operator('mine', 'admin', NULL)",
                    "SELECT wf_data.version()",
                )  # fmt: skip
                denied(stranger, "CREATE FUNCTION pg_temp.look() RETURNS bigint LANGUAGE sql AS 'SELECT 1'")
                stranger.execute(f"SET ROLE wf_{role}")
                denied(stranger, IN, "SELECT * FROM wf_data.authenticate('x')")


def test_a_copy_of_a_home_knows_its_operators_and_lets_in_no_others(
    postgres_server: Server, home: Database, neighbour: Database
) -> None:
    put(home.owner, "ana", "viewer", "secret enough")
    put(neighbour.owner, "bob", "operator", "secret enough")
    copy = postgres_server.create(template=home.name)
    try:
        with as_login(copy, "ana", "secret enough") as ana:
            assert one(ana, IN) == (1,)
        with as_login(copy, "bob", "secret enough") as bob:  # a database is open to the server when it is made
            denied(bob, IN)
    finally:
        postgres_server.drop(copy)


def test_a_login_has_one_role_on_a_server(home: Database, neighbour: Database) -> None:
    put(home.owner, "ana", "viewer", "secret enough")
    with psycopg.connect(neighbour.owner, autocommit=True) as next_door:
        refused(next_door, "operator_other_home", "SELECT wf.put_operator('ana', 'admin', NULL)")
        with pytest.raises(errors.InsufficientPrivilege, match=f"it is of the database {home.name}"):
            put(next_door, "ana", "viewer", "known next door")  # would open the other home
        put(next_door, "ana", "viewer")
        refused(next_door, "operator_other_home", "SELECT wf.put_operator('ana', 'operator', NULL)")
        with as_login(neighbour, "ana", "secret enough") as ana, as_login(home, "ana", "secret enough") as here:
            assert one(ana, IN) == one(here, IN)
            assert one(next_door, "SELECT wf.remove_operator('ana')") == (True,)
            assert one(here, IN) == (1,), "the other home's sessions go on"
            with pytest.raises(psycopg.OperationalError):
                ana.execute(IN)
        kept_out(neighbour, "ana", "secret enough")
        refused_password = "SELECT wf.set_password('ana', 'x')"
        with pytest.raises(errors.NoDataFound):
            next_door.execute(refused_password)
    with as_login(home, "ana", "secret enough") as here:
        assert one(here, IN) == (1,)
    with psycopg.connect(home.owner, autocommit=True) as owner:
        assert one(owner, "SELECT wf.remove_operator('ana')") == (True,)
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        as_login(home, "ana", "secret enough")


def test_no_home_raises_a_role_in_another(home: Database, neighbour: Database) -> None:
    for each in (home, neighbour):
        put(each.owner, "ana", "support", "secret enough" if each is home else None)
    with as_login(home, "ana", "secret enough") as ana, ana.transaction():
        ana.execute("SELECT wf.begin_change('operators.raise', 'x', 'mine')")
        refused(ana, "raise_other_home", "SELECT wf.raise_role('admin', 30)")
    with as_login(neighbour, "ana", "secret enough") as ana:
        assert one(ana, "SELECT wf.my_role()") == ("support",)


@pytest.mark.parametrize(
    "good_for",
    [
        "CREATE TABLE kept (); ALTER TABLE kept OWNER TO ana",
        "CREATE TABLE kept (); GRANT SELECT ON kept TO ana",
        "DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO ana', current_database()); END $$",
        "CREATE ROLE billing; GRANT billing TO ana",
    ],
)
def test_a_login_that_is_good_for_something_else_is_not_taken_over(
    postgres_server: Server, home: Database, good_for: str
) -> None:
    put(home.owner, "ana", "operator", "of the first home")
    made_anew(postgres_server, home)
    migrate(home.owner)
    other = postgres_server.create()
    try:
        with psycopg.connect(other.owner) as elsewhere:
            elsewhere.execute(good_for.encode())
        with pytest.raises(errors.InsufficientPrivilege) as found:
            put(home.owner, "ana", "operator", "known to the admin")
        assert found.value.diag.constraint_name == "operator_login_foreign"
        put(home.owner, "ana", "operator")  # a role, by the login that she has
        with as_login(home, "ana", "of the first home") as ana:
            assert one(ana, IN) == (1,)
        with pytest.raises(errors.InsufficientPrivilege), psycopg.connect(home.owner) as owner:
            owner.execute("SELECT wf.set_password('ana', %s)", [verifier("ana", "known to the admin")])
    finally:
        postgres_server.drop(other)


def test_a_group_that_somebody_else_granted_is_left_as_well(home: Database) -> None:
    with psycopg.connect(home.owner, autocommit=True) as owner:
        owner.execute("CREATE ROLE dba CREATEROLE")
        owner.execute("GRANT wf_admin TO dba WITH ADMIN OPTION")
        put(owner, "ana", "viewer", "secret enough")
        owner.execute("SET ROLE dba")
        owner.execute("GRANT wf_admin TO ana")
        owner.execute("RESET ROLE")
        put(owner, "ana", "viewer")
        with as_login(home, "ana", "secret enough") as ana:
            assert one(ana, "SELECT wf.my_role()") == ("viewer",)
        owner.execute("REVOKE wf_admin FROM dba CASCADE")


@pytest.mark.parametrize("power", ["SUPERUSER", "CREATEROLE", "BYPASSRLS", "REPLICATION"])
def test_a_login_with_powers_of_its_own_is_no_operator(home: Database, power: str) -> None:
    with psycopg.connect(home.owner, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE mighty LOGIN {power}")
        with pytest.raises(errors.InsufficientPrivilege) as found:
            put(owner, "mighty", "viewer")
        assert found.value.diag.constraint_name == "operator_is_superuser"


def test_the_functions_that_let_in_are_the_owners_alone(psql: Psql) -> None:
    for role in ROLES:
        denied(
            psql(role), f"SELECT wf.let_in('t_{role}')", "SELECT wf.keep_out('t_admin')",
            f"SELECT wf.leave_groups('t_{role}', NULL)", "SELECT wf.write_verifier('t_admin', 'x')",
            "SELECT wf.limit_login('t_viewer', 'worker')",
            f"UPDATE wf.operators SET role = 'admin' WHERE name = 't_{role}'",
        )  # fmt: skip
        psql(role).execute(f"GRANT USAGE ON SCHEMA wf, wf_data TO wf_{role}")  # a warning
        assert one(psql(role), "SELECT has_schema_privilege(%s, 'wf', 'USAGE')", f"wf_{role}") == (False,)


def test_who_was_removed_acts_for_nobody_though_another_home_keeps_the_login(
    home: Database, neighbour: Database
) -> None:
    for each in (home, neighbour):
        put(each.owner, "ana", "support", "secret enough" if each is home else None)
    with psycopg.connect(home.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        with as_login(home, "ana", "secret enough") as ana:
            number = one(
                ana,
                "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)"
                " VALUES ('acme', 'cannot log in', 'T-1', now() + interval '1 hour') RETURNING id",
            )
        owner.execute("SELECT wf.remove_operator('ana')")
        assert one(owner, "SELECT refusal FROM wf_data.impersonation(%s)", *number) == ("impersonation_actor_gone",)


def test_the_preview_of_a_removal_ends_nobodys_session(home: Database) -> None:
    put(home.owner, "ana", "viewer", "secret enough")
    with psycopg.connect(home.owner, autocommit=True) as owner, as_login(home, "ana", "secret enough") as ana:
        with owner.transaction(force_rollback=True):
            assert one(owner, "SELECT wf.remove_operator('ana')") == (True,)
        assert one(ana, IN) == (1,)
        owner.execute("SELECT wf.remove_operator('ana')")
        with pytest.raises(psycopg.OperationalError):
            ana.execute(IN)


# How much one login can take


def held(database: Database, name: str, connections: list[psycopg.Connection], most: int) -> str:
    """Open up to `most` connections; what the server said to the one that it refused."""
    for _ in range(most):
        try:
            connections.append(as_login(database, name, "secret enough"))
        except psycopg.OperationalError as refused_:
            return str(refused_)
    return ""


def test_no_login_and_not_all_of_them_together_lock_the_others_out(home: Database) -> None:
    with psycopg.connect(home.owner, autocommit=True) as owner:
        for n in range(9):
            put(owner, f"ana{n}", "viewer", "secret enough")
        put(owner, "chief", "admin", "secret enough")
    taken: list[psycopg.Connection] = []
    try:
        assert "too many connections for role" in held(home, "ana0", taken, 13) and len(taken) == 12
        said = [held(home, f"ana{n}", taken, 12) for n in range(1, 9)]
        assert any("connection slots are reserved" in words for words in said), "they hold all that there are for them"
        with as_login(home, "chief", "secret enough") as chief:
            assert one(chief, "SELECT wf.remove_operator('ana0')") == (True,)
    finally:
        for connection in taken:
            connection.close()


def test_a_logins_sessions_have_limits_of_which_some_it_cannot_lift(home: Database) -> None:
    put(home.owner, "ana", "viewer", "secret enough")
    put(home.owner, "bot", "worker", "secret enough")
    limits = (
        "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'),"
        " current_setting('temp_file_limit')"
    )
    with as_login(home, "bot", "secret enough") as bot:
        assert one(bot, limits) == ("1h", "1min", "2GB")
    with as_login(home, "ana", "secret enough") as ana:
        assert one(ana, limits) == ("5min", "1min", "2GB")
        denied(
            ana,
            "SET temp_file_limit = -1",
            f"ALTER ROLE ana IN DATABASE {home.name} SET temp_file_limit = -1",
            "ALTER ROLE ana CONNECTION LIMIT -1",
            "CREATE TEMP TABLE big AS SELECT 1",
        )
        with pytest.raises(psycopg.Error):
            ana.execute(f"ALTER ROLE ana IN DATABASE {home.name} RESET temp_file_limit")
        ana.execute(f"ALTER ROLE ana IN DATABASE {home.name} RESET ALL")  # what it may, and that is not among it
    with as_login(home, "ana", "secret enough") as ana:
        assert one(ana, "SELECT current_setting('temp_file_limit')") == ("2GB",)


def test_the_home_says_when_no_connection_is_kept_for_admins(home: Database) -> None:
    with psycopg.connect(home.owner, autocommit=True) as owner:
        put(owner, "ana", "viewer")
        assert openings(owner) == []
        owner.execute("REVOKE pg_use_reserved_connections FROM wf_admin")
        try:
            assert openings(owner) == [], "12 of 97"
            owner.execute("ALTER ROLE ana CONNECTION LIMIT -1")
            [said] = openings(owner)
            assert said.startswith("1 logins may hold all of 97 connections, and none is kept for admins")
        finally:
            owner.execute("GRANT pg_use_reserved_connections TO wf_admin")


# Passwords


def test_anothers_password_is_set_by_itself_and_the_trail_says_whose_by_whom(psql: Psql, database: Database) -> None:
    admin = psql("admin")
    put(admin, "ana", "support", "her first one")
    with pytest.raises(errors.CheckViolation) as found:
        put(admin, "ana", "support", "known to the admin")
    assert found.value.diag.constraint_name == "operator_password_kept"
    with as_login(database, "ana", "her first one"):
        pass
    with admin.transaction():
        admin.execute("SELECT wf.begin_change('operators.password', 'she forgot it', 'p-1')")
        admin.execute("SELECT wf.set_password('ana', %s)", [verifier("ana", "her second one")])
    with as_login(database, "ana", "her second one"):
        pass
    rows = psql("viewer").execute(
        "SELECT actor, operation, reason, before ->> 'password_at' < after ->> 'password_at', after ->> 'password_by'"
        " FROM wf.audit WHERE noun = 'operators' AND thing = 'ana' AND operation = 'operators.password'"
    )
    assert rows.fetchall() == [("t_admin", "operators.password", "she forgot it", True, "t_admin")]
    for role in ("viewer", "support", "operator", "worker", "service"):
        denied(psql(role), "SELECT wf.set_password('ana', 'x')")
    for bad in (
        "in clear",
        "SCRAM-SHA-256$",
        "md5" + "0" * 32,
        "SCRAM-SHA-256$1:x$y:z",
        "x'; ALTER ROLE ana SUPERUSER",
    ):
        with pytest.raises(psycopg.Error, match="SCRAM"):
            admin.execute("SELECT wf.set_password('ana', %s)", [bad])
