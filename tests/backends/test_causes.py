"""The home and the domain name the same causes, whatever the error is."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings

from controlplane.queues.causes import cause_of, fingerprint
from tests.backends.psql import one
from tests.controlplane.letters import ERRORS
from tests.postgres import Server


@pytest.fixture(scope="module")
def owner(postgres_server: Server, template_database: str) -> Iterator[psycopg.Connection]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection
    postgres_server.drop(database)


@settings(max_examples=400)
@given(error=ERRORS)
def test_both_say_the_same(owner: psycopg.Connection, error: str) -> None:
    assert one(owner, "SELECT wf.dead_cause(%s)", error) == (cause_of(error),)


def test_both_have_the_same_fingerprint(owner: psycopg.Connection) -> None:
    error = "no answer from 192.0.2.7 for 'é'"
    found = one(owner, "SELECT wf.dead_fingerprint('q', 'h', 'c', wf.dead_cause(%s))", error)
    assert found == (fingerprint("q", "h", "c", error),)
