"""What a terminal sends, in whole sequences: known keys are passed on, all else is dropped.

Textual takes a sequence that it does not know for typed keys: the digits in it would change the screen. It also ends
with a traceback for a byte that is not UTF-8, which old mouse reports and 8-bit meta keys send.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from typing import Any

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._time import get_time
from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.events import Key, Paste, Resize
from textual.message import Message

START, END = "\x1b[200~", "\x1b[201~"
MAX_PASTED = 100_000
"""Characters of a paste; nothing here takes more, and a line of millions of them would hold the screen up."""
REST_SECONDS = 1.0
"""How long to wait for the rest of a sequence; for what follows an escape alone it is `ESCAPE_DELAY`."""
LONGEST_STRING, LONGEST_KEY = 4096, 32
MAX_SCREEN_CELLS = 2000
"""Columns or lines; a report of more is noise."""

_X10 = re.compile(rb"\x1b\[M[ -\xff]{1,3}")
_ASCII = bytes(range(0x80)) + b"~" * 0x80
_C1 = re.compile("[\udc90\udc98\udc9b-\udc9f\udc8f\x8f\x90\x98\x9b-\x9f]")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_WHOLE = re.compile(
    r"\x1b(?:\[M[ -~]{3}|\[\[[A-Z]|\[(?![M[])[0-?]*[ -/]*[@-~]|O[0-?]*[ -/@-~]"
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[^\x1b\[O\]PX^_])"
)
_BEGUN = re.compile(r"\x1b(?:\[(?:M[ -~]{0,2}|\[|[0-?]*[ -/]*)|O[0-?]*|[\]PX^_][^\x07\x1b]*\x1b?)?")
_OLD_MOUSE = re.compile(r"\x1b\[M.")
_STRING = re.compile(r"\x1b[\]PX^_].")
_ALT = re.compile(r"\x1b[!-~]")


class InputDecoder:
    """Bytes to text. A C1 control is written as the escape that it stands for; what is not UTF-8 is dropped."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("surrogateescape").decode
        self._before = b""

    def decode(self, data: bytes) -> str:
        seen = _X10.sub(lambda found: found[0].translate(_ASCII), self._before + data)  # coordinates are not text
        text = self._decode(seen[len(self._before) :])
        self._before = seen[-5:]
        return _NOT_UTF8.sub("", _C1.sub(lambda found: "\x1b" + chr((ord(found[0]) & 0xFF) - 0x40), text))


class SequenceParser(XTermParser):
    """Gives Textual's parser one whole sequence after the other, and drops those that it does not know."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._part, self._part_at = "", 0.0

    def feed(self, data: str) -> Iterable[Message]:
        if not data:
            yield from super().feed(data)
            return
        data = self._part + data
        known, self._part = bool(self._part), ""
        at = 0
        while at < len(data):
            begun = _BEGUN.match(data, at)
            if begun is None:
                yield from self._known(data[at])
                at += 1
            elif found := _WHOLE.match(data, at):
                yield from self._sequence(found[0])
                at = found.end()
            elif begun.end() == len(data):
                self._part, self._part_at = (
                    data[at:][:LONGEST_STRING],
                    self._part_at if known and not at else get_time(),
                )
                return
            else:  # an incomplete sequence
                if begun[0] == "\x1b":
                    yield Key("escape", "\x1b")
                at = begun.end() - (len(begun[0]) > 1 and begun[0][-1] == "\x1b")

    def tick(self) -> Iterable[Message]:
        part = self._part
        if part and get_time() - self._part_at >= (ESCAPE_DELAY if len(part) < 3 else REST_SECONDS):
            self._part = ""
            if part == "\x1b":
                yield Key("escape", part)
            else:
                yield from self._sequence(part)

    def _sequence(self, sequence: str) -> Iterator[Message]:
        if _ALT.fullmatch(sequence) and sequence not in ANSI_SEQUENCES_KEYS:
            yield from self._sequence_to_key_events(sequence[1], alt=True)
        elif len(sequence) <= LONGEST_KEY and not _OLD_MOUSE.match(sequence) and not _STRING.match(sequence):
            yield from self._known(sequence)

    def _known(self, sequence: str) -> list[Message]:
        """Textual's messages for it; none when Textual waits for more of it or fails at a number in it."""
        try:
            made = list(super().feed(sequence))
            whole = self._awaiting.timeout is None
        except Exception:
            made, whole = [], False
        self.mouse_pixels = False  # the driver never asks for them
        if not whole:
            self._gen = self.parse(self._tokens.append)
            self._awaiting, self._timeout_time = next(self._gen), None
            self._tokens.clear()
            return []
        return [message for message in made if not isinstance(message, Resize) or _is_screen(message)]


def _is_screen(told: Resize) -> bool:
    return 0 < told.size.width <= MAX_SCREEN_CELLS and 0 < told.size.height <= MAX_SCREEN_CELLS


class PastedTooMuch(Message):
    """A paste of `length` characters was left out."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length


class PastingParser(SequenceParser):
    """Takes each paste out of the input as a whole: whatever it holds, it is text and never keys.

    Textual also looks for keys inside a paste: after an escape character in it, the letters arrive as if they had been
    pressed. That way a text from somebody else could answer a question.
    """

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
        if self._length <= MAX_PASTED:
            self._pasted.append(piece)
        if end < 0:
            self._before = seen[-(len(END) - 1) :]
            return ""
        text, self._pasted, self._before = "".join(self._pasted), None, ""
        for _ in super().feed(END):
            pass  # an empty paste
        yield Paste(text.replace("\x00", "")) if self._length <= MAX_PASTED else PastedTooMuch(self._length)
        return seen[end + len(END) :]
