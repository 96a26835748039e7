"""The fields of every list: named as its columns, with values that are listed, times, and what is wrong in words."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.errors import Usage
from controlplane.filters.grammar import Field, parse
from controlplane.filters.values import MAX_VALUES, asked_field, values_words
from controlplane.lists import ListOf
from controlplane.nouns import NOUNS, load

LISTS: dict[str, ListOf[Any]] = {noun.name: load(noun.list) for noun in NOUNS if noun.list}


def refusal(text: str, fields: tuple[Field, ...]) -> Usage:
    with pytest.raises(Usage) as found:
        parse(text, fields)
    return found.value


@pytest.mark.parametrize("name", LISTS)
def test_what_a_column_is_called_is_a_field(name: str) -> None:
    declared = LISTS[name]
    names = {each for field in declared.fields for each in (field.name, *field.also)}
    for column in declared.table:
        if column.filters:
            assert {column.name, column.typed_title, column.attribute} - {""} <= names, column.name


@pytest.mark.parametrize("name", LISTS)
def test_a_field_alone_lists_its_values(name: str) -> None:
    for field in LISTS[name].fields:
        if field.kind in ("choice", "flag"):
            said = refusal(f"{field.name}:", LISTS[name].fields).message
            assert all(choice in said for choice in (field.choices if field.kind == "choice" else ("yes", "no")))
        elif field.kind == "text":
            assert asked_field(f"x /{field.name}:".replace("/", ""), LISTS[name].fields) == ("x", field)


@pytest.mark.parametrize("name", LISTS)
def test_times_are_ages_moments_and_so_long_ago(name: str) -> None:
    for field in LISTS[name].fields:
        if field.kind == "age":
            for value in ("2026-11-29", "24h ago", "7d"):
                (term,) = parse(f"{field.name}>{value}", LISTS[name].fields)
                assert term.field == field.name and term.operator == ("above" if value == "7d" else "below")


@pytest.mark.parametrize("name", LISTS)
def test_what_is_wrong_is_said_with_the_fields_that_exist(name: str) -> None:
    fields = LISTS[name].fields
    wrong = ["nosuchfield:x", *(f"{field.name}>soon" for field in fields), *(f"{field.name}:/(/" for field in fields)]
    for text in wrong:
        said = refusal(text, fields)
        assert said.code == "filter_unreadable"
        assert all(field.name in str(said) for field in fields) if fields else "no fields" in str(said)


FIELDS = (Field("plan", also=("tier",)), Field("err", "share"), Field("state", "choice", ("on",)))


def test_only_a_field_of_text_at_the_end_is_asked_for() -> None:
    assert asked_field("/acme err>1% -plan:", FIELDS) == ("acme err>1%", FIELDS[0])
    assert asked_field("TIER:", FIELDS) == ("", FIELDS[0])
    for text in ("plan:x", "plan: x", "err:", "state:", "other:", "x:y plan", "", ":", "aplan:"):
        assert asked_field(text, FIELDS) is None


def test_values_are_said_with_their_numbers() -> None:
    assert values_words(FIELDS[0], [("growth", 1200), ("pro\x1b", 3)]) == "plan is growth (1,200), pro␛ (3)"
    many = [(f"v{n}", 100 - n) for n in range(MAX_VALUES + 1)]
    assert values_words(FIELDS[0], many).endswith("v11 (89) and others")
    assert values_words(FIELDS[0], []).startswith("plan: no value to show")
    assert "took too long" in values_words(FIELDS[0], None) and "filter by something else" in values_words(
        FIELDS[0], None
    )
