"""The rows held: what a second reading makes of them, and how the window slides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from controlplane.listing import Page
from screens.widgets.window import LIMIT, PAGE_ROWS, Window, followed, in_place, merged, reordered

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Thing:
    key: str
    value: int = 0


def page(numbers, *, first=False, last=False, value=0):
    rows = tuple(Thing(str(n), value) for n in numbers)
    return Page(rows, tuple((n,) for n in numbers), first, last, NOW)


keys = st.lists(st.integers(0, 30), unique=True, max_size=25)
readings = st.tuples(keys, keys, st.booleans(), st.booleans(), st.integers(0, 20), st.integers(1, 10)).map(
    lambda given: (
        Window.of(page(given[0], first=given[2], last=given[3])),
        Window.of(page(given[1], first=given[2], last=given[3], value=1)),
        range(min(given[4], len(given[0])), min(given[4] + given[5], len(given[0]))),
    )
)


@given(readings)
def test_a_second_reading_shows_what_is_there_and_once_what_went_away(reading):
    old, fresh, sight = reading
    new = merged(old, fresh, sight)
    assert [row for row in new.rows if row.key not in new.gone] == fresh.rows
    assert new.gone <= {old.rows[place].key for place in sight} - {row.key for row in fresh.rows}
    assert len({row.key for row in new.rows}) == len(new.rows) == len(new.positions)
    assert (new.head(), new.tail()) == (fresh.head(), fresh.tail())
    again = merged(new, fresh, range(len(new)))
    assert again.rows == fresh.rows and not again.gone


@given(readings)
def test_a_row_in_sight_that_is_missing_from_a_whole_list_is_gone(reading):
    old, fresh, sight = reading
    fresh.first = fresh.last = True
    there = {row.key for row in fresh.rows}
    assert merged(old, fresh, sight).gone == {old.rows[place].key for place in sight} - there


def test_rows_that_were_pushed_out_of_reach_are_not_gone():
    old, fresh = Window.of(page(range(10), first=True)), Window.of(page([-2, -1, *range(8)], first=True))
    assert merged(old, fresh, range(10)).gone == set()


@given(readings)
def test_held_in_place_nothing_moves_and_values_are_fresh(reading):
    old, fresh, sight = reading
    new = in_place(old, fresh, sight)
    assert [row.key for row in new.rows] == [row.key for row in old.rows]
    there = {row.key for row in fresh.rows}
    assert all(row.value == (1 if row.key in there else 0) for row in new.rows)


@given(readings, st.integers(0, 24))
def test_the_cursor_follows_its_row(reading, cursor):
    old, fresh, sight = reading
    if not old.rows or not sight:
        return
    cursor = min(max(cursor, sight.start), sight.stop - 1)
    new = merged(old, fresh, sight)
    place, top = followed(old, new, cursor, sight.start)
    if new.index(old.rows[cursor].key) is not None:
        assert new.rows[place].key == old.rows[cursor].key
    assert 0 <= place < max(1, len(new)) and top >= 0


@given(keys, st.data())
def test_reordered_is_about_rows_in_both(numbers, data):
    old = Window.of(page(numbers))
    kept = [n for n in numbers if data.draw(st.booleans())]
    assert not reordered(old, Window.of(page([*kept, 99])))
    if len(kept) > 1:
        assert reordered(old, Window.of(page(kept[::-1])))


@given(st.integers(1, 60), st.lists(st.booleans(), max_size=12))
def test_sliding_leaves_no_hole_and_never_drops_what_is_in_sight(room, turns):
    first = 12 * PAGE_ROWS  # as many pages as turns: none is before the first row of all
    window = Window.of(page(range(first, first + PAGE_ROWS)))
    window.skipped = first
    top = 0
    for forward in turns:
        if forward:
            top = len(window) - room
            seen = window.rows[top : top + room]
            end = int(window.rows[-1].key)
            top -= window.append(page(range(end + 1, end + 1 + PAGE_ROWS)), top)
        else:
            top = 0
            seen = window.rows[:room]
            begin = int(window.rows[0].key)
            top += window.prepend(page(range(begin - PAGE_ROWS, begin)), room - 1)
        assert window.rows[top : top + room] == seen
        numbers = [int(row.key) for row in window.rows]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert window.skipped == numbers[0]
        assert len(window) <= LIMIT


def test_a_row_that_moved_between_two_reads_is_held_once():
    window = Window.of(page([1, 2, 3]))
    window.append(page([2, 4, 5], last=True), 0)
    assert [row.key for row in window.rows] == ["1", "2", "3", "4", "5"] and window.last
    assert window.prepend(page([0, 5], first=True), 2) == 1
    assert window.first and window.skipped == 0 and window.rows[0].key == "0"
