"""The console: the program around the screens. It opens the context, listens to it, and changes between screens."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.binding import Binding, BindingType

import themes
from app.accompanying import Accompanying
from app.driving import Driving
from app.homes import to_be_made
from app.keymaps import keymap_of
from app.links import read as read_link
from app.navigating import Navigating
from app.ringing import Ringing
from app.settings import Settings, load
from app.switching import opener, session_of
from controlplane.errors import HomeUnreachable, Refusal
from controlplane.live import LinkState
from controlplane.nouns import FIRST, shown_named
from controlplane.text import clean_lines
from screens.desk import Done
from screens.session import Session

if TYPE_CHECKING:
    from app.ahead import Ahead
    from app.contexts import Context
    from app.homes import HomeChoice
    from app.settings import Profile
    from app.start import Start
    from controlplane.secrets import Secrets
    from screens.contexts import ContextRow

OpenContext = Callable[[Callable[[str], None]], Awaitable["Context"]]
"""Connects, and reports in words what takes long. Raises Refusal."""

REFRESH_SECONDS = 2.0
COALESCE_SECONDS = 0.1
"""Hints that come within this time are answered by one reading."""
STARTED_SECONDS = 1.5
"""After this long, whether or not the home answers, the start is over."""
OF_THE_LINK = ("[link_stale]", "[home_unreachable]")
"""The codes in messages that are about the link being down."""
OPEN_PAUSES = (0.5, 1.0, 2.0, 5.0)
SLOW_PAUSE = 30.0
"""Seconds between attempts when a person must put something right; R tries at once."""


class Watchfloor(Driving, Ringing, Accompanying, Navigating):
    """The program. `open_context` connects; it is called in the background, after the first paint."""

    TITLE = "Watchfloor"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "cancel; twice leaves", show=False, id="app.interrupt", priority=True),
        Binding("ctrl+p", "palette", "palette", show=False, id="app.palette"),
        Binding("ctrl+q", "", show=False, id="app.nothing"),
    ]

    def __init__(
        self,
        settings: Settings,
        open_context: OpenContext,
        link: str = "",
        choice: HomeChoice | None = None,
        *,
        accessible: bool = False,
    ) -> None:
        """`choice`: what `open_context` opens, when a person can return to it from another context."""
        super().__init__(settings, accessible=accessible)
        self.settings = settings
        self.open_context = open_context
        self.link = link
        self.choice = choice
        self.passing: dict[str, Profile] = {}
        self.typed: dict[str, Secrets] = {}
        """Profiles and passwords that were typed here and are kept nowhere else."""
        self.session = session_of(choice, settings) if choice else Session()
        self.context: Context | None = None
        self.ahead: Ahead | None = None
        self._news = False
        self._of_link = Done("", "")
        """The last message about the link."""
        self._interrupted_at = float("-inf")
        if keymap := keymap_of(settings):
            self.set_keymap(dict(keymap))

    # Starting

    def on_mount(self) -> None:
        super().on_mount()
        # A home that is to be made is empty. Its welcome is painted first: another screen would take the keys.
        self.session.vacant = not self.link and self.choice is not None and to_be_made(self.choice)
        self.go(self._first())
        # The database's library takes longer to load than the screen to paint: the screen goes first.
        self.call_after_refresh(self.connect_context)
        self.set_interval(REFRESH_SECONDS, self._tick)
        self.set_timer(STARTED_SECONDS, _started)

    def _first(self) -> str:
        """The noun that is painted first: that of the link, so that no other list is painted before it."""
        noun = read_link(self.link).noun
        return noun if shown_named(noun) else FIRST

    @work(exit_on_error=False, group="link", exclusive=True)
    async def connect_context(self) -> None:
        """Open the context, however long it takes, then listen to it until the program ends."""
        from app import greeting
        from app.faults import log_warnings
        from screens.overview import OverviewScreen

        await self._show_ahead()
        log_warnings()  # of the database's library: they would stand on the person's own screen at the end
        attempt = 0
        while True:
            try:
                self.context = await self.open_context(self.report)
                break
            except Refusal as refusal:
                pause = OPEN_PAUSES[min(attempt, len(OPEN_PAUSES) - 1)]
                again = isinstance(refusal, HomeUnreachable)
                pause = SLOW_PAUSE if refusal.slow else pause
                state: Any = "offline" if again else "refused"
                self.session.link = LinkState(state, pause, words=str(refusal), brief=refusal.brief)
                self._tell_of_link(str(refusal))
                if not again:
                    if isinstance(area := self.area, OverviewScreen) and area.is_mounted:
                        area.show_ahead({})  # it is not for this person any more
                    return
                await asyncio.sleep(pause)
                attempt += 1
        if not self.link:
            await greeting.look(self)
        self._entered_context()
        await self.context.home.feed.watch(self._hint, self._link_changed)

    async def _show_ahead(self) -> None:
        """What was read while this program was loaded, until it has read it itself."""
        from screens.overview import OverviewScreen

        ahead, self.ahead = self.ahead, None
        if ahead is not None and self.choice is not None:
            answers = await ahead.answers(self.choice)
            if answers and isinstance(area := self.area, OverviewScreen) and area.is_mounted:
                area.show_ahead(answers)
                await area.glance.wait_for_refresh()  # else what is loaded next would delay it

    def report(self, words: str) -> None:
        """What opening the context is doing; may be called from a thread."""
        self.call_later(self._reported, words)

    def _reported(self, words: str) -> None:
        if self.session.plane is None:
            self.session.link = dataclasses.replace(self.session.link, words=words)
            self.draw_frame()

    def _entered_context(self) -> None:
        from app.greeting import greet

        context, session = self.context, self.session
        assert context is not None
        session.plane, session.context = context.home, context.name
        session.environment, session.read_only = context.environment, context.read_only
        session.link, session.heard_at = LinkState("live"), session.clock()
        self.tell(Done("", ""))
        screen = self.area
        if screen is not None:
            screen.when_shown(self._look_around)
            screen.context_ready()
        self.tell_interrupted()
        if self.link:
            self.run_command(self.link)
        elif not self._shown_again():
            greet(self)

    def _look_around(self) -> None:
        self.listen_for_alerts()  # before alerts are read: what fires from now on is new
        if self.area is not None:
            self.area.read_standing()

    def _shown_again(self) -> bool:
        from app.viewstate import show_again

        return show_again(self)

    # The link

    def _link_changed(self, link: LinkState) -> None:
        session, area = self.session, self.area
        if link.state == "live":
            session.heard_at = session.clock()
            if session.link.state != "live":
                self._hint()
        elif link.state == "stale":
            session.heard_at = session.clock() - timedelta(seconds=link.silent)
        session.link = link
        if link.state == "offline" and link.brief:
            self._tell_of_link(link.words)  # more than that the home cannot be reached, which the header says
        if area is not None:
            if link.state == "live" and self._no_longer_true(area.said):
                area.said = Done("", "")
            if link.state == "live" and link.words:
                area.say(Done(link.words, "warn"))
            area.draw_frame()

    def _tell_of_link(self, words: str) -> None:
        """Say it once, and not again with every attempt."""
        if words != self._of_link.words:
            self._of_link = Done(words, "bad")
            self.tell(self._of_link)

    def _no_longer_true(self, said: Done) -> bool:
        """Whether a message was about the link being down, now that it is live."""
        of_link, self._of_link = self._of_link, Done("", "")
        return bool(said.words) and (said is of_link or any(code in said.words for code in OF_THE_LINK))

    def _hint(self) -> None:
        """Something happened: read again soon, once for however many hints come together."""
        if not self._news:
            self._news = True
            self.set_timer(COALESCE_SECONDS, self._read_news)

    def _read_news(self) -> None:
        self._news = False
        self.listen_for_alerts()
        if self.accessible:  # nothing moves by itself there
            self.tell(Done("something changed: press r to read it", "muted"))
            return
        screen = self.area
        if screen is not None and not screen.paused and screen.is_current:
            screen.news()

    def _tick(self) -> None:
        """Refresh numbers that come without a hint (telemetry), and ages."""
        screen = self.area
        if screen is not None:
            screen.settle_words()
        if self.session.link.state == "live":
            self.session.heard_at = self.session.clock()
            if self.accessible:
                self.listen_for_alerts()
            else:
                self._read_news()
        elif screen is not None:
            screen.draw_frame()

    # Contexts

    def choose_context(self, name: str) -> None:
        """Open another home or profile instead of this one; without a name, show which there are."""
        from app.switching import switch
        from screens.contexts import ContextsScreen

        if name:
            switch(self, name)
        elif not isinstance(self.screen, ContextsScreen):
            self.push_screen(ContextsScreen())

    def contexts(self) -> tuple[ContextRow, ...]:
        from app.switching import rows

        return rows(self)

    async def password_places(self, name: str) -> list[str]:
        from app.switching import password_places

        return await password_places(self, name)

    def read_settings(self) -> None:
        """Read the settings again, after a profile or a view was written to them. Raises Refusal."""
        read = load(os.environ, themes.NAMES)
        self.settings = dataclasses.replace(read, profiles={**self.passing, **read.profiles})

    def kept_columns(self, noun: str) -> Sequence[str]:
        return self.settings.columns.get(noun, ())

    def keep_columns(self, noun: str, columns: Sequence[str]) -> None:
        self._keep(("columns", noun), {"shown": list(columns)} if columns else None)

    def saved_views(self) -> list[tuple[str, str]]:
        return [(view.name, view.words) for view in self.settings.views.values()]

    def keeps_preview(self, noun: str) -> bool:
        return noun in self.settings.previews

    def keep_preview(self, noun: str, wanted: bool) -> None:
        self._keep(("previews", noun), {"shown": "yes"} if wanted else None)

    def _keep(self, table: tuple[str, str], values: dict[str, str | list[str]] | None) -> None:
        """Write how a person wants to see a noun to the settings."""
        from app.settings_text import put_table

        try:
            put_table(self.settings.path, table, values)
            self.read_settings()
        except Refusal as refusal:
            self.tell(Done(f"shown, but not kept: {refusal}", "warn"))

    def retry_link(self) -> None:
        if self.context is not None and not self.session.link.brief:
            self.context.home.feed.retry_now()
            return
        # A person has put something right, perhaps a password: connect with what is there now.
        left, self.context, self.link = self.context, None, ""
        self.connect_context()
        if left is not None:
            self.run_worker(left.close(), group="closing", exit_on_error=False)

    # Commands and keys

    def run_command(self, text: str) -> None:
        from app.commands import run

        run(self, text)

    def complete_command(self, text: str) -> list[str]:
        from app.commands import completions

        return completions(self, text)

    def commands(self) -> dict[str, str]:
        from app.commands import COMMANDS

        return {name: words for name, (words, _) in COMMANDS.items()}

    def action_palette(self) -> None:
        from app.commands import palette
        from screens.dialogs.palette import Palette

        self.push_screen(Palette(self.session, palette()), self._palette_chose)

    def _palette_chose(self, command: str | None) -> None:
        if command:
            self.run_command(command)

    def action_interrupt(self) -> None:
        """Cancel what runs; twice within a second leaves."""
        import time

        now = time.monotonic()
        if now - self._interrupted_at < 1.0:
            self.exit()
            return
        self._interrupted_at = now
        if self.area is not None and self.area.interrupt():
            return
        self.workers.cancel_group(self.screen, "act")
        if self.session.pending is None:
            self.tell(Done("cancelled; ctrl+c again leaves", "muted"))
        else:
            self.tell(Done(f"{self.session.pending.what}: interrupted; ctrl+c again leaves", "warn"))

    @work(exit_on_error=False, group="act", exclusive=True)
    async def write_for(self, minutes: int, reason: str) -> None:
        from app.switching import open_for_writing

        self.tell(await open_for_writing(self, minutes, reason))

    # Leaving

    def on_hangup(self) -> None:
        from app.viewstate import keep

        if not self.session.served:
            keep(self)

    def report_folder(self) -> Path:
        from platformdirs import user_log_path

        folder = user_log_path("watchfloor")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


def _started() -> None:
    """Collect garbage again, but not in what the start has loaded: that would take 40 ms, and delay a key."""
    gc.freeze()
    gc.enable()


def run(start: Start, ahead: Ahead | None = None, *, served: bool = False) -> int:
    """Show the console on the home that was asked for; the exit code of the program. `ahead`: reads its overview."""
    from app.homes import resolve_home
    from app.links import chosen_by, demonstration

    try:
        settings = load(os.environ, themes.NAMES)
        choice: HomeChoice | None = resolve_home(start.home, os.environ, settings)
        assert choice is not None
        keymap_of(settings)  # refused here, in words, before there is a screen
        if settings.commands:
            from app.commanding import check_commands

            check_commands(settings)
        if start.link:
            choice = chosen_by(read_link(start.link), settings, choice, named=start.home is not None)
        place = None if choice else demonstration(read_link(start.link or ""))
    except Refusal as refusal:
        print(clean_lines(str(refusal)), file=sys.stderr)
        return refusal.exit_code

    if choice is None:
        from app.demo.stage import visitor

        assert place is not None
        return show(settings, visitor(place), start.link or "", accessible=start.accessible)
    opening, link = opener(choice, settings), start.link or ""
    return show(settings, opening, link, choice, ahead, accessible=start.accessible, served=served)


def show(
    settings: Settings,
    open_context: OpenContext,
    link: str = "",
    choice: HomeChoice | None = None,
    ahead: Ahead | None = None,
    *,
    accessible: bool = False,
    served: bool = False,
) -> int:
    """Show the console on whatever context `open_context` opens, at the view that `link` names. `served`: in somebody's
    browser.
    """
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("ESCDELAY", "25")
    app = Watchfloor(settings, open_context, link, choice, accessible=accessible)
    app.session.served, app.ahead = served, ahead
    mouse = settings.mouse == "on" or (settings.mouse == "auto" and "SSH_CONNECTION" not in os.environ)
    app.run(mouse=mouse)
    return app.return_code or 0
