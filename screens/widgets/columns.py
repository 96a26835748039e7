"""Which columns of a table are shown, and where: the same answer for the screen, for plain text and for exports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from controlplane.listing import Row
from controlplane.lists import Cell

R = TypeVar("R", bound=Row)

COLUMN_GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True)
class Column(Generic[R]):
    """`width` is the least, in cells. `priority` 1 is kept longest. `grow` takes a share of what is left."""

    key: str
    title: str
    width: int
    priority: int
    cell: Callable[[R], Cell]
    align: Literal["left", "right"] = "left"
    grow: bool = False
    field: str = ""
    """The field of a row's record that it shows; "" when it is called like the column."""
    said: Callable[[R], str] | None = None
    """What a screen reader reads of a row, where that is not the cell's text."""

    @property
    def name(self) -> str:
        return self.field or self.key


class Place(NamedTuple, Generic[R]):
    """Where a column stands: `x` and `width` in cells."""

    column: Column[R]
    x: int
    width: int


def layout(columns: Sequence[Column[R]], width: int, offset: int = 0) -> list[Place[R]]:
    """Place columns in `width` cells, in their order; the first one always stays, cut when it must be.

    At rest (`offset` 0) those of the lowest priority go first. Scrolled sideways, the column number `offset`
    stands beside the first one and those behind it follow as far as they fit, so that each can be reached.
    """
    if not columns or width <= 0:
        return []
    first, *others = columns
    if first.width >= width:
        return [Place(first, 0, width)]
    wanted = others[offset - 1 :] if offset else sorted(others, key=lambda column: column.priority)
    shown = {first.key}
    spare = width - first.width
    for column in wanted:
        if spare < COLUMN_GAP + column.width:
            break  # not the next smaller one: a wider screen must never lose a column
        spare -= COLUMN_GAP + column.width
        shown.add(column.key)
    return _placed([column for column in columns if column.key in shown], spare)


def furthest(columns: Sequence[Column[R]], width: int) -> int:
    """The largest useful `offset`: from there on the last column is in sight. 0: there is nothing to scroll."""
    if len(layout(columns, width)) == len(columns):
        return 0
    for offset in range(1, len(columns)):
        if layout(columns, width, offset)[-1].column is columns[-1]:
            return offset
    return 0


def _placed(columns: Sequence[Column[R]], spare: int) -> list[Place[R]]:
    growing = [column.key for column in columns if column.grow]
    places: list[Place[R]] = []
    x = 0
    for column in columns:
        share = 0
        if column.grow:
            share = -(-spare // len(growing))  # the first ones take the odd cells
            growing.pop()
            spare -= share
        places.append(Place(column, x, column.width + share))
        x += column.width + share + COLUMN_GAP
    return places
