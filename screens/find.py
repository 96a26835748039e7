"""Whom a text belongs to: results of every kind, each opened on its own screen."""

from __future__ import annotations

from controlplane.find import FOUND, Found, Sought
from controlplane.listing import Listing
from controlplane.lists import Line
from screens.lists import ListScreen


class FindScreen(ListScreen[Found]):
    declared = FOUND
    hints = (("enter", "open"), ("f", "find"), ("d", "describe"), ("w", "why"), ("esc", "back"), ("?", "help"))

    def __init__(self, sought: Sought) -> None:
        super().__init__()
        self.sought = sought
        self._results: Listing[Found] | None = None

    def crumbs(self) -> list[str]:
        return ["find", self.sought.words]

    def listing(self) -> Listing[Found]:
        if self._results is None:
            self._results = self.declared.of(self.session.require_plane(), self.sought)
        return self._results

    def action_filter(self) -> None:
        self.action_find()

    def why_lines(self) -> list[Line]:
        return [
            (f"looked for: {self.sought.words}", "title"),
            f"as: {', '.join(self.sought.kinds)}",
            "An address is found only whole; names and ids by any part; one or two letters by how they begin.",
        ]

    def view_link(self) -> str:
        return f"{self.session.context}/find?{self.sought.text}"  # nothing of a secret
