"""The new keys of a run, with psql: nobody reads them, adds to them, or makes of them what a rotation would not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any

import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.keys import secret
from controlplane.operators.roles import ROLES
from controlplane.runs.engine import drive, start_run
from controlplane.runs.model import Run, RunDirectory
from tests.backends.keys import asked, make_keys, make_tenants, rotating
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import items, opened
from tests.controlplane.runs import Ticks
from tests.postgres import Database

CARRY = "SELECT wf.carry_item({}, {})"
NEW = "key_" + "Z" * 26
GRACE = '{"grace": "1h"}'
FIRST = "key_" + "0" * 25 + "1"


@pytest.fixture
async def person(database: Database) -> AsyncIterator[Home]:
    make_tenants(database.owner, "acme", "other")
    make_keys(database.owner, 3)
    async with opened(database.login("operator")) as home:
        yield home


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


@pytest.fixture
def kept() -> list[tuple[dict[str, Any], str]]:
    return []


@pytest.fixture
async def ordered(person: Home, kept: list[tuple[dict[str, Any], str]]) -> Run:
    return await start_run(person, rotating(breaker_share=1.0), "as the test says", keep=kept.extend)


def held(psql: Psql, run: int, role: str = "worker") -> None:
    assert one(psql(role), "SELECT wf.hold_run(%s, 'mine')", run) == (True,)


def ordering(operation: str, *, prepared: str = "", thing: str = FIRST, fields: str = GRACE) -> str:
    """An operator's own run with one item, and what is prepared for it."""
    keys = f" SELECT wf.prepare_keys(max(id), {prepared}) FROM wf.runs;" if prepared else ""
    return (
        "INSERT INTO wf.runs (operation, fields, reason, per_second, breaker_share)"
        f" VALUES ('{operation}', '{fields}', 'x', 9, 1);"
        " INSERT INTO wf.run_items (run_id, ordinal, thing, subject)"
        f" SELECT max(id), 1, '{thing}', '{{}}' FROM wf.runs;{keys}"
    )


def key_of(id: str = NEW, display: str = "wf_live_zzzz", text: str = "mine") -> str:
    return f"'{{1}}', ARRAY['{id}'], ARRAY['{display}'], ARRAY[sha256('{text}')]"


@pytest.mark.parametrize("role", [*ROLES, "worker", "service"])
def test_nobody_reads_or_writes_them(psql: Psql, ordered: Run, role: str) -> None:
    """Who knew the hash of a secret could register it for another tenant, and wait until it is handed out."""
    denied(
        psql(role),
        "SELECT * FROM wf.run_keys",
        "SELECT count(*) FROM wf.run_keys",
        "SELECT hash FROM wf.run_keys",
        f"INSERT INTO wf.run_keys (run_id, ordinal, id, display, hash) VALUES (1, 1, '{NEW}', 'x', sha256('x'))",
        "UPDATE wf.run_keys SET hash = sha256('mine')",
        "DELETE FROM wf.run_keys",
        "SELECT wf.make_successor(NULL, 'x', 'y')",
        "SELECT wf.calls_of('x', now(), true)",
    )


@pytest.mark.parametrize("role", ["viewer", "support", "worker", "service"])
def test_who_may_not_rotate_prepares_nothing(psql: Psql, ordered: Run, role: str) -> None:
    denied(psql(role), f"SELECT wf.prepare_keys({ordered.id}, {key_of()})", f"SELECT wf.leak_calls('{NEW}')")
    if role != "worker":
        denied(psql(role), CARRY.format(ordered.id, 1))


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("role", ["operator", "admin"])
def test_none_is_added_or_exchanged_once_the_run_is_there(
    psql: Psql, ordered: Run, kept: list[tuple[dict[str, Any], str]], role: str, level: str
) -> None:
    """Not even by the one who started it: what is in the file is what will be good."""
    mine = psql(role)
    mine.execute(f"SET default_transaction_isolation = '{level}'".encode())
    refused(mine, "run_snapshot_over", f"SELECT wf.prepare_keys({ordered.id}, {key_of()})")
    refused(mine, "run_snapshot_over", f"SELECT wf.prepare_keys(NULL, {key_of()})")
    other = ordering("tenants.suspend", thing="acme") + f" SELECT wf.prepare_keys({ordered.id}, {key_of()})"
    refused(mine, "run_snapshot_over", other)
    hashes = {value for (value,) in psql("owner").execute("SELECT hash FROM wf.run_keys").fetchall()}
    assert hashes == {secret.digest(value) for _, value in kept}


