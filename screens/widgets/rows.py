"""One line of a table: cursor, mark, cells, position. Here foreign text becomes display text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rich.style import Style

from controlplane.listing import Query, Row
from controlplane.text import cells, clean, fit
from screens.widgets.columns import COLUMN_GAP, Place
from screens.widgets.painted import Line, Piece

R = TypeVar("R", bound=Row)

LEFT_MARGIN = 3
"""Cells before the first column: the cursor, the mark, a blank."""
RIGHT_MARGIN = 2
"""Cells behind the last one: a blank, the position."""
BETWEEN = " " * COLUMN_GAP
GONE = "(gone)"
MARK, POSITION = "✓", "▐"


class RowLines(Generic[R]):
    """Draws lines of `width` cells in the columns of `places`. `look` gives the style of a component class."""

    def __init__(self, places: Sequence[Place[R]], width: int, look: Callable[[str], Style]) -> None:
        self._places = places
        self._width = width
        self._look = look

    def header(self, query: Query) -> Line:
        style = self._look("table--header")
        pieces = [(" " * LEFT_MARGIN, style)]
        for column, _, width in self._places:
            arrow = ("↓" if query.descending else "↑") if column.key == query.sort else ""
            title = fit(clean(column.title), min(width - len(arrow), cells(column.title))) + arrow
            pieces.append((fit(title, width, column.align), style))
            pieces.append((BETWEEN, style))
        return self._filled(pieces, style, False)

    def row(self, row: R, *, cursor: bool, marked: bool, gone: bool, thumb: bool) -> Line:
        """`thumb`: the position mark is on this line."""
        style = self._look("table--cursor" if cursor else "table--gone" if gone else "table--row")
        mark_style = style if cursor or not marked else self._look("table--mark")
        pieces = [("›" if cursor else " ", style), (MARK if marked else " ", mark_style), (" ", style)]
        plain = cursor or gone
        for column, _, width in self._places:
            cell = column.cell(row)
            look = self._look(f"table--tone-{cell.tone}") if cell.tone and not plain else style
            pieces.append((fit(clean(cell.text), width, column.align), look))
            pieces.append((BETWEEN, look))  # a blank in its neighbour's style: one run less
        return self._filled([*pieces[:5], (GONE, style)] if gone else pieces[:-1], style, thumb)

    def note(self, text: str) -> Line:
        style = self._look("table--note")
        return self._filled([(" " * LEFT_MARGIN, style), (clean(text), style)], style, False)

    def _filled(self, pieces: list[Piece], style: Style, thumb: bool) -> Line:
        """Exactly `width` cells, the last one for the position."""
        room = self._width - 1
        line: list[Piece] = []
        for text, look in pieces:
            shown = text if cells(text) <= room else text[:room] if text.isspace() else fit(text, room)
            line.append((shown, look))
            room -= cells(shown)
        line.append((" " * room, style))
        line.append((POSITION, self._look("table--position")) if thumb else (" ", style))
        return tuple(line)
