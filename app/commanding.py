"""Commands of one's own, as the settings allow them."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from textual.app import App

from app.settings import invalid
from controlplane.nouns import load, noun_named
from controlplane.owncommands import OwnCommand, faults

if TYPE_CHECKING:
    from app.settings import Settings


def check_commands(settings: Settings) -> None:
    """Raises Usage `settings_invalid`: a noun, a field or a key that cannot be, each with its line."""
    found = [
        f"{settings.source('commands', name, setting)}: commands.{name}.{setting}: {words}"
        for name, setting, words in faults(list(settings.commands.values()), _taken, _fields)
    ]
    if found:
        raise invalid(found)


def _taken(noun: str) -> Mapping[str, str]:
    """The letters in the menu of a noun's rows."""
    from controlplane.registry import offered

    return {each.key: each.name for each in offered(noun, load(_list_of(noun)).row)}


def _fields(noun: str) -> Sequence[str] | None:
    if not (place := _list_of(noun)):
        return None
    declared = load(place)
    names = [field.name for field in dataclasses.fields(declared.row)]
    return list(dict.fromkeys([*names, *(column.attribute for column in declared.columns)]))


def _list_of(noun: str) -> str:
    found = noun_named(noun)
    return found.list if found else ""


class Commanding(App[None]):
    """The part of the program that runs them."""

    settings: Settings

    def own_commands(self, noun: str) -> list[OwnCommand]:
        return [each for each in self.settings.commands.values() if each.noun == noun]

    def run_own(self, argv: Sequence[str], seconds: float, take: Callable[[str], None]) -> Awaitable[str]:
        from backends.own_commands import run

        return run(argv, seconds, take)
