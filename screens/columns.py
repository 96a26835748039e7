"""Declared columns as a table shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from controlplane.listing import Row
from controlplane.lists import Column as Declared
from screens.session import Session
from screens.widgets.columns import Column

R = TypeVar("R", bound=Row)


def table_columns(columns: Sequence[Declared[R]], session: Session) -> tuple[Column[R], ...]:
    """Declared columns as a table shows them: by the home's clock, times in the form that was chosen."""

    def made(column: Declared[R]) -> Column[R]:
        return Column(
            column.name,
            column.heading,
            column.cells(session.time_form),
            column.priority,
            lambda row: column.shown(row, session.clock(), session.time_form),
            "right" if column.kind.right else "left",
            column.grow,
            column.attribute,
        )

    return tuple(made(column) for column in columns)