def test_what_is_prepared_is_a_key_and_one_for_an_item(psql: Psql, person: Home) -> None:
    mine = psql("operator")
    refused(mine, "key_id_format", ordering("keys.rotate", prepared=key_of(id="x" * 5000)))
    refused(mine, "key_display_length", ordering("keys.rotate", prepared=key_of(display="x" * 65)))
    short = f"'{{1}}', ARRAY['{NEW}'], ARRAY['x'], ARRAY['x'::bytea]"
    refused(mine, "key_hash_length", ordering("keys.rotate", prepared=short))
    refused(mine, "run_key_item", ordering("keys.rotate", prepared=key_of().replace("{1}", "{2}")))
    for nothing in (key_of().replace("'{1}'", "'{NULL}'"), "NULL, NULL, NULL, NULL", "'{1}', '{}', '{}', '{}'"):
        with suppress(errors.NotNullViolation):
            mine.execute(ordering("keys.rotate", prepared=nothing).encode())
        assert one(psql("owner"), "SELECT count(*) FROM wf.run_keys") == (0,)
    twice = f" SELECT wf.prepare_keys(max(id), {key_of()}) FROM wf.runs"
    with pytest.raises(errors.UniqueViolation):
        mine.execute((ordering("keys.rotate", prepared=key_of()) + twice).encode())


def test_an_item_without_one_leaves_its_key_as_it_is(psql: Psql, person: Home) -> None:
    for operation in ("keys.rotate", "keys.leak"):
        psql("operator").execute(ordering(operation).encode())
        [run] = one(psql("owner"), "SELECT max(id) FROM wf.runs")
        held(psql, run)
        refused(psql("worker"), "run_key_missing", CARRY.format(run, 1))
    assert asked_for(psql) == []


def test_an_order_by_hand_without_a_grace_ends_no_key(psql: Psql, person: Home) -> None:
    """A run's fields hold the defaults; without them the home does not make up its own."""
    psql("operator").execute(ordering("keys.rotate", prepared=key_of(), fields="{}").encode())
    held(psql, 1)
    refused(psql("worker"), "key_marks", CARRY.format(1, 1))
    assert asked_for(psql) == []


def asked_for(psql: Psql) -> list[tuple[Any, ...]]:
    """The keys that were changed or made since the test began."""
    return psql("owner").execute("SELECT id FROM wf.api_keys WHERE version > 1 OR rotated_from IS NOT NULL").fetchall()


@pytest.mark.parametrize(
    ("prepared", "constraint"),
    [
        (key_of(id="key_" + "0" * 25 + "3"), "key_exists"),
        (key_of(text="3"), "key_hash_taken"),  # make_keys hashes a key's number
    ],
)
def test_it_replaces_no_other_key(psql: Psql, person: Home, prepared: str, constraint: str) -> None:
    psql("operator").execute(ordering("keys.rotate", prepared=prepared).encode())
    held(psql, 1)
    with pytest.raises(errors.UniqueViolation) as found:
        psql("worker").execute(CARRY.format(1, 1))
    assert found.value.diag.constraint_name == {"key_exists": "api_keys_pkey"}.get(constraint, constraint)
    assert asked_for(psql) == []


@pytest.mark.parametrize("operation", ["keys.disable", "keys.edit", "tenants.suspend"])
def test_it_is_made_by_nothing_but_a_rotation(psql: Psql, person: Home, operation: str) -> None:
    thing = "acme" if operation == "tenants.suspend" else FIRST
    order = ordering(operation, prepared=key_of(), thing=thing, fields='{"label": "L"}')
    psql("operator").execute(order.encode())
    held(psql, 1)
    psql("worker").execute(CARRY.format(1, 1))
    assert one(psql("owner"), "SELECT count(*) FROM wf.api_keys WHERE rotated_from IS NOT NULL") == (0,)
    assert one(psql("owner"), "SELECT count(*) FROM wf.run_keys") == (0,)


def test_it_has_the_rights_of_the_key_that_it_replaces_and_no_more(psql: Psql, person: Home) -> None:
    """By hand an operator may give a successor other scopes; a run copies them, whatever its fields say."""
    psql("owner").execute("UPDATE wf.api_keys SET scopes = '{read}', addresses = '{10.0.0.0/8}'")
    fields = '{"grace": "1h", "scopes": ["write"], "tenant_id": "other", "rotated_from": null, "env": "test"}'
    psql("operator").execute(ordering("keys.rotate", prepared=key_of(), fields=fields).encode())
    held(psql, 1)
    psql("worker").execute(CARRY.format(1, 1))
    made = "SELECT tenant_id, env, scopes, addresses::text[], rotated_from, created_by::text, hash FROM wf.api_keys"
    found = one(psql("owner"), f"{made} WHERE id = '{NEW}'")
    mine = sha256(b"mine").digest()
    assert found == ("acme", "live", ["read"], ["10.0.0.0/8"], FIRST, "t_operator", mine)


