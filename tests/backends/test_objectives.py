"""What is measured of objectives against a plain count over the raw rows, and what the home refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.objectives import Objectives
from controlplane.audit.model import Record
from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Count, Query
from controlplane.objectives.list import OBJECTIVES
from controlplane.objectives.model import ObjectiveDirectory, Standing
from controlplane.objectives.rules import period_of, rank
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.telemetry.model import bucket_of
from tests.backends.traffic import ESTATE, roll_up, send
from tests.controlplane.objectives import objective
from tests.postgres import Database


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute(ESTATE)
        yield connection


@pytest.fixture
async def home(database: Database, owner: psycopg.Connection) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


async def do(home: Home, verb: str, /, *, dry_run: bool = False, **fields: Any) -> Outcome:
    operation = named(verb)
    return await execute(home, operation, operation.parse(fields), Call("as the test says", dry_run=dry_run))


async def listed(home: Home, filter: str = "", sort: str = "budget") -> list[Standing]:
    page = await home.of(ObjectiveDirectory).page(Query(parse(filter, OBJECTIVES.fields), sort))
    return list(page.rows)


def days_of_traffic(owner: psycopg.Connection) -> None:
    """Three days by the minute, two hours by the second; acme's /orders fails one in fifty in the last two hours."""
    for tenant, route in (("acme", "/orders"), ("acme", "/users"), ("beta", "/orders")):
        send(owner, tenant, route, "3 days", "2 hours", step="1 minute", key=f"k_{tenant}")
    roll_up(owner)
    send(owner, "acme", "/orders", "2 hours", "0", every=50, key="k_acme")
    send(owner, "acme", "/users", "2 hours", "0", key="k_acme")
    send(owner, "beta", "/orders", "2 hours", "0", key="k_beta")


def raw(owner: psycopg.Connection, condition: str, good: str = "status < 500") -> tuple[int, int]:
    row = owner.execute(
        f"SELECT count(*) FILTER (WHERE {good}), count(*) FROM wf.requests WHERE {condition}".encode()
    ).fetchone()
    assert row is not None
    return row


async def test_each_request_counts_for_the_most_specific_objective_of_a_name(
    home: Home, owner: psycopg.Connection
) -> None:
    days_of_traffic(owner)
    scopes: list[Record] = [{}, {"plan": "growth"}, {"tenant_id": "acme"}, {"tenant_id": "acme", "route": "/orders"}]
    for scope in scopes:
        await do(home, "objectives.create", name="api", target="99.9%", **scope)
    found = {each.objective.scope: each for each in await listed(home)}
    assert {scope: (each.raw.good, each.raw.total) for scope, each in found.items()} == {
        "all": (0, 0),
        "plan growth": raw(owner, "tenant_id = 'beta'"),
        "acme": raw(owner, "tenant_id = 'acme' AND route = '/users'"),
        "acme /orders": raw(owner, "tenant_id = 'acme' AND route = '/orders'"),
    }
    assert [(each.objective.scope, each.state) for each in await listed(home)] == [
        ("acme /orders", "page"),
        ("plan growth", "ok"),
        ("acme", "ok"),
        ("all", "unknown"),
    ]
    assert [each.objective.scope for each in await listed(home, "state:page")] == ["acme /orders"]
    await do(home, "objectives.retire", id=found["acme /orders"].objective.id)
    acme = next(each for each in await listed(home) if each.objective.scope == "acme")
    assert (acme.raw.good, acme.raw.total) == raw(owner, "tenant_id = 'acme'") and acme.state == "page"


async def test_one_objective_reads_what_the_list_reads(home: Home, owner: psycopg.Connection) -> None:
    days_of_traffic(owner)
    await do(home, "objectives.create", name="api", target=0.999)
    [first] = await listed(home)
    one = await home.of(ObjectiveDirectory).standing(first.objective.id)
    assert (one.raw.total, one.state) == (first.raw.total, first.state)
    spent = await home.of(ObjectiveDirectory).attribution(one)
    bad = one.raw.total - one.raw.good
    assert [(each.who, each.bad) for each in spent.tenants] == [("acme", bad)]
    assert [(each.who, each.bad) for each in spent.routes] == [("/orders", bad)]
    assert [(each.who, each.bad) for each in spent.keys] == [("k_acme", bad)]
    assert [each.who for each in spent.keys] == ["k_acme"]
    history = await home.of(ObjectiveDirectory).history(first.objective.id, one.start)
    assert sum(each.total for each in history) == one.raw.total and {each.seconds for each in history[:-1]} == {
        60,
        3600,
    }


