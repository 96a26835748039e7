"""What the screens of all nouns have in common: the keys that mean the same everywhere, and acting."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.binding import Binding, BindingType

from controlplane.errors import Refusal
from controlplane.listing import View
from controlplane.lists import Line
from controlplane.nouns import FIRST, shown, shown_named
from controlplane.text import clean
from screens.desk import Done, Target
from screens.frame import FramedScreen
from screens.session import TIME_FORMS
from screens.widgets.prompt import Prompt

if TYPE_CHECKING:
    from controlplane.operations import Operation
    from controlplane.owncommands import OwnCommand
    from controlplane.undoing import UndoStep


UNDO_ROWS = 200
"""So many rows of the trail are looked through for changes that can be taken back."""


class AreaScreen(FramedScreen):
    """A screen of one noun: what is under the cursor, and what is done with it."""

    rows: type = type(None)
    """The type of row that operations work on here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "back", "back", show=False, id="area.back"),
        Binding("left_square_bracket", "previous", "back to the previous view", show=False, id="area.previous"),
        Binding("right_square_bracket", "next_place", "forward to the next view", show=False, id="area.next"),
        Binding("q", "leave", "back; leave from the first screen", show=False, id="area.leave"),
        Binding("colon", "command", "command", show=False, id="area.command"),
        Binding("f", "find", "find a tenant, key or request by any text", show=False, id="area.find"),
        Binding("slash", "filter", "filter", show=False, id="area.filter"),
        Binding("a", "act", "act", show=False, id="area.act"),
        Binding("I", "incident", "open an incident about this", show=False, id="area.incident"),
        Binding("d", "describe", "describe", show=False, id="area.describe"),
        Binding("w", "why", "why", show=False, id="area.why"),
        Binding("m", "charts", "its charts", show=False, id="area.charts"),
        Binding("u", "undo", "undo", show=False, id="area.undo"),
        Binding("U", "undo_list", "my changes that can be undone", show=False, id="area.undo_list"),
        Binding("b", "saved_views", "saved views", show=False, id="area.views"),
        Binding("t", "time_form", "time format", show=False, id="area.time"),
        Binding("r", "reload", "refresh now", show=False, id="area.refresh"),
        Binding("R", "retry", "reconnect", show=False, id="area.retry"),
        Binding("p", "pause", "pause", show=False, id="area.pause"),
        Binding("e", "export", "export", show=False, id="area.export"),
        Binding("greater_than_sign", "to_incident", "post this view to the incident", show=False, id="area.post"),
        Binding("Y", "link", "copy a link to this view", show=False, id="area.link"),
        Binding("question_mark,f1", "help", "help", show=False, id="area.help"),
        Binding("0", "overview", "the overview", show=False, id="area.overview"),
        *(Binding(str(n), f"noun({n})", f"noun {n}", show=False, id=f"area.noun_{n}") for n in range(1, 10)),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._readings = 0
        self._again = False

    # What a subclass has under the cursor

    def current(self) -> Any:
        """The row that operations apply to; None when there is none."""
        return None

    @property
    def acted_noun(self) -> str:
        """Whose operations the menu names by their verbs alone."""
        return self.noun

    def targets(self) -> list[Target]:
        """What an operation would be done to: the marked rows, else the current one."""
        return []

    def clear_marks(self) -> None:
        """An operation was done on the marked rows: unmark them."""

    def hidden_marks(self) -> int:
        """How many marked things a filter hides: they are not acted on."""
        return 0

    def record(self) -> dict[str, Any] | None:
        """Every field of the current thing, for `d`."""
        return None

    def why_lines(self) -> list[Line]:
        """Why the row under the cursor is as it is shown, for `w`."""
        return []

    def operations(self) -> list[Operation[Any]]:
        from controlplane.registry import offered

        return offered(self.noun, self.rows)

    def context_ready(self) -> None:
        """The context was reached for the first time, or another one was chosen."""

    def when_shown(self, what: Callable[[], None]) -> None:
        """Do what loads much, but not before what the screen shows, where that can be shown without it."""
        what()

    def retime(self) -> None:
        """Times are shown in another form from now on."""

    async def refresh_data(self) -> None:
        """Read again what is shown."""

    def news(self) -> None:
        """Something may have changed: read again. A screen whose reading is expensive does so less often.

        A reading under way finishes, and another follows it: if every hint restarted it, a reading that takes longer
        than the time between two hints would never finish.
        """
        if self._readings:
            self._again = True
        else:
            self.action_reload()

    def interrupt(self) -> bool:
        """`ctrl+c`: stop what this screen runs. True when there was something to stop."""
        return False

    # Keys

    def action_back(self) -> None:
        if not self.desk.stop_following():
            self.desk.back()

    def action_previous(self) -> None:
        self.desk.back()

    def action_next_place(self) -> None:
        if not self.desk.forward():
            self.say(Done("this is the last view", "muted"))

    def action_leave(self) -> None:
        if not self.desk.back():
            self.desk.leave(ask=True)

    def action_command(self) -> None:
        self.query_one(Prompt).open("command", "", self.desk.complete_command)

    def action_find(self) -> None:
        self.query_one(Prompt).open("command", "find ", self.desk.complete_command, go_on=True)

    def on_paste(self, event: events.Paste) -> None:
        """A text that is pasted where no field is: a link to a view of this context, as `Y` copies it, is shown; of all
        else enter finds what it belongs to.
        """
        from controlplane.find import MAX_SOUGHT_CHARACTERS, holds_secret

        event.stop()
        words = " ".join(clean(event.text).split())
        if holds_secret(event.text):
            self.say(Done("a secret was pasted and is not shown: f finds it by its hash, :verify checks it", "warn"))
            return
        link = words.removeprefix("watchfloor ").strip("'")
        if link.startswith(f"{self.session.context}/") and shown_named(re.split("[/?#]", link)[1]):
            self.desk.run_command(link)
        elif words := words[:MAX_SOUGHT_CHARACTERS]:
            self.query_one(Prompt).open("command", f"find {words}", self.desk.complete_command, go_on=True)

    def action_saved_views(self) -> None:
        from screens.dialogs.savedviews import SavedViews

        def chosen(answer: tuple[str, bool] | None) -> None:
            command, whole = answer or ("", False)
            if whole:
                self.desk.run_command(command)
            elif command:
                self.query_one(Prompt).open("command", command, self.desk.complete_command, go_on=True)

        self.app.push_screen(SavedViews(self.session, "saved views", self.desk.saved_views()), chosen)

    def action_filter(self) -> None:
        self.say(Done("nothing to filter here", "warn"))

    def action_noun(self, number: int) -> None:
        noun = next((noun for noun in shown() if noun.digit == str(number)), None)
        if noun is not None:
            self.desk.go(noun.name)

    def action_overview(self) -> None:
        self.desk.go(FIRST)

    def action_time_form(self) -> None:
        session = self.session
        session.time_form = TIME_FORMS[(TIME_FORMS.index(session.time_form) + 1) % len(TIME_FORMS)]
        self.retime()
        self.action_reload()

    def action_retry(self) -> None:
        self.desk.retry_link()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self.draw_frame()

    async def read_again(self) -> None:
        await self.refresh_data()
        await self.session.read_standing()
        self.draw_frame()

    @work(exit_on_error=False, group="reload", exclusive=True)
    async def action_reload(self) -> None:
        self._readings += 1
        try:
            await self.read_again()
        finally:
            self._readings -= 1
        if self._again:
            self._again = False
            self.action_reload()

    @work(exit_on_error=False, group="standing", exclusive=True)
    async def read_standing(self) -> None:
        """Show in the header the open alerts and whom the person acts for, also where nothing refreshes by itself."""
        await self.session.read_standing()
        self.draw_frame()

    def action_act(self) -> None:
        from controlplane.owncommands import OwnCommand
        from screens.actions import choices, nothing_to_do
        from screens.dialogs.menu import ActMenu, Choice
        from screens.owncommands import own_commands

        targets = self.targets()
        try:
            self.session.require_writing()
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        row = self.current() if len(targets) <= 1 else None
        if len(targets) == 1 and targets[0].row is not None:
            row = targets[0].row  # it is marked, and the cursor may be elsewhere
        operations = self.operations()
        offered = [Choice(*pair) for pair in choices(operations, self.session, row)]
        title = targets[0].label if len(targets) == 1 else f"{len(targets):,} marked" if targets else self.noun
        rows = targets if len(targets) > 1 else [Target({}, None, title, row)]
        own = own_commands(self.desk, self.acted_noun, rows[0].row)
        if not (offered or own):
            self.say(Done(nothing_to_do(operations, self.session), "warn"))
            return

        def chose(chosen: Operation[Any] | OwnCommand | None) -> None:
            if isinstance(chosen, OwnCommand):
                self.run_worker(self._run_own(chosen, rows), group="act", exclusive=True, exit_on_error=False)
            elif chosen is not None:
                self.run_worker(self.act(chosen, targets), group="act", exclusive=True, exit_on_error=False)

        self.app.push_screen(ActMenu(self.session, title, offered, self.acted_noun, own), chose)

    async def _run_own(self, command: OwnCommand, targets: list[Target]) -> None:
        from screens.owncommands import run

        self.say(await run(self.app, self.session, command, targets, self.hidden_marks()))

    def action_incident(self) -> None:
        """Open an incident, from what is under the cursor where one can begin there."""
        from controlplane.registry import named

        operation = named("incidents.open")
        targets = [each for each in self.targets() if type(each.row) in operation.begins]
        self.run_worker(self.act(operation, targets), group="act", exclusive=True, exit_on_error=False)

    async def act(self, operation: Operation[Any], targets: list[Target]) -> None:
        """Carry an operation out on what is marked or under the cursor, and say how it went."""
        self.said = Done("", "")
        try:
            await self._act(operation, targets)
        finally:
            # Keys that were typed for a dialog that never opened must not run as commands. Keys after the words were
            # seen answer them: they do not wait for the reading.
            self.desk.release_keys(replay=self.said.tone != "bad")
        await self.read_again()

    async def _act(self, operation: Operation[Any], targets: list[Target]) -> None:
        from controlplane.runs.bulk import in_bulk
        from screens.actions import carry_out

        if len(targets) > 1 and ("version" in operation.request.model_fields or in_bulk(operation)):
            from screens.bulk import carry_out_many

            done = await carry_out_many(self.app, self.session, operation, targets, self.hidden_marks())
            self.say(done)
            if done is not None and done.tone == "good":
                self.clear_marks()
        else:
            target = targets[0] if len(targets) == 1 else Target({}, None, "")  # of several none: it is asked which
            shown = [each.row for each in targets if each.row is not None]
            self.say(await carry_out(self.app, self.session, operation, target, shown))

    def action_undo(self) -> None:
        step = self.session.undo
        if step is None:
            self.say(Done("nothing to undo: this console changed nothing, or its last change cannot be undone", "warn"))
            return
        self.undo_step(step)

    def undo_step(self, step: UndoStep) -> None:
        """Ask for the reason, show the preview, ask, and take the change back."""
        self.desk.hold_keys()  # what is typed from now on is the reason
        self.run_worker(self._undo(step), group="act", exclusive=True, exit_on_error=False)

    @work(exit_on_error=False, group="undos", exclusive=True)
    async def action_undo_list(self) -> None:
        from controlplane.audit.model import AuditDirectory
        from controlplane.filters.grammar import Term
        from controlplane.listing import Query
        from controlplane.undolist import still_undoable
        from screens.dialogs.undo import UndoList

        try:
            plane = self.session.require_plane()
            mine = Query((Term("is", (plane.actor.name,), "actor"),), descending=True)
            rows = (await plane.of(AuditDirectory).page(mine, limit=UNDO_ROWS)).rows
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        # The filter ignores case.
        found = list(still_undoable(row for row in rows if row.actor == plane.actor.name))
        step = await self.app.push_screen_wait(UndoList(self.session, found))
        if step is not None:
            self.undo_step(step)

    async def _undo(self, step: UndoStep) -> None:
        from screens.actions import undo

        try:
            self.say(await undo(self.app, self.session, step))
        finally:
            self.desk.release_keys(replay=False)
        await self.read_again()

    def action_describe(self) -> None:
        from screens.dialogs.viewer import Viewer

        record = self.record()
        if record is not None:
            self.app.push_screen(Viewer(self.session, f"describe {self.noun}", record=record))

    def action_why(self) -> None:
        from screens.dialogs.viewer import Viewer

        lines = self.why_lines() or ["Nothing to explain here."]
        words = self.heard.words or self.standing_words().words
        if words:  # the footer may have cut the message, and this key removed it
            lines = [("last message", "title"), *wrap(words, 76), "", *lines]
        self.app.push_screen(Viewer(self.session, "why", lines))

    def as_of(self) -> datetime:
        """When what is shown was read."""
        return self.session.clock()

    @work(exit_on_error=False, group="act", exclusive=True)
    async def action_to_incident(self) -> None:
        from screens.posting import post

        try:
            self.say(await post(self.app, self.session, self))
        finally:
            self.desk.release_keys(replay=self.said.tone != "bad")  # the form holds them

    def charts_text(self) -> str:
        """The filter of the charts of the thing under the cursor; "" is all tenants."""
        return ""

    def action_charts(self) -> None:
        self.desk.open_thing("telemetry", self.charts_text())

    def action_help(self) -> None:
        from screens.dialogs.help import help_lines
        from screens.dialogs.viewer import Viewer

        self.app.push_screen(Viewer(self.session, f"help: {self.noun}", help_lines(self)))

    def action_export(self) -> None:
        if self.may_export():
            self.say(Done("nothing to export here", "warn"))

    def may_export(self) -> bool:
        """A console in a browser writes no file where it runs; it says so."""
        if self.session.served:
            self.say(Done("a console in a browser writes no files: watchfloor … list --format csv does", "warn"))
        return not self.session.served

    async def action_link(self) -> None:
        from screens.terminal.clipboard import copy

        self.say(Done(await copy(self.app, f"watchfloor '{self.view_link()}'")))

    def view_link(self) -> str:
        """The text that opens exactly this view, in `:` and as an argument of the program."""
        return f"{self.session.context}/{self.noun}"

    def as_view(self) -> View:
        """What it shows, so that another console can show the same."""
        return View(self.noun, self.view_link().partition("#")[0].removeprefix(f"{self.session.context}/"))

    def open_view(self, row: Any) -> bool:
        """Show the view that a row holds; False when it holds none."""
        view = getattr(row, "view", None)
        if view is None:
            return False
        from screens.views import show

        show(self.desk, view)
        return True

    def look_like(self, view: View) -> None:
        """Look as a view of this screen says."""

    def opened_as(self) -> tuple[str, str]:
        """The noun and the key that open this view again, taken from its link."""
        address, _, text = self.view_link().partition("#")[0].partition("?")
        return self.noun, address.removeprefix(f"{self.session.context}/{self.noun}").removeprefix("/") or text
