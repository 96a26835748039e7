"""Every filter of every list that grows is answered by an index: none reads a whole table, however few it finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.paging import PagedList
from backends.postgres.plans import Plans
from controlplane.alerts.list import ALERTS
from controlplane.audit.list import AUDIT
from controlplane.deliveries.list import DELIVERIES
from controlplane.filters.grammar import Field, Kind, Term, parse, render
from controlplane.jobs.list import JOBS
from controlplane.keys.list import KEYS
from controlplane.listing import Query
from controlplane.nouns import list_named
from controlplane.subscriptions.list import SUBSCRIPTIONS
from controlplane.tenants.list import PROJECTS, TENANTS
from tests.backends.runs import opened
from tests.backends.test_query_plans import explained, nodes, touched
from tests.postgres import Database, Server

LISTS: dict[str, tuple[Field, ...]] = {
    "tenants": TENANTS.fields,
    "projects": PROJECTS.fields,
    "keys": KEYS.fields,
    "audit": AUDIT.fields,
    "jobs": JOBS.fields,
    "subscriptions": SUBSCRIPTIONS.fields,
    "alerts": ALERTS.fields,
    "deliveries": DELIVERIES.fields,
}
ROWS = 12_000
FILL = f"""
    SET session_replication_role = replica;
    INSERT INTO wf.tenants (id, name, plan, region, owner_email, created_at)
      SELECT 't' || n, 'Tenant ' || n, (ARRAY['pro', 'growth'])[n % 2 + 1], 'eu',
             CASE WHEN n % 2 = 0 THEN 'team@x.example' ELSE n || '@x.example' END, now() - n * interval '1 hour'
      FROM generate_series(1, {ROWS}) n;
    INSERT INTO wf.tenant_activity (tenant_id, per_minute, error_share, p95_ms) SELECT id, 1, 0, 10 FROM wf.tenants
      ON CONFLICT DO NOTHING;
    INSERT INTO wf.subscriptions (tenant_id, plan_version, state, trial_plan, trial_version, trial_start, trial_end,
                                  trial_return, grace_until)
      SELECT 't' || n, 1, CASE WHEN n % 600 = 0 THEN 'trial' WHEN n % 600 = 1 THEN 'grace' ELSE 'active' END,
             'trial', 1, now() - interval '1 day', now() + n * interval '1 second', 'expired',
             CASE WHEN n % 600 = 1 THEN now() + n * interval '1 second' END
      FROM generate_series(1, {ROWS}) n;
    INSERT INTO wf.projects (tenant_id, id, name, created_at)
      SELECT 't' || n, 'web', 'Web ' || n, now() - n * interval '1 hour' FROM generate_series(1, {ROWS}) n;
    INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, label, owner_email, scopes, created_at,
                             expires_at)
      SELECT 'key_' || lpad(n::text, 26, '0'), 't' || n % 3000 + 1, 'web', 'live', 'wf_live_' || n,
             sha256(n::text::bytea), 'label ' || n,
             CASE WHEN n % 2 = 0 THEN 'team@x.example' ELSE n || '@x.example' END, ARRAY['orders:read', 'scope:' || n],
             now() - n * interval '1 hour', CASE WHEN n % 3 = 0 THEN now() + (n - 6000) * interval '1 hour' END
      FROM generate_series(1, {ROWS}) n;
    INSERT INTO wf.key_uses (key_id, tenant_id, last_used_at) SELECT id, tenant_id, created_at FROM wf.api_keys;
    INSERT INTO wf.audit (seq, at, out_of_band, actor, operation, noun, thing, tenant_id, reason, request_id)
      SELECT n, now() - ({ROWS} - n) * interval '1 minute', false, 'ana', 'tenants.edit', 'tenants', 't' || n, 't' || n,
             'ticket ' || n, 'request-' || n FROM generate_series(1, {ROWS}) n;
    INSERT INTO wf.jobs (kind, tenant_id, payload, state, attempts, tries, error, ended_at)
      SELECT 'mail.send', 't' || n % 100 + 1, '{{}}', 'dead', 5, 5, 'no route to host ' || n, now()
      FROM generate_series(1, {ROWS}) n;
    INSERT INTO wf.alerts (kind, tenant_id, labels, severity, summary, state, fired_at, resolved_at)
      SELECT 'jobs_dead', 't' || n % 3000 + 1, jsonb_build_object('job', n::text), 'error', n || ' dead jobs',
             'resolved', now() - n * interval '1 minute', now() - n * interval '50 s'
      FROM generate_series({ROWS}, 1, -1) n;
    INSERT INTO wf.routes (name, channel, target) SELECT 'route-' || n, 'drill', 'x' FROM generate_series(1, 40) n;
    INSERT INTO wf.deliveries (key, route_id, group_key, number, tenant_id, action, reason, severity, event_type,
                               summary, notice, state, attempts, code, created_at, ended_at)
      SELECT 'msg_' || repeat('a', 40), n % 40 + 1, encode(sha256(n::text::bytea), 'hex'), 1,
             't' || n % 3000 + 1, 'trigger', 'first_notification', 'error', 'jobs_dead', n || ' dead jobs', '{{}}',
             'delivered', 1, 'http_200',
             now() - n * interval '1 minute', now() FROM generate_series({ROWS}, 1, -1) n;
    SET session_replication_role = DEFAULT;
    VACUUM ANALYZE;
