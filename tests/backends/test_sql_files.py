"""The nouns' SQL files: whatever a home had before, it has the files' functions, views, triggers and rights after."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from backends.postgres import migrate as module
from backends.postgres import sql_files
from backends.postgres.migrate import migrate, schema_state
from controlplane.errors import Conflict
from tests.backends.catalogue import catalogue
from tests.postgres import Database, Server

# A home as another form of the files left it: one kind of difference each.
ANOTHER_FORM = """
    CREATE OR REPLACE FUNCTION wf.masked(value text) RETURNS text LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION wf.masked(value text, twice boolean) RETURNS text LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION wf.forgotten() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER forgotten AFTER INSERT ON wf.tenants FOR EACH ROW EXECUTE FUNCTION wf.forgotten();
    DROP TRIGGER guard ON wf.projects;
    ALTER TABLE wf.tenants DISABLE TRIGGER guard;
    CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE ON wf.audit FOR EACH ROW EXECUTE FUNCTION wf.forgotten();
    DROP VIEW wf.run_list;
    CREATE VIEW wf.run_list AS SELECT 'other columns' AS words, r.id FROM wf.runs r;
    CREATE VIEW wf.forgotten_list AS SELECT * FROM wf.run_list;
    DROP VIEW wf.worker_list;
    DROP POLICY operators_read ON wf.tenants;
    CREATE POLICY everybody ON wf.tenants USING (true);
    GRANT ALL ON wf.audit, wf.forgotten_list TO wf_viewer;
    GRANT UPDATE (name) ON wf.tenants TO wf_support;
    GRANT EXECUTE ON FUNCTION wf.purge_tenant TO PUBLIC;
    REVOKE SELECT ON wf.audit FROM wf_viewer;
    REVOKE USAGE ON SCHEMA wf_data FROM wf_service;
    GRANT CREATE ON SCHEMA wf TO PUBLIC;
    INSERT INTO wf.operations VALUES ('tenants.forgotten', 'support');
    UPDATE wf.operations SET role = 'support' WHERE name = 'tenants.purge';
    UPDATE wf.operation_writes SET columns = '{protected}' WHERE operation = 'tenants.rename';
    DELETE FROM wf.operation_writes WHERE operation = 'tenants.suspend';
"""
OTHER_SIGNATURES = """
    DROP FUNCTION wf.may(text) CASCADE;
    CREATE FUNCTION wf.may(another text) RETURNS text LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION wf.my_role() RETURNS integer LANGUAGE sql AS 'SELECT 1';
"""


def as_owner(database: Database, *statements: str) -> None:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def left_by_another_program(database: Database, *statements: str) -> None:
    as_owner(database, *statements, "UPDATE wf.sql_applied SET checksum = 'another form'")


def objects(database: Database) -> dict[str, str]:
    with psycopg.connect(database.owner) as connection:
        return catalogue(connection)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program's files in a folder where a test may add to them."""
    for name, text in sql_files.contents().items():
        (tmp_path / f"{name}.sql").write_bytes(text)
    monkeypatch.setattr(sql_files, "FOLDER", tmp_path)
    return tmp_path


TOYS = """
    INSERT INTO wf.operations (name, role) VALUES ('toys.play', 'operator');
    INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
      ('toys.play', 'toys', 'note', '{game}', NULL, NULL, false);
    CREATE VIEW wf.toy_list AS SELECT id AS toy FROM wf.tenant_list;
    GRANT SELECT ON wf.toy_list TO wf_viewer;
"""


def test_a_noun_is_its_file_and_leaves_nothing_when_that_is_gone(database: Database, folder: Path) -> None:
    with psycopg.connect(database.login("operator"), autocommit=True) as operator:
        new = objects(database)
        (folder / "toys.sql").write_text(TOYS, encoding="utf-8")
        assert migrate(database.owner) == ["functions"]
        with operator.transaction():
            operator.execute("SELECT * FROM wf.toy_list")
            operator.execute("SELECT wf.begin_change('toys.play', 'x', 'one')")
            operator.execute("""SELECT wf.note('toys', 'bear', NULL, '{"game": "tag"}')""")
        newest = operator.execute("SELECT operation, noun, out_of_band FROM wf.audit ORDER BY seq DESC LIMIT 1")
        assert newest.fetchone() == ("toys.play", "toys", False)
        (folder / "toys.sql").unlink()
        as_owner(database, "DELETE FROM wf.sql_applied")
        assert migrate(database.owner) == ["functions"]
        assert objects(database) == new
        with pytest.raises(psycopg.errors.CheckViolation, match=r"there is no operation toys\.play"):
            operator.execute("SELECT wf.begin_change('toys.play', 'x', 'two')")


@pytest.mark.parametrize(
    ("faulty", "error"),
    [
        (TOYS.replace("toys.play", "tenants.rename"), psycopg.errors.UniqueViolation),
        (TOYS.replace("'toys.play', 'toys'", "'toys.plya', 'toys'"), psycopg.errors.ForeignKeyViolation),
    ],
)
def test_a_file_that_says_what_another_does_or_writes_for_no_operation_is_refused_at_once(
    database: Database, folder: Path, faulty: str, error: type[Exception]
) -> None:
    new = objects(database)
    (folder / "toys.sql").write_text(faulty, encoding="utf-8")
    with pytest.raises(error):
        migrate(database.owner)
    assert objects(database) == new


