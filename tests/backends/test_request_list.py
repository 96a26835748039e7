"""Single requests: pages by time, and following by snapshots, in which nothing is skipped and nothing comes twice."""

from __future__ import annotations

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.request_list import RequestList
from controlplane.errors import NotFound, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.requests.list import REQUESTS
from controlplane.requests.model import RequestDirectory, StoredRequest
from tests.postgres import Database

SEND = """
INSERT INTO wf.requests (tenant_id, route, method, status, at, address, key_id)
SELECT tenant, '/v1/' || tenant, 'GET', status, now() - ago, '203.0.113.7', 'k-' || tenant
FROM unnest(%s::text[], %s::int[], %s::interval[]) AS t(tenant, status, ago)
"""


def send(connection: psycopg.Connection, *requests: tuple[str, int, str]) -> None:
    connection.execute(SEND, [list(column) for column in zip(*requests, strict=True)])


async def opened(database: Database, role: str = "support") -> Home:
    home = Home(database.login(role))
    await home.open()
    return home


def terms(text: str):  # type: ignore[no-untyped-def]
    return parse(text, REQUESTS.fields)


async def test_each_request_is_followed_once_whenever_its_transaction_ends(database: Database) -> None:
    home = await opened(database)
    with psycopg.connect(database.owner) as slow, psycopg.connect(database.owner, autocommit=True) as quick:
        try:
            directory = home.of(RequestDirectory)
            send(quick, ("a", 200, "1 min"), ("a", 500, "3 min"))
            send(slow, ("late", 200, "2 min"))  # it began before what follows, and is committed after it
            first = await directory.newest((), 10)
            assert [row.status for row in first.rows] == [500, 200]
            send(quick, ("b", 200, "0"), ("b", 404, "0"), ("b", 503, "0"))
            second = await directory.after(first.mark, (), 2)
            assert (second.found, [row.tenant_id for row in second.rows]) == (3, ["b", "b"])
            slow.commit()
            third = await directory.after(second.mark, (), 10)
            assert [row.tenant_id for row in third.rows] == ["late"]
            assert (await directory.after(third.mark, (), 10)).rows == []
            send(quick, ("a", 500, "0"), ("b", 500, "0"), ("b", 200, "0"))
            last = await directory.after(third.mark, terms("tenant:b status>499"), 10)
            assert [(row.tenant_id, row.status) for row in last.rows] == [("b", 500)] and last.found == 1
        finally:
            await home.close()


async def test_pages_in_both_orders_find_all_whatever_their_time(database: Database) -> None:
    minutes = [0, 1, 2, 4, 6, 40, 41, 300, 5000, 20_000, 600_000]
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("SELECT wf.ensure_request_days(current_date - 4, current_date)")
        send(owner, *(("a", 200, f"{number} min") for number in minutes))
    home = await opened(database, "viewer")
    try:
        directory = home.of(RequestDirectory)

        async def walk(*, down: bool, backward: bool = False, filter: str = "") -> list[str]:
            query = Query(terms(filter), "at", down)
            found: list[str] = []
            start = None
            while True:
                page = await directory.page(query, start=start, backward=backward, limit=3)
                ids = [row.id for row in page.rows]
                found = [*ids, *found] if backward else [*found, *ids]
                if page.first if backward else page.last:
                    return found
                start = page.positions[0 if backward else -1]

        newest = await walk(down=True)
        assert len(newest) == len(set(newest)) == len(minutes)
        assert await walk(down=False) == newest[::-1]
        assert await walk(down=True, backward=True) == newest
        assert await walk(down=False, backward=True) == newest[::-1]
        assert await walk(down=True, filter="at<3m") == newest[:3]
        assert await walk(down=False, filter="at>3m at<1h") == newest[3:7][::-1]
        assert (await directory.count(Query())).number == len(minutes)
        assert (await directory.count(Query(terms("at>1h")))).number == 4
        assert (await directory.count(Query(), cap=3)).capped

        one = (await directory.page(Query(sort="at"), limit=1)).rows[0]
        assert await directory.get(one.id) == one
        for wrong in ("x", "1-1-1", one.id + "0"):
            with pytest.raises(NotFound, match="no_request"):
                await directory.get(wrong)
        assert await directory.kept_from() is None
    finally:
        await home.close()


async def test_an_address_is_masked_below_support_also_in_a_filter(database: Database) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        send(owner, ("a", 200, "1 min"))
    seen: dict[str, tuple[list[str | None], int]] = {}
    for role in ("viewer", "support"):
        home = await opened(database, role)
        try:
            directory = home.of(RequestDirectory)
            rows: list[StoredRequest] = list((await directory.newest((), 5)).rows)
            found = await directory.count(Query(terms("address:203.0.113.7")))
            seen[role] = [row.address for row in rows], found.number
        finally:
            await home.close()
    assert seen == {"viewer": (["•••"], 0), "support": (["203.0.113.7"], 1)}


def test_following_and_a_page_read_by_block_ranges_and_a_tenant_by_its_index(database: Database) -> None:
    """With many rows, each statement looks at a few blocks."""
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("SELECT wf.ensure_request_days(current_date - 1, current_date)")
        owner.execute(
            "INSERT INTO wf.requests (tenant_id, route, method, status, at)"
            " SELECT 't' || i % 500, '/v1', 'GET', 200, current_date - 1 + i * interval '1 second'"
            " FROM generate_series(1, 60000) i"
        )
        (mark,) = owner.execute("SELECT txid_current_snapshot()::text").fetchone() or ("",)
        owner.execute(
            "INSERT INTO wf.requests (tenant_id, route, method, status, at)"
            " VALUES ('new', '/', 'GET', 200, current_date - 1)"
        )
        owner.execute("VACUUM ANALYZE wf.requests")
        from backends.postgres.request_list import NEW

        new = NEW.format(columns="id, at", condition="TRUE")
        plan = "\n".join(
            line for (line,) in owner.execute("EXPLAIN " + new, [int(mark.split(":")[0]), mark, 100]).fetchall()
        )
        assert "_xid_idx" in plan, plan
        page = (
            "EXPLAIN SELECT id, at FROM wf.request_list WHERE at >= current_date - 1 + interval '9 hours'"
            " AND at < current_date - 1 + interval '545 minutes'"
            " ORDER BY at DESC, id DESC LIMIT 100"
        )
        plan = "\n".join(line for (line,) in owner.execute(page).fetchall())
        assert "_at_idx" in plan, plan
        own = RequestList.shape.filters["tenant"]
        assert own.kind == "choice", "compared as it is written, by the table's index"
        of = "EXPLAIN SELECT id FROM wf.request_list WHERE tenant_id = 't7' ORDER BY at DESC, id DESC LIMIT 100"
        plan = "\n".join(line for (line,) in owner.execute(of).fetchall())
        assert "_tenant_id_route_at_idx" in plan, plan


async def test_few_requests_are_sorted_by_any_column(database: Database) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        send(owner, ("a", 200, "1 min"), ("a", 503, "3 min"), ("b", 404, "2 min"), ("c", 500, "40 min"))
    home = await opened(database, "viewer")
    try:
        directory, query = home.of(RequestDirectory), Query(terms("at<30s ago"), "status", True)
        assert [row.status for row in (await directory.page(query)).rows] == [503, 500, 404, 200]
        with pytest.raises(Usage, match="Address cannot be sorted: it is masked"):
            await directory.page(Query(sort="address"))
    finally:
        await home.close()
