"""What makes a terminal ring: BEL, or a notification with words (OSC 9) where that reaches the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from controlplane.text import clean

How = Literal["bell", "osc9", "off"]
BEL = "\x07"
_PRINTS_IT = ("linux", "dumb", "vt100", "vt220")
"""Terminals that would show the words of an OSC 9 on the screen."""
MAX_WORDS = 160


def ringing(how: str, words: str, env: Mapping[str, str]) -> str:
    """The bytes to write. tmux and screen swallow an OSC 9, and pass a BEL on as their own settings say."""
    if how == "off":
        return ""
    term = env.get("TERM", "")
    inside = "TMUX" in env or "STY" in env or term.startswith(("tmux", "screen"))
    if how == "bell" or inside or term in _PRINTS_IT:
        return BEL
    return f"\x1b]9;{clean(words, MAX_WORDS)}{BEL}"
