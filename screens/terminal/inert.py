"""The last guard: whatever a widget draws, no control character of foreign text reaches the terminal.

Text is made inert where it enters the screen (`controlplane.text.clean`). This filter stands at the very end,
for what was forgotten there; Textual itself lets every control character through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size, split_graphemes
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter

_ZWJ = "\u200d"

# Characters that take no cell and command or hide something: C0, DEL, C1, bidi marks and overrides, zero-width
# spaces, separators, invisible operators, other format controls, tags. Not here: U+00AD, which takes a cell,
# and the joiner, which emoji need.
_NO_CELL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # takes a cell; the terminal's encoder would write it as six
# Combining marks are drawn on the letter before them; more than four paint over the lines above.
_MARK = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_PILE = re.compile(f"([{_MARK}]{{4}})[{_MARK}]+")


def _is_inert(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not _PILE.search(text))


def without_controls(text: str) -> str:
    """`text` in as many cells as before, without anything that a terminal could obey or hide."""
    if _is_inert(text):
        return text
    width = cell_len(text)
    plain = _PILE.sub(r"\1", _LONE_SURROGATE.sub("\ufffd", _NO_CELL.sub("", text)))
    if _ZWJ in plain:
        plain = "".join(_joined(plain[start:end]) for start, end, _ in split_graphemes(plain)[0])
    # The width of a character after a joiner is not counted; when that one is removed, the next would not be either.
    return plain if cell_len(plain) == width else set_cell_size(plain, width)


def _joined(grapheme: str) -> str:
    """Emoji may be joined; of letters that a joiner would stack in one cell only the first stays."""
    first, _, rest = grapheme.partition(_ZWJ)
    return grapheme if first and rest and all(ord(char) >= ord(_ZWJ) for char in grapheme) else first


def _without_controls_in_link(style: Style | None) -> Style | None:
    if style is not None and style.link and not (style.link.isascii() and style.link.isprintable()):
        return style.update_link(None)
    return style


class DropControls(LineFilter):
    """Strips cache their filtered form by the filter object: always use the one `DROP_CONTROLS`."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(_is_inert(text) and not (style and style.link) for text, style, _ in segments):
            return segments
        return [
            Segment(without_controls(text), _without_controls_in_link(style), control)
            for text, style, control in segments
        ]


DROP_CONTROLS = DropControls()


class LastWall(App[None]):
    """An App whose every line goes through `DROP_CONTROLS`."""

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), DROP_CONTROLS]
