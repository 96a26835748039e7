"""Bringing a home to the program's schema: two at once, killed half-way, changed, foreign, old, new, read-only."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from backends.postgres import migrate as module
from backends.postgres.migrate import known_migrations, migrate, schema_state
from controlplane.errors import Conflict, NotPermitted, Refusal
from tests.postgres import Database, Server

NAMES = [f"{migration.number:04}_{migration.name}" for migration in known_migrations()]


def problem(conninfo: str) -> Refusal | None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return schema_state(connection).problem


def as_owner(database: Database, *statements: str) -> None:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def refused(call: object, *arguments: str) -> Refusal:
    with pytest.raises(Refusal) as found:
        call(*arguments)  # type: ignore[operator]
    return found.value


def test_an_empty_database_becomes_a_home_once(empty_database: Database) -> None:
    found = problem(empty_database.owner)
    assert found is not None and found.code == "home_not_ours" and empty_database.name in found.message
    assert migrate(empty_database.owner) == NAMES
    assert migrate(empty_database.owner) == []
    assert problem(empty_database.owner) is None


def test_two_programs_at_once_make_it_once(empty_database: Database) -> None:
    done: list[list[str]] = []
    starters = [threading.Thread(target=lambda: done.append(migrate(empty_database.owner))) for _ in range(3)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert sorted(done, key=len) == [[], [], NAMES]


DIE = """
import os, signal, sys, psycopg
from backends.postgres.migrate import migrate
from backends.postgres.sql_files import checksum
execute = psycopg.Connection.execute
def watched(self, query, params=None, **more):
    if str(query).startswith(sys.argv[2]) and params == eval(sys.argv[3], {"checksum": checksum()}):
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, query, params, **more)
psycopg.Connection.execute = watched
migrate(sys.argv[1])
"""


@pytest.mark.parametrize("place", ["first table", "last table", "functions"])
def test_a_program_killed_while_it_makes_a_home_leaves_nothing(empty_database: Database, place: str) -> None:
    one = known_migrations()[{"first table": 0, "last table": -1}.get(place, 0)]
    statement, parameters = {
        "functions": ("INSERT INTO wf.sql_applied", "[checksum]"),
    }.get(place, ("INSERT INTO wf.migrations", repr([one.number, one.name, one.checksum])))
    killed = subprocess.run([sys.executable, "-c", DIE, empty_database.owner, statement, parameters])
    assert killed.returncode == -signal.SIGKILL
    found = problem(empty_database.owner)
    assert found is not None and found.code == "home_not_ours"
    assert migrate(empty_database.owner) == NAMES


ROUTED = """
INSERT INTO wf.routes (name, channel, target) VALUES ('a', 'slack', 'x'), ('b', 'webhook', 'y');
INSERT INTO wf.route_health (route_id, failures, disabled, disabled_at) VALUES (1, 0, NULL, NULL), (2, 50, 'x', now());
INSERT INTO wf.route_secrets (id, route_id, kind, key_id, data)
  SELECT gen_random_uuid(), n, 'target', repeat('a', 16), decode(repeat('00', 40), 'hex') FROM generate_series(1, 2) n;
INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary, notice)
  SELECT 'msg_' || repeat('a', 40), n, repeat('a', 64), n, 'trigger', 'x', 'error', 'x', 'y', '{}'
  FROM generate_series(1, 2) n;
"""


def test_what_routes_told_stays_theirs_when_webhooks_come(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home from before webhooks, without the functions of its time."""
    before = [each for each in known_migrations() if each.number < 22]
    stub = "CREATE FUNCTION wf.make_request_partitions() RETURNS void LANGUAGE sql AS ''"
    with monkeypatch.context() as older:
        older.setattr(module, "known_migrations", lambda: before)
        older.setattr(module.sql_files, "apply", lambda connection, **more: connection.execute(stub))
        older.setattr(module.sql_files, "checksum", lambda: "older")
        migrate(empty_database.owner)
    as_owner(empty_database, ROUTED)
    assert "0022_webhooks" in migrate(empty_database.owner)
    with psycopg.connect(empty_database.owner) as owner:
        told = "SELECT d.endpoint_id, d.route_id, e.failures, s.endpoint_id FROM wf.deliveries d JOIN wf.endpoints e"
        told += " ON e.id = d.endpoint_id JOIN wf.endpoint_secrets s ON s.endpoint_id = e.id ORDER BY 1"
        assert owner.execute(told.encode()).fetchall() == [(1, 1, 0, 1), (2, 2, 50, 2)]
        owner.execute("INSERT INTO wf.webhooks (tenant_id, target) VALUES ('default', 'https://x')")
        assert owner.execute("SELECT id FROM wf.endpoints ORDER BY 1").fetchall() == [(1,), (2,), (3,)]
        assert owner.execute("SELECT name, failures FROM wf.route_list ORDER BY id").fetchall() == [("a", 0), ("b", 50)]