async def test_a_latency_objective_counts_known_latencies_up_to_the_thresholds_bucket(
    home: Home, owner: psycopg.Connection
) -> None:
    days_of_traffic(owner)
    assert bucket_of(100) < bucket_of(150)
    await do(home, "objectives.create", name="speed", target=0.5, kind="latency", threshold_ms=100, tenant_id="beta")
    [found] = await listed(home)
    known = raw(owner, "tenant_id = 'beta' AND latency_ms IS NOT NULL", "latency_ms <= 100")
    assert (found.raw.good, found.raw.total) == known and 0 < known[0] < known[1]


async def test_maintenance_of_a_scope_is_skipped_there_alone(home: Home, owner: psycopg.Connection) -> None:
    days_of_traffic(owner)
    await do(home, "objectives.create", name="api", target=0.999)
    owner.execute("ALTER TABLE wf.maintenance DISABLE TRIGGER guard")
    owner.execute(
        "INSERT INTO wf.maintenance (tenant_id, starts_at, ends_at, reason)"
        " VALUES ('acme', now() - interval '4 hours', now() + interval '1 hour', 'new disks')"
    )
    owner.execute("ALTER TABLE wf.maintenance ENABLE TRIGGER guard")
    [found] = await listed(home)
    assert found.remaining == 1 and found.remaining_raw is not None and found.remaining_raw < 0
    assert found.state == "ok" and found.adjusted.total < found.raw.total
    skipped = raw(owner, "tenant_id = 'acme' AND at > now() - interval '2 hours'")[1]
    assert abs(found.raw.total - found.adjusted.total - skipped - 4 * 60) <= 2 * 120  # to the whole minute
    [planned] = await home.of(ObjectiveDirectory).maintenance(found)
    assert (planned.reason, planned.tenant_id) == ("new disks", "acme")


async def test_what_holds_for_a_tenant_and_its_own_budget(home: Home, owner: psycopg.Connection) -> None:
    days_of_traffic(owner)
    await do(home, "objectives.create", name="api", target=0.99)
    await do(home, "objectives.create", name="api", target=0.999, plan="growth")
    await do(home, "objectives.create", name="speed", target=0.9, kind="latency", threshold_ms=200)
    (api, own), (speed, _) = await home.of(ObjectiveDirectory).of_tenant("beta")
    assert api.objective.plan == "growth" and [each.target for each in api.losers] == [0.99]
    assert (own.raw.good, own.raw.total) == raw(owner, "tenant_id = 'beta'") and own.state == "ok"
    assert speed.objective.name == "speed" and not speed.losers
    with pytest.raises(NotFound):
        await home.of(ObjectiveDirectory).of_tenant("nobody")


async def test_a_preview_says_what_cannot_fire_and_what_would_have(home: Home, owner: psycopg.Connection) -> None:
    days_of_traffic(owner)
    preview = await do(home, "objectives.create", dry_run=True, name="api", target=0.9, tenant_id="acme")
    notes = " ".join(preview.result["notes"])
    assert "can never fire" in notes and "it would have fired 0 pages" in notes
    strict = await do(home, "objectives.create", dry_run=True, name="api", target=0.999, tenant_id="acme")
    assert "it would have fired 1 page" in " ".join(strict.result["notes"])
    empty = await do(home, "objectives.create", dry_run=True, name="api", target=0.999, tenant_id="gone")
    assert "is unknown" in empty.result["notes"][-1]
    assert await listed(home) == []


