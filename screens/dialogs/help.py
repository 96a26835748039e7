"""`?`: what this screen means and its keys, made from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from textual.binding import Binding

from controlplane.filters.grammar import describe
from controlplane.lists import Line
from controlplane.nouns import shown
from screens.frame import FramedScreen

KEY_WORDS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "asterisk": "*",
    "escape": "esc",
    "greater_than_sign": ">",
    "pagedown": "PgDn",
    "pageup": "PgUp",
}


def _pressed(screen: FramedScreen, bindings: Any) -> Iterator[tuple[str, Binding]]:
    """Every key with its binding, as the settings' keymap has it now."""
    keymap = screen.app._keymap
    for key, each in bindings.key_to_bindings.items() if bindings else ():
        for binding in each:
            if binding.id not in keymap:
                yield key, binding
            elif key == next(k for k, all in bindings.key_to_bindings.items() if binding.id in {b.id for b in all}):
                yield from ((own, binding) for own in keymap[binding.id].split(","))


def shown_key(key: str) -> str:
    return KEY_WORDS.get(key, key)


def help_lines(screen: FramedScreen) -> list[Line]:
    """First what the screen shows, then the keys of what has the focus, of the screen, and of the program."""
    lines: list[Line] = [*wrap(screen.means, 76), ""]
    seen: set[str] = set()
    commands = [f"  :{name:<19} {words}" for name, words in screen.desk.commands().items()]
    for title, bindings in (
        ("Keys here", getattr(screen.focused, "_bindings", None)),
        ("Keys of every screen", screen._bindings),
        ("Keys of the program", screen.app._bindings),
    ):
        found: dict[str, list[str]] = {}
        for key, binding in _pressed(screen, bindings):
            if key not in seen and binding.description and binding.id and "noun_" not in binding.id:
                found.setdefault(binding.description, []).append(shown_key(key))
                seen.add(key)
        if found:
            lines += [(title, "title"), *(f"  {', '.join(keys):<20} {words}" for words, keys in found.items()), ""]
        if title == "Keys here":
            lines += [("Commands: also every noun and every operation; tab completes", "title"), *commands, ""]
    nouns = "  ".join(f"{noun.digit} {noun.name}".strip() for noun in shown())
    lines += [("Nouns", "title"), *(f"  {line}" for line in wrap(nouns, 76)), ""]
    fields = getattr(screen, "fields", ())
    if fields:
        lines += [("Filter: terms joined by AND", "title"), *(f"  {line}" for line in describe(fields))]
        lines += ["  S, then a letter: sort; again reverses; measures begin with the largest"]
    return lines
