"""The orders of lists: the sensible direction first, and what is not known last in both."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.listing import Query, cursor, position_of
from controlplane.lists import COUNT, TEXT, TIME, Column, ListOf, Row
from controlplane.memorylist import MemoryList
from controlplane.nouns import NOUNS, load

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Thing:
    id: str
    size: Any = None

    @property
    def key(self) -> str:
        return self.id


THINGS: ListOf[Thing] = ListOf(
    "things",
    Thing,
    of=lambda plane: None,  # type: ignore[arg-type, return-value]
    columns=(
        Column("id", TEXT, priority=1),
        Column("size", COUNT, priority=1),
        Column("words", TEXT, priority=1, filters=False),
    ),
    means="",
    nothing="",
    order="id",
    few=True,
)


class Things(MemoryList[Thing]):
    declared = THINGS

    def __init__(self, sizes: list[Any]) -> None:
        self.all = [Thing(f"{n:03}", size) for n, size in enumerate(sizes)]

    async def rows(self) -> tuple[list[Thing], datetime]:
        return self.all, NOW


@given(st.lists(st.none() | st.integers(-3, 3), max_size=12), st.booleans(), st.integers(1, 5))
async def test_what_is_not_known_is_last_in_both_directions(sizes: list[Any], descending: bool, limit: int) -> None:
    things, query = Things(sizes), Query((), "size", descending)
    read: list[Any] = []
    start = None
    while True:
        page = await things.page(query, start=start, limit=limit)
        read += [row.size for row in page.rows]
        if page.last:
            break
        start = position_of(query, cursor(query, page.positions[-1]))
    known = sorted((size for size in sizes if size is not None), reverse=descending)
    assert read == [*known, *[None] * sizes.count(None)]
    back = await things.page(query, backward=True, limit=100)
    assert [row.size for row in back.rows] == read


@pytest.mark.parametrize(
    "values",
    [
        ["a", None, "b"],
        [NOW, None, NOW + timedelta(1)],
        [timedelta(1), None, timedelta(2)],
        [Decimal("0.1"), None, Decimal(3)],
        [("a", "b"), None, ("c",)],
        [False, None, True],
    ],
)
async def test_values_of_every_type_have_an_order_that_a_cursor_holds(values: list[Any]) -> None:
    for descending in (False, True):
        query = Query((), "size", descending)
        page = await Things(values).page(query)
        known = [values[2], values[0]] if descending else [values[0], values[2]]
        assert [row.size for row in page.rows] == [*known, None]
        assert position_of(query, cursor(query, page.positions[0])) == page.positions[0]


async def test_a_list_without_an_order_of_its_own_is_as_it_is_read_until_it_is_sorted() -> None:
    class Read(Things):
        declared = dataclasses.replace(THINGS, order="")

    things = Read([2, None, 1])
    assert Read.declared.sorts == ("id", "size") and Read.declared.order_of("") == ("", False)
    assert [row.size for row in (await things.page(Query())).rows] == [2, None, 1]
    assert [row.size for row in (await things.page(Query((), "size"))).rows] == [1, 2, None]


def test_of_few_rows_every_column_with_a_value_sorts() -> None:
    assert THINGS.sorts == ("id", "size")
    declared: list[ListOf[Row]] = [load(noun.list) for noun in NOUNS if noun.list]
    few = [each for each in declared if each.few]
    assert len(few) >= 10
    for each in few:
        with_words_only = {column.name for column in each.table} - {*each.sorts}
        assert all(each.column(name).cell for name in with_words_only), each.noun


def test_the_sensible_direction_comes_first() -> None:
    columns = (Column("id", TEXT, priority=1), Column("size", COUNT, priority=1), Column("left", COUNT, priority=1),
               Column("at", TIME, priority=1))  # fmt: skip
    things: ListOf[Thing] = ListOf("things", Thing, of=THINGS.of, columns=columns, means="", nothing="", order="left")
    assert [things.begins_descending(name) for name in ("id", "size", "left", "at")] == [False, True, False, False]
    largest = ListOf("things", Thing, of=THINGS.of, columns=columns, means="", nothing="", order="-at")
    assert largest.begins_descending("at")


def test_a_column_that_cannot_be_sorted_says_why_and_what_to_do() -> None:
    tenants, trail = (load(noun.list) for noun in NOUNS if noun.name in ("tenants", "audit"))
    with pytest.raises(Usage, match="Owner cannot be sorted: it is masked") as masked:
        tenants.order_of("-owner")
    assert masked.value.hint == "Filter with owner:…"
    made = trail.cannot_sort("changed")
    assert made.message == "Changed cannot be sorted: it is made from several values."
    assert made.hint.startswith("Sort by: at, ")
    many = trail.too_many_to_sort("reason")
    assert many.message == "More than 10,000 audit rows match: filter them to sort by reason."
    assert many.hint == "Or sort by: at, actor, operation, thing, seq."
    assert tenants.begins_descending("protected"), "yes comes first"
