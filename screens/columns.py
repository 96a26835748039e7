"""Declared columns as a table shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from controlplane.listing import Row
from controlplane.lists import Cell
from controlplane.lists import Column as Declared
from screens.session import Session
from screens.widgets.columns import Column

R = TypeVar("R", bound=Row)
NO_TIME = datetime.min.replace(tzinfo=UTC)
"""For a column that does not look at it: to ask the clock for every cell would be felt with every key."""


def table_columns(columns: Sequence[Declared[R]], session: Session) -> tuple[Column[R], ...]:
    """Declared columns as a table shows them: by the home's clock, times in the form that was chosen."""

    def made(column: Declared[R]) -> Column[R]:
        def shown_by_time(row: R) -> Cell:
            return column.shown(row, session.clock(), session.time_form)

        return Column(
            column.name,
            column.heading,
            column.cells(session.time_form),
            column.priority,
            shown_by_time if column.needs_time else lambda row: column.shown(row, NO_TIME, "age"),
            "right" if column.kind.right else "left",
            column.grow,
            column.attribute,
            column.said,
        )

    return tuple(made(column) for column in columns)
