"""Which class reads or writes for which port: found from the ports that the classes declare to implement."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from controlplane import nouns

P = TypeVar("P")


def readers() -> tuple[str, ...]:
    """What a home reads with: each is made of the home, once."""
    return tuple(place for noun in nouns.NOUNS for place in noun.readers)


def writers() -> tuple[str, ...]:
    """What a change writes with: each is made of the change's connection."""
    return tuple(place for noun in nouns.NOUNS for place in noun.writers)


@cache
def classes(among: tuple[str, ...]) -> tuple[type[Any], ...]:
    """They are loaded when the first is asked for."""
    return tuple(nouns.load(place) for place in among)


def implementing(port: type[P], among: tuple[str, ...]) -> Callable[[Any], P]:
    """The class that is, or declares to implement, a port. Raises LookupError."""
    for each in classes(among):
        if port in each.__mro__:
            return each
    raise LookupError(f"nothing here implements {port.__name__}")