"""  # fmt: skip
ENDING = [("subscriptions", text) for text in ("trial<1h", "grace<1h", "state:trial,grace", "state:trial trial<7d")]
SAID: dict[Kind, str] = {
    "text": ":nobody",
    "number": ">99999999",
    "milliseconds": ">99999ms",
    "share": ">99%",
    "age": ">3000d",
    "until": ">3000d",
    "flag": ":yes",
}
# Rows of jobs are few but for the dead, whose filters have indexes; more of them would slow every claim.
FEW = ("workers", "routes")
WITHOUT_INDEX = {("jobs", field.name) for field in JOBS.fields} | {("jobs", "")}


@pytest.fixture(scope="module")
def filled(postgres_server: Server, template_database: str) -> Iterator[Database]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        for statement in FILL.split(";\n"):
            owner.execute(statement.encode())
    yield database
    postgres_server.drop(database)


@pytest.fixture(scope="module")
def many(filled: Database) -> Iterator[tuple[psycopg.Connection, Home]]:
    with psycopg.connect(filled.login("viewer"), autocommit=True) as viewer:
        yield viewer, Home(filled.login("viewer"))


def filters() -> list[tuple[str, str]]:
    """(list, filter): one for each field, and each of its choices; a word that is nowhere; the dead jobs by text."""
    found = [(name, "zzqqxx") for name in LISTS] + [("jobs", "state:dead zzqqxx"), ("jobs", "state:dead kind:nothing")]
    for name, fields in LISTS.items():
        for field in fields:
            if field.kind == "choice":
                found += [(name, f"{field.name}:{choice}") for choice in field.choices]
            else:
                found.append((name, f"{field.name}{SAID[field.kind]}"))
    return [
        *found,
        ("keys", "left<-9999"),
        ("keys", "expires<1s"),
        ("keys", "scope:orders:write"),
        ("audit", "at<1m"),
        *ENDING,
    ]


@pytest.mark.parametrize(("name", "text"), filters())
async def test_no_filter_reads_a_whole_table(many: tuple[psycopg.Connection, Home], name: str, text: str) -> None:
    viewer, home = many
    listing: PagedList[Any] = list_named(name).of(home)
    terms = parse(text, LISTS[name])
    query = Query(terms, None, name in ("audit", "jobs"))
    plan = explained(viewer, *listing._statement(query, listing._order(query), None, False, False, 101))
    if (name, field_of(terms)) in WITHOUT_INDEX or round(plan["Actual Rows"]) == 101:
        return  # what many match is read in the list's order: test_query_plans.py
    scans = [node for node in nodes(plan, "Seq Scan") if node["Actual Loops"]]
    assert not [node["Relation Name"] for node in scans if node["Relation Name"] not in FEW], render(terms, LISTS[name])
    if round(plan["Actual Rows"]) == 0:
        assert touched(plan) <= 300, f"{text}: {touched(plan)} rows read to find none"


async def test_the_newest_of_a_rare_route_are_found_by_its_index(filled: Database) -> None:
    """Where hardly any row is of a route, walking all by their age would find its page last."""
    with psycopg.connect(filled.owner, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")  # the trail was filled without its counter
        owner.execute(
            "INSERT INTO wf.routes (name, channel, target) VALUES ('rare', 'drill', 'x'), ('none', 'drill', 'x')"
        )
        owner.execute(
            "UPDATE wf.deliveries SET route_id = (SELECT id FROM wf.routes WHERE name = 'rare') WHERE id IN (7, 9)"
        )
    home = Home(filled.login("viewer"))
    await home.open()
    try:
        listing: PagedList[Any] = list_named("deliveries").of(home)
        async with home.connection() as connection:
            for name, number in (("rare", 2), ("none", 0), ("nowhere", 0)):
                query = Query(parse(f"route:{name}", LISTS["deliveries"]), None, True)
                assert len((await listing.page(query)).rows) == number == (await listing.count(query)).number
                few = await listing._few(connection, query)
                statement = listing._statement(query, listing._order(query), None, False, True, 101, few)
                with psycopg.connect(filled.login("viewer"), autocommit=True) as viewer:
                    assert touched(explained(viewer, *statement)) <= 100
    finally:
        await home.close()


def field_of(terms: tuple[Term, ...]) -> str:
    return terms[0].field if len(terms) == 1 else "several"


@pytest.mark.parametrize("name", ["keys", "tenants"])
@pytest.mark.parametrize(
    ("role", "owner", "matching"),
    [
        ("viewer", "7@x.example", 0),
        ("viewer", "t•••@x.example", ROWS // 2),
        ("operator", "7@x.example", 1),
        ("operator", "7@x.example,9@x.example,nobody", 2),
        ("operator", "TEAM@x.example", ROWS // 2),
        ("operator", "t•••@x.example", 0),
    ],
)
async def test_an_owner_as_somebody_sees_it_is_found_by_an_index(
    filled: Database, name: str, role: str, owner: str, matching: int
) -> None:
    """Few are read by their owner; of many no more than are shown."""
    async with opened(filled.login(role)) as home:
        listing: PagedList[Any] = list_named(name).of(home)
        query = Query(parse(f"owner:{owner}", LISTS[name]), "created")
        assert (await listing.count(query)).number == matching
        statements = (
            listing._statement(query, listing._order(query), None, False, True, 101),
            listing._counting(query, 10),
        )
    with psycopg.connect(filled.login(role), autocommit=True) as person:
        for plan in (explained(person, *statement) for statement in statements):
            assert touched(plan) <= (1500 if matching > 101 else 20), f"{touched(plan)} rows read"


async def test_the_tenants_of_each_plan_are_counted_by_an_index(many: tuple[psycopg.Connection, Home]) -> None:
    """However many plans and tenants: a comparison under another collation than the index's would read all of them."""
    viewer, home = many
    query = Query()
    plan = explained(
        viewer,
        *home.of(Plans)._statement(query, home.of(Plans)._order(query), None, False, False, 3000),
    )
    assert "tenants" not in [node["Relation Name"] for node in nodes(plan, "Seq Scan")]
