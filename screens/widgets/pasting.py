"""What is pasted is text, whatever it holds, and never keys.

Textual looks for keys also inside of a paste: an escape character in it, and the letters behind it arrive as if they
had been pressed. A text from somebody else could answer a question so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.events import Paste
from textual.message import Message

from screens.widgets.sequences import SequenceParser

START, END = "\x1b[200~", "\x1b[201~"
LARGEST = 100_000
"""Characters; nothing here takes more, and a line of millions of them would hold the screen up."""


class PastedTooMuch(Message):
    """A paste of `length` characters was left out."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length


class PastingParser(SequenceParser):
    """Takes each paste out of what the terminal sends, whole."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._before = ""  # the last few characters: a mark may come in two pieces
        self._pasted: list[str] | None = None
        self._length = 0

    def feed(self, data: str) -> Iterable[Message]:
        if not data:
            yield from super().feed(data)
        while data:
            if self._pasted is None:
                data = yield from self._feed_keys(data)
            else:
                data = yield from self._feed_paste(data)

    def _feed_keys(self, data: str) -> Any:
        """Up to where a paste starts. Returns what comes after."""
        seen = self._before + data
        start = seen.find(START)
        if start < 0:
            self._before = seen[-(len(START) - 1) :]
            yield from super().feed(data)
            return ""
        end = start + len(START) - len(self._before)
        self._before, self._pasted, self._length = "", [], 0
        yield from super().feed(data[:end])
        return data[end:]

    def _feed_paste(self, data: str) -> Any:
        assert self._pasted is not None
        seen = self._before + data
        end = seen.find(END)
        piece = seen[:end] if end >= 0 else seen[: -(len(END) - 1)]
        self._length += len(piece)
        if self._length <= LARGEST:
            self._pasted.append(piece)
        if end < 0:
            self._before = seen[-(len(END) - 1) :]
            return ""
        text, self._pasted, self._before = "".join(self._pasted), None, ""
        for _ in super().feed(END):
            pass  # an empty paste
        yield Paste(text.replace("\x00", "")) if self._length <= LARGEST else PastedTooMuch(self._length)
        return seen[end + len(END) :]