async def test_every_change_has_its_way_back(home: Home, owner: psycopg.Connection) -> None:
    made = await do(home, "objectives.create", name="api", target=0.99, contractual="95%")
    number = made.result["id"]
    edited = await do(home, "objectives.edit", id=number, target=0.999, no_contractual=True, period="month")
    assert edited.undo is not None
    back = await do(home, "objectives.edit", **edited.undo.request)
    found = await home.of(ObjectiveDirectory).standing(number)
    assert (found.objective.target, found.objective.contractual, found.objective.period) == (0.99, 0.95, "30d")
    assert back.undo is not None and back.undo.request["no_contractual"]
    again = await do(home, "objectives.edit", **back.undo.request)
    assert again.result["period"] == "month"
    retired = await do(home, "objectives.retire", id=number)
    assert retired.undo is not None and await listed(home) == []
    assert [each.state for each in await listed(home, "state:retired,ok")] == ["retired"]
    assert (
        await listed(home, "-state:ok") == []
        and (await home.of(ObjectiveDirectory).standing(number)).state == "retired"
    )
    assert await home.of(ObjectiveDirectory).count(Query(())) == Count(0)
    restored = await do(home, "objectives.restore", **retired.undo.request)
    assert restored.undo is not None and len(await listed(home)) == 1
    planned = await do(home, "objectives.maintenance", lasts="2h")
    assert planned.undo is not None
    ended = await do(home, "objectives.end-maintenance", **planned.undo.request)
    assert ended.result["ended_at"] is not None
    with pytest.raises(Refusal, match="over already"):
        await do(home, "objectives.end-maintenance", **planned.undo.request)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("objective_taken", {"name": "api", "target": 0.9}),
        ("objective_contractual", {"name": "b", "target": 0.9, "contractual": 0.95}),
        ("objective_threshold", {"name": "b", "target": 0.9, "kind": "latency"}),
        ("request_invalid", {"name": "b", "target": 1}),
        ("request_invalid", {"name": "b", "target": "100%"}),
        ("request_invalid", {"name": "b", "target": -0.1}),
        ("request_invalid", {"name": "b", "target": 0.9, "period": "6d"}),
        ("request_invalid", {"name": "b", "target": 0.9, "zone": "Mars/Olympus"}),
        ("request_invalid", {"name": "b", "target": 0.9, "plan": "pro", "route": "/x"}),
        ("no_tenant", {"name": "b", "target": 0.9, "tenant_id": "nobody"}),
    ],
)
async def test_what_is_no_objective_is_refused(home: Home, code: str, fields: Record) -> None:
    await do(home, "objectives.create", name="api", target=0.99)
    with pytest.raises((Conflict, Refusal, Usage)) as refused:
        await do(home, "objectives.create", **fields)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("objective_target", "UPDATE wf.objectives SET target = 1"),
        ("objective_fixed", "UPDATE wf.objectives SET name = 'other'"),
        ("objective_fixed", "UPDATE wf.objectives SET plan = 'pro'"),
        ("objective_zone", "UPDATE wf.objectives SET zone = 'Mars'"),
        ("objective_period", "UPDATE wf.objectives SET period = '6d'"),
        ("objective_contractual", "UPDATE wf.objectives SET contractual = 0.999"),
        ("objective_threshold", "UPDATE wf.objectives SET threshold_ms = 5"),
        ("objective_scope", "INSERT INTO wf.objectives (name, target, plan, route) VALUES ('x', 0.9, 'pro', '/')"),
        ("objective_min_events", "UPDATE wf.objectives SET min_events = 0"),
        ("objective_tenant_gone", "INSERT INTO wf.objectives (name, target, tenant_id) VALUES ('x', 0.9, 'gone')"),
        (
            "maintenance_past",
            "INSERT INTO wf.maintenance (starts_at, ends_at, reason)"
            " VALUES (now() - interval '1 hour', now() + interval '1 hour', 'x')",
        ),
        (
            "maintenance_length",
            "INSERT INTO wf.maintenance (starts_at, ends_at, reason) VALUES (now(), now() + interval '8 days', 'x')",
        ),
        ("maintenance_fixed", "UPDATE wf.maintenance SET reason = 'another'"),
        ("objective_zone", "UPDATE wf.objectives SET period = 'week', zone = 'UTC+3'"),
    ],
)
def test_the_home_refuses_it_to_psql_as_well(
    database: Database, owner: psycopg.Connection, constraint: str, statement: str
) -> None:
    owner.execute("INSERT INTO wf.objectives (name, target) VALUES ('api', 0.99)")
    owner.execute("INSERT INTO wf.maintenance (starts_at, ends_at, reason) VALUES (now(), now() + interval '1 h', 'x')")
    owner.execute(
        "UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),"
        " purge_after = now() + interval '2 days' WHERE id = 'gone'"
    )
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(statement.encode())
    assert refused.value.diag.constraint_name == constraint


