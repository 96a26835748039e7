"""Keys on a real home: secrets that are told once, lives that end, rotations that lose nothing."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.audit.model import Record
from controlplane.errors import Conflict, NotFound, OutcomeUnknown, Refusal
from controlplane.filters.grammar import parse
from controlplane.keys import secret
from controlplane.keys.list import KEYS, ROTATIONS, STATES
from controlplane.keys.model import KeyDirectory, StalePolicy
from controlplane.keys.rules import state
from controlplane.keys.verify import verify
from controlplane.listing import Query
from controlplane.operations import Call, execute, undo_step
from controlplane.registry import named
from controlplane.runs.engine import drive, start_run
from controlplane.runs.operations import RunStart
from tests.backends.keys import asked, do, make_calls, make_keys, make_tenants
from tests.backends.runs import opened
from tests.controlplane.keys import a_key
from tests.controlplane.runs import Ticks
from tests.postgres import Database


@pytest.fixture
async def home(database: Database):
    make_tenants(database.owner, "acme")
    async with opened(database.login("operator")) as home:
        yield home


async def test_a_secret_is_told_once_and_only_its_hash_is_kept(database: Database, home: Home) -> None:
    request = named("keys.create").parse({"tenant_id": "acme", "label": "ci", "scopes": ["read"], "expires_in": "90d"})
    preview = await execute(home, named("keys.create"), request, Call(dry_run=True))
    assert preview.secret is None and not asked(database.owner, "SELECT FROM wf.api_keys")
    made = await execute(home, named("keys.create"), request, Call(request_id="once"))
    assert made.secret is not None and secret.is_whole(made.secret) and made.secret not in repr(made)
    assert made.result["display"] == secret.display(made.secret)
    [(hashed, lifetime)] = asked(database.owner, "SELECT hash, expires_at - created_at FROM wf.api_keys")
    assert hashed == secret.digest(made.secret) and lifetime == timedelta(days=90)
    again = await execute(home, named("keys.create"), request, Call(request_id="once"))
    assert again.repeated and again.secret is None and again.result["id"] == made.result["id"]
    assert made.undo and (made.undo.operation, made.undo.request["id"]) == ("keys.revoke", made.result["id"])


async def test_a_secret_is_told_when_only_the_answer_of_its_commit_was_lost(
    database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Home._commit

    async def lost(self: Home, *arguments: object) -> None:
        await commit(self, *arguments)  # type: ignore[arg-type]
        raise OutcomeUnknown("outcome_unknown", "the link died")

    monkeypatch.setattr(Home, "_commit", lost)
    made = await do(home, "keys.create", tenant_id="acme", owner_email="ada@lovelace.example")
    assert made.secret is not None and secret.display(made.secret) == made.result["display"]
    provisioned = await do(home, "tenants.provision", id="new")
    assert provisioned.secret is not None and (await verify(home, provisioned.secret)).key.tenant_id == "new"


async def test_nothing_but_what_may_be_shown_is_anywhere(
    database: Database, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = await do(home, "keys.create", tenant_id="acme")
    rotated = await do(home, "keys.rotate", id=made.result["id"])
    leaked = await do(home, "keys.leak", id=rotated.result["id"])
    [run_key] = make_keys(database.owner, 1)
    stored: list[tuple[Record, str]] = []
    request = RunStart.model_validate({"operation": "keys.rotate", "subjects": [{"id": run_key}]})
    run = await start_run(home, request, None, keep=stored.extend)
    kept = [value for _, value in stored]
    waiting = asked(database.owner, "SELECT k::text, secret FROM wf.run_keys k, unnest(%s::text[]) secret", kept)
    assert not any(value[len(secret.display(value)) :][:8] in row for row, value in waiting) and waiting
    await drive(home, run.id, clock=Ticks())
    for value in (made.secret, rotated.secret, leaked.secret):
        assert value is not None
        await verify(home, value)
        with pytest.raises(Refusal) as refused:
            await verify(home, value[:-1])
        assert value[:-1] not in str(refused.value)
    everything = "".join(
        row
        for table in ("audit", "audit_personal", "changes", "runs", "run_items", "key_leaks", "key_news")
        for (row,) in asked(database.owner, f"SELECT t::text FROM wf.{table} t")
    )
    for value in (made.secret, rotated.secret, leaked.secret, *kept):
        assert value is not None
        shown = secret.display(value)
        assert shown in everything
        for text in (everything, caplog.text):
            assert value[len(shown) : len(shown) + 8] not in text
            assert secret.digest(value).hex() not in text


@pytest.mark.parametrize("now", [datetime(2026, 1, 1, tzinfo=UTC)])
async def test_the_heart_and_the_home_agree_on_every_state(database: Database, now: datetime) -> None:
    times = [None, now - timedelta(hours=1), now, now + timedelta(hours=1)]
    found = set()
    with psycopg.connect(database.owner) as connection:
        for revoked in times:
            for disabled in times:
                for expires in times:
                    for grace in times:
                        row = connection.execute(
                            "SELECT wf.key_state(%s, %s, %s, %s, %s)", [revoked, disabled, expires, grace, now]
                        ).fetchone()
                        marks = {"revoked_at": revoked, "disabled_at": disabled, "expires_at": expires}
                        assert row == (state(a_key(now, **marks, grace_until=grace), now),)
                        found.add(row[0])
    assert found == set(STATES)


async def test_a_successor_has_the_same_rights_and_as_long_a_life(database: Database, home: Home) -> None:
    rights = {"label": "ci", "owner_email": "ana@acme.example", "scopes": ["read", "write"], "spend_cap": 500}
    old = await do(
        home, "keys.create", tenant_id="acme", env="test", addresses=["10.0.0.0/8"], expires_in="90d", **rights
    )
    asked(database.owner, "UPDATE wf.api_keys SET expires_at = now() + interval '2 days'")
    rotated = await do(home, "keys.rotate", id=old.result["id"], grace="7d")
    new = await home.of(KeyDirectory).get(rotated.result["id"])
    was = await home.of(KeyDirectory).get(old.result["id"])
    assert {name: getattr(new, name) for name in rights} == rights and new.env == "test"
    assert new.addresses == ["10.0.0.0/8"] and new.rotated_from == was.id and was.rotated_to == new.id
    assert was.state == "rotating" and was.grace_until == was.expires_at, "the grace is no longer than the key's life"
    assert new.expires_at is not None and was.expires_at is not None
    assert new.expires_at - new.created_at == was.expires_at - was.created_at
    assert [each.id for each in await home.of(KeyDirectory).chain(new.id)] == [was.id, new.id]
    with pytest.raises(Refusal) as refused:
        await do(home, "keys.rotate", id=was.id)
    assert refused.value.code == "key_rotated_once"


async def test_a_grace_is_cut_extended_and_given_back(home: Home) -> None:
    old = (await do(home, "keys.create", tenant_id="acme")).result["id"]
    await do(home, "keys.rotate", id=old, grace="1h")
    before = (await home.of(KeyDirectory).get(old)).grace_until
    extended = await do(home, "keys.grace", id=old, grace="7d")
    assert (await home.of(KeyDirectory).get(old)).grace_until != before
    assert extended.undo is not None
    await do(home, extended.undo.operation, **extended.undo.request)
    assert (await home.of(KeyDirectory).get(old)).grace_until == before
    await do(home, "keys.grace", id=old, grace="0")
    assert (await home.of(KeyDirectory).get(old)).state == "expired"
    with pytest.raises(Refusal) as refused:
        await do(home, "keys.grace", id=old, grace="1h")
    assert refused.value.code == "key_not_rotating"


async def test_without_a_grace_the_old_key_is_dead_at_once(home: Home) -> None:
    old = (await do(home, "keys.create", tenant_id="acme")).result["id"]
    await do(home, "keys.rotate", id=old, grace="0")
    assert (await home.of(KeyDirectory).get(old)).state == "expired"


async def test_disable_and_enable_take_each_other_back_and_revoking_is_final(home: Home) -> None:
    key = (await do(home, "keys.create", tenant_id="acme")).result["id"]
    disabled = await do(home, "keys.disable", id=key)
    with pytest.raises(Refusal) as refused:
        await do(home, "keys.rotate", id=key)
    assert refused.value.code == "key_not_alive"
    assert disabled.undo is not None
    enabled = await do(home, disabled.undo.operation, **disabled.undo.request)
    assert (
        (await home.of(KeyDirectory).get(key)).state == "active"
        and enabled.undo
        and enabled.undo.operation == "keys.disable"
    )
    assert (await do(home, "keys.revoke", id=key)).undo is None
    for name, more in (("enable", {}), ("disable", {}), ("edit", {"label": "x"}), ("revoke", {}), ("rotate", {})):
        with pytest.raises(Refusal) as refused:
            await do(home, f"keys.{name}", id=key, **more)
        assert refused.value.code in ("key_revoked", "key_not_alive")


async def test_an_edit_is_taken_back_exactly(home: Home) -> None:
    facts = {"label": "ci", "owner_email": "ana@acme.example", "scopes": ["read"], "spend_cap": 5, "expires_in": "90d"}
    key = (await do(home, "keys.create", tenant_id="acme", **facts)).result["id"]
    before = await home.of(KeyDirectory).get(key)
    edited = await do(
        home, "keys.edit", id=key, label="", owner_email="", scopes=[], spend_cap="none", expires="never",
        addresses=["192.0.2.0/24"],
    )  # fmt: skip
    after = await home.of(KeyDirectory).get(key)
    assert (after.label, after.owner_email, after.scopes, after.spend_cap, after.expires_at) == (
        "",
        None,
        [],
        None,
        None,
    )
    step = undo_step(named("keys.edit"), edited.rows)
    assert step is not None
    await do(home, step.operation, **step.request)
    back = await home.of(KeyDirectory).get(key)
    names = ("label", "owner_email", "scopes", "spend_cap", "expires_at", "addresses")
    assert [getattr(back, name) for name in names] == [getattr(before, name) for name in names]


async def test_a_registered_key_is_known_by_its_hash(home: Home) -> None:
    theirs = "AKIA-of-another-system"
    key = await do(
        home, "keys.register", tenant_id="acme", display="AKIA", sha256=secret.digest(theirs).hex(), label="old"
    )
    assert key.secret is None and (await verify(home, theirs)).key.id == key.result["id"]
    with pytest.raises(Conflict) as refused:
        await do(home, "keys.register", tenant_id="acme", display="AKIA", sha256=secret.digest(theirs).hex())
    assert refused.value.code == "key_hash_taken"


async def test_a_wrong_checksum_is_refused_before_any_query(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made = (await do(home, "keys.create", tenant_id="acme")).secret
    assert made is not None
    verdict = await verify(home, f"  {made}\n")
    assert (verdict.key.tenant_id, verdict.key.env, verdict.tenant_status) == ("acme", "live", "active")
    with pytest.raises(NotFound):
        await verify(home, secret.make("wf", "live"))
    monkeypatch.setattr(Home, "connection", lambda self: pytest.fail("the home was asked"))
    with pytest.raises(Refusal) as refused:
        await verify(home, made[:-1] + ("a" if made[-1] != "a" else "b"))
    assert refused.value.code == "key_checksum"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tenant_id": "nobody"}, "key_tenant"),
        ({"tenant_id": "acme", "project_id": "none"}, "key_project"),
        ({"tenant_id": "gone"}, "key_tenant_gone"),
        ({"tenant_id": "acme", "expires_in": "2020-01-01"}, "key_expiry_past"),
    ],
)
async def test_a_key_needs_somebody_who_may_have_it(
    database: Database, home: Home, fields: dict[str, str], code: str
) -> None:
    make_tenants(database.owner, "gone")
    asked(
        database.owner,
        "UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),"
        " purge_after = now() + interval '2 days' WHERE id = 'gone'",
    )
    with pytest.raises(Refusal) as refused:
        await do(home, "keys.create", **fields)
    assert refused.value.code == code


# Leaks


async def test_a_leak_is_answered_in_one_change(database: Database, home: Home) -> None:
    key = (await do(home, "keys.create", tenant_id="acme", scopes=["read"])).result["id"]
    make_calls(database.owner, key, 3)
    make_calls(database.owner, key, 2, ago="29 days", address="198.51.100.4")
    make_calls(database.owner, key, 7, ago="31 days")
    leaked = await do(home, "keys.leak", "in a public repository", id=key)
    successor = await home.of(KeyDirectory).get(leaked.result["successor_id"])
    old = await home.of(KeyDirectory).get(key)
    assert old.state == "disabled" and successor.state == "active" and successor.scopes == ["read"]
    assert leaked.secret is not None and (await verify(home, leaked.secret)).key.id == successor.id
    assert leaked.result["calls"] == 5
    [(change, reason, actor, calls)] = asked(
        database.owner,
        "SELECT (SELECT count(DISTINCT change_id) FROM wf.audit WHERE operation = 'keys.leak'), reason, actor, calls"
        " FROM wf.key_leaks",
    )
    assert (change, reason, actor, calls["total"], calls["whole"]) == (
        1, "in a public repository", "t_operator", 5, True,
    )  # fmt: skip
    assert [(use["address"], use["calls"]) for use in calls["by"]] == [("192.0.2.7", 3), ("198.51.100.4", 2)]
    [leak] = await home.of(KeyDirectory).leaks(key)
    assert leak.id == leaked.result["leak"] and leak.calls == calls
    async with opened(database.login("viewer")) as viewer:
        assert [leak.calls for leak in await viewer.of(KeyDirectory).leaks(key)] == [None]
    await do(home, "keys.enable", id=key)
    assert (await home.of(KeyDirectory).get(key)).state == "expired", "enabling it by mistake brings it back no more"
    [(trail,)] = asked(database.owner, "SELECT string_agg(a::text, '') FROM wf.audit a")
    assert "192.0.2.7" not in trail, "an address stands beside the trail, where an erasure takes it away"


async def test_a_leaked_key_in_its_grace_keeps_the_successor_that_it_has(home: Home) -> None:
    old = (await do(home, "keys.create", tenant_id="acme")).result["id"]
    new = (await do(home, "keys.rotate", id=old)).result["id"]
    leaked = await do(home, "keys.leak", id=old)
    assert leaked.secret is None and leaked.result["successor_id"] == new
    assert (await home.of(KeyDirectory).get(old)).state == "disabled"
    with pytest.raises(Refusal) as refused:
        await do(home, "keys.leak", id=old)
    assert refused.value.code == "key_not_alive"


async def test_an_erasure_takes_all_that_keys_left(database: Database, home: Home) -> None:
    key = (await do(home, "keys.create", tenant_id="acme", owner_email="ana@acme.example")).result["id"]
    make_calls(database.owner, key, 1)
    await do(home, "keys.leak", id=key)
    asked(
        database.owner,
        "UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),"
        " purge_after = now() + interval '2 days' WHERE id = 'acme'",
    )
    asked(
        database.owner,
        "ALTER TABLE wf.tenants DISABLE TRIGGER guard; UPDATE wf.tenants SET purge_after = now() WHERE id = 'acme';"
        " ALTER TABLE wf.tenants ENABLE TRIGGER guard",
    )
    async with opened(database.login("admin")) as admin:
        await do(admin, "tenants.purge", id="acme")
    left = asked(database.owner, "SELECT a::text FROM wf.audit a UNION ALL SELECT p::text FROM wf.audit_personal p")
    assert not any("ana@acme" in row or "192.0.2.7" in row for (row,) in left)
    assert not asked(database.owner, "SELECT FROM wf.api_keys UNION ALL SELECT FROM wf.key_leaks")


# Lists


async def listed(home: Home, text: str, sort: str = "created") -> list[str]:
    page = await home.of(KeyDirectory).page(Query(parse(text, KEYS.fields), sort))
    return [row.label for row in page.rows]


async def test_keys_are_found_by_what_they_are(database: Database, home: Home) -> None:
    make_tenants(database.owner, "zed")
    await do(home, "keys.create", tenant_id="acme", label="a", scopes=["Read", "write"], expires_in="3d")
    await do(home, "keys.create", tenant_id="acme", label="b", env="test", expires_in="9d")
    c = await do(home, "keys.create", tenant_id="zed", label="c")
    await do(home, "keys.disable", id=c.result["id"])
    for text, labels in {
        "tenant:acme": "ab",
        "state:disabled": "c",
        "scope:read": "a",
        "-scope:read": "bc",
        "scope:/^wr/": "a",
        "left<7": "a",
        "expires<7d": "a",
        "expires>7d": "b",
        "expires<4h": "",
        "-expires<7d": "bc",
        "env:test": "b",
        "-used<1d": "abc",
        f"display:{c.result['display']}": "c",
        "created<1d": "abc",
        "expired>1s": "",
    }.items():
        assert await listed(home, text) == list(labels), text
    assert await listed(home, "", "expires") == ["a", "b", "c"]
    assert await listed(home, "", "id") == ["a", "b", "c"]
    page = await home.of(KeyDirectory).page(Query(sort="expires"), limit=1)
    following = await home.of(KeyDirectory).page(Query(sort="expires"), start=page.positions[-1], limit=2)
    assert [row.label for row in following.rows] == ["b", "c"] and following.last
    assert (await home.of(KeyDirectory).page(Query(sort="expires"), start=following.positions[-1])).rows == ()


async def test_the_rotation_view_says_who_still_uses_the_old_key(database: Database, home: Home) -> None:
    used, silent, unknown = make_keys(database.owner, 3, age="90 days")
    for key in (used, silent, unknown):
        await do(home, "keys.rotate", id=key)
    successor = (await home.of(KeyDirectory).get(silent)).rotated_to
    assert successor is not None
    make_calls(database.owner, used, 9, ago="1 day")
    make_calls(database.owner, used, 2, ago="-1 second")
    make_calls(database.owner, successor, 5, ago="-1 second")
    rows = {row.id: row for row in (await home.of(KeyDirectory).rotations.page(Query())).rows}
    assert (rows[used].old_calls, rows[used].new_calls, rows[used].old_last_address) == (2, 0, "192.0.2.7")
    assert (rows[silent].old_calls, rows[silent].new_calls, rows[silent].old_last_at) == (0, 5, None)
    assert (rows[unknown].old_calls, rows[unknown].new_calls) == (None, None), "no call is stored: unknown, not 0"
    asked(
        database.owner,
        "UPDATE wf.key_uses SET last_used_at = now() + interval '1 minute', last_address = '203.0.113.9'"
        " WHERE key_id = %s",
        silent,
    )
    async with opened(database.login("viewer")) as viewer:
        [row] = (await viewer.of(KeyDirectory).rotations.page(Query(parse(f"id:{silent}", ROTATIONS.fields)))).rows
        assert row.old_calls is None and row.old_last_at is not None, "it was used, and none of its calls is stored"
        assert row.old_last_address is None, "where calls come from is for those who help a customer"
        assert (await viewer.of(KeyDirectory).get(silent)).last_address is None
    assert (await home.of(KeyDirectory).get(silent)).last_address == "203.0.113.9"
    assert (await home.of(KeyDirectory).rotations.count(Query())).number == 3


async def test_the_stale_view_counts_all_and_spares_new_tenants(database: Database, home: Home) -> None:
    make_tenants(database.owner, "old", "rotates", age="90 days")
    make_keys(database.owner, 2, "old", age="31 days", first=100)
    make_keys(database.owner, 1, "old", age="22 days", first=110)
    make_keys(database.owner, 1, "old", age="1 day", first=120)
    make_keys(database.owner, 1, "acme", age="31 days", first=130)
    [fresh] = make_keys(database.owner, 1, "rotates", age="40 days", first=140)
    await do(home, "keys.rotate", id=fresh, grace="0")
    stale = home.of(KeyDirectory).stale(StalePolicy())
    rows = (await stale.page(Query(), limit=2)).rows
    assert len(rows) == 2
    found = {row.id[-3:]: (row.level, row.unrotated) for row in (await stale.page(Query())).rows}
    assert found == {
        "100": ("stale", True),
        "101": ("stale", True),
        "110": ("warn", True),
        "120": ("fresh", True),
        "130": ("stale", False),
    }
    counts = await stale.counts()
    assert (counts.keys, counts.stale, counts.warn, counts.tenants, counts.tenants_unrotated) == (6, 3, 1, 3, 1)
    assert (await stale.count(Query())).number == 5
    wide = home.of(KeyDirectory).stale(StalePolicy(timedelta(days=60), timedelta(days=60), timedelta(days=120)))
    assert (await wide.page(Query())).rows == ()
