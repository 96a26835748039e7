"""A page costs what it shows, wherever in the list it is: nothing sorts the table or reads through it.

What is asserted is the rows that PostgreSQL really touched, by its own account of the statements that the list runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backends.postgres.home import Home
from backends.postgres.paging import PagedList
from backends.postgres.tenants import MEASURED, Tenants
from benchmarks.estate import fill
from controlplane.filters.grammar import parse
from controlplane.listing import Position, Query
from controlplane.tenants.list import TENANTS
from controlplane.tenants.model import TenantDirectory
from tests.postgres import Server

TENANT_COUNT = 40_000
PAGE = 101
# The estate's tenants were made on each of the last 700 days, by the server's clock.
MIDDLE: dict[str, Position] = {
    "name": ("hooli 8", "tenant-0020000"),
    "id": ("tenant-0020000", "tenant-0020000"),
    "status": ("active", "tenant-0020000"),
    "plan": ("growth", "tenant-0020000"),
    "region": ("eu-west-1", "tenant-0020000"),
    "protected": (False, "tenant-0020000"),
    "changed": (f"{datetime.now(UTC) - timedelta(days=350):%Y-%m-%d}", "tenant-0020000"),
    "created": (f"{datetime.now(UTC) - timedelta(days=350):%Y-%m-%d}", "tenant-0020000"),
    "req": (1000.0, "tenant-0020000"),
    "err": (0.01, "tenant-0020000"),
    "p95": (400.0, "tenant-0020000"),
}
RARE = ["0012345", "zzzz", "id:tenant-0020000", "name:nobody", "plan:nothing", "err>90%", "req>9999999"]
WIDE = ["status:active", "plan:growth", "region:eu-west-1", "-plan:growth", "p95>100ms", "created>30d"]


@pytest.fixture(scope="module")
def many(postgres_server: Server, template_database: str) -> Iterator[tuple[psycopg.Connection, Home]]:
    """A viewer's connection to a home with many tenants, and that home (not opened)."""
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        fill(owner, 1, TENANT_COUNT)
    with psycopg.connect(database.login("viewer"), autocommit=True) as viewer:
        yield viewer, Home(database.login("viewer"))
    postgres_server.drop(database)


@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("order", TENANTS.sorts)
async def test_a_page_reads_what_it_shows(
    many: tuple[psycopg.Connection, Home], order: str, backward: bool, place: str
) -> None:
    start = MIDDLE[order] if place == "middle" else None
    plan = page_plan(many, "", order, backward, start)
    assert shown(plan) == PAGE
    assert not nodes(plan, "Sort")
    assert touched(plan) <= 3 * PAGE, plan


@pytest.mark.parametrize("part", ["known", "unknown"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("order", MEASURED)
async def test_a_page_of_what_is_known_or_not_reads_what_it_shows(
    many: tuple[psycopg.Connection, Home], order: str, backward: bool, part: Any
) -> None:
    """In ascending order these are two parts of the index, which begins with the unknown."""
    starts = {"known": MIDDLE[order], "unknown": (-1.0, "tenant-0020000")}
    for start in (None, starts[part]):
        plan = page_plan(many, "", order, backward, start, part)
        assert shown(plan) == PAGE and not nodes(plan, "Sort")
        assert touched(plan) <= 3 * PAGE, plan


async def test_the_unknown_is_last_in_both_directions(many: tuple[psycopg.Connection, Home]) -> None:
    home = Home(many[1].conninfo)
    await home.open()
    try:
        tenants: PagedList[Any] = home.of(TenantDirectory)
        few = parse("id:/^tenant-00000[12]/", TENANTS.fields)
        for descending in (False, True):
            query, read, start = Query(few, "p95", descending), [], None
            while start is None or read:
                page = await tenants.page(query, start=start, limit=7)
                read += [row.p95_ms for row in page.rows]
                if page.last:
                    break
                start = page.positions[-1]
            known = [value for value in read if value is not None]
            assert len(read) == 20 and known == sorted(known, reverse=descending)
            assert read[-2:] == [None, None] and len(known) == 18
            back, start = [], None
            while True:
                page = await tenants.page(query, start=start, backward=True, limit=7)
                back = [*[row.p95_ms for row in page.rows], *back]
                if page.first:
                    break
                start = page.positions[0]
            assert back == read
    finally:
        await home.close()


@pytest.mark.parametrize("order", ["name", "err"])
@pytest.mark.parametrize("filter", RARE)
async def test_what_few_match_is_found_by_its_own_index(
    many: tuple[psycopg.Connection, Home], filter: str, order: str
) -> None:
    plan = page_plan(many, filter, order, False, None)
    assert shown(plan) < PAGE
    assert not nodes(plan, "Seq Scan")
    assert touched(plan) <= 100, plan


@pytest.mark.parametrize("order", ["name", "id"])
@pytest.mark.parametrize("filter", WIDE)
async def test_what_many_match_is_read_in_order(many: tuple[psycopg.Connection, Home], filter: str, order: str) -> None:
    plan = page_plan(many, filter, order, False, None)
    assert shown(plan) == PAGE
    assert not nodes(plan, "Sort") and not nodes(plan, "Seq Scan")
    assert touched(plan) <= TENANT_COUNT / 10, plan


@pytest.mark.parametrize("filter", RARE)
async def test_counting_few_reads_few(many: tuple[psycopg.Connection, Home], filter: str) -> None:
    viewer, home = many
    plan = explained(viewer, *home.of(Tenants)._counting(Query(parse(filter, TENANTS.fields)), 10_000))
    assert touched(plan) <= 100, plan


def page_plan(
    many: tuple[psycopg.Connection, Home],
    filter: str,
    order: str,
    backward: bool,
    start: Position | None,
    part: Any = "",
) -> dict[str, Any]:
    viewer, home = many
    tenants: PagedList[Any] = home.of(TenantDirectory)
    query = Query(parse(filter, TENANTS.fields), order)
    return explained(viewer, *tenants._statement(query, tenants._order(query), start, False, backward, PAGE, part=part))


def explained(connection: psycopg.Connection, statement: sql.Composed, parameters: list[Any]) -> dict[str, Any]:
    """The plan that was carried out, with its numbers."""
    row = connection.execute(sql.SQL("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ") + statement, parameters).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def nodes(plan: dict[str, Any], kind: str = "") -> list[dict[str, Any]]:
    below = [found for child in plan.get("Plans", []) for found in nodes(child, kind)]
    return [plan, *below] if plan["Node Type"].endswith(kind) else below


def shown(plan: dict[str, Any]) -> int:
    return round(plan["Actual Rows"])


def touched(plan: dict[str, Any]) -> int:
    """Rows that were read from tables and indexes, also those that were thrown away."""
    scans = [node for node in nodes(plan) if "Scan" in node["Node Type"]]
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return round(sum((n["Actual Rows"] + sum(n.get(r, 0) for r in removed)) * n["Actual Loops"] for n in scans))
