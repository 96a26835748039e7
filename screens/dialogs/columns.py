"""`C`: which columns a list shows, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from controlplane.lists import Column, Line
from screens.dialogs.dialog import Dialog, text
from screens.session import Session
from screens.widgets.lines import Lines

Chosen = tuple[str, ...]


class ColumnChooser(Dialog[Chosen | None]):
    """Answers with the names of the columns in their order; with none for those that the list has by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "choose(1)", show=False, id="columns.down", priority=True),
        Binding("up,k", "choose(-1)", show=False, id="columns.up", priority=True),
        Binding("space", "show_or_hide", show=False, id="columns.toggle"),
        Binding("J,shift+down", "move(1)", show=False, id="columns.later", priority=True),
        Binding("K,shift+up", "move(-1)", show=False, id="columns.earlier", priority=True),
        Binding("0", "reset", show=False, id="columns.reset"),
        Binding("enter", "keep", show=False, id="columns.keep", priority=True),
    ]

    def __init__(self, session: Session, noun: str, columns: Sequence[Column[Any]], shown: Sequence[str]) -> None:
        super().__init__(session, f"columns of {noun}")
        self.titles = {column.name: column.heading for column in columns}
        self.shown = set(shown or self.titles)
        self.order = [*shown, *(name for name in self.titles if name not in shown)]
        self.at = 0

    def parts(self) -> ComposeResult:
        lines = Lines(self._lines(), folds=False)
        lines.styles.height = min(16, len(self.order))
        yield lines
        yield text("space shows or hides · J K move · 0 default · enter saves · esc closes", classes="hint")

    def _lines(self) -> list[Line]:
        lines: list[Line] = []
        for place, name in enumerate(self.order):
            words = f"{'›' if place == self.at else ' '} [{'x' if name in self.shown else ' '}] {self.titles[name]}"
            lines.append((words, "title" if place == self.at else "" if name in self.shown else "muted"))
        return lines

    def _draw(self) -> None:
        lines = self.query_one(Lines)
        lines.show(self._lines())
        lines.action_scroll(min(0, self.at - lines.top) or max(0, self.at - lines.top - lines.size.height + 2))

    def action_choose(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.order) - 1))
        self._draw()

    def action_show_or_hide(self) -> None:
        """The last column that is shown stays."""
        name = self.order[self.at]
        if self.shown != {name}:
            self.shown ^= {name}
        self._draw()

    def action_move(self, by: int) -> None:
        place = max(0, min(self.at + by, len(self.order) - 1))
        self.order.insert(place, self.order.pop(self.at))
        self.at = place
        self._draw()

    def action_reset(self) -> None:
        self.dismiss(())

    def action_keep(self) -> None:
        self.dismiss(tuple(name for name in self.order if name in self.shown))
