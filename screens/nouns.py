"""The screens of the table of nouns: of a list, of one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.nouns import Noun, load

if TYPE_CHECKING:
    from screens.area import AreaScreen


def list_screen(noun: Noun, text: str = "") -> AreaScreen:
    """A noun's list under a filter."""
    if noun.screen:
        made: AreaScreen = load(noun.screen)(text)
        return made
    from screens.lists import ListScreen

    return ListScreen(text, load(noun.list))


def thing_screen(noun: Noun, key: str) -> AreaScreen | None:
    """One thing of a noun; None where it has no screen."""
    if noun.detail:
        made: AreaScreen = load(noun.detail)(key)
        return made
    if noun.within:
        from screens.lists import ListWithin

        return ListWithin(noun.name, key, load(noun.within))
    return None
