"""A login with nothing but SQL: what the home lets it do, and what it refuses, past all of the console's own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from psycopg import errors

from backends.postgres.refusals import words
from tests.postgres import Database

Psql = Callable[[str], psycopg.Connection]


@contextmanager
def logins(database: Database) -> Iterator[Psql]:
    """psql(role): a connection of that login, each statement on its own; "owner" has all rights."""
    held: dict[str, psycopg.Connection] = {}
    with ExitStack() as stack:

        def connect(role: str) -> psycopg.Connection:
            if role not in held:
                conninfo = database.owner if role == "owner" else database.login(role)
                held[role] = stack.enter_context(psycopg.connect(conninfo, autocommit=True))
            return held[role]

        yield connect


def one(connection: psycopg.Connection, statement: str, *values: object) -> tuple:
    row = connection.execute(statement, values or None).fetchone()
    assert row is not None
    return row


def denied(connection: psycopg.Connection, *statements: str) -> None:
    """The login has no right to it."""
    for statement in statements:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)
            raise AssertionError(f"let through: {statement}")


def refused(connection: psycopg.Connection, constraint: str, statement: str) -> None:
    """A constraint or a guard says no, in words that a person is told."""
    with pytest.raises(errors.IntegrityError) as found:
        connection.execute(statement)
        raise AssertionError(f"let through: {statement}")
    assert found.value.diag.constraint_name == constraint
    assert constraint in words()
