"""The table of nouns is whole: each has every face that its line promises, and a line that lacks one is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from importlib import import_module
from inspect import isroutine
from typing import Any

import pytest

from app.cli.tree import SINGLE, every, reads
from backends.postgres.home import Home
from controlplane.keys.list import KEYS
from controlplane.lists import ListOf
from controlplane.nouns import NOUNS, Noun, load, noun_named
from controlplane.operations import Operation
from controlplane.registry import operations
from screens.area import AreaScreen
from screens.detail import DetailScreen
from screens.lists import ListScreen
from screens.nouns import list_screen, thing_screen
from screens.session import Session

DIGITS = {
    "0": "overview",
    "1": "tenants",
    "2": "keys",
    "3": "alerts",
    "4": "telemetry",
    "5": "queues",
    "6": "gates",
    "7": "incidents",
    "8": "objectives",
    "9": "audit",
}
"""Whose each digit is; that of a noun that is not there yet stays free."""
ELSEWHERE = {
    "contexts.write": ":rw asks for it, and contexts are chosen in a dialog",
    "plans.apply": "a catalogue is read from a file: watchfloor plans apply FILE",
}
"""Operations that no screen offers, and why."""


@pytest.fixture(autouse=True)
def no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Screens are looked at without a program around them."""
    monkeypatch.setattr(AreaScreen, "session", Session())
    monkeypatch.setattr(DetailScreen, "chosen_row", lambda screen: (None, None))


def faults(noun: Noun, nouns: Iterable[Noun] = NOUNS) -> list[str]:
    """What its line lacks, in a table of these nouns."""
    found = list(places(noun))
    if found:
        return found  # what cannot be loaded has no face to look at
    found = [] if noun.help.strip() else ["it has no help"]
    if not (noun.list or noun.screen or noun.commands or noun.operations or noun.name in SINGLE):
        found.append("nothing leads to it")
    if noun.within and not noun.list:
        found.append("what it holds is a list, and it has none itself")
    owned = DIGITS.get(noun.digit) if noun.digit else noun.name
    if owned != noun.name or (not noun.digit and noun.name in DIGITS.values()):
        found.append(f"the digit {noun.digit!r} is not its own")
    if noun.digit and not (noun.list or noun.screen):
        found.append("its digit leads to no list")
    found += list_faults(noun) if noun.list else []
    found += silent(load(noun.within), "means", "nothing", "empty") if noun.within else []
    reached = {each.name for line in nouns for screen in screens(line) for each in screen.operations()} | {*ELSEWHERE}
    found += [f"no screen offers {each.name}" for each in registered(noun) if each.name not in reached]
    return found


def places(noun: Noun) -> Iterator[str]:
    """Those that do not lead to what they should."""
    wanted: dict[str, type | tuple[type, ...]] = {
        noun.list: ListOf,
        noun.within: ListOf,
        noun.jobs: tuple,
    }
    stores = (*noun.readers, *noun.writers)
    functions = (noun.shows, *noun.commands.values(), *noun.ways.values())
    for place in filter(None, (*wanted, noun.screen, noun.detail, *stores, *functions)):
        try:
            at = load(place)
        except (ImportError, AttributeError):
            yield f"nothing is at {place}"
            continue
        if place in (noun.screen, noun.detail):
            right = isinstance(at, type) and issubclass(at, AreaScreen)
        elif place in stores:
            right = isinstance(at, type)
        else:
            right = isinstance(at, wanted[place]) if place in wanted else isroutine(at)
        if not right:
            yield f"{place} is a {type(at).__name__}"
    for module in filter(None, (*noun.operations, noun.refusals)):
        try:
            import_module(module)
        except ImportError:
            yield f"there is no module {module}"


def list_faults(noun: Noun) -> list[str]:
    declared = load(noun.list)
    found = silent(declared, "summary", "means", "nothing", "empty")
    if declared.noun != noun.name:
        found.append(f"its list is of {declared.noun}")
    try:
        declared.of(Home("dbname=nowhere"))
    except LookupError:
        found.append("nothing reads its list")
    if noun.listed and noun_named(noun.listed.split()[0]) is None:
        found.append(f"no noun has the command {noun.listed}")
    return found


def silent(declared: ListOf[Any], *texts: str) -> list[str]:
    return [f"the list says nothing as its {text}" for text in texts if not getattr(declared, text).strip()]


