"""What all screens look like: header, title, body, prompt and footer, and what is said on the last line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from screens.desk import SAID_SECONDS, Desk, Done
from screens.session import Session
from screens.widgets.bars import FooterBar, HeaderBar, TitleLine
from screens.widgets.prompt import Prompt

MIN_COLUMNS, LEAST_LINES = 60, 15


class FramedScreen(Screen[None]):
    """A screen with a header line, a title line, a body and a footer line. Subclasses give `body` and `noun`."""

    noun: str = ""
    means: str = ""
    """What this screen shows, for its help."""
    hints: ClassVar[Sequence[tuple[str, str]]] = ()

    DEFAULT_CSS = """
    FramedScreen { layout: vertical; }
    FramedScreen.small TitleLine { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self.said = Done("", "")
        self.heard = Done("", "")
        """The last message, for `w`: it may be gone from the last line, or be cut there."""
        self._said_until = 0.0
        self._said_timer: Timer | None = None
        self.small = Done("", "")

    @property
    def desk(self) -> Desk:
        return cast(Desk, self.app)

    @property
    def session(self) -> Session:
        return self.desk.session

    # The frame

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield TitleLine()
        yield self.body()
        yield Prompt()
        yield FooterBar()

    def body(self) -> Widget:
        raise NotImplementedError

    def crumbs(self) -> list[str]:
        return [self.noun]

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < MIN_COLUMNS or event.size.height < LEAST_LINES
        self.set_class(small, "small")
        self.small = Done("", "")
        if small:
            size = f"{event.size.width}×{event.size.height}"
            self.small = Done(f"small: {size}; made for {MIN_COLUMNS}×{LEAST_LINES} or more", "warn")
        self.draw_frame()

    def draw_frame(self) -> None:
        """Put what is known now into header, title and footer; each repaints only when its text changed."""
        if not self.query(FooterBar):  # not composed yet
            return
        session = self.session
        self.query_one(HeaderBar).show(
            environment=session.environment_word(),
            read_only=session.locked,
            crumbs=[session.context, *self.crumbs()],
            link=session.link_words(),
            counts=session.attention(),
        )
        self.draw_title(self.query_one(TitleLine))
        said = self.said if self.said.words else self.standing_words()
        self.query_one(FooterBar).show(hints=self.shown_hints, role=session.role, said=said.words, tone=said.tone)

    @property
    def shown_hints(self) -> Sequence[tuple[str, str]]:
        """Those that lead somewhere now."""
        return self.hints

    def draw_title(self, title: TitleLine) -> None:
        title.show(noun=self.noun)

    def say(self, done: Done | None) -> None:
        """Show a message in place of the keys, until its time is over or a key is pressed."""
        self.said = done or Done("", "")
        if self._said_timer is not None:
            self._said_timer.stop()
        if self.said.words:
            self.heard = self.said
            self._said_until = self.session.ticks() + self.said.seconds
            self._said_timer = self.set_timer(self.said.seconds, self.settle_words)
        self.draw_frame()

    def settle_words(self) -> None:
        """Remove the message from the last line once its time is over, so that the keys are seen again."""
        if not self.said.words or self.session.ticks() < self._said_until:
            return
        revealed = self.said.seconds > SAID_SECONDS
        if revealed:
            self.heard = Done("", "")  # a revealed value must not be read later
        if revealed or not self.app.has_class("accessible"):  # nothing else moves by itself there
            self.say(Done("", ""))

    def key_pressed(self) -> None:
        """The person has seen the message, so remove it; a revealed value stays for its time."""
        if self.said.words and self.said.seconds <= SAID_SECONDS:
            self.say(Done("", ""))

    def standing_words(self) -> Done:
        """What the last line says when there is no message: a pending change, the link, a pause, a small terminal."""
        link, pending = self.session.link, self.session.pending
        if pending is not None:
            return Done(f"{pending.what}: waiting for the home", "muted")
        if link.words and (self.session.plane is None or link.brief):
            return Done(link.words, "muted" if link.state == "connecting" else "bad")
        if self.paused:
            return Done("paused: press p to continue", "warn")
        return self.small

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.desk.unforeseen(event.worker.error)

    # The prompt

    @on(Prompt.Entered)
    def _entered(self, event: Prompt.Entered) -> None:
        event.stop()
        self.focus_body()
        if event.mode == "command":
            if event.text.strip():
                self.desk.run_command(event.text)
        else:
            self.filter_entered(event.text)

    @on(Prompt.Typed)
    def _typed(self, event: Prompt.Typed) -> None:
        event.stop()
        self.filter_typed(event.text)

    @on(Prompt.Cancelled)
    def _cancelled(self, event: Prompt.Cancelled) -> None:
        event.stop()
        self.focus_body()
        if event.mode == "filter":
            self.filter_entered("")

    def focus_body(self) -> None:
        for child in self.query("FramedScreen > *"):
            if child.focusable and not isinstance(child, Prompt):
                child.focus()
                return

    def focus_pane(self, chosen: Widget) -> None:
        """Focus the chosen pane; when it cannot take the focus, nothing has it. A screen of panes has no AUTO_FOCUS:
        when a dialog closes, that would focus a pane that is hidden.
        """
        self.set_focus(chosen if chosen.focusable else None)

    def filter_typed(self, text: str) -> None: ...

    def filter_entered(self, text: str) -> None: ...
