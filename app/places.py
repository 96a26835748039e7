"""The lists that a person came from, which the key `esc` goes back to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.screen import Screen

from controlplane.nouns import shown_named
from screens.area import AreaScreen

MAX_PLACES = 20

Place = tuple[str, tuple[tuple[str, str], ...]]
"""A list, and the things that were opened from there on top of each other: a noun and a key each."""


def place_of(stack: Sequence[Screen[Any]]) -> Place | None:
    screens = [screen for screen in stack if isinstance(screen, AreaScreen)]
    if not screens or shown_named(screens[0].noun) is None:
        return None
    return screens[0].noun, tuple(screen.opened_as() for screen in screens[1:])
