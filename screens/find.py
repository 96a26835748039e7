"""Whom a text belongs to: results of every kind, each opened on its own screen, or acted on where it stands."""

from __future__ import annotations

from typing import Any

from textual import work

from controlplane.errors import Refusal
from controlplane.find import FOUND, Found, Sought
from controlplane.listing import Listing
from controlplane.lists import Line
from controlplane.nouns import list_named
from screens.desk import Done, Target
from screens.lists import ListScreen


class FindScreen(ListScreen[Found]):
    declared = FOUND
    hints = (("enter", "open"), ("a", "act"), ("f", "find"), ("d", "describe"), ("w", "why"), ("esc", "back"))

    def __init__(self, sought: Sought) -> None:
        super().__init__()
        self.sought = sought
        self._results: Listing[Found] | None = None
        self._acts_on: tuple[str, Any] | None = None
        """The noun and the row of it that the menu is about."""

    def crumbs(self) -> list[str]:
        return ["find", self.sought.words]

    def listing(self) -> Listing[Found]:
        if self._results is None:
            self._results = self.declared.of(self.session.require_plane(), self.sought)
        return self._results

    def action_filter(self) -> None:
        self.action_find()

    # Acting on what was found, as on the screen that enter opens

    def action_act(self) -> None:
        """Read the thing first: what can be done depends on how it is."""
        if self.table.is_awaited:
            super().action_act()  # which waits for the row
            return
        row = self.table.cursor_row
        noun, key = (self.declared.opens(row) if row is not None else None) or ("", "")
        if not noun or key.startswith("?"):
            super().action_act()
            return
        self.desk.hold_keys()
        self._act_on(noun, key)

    @work(exit_on_error=False, group="act", exclusive=True)
    async def _act_on(self, noun: str, key: str) -> None:
        try:
            self._acts_on = noun, await list_named(noun).of(self.session.require_plane()).get(key)
        except Refusal as refusal:
            self.desk.release_keys(replay=False)
            self.say(Done(str(refusal), "bad"))
            return
        super().action_act()  # which takes the row with it
        self._acts_on = None
        if not self.app.screen.is_modal:  # there is nothing to choose
            self.desk.release_keys(replay=False)

    def current(self) -> Any:
        return self._acts_on[1] if self._acts_on else super().current()

    @property
    def acted_noun(self) -> str:
        return self._acts_on[0] if self._acts_on else super().acted_noun

    def targets(self) -> list[Target]:
        if self._acts_on is None:
            return super().targets()
        noun, row = self._acts_on
        return [Target.of(list_named(noun), row)]

    def operations(self) -> list[Any]:
        if self._acts_on is None:
            return super().operations()
        from controlplane.registry import offered

        noun, row = self._acts_on
        return offered(noun, type(row))

    def why_lines(self) -> list[Line]:
        return [
            (f"looked for: {self.sought.words}", "title"),
            f"as: {', '.join(self.sought.kinds)}",
            "Write an address in full, or any part of a name or id; one or two letters find what begins with them.",
        ]

    def view_link(self) -> str:
        return f"{self.session.context}/find?{self.sought.text}"  # nothing of a secret
