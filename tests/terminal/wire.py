"""What of the bytes that a terminal received was not the program's own to send."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len

_ALL = [chr(code) for code in range(0x110000)]
FORBIDDEN = frozenset(
    char
    for char in _ALL
    if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs")
    or (unicodedata.category(char) == "Cf" and not cell_len(char) and char != "\u200d")
)
"""Characters that command a terminal or hide something. The joiner is not among them: emoji need it."""

# What the program itself sends: modes, moves, pens, erasing, its title, its pointer, its links, what it copies, its
# questions, and the tests' own mark.
_OWN = re.compile(
    r"\x1b\[\?(?:1049|1000|1006|25|1004|2004|2048|7|2026)[hl]|\x1b\[\?(?:2026|2048)\$p|\x1b\[>25u|\x1b\[<u"
    r"|\x1b\[2[23];2t|\x1b\[[\d;]*[HCmKX]|\x1b\]22;\w+\x07|\x1b\]2;[^\x00-\x1f\x7f-\x9f]*\x07|\x1b\]777;sync \d+\x07"
    r"|\x1b\]8;[^\x00-\x1f\x7f-\x9f]*\x1b\\|\x1b\]52;c;[A-Za-z0-9+/=]*\x07|\x1b\]11;\?(?:\x07|\x1b\\)"
)
_PILE = re.compile("[\u0300-\u036f]{5,}")


def foreign_controls(raw: bytes) -> list[str]:
    """Each control that is no part of what the program sends by itself, with what stands around it."""
    rest = _OWN.sub("", raw.decode("utf-8")).replace("\r\n", "")
    found = [re.search(f"(?s).{{0,30}}{re.escape(char)}.{{0,30}}", rest) for char in FORBIDDEN.intersection(rest)]
    found.append(_PILE.search(rest))
    return [match[0] for match in found if match]
