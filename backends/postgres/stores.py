"""Finds the class that reads or writes for a port, by the ports that the classes declare to implement."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, TypeVar, cast

from controlplane import nouns

P = TypeVar("P")


def readers() -> tuple[str, ...]:
    """The places of the classes that read: a home makes one of each, once."""
    return tuple(place for noun in nouns.NOUNS for place in noun.readers)


def writers() -> tuple[str, ...]:
    """The places of the classes that write: each is made with a change's connection."""
    return tuple(place for noun in nouns.NOUNS for place in noun.writers)


def implementing(port: type[P], among: tuple[str, ...]) -> Callable[[Any], P]:
    """The class that is, or declares to implement, a port. Raises LookupError."""
    found: Callable[[Any], P] = _found(cast("Hashable", port), among)
    return found


@cache
def _found(port: Any, among: tuple[str, ...]) -> Any:
    for place in sought(port, among):
        if port in nouns.load(place).__mro__:
            return nouns.load(place)
    raise LookupError(f"nothing here implements {port.__name__}")


def sought(port: type[Any], among: tuple[str, ...]) -> list[str]:
    """The places in the order in which they are loaded to find who implements a port, so that only what is needed is:
    those named like the port's module or its folder, then those of nouns that are declared in its folder.
    """
    folder, module = port.__module__.split(".")[1:2], port.__module__.rpartition(".")[2]
    there = ".".join(("controlplane", *folder, ""))
    near = {
        place
        for noun in nouns.NOUNS
        if any(said.startswith(there) for said in (noun.list, noun.refusals, *noun.operations))
        for place in (*noun.readers, *noun.writers)
    }

    def distance(place: str) -> int:
        own = place.partition(":")[0]  # as backends.postgres.keys, of backends.postgres.keys:Keys
        if own == port.__module__ or own.rpartition(".")[2] in (module, *folder):
            return 0
        return 1 if place in near else 2

    return sorted(among, key=distance)
