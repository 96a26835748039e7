"""What a list can be sorted by: every order that it declares has an index; few rows are sorted by any column."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

import backends.postgres
from backends.postgres.home import Home
from backends.postgres.jobs import JobAttempts
from backends.postgres.keys import StaleKeys
from backends.postgres.paging import Order, PagedList
from backends.postgres.runs import RunItems
from controlplane.errors import Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.keys.list import KEYS
from controlplane.keys.model import KeyDirectory, StalePolicy
from controlplane.listing import Query, cursor, position_of
from tests.backends.runs import opened
from tests.postgres import Database, Server

ZERO = {"text": "", "bool": False, "timestamptz": "2026-11-30"}
"""A value of each type; 0 of any other."""


def paged_lists() -> Iterator[type[PagedList[Any]]]:
    for module in pkgutil.iter_modules(backends.postgres.__path__):
        importlib.import_module(f"backends.postgres.{module.name}")
    for each in PagedList.__subclasses__():
        if getattr(each, "shape", None) is not None:
            yield each


LISTS: dict[str, Callable[[Home], PagedList[Any]]] = {
    **{each.__name__: each for each in paged_lists()},
    "items": lambda home: RunItems(home, 1),
    "attempts": lambda home: JobAttempts(home, 1),
    "stale keys": lambda home: StaleKeys(home, StalePolicy()),
}
SORTED_ANEW = {"Plans", "Thresholds", "Rotations", "stale keys", "attempts", "RequestList"}
"""Those that are short whatever the fleet's size; and the requests, of which a page is read in spans of time."""


def statements(listing: PagedList[Any], name: str, order: Order) -> Iterator[tuple[sql.Composed, list[Any]]]:
    """From the start and from the middle, both ways, each part."""
    tie = order.tie if order.few else listing.shape.tie
    for descending in (False, True):
        query = Query(sort=name, descending=descending)
        for part in order.parts(descending):
            for start in (None, (ZERO.get(order.type, 0), *["0"] * len(tie))):
                for down in (False, True):
                    yield listing._statement(query, order, start, False, down, 10, part=part)


@pytest.fixture(scope="module")
def admin(postgres_server: Server, template_database: str) -> Iterator[psycopg.Connection]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.login("admin"), autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
        yield connection
    postgres_server.drop(database)


def plan(connection: psycopg.Connection, statement: sql.Composed, parameters: list[Any]) -> Any:
    row = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + statement, parameters).fetchone()
    assert row is not None
    return row[0][0]["Plan"]


def is_sorted_anew(plan: Any) -> bool:
    outer = [each for each in plan.get("Plans", ()) if each["Parent Relationship"] in ("Outer", "Subquery")]
    return plan["Node Type"].endswith("Sort") or any(map(is_sorted_anew, outer))


@pytest.mark.parametrize("name", LISTS)
def test_every_column_that_is_offered_can_be_sorted(admin: psycopg.Connection, name: str) -> None:
    listing = LISTS[name](Home(""))
    declared = listing.shape.declared
    assert {*declared.sorts, *declared.sorts_few} == {*listing.shape.orders}
    sorted_anew = []
    for each, order in listing.shape.orders.items():
        assert order.few == (each in declared.sorts_few)
        for statement, parameters in statements(listing, each, order):
            found = plan(admin, statement, parameters)
            if not order.few and name not in SORTED_ANEW and is_sorted_anew(found):
                sorted_anew.append(each)
    assert {*sorted_anew} == set()


async def read(listing: PagedList[Any], query: Query, *, backward: bool = False) -> list[str]:
    """All rows in display order, two at a time, each page from the cursor of the one before."""
    found: list[str] = []
    start = None
    while True:
        page = await listing.page(query, start=start, limit=2, backward=backward)
        keys = [row.key for row in page.rows]
        found = [*keys, *found] if backward else [*found, *keys]
        if page.first if backward else page.last:
            return found
        start = position_of(query, cursor(query, page.positions[0 if backward else -1]))


async def test_few_rows_are_sorted_by_any_column_and_more_are_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ["b", "", "A", "c", ""]
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")
        for n, label in enumerate(labels):
            owner.execute(
                "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, label) VALUES"
                " (%s, 'acme', 'live', %s, sha256(%s::bytea), %s)",
                [f"key_{n:026}", f"wf_live_{n}", str(n).encode(), label],
            )
    async with opened(database.login("viewer")) as home:
        keys = home.of(KeyDirectory)
        for descending, known in ((False, "A b c"), (True, "c b A")):
            query = Query(parse("tenant:acme", KEYS.fields), "label", descending)
            forward = await read(keys, query)
            said = [labels[int(key.removeprefix("key_"))] for key in forward]
            assert said == [*known.split(), "", ""]
            assert await read(keys, query, backward=True) == forward
        with pytest.raises(Usage, match="Owner cannot be sorted: it is masked"):
            await keys.page(Query(sort="owner"))
        monkeypatch.setattr("backends.postgres.paging.MAX_SORTED", 4)
        with pytest.raises(Refusal, match="filter them to sort by label") as refused:
            await keys.page(Query(sort="label"))
        assert refused.value.code == "too_many_to_sort" and "created, tenant" in refused.value.hint
        assert len((await keys.page(Query(parse("label:b", KEYS.fields), "label"))).rows) == 1
