"""Is the terminal dark or light? It is asked after the first paint (OSC 11), and nobody waits for the answer.

Textual's parser knows no such answer and would take it for typed keys, so our own parser comes before it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import ClassVar

from textual.message import Message

from screens.terminal.sequences import PastingParser

QUESTION = "\x1b]11;?\x07"
LIMIT_SECONDS = 0.15
"""An answer that comes later changes nothing: the person is already reading."""
SWALLOW_SECONDS = 5.0
"""For so long an answer may still come and must not be taken for keys."""
HELD_SECONDS = 0.05
"""How long the beginning of an answer is kept while its rest is awaited."""

_ANSWER = re.compile(r"\x1b\]11;([^\x07\x1b]{0,64})(?:\x07|\x1b\\)")
_BEGUN = re.compile(r"\x1b(?:\](?:1(?:1(?:;[^\x07\x1b]{0,64}\x1b?)?)?)?)?\Z")
_COLOUR = re.compile(r"rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")


class BackgroundTold(Message):
    """The terminal answered in time."""

    def __init__(self, dark: bool) -> None:
        super().__init__()
        self.dark = dark


def is_dark(colour: str) -> bool | None:
    """Whether a colour like `rgb:1111/2222/3333` is dark, by perceived brightness; None when it cannot be read."""
    found = _COLOUR.match(colour)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)


class AnsweringParser(PastingParser):
    """Takes the answers out of what the terminal sends; all else goes on as it came."""

    asked_at: ClassVar[float] = float("-inf")
    """When the question was sent, by the monotonic clock."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._held = ""
        self._held_at = 0.0

    @classmethod
    def ask(cls) -> str:
        """What to send; from now on an answer is expected."""
        cls.asked_at = time.monotonic()
        return QUESTION

    def feed(self, data: str) -> Iterable[Message]:
        since = time.monotonic() - self.asked_at
        if since > SWALLOW_SECONDS or not data:
            data, self._held = self._held + data, ""
            yield from super().feed(data)
            return
        data, self._held = self._held + data, ""
        while answer := _ANSWER.search(data):
            if answer.start():
                yield from super().feed(data[: answer.start()])
            dark = is_dark(answer[1])
            if since <= LIMIT_SECONDS and dark is not None:
                yield BackgroundTold(dark)
            data = data[answer.end() :]
        if begun := _BEGUN.search(data):
            self._held, self._held_at = begun[0], time.monotonic()
            data = data[: begun.start()]
        if data:
            yield from super().feed(data)

    def tick(self) -> Iterable[Message]:
        if self._held and time.monotonic() - self._held_at > HELD_SECONDS:
            held, self._held = self._held, ""  # it was a key after all
            yield from super().feed(held)
        yield from super().tick()
