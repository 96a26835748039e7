"""The line at the bottom where a filter or a command is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

Mode = Literal["filter", "command"]
Complete = Callable[[str], list[str]]


class Completion(Suggester):
    """Shows the first completion behind the cursor; the right arrow takes it."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return next((text for text in self.complete(value) if text.startswith(value) and text != value), None)


class Prompt(Input):
    """Hidden until it is opened. `tab` walks through the completions, `up` and `down` through the history."""

    DEFAULT_CSS = """
    Prompt { dock: bottom; height: 1; border: none; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False, id="prompt.cancel"),
        Binding("tab", "complete", show=False, id="prompt.complete"),
        Binding("up", "history(-1)", show=False, id="prompt.older"),
        Binding("down", "history(1)", show=False, id="prompt.newer"),
    ]

    class Typed(Message):
        """A filter changed while being typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Entered(Message):
        def __init__(self, mode: Mode, text: str) -> None:
            super().__init__()
            self.mode: Mode = mode
            self.text = text

    class Cancelled(Message):
        def __init__(self, mode: Mode) -> None:
            super().__init__()
            self.mode: Mode = mode

    def __init__(self) -> None:
        super().__init__(compact=True, id="prompt")
        self.display = False
        self.cursor_blink = False
        self.mode: Mode = "filter"
        self.histories: dict[Mode, list[str]] = {"filter": [], "command": []}
        self.complete: Complete = lambda text: []
        self._place = 0
        self._offered: list[str] = []

    def open(self, mode: Mode, text: str, complete: Complete, *, go_on: bool = False) -> None:
        """What is typed replaces `text`; with `go_on` it is added after it."""
        self.select_on_focus = not go_on
        self.mode, self.complete = mode, complete
        self.suggester = Completion(complete)
        self.placeholder = {"filter": "filter: word  field:value  -not  err>1%", "command": "command"}[mode]
        with self.prevent(Input.Changed):
            self.value = text
        self.cursor_position = len(text)
        self._place = len(self.histories[mode])
        self.display = True
        self.screen.set_focus(self)  # at once: the next key may be here already
        self.call_after_refresh(self._lead)

    def _lead(self) -> None:
        """The terminal's own cursor, which a screen reader follows, comes here now that the prompt has its place."""
        if self.has_focus and self.app.has_class("accessible"):
            self.app.cursor_position = self.cursor_screen_offset
            self.app.refresh()

    def close(self) -> None:
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.mode == "filter" and self.display:
            self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        from controlplane.find import holds_secret

        history = self.histories[self.mode]
        if holds_secret(event.value):
            self.value = ""
        elif event.value and history[-1:] != [event.value]:
            history.append(event.value)
        self.close()
        self.post_message(self.Entered(self.mode, event.value))

    def action_cancel(self) -> None:
        self.close()
        self.post_message(self.Cancelled(self.mode))

    def action_complete(self) -> None:
        """Take the next completion; again, the one after it."""
        if self.value in self._offered:
            following = self._offered.index(self.value) + 1
        else:
            self._offered, following = self.complete(self.value), 0
        if self._offered:
            self.value = self._offered[following % len(self._offered)]
            self.cursor_position = len(self.value)

    def action_history(self, by: int) -> None:
        history = self.histories[self.mode]
        self._place = max(0, min(len(history), self._place + by))
        self.value = history[self._place] if self._place < len(history) else ""
        self.cursor_position = len(self.value)

    def _on_paste(self, event: events.Paste) -> None:
        """What is pasted is one line: it is never submitted by a line break of its own."""
        event.stop()
        event.prevent_default()
        self.insert_text_at_cursor(" ".join(event.text.split()))