def test_files_that_are_not_named_may_come_in_any_order(
    database: Database, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the next one may have any name."""
    texts = sql_files.contents()
    between = [name for name in texts if name not in (*sql_files.FIRST, *sql_files.LAST)]
    backwards = {name: texts[name] for name in (*sql_files.FIRST, *reversed(between), *sql_files.LAST)}
    monkeypatch.setattr(sql_files, "contents", lambda: backwards)
    migrate(empty_database.owner)
    assert objects(empty_database) == objects(database)


@pytest.mark.parametrize("before", [ANOTHER_FORM, OTHER_SIGNATURES, ANOTHER_FORM + OTHER_SIGNATURES])
def test_a_home_with_another_form_of_the_files_becomes_as_a_new_one(database: Database, before: str) -> None:
    new = objects(database)
    left_by_another_program(database, before)
    assert objects(database) != new
    assert migrate(database.owner) == ["functions"]
    now = objects(database)
    assert {
        name: (now.get(name), new.get(name)) for name in now.keys() | new.keys() if now.get(name) != new.get(name)
    } == {}
    assert migrate(database.owner) == []


def test_every_function_can_be_made_with_its_body_checked(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        definitions = connection.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace::regnamespace::text IN ('wf', 'wf_data')"
        ).fetchall()
        for (definition,) in definitions:
            connection.execute(definition)
        connection.rollback()
    assert len(definitions) > 100


def state(database: Database):
    with psycopg.connect(database.owner, autocommit=True) as connection:
        return schema_state(connection)


def test_a_home_says_whether_its_functions_are_older_or_newer(database: Database) -> None:
    assert state(database).problem is None
    as_owner(database, "INSERT INTO wf.sql_applied (checksum) VALUES ('of a later program')")
    found = state(database).problem
    assert isinstance(found, Conflict) and found.code == "home_newer" and found.hint == "Update watchfloor."
    with pytest.raises(Conflict, match="newer program"):
        migrate(database.owner)
    as_owner(
        database, "DELETE FROM wf.sql_applied", "INSERT INTO wf.sql_applied (checksum) VALUES ('of an earlier one')"
    )
    found = state(database).problem
    assert isinstance(found, Conflict) and found.code == "home_older" and "home migrate" in found.hint


def test_a_home_of_before_the_baseline_is_told_what_to_do(database: Database) -> None:
    as_owner(database, "UPDATE wf.migrations SET name = 'roles_and_audit', checksum = 'x' WHERE number = 1")
    found = state(database).problem
    assert isinstance(found, Conflict) and found.code == "home_before_baseline"
    assert "the version that made it" in found.hint and "home backup" in found.hint
    with pytest.raises(Conflict, match="before the first release"):
        migrate(database.owner)


@pytest.mark.parametrize("operation", ["sql.update", "tenants.rename"])
def test_writers_and_readers_go_on_and_no_trigger_is_missing_for_a_moment(database: Database, operation: str) -> None:
    """Nor what says which operations there are, for those who write by one."""
    as_owner(database, *(f"INSERT INTO wf.tenants (id, name) VALUES ('t{n}', 'T')" for n in range(4)))
    over = threading.Event()
    faults: list[BaseException] = []
    written: list[int] = []

    def write(n: int) -> None:
        count = 0
        try:
            with psycopg.connect(database.owner, autocommit=True) as connection:
                while not over.is_set():
                    with connection.transaction():
                        if operation != "sql.update":
                            connection.execute(f"SELECT wf.begin_change('{operation}', 'x', 't{n}-{count}')")
                        connection.execute(f"UPDATE wf.tenants SET name = 'T{count}' WHERE id = 't{n}'")
                    count += 1
        except BaseException as fault:
            faults.append(fault)
        written.append(count)

    def read() -> None:
        try:
            with psycopg.connect(database.login("viewer"), autocommit=True) as connection:
                while not over.is_set():
                    rows = connection.execute("SELECT count(owner_email), count(*) FROM wf.tenant_list").fetchone()
                    assert rows == (0, 5), "masked, and every row"
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        left_by_another_program(database)
        assert migrate(database.owner) == ["functions"]
        as_owner(database, "DELETE FROM wf.sql_applied WHERE checksum = 'another form'")
    over.set()
    for thread in threads:
        thread.join()
    assert faults == []
    with psycopg.connect(database.owner) as connection:
        trail = connection.execute("SELECT count(*) FROM wf.audit WHERE operation = %s", [operation]).fetchone()
        versions = connection.execute("SELECT sum(version - 1) FROM wf.tenants").fetchone()
    assert trail == versions == (sum(written),), "each write met its guard and its audit trigger"


def test_who_stays_in_a_transaction_is_not_waited_for_at_others_cost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by_another_program(database)
    monkeypatch.setattr(module, "LOCK_SECONDS", 1.0)
    with psycopg.connect(database.owner) as holder:
        holder.execute("LOCK TABLE wf.tenants IN ROW EXCLUSIVE MODE")
        with pytest.raises(Conflict) as found:
            migrate(database.owner)
        assert found.value.code == "migration_locked" and "pg_stat_activity" in (found.value.hint or "")
        as_owner(database, "SET lock_timeout = '1ms'; INSERT INTO wf.tenants (id, name) VALUES ('free', 'Free')")
    assert migrate(database.owner) == ["functions"]


def test_all_locks_are_waited_for_no_longer_than_the_limit(postgres_server: Server, database: Database) -> None:
    """Whoever holds one of the things: the wait for it ends by the limit, and not by the holder."""
    for statement in (
        "LOCK TABLE wf.jobs IN ROW EXCLUSIVE MODE",
        "SELECT FROM wf.tenant_list",
        "LOCK TABLE wf.subscriptions IN ACCESS SHARE MODE",
    ):
        with psycopg.connect(database.owner) as holder, psycopg.connect(database.owner) as program:
            holder.execute(statement)
            with pytest.raises((psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)):
                sql_files.apply(program, anew=False)
