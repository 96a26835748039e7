"""`?`: what this screen means and its keys, made from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from textual.binding import Binding

from controlplane.filters.grammar import describe
from controlplane.lists import Line
from controlplane.nouns import noun_named, shown
from screens.frame import FramedScreen

KEY_SYMBOLS = {
    "escape": "esc",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}
"""How keys are written that are no character."""
COLUMN = 38
"""Cells of one of the two columns of keys."""


def _pressed(screen: FramedScreen, bindings: Any) -> Iterator[tuple[str, Binding]]:
    """Every key with its binding, as the settings' keymap has it now."""
    keymap = screen.app._keymap
    for key, each in bindings.key_to_bindings.items() if bindings else ():
        for binding in each:
            if binding.id not in keymap:
                yield key, binding
            elif key == next(k for k, all in bindings.key_to_bindings.items() if binding.id in {b.id for b in all}):
                yield from ((own, binding) for own in keymap[binding.id].split(","))


def shown_key(key: str, *, ascii_only: bool = False) -> str:
    """A key as it is printed on a keyboard: "[", "shift+↓", "ctrl+p"; in ASCII an arrow has its name."""
    from textual.keys import key_to_character

    *held, last = key.split("+")
    is_function = last[:1] == "f" and last[1:].isdigit()
    character = key_to_character(last) or ""
    printed = character if character.isprintable() and character.strip() else last
    symbol = KEY_SYMBOLS.get(last) or (last.upper() if is_function else printed)
    return "+".join([*held, last if ascii_only and not symbol.isascii() else symbol])


def in_columns(entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Keys with what they do, two beside each other where both fit."""
    left = ""
    for keys, words in entries:
        entry = f"  {keys:<10} {words}"
        if left and len(entry) <= COLUMN:
            yield f"{left:<{COLUMN}}{entry}".rstrip()
            left = ""
            continue
        if left:
            yield left
        left = entry if len(entry) < COLUMN else ""
        if not left:
            yield entry
    if left:
        yield left


def help_lines(screen: FramedScreen) -> list[Line]:
    """First the keys of what has the focus and of this screen, then the commands that fit it, then the rest."""
    lines: list[Line] = [*wrap(screen.means, 76), ""]
    seen: set[str] = set()
    entries: list[tuple[str, str]] = []
    everywhere: list[tuple[str, str]] = []
    for bindings in (getattr(screen.focused, "_bindings", None), screen._bindings):
        for words, keys, general in _bound(screen, bindings, seen):
            (everywhere if general else entries).append((keys, words))
    lines += [("Keys here", "title"), *in_columns(entries), ""]
    if own := screen.desk.own_commands(screen.noun):
        named = (f"  {each.key:<10} {each.name}: {each.words}" for each in own)
        lines += [("Your commands: a, then", "title"), *named, ""]
    if fitting := _commands_here(screen):
        lines += [("Commands here, after :", "title"), *fitting, ""]
    if fields := getattr(screen, "fields", ()):
        lines += [("Filter: terms joined by AND", "title"), *(f"  {line}" for line in describe(fields)), ""]
    everywhere += [(keys, words) for words, keys, _ in _bound(screen, screen.app._bindings, seen)]
    lines += [("Keys of every screen", "title"), *in_columns(everywhere), ""]
    commands = [f"  :{name:<19} {words}" for name, words in screen.desk.commands().items()]
    lines += [("Commands: also every noun and every operation; tab completes", "title"), *commands, ""]
    nouns = "  ".join(f"{noun.digit} {noun.name}".strip() for noun in shown())
    return [*lines, ("Nouns", "title"), *(f"  {line}" for line in wrap(nouns, 76))]


def _commands_here(screen: Any) -> list[str]:
    """What can be typed about what the screen shows: its list under a filter, and the operations on its things."""
    found = noun_named(screen.noun)
    if found is None:
        return []
    lines = [f"  :{found.name} FILTER"] if found.list else []
    own = [each for each in screen.operations() if each.noun == found.name]
    size = max((len(each.verb) for each in own), default=0)
    return lines + [f"  :{each.noun} {each.verb:<{size}}  {each.summary}" for each in own]


def _bound(screen: FramedScreen, bindings: Any, seen: set[str]) -> Iterator[tuple[str, str, bool]]:
    """What each key does, the keys, and whether they do so on every screen; a key counts where it is met first."""
    found: dict[str, list[str]] = {}
    general: dict[str, bool] = {}
    ascii_only = bool(getattr(screen.app, "ascii_only", False))
    for key, binding in _pressed(screen, bindings):
        if key not in seen and binding.description and binding.id and "noun_" not in binding.id:
            found.setdefault(binding.description, []).append(shown_key(key, ascii_only=ascii_only))
            general[binding.description] = binding.id.startswith("area.")
            seen.add(key)
    for words, keys in found.items():
        yield words, " ".join(keys), general[words]
