"""The tail of requests holds the newest, counts what it lets go, and says what is no longer kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.filters.grammar import Term, parse
from controlplane.listing import Query
from controlplane.requests.list import REQUESTS
from controlplane.requests.model import Fresh, RequestDirectory, StoredRequest, bounds, time_of
from controlplane.requests.tail import Tail
from controlplane.requests.words import kept_words, view_from
from controlplane.telemetry.chartviews import parse_view

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def request(second: int, place: int = 1) -> StoredRequest:
    at = NOW + timedelta(seconds=second)
    id = f"{int(at.timestamp()) * 1_000_000}-0-{place}"
    return StoredRequest(id, at, "acme", "/v1/orders", "GET", 200, 12.5, *[None] * 7)


class Directory(RequestDirectory):
    """Answers what it was given, and notes the marks that it was asked from."""

    def __init__(self, *answers: Fresh) -> None:
        self.answers, self.asked = list(answers), [""]

    async def newest(self, terms: Sequence[Term], limit: int) -> Fresh:
        return self.answers.pop(0)

    async def after(self, mark: str, terms: Sequence[Term], limit: int) -> Fresh:
        self.asked.append(mark)
        return self.answers.pop(0)

    async def page(self, *_: Any, **__: Any) -> Any: ...
    async def count(self, *_: Any, **__: Any) -> Any: ...
    async def get(self, *_: Any) -> Any: ...
    async def values(self, *_: Any) -> list[tuple[str, int]] | None:
        return None

    async def kept_from(self) -> None: ...


def fresh(mark: str, *rows: StoredRequest, found: int | None = None) -> Fresh:
    return Fresh(rows, mark, len(rows) if found is None else found, NOW)


def test_the_newest_are_held_and_the_others_counted() -> None:
    directory = Directory(
        fresh("a", request(1), request(2)),
        fresh("b", request(4)),
        fresh("c", request(3), found=8),  # it comes late, and seven older ones came with it
    )
    tail = Tail(directory, most=3)

    async def read() -> list[list[int]]:
        seen = []
        for again in (False, True, True):
            if again:
                await tail.read_on()
            page = await tail.page(Query(sort="at", descending=True), limit=10)
            seen.append([row.at.second for row in page.rows])
        return seen

    assert asyncio.run(read()) == [[2, 1], [4, 2, 1], [4, 3, 2]]
    assert directory.asked == ["", "a", "b"] and tail.mark == "c"
    assert tail.words == "3 newest, 8 older left out"


def test_a_table_and_a_count_that_ask_together_begin_it_once() -> None:
    tail = Tail(Directory(fresh("a", request(1))))

    async def both() -> None:
        await asyncio.gather(tail.page(Query(sort="at")), tail.count(Query()))

    asyncio.run(both())
    assert len(tail.held) == 1


def test_the_time_of_a_filter_bounds_what_is_read() -> None:
    def of(text: str) -> list[str]:
        return [f"{each:%d %H:%M}" if each else "" for each in bounds(parse(text, REQUESTS.fields), NOW)]

    assert of("at<1h") == ["30 11:00", ""]
    assert of("at>2026-11-29 -at>2026-11-30T10:00 status:500") == ["29 00:00", "30 10:00"]
    assert of("-at<2026-11-30T10:00Z at>2h") == ["30 10:00", "30 10:00"]
    assert of("acme") == ["", ""]


def test_an_id_names_its_time() -> None:
    assert time_of(request(5).id) == NOW + timedelta(seconds=5)
    assert time_of("x-1-1") is None and time_of("9" * 30) is None and time_of("") is None


def test_what_is_no_longer_kept_is_said_only_when_it_is_asked_for() -> None:
    day = NOW - timedelta(days=14)
    assert kept_words(day - timedelta(hours=1), day).startswith("Single requests before 2026-11-16 12:00 UTC are no")
    assert kept_words(day, day) == kept_words(None, day) == kept_words(day, None) == ""


def test_a_chart_leads_to_the_requests_from_its_cursor_on() -> None:
    view = view_from(parse_view("tenant:acme route:/v1/orders at:2026-11-30T10:00 window:6h"))
    assert view.filter == 'tenant:acme route:"/v1/orders" -at<2026-11-30T10:00:00+00:00' and view.sort == "at"
    terms = parse(view.filter, REQUESTS.fields)
    assert bounds(terms, NOW) == (datetime(2026, 11, 30, 10, tzinfo=UTC), None)
    assert view_from(parse_view("tenant:a,b")).filter == "tenant:a,b"
    assert view_from(parse_view("")).record() == {"noun": "requests", "path": "requests", "sort": "-at"}


async def test_the_values_of_a_field_are_those_of_the_newest_else_of_all_that_are_kept() -> None:
    tail, route = Tail(Directory(fresh("a", request(1), request(2)))), REQUESTS.column("route")
    assert await tail.values(route, ()) is None, "nothing was read yet, and all that are kept took too long"
    await tail.page(Query())
    assert await tail.values(route, ()) == [("/v1/orders", 2)]
    assert await tail.values(route, parse("tenant:zed", REQUESTS.fields)) is None
