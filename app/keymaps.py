"""Which keys do what: the defaults of the bindings, a built-in map over them, and the settings' own over that.

A binding is known by its id, `scope.verb`; the scope says where its keys count (a screen, a table, the app), so
two bindings may share a key only in different scopes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from controlplane.errors import Usage

if TYPE_CHECKING:
    from app.settings import Settings

Known = Mapping[str, tuple[str, Sequence[str]]]
"""Binding id → its scope and its default keys."""

MAPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "default": {},
    "vim": {
        "table.left": ("left", "h"),
        "table.right": ("right", "l"),
        "table.page_down": ("pagedown", "ctrl+f", "ctrl+d"),
        "table.page_up": ("pageup", "ctrl+b", "ctrl+u"),
    },
    # No usual prefix of tmux or screen, no key that screen does not pass on, and none that has to wait because an
    # escape sequence could follow.
    "tmux-safe": {
        "area.back": ("backspace", "escape"),
        "app.palette": ("f2", "ctrl+p"),
        "table.mark_down": ("J", "shift+down"),
        "table.mark_up": ("K", "shift+up"),
    },
}

_HELD_BACK = {f"ctrl+{key}" for key in (*"abcdhijkmqsuwz0123456789", "enter")} | {"f11"}
"""A terminal, tmux, screen or the line discipline keeps these keys, or sends others in their place."""

_MODIFIERS = {"ctrl", "alt", "shift", "super", "hyper", "meta"}


def keymap_of(settings: Settings) -> Mapping[str, str]:
    """What Textual's `App.set_keymap` takes. Raises Usage, see `resolve`.

    Without a keymap or keys in the settings it imports nothing, so that the start does not wait.
    """
    if settings.keymap == "default" and not settings.keys:
        return {}
    from app.bindings import known

    ids = known()
    return changed(resolve(settings.keymap, settings.keys, ids), ids)


def key_lines(settings: Settings) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Every binding for `:bindings`: its id, its keys now, what it does."""
    from app.bindings import all_bindings, known

    keys = resolve(settings.keymap, settings.keys, known())
    for binding in all_bindings():
        if binding.id and binding.action:
            yield binding.id, keys[binding.id], binding.description or binding.action


def resolve(keymap: str, own: Mapping[str, Sequence[str]], known: Known) -> dict[str, tuple[str, ...]]:
    """Every known id with its keys, by Textual's names. `keymap` is one of `MAPS`; `own` is the settings' [keys].

    An id of a built-in map that is not known is left out: not every screen has every verb. Raises Usage
    `keymap_unknown` (an id or a key that does not exist), `keymap_unsendable`, `keymap_conflict`.
    """
    if keymap not in MAPS:
        raise Usage("keymap_unknown", f"There is no keymap {keymap!r}.", f"Keymaps: {', '.join(MAPS)}.")
    for id in own:
        if id not in known:
            raise Usage("keymap_unknown", f"[keys]: there is no binding {id!r}{_near(id, known)}.", "Ids: press ?")
    defaults = {id: _named(id, keys) for id, (_, keys) in known.items()}
    changes = {**MAPS[keymap], **own}
    keys = {id: _named(id, changes[id]) if id in changes else default for id, default in defaults.items()}
    for id in keys:
        # Default keys are not checked: ctrl+c has no second key, on purpose.
        if keys[id] != defaults[id]:
            _check_sendable(id, keys[id])
    _check_conflicts(keys, known)
    return keys


def changed(keys: Mapping[str, tuple[str, ...]], known: Known) -> dict[str, str]:
    """What Textual's `App.set_keymap` takes: only bindings whose keys are not the default ones."""
    return {id: ",".join(keys[id]) for id, (_, default) in known.items() if keys[id] != _named(id, default)}


def _check_conflicts(keys: Mapping[str, tuple[str, ...]], known: Known) -> None:
    owners: dict[tuple[str, str], str] = {}
    for id, (scope, _) in known.items():
        for key in keys[id]:
            other = owners.setdefault((scope, key), id)
            if other != id:
                raise Usage(
                    "keymap_conflict",
                    f"The key {key!r} is given to both {other!r} and {id!r}, so one of them could not be reached.",
                    f"Give one of them another key under [keys] in the settings; both count in {scope!r}.",
                )


def _check_sendable(id: str, keys: tuple[str, ...]) -> None:
    if any(_sendable(key) for key in keys):
        return
    raise Usage(
        "keymap_unsendable",
        f"{id!r} could be reached only by {', '.join(keys)}, which not every terminal sends.",
        "Add a plain key: a letter, a sign, an arrow, F1 to F10.",
    )


def _sendable(key: str) -> bool:
    modifiers = key.split("+")[:-1]
    return key not in _HELD_BACK and not {"alt", "super", "hyper", "meta"} & {*modifiers} and len(modifiers) < 2


def _named(id: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Keys by the names that Textual reports ("/" is "slash"), each once. Unknown keys are refused: a binding on one
    would silently have no effect.
    """
    from textual.keys import _character_to_key

    named = []
    for key in keys:
        *modifiers, last = key.split("+") if len(key) > 1 else [key]
        name = _character_to_key(last) if len(last) == 1 else last
        if not {*modifiers} <= _MODIFIERS or not (len(last) == 1 or name in _names()):
            raise Usage("keymap_unknown", f"{id!r}: there is no key {key!r}{_near(key, _names())}.")
        named.append("+".join([*modifiers, name]))
    return tuple(dict.fromkeys(named))


def _names() -> set[str]:
    """Keys that have a name, and the signs, which have one too."""
    from textual.keys import Keys, _character_to_key

    signs = {_character_to_key(chr(code)) for code in range(32, 127)}
    return signs | {key.value for key in Keys if not key.value.startswith("<")}


def _near(word: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
