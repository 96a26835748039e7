"""Presence: what each console says of itself, and what others make of it."""

from __future__ import annotations

import json
import uuid

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.listing import View
from controlplane.presence.model import PresenceDirectory
from tests.postgres import Database

SAY = "SELECT wf.be_present(%s, %s, %s)"
LIST = "SELECT person, view, moved_at < now() - interval '50 seconds' FROM wf.presence_list"


def test_a_console_speaks_for_its_own_login_only(database: Database) -> None:
    mine = uuid.uuid4()
    with psycopg.connect(database.login("viewer"), autocommit=True) as viewer:
        viewer.execute(SAY, [mine, json.dumps({"noun": "tenants", "filter": "owner:ana@acme.com"}), 60.0])
        assert viewer.execute(LIST).fetchall() == [("t_viewer", {"noun": "tenants", "filter": "o•••@acme.com"}, True)]
        for statement in (
            "INSERT INTO wf.presences (console, person, view, view_at, moved_at, seen_at)"
            " VALUES (gen_random_uuid(), 'ana', '{\"noun\": \"x\"}', now(), now(), now())",
            "UPDATE wf.presences SET person = 'ana'",
            "DELETE FROM wf.presences",
            "SELECT FROM wf.presences",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                viewer.execute(statement.encode())
    with psycopg.connect(database.login("operator"), autocommit=True) as operator:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as found:
            operator.execute(SAY, [mine, json.dumps({"noun": "keys"}), 0])
        assert found.value.diag.constraint_name == "presence_taken"
        assert operator.execute(LIST).fetchall()[0][1]["filter"] == "owner:ana@acme.com", "an operator may read it"
        deep = json.dumps({"noun": "x"})[:-1] + ', "row": ' + "[" * 1500 + "]" * 1500 + "}"
        other = [{"noun": 3}, {"noun": "x", "row": {"a": "b"}}, {"noun": "x", "more": "y"}, {"noun": "x" * 5000}]
        for wrong in ("[]", "{}", deep, *map(json.dumps, other)):
            with pytest.raises(psycopg.errors.CheckViolation):
                operator.execute(SAY, [uuid.uuid4(), wrong, 0])
        for idle in (-5, 1e300, "NaN", None):
            operator.execute(SAY, [uuid.uuid4(), json.dumps({"noun": "keys"}), idle])


def test_few_consoles_of_a_person_are_kept(database: Database) -> None:
    with psycopg.connect(database.login("viewer"), autocommit=True) as viewer:
        for _ in range(23):
            viewer.execute(SAY, [uuid.uuid4(), json.dumps({"noun": "keys"}), 0])
        assert viewer.execute("SELECT count(*) FROM wf.presence_list").fetchone() == (20,)


async def test_when_one_left_is_known_by_the_console_before(database: Database) -> None:
    home = Home(database.login("operator"))
    await home.open()
    try:
        presences, before, now = home.of(PresenceDirectory), uuid.uuid4(), uuid.uuid4()
        assert await presences.left_at(now) is None
        await presences.say(before, View("keys", "keys"), 3600)
        await presences.say(now, View("tenants", "tenants", filter="acme", row="acme-1"), 0)
        left = await presences.left_at(now)
        assert left is not None and 3590 < (home.clock.now() - left).total_seconds() < 3700
        found = await presences.of(now)
        assert found is not None and View.read(found.view) == View("tenants", "tenants", filter="acme", row="acme-1")
        assert await presences.of(uuid.uuid4()) is None
    finally:
        await home.close()


def test_a_view_of_a_stranger_is_read_as_far_as_it_is_one() -> None:
    assert View.read({"noun": 3, "path": ["x"], "columns": "x", "filter": "a"}) == View("", "", filter="a")
