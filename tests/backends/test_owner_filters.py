"""Owners are filtered by what the login sees of them: whoever sees a mask finds by the mask, and by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from backends.postgres.paging import PagedList
from controlplane.filters.grammar import Field, matches, parse
from controlplane.keys.list import KEYS
from controlplane.listing import Query
from controlplane.nouns import NOUNS, list_named
from controlplane.tenants.list import TENANTS
from tests.backends.runs import opened
from tests.postgres import Database

OWNERS = [
    "ana@x.example", "Ana@X.example", "albert@x.example", "bob@x.example", "bob@y.example", "a•••@x.example", "no sign",
    "@x.example", "Ämil@x.example", "A\u0308mil@x.example", "a@b@x.example", None,
]  # fmt: skip
FILL = """
    INSERT INTO wf.tenants (id, name, owner_email) SELECT 't' || n, 'Tenant ' || n, owner
      FROM unnest(%(owners)s::text[]) WITH ORDINALITY AS o(owner, n);
    INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, owner_email)
      SELECT 'key_' || lpad(n::text, 26, '0'), 't1', 'live', 'wf_live_' || n, sha256(n::text::bytea), owner
      FROM unnest(%(owners)s::text[]) WITH ORDINALITY AS o(owner, n)
"""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILTERS = [
    "owner:ana@x.example", "owner:ANA@x.example,bob@y.example,nobody", "-owner:ana@x.example", "owner:a•••@x.example",
    "owner:A•••@X.example,b•••@x.example", "-owner:a•••@x.example", "owner:ä•••@x.example", "owner:ämil@x.example",
    "owner:•••", 'owner:"no sign"', 'owner:""', "owner:@x.example", "owner:/^an/", "-owner:/x.example$/", "owner:/•/",
    "owner:ana@x.example owner:bob@x.example", "owner:ana@x.example -owner:ana@x.example", "owner:bob@x.example 4",
    "owner:b•••@x.example 4", "-owner:a•••@x.example -owner:nobody",
]  # fmt: skip
LISTS: dict[str, tuple[tuple[Field, ...], tuple[str, ...]]] = {
    "tenants": (TENANTS.fields, ("name", "id", "req")),
    "keys": (KEYS.fields, ("created", "id")),
}


async def pages(listing: PagedList[Any], query: Query) -> list[str]:
    """The ids, read two at a time."""
    found, start = [], None
    while True:
        page = await listing.page(query, start=start, limit=2)
        found += [row.id for row in page.rows]
        if page.last:
            return found
        start = page.positions[-1]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("role", ["viewer", "support", "operator", "admin"])
async def test_an_owner_is_filtered_as_it_is_seen(database: Database, role: str, name: str) -> None:
    fields, sorts = LISTS[name]
    with psycopg.connect(database.owner) as owner:
        psycopg.ClientCursor(owner).execute(FILL, {"owners": OWNERS})
    async with opened(database.login(role)) as home:
        listing: PagedList[Any] = list_named(name).of(home)
        rows = (await listing.page(Query(), limit=100)).rows
        shown = {row.owner_email for row in rows}
        assert len(shown) > 5 and (shown == set(OWNERS)) is (role in ("operator", "admin"))
        for text in FILTERS:
            terms = parse(text, fields)
            wanted = {row.id for row in rows if matches(terms, {"owner": row.owner_email, "": [row.id]}, NOW)}
            for sort in sorts:
                for descending in (False, True):
                    found = await pages(listing, Query(terms, sort, descending))
                    assert len(found) == len(wanted) and set(found) == wanted, f"{text} by {sort}"
            assert (await listing.count(Query(terms))).number == len(wanted), text


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_the_values_of_a_field_are_those_that_the_login_sees(database: Database, role: str) -> None:
    with psycopg.connect(database.owner) as owner:
        psycopg.ClientCursor(owner).execute(FILL, {"owners": ["ana@x.example", "ana@x.example", "bob@y.example", None]})
    async with opened(database.login(role)) as home:
        for listing in (list_named("tenants"), list_named("keys")):
            values = await listing.of(home).values(listing.column("owner"), ())
            masked = [("a•••@x.example", 2), ("b•••@y.example", 1)]
            assert values == (masked if role == "viewer" else [("ana@x.example", 2), ("bob@y.example", 1)])
        tenants = list_named("tenants")
        narrowed = await tenants.of(home).values(tenants.column("id"), parse("id:t1,t2", tenants.fields))
        assert narrowed == [("t1", 1), ("t2", 1)]


async def test_every_list_says_the_values_of_its_fields_of_text(database: Database) -> None:
    async with opened(database.login("admin")) as home:
        for noun in NOUNS:
            if noun.list:
                listing = list_named(noun.name)
                for field in listing.fields:
                    if field.kind == "text":
                        assert isinstance(await listing.of(home).values(listing.column(field.name), ()), list), field


async def test_values_that_take_too_long_are_none(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.postgres.paging.SECONDS", 0.05)
    projects = list_named("projects")
    with psycopg.connect(database.owner) as owner:
        owner.execute("LOCK TABLE wf.projects")
        async with opened(database.login("viewer")) as home:
            assert await projects.of(home).values(projects.column("name"), ()) is None
