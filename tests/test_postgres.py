"""The fixtures that other tests stand on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres import ROLES, Database, Server


def test_a_fresh_database_is_migrated_and_cheap(
    postgres_server: Server, template_database: str, database: Database
) -> None:
    with psycopg.connect(database.owner) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM wf.migrations").fetchone() == (True,)
        made = "SELECT applied_at FROM wf.migrations ORDER BY number"
        first = connection.execute(made).fetchall()
    extra = postgres_server.create(template=template_database)
    with psycopg.connect(extra.owner) as connection:
        assert connection.execute(made).fetchall() == first, "a copy: nothing is migrated for a test"
    postgres_server.drop(extra)


@pytest.mark.parametrize("round_", [1, 2])
def test_nothing_is_left_of_the_test_before(database: Database, round_: int) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("CREATE TABLE left_over ()")
        connection.execute("CREATE ROLE left_over")


def test_an_empty_database_has_nothing_of_ours(empty_database: Database) -> None:
    with psycopg.connect(empty_database.owner) as connection:
        assert connection.execute("SELECT to_regnamespace('wf')").fetchone() == (None,)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_login(database: Database, role: str) -> None:
    with psycopg.connect(database.login(role)) as connection:
        row = connection.execute(
            "SELECT session_user, pg_has_role(%s, 'MEMBER'), rolsuper FROM pg_roles WHERE rolname = session_user",
            [f"wf_{role}"],
        ).fetchone()
    assert row == (f"t_{role}", True, False)


def test_the_person_is_made_up(frozen_environment: Path) -> None:
    assert Path.home() == frozen_environment
    assert os.environ["WATCHFLOOR_HOME"].startswith(str(frozen_environment))
    assert "NO_COLOR" not in os.environ and time.timezone == 0
