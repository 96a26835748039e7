"""The home and the domain name the same causes, whatever the error is."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings

from controlplane.queues.causes import cause_of, fingerprint
from controlplane.queues.source import without_mail
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


ADDRESSES = (
    "ada@acme.example", "müü@acme.example", "ü@b", "o'brien@acme.example", "ada#@acme.example", "日本@例え.jp",
    '"ada lovelace"@acme.example', "ada@[192.0.2.7]", "ada+x=y@acme.example", "{ada}@acme.example",
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("text", ["{}", "no <{}>, twice", "to:{};", "user={} 'gone'", "{} or {}"])
def test_no_address_is_left_in_an_error_or_its_cause(owner: psycopg.Connection, text: str, address: str) -> None:
    error = text.replace("{}", address)
    masked, cause = one(owner, "SELECT wf.without_mail(%s), wf.dead_cause(%s)", error, error)
    assert (masked, cause) == (without_mail(error), cause_of(error))
    local = address.rpartition("@")[0]
    assert "•••@" in masked and f"{local}@" not in masked
    assert "@" not in cause


@settings(max_examples=200)
@given(error=ERRORS)
def test_both_mask_the_same(owner: psycopg.Connection, error: str) -> None:
    assert one(owner, "SELECT wf.without_mail(%s)", error) == (without_mail(error),)
