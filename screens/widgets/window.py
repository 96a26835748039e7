"""The part of a long list that a table holds: rows read by key, a few screens around the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from controlplane.listing import Page, Position, Row

R = TypeVar("R", bound=Row)

LIMIT = 300
"""Rows held, unless one screen with its surroundings needs more."""
PAGE_ROWS = 100
"""Rows read at a time."""


@dataclass
class Window(Generic[R]):
    """Rows in display order. `first`/`last`: the list has none before / after them.

    `positions` go with the rows; a row that is gone has none. `skipped`: rows known to come before the window,
    None when it was not reached from the start. `gone`: keys of rows shown for the last time.
    """

    rows: list[R]
    positions: list[Position | None]
    first: bool
    last: bool
    skipped: int | None = None
    gone: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, page: Page[R]) -> Window[R]:
        skipped = 0 if page.first else None
        return cls(list(page.rows), list(page.positions), page.first, page.last, skipped)

    def __len__(self) -> int:
        return len(self.rows)

    def index(self, key: str) -> int | None:
        return next((place for place, row in enumerate(self.rows) if row.key == key), None)

    def head(self) -> Position | None:
        """Where the first row stands that is still there; None when there is none."""
        return next((position for position in self.positions if position is not None), None)

    def tail(self) -> Position | None:
        return next((position for position in reversed(self.positions) if position is not None), None)

    def append(self, page: Page[R], top: int) -> int:
        """Take the page that follows; how many rows before `top` (the first one in sight) were let go."""
        self._put(len(self), page)
        self.last = page.last
        spare = max(0, min(len(self) - LIMIT, top))
        if spare:
            self.rows[:spare], self.positions[:spare] = [], []
            self.first = False
            if self.skipped is not None:
                self.skipped += spare
        return spare

    def prepend(self, page: Page[R], bottom: int) -> int:
        """Take the page that comes before, let go of what is too much after `bottom`; how many rows were added."""
        added = self._put(0, page)
        self.first = page.first
        if self.skipped is not None:
            self.skipped = max(0, self.skipped - added)
        if self.first:
            self.skipped = 0
        end = max(LIMIT, bottom + added + 1)
        if len(self) > end:
            self.rows[end:], self.positions[end:] = [], []
            self.last = False
        return added

    def _put(self, place: int, page: Page[R]) -> int:
        """Insert the rows that are not held already (one may have moved between two reads)."""
        held = {row.key for row in self.rows}
        new = [(row, at) for row, at in zip(page.rows, page.positions, strict=True) if row.key not in held]
        self.rows[place:place] = [row for row, _ in new]
        self.positions[place:place] = [at for _, at in new]
        return len(new)


def merged(old: Window[R], fresh: Window[R], seen: range) -> Window[R]:
    """What a second reading of `old` shows: the fresh rows, and those of `seen` that went away, once more."""
    gone = _gone(old, fresh, seen)
    there = {row.key for row in fresh.rows}
    after: dict[str | None, list[R]] = {}
    before: str | None = None
    for row in old.rows:
        if row.key in gone:
            after.setdefault(before, []).append(row)
        elif row.key in there:
            before = row.key
    rows: list[R] = list(after.get(None, []))
    positions: list[Position | None] = [None] * len(rows)
    for row, position in zip(fresh.rows, fresh.positions, strict=True):
        lost = after.get(row.key, [])
        rows += [row, *lost]
        positions += [position, *[None] * len(lost)]
    return Window(rows, positions, fresh.first, fresh.last, 0 if fresh.first else old.skipped, gone)


def in_place(old: Window[R], fresh: Window[R], seen: range) -> Window[R]:
    """The fresh values in the old order: nothing moves while a person is about to act on it."""
    values = {row.key: row for row in fresh.rows}
    rows = [values.get(row.key, row) for row in old.rows]
    gone = (_gone(old, fresh, seen) | old.gone) - values.keys()
    return Window(rows, old.positions, old.first, old.last, old.skipped, gone)


def reordered(old: Window[R], fresh: Window[R]) -> bool:
    """Whether rows that are in both stand in another order."""
    ours, theirs = {row.key for row in old.rows}, {row.key for row in fresh.rows}
    before: Sequence[str] = [row.key for row in old.rows if row.key in theirs and row.key not in old.gone]
    kept = set(before)
    return before != [row.key for row in fresh.rows if row.key in ours and row.key in kept]


def followed(old: Window[R], new: Window[R], cursor: int, top: int) -> tuple[int, int]:
    """Where cursor and top are after a second reading: on the rows they were on, or on the nearest still there.

    At the start of the list the top stays there, so that new rows come into sight.
    """
    places = {row.key: place for place, row in enumerate(new.rows)}
    keys = [row.key for row in old.rows]
    ahead = next((key for key in [*keys[cursor:], *reversed(keys[:cursor])] if key in places), None)
    if top == 0 and old.first and new.first:
        return places.get(ahead or "", 0), 0
    for line, key in enumerate(keys[top:]):
        if key in places:
            return places.get(ahead or "", 0), max(0, places[key] - line)
    return places.get(ahead or "", 0), 0


def _gone(old: Window[R], fresh: Window[R], seen: range) -> set[str]:
    """Rows in sight that a second reading did not find, though it reached beyond their place.

    One that was shown as gone before is not shown again.
    """
    there = {row.key for row in fresh.rows}
    found = [place for place, row in enumerate(old.rows) if row.key in there]
    reached = range(
        0 if fresh.first or not found else found[0],
        len(old) if fresh.last or not found else found[-1],
    )
    return {
        old.rows[place].key
        for place in seen
        if place in reached and old.rows[place].key not in there and old.rows[place].key not in old.gone
    }
