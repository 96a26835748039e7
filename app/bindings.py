"""Every binding there is, by its id; and the keys that the settings give them."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.dom import DOMNode

import screens
from app.keymaps import Known, resolve

if TYPE_CHECKING:
    from app.settings import Settings


def all_bindings() -> list[Binding]:
    """Those of the program, of every screen and of every widget of ours, each once; they all have an id."""
    for module in pkgutil.walk_packages(screens.__path__, "screens."):
        import_module(module.name)
    import_module("app.console")
    found: dict[str, Binding] = {}
    for kind in _kinds(DOMNode):
        if kind.__module__.partition(".")[0] in ("screens", "app"):
            for binding in kind.__dict__.get("BINDINGS", ()):
                assert isinstance(binding, Binding) and binding.id, kind
                found.setdefault(binding.id, binding)
    return [found[id] for id in sorted(found)]


def known() -> Known:
    """Every id with its scope, which is what stands before its dot, and its default keys."""
    return {b.id: (b.id.partition(".")[0], b.key.split(",")) for b in all_bindings() if b.id}


def key_lines(settings: Settings) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Every binding for `:bindings`: its id, its keys now, what it does."""
    ids = known()
    keys = resolve(settings.keymap, settings.keys, ids)
    for binding in all_bindings():
        if binding.id and binding.action:
            yield binding.id, keys[binding.id], binding.description or binding.action


def _kinds(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