def test_a_failing_file_leaves_nothing_and_the_next_try_finds_it(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = module.Migration(len(NAMES) + 1, "broken", "CREATE TABLE wf.half (); SELECT 1 / 0;")
    files = known_migrations()
    monkeypatch.setattr(module, "known_migrations", lambda: [*files, broken])
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_database.owner)
    with psycopg.connect(empty_database.owner) as connection:
        assert connection.execute("SELECT to_regclass('wf.half')").fetchone() == (None,)
    monkeypatch.undo()
    assert migrate(empty_database.owner) == NAMES


def test_a_changed_file_is_named(database: Database) -> None:
    as_owner(database, "UPDATE wf.migrations SET checksum = 'other' WHERE number = 2")
    for found in (problem(database.owner), refused(migrate, database.owner)):
        assert isinstance(found, Conflict) and found.code == "migration_changed"
        assert "0002_audit" in found.message and found.hint


def test_a_migration_that_homes_have_is_never_edited() -> None:
    """An edited one shuts every home that has it: write another. Once a line is in the list, it stays as it is."""
    listed = Path(__file__).with_name("migrations.txt").read_text("utf-8").splitlines()
    assert listed == [f"{each.number:04}_{each.name} {each.checksum}" for each in known_migrations()]


def test_homes_with_the_edited_presences_are_brought_together(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0036 had been edited when some homes were made: both kinds go on, and keep the same form of views after it."""
    edited = Path(__file__).with_name("0036_edited.sql").read_text("utf-8")
    then = [each._replace(text=edited) if each.number == 36 else each for each in known_migrations()[:39]]
    monkeypatch.setattr(module, "known_migrations", lambda: then)
    assert migrate(empty_database.owner) == NAMES[:39]
    monkeypatch.undo()
    assert migrate(empty_database.owner) == NAMES[39:]
    assert problem(empty_database.owner) is None
    with psycopg.connect(empty_database.owner) as connection:
        forms = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE conname LIKE '%view%' AND contype = 'c'"
            " AND conrelid IN ('wf.presences'::regclass, 'wf.incident_views'::regclass) ORDER BY 1"
        ).fetchall()
    assert forms == [("wf.incident_views", "view_form"), ("wf.presences", "view_form")]


def test_a_missing_number_is_named(database: Database) -> None:
    as_owner(database, "DELETE FROM wf.migrations WHERE number = 2")
    for found in (problem(database.owner), refused(migrate, database.owner)):
        assert isinstance(found, Conflict) and found.code == "migration_missing" and "0002_audit" in found.message


def test_a_newer_home_is_left_alone(database: Database) -> None:
    newer = len(NAMES) + 1
    as_owner(database, f"INSERT INTO wf.migrations (number, name, checksum) VALUES ({newer}, 'from_later', 'x')")
    for found in (problem(database.owner), refused(migrate, database.owner)):
        assert isinstance(found, Conflict) and found.code == "home_newer" and "Update watchfloor" in found.hint
        assert f"migration {newer}" in found.message


def test_an_older_home_waits_for_an_admin(database: Database) -> None:
    as_owner(database, f"DELETE FROM wf.migrations WHERE number = {len(NAMES)}")
    found = problem(database.owner)
    assert found is not None and found.code == "home_older" and "home migrate" in found.hint


class Older:
    """A connection whose server says that it is PostgreSQL 13."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.execute = connection.execute
        self.info = SimpleNamespace(server_version=130_014, dbname="old", user="ana")


def test_a_server_that_is_too_old_is_refused_first(database: Database, empty_database: Database) -> None:
    for each in (database, empty_database):
        with psycopg.connect(each.owner) as connection:
            found = schema_state(Older(connection)).problem  # type: ignore[arg-type]
        assert found is not None and found.code == "home_server_too_old"
        assert "PostgreSQL 13" in found.message and "14" in found.message


def test_a_too_old_server_is_not_migrated(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST_SERVER", 99)
    assert refused(migrate, empty_database.owner).code == "home_server_too_old"
    monkeypatch.undo()
    found = problem(empty_database.owner)
    assert found is not None and found.code == "home_not_ours"


@pytest.mark.parametrize("made", [True, False], ids=["home", "empty"])
def test_a_read_only_home_says_so(database: Database, empty_database: Database, made: bool) -> None:
    one = database if made else empty_database
    as_owner(one, f"ALTER DATABASE {one.name} SET default_transaction_read_only = on")
    if made:
        found = problem(one.owner)
        assert found is not None and found.code == "home_read_only"
    assert refused(migrate, one.owner).code == "home_read_only"


def test_a_login_that_may_not_make_roles_is_told(postgres_server: Server, empty_database: Database) -> None:
    as_owner(
        empty_database, "CREATE ROLE plain LOGIN PASSWORD 'x'", f"GRANT ALL ON DATABASE {empty_database.name} TO plain"
    )
    plain = make_conninfo(empty_database.owner, user="plain", password="x")
    found = refused(migrate, plain)
    assert isinstance(found, NotPermitted) and found.code == "home_migrate_privileges"
    assert "plain" in found.message and "CREATEROLE" in found.hint
    with psycopg.connect(empty_database.owner) as connection:
        assert connection.execute("SELECT to_regnamespace('wf')").fetchone() == (None,)
    as_owner(empty_database, f"REVOKE ALL ON DATABASE {empty_database.name} FROM plain")


def test_a_stranger_is_told_who_could_let_them_in(database: Database) -> None:
    as_owner(database, "CREATE ROLE stranger LOGIN PASSWORD 'x'")
    found = refused(problem, make_conninfo(database.owner, user="stranger", password="x"))
    assert isinstance(found, NotPermitted) and found.code == "not_an_operator" and "stranger" in found.message


@pytest.mark.usefixtures("database")  # whose home has made the groups
def test_an_owner_without_all_powers_makes_a_home_and_its_people(empty_database: Database) -> None:
    """As on a server that somebody else runs: CREATEROLE, and the database is theirs."""
    groups = "wf_viewer, wf_support, wf_operator, wf_admin, wf_worker, wf_service, wf_detector"
    as_owner(
        empty_database,
        "CREATE ROLE landlord LOGIN CREATEROLE PASSWORD 'x'",
        f"ALTER DATABASE {empty_database.name} OWNER TO landlord",
        f"GRANT {groups} TO landlord WITH ADMIN OPTION",
    )
    landlord = make_conninfo(empty_database.owner, user="landlord", password="x")
    try:
        assert migrate(landlord) == NAMES
        with psycopg.connect(landlord, autocommit=True) as connection:
            verifier = connection.pgconn.encrypt_password(b"secret enough", b"ana", b"scram-sha-256").decode()
            connection.execute("SELECT wf.put_operator('ana', 'operator', %s)", [verifier])
            connection.execute("SELECT wf.put_operator('ana', 'support', NULL)")
            ana = psycopg.connect(make_conninfo(landlord, user="ana", password="secret enough"), autocommit=True)
            assert ana.execute("SELECT wf.my_role()").fetchone() == ("support",)
            assert connection.execute("SELECT wf.remove_operator('ana')").fetchone() == (True,)
            with pytest.raises(psycopg.OperationalError):
                ana.execute("SELECT 1")
    finally:
        as_owner(
            empty_database,
            "DROP SCHEMA IF EXISTS wf CASCADE",
            f"ALTER DATABASE {empty_database.name} OWNER TO CURRENT_USER",
            "DROP ROLE IF EXISTS ana",
            "DROP OWNED BY landlord CASCADE",
        )


def test_the_first_admin_is_made_with_the_home(empty_database: Database) -> None:
    as_owner(empty_database, "CREATE ROLE ana LOGIN PASSWORD 'x'")
    migrate(empty_database.owner, admin="ana")
    migrate(empty_database.owner, admin="ana")
    with psycopg.connect(make_conninfo(empty_database.owner, user="ana", password="x")) as connection:
        assert connection.execute("SELECT wf.my_role()").fetchone() == ("admin",)
        rows = connection.execute(
            "SELECT operation, thing, out_of_band FROM wf.audit WHERE noun = 'operators'"
        ).fetchall()
    assert rows == [("operators.add", "ana", False)]
