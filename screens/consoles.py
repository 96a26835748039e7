"""The consoles that are open: enter shows what one of them shows, f follows it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from controlplane.presence.list import CONSOLES
from controlplane.presence.model import Presence
from screens.desk import Done
from screens.lists import ListScreen


class ConsolesScreen(ListScreen[Presence]):
    declared = CONSOLES
    hints = (("enter", "show the same"), ("f", "follow"), ("/", "filter"), ("w", "why"), ("?", "help"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "accompany", "follow that console, until esc", show=False, id="consoles.follow"),
    ]

    def action_accompany(self) -> None:
        row = self.current()
        if row is None:
            self.say(Done("put the cursor on the console to follow", "warn"))
        else:
            self.desk.follow(row)
