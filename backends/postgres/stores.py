"""Finds the class that reads or writes for a port, by the ports that the classes declare to implement."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from controlplane import nouns

P = TypeVar("P")


def readers() -> tuple[str, ...]:
    """The places of the classes that read: a home makes one of each, once."""
    return tuple(place for noun in nouns.NOUNS for place in noun.readers)


def writers() -> tuple[str, ...]:
    """The places of the classes that write: each is made with a change's connection."""
    return tuple(place for noun in nouns.NOUNS for place in noun.writers)


@cache
def classes(among: tuple[str, ...]) -> tuple[type[Any], ...]:
    """The classes at these places, loaded at the first call."""
    return tuple(nouns.load(place) for place in among)


def implementing(port: type[P], among: tuple[str, ...]) -> Callable[[Any], P]:
    """The class that is, or declares to implement, a port. Raises LookupError."""
    for each in classes(among):
        if port in each.__mro__:
            return each
    raise LookupError(f"nothing here implements {port.__name__}")
