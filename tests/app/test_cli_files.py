"""Files and texts that somebody else wrote: read with bounds, or refused with the line, in a moment."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli.files import Source
from app.cli.generated import _json, _table
from controlplane import jsontext
from controlplane.errors import Usage
from controlplane.listing import Query, position_of
from controlplane.registry import named
from controlplane.secrets import Reference
from tests.app.commands import program

DEEP = 30_000
GRANT = named("subscriptions.grant")
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(text: str) -> str:
    with pytest.raises(Usage) as caught:
        Source("file", text).items("tenants")
    assert caught.value.code == "file_unreadable"
    return caught.value.message


def test_aliases_of_aliases_are_refused_before_they_are_made() -> None:
    assert len(ALIASES) < 400
    assert "counted where aliases stand" in refused(ALIASES)
    assert refused("- &a [*a]") == "file:1: *a contains itself."


@pytest.mark.parametrize("text", ["[" * DEEP, "- " * 70, "{a: " * DEEP])
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    assert "nested deeper than 64 levels" in refused(text)


def test_aliases_that_stand_for_little_are_taken() -> None:
    text = "- &base {id: a, plan: growth}\n- {<<: *base, id: b}\n"
    assert Source("file", text).items("tenants") == [{"id": "a", "plan": "growth"}, {"id": "b", "plan": "growth"}]


def test_the_program_lives_on(tmp_path: Path) -> None:
    """What libyaml did with it ended the whole process, so it is tried in one of its own."""
    file = tmp_path / "tenants.yaml"
    file.write_text("[" * DEEP)
    answer = program("tenants", "apply", str(file), "--yes")
    assert answer.code == 2 and "[file_unreadable]" in answer.err


NESTED = ("[" * DEEP + "]" * DEEP, "[" * 200 + "]" * 200, '{"a":' * DEEP + "1" + "}" * DEEP)
READERS: dict[str, Callable[[str], Any]] = {
    "list": lambda text: _json("metadata", text, list),
    "cursor": lambda text: position_of(Query(), urlsafe_b64encode(text.encode()).decode()),
    "command": lambda text: Reference.parse(f"cmd:{text}"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", NESTED, ids=["far too deep", "too deep", "objects"])
def test_json_that_is_nested_too_deep_is_refused_wherever_it_is_read(reader: str, text: str) -> None:
    with pytest.raises(Usage):
        READERS[reader](text)


@pytest.mark.parametrize("text", NESTED, ids=["far too deep", "too deep", "objects"])
def test_where_any_text_is_taken_it_stays_one_or_is_refused(text: str) -> None:
    assert _table("metadata", [f"a={text}"]) == {"a": text}
    with pytest.raises(Usage):
        GRANT.parse({"tenant_id": "a", "name": "sso", "value": text, "until": "24h"})


def test_depth_is_counted_and_no_more() -> None:
    fine = "[" * jsontext.DEEPEST + "]" * jsontext.DEEPEST
    assert jsontext.read(fine) == json.loads(fine)
    assert jsontext.read('[1, {"a": []}]') == [1, {"a": []}]
    with pytest.raises(ValueError, match="64 levels"):
        jsontext.read(f"[{fine}]")
