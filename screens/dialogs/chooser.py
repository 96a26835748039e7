"""A dialog of lines, one of which is chosen with the cursor and enter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual.app import ComposeResult

from controlplane.lists import Line
from screens.dialogs.dialog import Dialog, text
from screens.session import Session
from screens.widgets.lines import Lines

E = TypeVar("E")


class Chooser(Dialog[Any], Generic[E]):
    """Subclasses bind keys to `choose(1)` and `choose(-1)`, and answer with what is under the cursor."""

    none_words: ClassVar[str] = ""
    """What is said when there is nothing to choose."""
    hint_words: ClassVar[str] = ""

    def __init__(self, session: Session, title: str, found: Sequence[E]) -> None:
        super().__init__(session, title)
        self.found = found
        self.at = 0

    @property
    def chosen(self) -> E | None:
        return self.found[self.at] if self.found else None

    def words(self, each: E) -> str:
        raise NotImplementedError

    def parts(self) -> ComposeResult:
        lines = Lines(self._lines(), folds=False)
        lines.styles.height = max(1, min(16, len(self.found)))
        yield lines
        yield text(self.hint_words, classes="hint")

    def _lines(self) -> list[Line]:
        lines: list[Line] = []
        for place, each in enumerate(self.found):
            mark, tone = ("›", "title") if place == self.at else (" ", "")
            lines.append((f"{mark} {self.words(each)}", tone))
        return lines or [(self.none_words, "muted")]

    def action_choose(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.found) - 1))
        lines = self.query_one(Lines)
        lines.show(self._lines())
        lines.action_scroll(min(0, self.at - lines.top) or max(0, self.at - lines.top - lines.size.height + 2))