def test_what_was_refused_or_skipped_never_becomes_good(psql: Psql, ordered: Run) -> None:
    held(psql, ordered.id)
    worker = psql("worker")
    assert one(worker, f"SELECT wf.refuse_items({ordered.id}, '{{1}}', '{{x}}', '{{not now}}')") == (1,)
    refused(worker, "run_item_settled", CARRY.format(ordered.id, 1))
    psql("operator").execute(f"UPDATE wf.runs SET state = 'stopped' WHERE id = {ordered.id}".encode())
    assert one(psql("owner"), "SELECT count(*) FROM wf.run_keys") == (0,)
    refused(psql("operator"), "run_transition", f"UPDATE wf.runs SET state = 'running' WHERE id = {ordered.id}")
    refused(worker, "run_item_settled", CARRY.format(ordered.id, 2))


async def test_who_is_no_operator_any_more_gets_no_key_from_a_run(
    database: Database, person: Home, psql: Psql, ordered: Run
) -> None:
    try:
        psql("owner").execute("SELECT wf.put_operator('t_operator', 'viewer', NULL)")
        async with opened(database.login("worker")) as worker:
            run = await drive(worker, ordered.id, clock=Ticks())
        assert (run.done, run.refused) == (0, 3) and asked_for(psql) == []
        assert one(psql("owner"), "SELECT count(*) FROM wf.run_keys") == (0,)
    finally:  # the login is the whole server's
        psql("owner").execute("GRANT wf_operator TO t_operator; REVOKE wf_viewer FROM t_operator")


async def test_who_resumes_the_run_of_another_makes_its_keys_in_their_own_name(
    database: Database, person: Home, ordered: Run, kept: list[tuple[dict[str, Any], str]]
) -> None:
    async with opened(database.login("admin")) as other:
        assert (await drive(other, ordered.id, clock=Ticks())).done == 3
    trail = "SELECT DISTINCT actor, carried_by, out_of_band FROM wf.audit WHERE operation = 'keys.rotate'"
    assert asked(database.owner, trail) == [("t_admin", None, False)]
    made = dict(asked(database.owner, "SELECT id, hash FROM wf.api_keys WHERE rotated_from IS NOT NULL"))
    assert made == {told["id"]: secret.digest(value) for told, value in kept}


async def test_with_psql_a_person_carries_an_item_only_as_themselves(
    database: Database, psql: Psql, person: Home, ordered: Run
) -> None:
    """What an admin ordered is not done by an operator who takes the run over."""
    refused(psql("operator"), "run_not_held", CARRY.format(ordered.id, 1))
    psql("admin").execute(ordering("tenants.protect", thing="acme").encode())
    [run] = one(psql("owner"), "SELECT max(id) FROM wf.runs")
    held(psql, run, "operator")
    refused(psql("operator"), "run_actor", CARRY.format(run, 1))
    assert [item.state for item in await items(person, await person.of(RunDirectory).get(run))] == ["waiting"]
    assert one(psql("owner"), "SELECT protected FROM wf.tenants WHERE id = 'acme'") == (False,)


def test_the_transaction_of_an_item_makes_nothing_else(psql: Psql, ordered: Run) -> None:
    """A worker that names the lent change again has no right to use it for."""
    held(psql, ordered.id)
    mine = psql("worker")
    mine.execute(f"BEGIN; {CARRY.format(ordered.id, 1)}".encode())
    mine.execute("SELECT set_config('wf.change', (SELECT max(change_id)::text FROM wf.audit), true)")
    for statement in (
        f"INSERT INTO wf.api_keys (id, tenant_id, env, display, hash) VALUES ('{NEW}', 'acme', 'live', 'x', 'x')",
        "UPDATE wf.api_keys SET scopes = '{all}'",
        "SELECT wf.purge_tenant('acme')",
    ):
        mine.execute("SAVEPOINT before")
        denied(mine, statement)
        mine.execute("ROLLBACK TO before")
    mine.execute("COMMIT")
    assert len(asked_for(psql)) == 2