def screens(noun: Noun) -> list[AreaScreen]:
    of_list = [list_screen(noun)] if noun.list or noun.screen else []
    thing = thing_screen(noun, "1")
    return of_list if thing is None else [*of_list, thing]


def registered(noun: Noun) -> list[Operation[Any]]:
    return [each for each in operations().values() if each.run.__module__ in noun.operations]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
def test_a_noun_has_every_face_that_its_line_promises(noun: Noun) -> None:
    assert faults(noun) == []


def test_names_and_digits_are_of_one_noun() -> None:
    names, digits = [each.name for each in NOUNS], [each.digit for each in NOUNS if each.digit]
    assert len(names) == len({*names}) and len(digits) == len({*digits})


def test_every_list_and_every_operation_is_a_command() -> None:
    commands = {*every()}
    assert {*reads()} <= commands
    assert {noun.listed or f"{noun.name} list" for noun in NOUNS if noun.list} <= {*reads()}
    assert {f"{each.noun} {each.verb}" for each in operations().values()} <= commands


def test_every_operation_is_of_a_noun_of_the_table() -> None:
    assert {each.noun for each in operations().values()} <= {noun.name for noun in NOUNS}
    assert {*ELSEWHERE} <= operations().keys()


def test_a_list_has_the_screen_of_its_declaration() -> None:
    for noun in NOUNS:
        if noun.list:
            screen = list_screen(noun)
            assert isinstance(screen, ListScreen) and screen.declared is load(noun.list), noun.name


class Nobody:
    """A port that nothing implements."""


TOYS = dataclasses.replace(KEYS, noun="toys")
UNREAD = dataclasses.replace(TOYS, of=lambda plane: plane.of(Nobody))
SPEECHLESS = dataclasses.replace(TOYS, nothing="")
HERE = "tests.test_nouns"
MADE_UP = {
    "it has no help": Noun("toys", "", list=f"{HERE}:TOYS"),
    "nothing leads to it": Noun("toys", "Toys."),
    f"nothing is at {HERE}:NOWHERE": Noun("toys", "Toys.", list=f"{HERE}:NOWHERE"),
    "nothing is at screens.toys:ToyScreen": Noun("toys", "Toys.", list=f"{HERE}:TOYS", detail="screens.toys:ToyScreen"),
    "nothing is at app.cli.toys:play": Noun("toys", "Toys.", commands={"play": "app.cli.toys:play"}),
    "nothing is at backends.postgres.toys:Toys": Noun("toys", "Toys.", readers=("backends.postgres.toys:Toys",)),
    "there is no module controlplane.toys.refusals": Noun("toys", "Toys.", refusals="controlplane.toys.refusals"),
    "nothing reads its list": Noun("toys", "Toys.", list=f"{HERE}:UNREAD"),
    "there is no module controlplane.toys": Noun("toys", "Toys.", operations=("controlplane.toys",)),
    f"{HERE}:DIGITS is a dict": Noun("toys", "Toys.", list=f"{HERE}:DIGITS"),
    f"{HERE}:TOYS is a ListOf": Noun("toys", "Toys.", screen=f"{HERE}:TOYS"),
    "the list says nothing as its nothing": Noun("toys", "Toys.", list=f"{HERE}:SPEECHLESS"),
    "its list is of keys": Noun("toys", "Toys.", list="controlplane.keys.list:KEYS"),
    "no noun has the command shop toys": Noun("toys", "Toys.", list=f"{HERE}:TOYS", listed="shop toys"),
    "what it holds is a list, and it has none itself": Noun("toys", "Toys.", within=f"{HERE}:TOYS"),
    "the digit '3' is not its own": Noun("toys", "Toys.", digit="3", list=f"{HERE}:TOYS"),
    "the digit '' is not its own": Noun("alerts", "Alerts.", list=f"{HERE}:TOYS"),
    "nothing is at screens.toys:mend": Noun("toys", "Toys.", list=f"{HERE}:TOYS", ways={"mend": "screens.toys:mend"}),
    "its digit leads to no list": Noun("alerts", "Alerts.", digit="3", commands={"list": "app.cli.jobs:show_job"}),
    "no screen offers jobs.replay": Noun("jobs", "Jobs.", operations=("controlplane.jobs.operations",)),
}


@pytest.mark.parametrize("fault", MADE_UP)
def test_a_noun_that_lacks_a_face_is_refused(fault: str) -> None:
    noun = MADE_UP[fault]
    assert fault in faults(noun, [noun])
