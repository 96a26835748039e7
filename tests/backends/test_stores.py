"""A context finds what reads and writes for a port from what the classes declare to implement."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from backends.postgres.stores import implementing, readers, sought, writers
from controlplane.changes import Store
from controlplane.keys.model import KeyDirectory
from controlplane.keys.ports import KeyStore
from controlplane.listing import Listing
from controlplane.nouns import load
from tests.backends.runs import opened
from tests.postgres import Database

STORES = [load(place) for place in (*readers(), *writers())]


class Nobody(Protocol):
    """A port that nothing implements."""


def ports_of(store: type[Any]) -> list[type[Any]]:
    return [each for each in store.__mro__ if getattr(each, "_is_protocol", False) and each is not Protocol]


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_all_that_a_port_asks_for_is_there(store: type[Any]) -> None:
    """A member that is forgotten would be the protocol's own, which does nothing."""
    asked = {name for port in ports_of(store) for name in vars(port) if not name.startswith("_")}
    own = {name for each in store.__mro__ if each not in ports_of(store) for name in vars(each)}
    assert asked - own == set()


def test_each_port_has_one_who_reads_or_writes_for_it() -> None:
    for among in (readers(), writers()):
        told = [port for store in map(load, among) for port in ports_of(store) if port not in (Listing, Store)]
        assert len(told) > 8
        assert [port for port in told if told.count(port) > 1] == []


def test_a_reader_is_found_without_loading_those_of_other_nouns() -> None:
    """To load them all takes 0.1 s of the processor, in the first second of the console."""
    for among in (readers(), writers()):
        for place in among:
            for port in ports_of(load(place)):
                if port not in (Listing, Store):
                    before = sought(port, among)[: sought(port, among).index(place)]
                    packages = {part for port in map(load, before) for part in _packages(port)}
                    assert packages <= {port.__module__.split(".")[1]}, (port, before)


def _packages(store: type[Any]) -> set[str]:
    """The folders of the ports that a class implements."""
    return {port.__module__.split(".")[1] for port in ports_of(store) if port not in (Listing, Store)}


def test_a_port_that_nothing_implements_is_said_so() -> None:
    with pytest.raises(LookupError, match="Nobody"):
        implementing(Nobody, readers())


async def test_a_home_reads_with_one_and_a_change_writes_with_its_own(database: Database) -> None:
    async with opened(database.login("admin")) as home:
        assert home.of(KeyDirectory) is home.of(KeyDirectory) is home.of(KeyDirectory)
        with pytest.raises(LookupError):
            home.of(KeyStore)
