"""Every binding there is, by its id."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from textual.binding import Binding
from textual.dom import DOMNode

import screens


def all_bindings() -> list[Binding]:
    """The bindings of the program, of its screens and of its widgets, each once; they all have an id. Of several with
    one id, the one with the shortest words: it fits all of them.
    """
    for module in pkgutil.walk_packages(screens.__path__, "screens."):
        import_module(module.name)
    import_module("app.console")
    found: dict[str, Binding] = {}
    for kind in _kinds(DOMNode):
        if kind.__module__.partition(".")[0] in ("screens", "app"):
            for binding in kind.__dict__.get("BINDINGS", ()):
                assert isinstance(binding, Binding) and binding.id, kind
                found[binding.id] = min(found.get(binding.id, binding), binding, key=_shortness)
    return [found[id] for id in sorted(found)]


def _shortness(binding: Binding) -> tuple[int, str, str]:
    return len(binding.description), binding.description, binding.key


def known() -> dict[str, tuple[str, list[str]]]:
    """Every id with its scope, which is what stands before its dot, and its default keys."""
    return {b.id: (b.id.partition(".")[0], b.key.split(",")) for b in all_bindings() if b.id}


def _kinds(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
