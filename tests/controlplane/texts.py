"""Foreign text for the tests of what is shown, and lines without their tones."""

from __future__ import annotations

import re
from collections.abc import Iterable

from controlplane.lists import Line
from controlplane.text import clean

HOSTILE = "\x1b[31mred\u202e"
SHOWN = clean(HOSTILE)
LONG = "ж" * 5000


def texts(lines: Iterable[Line]) -> list[str]:
    return [line if isinstance(line, str) else line[0] for line in lines]


def is_inert(lines: Iterable[Line]) -> bool:
    """Whether each line stays one, with what was foreign in it made visible and harmless."""
    told = texts(lines)
    return all(text.isprintable() for text in told) and any(SHOWN in text for text in told)


def cuts(lines: Iterable[Line]) -> list[int]:
    """To how many characters each LONG was cut, so that what stands beside it is still seen."""
    return [len(found) for text in texts(lines) for found in re.findall("ж+…", text)]