def test_the_home_ranks_scopes_as_the_heart_does(owner: psycopg.Connection) -> None:
    for scope in ((None, None, None), (None, None, "/a"), (None, "p", None), ("t", None, None), ("t", None, "/a")):
        [(ranked,)] = owner.execute("SELECT wf.objective_rank(%s::text, %s::text, %s::text)", scope).fetchall()
        assert ranked == rank(objective(tenant_id=scope[0], plan=scope[1], route=scope[2]))


async def test_pages_of_any_order_go_through_all_once(home: Home, owner: psycopg.Connection) -> None:
    for number in range(7):
        await do(
            home,
            "objectives.create",
            name=f"o{number % 4}",
            target=0.9 + number / 100,
            tenant_id="acme" if number > 3 else None,
        )
    for sort in ("budget", "state", "name", "burn", "target"):
        for descending in (False, True):
            query = Query((), sort, descending)
            whole = (await home.of(ObjectiveDirectory).page(query)).rows
            seen: list[Standing] = []
            page = await home.of(ObjectiveDirectory).page(query, limit=3)
            seen += page.rows
            while not page.last:
                page = await home.of(ObjectiveDirectory).page(query, start=page.positions[-1], limit=3)
                seen += page.rows
            assert [each.key for each in seen] == [each.key for each in whole] and len(whole) == 7
            before = await home.of(ObjectiveDirectory).page(query, start=page.positions[-1], backward=True, limit=3)
            assert [each.key for each in before.rows] == [each.key for each in whole[3:6]]


ODD_ZONES = ("Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Pacific/Marquesas", "Pacific/Chatham")


async def test_a_window_that_begins_within_an_hour_counts_from_there(home: Home, owner: psycopg.Connection) -> None:
    """Before rolling up, after it, by what is kept, and by the tenant."""
    [now] = owner.execute("SELECT now()").fetchone() or ()
    zone, period, start = next(
        (zone, period, period_of(period, zone, now)[0])
        for zone in ODD_ZONES
        for period in ("week", "month", "quarter")
        if timedelta(hours=3) < now - period_of(period, zone, now)[0] < timedelta(days=60)
    )
    owner.execute(
        "INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, at)"
        " SELECT 'acme', '/orders', 'GET', CASE WHEN n %% 2 = 0 THEN 500 ELSE 200 END, 10, %s + n * interval '10 s'"
        " FROM generate_series(-60, 59) n",
        [start],
    )
    await do(home, "objectives.create", name="api", target=0.9, period=period, zone=zone, min_events=1)

    async def counted() -> list[tuple[int, int]]:
        [listed_] = await listed(home)
        one = await home.of(ObjectiveDirectory).standing(listed_.objective.id)
        [(_, of_tenant)] = await home.of(ObjectiveDirectory).of_tenant("acme")
        spent = await home.of(ObjectiveDirectory).attribution(one)
        history = await home.of(ObjectiveDirectory).history(one.objective.id, one.start)
        assert one.start == start and sum(each.bad for each in spent.tenants) == 30
        assert sum(each.total for each in history if each.start >= start) == 60
        return [(each.raw.good, each.raw.total) for each in (listed_, one, of_tenant)]

    expected = [(30, 60)] * 3
    assert await counted() == expected
    roll_up(owner, days=61)
    assert await counted() == expected
    owner.execute("SELECT wf.keep_objectives()")
    home.of(Objectives)._list = home.of(Objectives)._one = None
    assert await counted() == expected
