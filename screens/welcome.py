"""What an empty home shows instead of an empty list: four ways to begin."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from controlplane.errors import Refusal
from controlplane.lists import Line
from controlplane.nouns import FIRST
from screens.area import AreaScreen
from screens.desk import Done
from screens.widgets.bars import TitleLine
from screens.widgets.lines import Lines

NEEDS_WORKER = "   No worker runs: start one with watchfloor worker. Until then no traffic is rolled up."


class WelcomeScreen(AreaScreen):
    noun = "welcome"
    means = "This home is empty. As soon as it has a tenant or a request, the overview opens."
    hints = (
        ("n", "create"),
        ("i", "import"),
        ("c", "connect"),
        ("l", "load"),
        (":", "command"),
        ("?", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "choose('tenants.create')", "create a tenant", show=False, id="welcome.create"),
        Binding("i", "choose('import')", "import a request log", show=False, id="welcome.import"),
        Binding("c", "choose('connect')", "connect to a PostgreSQL", show=False, id="welcome.connect"),
        Binding("l", "choose('demonstration')", "load the demonstration", show=False, id="welcome.demonstration"),
    ]

    needs_worker = False
    """No worker runs, and the home does not start one by itself."""
    asked = ""
    """What was chosen before the home was there."""

    def body(self) -> Widget:
        return Lines(self._lines())

    def _lines(self) -> list[Line]:
        session = self.session
        who = f"You are {session.plane.actor.name}, {session.role}. " if session.plane else ""
        return [
            "",
            (f"   {session.context} is empty. Begin with one of these:", "title"),
            "",
            "   n   create a tenant              :tenants.create",
            "   i   import a request log         :import",
            "   c   connect to a PostgreSQL      :connect",
            "   l   load the demonstration       :demonstration",
            "",
            (f"   {who}? explains the keys, : takes commands, :q leaves.", "muted"),
            *((("", (NEEDS_WORKER, "warn"))) if self.needs_worker else ()),
        ]

    def on_mount(self) -> None:
        self.focus_body()
        self.draw_frame()
        self.run_worker(self.refresh_data(), exit_on_error=False)

    def draw_title(self, title: TitleLine) -> None:
        title.show(noun="welcome", count="0 tenants but default, 0 requests")

    def context_ready(self) -> None:
        self.query_one(Lines).show(self._lines())
        self.draw_frame()
        self.run_worker(self.refresh_data(), exit_on_error=False)
        asked, self.asked = self.asked, ""
        if asked:
            self.desk.run_command(asked)

    async def refresh_data(self) -> None:
        plane = self.session.plane
        if plane is None or not self.is_mounted:
            return
        from controlplane.overview.model import OverviewSource

        try:
            glance = plane.of(OverviewSource)
            empty, due = await glance.empty(), await glance.work()
        except Refusal:
            return  # the header says that the link is down
        if not empty and self.is_current:
            self.session.vacant = False
            self.desk.go(FIRST)
            return
        self.needs_worker = not due.by_itself and not due.alive and not due.late_workers
        self.query_one(Lines).show(self._lines())

    def action_choose(self, command: str) -> None:
        if self.session.plane is None and command != "connect":
            self.asked = command
            self.say(Done(f":{command} opens as soon as the home is there", "muted"))
        else:
            self.desk.run_command(command)
