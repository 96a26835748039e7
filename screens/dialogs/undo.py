"""`U`: my changes that can be taken back, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from controlplane.audit.model import AuditRow, differences
from controlplane.formatting import age
from controlplane.undoing import UndoStep
from screens.dialogs.chooser import Chooser
from screens.session import Session


def change_words(row: AuditRow, now: datetime) -> str:
    """One change on a line: its number, its age, what was done to what, and which fields it changed."""
    fields = ", ".join(change.field for change in differences(row)) if row.before is not None else ""
    return f"{row.seq:>6}  {age(row.at, now):>4}  {row.operation} {row.thing}{': ' * bool(fields)}{fields}"


class UndoList(Chooser[tuple[AuditRow, UndoStep]]):
    """Answers with the change to take back; its preview comes before anything is done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "choose(1)", show=False, id="undos.down", priority=True),
        Binding("up,k", "choose(-1)", show=False, id="undos.up", priority=True),
        Binding("enter", "take_back", show=False, id="undos.take_back", priority=True),
    ]
    none_words = "None of your last changes can be undone."
    hint_words = "enter previews the undo, then asks · esc closes"

    def __init__(self, session: Session, found: Sequence[tuple[AuditRow, UndoStep]]) -> None:
        super().__init__(session, "my changes that can be undone", found)

    def words(self, each: tuple[AuditRow, UndoStep]) -> str:
        return change_words(each[0], self.session.clock())

    def action_take_back(self) -> None:
        self.dismiss(self.chosen[1] if self.chosen else None)
