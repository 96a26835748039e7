"""A change on a real home: once, whole or not at all, and never over somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.changes import Intent
from controlplane.errors import Conflict, NotFound, OutcomeUnknown, Refusal, Usage
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.tenants.model import TenantDirectory
from controlplane.tenants.ports import TenantStore
from tests.backends.runs import opened
from tests.postgres import Database


@pytest.fixture
async def home(database: Database) -> AsyncIterator[Home]:
    async with opened(database.login("admin")) as home:
        yield home


async def do(home: Home, name: str, request_id: str = "", /, *, dry_run: bool = False, **fields: object) -> Outcome:
    return await execute(home, named(name), named(name).parse(fields), Call("as the test says", request_id, dry_run))


def asked(database: Database, statement: str) -> list[tuple]:
    with psycopg.connect(database.owner) as connection:
        return connection.execute(statement).fetchall()


COUNTS = (
    "SELECT (SELECT count(*) FROM wf.tenants), (SELECT count(*) FROM wf.tenant_activity),"
    " (SELECT count(*) FROM wf.changes), (SELECT count(*) FROM wf.audit), (SELECT count(*) FROM wf.audit_personal),"
    " (SELECT value FROM wf.counters WHERE name = 'audit')"
)


async def test_creating_twice_with_one_request_id_creates_once(database: Database, home: Home) -> None:
    first = await do(home, "tenants.create", "one", id="acme", owner_email="ada@lovelace.example")
    counts = asked(database, COUNTS)
    again = await do(home, "tenants.create", "one", id="acme", owner_email="ada@lovelace.example")
    assert again.repeated and not first.repeated and again.audit_ids == first.audit_ids
    assert asked(database, COUNTS) == counts
    with pytest.raises(Conflict) as refused:
        await do(home, "tenants.create", "one", id="other")
    assert refused.value.code == "request_id_reused"
    with pytest.raises(Conflict) as refused:
        await do(home, "tenants.create", "two", id="acme")
    assert refused.value.code == "tenant_exists"
    assert asked(database, COUNTS) == counts


async def test_one_request_made_by_two_programs_at_once_is_done_once(database: Database, home: Home) -> None:
    async with opened(database.login("admin")) as other:
        for number in range(5):
            both = await asyncio.gather(
                *(do(each, "tenants.create", f"r{number}", id=f"t{number}") for each in (home, other))
            )
            assert sorted(outcome.repeated for outcome in both) == [False, True]
            assert both[0].audit_ids == both[1].audit_ids
    assert asked(database, "SELECT count(*), count(DISTINCT thing) FROM wf.audit WHERE thing ~ '^t[0-9]'") == [(5, 5)]


async def test_a_repeat_waits_for_the_first_and_runs_itself_when_that_one_fails(database: Database, home: Home) -> None:
    intent = Intent("tenants.create", "same", "whatever")
    async with opened(database.login("admin")) as other:
        with pytest.raises(ZeroDivisionError):
            async with home.change(intent) as change:
                await change.of(TenantStore).create({"id": "acme", "name": "Acme"})
                repeat = asyncio.create_task(do(other, "tenants.create", "same", id="acme"))
                await _is_waiting(database)
                raise ZeroDivisionError
        assert not (await repeat).repeated


async def _is_waiting(database: Database) -> None:
    waiting = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while await asyncio.to_thread(asked, database, waiting) != [(True,)]:
            pass


FAIL = """
CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$
"""
STEPS = (
    "INSERT ON wf.changes",
    "INSERT ON wf.tenants",
    "INSERT ON wf.tenant_activity",
    "UPDATE ON wf.counters",
    "INSERT ON wf.audit",
    "INSERT ON wf.audit_personal",
    "UPDATE ON wf.changes",
)


@pytest.mark.parametrize("step", STEPS)
async def test_a_creation_that_fails_at_any_step_leaves_nothing(database: Database, home: Home, step: str) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute(FAIL)
        connection.execute(f"CREATE TRIGGER zz_fail AFTER {step} FOR EACH ROW EXECUTE FUNCTION public.fail()")
    counts = asked(database, COUNTS)
    with pytest.raises(Refusal) as refused:
        await do(home, "tenants.create", "one", id="acme", owner_email="ada@lovelace.example")
    assert refused.value.code == "home_out_of_room" and "could not extend file" in refused.value.message
    assert asked(database, COUNTS) == counts
    with psycopg.connect(database.owner) as connection:
        connection.execute("DROP FUNCTION public.fail() CASCADE")
    assert not (await do(home, "tenants.create", "one", id="acme")).repeated, "the same id may be tried again"


async def test_of_two_consoles_that_edit_one_tenant_the_second_is_told(database: Database, home: Home) -> None:
    await do(home, "tenants.create", id="acme")
    async with opened(database.login("operator")) as other:
        seen = [(await each.of(TenantDirectory).get("acme")).version for each in (home, other)]
        results = await asyncio.gather(
            *(
                do(each, "tenants.rename", id="acme", name=f"By {each.actor.name}", version=version)
                for each, version in zip((home, other), seen, strict=True)
            ),
            return_exceptions=True,
        )
    (won,) = (result for result in results if isinstance(result, Outcome))
    (lost,) = (result for result in results if isinstance(result, Conflict))
    assert lost.code == "stale_version" and "version 2, not 1" in lost.message
    tenant = await home.of(TenantDirectory).get("acme")
    assert (tenant.version, tenant.name) == (2, won.result["name"])


async def test_a_preview_is_the_run_rolled_back(database: Database, home: Home) -> None:
    await do(home, "tenants.create", id="acme")
    counts = asked(database, COUNTS)
    preview = await do(home, "tenants.suspend", "s1", id="acme", dry_run=True)
    assert asked(database, COUNTS) == counts and preview.dry_run and preview.audit_ids == []
    done = await do(home, "tenants.suspend", "s1", id="acme")
    assert not done.repeated

    def facts(outcome: Outcome) -> list[tuple[object, ...]]:
        moments = ("updated_at", "suspended_at")
        return [(row.noun, row.thing, {k: v for k, v in row.after.items() if k not in moments}) for row in outcome.rows]

    assert facts(preview) == facts(done)


async def test_ten_megabytes_of_metadata_are_refused_with_words(database: Database, home: Home) -> None:
    await do(home, "tenants.create", id="acme")
    counts = asked(database, COUNTS)
    with pytest.raises(Usage) as usage:
        await do(home, "tenants.edit", id="acme", metadata={"a": "x" * 10_000_000})
    assert "10,000,009 bytes; at most 65,536" in usage.value.message and len(usage.value.message) < 1000
    # Merged, it is too much as well, which only the home knows.
    await do(home, "tenants.edit", id="acme", metadata={"a": "x" * 40_000})
    counts = asked(database, COUNTS)
    with pytest.raises(Refusal) as refused:
        await do(home, "tenants.edit", id="acme", metadata={"b": "x" * 40_000})
    assert refused.value.code == "tenant_metadata_size" and "65,536" in refused.value.message
    assert asked(database, COUNTS) == counts


@pytest.mark.parametrize("name", ["a" + "\u0301" * 10_000, "x" * 201, "a\x1b[2Jb", "a\u202eb", "", "   "])
async def test_a_name_that_cannot_be_shown_is_refused_with_words(database: Database, home: Home, name: str) -> None:
    await do(home, "tenants.create", id="acme")
    with pytest.raises(Usage) as usage:
        await do(home, "tenants.rename", id="acme", name=name)
    assert "name: " in usage.value.message and len(str(usage.value)) < 1000 and "\x1b" not in str(usage.value)
    assert (await home.of(TenantDirectory).get("acme")).name == "acme"


async def test_what_is_not_there_is_not_found(home: Home) -> None:
    with pytest.raises(NotFound):
        await do(home, "tenants.rename", id="nobody", name="x")
    with pytest.raises(NotFound):
        await do(home, "projects.rename", tenant_id="default", id="nobody", name="x")
    with pytest.raises(NotFound):
        await do(home, "projects.create", tenant_id="nobody", id="web")


async def test_a_link_that_dies_in_the_commit_is_looked_up(
    database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed on the server's side right after the commit, before the answer was read."""
    commit = Home._commit

    async def answered_by_nobody(self: Home, connection: psycopg.AsyncConnection, intent: Intent) -> None:
        await commit(self, connection, intent)
        raise OutcomeUnknown("outcome_unknown", "The link was lost.")

    monkeypatch.setattr(Home, "_commit", answered_by_nobody)
    outcome = await do(home, "tenants.create", "one", id="acme")
    assert outcome.repeated and outcome.result["id"] == "acme" and len(outcome.audit_ids) == 1

    async def cut(self: Home, connection: psycopg.AsyncConnection, intent: Intent) -> None:
        with psycopg.connect(database.owner) as owner:
            owner.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        await commit(self, connection, intent)

    monkeypatch.setattr(Home, "_commit", cut)
    with pytest.raises(Refusal) as refused:
        await do(home, "tenants.create", "two", id="other")
    assert refused.value.code == "link_lost_nothing_done"
    monkeypatch.undo()
    assert not (await do(home, "tenants.create", "two", id="other")).repeated
