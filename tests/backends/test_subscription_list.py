"""The list of subscriptions: the state as it is now, the ends that are to come, and a page costs what it shows."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from backends.postgres.home import Home
from benchmarks.estate import fill
from controlplane.filters.grammar import parse
from controlplane.listing import Position, Query
from controlplane.subscriptions.list import SUBSCRIPTIONS
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.subscriptions.rules import state_at
from tests.backends.runs import opened
from tests.backends.test_query_plans import MIDDLE, PAGE, TENANT_COUNT, explained, nodes, shown, touched
from tests.postgres import Database, Server

FEW = """
INSERT INTO wf.tenants (id, name, plan) VALUES ('a', 'A', 'trial'), ('b', 'B', 'trial'), ('c', 'C', 'pro'),
  ('d', 'D', 'pro'), ('e', 'E', 'pro'), ('f', 'F', 'mystery'), ('g', 'G', 'pro'), ('h', 'H', 'pro');
ALTER TABLE wf.subscriptions DISABLE TRIGGER USER;
UPDATE wf.subscriptions SET trial_end = now() + interval '3 days' WHERE tenant_id = 'a';
UPDATE wf.subscriptions SET trial_start = now() - interval '9 days', trial_end = now() - interval '1 second'
WHERE tenant_id = 'b';
UPDATE wf.subscriptions SET state = 'grace', grace_until = now() + interval '2 days' WHERE tenant_id = 'c';
UPDATE wf.subscriptions SET state = 'grace', grace_until = now() - interval '1 second' WHERE tenant_id = 'd';
UPDATE wf.subscriptions SET state = 'past_due', cycle = 'year' WHERE tenant_id = 'e';
UPDATE wf.subscriptions SET state = 'trial', trial_plan = 'pro', trial_version = 1, trial_return = 'active',
  trial_start = now() - interval '9 days', trial_end = now() - interval '1 second' WHERE tenant_id = 'h';
ALTER TABLE wf.subscriptions ENABLE TRIGGER USER;
UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'unpaid' WHERE id = 'g';
"""
FOUND = {
    "state:trial": "a",
    "state:active": "default f g h",
    "state:grace": "c",
    "state:expired": "b d",
    "state:past_due": "e",
    "state:suspended": "",
    "-state:active": "a b c d e",
    "trial<7d": "a",
    "trial>1d": "a",
    "-trial<7d": "b c d default e f g h",
    "grace<7d": "c",
    "cycle:year": "e",
    "plan:mystery": "f",
    "tenant:A": "a",
    "status:suspended": "g",
    "unknown:yes": "f",
    "-unknown:yes state:past_due": "e",
    "D": "d default",
}
ORDERS = {"tenant": "a b c d default e f g h", "trial": "b h a c d default e f g", "grace": "d c a b default e f g h"}


async def names(home: Home, text: str, order: str = "") -> str:
    page = await home.of(SubscriptionDirectory).page(Query(parse(text, SUBSCRIPTIONS.fields), order))
    return " ".join(row.key for row in page.rows)


async def test_it_is_filtered_by_the_state_as_it_is_and_by_what_is_to_come(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute(FEW)
    async with opened(database.login("viewer")) as home:
        assert {text: await names(home, text) for text in FOUND} == FOUND
        assert {order: await names(home, "", order) for order in ORDERS} == ORDERS
        for row in (page := await home.of(SubscriptionDirectory).page(Query())).rows:
            assert row.state_now == state_at(row, page.as_of)
            standing = await home.of(SubscriptionDirectory).standing(row.key)
            assert standing.subscription.state == row.state and standing.subscription.plan == row.plan


@pytest.fixture(scope="module")
def many(postgres_server: Server, template_database: str) -> Iterator[tuple[psycopg.Connection, Home]]:
    """A viewer's connection to a home with many subscriptions, and that home (not opened)."""
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        fill(owner, 1, TENANT_COUNT)
        owner.execute("SET session_replication_role = replica")
        owner.execute(
            "INSERT INTO wf.subscriptions (tenant_id, plan_version, state, trial_plan, trial_version, trial_start,"
            " trial_end, trial_return, grace_until)"
            " SELECT id, 1, (ARRAY['trial', 'grace'])[n % 20], 'trial', 1, now(), now() + n * interval '1 minute',"
            " 'expired', now() + n * interval '1 minute'"
            " FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM wf.tenants WHERE id <> 'default') t"
            " WHERE n % 20 IN (1, 2) UNION ALL"
            " SELECT id, 1, 'active', NULL, NULL, NULL, NULL, NULL, NULL"
            " FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM wf.tenants WHERE id <> 'default') t"
            " WHERE n % 20 NOT IN (1, 2)"
        )
        owner.execute("VACUUM ANALYZE wf.subscriptions")
    with psycopg.connect(database.login("viewer"), autocommit=True) as viewer:
        yield viewer, Home(database.login("viewer"))
    postgres_server.drop(database)


IN_THE_MIDDLE: dict[str, Position] = {
    "tenant": MIDDLE["id"],
    "plan": MIDDLE["plan"],
    "trial": ("infinity", "tenant-0020000"),
    "grace": ("infinity", "tenant-0020000"),
}


@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("order", SUBSCRIPTIONS.sorts)
async def test_a_page_reads_what_it_shows(
    many: tuple[psycopg.Connection, Home], order: str, down: bool, place: str
) -> None:
    viewer, home = many
    query, start = Query(sort=order), IN_THE_MIDDLE[order] if place == "middle" else None
    listing = home.of(SubscriptionDirectory)
    plan = explained(viewer, *listing._statement(query, listing._order(query), start, False, down, PAGE))
    assert shown(plan) == PAGE and not nodes(plan, "Sort")
    assert touched(plan) <= 3 * PAGE, plan


@pytest.mark.parametrize("order", ["tenant", "trial"])
@pytest.mark.parametrize("text", ["state:active", "cycle:month", "-plan:growth", "state:trial", "state:trial trial>1d"])
async def test_what_many_match_is_read_in_order(many: tuple[psycopg.Connection, Home], text: str, order: str) -> None:
    viewer, home = many
    query, listing = Query(parse(text, SUBSCRIPTIONS.fields), order), home.of(SubscriptionDirectory)
    plan = explained(viewer, *listing._statement(query, listing._order(query), None, False, False, PAGE))
    assert shown(plan) == PAGE and not nodes(plan, "Seq Scan")
    assert touched(plan) <= TENANT_COUNT / 5, plan


@pytest.mark.parametrize("text", ["state:past_due", "state:suspended", "trial<1h", "grace<1h", "cycle:year"])
async def test_what_few_match_is_found_by_its_own_index(many: tuple[psycopg.Connection, Home], text: str) -> None:
    viewer, home = many
    query, listing = Query(parse(text, SUBSCRIPTIONS.fields)), home.of(SubscriptionDirectory)
    for statement in (
        listing._statement(query, listing._order(query), None, False, False, PAGE),
        listing._counting(query, 10_000),
    ):
        plan = explained(viewer, *statement)
        assert not nodes(plan, "Seq Scan") and touched(plan) <= 100, plan
