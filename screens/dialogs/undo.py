"""`U`: my changes that can be taken back, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from controlplane.audit.model import AuditRow, differences
from controlplane.formatting import age
from controlplane.lists import Line
from controlplane.undoing import UndoStep
from screens.dialogs.dialog import Dialog, text
from screens.session import Session
from screens.widgets.lines import Lines


def change_words(row: AuditRow, now: datetime) -> str:
    """One change on a line: its number, its age, what was done to what, and which fields it changed."""
    fields = ", ".join(change.field for change in differences(row)) if row.before is not None else ""
    return f"{row.seq:>6}  {age(row.at, now):>4}  {row.operation} {row.thing}{': ' * bool(fields)}{fields}"


class UndoList(Dialog[UndoStep | None]):
    """Answers with the change to take back; its preview comes before anything is done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "choose(1)", show=False, id="undos.down", priority=True),
        Binding("up,k", "choose(-1)", show=False, id="undos.up", priority=True),
        Binding("enter", "take_back", show=False, id="undos.take_back", priority=True),
    ]

    def __init__(self, session: Session, found: Sequence[tuple[AuditRow, UndoStep]]) -> None:
        super().__init__(session, "my changes that can be undone")
        self.found = found
        self.at = 0

    def parts(self) -> ComposeResult:
        lines = Lines(self._lines(), folds=False)
        lines.styles.height = max(1, min(16, len(self.found)))
        yield lines
        yield text("enter shows what an undo would change, and asks · esc closes", classes="hint")

    def _lines(self) -> list[Line]:
        now = self.session.clock()
        lines: list[Line] = []
        for place, (row, _) in enumerate(self.found):
            mark = "›" if place == self.at else " "
            lines.append((f"{mark} {change_words(row, now)}", "title" if place == self.at else ""))
        return lines or [("None of your last changes can be undone.", "muted")]

    def action_choose(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.found) - 1))
        lines = self.query_one(Lines)
        lines.show(self._lines())
        lines.action_scroll(min(0, self.at - lines.top) or max(0, self.at - lines.top - lines.size.height + 2))

    def action_take_back(self) -> None:
        self.dismiss(self.found[self.at][1] if self.found else None)
