"""Which columns are shown where: never off the edge, the first one always there."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from screens.widgets.columns import COLUMN_GAP, Cell, Column, furthest, layout


def column(number: int, width: int, priority: int, grow: bool = False) -> Column[object]:  # type: ignore[type-var]
    return Column(f"c{number}", f"C{number}", width, priority, lambda row: Cell(""), grow=grow)


specs = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 5), st.booleans()), min_size=1, max_size=9)
tables = specs.map(lambda items: [column(number, *item) for number, item in enumerate(items)])


@given(tables, st.integers(1, 200), st.integers(0, 9))
def test_never_off_the_edge_and_the_first_column_is_always_there(columns, width, offset):
    places = layout(columns, width, offset)
    assert places[0].column is columns[0]
    assert places[0].x == 0
    assert places[-1].x + places[-1].width <= width
    assert all(after.x == place.x + place.width + COLUMN_GAP for place, after in pairwise(places))
    order = [columns.index(place.column) for place in places]
    assert order == sorted(order)


@given(tables, st.integers(1, 200), st.integers(0, 9))
def test_a_wider_screen_never_loses_a_column(columns, width, offset):
    narrow = {place.column.key for place in layout(columns, width, offset)}
    assert narrow <= {place.column.key for place in layout(columns, width + 1, offset)}


@given(tables, st.integers(1, 200))
def test_columns_go_by_priority_and_are_never_narrower_than_their_least_width(columns, width):
    places = layout(columns, width)
    shown = {place.column.key for place in places}
    kept = [c.priority for c in columns[1:] if c.key in shown]
    gone = [c.priority for c in columns[1:] if c.key not in shown]
    assert max(kept, default=0) <= min(gone, default=9)
    assert len(places) == 1 or all(place.width >= place.column.width for place in places)


@given(tables, st.integers(1, 200))
def test_what_is_left_goes_to_the_columns_that_grow(columns, width):
    places = layout(columns, width)
    if any(place.column.grow for place in places) or places[0].width < places[0].column.width:
        assert places[-1].x + places[-1].width == width
    else:
        assert all(place.width == place.column.width for place in places)


@given(tables, st.integers(1, 200))
def test_every_column_comes_into_sight_when_scrolled_sideways(columns, width):
    seen = set()
    for offset in range(furthest(columns, width) + 1):
        seen |= {place.column.key for place in layout(columns, width, offset)}
    if columns[0].width + COLUMN_GAP + max(c.width for c in columns[1:] or columns) <= width:
        assert seen == {c.key for c in columns}


def test_no_room_and_no_columns_show_nothing():
    assert layout([], 80) == []
    assert layout([column(0, 5, 1)], 0) == []
    assert furthest([column(0, 5, 1)], 3) == 0
