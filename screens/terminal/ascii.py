"""For a terminal without UTF-8: every line of the screen in ASCII, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from controlplane.text import printable_ascii


class AsciiOnly(LineFilter):
    """Strips cache their filtered form by the filter object: always use the one `ASCII_ONLY`."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(text.isascii() for text, _, _ in segments):
            return segments
        return [Segment(printable_ascii(text), style, control) for text, style, control in segments]


ASCII_ONLY = AsciiOnly()
COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python sets LC_CTYPE to when it starts with LANG=C (PEP 538)."""


def wants_ascii(glyphs: str, environ: Mapping[str, str]) -> bool:
    """`glyphs`: "unicode", "ascii", or "auto", which goes by the locale: a codeset that is named and is not UTF-8.

    A locale that is not set says nothing about the terminal; most are UTF-8.
    """
    if glyphs != "auto":
        return glyphs == "ascii"
    if not environ.get("LC_ALL") and environ.get("LANG") in ("C", "POSIX") and environ.get("LC_CTYPE") in COERCED:
        return True
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    codeset = locale.rpartition(".")[2].partition("@")[0].lower()  # on macOS, LC_CTYPE may name nothing else
    return bool(locale) and codeset not in ("utf-8", "utf8")
