"""The places that a person came from: `esc`, `backspace` and `[` go back through them, `]` forward again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from textual.screen import Screen

from controlplane.listing import View
from controlplane.nouns import shown_named
from screens.area import AreaScreen

MAX_PLACES = 20


class Place(NamedTuple):
    """A list as it was left, and the things that were opened from there on top of each other: a noun and a key each."""

    noun: str
    opened: tuple[tuple[str, str], ...] = ()
    left: View = View("", "")


def place_of(stack: Sequence[Screen[Any]]) -> Place | None:
    screens = [screen for screen in stack if isinstance(screen, AreaScreen)]
    if not screens or shown_named(screens[0].noun) is None:
        return None
    return Place(screens[0].noun, tuple(screen.opened_as() for screen in screens[1:]), screens[0].as_view())
