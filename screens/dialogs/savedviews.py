"""`b`: the saved views, to go to one, or to save what is shown as one."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from controlplane.text import clean, fit
from screens.dialogs.chooser import Chooser


class SavedViews(Chooser[tuple[str, str]]):
    """Answers with the command to run, or with one to go on typing, which ends with a space or a name to confirm.

    `found`: the name of each view and what it shows.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "choose(1)", show=False, id="views.down", priority=True),
        Binding("up,k", "choose(-1)", show=False, id="views.up", priority=True),
        Binding("enter", "go", show=False, id="views.go", priority=True),
        Binding("s", "save_shown", show=False, id="views.save", priority=True),
        Binding("d", "take_away", show=False, id="views.take_away", priority=True),
    ]
    none_words = "No view is saved yet. s saves this list as it is now."
    hint_words = "enter opens · s saves this list · d deletes · esc closes"

    def words(self, each: tuple[str, str]) -> str:
        name, shows = each
        return f"{fit(clean(name, 64), 16)}  {clean(shows, 200)}"

    def action_go(self) -> None:
        self.dismiss((f"view {self.chosen[0]}", True) if self.chosen else None)

    def action_save_shown(self) -> None:
        self.dismiss(("view save ", False))

    def action_take_away(self) -> None:
        """The command is shown once more before it is carried out."""
        self.dismiss((f"view delete {self.chosen[0]}", False) if self.chosen else None)
