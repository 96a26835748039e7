"""Foreign text made inert, and fitted into terminal cells.

Whatever comes from a database, an API, a log or a file passes through `clean` where it becomes display text.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

UNKNOWN = "–"
"""Shown where a value is not known: never 0, never an empty cell."""

ELLIPSIS = "…"
_LOST = "\ufffd"
_CARRIER = "◌"  # carries a mark that has nothing before it, which would else join the cell to its left
_MARKS_PER_CHARACTER = 4

# C0 and DEL become the pictures made for them (U+2400 ff.), so that a tired eye sees what was there.
_PICTURES = {**{code: 0x2400 + code for code in range(32)}, 127: 0x2421}

# Letters and marks that draw nothing: two names that differ by one of these look the same.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0" + chr(0x1D159) + chr(0x16FE4)
)

# ZWNJ separates and ZWJ joins letters of these scripts, whose words are written with them (Persian, Sinhala, Malayalam
# …): there they are right, and only left out of what is shown. Anywhere else, or at a word's end, they hide something.
_JOINERS = "\u200c\u200d"
_JOINING = (
    (0x0600, 0x08FF),  # Arabic, Syriac, Thaana, NKo, Mandaic
    (0x0900, 0x0DFF),  # the Indic ones, up to Sinhala
    (0x0F00, 0x109F),  # Tibetan, Burmese
    (0x1780, 0x18AF),  # Khmer, Mongolian
    (0xFB50, 0xFDFF),
    (0xFE70, 0xFEFF),
)

# Blocks of symbols that became wide with Unicode 16; Python's own tables are older.
_WIDE_SINCE_16 = (
    (0x2630, 0x2637),
    (0x268A, 0x268F),
    (0x4DC0, 0x4DFF),
    (0x1D300, 0x1D356),
    (0x1D360, 0x1D376),
)


def clean(value: object, limit: int = 4000) -> str:
    """One inert line of at most `limit` (≥ 1) characters: no controls, bidi, invisibles or piles of marks.

    `str.isprintable()` holds, and cleaning again changes nothing. None is `UNKNOWN`.
    """
    text = UNKNOWN if value is None else str(value)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    return _cut(_inert(text[:limit]), limit, len(text) > limit)


def showable(text: str) -> bool:
    """Whether it can be a name: one line in which cleaning changes nothing but the joiners within a word."""
    kept = "".join(char for place, char in enumerate(text) if not _within_word(text, place))
    return clean(text, len(text) + 1) == kept


def clean_lines(value: object, limit: int = 40_000) -> str:
    r"""Like `clean`, for text of several lines: "\n" (and "\r\n") stays a line break, and only that."""
    text = UNKNOWN if value is None else str(value)
    lines = text[:limit].replace("\r\n", "\n").split("\n")
    return _cut("\n".join(map(_inert, lines)), limit, len(text) > limit)


def cells(text: str) -> int:
    """How many terminal cells cleaned text takes (wide characters 2, marks 0)."""
    return len(text) if text.isascii() else sum(map(_width, text))


def fit(
    text: str,
    size: int,
    align: Literal["left", "right", "centre"] = "left",
    cut: Literal["end", "middle"] = "end",
) -> str:
    """Cleaned text in exactly `size` cells: padded, or cut with … at the end or in the middle."""
    if size <= 0:
        return ""
    if cells(text) > size:
        text = _shorten(text, size, cut)
    missing = size - cells(text)  # also 1 where a wide character did not fit into the last cell
    if align == "left":
        return text + " " * missing
    if align == "right":
        return " " * missing + text
    return " " * (missing // 2) + text + " " * (missing - missing // 2)


def fold(text: str, size: int) -> list[str]:
    """Cleaned text in rows of at most `size` (≥ 2) cells, broken at blanks where that leaves no row half empty.

    Rows after the first are indented as far as that one, and two cells more.
    """
    rows, inset, room = [], "", size
    while cells(text) > room:
        head = _head(text, room)
        if text[len(head)] != " " and (blank := head.rfind(" ")) >= room // 2:
            head = head[:blank]
        head = head or text[0]  # always at least one, however wide a cluster of characters is
        rows.append(inset + head)
        if not inset:
            inset = " " * min(len(text) - len(text.lstrip(" ")) + 2, size // 2, size - 2)  # room for a wide character
            room = size - len(inset)
        text = text[len(head) :].lstrip(" ")
    return [*rows, inset + text] if text or not rows else rows


def printable_ascii(text: str) -> str:
    """Cleaned text for a terminal without UTF-8: as many ASCII characters as `text` takes cells."""
    return text if text.isascii() else "".join(map(_ascii, text.replace("→ ", "->")))


def _inert(line: str) -> str:
    if line.isascii():
        return line if line.isprintable() else line.translate(_PICTURES)
    out: list[str] = []
    marks = 0
    for place, char in enumerate(line):
        if _within_word(line, place):
            continue
        char = _replacement(char)
        if char == "" and not (out and not out[-1].isascii()):
            char = _LOST  # a variation selector chooses the look of a symbol; after anything else it hides something
        if _joins(char):
            marks += 1
            if marks > _MARKS_PER_CHARACTER:
                continue
            if not out:
                out.append(_CARRIER)
        elif char:
            marks = 0
        out.append(char)
    return "".join(out)


def _cut(text: str, limit: int, more: bool) -> str:
    return text[: limit - 1] + ELLIPSIS if more or len(text) > limit else text


def _shorten(text: str, size: int, cut: Literal["end", "middle"]) -> str:
    tail = (size - 1) // 2 if cut == "middle" else 0
    end = _tail(text, tail)
    return _head(text, size - 1 - cells(end)) + ELLIPSIS + end


def _head(text: str, size: int) -> str:
    """The longest start of `text` that fits into `size` cells, with the marks of its last character."""
    if text.isascii():
        return text[:size]
    used = 0
    for place, char in enumerate(text):
        used += _width(char)
        if used > size:
            return text[:place]
    return text


def _tail(text: str, size: int) -> str:
    if text.isascii():
        return text[len(text) - size :]
    used, start = 0, len(text)
    for place in range(len(text) - 1, -1, -1):
        used += _width(text[place])
        if used > size:
            break
        if not _joins(text[place]):  # a mark is taken only together with what it stands on
            start = place
    return text[start:]


@lru_cache(maxsize=8192)
def _replacement(char: str) -> str:
    """What one character becomes by itself; "" is a variation selector, which is judged by the one before it."""
    code = ord(char)
    if code in _PICTURES:
        return chr(_PICTURES[code])
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        return ""
    if char in _INVISIBLE:
        return _LOST
    if unicodedata.category(char) == "Zs":
        return " "
    return char if char.isprintable() else _LOST


def _within_word(line: str, place: int) -> bool:
    """Whether it is a joiner between two letters, or marks on them, of a script that uses joiners."""
    if line[place] not in _JOINERS or not 0 < place < len(line) - 1:
        return False
    beside = (line[place - 1], line[place + 1])
    return all(any(first <= ord(char) <= last for first, last in _JOINING) and char.isprintable() for char in beside)


@lru_cache(maxsize=8192)
def _joins(char: str) -> bool:
    """Drawn upon the character before it, in no cell of its own: marks, medial Korean letters, skin tones."""
    if char.isascii():
        return False
    if unicodedata.category(char) in ("Mn", "Me", "Mc"):
        return True
    return "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7fb" or "\U0001f3fb" <= char <= "\U0001f3ff"


@lru_cache(maxsize=8192)
def _width(char: str) -> int:
    if _joins(char):
        return 0
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return 2
    code = ord(char)
    return 2 if any(first <= code <= last for first, last in _WIDE_SINCE_16) else 1


SIGNS = {
    "●": "*",  # good, on, done
    "✕": "!",  # bad, failed
    "◐": "=",  # in between: suspended, acked, warned of
    "○": "o",  # off, over
    "◌": "@",  # not yet, or not any more: pending, archived, interrupted
    "◔": "(",  # on trial
    "■": "#",  # stopped by somebody
    "▶": "}",  # running
    "∅": "0",  # erased
    "◆": "&",  # an alert
    "↑": "^",  # ascending
    "↓": "v",  # descending
    "▲": "A",  # a change
    "▼": "V",  # now
    "◈": "E",  # an error, severe
    "◢": "/",  # the share of errors rises
    "◣": "\\",  # it falls
    "›": ">",  # leads to what follows
    "→": ":",  # becomes; before a space it is ->
    "✓": "+",  # marked
    "•": ".",  # here; hidden
    "·": "|",  # between two parts of a line
    "…": "_",  # something is left out
    "×": "x",  # times
    "–": "-",  # not known
}
"""Each symbol that means something, and what stands for it in ASCII: for each another. "?" and "~", which mean unknown
and stale, and "%" are none of them."""
_LIKE = {
    **dict(zip("−—‘’“”≤≥", "--''\"\"<>", strict=True)),
    **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
    **dict(zip("─│┌┐└┘├┤┬┴┼╭╮╰╯═┈", "-|+++++++++++++=.", strict=True)),
    **dict(zip("▐▌▎", "||I", strict=True)),
}
"""Typography, and what drawings are made of (lines, bars of eight heights): read together, not one by one."""
_GLYPHS = SIGNS | _LIKE


@lru_cache(maxsize=8192)
def _ascii(char: str) -> str:
    if char.isascii():
        return char
    glyph = _GLYPHS.get(char) or unicodedata.normalize("NFKD", char)[0]
    return (glyph if glyph.isascii() and glyph.isprintable() else "?").ljust(_width(char)) * (_width(char) > 0)
