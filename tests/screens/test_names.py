"""A field has one name: what a list shows, filters, sorts and exports by leads to the same one."""

from __future__ import annotations

import re

import pytest

from controlplane.filters.grammar import named, one_name, parse
from controlplane.lists import Column
from controlplane.nouns import shown
from screens.lists import ListScreen
from screens.nouns import list_screen
from screens.session import Session

LISTS = [noun.name for noun in shown() if noun.name not in ("telemetry", "overview")]


@pytest.fixture(params=LISTS)
def lists(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ListScreen:
    """The list of a noun, without a program around it."""
    screen = next(list_screen(noun) for noun in shown() if noun.name == request.param)
    assert isinstance(screen, ListScreen)
    monkeypatch.setattr(type(screen), "session", Session())
    return screen


def title(column: Column) -> str:
    """As it is typed: ERR% is err, OLD KEY is old_key."""
    return re.sub(r"\W+", "_", re.sub(r"[/%].*", "", column.heading.lower()))


def test_what_is_shown_and_what_is_exported_filters_as_well(lists: ListScreen) -> None:
    every = named(lists.fields)
    for column in lists.columns():
        field = every.get(column.name)
        if field is None:
            continue  # nothing is filtered by it
        assert every.get(title(column)) is field, f"{column.heading} is shown, {field.name} filters"
        assert every.get(column.attribute) is field, f"{column.attribute} is exported, {field.name} filters"


def test_no_name_is_of_two_fields(lists: ListScreen) -> None:
    names = [name for field in lists.fields for name in (field.name, *field.also)]
    assert len(names) == len(set(names))


def test_what_sorts_is_a_column_by_that_name(lists: ListScreen) -> None:
    shown = {one_name(name, lists.fields) for c in lists.columns() for name in (c.name, c.attribute, title(c))}
    assert set(lists.sorts) <= shown


def test_a_term_is_the_same_by_every_name(lists: ListScreen) -> None:
    for field in lists.fields:
        if field.kind == "text":
            assert len({parse(f"{name}:x", lists.fields) for name in (field.name, *field.also)}) == 1
