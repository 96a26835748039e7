"""What a terminal shows after some bytes: pyte, fed with what it can parse."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import NamedTuple

import pyte
from pyte.screens import Char


class Cell(NamedTuple):
    char: str
    """Empty for the right half of a wide character."""

    colour: str
    background: str
    bold: bool
    italic: bool
    underline: bool
    strike: bool
    reverse: bool
    dim: bool

    def visible(self) -> Cell:
        """The same for cells that look the same: a space shows only its background, and lines through it."""
        if self.char in (" ", "") and not (self.underline or self.strike or self.reverse):
            return self._replace(colour="default", bold=False, italic=False, dim=False)
        return self


# One sequence, complete; what begins with ESC and is not one yet waits for the next bytes.
_SEQUENCE = re.compile(
    r"\x1b(?:\[(?P<private>[<=>?]?)(?P<parameters>[\d;:]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\](?P<command>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|[P_^X][^\x1b]*\x1b\\"
    r"|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])"
)
# pyte stops drawing at what takes no cell and is no accent.
_NO_CELL = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]")


class Screen:
    def __init__(self, columns: int, lines: int) -> None:
        self._main, self._alternate = pyte.Screen(columns, lines), pyte.Screen(columns, lines)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self.title = ""
        self._titles: list[str] = []
        self._use(alternate=False)

    def _use(self, *, alternate: bool) -> None:
        self.alternate = alternate
        self._now = self._alternate if alternate else self._main
        if alternate:
            self._now.reset()
        self._stream = pyte.Stream(self._now)

    def resize(self, columns: int, lines: int) -> None:
        for screen in (self._main, self._alternate):
            screen.resize(lines, columns)

    def feed(self, data: bytes) -> None:
        text = self._held + self._decode(data)
        self._held = ""
        at = 0
        while (escape := text.find("\x1b", at)) >= 0:
            self._draw(text[at:escape])
            sequence = _SEQUENCE.match(text, escape)
            if sequence is None:
                self._held = text[escape:]
                return
            self._obey(sequence)
            at = sequence.end()
        self._draw(text[at:])

    def _draw(self, text: str) -> None:
        if text:
            self._stream.feed(_NO_CELL.sub("", text))

    def _obey(self, sequence: re.Match[str]) -> None:
        private, parameters, final = sequence["private"], sequence["parameters"], sequence["final"]
        if sequence["command"] is not None:
            number, _, text = sequence["command"].partition(";")
            if number in ("0", "2"):
                self.title = text
        elif private == "?" and parameters == "1049":
            self._use(alternate=final == "h")
        elif final == "t" and parameters.startswith("22;"):
            self._titles.append(self.title)
        elif final == "t" and parameters.startswith("23;"):
            self.title = self._titles.pop() if self._titles else ""
        elif final == "m" and not private:
            self._stream.feed(f"\x1b[{_dim_as_blink(parameters)}m")
        elif (private == "?" and parameters in ("7", "25")) or (
            final and not private and not sequence["between"] and final in "ABCDEFGHJKLMPXdefghlr@"
        ):
            self._stream.feed(sequence[0])

    def lines(self) -> list[str]:
        return [
            "".join(self._now.buffer[y][x].data for x in range(self._now.columns)).rstrip()
            for y in range(self._now.lines)
        ]

    def cursor(self) -> tuple[int, int, bool]:
        return self._now.cursor.x, self._now.cursor.y, not self._now.cursor.hidden

    def cell(self, x: int, y: int) -> Cell:
        return _cell(self._now.buffer[y][x])


@lru_cache(8192)
def _cell(char: Char) -> Cell:
    return Cell(
        *(char.data, char.fg, char.bg, char.bold, char.italics),
        *(char.underscore, char.strikethrough, char.reverse, char.blink),
    )


def _dim_as_blink(parameters: str) -> str:
    """pyte knows no dim, and nothing here blinks."""
    codes = iter(parameters.split(";"))
    told = []
    for code in codes:
        told.append({"2": "5", "22": "22;25"}.get(code, code))
        if code in ("38", "48"):  # the numbers of a colour follow
            told.append(kind := next(codes, "5"))
            told += [next(codes, "0") for _ in range(3 if kind == "2" else 1)]
    return ";".join(told)
