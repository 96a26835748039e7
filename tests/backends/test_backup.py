"""A home moved to another server as one file: every row, the trail with its chain, and nothing counted twice."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from backends.embedded.server import EmbeddedHome
from backends.postgres import backup
from backends.postgres.backup import back_up, restore
from controlplane.errors import Conflict, Refusal
from tests.backends.catalogue import catalogue
from tests.postgres import Database, scratch_folder

FILLED = """
    INSERT INTO wf.tenants (id, name, owner_email, plan)
      VALUES ('acme', 'Acme', 'ada@lovelace.example', 'growth'), ('zed', 'Zed', NULL, 'pro');
    SELECT wf.ensure_request_days(current_date, current_date);
    INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, at)
      SELECT 'acme', '/a', 'GET', 200, n, now() - interval '10 minutes' FROM generate_series(1, 50) n;
    INSERT INTO wf.usage (tenant_id, metric, amount, at)
      SELECT 'acme', 'api_calls', 1, now() - interval '2 hours' FROM generate_series(1, 10);
    SELECT wf.roll_up_requests();
    SELECT wf.roll_up_usage();
    SELECT wf.chain_audit();
"""
AFTER_THE_LAST_ROLL_UP = """
    INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, at)
      SELECT 'acme', '/late', 'GET', 500, n, now() - interval '10 minutes' FROM generate_series(1, 7) n;
    INSERT INTO wf.usage (tenant_id, metric, amount, at) VALUES ('acme', 'api_calls', 5, now() - interval '2 hours');
    UPDATE wf.tenants SET name = 'Acme again' WHERE id = 'acme';
"""  # fmt: skip
# Transactions have other numbers there; what is settled for this server; what is made anew.
OTHER_THERE = {"wf.triggers_seen", "wf.sql_applied", "wf.migrations", "wf.usage_rolled_up", "wf.request_marks"}


@pytest.fixture
def filled(database: Database) -> Database:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        for statement in (FILLED + AFTER_THE_LAST_ROLL_UP).split(";\n"):
            owner.execute(statement)
    return database


@pytest.fixture(scope="module")
def another_server() -> Iterator[EmbeddedHome]:
    folder = scratch_folder()
    home = EmbeddedHome(folder / "home")
    home.ensure()
    yield home
    home.destroy()
    folder.rmdir()


def rows(conninfo: str) -> dict[str, list[str]]:
    with psycopg.connect(conninfo) as connection:
        tables = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'wf'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition"
        ).fetchall()
        return {
            name: sorted(
                str(row) for (row,) in connection.execute(f"SELECT to_jsonb(t) - ARRAY['xid', 'seen'] FROM {name} t")
            )
            for (name,) in tables
            if name not in OTHER_THERE
        }


def objects(conninfo: str) -> dict[str, str]:
    """Without parentheses: a condition that was read from a dump has as many as PostgreSQL wrote into it."""
    with psycopg.connect(conninfo) as connection:
        return {name: re.sub(r"[()]", "", text) for name, text in catalogue(connection).items()}


def value(conninfo: str, statement: str) -> object:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def test_a_home_comes_whole_to_another_server(filled: Database, another_server: EmbeddedHome, tmp_path: Path) -> None:
    tables: list[str] = []
    size = back_up(filled.owner, tmp_path / "home.backup", on_table=tables.append)
    file = tmp_path / "home.backup"
    assert file.stat().st_size == size > 10_000 and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {"wf.tenants", "wf.audit"} <= set(tables)
    there = another_server.ensure().owner_conninfo()
    assert restore(there, file) == []
    assert rows(there) == rows(filled.owner)
    assert objects(there) == objects(filled.owner)
    assert value(there, "SELECT d.seen = m.before FROM wf.detectors d, wf.request_marks m WHERE d.seen IS NOT NULL")

    assert value(there, "SELECT count(*) FROM wf.audit_chain") == value(
        filled.owner, "SELECT count(*) FROM wf.audit_chain"
    )
    assert value(there, "SELECT wf.chain_audit()") == value(filled.owner, "SELECT wf.chain_audit()"), (
        "it goes on from there"
    )
    assert value(there, "SELECT head FROM wf.audit_chain ORDER BY seq DESC LIMIT 1") == value(
        filled.owner, "SELECT head FROM wf.audit_chain ORDER BY seq DESC LIMIT 1"
    )
    for home in (there, filled.owner):
        value(home, "SELECT minutes FROM wf.roll_up_requests()")
        assert value(home, "SELECT wf.roll_up_usage()") == 1, "what was rolled up is not counted again"
        assert value(home, "SELECT sum(amount)::int FROM wf.usage_hours") == 15
        of_acme = "FROM wf.minute_cells('-infinity', 'infinity') WHERE dim = 'tenant' AND tenant_id = 'acme'"
        assert value(home, f"SELECT sum(n)::int {of_acme}") == 57
    value(there, "INSERT INTO wf.tenants (id, name) VALUES ('new', 'New') RETURNING id")
    assert value(there, "SELECT max(seq) - (SELECT max(seq) FROM wf.audit_chain) FROM wf.audit") == 1, "numbers go on"

    with pytest.raises(Conflict) as found:
        restore(there, file)
    assert found.value.code == "home_not_empty"


def test_who_has_no_login_there_is_named(filled: Database, empty_database: Database, tmp_path: Path) -> None:
    value(filled.owner, "INSERT INTO wf.operators (name, role) VALUES ('gone', 'viewer') RETURNING name")
    back_up(filled.owner, tmp_path / "file")
    assert restore(empty_database.owner, tmp_path / "file") == ["gone"]


def test_a_backup_replaces_no_file(filled: Database, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Conflict) as found:
        back_up(filled.owner, tmp_path / "mine")
    assert found.value.code == "backup_exists" and (tmp_path / "mine").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_login_that_may_not_read_all_leaves_no_file(filled: Database, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as found:
        back_up(filled.login("viewer"), tmp_path / "file")
    assert found.value.code == "backup_failed" and "permission denied" in found.value.message
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_home_is_neither_backed_up_nor_restored(empty_database: Database, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as found:
        back_up(empty_database.owner, tmp_path / "file")
    assert found.value.code == "home_not_ours"
    (tmp_path / "noise").write_bytes(b"\0" * 1000)
    with pytest.raises(Refusal) as found:
        restore(empty_database.owner, tmp_path / "noise")
    assert found.value.code == "backup_failed"
    assert value(empty_database.owner, "SELECT to_regnamespace('wf') IS NULL") is True


def test_a_restore_that_fails_at_its_end_leaves_nothing(
    filled: Database, empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(filled.owner, tmp_path / "file")
    monkeypatch.setattr(backup, "_SETTLE", ("SELECT 1 / 0",))
    with pytest.raises(psycopg.errors.DivisionByZero):
        restore(empty_database.owner, tmp_path / "file")
    assert value(empty_database.owner, "SELECT to_regnamespace('wf') IS NULL") is True
    monkeypatch.undo()
    restore(empty_database.owner, tmp_path / "file")


def test_no_password_is_among_a_programs_arguments(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    popen = backup.subprocess.Popen
    monkeypatch.setattr(
        backup.subprocess, "Popen", lambda command, **more: (seen.append(command), popen(command, **more))[1]
    )
    back_up(filled.owner, tmp_path / "file")
    password = str(conninfo_to_dict(filled.owner)["password"])
    assert seen and not [argument for command in seen for argument in command if password in argument]
