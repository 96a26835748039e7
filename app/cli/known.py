"""What there is to type: every command with its summary and options, from a file that the program makes.

Help and completion are read from it, so that they load no operation. After a command changed:
.venv/bin/python -m tests.app.known
"""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

FILE = os.path.join(os.path.dirname(__file__), "known.tsv")  # noqa: PTH118, PTH120 - not pathlib: it slows a start


class Known(NamedTuple):
    """One command. `verb`: empty where the noun alone is the command."""

    noun: str
    verb: str
    summary: str
    options: tuple[str, ...]

    def line(self) -> str:
        return "\t".join((f"{self.noun} {self.verb}".strip(), self.summary, " ".join(self.options)))


@cache
def known() -> tuple[Known, ...]:
    with open(FILE, encoding="utf-8") as file:  # noqa: PTH123
        return tuple(map(_read, file.read().splitlines()))


def _read(line: str) -> Known:
    words, summary, options = line.split("\t")
    noun, _, verb = words.partition(" ")
    return Known(noun, verb, summary, tuple(options.split()))
