"""Checks the commands of one's own that the settings allow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from app.settings import invalid
from controlplane.nouns import load, noun_named
from controlplane.owncommands import faults

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
