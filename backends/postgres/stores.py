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
    """It is sought first where its name lets expect it, so that a command loads only what it needs."""
    for place in sorted(among, key=lambda place: not _of_the_same_noun(place, port.__module__)):
        if port in nouns.load(place).__mro__:
            return nouns.load(place)
    raise LookupError(f"nothing here implements {port.__name__}")


def _of_the_same_noun(place: str, port: str) -> bool:
    """`place` is as backends.postgres.keys:Keys, the port's module as controlplane.keys.ports, or the place's own."""
    module = place.partition(":")[0]
    return module == port or module.rpartition(".")[2] == port.split(".")[1]
